/* containerboot/kube_client.c - see kube_client.h */
#include "containerboot/kube_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "containerboot/kube_text.h"
#include "crypto/key.h"
#include "os/file.h"
#include "os/http.h"
#include "os/tls.h"

struct kube_client {
	struct loop *loop;
	char *dir, *host, *token;
	uint16_t port;
	struct resolver *resolver;
	char ns[KUBE_NAME_MAX + 1];
	struct tls_client *tls;
	mono_t read_at;
	size_t n_calls;
};

struct kube_call {
	struct kube_client *client;
	char method[8], *target;
	const char *type; /* static text */
	struct buf body;
	kube_answer_fn *fn;
	kube_piece_fn *piece; /* NULL: the answer's body is whole */
	span_t limit;
	void *ctx;
	struct http *http;
	struct loop_defer later; /* of a request that could not be started */
	struct err why;
	bool has_retried;
};

/* --- the account --- */

static void trim(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		text[--len] = 0;
}

static int read_one(const struct kube_client *c, const char *name, size_t max, char **out,
		    struct err *e)
{
	AUTO_FREE char *path = NULL;
	size_t len;
	int r;

	if (asprintf(&path, "%s/%s", c->dir, name) < 0) {
		path = NULL;
		return err_set(e, ENOMEM, "service account");
	}
	r = file_read(path, max, out, &len, e);
	if (r < 0)
		return err_wrap(
		    e, "service account (automountServiceAccountToken off? TS_KUBE_SECRET= "
		       "with nothing behind does without)");
	trim(*out);
	for (const char *p = *out; *p; p++)
		if (*p < ' ' || *p > '~') { /* it becomes part of a request's head */
			file_wipe(*out, len);
			return err_say(e, EBADMSG, "service account: %s is not one line of text",
				       path);
		}
	if (!**out) {
		file_wipe(*out, len);
		return err_say(e, EBADMSG, "service account: %s is empty", path);
	}
	return 0;
}

static int read_account(struct kube_client *c, struct err *e)
{
	struct tls_client_conf conf = { .ca_dir = c->dir };
	AUTO_FREE char *ca = NULL;
	struct tls_client *tls;
	char *token;
	int r = read_one(c, "token", KUBE_TOKEN_MAX, &token, e);

	if (r < 0)
		return r;
	if (asprintf(&ca, "%s/ca.crt", c->dir) < 0)
		ca = NULL;
	conf.ca_file = ca;
	tls = ca ? tls_client_new(&conf, e) : NULL;
	if (!tls) {
		file_wipe(token, strlen(token));
		return ca ? -EIO : err_set(e, ENOMEM, "service account");
	}
	if (c->token)
		file_wipe(c->token, strlen(c->token));
	c->token = token;
	tls_client_free(c->tls);
	c->tls = tls;
	c->read_at = loop_now(c->loop);
	return 0;
}

/* While nothing is under way; what cannot be read anew stays as it was. */
static void refresh(struct kube_client *c)
{
	struct err e;

	if (c->n_calls == 0 && read_account(c, &e) < 0)
		log_warn("kube: %s", e.text);
}

struct kube_client *kube_client_new(const struct kube_client_conf *conf, struct err *e)
{
	struct kube_client *c = calloc(1, sizeof *c);
	char *ns = NULL;
	int r = 0;

	if (!c) {
		err_set(e, ENOMEM, "service account");
		return NULL;
	}
	c->loop = conf->loop;
	c->port = conf->port;
	c->resolver = conf->resolver;
	c->dir = strdup(conf->account_dir ? conf->account_dir : KUBE_ACCOUNT_DIR);
	c->host = strdup(conf->host);
	if (!c->dir || !c->host)
		r = err_set(e, ENOMEM, "service account");
	if (r == 0)
		r = read_account(c, e);
	if (r == 0)
		r = read_one(c, "namespace", KUBE_NAME_MAX, &ns, e);
	if (r < 0) {
		kube_client_free(c);
		return NULL;
	}
	(void)bytes_to_str(bytes_str(ns), c->ns, sizeof c->ns); /* file_read holds the limit */
	free(ns);
	return c;
}

void kube_client_free(struct kube_client *c)
{
	if (!c)
		return;
	assert(c->n_calls == 0);
	if (c->token)
		file_wipe(c->token, strlen(c->token));
	tls_client_free(c->tls);
	free(c->dir);
	free(c->host);
	free(c);
}

