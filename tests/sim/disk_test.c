/* tests/sim/disk_test.c - control is killed, or its disk refuses, at every write in turn: what was
 * acknowledged stays, and everybody talks afterwards
 *
 * The world itself watches that a node which was let in is known after every restart, with the
 * addresses that it was told, and that nobody else is told them (world.h).
 */
#include "tests/harness.h"
#include "tests/sim/world.h"

static const struct world_host easy_nat = { .mapping = NAT_ENDPOINT_INDEPENDENT,
					    .filtering = NAT_FILTER_PORT };

static void talks(struct world *w, int i, int j)
{
	int f = world_transfer(w, i, j, 5000);

	WORLD_CHECK(w, f >= 0 && world_until(w, SPAN_S(20), world_done, f, 0),
		    "%d does not reach %d", i, j);
}

static void removed_at_last(struct world *w, int i)
{
	for (int tries = 0; !world_remove(w, i); tries++) {
		WORLD_CHECK(w, tries < 5, "control does not remove node %d", i);
		world_run(w, SPAN_S(2));
	}
}

/* Three join with keys for one login each, one is removed, a fourth joins. Returns whether the disk
 * failed. */
static bool life(enum world_disk fault, unsigned after)
{
	struct world *w = world_new(1 + after);
	struct world_host host = easy_nat;
	bool struck;

	host.once = true;
	world_disk(w, fault, after);
	for (int i = 0; i < 3; i++) {
		world_add(w, &host);
		world_run(w, SPAN_MS(300));
	}
	WORLD_CHECK(w, world_until(w, SPAN_S(30), world_meshed, 3, 0), "the nodes do not meet");
	removed_at_last(w, 0);
	world_run(w, SPAN_S(10));
	world_add(w, &host);
	WORLD_CHECK(w, world_until(w, SPAN_S(30), world_running, 3, 0), "the fourth does not join");
	WORLD_CHECK(w, world_until(w, SPAN_S(30), world_knows, 1, 3), "1 does not know 3");
	world_control_restart(w);
	world_run(w, SPAN_S(10));
	WORLD_CHECK(w, world_gone(w, 0, 0), "the removed node is back");
	WORLD_CHECK(w, world_forgot(w, 1, 0) && world_forgot(w, 2, 0), "it is still known");
	talks(w, 1, 2);
	talks(w, 3, 1);
	struck = world_disk_strikes(w) > 0;
	world_free(w);
	return struck;
}

TEST(control_killed_at_every_write_in_turn_loses_nothing_acknowledged)
{
	for (enum world_disk f = WORLD_DISK_DIES_BEFORE; f <= WORLD_DISK_DIES_AFTER; f++) {
		unsigned n = 0;

		while (life(f, n))
			n++;
		ck_assert_uint_gt(n, 10); /* so many transactions there were to fail */
	}
}

/* Two hosts have one key for one login: whatever happens, one gets in, and one does not. */
static bool one_key(enum world_disk fault, unsigned after)
{
	struct world *w = world_new(100 + after);
	struct world_host host = { .once = true };
	bool a, b, struck;

	world_add(w, &host);
	host.key_of = 1;
	world_disk(w, fault, after);
	world_add(w, &host);
	world_run(w, SPAN_S(60));
	world_control_restart(w);
	world_run(w, SPAN_S(60));
	a = world_at_control(w, 0, 0);
	b = world_at_control(w, 1, 0);
	WORLD_CHECK(w, a != b, "of two nodes with a key for one login %s",
		    a ? "both are in" : "none is");
	WORLD_CHECK(w, world_running(w, a ? 0 : 1, 0), "the one that control knows does not run");
	struck = world_disk_strikes(w) > 0;
	world_free(w);
	return struck;
}

TEST(key_for_one_login_lets_one_in_even_when_the_answer_was_lost)
{
	for (enum world_disk f = WORLD_DISK_DIES_BEFORE; f <= WORLD_DISK_DIES_AFTER; f++) {
		unsigned n = 0;

		while (one_key(f, n))
			n++;
		ck_assert_uint_gt(n, 1);
	}
}

TEST(address_of_the_newest_node_serves_nobody_else_when_it_is_removed_and_control_restarts)
{
	struct world *w = world_new(2);
	struct world_host host = easy_nat;

	host.once = true;
	for (int i = 0; i < 3; i++) {
		world_add(w, &host);
		WORLD_CHECK(w, world_until(w, SPAN_S(10), world_running, i, 0), "no start");
	}
	ck_assert(world_remove(w, 2));
	world_control_restart(w);
	world_add(w, &host); /* the world compares its addresses with those of 2 */
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, 4, 0), "the nodes do not meet");
	talks(w, 3, 0);
	world_free(w);
}

TEST(disk_that_is_full_stops_control_and_no_flow_and_all_is_well_once_there_is_room)
{
	struct world *w = world_new(3);
	int f;

	for (int i = 0; i < 2; i++)
		world_add(w, &easy_nat);
	WORLD_CHECK(w, world_until(w, SPAN_S(10), world_meshed, 2, 0), "the nodes do not meet");
	world_run(w, SPAN_S(10));
	world_add(w, &easy_nat); /* has a key; joins while there is no room */
	world_disk(w, WORLD_DISK_FULL, 0);
	f = world_open(w, 0, 1);
	for (int i = 0; i < 20; i++) {
		world_push(w, f, 1000);
		WORLD_CHECK(w, world_until(w, SPAN_S(5), world_settled, f, 0), "the flow hangs");
		world_run(w, SPAN_S(15));
		WORLD_CHECK(w, !world_running(w, 2, 0), "it was let in, and that was not kept");
	}
	ck_assert_uint_gt(world_disk_strikes(w), 2);
	world_disk(w, WORLD_DISK_GOOD, 0);
	WORLD_CHECK(w, world_until(w, SPAN_S(90), world_meshed, 3, 0), "the third does not join");
	talks(w, 2, 0);
	talks(w, 1, 2);
	world_free(w);
}

__attribute__((constructor)) static void limit(void)
{
	harness_timeout(60);
}
