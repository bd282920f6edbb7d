/* operator/expiry.c - see expiry.h */
#include "operator/expiry.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "operator/operator.h"

enum { DAY_S = 86400, LIST_MAX = 1 << 20 };

static const char *key_file(const struct operator *op)
{
	return op->keys == KEYS_OAUTH ? "CLIENT_SECRET_FILE" : "API_KEY_FILE";
}

/* Of whom the server is asked: an id that may be said, never the secret. */
static bool make(void *ctx, struct keys_request *rq, struct buf *body)
{
	struct operator *op = ctx;
	const struct options *o = op->options;
	char text[KEYS_TEXT_MAX];
	struct err e = { 0 };
	bool ok;

	(void)body;
	ok = control_key_file(op->keys == KEYS_OAUTH ? o->client_id_file : o->api_key_file, text,
			      &e) == 0 &&
	     keys_expiry(rq, op->keys, control_server(op), text);
	explicit_bzero(text, sizeof text);
	return ok;
}

static void tell(struct operator *op, const char *reason, const char *text)
{
	const struct kube_event ev = { "coordination.k8s.io/v1",
				       "Lease",
				       op->settings.ns,
				       op->lease.name,
				       op->lease.uid,
				       true,
				       reason,
				       text };

	log_warn("operator: %s", text);
	operator_tell(op, &ev);
}

static void ends_soon(struct operator *op)
{
	struct expiry *x = &op->expiry;
	const int64_t left = x->ends.ns - loop_wall().ns, days = left / SPAN_S(DAY_S).ns;
	char text[320], time[WALL_TEXT];

	if (x->ends.ns == 0 || left > SPAN_S(EXPIRY_WARN_S).ns) {
		x->told = -1;
		return;
	}
	if (days == x->told)
		return;
	x->told = days;
	(void)snprintf(text, sizeof text,
		       "the %s (%s) ends at %s, in %lld days: then no proxy gets a key and no "
		       "device is deleted. Make another and put it into the Secret; it is read "
		       "again without a restart",
		       keys_kind_names[op->keys], key_file(op), wall_text(x->ends, time),
		       (long long)days);
	tell(op, "CredentialsExpire", text);
}

static void refused(struct operator *op)
{
	char text[256];

	if (op->expiry.is_refused)
		return;
	op->expiry.is_refused = true;
	(void)snprintf(text, sizeof text,
		       "the control server refuses the %s (%s): has it expired? Make another and "
		       "put it into the Secret; it is read again without a restart",
		       keys_kind_names[op->keys], key_file(op));
	tell(op, "CredentialsRefused", text);
}

static void answered(void *ctx, const struct control_answer *a)
{
	struct operator *op = ctx;
	struct expiry *x = &op->expiry;
	char key[KEYS_TEXT_MAX] = "";
	struct err e = { 0 };

	x->busy = false;
	loop_timer_set(&x->timer, mono_add(loop_now(op->loop), SPAN_S(EXPIRY_S)));
	if (a->why) {
		log_debug("operator: when the credentials end is not known: %s", a->why->text);
		return;
	}
	if (a->status == 401) {
		refused(op);
		return;
	}
	x->is_refused = false;
	if (op->keys == KEYS_HEADSCALE && control_key_file(op->options->api_key_file, key, &e) < 0)
		return;
	x->ends = keys_expiry_answer(op->keys, a->status, a->body, key);
	explicit_bzero(key, sizeof key);
	ends_soon(op);
}

static void due(void *ctx)
{
	struct operator *op = ctx;
	struct expiry *x = &op->expiry;

	if (!op->leading || op->stopping || x->busy || op->keys == KEYS_FIXED)
		return;
	x->busy = true;
	x->call = (struct control_call){
		.op = op, .make = make, .done = answered, .ctx = op, .answer_max = LIST_MAX
	};
	control_send(&x->call);
}

void expiry_init(struct operator *op)
{
	op->expiry.told = -1;
	loop_timer_init(op->loop, &op->expiry.timer, due, op);
}

void expiry_fini(struct operator *op)
{
	loop_timer_fini(&op->expiry.timer);
}

void expiry_lead(struct operator *op)
{
	loop_timer_set(&op->expiry.timer, loop_now(op->loop));
}
