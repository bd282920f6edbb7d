/* containerboot/config_file_test.c - files of version alpha0: what they set, what is said of bad
 * ones */
#include "containerboot/config_file.h"

#include <errno.h>

#include "tests/harness.h"

static struct prefs p;
static struct config_file c;
static struct err e;
static char warnings[4096];

static void note(void *ctx, const char *line)
{
	size_t n = strlen(warnings);

	(void)ctx;
	snprintf(warnings + n, sizeof warnings - n, "%s\n", line);
}

static int parse(const char *text)
{
	config_file_fini(&c);
	warnings[0] = 0;
	config_file_prefs(&p);
	memset(&e, 0, sizeof e);
	return config_file_parse(bytes_str(text), &p, &c, note, NULL, &e);
}

static void refused(const char *text, const char *words)
{
	struct prefs before;
	int r;

	config_file_prefs(&before);
	r = parse(text);
	ck_assert_msg(r == -EBADMSG, "%s is taken", text);
	ck_assert_msg(strstr(e.text, words) != NULL, "\"%s\" is not in \"%s\"", words, e.text);
	ck_assert_ptr_null(strchr(e.text, '\n'));
	ck_assert(prefs_eq(&before, &p));
	ck_assert_ptr_null(c.auth_key);
}

TEST(config_file_sets_every_member_that_a_node_has)
{
	ck_assert_msg(
	    parse("// of the operator\n{\"Version\": \"alpha0\", \"Locked\": false,\n"
		  "\"ServerURL\": \"https://hs.example\", \"AuthKey\": \"file:/k\", \"Enabled\": "
		  "true,\n"
		  "\"OperatorUser\": \"ann\", \"Hostname\": \"web-0\", \"acceptDNS\": false, "
		  "\"acceptRoutes\": true,\n"
		  "\"exitNode\": \"100.64.0.9\", \"allowLANWhileUsingExitNode\": true,\n"
		  "\"AdvertiseRoutes\": [\"10.0.0.0/8\", \"fd00::/8\"], \"DisableSNAT\": true,\n"
		  "\"NetfilterMode\": \"off\", \"NoStatefulFiltering\": false, \"ShieldsUp\": "
		  "true,\n"
		  "\"AppConnector\": {\"Advertise\": false}, \"PostureChecking\": false, }") == 0,
	    "%s", e.text);
	ck_assert_str_eq(warnings, "");
	ck_assert(!c.is_locked);
	ck_assert_str_eq(c.auth_key, "file:/k");
	ck_assert_str_eq(p.control_url, "https://hs.example");
	ck_assert_str_eq(p.operator_user, "ann");
	ck_assert_str_eq(p.hostname, "web-0");
	ck_assert_str_eq(p.exit_node_ip, "100.64.0.9");
	ck_assert_str_eq(p.routes, "10.0.0.0/8,fd00::/8");
	ck_assert(!p.accept_dns && p.accept_routes && p.exit_node_allow_lan && p.no_snat);
	ck_assert(p.shields_up && p.want_running && !p.logged_out);
	ck_assert_int_eq(p.netfilter_mode, 0);
	ck_assert_int_eq(p.no_stateful_filtering, 0);
	config_file_fini(&c);
}

TEST(config_file_leaves_what_it_does_not_mention)
{
	ck_assert_int_eq(parse("{\"version\":\"alpha0\",\"hostname\":null}"), 0);
	ck_assert(c.is_locked); /* unless it says otherwise */
	ck_assert_ptr_null(c.auth_key);
	ck_assert(!p.accept_routes && p.accept_dns && p.want_running);
	memcpy(p.hostname, "old", 4);
	memcpy(p.routes, "10.0.0.0/8", 11);
	memcpy(p.services, "svc:x", 6);
	p.want_running = false;
	ck_assert_int_eq(
	    config_file_parse(bytes_str("{\"Version\":\"alpha0\"}"), &p, &c, note, NULL, &e), 0);
	ck_assert_str_eq(p.hostname, "old");
	ck_assert_str_eq(p.routes, "10.0.0.0/8");
	ck_assert_str_eq(p.services, ""); /* the file is the only place for them */
	ck_assert(p.want_running);
	ck_assert_int_eq(parse("{\"Version\":\"alpha0\",\"Enabled\":false}"), 0);
	ck_assert(!p.want_running);
	ck_assert_int_eq(parse("{\"Version\":\"alpha0\",\"AdvertiseRoutes\":[],\"AuthKey\":\"\"}"),
			 0);
	ck_assert_ptr_null(c.auth_key);
}

