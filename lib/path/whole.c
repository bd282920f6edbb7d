/* path/whole.c - does an address carry full packets?
 *
 * Pings are small: where a link on the way is too narrow and the ICMP that would say so is blocked,
 * they come through and data does not. So from time to time the address in use gets a ping as large
 * as a full WireGuard datagram, unfragmented as the peer's are, and a small one beside it. When
 * small ones are answered and WHOLE_TRIES large ones in a row are not, the address is called
 * narrow: neither used nor, for small pings, answered, so that the peer gives it up too, and
 * traffic goes by another address or the relay. A large ping half a minute later may prove the
 * opposite. Large pings are answered everywhere, else two that doubt would never meet again.
 *
 * The stock client never learns of such a hole: its traffic stops.
 */
#include "path/path_priv.h"

void whole_renew(struct live *l)
{
	l->whole_at = MONO_NEVER;
	l->whole_sent = LONG_AGO;
	l->n_whole_lost = 0;
	l->whole_waits = false;
}

void whole_start(struct live *l, mono_t now)
{
	if (mono_is_never(l->whole_at) && live_trusted(l, now) &&
	    mono_due(mono_add(l->whole_sent, SPAN_S(WHOLE_S)), now))
		l->whole_at = now;
}

/* The link is likely to be the other addresses' too: they have to prove themselves by large pings,
 * which go out with the next traffic. */
static void give_up(struct path *p, mono_t now, struct live *l, struct cand *which)
{
	for (size_t i = 0; i < l->n_cands; i++) {
		struct cand *c = &l->cands[i];

		if (c != which && !c->narrow)
			c->narrow_at = LONG_AGO;
		c->narrow = true;
	}
	which->narrow_at = now;
	whole_renew(l);
	live_doubt(p, l);
	l->next_full = LONG_AGO;
}

void whole_tick(struct path *p, mono_t now, struct live *l)
{
	struct cand *c = cand_find(l, &l->best.addr);
	span_t wait = { MAX_OF(WHOLE_WAIT.ns, 2 * l->best.latency.ns) };
	bool comes_back = c && mono_before(l->whole_sent, c->last_pong);

	if (!c || !live_trusted(l, now) || !live_active(l, now) ||
	    (l->whole_waits && !comes_back)) {
		whole_renew(l); /* nothing is known; a heartbeat starts it again */
		return;
	}
	if (l->whole_waits)
		l->n_whole_lost++;
	if (l->n_whole_lost >= WHOLE_TRIES) {
		give_up(p, now, l, c);
		return;
	}
	l->whole_at = mono_add(now, wait);
	l->whole_sent = now;
	l->whole_waits =
	    ping_send(p, now, l, &c->addr, 0, WHY_WHOLE, 0, ping_padding_whole(&c->addr));
	if (l->whole_waits && mono_before(c->last_ping, now))
		(void)ping_send(p, now, l, &c->addr, 0, WHY_HEARTBEAT, 0, 0);
}

void whole_answered(struct live *l, struct cand *c)
{
	c->narrow = false;
	if (!ipport_eq(&l->best.addr, &c->addr))
		return;
	l->n_whole_lost = 0;
	l->whole_waits = false;
	l->whole_at = MONO_NEVER;
}
