/* model/filter_test.c - the packet filter; numbers name sections of data-plane.md and
 * control-protocol.md */
#include "model/filter.h"

#include "base/cursor.h"
#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>

static const mono_t T = { 1000 * NS_PER_S };

/* --- packets --- */

struct probe {
	const char *src, *dst;
	uint8_t proto, flags; /* flags: of TCP, or the type of ICMP */
	uint16_t sport, dport;
};

static struct ip ip_of(const char *s)
{
	struct ip a;

	ck_assert_msg(ip_parse(bytes_str(s), &a), "%s", s);
	return a;
}

static size_t build_ip(const struct ip *src, const struct ip *dst, uint8_t proto, uint8_t flags,
		       uint16_t sport, uint16_t dport, uint8_t out[static 96])
{
	struct wr w = wr_of(out, 96);
	size_t body = proto == PROTO_TCP ? 20 : proto == PROTO_SCTP ? 12 : 8;

	if (ip_is_v4(src)) {
		wr_be16(&w, 0x4500);
		wr_be16(&w, (uint16_t)(20 + body));
		wr_be32(&w, 0);
		wr_u8(&w, 64);
		wr_u8(&w, proto);
		wr_be16(&w, 0);
		wr_put(&w, src->b + 12, 4);
		wr_put(&w, dst->b + 12, 4);
	} else {
		wr_be32(&w, 0x60000000);
		wr_be16(&w, (uint16_t)body);
		wr_u8(&w, proto);
		wr_u8(&w, 64);
		wr_put(&w, src->b, 16);
		wr_put(&w, dst->b, 16);
	}
	if (proto == PROTO_ICMP || proto == PROTO_ICMPV6) {
		wr_u8(&w, flags);
		wr_zero(&w, body - 1);
		return wr_len(&w);
	}
	wr_be16(&w, sport);
	wr_be16(&w, dport);
	if (proto == PROTO_TCP) {
		wr_zero(&w, 8);
		wr_u8(&w, 0x50);
		wr_u8(&w, flags);
		wr_zero(&w, 6);
	} else {
		wr_zero(&w, body - 4);
	}
	return wr_len(&w);
}

static enum filter_verdict pass(struct filter *f, mono_t now, struct probe p, bool in, bool jailed)
{
	struct ip src = ip_of(p.src), dst = ip_of(p.dst);
	struct packet pkt;
	uint8_t raw[96];
	size_t n = build_ip(&src, &dst, p.proto, p.flags, p.sport, p.dport, raw);

	return in ? filter_in(f, now, raw, n, jailed, &pkt) : filter_out(f, now, raw, n, &pkt);
}

static enum filter_verdict in(struct filter *f, struct probe p)
{
	return pass(f, T, p, true, false);
}

#define SYN(s, d, port) ((struct probe){ (s), (d), PROTO_TCP, TCP_SYN, 999, (port) })
#define UDP(s, sp, d, dp) ((struct probe){ (s), (d), PROTO_UDP, 0, (sp), (dp) })
#define ICMP4(s, d, type) ((struct probe){ (s), (d), PROTO_ICMP, (type), 0, 0 })
#define ICMP6(s, d, type) ((struct probe){ (s), (d), PROTO_ICMPV6, (type), 0, 0 })
#define ME "100.64.0.1"
#define ME6 "fd7a:115c:a1e0::1"

static bool has_cap(void *ctx, const struct ip *src, struct bytes cap)
{
	struct ip a = ip_of("100.64.0.9");

	(void)ctx;
	return ip_eq(src, &a) && bytes_eq_str(cap, "example.com/cap/x");
}

static int set_rules(struct filter *f, const char *rules)
{
	struct bytes b = bytes_str(rules);

	return filter_set_rules(f, &b, 1, has_cap, NULL);
}

static struct filter *filter_with(const char *rules)
{
	struct filter *f = filter_new(FILTER_FLOWS_DEFAULT);
	struct ip v4 = ip_of(ME), v6 = ip_of(ME6);
	struct ipprefix local[2] = { ipprefix_of(&v4, 128), ipprefix_of(&v6, 128) };

	ck_assert_int_eq(filter_set_local(f, local, 2, NULL, 0), 0);
	if (rules)
		ck_assert_int_eq(set_rules(f, rules), 0);
	return f;
}

#define ALL                                                                                        \
	"{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{\"First\":0,\"Last\":65535}}]" \
	"}"

/* --- default deny --- */

