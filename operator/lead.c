/* operator/lead.c - the Lease: who has it acts, everybody else only watches */
#include <stdio.h>

#include "base/log.h"
#include "operator/operator.h"

/* a patch with a resourceVersion is refused like an update when somebody was faster, and leaves the
 * labels of whoever made the lease */
static const struct {
	const char *method, *type;
} acts[] = { [KUBE_LEASE_GET] = { "GET", NULL },
	     [KUBE_LEASE_CREATE] = { "POST", KUBE_JSON },
	     [KUBE_LEASE_UPDATE] = { "PATCH", KUBE_MERGE } };

static void settle(struct operator *op)
{
	const bool mine = kube_lease_is_mine(&op->lease, loop_now(op->loop));

	if (mine == op->leading)
		return;
	if (!mine) {
		/* what is under way was begun as leader; a new start is the surest way to let go of
		 * it */
		log_error("operator: the lease %s is lost; ends, to start anew", op->lease.name);
		op->leading = false;
		operator_stop(op, 1);
		return;
	}
	op->leading = true;
	log_info("operator: %s leads", op->lease.me);
	operator_enqueue_all(op);
	operator_work(op);
	sweep_lead(op);
	expiry_lead(op);
}

static void answered(void *ctx, const struct web_reply *r)
{
	struct operator *op = ctx;

	op->lease_in_flight = false;
	kube_count(op->kube, r->status);
	kube_lease_result(&op->lease, loop_now(op->loop), r->status, r->body);
	if (op->stopping) {
		loop_stop(op->loop);
		return;
	}
	if (r->status == 403)
		log_warn("operator: may not use the lease %s in %s: see the Role of the chart",
			 op->lease.name, op->lease.ns);
	settle(op);
	if (!op->stopping)
		operator_lead(op);
}

void operator_lead(struct operator *op)
{
	const mono_t now = loop_now(op->loop);
	enum kube_lease_act act;
	char path[KUBE_PATH_MAX];
	struct buf body;
	struct err e;

	if (!op->synced)
		return;
	if (!op->stopping)
		settle(op);
	if (op->stopping && !op->lease.release)
		return;
	buf_init(&body, 1 << 16);
	act = kube_lease_next(&op->lease, now, loop_wall(), &body);
	if (act != KUBE_LEASE_NONE) {
		op->lease_in_flight = true;
		if (!kube_path(path, sizeof path, "coordination.k8s.io/v1", "leases", op->lease.ns,
			       act == KUBE_LEASE_CREATE ? NULL : op->lease.name, NULL) ||
		    !kube_send(op->kube, acts[act].method, path, acts[act].type, buf_bytes(&body),
			       answered, op, &e)) {
			op->lease_in_flight = false;
			kube_lease_result(&op->lease, now, 0, (struct bytes){ 0 });
		}
	}
	buf_fini(&body);
	/* also look when what we hold runs out */
	loop_timer_set(&op->lease_timer,
		       op->leading ? mono_min(kube_lease_deadline(&op->lease), op->lease.held_until)
				   : kube_lease_deadline(&op->lease));
}

void operator_release(struct operator *op)
{
	kube_lease_release(&op->lease, loop_now(op->loop));
	operator_lead(op);
}
