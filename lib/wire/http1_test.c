/* wire/http1_test.c */
#include "tests/harness.h"
#include "wire/http1.h"

#include <stdlib.h>

static enum http1_result request(struct http1_head *h, const char *text)
{
	http1_request_init(h);
	return http1_head_feed(h, bytes_str(text));
}

static enum http1_result response(struct http1_head *h, const char *method, const char *text)
{
	http1_response_init(h, method);
	return http1_head_feed(h, bytes_str(text));
}

#define HOST "Host: h\r\n"

TEST(http1_request_head_is_cut_into_its_parts)
{
	struct http1_head h;
	const char *text =
	    "GET /derp?x=1 HTTP/1.1\r\nHost: relay.example.com\r\nupgrade: DERP\r\n"
	    "Connection: keep-alive,  Upgrade\r\nX-Empty:\r\nX-Pad: \t a b\t \r\n\r\nrest";

	ck_assert_int_eq(request(&h, text), HTTP1_OK);
	ck_assert(bytes_eq_str(h.method, "GET"));
	ck_assert(bytes_eq_str(h.target, "/derp?x=1"));
	ck_assert(bytes_eq_str(h.host, "relay.example.com"));
	ck_assert_uint_eq(h.minor, 1);
	ck_assert_uint_eq(h.n_fields, 5);
	ck_assert(bytes_eq_str(http1_get(&h, "x-pad"), "a b"));
	ck_assert_uint_eq(http1_get(&h, "X-EMPTY").len, 0);
	ck_assert_ptr_nonnull(http1_get(&h, "X-EMPTY").data);
	ck_assert_ptr_null(http1_get(&h, "X-Absent").data);
	ck_assert(http1_is_upgrade(&h, "derp"));
	ck_assert(!http1_is_upgrade(&h, "websocket"));
	ck_assert_str_eq(text + h.len, "rest");
	ck_assert_int_eq(h.framing, HTTP1_BODY_NONE);
	ck_assert(h.keep_alive);
}