TEST(filter_nothing_passes_before_the_first_filter_arrived)
{
	struct filter *f = filter_with(NULL);

	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 80)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.2", ME, PROTO_TCP, TCP_ACK, 1, 2 }),
			 FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, ICMP4("100.64.0.2", ME, 0)), FILTER_DROP_ACL);
	pass(f, T, UDP(ME, 5, "100.64.0.2", 6), false, false);
	ck_assert_int_eq(in(f, UDP("100.64.0.2", 6, ME, 5)), FILTER_DROP_ACL);
	ck_assert_int_eq(set_rules(f, "{}"), -EBADMSG);
	ck_assert_int_eq(in(f, ICMP4("100.64.0.2", ME, 0)), FILTER_DROP_ACL);
	filter_free(f);
}

TEST(filter_an_empty_filter_blocks_all_openings)
{
	struct filter *f = filter_with("[]");

	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 80)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, UDP("100.64.0.2", 1, ME, 80)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, ICMP4("100.64.0.2", ME, 8)), FILTER_DROP_ACL);
	filter_free(f);
}

TEST(filter_a_list_that_is_no_array_is_refused_and_the_old_rules_stay)
{
	struct filter *f = filter_with("[" ALL "]");

	ck_assert_int_eq(set_rules(f, "7"), -EBADMSG);
	ck_assert_int_eq(set_rules(f, "[" ALL), -EBADMSG);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 80)), FILTER_ACCEPT);
	filter_free(f);
}

/* --- 4.10: the forms of rules --- */

TEST(filter_4_10_sources_are_star_address_prefix_range_and_capability)
{
	static const struct {
		const char *src, *yes, *no;
	} rows[] = {
		{ "*", "1.2.3.4", NULL },
		{ "100.64.0.5", "100.64.0.5", "100.64.0.6" },
		{ "100.64.0.0/30", "100.64.0.3", "100.64.0.4" },
		{ "100.64.0.0-100.115.91.255", "100.115.91.255", "100.115.92.0" },
		{ "100.115.94.0-100.127.255.255", "100.115.94.0", "100.115.93.255" },
		{ "cap:example.com/cap/x", "100.64.0.9", "100.64.0.8" },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct filter *f;

		snprintf(text, sizeof text,
			 "[{\"SrcIPs\":[\"junk\",7,\"%s\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{"
			 "\"First\":80,\"Last\":80}}]}]",
			 rows[i].src);
		f = filter_with(text);
		ck_assert_msg(in(f, SYN(rows[i].yes, ME, 80)) == FILTER_ACCEPT, "%s", rows[i].src);
		if (rows[i].no)
			ck_assert_msg(in(f, SYN(rows[i].no, ME, 80)) == FILTER_DROP_ACL, "%s",
				      rows[i].src);
		filter_free(f);
	}
}

TEST(filter_4_10_an_unreadable_entry_spoils_only_itself)
{
	struct filter *f = filter_with(
	    "[7,{\"SrcIPs\":7},{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"x\",\"Ports\":{"
	    "\"First\":0,\"Last\":65535}},{\"IP\":\"*\",\"Ports\":{\"First\":0,\"Last\":65536}},"
	    "{\"IP\":\"" ME "\",\"Ports\":{\"First\":22,\"Last\":22}}]},{\"SrcIPs\":[\"10.0.0.1/"
	    "8\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{\"First\":0,\"Last\":65535}}]}]");

	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 22)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 23)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, SYN("10.0.0.1", ME, 23)),
			 FILTER_DROP_ACL); /* host bits are set: no prefix */
	filter_free(f);
}

TEST(filter_4_10_historic_bits_allow_nothing_and_null_bits_are_none)
{
	struct filter *f = filter_with("[{\"SrcIPs\":[\"*\"],\"SrcBits\":[8],\"DstPorts\":[{\"IP\":"
				       "\"*\",\"Ports\":{\"First\":1,\"Last\":1}}]},"
				       "{\"SrcIPs\":[\"*\"],\"SrcBits\":null,\"DstPorts\":[{\"IP\":"
				       "\"*\",\"Bits\":null,\"Ports\":{\"First\":2,\"Last\":2}}]},"
				       "{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"*\",\"Bits\":8,"
				       "\"Ports\":{\"First\":3,\"Last\":3}}]}]");

	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 1)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 2)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 3)), FILTER_DROP_ACL);
	filter_free(f);
}

