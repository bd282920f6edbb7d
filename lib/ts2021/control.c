/* ts2021/control.c - the control client: life, events, deadlines; see control_priv.h for how it
 * works */
#include "ts2021/control.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ts2021/auth_key.h"
#include "ts2021/control_priv.h"

static const char *const state_names[] = {
	[STATE_OFF] = "off",
	[STATE_WAITING] = "waiting to retry",
	[STATE_CONNECTING] = "connecting",
	[STATE_REGISTERING] = "registering",
	[STATE_FOLLOWUP] = "awaiting login",
	[STATE_STREAMING] = "streaming",
	[STATE_LOGGING_OUT] = "logging out",
};
static_assert(ARRAY_LEN(state_names) == STATE_N, "every state has a name");

/* --- life --- */

struct control *control_new(const struct control_conf *conf, struct err *e)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c)
		goto no_memory;
	hostinfo_init(&c->hostinfo);
	for (size_t i = 0; i < CONTROL_CONNS; i++)
		buf_init(&c->conn[i].out, LINK_OUT_MAX);
	if (!url_parse(bytes_str(conf->url), &c->url) || strcmp(c->url.path, "/") != 0) {
		err_say(e, EINVAL, "login server %.200s: not of the form http[s]://host[:port]",
			conf->url);
		control_free(c);
		return NULL;
	}
	c->version_text = strdup(conf->user_agent_version ? conf->user_agent_version : "");
	if (!c->version_text)
		goto no_memory;
	c->rng = conf->rng;
	c->keys = secret_new(sizeof *c->keys);
	if (!c->keys)
		goto no_memory;
	c->keys->machine = conf->machine;
	c->keys->node = conf->node;
	c->may_be_known = conf->node_is_kept;
	key_public(&c->node_pub, &c->keys->node);
	c->pinned = conf->pinned;
	c->plain_map = conf->plain_map;
	c->retry_at = c->request_deadline = c->watchdog = c->lite_at = c->lite_deadline =
	    c->good_since = MONO_NEVER;
	c->ping_deadline[0] = c->ping_deadline[1] = MONO_NEVER;
	for (size_t i = 0; i < CONTROL_CONNS; i++)
		c->conn[i].deadline = MONO_NEVER;
	return c;
no_memory:
	err_set(e, ENOMEM, "control client for %.200s", conf->url);
	control_free(c);
	return NULL;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	control_close_stream(c);
	for (unsigned i = 0; i < CONTROL_CONNS; i++) {
		buf_fini(&c->conn[i].out);
		free(c->conn[i].url);
	}
	for (size_t i = 0; i < c->q_len; i++)
		free(c->queue[(c->q_head + i) % CONTROL_EVENTS_MAX].text);
	secret_wipe(c->queue, sizeof c->queue); /* REGISTERED carries a node key */
	secret_free(c->keys);
	auth_key_free(c->auth_key);
	hostinfo_fini(&c->hostinfo);
	free(c->endpoints);
	free(c->types);
	free(c->followup);
	free(c->ping_url);
	free(c->lent_text);
	free(c->version_text);
	free(c);
}

/* --- events --- */

void control_push(struct control *c, const struct control_event *ev, const char *text)
{
	struct queued_event *q;
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return;                       /* without its words it would mean something else */
	if (c->q_len == CONTROL_EVENTS_MAX) { /* only a caller that never asks gets here */
		free(c->queue[c->q_head].text);
		c->q_head = (c->q_head + 1) % CONTROL_EVENTS_MAX;
		c->q_len--;
	}
	q = &c->queue[(c->q_head + c->q_len++) % CONTROL_EVENTS_MAX];
	q->ev = *ev;
	q->text = copy;
}

static void tell_trouble(struct control *c, const char *text) /* NULL: well */
{
	struct control_event ev = { .type = CONTROL_TROUBLE };

	control_push(c, &ev, text);
}