TEST(http1_response_head_is_cut_into_its_parts)
{
	struct http1_head h;

	ck_assert_int_eq(
	    response(&h, "GET",
		     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"
		     "Derp-Version: 2\r\n\r\n\x01"),
	    HTTP1_OK);
	ck_assert_int_eq(h.status, 101);
	ck_assert(bytes_eq_str(h.reason, "Switching Protocols"));
	ck_assert(http1_is_upgrade(&h, "DERP"));
	ck_assert_int_eq(h.framing, HTTP1_BODY_NONE);
	ck_assert_int_eq(response(&h, "GET", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n"),
			 HTTP1_OK);
	ck_assert_uint_eq(h.reason.len, 0);
	ck_assert_uint_eq(h.content_length, 5);
}

TEST(http1_head_cut_at_every_byte_asks_for_more_and_then_gives_the_same)
{
	const char *text = "POST /key?v=116 HTTP/1.1\r\nHost: c\r\nContent-Length: 3\r\n\r\nabc";
	struct http1_head h, whole;
	size_t head = strlen(text) - 3;

	ck_assert_int_eq(request(&whole, text), HTTP1_OK);
	for (size_t cut = 0; cut < head; cut++) {
		uint8_t *part = malloc(cut + 1); /* exact: a sanitizer sees a byte too far */

		memcpy(part, text, cut);
		http1_request_init(&h);
		ck_assert_int_eq(http1_head_feed(&h, bytes_of(part, cut)), HTTP1_MORE);
		free(part);
		ck_assert_int_eq(http1_head_feed(&h, bytes_str(text)), HTTP1_OK);
		ck_assert_uint_eq(h.len, head);
		ck_assert_uint_eq(h.content_length, 3);
		ck_assert(bytes_eq(h.target, whole.target));
	}
	http1_request_init(&h);
	for (size_t n = 0; n < head; n++)
		ck_assert_int_eq(http1_head_feed(&h, bytes_of(text, n)), HTTP1_MORE);
	ck_assert_int_eq(http1_head_feed(&h, bytes_of(text, head)), HTTP1_OK);
}

TEST(http1_refuses_what_two_readers_could_read_differently)
{
	static const struct {
		const char *text;
		enum http1_result want;
	} rows[] = {
		{ "GET / HTTP/1.1\nHost: h\r\n\r\n", HTTP1_BAD_BYTE },
		{ "GET / HTTP/1.1\r\nHost: h\n\r\n", HTTP1_BAD_BYTE },
		{ "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", HTTP1_BAD_BYTE },
		{ "GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", HTTP1_BAD_BYTE },
		{ "GET / HTTP/1.1\r\n" HOST "A: b\x7f\r\n\r\n", HTTP1_BAD_BYTE },
		{ "GET / HTTP/1.1\r\n" HOST "A: b\r\n folded\r\n\r\n", HTTP1_BAD_FIELD },
		{ "GET / HTTP/1.1\r\n" HOST "A: b\r\n\tfolded: x\r\n\r\n", HTTP1_BAD_FIELD },
		{ "GET / HTTP/1.1\r\n Host: h\r\n\r\n", HTTP1_BAD_FIELD },
		{ "GET / HTTP/1.1\r\nHost : h\r\n\r\n", HTTP1_BAD_FIELD },
		{ "GET / HTTP/1.1\r\n" HOST ": v\r\n\r\n", HTTP1_BAD_FIELD },
		{ "GET / HTTP/1.1\r\n" HOST "nocolon\r\n\r\n", HTTP1_BAD_FIELD },
		{ "GET / HTTP/1.1\r\n\r\n", HTTP1_BAD_HOST },
		{ "GET / HTTP/1.1\r\n" HOST "host: h\r\n\r\n", HTTP1_BAD_HOST },
		{ "GET / HTTP/1.0\r\n" HOST HOST "\r\n", HTTP1_BAD_HOST },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
		  HTTP1_BAD_LENGTH },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\ncontent-length: 5\r\n\r\n",
		  HTTP1_BAD_LENGTH },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n", HTTP1_BAD_LENGTH },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", HTTP1_BAD_LENGTH },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", HTTP1_BAD_LENGTH },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", HTTP1_BAD_LENGTH },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", HTTP1_BAD_LENGTH },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 9999999999999999999\r\n\r\n",
		  HTTP1_BAD_LENGTH },
		{ "POST / HTTP/1.1\r\n" HOST
		  "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		  HTTP1_BAD_LENGTH },
		{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",
		  HTTP1_BAD_ENCODING },
		{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n",
		  HTTP1_BAD_ENCODING },
		{ "POST / HTTP/1.1\r\n" HOST
		  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		  HTTP1_BAD_ENCODING },
		{ "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
		  HTTP1_BAD_ENCODING },
		{ "GET  / HTTP/1.1\r\n" HOST "\r\n", HTTP1_BAD_LINE },
		{ "GET / HTTP/1.1 \r\n" HOST "\r\n", HTTP1_BAD_LINE },
		{ "GET /\r\n" HOST "\r\n", HTTP1_BAD_LINE },
		{ "G@T / HTTP/1.1\r\n" HOST "\r\n", HTTP1_BAD_LINE },
		{ "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", HTTP1_BAD_LINE },
		{ "GET /a\tb HTTP/1.1\r\n" HOST "\r\n", HTTP1_BAD_LINE },
		{ "GET / http/1.1\r\n" HOST "\r\n", HTTP1_BAD_LINE },
		{ "PRI * HTTP/2.0\r\n\r\n", HTTP1_BAD_VERSION },
		{ "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", HTTP1_BAD_LINE },
		{ "\x16\x03\x01\x02", HTTP1_BAD_BYTE },
	};
	struct http1_head h;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum http1_result got = request(&h, rows[i].text);

		ck_assert_msg(got == rows[i].want, "row %zu: %s, wanted %s", i,
			      http1_result_name(got), http1_result_name(rows[i].want));
		ck_assert_int_eq(http1_head_feed(&h, bytes_str(rows[i].text)), rows[i].want);
	}
	ck_assert_int_eq(response(&h, "GET", "HTTP/1.1 20 OK\r\n\r\n"), HTTP1_BAD_LINE);
	ck_assert_int_eq(response(&h, "GET", "HTTP/1.1 2000 OK\r\n\r\n"), HTTP1_BAD_LINE);
	ck_assert_int_eq(response(&h, "GET", "HTTP/1.1 099 OK\r\n\r\n"), HTTP1_BAD_LINE);
	ck_assert_int_eq(response(&h, "GET", "\r\nHTTP/1.1 200 OK\r\n\r\n"), HTTP1_BAD_LINE);
	ck_assert_int_eq(response(&h, "GET", "HTTP/3.1 200 OK\r\n\r\n"), HTTP1_BAD_VERSION);
}

