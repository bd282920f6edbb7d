/* ts2021/url_test.c - places as control and its pings name them */
#include "ts2021/url.h"

#include "tests/harness.h"

static struct url u;

static bool parse(const char *text)
{
	return url_parse(bytes_str(text), &u);
}

static void expect(const char *text, bool tls, uint16_t port, const char *host,
		   const char *authority, const char *path)
{
	ck_assert_msg(parse(text), "%s", text);
	ck_assert_int_eq(u.tls, tls);
	ck_assert_uint_eq(u.port, port);
	ck_assert_str_eq(u.host, host);
	ck_assert_str_eq(u.authority, authority);
	ck_assert_str_eq(u.path, path);
}

TEST(scheme_host_port_and_path_with_their_defaults)
{
	expect("https://control.example", true, 443, "control.example", "control.example", "/");
	expect("HTTP://control.example/", false, 80, "control.example", "control.example", "/");
	expect("https://c.example:443/key?v=119", true, 443, "c.example", "c.example",
	       "/key?v=119");
	expect("http://c.example:443/a/b", false, 443, "c.example", "c.example:443", "/a/b");
	expect("https://c.example?x=1", true, 443, "c.example", "c.example", "/?x=1");
	expect("http://c.example/?", false, 80, "c.example", "c.example", "/?");
}

TEST(addresses_keep_their_brackets_where_a_port_could_follow)
{
	expect("http://[2001:db8::1]:8080/x", false, 8080, "2001:db8::1", "[2001:db8::1]:8080",
	       "/x");
	expect("https://[::1]", true, 443, "::1", "[::1]", "/");
	expect("http://127.0.0.1:65535", false, 65535, "127.0.0.1", "127.0.0.1:65535", "/");
}

TEST(what_is_malformed_or_of_another_kind_is_refused)
{
	static const char *const bad[] = {
		"",
		"/key",
		"control.example",
		"ftp://c.example/",
		"https:c.example",
		"https://",
		"https:///x",
		"https://:443/",
		"https://c.example:0/",
		"https://c.example:65536/",
		"https://c.example:4x/",
		"https://user@c.example/",
		"https://c.example/#part",
		"https://[::1/",
		"https://c.example/a b",
		"https://c.example/ HTTP/1.1\r\nHost: other\r\n\r\n",
		"https://c.example/?x\n",
		"https://c.example\r\n/",
		"https://c.example/\x7f",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!parse(bad[i]), "%s", bad[i]);
	ck_assert(!url_parse(bytes_of("https://c\0.example/", 19), &u));
}

TEST(hosts_and_paths_are_taken_up_to_their_limits)
{
	char text[URL_PATH_MAX + 64];
	int n;

	for (int len = URL_HOST_MAX - 2; len <= URL_HOST_MAX + 1; len++) {
		snprintf(text, sizeof text, "https://%0*d/", len, 0);
		ck_assert_msg(parse(text) == (len < URL_HOST_MAX), "host of %d", len);
	}
	for (int len = URL_PATH_MAX - 2; len <= URL_PATH_MAX + 1; len++) {
		n = snprintf(text, sizeof text, "https://c.example/?%0*d", len - 2, 0);
		ck_assert_int_lt(n, (int)sizeof text);
		ck_assert_msg(parse(text) == (len < URL_PATH_MAX), "path of %d", len);
	}
}
