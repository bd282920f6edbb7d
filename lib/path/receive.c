/* path/receive.c - disco packets that came in, over UDP or through a relay (data-plane.md 2.3)
 *
 * Order: whose key is it (table look-up), is the box authentic, is the message one we know. Only
 * then is anything stored.
 */
#include "path/path_priv.h"

#include <string.h>

struct arrival {
	size_t len;                /* of the datagram */
	struct key_pub sender;     /* disco key */
	const struct ipport *from; /* NULL: through a relay */
	uint16_t derp;
	uint32_t
	    peers[SHARED_DISCO_MAX]; /* whose disco key it is; one when it came through a relay */
	size_t n_peers;
};

static const struct ip derp_magic = {
	{ [10] = 0xff, 0xff, 127, 3, 3, 40 }
}; /* 3.5: stands for a relay */

static bool node_named(const struct path *p, const struct arrival *a, const struct disco_msg *m,
		       uint32_t *peer)
{
	for (size_t i = 0; i < a->n_peers; i++) {
		if (a->n_peers == 1 ||
		    (m->has_node && key_eq(&p->peers[a->peers[i]].node, &m->node))) {
			*peer = a->peers[i];
			return true;
		}
	}
	return false;
}

/* true: this very ping was seen before */
static bool ping_noted(struct path *p, mono_t now, const struct arrival *a, struct live *l,
		       const struct disco_msg *m)
{
	struct cand *c = NULL;
	uint8_t *last = l->derp_txid;
	bool seen;

	if (a->from) {
		c = cand_learn(p, now, l, a->from);
		if (!c) /* no room, or an address of no use to us: answered all the same */
			return false;
		last = c->got_txid;
	}
	seen = memcmp(last, m->txid, DISCO_TXID) == 0;
	memcpy(last, m->txid, DISCO_TXID);
	l->last_heard = now;
	live_rearm(p, now, l);
	return seen;
}

static void got_ping(struct path *p, mono_t now, const struct arrival *a, const struct disco_msg *m)
{
	struct out o = { .type = DISCO_PONG, .peer = a->peers[0], .derp = a->derp };
	struct live *l = NULL;
	struct cand *c = NULL;
	bool seen = false;
	uint32_t named;

	for (size_t i = 0; i < a->n_peers; i++) {
		l = live_get(p, now, a->peers[i]);
		if (l && ping_noted(p, now, a, l, m))
			seen = true;
	}
	if (node_named(p, a, m, &named)) {
		l = p->peers[named].live;
		c = a->from && l ? cand_find(l, a->from) : NULL;
		o.peer = named;
		if (c)
			cand_bind(p, now, l, c);
	}
	if (seen || (c && c->narrow && a->len < WHOLE_LEN))
		return;
	memcpy(o.txid, m->txid, DISCO_TXID);
	if (a->from)
		o.to = o.src = *a->from;
	else
		o.src = (struct ipport){ derp_magic, a->derp };
	(void)out_push(p, &o);
	if (c)
		discovery_heard(p, now, l, c);
}

/* The peer answers from the address, so packets arrive there and come back: it may become the best
 * one. */
static void proven(struct path *p, mono_t now, struct live *l, const struct arrival *a,
		   const struct ping *g)
{
	struct path_quality q = { g->to, mono_sub(now, g->at) };
	struct cand *c = cand_find(l, &g->to), *source = cand_find(l, a->from);

	if (!c)
		return; /* forgotten meanwhile */
	c->last_pong = now;
	cand_bind(p, now, l, c);
	if (source && source != c)
		cand_bind(p, now, l, source);
	if (g->why == WHY_WHOLE) {
		whole_answered(l, c);
		if (ipport_eq(&l->best.addr, &g->to)) /* small ones are compared with small ones */
			q.latency = l->best.latency;
	}
	if (c->narrow)
		return;
	if (ipport_eq(&l->best.addr, &g->to) || !live_trusted(l, now) || path_better(&q, &l->best))
		live_trust(p, now, l, &q, TRUST);
}

static void got_pong(struct path *p, mono_t now, const struct arrival *a, const struct disco_msg *m)
{
	uint32_t slot = ping_find(p, m->txid);
	bool is_theirs = slot != NO_PING &&
			 key_eq(&p->peers[p->pings[slot].peer].disco, &a->sender) &&
			 (a->from || p->pings[slot].peer == a->peers[0]);
	struct ping g;
	struct live *l;

	/* an answer by the other way proves nothing, and must not end the wait for the right one */
	if (!is_theirs || (a->from == NULL) != (p->pings[slot].derp != 0)) {
		path_drop(p, PATH_DROP_UNKNOWN_TXID);
		return;
	}
	g = ping_take(p, slot);
	l = p->peers[g.peer].live;
	l->last_heard = now;
	if (a->from)
		proven(p, now, l, a, &g);
	if (g.why == WHY_GREET)
		path_say(p, &(struct path_event){ .type = PATH_EV_GREETED,
						  .peer = g.peer,
						  .latency = mono_sub(now, g.at) });
	if (g.why == WHY_CLI) {
		ping_settle(p, g.peer, g.token);
		path_say(p, &(struct path_event){ .type = PATH_EV_PONG,
						  .peer = g.peer,
						  .addr = g.to,
						  .derp = g.derp,
						  .latency = mono_sub(now, g.at),
						  .token = g.token });
	}
}

