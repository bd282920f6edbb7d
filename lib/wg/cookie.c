/* wg/cookie.c - mac1 proves that the sender knows whom it talks to, mac2 that it receives at the
 * address it sends from
 *
 * Whitepaper 5.3, 5.4.4, 5.4.7. Every handshake message must carry a right mac1: it costs a
 * stranger our public key and us 0.3 us. Messages that pass are counted in a leaky bucket; when it
 * is full we are under load for the next second, and then only those with a right mac2 are worked
 * on, twenty a second from one address. Everybody else gets a cookie, which is a MAC over the
 * source address under a secret of ours that changes every two minutes: no memory for strangers.
 * The table of rates is of fixed size: in a set of four the source that has been quiet longest
 * makes room.
 */
#include "wg/cookie.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "crypto/key.h"

void wg_cookie_guard_init(struct cookie_guard *g, struct rng *rng)
{
	*g = (struct cookie_guard){ .seed = { rng_u64(rng), rng_u64(rng) } };
}

void wg_cookie_guard_fini(struct cookie_guard *g)
{
	free(g->rate);
	secret_wipe(g, sizeof *g);
}

bool wg_cookie_under_load(const struct cookie_guard *g, mono_t now)
{
	return g->started && mono_before(now, g->load_until);
}

bool wg_cookie_note_load(struct cookie_guard *g, mono_t now)
{
	if (!g->started) {
		g->started = true;
		g->level_at = g->load_until = now;
	}
	if (mono_before(g->level_at, now)) {
		int64_t gone = mono_sub(now, g->level_at).ns;

		g->level_ns = g->level_ns > gone ? g->level_ns - gone : 0;
		g->level_at = now;
	}
	if (g->level_ns < LOAD_LEVEL * (NS_PER_S / LOAD_DRAIN_PER_S))
		g->level_ns += NS_PER_S / LOAD_DRAIN_PER_S;
	if (g->level_ns >= LOAD_LEVEL * (NS_PER_S / LOAD_DRAIN_PER_S))
		g->load_until = mono_add(now, SPAN_MS(LOAD_STICKY_MS));
	return wg_cookie_under_load(g, now);
}

/* IPv4 whole, IPv6 by /64: who has one address there has them all */
static uint64_t source_of(const struct cookie_guard *g, const struct ip *from)
{
	struct rd r = rd_of(from->b, sizeof from->b);
	uint64_t hi = rd_be64(&r), lo = ip_is_v4(from) ? rd_be64(&r) : 0;
	unsigned __int128 m = (unsigned __int128)(hi ^ g->seed[0]) * (lo ^ g->seed[1]);

	return ((uint64_t)m ^ (uint64_t)(m >> 64)) | 1;
}

bool wg_cookie_rate_allows(struct cookie_guard *g, mono_t now, const struct ip *from,
			   bool *no_memory)
{
	const int64_t cost = NS_PER_S / RATE_PER_S;
	uint64_t source = source_of(g, from);
	struct rate_slot *set, *s;

	*no_memory = false;
	if (!g->rate) {
		g->rate = calloc((size_t)RATE_SETS * RATE_WAYS, sizeof *g->rate);
		*no_memory = !g->rate;
		if (!g->rate)
			return false;
	}
	s = set = g->rate + RATE_WAYS * ((source >> 1) % RATE_SETS);
	for (int i = 0; i < RATE_WAYS; i++) {
		if (set[i].source == source) {
			s = &set[i];
			break;
		}
		if (set[i].source == 0 ||
		    (s->source != 0 && set[i].spent_until_ns < s->spent_until_ns))
			s = &set[i];
	}
	if (s->source != source)
		*s = (struct rate_slot){ source, now.ns };
	if (s->spent_until_ns < now.ns)
		s->spent_until_ns = now.ns;
	if (s->spent_until_ns - now.ns > (RATE_BURST - 1) * cost)
		return false;
	s->spent_until_ns += cost;
	return true;
}

