/* containerboot/options_test.c - the environment: containerboot.md 2 */
#include "containerboot/options.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/harness.h"

static struct options o;
static struct prefs p, stored;
static struct err e;
static char warnings[4096];

static void note(void *ctx, const char *line)
{
	size_t n = strlen(warnings);

	(void)ctx;
	snprintf(warnings + n, sizeof warnings - n, "%s\n", line);
}

/* ENV(...) parses a list of "NAME=value" */
#define ENV(...) parse((char *[]){ __VA_ARGS__, NULL })

static int parse(char **env)
{
	options_fini(&o);
	warnings[0] = 0;
	memset(&e, 0, sizeof e);
	return options_parse(&o, env, note, NULL, &e);
}

static void check_refused(const char *words, int r)
{
	ck_assert_int_eq(r, -EINVAL);
	ck_assert_msg(strstr(e.text, words) != NULL, "\"%s\" is not in \"%s\"", words, e.text);
	ck_assert_ptr_null(strchr(e.text, '\n'));
}

TEST(an_empty_environment_gives_the_defaults)
{
	ck_assert_msg(ENV("PATH=/bin") == 0, "%s", e.text);
	ck_assert(o.userspace && o.use_cached_netmap && !o.auth_once);
	ck_assert_int_eq(o.boot_timeout.ns, SPAN_S(60).ns);
	ck_assert_str_eq(o.socket, "/tmp/tailscaled.sock");
	ck_assert_str_eq(o.local_addr, "[::]:9002");
	ck_assert_str_eq(o.login_server, PREFS_CONTROL_URL_DEFAULT);
	ck_assert_ptr_null(o.state_dir);
	ck_assert_ptr_null(options_auth_key(&o));
	ck_assert_int_eq(o.accept_dns, -1);
	ck_assert_str_eq(warnings, "");
	options_fini(&o);
}

