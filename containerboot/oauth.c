/* containerboot/oauth.c - see oauth.h */
#include "containerboot/oauth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/key.h"
#include "model/prefs.h"
#include "os/http.h"
#include "os/proxy_env.h"

enum { BODY_MAX = 8192, HEADERS_MAX = OAUTH_TOKEN_MAX + 256, ADVICE_MAX = 200 };

/* What goes out: in locked memory while it is put together, as all of struct secrets is */
struct request {
	char headers[HEADERS_MAX], body[BODY_MAX];
};

struct secrets {
	struct oauth oauth;
	char token[OAUTH_TOKEN_MAX], key[OAUTH_KEY_MAX];
};

struct oauth_mint {
	struct oauth_mint_conf conf;
	oauth_key_fn *fn;
	void *ctx;
	struct secrets *s; /* locked memory */
	char tags[PREFS_TAGS_MAX];
	struct http *http;
	struct loop_timer again;
	unsigned n_failed;
};

static void begin(void *ctx);

void oauth_mint_cancel(struct oauth_mint *m)
{
	if (!m)
		return;
	http_cancel(m->http);
	loop_timer_fini(&m->again);
	secret_free(m->s);
	free(m);
}

/* The end, one way or the other. */
static void tell(struct oauth_mint *m, const struct err *why)
{
	oauth_key_fn *fn = m->fn;
	void *ctx = m->ctx;
	struct secrets *s = m->s;

	m->s = NULL;
	oauth_mint_cancel(m);
	fn(ctx, why ? NULL : s->key, why);
	secret_free(s);
}

static void later(struct oauth_mint *m, const char *why)
{
	unsigned wait = m->n_failed < 5 ? 1U << m->n_failed : OAUTH_WAIT_MAX_S;

	m->n_failed++;
	log_warn("containerboot: no auth key from %s yet: %s; next try in %u s",
		 m->s->oauth.base.authority, why, wait);
	loop_timer_set(&m->again, mono_add(loop_now(m->conf.loop), SPAN_S(wait)));
}

static const char *advice_on_token(const struct oauth *o, char text[static ADVICE_MAX])
{
	const int64_t now = loop_wall().ns / NS_PER_S;
	int64_t end;

	if (!oauth_token_end(o, &end) || end > now)
		return "does it exchange tokens (Headscale does not), and do the token's issuer, "
		       "subject and audience match what TS_CLIENT_ID stands for?";
	snprintf(text, ADVICE_MAX,
		 "the token ended %lld s ago; give a fresh one, best as file:PATH of a projected "
		 "volume, which is renewed",
		 (long long)(now - end));
	return text;
}

static const char *advice(const struct secrets *s, unsigned status, char text[static ADVICE_MAX])
{
	if (status == 404 && s->oauth.is_workload)
		return "it has no such API; make an auth key, or name another server by baseURL "
		       "behind TS_CLIENT_ID";
	if (status == 404)
		return "it has no such API; baseURL behind the client secret names another server";
	if (*s->token)
		return "may the client make auth keys, and does it own all the tags?";
	return s->oauth.is_workload ? advice_on_token(&s->oauth, text)
				    : "is the client secret right, and not revoked?";
}

static void refused(struct oauth_mint *m, const struct http_reply *reply)
{
	const struct secrets *s = m->s;
	char words[OAUTH_WORDS_MAX], text[ADVICE_MAX];
	struct err e;

	oauth_words(&s->oauth, reply->body, words);
	err_say(&e, EACCES, "%s refuses %s (status %u%s%s): %s", s->oauth.base.authority,
		*s->token              ? "an auth key"
		: s->oauth.is_workload ? "the token of TS_ID_TOKEN"
				       : "the client secret",
		reply->status, *words ? ", " : "", words, advice(s, reply->status, text));
	tell(m, &e);
}

