/* ts2021/ping_test.c - which PingRequests are answered, and how */
#include "ts2021/ping.h"

#include "base/text.h"
#include "tests/harness.h"

static enum ping_kind kind_of(const char *json)
{
	struct ping p;
	enum ping_kind kind;

	ping_read(bytes_str(json), &p);
	kind = p.kind;
	ping_fini(&p);
	return kind;
}

TEST(head_pings_name_their_place)
{
	struct ping p;

	ping_read(bytes_str("{\"URL\":\"https://[fd7a::1]:8443/"
			    "a?b=c\",\"Log\":true,\"Types\":\"\",\"IP\":\"\"}"),
		  &p);
	ck_assert_int_eq(p.kind, PING_HEAD);
	ck_assert(!p.over_noise);
	ck_assert(p.url.tls);
	ck_assert_str_eq(p.url.host, "fd7a::1");
	ck_assert_str_eq(p.url.authority, "[fd7a::1]:8443");
	ck_assert_str_eq(p.url.path, "/a?b=c");
	ck_assert_uint_eq(p.url.port, 8443);
	ping_fini(&p);
}

TEST(control_5_2_pings_of_peers_name_the_address_and_the_ways)
{
	struct ping p;

	ping_read(bytes_str("{\"URL\":\"http://x/r\",\"Types\":\"disco,TSMP,what,peerapi\",\"IP\":"
			    "\"100.64.0.1\"}"),
		  &p);
	ck_assert_int_eq(p.kind, PING_PEER);
	ck_assert_uint_eq(p.types, PING_DISCO | PING_TSMP | PING_PEERAPI);
	ck_assert_uint_eq(p.ip.b[15], 1);
	ck_assert(!p.over_noise);
	ping_fini(&p);
	ck_assert_int_eq(kind_of("{\"URL\":\"http://x/\",\"Types\":\"ICMP\",\"IP\":\"fd7a::1\"}"),
			 PING_PEER);
}

TEST(nonsense_is_ignored)
{
	static const char *const not_ours[] = {
		"{\"URL\":\"http://x/\",\"Types\":\"disco\",\"IP\":\"\"}",
		"{\"URL\":\"http://x/\",\"Types\":\"disco\"}",
		"{\"URL\":\"http://x/\",\"Types\":\"smoke,\",\"IP\":\"100.64.0.1\"}",
		"{\"Types\":\"\"}",
		"{\"URL\":\"\"}",
		"{\"URL\":\"gopher://x/\"}",
		"{\"URL\":7}",
		"[]",
		"",
		"null",
		"{\"URL\":\"http://x/\",\"Types\":\"c2n\",\"Payload\":\"%%%\"}"
	};

	for (size_t i = 0; i < ARRAY_LEN(not_ours); i++)
		ck_assert_msg(kind_of(not_ours[i]) == PING_IGNORE, "%s", not_ours[i]);
}

static void c2n(const char *request, const char *want_start, const char *want_end)
{
	char b64[400], json[600], got[600];
	struct ping p;

	base64_emit((const uint8_t *)request, strlen(request), BASE64_STD, b64);
	snprintf(json, sizeof json, "{\"URL\":\"http://x/r\",\"Types\":\"c2n\",\"Payload\":\"%s\"}",
		 b64);
	ping_read(bytes_str(json), &p);
	ck_assert_int_eq(p.kind, PING_REPLY);
	ck_assert(p.over_noise); /* always, whatever URLIsNoise says */
	ck_assert(bytes_to_str(buf_bytes(&p.reply), got, sizeof got));
	ck_assert_int_eq(strncmp(got, want_start, strlen(want_start)), 0);
	ck_assert_str_eq(got + strlen(got) - strlen(want_end), want_end);
	ping_fini(&p);
}

TEST(control_5_2_c2n_requests_other_than_echo_are_left_to_the_node)
{
	static const char rq[] =
	    "POST /wol?mac=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
	char b64[400], json[600];
	struct ping p;

	base64_emit((const uint8_t *)rq, strlen(rq), BASE64_STD, b64);
	snprintf(json, sizeof json, "{\"URL\":\"http://x/r\",\"Types\":\"c2n\",\"Payload\":\"%s\"}",
		 b64);
	ping_read(bytes_str(json), &p);
	ck_assert_int_eq(p.kind, PING_C2N);
	ck_assert(p.over_noise);
	ck_assert_str_eq(p.rq.method, "POST");
	ck_assert(bytes_eq_str(p.rq.path, "/wol") && bytes_eq_str(p.rq.query, "mac=1"));
	ck_assert(bytes_eq_str(p.rq.body, "ab"));
	ping_fini(&p);
}

TEST(c2n_echo_gives_the_body_back_and_what_is_malformed_gets_400)
{
	c2n("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\n",
	    "\r\n\r\nabc");
	c2n("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n");
	c2n("A_METHOD_WITHOUT_END /echo HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ",
	    "malformed c2n request\n");
	c2n("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc", "HTTP/1.1 400 ",
	    "malformed c2n request\n");
	c2n("nonsense", "HTTP/1.1 400 ", "malformed c2n request\n");
}