TEST(http1_forgives_one_empty_line_before_a_request)
{
	struct http1_head h;

	ck_assert_int_eq(request(&h, "\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
	ck_assert(bytes_eq_str(h.method, "GET"));
	ck_assert_uint_eq(h.len, 2 + 16 + 9 + 2);
}

/* a request whose head is exactly len bytes */
static char *head_of(size_t len)
{
	char *s = malloc(len + 1);
	int n = snprintf(s, len + 1, "GET / HTTP/1.1\r\n" HOST "A: ");

	memset(s + n, 'a', len - (size_t)n);
	memcpy(s + len - 4, "\r\n\r\n", 5);
	return s;
}

TEST(http1_head_of_the_largest_size_passes_and_one_byte_more_fails)
{
	struct http1_head h;
	char *s = head_of(HTTP1_HEAD_MAX);

	ck_assert_int_eq(request(&h, s), HTTP1_OK);
	free(s);
	s = head_of(HTTP1_HEAD_MAX + 1);
	ck_assert_int_eq(request(&h, s), HTTP1_TOO_LONG);
	free(s);
}

static enum http1_result with_fields(struct http1_head *h, size_t n)
{
	char s[4096] = "GET / HTTP/1.1\r\n" HOST;
	size_t at = strlen(s);

	for (size_t i = 1; i < n; i++)
		at += (size_t)snprintf(s + at, sizeof s - at, "A%zu: b\r\n", i);
	snprintf(s + at, sizeof s - at, "\r\n");
	return request(h, s);
}

TEST(http1_number_of_fields_is_limited)
{
	struct http1_head h;

	ck_assert_int_eq(with_fields(&h, HTTP1_HEADERS_MAX), HTTP1_OK);
	ck_assert_uint_eq(h.n_fields, HTTP1_HEADERS_MAX);
	ck_assert_int_eq(with_fields(&h, HTTP1_HEADERS_MAX + 1), HTTP1_TOO_MANY);
}

static enum http1_result with_parts(struct http1_head *h, size_t method, size_t target, size_t name)
{
	char *s = malloc(HTTP1_HEAD_MAX + 1);
	enum http1_result r;

	snprintf(s, HTTP1_HEAD_MAX + 1, "%0*d /%0*d HTTP/1.1\r\n" HOST "%0*d: v\r\n\r\n",
		 (int)method, 0, (int)target - 1, 0, (int)name, 0);
	r = request(h, s);
	free(s);
	return r;
}

TEST(http1_parts_of_a_head_are_limited)
{
	struct http1_head h;

	ck_assert_int_eq(with_parts(&h, HTTP1_METHOD_MAX, HTTP1_TARGET_MAX, HTTP1_NAME_MAX),
			 HTTP1_OK);
	ck_assert_uint_eq(h.target.len, HTTP1_TARGET_MAX);
	ck_assert_int_eq(with_parts(&h, HTTP1_METHOD_MAX + 1, 9, 9), HTTP1_BAD_LINE);
	ck_assert_int_eq(with_parts(&h, 9, HTTP1_TARGET_MAX + 1, 9), HTTP1_BAD_LINE);
	ck_assert_int_eq(with_parts(&h, 9, 9, HTTP1_NAME_MAX + 1), HTTP1_BAD_FIELD);
}

TEST(http1_framing_follows_rfc_9112_6_3)
{
	static const struct {
		const char *method, *text;
		enum http1_framing framing;
		bool keep_alive;
	} rows[] = {
		{ "GET", "HTTP/1.1 200 OK\r\n\r\n", HTTP1_BODY_CLOSE, false },
		{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", HTTP1_BODY_LENGTH, true },
		{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP1_BODY_NONE, true },
		{ "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
		  HTTP1_BODY_CHUNKED, true },
		{ "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", HTTP1_BODY_NONE, true },
		{ "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", HTTP1_BODY_NONE,
		  true },
		{ "GET", "HTTP/1.1 304 Not Modified\r\n\r\n", HTTP1_BODY_NONE, true },
		{ "GET", "HTTP/1.1 100 Continue\r\n\r\n", HTTP1_BODY_NONE, true },
		{ "CONNECT", "HTTP/1.1 200 Connected\r\n\r\n", HTTP1_BODY_NONE, true },
		{ "CONNECT", "HTTP/1.1 407 No\r\nContent-Length: 7\r\n\r\n", HTTP1_BODY_LENGTH,
		  true },
		{ "GET", "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", HTTP1_BODY_LENGTH, false },
		{ "GET", "HTTP/1.0 200 OK\r\nContent-Length: 7\r\nConnection: Keep-Alive\r\n\r\n",
		  HTTP1_BODY_LENGTH, true },
		{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: x, close\r\n\r\n",
		  HTTP1_BODY_LENGTH, false },
	};
	struct http1_head h;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_int_eq(response(&h, rows[i].method, rows[i].text), HTTP1_OK);
		ck_assert_msg(h.framing == rows[i].framing && h.keep_alive == rows[i].keep_alive,
			      "row %zu", i);
	}
}

/* --- bodies --- */

/* feeds text in pieces of step bytes; content into out; the result, and how much was used */
static enum http1_body_result body(enum http1_framing f, uint64_t length, const char *text,
				   size_t step, struct buf *out, size_t *used_all)
{
	struct http1_head h = { .framing = f, .content_length = length };
	enum http1_body_result r = HTTP1_BODY_MORE;
	size_t len = strlen(text), at = 0, used;
	struct http1_body b;
	struct bytes piece;

	buf_clear(out);
	http1_body_init(&b, &h);
	while (at < len) {
		size_t n = len - at < step ? len - at : step;

		r = http1_body_feed(&b, bytes_of(text + at, n), &used, &piece);
		at += used;
		if (r == HTTP1_BODY_DATA)
			ck_assert(piece.len > 0 && buf_append(out, piece.data, piece.len));
		else if (r != HTTP1_BODY_MORE)
			break;
	}
	*used_all = at;
	if (r == HTTP1_BODY_DATA)
		r = http1_body_feed(&b, bytes_of("", 0), &used, &piece);
	ck_assert_int_eq(http1_body_eof(&b), r == HTTP1_BODY_END || f == HTTP1_BODY_CLOSE);
	return r;
}

TEST(http1_chunked_body_is_joined_whatever_the_pieces)
{
	const char *text = "4\r\nWiki\r\n6;name=\"v\"\r\npedia \r\nE \r\nin \r\n\r\nchunks.\r\n"
			   "0\r\nTrailer: x\r\nOther: y\r\n\r\nnext";
	struct buf out;
	size_t used;

	buf_init(&out, 1000);
	for (size_t step = 1; step < strlen(text); step++) {
		ck_assert_int_eq(body(HTTP1_BODY_CHUNKED, 0, text, step, &out, &used),
				 HTTP1_BODY_END);
		ck_assert(bytes_eq_str(buf_bytes(&out), "Wikipedia in \r\n\r\nchunks."));
		ck_assert_str_eq(text + used, "next");
	}
	buf_fini(&out);
}

TEST(http1_chunked_body_refuses_malformed_framing)
{
	static const char *const rows[] = {
		"\r\n",           "x\r\n",           "4 \rx",
		"4\nWiki\r\n",    "4\r\nWikiX",      "4\r\nWiki\rX",
		"-4\r\nWiki\r\n", "0x4\r\nWiki",     "1000000000000000\r\n",
		"0\r\n\rX",       "0\r\nA: b\rX",    "0\r\nA\n",
		"4\x01\r\nWiki",  "4;a\x02\r\nWiki", " 4\r\nWiki\r\n",
	};
	struct buf out;
	size_t used;

	buf_init(&out, 1000);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(body(HTTP1_BODY_CHUNKED, 0, rows[i], 100, &out, &used) ==
				  HTTP1_BODY_BAD,
			      "row %zu", i);
	buf_fini(&out);
}

TEST(http1_chunk_line_and_trailers_are_limited)
{
	char line[HTTP1_TRAILER_MAX + 64];
	struct buf out;
	size_t used;

	buf_init(&out, 10);
	for (size_t over = 0; over < 2; over++) {
		snprintf(line, sizeof line, "1;%0*d\r\na\r\n0\r\n\r\n",
			 HTTP1_CHUNK_LINE_MAX - 3 + (int)over, 0);
		ck_assert_int_eq(body(HTTP1_BODY_CHUNKED, 0, line, 1000, &out, &used),
				 over ? HTTP1_BODY_BAD : HTTP1_BODY_END);
		/* name, colon and CR of the field and the CR of the empty line count */
		snprintf(line, sizeof line, "0\r\nA:%0*d\r\n\r\n",
			 HTTP1_TRAILER_MAX - 4 + (int)over, 0);
		ck_assert_int_eq(body(HTTP1_BODY_CHUNKED, 0, line, 1000, &out, &used),
				 over ? HTTP1_BODY_BAD : HTTP1_BODY_END);
	}
	buf_fini(&out);
}

TEST(http1_body_by_length_ends_there_and_by_close_at_the_end)
{
	struct buf out;
	size_t used;

	buf_init(&out, 1000);
	for (size_t step = 1; step < 12; step++) {
		ck_assert_int_eq(body(HTTP1_BODY_LENGTH, 5, "hello world", step, &out, &used),
				 HTTP1_BODY_END);
		ck_assert(bytes_eq_str(buf_bytes(&out), "hello"));
		ck_assert_uint_eq(used, 5);
		ck_assert_int_eq(body(HTTP1_BODY_LENGTH, 12, "hello world", step, &out, &used),
				 HTTP1_BODY_MORE);
		ck_assert_int_eq(body(HTTP1_BODY_CLOSE, 0, "hello world", step, &out, &used),
				 HTTP1_BODY_MORE);
		ck_assert(bytes_eq_str(buf_bytes(&out), "hello world"));
	}
	ck_assert_int_eq(body(HTTP1_BODY_NONE, 0, "x", 1, &out, &used), HTTP1_BODY_END);
	ck_assert_uint_eq(used, 0);
	buf_fini(&out);
}

/* --- emit --- */

TEST(http1_emitted_heads_parse_to_what_was_meant)
{
	struct http1_head h;
	struct http1_emit e;
	struct buf b;

	buf_init(&b, 4096);
	e = http1_emit_request(&b, "POST", bytes_str("/a?b"), bytes_str("h:80"));
	http1_emit_field(&e, "X-One", "1 and\t2");
	http1_emit_length(&e, 12345678901234);
	ck_assert(http1_emit_end(&e));
	http1_request_init(&h);
	ck_assert_int_eq(http1_head_feed(&h, buf_bytes(&b)), HTTP1_OK);
	ck_assert(bytes_eq_str(h.target, "/a?b") && bytes_eq_str(h.host, "h:80"));
	ck_assert(bytes_eq_str(http1_get(&h, "x-one"), "1 and\t2"));
	ck_assert_uint_eq(h.content_length, 12345678901234);
	ck_assert_uint_eq(h.len, b.len);

	buf_clear(&b);
	ck_assert(http1_emit_answer(&b, 404, "text/plain", bytes_str("no\n"), true));
	ck_assert(bytes_eq_str(buf_bytes(&b),
			       "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n"
			       "Content-Length: 3\r\nConnection: close\r\n\r\nno\n"));
	http1_response_init(&h, "GET");
	ck_assert_int_eq(http1_head_feed(&h, buf_bytes(&b)), HTTP1_OK);
	ck_assert_int_eq(h.status, 404);
	buf_fini(&b);
}

TEST(http1_emit_refuses_line_breaks_and_a_full_buffer_and_leaves_nothing_behind)
{
	struct http1_emit e;
	struct buf b;

	buf_init(&b, 64);
	ck_assert(buf_append(&b, "before", 6));
	e = http1_emit_response(&b, 200, NULL);
	http1_emit_field(&e, "Location", "x\r\nSet-Cookie: evil");
	ck_assert(!http1_emit_end(&e));
	e = http1_emit_request(&b, "GET", bytes_str("/a b"), bytes_str("h"));
	ck_assert(!http1_emit_end(&e));
	e = http1_emit_request(&b, "GET", bytes_str(""), bytes_str("h"));
	ck_assert(!http1_emit_end(&e));
	e = http1_emit_response(&b, 200, NULL);
	http1_emit_field(&e, "A", "0123456789012345678901234567890123456789");
	ck_assert(!http1_emit_end(&e));
	ck_assert(!http1_emit_chunk(
	    &b, bytes_str("0123456789012345678901234567890123456789012345678901234567890123")));
	ck_assert(bytes_eq_str(buf_bytes(&b), "before"));
	buf_fini(&b);
}

TEST(http1_emitted_chunks_are_read_back)
{
	struct buf b, out;
	size_t used;
	char *text;

	buf_init(&b, 1000);
	buf_init(&out, 1000);
	ck_assert(http1_emit_chunk(&b, bytes_str("0123456789abcdefg")));
	ck_assert(http1_emit_chunk(&b, bytes_str("h")));
	ck_assert(http1_emit_chunk(&b, bytes_str("")));
	text = buf_take_str(&b);
	ck_assert_int_eq(body(HTTP1_BODY_CHUNKED, 0, text, 7, &out, &used), HTTP1_BODY_END);
	ck_assert(bytes_eq_str(buf_bytes(&out), "0123456789abcdefgh"));
	free(text);
	buf_fini(&out);
}

/* --- targets --- */

TEST(http1_targets_of_all_four_forms)
{
	struct http1_target t;

	ck_assert(http1_target_parse(bytes_str("GET"), bytes_str("/key?v=1&w"), &t));
	ck_assert(t.form == HTTP1_ORIGIN && bytes_eq_str(t.path, "/key") &&
		  bytes_eq_str(t.query, "v=1&w"));
	ck_assert(http1_target_parse(bytes_str("GET"), bytes_str("http://h:8080/p?q"), &t));
	ck_assert(t.form == HTTP1_ABSOLUTE && bytes_eq_str(t.scheme, "http"));
	ck_assert(bytes_eq_str(t.authority, "h:8080") && bytes_eq_str(t.path, "/p") &&
		  bytes_eq_str(t.query, "q"));
	ck_assert(http1_target_parse(bytes_str("GET"), bytes_str("http://h?q"), &t));
	ck_assert(bytes_eq_str(t.path, "/") && bytes_eq_str(t.query, "q"));
	ck_assert(http1_target_parse(bytes_str("CONNECT"), bytes_str("[fd7a::1]:22"), &t));
	ck_assert(t.form == HTTP1_AUTHORITY && bytes_eq_str(t.authority, "[fd7a::1]:22"));
	ck_assert(http1_target_parse(bytes_str("OPTIONS"), bytes_str("*"), &t));
	ck_assert(t.form == HTTP1_ASTERISK);
	ck_assert(!http1_target_parse(bytes_str("GET"), bytes_str("*"), &t));
	ck_assert(!http1_target_parse(bytes_str("GET"), bytes_str("/a#b"), &t));
	ck_assert(!http1_target_parse(bytes_str("GET"), bytes_str("http://user@h/"), &t));
	ck_assert(!http1_target_parse(bytes_str("GET"), bytes_str("http:///x"), &t));
	ck_assert(!http1_target_parse(bytes_str("GET"), bytes_str("1ttp://h/"), &t));
	ck_assert(!http1_target_parse(bytes_str("GET"), bytes_str("path"), &t));
	ck_assert(!http1_target_parse(bytes_str("CONNECT"), bytes_str("h:1/x"), &t));
}

TEST(http1_authority_gives_host_and_port)
{
	struct bytes host;
	uint16_t port = 80;

	ck_assert(http1_authority_parse(bytes_str("example.com"), &host, &port));
	ck_assert(bytes_eq_str(host, "example.com") && port == 80);
	ck_assert(http1_authority_parse(bytes_str("example.com:8443"), &host, &port));
	ck_assert(bytes_eq_str(host, "example.com") && port == 8443);
	ck_assert(http1_authority_parse(bytes_str("[fd7a::1]:65535"), &host, &port));
	ck_assert(bytes_eq_str(host, "fd7a::1") && port == 65535);
	ck_assert(http1_authority_parse(bytes_str("[::1]"), &host, &port));
	ck_assert(bytes_eq_str(host, "::1"));
	static const char *const bad[] = { "",         ":80",   "h:",     "h:65536", "h:1x",
					   "::1",      "[::1",  "[::1]x", "[]:1",    "h:-1",
					   "h:000001", "a b:1", "a@b:1",  "a]:1" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!http1_authority_parse(bytes_str(bad[i]), &host, &port), "%s",
			      bad[i]);
}

TEST(http1_escapes_are_undone_and_made)
{
	char out[16];
	struct buf b;
	size_t len;

	ck_assert(http1_unescape(bytes_str("a%20b+c%2f"), false, out, sizeof out, &len));
	ck_assert_str_eq(out, "a b+c/");
	ck_assert_uint_eq(len, 6);
	ck_assert(http1_unescape(bytes_str("a+b"), true, out, sizeof out, &len));
	ck_assert_str_eq(out, "a b");
	static const char *const bad[] = { "%", "%4", "%4g", "%g4", "%00", "0123456789012345" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!http1_unescape(bytes_str(bad[i]), false, out, sizeof out, &len),
			      "%s", bad[i]);
	ck_assert(http1_unescape(bytes_str("012345678901234"), false, out, sizeof out, &len));

	buf_init(&b, 1000);
	for (int c = 1; c < 256; c++) {
		uint8_t byte = (uint8_t)c;

		buf_clear(&b);
		ck_assert(http1_escape(&b, bytes_of(&byte, 1), c % 2));
		ck_assert(http1_unescape(buf_bytes(&b), true, out, sizeof out, &len));
		ck_assert(len == 1 && (uint8_t)out[0] == byte);
	}
	buf_clear(&b);
	ck_assert(http1_escape(&b, bytes_str("/a b~\xc3"), true));
	ck_assert(bytes_eq_str(buf_bytes(&b), "/a%20b~%C3"));
	buf_fini(&b);
}

TEST(http1_query_is_walked_and_searched)
{
	struct bytes rest = bytes_str("&a=1&&b&=c&a=2&"), k, v;
	char out[8];

	ck_assert(http1_query_next(&rest, &k, &v) && bytes_eq_str(k, "a") && bytes_eq_str(v, "1"));
	ck_assert(http1_query_next(&rest, &k, &v) && bytes_eq_str(k, "b") && v.len == 0);
	ck_assert(http1_query_next(&rest, &k, &v) && k.len == 0 && bytes_eq_str(v, "c"));
	ck_assert(http1_query_next(&rest, &k, &v) && bytes_eq_str(v, "2"));
	ck_assert(!http1_query_next(&rest, &k, &v));
	ck_assert(http1_query_get(bytes_str("x=0&na%6de=a+b%21&name=2"), "name", out, sizeof out));
	ck_assert_str_eq(out, "a b!");
	ck_assert(!http1_query_get(bytes_str("names=1&nam=2"), "name", out, sizeof out));
	ck_assert_str_eq(out, "");
	ck_assert(!http1_query_get(bytes_str("name=12345678"), "name", out, sizeof out));
	ck_assert(!http1_query_get(bytes_str("name=%zz"), "name", out, sizeof out));
	ck_assert_str_eq(out, "");
}
