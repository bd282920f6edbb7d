/* node/ping_test.c - pings inside the tunnel: whose answer counts, how many may be under way */
#include "node/node_priv.h"
#include "tests/node_fixture.h"

static const mono_t start = { 1000 * NS_PER_S };
static const wall_t wall = { 1790000000 * NS_PER_S };
static struct ip them;

static void setup(void)
{
	struct err e = { 0 };
	char map[1024];

	node_fixture_init();
	ck_assert(ip_parse(bytes_str("100.64.0.2"), &them));
	snprintf(map, sizeof map,
		 "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.test.\",\"Key\":"
		 "\"nodekey:%064d\",\"Addresses\":[\"100.64.0.1/32\"],\"MachineAuthorized\":true},"
		 "\"Peers\":[{\"ID\":2,\"StableID\":\"n2\",\"Name\":\"b.tail.test.\",\"Key\":"
		 "\"nodekey:%064d\",\"Addresses\":[\"100.64.0.2/32\"],\"AllowedIPs\":[\"100.64.0."
		 "2/32\"]}]}",
		 1, 2);
	ck_assert_msg(node_load_netmap(node, start, wall, bytes_str(map), &e) == 0, "%s", e.text);
}

/* how many pings are told of; the last one into r */
static size_t pongs(mono_t now, struct node_ping_result *r)
{
	struct node_effect ef;
	size_t n = 0;

	while (node_next(node, now, wall, &ef))
		if (ef.type == NODE_PONG) {
			*r = ef.ping;
			n++;
		}
	return n;
}

static void reply(mono_t now, uint16_t id, uint16_t seq, const void *data, size_t len)
{
	const struct ns_event ev = { .type = NS_ECHO_REPLY,
				     .remote = { .ip = them },
				     .echo_id = id,
				     .echo_seq = seq,
				     .data = bytes_of(data, len) };

	node_ping_echo_reply(node, now, &ev);
}

enum { ECHO_ID = 0x7470 };

TEST(an_echo_reply_is_an_answer_with_the_bytes_that_were_sent)
{
	struct node_ping_result r = { 0 };
	const mono_t later = mono_add(start, SPAN_MS(30));
	uint8_t id[sizeof node->pings[0].id];

	setup();
	node_ping(node, start, NODE_PING_ICMP, &them, 7, 0);
	ck_assert(node->pings[0].used);
	memcpy(id, node->pings[0].id, sizeof id);
	id[3] ^= 1;
	reply(later, ECHO_ID, 0, id, sizeof id); /* made up */
	id[3] ^= 1;
	reply(later, ECHO_ID, 0, id, sizeof id - 1);
	reply(later, ECHO_ID, 1, id, sizeof id);
	reply(later, ECHO_ID, UINT16_MAX, id, sizeof id);
	reply(later, ECHO_ID + 1, 0, id, sizeof id);
	ck_assert_uint_eq(pongs(later, &r), 0);
	reply(later, ECHO_ID, 0, id, sizeof id);
	ck_assert_uint_eq(pongs(later, &r), 1);
	ck_assert_uint_eq(r.token, 7);
	ck_assert_ptr_null(r.error);
	ck_assert_int_eq(r.latency.ns, SPAN_MS(30).ns);
	reply(later, ECHO_ID, 0, id, sizeof id); /* twice */
	ck_assert_uint_eq(pongs(later, &r), 0);
	node_fixture_fini();
}

TEST(an_answer_that_comes_after_the_time_out_is_none_to_the_next_ping)
{
	struct node_ping_result r = { 0 };
	const mono_t over = mono_add(start, SPAN_S(5));
	uint8_t id[sizeof node->pings[0].id];

	setup();
	node_ping(node, start, NODE_PING_ICMP, &them, 1, 0);
	memcpy(id, node->pings[0].id, sizeof id);
	ck_assert_int_eq(node_ping_deadline(node).ns, over.ns);
	node_ping_tick(node, (mono_t){ over.ns - 1 });
	ck_assert_uint_eq(pongs(over, &r), 0);
	node_ping_tick(node, over);
	ck_assert_uint_eq(pongs(over, &r), 1);
	ck_assert_str_eq(r.error, "timeout");
	node_ping(node, over, NODE_PING_ICMP, &them, 2, 0);
	reply(over, ECHO_ID, 0, id, sizeof id);
	ck_assert_uint_eq(pongs(over, &r), 0);
	node_fixture_fini();
}

