/* containerboot/cli_test.c - our CLI: the status it reads, names it finds, the change of
 * preferences that flags ask for, wrong usage */
#include "containerboot/cli.h"

#include <errno.h>
#include <stdlib.h>

#include "containerboot/program.h"
#include "model/prefs.h"
#include "tests/heard.h"

static const char sample[] =
    "{\"Version\":\"1.2.3\",\"BackendState\":\"Running\",\"AuthURL\":\"\",\"Unknown\":{\"a\":[1]},"
    "\"Self\":{\"HostName\":\"Me Myself\",\"DNSName\":\"me.tail.test.\",\"OS\":\"linux\","
    "\"TailscaleIPs\":[\"100.64.0.1\",\"fd7a:115c:a1e0::1\"],\"UserID\":1,"
    "\"Addrs\":[\"192.0.2.1:41641\",\"[2001:db8::1]:41641\"]},"
    "\"Peer\":{\"nodekey:00\":{\"ID\":\"n2\",\"HostName\":\"you\",\"DNSName\":\"\","
    "\"TailscaleIPs\":"
    "[\"nonsense\",\"100.64.0.2\"],\"UserID\":2,\"RxBytes\":5,\"TxBytes\":7,\"Active\":true,"
    "\"Online\":true,\"Relay\":\"ams\",\"CurAddr\":\"198.51.100.2:41641\",\"ExitNodeOption\":true},"
    "\"nodekey:01\":{\"HostName\":\"six\",\"DNSName\":\"six.tail.test.\",\"TailscaleIPs\":"
    "[\"fd7a:115c:a1e0::3\"]},"
    "\"nodekey:02\":{\"HostName\":\"new\",\"DNSName\":\"new.tail.test.\",\"TailscaleIPs\":null}},"
    "\"User\":{\"1\":{\"ID\":1,\"LoginName\":\"me@example\"},\"2\":{\"ID\":2,\"LoginName\":"
    "\"you@example\",\"DisplayName\":\"You\"}},"
    "\"Health\":[\"first\",\"second\"]}";

static struct cli_status s;

static void parse(void)
{
	ck_assert(cli_status_parse(&s, bytes_str(sample)));
}

TEST(a_status_is_read_and_each_cut_of_it_is_refused)
{
	parse();
	ck_assert_str_eq(s.state, "Running");
	ck_assert_str_eq(s.version, "1.2.3");
	ck_assert_str_eq(s.self.name, "me"); /* of the tailnet, not of the host */
	ck_assert_uint_eq(s.n_peers, 3);
	ck_assert_str_eq(s.peers[0].name, "you");
	ck_assert(s.peers[0].active && s.peers[0].online && s.peers[0].exit_option);
	ck_assert(s.peers[0].rx == 5 && s.peers[0].tx == 7);
	ck_assert_str_eq(s.peers[0].addr, "198.51.100.2:41641");
	ck_assert_str_eq(s.peers[0].relay, "ams");
	ck_assert(!s.peers[1].active && ip_is_zero(&s.peers[1].ip4));
	ck_assert_uint_eq(s.n_own_addrs, 2);
	ck_assert_str_eq(s.own_addrs[1], "[2001:db8::1]:41641");
	ck_assert_uint_eq(s.n_health, 2);
	ck_assert_str_eq(s.health[1], "second");
	ck_assert_str_eq(cli_login(&s, 2), "you@example");
	ck_assert_str_eq(cli_login(&s, 3), "-");
	cli_status_fini(&s);
	for (size_t i = 0; i < sizeof sample - 1; i++) {
		ck_assert_msg(!cli_status_parse(&s, bytes_of(sample, i)), "%zu bytes are taken", i);
		ck_assert(!s.peers && !s.users && s.n_peers == 0); /* nothing is left to free */
	}
}

TEST(more_warnings_and_addresses_than_are_kept_do_no_harm)
{
	char text[8192];
	size_t n = (size_t)snprintf(text, sizeof text, "{\"Self\":{\"Addrs\":[");

	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s\"a%d\"", i ? "," : "", i);
	n += (size_t)snprintf(text + n, sizeof text - n, "]},\"Health\":[");
	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s\"h%d\"", i ? "," : "", i);
	n += (size_t)snprintf(text + n, sizeof text - n, "]}");
	ck_assert(cli_status_parse(&s, bytes_of(text, n)));
	ck_assert(s.n_own_addrs == ARRAY_LEN(s.own_addrs) && s.n_health == ARRAY_LEN(s.health));
	ck_assert_str_eq(s.health[ARRAY_LEN(s.health) - 1], "h15");
	cli_status_fini(&s);
}

