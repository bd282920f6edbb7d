/* os/proxy_test.c - proxy URLs, CONNECT, replies */
#include "os/proxy.h"

#include <errno.h>

#include "tests/harness.h"

static int parse(const char *text, struct proxy *p)
{
	struct err err;
	int ret = proxy_parse(bytes_str(text), p, &err);

	if (ret < 0)
		ck_assert_ptr_null(strstr(err.text, "secret"));
	return ret;
}

TEST(a_proxy_url_gives_host_port_and_credentials)
{
	struct proxy p;

	ck_assert_int_eq(parse("http://proxy.example.com:3128", &p), 0);
	ck_assert_str_eq(p.host, "proxy.example.com");
	ck_assert_uint_eq(p.port, 3128);
	ck_assert_str_eq(p.auth, "");
	ck_assert_int_eq(parse("proxy.example.com", &p), 0);
	ck_assert_uint_eq(p.port, 80);
	ck_assert_int_eq(parse("HTTP://[fd00::1]:8080/", &p), 0);
	ck_assert_str_eq(p.host, "fd00::1");
	ck_assert_uint_eq(p.port, 8080);
	ck_assert_int_eq(parse("http://Aladdin:open%20sesame@10.0.0.1:1", &p), 0);
	ck_assert_str_eq(p.auth, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); /* RFC 7617 section 2 */
	ck_assert_int_eq(parse("http://user@10.0.0.1:1", &p), 0);
	ck_assert_str_eq(p.auth, "Basic dXNlcjo=");
}

TEST(bad_proxy_urls_are_refused_without_showing_the_password)
{
	static const char *const bad[] = { "",
					   "http://",
					   "http://u:secret@",
					   "http://u:secret@host:99999",
					   "http://u:secret@host:0",
					   "socks5://u:secret@host:1",
					   "https://h:443",
					   "http://u:secret%zz@host",
					   "http://u:secret%0a@host",
					   "http://ho st",
					   "http://host\r\nX: y",
					   "http://[::1",
					   "http://host:80:90",
					   "http://u:secret@:80" };
	struct proxy p;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(parse(bad[i], &p) == -EINVAL, "%s was taken", bad[i]);
}

TEST(credentials_have_a_limit)
{
	char url[600] = "http://", *p = url + 7;
	struct proxy proxy;

	memset(p, 'a', 255); /* with the colon just what fits */
	memcpy(p + 255, "@h", 3);
	ck_assert_int_eq(parse(url, &proxy), 0);
	memset(p, 'a', 256);
	memcpy(p + 256, "@h", 3);
	ck_assert_int_eq(parse(url, &proxy), -EINVAL);
}

TEST(the_connect_request_names_the_target_twice_and_brackets_ipv6)
{
	struct proxy p;
	char out[512];

	ck_assert_int_eq(parse("http://u:p@h:1", &p), 0);
	ck_assert_uint_gt(proxy_request(&p, "fd00::1", 443, out, sizeof out), 0);
	ck_assert_str_eq(out, "CONNECT [fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\n"
			      "Proxy-Authorization: Basic dTpw\r\n\r\n");
	p.auth[0] = 0;
	ck_assert_uint_gt(proxy_request(&p, "a.example.com", 80, out, sizeof out), 0);
	ck_assert_str_eq(out,
			 "CONNECT a.example.com:80 HTTP/1.1\r\nHost: a.example.com:80\r\n\r\n");
	ck_assert_uint_eq(proxy_request(&p, "a.example.com", 80, out, 20), 0);
}

TEST(a_reply_cut_at_each_byte_wants_more_and_whole_it_opens)
{
	static const char reply[] = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
	char reason[64];
	unsigned status;
	size_t len;

	for (size_t n = 0; n < sizeof reply - 1; n++)
		ck_assert_int_eq(proxy_reply_parse(bytes_of(reply, n), &len, &status, reason),
				 PROXY_MORE);
	ck_assert_int_eq(proxy_reply_parse(bytes_str(reply), &len, &status, reason), PROXY_OPEN);
	ck_assert_uint_eq(len, sizeof reply - 1);
	ck_assert_uint_eq(status, 200);
}

TEST(bytes_behind_the_head_of_a_reply_are_not_counted_in)
{
	char reason[64];
	unsigned status;
	size_t len;

	ck_assert_int_eq(proxy_reply_parse(bytes_str("HTTP/1.0 200 OK\r\n\r\n\r\n\r\nmore"), &len,
					   &status, reason),
			 PROXY_OPEN);
	ck_assert_uint_eq(len, 19);
}

TEST(refusals_and_garbage_are_told_apart)
{
	char reason[64], big[PROXY_REPLY_MAX + 1];
	unsigned status;
	size_t len;

	ck_assert_int_eq(proxy_reply_parse(bytes_str("HTTP/1.1 407 Auth\x01 needed\r\n\r\n"), &len,
					   &status, reason),
			 PROXY_REFUSED);
	ck_assert_uint_eq(status, 407);
	ck_assert_str_eq(reason, "Auth? needed");
	ck_assert_int_eq(
	    proxy_reply_parse(bytes_str("HTTP/1.1 502\r\n\r\n"), &len, &status, reason),
	    PROXY_REFUSED);
	ck_assert_str_eq(reason, "");
	ck_assert_int_eq(proxy_reply_parse(bytes_str("SSH-2.0"), &len, &status, reason),
			 PROXY_GARBAGE);
	ck_assert_int_eq(
	    proxy_reply_parse(bytes_str("HTTP/1.1 2000 x\r\n\r\n"), &len, &status, reason),
	    PROXY_GARBAGE);
	ck_assert_int_eq(
	    proxy_reply_parse(bytes_str("HTTP/1.1 abc x\r\n\r\n"), &len, &status, reason),
	    PROXY_GARBAGE);
	memset(big, 'x', sizeof big);
	memcpy(big, "HTTP/1.1 200 ", 13);
	ck_assert_int_eq(proxy_reply_parse(bytes_of(big, sizeof big), &len, &status, reason),
			 PROXY_GARBAGE);
}
