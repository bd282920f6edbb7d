/* ts2021/control_map.c - map stream, lite updates, and the clocks that watch them
 * (control-protocol.md 4)
 *
 * Each stream is opened together with a lite update, since state goes up by those. Watchdog: 120 s
 * without a complete frame is the end of the connection. A stream that brings nothing but
 * keep-alives for ten minutes is asked by a lite update whether the node still exists: Headscale
 * leaves the stream of a deleted node open without a word.
 */
#include <string.h>

#include "ts2021/control_priv.h"

static bool send_map_request(struct control *c, enum h2_slot slot)
{
	struct map_request rq = {
		.version = CONTROL_CAPABILITY_VERSION,
		.is_stream = slot == H2_MAP,
		.with_zstd = c->ms.is_zstd,
		.with_tags = !c->tags_refused,
		.node = &c->node_pub,
		.disco = c->has_disco ? &c->disco : NULL,
		.hostinfo = &c->hostinfo,
		.endpoints = c->endpoints,
		.types = c->types,
		.n_endpoints = c->n_endpoints,
	};
	struct buf body;
	bool ok;

	buf_init(&body, MAP_REQUEST_MAX);
	h2_client_drop(c->h2, slot);
	ok = map_request_emit(&body, &rq) &&
	     h2_client_send(c->h2, slot, "POST", MAP_PATH, NULL, &c->node_pub, &body) == 0;
	buf_fini(&body);
	if (!ok) {
		control_trouble(c, "out of memory while asking control %s for the map",
				c->url.authority);
		control_lost(c);
	}
	return ok;
}

static void send_lite(struct control *c)
{
	c->lite_due = false;
	c->lite_at = MONO_NEVER;
	if (send_map_request(c, H2_LITE))
		c->lite_deadline =
		    mono_add(c->now, SPAN_S(c->lite_is_probe ? CONTROL_PROBE_S : CONTROL_LITE_S));
	c->lite_is_probe = false;
}

void control_map_open(struct control *c)
{
	control_map_drop(c);
	map_stream_init(&c->ms, !c->plain_map && c->largest_map <= MAP_STREAM_LARGE);
	send_lite(c);
	if (!c->h2 || !send_map_request(c, H2_MAP))
		return;
	c->map_open = c->stream_is_new = true;
	c->last_news = c->now;
	c->watchdog = mono_add(c->now, SPAN_S(CONTROL_WATCHDOG_S));
	control_enter(c, STATE_STREAMING);
}

void control_map_drop(struct control *c)
{
	struct control_event ev = { .type = CONTROL_MAP_ABORT };

	control_map_settle(c);
	if (c->in_frame)
		control_push(c, &ev, NULL);
	if (mono_due(mono_add(c->good_since, SPAN_S(CONTROL_USEFUL_S)), c->now))
		backoff_reset(&c->map_backoff);
	c->good_since = MONO_NEVER;
	c->in_frame = c->map_open = c->lite_due = false;
	c->watchdog = c->lite_at = MONO_NEVER;
	map_stream_fini(&c->ms);
	if (c->h2)
		h2_client_drop(c->h2, H2_MAP);
}

void control_map_settle(struct control *c)
{
	if (c->map_used > 0 && c->h2)
		h2_client_consume(c->h2, H2_MAP, c->map_used);
	c->map_used = 0;
}

static void map_ended(struct control *c)
{
	control_map_drop(c);
	control_wait(c, backoff_fail(&c->map_backoff, c->rng));
}

static void map_unreadable(struct control *c, const char *why)
{
	control_trouble(c, "control %s sent a map that cannot be read: %s; asking again",
			c->url.authority, why);
	map_ended(c);
}

static void frame_complete(struct control *c)
{
	c->in_frame = false;
	c->last_frame = c->now;
	c->watchdog = mono_add(c->now, SPAN_S(CONTROL_WATCHDOG_S));
	c->largest_map = c->ms.largest;
	if (c->ms.decoded >= CONTROL_NEWS_MIN)
		c->last_news = c->now;
	control_well(c);
}

/* One step of the decoder that is worth an event */
bool control_map_next(struct control *c, struct control_event *ev)
{
	struct bytes body;
	size_t used;

	while (c->map_open && c->h2->rq[H2_MAP].status == 200) {
		body = buf_bytes(&c->h2->rq[H2_MAP].body);
		*ev = (struct control_event){ 0 };
		switch (map_stream_next(&c->ms, body, &used, &ev->data)) {
		case MAP_STREAM_BEGIN:
			c->map_used = used;
			c->in_frame = true;
			ev->type = CONTROL_MAP_BEGIN;
			ev->is_first = c->stream_is_new;
			c->stream_is_new = false;
			return true;
		case MAP_STREAM_DATA:
			c->map_used = used;
			ev->type = CONTROL_MAP_DATA;
			return true;
		case MAP_STREAM_END:
			c->map_used = used;
			frame_complete(c);
			ev->type = CONTROL_MAP_END;
			return true;
		case MAP_STREAM_BAD:
			map_unreadable(c, c->ms.why);
			return false;
		case MAP_STREAM_MORE:
			c->map_used = used;
			control_map_settle(c);
			if (used > 0 && c->h2->rq[H2_MAP].body.len > 0)
				break;
			control_map_poll(c);
			return false;
		}
	}
	return false;
}

