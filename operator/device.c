/* operator/device.c - what is asked of the control server: keys, deleting devices
 *
 * A step is one request, or two when a token is needed first.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "operator/render.h"
#include "operator/work_priv.h"
#include "os/file.h"

enum { SECRET_FILE_MAX = 4096 };

static int secret_file(const char *path, char out[static KEYS_TEXT_MAX], struct err *e)
{
	char *text;
	size_t len;
	int r = file_read(path, SECRET_FILE_MAX, &text, &len, e);

	if (r < 0)
		return r;
	text[strcspn(text, " \t\r\n")] = 0;
	r = *text && bytes_to_str(bytes_str(text), out, KEYS_TEXT_MAX)
		? 0
		: err_say(e, EINVAL, "%s holds no key", path);
	file_wipe(text, len);
	return r;
}

static const char *api_server(const struct operator *op)
{
	return op->options->api_server[0]     ? op->options->api_server
	       : op->options->login_server[0] ? op->options->login_server
					      : "https://api.tailscale.com";
}

static int control(struct work *w, const struct keys_request *rq, const char *bearer,
		   struct bytes body, web_done_fn *fn, struct err *e)
{
	struct operator *op = w->op;
	char auth[KEYS_TEXT_MAX + 32], type[128];
	const char *header[2];
	struct web_request r = { .method = rq->method,
				 .url = rq->url,
				 .header = header,
				 .body = body,
				 .body_max = 1 << 16,
				 .timeout = SPAN_S(20) };
	struct web_call *c;

	if (strcmp(rq->method, "GET") != 0)
		work_writes(op);
	if (op->options->ca_file[0])
		r.tls.ca_file = op->options->ca_file;
	if (bearer) {
		(void)snprintf(auth, sizeof auth, "Authorization: Bearer %s", bearer);
		header[r.n_headers++] = auth;
	}
	if (rq->type) {
		(void)snprintf(type, sizeof type, "Content-Type: %s", rq->type);
		header[r.n_headers++] = type;
	}
	c = web_send(op->web, &r, fn, w, e);
	explicit_bzero(auth, sizeof auth);
	return c ? 0 : -EINVAL;
}

static void control_step(struct work *w);

static void got_token(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	struct operator *op = w->op;
	span_t life;
	struct err e;

	if (keys_token_answer(r->status, r->body, op->token, &life, &e) < 0) {
		op->stats.keys_failed++;
		work_fail(w, "CredentialsFailed", e.text);
		return;
	}
	op->token_until = mono_add(loop_now(op->loop), life);
	control_step(w);
}

/* the bearer for the API: an API key from its file, or a token. 1: a token is being asked for. */
static int bearer(struct work *w, char out[static KEYS_TEXT_MAX], struct err *e)
{
	struct operator *op = w->op;
	struct keys_request rq;
	struct buf body;
	char id[KEYS_TEXT_MAX], secret[KEYS_TEXT_MAX];
	int r;

	if (op->keys != KEYS_OAUTH) {
		if ((r = secret_file(op->options->api_key_file, out, e)) < 0)
			return r;
		op->keys = keys_kind_of(out); /* the file may have changed */
		op->settings.is_headscale = op->keys == KEYS_HEADSCALE;
		return 0;
	}
	if (mono_before(loop_now(op->loop), op->token_until)) {
		memcpy(out, op->token, KEYS_TEXT_MAX);
		return 0;
	}
	if ((r = secret_file(op->options->client_id_file, id, e)) < 0 ||
	    (r = secret_file(op->options->client_secret_file, secret, e)) < 0)
		return r;
	buf_init(&body, 8192);
	if (!keys_token(&rq, &body, api_server(op), id, secret))
		r = err_say(e, EINVAL,
			    "OAuth: the URL of the API or the client's secret is too long");
	else
		r = control(w, &rq, NULL, buf_bytes(&body), got_token, e);
	if (body.data)
		explicit_bzero(body.data, body.cap);
	explicit_bzero(secret, sizeof secret);
	buf_fini(&body);
	return r < 0 ? r : 1;
}

void device_store_key(struct work *w)
{
	const struct render r = work_render(w);
	const struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	const bool drop = work_step(w)->kind == STEP_KEY_DROP;
	char path[KUBE_PATH_MAX];
	struct buf body;

	buf_init(&body, 1 << 16);
	if (render_key(&body, &r, w->new_key, drop && x ? x->key_id : w->new_id,
		       drop && x ? x->key_expires : w->expires,
		       drop && x ? x->key_tags : w->want.tags) &&
	    work_child_path(w, path, CHILD_SECRET, "?fieldManager=" MANAGER_KEY "&force=true"))
		work_send(w, "PATCH", path, KUBE_APPLY, buf_bytes(&body));
	else
		work_fail(w, "SyncFailed", "no memory");
	if (body.data)
		explicit_bzero(body.data, body.cap);
	buf_fini(&body);
	explicit_bzero(w->new_key, sizeof w->new_key);
}

