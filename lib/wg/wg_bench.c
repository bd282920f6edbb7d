/* wg_bench.c - ns per packet through wg_seal and wg_feed, bursts of 64; one core; handshakes a
 * second */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/aead.h"
#include "wg/wg.h"

enum { ROUNDS = 2000 };

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void fill(struct rng *r, void *buf, size_t len)
{
	static uint64_t x = 88172645463325252;

	(void)r;
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		((uint8_t *)buf)[i] = (uint8_t)x;
	}
}

static struct wg *wg[2];
static struct rng rng = { fill };
static const mono_t t0 = { NS_PER_S };
static const wall_t w0 = { INT64_C(1790000000) * NS_PER_S };
static const struct ipport from;

static void exchange(void)
{
	struct wg_plain plain[BURST_MAX];
	struct wg_out out;
	bool more = true;

	while (more) {
		more = false;
		for (int i = 0; i < 2; i++)
			while (wg_pull(wg[i], t0, w0, &out)) {
				(void)wg_feed(wg[1 - i], t0, w0, &from, out.v, out.n, plain);
				more = true;
			}
	}
}

static void start(void)
{
	struct key_priv key[2];

	key_gen(&key[0], &rng);
	key_gen(&key[1], &rng);
	for (int i = 0; i < 2; i++) {
		struct wg_conf conf = { key[i], &rng, 4, 65536 };
		struct ip ip = ip_v4(100, 64, 0, (uint8_t)(2 - i));
		struct ipprefix p = ipprefix_of(&ip, 128);
		struct key_pub pub;

		key_public(&pub, &key[1 - i]);
		wg[i] = wg_new(&conf);
		if (!wg[i] || wg_peer_add(wg[i], 0, &pub) != 0 ||
		    wg_peer_allow(wg[i], 0, &p, 1) != 0)
			abort();
	}
}

static void inner(struct pkt *p, uint8_t *mem, uint32_t len)
{
	*p = (struct pkt){ mem + PKT_HEAD, len, PKT_HEAD, (uint16_t)(PKT_SLOT - PKT_HEAD - len) };
	p->data[0] = 0x45;
	p->data[2] = (uint8_t)(len >> 8);
	p->data[3] = (uint8_t)len;
	p->data[12] = 100;
	p->data[13] = 64;
	p->data[14] = 0;
	p->data[15] = 1;
}

int main(void)
{
	static const uint32_t sizes[] = { 64, 1280, 1420 };
	static uint8_t mem[BURST_MAX][PKT_SLOT];
	struct pkt v[BURST_MAX];
	struct wg_plain out[BURST_MAX];
	int64_t t = now();

	for (int i = 0; i < 500; i++) {
		start();
		inner(&v[0], mem[0], 64);
		(void)wg_seal(wg[0], t0, w0, 0, v, 1);
		exchange();
		if (i < 499) {
			wg_free(wg[0]);
			wg_free(wg[1]);
		}
	}
	printf("two interfaces, handshake, first packet: %" PRId64 " us\n",
	       (now() - t) / 500 / 1000);
	printf("backend: %s\n%8s %10s %10s  ns per packet, bursts of %d\n", aead_backend_name(),
	       "bytes", "wg_seal", "wg_feed", BURST_MAX);
	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		int64_t seal = 0, open = 0;

		for (int r = 0; r < ROUNDS; r++) {
			for (size_t i = 0; i < BURST_MAX; i++)
				inner(&v[i], mem[i], sizes[s]);
			t = now();
			if (wg_seal(wg[0], t0, w0, 0, v, BURST_MAX) != BURST_MAX)
				return 1;
			seal += now() - t;
			t = now();
			if (wg_feed(wg[1], t0, w0, &from, v, BURST_MAX, out) != BURST_MAX)
				return 1;
			open += now() - t;
		}
		printf("%8u %10" PRId64 " %10" PRId64 "\n", sizes[s], seal / (ROUNDS * BURST_MAX),
		       open / (ROUNDS * BURST_MAX));
	}
	wg_free(wg[0]);
	wg_free(wg[1]);
	return 0;
}
