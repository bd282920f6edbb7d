/* host/route_test.c - the second fence: where a peer's packets may go through us, and where never
 */
#include "tests/host_fixture.h"

#include "host/host_priv.h"

static enum host_way way(const char *text, struct ip *to)
{
	struct ip a;

	ck_assert_msg(ip_parse(bytes_str(text), &a), "%s", text);
	return host_target(host, &a, to);
}

static void start(void)
{
	host_fixture_init();
	host_fixture_load_pair("\"100.64.0.2/32\"", NULL);
}

TEST(our_own_address_is_ours)
{
	struct ip to;

	start();
	ck_assert_int_eq(way("100.64.0.1", &to), HOST_OWN);
	ck_assert_int_eq(way("::ffff:100.64.0.1", &to), HOST_OWN); /* the same one */
	host_fixture_fini();
}

TEST(nobody_reaches_this_hosts_loopback_its_link_or_another_node_through_us)
{
	static const char *const nowhere[] = {
		"127.0.0.1",
		"127.255.255.254",
		"::1",
		"0.0.0.0",
		"::",
		"169.254.169.254", /* the metadata of a cloud's machine */
		"fe80::1",
		"224.0.0.1",
		"239.255.255.255",
		"ff02::1",
		"255.255.255.255",
		"100.64.0.2", /* a peer */
		"100.100.100.100",
		"100.127.255.255",
		"fd7a:115c:a1e0::1",
		/* the same, behind an address of a 4via6 site */
		"fd7a:115c:a1e0:b1a::7:127.0.0.1",
		"fd7a:115c:a1e0:b1a::7:0.0.0.0",
		"fd7a:115c:a1e0:b1a::7:169.254.169.254",
		"fd7a:115c:a1e0:b1a::7:224.0.0.1",
		"fd7a:115c:a1e0:b1a::7:255.255.255.255",
		"fd7a:115c:a1e0:b1a::7:100.64.0.2",
		"fd7a:115c:a1e0:b1b::7:10.0.0.1", /* not such an address, but one of the tailnet */
		"::ffff:127.0.0.1",
	};
	struct ip to;

	start();
	for (size_t i = 0; i < ARRAY_LEN(nowhere); i++)
		ck_assert_msg(way(nowhere[i], &to) == HOST_NOWHERE, "%s", nowhere[i]);
	host_fixture_fini();
}

TEST(an_address_behind_a_route_is_meant_as_it_is_or_as_the_ipv4_address_in_it)
{
	static const struct {
		const char *local, *to;
	} v[] = {
		{ "10.0.0.1", "10.0.0.1" },
		{ "8.8.8.8", "8.8.8.8" },
		{ "100.63.255.255", "100.63.255.255" }, /* beside the tailnet's range */
		{ "100.128.0.0", "100.128.0.0" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "fd00::1", "fd00::1" },
		{ "fd7a:115c:a1e0:b1a::7:10.1.2.3", "10.1.2.3" },
		{ "fd7a:115c:a1e0:b1a:0:ffff:10.1.2.3", "10.1.2.3" },
	};
	char text[IP_TEXT];
	struct ip to;

	start();
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		ck_assert_msg(way(v[i].local, &to) == HOST_ROUTED, "%s", v[i].local);
		ck_assert_str_eq(ip_text(&to, text), v[i].to);
	}
	host_fixture_fini();
}
