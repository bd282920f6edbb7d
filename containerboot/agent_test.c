/* containerboot/agent_test.c - the agent's words and its rounds over files and rules */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "containerboot/agent_protocol.h"
#include "containerboot/agent_rules.h"
#include "os/file.h"
#include "tests/harness.h"

TEST(a_request_needs_version_and_operation_and_is_refused_when_cut)
{
	static const char text[] = "{\"version\":1,\"op\":\"add\",\"pod\":\"apps/web\",\"new\":[]}";
	struct agent_request rq;

	ck_assert(agent_request_parse(bytes_str(text), &rq));
	ck_assert_int_eq(rq.op, AGENT_ADD);
	ck_assert_str_eq(rq.pod, "apps/web");
	for (size_t n = 0; n + 1 < sizeof text; n++)
		ck_assert(!agent_request_parse(bytes_of(text, n), &rq));
	ck_assert(!agent_request_parse(bytes_str("{\"version\":2,\"op\":\"add\"}"), &rq));
	ck_assert(!agent_request_parse(bytes_str("{\"version\":1,\"op\":\"drop\"}"), &rq));
	ck_assert(!agent_request_parse(bytes_str("{\"op\":\"add\"}"), &rq));
	ck_assert(!agent_request_parse(bytes_str("{\"version\":1}"), &rq));
}

TEST(namespaces_admit_whole_names_and_prefixes_with_a_star)
{
	ck_assert(agent_admits(NULL, "") && agent_admits("*", "a/b"));
	ck_assert(agent_admits("x,apps", "apps/web") && agent_admits("team-*", "team-a/b"));
	ck_assert(!agent_admits("apps", "app/web") && !agent_admits("app", "apps/web"));
	ck_assert(!agent_admits("", "apps/web") && !agent_admits("apps", ""));
	ck_assert(!agent_admits(
	    "team-a*", "team-/a")); /* the star is of the namespace, not of the pod's name */
}

/* --- rounds, in a network namespace of our own --- */

static char dir[64];

static bool own_place(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return false;
	snprintf(dir, sizeof dir, "/tmp/agent-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
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

static void count(void *ctx, const struct rtnl_rule *r)
{
	(void)r;
	++*(size_t *)ctx;
}

static size_t rules(struct rtnl *nl)
{
	size_t n = 0;

	ck_assert_int_eq(rtnl_rules(nl, 116, count, &n), 0);
	return n;
}

static struct agent_rules_counts go(struct rtnl *nl)
{
	struct agent_rules_counts c;
	struct err e = { 0 };

	ck_assert_msg(agent_rules_reconcile(nl, dir, 116, &c, &e) == 0, "%s", e.text);
	return c;
}

TEST(a_round_puts_what_files_want_and_removes_what_none_names)
{
	struct rtnl_rule stray = { .is_lookup = true,
				   .has_from = true,
				   .priority = 5258,
				   .table = 5252,
				   .protocol = 116 };
	struct agent_rules_counts c;
	struct rtnl *nl;
	char path[192];

	if (!own_place())
		SKIP("needs root for a network namespace");
	nl = rtnl_new(NULL);
	ck_assert(ipprefix_parse(bytes_str("10.0.0.9"), &stray.from) &&
		  ipprefix_parse(bytes_str("100.64.0.0/10"), &stray.to));
	write_file("guarded", "guarded", "10.0.0.1", "/x/y", 0);
	write_file("pending", "pending", "10.0.0.2", "/x/y", 0);
	ck_assert_int_eq(rtnl_rule_add(nl, &stray), 0);
	c = go(nl);
	ck_assert_uint_eq(c.attachments, 2);
	ck_assert_uint_eq(c.granted, 1);
	ck_assert_uint_eq(c.put, 3); /* two guards and one lookup */
	ck_assert_uint_eq(c.swept, 1);
	ck_assert_uint_eq(rules(nl), 3);
	c = go(nl);
	ck_assert(c.put == 0 && c.swept == 0);
	/* a lookup of a guarded pod is nobody's, though its file could name it */
	ck_assert(ipprefix_parse(bytes_str("10.0.0.1"), &stray.from));
	ck_assert_int_eq(rtnl_rule_add(nl, &stray), 0);
	ck_assert_uint_eq(go(nl).swept, 1);
	/* a file that does not parse may name any rule: nothing is swept */
	snprintf(path, sizeof path, "%s/net/bad:eth0", dir);
	ck_assert_int_eq(file_replace(path, bytes_str("{"), 0600, NULL), 0);
	ck_assert_int_eq(rtnl_rule_add(nl, &stray), 0);
	c = go(nl);
	ck_assert(c.bad == 1 && c.swept == 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_uint_eq(go(nl).swept, 1);
	rtnl_free(nl);
}

TEST(an_attachment_whose_namespace_is_gone_goes_after_a_minute)
{
	struct agent_rules_counts c;
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct rtnl *nl;
	char path[192], gone[128];

	if (!own_place())
		SKIP("needs root for a network namespace");
	nl = rtnl_new(NULL);
	snprintf(gone, sizeof gone, "%s/none", dir);
	write_file("a", "granted", "10.0.0.1", gone, 7);
	write_file("b", "granted", "10.0.0.2", "/no/such/place/n",
		   7); /* not to be seen from here: says nothing */
	c = go(nl);
	ck_assert(c.gone == 0 && c.attachments == 2);
	snprintf(path, sizeof path, "%s/net/a:eth0", dir);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
	snprintf(path, sizeof path, "%s/net/b:eth0", dir);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
	c = go(nl);
	ck_assert_uint_eq(c.gone, 1);
	ck_assert_uint_eq(c.attachments, 1);
	ck_assert_uint_eq(c.swept, 2);
	ck_assert_uint_eq(rules(nl), 2);
	rtnl_free(nl);
}

TEST(without_a_state_directory_no_rule_is_touched)
{
	struct rtnl_rule guard = { .has_from = true, .priority = 5259, .protocol = 116 };
	struct rtnl *nl;

	if (!own_place())
		SKIP("needs root for a network namespace");
	nl = rtnl_new(NULL);
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert(ipprefix_parse(bytes_str("10.0.0.9"), &guard.from) &&
		  ipprefix_parse(bytes_str("100.64.0.0/10"), &guard.to));
	ck_assert_int_eq(rtnl_rule_add(nl, &guard), 0);
	ck_assert_uint_eq(go(nl).swept, 0);
	ck_assert_uint_eq(rules(nl), 1);
	rtnl_free(nl);
}
