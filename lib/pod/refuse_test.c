/* pod/refuse_test.c - in a network namespace of its own */
#include "pod/refuse.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "pod/attachment.h"
#include "tests/pod_wire.h"

enum { PROTOCOL = 116, TABLE = 5252, TIMES = 50 };

/* A pod, the machine's own way to everything, and the device of the agent. */
static struct netlink nl;
static int pod, out, dev;

static struct rule rule_of(bool is_lookup, const char *from, const char *to)
{
	struct rule r = { .is_lookup = is_lookup,
			  .has_from = true,
			  .priority = is_lookup ? 5258 : 5259,
			  .table = is_lookup ? TABLE : 0 };

	ck_assert(ipprefix_parse(bytes_str(from), &r.from) && ipprefix_parse(bytes_str(to), &r.to));
	return r;
}

static bool set_up(void)
{
	ck_assert_int_eq(netlink_open(&nl), 0);
	pod = wire_device(&nl, "pod0", "10.0.0.0/8", "fd00:66::/64");
	out = wire_device(&nl, "out0", "100.0.0.0/8", "fd00::/8");
	dev = wire_device(&nl, "tp0", NULL, NULL);
	if (pod >= 0 && out >= 0 && dev >= 0 && wire_forwards())
		return true;
	puts("no TUN device or no /proc/sys here: nothing is tried");
	return false;
}

static void guard(const struct rule *guards, size_t n)
{
	struct err e = { 0 };

	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(netlink_rule_add(&nl, &guards[i], PROTOCOL), 0);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(refuse_put(guards, n, &e) == 0, "%s", e.text);
}

static void all_reset(const char *from, const char *to)
{
	for (int i = 0; i < TIMES; i++)
		ck_assert_msg(wire_try(pod, out, WIRE_SYN, from, to).what == WIRE_RESET,
			      "%s to %s, number %d", from, to, i);
}

static void passes(int by, const char *from, const char *to)
{
	ck_assert_msg(wire_try(pod, by, WIRE_SYN, from, to).what == WIRE_PASSED, "%s to %s", from,
		      to);
}

TEST(a_guarded_pod_is_reset_each_time_and_nobody_else_is)
{
	const struct rule guards[] = { rule_of(false, "10.0.0.2", "100.64.0.0/10"),
				       rule_of(false, "10.0.0.2", "100.10.4.0/22"),
				       rule_of(false, "fd00:66::2", "fd7a:115c:a1e0::/48") };
	struct err e = { 0 };

	if (!wire_namespace())
		SKIP("needs root for a network namespace");
	if (!set_up())
		return;
	passes(out, "10.0.0.2", "100.64.0.9"); /* it would leak */
	passes(out, "fd00:66::2", "fd7a:115c:a1e0::9");
	guard(guards, 1);
	guard(guards, ARRAY_LEN(guards));
	all_reset("10.0.0.2", "100.64.0.9");
	all_reset("10.0.0.2", "100.127.255.255");
	all_reset("10.0.0.2", "100.10.7.255");
	all_reset("fd00:66::2", "fd7a:115c:a1e0:ffff::9");
	/* another destination, another source, and what is no TCP */
	passes(out, "10.0.0.2", "100.63.255.255");
	passes(out, "10.0.0.2", "100.10.8.0");
	passes(out, "fd00:66::2", "fd7a:115c:a1e1::9");
	passes(out, "10.0.0.3", "100.64.0.9");
	passes(out, "fd00:66::3", "fd7a:115c:a1e0::9");
	ck_assert_int_eq(wire_try(pod, out, WIRE_UDP, "10.0.0.2", "100.64.0.9").what, WIRE_ICMP);

	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(refuse_del(&e) == 0, "%s", e.text);
	ck_assert_int_eq(wire_try(pod, out, WIRE_SYN, "10.0.0.2", "100.64.0.9").what, WIRE_ICMP);
}