static void finds(const char *what, bool v6, const char *want)
{
	struct ip ip = { 0 };
	char text[IP_TEXT] = "";

	if (cli_find(&s, what, v6, &ip))
		ip_text(&ip, text);
	ck_assert_msg(strcmp(text, want) == 0, "%s is %s, not %s", what, text, want);
}

TEST(a_node_is_found_by_name_or_address)
{
	parse();
	finds("me", false, "100.64.0.1");
	finds("me", true, "fd7a:115c:a1e0::1");
	finds("ME.tail.TEST", false, "100.64.0.1");
	finds("me.tail.test.", false, "100.64.0.1");
	finds("fd7a:115c:a1e0::1", false, "100.64.0.1"); /* the same node */
	finds("you", false, "100.64.0.2");
	finds("100.64.0.2", false, "100.64.0.2");
	finds("you", true, "");                   /* it has none */
	finds("six", false, "fd7a:115c:a1e0::3"); /* its only one */
	finds("new", false, "");
	finds("me.other.test", false, "");
	finds("m", false, "");
	finds("", false, "");
	finds(".", false, "");
	finds("100.64.0.9", false, "");
	cli_status_fini(&s);
}

/* --- preferences --- */

static struct err e;

static char *change(int run, const char *old, const char *name, const char *value, int want)
{
	static char text[65536];
	struct cli c = { .n_flags = name != NULL };
	struct buf out;
	int r;

	if (name)
		snprintf(c.flags[0].name, sizeof c.flags[0].name, "%s", name);
	c.flags[0].value = value;
	buf_init(&out, sizeof text - 1);
	r = cli_prefs_change(&c, run, bytes_str(old), &s, &out, &e);
	ck_assert_msg(r == want, "--%s=%s: %d %s", name, value, r, r < 0 ? e.text : "");
	(void)bytes_to_str(buf_bytes(&out), text, sizeof text);
	buf_fini(&out);
	return text;
}

#define EXIT(ip)                                                                                   \
	"{\"ExitNodeIP\":\"" ip "\",\"ExitNodeIPSet\":true,\"ExitNodeID\":\"\","                   \
	"\"ExitNodeIDSet\":true}"

TEST(only_what_a_flag_names_is_in_the_change)
{
	static const char *const cases[][3] = {
		{ "accept-routes", "true", "{\"RouteAll\":true,\"RouteAllSet\":true}" },
		{ "accept-dns", "false", "{\"CorpDNS\":false,\"CorpDNSSet\":true}" },
		{ "snat-subnet-routes", "true", "{\"NoSNAT\":false,\"NoSNATSet\":true}" },
		{ "stateful-filtering", "false",
		  "{\"NoStatefulFiltering\":true,\"NoStatefulFilteringSet\":true}" },
		{ "hostname", "box", "{\"Hostname\":\"box\",\"HostnameSet\":true}" },
		{ "hostname", "", "{\"Hostname\":\"\",\"HostnameSet\":true}" },
		{ "netfilter-mode", "nodivert", "{\"NetfilterMode\":1,\"NetfilterModeSet\":true}" },
		{ "exit-node", "100.64.0.2", EXIT("100.64.0.2") },
		{ "exit-node", "YOU", EXIT("100.64.0.2") },
		{ "exit-node", "n2", EXIT("100.64.0.2") }, /* by its id */
		{ "exit-node", "", EXIT("") },
		{ "reset", "true", "{}" },
	};

	parse();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_str_eq(change(-1, "{}", cases[i][0], cases[i][1], 0), cases[i][2]);
	cli_status_fini(&s);
	ck_assert_str_eq(change(1, "{}", NULL, NULL, 0),
			 "{\"WantRunning\":true,\"WantRunningSet\":true}");
	ck_assert_str_eq(change(0, "{}", NULL, NULL, 0),
			 "{\"WantRunning\":false,\"WantRunningSet\":true}");
}

