/* node/peer_test.c - one node and one WireGuard peer: what passes between them, by what control
 * says of the peer */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"
#include "node/node_priv.h"
#include "tests/harness.h"
#include "wire/checksum.h"
#include "wire/tsmp.h"

static struct seed_rng rng;
static struct node *node;
static struct wg *peer;
static struct key_priv our_key, their_key;
static const mono_t now = { 1000000000 };
static const wall_t wall = { 1790000000 * NS_PER_S };
static const struct ipport peer_at = { .ip = { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 9 } },
				       .port = 41641 };
static const struct ip us = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } },
		       them = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 2 } },
		       alias = { { [10] = 0xff, [11] = 0xff, 100, 99, 0, 7 } };

static char posted[4096]; /* on the last stream that the node dialed beside control's */

/* what came out on either side */
static uint8_t got[64][256];
static size_t got_len[64], n_got, n_peer_got;
static uint8_t peer_got[64][256];
static size_t peer_got_len[64];

static void load(const char *of_peer, const char *filter)
{
	struct key_pub a, b;
	char ta[KEY_TEXT_MAX], tb[KEY_TEXT_MAX], *json = NULL;
	struct err e = { 0 };
	int n;

	key_public(&a, &our_key);
	key_public(&b, &their_key);
	key_pub_text(KEY_NODE, &a, ta);
	key_pub_text(KEY_NODE, &b, tb);
	n = asprintf(
	    &json,
	    "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.test.\",\"Key\":\"%s\","
	    "\"Addresses\":[\"100.64.0.1/32\"],\"MachineAuthorized\":true},"
	    "\"Peers\":[{\"ID\":2,\"StableID\":\"n2\",\"Name\":\"b.tail.test.\",\"Key\":\"%s\","
	    "\"Addresses\":[\"100.64.0.2/32\"],\"AllowedIPs\":[\"100.64.0.2/32\"],"
	    "\"Endpoints\":[\"192.0.2.9:41641\"],\"IsWireGuardOnly\":true%s}],"
	    "\"PacketFilters\":{\"base\":%s},\"Domain\":\"tail.test\"}",
	    ta, tb, of_peer, filter);
	ck_assert_int_gt(n, 0);
	ck_assert_msg(node_load_netmap(node, now, wall, bytes_str(json), &e) == 0, "%s", e.text);
	free(json);
}

static const char everything[] =
    "[{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{\"First\":0,\"Last\":65535}}]}]";

static void setup(void)
{
	struct node_conf conf = { .rng = &rng.rng,
				  .control_url = "http://127.0.0.1:9",
				  .raw_packets = true };
	struct wg_conf wc = { .rng = &rng.rng, .max_peers = 4, .staged_bytes = 65536 };
	struct ipprefix any = { .ip = { { [10] = 0xff, [11] = 0xff } }, .bits = 96 };
	struct key_pub a;
	struct err e = { 0 };

	seed_rng_init(&rng, 5);
	key_gen(&our_key, &rng.rng);
	key_gen(&their_key, &rng.rng);
	key_gen(&conf.machine, &rng.rng);
	key_gen(&conf.disco, &rng.rng);
	conf.node = our_key;
	node = node_new(&conf, &e);
	ck_assert_msg(node != NULL, "%s", e.text);
	wc.key = their_key;
	peer = wg_new(&wc);
	key_public(&a, &our_key);
	ck_assert_int_eq(wg_peer_add(peer, 0, &a), 0);
	ck_assert_int_eq(wg_peer_allow(peer, 0, &any, 1), 0);
	n_got = n_peer_got = 0;
}

static void teardown(void)
{
	node_free(node);
	wg_free(peer);
}

static void keep(uint8_t (*v)[256], size_t *len, size_t *n, const struct pkt *p)
{
	ck_assert(*n < ARRAY_LEN(got) && p->len <= 256);
	memcpy(v[*n], p->data, p->len);
	len[(*n)++] = p->len;
}

static void to_peer(struct pkt *v, size_t count)
{
	struct wg_plain plain[BURST_MAX];
	const struct ipport from = { .ip = us, .port = 1 };
	size_t n = wg_feed(peer, now, wall, &from, v, count, plain);

	for (size_t i = 0; i < n; i++)
		keep(peer_got, peer_got_len, &n_peer_got, plain[i].pkt);
}

