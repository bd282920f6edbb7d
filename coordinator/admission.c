/* coordinator/admission.c - see admission.h */
#include "coordinator/admission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "coordinator/config.h"
#include "coordinator/verify.h"
#include "os/http.h"
#include "os/resolve.h"

struct question {
	struct derp_conn_id id;
	struct key_pub key;
	struct ip from;
};

struct ask {
	struct admission *a;
	struct http *http; /* NULL: free */
	struct question q;
};

struct verdict {
	struct key_pub key;
	mono_t until;
	bool allow;
};

struct admission {
	struct admission_conf conf;
	char host[256];
	uint16_t port;
	bool is_tls, is_failing;
	const char *path;
	struct ask asks[ADMISSION_ASKS_MAX];
	struct question waiting[ADMISSION_WAIT_MAX]; /* a ring */
	size_t head, n_waiting;
	struct verdict cache[ADMISSION_CACHE];
	struct admission_stats stats;
};

bool admission_url(const char *url, bool *tls, char host[static 256], uint16_t *port,
		   const char **path)
{
	const char *start = strstr(url, "://");
	const char *slash = start ? strchr(start + 3, '/') : NULL;
	char base[CONFIG_TEXT];

	if (!start)
		return false;
	*path = slash ? slash : "/";
	for (const char *p = *path; *p; p++) /* it goes into a request line */
		if (*p <= ' ' || *p >= 0x7f || *p == '#')
			return false;
	return bytes_to_str(bytes_of(url, slash ? (size_t)(slash - url) : strlen(url)), base,
			    sizeof base) &&
	       config_url(base, tls, host, port);
}

/* Node keys are chosen by whoever has them: a slot taken from another costs one more question. */
static struct verdict *slot(struct admission *a, const struct key_pub *key)
{
	return &a->cache[(key->b[0] | (size_t)key->b[1] << 8) & (ADMISSION_CACHE - 1)];
}

static void keep(struct admission *a, const struct key_pub *key, bool allow)
{
	*slot(a, key) = (struct verdict){
		.key = *key,
		.allow = allow,
		.until = mono_add(loop_now(a->conf.loop),
				  SPAN_S(allow ? ADMISSION_ALLOW_S : ADMISSION_DENY_S)),
	};
}

static void say(struct admission *a, const struct question *q, bool allow)
{
	a->stats.allowed += allow;
	a->stats.denied += !allow;
	a->conf.answer(a->conf.ctx, q->id, allow);
}

static void ask_next(struct admission *a);

static void failed(struct admission *a, const struct question *q, const char *why, bool allow)
{
	a->stats.failed++;
	if (!a->is_failing) /* said once until it works again */
		log_warn("relay: verify_url: %s; nodes are %s", why,
			 allow ? "let in meanwhile" : "refused meanwhile");
	a->is_failing = true;
	say(a, q, allow);
}

static void on_answer(void *ctx, const struct http_reply *reply, const struct err *why)
{
	struct ask *k = ctx;
	struct admission *a = k->a;
	struct question q = k->q;
	bool allow = false;
	char text[96];

	k->http = NULL;
	if (!reply) {
		failed(a, &q, why->text, a->conf.fail_open);
	} else if (reply->status != 200 || !verify_verdict_parse(reply->body, &allow)) {
		snprintf(text, sizeof text, "status %u and no verdict", reply->status);
		failed(a, &q, text, a->conf.fail_open);
	} else {
		if (a->is_failing)
			log_info("relay: verify_url answers again");
		a->is_failing = false;
		keep(a, &q.key, allow);
		say(a, &q, allow);
	}
	ask_next(a);
}

static bool start(struct admission *a, struct ask *k, const struct question *q)
{
	struct http_conf conf = { .method = "POST",
				  .target = a->path,
				  .headers = "Content-Type: application/json\r\n",
				  .body_max = VERIFY_BODY_MAX,
				  .timeout = SPAN_S(ADMISSION_TIMEOUT_S) };
	char body[VERIFY_QUESTION_MAX];
	struct err e = { 0 };

	conf.body = bytes_of(body, verify_question_emit(&q->key, &q->from, body));
	conf.stream.dial.host = a->host;
	conf.stream.dial.port = a->port;
	conf.stream.dial.resolver = a->conf.resolver;
	conf.stream.tls = a->is_tls ? a->conf.tls : NULL;
	k->q = *q;
	k->http = http_start(a->conf.loop, &conf, on_answer, k, &e);
	if (!k->http)
		failed(a, q, e.text, a->conf.fail_open);
	return k->http;
}

static struct ask *free_ask(struct admission *a)
{
	for (size_t i = 0; i < ADMISSION_ASKS_MAX; i++)
		if (!a->asks[i].http)
			return &a->asks[i];
	return NULL;
}

static void ask_next(struct admission *a)
{
	struct ask *k;

	while (a->n_waiting > 0 && (k = free_ask(a))) {
		struct question q = a->waiting[a->head];

		a->head = (a->head + 1) % ADMISSION_WAIT_MAX;
		a->n_waiting--;
		(void)start(a, k, &q);
	}
}

/* How many wait that came from the same address (IPv6: /64) */
static size_t n_waiting_from(const struct admission *a, const struct ip *from)
{
	size_t n = 0, len = ip_is_v4(from) ? sizeof from->b : 8;

	for (size_t i = 0; i < a->n_waiting; i++) {
		const struct question *q = &a->waiting[(a->head + i) % ADMISSION_WAIT_MAX];

		n += memcmp(q->from.b, from->b, len) == 0;
	}
	return n;
}

void admission_ask(struct admission *a, struct derp_conn_id id, const struct key_pub *key,
		   const struct ipport *remote)
{
	const struct question q = { id, *key, remote->ip };
	const struct verdict *v = slot(a, key);

	if (key_eq(&v->key, key) && !mono_due(v->until, loop_now(a->conf.loop))) {
		a->stats.cached++;
		say(a, &q, v->allow);
		return;
	}
	if (a->n_waiting == ADMISSION_WAIT_MAX ||
	    (a->n_waiting >= ADMISSION_WAIT_FROM_ONE &&
	     n_waiting_from(a, &q.from) >= ADMISSION_WAIT_FROM_ONE)) {
		/* by whoever asks so much, not by a server that is away: strangers do not get in so
		 */
		failed(a, &q, "too many questions", false);
		return;
	}
	a->waiting[(a->head + a->n_waiting++) % ADMISSION_WAIT_MAX] = q;
	ask_next(a);
}

const struct admission_stats *admission_stats(const struct admission *a)
{
	return &a->stats;
}

struct admission *admission_new(const struct admission_conf *conf, struct err *e)
{
	struct admission *a = calloc(1, sizeof *a);

	if (!a) {
		err_set(e, ENOMEM, "start the relay");
		return NULL;
	}
	a->conf = *conf;
	for (size_t i = 0; i < ADMISSION_ASKS_MAX; i++)
		a->asks[i].a = a;
	if (admission_url(conf->url, &a->is_tls, a->host, &a->port, &a->path))
		return a;
	err_say(e, EINVAL, "derp.verify_url '%.200s' is not http[s]://HOST[:PORT]/PATH", conf->url);
	free(a);
	return NULL;
}

void admission_free(struct admission *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < ADMISSION_ASKS_MAX; i++)
		http_cancel(a->asks[i].http);
	free(a);
}
