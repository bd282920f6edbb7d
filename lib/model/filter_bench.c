/* model/filter_bench.c - nanoseconds a packet: established TCP, a new flow under many rules, UDP
 * over many flows
 *
 * filter_bench [rules...]   (5 100 1000 10000 without arguments)
 */
#include "model/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const mono_t T = { 1000 * NS_PER_S };

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* rule i lets 100.64.i.0/24 and a range reach ports i to i + 10 */
static struct filter *filter_of(unsigned n)
{
	struct filter *f = filter_new(FILTER_FLOWS_DEFAULT);
	struct ip me = ip_v4(100, 64, 0, 1);
	struct ipprefix local = ipprefix_of(&me, 128);
	struct bytes text;
	struct buf b;
	bool ok = true;

	buf_init(&b, 16 << 20);
	ok &= buf_append(&b, "[", 1);
	for (unsigned i = 0; i < n; i++)
		ok &=
		    buf_printf(&b,
			       "%s{\"SrcIPs\":[\"100.64.%u.0/"
			       "24\",\"10.%u.0.1-10.%u.0.9\"],\"DstPorts\":[{\"IP\":\"100.64.0.1\","
			       "\"Ports\":{\"First\":%u,\"Last\":%u}}]}",
			       i ? "," : "", i & 255, i & 255, i & 255, i, i + 10);
	ok &= buf_append(&b, "]", 1);
	text = buf_bytes(&b);
	if (!ok || !f || filter_set_rules(f, &text, 1, NULL, NULL) < 0)
		abort();
	buf_fini(&b);
	if (filter_set_local(f, &local, 1, NULL, 0) != 0)
		abort();
	return f;
}

static void tcp(unsigned n_rules, uint8_t flags, int rounds, const char *what)
{
	unsigned last = n_rules - 1;
	uint8_t p[40] = { 0x45,
			  0,
			  0,
			  40,
			  0,
			  0,
			  0,
			  0,
			  64,
			  6,
			  0,
			  0,
			  100,
			  64,
			  (uint8_t)last,
			  7,
			  100,
			  64,
			  0,
			  1,
			  3,
			  0xe7,
			  (uint8_t)((last + 10) >> 8),
			  (uint8_t)(last + 10),
			  [32] = 0x50,
			  [33] = flags };
	struct filter *f = filter_of(n_rules);
	unsigned passed = 0;
	struct packet pkt;
	double start = now_ns();

	for (int i = 0; i < rounds; i++)
		passed += filter_in(f, T, p, sizeof p, false, &pkt) == FILTER_ACCEPT;
	printf("filter: %u rules, %s: %.1f ns%s\n", n_rules, what, (now_ns() - start) / rounds,
	       passed == (unsigned)rounds ? "" : " (refused!)");
	filter_free(f);
}

static void udp(unsigned flows, int rounds)
{
	uint8_t out[28] = { 0x45, 0,  0, 28, 0,   0,  0, 0, 64, 17, 0, 0,
			    100,  64, 0, 1,  100, 64, 0, 2, 0,  0,  0, 6 };
	uint8_t in[28] = { 0x45, 0,  0, 28, 0,   0,  0, 0, 64, 17, 0, 0,
			   100,  64, 0, 2,  100, 64, 0, 1, 0,  6,  0, 0 };
	struct filter *f = filter_of(5);
	unsigned passed = 0, x = 1;
	struct packet pkt;
	double start;

	for (unsigned i = 0; i < flows; i++) {
		out[20] = (uint8_t)(i >> 8);
		out[21] = (uint8_t)i;
		filter_out(f, T, out, sizeof out, &pkt);
	}
	start = now_ns();
	for (int i = 0; i < rounds; i++) { /* any of the flows, in no order */
		x = x * 1664525 + 1013904223;
		in[22] = (uint8_t)((x >> 8) % flows >> 8);
		in[23] = (uint8_t)((x >> 8) % flows);
		passed += filter_in(f, T, in, sizeof in, false, &pkt) == FILTER_ACCEPT;
	}
	printf("filter: UDP answer, one of %u flows: %.1f ns, %zu bytes held%s\n", flows,
	       (now_ns() - start) / rounds, filter_memory(f),
	       passed == (unsigned)rounds ? "" : " (refused!)");
	filter_free(f);
}

int main(int argc, char **argv)
{
	static const unsigned usual[] = { 5, 100, 1000, 10000 };

	tcp(5, 16, 10000000, "TCP without SYN");
	for (int i = 0; i < (argc > 1 ? argc - 1 : 4); i++)
		tcp(argc > 1 ? (unsigned)strtoul(argv[i + 1], NULL, 10) : usual[i], 2, 1000000,
		    "SYN that only the last allows");
	udp(1, 5000000);
	udp(1000, 5000000);
	udp(65536, 5000000);
	return 0;
}