TEST(routes_and_the_exit_node_share_a_list_and_each_keeps_the_others)
{
	static const char routes[] = "{\"AdvertiseRoutes\":[\"10.0.0.0/8\"]}",
			  both[] = "{\"AdvertiseRoutes\":[\"10.0.0.0/8\",\"0.0.0.0/0\",\"::/0\"]}";

	ck_assert_str_eq(change(-1, routes, "advertise-exit-node", "true", 0),
			 "{\"AdvertiseRoutes\":[\"10.0.0.0/8\",\"0.0.0.0/0\",\"::/0\"],"
			 "\"AdvertiseRoutesSet\":true}");
	ck_assert_str_eq(change(-1, both, "advertise-exit-node", "false", 0),
			 "{\"AdvertiseRoutes\":[\"10.0.0.0/8\"],\"AdvertiseRoutesSet\":true}");
	ck_assert_str_eq(change(-1, both, "advertise-routes", "192.0.2.0/24", 0),
			 "{\"AdvertiseRoutes\":[\"192.0.2.0/24\",\"0.0.0.0/0\",\"::/0\"],"
			 "\"AdvertiseRoutesSet\":true}");
	ck_assert_str_eq(change(-1, routes, "advertise-routes", "", 0),
			 "{\"AdvertiseRoutes\":[],\"AdvertiseRoutesSet\":true}");
}

