/* netstack/conn_table_test.c - connections by addresses and by name, against a list */
#include "netstack/conn_table.h"

#include "netstack/tcp_conn.h"
#include "tests/harness.h"

enum { N = 3000 };

static const uint8_t key[SIPHASH_KEY_LEN] = { 1, 2, 3 };
static struct tcp_conn conn[N];

/* Few addresses and ports, so that most share something. */
static void set_ends(struct tcp_conn *c, unsigned i)
{
	*c = (struct tcp_conn){ .state = TCP_ESTABLISHED };
	c->local = (struct ipport){ { { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 } },
				    (uint16_t)(1 + i % 50) };
	c->remote =
	    (struct ipport){ { { [10] = 0xff, [11] = 0xff, 10, 0, (uint8_t)(i / 50 % 20), 2 } },
			     (uint16_t)(1 + i / 1000) };
}

TEST(conn_table_finds_what_is_in_it_and_nothing_else)
{
	static bool in[N];
	static uint32_t generation[N];
	struct conn_table t = { 0 };
	struct seed_rng r;
	uint32_t n = 0;
	bool ok = true;

	seed_rng_init(&r, 1);
	for (unsigned i = 0; i < N; i++)
		set_ends(&conn[i], i);
	ck_assert_ptr_null(conn_table_find(&t, key, &conn[0].local, &conn[0].remote));
	ck_assert_ptr_null(conn_table_get(&t, 0, 0));
	for (int round = 0; round < 20000; round++) {
		unsigned i = (unsigned)rng_below(&r.rng, N);
		struct tcp_conn *c = &conn[i];

		if (in[i]) {
			uint32_t index = c->index;

			conn_table_del(&t, c);
			ok = ok && !conn_table_get(&t, index, generation[i]); /* stale */
			n--;
		} else {
			ck_assert(conn_table_add(&t, key, c));
			generation[i] = t.slots[c->index].generation;
			ok = ok && generation[i] != 0; /* 0 names nothing */
			n++;
		}
		in[i] = !in[i];
		i = (unsigned)rng_below(&r.rng, N);
		c = &conn[i];
		ok = ok && conn_table_find(&t, key, &c->local, &c->remote) == (in[i] ? c : NULL);
		ok = ok && (!in[i] || conn_table_get(&t, c->index, generation[i]) == c);
		ok = ok && t.n == n;
	}
	ck_assert(ok);
	ck_assert_uint_gt(n, N / 3);
	conn_table_fini(&t);
}

TEST(conn_table_forgets_a_name_and_keeps_the_connection)
{
	struct conn_table t = { 0 };
	uint32_t generation;

	set_ends(&conn[0], 7);
	ck_assert(conn_table_add(&t, key, &conn[0]));
	generation = t.slots[conn[0].index].generation;
	conn_table_unname(&t, &conn[0]); /* the user has released it; its segments still come */
	ck_assert_ptr_null(conn_table_get(&t, conn[0].index, generation));
	ck_assert_ptr_eq(conn_table_find(&t, key, &conn[0].local, &conn[0].remote), &conn[0]);
	t.slots[conn[0].index].generation = UINT32_MAX;
	conn_table_unname(&t, &conn[0]);
	ck_assert_uint_eq(t.slots[conn[0].index].generation, 1); /* past 0 */
	conn_table_del(&t, &conn[0]);
	conn_table_fini(&t);
}

TEST(conn_table_does_not_give_segments_to_a_closed_connection)
{
	struct conn_table t = { 0 };

	set_ends(&conn[0], 7);
	set_ends(&conn[1], 7); /* the same four numbers again */
	ck_assert(conn_table_add(&t, key, &conn[0]));
	conn[0].state = TCP_CLOSED; /* its unread bytes wait for the user */
	ck_assert_ptr_null(conn_table_find(&t, key, &conn[1].local, &conn[1].remote));
	ck_assert(conn_table_add(&t, key, &conn[1]));
	ck_assert_ptr_eq(conn_table_find(&t, key, &conn[1].local, &conn[1].remote), &conn[1]);
	conn_table_del(&t, &conn[0]);
	ck_assert_ptr_eq(conn_table_find(&t, key, &conn[1].local, &conn[1].remote), &conn[1]);
	conn_table_del(&t, &conn[1]);
	conn_table_fini(&t);
}
