/* coordinator/relaymap_test.c - what nodes are told of our relay and of names */
#include "coordinator/serve_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness.h"

static struct config conf;
static struct err e;
static char got[65536];

static void setting(const char *key, const char *value)
{
	ck_assert_msg(config_set(&conf, key, value, &e) == 0, "%s", e.text);
}

static void setup(const char *url)
{
	config_init(&conf);
	setting("server_url", url);
	e = (struct err){ 0 };
}

static int derp(void)
{
	struct buf out;
	int ret = config_settle(&conf, &e);

	ck_assert_msg(ret == 0, "%s", e.text);
	buf_init(&out, sizeof got - 1);
	ret = relaymap_derp(&conf, NULL, &out, &e);
	bytes_to_str(buf_bytes(&out), got, sizeof got);
	buf_fini(&out);
	return ret;
}

static void dns(void)
{
	struct buf out;

	buf_init(&out, sizeof got - 1);
	ck_assert_int_eq(relaymap_dns(&conf, &out), 0);
	bytes_to_str(buf_bytes(&out), got, sizeof got);
	buf_fini(&out);
}

static void has(const char *words)
{
	ck_assert_msg(strstr(got, words) != NULL, "%s lacks %s", got, words);
}

static void lacks(const char *words)
{
	ck_assert_msg(strstr(got, words) == NULL, "%s has %s", got, words);
}

TEST(our_relay_is_where_the_server_is)
{
	setup("https://control.example.com");
	ck_assert_int_eq(derp(), 0);
	has("\"900\":{\"RegionID\":900,");
	has("\"HostName\":\"control.example.com\"");
	has("\"DERPPort\":443");
	has("\"STUNPort\":3478");
	has("\"omitDefaultRegions\":true");
	lacks("\"IPv4\"");
	lacks("CertName");
	config_fini(&conf);
}

TEST(a_relay_with_an_address_for_a_name_has_none_of_the_other_family)
{
	setup("http://192.0.2.1:8080");
	ck_assert_int_eq(derp(), 0);
	has("\"IPv4\":\"192.0.2.1\",\"IPv6\":\"none\"");
	has("\"DERPPort\":8080");
	config_fini(&conf);
	setup("http://[2001:db8::1]:8080");
	ck_assert_int_eq(derp(), 0);
	has("\"HostName\":\"2001:db8::1\"");
	has("\"IPv4\":\"none\",\"IPv6\":\"2001:db8::1\"");
	config_fini(&conf);
}

TEST(stun_is_told_where_it_listens_or_that_it_does_not)
{
	setup("http://control.example.com");
	setting("derp.stun_listen", "[::1]:7000");
	ck_assert_int_eq(derp(), 0);
	has("\"STUNPort\":7000");
	config_fini(&conf);
	setup("http://control.example.com");
	setting("derp.stun_listen", "off");
	ck_assert_int_eq(derp(), 0);
	has("\"STUNPort\":-1"); /* 0 would be the usual port */
	config_fini(&conf);
}

TEST(a_tailnet_without_any_relay_is_refused_and_others_may_take_our_place)
{
	char path[] = "/tmp/relaymap-XXXXXX";
	const int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	ck_assert_ptr_nonnull(f);
	fputs("regions:\n  7: {regionid: 7, regioncode: far, nodes: [{name: 7a, regionid: 7, "
	      "hostname: far.example.com}]}\n",
	      f);
	fclose(f);
	setup("http://control.example.com");
	setting("derp.enabled", "false");
	ck_assert_int_eq(derp(), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "derp.map"));
	setting("derp.map", path);
	ck_assert_msg(derp() == 0, "%s", e.text);
	has("\"7\":{");
	has("far.example.com");
	lacks("\"900\"");
	setting("derp.enabled", "true");
	ck_assert_msg(derp() == 0, "%s", e.text);
	has("\"7\":{");
	has("\"900\":{");
	setting("derp.region_id", "7"); /* as in the file */
	ck_assert_int_eq(derp(), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "derp.region_id"));
	unlink(path);
	ck_assert_int_lt(derp(), 0);
	ck_assert_msg(strncmp(e.text, "derp.map: read /tmp/", 20) == 0, "%s", e.text);
	config_fini(&conf);
}

TEST(names_of_the_tailnet_and_its_addresses_are_the_nodes_own_to_answer)
{
	setup("http://control.example.com");
	dns();
	has("\"tailnet.internal\":[]");
	has("\"64.100.in-addr.arpa\":[]");
	has("\"127.100.in-addr.arpa\":[]");
	has("\"0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa\":[]");
	lacks("\"63.100.in-addr.arpa\"");
	lacks("\"128.100.in-addr.arpa\"");
	lacks("Resolvers");
	lacks("ExtraRecords");
	has("\"Domains\":[\"tailnet.internal\"]");
	config_fini(&conf);
}
