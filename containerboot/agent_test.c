/* containerboot/agent_test.c - the agent's words and its rounds over files and rules */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "containerboot/agent.h"
#include "containerboot/agent_rules.h"
#include "os/file.h"
#include "os/tun.h"
#include "pod/words.h"
#include "tests/harness.h"

TEST(namespaces_admit_whole_names_and_prefixes_with_a_star)
{
	ck_assert(agent_admits(NULL, "") && agent_admits("*", "a/b"));
	ck_assert(agent_admits("x,apps", "apps/web") && agent_admits("team-*", "team-a/b"));
	ck_assert(!agent_admits("apps", "app/web") && !agent_admits("app", "apps/web"));
	ck_assert(!agent_admits("", "apps/web") && !agent_admits("apps", ""));
	ck_assert(!agent_admits(
	    "team-a*", "team-/a")); /* the star is of the namespace, not of the pod's name */
}

TEST(subnets_are_a_list_without_a_default_route)
{
	struct ipprefix v[AGENT_SUBNETS_MAX];
	struct err e;

	ck_assert_int_eq(agent_subnets(NULL, v, &e), 0);
	ck_assert_int_eq(agent_subnets("10.50.0.0/16,fd00:50::/64", v, &e), 2);
	ck_assert(ip_is_v4(&v[0].ip) && !ip_is_v4(&v[1].ip) && v[1].bits == 64);
	ck_assert_int_eq(agent_subnets("10.50.0.0/16,0.0.0.0/0,::/0", v, &e), -EINVAL);
	ck_assert_int_eq(
	    agent_subnets("1.0.0.0/8,2.0.0.0/8,3.0.0.0/8,4.0.0.0/8,5.0.0.0/8,6.0.0.0/8,"
			  "7.0.0.0/8",
			  v, &e),
	    -EINVAL);
}

/* --- rounds, in a network namespace of our own --- */

static char dir[64];

/* What a test leaves in it goes with the process. */
static void clean(void)
{
	char command[128];

	if (!*dir)
		return;
	snprintf(command, sizeof command, "rm -rf %s", dir);
	(void)!system(command);
}

