/* tests/kube_api_fixture.h - an API server of a test's own loop, over TLS: one Secret, access
 * reviews, Events, a DaemonSet and its watch */
#ifndef TESTS_KUBE_API_FIXTURE_H
#define TESTS_KUBE_API_FIXTURE_H

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "containerboot/kube_text.h"
#include "os/file.h"
#include "os/listen.h"
#include "os/stream.h"
#include "os/tls.h"
#include "tests/harness.h"
#include "wire/http1.h"

static struct err e;

/* --- the server --- */

static struct api {
	struct loop *loop;
	struct listener *listener;
	struct tls_server *tls;
	struct state *secret; /* NULL: there is none */
	bool may[KUBE_VERBS], no_reviews;
	unsigned fail_status, n_fail; /* the next n requests to the Secret */
	unsigned n_patch, n_put, n_post, n_get, n_events;
	const char *token;
	char dir[64];
	char event_target[256], event[4096]; /* the last one */
	const char *daemonset;               /* NULL: there is none */
	char watch_target[512];
	struct client *watch; /* the last one, while it lives */
} api;

struct client {
	struct stream *s;
	struct buf in, out;
	bool is_watch;
	uint8_t mem[16384];
};

static void reply(struct client *c, int status, const char *body, size_t len)
{
	ck_assert(
	    http1_emit_answer(&c->out, status, "application/json", bytes_of(body, len), false));
	stream_kick(c->s);
}

static void reply_status(struct client *c, int status)
{
	static const char body[] = "{\"kind\":\"Status\",\"message\":\"as the test wants\"}";

	reply(c, status, body, sizeof body - 1);
}

static void reply_secret(struct client *c, int status)
{
	struct buf text;
	struct jsonw w;

	buf_init(&text, 1 << 20);
	jsonw_init(&w, &text);
	jsonw_obj(&w);
	jsonw_kstr(&w, "kind", "Secret");
	jsonw_key(&w, "data");
	jsonw_obj(&w);
	for (size_t i = 0; i < state_n(api.secret); i++) {
		struct bytes k, v;
		char name[256], b64[4096];

		state_at(api.secret, i, &k, &v);
		ck_assert(bytes_to_str(k, name, sizeof name));
		base64_emit(v.data, v.len, BASE64_STD, b64);
		jsonw_kstr(&w, name, b64);
	}
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	ck_assert(jsonw_ok(&w));
	reply(c, status, (const char *)text.data, text.len);
	buf_fini(&text);
}

static void patch_one(struct json *j, int *status)
{
	char op[16] = "", path[300] = "", b64[4096] = "";
	uint8_t value[4096];
	struct bytes key, has;
	size_t len = 0;

	json_obj(j);
	while (json_key(j, &key))
		if (bytes_eq_str(key, "op"))
			json_str(j, op, sizeof op);
		else if (bytes_eq_str(key, "path"))
			json_str(j, path, sizeof path);
		else if (json_type(j) == JSON_STRING)
			json_str(j, b64, sizeof b64);
		else
			json_skip(j);
	if (strcmp(path, "/data") == 0)
		return;
	ck_assert_int_eq(strncmp(path, "/data/", 6), 0);
	ck_assert(base64_parse(bytes_str(b64), BASE64_STD, value, sizeof value, &len));
	if (strcmp(op, "add") == 0)
		ck_assert_int_eq(state_put(api.secret, path + 6, bytes_of(value, len)), 0);
	else if (state_get(api.secret, path + 6, &has))
		state_del(api.secret, path + 6);
	else
		*status = 422;
}

static void on_secret(struct client *c, const struct http1_head *h, struct bytes body)
{
	char version[KUBE_VERSION_MAX];
	int status = 200;

	if (bytes_eq_str(h->method, "GET"))
		api.n_get++;
	if (api.n_fail > 0) {
		api.n_fail--;
		reply_status(c, (int)api.fail_status);
	} else if (bytes_eq_str(h->method, "POST")) {
		api.n_post++;
		if (!api.may[KUBE_CREATE] || api.secret) {
			reply_status(c, api.secret ? 409 : 403);
			return;
		}
		api.secret = state_new();
		ck_assert_msg(kube_fields_parse(body, api.secret, version, &e) == 0, "%s", e.text);
		reply_secret(c, 201);
	} else if (!api.secret) {
		reply_status(c, 404);
	} else if (bytes_eq_str(h->method, "GET")) {
		api.may[KUBE_GET] ? reply_secret(c, 200) : reply_status(c, 403);
	} else if (bytes_eq_str(h->method, "PUT")) {
		api.n_put++;
		if (!api.may[KUBE_UPDATE]) {
			reply_status(c, 403);
			return;
		}
		state_free(api.secret);
		api.secret = state_new();
		ck_assert_msg(kube_fields_parse(body, api.secret, version, &e) == 0, "%s", e.text);
		reply_secret(c, 200);
	} else {
		struct json j = json_of(body);

		api.n_patch++;
		ck_assert(bytes_eq_str(h->method, "PATCH"));
		ck_assert(
		    bytes_eq_str(http1_get(h, "Content-Type"), "application/json-patch+json"));
		if (!api.may[KUBE_PATCH]) {
			reply_status(c, 403);
			return;
		}
		json_arr(&j);
		while (json_elem(&j))
			patch_one(&j, &status);
		ck_assert(json_done(&j));
		status == 200 ? reply_secret(c, 200) : reply_status(c, status);
	}
}

