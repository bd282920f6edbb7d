/* operator/plan.h - plan = f(observed, wanted): what is to be done for one parent, in order
 *
 * Pure. A plan is made anew from what is seen each time, so that it may be cut off anywhere: what
 * was done is seen next time, and each step may be done twice. The order is what makes a crash
 * harmless: the finalizer before anything else is made, the Secret (which knows the device) as the
 * last thing that is deleted, the finalizer after it.
 */
#ifndef OPERATOR_PLAN_H
#define OPERATOR_PLAN_H

#include "operator/proxy.h"
#include "operator/want.h"

enum step_kind {
	STEP_FINALIZER_ADD,
	STEP_APPLY,       /* child of proxy */
	STEP_MINT,        /* a key, and into the Secret */
	STEP_KEY_DROP,    /* the used key out of the Secret */
	STEP_RECORD,      /* its device, into the ledger */
	STEP_LOGOUT,      /* a proxy without an API to delete its device: is asked to log out, */
	STEP_LOGOUT_UNDO, /* or no longer; what is left of a device that has is taken out */
	STEP_DELETE_DEVICE,
	STEP_FIND_DEVICE,   /* one that may have joined and was never noted: found and deleted */
	STEP_DELETE,        /* child of proxy */
	STEP_EXTERNAL_NAME, /* of an egress Service */
	STEP_ROUTES,        /* ask the control server which it has approved */
	STEP_STATUS,
	STEP_FINALIZER_DEL,
	STEP_N,
};
extern const char *const step_names[STEP_N];

enum {
	PLAN_STEPS_MAX = 64,
	KEY_LIFE_S = 3600,
	KEY_AGAIN_S = 30,
	CLEANUP_MAX_S = 300,
	LOGOUT_MAX_S = 45,    /* pods have 10 s of grace; in a group GROUP_LEAVE_MAX_S */
	ROUTES_SOON_S = 10,   /* ours: how often not yet approved routes are asked about, */
	ROUTES_LATER_S = 300, /* and approved ones */
	MOVE_SOON_S = 5,      /* a Service that moves from one process to another */
	POLL_S = 60,          /* what is not watched: TLS Secrets, named ports */
};

struct step {
	enum step_kind kind;
	enum child child;
	char proxy[PROXY_NAME_MAX + 1];
};

struct plan {
	struct step step[PLAN_STEPS_MAX];
	size_t n;
	struct condition condition; /* wanted; exists false: none */
	bool clear_status;
	char lb_host[256], lb_ip[DEVICE_IPS_MAX][46];
	size_t n_lb_ip;
	char external_name[256];
	char external_saved[256]; /* noted beside it; "": the note goes */
	mono_t again;             /* look again then, whatever happens; MONO_NEVER */
	struct note note[NOTES_MAX + 3];
	size_t n_notes;
};

/* All routes that a router offers, comma-separated. */
void plan_routes(const struct want *w, char out[static ROUTES_MAX + 32]);
/* p NULL: the parent is gone. x: all proxies that name it as parent; hash[c]: of the wished text of
 * child c, "" for a child that is not wished for. */
void plan_make(struct plan *out, const struct parent *p, const struct want *w,
	       const struct proxy *const *x, size_t n, const struct settings *s,
	       const char (*hash)[HASH_TEXT], mono_t now, wall_t wall);
/* A group of a ProxyClass (group.h), added to the plan of the class. x NULL: nothing of it is
 * there; hash NULL: nobody is in it any more. */
void plan_group(struct plan *out, const struct proxy *x, const char *name,
		const char (*hash)[HASH_TEXT]);

#endif
