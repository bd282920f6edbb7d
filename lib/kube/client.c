/* kube/client.c - see client.h */
#include "kube/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "kube/access.h"
#include "os/file.h"

enum {
	STREAM_GRACE_S = 30, /* how much longer than its own time a watch may live */
	PULSE_S = 1,         /* of silence under a list, before the server is asked for anything */
};

struct kube {
	struct kube_conf conf;
	char *token; /* from a file */
	size_t token_len;
	mono_t token_read;
	bool token_stale;
	struct loop_timer pulse_timer;
	struct web_call *pulse;
	size_t lists; /* under way */
	mono_t heard; /* when a watcher last got something */
	struct kube_stats stats;
};

struct kube_watcher {
	struct kube *kube;
	char *name;
	struct kube_watch *machine;
	struct loop_timer timer;
	struct web_call *call;
	kube_watcher_fn *fn;
	void *ctx;
	bool in_trouble, is_listing;
};

static void pulse(void *ctx);

struct kube *kube_new(const struct kube_conf *conf)
{
	struct kube *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->conf = *conf;
	k->token_stale = true;
	loop_timer_init(k->conf.loop, &k->pulse_timer, pulse, k);
	return k;
}

void kube_free(struct kube *k)
{
	if (!k)
		return;
	web_cancel(k->pulse);
	loop_timer_fini(&k->pulse_timer);
	file_wipe(k->token, k->token_len);
	free(k);
}

/* a file that cannot be read leaves the old token in use */
static const char *token(struct kube *k)
{
	const mono_t now = loop_now(k->conf.loop);
	const char *file = k->conf.access->token_file;
	char *text;
	size_t len;
	struct err e;

	if (!file)
		return k->conf.access->token;
	if (k->token && !k->token_stale &&
	    mono_sub(now, k->token_read).ns < SPAN_S(KUBE_TOKEN_RELOAD_S).ns)
		return k->token;
	if (file_read(file, KUBE_TOKEN_MAX, &text, &len, &e) < 0) {
		log_warn("kube: token: %s", e.text);
		return k->token;
	}
	text[strcspn(text, " \t\r\n")] = 0;
	file_wipe(k->token, k->token_len);
	k->token = text;
	k->token_len = len;
	k->token_read = now;
	k->token_stale = false;
	return text;
}

void kube_count(struct kube *k, unsigned status)
{
	k->stats.requests++;
	k->stats.by_class[status / 100 < ARRAY_LEN(k->stats.by_class) ? status / 100 : 0]++;
	if (status < 200 || status >= 300)
		k->stats.failed++;
	if (status == 401)
		k->token_stale = true;
}

static struct web_call *send(struct kube *k, struct web_request *rq, const char *path,
			     const char *type, web_done_fn *fn, void *ctx, struct err *e)
{
	const struct kubeconfig *a = k->conf.access;
	char accept[] = "Accept: " KUBE_JSON, content[128];
	AUTO_FREE char *url = NULL;
	char *bearer = NULL;
	const char *secret = token(k), *header[3] = { accept };
	struct web_call *c;

	rq->n_headers = 1;
	if (asprintf(&url, "%s%s", a->server, path) < 0) {
		url = NULL;
		err_set(e, ENOMEM, "request");
		return NULL;
	}
	if (secret) {
		if (asprintf(&bearer, "Authorization: Bearer %s", secret) < 0) {
			err_set(e, ENOMEM, "request");
			return NULL;
		}
		header[rq->n_headers++] = bearer;
	}
	if (type) {
		(void)snprintf(content, sizeof content, "Content-Type: %s", type);
		header[rq->n_headers++] = content;
	}
	rq->url = url;
	rq->header = header;
	rq->tls = (struct web_tls){ .ca_pem = a->ca_pem,
				    .cert_pem = a->cert_pem,
				    .key_pem = a->key_pem,
				    .is_insecure = a->is_insecure };
	c = web_send(k->conf.web, rq, fn, ctx, e);
	if (bearer)
		file_wipe(bearer, strlen(bearer));
	return c;
}

struct web_call *kube_send(struct kube *k, const char *method, const char *path, const char *type,
			   struct bytes body, web_done_fn *fn, void *ctx, struct err *e)
{
	struct web_request rq = { .method = method, .body = body };

	return send(k, &rq, path, type, fn, ctx, e);
}

const struct kube_stats *kube_stats(const struct kube *k)
{
	return &k->stats;
}

/* --- a pulse --- */

/* With libcurl 7.88 (Debian 12) a list that shares its connection was seen to stand still, with
 * nothing left in the socket, until the connection was readable once more: beside quiet watches at
 * their next bookmark, a minute later. Where its rest waited is not known; telling libcurl that the
 * socket is readable did not help. Any short answer moves it. */

static void pulse_done(void *ctx, const struct web_reply *r)
{
	struct kube *k = ctx;

	(void)r;
	k->pulse = NULL;
}

