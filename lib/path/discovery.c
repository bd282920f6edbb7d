/* path/discovery.c - when to ping what, and when to ask the peer to ping us
 * (data-plane.md 2.4, 2.5, 2.12)
 *
 * Our pings open our own firewall and NAT; the call-me-maybe, sent after them through the relay,
 * makes the peer do the same towards us. It lists our endpoints, so they must be fresh: if they are
 * older than 27 s the host is asked for a STUN round first, and what waits goes out with
 * path_set_endpoints. The call follows the pings after a moment, in which a peer answers what came
 * with them: the stock client calls back when it first sends, unless it was called before.
 *
 * Departs from the stock client, which leaves it to the next round, 6 s later: our first ping often
 * meets a filter that the peer's pings open a moment after it. So a ping that waits for its answer
 * is repeated when the peer's own comes in from there, and REPEAT_S after the call, for peers whose
 * pings cannot come in. Once only, whatever the reason, so what a peer sends makes us send at most
 * one ping for each that we sent by ourselves, and one to each new address of a peer in use.
 */
#include "path/path_priv.h"

#include <string.h>

static bool is_direct(const struct live *l)
{
	return !ip_is_zero(&l->best.addr.ip);
}

bool discovery_wanted(const struct live *l, mono_t now)
{
	if (!is_direct(l) || !live_trusted(l, now) || l->last_full.ns == LONG_AGO.ns)
		return true;
	return l->best.latency.ns > GOOD_LATENCY.ns &&
	       mono_sub(now, l->last_full).ns >= SPAN_S(UPGRADE_S).ns;
}

static void call_send(struct path *p, mono_t now, struct live *l)
{
	const struct out o = { .type = DISCO_CALL_ME_MAYBE,
			       .peer = l->peer,
			       .derp = known_derp(&p->peers[l->peer]) };

	l->last_call = now;
	l->call_at = MONO_NEVER;
	if (o.derp == 0 || !out_push(p, &o))
		return;
	l->repeat_at = mono_add(now, SPAN_S(REPEAT_S));
	live_rearm(p, now, l);
}

static void call_want(struct path *p, mono_t now, struct live *l)
{
	if (mono_sub(now, p->own_at).ns <= SPAN_S(FRESH_S).ns) {
		l->last_call = now;
		l->call_at = mono_add(now, CALL_AFTER);
		live_rearm(p, now, l);
		return;
	}
	l->wants_cmm = true;
	if (mono_is_never(p->stun_wait_until)) {
		p->want_stun = true;
		p->stun_wait_until = mono_add(now, SPAN_S(STUN_WAIT_S));
	}
}

void discovery_call(struct path *p, mono_t now, struct live *l)
{
	call_send(p, now, l);
}

void discovery_fresh(struct path *p, mono_t now, bool changed)
{
	p->want_stun = false;
	p->stun_wait_until = MONO_NEVER;
	for (size_t i = 0; i < p->n_heap; i++) {
		struct live *l = p->heap[i];
		bool misled = changed && !live_trusted(l, now) && live_active(l, now) &&
			      mono_sub(now, l->last_call).ns <= SPAN_S(FRESH_S).ns;

		if (l->wants_cmm || misled)
			call_send(p, now, l);
		l->wants_cmm = false;
	}
}

/* The peer called, so our pings went out; by now we have traffic for it. It must ping once more to
 * profit from them. The limit ends the echo between two that both do so. */
static bool calls_back(const struct live *l, mono_t now)
{
	return l->owes_call && mono_due(mono_add(l->last_call, SPAN_S(PING_GAP_S)), now);
}