TEST(filter_4_10_no_ip_proto_means_tcp_udp_icmp_and_icmpv6)
{
	struct filter *f = filter_with("[" ALL "]");

	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, UDP("100.64.0.2", 1, ME, 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, ICMP4("100.64.0.2", ME, 8)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, ICMP6("fd7a:115c:a1e0::2", ME6, 128)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.2", ME, PROTO_SCTP, 0, 1, 2 }),
			 FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.2", ME, 47, 0, 1, 2 }), FILTER_DROP_ACL);
	filter_free(f);
}

TEST(filter_5_4_other_protocols_need_a_rule_with_that_protocol_and_all_ports)
{
	struct filter *f = filter_with("[{\"SrcIPs\":[\"*\"],\"IPProto\":[47,300,-1],\"DstPorts\":["
				       "{\"IP\":\"*\",\"Ports\":{\"First\":0,\"Last\":65535}}]},"
				       "{\"SrcIPs\":[\"*\"],\"IPProto\":[50],\"DstPorts\":[{\"IP\":"
				       "\"*\",\"Ports\":{\"First\":0,\"Last\":65534}}]}]");

	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.2", ME, 47, 0, 1, 2 }), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.2", ME, 50, 0, 1, 2 }), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 80)), FILTER_DROP_ACL);
	filter_free(f);
}

/* --- 5.4: order of verdicts --- */

TEST(filter_5_4_tcp_without_a_pure_syn_passes_and_a_syn_needs_a_rule)
{
	static const uint8_t stateless[] = { TCP_ACK, TCP_SYN | TCP_ACK,
					     TCP_RST, TCP_FIN | TCP_ACK,
					     0,       TCP_SYN | TCP_ACK | TCP_ECE };
	struct filter *f = filter_with("[{\"SrcIPs\":[\"100.64.0.2\"],\"DstPorts\":[{\"IP\":\"" ME
				       "\",\"Ports\":{\"First\":80,\"Last\":90}}]}]");

	for (size_t i = 0; i < ARRAY_LEN(stateless); i++)
		ck_assert_int_eq(
		    in(f, (struct probe){ "100.64.0.3", ME, PROTO_TCP, stateless[i], 1, 2 }),
		    FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 90)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 79)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 91)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, SYN("100.64.0.3", ME, 80)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.3", ME, PROTO_TCP,
					       TCP_SYN | TCP_ECE | TCP_CWR, 1, 80 }),
			 FILTER_DROP_ACL);
	filter_free(f);
}

TEST(filter_5_4_icmp_answers_pass_and_other_icmp_asks_for_addresses_only)
{
	struct filter *f =
	    filter_with("[{\"SrcIPs\":[\"100.64.0.2\",\"fd7a:115c:a1e0::2\"],\"IPProto\":[6],"
			"\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{\"First\":80,\"Last\":80}}]}]");
	static const uint8_t pass4[] = { 0, 3, 11, 12 }, drop4[] = { 4, 5, 8, 13, 0x12 },
			     pass6[] = { 1, 2, 3, 4, 129 }, drop6[] = { 128, 133, 135, 5 };

	for (size_t i = 0; i < ARRAY_LEN(pass4); i++)
		ck_assert_int_eq(in(f, ICMP4("100.64.0.3", ME, pass4[i])), FILTER_ACCEPT);
	for (size_t i = 0; i < ARRAY_LEN(drop4); i++)
		ck_assert_int_eq(in(f, ICMP4("100.64.0.3", ME, drop4[i])), FILTER_DROP_ACL);
	for (size_t i = 0; i < ARRAY_LEN(pass6); i++)
		ck_assert_int_eq(in(f, ICMP6("fd7a:115c:a1e0::3", ME6, pass6[i])), FILTER_ACCEPT);
	for (size_t i = 0; i < ARRAY_LEN(drop6); i++)
		ck_assert_int_eq(in(f, ICMP6("fd7a:115c:a1e0::3", ME6, drop6[i])), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, ICMP4("100.64.0.2", ME, 8)),
			 FILTER_ACCEPT); /* ports and protocols of the rule are not looked at */
	ck_assert_int_eq(in(f, ICMP6("fd7a:115c:a1e0::2", ME6, 128)), FILTER_ACCEPT);
	filter_free(f);
}

TEST(filter_11_13_icmp_type_0x12_is_no_parameter_problem)
{
	struct filter *f = filter_with("[]");

	ck_assert_int_eq(in(f, ICMP4("100.64.0.3", ME, 12)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, ICMP4("100.64.0.3", ME, 0x12)), FILTER_DROP_ACL);
	filter_free(f);
}