static void got_call(struct path *p, mono_t now, const struct arrival *a, struct disco_msg *m)
{
	struct live *l;

	if (a->from) {
		path_drop(p, PATH_DROP_NOT_OVER_DERP);
		return;
	}
	l = p->derp_only ? NULL : live_get(p, now, a->peers[0]);
	if (l) {
		l->last_heard = now;
		discovery_called(p, now, l, m->endpoints, m->n_endpoints);
	}
}

static enum path_drop open_and_parse(struct path *p, const struct arrival *a, const uint8_t *data,
				     size_t len, uint8_t plain[static DISCO_PLAIN_MAX],
				     struct disco_msg *m)
{
	const uint8_t *shared = known_shared(p, &p->peers[a->peers[0]]);
	size_t n;

	if (!shared || !disco_open(data, len, shared, plain, &n))
		return PATH_DROP_FORGED;
	switch (disco_parse(plain, n, m)) {
	case DISCO_OK:
		return PATH_DROP_NONE;
	case DISCO_SHORT:
		return PATH_DROP_SHAPE;
	case DISCO_VERSION:
		return PATH_DROP_VERSION;
	case DISCO_BODY:
		return PATH_DROP_BODY;
	case DISCO_TYPE:
	case DISCO_RELAY:
		break;
	}
	return PATH_DROP_TYPE;
}

/* Who is named is among them, or those who only claim its key could deafen us to it. */
static void name_one(const struct path *p, struct arrival *a, const struct disco_msg *m)
{
	uint32_t named;
	const struct known *k = m->has_node ? known_by_node(p, &m->node, &named) : NULL;

	if (!k || !key_eq(&k->disco, &a->sender))
		return;
	for (size_t i = 0; i < a->n_peers; i++)
		if (a->peers[i] == named)
			return;
	a->peers[a->n_peers - 1] = named;
}

static void feed(struct path *p, mono_t now, struct arrival *a, const uint8_t *data, size_t len)
{
	uint8_t plain[DISCO_PLAIN_MAX];
	struct disco_msg m;
	enum path_drop why = open_and_parse(p, a, data, len, plain, &m);

	if (why != PATH_DROP_NONE) {
		path_drop(p, why);
		return;
	}
	if (!a->from)
		p->peers[a->peers[0]].heard_derp = a->derp;
	switch (m.type) {
	case DISCO_PING:
		if (a->from)
			name_one(p, a, &m);
		got_ping(p, now, a, &m);
		break;
	case DISCO_PONG:
		got_pong(p, now, a, &m);
		break;
	case DISCO_CALL_ME_MAYBE:
		got_call(p, now, a, &m);
		break;
	}
}

void path_feed_udp(struct path *p, mono_t now, const struct ipport *from, const uint8_t *data,
		   size_t len)
{
	struct arrival a = { .from = from, .len = len };

	if (p->derp_only)
		return;
	if (!disco_is(data, len)) {
		path_drop(p, PATH_DROP_SHAPE);
		return;
	}
	a.sender = disco_sender(data);
	a.n_peers = known_by_disco(p, &a.sender, a.peers, ARRAY_LEN(a.peers));
	if (a.n_peers == 0)
		path_drop(p, PATH_DROP_UNKNOWN_SENDER);
	else
		feed(p, now, &a, data, len);
}

void path_feed_derp(struct path *p, mono_t now, uint16_t region, const struct key_pub *from,
		    const uint8_t *data, size_t len)
{
	struct arrival a = { .derp = region, .n_peers = 1 };
	const struct known *k;

	if (!disco_is(data, len) || region == 0) {
		path_drop(p, PATH_DROP_SHAPE);
		return;
	}
	a.sender = disco_sender(data);
	k = known_by_node(p, from, &a.peers[0]);
	if (!k)
		path_drop(p, PATH_DROP_UNKNOWN_SENDER);
	else if (!key_eq(&k->disco, &a.sender)) /* 2.2: the relay's source must own the box's key */
		path_drop(p, PATH_DROP_NODE_KEY);
	else
		feed(p, now, &a, data, len);
}