TEST(a_granted_pod_passes_and_is_reset_as_soon_as_the_tailnet_has_no_route)
{
	static const char *const ends[2][3] = { { "10.0.0.2", "100.64.0.9", "100.64.0.0/10" },
						{ "fd00:66::2", "fd7a:115c:a1e0::9",
						  "fd7a:115c:a1e0::/48" } };

	if (!wire_namespace())
		SKIP("needs root for a network namespace");
	if (!set_up())
		return;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		const struct rule lookup = rule_of(true, ends[i][0], ends[i][2]),
				  unreachable = rule_of(false, ends[i][0], ends[i][2]);
		struct netlink_route route = wire_route(&nl, "tp0", ends[i][2]);

		route.table = TABLE;
		guard(&unreachable, 1);
		ck_assert_int_eq(netlink_rule_add(&nl, &lookup, PROTOCOL), 0);
		all_reset(ends[i][0], ends[i][1]); /* not on the tailnet yet */
		ck_assert_int_eq(netlink_route_add(&nl, &route, PROTOCOL), 0);
		passes(dev, ends[i][0], ends[i][1]);
		ck_assert_int_eq(netlink_route_del(&nl, &route, PROTOCOL), 0);
		all_reset(ends[i][0], ends[i][1]);
	}
}

static bool is_answered(const char *const ends[static 2])
{
	return wire_try(pod, out, WIRE_SYN, ends[0], ends[1]).what == WIRE_ANSWERED;
}

TEST(the_machines_own_addresses_in_a_range_answer_as_ever)
{
	static const char *const ends[2][3] = { { "10.0.0.2", "100.64.0.1", "100.64.0.0/10" },
						{ "fd00:66::2", "fd7a:115c:a1e0::1",
						  "fd7a:115c:a1e0::/48" } };
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	struct netlink_link link;
	int fd;

	if (!wire_namespace())
		SKIP("needs root for a network namespace");
	if (!set_up())
		return;
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof any) == 0 &&
		  listen(fd, 9) == 0);
	ck_assert_int_eq(netlink_link(&nl, "tp0", &link), 0);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		const struct rule unreachable = rule_of(false, ends[i][0], ends[i][2]);
		struct ip ip;

		ck_assert(ip_parse(bytes_str(ends[i][1]), &ip));
		ck_assert_int_eq(netlink_addr_add(&nl, link.index, &ip), 0);
		guard(&unreachable, 1);
		/* an address of IPv6 is usable a moment later */
		for (int tries = 0; !is_answered(ends[i]); tries++) {
			ck_assert_msg(tries < 1000, "%s never answers", ends[i][1]);
			(void)poll(NULL, 0, 10);
		}
	}
	close(fd);
}

TEST(it_stays_while_there_is_an_attachment_and_goes_with_the_last)
{
	const struct rule guards[] = { rule_of(false, "10.0.0.2", "100.64.0.0/10") };
	static struct attachment a = { .network = "net", .container = "c", .ifname = "eth0" };
	char dir[] = "/tmp/refuse-XXXXXX", network[64];
	struct err e = { 0 };

	if (!wire_namespace())
		SKIP("needs root for a network namespace");
	if (!set_up())
		return;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	guard(guards, 1);
	ck_assert_int_eq(attachment_save(dir, &a), 0);
	ck_assert_msg(refuse_tidy(dir, &e) == 0, "%s", e.text);
	all_reset("10.0.0.2", "100.64.0.9");
	/* of a running connection; no third error of ICMP in a second comes through */
	ck_assert_int_eq(wire_try(pod, out, WIRE_ACK, "10.0.0.2", "100.64.0.9").what, WIRE_ICMP);
	ck_assert_int_eq(attachment_remove(dir, a.network, a.container, a.ifname), 0);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(refuse_tidy(dir, &e) == 0, "%s", e.text);
	ck_assert_int_eq(wire_try(pod, out, WIRE_SYN, "10.0.0.2", "100.64.0.9").what, WIRE_ICMP);
	snprintf(network, sizeof network, "%s/net", dir);
	ck_assert(rmdir(network) == 0 && rmdir(dir) == 0);
}