const char *kube_client_namespace(const struct kube_client *c)
{
	return c->ns;
}

/* --- calls --- */

void kube_call_cancel(struct kube_call *call)
{
	if (!call)
		return;
	loop_defer_cancel(&call->later);
	http_cancel(call->http);
	if (call->body.data)
		secret_wipe(call->body.data, call->body.cap);
	buf_fini(&call->body);
	call->client->n_calls--;
	free(call->target);
	free(call);
}

static void answer(struct kube_call *call, const struct kube_answer *a)
{
	kube_answer_fn *fn = call->fn;
	void *ctx = call->ctx;

	call->http = NULL;
	kube_call_cancel(call);
	fn(ctx, a);
}

static void failed(void *ctx)
{
	struct kube_call *call = ctx;
	struct err why = call->why;

	answer(call, &(struct kube_answer){ .why = &why });
}

static void begin(struct kube_call *call);

static void on_reply(void *ctx, const struct http_reply *reply, const struct err *why)
{
	struct kube_call *call = ctx;

	call->http = NULL;
	if (reply && reply->status == 401 && !call->has_retried) {
		call->has_retried = true;
		call->client->read_at = (mono_t){ INT64_MIN };
		begin(call);
		return;
	}
	answer(call, reply ? &(struct kube_answer){ .status = reply->status, .body = reply->body }
			   : &(struct kube_answer){ .why = why });
}

static bool on_piece(void *ctx, struct bytes piece)
{
	const struct kube_call *call = ctx;

	return call->piece(call->ctx, piece);
}

static bool is_old(const struct kube_client *c)
{
	return c->read_at.ns == INT64_MIN ||
	       mono_sub(loop_now(c->loop), c->read_at).ns >= KUBE_ACCOUNT_AGE_S * NS_PER_S;
}

static void begin(struct kube_call *call)
{
	struct kube_client *c = call->client;
	AUTO_FREE char *headers = NULL;
	struct http_conf conf = {
		.method = call->method,
		.target = call->target,
		.body = buf_bytes(&call->body),
		.body_max = KUBE_BODY_MAX,
		.timeout = call->limit,
		.piece = call->piece ? on_piece : NULL,
		.stream = { .dial = { .host = c->host, .port = c->port, .resolver = c->resolver },
			    .tls = c->tls }
	};

	if (is_old(c)) {
		c->n_calls--; /* this one uses nothing yet */
		refresh(c);
		c->n_calls++;
		conf.stream.tls = c->tls;
	}
	if (asprintf(&headers, "Authorization: Bearer %s\r\nAccept: application/json\r\n%s%s%s",
		     c->token, call->type ? "Content-Type: " : "", call->type ? call->type : "",
		     call->type ? "\r\n" : "") < 0) {
		headers = NULL;
		err_set(&call->why, ENOMEM, "request to the API server");
	} else {
		conf.headers = headers;
		call->http = http_start(c->loop, &conf, on_reply, call, &call->why);
		secret_wipe(headers, strlen(headers));
	}
	if (!call->http)
		loop_defer(c->loop, &call->later);
}

static struct kube_call *start(const struct kube_call *conf, const char *method, const char *target,
			       struct bytes body)
{
	struct kube_call *call = calloc(1, sizeof *call);

	if (!call)
		return NULL;
	*call = *conf;
	call->target = strdup(target);
	call->client->n_calls++;
	loop_defer_init(&call->later, failed, call);
	buf_init(&call->body, KUBE_BODY_MAX);
	if (!call->target || !bytes_to_str(bytes_str(method), call->method, sizeof call->method) ||
	    !buf_append(&call->body, body.data, body.len)) {
		kube_call_cancel(call);
		return NULL;
	}
	begin(call);
	return call;
}

struct kube_call *kube_call(struct kube_client *c, const char *method, const char *target,
			    const char *type, struct bytes body, kube_answer_fn *fn, void *ctx)
{
	const struct kube_call conf = {
		.client = c, .type = type, .limit = SPAN_S(KUBE_CALL_S), .fn = fn, .ctx = ctx
	};

	return start(&conf, method, target, body);
}

struct kube_call *kube_stream(struct kube_client *c, const char *target, span_t limit,
			      kube_piece_fn *piece, kube_answer_fn *fn, void *ctx)
{
	const struct kube_call conf = {
		.client = c, .limit = limit, .piece = piece, .fn = fn, .ctx = ctx
	};

	return start(&conf, "GET", target, bytes_of(NULL, 0));
}
