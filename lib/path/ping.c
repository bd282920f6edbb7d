/* path/ping.c - outstanding pings: found by transaction id, timed out in the order they were sent
 *
 * All wait equally long, so the oldest is always the first to time out and no heap is needed. The
 * table is freed when nothing is outstanding.
 */
#include "path/path_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint32_t txid_hash(const struct path *p, const uint8_t txid[static DISCO_TXID])
{
	return lookup_hash(p->seed, txid, DISCO_TXID);
}

static bool table_grow(struct path *p)
{
	size_t cap = p->cap_pings ? p->cap_pings * 2 : 32;
	struct ping *v;

	if (p->cap_pings >= PINGS_MAX)
		return false;
	v = realloc(p->pings, cap * sizeof *v);
	if (!v)
		return false;
	for (size_t i = cap; i-- > p->cap_pings;) {
		v[i].next = p->ping_free;
		p->ping_free = (uint32_t)i;
	}
	p->pings = v;
	p->cap_pings = cap;
	return true;
}

static void table_shrink(struct path *p)
{
	enum { KEEP = 32 };

	if (p->n_pings > 0 || p->cap_pings <= KEEP)
		return;
	free(p->pings);
	p->pings = NULL;
	p->cap_pings = 0;
	p->ping_free = NO_PING;
	lookup_fini(&p->by_txid);
}

static void unlink_slot(struct path *p, uint32_t slot)
{
	struct ping *g = &p->pings[slot];

	if (g->prev == NO_PING)
		p->ping_oldest = g->next;
	else
		p->pings[g->prev].next = g->next;
	if (g->next == NO_PING)
		p->ping_newest = g->prev;
	else
		p->pings[g->next].prev = g->prev;
	g->next = p->ping_free;
	p->ping_free = slot;
}

static void slot_del(struct path *p, uint32_t slot)
{
	struct ping *g = &p->pings[slot];
	struct known *k = known_at(p, g->peer);

	lookup_del(&p->by_txid, txid_hash(p, g->txid), slot);
	if (k && k->live)
		k->live->n_pings--;
	if (g->why == WHY_CLI)
		p->n_cli_pings--;
	unlink_slot(p, slot);
	p->n_pings--;
}

static uint32_t slot_new(struct path *p, const struct ping *g)
{
	uint32_t slot;

	if (p->ping_free == NO_PING && !table_grow(p))
		return NO_PING;
	slot = p->ping_free;
	if (lookup_add(&p->by_txid, txid_hash(p, g->txid), slot) < 0)
		return NO_PING;
	p->ping_free = p->pings[slot].next;
	p->pings[slot] = *g;
	p->pings[slot].prev = p->ping_newest;
	p->pings[slot].next = NO_PING;
	if (p->ping_newest == NO_PING)
		p->ping_oldest = slot;
	else
		p->pings[p->ping_newest].next = slot;
	p->ping_newest = slot;
	p->n_pings++;
	return slot;
}

bool ping_send(struct path *p, mono_t now, struct live *l, const struct ipport *to, uint16_t derp,
	       enum why why, uint64_t token, size_t padding)
{
	struct ping g = { .peer = l->peer, .derp = derp, .why = why, .token = token, .at = now };
	struct out o = { .type = DISCO_PING, .peer = l->peer, .derp = derp, .padding = padding };
	struct cand *c;
	uint32_t slot;

	if (mono_due(l->void_until, now))
		l->n_void = 0;
	if (l->n_pings + l->n_void >= PINGS_PER_PEER || !known_shared(p, &p->peers[l->peer]))
		return false;
	o.whole = why == WHY_WHOLE;
	if (to)
		g.to = o.to = *to;
	rng_fill(p->rng, g.txid, sizeof g.txid);
	memcpy(o.txid, g.txid, sizeof o.txid);
	slot = slot_new(p, &g);
	if (slot == NO_PING) {
		path_drop(p, PATH_DROP_QUEUE_FULL);
		return false;
	}
	l->n_pings++;
	if (why == WHY_CLI)
		p->n_cli_pings++;
	if (!out_push(p, &o)) {
		slot_del(p, slot);
		return false;
	}
	c = to && (why == WHY_DISCOVERY || why == WHY_HEARTBEAT) ? cand_find(l, to) : NULL;
	if (c)
		c->last_ping = now;
	return true;
}

uint32_t ping_find(const struct path *p, const uint8_t txid[static DISCO_TXID])
{
	uint32_t hash = txid_hash(p, txid), slot;
	size_t pos = LOOKUP_START;

	while (lookup_next(&p->by_txid, hash, &pos, &slot))
		if (memcmp(p->pings[slot].txid, txid, DISCO_TXID) == 0)
			return slot;
	return NO_PING;
}

struct ping ping_take(struct path *p, uint32_t slot)
{
	struct ping g = p->pings[slot];

