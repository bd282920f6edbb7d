/* operator/work_priv.h - one plan on its way: what work.c (its order), apply.c (API server) and
 * device.c (control server) share */
#ifndef OPERATOR_WORK_PRIV_H
#define OPERATOR_WORK_PRIV_H

#include "operator/operator.h"
#include "operator/render.h"

struct work {
	struct operator *op;
	char key[PARENT_KEY_MAX];
	struct parent p; /* copy; has_parent says whether there is one */
	bool has_parent, failed, told;
	struct proxy_class class;
	bool has_class;
	struct facts facts;
	const struct proxy **member; /* of a ProxyClass: nodes in a group of it (groups.c); owned */
	size_t lookup;               /* lookup.c */
	struct want want;
	struct plan plan;
	size_t at;
	/* of a key */
	char new_key[KEYS_TEXT_MAX], new_id[KEYS_ID_MAX];
	wall_t expires;
	char device[64];
	enum { FIND_REVOKE, FIND_LIST, FIND_DELETE } find; /* of STEP_FIND_DEVICE */
	unsigned n_found;
	struct control_call control;
	struct ledger_entry device_entry; /* of STEP_RECORD */
	bool is_new_shard;
};

/* work.c */
void work_fail(struct work *w, const char *reason, const char *message); /* ends the plan */
void work_advance(struct work *w);                                       /* the step is done */
const struct step *work_step(const struct work *w);
void work_send(struct work *w, const char *method, const char *path, const char *type,
	       struct bytes body); /* the answer ends the step */
void work_plan(struct work *w);    /* what was seen and looked up is complete: plan and begin */

/* apply.c: steps that write to the API server */
void apply_child(struct work *w);
void apply_delete(struct work *w);
void apply_finalizer(struct work *w, bool want);
void apply_external_name(struct work *w);
void apply_status(struct work *w);
void apply_logout(struct work *w, bool want);
MUST_USE bool work_child_path(const struct work *w, char path[static KUBE_PATH_MAX], enum child c,
			      const char *query);
bool work_awaits_end(const struct work *w); /* of a deletion: it is over when its pod is gone */
struct render work_render(const struct work *w);
const struct proxy_class *work_class(const struct work *w); /* NULL: none that is valid */

/* groups.c: the plan of a ProxyClass, as far as its groups go; the place of a Service's node */
MUST_USE bool groups_plan(struct work *w);
MUST_USE bool groups_place(struct work *w, const char *name);
/* What is rendered for a group of this name; false: no memory, or nobody is in it. */
MUST_USE bool groups_render(struct work *w, const char *name, struct render *r);

/* tell.c: the plan's notes, once */
void tell_notes(struct work *w);

/* lookup.c: then work_plan, or work_fail */
void lookup_start(struct work *w);

/* device.c: steps */
void device_mint(struct work *w);
void device_delete(struct work *w);
void device_find(struct work *w);
void device_store_key(struct work *w);
void device_routes(struct work *w);

#endif
