/* coordinator/config_test.c - defaults, every kind of value, and what is said of mistakes */
#include "coordinator/config.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/harness.h"

static struct config c;
static struct err e;

static int parse(const char *yaml)
{
	config_init(&c);
	e = (struct err){ 0 };
	return config_parse(&c, bytes_str(yaml), &e);
}

static void refused(const char *yaml, const char *where, const char *what)
{
	ck_assert_int_eq(parse(yaml), -EINVAL);
	ck_assert_msg(strncmp(e.text, where, strlen(where)) == 0 && strstr(e.text, what),
		      "'%s' is not '%s ... %s'", e.text, where, what);
	config_fini(&c);
}

static void unsettled(const char *yaml, const char *what)
{
	ck_assert_msg(parse(yaml) == 0, "%s", e.text);
	ck_assert_int_ne(config_settle(&c, &e), 0);
	ck_assert_msg(strstr(e.text, what) != NULL, "'%s' does not say '%s'", e.text, what);
	config_fini(&c);
}

TEST(empty_file_and_no_file_are_the_defaults_on_loopback)
{
	ck_assert_int_eq(parse(""), 0);
	ck_assert_msg(config_settle(&c, &e) == 0, "%s", e.text);
	ck_assert_str_eq(c.listen, "127.0.0.1:8080");
	ck_assert_str_eq(c.server_url, "http://127.0.0.1:8080");
	ck_assert_str_eq(c.socket, "/var/lib/coordinator/coordinator.sock");
	ck_assert_str_eq(c.stun_listen, "127.0.0.1:3478");
	ck_assert_str_eq(c.derp_host, "127.0.0.1");
	ck_assert_int_eq(c.v4.bits, 96 + 10);
	ck_assert_int_eq(c.v6.bits, 48);
	ck_assert(c.derp_enabled && c.derp_verify);
	ck_assert_int_eq(c.ephemeral_timeout.ns, 1800 * NS_PER_S);
	config_fini(&c);
}

TEST(every_kind_of_value_is_read)
{
	ck_assert_msg(parse("state_directory: /srv/x\nlisten: '[::1]:9'\ntls: {mode: "
			    "self}\nkey_expiry: 0\nnode_approval: true\n"
			    "prefixes:\n  v4: 100.100.0.0/16\n  v6: ''\nderp:\n  region_id: 7\n  "
			    "stun_listen: off\n"
			    "dns:\n  nameservers: [1.1.1.1, '2606:4700::1111']\n  search: []\n  "
			    "split:\n    corp.example: [10.0.0.53]\n"
			    "  extra_records:\n    - {name: a.example, type: A, value: 10.0.0.1}\n "
			    "   - {name: b.example, type: AAAA, value: 'fd00::1'}\n") == 0,
		      "%s", e.text);
	ck_assert_msg(config_settle(&c, &e) == 0, "%s", e.text);
	ck_assert_str_eq(c.server_url, "https://[::1]:9");
	ck_assert_int_eq(c.v4.bits, 112);
	ck_assert_int_eq(c.v6.bits, 0);
	ck_assert_int_eq(c.key_expiry.ns, 0);
	ck_assert(c.needs_approval);
	ck_assert_int_eq(c.derp_region, 7);
	ck_assert_uint_eq(c.nameservers.n, 2);
	ck_assert_str_eq(c.nameservers.v[1], "2606:4700::1111");
	ck_assert_uint_eq(c.n_split, 1);
	ck_assert_str_eq(c.split[0].domain, "corp.example");
	ck_assert_str_eq(c.split[0].resolvers.v[0], "10.0.0.53");
	ck_assert_uint_eq(c.n_records, 2);
	ck_assert_str_eq(c.records[1].type, "AAAA");
	config_fini(&c);
}

TEST(wrong_key_is_named_with_line_column_and_the_nearest_one)
{
	refused("listen: 127.0.0.1:1\nbase_domian: x\n",
		"line 2, column 1:", "nearest is 'base_domain'");
	refused("derp:\n  regoin_id: 1\n", "line 2, column 3:", "nearest is 'derp.region_id'");
	refused("nameservers: []\n", "line 1, column 1:", "nearest is 'dns.nameservers'");
	refused("derp: {enabled: {x: 1}}\n", "line 1, column 17:", "true or false");
}

