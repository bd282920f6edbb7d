/* os/link_test.c - local addresses and their changes; changes are made in a network namespace of
 * the test's own */
#include "os/link.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness.h"

static struct loop *loop;
static int n_told;

static void told(void *ctx)
{
	(void)ctx;
	n_told++;
}

/* As root at once; as another user by way of a user namespace, where that is allowed. */
static bool enter_netns(void)
{
	unsigned uid = getuid();
	FILE *f;

	if (unshare(CLONE_NEWNET) < 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 ||
		    !(f = fopen("/proc/self/uid_map", "w")))
			return false;
		fprintf(f, "0 %u 1\n", uid);
		if (fclose(f) != 0)
			return false;
	}
	return system("ip link set lo up") == 0;
}

TEST(loopback_is_listed_with_its_prefix)
{
	struct link_addr v[LINK_ADDRS_MAX];
	struct err err;
	bool found = false;
	int n = link_addrs(v, LINK_ADDRS_MAX, &err);

	ck_assert_int_gt(n, 0);
	for (int i = 0; i < n; i++) {
		char text[IP_TEXT];

		if (strcmp(ip_text(&v[i].ip, text), "127.0.0.1") == 0) {
			found = true;
			ck_assert(v[i].is_loopback);
			ck_assert_uint_eq(v[i].bits, 96 + 8);
			ck_assert_str_eq(v[i].name, "lo");
		}
	}
	ck_assert(found);
	ck_assert_int_le(link_addrs(v, 1, &err), 1);
}

TEST(changes_are_told_once_for_several_and_addresses_and_gateway_are_seen)
{
	struct link_addr v[LINK_ADDRS_MAX];
	struct link_watch *w;
	char text[IP_TEXT];
	struct err err;
	struct ip gw;
	int n, hits = 0;

	if (!enter_netns())
		SKIP("no network namespace for this user, or no ip command");
	loop = loop_new();
	w = link_watch_new(loop, SPAN_MS(20), told, NULL, &err);
	ck_assert_msg(w != NULL, "%s", err.text);
	for (int i = 0; i < 3; i++)
		loop_turn(loop, SPAN_MS(5));
	ck_assert_int_eq(n_told, 0);
	ck_assert(!link_gateway(&gw));
	ck_assert_int_eq(
	    system("ip addr add 192.0.2.1/24 dev lo && ip addr add 192.0.2.2/24 dev lo && "
		   "ip route add default via 192.0.2.9 dev lo metric 20 && "
		   "ip route add default via 192.0.2.8 dev lo metric 10"),
	    0);
	for (int i = 0; i < 100 && n_told == 0; i++)
		loop_turn(loop, SPAN_MS(50));
	for (int i = 0; i < 6; i++)
		loop_turn(loop, SPAN_MS(10));
	ck_assert_int_eq(n_told, 1);
	n = link_addrs(v, LINK_ADDRS_MAX, &err);
	for (int i = 0; i < n; i++)
		hits +=
		    strncmp(ip_text(&v[i].ip, text), "192.0.2.", 8) == 0 && v[i].bits == 96 + 24;
	ck_assert_int_eq(hits, 2);
	ck_assert(link_gateway(&gw));
	ck_assert_str_eq(ip_text(&gw, text), "192.0.2.8");
	link_watch_free(w);
	loop_free(loop);
}

TEST(what_leaves_addresses_and_default_routes_alone_is_not_told)
{
	struct link_watch *w;
	struct err err;

	if (!enter_netns())
		SKIP("no network namespace for this user, or no ip command");
	ck_assert_int_eq(system("ip addr add 192.0.2.1/24 dev lo && "
				"ip route add default via 192.0.2.9 dev lo"),
			 0);
	loop = loop_new();
	w = link_watch_new(loop, SPAN_MS(20), told, NULL, &err);
	ck_assert_msg(w != NULL, "%s", err.text);
	/* somebody's capture, a route elsewhere, another container's interface, a link-local
	 * address */
	ck_assert_int_eq(system("ip link set lo promisc on; ip route add 198.51.100.0/24 dev lo; "
				"ip link add other type veth peer name far; ip link set other up; "
				"ip addr add 169.254.1.1/16 dev lo"),
			 0);
	for (int i = 0; i < 20; i++)
		loop_turn(loop, SPAN_MS(10));
	ck_assert_int_eq(n_told, 0);
	ck_assert_int_eq(system("ip route replace default via 192.0.2.8 dev lo"), 0);
	for (int i = 0; i < 100 && n_told == 0; i++)
		loop_turn(loop, SPAN_MS(50));
	ck_assert_int_eq(n_told, 1);
	ck_assert_int_eq(system("ip addr del 192.0.2.1/24 dev lo"), 0);
	for (int i = 0; i < 100 && n_told == 1; i++)
		loop_turn(loop, SPAN_MS(50));
	ck_assert_int_eq(n_told, 2);
	link_watch_free(w);
	loop_free(loop);
}

TEST(an_address_is_the_hosts_own_or_not)
{
	const struct ip loopback = { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } };
	const struct ip nobody = { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 77 } };
	const struct ip nobody6 = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 77 } };

	ck_assert(link_has_addr(&loopback));
	ck_assert(!link_has_addr(&nobody));
	ck_assert(!link_has_addr(&nobody6));
}
