/* operator/device.c - steps that ask the control server: keys, deleting devices, approved routes */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "operator/work_priv.h"

enum { DEVICES_ANSWER_MAX = 32 << 20, FOUND_MAX = 8 };

static bool make(void *ctx, struct keys_request *rq, struct buf *body)
{
	struct work *w = ctx;
	const struct operator *op = w->op;

	switch (work_step(w)->kind) {
	case STEP_MINT:
		w->expires = (wall_t){ loop_wall().ns + SPAN_S(KEY_LIFE_S).ns };
		return keys_mint(rq, body, op->keys, control_server(op),
				 op->options->headscale_user, w->want.tags, loop_wall(),
				 w->expires);
	case STEP_ROUTES:
		return keys_routes(rq, op->keys, control_server(op), w->device);
	case STEP_FIND_DEVICE:
		if (w->find == FIND_REVOKE)
			return keys_revoke(rq, body, op->keys, control_server(op), w->new_id);
		if (w->find == FIND_LIST)
			return keys_devices(rq, op->keys, control_server(op));
		return keys_delete_device(rq, op->keys, control_server(op), w->device);
	default:
		return keys_delete_device(rq, op->keys, control_server(op), w->device);
	}
}

static void ask(struct work *w, void (*done)(void *ctx, const struct control_answer *a))
{
	w->control = (struct control_call){ .op = w->op, .make = make, .done = done, .ctx = w };
	if (work_step(w)->kind == STEP_FIND_DEVICE && w->find == FIND_LIST)
		w->control.answer_max = DEVICES_ANSWER_MAX;
	control_send(&w->control);
}

/* --- keys --- */

void device_store_key(struct work *w)
{
	const struct render r = work_render(w);
	const struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	const bool drop = work_step(w)->kind == STEP_KEY_DROP;
	char path[KUBE_PATH_MAX];
	struct buf body;
	bool ok;

	buf_init(&body, 1 << 16);
	ok = render_key(&body, &r, w->new_key, drop && x ? x->key_id : w->new_id,
			drop && x ? x->key_expires : w->expires,
			drop && x ? x->key_tags : w->want.tags) &&
	     work_child_path(w, path, CHILD_SECRET, "?fieldManager=" MANAGER_KEY "&force=true");
	explicit_bzero(w->new_key, sizeof w->new_key); /* w may be gone when it is sent */
	if (ok)
		work_send(w, "PATCH", path, KUBE_APPLY, buf_bytes(&body));
	else
		work_fail(w, "SyncFailed", "no memory");
	if (body.data)
		explicit_bzero(body.data, body.cap);
	buf_fini(&body);
}

static void has_key(struct work *w)
{
	struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	char time[WALL_TEXT];

	w->op->stats.keys++;
	if (x) {
		x->minted = loop_now(w->op->loop);
		x->device_gone = x->is_searched = false;
	}
	log_info("audit: auth key %s for %s of %s: %s, tags %s, ends %s",
		 w->new_id[0] ? w->new_id : "(fixed)", work_step(w)->proxy, w->key,
		 keys_kind_names[w->op->keys],
		 w->op->keys == KEYS_FIXED ? "of the key" : w->want.tags,
		 w->expires.ns ? wall_text(w->expires, time) : "never");
	device_store_key(w);
}

static void minted(void *ctx, const struct control_answer *a)
{
	struct work *w = ctx;
	struct err e = { 0 };
	const bool ok = !a->why && keys_mint_answer(w->op->keys, a->status, a->body, w->new_key,
						    w->new_id, &e) == 0;

	if (ok) {
		has_key(w);
		return;
	}
	w->op->stats.keys_failed += !a->no_token;
	work_fail(w, a->no_token ? "CredentialsFailed" : "KeyFailed",
		  a->why ? a->why->text : e.text);
}

void device_mint(struct work *w)
{
	struct err e;

	if (w->op->keys != KEYS_FIXED) {
		ask(w, minted);
		return;
	}
	if (control_key_file(w->op->options->auth_key_file, w->new_key, &e) < 0) {
		work_fail(w, "KeyFailed", e.text);
		return;
	}
	w->new_id[0] = 0;
	w->expires = WALL_ZERO;
	has_key(w);
}

/* --- devices --- */

static void left(struct work *w, const char *why)
{
	char text[400];

	w->op->stats.devices_left++;
	(void)snprintf(text, sizeof text, "device %s stays in the tailnet: %.200s; %s",
		       w->device[0] ? w->device : "(not known, if it has joined)", why,
		       w->op->keys == KEYS_FIXED ? "delete it there by hand"
		       : w->device[0]            ? "the sweep goes on trying"
						 : "look for it in the control server's list");
	log_warn("audit: %s: %s", w->key, text);
	if (w->has_parent)
		operator_event(w->op, &w->p, true, "DeviceLeft", text);
}

static bool cleanup_is_over(const struct work *w, struct proxy *x)
{
	const mono_t now = loop_now(w->op->loop);

	if (x && mono_is_never(x->cleanup_since))
		x->cleanup_since = now;
	return (w->has_parent && w->p.is_deleting &&
		loop_wall().ns - w->p.deleted.ns > SPAN_S(CLEANUP_MAX_S).ns) ||
	       (x && mono_sub(now, x->cleanup_since).ns > SPAN_S(CLEANUP_MAX_S).ns);
}