TEST(wrong_values_are_named_with_line_and_column)
{
	refused("key_expiry: soon\n", "line 1, column 13:", "a time such as");
	refused("derp:\n  region_id: -1\n", "line 2, column 14:", "a number");
	refused("prefixes: {v4: nonsense}\n", "line 1, column 16:", "a prefix");
	refused("dns: {nameservers: 1.1.1.1}\n", "line 1, column 20:", "a list");
	refused("dns: {extra_records: [{name: x, type: A, value: 'fd00::1'}]}\n",
		"line 1, column 23:", "AAAA");
	refused("- a\n", "line 1, column 1:", "keys with values");
	refused("listen: [\n", "line 2", "");
	refused("a: *b\n", "line 1", "alias");
}

TEST(contradictions_are_refused_with_what_to_do)
{
	unsettled("listen: ':8080'\n", "server_url");
	unsettled("tls: {mode: files}\n", "tls.certificate");
	unsettled("system_calls: some\n", "limited, strict or any");
	unsettled("tls: {mode: maybe}\n", "off, files or self");
	unsettled("server_url: https://net.example\nbase_domain: net.example\n", "must differ");
	unsettled("server_url: net.example\n", "http");
	unsettled("base_domain: Bad_Name\n", "base_domain");
	unsettled("prefixes: {v4: '', v6: ''}\n", "both empty");
	unsettled("log_level: loud\n", "log_level");
	unsettled("derp: {region_id: 70000}\n", "region_id");
	unsettled("listen: nowhere\n", "listen");
	unsettled("limits: {handshakes_per_second: 1844674407370955162}\n", "at most 1000000");
	unsettled("limits: {api_per_second: 1000001}\n", "at most 1000000");
}

static int relay_of(const char *yaml)
{
	struct config r;
	int ret;

	config_init(&r);
	r.relay_only = true;
	ret = config_parse(&r, bytes_str(yaml), &e);
	if (ret == 0)
		ret = config_settle(&r, &e);
	config_fini(&r);
	return ret;
}

TEST(a_relay_alone_must_know_whom_to_let_in)
{
	ck_assert_int_eq(relay_of(""), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "--verify-url"));
	ck_assert_int_eq(relay_of("derp: {verify_url: 'https://c/verify'}"), 0);
	ck_assert_int_eq(relay_of("derp: {verify_clients: false}"), 0);
	ck_assert_int_eq(relay_of("derp: {verify_clients: false, enabled: false}"), -EINVAL);
	ck_assert_int_eq(relay_of("derp: {verify_clients: false, mesh_with: ['https://r']}"),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "mesh_key_file"));
	ck_assert_int_eq(relay_of("{derp: {verify_clients: false}, metrics_listen: 'x'}"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "metrics_listen"));
}

TEST(options_set_what_the_file_sets)
{
	struct config o;

	config_init(&o);
	ck_assert_int_eq(config_set(&o, "listen", "127.0.0.1:1", &e), 0);
	ck_assert_str_eq(o.listen, "127.0.0.1:1");
	ck_assert_int_eq(config_set(&o, "derp.verify_clients", "false", &e), 0);
	ck_assert(!o.derp_verify);
	for (int i = 0; i < CONFIG_LIST_MAX; i++)
		ck_assert_int_eq(config_set(&o, "derp.mesh_with", "https://r", &e), 0);
	ck_assert_uint_eq(o.derp_mesh_with.n, CONFIG_LIST_MAX);
	ck_assert_int_eq(config_set(&o, "derp.mesh_with", "https://r", &e), -EINVAL);
	ck_assert_int_eq(config_set(&o, "derp.region_id", "many", &e), -EINVAL);
	ck_assert_int_eq(config_set(&o, "derp", "x", &e), -EINVAL);
	ck_assert_int_eq(config_set(&o, "lisen", "x", &e), -EINVAL);
	config_fini(&o);
}

TEST(urls_are_taken_apart)
{
	char host[256];
	uint16_t port;
	bool tls;

	ck_assert(config_url("https://a.example", &tls, host, &port) && tls && port == 443);
	ck_assert(config_url("http://a.example:81/", &tls, host, &port) && !tls && port == 81);
	ck_assert_str_eq(host, "a.example");
	ck_assert(config_url("https://[fd00::1]:8", &tls, host, &port) && port == 8);
	ck_assert_str_eq(host, "fd00::1");
	ck_assert(!config_url("https://", &tls, host, &port));
	ck_assert(!config_url("ftp://a", &tls, host, &port));
	ck_assert(!config_url("https://a:0", &tls, host, &port));
	ck_assert(!config_url("https://a/b", &tls, host, &port));
	ck_assert(!config_url("https://u@a", &tls, host, &port));
	ck_assert(!config_url("https://[::1", &tls, host, &port));
}