TEST(slips_that_are_no_errors_are_warned_of_without_showing_a_key)
{
	static const struct {
		const char *env, *words;
	} rows[] = {
		{ "TS_AUTHKEY=\"abcdef\"", "TS_AUTHKEY: the quotation marks around the value" },
		{ "TS_AUTH_KEY='abcdef'", "TS_AUTH_KEY: the quotation marks around the value" },
		{ "TS_USERSPACE=\"true\"", "TS_USERSPACE: the quotation marks" },
		{ "TS_AUTHKEY=/run/abcdef", "TS_AUTHKEY looks like a path" },
		{ "TS_AUTHKEY=tskey-api-abcdef", "TS_AUTHKEY is an API key" },
		{ "TS_AUTHKEY=hskey-api-abcdef", "TS_AUTHKEY is an API key" },
		{ "TS_AUTH_KEY=${abcdef}", "TS_AUTH_KEY holds a $" },
		{ "TS_AUTHKEY=abc def", "TS_AUTHKEY holds blanks" },
		{ "ts_authkey=abcdef", "unknown variable ts_authkey is ignored; did you mean "
				       "TS_AUTHKEY?" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(ENV((char *)(uintptr_t)rows[i].env) == 0, "%s", e.text);
		ck_assert_msg(strstr(warnings, rows[i].words) != NULL, "%s: %s", rows[i].env,
			      warnings);
		ck_assert_ptr_null(strstr(warnings, "abcdef"));
	}
	ck_assert_int_eq(ENV("TS_AUTHKEY=file:/run/key", "TS_EXTRA_ARGS='--ssh=false'"), 0);
	ck_assert_str_eq(warnings, "");
	options_fini(&o);
}

TEST(white_space_around_a_secret_is_cut_off)
{
	ck_assert_int_eq(ENV("TS_AUTHKEY= \tabc\r\n"), 0);
	ck_assert_str_eq(o.auth_key, "abc");
	ck_assert_int_eq(ENV("TS_AUTHKEY= \n"), 0);
	ck_assert_ptr_null(options_auth_key(&o));
	options_fini(&o);
}

TEST(an_error_names_the_variable_as_it_was_written_and_the_subnet_that_was_meant)
{
	check_refused("TS_TAGS: 'tag:9' is no tag", ENV("TS_TAGS=web,tag:9"));
	check_refused("TS_ADVERTISE_TAGS: 'tag:a_b' is no tag", ENV("TS_ADVERTISE_TAGS=tag:a_b"));
	check_refused("TS_ADVERTISE_TAGS: '...' is no tag", /* it got into the wrong variable */
		      ENV("TS_ADVERTISE_TAGS=tskey_auth_x"));
	check_refused("TS_ROUTES: 10.0.0.9/24 has bits beyond its length; the subnet is "
		      "10.0.0.0/24",
		      ENV("TS_ROUTES=10.1.0.0/16,10.0.0.9/24"));
}

TEST(a_debug_server_is_warned_of_and_does_not_stop_the_program)
{
	ck_assert_msg(ENV("TS_DEBUG_ADDR_PORT=127.0.0.1:8080") == 0, "%s", e.text);
	ck_assert_ptr_nonnull(strstr(warnings, "TS_DEBUG_ADDR_PORT: this program has no debug"));
	ck_assert_int_eq(ENV("TS_TAILSCALED_EXTRA_ARGS=--debug=localhost:8080"), 0);
	ck_assert_ptr_nonnull(strstr(warnings, "TS_TAILSCALED_EXTRA_ARGS: --debug: this"));
	check_refused("TS_DEBUG_ADDR_PORT: ", ENV("TS_DEBUG_ADDR_PORT=here"));
	ck_assert_int_eq(ENV("TS_DEBUG_ADDR_PORT="), 0);
	ck_assert_str_eq(warnings, "");
	options_fini(&o);
}

TEST(every_row_has_a_name_a_help_and_no_row_hides_another)
{
	for (size_t i = 0; i < option_table_n; i++) {
		const struct option *a = &option_table[i];

		ck_assert(a->name && a->help && *a->help);
		ck_assert_msg(a->kind != OPTION_NUMBER || a->max > 0, "%s", a->name);
		for (size_t k = 0; k < i; k++) {
			const struct option *b = &option_table[k];

			ck_assert_str_ne(a->name, b->name);
			ck_assert_msg(a->kind == OPTION_ACCEPTED || b->kind == OPTION_ACCEPTED ||
					  a->off != b->off,
				      "%s and %s share a slot", a->name, b->name);
		}
	}
}

TEST(a_boolean_takes_gos_words_and_junk_warns_and_counts_as_the_default)
{
	ck_assert_int_eq(ENV("TS_AUTH_ONCE=T", "TS_ACCEPT_DNS=1", "TS_USE_CACHED_NETMAP=False"), 0);
	ck_assert(o.auth_once && o.accept_dns == 1 && !o.use_cached_netmap);
	ck_assert_str_eq(warnings, "");
	ck_assert_int_eq(ENV("TS_AUTH_ONCE=yes", "TS_USERSPACE=on", "TS_ACCEPT_DNS=maybe"), 0);
	ck_assert(!o.auth_once && o.userspace && o.accept_dns == -1);
	ck_assert_ptr_nonnull(
	    strstr(warnings, "TS_AUTH_ONCE is neither true nor false: taken as false\n"));
	ck_assert_ptr_nonnull(
	    strstr(warnings, "TS_USERSPACE is neither true nor false: taken as true\n"));
	ck_assert_ptr_nonnull(
	    strstr(warnings, "TS_ACCEPT_DNS is neither true nor false: taken as not set\n"));
	options_fini(&o);
}

TEST(an_unknown_variable_warns_with_a_guess_and_never_shows_a_value)
{
	ck_assert_int_eq(ENV("TS_AUTKEY=tskey-secret", "TS_SOMETHING_ELSE=tskey-secret", "OTHER=1"),
			 0);
	ck_assert_ptr_nonnull(strstr(warnings, "TS_AUTKEY is ignored; did you mean TS_AUTHKEY?"));
	ck_assert_ptr_nonnull(strstr(warnings, "TS_SOMETHING_ELSE is ignored\n"));
	ck_assert_ptr_null(strstr(warnings, "tskey"));
	ck_assert_ptr_null(strstr(warnings, "OTHER"));
	options_fini(&o);
}

TEST(of_a_name_and_its_alias_the_name_wins_unless_it_is_empty)
{
	ck_assert_int_eq(ENV("TS_AUTH_KEY=b", "TS_AUTHKEY=a"), 0);
	ck_assert_str_eq(options_auth_key(&o), "a");
	ck_assert_int_eq(ENV("TS_AUTHKEY=a", "TS_AUTH_KEY=b"), 0);
	ck_assert_str_eq(options_auth_key(&o), "a");
	ck_assert_int_eq(ENV("TS_AUTHKEY=", "TS_AUTH_KEY=b"), 0);
	ck_assert_str_eq(options_auth_key(&o), "b");
	ck_assert_int_eq(ENV("TS_AUTH_KEY=b", "TS_AUTHKEY="), 0);
	ck_assert_str_eq(options_auth_key(&o), "b");
	options_fini(&o);
}

/* an env file with the line ends of Windows, a blank that nobody sees */
TEST(white_space_around_a_value_is_no_part_of_it)
{
	ck_assert_int_eq(ENV("TS_LOGIN_SERVER=https://a\r", "TS_ACCEPT_ROUTES=true ",
			     "TS_SOCKS5_SERVER=\t:1055\r\n",
			     "TS_ROUTES= ", "TS_AUTHKEY= tskey-x\r\n"),
			 0);
	ck_assert_str_eq(warnings, "");
	ck_assert_str_eq(o.login_server, "https://a");
	ck_assert_int_eq(o.accept_routes, 1);
	ck_assert_str_eq(o.socks5, ":1055");
	ck_assert_str_eq(o.routes, "");
	ck_assert_str_eq(o.auth_key, "tskey-x");
	options_fini(&o);
}

TEST(one_of_two_names_of_a_variable_counts_and_that_is_said)
{
	ck_assert_int_eq(ENV("TS_AUTHKEY=one", "TS_AUTH_KEY=two"), 0);
	ck_assert_str_eq(o.auth_key, "one");
	ck_assert_str_eq(warnings,
			 "TS_AUTH_KEY is ignored: TS_AUTHKEY is set too, and to something else\n");
	ck_assert_int_eq(ENV("TS_AUTH_KEY=two", "TS_AUTHKEY=one"), 0);
	ck_assert_str_eq(o.auth_key, "one");
	ck_assert_ptr_nonnull(strstr(warnings, "TS_AUTH_KEY is ignored"));
	ck_assert_int_eq(
	    ENV("TS_AUTHKEY=one", "TS_AUTH_KEY=one", "TS_TAGS=tag:a", "TS_ADVERTISE_TAGS="), 0);
	ck_assert_str_eq(warnings, "");
	options_fini(&o);
}

TEST(a_tag_may_be_written_without_tag_as_in_the_stock_client)
{
	struct prefs w;

	ck_assert_int_eq(ENV("TS_ADVERTISE_TAGS=web,tag:db"), 0);
	ck_assert_int_eq(options_prefs(&o, NULL, &w, &e), 0);
	ck_assert_str_eq(w.tags, "tag:web,tag:db");
	ck_assert_int_eq(ENV("TS_EXTRA_ARGS=--advertise-tags=a"), 0);
	ck_assert_int_eq(options_prefs(&o, NULL, &w, &e), 0);
	ck_assert_str_eq(w.tags, "tag:a");
	options_fini(&o);
}

TEST(sizes_have_the_units_of_kubernetes_too)
{
	ck_assert_int_eq(ENV("TS_MEMORY_LIMIT=64Mi"), 0);
	ck_assert_uint_eq(o.memory_limit, 64 << 20);
	ck_assert_int_eq(ENV("TS_MEMORY_LIMIT=2048Ki"), 0);
	ck_assert_uint_eq(o.memory_limit, 2 << 20);
	ck_assert_int_eq(ENV("TS_MEMORY_LIMIT=1GiB"), 0);
	ck_assert_uint_eq(o.memory_limit, 1 << 30);
	options_fini(&o);
}

TEST(malformed_values_stop_with_one_line_that_names_the_variable)
{
	check_refused("TS_BOOT_TIMEOUT", ENV("TS_BOOT_TIMEOUT=soon"));
	check_refused("TS_SOCKS5_SERVER", ENV("TS_SOCKS5_SERVER=1055"));
	check_refused("TS_LOCAL_ADDR_PORT", ENV("TS_LOCAL_ADDR_PORT=:http"));
	check_refused("TS_DEST_IP", ENV("TS_DEST_IP=web"));
	check_refused("TS_LOGIN_SERVER", ENV("TS_LOGIN_SERVER=headscale.example.com"));
	check_refused("TS_LOGIN_SERVER", ENV("TS_LOGIN_SERVER=https://user:pw@a"));
	check_refused("TS_CONTROL_KEY", ENV("TS_CONTROL_KEY=mkey:12"));
	check_refused("TS_TAGS", ENV("TS_TAGS=tag:"));
	check_refused("TS_LOGIN_SERVER: https:// (or http://) is missing",
		      ENV("TS_LOGIN_SERVER=10.0.0.1:8443"));
	check_refused("TS_LOGIN_SERVER: wanted scheme", ENV("TS_LOGIN_SERVER=https://a/web"));
	check_refused("TS_LOGIN_SERVER: wanted scheme", ENV("TS_LOGIN_SERVER=https://a:84433"));
	check_refused("without blanks", ENV("TS_ROUTES=10.0.0.0/8, 192.168.0.0/16"));
	check_refused("of one address it is fd00::1/128", ENV("TS_ROUTES=fd00::1"));
	check_refused("TS_STATE_DIR: nobody replaces the ~", ENV("TS_STATE_DIR=~/state"));
	check_refused("'_' is none of them", ENV("TS_HOSTNAME=my_host"));
	check_refused("TS_HOSTNAME", ENV("TS_HOSTNAME=-a"));
	check_refused("PORT", ENV("PORT=70000"));
	check_refused("TS_MEMORY_LIMIT", ENV("TS_MEMORY_LIMIT=1000"));
	check_refused("TS_MEMORY_LIMIT", ENV("TS_MEMORY_LIMIT=64MB"));
	check_refused("TS_TCP_CONGESTION", ENV("TS_TCP_CONGESTION=vegas"));
	check_refused("POD_IPS", ENV("POD_IPS=10.0.0.1,x"));
	check_refused("POD_IPS", ENV("POD_IPS=10.0.0.1,10.0.0.2,10.0.0.3"));
	check_refused("TS_DEST_PROXY_PROTOCOL", ENV("TS_DEST_PROXY_PROTOCOL=3"));
	options_fini(&o);
}

TEST(congestion_control_is_named_and_cubic_is_the_default)
{
	ck_assert_int_eq(ENV("TS_HOSTNAME=a"), 0);
	ck_assert_int_eq(o.tcp_congestion, NS_CC_CUBIC);
	ck_assert_int_eq(ENV("TS_TCP_CONGESTION=bbr"), 0);
	ck_assert_int_eq(o.tcp_congestion, NS_CC_BBR);
	ck_assert_int_eq(ENV("TS_TCP_CONGESTION=reno"), 0);
	ck_assert_int_eq(o.tcp_congestion, NS_CC_RENO);
	options_fini(&o);
}

TEST(sizes_take_units)
{
	ck_assert_int_eq(ENV("TS_MEMORY_LIMIT=64M"), 0);
	ck_assert_uint_eq(o.memory_limit, 64U << 20);
	ck_assert_int_eq(ENV("TS_MEMORY_LIMIT=1GiB"), 0);
	ck_assert_uint_eq(o.memory_limit, 1U << 30);
	ck_assert_int_eq(ENV("TS_MEMORY_LIMIT=2097152"), 0);
	ck_assert_uint_eq(o.memory_limit, 2U << 20);
	options_fini(&o);
}

TEST(the_order_of_validation_is_that_of_the_stock_wrapper)
{
	/* each environment breaks two rules: the earlier one is told */
	check_refused("POD_IPS",
		      ENV("POD_IPS=x", "TS_EXPERIMENTAL_ENABLE_FORWARDING_OPTIMIZATIONS=1"));
	check_refused("TS_EXPERIMENTAL_ENABLE_FORWARDING_OPTIMIZATIONS: works in kernel mode only",
		      ENV("TS_EXPERIMENTAL_ENABLE_FORWARDING_OPTIMIZATIONS=1",
			  "TS_TAILNET_TARGET_IP=100.64.0.1", "TS_TAILNET_TARGET_FQDN=a.b"));
	check_refused("TS_TAILNET_TARGET_IP and TS_TAILNET_TARGET_FQDN",
		      ENV("TS_TAILNET_TARGET_IP=100.64.0.1", "TS_TAILNET_TARGET_FQDN=a.b"));
	check_refused(
	    "TS_DEST_IP and TS_EXPERIMENTAL_DEST_DNS_NAME",
	    ENV("TS_DEST_IP=10.0.0.1", "TS_EXPERIMENTAL_DEST_DNS_NAME=a", "TS_ID_TOKEN=x"));
	check_refused("TS_AUTHKEY and TS_CLIENT_ID",
		      ENV("TS_AUTHKEY=a", "TS_CLIENT_ID=b", "TS_ID_TOKEN=c"));
	check_refused(
	    "TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR and TS_HOSTNAME",
	    ENV("TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR=/a", "TS_HOSTNAME=b", "TS_ID_TOKEN=c"));
	check_refused("TS_CLIENT_SECRET and TS_ID_TOKEN",
		      ENV("TS_CLIENT_SECRET=a", "TS_ID_TOKEN=b", "TS_LOCAL_ADDR_PORT=x"));
	check_refused("TS_ID_TOKEN needs TS_CLIENT_ID",
		      ENV("TS_ID_TOKEN=b", "TS_LOCAL_ADDR_PORT=x"));
	check_refused("TS_ID_TOKEN and TS_AUDIENCE",
		      ENV("TS_ID_TOKEN=b", "TS_AUDIENCE=c", "TS_LOCAL_ADDR_PORT=x"));
	check_refused("TS_AUDIENCE: tokens are not asked of a cloud's metadata",
		      ENV("TS_AUDIENCE=b", "TS_CLIENT_ID=c", "TS_LOCAL_ADDR_PORT=x"));
	check_refused("TS_CLIENT_ID alone is not enough",
		      ENV("TS_CLIENT_ID=c", "TS_LOCAL_ADDR_PORT=x"));
	check_refused("TS_LOCAL_ADDR_PORT",
		      ENV("TS_LOCAL_ADDR_PORT=x", "TS_CLIENT_ID=c", "TS_ID_TOKEN=b"));
	check_refused("TS_LOCAL_ADDR_PORT",
		      ENV("TS_LOCAL_ADDR_PORT=x", "TS_EGRESS_PROXIES_CONFIG_PATH=/a"));
	check_refused("TS_EGRESS_PROXIES_CONFIG_PATH: works in a Kubernetes cluster only",
		      ENV("TS_EGRESS_PROXIES_CONFIG_PATH=/a", "TS_BOOT_TIMEOUT=x"));
	check_refused("TS_BOOT_TIMEOUT", ENV("TS_BOOT_TIMEOUT=x", "TS_LOGIN_SERVER=y"));
	options_fini(&o);
}

TEST(what_this_version_cannot_do_is_refused_by_name_and_harmless_when_off)
{
	check_refused("TS_USERSPACE=false", ENV("TS_USERSPACE=false"));
	check_refused("TS_SSH", ENV("TS_SSH=true"));
	check_refused("TS_SERVE_TLS_DIR needs TS_SERVE_CONFIG", ENV("TS_SERVE_TLS_DIR=/a"));
	ck_assert_int_eq(ENV("TS_SSH=false", "TS_ROUTES=", "TS_KUBE_SECRET=", "TS_SERVE_CONFIG="),
			 0);
	ck_assert_str_eq(o.routes, "");
	options_fini(&o);
}

TEST(a_target_in_the_tailnet_needs_its_ports_named)
{
	check_refused("TS_TAILNET_TARGET_IP: in user space the ports to forward must be named",
		      ENV("TS_TAILNET_TARGET_IP=100.64.0.1"));
	check_refused("TS_TAILNET_TARGET_FQDN: in user space the ports to forward must be named",
		      ENV("TS_TAILNET_TARGET_FQDN=db.tail.test."));
	check_refused("TS_TAILNET_TARGET_PORTS needs", ENV("TS_TAILNET_TARGET_PORTS=80"));
	check_refused("TS_TAILNET_TARGET_PORTS: wanted ports",
		      ENV("TS_TAILNET_TARGET_FQDN=db", "TS_TAILNET_TARGET_PORTS=http"));
	check_refused("TS_TAILNET_TARGET_IP: wanted an IP address",
		      ENV("TS_TAILNET_TARGET_IP=db", "TS_TAILNET_TARGET_PORTS=80"));
	check_refused("TS_TAILNET_TARGET_FQDN: a host name",
		      ENV("TS_TAILNET_TARGET_FQDN=a b", "TS_TAILNET_TARGET_PORTS=80"));
	ck_assert_int_eq(
	    ENV("TS_TAILNET_TARGET_FQDN=db.tail.test.", "TS_TAILNET_TARGET_PORTS=80,53/udp"), 0);
	ck_assert_str_eq(options_target(&o), "db.tail.test.");
	options_fini(&o);
}

TEST(in_a_cluster_the_state_is_in_a_secret_unless_its_name_is_empty)
{
	ck_assert_int_eq(ENV("TS_STATE_DIR=/a"), 0);
	ck_assert_ptr_null(options_kube_secret(&o));
	options_fini(&o);
	ck_assert_int_eq(ENV("KUBERNETES_SERVICE_HOST=10.0.0.1"), 0);
	ck_assert_str_eq(options_kube_secret(&o), "tailscale");
	ck_assert_uint_eq(o.kubernetes_port, 443);
	options_fini(&o);
	ck_assert_int_eq(ENV("KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_SERVICE_PORT=6443",
			     "TS_KUBE_SECRET=web-0.state"),
			 0);
	ck_assert_str_eq(options_kube_secret(&o), "web-0.state");
	ck_assert_uint_eq(o.kubernetes_port, 6443);
	options_fini(&o);
	ck_assert_int_eq(ENV("KUBERNETES_SERVICE_HOST=10.0.0.1", "TS_KUBE_SECRET="), 0);
	ck_assert_ptr_null(options_kube_secret(&o));
	options_fini(&o);
	check_refused("TS_KUBE_SECRET: wanted a name",
		      ENV("KUBERNETES_SERVICE_HOST=10.0.0.1", "TS_KUBE_SECRET=../x"));
	check_refused("TS_KUBE_SECRET: works in a Kubernetes cluster only",
		      ENV("TS_KUBE_SECRET=a"));
	options_fini(&o);
}

TEST(words_are_split_as_a_shell_would)
{
	static const struct {
		const char *text, *words; /* joined by | */
	} rows[] = {
		{ "", "" },
		{ "  ", "" },
		{ "a  b\tc\n", "a|b|c" },
		{ "'a b' c", "a b|c" },
		{ "a'b c'd", "ab cd" },
		{ "\"a 'b' \\\" c\"", "a 'b' \" c" },
		{ "a\\ b", "a b" },
		{ "'a\\b'", "a\\b" },
		{ "''", "" },
		{ "\"x\\n\"", "x\\n" },
		{ "a ''", "a|" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char got[64] = "";
		size_t n, len = 0;
		char **v = words_split(rows[i].text, &n, &e);

		ck_assert_ptr_nonnull(v);
		for (size_t k = 0; k < n; k++)
			len += (size_t)snprintf(got + len, sizeof got - len, "%s%s", k ? "|" : "",
						v[k]);
		ck_assert_ptr_null(v[n]);
		ck_assert_str_eq(got, rows[i].words);
		free(v);
	}
}

TEST(an_open_quote_is_refused)
{
	check_refused("TS_EXTRA_ARGS: a quote is not closed", ENV("TS_EXTRA_ARGS=--hostname 'a"));
	options_fini(&o);
}

TEST(flags_of_tailscale_up_are_understood_in_every_spelling)
{
	ck_assert_msg(
	    ENV("TS_EXTRA_ARGS=--login-server=http://a -hostname b --advertise-tags 'tag:x,tag:y' "
		"--accept-routes --accept-dns=true --shields-up=false --reset --auth-key k "
		"--timeout 5s") == 0,
	    "%s", e.text);
	ck_assert_str_eq(o.up.login_server, "http://a");
	ck_assert_str_eq(o.up.hostname, "b");
	ck_assert_str_eq(o.up.tags, "tag:x,tag:y");
	ck_assert_int_eq(o.up.accept_routes, 1);
	ck_assert_int_eq(o.up.accept_dns, 1);
	ck_assert_int_eq(o.up.shields_up, 0);
	ck_assert_str_eq(options_auth_key(&o), "k");
	ck_assert_ptr_nonnull(strstr(warnings, "TS_AUTHKEY is the place"));
	options_fini(&o);
}

TEST(flags_that_do_not_exist_or_cannot_be_honoured_are_refused_without_their_value)
{
	check_refused("TS_EXTRA_ARGS: --hostnam: no such flag; did you mean --hostname?",
		      ENV("TS_EXTRA_ARGS=--hostnam=a"));
	check_refused("--ssh: this program has no SSH server", ENV("TS_EXTRA_ARGS=--ssh"));
	ck_assert_int_eq(ENV("TS_EXTRA_ARGS=--ssh=false"), 0);
	check_refused("word 1 is not a flag", ENV("TS_EXTRA_ARGS=tskey-secret"));
	ck_assert_ptr_null(strstr(e.text, "tskey"));
	check_refused("--hostname: needs a value", ENV("TS_EXTRA_ARGS=--hostname"));
	check_refused("--accept-dns: wanted true or false",
		      ENV("TS_EXTRA_ARGS=--accept-dns=maybe"));
	check_refused("--advertise-tags", ENV("TS_EXTRA_ARGS=--advertise-tags=x_y"));
	check_refused("one word of several flags",
		      ENV("TS_EXTRA_ARGS=\"--accept-dns --hostname=x\""));
	check_refused("a boolean takes its value behind =", ENV("TS_EXTRA_ARGS=--accept-dns true"));
	check_refused("--client-secret", ENV("TS_EXTRA_ARGS=--client-secret=tskey-secret"));
	ck_assert_ptr_null(strstr(e.text, "tskey"));
	options_fini(&o);
}

TEST(flags_of_tailscaled_are_understood)
{
	ck_assert_int_eq(ENV("TS_TAILSCALED_EXTRA_ARGS=--port=41641 --verbose 2 "
			     "--no-logs-no-support --socks5-server=:1055 "
			     "--tun=userspace-networking --state=mem:"),
			 0);
	ck_assert_int_eq(o.daemon.port, 41641);
	ck_assert_int_eq(o.daemon.verbose, 2);
	ck_assert_str_eq(options_socks5(&o), ":1055");
	ck_assert(o.daemon.state_mem);
	check_refused("--tun", ENV("TS_TAILSCALED_EXTRA_ARGS=--tun=tailscale0"));
	check_refused("--port", ENV("TS_TAILSCALED_EXTRA_ARGS=--port=x"));
	check_refused("--encrypt-state", ENV("TS_TAILSCALED_EXTRA_ARGS=--encrypt-state"));
	options_fini(&o);
}

TEST(a_flag_wins_over_its_variable)
{
	ck_assert_int_eq(
	    ENV("TS_LOGIN_SERVER=http://a", "TS_HOSTNAME=a", "TS_ACCEPT_DNS=true",
		"TS_EXTRA_ARGS=--login-server=http://b --hostname=b --accept-dns=false"),
	    0);
	ck_assert_int_eq(options_prefs(&o, NULL, &p, &e), 0);
	ck_assert_str_eq(p.control_url, "http://b");
	ck_assert_str_eq(p.hostname, "b");
	ck_assert(!p.accept_dns);
	ck_assert(p.want_running);
	options_fini(&o);
}

TEST(what_is_not_mentioned_goes_back_to_its_default_unless_auth_once)
{
	prefs_default(&stored);
	stored.shields_up = stored.accept_routes = stored.logged_out = true;
	memcpy(stored.hostname, "old", 4);
	memcpy(stored.tags, "tag:old", 8);
	memcpy(stored.routes, "10.0.0.0/8", 11);
	stored.no_snat = true;
	ck_assert_int_eq(ENV("TS_HOSTNAME=new"), 0);
	ck_assert_int_eq(options_prefs(&o, &stored, &p, &e), 0);
	ck_assert(!p.shields_up && !p.accept_routes && !p.logged_out && p.no_snat);
	ck_assert_str_eq(p.hostname, "new");
	ck_assert_str_eq(p.tags, "");
	ck_assert_str_eq(p.routes, "10.0.0.0/8"); /* absent: leave */
	ck_assert_int_eq(ENV("TS_AUTH_ONCE=true", "TS_ROUTES="), 0);
	ck_assert_int_eq(options_prefs(&o, &stored, &p, &e), 0);
	ck_assert(p.shields_up && p.accept_routes && !p.logged_out);
	ck_assert_str_eq(p.hostname, "old");
	ck_assert_str_eq(p.tags, "tag:old");
	ck_assert_str_eq(p.routes, "");
	options_fini(&o);
}

static const char *routes_of(const char *stored_routes, char **env)
{
	static struct prefs old, new;

	prefs_default(&old);
	snprintf(old.routes, sizeof old.routes, "%s", stored_routes);
	ck_assert_int_eq(parse(env), 0);
	ck_assert_msg(options_prefs(&o, &old, &new, &e) == 0, "%s", e.text);
	options_fini(&o);
	return new.routes;
}
#define ROUTES(stored, ...) routes_of(stored, (char *[]){ __VA_ARGS__, NULL })

TEST(routes_and_the_exit_node_are_one_list_of_which_each_wish_changes_its_part)
{
	ck_assert_str_eq(ROUTES("", "TS_ROUTES=10.0.0.0/8,fd00::/64"), "10.0.0.0/8,fd00::/64");
	ck_assert_str_eq(ROUTES("10.0.0.0/8", "TS_ROUTES="), "");
	ck_assert_str_eq(ROUTES("10.0.0.0/8", "TS_EXTRA_ARGS=--advertise-routes=10.1.0.0/16"),
			 "10.1.0.0/16");
	ck_assert_str_eq(ROUTES("10.0.0.0/8", "TS_ADVERTISE_EXIT_NODE=true"),
			 "10.0.0.0/8,0.0.0.0/0,::/0");
	ck_assert_str_eq(ROUTES("", "TS_EXTRA_ARGS=--advertise-exit-node", "TS_ROUTES=10.0.0.0/8"),
			 "10.0.0.0/8,0.0.0.0/0,::/0");
	ck_assert_str_eq(ROUTES("0.0.0.0/0,10.0.0.0/8,::/0", "TS_HOSTNAME=a"), "10.0.0.0/8");
	ck_assert_str_eq(ROUTES("0.0.0.0/0,10.0.0.0/8,::/0", "TS_AUTH_ONCE=true"),
			 "10.0.0.0/8,0.0.0.0/0,::/0");
	ck_assert_str_eq(
	    ROUTES("0.0.0.0/0,::/0", "TS_ADVERTISE_EXIT_NODE=false", "TS_AUTH_ONCE=true"), "");
	ck_assert_str_eq(ROUTES("", "TS_ROUTES=0.0.0.0/0,::/0"), "0.0.0.0/0,::/0");
	check_refused("TS_ROUTES: 0.0.0.0/0 and ::/0 go together", ENV("TS_ROUTES=::/0"));
	check_refused("TS_ROUTES: 10.0.0.1/8 has bits", ENV("TS_ROUTES=10.0.0.1/8"));
}

TEST(as_many_routes_as_the_limit_are_taken)
{
	static char text[PREFS_ROUTES_MAX + 64];
	char *env[] = { text, NULL };
	size_t at = (size_t)snprintf(text, sizeof text, "TS_ROUTES=");

	for (unsigned i = 0; i < OPTIONS_ROUTES_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s1.%u.%u.0/24", i ? "," : "",
				       i >> 8, i & 255);
	ck_assert_int_eq(options_parse(&o, env, note, NULL, &e), 0);
	options_fini(&o);
	snprintf(text + at, sizeof text - at, ",2.0.0.0/24");
	check_refused("TS_ROUTES: more than 1024", options_parse(&o, env, note, NULL, &e));
}

TEST(an_exit_node_is_kept_where_the_stock_client_looks_for_it)
{
	ck_assert_int_eq(ENV("TS_EXIT_NODE=100.64.0.9"), 0);
	ck_assert_int_eq(options_prefs(&o, NULL, &p, &e), 0);
	ck_assert_str_eq(p.exit_node_ip, "100.64.0.9");
	ck_assert_str_eq(p.exit_node_id, "");
	options_fini(&o);
	ck_assert_int_eq(ENV("TS_EXTRA_ARGS=--exit-node=hub --exit-node-allow-lan-access"), 0);
	stored = p;
	ck_assert_int_eq(options_prefs(&o, &stored, &p, &e), 0);
	ck_assert_str_eq(prefs_exit_node(&p), "hub");
	ck_assert(p.exit_node_allow_lan && !*p.exit_node_ip);
	options_fini(&o);
	ck_assert_int_eq(ENV("TS_HOSTNAME=a"), 0);
	stored = p;
	ck_assert_int_eq(options_prefs(&o, &stored, &p, &e), 0);
	ck_assert_str_eq(prefs_exit_node(&p), "");
	options_fini(&o);
	ck_assert_int_eq(ENV("TS_EXIT_NODE=hub", "TS_ADVERTISE_EXIT_NODE=true"), 0);
	ck_assert_int_eq(options_prefs(&o, NULL, &p, &e), -EINVAL);
	options_fini(&o);
}

TEST(secrets_leave_the_environment)
{
	char a[] = "TS_AUTHKEY=tskey-secret", b[] = "PATH=/bin",
	     c[] = "TS_EXTRA_ARGS=--authkey=tskey-secret", d[] = "TS_AUTH_KEY=tskey-secret";
	char *env[] = { a, b, c, d, NULL };

	options_wipe_env(env);
	ck_assert_str_eq(env[0], "PATH=/bin");
	ck_assert_ptr_null(env[1]);
	ck_assert_str_eq(a, "TS_AUTHKEY=");
	ck_assert_ptr_null(memmem(a, sizeof a, "tskey", 5));
	ck_assert_ptr_null(memmem(c, sizeof c, "tskey", 5));
	ck_assert_ptr_null(memmem(d, sizeof d, "tskey", 5));
}

TEST(the_page_about_the_environment_is_the_one_made_from_the_table)
{
	struct buf out;
	size_t len;
	uint8_t *want = harness_file("docs/operations/environment.md", &len);

	buf_init(&out, 1 << 20);
	ck_assert(options_markdown(&out));
	ck_assert_msg(bytes_eq(buf_bytes(&out), bytes_of(want, len)),
		      "docs/operations/environment.md: run `make docs`");
	buf_clear(&out);
	ck_assert(options_help(&out));
	for (size_t i = 0; i < option_table_n; i++)
		ck_assert_ptr_nonnull(
		    memmem(out.data, out.len, option_table[i].name, strlen(option_table[i].name)));
	buf_fini(&out);
	free(want);
}