TEST(filter_5_4_multicast_link_local_not_local_and_tsmp)
{
	struct filter *f = filter_with("[" ALL "]");

	ck_assert_int_eq(in(f, UDP("100.64.0.2", 1, "224.0.0.251", 5353)), FILTER_DROP_MULTICAST);
	ck_assert_int_eq(in(f, UDP("fd7a:115c:a1e0::2", 1, "ff02::fb", 5353)),
			 FILTER_DROP_MULTICAST);
	ck_assert_int_eq(in(f, UDP("100.64.0.2", 1, "169.254.1.1", 53)), FILTER_DROP_LINK_LOCAL);
	ck_assert_int_eq(in(f, UDP("fd7a:115c:a1e0::2", 1, "fe80::1", 53)), FILTER_DROP_LINK_LOCAL);
	ck_assert_int_eq(in(f, UDP("100.64.0.2", 1, "169.254.169.254", 53)), FILTER_DROP_NOT_LOCAL);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "100.64.0.3", 80)), FILTER_DROP_NOT_LOCAL);
	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.2", ME, PROTO_TSMP, 0, 0, 0 }),
			 FILTER_ACCEPT);
	ck_assert_int_eq(set_rules(f, "[]"), 0);
	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.2", ME, PROTO_TSMP, 0, 0, 0 }),
			 FILTER_ACCEPT);
	filter_free(f);
}

TEST(filter_5_4_approved_routes_are_local_and_a_default_route_of_one_family_is_not_of_the_other)
{
	struct filter *f = filter_with("[" ALL "]");
	struct ipprefix local[2];

	ck_assert(ipprefix_parse(bytes_str("10.77.0.0/24"), &local[0]) &&
		  ipprefix_parse(bytes_str("::/0"), &local[1]));
	ck_assert_int_eq(filter_set_local(f, local, 2, NULL, 0), 0);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "10.77.0.255", 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "10.77.1.0", 80)), FILTER_DROP_NOT_LOCAL);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "8.8.8.8", 80)), FILTER_DROP_NOT_LOCAL);
	ck_assert_int_eq(in(f, SYN("fd7a:115c:a1e0::2", "2001:db8::1", 80)), FILTER_ACCEPT);
	filter_free(f);
}

TEST(filter_5_4_an_exit_node_leads_everywhere_but_to_what_is_excepted)
{
	struct filter *f = filter_with("[" ALL "]");
	struct ipprefix local[5], except[3];
	static const char *const mine[] = { "0.0.0.0/0", "::/0", "10.77.0.0/24", "100.64.0.1/32",
					    "fd00:77::/64" };
	static const char *const not [] = { "10.0.0.0/8", "100.64.0.0/10", "fc00::/7" };

	for (size_t i = 0; i < ARRAY_LEN(mine); i++)
		ck_assert(ipprefix_parse(bytes_str(mine[i]), &local[i]));
	for (size_t i = 0; i < ARRAY_LEN(not ); i++)
		ck_assert(ipprefix_parse(bytes_str(not [i]), &except[i]));
	ck_assert_int_eq(filter_set_local(f, local, 5, except, 3), 0);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "8.8.8.8", 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "9.255.255.255", 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "11.0.0.0", 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "10.0.0.0", 80)), FILTER_DROP_NOT_LOCAL);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "10.255.255.255", 80)), FILTER_DROP_NOT_LOCAL);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "100.64.0.3", 80)), FILTER_DROP_NOT_LOCAL);
	/* what is named beside the default route stays */
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "10.77.0.9", 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", "100.64.0.1", 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("fd7a:115c:a1e0::2", "2001:db8::1", 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("fd7a:115c:a1e0::2", "fd00:77::1", 80)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("fd7a:115c:a1e0::2", "fd00:78::1", 80)), FILTER_DROP_NOT_LOCAL);
	filter_free(f);
}