TEST(config_file_makes_an_exit_node_of_two_default_routes)
{
	ck_assert_int_eq(parse("{\"Version\":\"alpha0\",\"AdvertiseExitNode\":true,"
			       "\"AdvertiseRoutes\":[\"10.0.0.0/8\"]}"),
			 0);
	ck_assert_str_eq(p.routes, "10.0.0.0/8,0.0.0.0/0,::/0");
	ck_assert_int_eq(parse("{\"Version\":\"alpha0\",\"AdvertiseExitNode\":false,"
			       "\"AdvertiseRoutes\":[\"::/0\",\"0.0.0.0/0\",\"10.0.0.0/8\"]}"),
			 0);
	ck_assert_str_eq(p.routes, "10.0.0.0/8");
	refused("{\"Version\":\"alpha0\",\"AdvertiseRoutes\":[\"::/0\"]}",
		"line 1, column 39: AdvertiseRoutes: 0.0.0.0/0 and ::/0");
	refused("{\"Version\":\"alpha0\",\"AdvertiseExitNode\":true,\"ExitNode\":\"n1\"}",
		"ExitNode: a node that is an exit node");
}

TEST(config_file_faults_are_told_with_line_and_column)
{
	refused("", "line 1, column 1: wanted an object");
	refused("[]", "line 1, column 1: wanted an object");
	refused("{}", "line 1, column 1: Version: missing");
	refused("{\"Version\":\"alpha1\"}", "line 1, column 12: Version: only alpha0");
	refused("{\"Version\":\"alpha0\",\n \"Hostname\": 7}",
		"line 2, column 14: Hostname: wanted a text");
	refused("{\"Version\":\"alpha0\",\n \"AcceptDNS\": \"yes\"}",
		"line 2, column 15: AcceptDNS: wanted true or false");
	refused("{\"Version\":\"alpha0\", // x\n\"AdvertiseRoutes\": [\"10.0.0.0/8\",\n  "
		"\"10.0.0.1/8\"]}",
		"line 3, column 3: AdvertiseRoutes: 10.0.0.1/8 has bits beyond");
	refused("{\"Version\":\"alpha0\",\"Hostname\":\"a b\"}",
		"Hostname: a host name has letters");
	refused("{\"Version\":\"alpha0\",\"ServerURL\":\"ftp://x\"}", "ServerURL: wanted a URL");
	refused("{\"Version\":\"alpha0\",\"NetfilterMode\":\"maybe\"}", "NetfilterMode: wanted on");
	refused("{\"Version\":\"alpha0\",\n\"Locked\": false\n\"Enabled\": true}",
		"line 3, column 1: not JSON from here on");
	refused("{\"Version\":\"alpha0\"} x", "line 1, column 22: not JSON");
	refused("{\"Version\":\"alpha0\",\n /* never ends", "line 2, column 2: this comment");
}

TEST(config_file_refuses_by_name_what_this_program_has_not)
{
	refused("{\"Version\":\"alpha0\",\n\"RunSSHServer\":true}",
		"line 2, column 16: RunSSHServer: this program has no SSH server");
	refused("{\"Version\":\"alpha0\",\"RunWebClient\":true}", "RunWebClient: there is no");
	refused("{\"Version\":\"alpha0\",\"PostureChecking\":true}", "PostureChecking: posture");
	refused("{\"Version\":\"alpha0\",\"AppConnector\":{\"Advertise\":true}}", "app connectors");
	refused("{\"Version\":\"alpha0\",\"ServeConfigTemp\":{\"TCP\":{\"80\":{\"HTTP\":true}}}}",
		"TS_SERVE_CONFIG");
	ck_assert_int_eq(
	    parse("{\"Version\":\"alpha0\",\"RunSSHServer\":false,\"AppConnector\":null,"
		  "\"ServeConfigTemp\":{}}"),
	    0);
	ck_assert_str_eq(warnings, "");
}

TEST(config_file_warns_of_what_it_does_not_know)
{
	ck_assert_int_eq(parse("{\"Version\":\"alpha0\",\n\"HostName\":\"x\", \"Wonder\": {\"a\": "
			       "[1]},\n\"RelayServerPort\":7,\"AutoUpdate\":"
			       "{\"Check\":false,\"Apply\":true}}"),
			 0);
	ck_assert_str_eq(p.hostname, "x"); /* case does not count */
	ck_assert_ptr_nonnull(
	    strstr(warnings, "line 2, column 17: unknown member Wonder is ignored\n"));
	ck_assert_ptr_nonnull(strstr(warnings, "RelayServerPort: "));
	ck_assert_ptr_nonnull(strstr(warnings, "AutoUpdate: "));
}

TEST(config_file_words_never_hold_a_value)
{
	refused("{\"Version\":\"alpha0\",\"AuthKey\":\"tskey-secret\",\"Hostname\":\"b_d\"}",
		"Hostname");
	ck_assert_ptr_null(strstr(e.text, "b_d"));
	ck_assert_ptr_null(strstr(e.text, "secret"));
	refused("{\"Version\":\"alpha0\",\"AuthKey\":[\"tskey-secret\"]}",
		"AuthKey: wanted a text");
	ck_assert_ptr_null(strstr(e.text, "secret"));
	ck_assert_str_eq(warnings, "");
}

