/* operator/tell.c - Events: what users read by kubectl describe */
#include "operator/work_priv.h"

static void event_sent(void *ctx, const struct web_reply *r)
{
	struct operator *op = ctx;

	op->events_in_flight--;
	kube_count(op->kube, r->status);
}

void operator_tell(struct operator *op, const struct kube_event *ev)
{
	struct kube_event_write out;
	char path[KUBE_PATH_MAX];
	struct buf body;
	struct err e;

	if (op->events_in_flight >= EVENTS_IN_FLIGHT_MAX)
		return;
	buf_init(&body, 1 << 16);
	if (kube_events_add(op->events, ev, loop_now(op->loop), loop_wall(), &out, &body) &&
	    kube_path(path, sizeof path, "v1", "events", out.ns, out.create ? NULL : out.name,
		      NULL) &&
	    kube_send(op->kube, out.create ? "POST" : "PATCH", path,
		      out.create ? KUBE_JSON : KUBE_MERGE, buf_bytes(&body), event_sent, op, &e)) {
		op->events_in_flight++;
		op->stats.events++;
	}
	buf_fini(&body);
}

void operator_event(struct operator *op, const struct parent *p, bool is_warning,
		    const char *reason, const char *message)
{
	const struct kube_event ev = { kinds[p->kind].api_version,
				       kinds[p->kind].kind,
				       p->ns,
				       p->name,
				       p->uid,
				       is_warning,
				       reason,
				       message };

	operator_tell(op, &ev);
}

void tell_notes(struct work *w)
{
	char key[PARENT_KEY_MAX];
	struct record *r;
	uint64_t sum = 1469598103934665603U;

	if (!w->has_parent)
		return;
	parent_key(key, w->p.kind, w->p.ns, w->p.name);
	r = kube_table_get(w->op->parents, key);
	for (size_t i = 0; i < w->plan.n_notes; i++)
		for (const char *c = w->plan.note[i].message; *c; c++)
			sum = (sum ^ (uint8_t)*c) * 1099511628211U;
	if (!r || r->noted == sum)
		return;
	r->noted = sum;
	for (size_t i = 0; i < w->plan.n_notes; i++)
		operator_event(w->op, &w->p, w->plan.note[i].is_warning, w->plan.note[i].reason,
			       w->plan.note[i].message);
}
