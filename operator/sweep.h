/* operator/sweep.h - keeps the ledger of devices and deletes those that no proxy has any more
 *
 * In turn, and one request at a time: the ledger is read once when this replica begins to lead;
 * then every SWEEP_S members of devices that are gone are taken out, and a device that has had no
 * proxy for ORPHAN_S is looked at and deleted, with an Event and an audit line. The first failure
 * ends the turn. With a fixed auth key there is no API and so no ledger.
 */
#ifndef OPERATOR_SWEEP_H
#define OPERATOR_SWEEP_H

#include "kube/table.h"
#include "operator/control.h"
#include "operator/ledger.h"

enum {
	SWEEP_S = 30,
	ORPHAN_S = 60,
	SWEEP_DEVICES_MAX = 100, /* deleted in one turn */
	SWEEP_FORGET_MAX = 100,  /* members of one patch */
};

struct sweep {
	struct kube_table *devices; /* id -> struct ledger_record */
	struct loop_timer timer;
	struct control_call call;
	unsigned epoch, left;
	bool loaded, busy, deletes;
	struct ledger_entry at;            /* the device that is asked about */
	char forget[SWEEP_FORGET_MAX][64]; /* ids in the patch that is under way */
	size_t n_forget;
};

struct work;

MUST_USE bool sweep_init(struct operator *op); /* false: no memory */
void sweep_fini(struct operator *op);
void sweep_lead(struct operator *op); /* this replica leads: begin */
/* Is the proxy's device in the ledger? Also when there is no ledger, or not yet. */
bool sweep_knows(const struct operator *op, const struct proxy *x);
void sweep_gone(struct operator *op, const char *id); /* deleted at the control server */
/* STEP_RECORD: the patch; or the shard as a new object, after a patch found none. */
void sweep_record(struct work *w, bool is_new);
void sweep_recorded(struct work *w);

#endif
