/* netstack/tcp_user_test.c - the ports and timestamps of connections that are made one after the
 * other */
#include <errno.h>

#include "netstack/stack.h"
#include "tests/netstack_pair.h"

static struct seed_rng rng;
static struct netstack *ns;
static const struct ipport any;

static void begin(uint64_t seed)
{
	const struct netstack_conf conf = { .rng = &rng.rng, .mtu = 1280 };
	const struct ip own = ip_v4(100, 64, 0, 1);

	seed_rng_init(&rng, seed);
	ns = netstack_new(&conf);
	ck_assert_ptr_nonnull(ns);
	ck_assert_int_eq(netstack_addr_add(ns, &own), 0);
}

static const struct tcp_conn *connect_to(const struct ipport *to, mono_t now, struct ns_id *id)
{
	ck_assert_int_eq(ns_tcp_connect(ns, now, &any, to, id), 0);
	return conn_table_get(&ns->table, id->index, id->generation);
}

TEST(a_port_towards_one_end_comes_again_only_when_all_others_had_their_turn)
{
	const struct ipport to = { ip_v4(100, 64, 0, 2), 80 }, other = { ip_v4(100, 64, 0, 3), 80 };
	static bool used[65536];
	uint16_t first = 0;
	struct ns_id id;
	unsigned n = 0;

	begin(1);
	memset(used, 0, sizeof used);
	for (;; n++) {
		const uint16_t port = connect_to(&to, (mono_t){ NS_PER_S }, &id)->local.port;

		ns_tcp_abort(ns, (mono_t){ NS_PER_S }, id);
		ck_assert_uint_ge(port, 32768);
		if (n == 0)
			first = port;
		if (used[port]) {
			ck_assert_uint_eq(port, first);
			break;
		}
		used[port] = true;
		if (n % 1000 == 0) { /* somebody else's do not shorten the round by much */
			connect_to(&other, (mono_t){ NS_PER_S }, &id);
			ns_tcp_abort(ns, (mono_t){ NS_PER_S }, id);
		}
	}
	ck_assert_uint_ge(n, 28000);
	netstack_free(ns);
}

TEST(ports_that_are_taken_are_passed_over_and_none_is_told)
{
	const struct ipport to = { ip_v4(100, 64, 0, 2), 80 };
	struct ns_id id;

	begin(2);
	ns->conf.max_conns = 40000;
	for (unsigned i = 0; i < 28232; i++)
		connect_to(&to, (mono_t){ NS_PER_S }, &id);
	ck_assert_int_eq(ns_tcp_connect(ns, (mono_t){ NS_PER_S }, &any, &to, &id), -ENOBUFS);
	netstack_free(ns);
}

/* Nobody can tell from the ports at one end where those at another are, or how much was made. */
TEST(ports_begin_elsewhere_at_each_end_and_in_each_life)
{
	struct ns_id id;
	uint16_t at[8];

	for (unsigned i = 0; i < 8; i++) {
		const struct ipport to = { ip_v4(100, 64, 0, (uint8_t)(2 + i / 2)), 80 };

		begin(3 + i % 2);
		at[i] = connect_to(&to, (mono_t){ NS_PER_S }, &id)->local.port;
		for (unsigned k = 0; k < i; k++)
			ck_assert_uint_ne(at[i], at[k]);
		netstack_free(ns);
	}
}

/* RFC 6191 2: a new connection of the same four numbers is told from an old one by its timestamps.
 */
TEST(timestamps_of_the_same_four_numbers_go_on)
{
	const struct ipport from = { ip_v4(100, 64, 0, 1), 40000 },
			    to = { ip_v4(100, 64, 0, 2), 80 };
	uint32_t isn = 0, offset = 0;

	begin(5);
	for (int i = 1; i < 4; i++) {
		const mono_t now = { i * NS_PER_S };
		const struct tcp_conn *c;
		struct ns_id id;

		ck_assert_int_eq(ns_tcp_connect(ns, now, &from, &to, &id), 0);
		c = conn_table_get(&ns->table, id.index, id.generation);
		if (i > 1) {
			ck_assert_uint_eq(c->iss - isn, 250000);
			ck_assert_uint_eq(c->ts_offset, offset);
		}
		isn = c->iss;
		offset = c->ts_offset;
		ns_tcp_abort(ns, now, id);
	}
	netstack_free(ns);
}
