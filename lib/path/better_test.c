/* path/better_test.c - which address wins (data-plane.md 2.8), by table */
#include "path/better.h"
#include "tests/harness.h"

static struct path_quality quality(const char *addr, int64_t us)
{
	struct path_quality q = { .latency = SPAN_US(us) };

	if (addr)
		ck_assert_msg(ipport_parse(bytes_str(addr), &q.addr), "%s", addr);
	return q;
}

TEST(better_address_is_the_faster_one_weighed_by_its_nature)
{
	static const struct {
		const char *a;
		int64_t a_us;
		const char *b;
		int64_t b_us;
		bool better;
	} rows[] = {
		{ NULL, 0, "1.1.1.1:1", 9000, false },            /* none never wins */
		{ "1.1.1.1:1", 9000, NULL, 0, true },             /* anything beats none */
		{ "1.1.1.1:1", 1000, "1.1.1.1:1", 9000, false },  /* the same address */
		{ "1.1.1.1:1", 9800, "2.2.2.2:2", 10000, true },  /* 2 % faster */
		{ "1.1.1.1:1", 9900, "2.2.2.2:2", 10000, false }, /* 1 %: stay */
		{ "2.2.2.2:2", 10000, "1.1.1.1:1", 9900, false }, /* and not back either */
		{ "[2001:db8::1]:1", 10000, "1.1.1.1:1", 9100,
		  true }, /* IPv6 unless over 10 % slower */
		{ "[2001:db8::1]:1", 10000, "1.1.1.1:1", 8800, false },
		{ "1.1.1.1:1", 8800, "[2001:db8::1]:1", 10000, true },
		{ "192.168.1.1:1", 10000, "1.1.1.1:1", 8100,
		  true }, /* LAN unless over 20 % slower */
		{ "192.168.1.1:1", 10000, "1.1.1.1:1", 7900, false },
		{ "[fd00::1]:1", 10000, "192.168.1.1:1", 9500, true }, /* ULA has both */
		{ "127.0.0.1:1", 10000, "192.168.1.1:1", 7500,
		  true }, /* loopback 50 against 20 + 25 */
		{ "[fe80::1]:1", 10000, "192.168.1.1:1", 8500, true }, /* 40 against 20 + 15 */
		{ "1.1.1.1:1", 0, "2.2.2.2:2", 0, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct path_quality a = quality(rows[i].a, rows[i].a_us),
				    b = quality(rows[i].b, rows[i].b_us);

		ck_assert_msg(path_better(&a, &b) == rows[i].better, "row %zu", i);
	}
}

TEST(better_never_holds_in_both_directions)
{
	static const char *const addrs[] = { "1.1.1.1:1",  "2.2.2.2:2",    "[2001:db8::1]:1",
					     "10.0.0.1:1", "[fd00::1]:1",  "127.0.0.1:1",
					     "[::1]:1",    "169.254.0.1:1" };
	struct seed_rng r;

	seed_rng_init(&r, 5);
	for (int i = 0; i < 20000; i++) {
		struct path_quality a =
		    quality(addrs[rng_below(&r.rng, 8)], (int64_t)rng_below(&r.rng, 50000));
		struct path_quality b =
		    quality(addrs[rng_below(&r.rng, 8)], (int64_t)rng_below(&r.rng, 50000));

		ck_assert(!(path_better(&a, &b) && path_better(&b, &a)));
	}
}