TEST(filter_as_many_own_prefixes_as_the_limit_count)
{
	struct filter *f = filter_with("[" ALL "]");
	struct ipprefix *v = calloc(FILTER_LOCAL_MAX + 1, sizeof *v);
	char dst[IP_TEXT];

	for (unsigned i = 0; i <= FILTER_LOCAL_MAX; i++) {
		struct ip a = ip_v4(10, (uint8_t)(i >> 7), (uint8_t)(i << 1), 0);

		v[i] = ipprefix_of(&a, 120);
	}
	ck_assert_int_eq(filter_set_local(f, v, FILTER_LOCAL_MAX + 1, NULL, 0), 0);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ip_text(&v[FILTER_LOCAL_MAX - 1].ip, dst), 80)),
			 FILTER_ACCEPT);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ip_text(&v[FILTER_LOCAL_MAX].ip, dst), 80)),
			 FILTER_DROP_NOT_LOCAL);
	free(v);
	filter_free(f);
}

TEST(filter_malformed_packets_get_the_reason_of_their_fault_and_fragments_follow_5_3)
{
	struct filter *f = filter_with("[" ALL "]");
	struct ip src = ip_of("100.64.0.2"), dst = ip_of(ME);
	struct packet pkt;
	uint8_t raw[96];
	size_t n = build_ip(&src, &dst, PROTO_UDP, 0, 1, 2, raw);

	for (size_t cut = 0; cut < 20; cut++)
		ck_assert_int_eq(filter_in(f, T, raw, cut, false, &pkt), FILTER_DROP_TOO_SHORT);
	for (size_t cut = 20; cut < n; cut++)
		ck_assert_int_eq(filter_in(f, T, raw, cut, false, &pkt),
				 FILTER_DROP_UNKNOWN_PROTOCOL);
	ck_assert_int_eq(filter_in(f, T, raw, n, false, &pkt), FILTER_ACCEPT);
	raw[7] =
	    10; /* a later fragment passes without a rule; the stack puts it together or drops it */
	ck_assert_int_eq(set_rules(f, "[]"), 0);
	ck_assert_int_eq(filter_in(f, T, raw, n, false, &pkt), FILTER_ACCEPT);
	ck_assert(pkt.is_later_fragment);
	raw[7] = 9;
	ck_assert_int_eq(filter_in(f, T, raw, n, false, &pkt), FILTER_DROP_FRAGMENT);
	filter_free(f);
}

TEST(filter_jailed_peers_and_shields_use_no_rule_but_keep_flow_state)
{
	for (int shields = 0; shields < 2; shields++) {
		struct filter *f = filter_with("[" ALL "]");

		filter_set_shields(f, shields);
		ck_assert_int_eq(pass(f, T, SYN("100.64.0.2", ME, 80), true, !shields),
				 FILTER_DROP_ACL);
		ck_assert_int_eq(pass(f, T, ICMP4("100.64.0.2", ME, 8), true, !shields),
				 FILTER_DROP_ACL);
		ck_assert_int_eq(pass(f, T, UDP("100.64.0.2", 6, ME, 5), true, !shields),
				 FILTER_DROP_ACL);
		ck_assert_int_eq(pass(f, T, UDP(ME, 5, "100.64.0.2", 6), false, false),
				 FILTER_ACCEPT);
		ck_assert_int_eq(pass(f, T, UDP("100.64.0.2", 6, ME, 5), true, !shields),
				 FILTER_ACCEPT);
		ck_assert_int_eq(pass(f, T,
				      (struct probe){ "100.64.0.2", ME, PROTO_TCP, TCP_ACK, 1, 2 },
				      true, !shields),
				 FILTER_ACCEPT);
		filter_free(f);
	}
}

/* --- flows --- */

TEST(filter_a_udp_answer_passes_for_the_exact_tuple_and_protocol_only)
{
	struct filter *f = filter_with("[]");

	ck_assert_int_eq(pass(f, T, UDP(ME, 5, "100.64.0.2", 6), false, false), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, UDP("100.64.0.2", 6, ME, 5)), FILTER_ACCEPT);
	ck_assert_int_eq(in(f, UDP("100.64.0.2", 7, ME, 5)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, UDP("100.64.0.2", 6, ME, 6)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, UDP("100.64.0.3", 6, ME, 5)), FILTER_DROP_ACL);
	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.2", ME, PROTO_SCTP, 0, 6, 5 }),
			 FILTER_DROP_ACL);
	pass(f, T, (struct probe){ ME, "100.64.0.2", PROTO_SCTP, 0, 5, 6 }, false, false);
	ck_assert_int_eq(in(f, (struct probe){ "100.64.0.2", ME, PROTO_SCTP, 0, 6, 5 }),
			 FILTER_ACCEPT);
	ck_assert_int_eq(set_rules(f, "[]"), 0); /* kept across filter updates */
	ck_assert_int_eq(in(f, UDP("100.64.0.2", 6, ME, 5)), FILTER_ACCEPT);
	ck_assert_uint_eq(filter_flows(f), 2);
	filter_free(f);
}

