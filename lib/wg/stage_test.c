/* wg/stage_test.c - packets that wait: in order, within a peer's number and everybody's budget */
#include <stdlib.h>

#include "tests/harness.h"
#include "wg/wg_priv.h"

static struct wg wg;
static struct live one, two;

static void setup(size_t budget)
{
	wg = (struct wg){ .staged_max = budget };
	one = two = (struct live){ 0 };
	one.staged_end = &one.staged;
	two.staged_end = &two.staged;
}

static void put(struct live *l, uint8_t first, uint32_t len)
{
	uint8_t data[2048] = { first };
	const struct pkt p = { .data = data, .len = len };

	wg_stage_put(&wg, l, &p);
}

/* the first byte of the oldest; -1: none waits */
static int take(struct live *l)
{
	struct staged *s = wg_stage_take(&wg, l);
	const int first = s ? s->mem[PKT_HEAD] : -1;

	free(s);
	return first;
}

static size_t cost(uint32_t len)
{
	return sizeof(struct staged) + PKT_HEAD + len + PKT_TAIL;
}

TEST(packets_come_out_in_order_and_more_may_follow_an_empty_stage)
{
	setup(1 << 20);
	for (uint8_t round = 0; round < 3; round++) {
		put(&one, 1, 100);
		put(&one, 2, 1280);
		ck_assert_uint_eq(wg.staged_bytes, cost(100) + cost(1280));
		ck_assert_int_eq(take(&one), 1);
		put(&one, 3, 1);
		ck_assert_int_eq(take(&one), 2);
		ck_assert_int_eq(take(&one), 3);
		ck_assert_int_eq(take(&one), -1);
		ck_assert_uint_eq(one.n_staged, 0);
		ck_assert_uint_eq(wg.staged_bytes, 0);
	}
}

TEST(of_too_many_packets_for_one_peer_the_oldest_goes)
{
	setup(16 << 20);
	for (int i = 0; i < STAGED_PEER_MAX + 3; i++)
		put(&one, (uint8_t)i, 100);
	ck_assert_uint_eq(one.n_staged, STAGED_PEER_MAX);
	ck_assert_uint_eq(wg.drops[WG_DROP_STAGE_FULL], 3);
	ck_assert_uint_eq(wg.staged_bytes, STAGED_PEER_MAX * cost(100));
	ck_assert_int_eq(take(&one), 3);
	wg_stage_flush(&wg, &one);
	ck_assert_uint_eq(wg.staged_bytes, 0);
}

TEST(a_peer_makes_room_from_its_own_and_never_from_another_ones)
{
	setup(cost(100) * 3);
	put(&one, 1, 100);
	put(&two, 10, 100);
	put(&two, 11, 100);
	put(&two, 12, 100); /* 10 gives way */
	ck_assert_uint_eq(wg.drops[WG_DROP_STAGE_FULL], 1);
	put(&one, 2, 300); /* all of its own gives way, and that is not enough */
	ck_assert_uint_eq(wg.drops[WG_DROP_STAGE_FULL], 3);
	ck_assert_int_eq(take(&one), -1);
	ck_assert_int_eq(take(&two), 11);
	ck_assert_int_eq(take(&two), 12);
	ck_assert_uint_eq(wg.staged_bytes, 0);
	put(&one, 3, 100);
	ck_assert_int_eq(take(&one), 3);
}

TEST(the_budget_is_used_to_its_last_byte_and_not_beyond)
{
	setup(cost(1000));
	put(&one, 1, 1001);
	ck_assert_uint_eq(wg.drops[WG_DROP_STAGE_FULL], 1);
	ck_assert_int_eq(take(&one), -1);
	put(&one, 2, 1000);
	ck_assert_uint_eq(wg.drops[WG_DROP_STAGE_FULL], 1);
	ck_assert_uint_eq(wg.staged_bytes, wg.staged_max);
	put(&one, 3, 2000); /* it would not fit even alone: what waits stays */
	ck_assert_int_eq(take(&one), 2);
}
