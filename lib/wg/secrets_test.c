/* wg/secrets_test.c - what a session keeps secret lies in slots of locked memory and goes with it
 */
#include "base/pkt.h"
#include "crypto/locked.h"
#include "tests/harness.h"
#include "wg/wg.h"

static const mono_t now = { NS_PER_S };
static const wall_t wall = { INT64_C(1790000000) * NS_PER_S };

/* Everything that a has to say, to b; how many datagrams. */
static size_t carry(struct wg *a, struct wg *b, const struct ipport *from)
{
	static struct wg_plain plain[BURST_MAX];
	struct wg_out out;
	size_t n = 0;

	while (wg_pull(a, now, wall, &out)) {
		n += out.n;
		(void)wg_feed(b, now, wall, from, out.v, out.n, plain);
	}
	return n;
}

TEST(session_keys_and_handshakes_lie_in_slots_and_go_with_the_peer)
{
	static const struct ipport at[2] = { { .port = 1 }, { .port = 2 } };
	uint8_t mem[PKT_SLOT] = { 0 };
	struct pkt p = { mem + PKT_HEAD, 32, PKT_HEAD, PKT_SLOT - PKT_HEAD - 32 };
	struct seed_rng rng;
	struct key_priv key[2];
	struct key_pub pub[2];
	struct wg *wg[2];

	seed_rng_init(&rng, 1);
	for (int i = 0; i < 2; i++) {
		struct wg_conf conf = { .rng = &rng.rng, .max_peers = 4, .staged_bytes = 65536 };

		key_gen(&key[i], &rng.rng);
		key_public(&pub[i], &key[i]);
		conf.key = key[i];
		wg[i] = wg_new(&conf);
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(wg_peer_add(wg[i], 0, &pub[1 - i]), 0);
	ck_assert_uint_eq(locked_count(), 0); /* a peer without traffic costs none */
	ck_assert_uint_eq(wg_seal(wg[0], now, wall, 0, &p, 1), 0);
	ck_assert_uint_eq(locked_count(), 1);
	ck_assert_uint_eq(carry(wg[0], wg[1], &at[0]), 1);
	ck_assert_uint_ge(carry(wg[1], wg[0], &at[1]), 1);
	ck_assert_uint_eq(locked_count(), 6); /* each: the handshake's, one key each way */
	wg_peer_del(wg[0], 0);
	ck_assert_uint_eq(locked_count(), 3);
	wg_free(wg[0]);
	wg_free(wg[1]);
	ck_assert_uint_eq(locked_count(), 0);
}
