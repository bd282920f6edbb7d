/* kube/web.c - see web.h
 *
 * libcurl names the descriptors and the deadline; we tell it what happened. Its handles may not be
 * removed from within its own callbacks, so answers that are complete and calls that were cancelled
 * are looked after at the end of the turn.
 */
#include "kube/web.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_S = 10 };

struct sock { /* a descriptor of libcurl */
	struct web *web;
	struct loop_poll poll;
	curl_socket_t fd;
	struct sock *next;
	bool is_dead;
};

struct web_call {
	struct web *web;
	struct web_call *next, *prev;
	CURL *easy;
	struct curl_slist *headers;
	web_done_fn *fn; /* NULL: cancelled */
	void *ctx;
	void (*head)(void *ctx, unsigned status);
	void (*data)(void *ctx, struct bytes piece);
	bool said_head, is_too_big;
	struct buf body;
	uint8_t *sent; /* the request's body */
	size_t sent_len;
	char error[CURL_ERROR_SIZE];
};

struct web {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer timer;
	struct loop_defer defer;
	struct web_call *calls;
	struct sock *socks;
	char *user_agent;
};

static void again(struct web *w)
{
	loop_defer(w->loop, &w->defer);
}

/* --- descriptors and the deadline --- */

static void ready(void *ctx, int events)
{
	struct sock *s = ctx;
	struct web *w = s->web;
	int running;

	(void)curl_multi_socket_action(w->multi, s->fd,
				       (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
					   (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0),
				       &running);
	again(w);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sock)
{
	struct web *w = ctx;
	struct sock *s = sock;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s) {
			loop_poll_close(&s->poll);
			s->is_dead = true;
			(void)curl_multi_assign(w->multi, fd, NULL);
			again(w);
		}
		return 0;
	}
	if (!s) {
		s = calloc(1, sizeof *s);
		if (!s || loop_poll_open(w->loop, &s->poll, fd, ready, s) < 0) {
			free(s);
			return -1;
		}
		s->web = w;
		s->fd = fd;
		s->next = w->socks;
		w->socks = s;
		(void)curl_multi_assign(w->multi, fd, s);
	}
	loop_poll_set(&s->poll, (what & CURL_POLL_IN ? LOOP_READ : 0) |
				    (what & CURL_POLL_OUT ? LOOP_WRITE : 0));
	return 0;
}

static int on_timeout(CURLM *multi, long ms, void *ctx)
{
	struct web *w = ctx;

	(void)multi;
	loop_timer_set(&w->timer, ms < 0 ? MONO_NEVER : mono_add(loop_now(w->loop), SPAN_MS(ms)));
	return 0;
}

static void due(void *ctx)
{
	struct web *w = ctx;
	int running;

	(void)curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	again(w);
}

/* --- calls --- */

static void call_free(struct web_call *c)
{
	if (c->easy) {
		(void)curl_multi_remove_handle(c->web->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	for (struct curl_slist *h = c->headers; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(c->headers);
	if (c->sent)
		explicit_bzero(c->sent, c->sent_len);
	free(c->sent);
	if (c->body.data)
		explicit_bzero(c->body.data, c->body.cap); /* answers hold keys and Secrets too */
	buf_fini(&c->body);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->web->calls = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c);
}

static size_t on_data(char *data, size_t size, size_t n, void *ctx)
{
	struct web_call *c = ctx;
	long status = 0;

	n *= size;
	if (!c->fn)
		return 0;
	if (!c->data) {
		if (buf_append(&c->body, data, n))
			return n;
		c->is_too_big = true;
		return 0;
	}
	if (!c->said_head) {
		c->said_head = true;
		(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
		if (c->head)
			c->head(c->ctx, (unsigned)status);
	}
	if (c->fn)
		c->data(c->ctx, bytes_of(data, n));
	return c->fn ? n : 0;
}

static void finish(struct web_call *c, CURLcode code)
{
	web_done_fn *fn = c->fn;
	curl_off_t retry = 0;
	long status = 0;
	struct web_reply r = { .ok = code == CURLE_OK, .why = "" };

	if (!fn) {
		call_free(c);
		return;
	}
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry);
	r.status = r.ok || c->data ? (unsigned)status : 0;
	r.retry_after_s = retry > 0 && retry < 86400 ? (unsigned)retry : 0;
	r.body = buf_bytes(&c->body);
	if (c->is_too_big)
		r.why = "the answer is too large";
	else if (!r.ok)
		r.why = c->error[0] ? c->error : curl_easy_strerror(code);
	if (c->data && !c->said_head && r.status && c->head)
		c->head(c->ctx, r.status);
	c->fn = NULL;
	fn(c->ctx, &r);
	call_free(c);
}

static void look(void *ctx)
{
	struct web *w = ctx;
	struct sock **at = &w->socks;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(w->multi, &left))) {
		struct web_call *c = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		finish(c, m->data.result);
	}
	for (struct web_call *c = w->calls, *next; c; c = next) {
		next = c->next;
		if (!c->fn)
			call_free(c);
	}
	while (*at) {
		struct sock *s = *at;

		if (s->is_dead) {
			*at = s->next;
			free(s);
		} else {
			at = &s->next;
		}
	}
}

void web_cancel(struct web_call *c)
{
	if (!c)
		return;
	c->fn = NULL;
	again(c->web);
}

