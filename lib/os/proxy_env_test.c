/* os/proxy_env_test.c - which connections go through a proxy, and which proxy that is */
#include "os/proxy_env.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/harness.h"

/* --- NO_PROXY --- */

TEST(no_proxy_follows_the_rules_of_go_programs)
{
	static const struct {
		const char *list, *host;
		uint16_t port;
		bool excluded;
	} v[] = {
		{ "", "example.com", 443, false },
		{ "", "localhost", 443, true },
		{ "", "127.0.0.9", 80, true },
		{ "", "::1", 80, true },
		{ "*", "example.com", 443, true },
		{ "example.com", "example.com", 443, true },
		{ "example.com", "EXAMPLE.com.", 443, true },
		{ "example.com", "a.example.com", 443, true },
		{ "example.com", "badexample.com", 443, false },
		{ ".example.com", "example.com", 443, false },
		{ ".example.com", "a.example.com", 443, true },
		{ "*.example.com", "a.b.example.com", 443, true },
		{ "*.example.com", "example.com", 443, false },
		{ "example.com:8080", "example.com", 443, false },
		{ "example.com:443", "example.com", 443, true },
		{ " a.com , b.com", "b.com", 1, true },
		{ ",,", "b.com", 1, false },
		{ "10.0.0.0/8", "10.1.2.3", 1, true },
		{ "10.0.0.0/8", "11.1.2.3", 1, false },
		{ "10.0.0.0/8", "ten.example.com", 1, false },
		{ "10.1.2.3", "10.1.2.3", 1, true },
		{ "10.1.2.3:2", "10.1.2.3", 1, false },
		{ "fd00::/8", "fd00::1", 1, true },
		{ "fd00::1", "fd00::1", 1, true },
		{ "[fd00::1]:5", "fd00::1", 5, true },
		{ "[fd00::1]:5", "fd00::1", 6, false },
		{ ".", "example.com", 1, false },
		{ "*.", "example.com", 1, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		ck_assert_msg(proxy_excluded(v[i].list, v[i].host, v[i].port) == v[i].excluded,
			      "row %zu: %s %s", i, v[i].list, v[i].host);
}

/* --- the environment --- */

static void clean_env(void)
{
	static const char *const names[] = { "HTTP_PROXY",  "http_proxy", "HTTPS_PROXY",
					     "https_proxy", "ALL_PROXY",  "all_proxy",
					     "NO_PROXY",    "no_proxy" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
}

TEST(the_environment_is_read_in_both_cases_and_upper_case_wins)
{
	struct proxy_env env;
	struct err err;

	clean_env();
	ck_assert_int_eq(proxy_env_read(&env, &err), 0);
	ck_assert_ptr_null(proxy_for(&env, "example.com", 443, true));
	setenv("https_proxy", "lower:1", 1);
	setenv("no_proxy", "skip.example.com", 1);
	ck_assert_int_eq(proxy_env_read(&env, &err), 0);
	ck_assert_str_eq(proxy_for(&env, "example.com", 443, true)->host, "lower");
	ck_assert_ptr_null(proxy_for(&env, "example.com", 80, false));
	ck_assert_ptr_null(proxy_for(&env, "skip.example.com", 443, true));
	setenv("HTTPS_PROXY", "upper:2", 1);
	setenv("NO_PROXY", "*", 1);
	ck_assert_int_eq(proxy_env_read(&env, &err), 0);
	ck_assert_str_eq(env.https.host, "upper");
	ck_assert_ptr_null(proxy_for(&env, "example.com", 443, true));
}

TEST(all_proxy_serves_both_and_is_passed_over_when_it_is_for_socks)
{
	struct proxy_env env;
	struct err err;

	clean_env();
	setenv("ALL_PROXY", "http://all:9", 1);
	ck_assert_int_eq(proxy_env_read(&env, &err), 0);
	ck_assert_str_eq(proxy_for(&env, "example.com", 80, false)->host, "all");
	ck_assert_str_eq(proxy_for(&env, "example.com", 443, true)->host, "all");
	setenv("ALL_PROXY", "socks5://all:9", 1);
	ck_assert_int_eq(proxy_env_read(&env, &err), 0);
	ck_assert_ptr_null(proxy_for(&env, "example.com", 443, true));
}

TEST(a_bad_variable_is_named_and_its_secret_is_not)
{
	struct proxy_env env;
	struct err err;

	clean_env();
	setenv("HTTP_PROXY", "http://u:secret@h:x", 1);
	ck_assert_int_eq(proxy_env_read(&env, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "HTTP_PROXY"));
	ck_assert_ptr_null(strstr(err.text, "secret"));
}

TEST(the_variable_that_was_read_is_the_one_that_is_named)
{
	struct proxy_env env;
	struct err err;

	clean_env();
	setenv("HTTPS_PROXY", "", 1); /* empty is as good as absent */
	setenv("https_proxy", "ftp://h:1", 1);
	ck_assert_int_eq(proxy_env_read(&env, &err), -EINVAL);
	ck_assert_msg(strncmp(err.text, "https_proxy: ", 13) == 0, "%s", err.text);
	setenv("HTTPS_PROXY", "ftp://h:1", 1);
	ck_assert_int_eq(proxy_env_read(&env, &err), -EINVAL);
	ck_assert_msg(strncmp(err.text, "HTTPS_PROXY: ", 13) == 0, "%s", err.text);
}

TEST(a_list_of_exceptions_is_read_whole_or_refused)
{
	static char list[PROXY_NO_MAX + 1];
	struct proxy_env env = { .has_http = true };
	struct err err;

	clean_env();
	memset(list, 'a', PROXY_NO_MAX);
	memcpy(list + PROXY_NO_MAX - 3, ",b", 3);
	setenv("no_proxy", list, 1);
	setenv("ALL_PROXY", "p:1", 1);
	ck_assert_int_eq(proxy_env_read(&env, &err), 0);
	ck_assert_ptr_null(proxy_for(&env, "b", 1, true));
	ck_assert_ptr_nonnull(proxy_for(&env, "c", 1, true));
	memcpy(list + PROXY_NO_MAX - 3, "a,b", 4);
	setenv("no_proxy", list, 1);
	env = (struct proxy_env){ .has_http = true };
	ck_assert_int_eq(proxy_env_read(&env, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "no_proxy: longer than 8191 bytes") != NULL, "%s", err.text);
	ck_assert(env.has_http && !env.has_https); /* as it was */
}

TEST(a_tailnet_name_may_be_excepted_by_suffix_port_and_case)
{
	ck_assert(proxy_excluded("TS.Net:443", "box.tail.ts.net", 443));
	ck_assert(!proxy_excluded("ts.net:443", "box.tail.ts.net", 80));
	ck_assert(proxy_excluded("\t100.64.0.0/10\t", "100.100.1.2", 80));
	ck_assert(proxy_excluded("::ffff:10.0.0.1", "10.0.0.1", 80)); /* one address */
	ck_assert(!proxy_excluded("10.0.0.0/33,/,a/b,:80,[],[", "10.0.0.1", 80));
	ck_assert(!proxy_excluded(",,:,[]:1", "", 1));
}