static void on_reply(void *ctx, const struct http_reply *reply, const struct err *why)
{
	struct oauth_mint *m = ctx;
	struct secrets *s = m->s;
	char text[64];

	m->http = NULL;
	if (!reply) {
		later(m, why->text);
	} else if (reply->status >= 500 || reply->status == 408 || reply->status == 429) {
		snprintf(text, sizeof text, "status %u", reply->status);
		later(m, text);
	} else if (reply->status != 200) {
		refused(m, reply);
	} else if (*s->token) {
		if (oauth_key_read(reply->body, s->key))
			tell(m, NULL);
		else
			later(m, "its answer holds no auth key");
	} else if (oauth_token_read(reply->body, s->token)) {
		begin(m);
	} else {
		s->token[0] = 0;
		later(m, "its answer holds no token");
	}
}

/* The request's parts; false: out of memory, or a target that is too long. */
static bool request(const struct oauth_mint *m, struct buf *headers, struct buf *body,
		    char target[static OAUTH_TARGET_MAX])
{
	const struct secrets *s = m->s;

	if (*s->token)
		return oauth_target(&s->oauth, OAUTH_KEYS_PATH, target) &&
		       oauth_key_body(&s->oauth, m->tags, body) &&
		       buf_printf(headers,
				  "Authorization: Bearer %s\r\nAccept: application/json\r\n"
				  "Content-Type: application/json\r\n",
				  s->token);
	return oauth_target(&s->oauth,
			    s->oauth.is_workload ? OAUTH_EXCHANGE_PATH : OAUTH_TOKEN_PATH,
			    target) &&
	       oauth_token_body(&s->oauth, body) &&
	       buf_printf(headers, "Accept: application/json\r\n"
				   "Content-Type: application/x-www-form-urlencoded\r\n");
}

static void send_request(struct oauth_mint *m)
{
	const struct url *base = &m->s->oauth.base;
	char target[OAUTH_TARGET_MAX];
	struct request *rq = secret_new(sizeof *rq);
	struct buf headers, body;
	struct err e = { .text = "out of memory" };
	struct http_conf conf = {
		.method = "POST",
		.host = base->authority,
		.target = target,
		.body_max = BODY_MAX,
		.timeout = SPAN_S(OAUTH_CALL_S),
		.is_secret = true,
		.stream = { .dial = { .host = base->host,
				      .port = base->port,
				      .resolver = m->conf.resolver,
				      .proxy = m->conf.proxy ? proxy_for(m->conf.proxy, base->host,
									 base->port, base->tls)
							     : NULL },
			    .tls = base->tls ? m->conf.tls : NULL }
	};

	if (rq) {
		buf_init_over(&headers, rq->headers, sizeof rq->headers);
		buf_init_over(&body, rq->body, sizeof rq->body);
	}
	if (rq && request(m, &headers, &body, target) && buf_append(&headers, "", 1)) {
		conf.headers = rq->headers;
		conf.body = buf_bytes(&body);
		m->http = http_start(m->conf.loop, &conf, on_reply, m, &e);
	}
	secret_free(rq);
	if (!m->http)
		later(m, e.text);
}

static void begin(void *ctx)
{
	struct oauth_mint *m = ctx;
	struct err e;

	if (m->conf.renew && !*m->s->token && m->conf.renew(m->ctx, &m->s->oauth, &e) < 0)
		later(m, e.text);
	else
		send_request(m);
}

struct oauth_mint *oauth_mint_new(const struct oauth_mint_conf *conf, oauth_key_fn *fn, void *ctx)
{
	struct oauth_mint *m = calloc(1, sizeof *m);
	struct secrets *s = secret_new(sizeof *s);

	if (!m || !s || !bytes_to_str(bytes_str(conf->tags), m->tags, sizeof m->tags)) {
		free(m);
		secret_free(s);
		return NULL;
	}
	m->conf = *conf;
	m->fn = fn;
	m->ctx = ctx;
	m->s = s;
	s->oauth = *conf->oauth;
	m->conf.oauth = &s->oauth;
	m->conf.tags = m->tags;
	loop_timer_init(conf->loop, &m->again, begin, m);
	begin(m);
	return m;
}