/* The peer's answer to a TSMP ping among what it got. */
static bool pong(struct burst *b)
{
	for (size_t i = 0; i < n_peer_got; i++) {
		struct packet p;
		struct tsmp m;
		uint8_t data[TSMP_PACKET_MAX];
		size_t len;
		struct pkt *out;

		if (packet_parse(peer_got[i], peer_got_len[i], &p) != PACKET_OK ||
		    p.proto != PROTO_TSMP ||
		    !tsmp_parse(
			bytes_of(peer_got[i] + p.transport_off, peer_got_len[i] - p.transport_off),
			&m) ||
		    m.kind != TSMP_PING)
			continue;
		m.kind = TSMP_PONG;
		len = tsmp_emit(&m, &p.dst, &p.src, data);
		burst_reset(b);
		out = burst_add(b, (uint32_t)len);
		memcpy(out->data, data, len);
		if (wg_seal(peer, now, wall, 0, out, 1) == 1)
			node_udp_recv(node, now, wall, &peer_at, out, 1);
		return true;
	}
	return false;
}

/* until neither side has anything to say */
static void exchange(void)
{
	struct node_effect ef;
	struct wg_out out;
	bool any = true;

	while (any) {
		any = false;
		while (node_next(node, now, wall, &ef)) {
			any = true;
			for (size_t i = 0; ef.type == NODE_INNER && i < ef.count; i++)
				keep(got, got_len, &n_got, &ef.v[i]);
			if (ef.type == NODE_DIAL && ef.stream > 0 && ef.stream < CONTROL_CONNS) {
				size_t len;

				ck_assert_str_eq(ef.host, "control.example");
				node_stream_opened(node, now, ef.stream);
				len = node_stream_pull(node, now, ef.stream, (uint8_t *)posted,
						       sizeof posted - 1);
				posted[len] = 0;
				node_stream_closed(node, now, ef.stream, NULL);
			}
			if (ef.type == NODE_UDP_SEND && ipport_eq(&ef.to, &peer_at))
				to_peer(ef.v, ef.count);
		}
		while (wg_pull(peer, now, wall, &out)) {
			any = true;
			node_udp_recv(node, now, wall, &peer_at, out.v, out.n);
		}
	}
}

/* An IPv4 packet of the peer to dst, by way of its WireGuard. */
static void peer_sends(struct burst *b, const struct ip *dst, uint8_t proto, uint8_t flags,
		       uint16_t dport)
{
	struct pkt *p;
	size_t sum_at = proto == PROTO_TCP ? 16 : 6;

	burst_reset(b);
	p = burst_add(b, 40);
	memset(p->data, 0, 40);
	memcpy(p->data, (uint8_t[]){ 0x45, 0, 0, 40, 0, 0, 0, 0, 64, proto }, 10);
	memcpy(p->data + 12, them.b + 12, 4);
	memcpy(p->data + 16, dst->b + 12, 4);
	memcpy(p->data + 20, (uint8_t[]){ 0x10, 0, (uint8_t)(dport >> 8), (uint8_t)dport }, 4);
	if (proto == PROTO_TCP)
		memcpy(p->data + 32, (uint8_t[]){ 0x50, flags }, 2);
	else
		p->data[25] = 20;
	checksum_store(p->data + 10, checksum_add(0, p->data, 20));
	checksum_store(p->data + 20 + sum_at,
		       checksum_add(checksum_pseudo(&them, dst, proto, 20), p->data + 20, 20));
	if (wg_seal(peer, now, wall, 0, p, 1) == 1)
		node_udp_recv(node, now, wall, &peer_at, p, 1);
	exchange();
}

static void sums_are_right(uint8_t *data, size_t len)
{
	struct packet p;

	ck_assert_int_eq(packet_parse(data, len, &p), PACKET_OK);
	ck_assert_uint_eq(checksum_fold(checksum_add(0, data, 20)), 0);
	ck_assert_uint_eq(checksum_fold(checksum_add(checksum_pseudo(&p.src, &p.dst, p.proto, 20),
						     data + 20, 20)),
			  0);
}

/* We send a UDP datagram to the peer from port 7000, so that its answers belong to a flow. */
static void we_send(struct burst *b, const struct ip *dst)
{
	struct pkt *p;

	burst_reset(b);
	p = burst_add(b, 40);
	memset(p->data, 0, 40);
	memcpy(p->data, (uint8_t[]){ 0x45, 0, 0, 40, 0, 0, 0, 0, 64, PROTO_UDP }, 10);
	memcpy(p->data + 12, us.b + 12, 4);
	memcpy(p->data + 16, dst->b + 12, 4);
	memcpy(p->data + 20, (uint8_t[]){ 7000 >> 8, 7000 & 255, 0x10, 0, 0, 20 }, 6);
	checksum_store(p->data + 10, checksum_add(0, p->data, 20));
	checksum_store(p->data + 26,
		       checksum_add(checksum_pseudo(&us, dst, PROTO_UDP, 20), p->data + 20, 20));
	ck_assert_uint_eq(node_send_packets(node, p, 1), 1);
	exchange();
}

