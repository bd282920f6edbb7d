/* derp/http_test.c */
#include "derp/http.h"
#include "tests/harness.h"

#include <stdlib.h>

static enum derp_http ask(const char *request, char *out, size_t cap, bool *fast)
{
	struct http1_head h;
	enum derp_http r;
	struct buf b;

	buf_init(&b, cap - 1);
	http1_request_init(&h);
	ck_assert_int_eq(http1_head_feed(&h, bytes_str(request)), HTTP1_OK);
	r = derp_http_request(&h, &b, fast);
	ck_assert(bytes_to_str(buf_bytes(&b), out, cap));
	buf_fini(&b);
	return r;
}

TEST(derp_path_upgrades_and_refuses_what_is_no_upgrade)
{
	bool fast = true;
	char out[512];

	ck_assert_int_eq(
	    ask("GET /derp HTTP/1.1\r\nHost: h\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n",
		out, sizeof out, &fast),
	    DERP_HTTP_UPGRADE);
	ck_assert(!fast && !out[0]);
	ck_assert_int_eq(ask("GET /derp HTTP/1.1\r\nHost: h\r\nUpgrade: derp\r\nConnection: "
			     "upgrade\r\nDerp-Fast-Start: 1\r\n\r\n",
			     out, sizeof out, &fast),
			 DERP_HTTP_UPGRADE);
	ck_assert(fast);
	ck_assert_int_eq(ask("GET /derp HTTP/1.1\r\nHost: h\r\n\r\n", out, sizeof out, &fast),
			 DERP_HTTP_ANSWERED);
	ck_assert_ptr_nonnull(strstr(out, "HTTP/1.1 426 Upgrade Required\r\n"));
	ck_assert_int_eq(ask("POST /derp HTTP/1.1\r\nHost: h\r\n\r\n", out, sizeof out, &fast),
			 DERP_HTTP_ANSWERED);
	ck_assert_ptr_nonnull(strstr(out, "HTTP/1.1 405 "));
	ck_assert_int_eq(ask("GET /derp HTTP/1.1\r\nHost: h\r\n\r\n", out, 20, &fast),
			 DERP_HTTP_FULL);
	ck_assert_int_eq(ask("GET /derpx HTTP/1.1\r\nHost: h\r\n\r\n", out, sizeof out, &fast),
			 DERP_HTTP_OTHER);
}

TEST(latency_and_captive_portal_checks_are_answered)
{
	bool fast;
	char out[512], request[512];

	ck_assert_int_eq(
	    ask("HEAD /derp/probe HTTP/1.1\r\nHost: h\r\n\r\n", out, sizeof out, &fast),
	    DERP_HTTP_ANSWERED);
	ck_assert_str_eq(
	    out, "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n");
	ck_assert_int_eq(
	    ask("GET /derp/latency-check?x HTTP/1.1\r\nHost: h\r\n\r\n", out, sizeof out, &fast),
	    DERP_HTTP_ANSWERED);
	ck_assert_int_eq(ask("GET /generate_204 HTTP/1.1\r\nHost: h\r\nX-Tailscale-Challenge: "
			     "ts_a.b-c:9\r\n\r\n",
			     out, sizeof out, &fast),
			 DERP_HTTP_ANSWERED);
	ck_assert_str_eq(
	    out, "HTTP/1.1 204 No Content\r\nX-Tailscale-Response: response ts_a.b-c:9\r\n\r\n");
	for (int len = DERP_CHALLENGE_MAX; len <= DERP_CHALLENGE_MAX + 1; len++) {
		snprintf(
		    request, sizeof request,
		    "GET /generate_204 HTTP/1.1\r\nHost: h\r\nX-Tailscale-Challenge: %0*d\r\n\r\n",
		    len, 0);
		ck_assert_int_eq(ask(request, out, sizeof out, &fast), DERP_HTTP_ANSWERED);
		ck_assert_int_eq(strstr(out, "response") != NULL, len == DERP_CHALLENGE_MAX);
	}
	ck_assert_int_eq(
	    ask("GET /generate_204 HTTP/1.1\r\nHost: h\r\nX-Tailscale-Challenge: a<b\r\n\r\n", out,
		sizeof out, &fast),
	    DERP_HTTP_ANSWERED);
	ck_assert_str_eq(out, "HTTP/1.1 204 No Content\r\n\r\n");
}

#define WS_REQUEST "GET /derp HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define WS_KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

TEST(derp_path_upgrades_to_websocket_with_the_subprotocol)
{
	bool fast;
	char out[512];

	/* key and answer are those of RFC 6455 1.3 */
	ck_assert_int_eq(ask(WS_REQUEST WS_KEY
			     "Sec-WebSocket-Version: 13\r\n"
			     "Sec-WebSocket-Protocol: chat, derp\r\n"
			     "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
			     out, sizeof out, &fast),
			 DERP_HTTP_WEBSOCKET);
	ck_assert_str_eq(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			      "Connection: Upgrade\r\n"
			      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
			      "Sec-WebSocket-Protocol: derp\r\n\r\n");
}

TEST(derp_path_refuses_a_websocket_that_it_cannot_serve)
{
	static const struct {
		const char *request, *answer;
	} v[] = {
		{ WS_REQUEST WS_KEY "Sec-WebSocket-Protocol: derp\r\n\r\n",
		  "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\n" },
		{ WS_REQUEST WS_KEY "Sec-WebSocket-Version: 8\r\n"
				    "Sec-WebSocket-Protocol: derp\r\n\r\n",
		  "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\n" },
		{ WS_REQUEST WS_KEY "Sec-WebSocket-Version: 13\r\n\r\n", "HTTP/1.1 400 " },
		{ WS_REQUEST WS_KEY "Sec-WebSocket-Version: 13\r\n"
				    "Sec-WebSocket-Protocol: chat\r\n\r\n",
		  "HTTP/1.1 400 " },
		{ WS_REQUEST "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: derp\r\n\r\n",
		  "HTTP/1.1 400 " },
		{ WS_REQUEST "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: derp\r\n"
			     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n\r\n",
		  "HTTP/1.1 400 " },
	};
	bool fast;
	char out[512];

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		ck_assert_int_eq(ask(v[i].request, out, sizeof out, &fast), DERP_HTTP_ANSWERED);
		ck_assert_msg(strncmp(out, v[i].answer, strlen(v[i].answer)) == 0, "%zu: %s", i,
			      out);
	}
}