TEST(config_file_takes_static_endpoints)
{
	static const char *const bad[] = { "192.0.2.1",      "192.0.2.1:0",
					   "0.0.0.0:5",      "[::]:5",
					   "2001:db8::1:5",  "224.0.0.1:5",
					   "host.example:5", "" };
	char text[1024], one[64];
	size_t n;

	ck_assert_int_eq(parse("{\"Version\":\"alpha0\",\"StaticEndpoints\":[\"192.0.2.1:5\","
			       "\"[2001:db8::1]:65535\"]}"),
			 0);
	ck_assert_str_eq(warnings, "");
	ck_assert_uint_eq(c.n_endpoints, 2);
	ck_assert_str_eq(ipport_text(&c.endpoints[0], one), "192.0.2.1:5");
	ck_assert_str_eq(ipport_text(&c.endpoints[1], one), "[2001:db8::1]:65535");
	ck_assert_int_eq(parse("{\"Version\":\"alpha0\",\"StaticEndpoints\":[]}"), 0);
	ck_assert_uint_eq(c.n_endpoints, 0);
	ck_assert_int_eq(parse("{\"Version\":\"alpha0\",\"StaticEndpoints\":null}"), 0);
	ck_assert_uint_eq(c.n_endpoints, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof text,
			 "{\"Version\":\"alpha0\",\n\"StaticEndpoints\":[\"192.0.2.1:5\",\"%s\"]}",
			 bad[i]);
		refused(text, "line 2, column 34: StaticEndpoints: wanted a host's ADDRESS:PORT");
	}
	refused("{\"Version\":\"alpha0\",\"StaticEndpoints\":\"192.0.2.1:5\"}",
		"StaticEndpoints: wanted a list");
	refused("{\"Version\":\"alpha0\",\"StaticEndpoints\":[5]}",
		"StaticEndpoints: wanted a text");
	for (size_t many = NODE_STATIC_MAX; many <= NODE_STATIC_MAX + 1; many++) {
		n = (size_t)snprintf(text, sizeof text,
				     "{\"Version\":\"alpha0\",\"StaticEndpoints\":[");
		for (size_t i = 0; i < many; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s\"192.0.2.1:%zu\"",
					      i ? "," : "", i + 1);
		snprintf(text + n, sizeof text - n, "]}");
		if (many == NODE_STATIC_MAX)
			ck_assert_int_eq(parse(text), 0);
		else
			refused(text, "StaticEndpoints: more than 12 endpoints");
	}
}

TEST(config_file_limits_hold_at_their_edge)
{
	static char text[CONFIG_TEXT_MAX + 2];
	static const char head[] = "{\"Version\":\"alpha0\",\"AuthKey\":\"";
	const size_t n = sizeof head - 1;

	memset(text, ' ', sizeof text - 1);
	memcpy(text, "{\"Version\":\"alpha0\"}", 20);
	text[CONFIG_TEXT_MAX] = 0;
	ck_assert_int_eq(parse(text), 0);
	text[CONFIG_TEXT_MAX] = ' ';
	ck_assert_int_eq(parse(text), -EFBIG);
	for (size_t len = CONFIG_KEY_MAX - 1; len <= CONFIG_KEY_MAX; len++) {
		memcpy(text, head, n);
		memset(text + n, 'k', len);
		memcpy(text + n + len, "\"}", 3);
		ck_assert_int_eq(parse(text), len < CONFIG_KEY_MAX ? 0 : -EBADMSG);
	}
	ck_assert_ptr_nonnull(strstr(e.text, "AuthKey: malformed, or longer than 4095 bytes"));
	config_file_fini(&c);
}

TEST(config_file_text_may_be_cut_anywhere)
{
	static const char whole[] = "{\"Version\":\"alpha0\",\"AuthKey\":\"k\",\"AdvertiseRoutes\":"
				    "[\"10.0.0.0/8\"],\"AppConnector\":{\"Advertise\":false}}";
	char text[sizeof whole];

	for (size_t n = 0; n < sizeof whole - 1; n++) {
		memcpy(text, whole, n);
		text[n] = 0;
		ck_assert_msg(parse(text) == -EBADMSG, "cut at %zu", n);
		ck_assert_ptr_nonnull(strstr(e.text, "line 1, column "));
	}
	ck_assert_int_eq(parse(whole), 0);
	config_file_fini(&c);
}

TEST(config_file_names_carry_a_version)
{
	ck_assert_uint_eq(config_file_version("cap-95.hujson"), 95);
	ck_assert_uint_eq(config_file_version("cap-106.hujson"), 106);
	ck_assert_uint_eq(config_file_version("cap-.hujson"), 0);
	ck_assert_uint_eq(config_file_version("cap-9.json"), 0);
	ck_assert_uint_eq(config_file_version("cap-x.hujson"), 0);
	ck_assert_uint_eq(config_file_version("cap-99999999.hujson"), 0);
	ck_assert_uint_eq(config_file_version("..data"), 0);
	ck_assert_uint_eq(config_file_version("tailscaled"), 0); /* the operator's first name */
}