static bool own_place(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return false;
	snprintf(dir, sizeof dir, "/tmp/agent-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	atexit(clean);
	return true;
}

static void write_file(const char *name, const char *state, const char *ip, const char *netns,
		       unsigned long ino)
{
	char path[192], text[1024];
	struct err e = { 0 };

	snprintf(path, sizeof path, "%s/net", dir);
	(void)!mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/net/%s:eth0", dir, name);
	snprintf(
	    text, sizeof text,
	    "{\"network\":\"net\",\"container\":\"%s\",\"ifname\":\"eth0\",\"netns\":\"%s\","
	    "\"netnsIno\":%lu,"
	    "\"state\":\"%s\",\"protocol\":116,\"rules\":["
	    "{\"priority\":5259,\"from\":\"%s/32\",\"to\":\"100.64.0.0/10\"},"
	    "{\"priority\":5258,\"from\":\"%s/32\",\"to\":\"100.64.0.0/10\",\"lookup\":5252}]}\n",
	    name, netns, ino, state, ip, ip);
	ck_assert_msg(file_replace(path, bytes_str(text), 0600, &e) == 0, "%s", e.text);
}

static size_t rules(struct netlink *nl)
{
	AUTO_FREE struct rule *v = NULL;
	size_t n;

	ck_assert_int_eq(netlink_rules_all(nl, 116, &v, &n), 0);
	return n;
}

static struct agent_rules_counts go(struct netlink *nl)
{
	struct agent_rules_counts c;
	struct err e = { 0 };

	ck_assert_msg(agent_rules_reconcile(nl, dir, 116, &c, &e) == 0, "%s", e.text);
	return c;
}

TEST(a_round_puts_what_files_want_and_removes_what_none_names)
{
	struct rule stray = {
		.is_lookup = true, .has_from = true, .priority = 5258, .table = 5252
	};
	struct agent_rules_counts c;
	struct netlink nl;
	char path[192];

	if (!own_place())
		SKIP("needs root for a network namespace");
	ck_assert_int_eq(netlink_open(&nl), 0);
	ck_assert(ipprefix_parse(bytes_str("10.0.0.9"), &stray.from) &&
		  ipprefix_parse(bytes_str("100.64.0.0/10"), &stray.to));
	write_file("guarded", "guarded", "10.0.0.1", "/x/y", 0);
	write_file("pending", "pending", "10.0.0.2", "/x/y", 0);
	ck_assert_int_eq(netlink_rule_add(&nl, &stray, 116), 0);
	c = go(&nl);
	ck_assert_uint_eq(c.attachments, 2);
	ck_assert_uint_eq(c.granted, 1);
	ck_assert_uint_eq(c.put, 3); /* two guards and one lookup */
	ck_assert_uint_eq(c.swept, 1);
	ck_assert_uint_eq(rules(&nl), 3);
	c = go(&nl);
	ck_assert(c.put == 0 && c.swept == 0);
	/* a lookup of a guarded pod is nobody's, though its file could name it */
	ck_assert(ipprefix_parse(bytes_str("10.0.0.1"), &stray.from));
	ck_assert_int_eq(netlink_rule_add(&nl, &stray, 116), 0);
	ck_assert_uint_eq(go(&nl).swept, 1);
	/* a file that does not parse may name any rule: nothing is swept */
	snprintf(path, sizeof path, "%s/net/bad:eth0", dir);
	ck_assert_int_eq(file_replace(path, bytes_str("{"), 0600, NULL), 0);
	ck_assert_int_eq(netlink_rule_add(&nl, &stray, 116), 0);
	c = go(&nl);
	ck_assert(c.bad == 1 && c.swept == 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_uint_eq(go(&nl).swept, 1);
	netlink_close(&nl);
}

TEST(an_attachment_whose_namespace_is_gone_goes_after_a_minute)
{
	struct agent_rules_counts c;
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct netlink nl;
	char path[192], gone[128];

	if (!own_place())
		SKIP("needs root for a network namespace");
	ck_assert_int_eq(netlink_open(&nl), 0);
	snprintf(gone, sizeof gone, "%s/none", dir);
	write_file("a", "granted", "10.0.0.1", gone, 7);
	write_file("b", "granted", "10.0.0.2", "/no/such/place/n",
		   7); /* not to be seen from here: says nothing */
	c = go(&nl);
	ck_assert(c.gone == 0 && c.attachments == 2);
	snprintf(path, sizeof path, "%s/net/a:eth0", dir);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
	snprintf(path, sizeof path, "%s/net/b:eth0", dir);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
	c = go(&nl);
	ck_assert_uint_eq(c.gone, 1);
	ck_assert_uint_eq(c.attachments, 1);
	ck_assert_uint_eq(c.swept, 2);
	ck_assert_uint_eq(rules(&nl), 2);
	netlink_close(&nl);
}

TEST(without_a_state_directory_no_rule_is_touched)
{
	struct rule guard = { .has_from = true, .priority = 5259 };
	struct netlink nl;

	if (!own_place())
		SKIP("needs root for a network namespace");
	ck_assert_int_eq(netlink_open(&nl), 0);
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert(ipprefix_parse(bytes_str("10.0.0.9"), &guard.from) &&
		  ipprefix_parse(bytes_str("100.64.0.0/10"), &guard.to));
	ck_assert_int_eq(netlink_rule_add(&nl, &guard, 116), 0);
	ck_assert_uint_eq(go(&nl).swept, 0);
	ck_assert_uint_eq(rules(&nl), 1);
	netlink_close(&nl);
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
	struct netlink_route route = { .table = 5252, .mtu = 1280 };
	struct netlink_link link;
	struct err e = { 0 };
	struct loop *loop = loop_new();
	struct netlink nl;
	struct tun *t;

	if (!own_place() || access("/dev/net/tun", W_OK) != 0)
		SKIP("needs root and /dev/net/tun");
	ck_assert_int_eq(netlink_open(&nl), 0);
	ck_assert(ipprefix_parse(bytes_str("100.64.0.0/10"), &route.dst));
	t = tun_open(loop, "tp0", ignore, NULL, &e);
	ck_assert_msg(t != NULL, "%s", e.text);
	ck_assert_int_eq(netlink_link(&nl, "tp0", &link), 0);
	route.link = link.index;
	ck_assert_int_eq(netlink_link_up(&nl, link.index, 1280), 0);
	for (int twice = 0; twice < 2; twice++) {
		ck_assert_int_eq(netlink_addr_add(&nl, link.index, &me), 0);
		ck_assert_int_eq(netlink_route_add(&nl, &route, 116), 0);
	}
	tun_close(t);
	ck_assert_int_eq(netlink_link(&nl, "tp0", &link), 0);
	ck_assert_int_eq(link.index, route.link);
	ck_assert_int_eq(netlink_route_has(&nl, &route, 116), 1);
	t = tun_open(loop, "tp0", ignore, NULL, &e);
	ck_assert_msg(t != NULL, "%s", e.text);
	ck_assert_int_eq(netlink_route_del(&nl, &route, 116), 0);
	ck_assert_int_eq(netlink_route_del(&nl, &route, 116), 0);
	ck_assert_int_eq(netlink_addr_del(&nl, link.index, &me), 0);
	ck_assert_int_eq(tun_remove(t, &e), 0);
	tun_close(t);
	ck_assert_int_eq(netlink_link(&nl, "tp0", &link), -ENODEV);
	netlink_close(&nl);
	loop_free(loop);
}
