/* operator/control.c - see control.h */
#include "operator/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "operator/operator.h"
#include "os/file.h"

enum { SECRET_FILE_MAX = 4096, ANSWER_MAX = 1 << 16, TIMEOUT_S = 20 };

int control_key_file(const char *path, char out[static KEYS_TEXT_MAX], struct err *e)
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

const char *control_server(const struct operator *op)
{
	return op->options->api_server[0]     ? op->options->api_server
	       : op->options->login_server[0] ? op->options->login_server
					      : "https://api.tailscale.com";
}

static int request(struct control_call *c, const struct keys_request *rq, const char *bearer,
		   struct bytes body, web_done_fn *fn, struct err *e)
{
	struct operator *op = c->op;
	char auth[KEYS_TEXT_MAX + 32], type[128];
	const char *header[2];
	struct web_request r = { .method = rq->method,
				 .url = rq->url,
				 .header = header,
				 .body = body,
				 .body_max = c->answer_max ? c->answer_max : ANSWER_MAX,
				 .timeout = SPAN_S(TIMEOUT_S) };
	struct web_call *call;

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
	call = web_send(op->web, &r, fn, c, e);
	explicit_bzero(auth, sizeof auth);
	return call ? 0 : -EINVAL;
}

static void fail(struct control_call *c, const struct err *why, bool no_token)
{
	const struct control_answer a = { .why = why, .no_token = no_token };

	c->done(c->ctx, &a);
}

static void got_token(void *ctx, const struct web_reply *r)
{
	struct control_call *c = ctx;
	struct operator *op = c->op;
	span_t life;
	struct err e = { 0 };

	if (keys_token_answer(r->status, r->body, op->token, &life, &e) < 0) {
		op->stats.keys_failed++;
		fail(c, &e, true);
		return;
	}
	op->token_until = mono_add(loop_now(op->loop), life);
	control_send(c);
}

static int ask_token(struct control_call *c, struct err *e)
{
	const struct options *o = c->op->options;
	char id[KEYS_TEXT_MAX], secret[KEYS_TEXT_MAX];
	struct keys_request rq;
	struct buf body;
	int r;

	if ((r = control_key_file(o->client_id_file, id, e)) < 0 ||
	    (r = control_key_file(o->client_secret_file, secret, e)) < 0)
		return r;
	buf_init(&body, 8192);
	if (!keys_token(&rq, &body, control_server(c->op), id, secret))
		r = err_say(e, EINVAL,
			    "OAuth: the URL of the API or the client's secret is too long");
	else
		r = request(c, &rq, NULL, buf_bytes(&body), got_token, e);
	if (body.data)
		explicit_bzero(body.data, body.cap);
	explicit_bzero(secret, sizeof secret);
	buf_fini(&body);
	return r < 0 ? r : 1;
}

/* 0: it is in out. 1: a token is being asked for. */
static int bearer(struct control_call *c, char out[static KEYS_TEXT_MAX], struct err *e)
{
	struct operator *op = c->op;
	int r;

	if (op->keys == KEYS_OAUTH) {
		if (!mono_before(loop_now(op->loop), op->token_until))
			return ask_token(c, e);
		memcpy(out, op->token, KEYS_TEXT_MAX);
		return 0;
	}
	if ((r = control_key_file(op->options->api_key_file, out, e)) < 0)
		return r;
	op->keys = keys_kind_of(out); /* the file may have changed */
	op->settings.is_headscale = op->keys == KEYS_HEADSCALE;
	return 0;
}

static void read_answer(void *ctx, const struct web_reply *r)
{
	struct control_call *c = ctx;
	const struct control_answer a = { .status = r->status, .body = r->body };

	if (r->status == 401 || r->status == 403)
		c->op->token_until = (mono_t){ INT64_MIN };
	c->done(c->ctx, &a);
}

static void write_answer(void *ctx, const struct web_reply *r)
{
	operator_wrote(((struct control_call *)ctx)->op);
	read_answer(ctx, r);
}

void control_send(struct control_call *c)
{
	char token[KEYS_TEXT_MAX] = "";
	struct keys_request rq;
	struct buf body;
	struct err e = { 0 };
	int r = bearer(c, token, &e);

	if (r == 1)
		return;
	buf_init(&body, 8192);
	if (r == 0 && !c->make(c->ctx, &rq, &body)) {
		r = err_say(&e, EINVAL,
			    "the request to the control server is too long, or the device id no "
			    "id");
	} else if (r == 0) {
		const bool writes = strcmp(rq.method, "GET") != 0;

		if (writes)
			operator_writes(c->op);
		r = writes && !operator_leads(c->op)
			? err_say(&e, EPERM, "another replica leads")
			: request(c, &rq, token, buf_bytes(&body),
				  writes ? write_answer : read_answer, &e);
	}
	buf_fini(&body);
	explicit_bzero(token, sizeof token);
	if (r < 0)
		fail(c, &e, false);
}