void control_trouble(struct control *c, const char *fmt, ...)
{
	char text[CONTROL_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (strcmp(text, c->trouble) == 0)
		return;
	memcpy(c->trouble, text, sizeof text);
	tell_trouble(c, text);
}

void control_warn(struct control *c, const char *fmt, ...)
{
	char text[CONTROL_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (strcmp(text, c->warning) == 0)
		return;
	memcpy(c->warning, text, sizeof text);
	tell_trouble(c, text);
}

void control_well(struct control *c)
{
	if (c->trouble[0] == 0)
		return;
	c->trouble[0] = 0;
	tell_trouble(c, c->warning[0] ? c->warning : NULL);
}

/* Streams to close come before streams to open: a slot's new stream follows its old one. */
static bool next_conn_event(struct control *c, struct control_event *ev)
{
	for (unsigned i = 0; i < CONTROL_CONNS; i++) {
		struct conn *n = &c->conn[i];
		const struct url *url = n->url ? n->url : &c->url;

		*ev = (struct control_event){ .conn = i };
		if (n->hangup_due) {
			n->hangup_due = false;
			ev->type = CONTROL_HANGUP;
			return true;
		}
		if (n->dial_due) {
			n->dial_due = false;
			ev->type = CONTROL_DIAL;
			ev->host = url->host;
			ev->port = url->port;
			ev->tls = url->tls;
			return true;
		}
	}
	return false;
}

static bool next_output_event(struct control *c, struct control_event *ev)
{
	for (unsigned i = 0; i < CONTROL_CONNS; i++) {
		if (c->conn[i].output_told || !control_has_output(c, i))
			continue;
		c->conn[i].output_told = true;
		*ev = (struct control_event){ .type = CONTROL_OUTPUT, .conn = i };
		return true;
	}
	return false;
}

bool control_next(struct control *c, struct control_event *ev)
{
	struct queued_event *q;

	control_map_settle(c);
	free(c->lent_text);
	c->lent_text = NULL;
	if (next_conn_event(c, ev))
		return true;
	if (c->q_len > 0) {
		q = &c->queue[c->q_head];
		c->q_head = (c->q_head + 1) % CONTROL_EVENTS_MAX;
		c->q_len--;
		*ev = q->ev;
		ev->text = c->lent_text = TAKE_PTR(q->text);
		secret_wipe(&q->ev, sizeof q->ev);
		return true;
	}
	/* decoding may queue events of its own: they are given first, and in order */
	if (control_map_next(c, ev))
		return true;
	if (c->q_len > 0 || c->conn[0].hangup_due || c->conn[0].dial_due)
		return control_next(c, ev);
	return next_output_event(c, ev);
}

/* --- what happens next --- */

void control_enter(struct control *c, enum control_state state)
{
	c->state = state;
}

void control_wait(struct control *c, span_t d)
{
	control_enter(c, STATE_WAITING);
	c->retry_at = mono_add(c->now, d);
}

span_t control_refused(struct control *c, const struct h2_request *rq, struct backoff *b)
{
	span_t asked = retry_after_asked(rq->retry_after, c->wall), d;

	if (rq->status == 429)
		return retry_after(rq->retry_after, c->wall, c->rng);
	d = backoff_fail(b, c->rng);
	return d.ns > asked.ns ? d : asked;
}

void control_proceed(struct control *c)
{
	c->retry_at = MONO_NEVER;
	if (c->goal == GOAL_OFF)
		return;
	if (c->conn[0].phase != CONN_NOISE) {
		if (c->conn[0].phase == CONN_NONE)
			control_dial(c);
		control_enter(c, STATE_CONNECTING);
	} else if (c->goal == GOAL_LOGOUT || !c->is_logged_in) {
		control_login_send(c);
	} else {
		control_map_open(c);
	}
}

void control_start(struct control *c, mono_t now, wall_t wall)
{
	c->now = now;
	c->wall = wall;
	if (c->goal == GOAL_RUN)
		return;
	c->goal = GOAL_RUN;
	control_proceed(c);
}

void control_stop(struct control *c)
{
	c->goal = GOAL_OFF;
	c->is_logged_in = false;
	c->retry_at = MONO_NEVER;
	control_close_stream(c);
	for (unsigned i = 1; i < CONTROL_CONNS; i++)
		control_ping_close(c, i, true);
	control_enter(c, STATE_OFF);
}

void control_login(struct control *c, mono_t now, bool force_new_key)
{
	c->now = now;
	if (c->goal != GOAL_RUN)
		return;
	if (force_new_key)
		control_new_node_key(c);
	c->is_logged_in = false;
	c->has_renewed_key = force_new_key;
	c->wants_login_told = false;
	free(c->followup);
	c->followup = NULL;
	backoff_reset(&c->login);
	if (c->h2) {
		control_map_drop(c);
		h2_client_drop(c->h2, H2_LITE);
		h2_client_drop(c->h2, H2_REGISTER);
	}
	control_proceed(c);
}

void control_logout(struct control *c, mono_t now)
{
	struct control_event ev = { .type = CONTROL_LOGGED_OUT };

	c->now = now;
	if (!c->is_logged_in && !c->was_logged_in && !c->may_be_known) {
		control_stop(c);
		control_push(c, &ev, NULL);
		return;
	}
	c->goal = GOAL_LOGOUT;
	if (c->h2) {
		control_map_drop(c);
		h2_client_drop(c->h2, H2_LITE);
		h2_client_drop(c->h2, H2_REGISTER);
	}
	control_proceed(c);
}

void control_link_changed(struct control *c, mono_t now)
{
	c->now = now;
	if (c->goal == GOAL_OFF)
		return;
	backoff_reset(&c->login);
	backoff_reset(&c->map_backoff);
	if (c->state == STATE_WAITING) {
		control_proceed(c);
	} else if (c->conn[0].phase == CONN_NOISE) {
		control_lite_want(c, true); /* the stream may have survived: ask */
	} else if (c->conn[0].phase != CONN_NONE) {
		control_close_stream(c);
		control_proceed(c);
	}
}

/* --- time --- */

mono_t control_deadline(const struct control *c)
{
	mono_t t = mono_min(c->retry_at, c->request_deadline);

	t = mono_min(t, control_conn_deadline(c));
	t = mono_min(t, control_map_deadline(c));
	return mono_min(t, control_ping_deadline(c));
}

void control_tick(struct control *c, mono_t now, wall_t wall)
{
	c->now = now;
	c->wall = wall;
	control_map_settle(c);
	control_conn_tick(c);
	control_login_tick(c);
	control_map_tick(c);
	control_ping_tick(c);
	if (mono_due(c->retry_at, now))
		control_proceed(c);
}

/* --- what a node says about itself --- */

int control_set_hostinfo(struct control *c, const struct control_hostinfo *hi)
{
	bool changed = false;
	int r = hostinfo_set(&c->hostinfo, c->version_text, hi, &changed);

	if (r == 0 && changed)
		control_lite_want(c, false);
	return r;
}

void control_set_netinfo(struct control *c, const struct control_netinfo *ni)
{
	if (hostinfo_set_net(&c->hostinfo, ni))
		control_lite_want(c, false);
}

static bool same_endpoints(const struct control *c, const struct ipport *v,
			   const enum control_ep *types, size_t n)
{
	if (n != c->n_endpoints)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!ipport_eq(&v[i], &c->endpoints[i]) || types[i] != c->types[i])
			return false;
	return true;
}

int control_set_endpoints(struct control *c, const struct ipport *v, const enum control_ep *types,
			  size_t n)
{
	struct ipport *ep;
	enum control_ep *ty;

	if (n > MAP_REQUEST_ENDPOINTS_MAX)
		n = MAP_REQUEST_ENDPOINTS_MAX;
	if (same_endpoints(c, v, types, n))
		return 0;
	ep = calloc(n + 1, sizeof *ep);
	ty = calloc(n + 1, sizeof *ty);
	if (!ep || !ty) {
		free(ep);
		free(ty);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		ep[i] = v[i];
		ty[i] = types[i];
	}
	free(c->endpoints);
	free(c->types);
	c->endpoints = ep;
	c->types = ty;
	c->n_endpoints = n;
	control_lite_want(c, false);
	return 0;
}

void control_set_disco(struct control *c, const struct key_pub *disco)
{
	if (c->has_disco && key_eq(&c->disco, disco))
		return;
	c->disco = *disco;
	c->has_disco = true;
	control_lite_want(c, false);
}

int control_set_auth_key(struct control *c, const char *key)
{
	int r = auth_key_set(&c->auth_key, key);

	if (r != 0)
		return r;
	c->login_failed[0] = 0; /* a new key earns a new word about its failure */
	if (key && c->goal == GOAL_RUN && c->state == STATE_WAITING && !c->is_logged_in) {
		backoff_reset(&c->login);
		c->retry_at = c->now; /* and is tried with the next tick */
	}
	return 0;
}

void control_set_ephemeral(struct control *c, bool ephemeral)
{
	c->ephemeral = ephemeral;
}

void control_stat(const struct control *c, struct control_stat *st)
{
	*st = (struct control_stat){
		.state = c->conn[0].phase == CONN_KEY ? "fetching key" : state_names[c->state],
		.server_key = c->server_key,
		.streaming = c->map_open && !c->stream_is_new,
		.last_frame = c->last_frame,
		.updates = c->updates,
	};
}