TEST(filter_a_flow_times_out_when_unused_and_use_in_either_direction_refreshes_it)
{
	struct filter *f = filter_with("[]");
	mono_t t = T;

	pass(f, t, UDP(ME, 5, "100.64.0.2", 6), false, false);
	for (int i = 0; i < 5; i++) {
		t = mono_add(t, SPAN_S(FILTER_FLOW_TTL_S));
		ck_assert_int_eq(
		    pass(f, t, i % 2 ? UDP(ME, 5, "100.64.0.2", 6) : UDP("100.64.0.2", 6, ME, 5),
			 i % 2 == 0, false),
		    FILTER_ACCEPT);
	}
	t = mono_add(t, SPAN_S(FILTER_FLOW_TTL_S + 1));
	ck_assert_int_eq(pass(f, t, UDP("100.64.0.2", 6, ME, 5), true, false), FILTER_DROP_ACL);
	ck_assert_uint_eq(filter_flows(f), 0);
	filter_free(f);
}

static enum filter_verdict numbered(struct filter *f, mono_t now, uint32_t i, bool inward)
{
	struct ip me = ip_of(ME),
		  peer = ip_v4(100, 64, (uint8_t)(1 + (i >> 24)), (uint8_t)(i >> 16));
	uint8_t raw[96];
	struct packet pkt;
	size_t n = inward ? build_ip(&peer, &me, PROTO_UDP, 0, (uint16_t)i, 53, raw)
			  : build_ip(&me, &peer, PROTO_UDP, 0, 53, (uint16_t)i, raw);

	return inward ? filter_in(f, now, raw, n, false, &pkt) : filter_out(f, now, raw, n, &pkt);
}

TEST(filter_holds_65536_flows_at_once_within_its_byte_budget_and_gives_the_memory_back)
{
	struct filter *f = filter_with("[]");

	for (uint32_t i = 0; i < FILTER_FLOWS_DEFAULT; i++)
		ck_assert_int_eq(numbered(f, T, i * 7, false), FILTER_ACCEPT);
	ck_assert_uint_eq(filter_flows(f), FILTER_FLOWS_DEFAULT);
	for (uint32_t i = 0; i < FILTER_FLOWS_DEFAULT; i++)
		ck_assert_int_eq(numbered(f, T, i * 7, true), FILTER_ACCEPT);
	ck_assert_uint_le(filter_memory(f),
			  (size_t)FILTER_FLOWS_DEFAULT * FILTER_FLOW_BYTES + 65536);
	filter_trim(f, mono_add(T, SPAN_S(FILTER_FLOW_TTL_S + 1)));
	ck_assert_uint_eq(filter_flows(f), 0);
	ck_assert_uint_le(filter_memory(f), 65536);
	filter_free(f);
}

TEST(filter_a_flood_of_flows_stays_within_the_budget_and_spares_a_busy_one)
{
	struct filter *f = filter_with("[]");

	for (uint32_t i = 1; i < 4 * FILTER_FLOWS_DEFAULT; i++) {
		mono_t now = mono_add(T, SPAN_MS(i));

		if (i % 1000 == 1)
			ck_assert_int_eq(numbered(f, now, 0, false), FILTER_ACCEPT);
		numbered(f, now, i, false);
	}
	ck_assert_int_eq(numbered(f, mono_add(T, SPAN_MS(4 * FILTER_FLOWS_DEFAULT)), 0, true),
			 FILTER_ACCEPT);
	ck_assert_uint_le(filter_memory(f),
			  (size_t)FILTER_FLOWS_DEFAULT * FILTER_FLOW_BYTES + 65536);
	filter_free(f);
}

TEST(filter_out_refuses_multicast_and_link_local_and_no_rule_limits_it)
{
	struct filter *f = filter_with("[]");

	ck_assert_int_eq(pass(f, T, UDP(ME, 1, "239.1.1.1", 2), false, false),
			 FILTER_DROP_MULTICAST);
	ck_assert_int_eq(pass(f, T, UDP(ME6, 1, "fe80::2", 2), false, false),
			 FILTER_DROP_LINK_LOCAL);
	ck_assert_int_eq(pass(f, T, SYN(ME, "100.64.0.2", 2), false, false), FILTER_ACCEPT);
	ck_assert_uint_eq(filter_flows(f), 0);
	filter_free(f);
}

