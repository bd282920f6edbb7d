/* pod/netlink_test.c - in a network namespace of its own: rules and routes */
#include "pod/netlink.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "pod/netlink_priv.h"
#include "tests/harness.h"

static bool own_namespace(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET) == 0;
}

static struct ipprefix prefix(const char *s)
{
	struct ipprefix p;

	ck_assert(ipprefix_parse(bytes_str(s), &p));
	return p;
}

static size_t count(struct netlink *nl, struct rule *first, size_t max)
{
	AUTO_FREE struct rule *v = NULL;
	size_t n;

	ck_assert_int_eq(netlink_rules_all(nl, 116, &v, &n), 0);
	for (size_t i = 0; i < n && i < max; i++)
		first[i] = v[i];
	return n;
}

TEST(rules_are_listed_as_they_were_made_and_only_those_of_our_protocol)
{
	const struct rule v[] = {
		{ .is_lookup = true,
		  .has_from = true,
		  .priority = 500,
		  .table = 5252,
		  .from = prefix("10.0.0.2"),
		  .to = prefix("100.64.0.0/10") },
		{ .priority = 501, .to = prefix("fd7a:115c:a1e0::/48"), .iif = "cable7" },
	};
	struct rule other = v[0], seen[2];
	struct netlink nl;

	if (!own_namespace())
		SKIP("needs root for a network namespace");
	ck_assert_int_eq(netlink_open(&nl), 0);
	other.priority = 7;
	ck_assert_int_eq(netlink_rule_add(&nl, &other, 117), 0);
	for (int twice = 0; twice < 2; twice++)
		for (size_t i = 0; i < ARRAY_LEN(v); i++)
			ck_assert_int_eq(netlink_rule_add(&nl, &v[i], 116), 0);
	ck_assert_uint_eq(count(&nl, seen, 2), 2);
	ck_assert(rule_eq(&seen[0], &v[0]) && rule_eq(&seen[1], &v[1]));
	for (int twice = 0; twice < 2; twice++)
		for (size_t i = 0; i < ARRAY_LEN(v); i++)
			ck_assert_int_eq(netlink_rule_del(&nl, &v[i], 116), 0);
	ck_assert_uint_eq(count(&nl, seen, 2), 0);
	netlink_close(&nl);
}

TEST(routes_of_a_table_are_listed_by_protocol_in_both_families)
{
	static const char *const dst[] = { "10.50.0.0/16", "100.64.0.0/10", "fd00:50::/64" };
	struct netlink_route route = { .table = 5252 };
	struct ipprefix v[4];
	struct netlink_link lo;
	struct netlink nl;

	if (!own_namespace())
		SKIP("needs root for a network namespace");
	ck_assert_int_eq(netlink_open(&nl), 0);
	ck_assert_int_eq(netlink_link(&nl, "lo", &lo), 0);
	ck_assert_int_eq(netlink_link_up(&nl, lo.index, 1500), 0);
	ck_assert_int_eq(netlink_routes(&nl, 5252, 116, v, 4), 0);
	route.link = lo.index;
	for (size_t i = 0; i < ARRAY_LEN(dst); i++) {
		route.dst = prefix(dst[i]);
		ck_assert_int_eq(netlink_route_add(&nl, &route, 116), 0);
	}
	route.dst = prefix("10.60.0.0/16");
	ck_assert_int_eq(netlink_route_add(&nl, &route, 117), 0);
	route.table = 5253;
	ck_assert_int_eq(netlink_route_add(&nl, &route, 116), 0);
	ck_assert_int_eq(netlink_routes(&nl, 5252, 116, v, 4), 3);
	for (size_t i = 0; i < ARRAY_LEN(dst); i++) {
		const struct ipprefix want = prefix(dst[i]);

		ck_assert(ipprefix_eq(&v[i], &want));
	}
	ck_assert_int_eq(netlink_routes(&nl, 5252, 116, v, 2), 2);
	netlink_close(&nl);
}

TEST(a_device_is_deleted_by_its_name_and_one_that_is_gone_is_no_fault)
{
	struct netlink_link link;
	struct netlink nl;

	if (!own_namespace())
		SKIP("needs root for a network namespace");
	if (system("ip tuntap add tp0 mode tun && ip tuntap add tp1 mode tun") != 0)
		SKIP("needs /dev/net/tun");
	ck_assert_int_eq(netlink_open(&nl), 0);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_int_eq(netlink_link_del(&nl, "tp0"), 0);
	ck_assert_int_eq(netlink_link(&nl, "tp0", &link), -ENODEV);
	ck_assert_int_eq(netlink_link(&nl, "tp1", &link), 0);
	netlink_close(&nl);
}

