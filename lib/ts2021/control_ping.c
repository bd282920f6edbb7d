/* ts2021/control_ping.c - answers pings that control asks for (control-protocol.md 5.2)
 *
 * Headscale takes an HA subnet router for dead after 5 s without the answer, so it goes out at
 * once, on a stream of its own unless it belongs into Noise. With all slots busy a ping is dropped:
 * control asks again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ts2021/control_priv.h"
#include "wire/http1.h"

static_assert(ARRAY_LEN(((struct control *)0)->ping_deadline) == H2_PING_LAST - H2_PING + 1,
	      "one deadline for each slot");

/* body: NULL or empty: HEAD; else it is posted, and taken over */
static void send_over_noise(struct control *c, const struct url *url, struct buf *body)
{
	bool is_post = body && body->len > 0;

	if (c->conn[0].phase != CONN_NOISE)
		return;
	for (unsigned i = H2_PING; i <= H2_PING_LAST; i++) {
		if (c->h2->rq[i].phase != H2_FREE)
			continue;
		if (h2_client_send(c->h2, i, is_post ? "POST" : "HEAD", url->path, NULL, NULL,
				   is_post ? body : NULL) == 0)
			c->ping_deadline[i - H2_PING] = mono_add(c->now, SPAN_S(CONTROL_PING_S));
		return;
	}
}

static void send_plain(struct control *c, const struct url *url, struct buf *body)
{
	for (unsigned i = 1; i < CONTROL_CONNS; i++) {
		struct conn *n = &c->conn[i];

		if (n->phase != CONN_NONE || n->hangup_due)
			continue;
		free(n->url);
		n->url = malloc(sizeof *n->url);
		if (!n->url)
			return;
		*n->url = *url;
		if (body) {
			n->post = *body;
			buf_init(body, 0);
		}
		n->phase = CONN_DIALING;
		n->dial_due = true;
		n->deadline = mono_add(c->now, SPAN_S(CONTROL_PING_S));
		return;
	}
}

void control_ping_answer(struct control *c, mono_t now, const struct ping *p, struct buf *body)
{
	c->now = now;
	if (c->goal == GOAL_RUN && p->over_noise)
		send_over_noise(c, &p->url, body);
	else if (c->goal == GOAL_RUN)
		send_plain(c, &p->url, body);
}

/* true: this place was pinged last too */
static bool is_repeat(struct control *c, const struct ping *p)
{
	const size_t n = strlen(p->url.authority);
	char *url = malloc(sizeof p->url.path + sizeof p->url.authority);

	if (!url)
		return true;
	memcpy(url, p->url.authority, n);
	memcpy(url + n, p->url.path, strlen(p->url.path) + 1);
	if (c->ping_url && strcmp(c->ping_url, url) == 0) {
		free(url);
		return true;
	}
	free(c->ping_url);
	c->ping_url = url;
	return false;
}

bool control_ping_request(struct control *c, mono_t now, struct bytes json, struct ping *left)
{
	static const char unknown[] = "unknown c2n path\n";
	struct ping p;

	c->now = now;
	if (c->goal != GOAL_RUN)
		return false;
	ping_read(json, &p);
	if (p.kind == PING_IGNORE || is_repeat(c, &p)) {
		ping_fini(&p);
		return false;
	}
	if (left && (p.kind == PING_C2N || p.kind == PING_PEER)) {
		*left = p;
		return true;
	}
	if (p.kind == PING_C2N &&
	    !http1_emit_answer(&p.reply, 400, "text/plain", bytes_str(unknown), false))
		p.kind = PING_IGNORE;
	if (p.kind != PING_IGNORE && p.kind != PING_PEER)
		control_ping_answer(c, now, &p, &p.reply);
	ping_fini(&p);
	return false;
}

void control_ping_opened(struct control *c, unsigned conn)
{
	struct conn *n = &c->conn[conn];
	bool is_post = n->post.len > 0;
	struct http1_emit e =
	    http1_emit_request(&n->out, is_post ? "POST" : "HEAD", bytes_str(n->url->path),
			       bytes_str(n->url->authority));

	http1_emit_field(&e, "User-Agent", "tailpod");
	http1_emit_field(&e, "Connection", "close");
	if (is_post)
		http1_emit_length(&e, n->post.len);
	n->phase = CONN_PING;
	if (!http1_emit_end(&e) || (is_post && !buf_append(&n->out, n->post.data, n->post.len)))
		control_ping_close(c, conn, true);
}

void control_ping_close(struct control *c, unsigned conn, bool hangup)
{
	struct conn *n = &c->conn[conn];

	if (n->phase == CONN_NONE)
		return;
	if (n->dial_due)
		n->dial_due = false;
	else
		n->hangup_due = hangup;
	n->phase = CONN_NONE;
	n->deadline = MONO_NEVER;
	n->output_told = false;
	buf_fini(&n->out);
	buf_fini(&n->post);
	free(n->url);
	n->url = NULL;
}

void control_ping_poll(struct control *c)
{
	if (!c->h2)
		return;
	for (unsigned i = H2_PING; i <= H2_PING_LAST; i++)
		if (c->h2->rq[i].phase >= H2_ANSWERED) {
			h2_client_drop(c->h2, i);
			c->ping_deadline[i - H2_PING] = MONO_NEVER;
		}
}

void control_ping_tick(struct control *c)
{
	for (unsigned i = 1; i < CONTROL_CONNS; i++)
		if (mono_due(c->conn[i].deadline, c->now))
			control_ping_close(c, i, true);
	for (unsigned i = H2_PING; i <= H2_PING_LAST; i++)
		if (mono_due(c->ping_deadline[i - H2_PING], c->now)) {
			c->ping_deadline[i - H2_PING] = MONO_NEVER;
			if (c->h2)
				h2_client_drop(c->h2, i);
		}
}

mono_t control_ping_deadline(const struct control *c)
{
	mono_t t = mono_min(c->ping_deadline[0], c->ping_deadline[1]);

	for (unsigned i = 1; i < CONTROL_CONNS; i++)
		t = mono_min(t, c->conn[i].deadline);
	return t;
}
