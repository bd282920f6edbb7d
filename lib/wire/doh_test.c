/* wire/doh_test.c */
#include "wire/doh.h"

#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "tests/harness.h"
#include "wire/dns.h"

static struct doh_exchange x;
static struct doh_url url;
static uint8_t query[512], answer[512];
static size_t query_len, answer_len;

/* a question, or its answer */
static size_t message(uint8_t *out, uint16_t id, bool qr, const char *name, enum dns_type t)
{
	const struct dns_head h = { .id = id, .qr = qr, .rd = true };
	struct dns_question q = { .type = (uint16_t)t, .class = DNS_IN };
	const struct ip a = ip_v4(192, 0, 2, 7);
	struct dns_writer w;

	(void)bytes_to_str(bytes_str(name), q.name, sizeof q.name);
	dns_begin(&w, out, 512, &h);
	dns_put_question(&w, &q);
	if (qr)
		dns_put_ip(&w, DNS_ANSWER, name, 60, &a);
	return dns_finish(&w);
}

static void begin(void)
{
	ck_assert(doh_url_parse("https://dns.example:8443/q", &url));
	query_len = message(query, 0x1234, false, "www.example.com", DNS_A);
	answer_len = message(answer, 0, true, "WWW.example.com", DNS_A);
	doh_init(&x);
	ck_assert(doh_begin(&x, &url, bytes_of(query, query_len)));
}

/* a head without its end, Content-Length when asked, and the answer */
static struct bytes http(const char *head, bool with_length)
{
	static uint8_t whole[2048];
	struct wr w = wr_of(whole, sizeof whole);
	char length[48];

	(void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", answer_len);
	wr_put(&w, head, strlen(head));
	if (with_length)
		wr_put(&w, length, strlen(length));
	wr_put(&w, "\r\n", 2);
	wr_put(&w, answer, answer_len);
	return bytes_of(whole, wr_len(&w));
}

static const char good_head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n";

TEST(doh_url_names_host_port_and_target)
{
	static const struct {
		const char *url, *host, *target;
		uint16_t port;
		bool tls;
	} good[] = {
		{ "https://dns.google/dns-query", "dns.google", "/dns-query", 443, true },
		{ "https://dns.example/q{?dns}", "dns.example", "/q", 443, true },
		{ "https://[2001:db8::1]:8443/a?b=c", "2001:db8::1", "/a?b=c", 8443, true },
		{ "http://100.64.0.1:8080/dns-query", "100.64.0.1", "/dns-query", 8080, false },
		{ "https://dns.example", "dns.example", "/", 443, true },
	};
	static const char *const bad[] = { "",
					   "tls://dns.example",
					   "https:///q",
					   "https://u@dns.example/q",
					   "https://dns.example/q#x",
					   "https://dns.example:0/q",
					   "https://dns.example/a b",
					   "https://dns.example/a\r\nb",
					   "/q" };
	char large[DOH_URL_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_msg(doh_url_parse(good[i].url, &url), "%s", good[i].url);
		ck_assert_str_eq(url.host, good[i].host);
		ck_assert_str_eq(url.target, good[i].target);
		ck_assert_uint_eq(url.port, good[i].port);
		ck_assert_int_eq(url.tls, good[i].tls);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!doh_url_parse(bad[i], &url), "%s", bad[i]);
	memset(large, 'a', sizeof large);
	memcpy(large, "https://h/", 10);
	large[DOH_URL_MAX] = 0;
	ck_assert(!doh_url_parse(large, &url));
	large[DOH_URL_MAX - 1] = 0;
	ck_assert(doh_url_parse(large, &url));
}

TEST(doh_query_goes_out_as_post_without_its_identifier)
{
	char want[512];
	struct bytes out;
	int n;

	begin();
	n = snprintf(want, sizeof want,
		     "POST /q HTTP/1.1\r\nHost: dns.example:8443\r\nContent-Type: "
		     "application/dns-message\r\nAccept: application/dns-message\r\n"
		     "Content-Length: %zu\r\n\r\n",
		     query_len);
	out = doh_output(&x);
	ck_assert_uint_eq(out.len, (size_t)n + query_len);
	ck_assert_mem_eq(out.data, want, (size_t)n);
	ck_assert_uint_eq(out.data[n], 0);
	ck_assert_uint_eq(out.data[n + 1], 0);
	ck_assert_mem_eq(out.data + n + 2, query + 2, query_len - 2);
	doh_fini(&x);
}

TEST(doh_answer_gets_the_identifier_back_and_the_connection_is_kept)
{
	for (int round = 0; round < 2; round++) {
		begin();
		doh_sent(&x, doh_output(&x).len);
		ck_assert_int_eq(doh_feed(&x, http(good_head, true)), DOH_ANSWER);
		ck_assert_uint_eq(doh_answer(&x).len, answer_len);
		ck_assert_uint_eq(doh_answer(&x).data[0], 0x12);
		ck_assert_uint_eq(doh_answer(&x).data[1], 0x34);
		ck_assert(doh_may_go_on(&x));
		doh_fini(&x);
	}
	begin(); /* the whole query has not gone yet: what follows would be mixed with it */
	ck_assert_int_eq(doh_feed(&x, http(good_head, true)), DOH_ANSWER);
	ck_assert(!doh_may_go_on(&x));
	doh_fini(&x);
}

TEST(doh_answer_in_single_bytes_and_cut_short)
{
	const struct bytes all = (begin(), http(good_head, true));

	for (size_t i = 0; i + 1 < all.len; i++)
		ck_assert_int_eq(doh_feed(&x, bytes_of(all.data + i, 1)), DOH_MORE);
	ck_assert_int_eq(doh_eof(&x), DOH_ENDED);
	ck_assert(!doh_may_go_on(&x));
	doh_fini(&x);
	begin();
	for (size_t i = 0; i < all.len; i++)
		ck_assert_int_eq(doh_feed(&x, bytes_of(all.data + i, 1)),
				 i + 1 == all.len ? DOH_ANSWER : DOH_MORE);
	doh_fini(&x);
}

TEST(doh_answer_that_ends_with_the_stream)
{
	begin();
	ck_assert_int_eq(doh_feed(&x, http("HTTP/1.0 200 OK\r\nContent-Type: "
					   "application/dns-message; x=y\r\n",
					   false)),
			 DOH_MORE);
	ck_assert_int_eq(doh_eof(&x), DOH_ANSWER);
	ck_assert(!doh_may_go_on(&x));
	doh_fini(&x);
}

TEST(doh_each_bad_answer_has_its_name)
{
	static const struct {
		const char *head;
		bool with_length;
		enum doh_result want;
	} heads[] = {
		{ "nonsense\r\n", false, DOH_BAD_HTTP },
		{ "HTTP/1.1 101 x\r\n", false, DOH_BAD_HTTP },
		{ "HTTP/1.1 404 x\r\n", true, DOH_BAD_STATUS },
		{ "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", true, DOH_BAD_TYPE },
		{ "HTTP/1.1 200 OK\r\n", true, DOH_BAD_TYPE },
		{ "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n"
		  "Content-Length: 65536\r\n",
		  false, DOH_TOO_LARGE },
		{ "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n"
		  "Transfer-Encoding: chunked\r\n",
		  false, DOH_BAD_HTTP }, /* the answer is no chunk */
	};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		begin();
		ck_assert_int_eq(doh_feed(&x, http(heads[i].head, heads[i].with_length)),
				 heads[i].want);
		ck_assert_uint_gt(strlen(doh_result_name(heads[i].want)), 0);
		doh_fini(&x);
	}
}