	slot_del(p, slot);
	table_shrink(p);
	return g;
}

void ping_forget(struct path *p, uint32_t peer)
{
	const struct known *k = known_at(p, peer);
	uint32_t next;

	if (!k || !k->live || k->live->n_pings == 0)
		return;
	for (uint32_t i = p->ping_oldest; i != NO_PING; i = next) {
		next = p->pings[i].next;
		if (p->pings[i].peer != peer)
			continue;
		if (p->pings[i].why == WHY_CLI)
			path_say(p, &(struct path_event){ .type = PATH_EV_PING_TIMEOUT,
							  .peer = peer,
							  .token = p->pings[i].token });
		slot_del(p, i);
	}
	table_shrink(p);
}

static bool has_twin(const struct path *p, const struct ping *g)
{
	for (uint32_t i = p->n_cli_pings > 0 ? p->ping_oldest : NO_PING; i != NO_PING;
	     i = p->pings[i].next)
		if (p->pings[i].why == WHY_CLI && p->pings[i].peer == g->peer &&
		    p->pings[i].token == g->token)
			return true;
	return false;
}

void ping_settle(struct path *p, uint32_t peer, uint64_t token)
{
	for (uint32_t i = p->n_cli_pings > 0 ? p->ping_oldest : NO_PING; i != NO_PING;
	     i = p->pings[i].next) {
		struct ping *g = &p->pings[i];

		if (g->why == WHY_CLI && g->peer == peer && g->token == token) {
			g->why = WHY_DISCOVERY;
			p->n_cli_pings--;
		}
	}
}

/* data-plane.md 2.12, on_ping_timeout */
static void timed_out(struct path *p, mono_t now, const struct ping *g)
{
	struct known *k = known_at(p, g->peer);

	if (k && k->live && ipport_eq(&k->live->best.addr, &g->to) && !live_trusted(k->live, now)) {
		live_doubt(p, k->live);
		live_rearm(p, now, k->live);
	}
	if (g->why == WHY_CLI && !has_twin(p, g))
		path_say(p, &(struct path_event){
				.type = PATH_EV_PING_TIMEOUT, .peer = g->peer, .token = g->token });
}

void ping_tick(struct path *p, mono_t now)
{
	while (mono_due(ping_deadline(p), now)) {
		struct ping g = ping_take(p, p->ping_oldest);

		timed_out(p, now, &g);
	}
}

mono_t ping_deadline(const struct path *p)
{
	return p->ping_oldest == NO_PING
		   ? MONO_NEVER
		   : mono_add(p->pings[p->ping_oldest].at, SPAN_S(PING_TIMEOUT_S));
}

/* Nothing could be sent: the one who asked hears it at once. */
static void ping_impossible(struct path *p, uint32_t peer, uint64_t token)
{
	path_say(
	    p, &(struct path_event){ .type = PATH_EV_PING_TIMEOUT, .peer = peer, .token = token });
}

/* Bytes behind a ping so that the whole IP packet has the size asked for */
static size_t padding_for(const struct ipport *to, size_t size)
{
	size_t least = (ip_is_v4(&to->ip) ? 20 : 40) + 8 + DISCO_OVERHEAD + DISCO_PING_LEN;

	if (size <= least)
		return 0;
	return MIN_OF(size - least, (size_t)DISCO_PLAIN_MAX - DISCO_PING_LEN);
}

size_t ping_padding_whole(const struct ipport *to)
{
	return padding_for(to, (ip_is_v4(&to->ip) ? 20 : 40) + 8 + WHOLE_LEN);
}

void path_ping(struct path *p, mono_t now, uint32_t peer, uint64_t token, size_t size)
{
	struct path_route r = path_route(p, now, peer);
	struct known *k = known_at(p, peer);
	struct live *l = live_get(p, now, peer);
	bool sent = false;

	if (!l || k->wireguard_only || p->n_cli_pings + 2 > CLI_PINGS_MAX) {
		ping_impossible(p, peer, token);
		return;
	}
	if (!ip_is_zero(&r.udp.ip))
		sent = ping_send(p, now, l, &r.udp, 0, WHY_CLI, token, padding_for(&r.udp, size));
	if (r.derp != 0 && ping_send(p, now, l, NULL, r.derp, WHY_CLI, token, 0))
		sent = true;
	if (!sent)
		ping_impossible(p, peer, token);
}

void path_greet(struct path *p, mono_t now, uint32_t peer)
{
	struct path_route r = path_route(p, now, peer);
	const struct known *k = known_at(p, peer);
	struct live *l = live_get(p, now, peer);

	if (!l || k->wireguard_only)
		return;
	if (!ip_is_zero(&r.udp.ip))
		(void)ping_send(p, now, l, &r.udp, 0, WHY_GREET, 0, 0);
	if (r.derp != 0)
		(void)ping_send(p, now, l, NULL, r.derp, WHY_GREET, 0, 0);
}