void discovery_round(struct path *p, mono_t now, struct live *l, bool call)
{
	mono_t next = mono_add(now, SPAN_S(PING_GAP_S));
	size_t sent = 0;

	if (p->derp_only)
		return;
	l->last_full = now;
	cand_prune(p, now, l);
	for (size_t i = 0; i < l->n_cands; i++) {
		struct cand *c = &l->cands[i];
		mono_t may = c->narrow ? mono_add(c->narrow_at, SPAN_S(NARROW_S))
				       : mono_add(c->last_ping, SPAN_S(PING_GAP_S));

		if (mono_due(may, now) && c->narrow) {
			c->narrow_at = now;
			sent += ping_send(p, now, l, &c->addr, 0, WHY_WHOLE, 0,
					  ping_padding_whole(&c->addr));
		} else if (mono_due(may, now)) {
			c->repeated = false;
			sent += ping_send(p, now, l, &c->addr, 0, WHY_DISCOVERY, 0, 0);
		} else {
			next = mono_min(next, may);
		}
	}
	l->next_full = next;
	if (call && (sent > 0 || calls_back(l, now)) && known_derp(&p->peers[l->peer]) != 0)
		call_want(p, now, l);
	l->owes_call = !call && (sent > 0 || l->owes_call);
}

void discovery_beat(struct path *p, mono_t now, struct live *l)
{
	const struct cand *best;

	if (!live_active(l, now) || p->derp_only) {
		l->beat_at = MONO_NEVER;
		return;
	}
	l->beat_at = mono_add(now, SPAN_S(HEARTBEAT_S));
	whole_start(l, now);
	/* The round comes first: a lone best address then counts as pinged by it, and the call
	 * follows. */
	if (discovery_wanted(l, now))
		discovery_round(p, now, l, true);
	best = is_direct(l) ? cand_find(l, &l->best.addr) : NULL;
	if (best && mono_before(best->last_ping, now))
		(void)ping_send(p, now, l, &l->best.addr, 0, WHY_HEARTBEAT, 0, 0);
}

/* Ours waits for its answer still, and was sent once only. */
static bool may_repeat(const struct live *l, const struct cand *c, mono_t now)
{
	return !c->repeated && !c->narrow && !live_trusted(l, now) &&
	       !mono_before(c->last_ping, c->last_pong) &&
	       !mono_due(mono_add(c->last_ping, SPAN_S(PING_TIMEOUT_S)), now);
}

static void repeat(struct path *p, mono_t now, struct live *l, struct cand *c)
{
	if (may_repeat(l, c, now))
		c->repeated = ping_send(p, now, l, &c->addr, 0, WHY_DISCOVERY, 0, 0);
}

void discovery_heard(struct path *p, mono_t now, struct live *l, struct cand *c)
{
	if (c->last_ping.ns != LONG_AGO.ns)
		repeat(p, now, l, c);
	else if (live_active(l, now) && !live_trusted(l, now)) /* as the next packet would */
		(void)ping_send(p, now, l, &c->addr, 0, WHY_DISCOVERY, 0, 0);
}

void discovery_repeat(struct path *p, mono_t now, struct live *l)
{
	l->repeat_at = MONO_NEVER;
	for (size_t i = 0; i < l->n_cands; i++)
		repeat(p, now, l, &l->cands[i]);
}

void discovery_called(struct path *p, mono_t now, struct live *l, struct rd endpoints, size_t n)
{
	bool was_trusted = live_trusted(l, now);
	struct ipport addr;

	for (size_t i = 0; i < l->n_cands; i++)
		l->cands[i].called = false;
	for (size_t i = 0; i < n && disco_endpoint_next(&endpoints, &addr); i++) {
		struct cand *c;

		if (i >= PATH_ENDPOINTS_MAX) {
			path_drop(p, PATH_DROP_ENDPOINT_LIMIT);
			continue;
		}
		c = cand_add(p, now, l, &addr);
		if (c)
			c->called = true;
	}
	/* it would not call if it were content with the path: ours has to answer now, or traffic
	 * goes by the relay too */
	l->trust_until = mono_min(l->trust_until, mono_add(now, SPAN_S(CALLED_TRUST_S)));
	for (size_t i = 0; i < l->n_cands; i++)
		l->cands[i].last_ping = LONG_AGO;
	discovery_round(p, now, l, false); /* forgets what only an earlier call named */
	l->owes_call &= !was_trusted;
	if (live_active(l, now))
		discovery_round(p, now, l, true); /* nothing to ping, but perhaps to call back */
	live_rearm(p, now, l);
}
