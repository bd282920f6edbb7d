/* operator/ledger.h - the ledger of devices: which nodes at the control server are proxies of ours,
 * kept apart from the objects that lead to them
 *
 * Pure. A proxy's Secret knows its device, and a finalizer keeps the Secret until the device is
 * deleted. Who takes the finalizer off and deletes the Secret by hand, above all while no operator
 * runs, cuts that thread: the ledger is what is left. It is LEDGER_SHARDS ConfigMaps in the
 * operator's namespace, owned by its Lease, with one member for each device id. A device that no
 * proxy has any more is deleted at the control server, if it still has the address that was noted:
 * ids are small numbers on some servers, and another server counts from 1 as well.
 */
#ifndef OPERATOR_LEDGER_H
#define OPERATOR_LEDGER_H

#include "operator/proxy.h"

#define LABEL_LEDGER "tailpod/ledger"

enum {
	LEDGER_SHARDS = 16,
	LEDGER_MAX = 20000,      /* devices */
	LEDGER_SERVER_MAX = 256, /* of a URL that much is kept */
	LEDGER_NAME_MAX = 64,
};

struct ledger_entry {
	char id[64], ip[46];
	char proxy[PROXY_NAME_MAX + 1], parent[PARENT_KEY_MAX];
	char server[LEDGER_SERVER_MAX]; /* URL of the API that knows the device */
};

bool ledger_of(struct ledger_entry *v, const struct proxy *x,
	       const char *server); /* false: it has not joined */
void ledger_shard_name(char out[static LEDGER_NAME_MAX], const char *id);
/* {"data": {ID: "..."}}, a merge patch; with what else a new shard needs if lease_uid is given. */
MUST_USE bool ledger_emit(struct buf *out, const struct ledger_entry *v, const char *ns,
			  const char *lease, const char *lease_uid);
/* One member of a shard's data; false: none of ours. */
MUST_USE bool ledger_parse(struct ledger_entry *v, const char *id, const char *value);
/* A device that no Secret names is an orphan, unless its proxy may be about to say again who it
 * is. x: the proxy of that name, NULL: gone. */
bool ledger_is_orphan(const char *id, const struct proxy *x);

#endif
