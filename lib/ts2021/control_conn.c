/* ts2021/control_conn.c - the stream to control: dial, /key, upgrade, Noise; its loss, and the
 * words for it
 *
 * The key fetch and the upgrade share one stream when the server keeps it open (one TLS handshake
 * instead of two); where that fails the upgrade is tried once more on a stream of its own.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ts2021/control_priv.h"
#include "ts2021/key_fetch.h"
#include "ts2021/upgrade.h"

static void enter_phase(struct control *c, enum conn_phase phase, int64_t seconds)
{
	c->conn[0].phase = phase;
	c->conn[0].deadline = seconds ? mono_add(c->now, SPAN_S(seconds)) : MONO_NEVER;
}

static void drop_answer(struct control *c)
{
	if (c->answer)
		answer_fini(c->answer);
	free(c->answer);
	c->answer = NULL;
}

static void drop_h2(struct control *c)
{
	control_map_drop(c);
	if (c->h2)
		h2_client_fini(c->h2);
	free(c->h2);
	c->h2 = NULL;
}

void control_close_stream(struct control *c)
{
	struct conn *n = &c->conn[0];

	drop_answer(c);
	drop_h2(c);
	if (n->dial_due)
		n->dial_due = false; /* nobody knows of it yet */
	else if (n->phase != CONN_NONE)
		n->hangup_due = true;
	enter_phase(c, CONN_NONE, 0);
	n->output_told = false;
	buf_clear(&n->out);
	c->is_reused = false;
	c->request_deadline = c->lite_deadline = MONO_NEVER;
}

void control_lost(struct control *c)
{
	struct backoff *b = c->is_logged_in && c->goal == GOAL_RUN ? &c->map_backoff : &c->login;

	control_close_stream(c);
	if (c->goal != GOAL_OFF)
		control_wait(c, backoff_fail(b, c->rng));
}

static void lost_memory(struct control *c)
{
	control_trouble(c, "out of memory while talking to control %s", c->url.authority);
	control_lost(c);
}

void control_dial(struct control *c)
{
	assert(c->conn[0].phase == CONN_NONE);
	c->conn[0].dial_due = true;
	enter_phase(c, CONN_DIALING, CONTROL_DIAL_S);
}

/* --- phases --- */

static bool new_answer(struct control *c, const char *method, const char *protocol)
{
	drop_answer(c);
	c->answer = malloc(sizeof *c->answer);
	if (c->answer)
		answer_init(c->answer, method, protocol);
	return c->answer;
}

static void start_key_fetch(struct control *c)
{
	if (!new_answer(c, "GET", NULL) ||
	    !key_fetch_emit(&c->conn[0].out, c->url.authority, CONTROL_CAPABILITY_VERSION)) {
		lost_memory(c);
		return;
	}
	enter_phase(c, CONN_KEY, CONTROL_ANSWER_S);
}

static void start_upgrade(struct control *c)
{
	uint8_t init[NOISE_INIT_LEN];
	int r = -ENOMEM;

	drop_h2(c);
	c->h2 = malloc(sizeof *c->h2);
	if (c->h2 && new_answer(c, "POST", UPGRADE_PROTOCOL))
		r = h2_client_init(c->h2, CONTROL_CAPABILITY_VERSION, &c->keys->machine,
				   &c->server_key, c->rng, c->url.authority, init);
	if (r != 0) {
		free(c->h2);
		c->h2 = NULL;
	}
	if (r == -EINVAL) {
		control_trouble(
		    c,
		    "control %s gave a key that no honest server has: check the login server URL",
		    c->url.authority);
		c->refetch_key = true;
		control_lost(c);
	} else if (r != 0 || !upgrade_emit(&c->h2->link.out, c->url.authority, init)) {
		lost_memory(c);
	} else {
		enter_phase(c, CONN_UPGRADE, CONTROL_ANSWER_S);
	}
}

/* A key that differs from the pinned one, or from the one that a running node already talked to, is
 * refused. */
static bool key_is_acceptable(struct control *c, const struct key_pub *key)
{
	const struct key_pub *want = !key_is_zero(&c->pinned) ? &c->pinned
				     : c->key_proved          ? &c->server_key
							      : NULL;
	char was[20], is[20];

	if (!want || key_eq(want, key))
		return true;
	key_pub_short(KEY_MACHINE, want, was);
	key_pub_short(KEY_MACHINE, key, is);
	if (want == &c->pinned)
		control_trouble(c,
				"control %s has key %s, but %s is pinned: refused. Another server "
				"answers there, or its key "
				"was changed: correct the pinned key if that was intended",
				c->url.authority, is, was);
	else
		control_trouble(c,
				"control %s changed its key from %s to %s: refused, the node goes "
				"on with what it knows. "
				"Restart the node if the server was set up anew on purpose",
				c->url.authority, was, is);
	return false;
}