static void on_review(struct client *c, struct bytes body)
{
	static const char *const verbs[KUBE_VERBS] = {
		[KUBE_GET] = "\"get\"",      [KUBE_UPDATE] = "\"update\"",
		[KUBE_PATCH] = "\"patch\"",  [KUBE_CREATE] = "\"create\"",
		[KUBE_EVENT] = "\"events\"",
	};
	char text[64];

	if (api.no_reviews) {
		reply_status(c, 500);
		return;
	}
	for (int v = KUBE_VERBS - 1; v >= 0; v--)
		if (memmem(body.data, body.len, verbs[v], strlen(verbs[v]))) {
			snprintf(text, sizeof text, "{\"status\":{\"allowed\":%s}}",
				 api.may[v] ? "true" : "false");
			reply(c, 201, text, strlen(text));
			return;
		}
	ck_abort_msg("a review without a verb");
}

/* A piece of the watch's body. */
static inline void api_event(const char *text)
{
	ck_assert_ptr_nonnull(api.watch);
	ck_assert(buf_printf(&api.watch->out, "%zx\r\n%s\r\n", strlen(text), text));
	stream_kick(api.watch->s);
}

static void on_daemonset(struct client *c, const struct http1_head *h)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";

	if (!memmem(h->target.data, h->target.len, "watch=1", 7)) {
		api.daemonset ? reply(c, 200, api.daemonset, strlen(api.daemonset))
			      : reply_status(c, 404);
		return;
	}
	snprintf(api.watch_target, sizeof api.watch_target, "%.*s", (int)h->target.len,
		 (const char *)h->target.data);
	c->is_watch = true;
	api.watch = c;
	ck_assert(buf_append(&c->out, head, sizeof head - 1));
	stream_kick(c->s);
}

static void on_request(struct client *c, const struct http1_head *h, struct bytes body)
{
	char want[128];

	snprintf(want, sizeof want, "Bearer %s", api.token);
	if (!bytes_eq_str(http1_get(h, "Authorization"), want))
		reply_status(c, 401);
	else if (memmem(h->target.data, h->target.len, "selfsubjectaccessreviews", 24))
		on_review(c, body);
	else if (memmem(h->target.data, h->target.len, "/namespaces/shop/daemonsets", 27))
		on_daemonset(c, h);
	else if (memmem(h->target.data, h->target.len, "/events", 7)) {
		snprintf(api.event_target, sizeof api.event_target, "%.*s", (int)h->target.len,
			 (const char *)h->target.data);
		snprintf(api.event, sizeof api.event, "%.*s", (int)body.len,
			 (const char *)body.data);
		api.n_events++;
		reply_status(c, api.may[KUBE_EVENT] ? 201 : 403);
	} else {
		ck_assert(
		    memmem(h->target.data, h->target.len, "/api/v1/namespaces/shop/secrets", 31));
		on_secret(c, h, body);
	}
}

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct client *c = ctx;

	(void)max;
	v[0] = (struct iovec){ c->mem, sizeof c->mem };
	return 1;
}

static void on_got(void *ctx, size_t n)
{
	struct client *c = ctx;
	struct http1_head h;

	ck_assert(buf_append(&c->in, c->mem, n));
	http1_request_init(&h);
	if (http1_head_feed(&h, buf_bytes(&c->in)) != HTTP1_OK ||
	    c->in.len < h.len + h.content_length)
		return;
	on_request(c, &h, bytes_of(buf_bytes(&c->in).data + h.len, (size_t)h.content_length));
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct client *c = ctx;

	(void)max;
	v[0] = (struct iovec){ c->out.data ? c->out.data + c->out.off : NULL, c->out.len };
	return c->out.len > 0;
}

static void on_sent(void *ctx, size_t n)
{
	struct client *c = ctx;

	buf_consume(&c->out, n);
	if (c->out.len == 0 && !c->is_watch)
		stream_shutdown(c->s);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct client *c = ctx;

	(void)why;
	if (api.watch == c)
		api.watch = NULL;
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

static const struct stream_ops ops = {
	.room = on_room, .got = on_got, .data = on_data, .sent = on_sent, .closed = on_closed
};

static void accepted(void *ctx, int fd, const struct ipport *from)
{
	struct client *c = calloc(1, sizeof *c);

	(void)ctx;
	(void)from;
	buf_init(&c->in, 1 << 20);
	buf_init(&c->out, 1 << 20);
	c->s = stream_adopt_tls(api.loop, fd, api.tls, SPAN_S(5), &ops, c);
	ck_assert_ptr_nonnull(c->s);
}

static void write_file(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", api.dir, name);
	ck_assert_int_eq(file_replace(path, bytes_str(text), 0600, &e), 0);
}

static void api_start(void)
{
	char cert[128], key[128];

	snprintf(api.dir, sizeof api.dir, "/tmp/kube-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(api.dir));
	api.loop = loop_new();
	api.tls = tls_server_new_self("127.0.0.1", &e);
	ck_assert_ptr_nonnull(api.tls);
	snprintf(cert, sizeof cert, "%s/ca.crt", api.dir);
	snprintf(key, sizeof key, "%s/key", api.dir);
	ck_assert_int_eq(tls_server_save(api.tls, cert, key, &e), 0);
	write_file("token", "first\n");
	write_file("namespace", "shop\n");
	api.token = "first";
	api.listener = listen_tcp(api.loop, "127.0.0.1:0", accepted, NULL, &e);
	ck_assert_ptr_nonnull(api.listener);
	api.secret = state_new();
	memset(api.may, true, sizeof api.may);
}

static void api_stop(void)
{
	static const char *const files[] = { "ca.crt", "key", "token", "namespace" };
	char path[128];

	listener_close(api.listener);
	for (int i = 0; i < 20; i++) /* the last clients end */
		loop_turn(api.loop, SPAN_MS(5));
	state_free(api.secret);
	tls_server_free(api.tls);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof path, "%s/%s", api.dir, files[i]);
		unlink(path);
	}
	ck_assert_int_eq(rmdir(api.dir), 0);
}

#endif