TEST(more_pings_than_there_is_room_for_are_refused_at_once)
{
	struct node_ping_result r = { 0 };

	setup();
	for (uint64_t i = 0; i < NODE_PINGS_MAX; i++)
		node_ping(node, start, NODE_PING_TSMP, &them, i, 0);
	ck_assert_uint_eq(pongs(start, &r), 0);
	node_ping(node, start, NODE_PING_ICMP, &them, 99, 0);
	ck_assert_uint_eq(pongs(start, &r), 1);
	ck_assert_uint_eq(r.token, 99);
	ck_assert_str_eq(r.error, "too many pings at once");
	node_ping_tick(node, mono_add(start, SPAN_S(5)));
	ck_assert_uint_eq(pongs(start, &r), NODE_PINGS_MAX);
	ck_assert(mono_is_never(node_ping_deadline(node)));
	node_fixture_fini();
}

TEST(nobody_there_is_said_at_once)
{
	struct node_ping_result r = { 0 };
	struct ip nobody, other_family;

	setup();
	ck_assert(ip_parse(bytes_str("100.64.0.9"), &nobody));
	ck_assert(ip_parse(bytes_str("fd7a:115c:a1e0::2"), &other_family));
	node_ping(node, start, NODE_PING_ICMP, &nobody, 1, 0);
	ck_assert_uint_eq(pongs(start, &r), 1);
	ck_assert_str_eq(r.error, "no matching peer");
	node_ping(node, start, NODE_PING_TSMP, &other_family, 2, 0);
	ck_assert_uint_eq(pongs(start, &r), 1);
	ck_assert_str_eq(r.error, "no matching peer");
	node_fixture_fini();
}

/* Greetings go out four times a second and wait for five: four peers that are away would take all
 * the places there are for pings. */
TEST(peers_that_are_away_take_no_place_of_a_ping_to_another)
{
	struct node_ping_result r = { 0 };
	mono_t now = start;
	struct err e = { 0 };
	struct buf map;

	setup();
	buf_init(&map, 1 << 16);
	ck_assert(buf_printf(&map,
			     "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.test.\","
			     "\"Key\":\"nodekey:%064d\",\"Addresses\":[\"100.64.0.1/32\"],"
			     "\"MachineAuthorized\":true},\"Peers\":[",
			     1));
	for (int i = 2; i < 12; i++)
		ck_assert(
		    buf_printf(&map,
			       "%s{\"ID\":%d,\"StableID\":\"n%d\",\"Name\":\"n%d.tail.test.\","
			       "\"Key\":\"nodekey:%064d\",\"DiscoKey\":\"discokey:%064d\","
			       "\"HomeDERP\":1,\"Addresses\":[\"100.64.0.%d/32\"]}",
			       i > 2 ? "," : "", i, i, i, i, i + 100, i));
	ck_assert(buf_printf(&map, "]}"));
	ck_assert_msg(node_load_netmap(node, start, wall, buf_bytes(&map), &e) == 0, "%s", e.text);
	buf_fini(&map);
	for (uint8_t i = 3; i < 12; i++) {
		const struct ip a = ip_v4(100, 64, 0, i);
		uint32_t peer = wg_route(node->wg, &a);
		struct pkt p = { (uint8_t[PKT_HEAD + 40 + PKT_TAIL]){ 0 } + PKT_HEAD, 40, PKT_HEAD,
				 PKT_TAIL };

		ck_assert_uint_eq(wg_seal(node->wg, now, wall, peer, &p, 1), 0);
		node_greet_start(node, now, peer);
	}
	for (int i = 0; i < 40; i++) { /* ten seconds */
		now = mono_add(now, SPAN_MS(250));
		node_tick(node, now, wall);
		ck_assert_uint_eq(pongs(now, &r), 0);
	}
	node_ping(node, now, NODE_PING_DISCO, &them, 7, 0);
	ck_assert_uint_eq(pongs(now, &r), 0); /* it waits for its answer */
	node_fixture_fini();
}
