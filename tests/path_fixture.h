/* tests/path_fixture.h - for tests: one path machine, peers that speak disco by the codec alone,
 * and a log of what was sent */
#ifndef TESTS_PATH_FIXTURE_H
#define TESTS_PATH_FIXTURE_H

#include <stdlib.h>

#include "path/disco.h"
#include "path/path.h"
#include "tests/harness.h"

enum { WORLD_REMOTES = 4, WORLD_LOG = 4096, HOME = 7 };

struct remote {
	struct key_priv disco;
	struct key_pub disco_pub, node;
	uint8_t shared[BOX_SHARED];
};
struct sent {
	mono_t at;
	struct ipport udp;
	uint16_t derp;
	struct key_pub derp_to;
	int remote; /* who could open it; -1: nobody */
	size_t len;
	struct disco_msg msg;
	struct ipport eps[64];
};
struct world {
	struct seed_rng rng;
	struct path *p;
	struct key_pub node, disco_pub;
	mono_t now;
	struct remote r[WORLD_REMOTES];
	struct sent log[WORLD_LOG];
	size_t n_log;
	struct path_event ev[256];
	size_t n_ev;
	/* large pings (path/whole.c) are kept apart: the last one, and how many there were */
	struct sent whole;
	size_t n_whole;
	bool whole_waits, loses_whole;
};

static inline void remote_new(struct world *w, struct remote *r)
{
	key_gen(&r->disco, &w->rng.rng);
	key_public(&r->disco_pub, &r->disco);
	rng_fill(&w->rng.rng, r->node.b, KEY_LEN);
	ck_assert(box_shared(r->shared, &r->disco, &w->disco_pub));
}

static inline struct world *world_new(bool derp_only)
{
	struct world *w = calloc(1, sizeof *w);
	struct path_conf conf = { .derp_only = derp_only };

	ck_assert_ptr_nonnull(w);
	seed_rng_init(&w->rng, 1);
	conf.rng = &w->rng.rng;
	key_gen(&conf.disco, conf.rng);
	key_public(&w->disco_pub, &conf.disco);
	rng_fill(conf.rng, conf.node.b, KEY_LEN);
	w->node = conf.node;
	w->p = path_new(&conf);
	ck_assert_ptr_nonnull(w->p);
	w->now = (mono_t){ 1000 * NS_PER_S };
	for (int i = 0; i < WORLD_REMOTES; i++)
		remote_new(w, &w->r[i]);
	return w;
}

static inline void world_free(struct world *w)
{
	path_free(w->p);
	free(w);
}

static inline struct ipport at(const char *text)
{
	struct ipport a;

	ck_assert_msg(ipport_parse(bytes_str(text), &a), "%s", text);
	return a;
}

static inline void peer_set(struct world *w, uint32_t peer, int remote, const struct ipport *eps,
			    size_t n)
{
	const struct path_peer conf = { .node = w->r[remote].node,
					.disco = w->r[remote].disco_pub,
					.endpoints = eps,
					.n_endpoints = n,
					.home_derp = HOME };

	ck_assert_int_eq(path_peer_set(w->p, w->now, peer, &conf), 0);
}

/* Takes everything that is to be sent, opens it as its recipient would, and all events. */
static inline void drain(struct world *w)
{
	uint8_t plain[DISCO_PLAIN_MAX];
	struct path_send s;
	size_t n;

	while (path_pull(w->p, w->now, &s)) {
		struct sent *t = &w->log[w->n_log++];

		ck_assert_uint_le(w->n_log, WORLD_LOG);
		*t = (struct sent){ .at = w->now,
				    .udp = s.udp,
				    .derp = s.derp,
				    .derp_to = s.derp_to,
				    .len = s.len };
		t->remote = -1;
		for (int i = 0; i < WORLD_REMOTES && t->remote < 0; i++) {
			if (!disco_open(s.data, s.len, w->r[i].shared, plain, &n))
				continue;
			t->remote = i;
			ck_assert_int_eq(disco_parse(plain, n, &t->msg), DISCO_OK);
			for (size_t k = 0; k < t->msg.n_endpoints; k++)
				ck_assert(disco_endpoint_next(&t->msg.endpoints, &t->eps[k]));
		}
		ck_assert(s.whole == (s.derp == 0 && t->msg.type == DISCO_PING && s.len == 1312));
		if (s.whole) {
			w->whole = *t;
			w->n_whole++;
			w->whole_waits = true;
			w->n_log--;
		}
	}
	while (w->n_ev < 256 && path_next(w->p, &w->ev[w->n_ev]))
		w->n_ev++;
}

static inline void forget_log(struct world *w)
{
	drain(w);
	w->n_log = w->n_ev = 0;
}