/* --- answers that are not the stream --- */

static void node_unknown(struct control *c)
{
	control_map_drop(c);
	control_trouble(
	    c,
	    "control %s does not know this node any more (deleted or expired): registering again",
	    c->url.authority);
	control_relogin(c);
}

static void map_refused(struct control *c, const struct h2_request *rq)
{
	span_t d = control_refused(c, rq, &c->map_backoff);
	char text[FOREIGN_TEXT_MAX];

	foreign_text(buf_bytes(&rq->body), c->auth_key, text);
	control_trouble(c, "control %s refuses the map, status %u: %s", c->url.authority,
			rq->status, text);
	control_map_drop(c);
	control_wait(c, d);
}

static void lite_answered(struct control *c)
{
	struct h2_request *rq = &c->h2->rq[H2_LITE];
	bool is_unknown = rq->phase == H2_ENDED && rq->status == 404,
	     is_good = rq->phase == H2_ENDED && rq->status == 200;
	span_t d = is_good || is_unknown ? SPAN_S(0) : control_refused(c, rq, &c->update);

	h2_client_drop(c->h2, H2_LITE);
	c->lite_deadline = MONO_NEVER;
	if (is_unknown) {
		node_unknown(c);
	} else if (is_good) {
		backoff_reset(&c->update);
		c->updates++;
		c->last_news = c->now;
		if (c->lite_due)
			send_lite(c);
	} else if (c->map_open) {
		c->lite_due = true;
		c->lite_at = mono_add(c->now, d);
	}
}

void control_map_poll(struct control *c)
{
	struct h2_request *map, *lite;

	if (!c->h2)
		return;
	lite = &c->h2->rq[H2_LITE];
	if (lite->phase == H2_ENDED || lite->phase == H2_BROKEN)
		lite_answered(c);
	if (!c->h2 || !c->map_open)
		return;
	map = &c->h2->rq[H2_MAP];
	if (map->phase != H2_ENDED && map->phase != H2_BROKEN)
		return;
	if (map->status == 404 && map->phase == H2_ENDED) {
		node_unknown(c);
	} else if (map->status != 200 && map->phase == H2_ENDED) {
		map_refused(c, map);
	} else if (map->body.len == 0 && !(c->ms.in_frame && c->ms.left == 0)) {
		/* what had come is decoded */
		control_trouble(c, "control %s ended the map stream; asking again",
				c->url.authority);
		map_ended(c);
	}
}

/* --- clocks --- */

void control_lite_want(struct control *c, bool is_probe)
{
	if (!c->map_open)
		return; /* the next stream brings one */
	c->lite_due = true;
	c->lite_is_probe = c->lite_is_probe || is_probe;
	if (c->h2->rq[H2_LITE].phase == H2_FREE && mono_is_never(c->lite_at))
		c->lite_at = c->now; /* the next tick: what changes together goes up together */
}

void control_map_applied(struct control *c, mono_t now)
{
	c->now = now;
	c->good_since = mono_min(c->good_since, now);
}

void control_map_unusable(struct control *c, mono_t now, const char *why)
{
	c->now = now;
	if (c->map_open)
		map_unreadable(c, why);
}

void control_map_tick(struct control *c)
{
	if (!c->map_open)
		return;
	if (mono_due(c->lite_deadline, c->now)) {
		control_trouble(c, "control %s does not answer; connecting again",
				c->url.authority);
		control_lost(c);
		return;
	}
	if (mono_due(c->watchdog, c->now)) {
		if (c->h2->rq[H2_MAP].body.len >
		    0) { /* it came; the caller has yet to ask for it */
			c->watchdog = mono_add(c->now, SPAN_S(CONTROL_WATCHDOG_S));
			return;
		}
		control_trouble(c, "nothing from control %s for %d s; connecting again",
				c->url.authority, CONTROL_WATCHDOG_S);
		control_lost(c);
		return;
	}
	if (mono_due(mono_add(c->last_news, SPAN_S(CONTROL_SILENT_S)), c->now) &&
	    c->h2->rq[H2_LITE].phase == H2_FREE && !c->lite_due)
		control_lite_want(c, false);
	if (c->lite_due && mono_due(c->lite_at, c->now) && c->h2->rq[H2_LITE].phase == H2_FREE)
		send_lite(c);
}

mono_t control_map_deadline(const struct control *c)
{
	mono_t t;

	if (!c->map_open)
		return MONO_NEVER;
	t = mono_min(c->watchdog, c->lite_deadline);
	if (c->h2->rq[H2_LITE].phase != H2_FREE)
		return t;
	return mono_min(t, mono_min(c->lite_at, mono_add(c->last_news, SPAN_S(CONTROL_SILENT_S))));
}
