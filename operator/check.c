/* operator/check.c - see check.h */
#include "operator/check.h"

#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "kube/web.h"
#include "os/loop.h"

enum { LIMIT_S = 20, TRY_S = 5, AGAIN_S = 1, ANSWER_MAX = 1 << 16, LINE_MAX_LEN = 120 };

struct check {
	struct loop *loop;
	struct web *web;
	struct web_request rq;
	struct loop_timer again;
	mono_t until;
	bool ok, told;
};

static int line_len(struct bytes body)
{
	int n = 0;

	while ((size_t)n < body.len && n < LINE_MAX_LEN && body.data[n] >= ' ')
		n++;
	return n;
}

static void tell(const struct check *c, const struct web_reply *r, const char *end)
{
	printf("%s: %u %.*s%s\n", c->rq.url, r->status,
	       r->ok ? line_len(r->body) : (int)strlen(r->why),
	       r->ok ? (const char *)r->body.data : r->why, end);
	fflush(stdout);
}

static void answered(void *ctx, const struct web_reply *r)
{
	struct check *c = ctx;

	c->ok = r->ok && r->status == 200;
	if (!c->ok && !mono_due(c->until, loop_now(c->loop))) { /* a Service may be young */
		if (!c->told)
			tell(c, r, "; is tried again");
		c->told = true;
		loop_timer_set(&c->again, mono_add(loop_now(c->loop), SPAN_S(AGAIN_S)));
		return;
	}
	tell(c, r, "");
	loop_stop(c->loop);
}

static void ask(void *ctx)
{
	struct check *c = ctx;
	struct err e = { 0 };

	if (web_send(c->web, &c->rq, answered, c, &e))
		return;
	printf("%s: %s\n", c->rq.url, e.text);
	loop_stop(c->loop);
}

int operator_check(char *const *url, int n, const char *ca_file)
{
	struct err e = { 0 };
	struct check c = { .loop = loop_new() };
	int good = 0;

	c.web = c.loop ? web_new(c.loop, "tailpod-operator/" TAILPOD_VERSION, &e) : NULL;
	if (!c.web) {
		fprintf(stderr, "operator: %s\n", c.loop ? e.text : "no event loop");
		loop_free(c.loop);
		return 1;
	}
	loop_timer_init(c.loop, &c.again, ask, &c);
	for (int i = 0; i < n; i++) {
		c.ok = c.told = false;
		c.until = mono_add(loop_now(c.loop), SPAN_S(LIMIT_S));
		c.rq = (struct web_request){ .method = "GET",
					     .url = url[i],
					     .body_max = ANSWER_MAX,
					     .timeout = SPAN_S(TRY_S),
					     .tls.ca_file = ca_file };
		loop_timer_set(&c.again, loop_now(c.loop));
		loop_run(c.loop);
		good += c.ok;
	}
	loop_timer_fini(&c.again);
	web_free(c.web);
	loop_free(c.loop);
	return n > 0 && good == n ? 0 : 1;
}