static bool key_answer_read(struct control *c, struct key_pub *key)
{
	int status = c->answer->head.status;

	switch (key_fetch_read(status, buf_bytes(&c->answer->content), key)) {
	case KEY_FETCH_OK:
		return key_is_acceptable(c, key);
	case KEY_FETCH_NOT_FOUND:
		control_trouble(
		    c, "%s answers 404 to /key: not a control server; check the login server URL",
		    c->url.authority);
		return false;
	case KEY_FETCH_STATUS:
		if (status == 400 && !c->url.tls) {
			/* what ports for TLS answer to plain HTTP */
			control_trouble(
			    c,
			    "%s answers status 400 to /key by plain HTTP: write https:// "
			    "in the login server URL if its port is one for TLS",
			    c->url.authority);
			return false;
		}
		control_trouble(
		    c,
		    "%s answers status %d to /key: check the login server URL, or the server's log",
		    c->url.authority, status);
		return false;
	case KEY_FETCH_NOT_CONTROL:
		control_trouble(
		    c,
		    "%s does not answer /key as a control server does: check the login server URL",
		    c->url.authority);
		return false;
	case KEY_FETCH_TOO_OLD:
		control_trouble(c,
				"control %s gives no key for capability version %d: it may be too "
				"old or too new for us",
				c->url.authority, CONTROL_CAPABILITY_VERSION);
		return false;
	}
	return false;
}

static void key_answered(struct control *c)
{
	bool stays = c->answer->head.keep_alive && c->answer->head.framing != HTTP1_BODY_CLOSE &&
		     answer_rest(c->answer).len == 0;
	struct key_pub key;

	if (!key_answer_read(c, &key)) {
		control_close_stream(c);
		control_wait(
		    c, backoff_fail_slow(c->is_logged_in ? &c->map_backoff : &c->login, c->rng));
		return;
	}
	c->server_key = key;
	c->has_key = true;
	c->refetch_key = false;
	if (stays && !c->reuse_failed) {
		c->is_reused = true;
		start_upgrade(c);
		return;
	}
	control_close_stream(c);
	control_dial(c);
}

static void noise_feed(struct control *c, struct bytes in)
{
	bool ready = false, alive = h2_client_feed(c->h2, in, &ready);

	if (ready) {
		c->key_proved = true;
		c->is_reused = false;
		enter_phase(c, CONN_NOISE, 0);
		control_proceed(c);
	}
	if (!c->h2) /* given up meanwhile */
		return;
	if (alive) {
		control_login_poll(c);
		control_map_poll(c);
		control_ping_poll(c);
		return;
	}
	if (c->conn[0].phase == CONN_HANDSHAKE) {
		control_trouble(c, "control %s failed the handshake: %s. Its key is fetched anew",
				c->url.authority, c->h2->link.why);
		c->refetch_key = true;
	} else {
		control_trouble(c, "connection to control %s given up: %s; connecting again",
				c->url.authority, c->h2->link.why);
	}
	control_lost(c);
}

static void upgrade_answered(struct control *c)
{
	struct buf rest;

	if (!c->answer->is_upgraded) {
		control_trouble(c,
				"%s answers status %d to the upgrade on " UPGRADE_PATH
				": a proxy in between must let \"Upgrade: " UPGRADE_PROTOCOL
				"\" through",
				c->url.authority, c->answer->head.status);
		c->refetch_key = true;
		control_lost(c);
		return;
	}
	rest = c->answer->in; /* bytes behind the head are Noise already */
	buf_init(&c->answer->in, 0);
	drop_answer(c);
	enter_phase(c, CONN_HANDSHAKE, CONTROL_ANSWER_S);
	if (rest.len > 0)
		noise_feed(c, buf_bytes(&rest));
	buf_fini(&rest);
}

static void answer_got(struct control *c, enum answer_got got)
{
	if (got == ANSWER_MORE)
		return;
	if (got == ANSWER_BAD) {
		control_trouble(
		    c,
		    "%s does not speak HTTP as a control server does: check the login server URL",
		    c->url.authority);
		c->refetch_key = true;
		control_lost(c);
	} else if (c->conn[0].phase == CONN_KEY) {
		key_answered(c);
	} else {
		upgrade_answered(c);
	}
}

/* --- what the caller brings --- */

void control_opened(struct control *c, mono_t now, unsigned conn)
{
	assert(conn < CONTROL_CONNS);
	c->now = now;
	if (c->conn[conn].phase != CONN_DIALING || c->conn[conn].hangup_due ||
	    c->conn[conn].dial_due)
		return;
	if (conn > 0)
		control_ping_opened(c, conn);
	else if (c->has_key && !c->refetch_key)
		start_upgrade(c);
	else
		start_key_fetch(c);
}

void control_feed(struct control *c, mono_t now, wall_t wall, unsigned conn, struct bytes in)
{
	struct conn *n = &c->conn[conn];

	assert(conn < CONTROL_CONNS);
	c->now = now;
	c->wall = wall;
	control_map_settle(c);
	if (n->hangup_due || n->dial_due || in.len == 0)
		return;
	switch (n->phase) {
	case CONN_KEY:
	case CONN_UPGRADE:
		answer_got(c, answer_feed(c->answer, in));
		break;
	case CONN_HANDSHAKE:
	case CONN_NOISE:
		noise_feed(c, in);
		break;
	case CONN_PING: /* any answer will do: the server saw our request */
		control_ping_close(c, conn, true);
		break;
	case CONN_NONE:
	case CONN_DIALING:
		break;
	}
}