static void pulse(void *ctx)
{
	struct kube *k = ctx;
	const mono_t now = loop_now(k->conf.loop);
	struct err e;

	if (k->lists == 0)
		return;
	if (!k->pulse && mono_due(mono_add(k->heard, SPAN_S(PULSE_S)), now))
		k->pulse =
		    kube_send(k, "GET", "/version", NULL, (struct bytes){ 0 }, pulse_done, k, &e);
	loop_timer_set(&k->pulse_timer, mono_add(now, SPAN_S(PULSE_S)));
}

/* --- watchers --- */

static void list_begins(struct kube_watcher *w)
{
	struct kube *k = w->kube;

	w->is_listing = true;
	k->heard = loop_now(k->conf.loop);
	if (k->lists++ == 0)
		loop_timer_set(&k->pulse_timer, mono_add(k->heard, SPAN_S(PULSE_S)));
}

static void list_ends(struct kube_watcher *w)
{
	w->kube->lists -= w->is_listing;
	w->is_listing = false;
}

static void pull(struct kube_watcher *w)
{
	struct bytes object = { 0 };
	enum kube_watch_ev ev;

	while ((ev = kube_watch_next(w->machine, &object)) != KUBE_WATCH_MORE)
		w->fn(w->ctx, ev, object);
}

static void on_head(void *ctx, unsigned status)
{
	struct kube_watcher *w = ctx;

	kube_count(w->kube, status);
	w->kube->heard = loop_now(w->kube->conf.loop);
	kube_watch_status(w->machine, status);
	pull(w);
}

static void on_data(void *ctx, struct bytes piece)
{
	struct kube_watcher *w = ctx;

	w->kube->heard = loop_now(w->kube->conf.loop);
	kube_watch_feed(w->machine, piece);
	pull(w);
}

static void on_done(void *ctx, const struct web_reply *r)
{
	struct kube_watcher *w = ctx;
	const char *trouble;

	w->call = NULL;
	list_ends(w);
	if (r->status == 0)
		kube_count(w->kube, 0);
	kube_watch_end(w->machine, loop_now(w->kube->conf.loop), r->ok, r->retry_after_s);
	pull(w);
	trouble = kube_watch_trouble(w->machine);
	if (*trouble && !w->in_trouble && r->status == 404)
		log_info("kube: %s are not served here: their CRD is not installed", w->name);
	else if (*trouble && !w->in_trouble)
		log_warn("kube: %s cannot be watched: %s%s%s; trying on", w->name, trouble,
			 *r->why ? ": " : "", r->why);
	else if (!*trouble && w->in_trouble)
		log_info("kube: %s is watched again", w->name);
	w->in_trouble = *trouble;
	loop_timer_set(&w->timer, kube_watch_deadline(w->machine));
}

static void step(void *ctx)
{
	struct kube_watcher *w = ctx;
	const mono_t now = loop_now(w->kube->conf.loop);
	char path[KUBE_REQUEST_MAX];
	bool is_stream;
	struct err e;

	if (!kube_watch_request(w->machine, now, path, &is_stream)) {
		loop_timer_set(&w->timer, kube_watch_deadline(w->machine));
		return;
	}
	{
		struct web_request rq = { .method = "GET",
					  .timeout = is_stream
							 ? SPAN_S(2 * KUBE_WATCH_S + STREAM_GRACE_S)
							 : SPAN_S(60),
					  .head = on_head,
					  .data = on_data };

		w->call = send(w->kube, &rq, path, NULL, on_done, w, &e);
	}
	if (!w->call) {
		log_warn("kube: %s: %s", w->name, e.text);
		kube_watch_end(w->machine, now, false, 0);
		loop_timer_set(&w->timer, kube_watch_deadline(w->machine));
	} else if (!is_stream) {
		list_begins(w);
	}
}

struct kube_watcher *kube_watcher_new(struct kube *k, const char *name, const char *path,
				      const char *selector, kube_watcher_fn *fn, void *ctx)
{
	const struct kube_watch_conf conf = { .path = path,
					      .selector = selector,
					      .rng = k->conf.rng };
	struct kube_watcher *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->kube = k;
	w->fn = fn;
	w->ctx = ctx;
	loop_timer_init(k->conf.loop, &w->timer, step, w);
	w->name = strdup(name);
	w->machine = kube_watch_new(&conf);
	if (!w->name || !w->machine) {
		kube_watcher_free(w);
		return NULL;
	}
	loop_timer_set(&w->timer, loop_now(k->conf.loop));
	return w;
}

void kube_watcher_free(struct kube_watcher *w)
{
	if (!w)
		return;
	list_ends(w);
	web_cancel(w->call);
	loop_timer_fini(&w->timer);
	kube_watch_free(w->machine);
	free(w->name);
	free(w);
}

bool kube_watcher_is_synced(const struct kube_watcher *w)
{
	return kube_watch_is_synced(w->machine);
}

const struct kube_watch_stats *kube_watcher_stats(const struct kube_watcher *w)
{
	return kube_watch_stats(w->machine);
}