static bool blob(CURL *easy, CURLoption option, const char *text)
{
	struct curl_blob b = { .data = (void *)(uintptr_t)text,
			       .len = strlen(text),
			       .flags = CURL_BLOB_COPY };

	return curl_easy_setopt(easy, option, &b) == CURLE_OK;
}

static bool bundle_is_there(void)
{
	const char *path = curl_version_info(CURLVERSION_NOW)->cainfo;

	return path && access(path, R_OK) == 0;
}

static bool set_tls(CURL *h, const struct web_tls *t)
{
	bool ok =
	    curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;

	if (t->ca_pem)
		ok = ok && blob(h, CURLOPT_CAINFO_BLOB, t->ca_pem) &&
		     curl_easy_setopt(h, CURLOPT_CAPATH, NULL) == CURLE_OK;
	else if (t->ca_file)
		ok = ok && curl_easy_setopt(h, CURLOPT_CAINFO, t->ca_file) == CURLE_OK;
	else if (!bundle_is_there()) /* an image with nothing but the hashed directory */
		ok = ok && curl_easy_setopt(h, CURLOPT_CAINFO, NULL) == CURLE_OK;
	if (t->cert_pem)
		ok = ok && blob(h, CURLOPT_SSLCERT_BLOB, t->cert_pem);
	if (t->key_pem)
		ok = ok && blob(h, CURLOPT_SSLKEY_BLOB, t->key_pem);
	if (t->is_insecure)
		ok = ok && curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK &&
		     curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
	return ok;
}

static bool set_body(struct web_call *c, struct bytes body)
{
	if (body.len == 0)
		return true;
	c->sent = malloc(body.len);
	if (!c->sent)
		return false;
	memcpy(c->sent, body.data, body.len);
	c->sent_len = body.len;
	return curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->sent) == CURLE_OK &&
	       curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) ==
		   CURLE_OK;
}

static bool set_headers(struct web_call *c, const struct web_request *rq)
{
	for (size_t i = 0; i <= rq->n_headers; i++) {
		struct curl_slist *more =
		    curl_slist_append(c->headers, i < rq->n_headers ? rq->header[i] : "Expect:");

		if (!more)
			return false;
		c->headers = more;
	}
	return curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK;
}

static bool set_all(struct web_call *c, const struct web_request *rq)
{
	const int64_t ms = span_ms(rq->timeout.ns > 0 ? rq->timeout : SPAN_S(30));
	CURL *h = c->easy;

	return curl_easy_setopt(h, CURLOPT_URL, rq->url) == CURLE_OK && set_body(c, rq->body) &&
	       curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, rq->method) == CURLE_OK &&
	       set_headers(c, rq) && set_tls(h, &rq->tls) &&
	       curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) ==
		   CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_PIPEWAIT, 1L) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_USERAGENT, c->web->user_agent) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_TCP_KEEPIDLE, 20L) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_TCP_KEEPINTVL, 10L) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)ms) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->error) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_WRITEDATA, c) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_PRIVATE, c) == CURLE_OK;
}

struct web_call *web_send(struct web *w, const struct web_request *rq, web_done_fn *fn, void *ctx,
			  struct err *e)
{
	struct web_call *c = calloc(1, sizeof *c);

	if (!c) {
		err_set(e, ENOMEM, "request");
		return NULL;
	}
	c->web = w;
	c->fn = fn;
	c->ctx = ctx;
	c->head = rq->head;
	c->data = rq->data;
	buf_init(&c->body, rq->body_max ? rq->body_max : WEB_BODY_MAX);
	c->next = w->calls;
	if (c->next)
		c->next->prev = c;
	w->calls = c;
	c->easy = curl_easy_init();
	if (!c->easy || !set_all(c, rq) || curl_multi_add_handle(w->multi, c->easy) != CURLM_OK) {
		err_say(e, EINVAL,
			"the request cannot be made: bad URL or credentials, or no memory");
		call_free(c);
		return NULL;
	}
	return c;
}

/* --- life --- */

struct web *web_new(struct loop *loop, const char *user_agent, struct err *e)
{
	struct web *w = calloc(1, sizeof *w);

	if (!w || !(w->user_agent = strdup(user_agent))) {
		free(w);
		err_set(e, ENOMEM, "HTTP client");
		return NULL;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(w->multi = curl_multi_init())) {
		err_say(e, ENOMEM, "libcurl does not start");
		free(w->user_agent);
		free(w);
		return NULL;
	}
	w->loop = loop;
	loop_timer_init(loop, &w->timer, due, w);
	loop_defer_init(&w->defer, look, w);
	(void)curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	(void)curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	(void)curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	(void)curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
	(void)curl_multi_setopt(w->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	(void)curl_multi_setopt(w->multi, CURLMOPT_MAX_HOST_CONNECTIONS, 8L);
	return w;
}

void web_free(struct web *w)
{
	if (!w)
		return;
	while (w->calls)
		call_free(w->calls);
	(void)curl_multi_cleanup(w->multi);
	loop_defer_cancel(&w->defer);
	loop_timer_fini(&w->timer);
	while (w->socks) {
		struct sock *s = w->socks;

		w->socks = s->next;
		loop_poll_close(&s->poll);
		free(s);
	}
	free(w->user_agent);
	free(w);
	curl_global_cleanup();
}