/* --- capabilities --- */

static const char *caps(const struct filter *f, const char *src, const char *dst)
{
	static char text[512];
	struct ip a = ip_of(src), b = ip_of(dst);
	struct buf out;

	buf_init(&out, sizeof text);
	ck_assert_int_eq(filter_caps(f, &a, &b, &out), 0);
	ck_assert(bytes_to_str(buf_bytes(&out), text, sizeof text));
	buf_fini(&out);
	return text;
}

TEST(filter_capability_grants_are_kept_joined_by_name_and_give_no_access)
{
	struct filter *f = filter_with(
	    "[{\"SrcIPs\":[\"100.64.0.0/24\"],\"CapGrant\":[{\"Dsts\":[\"" ME
	    "/32\"],\"Caps\":[\"b\"],\"CapMap\":{\"a\":[{\"x\":1}],\"n\":null}}]},"
	    "{\"SrcIPs\":[\"100.64.0.2\",\"cap:example.com/cap/x\"],\"CapGrant\":[{\"Dsts\":[\"" ME
	    "/32\"],\"CapMap\":{\"a\":[2,3]}},{\"Dsts\":[\"10.0.0.0/8\"],\"Caps\":[\"route\"]}]}]");

	ck_assert_str_eq(caps(f, "100.64.0.3", ME), "{\"a\":[{\"x\":1}],\"b\":[],\"n\":[]}");
	ck_assert_str_eq(caps(f, "100.64.0.2", "10.1.2.3"), "{\"route\":[]}");
	ck_assert_str_eq(caps(f, "100.64.1.2", ME), "{}");
	ck_assert(strstr(caps(f, "100.64.0.2", ME), "2,3") &&
		  strstr(caps(f, "100.64.0.2", ME), "{\"x\":1}"));
	ck_assert(strstr(caps(f, "100.64.0.9", ME), "2,3") != NULL);
	ck_assert_int_eq(in(f, SYN("100.64.0.2", ME, 80)), FILTER_DROP_ACL);
	filter_free(f);
}

/* --- against a slow model --- */

struct slow_rule {
	uint8_t src_lo, src_hi, dst,
	    proto; /* last bytes of addresses; dst 0: any; proto 0: the usual four */
	uint16_t first, last;
	bool by_cap; /* the source is a capability, and 9 has it */
};

static bool slow_allows(const struct slow_rule *r, size_t n, uint8_t src, uint8_t dst,
			uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < n; i++) {
		bool usual = proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_ICMP;

		if (r[i].by_cap ? src != 9 : src < r[i].src_lo || src > r[i].src_hi)
			continue;
		if (r[i].dst && r[i].dst != dst)
			continue;
		if (proto == PROTO_ICMP)
			return true;
		if (r[i].proto ? r[i].proto != proto : !usual)
			continue;
		if (proto != PROTO_TCP && proto != PROTO_UDP && proto != PROTO_SCTP) {
			if (r[i].first == 0 && r[i].last == 65535)
				return true;
		} else if (port >= r[i].first && port <= r[i].last) {
			return true;
		}
	}
	return false;
}

struct profile {                                     /* what random rules are like */
	size_t most;                                 /* rules */
	unsigned sources, source_width;              /* from below sources on */
	unsigned dsts, any_dst;                      /* 200 on; one of so many is any */
	unsigned ports, port_width, any_port_of_100; /* from below ports on */
};

static void random_rule(struct rng *r, const struct profile *p, struct slow_rule *q)
{
	static const uint8_t protos[] = { 0, PROTO_TCP, PROTO_UDP, PROTO_SCTP, 47 };

	q->src_lo = (uint8_t)rng_below(r, p->sources);
	q->src_hi = (uint8_t)MIN_OF(q->src_lo + rng_below(r, p->source_width), UINT64_C(255));
	q->by_cap = rng_below(r, 20) == 0;
	q->dst = (uint8_t)(rng_below(r, p->any_dst) ? 200 + rng_below(r, p->dsts) : 0);
	q->proto = protos[rng_below(r, ARRAY_LEN(protos))];
	q->first = (uint16_t)rng_below(r, p->ports);
	q->last = (uint16_t)(q->first + rng_below(r, p->port_width));
	if (rng_below(r, 100) < p->any_port_of_100) {
		q->first = 0;
		q->last = 65535;
	}
}