static inline void advance(struct world *w, int64_t ms)
{
	mono_t until = mono_add(w->now, SPAN_MS(ms));

	for (int turns = 0;; turns++) {
		mono_t due = path_deadline(w->p);

		ck_assert_int_lt(turns, 100000);
		if (mono_before(until, due))
			break;
		w->now = mono_max(w->now, due);
		path_tick(w->p, w->now);
		drain(w);
	}
	w->now = until;
	path_tick(w->p, w->now);
	drain(w);
}

/* how many of a type were sent to an address (NULL: any), or over a relay */
static inline size_t n_udp(const struct world *w, uint8_t type, const struct ipport *to)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_log; i++)
		n += w->log[i].msg.type == type && w->log[i].derp == 0 &&
		     (!to || ipport_eq(&w->log[i].udp, to));
	return n;
}

static inline size_t n_derp(const struct world *w, uint8_t type)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_log; i++)
		n += w->log[i].msg.type == type && w->log[i].derp != 0;
	return n;
}

/* the last ping sent to an address */
static inline const struct sent *last_ping(const struct world *w, const struct ipport *to)
{
	for (size_t i = w->n_log; i-- > 0;)
		if (w->log[i].msg.type == DISCO_PING && w->log[i].derp == 0 &&
		    ipport_eq(&w->log[i].udp, to))
			return &w->log[i];
	ck_abort_msg("no ping was sent there");
	return NULL;
}

static inline size_t n_events(const struct world *w, enum path_event_type type)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_ev; i++)
		n += w->ev[i].type == type;
	return n;
}

static inline size_t remote_seal(struct world *w, int remote, const uint8_t *plain, size_t n,
				 uint8_t *out)
{
	uint8_t nonce[BOX_NONCE];

	rng_fill(&w->rng.rng, nonce, sizeof nonce);
	return disco_seal(out, &w->r[remote].disco_pub, nonce, w->r[remote].shared, plain, n);
}

/* from NULL: over the relay HOME */
static inline void feed_plain(struct world *w, int remote, const struct ipport *from,
			      const uint8_t *plain, size_t n)
{
	uint8_t packet[DISCO_PACKET_MAX];
	size_t len = remote_seal(w, remote, plain, n, packet);

	if (from)
		path_feed_udp(w->p, w->now, from, packet, len);
	else
		path_feed_derp(w->p, w->now, HOME, &w->r[remote].node, packet, len);
	drain(w);
}

static inline void feed_ping(struct world *w, int remote, const struct ipport *from, uint8_t id)
{
	const uint8_t txid[DISCO_TXID] = { id, 1, 2 };
	uint8_t plain[64];
	size_t n = disco_ping_emit(plain, sizeof plain, txid, &w->r[remote].node, 0);

	feed_plain(w, remote, from, plain, n);
}

static inline void feed_pong(struct world *w, int remote, const struct ipport *from,
			     const uint8_t *txid)
{
	const struct ipport src = { ip_v4(198, 51, 100, 1), 1 };
	uint8_t plain[64];
	size_t n = disco_pong_emit(plain, sizeof plain, txid, &src);

	feed_plain(w, remote, from, plain, n);
}

static inline void feed_call(struct world *w, int remote, const struct ipport *from,
			     const struct ipport *v, size_t n)
{
	uint8_t plain[DISCO_PLAIN_MAX];

	feed_plain(w, remote, from, plain, disco_call_me_maybe_emit(plain, sizeof plain, v, n));
}

/* the peer answers the last ping to this address after some time */
static inline void answer(struct world *w, int remote, const struct ipport *to, int64_t ms)
{
	uint8_t txid[DISCO_TXID];

	memcpy(txid, last_ping(w, to)->msg.txid, sizeof txid);
	w->now = mono_add(w->now, SPAN_MS(ms));
	feed_pong(w, remote, to, txid);
	if (w->whole_waits && ipport_eq(&w->whole.udp, to) && !w->loses_whole) {
		w->whole_waits = false;
		feed_pong(w, remote, to, w->whole.msg.txid);
	}
}

/* traffic now: route, and what it causes */
static inline struct path_route send_to(struct world *w, uint32_t peer)
{
	struct path_route r = path_route(w->p, w->now, peer);

	drain(w);
	return r;
}

/* peer 1 = remote 0, with one endpoint, proven within a millisecond */
static inline struct ipport make_direct(struct world *w)
{
	struct ipport ep = at("192.0.2.10:41641");

	peer_set(w, 1, 0, &ep, 1);
	path_set_endpoints(w->p, w->now, &ep, 1);
	send_to(w, 1);
	answer(w, 0, &ep, 1);
	advance(w, 9); /* the call-me-maybe follows the pings */
	forget_log(w);
	return ep;
}

#endif
