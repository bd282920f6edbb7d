/* os/netlink_test.c - in a network namespace of its own: rules, routes, a device that outlives us,
 * masquerade */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/masquerade.h"
#include "os/netlink.h"
#include "os/tun.h"
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

struct seen {
	size_t n;
	struct rtnl_rule rules[8];
	struct rtnl_route routes[8];
};

static void see_rule(void *ctx, const struct rtnl_rule *r)
{
	struct seen *s = ctx;

	if (s->n < ARRAY_LEN(s->rules))
		s->rules[s->n++] = *r;
}

static void see_route(void *ctx, const struct rtnl_route *r)
{
	struct seen *s = ctx;

	if (s->n < ARRAY_LEN(s->routes))
		s->routes[s->n++] = *r;
}

TEST(rules_are_listed_as_they_were_made_and_only_those_of_our_protocol)
{
	const struct rtnl_rule v[] = {
		{ .is_lookup = true,
		  .has_from = true,
		  .priority = 500,
		  .table = 5252,
		  .from = prefix("10.0.0.2"),
		  .to = prefix("100.64.0.0/10"),
		  .protocol = 116 },
		{ .priority = 501,
		  .to = prefix("fd7a:115c:a1e0::/48"),
		  .iif = "cable7",
		  .protocol = 116 },
	};
	struct rtnl_rule other = v[0];
	struct seen s = { 0 };
	struct rtnl *nl;

	if (!own_namespace())
		SKIP("needs root for a network namespace");
	nl = rtnl_new(NULL);
	ck_assert_ptr_nonnull(nl);
	other.priority = 7;
	other.protocol = 117;
	ck_assert_int_eq(rtnl_rule_add(nl, &other), 0);
	for (int twice = 0; twice < 2; twice++)
		for (size_t i = 0; i < ARRAY_LEN(v); i++)
			ck_assert_int_eq(rtnl_rule_add(nl, &v[i]), 0);
	ck_assert_int_eq(rtnl_rules(nl, 116, see_rule, &s), 0);
	ck_assert_uint_eq(s.n, 2);
	ck_assert(rtnl_rule_eq(&s.rules[0], &v[0]) && rtnl_rule_eq(&s.rules[1], &v[1]));
	for (int twice = 0; twice < 2; twice++)
		for (size_t i = 0; i < ARRAY_LEN(v); i++)
			ck_assert_int_eq(rtnl_rule_del(nl, &v[i]), 0);
	s.n = 0;
	ck_assert_int_eq(rtnl_rules(nl, 116, see_rule, &s), 0);
	ck_assert_uint_eq(s.n, 0);
	rtnl_free(nl);
}

static size_t ignore(void *ctx, const struct pkt *v, size_t n)
{
	(void)ctx;
	(void)v;
	return n;
}

TEST(a_device_keeps_its_address_and_routes_when_its_owner_goes)
{
	const struct ip me = ip_v4(100, 64, 0, 7);
	struct rtnl_route route = {
		.dst = prefix("100.64.0.0/10"), .table = 5252, .mtu = 1280, .protocol = 116
	};
	struct seen s = { 0 };
	struct err e = { 0 };
	struct loop *loop = loop_new();
	struct rtnl *nl;
	struct tun *t;
	int link;

	if (!own_namespace() || access("/dev/net/tun", W_OK) != 0)
		SKIP("needs root and /dev/net/tun");
	nl = rtnl_new(NULL);
	t = tun_open(loop, "tp0", ignore, NULL, &e);
	ck_assert_msg(t != NULL, "%s", e.text);
	link = rtnl_link_index(nl, "tp0");
	ck_assert_int_gt(link, 0);
	route.link = link;
	ck_assert_int_eq(rtnl_link_up(nl, link, 1280), 0);
	for (int twice = 0; twice < 2; twice++) {
		ck_assert_int_eq(rtnl_addr_add(nl, link, &me), 0);
		ck_assert_int_eq(rtnl_route_add(nl, &route), 0);
	}
	tun_close(t);
	ck_assert_int_eq(rtnl_link_index(nl, "tp0"), link);
	ck_assert_int_eq(rtnl_routes(nl, 5252, 116, see_route, &s), 0);
	ck_assert_uint_eq(s.n, 1);
	ck_assert(ipprefix_eq(&s.routes[0].dst, &route.dst) && s.routes[0].link == link);
	t = tun_open(loop, "tp0", ignore, NULL, &e);
	ck_assert_msg(t != NULL, "%s", e.text);
	ck_assert_int_eq(rtnl_route_del(nl, &route), 0);
	ck_assert_int_eq(rtnl_route_del(nl, &route), 0);
	ck_assert_int_eq(rtnl_addr_del(nl, link, &me), 0);
	ck_assert_int_eq(tun_remove(t, &e), 0);
	tun_close(t);
	ck_assert_int_eq(rtnl_link_index(nl, "tp0"), -ENODEV);
	rtnl_free(nl);
	loop_free(loop);
}

TEST(masquerade_is_made_once_and_removed_twice_without_a_fault)
{
	struct err e = { 0 };

	if (!own_namespace())
		SKIP("needs root for a network namespace");
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(masquerade_add("tp0", &e) == 0, "%s", e.text);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(masquerade_del("tp0", &e) == 0, "%s", e.text);
}