void wg_cookie_guard_idle(struct cookie_guard *g, mono_t now)
{
	if (g->rate && !wg_cookie_under_load(g, now)) {
		free(g->rate);
		g->rate = NULL;
	}
}

static bool mac_eq(const uint8_t *a, const uint8_t *b)
{
#ifdef FUZZING
	(void)a;
	(void)b;
	return true;
#else
	return secret_eq(a, b, MAC_LEN);
#endif
}

bool wg_mac1_check(const uint8_t mac1_key[static 32], const uint8_t *msg, size_t macs)
{
	uint8_t mac[MAC_LEN];

	blake2s_mac16(mac, bytes_of(mac1_key, 32), bytes_of(msg, macs));
	return mac_eq(mac, msg + macs);
}

static void cookie_of(struct cookie_guard *g, mono_t now, struct rng *rng,
		      const struct ipport *from, uint8_t out[static COOKIE_LEN])
{
	uint8_t source[18];
	struct wr w = wr_of(source, sizeof source);

	if (!g->has_secret || mono_due(g->secret_until, now)) {
		rng_fill(rng, g->secret, sizeof g->secret);
		g->secret_until = mono_add(now, SPAN_S(COOKIE_LIFE_S));
		g->has_secret = true;
	}
	wr_put(&w, from->ip.b, sizeof from->ip.b);
	wr_be16(&w, from->port);
	blake2s_mac16(out, bytes_of(g->secret, sizeof g->secret), bytes_of(source, sizeof source));
}

bool wg_mac2_check(struct cookie_guard *g, mono_t now, struct rng *rng, const struct ipport *from,
		   const uint8_t *msg, size_t macs)
{
	uint8_t cookie[COOKIE_LEN], mac[MAC_LEN];

	cookie_of(g, now, rng, from, cookie);
	blake2s_mac16(mac, bytes_of(cookie, sizeof cookie), bytes_of(msg, macs + MAC_LEN));
	return mac_eq(mac, msg + macs + MAC_LEN);
}

void wg_cookie_emit(struct cookie_guard *g, mono_t now, struct rng *rng, const struct ipport *from,
		    const uint8_t cookie_key[static 32], uint32_t receiver,
		    const uint8_t mac1[static MAC_LEN], uint8_t out[static MSG_COOKIE_LEN])
{
	uint8_t cookie[COOKIE_LEN];

	cookie_of(g, now, rng, from, cookie);
	le32_put(out, MSG_COOKIE);
	le32_put(out + COOKIE_RECEIVER, receiver);
	rng_fill(rng, out + COOKIE_NONCE, XAEAD_NONCE);
	xaead_seal(out + COOKIE_BODY, cookie, sizeof cookie, cookie_key, out + COOKIE_NONCE,
		   bytes_of(mac1, MAC_LEN));
}

bool wg_cookie_read(struct cookie *c, mono_t now, const uint8_t cookie_key[static 32],
		    const uint8_t mac1[static MAC_LEN], const uint8_t in[static MSG_COOKIE_LEN])
{
	uint8_t cookie[COOKIE_LEN];

	if (!xaead_open(cookie, in + COOKIE_BODY, COOKIE_LEN + TAG_LEN, cookie_key,
			in + COOKIE_NONCE, bytes_of(mac1, MAC_LEN)))
		return false;
	memcpy(c->value, cookie, sizeof c->value);
	c->until = mono_add(now, SPAN_S(COOKIE_LIFE_S));
	c->valid = true;
	return true;
}

void wg_macs_put(uint8_t *msg, size_t macs, const uint8_t mac1_key[static 32],
		 const struct cookie *c, mono_t now)
{
	blake2s_mac16(msg + macs, bytes_of(mac1_key, 32), bytes_of(msg, macs));
	if (c->valid && mono_before(now, c->until))
		blake2s_mac16(msg + macs + MAC_LEN, bytes_of(c->value, COOKIE_LEN),
			      bytes_of(msg, macs + MAC_LEN));
	else
		memset(msg + macs + MAC_LEN, 0, MAC_LEN);
}