static void device_failed(struct work *w, const struct err *e)
{
	struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);

	if (!cleanup_is_over(w, x)) {
		work_fail(w, "CleanupFailed", e->text);
		return;
	}
	left(w, e->text);
	if (x && work_step(w)->kind == STEP_FIND_DEVICE)
		x->is_searched = true;
	else if (x)
		x->device_gone = true;
	work_advance(w);
}

static void device_deleted(void *ctx, const struct control_answer *a)
{
	struct work *w = ctx;
	struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	struct err e = { 0 };

	if (a->why || keys_delete_answer(a->status, a->body, &e) < 0) {
		device_failed(w, a->why ? a->why : &e);
		return;
	}
	if (x)
		x->device_gone = true;
	sweep_gone(w->op, w->device);
	w->op->stats.devices_deleted++;
	log_info("audit: device %s of %s is deleted", w->device, w->key);
	work_advance(w);
}

/* --- a device that was never noted: its proxy joined and was killed, or is about to --- */

/* First nobody can join with the key any more, then the list says whether somebody has, and then
 * that device goes: in any other order one could slip through. */
static void found(void *ctx, const struct control_answer *a)
{
	struct work *w = ctx;
	struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	struct err e = { 0 };
	int r = a->why ? -EAGAIN : 0;

	if (r == 0 && w->find == FIND_REVOKE)
		r = keys_revoke_answer(a->status, a->body, &e);
	else if (r == 0 && w->find == FIND_DELETE)
		r = keys_delete_answer(a->status, a->body, &e);
	else if (r == 0)
		r = keys_devices_find(w->op->keys, a->status, a->body, x ? x->machine : "",
				      w->new_id, w->device, &e);
	if (r < 0) {
		device_failed(w, a->why ? a->why : &e);
		return;
	}
	if (w->find == FIND_DELETE) {
		w->op->stats.devices_deleted++;
		log_info("audit: device %s of %s, which it had not yet noted, is deleted",
			 w->device, w->key);
		w->device[0] = 0;
	}
	if (w->find == FIND_LIST && w->device[0] && ++w->n_found <= FOUND_MAX) {
		w->find = FIND_DELETE;
	} else if (w->find == FIND_LIST) {
		if (x)
			x->is_searched = true;
		work_advance(w);
		return;
	} else {
		w->find = FIND_LIST; /* again after one was deleted: until there is none */
	}
	ask(w, found);
}

void device_find(struct work *w)
{
	const struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);

	if (!x || x->device_id[0]) { /* noted after all: it is deleted by the next plan */
		w->plan.n = w->at + 1;
		operator_enqueue(w->op, w->key);
		work_advance(w);
		return;
	}
	memcpy(w->new_id, x->key_id, sizeof w->new_id);
	w->device[0] = 0;
	w->n_found = 0;
	w->find = w->new_id[0] ? FIND_REVOKE : FIND_LIST;
	ask(w, found);
}

/* What can be known without an API. */
static void logged_out(struct work *w)
{
	char text[320];

	(void)snprintf(text, sizeof text,
		       "device %s has logged itself out: made with an ephemeral key it is gone, "
		       "with another it stands in the control server's list as expired: delete it "
		       "there",
		       w->device);
	log_info("audit: %s: %s", w->key, text);
	w->op->stats.devices_logged_out++;
	if (w->has_parent)
		operator_event(w->op, &w->p, false, "DeviceLoggedOut", text);
}

void device_delete(struct work *w)
{
	struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);

	if (!x || !x->device_id[0] || x->device_gone) {
		work_advance(w);
		return;
	}
	memcpy(w->device, x->device_id, sizeof w->device);
	if (w->op->keys == KEYS_FIXED) {
		if (x->logout == LOGOUT_DONE)
			logged_out(w);
		else
			left(w, "its proxy did not say in time that it logged out, and with a "
				"fixed auth key there is no API");
		x->device_gone = true;
		work_advance(w);
		return;
	}
	ask(w, device_deleted);
}

/* --- routes --- */

static void got_routes(void *ctx, const struct control_answer *a)
{
	struct work *w = ctx;
	struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	char approved[ROUTES_MAX];
	struct err e = { 0 };

	if (a->why || keys_routes_answer(w->op->keys, a->status, a->body, approved, sizeof approved,
					 &e) < 0) {
		work_fail(w, "RoutesUnknown", a->why ? a->why->text : e.text);
		return;
	}
	if (x) {
		if (!x->routes_known || strcmp(x->approved, approved) != 0)
			operator_enqueue(w->op, w->key); /* another condition */
		x->routes_known = true;
		x->routes_at = loop_now(w->op->loop);
		memcpy(x->approved, approved, sizeof approved);
	}
	work_advance(w);
}

void device_routes(struct work *w)
{
	const struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);

	if (!x || !x->device_id[0]) {
		work_advance(w);
		return;
	}
	memcpy(w->device, x->device_id, sizeof w->device);
	ask(w, got_routes);
}