size_t control_pull(struct control *c, mono_t now, unsigned conn, uint8_t *buf, size_t cap)
{
	struct conn *n = &c->conn[conn];
	size_t len;

	assert(conn < CONTROL_CONNS);
	c->now = now;
	n->output_told = false;
	if (n->hangup_due || n->dial_due)
		return 0;
	if (conn > 0 || !c->h2) {
		len = n->out.len < cap ? n->out.len : cap;
		if (len > 0)
			memcpy(buf, buf_bytes(&n->out).data, len);
		buf_consume(&n->out, len);
		return len;
	}
	len = link_pull(&c->h2->link, buf, cap);
	if (c->h2->link.why) {
		control_trouble(c, "connection to control %s given up: %s; connecting again",
				c->url.authority, c->h2->link.why);
		control_lost(c);
	}
	return len;
}

bool control_has_output(const struct control *c, unsigned conn)
{
	const struct conn *n = &c->conn[conn];

	assert(conn < CONTROL_CONNS);
	if (n->hangup_due || n->dial_due || n->phase == CONN_NONE || n->phase == CONN_DIALING)
		return false;
	return conn > 0 || !c->h2 ? n->out.len > 0 : link_has_output(&c->h2->link);
}

/* The words for a stream that ended; reason: of the caller, NULL for an ordinary end */
static void say_closed(struct control *c, const char *reason)
{
	const char *at = c->url.authority;

	if (reason && c->conn[0].phase == CONN_DIALING) {
		control_trouble(c, "cannot reach control %s: %s", at, reason);
	} else if (reason) {
		control_trouble(c, "connection to control %s lost: %s", at, reason);
	} else if (c->conn[0].phase == CONN_KEY) {
		control_trouble(c,
				"%s closed the connection instead of answering /key: check the "
				"login server URL%s",
				at, c->url.tls ? "" : " (http:// where https:// is spoken?)");
	} else if (c->conn[0].phase == CONN_UPGRADE) {
		control_trouble(c, "control %s closed the connection instead of upgrading it", at);
	} else if (c->conn[0].phase == CONN_HANDSHAKE) {
		/* control-protocol.md 2.4: Headscale closes without a word */
		control_trouble(c,
				"control %s closed the connection during the handshake: it does "
				"not accept capability version "
				"%d, or its key has changed",
				at, CONTROL_CAPABILITY_VERSION);
	} else {
		control_trouble(c, "control %s closed the connection; connecting again", at);
	}
}

static void closed(struct control *c, const char *reason)
{
	enum conn_phase phase = c->conn[0].phase;

	if (phase == CONN_KEY && !reason &&
	    answer_eof(c->answer) == ANSWER_DONE) { /* a body that ends with the stream */
		c->conn[0].phase = CONN_NONE;
		key_answered(c);
		return;
	}
	if (phase == CONN_UPGRADE && c->is_reused) {
		c->reuse_failed = true;
		c->conn[0].phase = CONN_NONE;
		control_close_stream(c);
		control_dial(c);
		return;
	}
	say_closed(c, reason);
	if (phase == CONN_HANDSHAKE || phase == CONN_UPGRADE)
		c->refetch_key = true;
	c->conn[0].phase = CONN_NONE; /* it is closed already: no hang-up */
	control_lost(c);
}

void control_closed(struct control *c, mono_t now, unsigned conn, const char *why)
{
	struct conn *n = &c->conn[conn];

	assert(conn < CONTROL_CONNS);
	c->now = now;
	control_map_settle(c);
	if (n->hangup_due) {
		n->hangup_due = false;
		return;
	}
	if (n->dial_due || n->phase == CONN_NONE)
		return;
	if (conn > 0)
		control_ping_close(c, conn, false);
	else
		closed(c, why);
}

void control_conn_tick(struct control *c)
{
	if (!mono_due(c->conn[0].deadline, c->now))
		return;
	switch (c->conn[0].phase) {
	case CONN_DIALING:
		control_trouble(c,
				"cannot reach control %s: no connection within %d s; check "
				"address, port and firewall",
				c->url.authority, CONTROL_DIAL_S);
		break;
	case CONN_KEY:
		control_trouble(c,
				"%s does not answer /key within %d s: check the login server URL",
				c->url.authority, CONTROL_ANSWER_S);
		break;
	default:
		control_trouble(c, "control %s does not answer the handshake within %d s",
				c->url.authority, CONTROL_ANSWER_S);
		c->refetch_key = true;
		break;
	}
	control_lost(c);
}

mono_t control_conn_deadline(const struct control *c)
{
	return c->conn[0].deadline;
}