static bool rule_text(struct buf *b, const struct slow_rule *q)
{
	bool ok = buf_append(b, "{\"SrcIPs\":[\"", 12);

	ok &= q->by_cap ? buf_printf(b, "cap:example.com/cap/x")
			: buf_printf(b, "100.64.0.%u-100.64.0.%u", q->src_lo, q->src_hi);
	ok &= buf_printf(b, "\"],\"DstPorts\":[{\"IP\":\"");
	ok &= q->dst ? buf_printf(b, "100.64.0.%u", q->dst) : buf_append(b, "*", 1);
	ok &= buf_printf(b, "\",\"Ports\":{\"First\":%u,\"Last\":%u}}]", q->first, q->last);
	ok &= q->proto ? buf_printf(b, ",\"IPProto\":[%u]}", q->proto) : buf_append(b, "}", 1);
	return ok;
}

/* What packets passed and what did not, both must occur. */
static void compare_with_slow_model(uint64_t seed, int rounds, const struct profile *p)
{
	static const uint8_t protos[] = { PROTO_TCP, PROTO_UDP, PROTO_SCTP, 47, PROTO_ICMP };
	struct slow_rule rules[200];
	unsigned passed[2] = { 0 };
	struct seed_rng r;
	struct buf text;

	seed_rng_init(&r, seed);
	buf_init(&text, 1 << 18);
	for (int round = 0; round < rounds; round++) {
		size_t n = (size_t)rng_below(&r.rng, p->most);
		struct ipprefix local;
		struct filter *f;
		char *s;

		buf_clear(&text);
		for (size_t i = 0; i < n; i++) {
			random_rule(&r.rng, p, &rules[i]);
			ck_assert(buf_append(&text, i ? "," : "[", 1) &&
				  rule_text(&text, &rules[i]));
		}
		ck_assert(n > 0 ? buf_append(&text, "]", 1) : buf_append(&text, "[]", 2));
		s = buf_take_str(&text);
		f = filter_with(s);
		ck_assert(ipprefix_parse(bytes_str("100.64.0.0/24"), &local));
		ck_assert_int_eq(filter_set_local(f, &local, 1, NULL, 0), 0);
		for (int i = 0; i < 500; i++) {
			uint8_t src = (uint8_t)rng_below(&r.rng, p->sources + p->source_width),
				dst = (uint8_t)(199 + rng_below(&r.rng, p->dsts + 2)),
				proto = protos[rng_below(&r.rng, ARRAY_LEN(protos))], raw[96];
			uint16_t port = (uint16_t)rng_below(&r.rng, p->ports + p->port_width);
			struct ip a = ip_v4(100, 64, 0, src), b = ip_v4(100, 64, 0, dst);
			struct packet pkt;
			size_t len = build_ip(&a, &b, proto, proto == PROTO_ICMP ? 8 : TCP_SYN, 7,
					      port, raw);
			bool got = filter_in(f, T, raw, len, false, &pkt) == FILTER_ACCEPT;

			ck_assert_msg(got == slow_allows(rules, n, src, dst, proto, port),
				      "%u -> %u proto %u port %u, round %d under %.3000s", src, dst,
				      proto, port, round, s);
			passed[got]++;
		}
		free(s);
		filter_free(f);
	}
	buf_fini(&text);
	ck_assert(passed[0] > passed[1] / 20 && passed[1] > passed[0] / 20);
}

TEST(filter_agrees_with_a_slow_model_on_random_rules_and_packets)
{
	compare_with_slow_model(11, 300, &(struct profile){ 12, 32, 16, 4, 3, 100, 50, 30 });
}

/* Each index (filter_ask.c) is the one that tells most, once. */
TEST(filter_of_many_rules_agrees_with_a_slow_model_on_random_rules_and_packets)
{
	static const struct profile profiles[] = {
		{ 200, 200, 3, 3, 2, 100, 100, 20 },
		{ 200, 40, 150, 50, 40, 100, 100, 20 },
		{ 200, 40, 150, 3, 2, 5000, 60, 2 },
		{ 200, 100, 30, 10, 5, 200, 20, 10 },
	};

	for (size_t i = 0; i < ARRAY_LEN(profiles); i++)
		compare_with_slow_model(20 + i, 60, &profiles[i]);
}

TEST(filter_every_verdict_has_a_name)
{
	for (int i = 0; i < FILTER_VERDICT_N; i++)
		ck_assert(filter_verdict_names[i] && *filter_verdict_names[i]);
}