static struct tsmp reject_of(size_t i)
{
	struct packet p;
	struct tsmp m;

	ck_assert(i < n_peer_got);
	ck_assert_int_eq(packet_parse(peer_got[i], peer_got_len[i], &p), PACKET_OK);
	ck_assert_int_eq(p.proto, PROTO_TSMP);
	ck_assert(ip_eq(&p.src, &us) && ip_eq(&p.dst, &them));
	ck_assert(tsmp_parse(
	    bytes_of(peer_got[i] + p.transport_off, peer_got_len[i] - p.transport_off), &m));
	ck_assert_int_eq(m.kind, TSMP_REJECT);
	return m;
}

TEST(control_4_7_a_masquerade_address_is_translated_inward_and_outward)
{
	struct burst b;
	struct packet p;

	ck_assert_int_eq(burst_init(&b), 0);
	setup();
	load(",\"SelfNodeV4MasqAddrForThisPeer\":\"100.99.0.7\"", everything);
	peer_sends(&b, &alias, PROTO_TCP, TCP_SYN, 80);
	ck_assert_uint_eq(n_got, 1);
	sums_are_right(got[0], got_len[0]);
	ck_bytes_eq(got[0] + 16, us.b + 12, 4);
	/* our own address passes too, as with stock */
	peer_sends(&b, &us, PROTO_UDP, 0, 53);
	ck_assert_uint_eq(n_got, 2);
	sums_are_right(got[1], got_len[1]);
	we_send(&b, &them);
	ck_assert_uint_eq(n_peer_got, 1);
	sums_are_right(peer_got[0], peer_got_len[0]);
	ck_assert_int_eq(packet_parse(peer_got[0], peer_got_len[0], &p), PACKET_OK);
	ck_assert(ip_eq(&p.src, &alias));
	burst_fini(&b);
	teardown();
}

TEST(control_4_7_a_reply_to_the_masquerade_address_belongs_to_the_flow)
{
	struct burst b;

	ck_assert_int_eq(burst_init(&b), 0);
	setup();
	load(",\"SelfNodeV4MasqAddrForThisPeer\":\"100.99.0.7\"", "[]");
	peer_sends(&b, &alias, PROTO_UDP, 0, 7000);
	ck_assert_uint_eq(n_got, 0);
	we_send(&b, &them);
	peer_sends(&b, &alias, PROTO_UDP, 0, 7000);
	ck_assert_uint_eq(n_got, 1);
	burst_fini(&b);
	teardown();
}

TEST(a_masquerade_address_of_the_wrong_family_is_none)
{
	struct burst b;

	ck_assert_int_eq(burst_init(&b), 0);
	setup();
	load(",\"SelfNodeV4MasqAddrForThisPeer\":\"fd7a::9\",\"SelfNodeV6MasqAddrForThisPeer\":"
	     "\"100.99.0.7\"",
	     everything);
	peer_sends(&b, &alias, PROTO_TCP, TCP_SYN, 80);
	ck_assert_uint_eq(n_got, 0);
	we_send(&b, &them);
	ck_bytes_eq(peer_got[n_peer_got - 1] + 12, us.b + 12, 4);
	burst_fini(&b);
	teardown();
}

TEST(control_4_7_a_jailed_peer_opens_nothing_but_may_answer)
{
	struct burst b;

	ck_assert_int_eq(burst_init(&b), 0);
	setup();
	load(",\"IsJailed\":true", everything);
	peer_sends(&b, &us, PROTO_TCP, TCP_SYN, 80);
	peer_sends(&b, &us, PROTO_UDP, 0, 7000);
	ck_assert_uint_eq(n_got, 0);
	ck_assert_int_eq(reject_of(0).reason, TSMP_SHIELDS);
	ck_assert_uint_eq(n_peer_got, 1);
	we_send(&b, &them);
	peer_sends(&b, &us, PROTO_UDP, 0, 7000);
	peer_sends(&b, &us, PROTO_TCP, TCP_SYN | TCP_ACK, 80);
	ck_assert_uint_eq(n_got, 2);
	burst_fini(&b);
	teardown();
}