TEST(description_is_a_file_that_parses_and_changes_nothing)
{
	struct config plain;
	struct buf out, bare;

	buf_init(&out, 1 << 20);
	buf_init(&bare, 1 << 20);
	ck_assert_int_eq(config_describe(&out), 0);
	/* the same with its settings switched on: the first # of lines that are no help */
	for (size_t i = 0, n; i < out.len; i += n + 1) {
		const char *line = (const char *)out.data + out.off + i;

		n = (size_t)((const char *)memchr(line, '\n', out.len - i) - line);
		if (line[0] == '#' && line[1] != ' ')
			ck_assert(buf_append(&bare, line + 1, n));
		else if (line[0] == '#' && line[1] == ' ' && line[2] == ' ' && line[3] != '#')
			ck_assert(buf_append(&bare, line + 1, n));
	}
	config_init(&plain);
	config_init(&c);
	ck_assert_msg(config_parse(&c, buf_bytes(&bare), &e) == 0, "%s\n%.*s", e.text,
		      (int)bare.len, (const char *)buf_bytes(&bare).data);
	free(c.records);
	c.records = NULL;
	ck_bytes_eq(&c, &plain, sizeof c);
	buf_fini(&out);
	buf_fini(&bare);
}

TEST(regions_of_a_headscale_file_become_a_relay_map)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	ck_assert_msg(
	    config_regions(bytes_str("regions:\n  901:\n    regionid: 901\n    regioncode: lab\n   "
				     " nodes:\n      - name: 901a\n        regionid: 901\n"
				     "        hostname: relay.example\n        stunport: -1\n      "
				     "  insecurefortests: true\n"),
			   &out, &e) == 0,
	    "%s", e.text);
	ck_assert(bytes_eq_str(
	    buf_bytes(&out),
	    "\"901\":{\"RegionID\":901,\"RegionCode\":\"lab\",\"Nodes\":[{\"Name\":\"901a\","
	    "\"RegionID\":901,"
	    "\"HostName\":\"relay.example\",\"STUNPort\":-1,\"InsecureForTests\":true}]}"));
	buf_clear(&out);
	ck_assert_int_eq(
	    config_regions(
		bytes_str(
		    "{\"Regions\":{\"1\":{\"RegionID\":1,\"Nodes\":[{\"HostName\":\"x\"}]}}}"),
		&out, &e),
	    0);
	buf_clear(&out);
	ck_assert_int_eq(config_regions(bytes_str("regions: {1: {nodes: [{name: x}]}}"), &out, &e),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "hostname"));
	ck_assert_int_eq(config_regions(bytes_str("regions: {x: {}}"), &out, &e), -EINVAL);
	ck_assert_int_eq(config_regions(bytes_str("regions: {1: {colour: red}}"), &out, &e),
			 -EINVAL);
	ck_assert_uint_eq(out.len, 0);
	buf_fini(&out);
}

TEST(a_server_url_that_is_not_served_here_is_a_proxys)
{
	static const struct {
		const char *yaml;
		bool is_proxy;
	} v[] = {
		{ "", false },
		{ "listen: 127.0.0.1:80\nserver_url: http://localhost", false },
		{ "listen: '[::1]:8080'\nserver_url: http://127.0.0.1:8080", false },
		{ "listen: ':443'\nserver_url: https://net.example\ntls: {mode: self}", false },
		{ "listen: 192.0.2.1:443\nserver_url: https://net.example\ntls: {mode: self}",
		  false },
		{ "listen: ':8080'\nserver_url: http://net.example:8080", false },
		{ "listen: ':8080'\nserver_url: https://net.example", true },
		{ "listen: ':8080'\nserver_url: https://net.example:8080", true },
		{ "listen: ':8443'\nserver_url: https://net.example\ntls: {mode: self}", true },
		{ "listen: 127.0.0.1:443\nserver_url: https://net.example\ntls: {mode: self}",
		  true },
		{ "listen: 127.0.0.1:8080\nserver_url: http://192.0.2.1:8080", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		ck_assert_int_eq(parse(v[i].yaml), 0);
		ck_assert_msg(config_settle(&c, &e) == 0, "%s: %s", v[i].yaml, e.text);
		ck_assert_msg(config_behind_proxy(&c) == v[i].is_proxy, "%s", v[i].yaml);
		config_fini(&c);
	}
}