static void has_key(struct work *w)
{
	struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	char time[WALL_TEXT];

	w->op->stats.keys++;
	if (x) {
		x->minted = loop_now(w->op->loop);
		x->device_gone = false;
	}
	log_info("audit: auth key %s for %s of %s: %s, tags %s, ends %s",
		 w->new_id[0] ? w->new_id : "(fixed)", work_step(w)->proxy, w->key,
		 keys_kind_names[w->op->keys],
		 w->op->keys == KEYS_FIXED ? "of the key" : w->want.tags,
		 w->expires.ns ? wall_text(w->expires, time) : "never");
	device_store_key(w);
}

static void minted(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	struct err e;
	int rc = keys_mint_answer(w->op->keys, r->status, r->body, w->new_key, w->new_id, &e);

	work_wrote(w->op);
	if (rc < 0) {
		w->op->stats.keys_failed++;
		if (rc == -EACCES)
			w->op->token_until = (mono_t){ INT64_MIN };
		work_fail(w, "KeyFailed", e.text);
		return;
	}
	has_key(w);
}

static void left(struct work *w, const char *why)
{
	char text[400];

	w->op->stats.devices_left++;
	(void)snprintf(text, sizeof text,
		       "device %s stays in the tailnet: %.200s; delete it there by hand", w->device,
		       why);
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
	if (x)
		x->device_gone = true;
	work_advance(w);
}

static void device_deleted(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	struct err e;

	work_wrote(w->op);
	if (keys_delete_answer(r->status, r->body, &e) < 0) {
		if (r->status == 401)
			w->op->token_until = (mono_t){ INT64_MIN };
		device_failed(w, &e);
		return;
	}
	if (x)
		x->device_gone = true;
	w->op->stats.devices_deleted++;
	log_info("audit: device %s of %s is deleted", w->device, w->key);
	work_advance(w);
}

static bool control_request(const struct work *w, struct keys_request *rq, struct buf *body)
{
	const struct operator *op = w->op;

	switch (work_step(w)->kind) {
	case STEP_MINT:
		return keys_mint(rq, body, op->keys, api_server(op), op->options->headscale_user,
				 w->want.tags, loop_wall(), w->expires);
	case STEP_ROUTES:
		return keys_routes(rq, op->keys, api_server(op), w->device);
	default:
		return keys_delete_device(rq, op->keys, api_server(op), w->device);
	}
}

static void got_routes(void *ctx, const struct web_reply *r);

/* STEP_MINT, STEP_DELETE_DEVICE and STEP_ROUTES, once more from the start when a token has come */
static void control_step(struct work *w)
{
	struct operator *op = w->op;
	const enum step_kind kind = work_step(w)->kind;
	web_done_fn *const done = kind == STEP_MINT     ? minted
				  : kind == STEP_ROUTES ? got_routes
							: device_deleted;
	char token[KEYS_TEXT_MAX] = "";
	struct keys_request rq;
	struct buf body;
	struct err e = { 0 };
	int r = bearer(w, token, &e);

	if (r == 1)
		return;
	buf_init(&body, 8192);
	if (r == 0) {
		w->expires = (wall_t){ loop_wall().ns + SPAN_S(KEY_LIFE_S).ns };
		if (!control_request(w, &rq, &body))
			r = err_say(&e, EINVAL,
				    "the request to the control server is too long, or the device "
				    "id no id");
		else
			r = control(w, &rq, token, buf_bytes(&body), done, &e);
	}
	buf_fini(&body);
	explicit_bzero(token, sizeof token);
	if (r < 0 && kind == STEP_ROUTES) {
		work_fail(w, "RoutesUnknown", e.text);
	} else if (r < 0 && kind == STEP_MINT) {
		op->stats.keys_failed++;
		work_fail(w, "KeyFailed", e.text);
	} else if (r < 0) {
		device_failed(w, &e);
	}
}

void device_mint(struct work *w)
{
	struct err e;

	if (w->op->keys != KEYS_FIXED) {
		control_step(w);
		return;
	}
	if (secret_file(w->op->options->auth_key_file, w->new_key, &e) < 0) {
		work_fail(w, "KeyFailed", e.text);
		return;
	}
	w->new_id[0] = 0;
	w->expires = WALL_ZERO;
	has_key(w);
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
		left(w, "the operator has a fixed auth key and no API");
		x->device_gone = true;
		work_advance(w);
		return;
	}
	control_step(w);
}

/* --- routes --- */

static void got_routes(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	char approved[ROUTES_MAX];
	struct err e;

	if (keys_routes_answer(w->op->keys, r->status, r->body, approved, sizeof approved, &e) <
	    0) {
		if (r->status == 401)
			w->op->token_until = (mono_t){ INT64_MIN };
		work_fail(w, "RoutesUnknown", e.text);
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
	control_step(w);
}