TEST(values_that_cannot_be_are_refused_by_the_name_of_their_flag)
{
	static const char *const cases[][2] = {
		{ "advertise-routes", "10.0.0.1/8" },
		{ "advertise-routes", "nonsense" },
		{ "netfilter-mode", "maybe" },
		{ "hostname", "a b" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		change(-1, "{}", cases[i][0], cases[i][1], -EINVAL);
		ck_assert_msg(strstr(e.text, cases[i][0]) != NULL, "%s", e.text);
	}
	change(-1, "{", "accept-dns", "true", -EBADMSG);
}

static void exit_refused(const char *value, const char *words)
{
	change(-1, "{}", "exit-node", value, -EINVAL);
	ck_assert_msg(strncmp(e.text, "--exit-node=", 12) == 0 && strstr(e.text, words), "%s: %s",
		      value, e.text);
}

TEST(an_exit_node_is_a_peer_that_offers_to_be_one)
{
	static const char late[] = "{\"BackendState\":\"Starting\"}",
			  two[] =
			      "{\"BackendState\":\"Running\",\"Peer\":{\"a\":{\"HostName\":\"x\"},"
			      "\"b\":{\"HostName\":\"x\"}}}";

	parse();
	exit_refused("nobody", "no peer has this name or address; exit nodes: you");
	exit_refused("100.64.9.9", "no peer has this name or address");
	exit_refused("six", "does not offer to be an exit node");
	exit_refused("fd7a:115c:a1e0::3", "does not offer to be an exit node");
	exit_refused("me", "did you mean --advertise-exit-node?");
	exit_refused("100.64.0.1", "did you mean --advertise-exit-node?");
	exit_refused("auto:any", "exit nodes: you");
	cli_status_fini(&s);
	ck_assert(cli_status_parse(&s, bytes_str(late)));
	exit_refused("you", "state is Starting");
	ck_assert_str_eq(change(-1, "{}", "exit-node", "100.64.9.9", 0), EXIT("100.64.9.9"));
	cli_status_fini(&s);
	ck_assert(cli_status_parse(&s, bytes_str(two)));
	exit_refused("x", "2 peers have this name");
	exit_refused("y", "no peer offers to be one");
	cli_status_fini(&s);
}

/* --- answers for people --- */

static int whois(const void *json)
{
	return !cli_whois_print(bytes_str(json));
}

TEST(whois_names_tags_or_the_user)
{
	ck_assert_int_eq(heard(whois, "{\"Node\":{\"Name\":\"you.tail.test.\",\"StableID\":\"n2\","
				      "\"Addresses\":[\"100.64.0.2/32\",\"fd7a::2/128\"]},"
				      "\"UserProfile\":{\"ID\":2,\"LoginName\":\"you@example\"}}"),
			 0);
	ck_assert_str_eq(heard_out, "Machine:\n"
				    "  Name:          you.tail.test\n"
				    "  ID:            n2\n"
				    "  Addresses:     [100.64.0.2/32 fd7a::2/128]\n"
				    "User:\n"
				    "  Name:     you@example\n"
				    "  ID:       2\n");
	ck_assert_int_eq(heard(whois, "{\"Node\":{\"Name\":\"a.\",\"Tags\":[\"tag:x\",\"tag:y\"]},"
				      "\"UserProfile\":{\"ID\":2}}"),
			 0);
	ck_assert_ptr_nonnull(strstr(heard_out, "  Tags:          tag:x, tag:y\n"));
	ck_assert_ptr_null(strstr(heard_out, "User:"));
	ck_assert_int_eq(heard(whois, "{\"Node\":{\"Name\":\"a.\""), 1);
	ck_assert_str_eq(heard_out, "");
	ck_assert_ptr_nonnull(strstr(heard_err, "malformed"));
}

TEST(a_strangers_names_do_not_get_at_the_terminal)
{
	ck_assert_int_eq(
	    heard(whois, "{\"Node\":{\"Name\":\"a\\u001b[2J.\",\"Tags\":[\"tag:x\\n\"]}}"), 0);
	ck_assert_ptr_nonnull(strstr(heard_out, "a?[2J\n"));
	ck_assert_ptr_nonnull(strstr(heard_out, "tag:x?\n"));
	ck_assert(cli_status_parse(&s, bytes_str("{\"Peer\":{\"nodekey:00\":{\"HostName\":"
						 "\"a\\u009b2J\",\"OS\":\"\\u001b]0;x\\u0007\"}},"
						 "\"User\":{\"1\":{\"ID\":1,\"LoginName\":"
						 "\"\\u202eme\"}},\"Health\":[\"a\\rb\"]}")));
	ck_assert_str_eq(s.peers[0].name, "a??2J");
	ck_assert_str_eq(s.peers[0].os, "?]0;x?");
	ck_assert_str_eq(cli_login(&s, 1), "???me");
	ck_assert_str_eq(s.health[0], "a?b");
	cli_status_fini(&s);
}

/* what one node says of itself, or control of anything, does not take the status from all */
TEST(a_text_that_is_too_long_is_cut_and_all_else_is_read)
{
	char text[8192], more[1001];
	size_t n = 0;

	for (; n + 2 < sizeof more; n += 2)
		memcpy(more + n, "\xc3\xa9", 2);
	more[n] = 0;
	snprintf(
	    text, sizeof text,
	    "{\"Peer\":{\"nodekey:00\":{\"OS\":\"x%s\",\"HostName\":\"you\",\"Relay\":\"%s\"}},"
	    "\"User\":{\"1\":{\"ID\":1,\"LoginName\":\"%s\"}},\"Health\":[\"%s\",\"second\"]}",
	    more, more, more, more);
	ck_assert(cli_status_parse(&s, bytes_str(text)));
	ck_assert_str_eq(s.peers[0].name, "you");
	ck_assert_uint_eq(strlen(s.peers[0].os), 31);    /* x and fifteen of two bytes */
	ck_assert_uint_eq(strlen(s.peers[0].relay), 30); /* no half a character */
	ck_assert_uint_eq(strlen(cli_login(&s, 1)), 254);
	ck_assert_str_eq(s.health[1], "second");
	cli_status_fini(&s);
	snprintf(text, sizeof text, "{\"Node\":{\"Name\":\"a.\",\"Tags\":[\"tag:%s\"]}}", more);
	ck_assert_int_eq(heard(whois, text), 0);
	ck_assert_ptr_nonnull(strstr(heard_out, "tag:"));
}

/* --- the command line --- */

static int run_words(const void *arg)
{
	char text[1024], *argv[48], *left = text;
	int argc = 0;

	argv[argc++] = (char *)(uintptr_t) "tailpod";
	snprintf(text, sizeof text, "%s", (const char *)arg);
	for (char *w; (w = strsep(&left, " "));)
		if (*w)
			argv[argc++] = w;
	argv[argc] = NULL;
	return cli_main(argc, argv);
}

TEST(wrong_usage_is_told_on_standard_error)
{
	static const struct {
		const char *line;
		int code;
		const char *words;
	} bad[] = {
		{ "", 2, "usage: tailpod" },
		{ "nonsense", 1, "nonsense: this program has no such command" },
		{ "--nonsense", 2, "this program has no such flag" },
		{ "status --nonsense", 2, "no such flag: --nonsense" },
		{ "status --jso", 2, "no such flag" },
		{ "status --json=maybe", 2, "wanted true or false" },
		{ "ping --timeout", 2, "--timeout needs a value" },
		{ "status extra", 1, "one word too many: extra" },
		{ "set --shields-up false", 1, "as --FLAG=false" },
		{ "set --exitnode=x", 2, "did you mean --exit-node? tailpod set --help" },
		{ "up --exitnode=x", 2, "did you mean --exit-node? tailpod up --help" },
		{ "set --routes=x", 2, "did you mean --advertise-routes?" },
		{ "ping -d 1 x", 2, "no such flag: -d; tailpod ping --help" },
		{ "set --advertise-tags=tag:x", 2, "set TS_ADVERTISE_TAGS and restart" },
		{ "status --auth-key=x", 2, "no such flag: --auth-key; tailpod" },
		{ "set --hostname", 2, "needs a value: tailpod set --hostname=shop" },
		{ "statsu", 1, "did you mean status?" },
		{ "ip -4 -6", 1, "exclude each other" },
		{ "ip a b", 1, "one word too many: b" },
		{ "ip -1=false -4 a -- -6", 1, "one word too many: -6" }, /* no flag behind -- */
		{ "whois", 1, "usage: tailpod whois [FLAGS] ADDRESS[:PORT]" },
		{ "metrics write", 1, "wanted print, or write FILE" },
		{ "debug", 1, "wanted derp-map or prefs" },
		{ "nc a", 1, "usage: tailpod nc NODE PORT" },
		{ "up --timeout soon", 2, "--timeout: wanted a duration such as 30s" },
		{ "--socket=/nonexistent/socket status", 1, "/nonexistent/socket" },
		{ "status --socket /nonexistent/socket", 1, "is containerboot running?" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(heard(run_words, bad[i].line) == bad[i].code, "%s: %s", bad[i].line,
			      heard_err);
		ck_assert_msg(strstr(heard_err, bad[i].words) != NULL, "%s: %s", bad[i].line,
			      heard_err);
		ck_assert_msg(*heard_out == 0, "%s says %s", bad[i].line, heard_out);
	}
}

TEST(more_flags_than_a_line_holds_are_refused)
{
	char line[1024] = "status";

	for (int i = 0; i <= CLI_FLAGS_MAX; i++)
		strncat(line, " --active", sizeof line - strlen(line) - 1);
	ck_assert_int_eq(heard(run_words, line), 2);
	ck_assert_ptr_nonnull(strstr(heard_err, "more than 32 flags"));
}

TEST(nothing_given_as_a_value_is_shown)
{
	ck_assert_int_eq(heard(run_words, "up --auth-kye=tskey-auth-secret"), 2);
	ck_assert_ptr_null(strstr(heard_err, "tskey-auth"));
}

/* Every preference that a flag may change has a row, and no row says nothing. */
TEST(every_flag_teaches)
{
	static const struct cli_flag_row *const tables[] = {
		cli_set_flags,      cli_up_flags,      cli_down_flags, cli_logout_flags,
		cli_status_flags,   cli_ping_flags,    cli_ip_flags,   cli_whois_flags,
		cli_netcheck_flags, cli_version_flags,
	};

	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (const struct cli_flag_row *f = tables[t]; f->name; f++)
			ck_assert_msg(*f->dflt && strlen(f->help) > 5 &&
					  f->help[strlen(f->help) - 1] == '.' &&
					  strstr(f->example, f->name),
				      "%s", f->name);
	for (size_t i = 0; i < prefs_n_fields; i++) {
		const char *flag = prefs_fields[i].flag;
		const struct cli_flag_row *f = cli_set_flags;

		while (flag && f->name && strcmp(f->name, flag) != 0)
			f++;
		ck_assert_msg(!flag || f->name || strcmp(flag, "login-server") == 0 ||
				  strcmp(flag, "advertise-tags") == 0,
			      "set has no --%s", flag);
	}
}

TEST(help_and_version_need_no_node)
{
	static const char *const lines[] = { "--help", "-h", "help", "help nonsense" };
	static const char *const told[][2] = {
		{ "status --help", "--active" },
		{ "help set", "tailpod set --exit-node=frankfurt\n" },
		{ "set --help", "--advertise-routes=SUBNETS  (default: none)\n" },
		{ "up -h", "--timeout=DURATION  (default: 0s)\n" },
		{ "up --hostname=x --help", "tailpod up --hostname=shop\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		ck_assert_int_eq(heard(run_words, lines[i]), 0);
		ck_assert(*heard_err == 0 && strstr(heard_out, "healthcheck"));
	}
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		ck_assert_int_eq(heard(run_words, told[i][0]), 0);
		ck_assert(*heard_err == 0);
		ck_assert_msg(strstr(heard_out, told[i][1]) != NULL, "%s", heard_out);
	}
	ck_assert_int_eq(heard(run_words, "version --json"), 0);
	ck_assert_ptr_nonnull(strstr(heard_out, "\"majorMinorPatch\""));
	ck_assert(cli_knows("status") && !cli_knows("watch-owner") && !cli_knows(""));
}