TEST(data_5_6_a_refused_ipv4_tcp_syn_is_answered_by_a_tsmp_reject)
{
	struct burst b;
	struct tsmp m;

	ck_assert_int_eq(burst_init(&b), 0);
	setup();
	load("", "[]");
	peer_sends(&b, &us, PROTO_TCP, TCP_SYN, 80);
	m = reject_of(0);
	ck_assert_int_eq(m.reason, TSMP_ACL);
	ck_assert_int_eq(m.proto, PROTO_TCP);
	ck_assert_uint_eq(m.sport, 0x1000);
	ck_assert_uint_eq(m.dport, 80);
	peer_sends(&b, &us, PROTO_UDP, 0, 80); /* nothing else is */
	ck_assert_uint_eq(n_peer_got, 1);
	filter_set_shields(node->filter, true);
	peer_sends(&b, &us, PROTO_TCP, TCP_SYN, 80);
	ck_assert_int_eq(reject_of(1).reason, TSMP_SHIELDS);
	ck_assert_uint_eq(n_got, 0);
	burst_fini(&b);
	teardown();
}

TEST(control_5_2_a_peer_is_pinged_for_control_and_the_result_posted)
{
	struct burst b;

	ck_assert_int_eq(burst_init(&b), 0);
	setup();
	load("", everything);
	node_start(node, now, wall);
	node_asked_take(node, now,
			bytes_str("{\"URL\":\"http://control.example/result\",\"Types\":\"TSMP\","
				  "\"IP\":\"100.64.0.2\"}"));
	exchange();
	ck_assert(pong(&b));
	exchange();
	ck_assert_msg(strncmp(posted, "POST /result HTTP/1.1\r\n", 23) == 0, "%s", posted);
	ck_assert_ptr_nonnull(strstr(posted, "\r\n\r\n{\"Type\":\"TSMP\",\"IP\":\"100.64.0.2\","
					     "\"NodeIP\":\"100.64.0.2\",\"NodeName\":\"b\","
					     "\"LatencySeconds\":"));
	ck_assert_ptr_null(strstr(posted, "Err"));
	/* whom nobody knows, and what we do not do, is told too */
	node_asked_take(node, now,
			bytes_str("{\"URL\":\"http://control.example/2\",\"Types\":\"disco\","
				  "\"IP\":\"100.64.0.9\"}"));
	exchange();
	ck_assert_ptr_nonnull(strstr(posted, "\"Err\":\"no matching peer\""));
	node_asked_take(node, now,
			bytes_str("{\"URL\":\"http://control.example/3\",\"Types\":\"peerapi\","
				  "\"IP\":\"100.64.0.2\"}"));
	exchange();
	ck_assert_ptr_nonnull(strstr(posted, "\"Type\":\"peerapi\""));
	ck_assert_ptr_nonnull(strstr(posted, "\"Err\":"));
	for (size_t i = 0; i < NODE_ASKED_MAX; i++)
		ck_assert_ptr_null(node->asked[i]);
	/* more than fit are dropped, not queued */
	for (int i = 0; i < NODE_ASKED_MAX + 3; i++) {
		char json[200];

		snprintf(json, sizeof json,
			 "{\"URL\":\"http://control.example/many/%d\",\"Types\":\"TSMP\",\"IP\":"
			 "\"100.64.0.2\"}",
			 i);
		node_asked_take(node, now, bytes_str(json));
	}
	ck_assert_ptr_nonnull(node->asked[NODE_ASKED_MAX - 1]);
	burst_fini(&b);
	teardown();
}

TEST(control_5_2_a_c2n_request_waits_for_the_host_and_a_newer_one_replaces_it)
{
	struct node_effect ef;
	struct buf http;
	bool told = false;

	setup();
	load("", everything);
	node_start(node, now, wall);
	ck_assert_ptr_null(node_c2n(node));
	for (int i = 0; i < 2; i++) {
		static const char *const rq[] = {
			/* GET /debug/prefs and GET /update, HTTP/1.1, Host: x */
			"R0VUIC9kZWJ1Zy9wcmVmcyBIVFRQLzEuMQ0KSG9zdDogeA0KDQo=",
			"R0VUIC91cGRhdGUgSFRUUC8xLjENCkhvc3Q6IHgNCg0K"
		};
		char json[300];

		snprintf(json, sizeof json,
			 "{\"URL\":\"https://unused/c2n/%d\",\"Types\":\"c2n\",\"Payload\":\"%s\"}",
			 i, rq[i]);
		node_asked_take(node, now, bytes_str(json));
	}
	while (node_next(node, now, wall, &ef))
		told = told || ef.type == NODE_C2N;
	ck_assert(told);
	ck_assert(bytes_eq_str(node_c2n(node)->path, "/update"));
	buf_init(&http, 100);
	ck_assert(buf_append(&http, "x", 1));
	node_c2n_reply(node, now, &http);
	buf_fini(&http);
	ck_assert_ptr_null(node_c2n(node));
	teardown();
}
