/* path/path.c - the machine's door: making it, the choice of a path for each burst, time
 *
 * Theory of operation. A peer of the netmap is a row in a table (known.c) and costs no timer. With
 * its first traffic, or an authentic disco packet from it, it gets a `struct live` (live.c):
 * candidate addresses (candidate.c), the best one, and until when that is trusted. Traffic starts
 * heartbeats (discovery.c): every 3 s the best address is pinged, and as long as it is missing,
 * untrusted or slow all candidates are, followed by a call-me-maybe through the relay. A pong
 * (receive.c) proves the address that the ping was sent to and gives 6.5 s of trust; two lost
 * heartbeats thus lose it, and traffic then goes both ways, to the address and through the relay,
 * until a pong or the ping's time-out decides. 45 s after the last traffic heartbeats stop; 540 s
 * after it the candidates are freed.
 *
 * Nothing but a pong moves traffic to an address. What peers can make us hold has its limits in
 * path_priv.h.
 */
#include "path/path_priv.h"

#include <stdlib.h>
#include <string.h>

const char *const path_drop_names[PATH_DROP_N] = {
	[PATH_DROP_NONE] = "none",
	[PATH_DROP_SHAPE] = "shape",
	[PATH_DROP_UNKNOWN_SENDER] = "unknown-sender",
	[PATH_DROP_FORGED] = "forged",
	[PATH_DROP_VERSION] = "version",
	[PATH_DROP_TYPE] = "type",
	[PATH_DROP_BODY] = "body",
	[PATH_DROP_NOT_OVER_DERP] = "not-over-derp",
	[PATH_DROP_UNKNOWN_TXID] = "unknown-txid",
	[PATH_DROP_NODE_KEY] = "node-key",
	[PATH_DROP_QUEUE_FULL] = "queue-full",
	[PATH_DROP_ENDPOINT_LIMIT] = "endpoint-limit",
};

struct path *path_new(const struct path_conf *conf)
{
	struct path *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->rng = conf->rng;
	p->disco = secret_new(sizeof *p->disco);
	if (!p->disco) {
		free(p);
		return NULL;
	}
	*p->disco = conf->disco;
	key_public(&p->disco_pub, p->disco);
	p->node = conf->node;
	p->derp_only = conf->derp_only;
	p->seed = rng_u64(p->rng);
	p->ping_oldest = p->ping_newest = p->ping_free = NO_PING;
	p->own_at = LONG_AGO;
	p->stun_wait_until = MONO_NEVER;
	p->next_told = LONG_AGO;
	queue_init(&p->out, sizeof(struct out), OUT_MAX);
	queue_init(&p->events, sizeof(struct path_event), EVENTS_MAX);
	return p;
}

void path_free(struct path *p)
{
	if (!p)
		return;
	known_fini(p);
	free(p->heap);
	free(p->pings);
	lookup_fini(&p->by_addr);
	lookup_fini(&p->by_txid);
	queue_fini(&p->out);
	queue_fini(&p->events);
	secret_free(p->disco);
	free(p);
}

void path_set_node_key(struct path *p, const struct key_pub *node)
{
	p->node = *node;
}

void path_set_endpoints(struct path *p, mono_t now, const struct ipport *v, size_t n)
{
	bool changed;

	n = p->derp_only ? 0 : MIN_OF(n, (size_t)OWN_MAX);
	changed = n != p->n_own;
	for (size_t i = 0; i < n; i++) {
		changed |= i >= p->n_own || !ipport_eq(&p->own[i], &v[i]);
		p->own[i] = v[i];
	}
	p->n_own = n;
	p->own_at = now;
	discovery_fresh(p, now, changed);
}

void path_link_changed(struct path *p, mono_t now)
{
	p->own_at = LONG_AGO;
	for (size_t i = 0; i < p->n_heap;
	     i++) { /* order does not matter; deadlines are set below */
		struct live *l = p->heap[i];

		l->trust_until = LONG_AGO;
		for (size_t j = 0; j < l->n_cands; j++) {
			l->cands[j].last_ping = LONG_AGO;
			l->cands[j].narrow = false;
		}
		l->next_full = LONG_AGO;
		if (live_active(l, now))
			l->beat_at = now;
	}
	for (size_t i = 0; i < p->cap_peers; i++)
		if (p->peers[i].live)
			live_rearm(p, now, p->peers[i].live);
}

/* data-plane.md 1.5: no disco; an untried address gets a second, one we hear from five */
static struct path_route route_wireguard_only(struct path *p, mono_t now, const struct known *k,
					      struct live *l)
{
	if (!live_trusted(l, now) && k->n_eps > 0) {
		l->best.addr = k->eps[rng_below(p->rng, k->n_eps)];
		l->trust_until = mono_add(now, SPAN_S(WG_ONLY_TRY_S));
	}
	return (struct path_route){ .udp = l->best.addr };
}

void path_note_udp(struct path *p, mono_t now, uint32_t peer, const struct ipport *from)
{
	const struct known *k = known_at(p, peer);
	const struct path_quality q = { .addr = *from };
	struct live *l;

	if (!k || !k->wireguard_only)
		return;
	l = live_get(p, now, peer);
	if (l) {
		l->last_heard = now;
		live_trust(p, now, l, &q, SPAN_S(WG_ONLY_TRUST_S));
	}
}

struct path_route path_route(struct path *p, mono_t now, uint32_t peer)
{
	const struct known *k = known_at(p, peer);
	struct live *l = live_get(p, now, peer);
	struct path_route r = { 0 };
	bool trusted;

	if (!k)
		return r;
	if (!l || p->derp_only) {
		r.derp = known_derp(k);
		return r;
	}
	l->last_send = now;
	if (k->wireguard_only)
		return route_wireguard_only(p, now, k, l);
	trusted = live_trusted(l, now);
	r.udp = l->best.addr;
	r.derp = trusted ? 0 : known_derp(k);
	if (l->owes_call || (!trusted && mono_due(l->next_full, now)))
		discovery_round(p, now, l, true);
	if (mono_is_never(l->beat_at)) {
		l->beat_at = mono_add(now, SPAN_S(HEARTBEAT_S));
		live_rearm(p, now, l);
	}
	return r;
}

bool path_next(struct path *p, struct path_event *ev)
{
	if (p->want_stun) {
		p->want_stun = false;
		*ev = (struct path_event){ .type = PATH_EV_WANT_STUN };
		return true;
	}
	return queue_pop(&p->events, ev);
}

mono_t path_deadline(const struct path *p)
{
	return mono_min(p->stun_wait_until, mono_min(live_deadline(p), ping_deadline(p)));
}

void path_tick(struct path *p, mono_t now)
{
	ping_tick(p, now);
	if (mono_due(p->stun_wait_until, now))
		discovery_fresh(p, now, false);
	live_tick(p, now);
}

bool path_peer_stat(const struct path *p, mono_t now, uint32_t peer, struct path_peer_stat *st)
{
	const struct known *k = known_at(p, peer);
	const struct live *l = k ? k->live : NULL;

	if (!k)
		return false;
	*st = (struct path_peer_stat){ .derp = k->wireguard_only ? 0 : known_derp(k) };
	if (!l)
		return true;
	st->best = l->best.addr;
	st->latency = l->best.latency;
	st->active = live_active(l, now);
	st->trusted = live_trusted(l, now);
	if (st->trusted)
		st->derp = 0;
	return true;
}

const uint64_t *path_drops(const struct path *p)
{
	return p->drops;
}

bool path_is_disco(const uint8_t *data, size_t len)
{
	return disco_is(data, len);
}