TEST(a_route_is_put_once_into_its_table_and_anothers_is_not_replaced)
{
	const struct ip me = ip_v4(192, 0, 2, 7);
	struct netlink_route route = { .dst = prefix("100.64.0.0/10"), .table = 5252, .mtu = 1280 };
	struct netlink_route other;
	struct netlink_link lo;
	struct netlink nl;

	if (!own_namespace())
		SKIP("needs root for a network namespace");
	ck_assert_int_eq(netlink_open(&nl), 0);
	ck_assert_int_eq(netlink_link(&nl, "no-such", &lo), -ENODEV);
	ck_assert_int_eq(netlink_link(&nl, "lo", &lo), 0);
	ck_assert(!lo.is_port && !lo.is_cable);
	ck_assert_int_eq(netlink_link_up(&nl, lo.index, 1500), 0);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_int_eq(netlink_addr_add(&nl, lo.index, &me), 0);
	route.link = lo.index;
	ck_assert_int_eq(netlink_route_has(&nl, &route, 116), 0);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_int_eq(netlink_route_add(&nl, &route, 116), 0);
	ck_assert_int_eq(netlink_route_has(&nl, &route, 116), 1);
	ck_assert_int_eq(netlink_route_add(&nl, &route, 117), -EEXIST);
	other = route;
	other.table = 0; /* main: nothing is there */
	ck_assert_int_eq(netlink_route_has(&nl, &other, 116), 0);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_int_eq(netlink_route_del(&nl, &route, 116), 0);
	ck_assert_int_eq(netlink_route_has(&nl, &route, 116), 0);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_int_eq(netlink_addr_del(&nl, lo.index, &me), 0);
	ck_assert_int_eq(netlink_default(&nl, false, &other), -ENOENT);
	netlink_close(&nl);
}

/* two messages, of 1 and 0 bytes; the first has three bytes of padding */
static size_t two_messages(uint8_t out[static 64])
{
	const struct nlmsghdr h[2] = { { .nlmsg_len = sizeof h[0] + 1, .nlmsg_seq = 1 },
				       { .nlmsg_len = sizeof h[0], .nlmsg_seq = 2 } };

	memcpy(out, &h[0], sizeof h[0]);
	memcpy(out + sizeof h[0], "a\xee\xee\xee", 4);
	memcpy(out + sizeof h[0] + 4, &h[1], sizeof h[1]);
	return 2 * sizeof h[0] + 4;
}

TEST(messages_of_a_datagram_are_taken_one_by_one_and_a_cut_one_is_refused)
{
	uint8_t in[64];
	const size_t len = two_messages(in);
	struct nlmsghdr h;
	struct rd r, body;

	for (size_t n = 0; n <= len; n++) {
		int ret;

		r = rd_of(in, n);
		ret = netlink_next(&r, &h, &body);
		if (n == 0 || n < sizeof h + 1) {
			ck_assert_int_eq(ret, n == 0 ? 0 : -EBADMSG);
			continue;
		}
		ck_assert_int_eq(ret, 1);
		ck_assert_uint_eq(body.left, 1);
		ck_bytes_eq(body.p, "a", 1);
		ret = netlink_next(&r, &h, &body);
		if (n <= sizeof h + 4) /* the padding may be missing */
			ck_assert_int_eq(ret, 0);
		else
			ck_assert_int_eq(ret, n == len ? 1 : -EBADMSG);
	}
	ck_assert_uint_eq(h.nlmsg_seq, 2);
	ck_assert_uint_eq(body.left, 0);
	ck_assert_int_eq(netlink_next(&r, &h, &body), 0);
}

TEST(a_message_shorter_than_its_head_or_longer_than_its_datagram_is_refused)
{
	static const uint32_t bad[] = { 0, 1, sizeof(struct nlmsghdr) - 1, 64, UINT32_MAX };
	uint8_t in[64];
	const size_t len = two_messages(in);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct rd r = rd_of(in, len), body;
		struct nlmsghdr h;

		memcpy(in, &bad[i], sizeof bad[i]);
		ck_assert_int_eq(netlink_next(&r, &h, &body), -EBADMSG);
	}
}