TEST(doh_answer_to_another_question_is_refused)
{
	static const struct {
		uint16_t id;
		bool qr;
		const char *name;
		enum dns_type type;
	} wrong[] = {
		{ 7, true, "www.example.com", DNS_A },
		{ 0, false, "www.example.com", DNS_A },
		{ 0, true, "www.example.org", DNS_A },
		{ 0, true, "www.example.com", DNS_AAAA },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		begin();
		answer_len =
		    message(answer, wrong[i].id, wrong[i].qr, wrong[i].name, wrong[i].type);
		ck_assert_int_eq(doh_feed(&x, http(good_head, true)), DOH_BAD_MESSAGE);
		doh_fini(&x);
	}
}

TEST(doh_takes_questions_only)
{
	begin();
	query_len = message(query, 1, true, "a", DNS_A);
	ck_assert(!doh_begin(&x, &url, bytes_of(query, query_len)));
	ck_assert(!doh_begin(&x, &url, bytes_of(query, 5)));
	doh_fini(&x);
}

TEST(doh_known_services_by_address_and_back)
{
	static const struct {
		const char *addr, *url;
		bool only;
		size_t n;
	} known[] = {
		{ "1.1.1.1", "https://cloudflare-dns.com/dns-query", false, 4 },
		{ "2001:4860:4860::8844", "https://dns.google/dns-query", false, 4 },
		{ "194.242.2.9", "https://all.dns.mullvad.net/dns-query", false, 2 },
		{ "76.76.10.4", "https://freedns.controld.com/family", false, 4 },
		{ "2a07:a8c0::c3:a884", "https://dns.nextdns.io/c3a884", true, 4 },
		{ "2a07:a8c1::1", "https://dns.nextdns.io/01", true, 4 },
	};
	char text[DOH_URL_MAX];
	struct ip a, v[8];
	bool only;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		ck_assert(ip_parse(bytes_str(known[i].addr), &a));
		ck_assert_msg(doh_known_url(&a, text, &only), "%s", known[i].addr);
		ck_assert_str_eq(text, known[i].url);
		ck_assert_int_eq(only, known[i].only);
		ck_assert_uint_eq(doh_known_addrs(text, v, ARRAY_LEN(v)), known[i].n);
	}
	ck_assert(ip_parse(bytes_str("192.0.2.1"), &a));
	ck_assert(!doh_known_url(&a, text, &only));
	ck_assert(ip_parse(bytes_str("2a07:a8c0:8000::1"), &a)); /* beyond the range */
	ck_assert(!doh_known_url(&a, text, &only));
	ck_assert_uint_eq(doh_known_addrs("https://dns.google/other", v, 8), 0);
	ck_assert_uint_eq(doh_known_addrs("https://dns.google.example/dns-query", v, 8), 0);
	ck_assert_uint_eq(doh_known_addrs("https://dns.nextdns.io/", v, 8), 0);
	ck_assert_uint_eq(doh_known_addrs("https://dns.google/dns-query", v, 1), 1);
}
