/* derp/http.c - see http.h */
#include "derp/http.h"

#include "base/text.h"
#include "crypto/hash.h"
#include "wire/websocket.h"

static enum derp_http result(bool fits)
{
	return fits ? DERP_HTTP_ANSWERED : DERP_HTTP_FULL;
}

/* An empty answer; one field may go with it */
static enum derp_http answer_empty(struct buf *b, int status, const char *name, struct bytes value)
{
	struct http1_emit e = http1_emit_response(b, status, NULL);

	if (name)
		http1_emit_fieldb(&e, name, value);
	if (status != 204)
		http1_emit_length(&e, 0);
	return result(http1_emit_end(&e));
}

static enum derp_http refuse(struct buf *b, int status, const char *why)
{
	return result(http1_emit_answer(b, status, "text/plain", bytes_str(why), false));
}

/* RFC 6455 4.2.2: what says that the server has understood */
static bool accept_text(struct bytes key, char *out)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t raw[WS_KEY_LEN], sum[HASH_SHA1_LEN], text[32 + sizeof guid];
	size_t n = 0;

	if (key.len > 32 || !base64_parse(key, BASE64_STD, raw, sizeof raw, &n) || n != sizeof raw)
		return false;
	memcpy(text, key.data, key.len);
	memcpy(text + key.len, guid, sizeof guid - 1);
	if (!hash_sha1(sum, bytes_of(text, key.len + sizeof guid - 1)))
		return false;
	base64_emit(sum, sizeof sum, BASE64_STD, out);
	return true;
}

static enum derp_http on_websocket(const struct http1_head *h, struct buf *b)
{
	char text[32]; /* base64_len(HASH_SHA1_LEN) and its NUL */
	struct http1_emit e;

	if (!bytes_eq_str(http1_get(h, "Sec-WebSocket-Version"), "13"))
		return answer_empty(b, 426, "Sec-WebSocket-Version", bytes_str("13"));
	if (!http1_has_token(h, "Sec-WebSocket-Protocol", "derp"))
		return refuse(b, 400, "a client must speak the subprotocol derp\n");
	if (!accept_text(http1_get(h, "Sec-WebSocket-Key"), text))
		return refuse(b, 400, "malformed Sec-WebSocket-Key\n");
	e = http1_emit_response(b, 101, NULL);
	http1_emit_field(&e, "Upgrade", "websocket");
	http1_emit_field(&e, "Connection", "Upgrade");
	http1_emit_field(&e, "Sec-WebSocket-Accept", text);
	http1_emit_field(&e, "Sec-WebSocket-Protocol", "derp");
	return http1_emit_end(&e) ? DERP_HTTP_WEBSOCKET : DERP_HTTP_FULL;
}

static enum derp_http on_derp(const struct http1_head *h, struct buf *b, bool *fast_start)
{
	if (!bytes_eq_str(h->method, "GET"))
		return answer_empty(b, 405, "Allow", bytes_str("GET"));
	if (http1_is_upgrade(h, "websocket"))
		return on_websocket(h, b);
	if (!http1_is_upgrade(h, "DERP"))
		return refuse(b, 426, "DERP requires connection upgrade\n");
	*fast_start = bytes_eq_str(http1_get(h, "Derp-Fast-Start"), "1");
	return DERP_HTTP_UPGRADE;
}

static bool is_challenge(struct bytes c)
{
	for (size_t i = 0; i < c.len; i++) {
		uint8_t x = c.data[i];
		bool word =
		    (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9');

		if (!word && (x == 0 || !strchr(".-_:", x)))
			return false;
	}
	return c.len > 0 && c.len <= DERP_CHALLENGE_MAX;
}

/* captive portals cannot know the answer to a challenge */
static enum derp_http on_generate_204(const struct http1_head *h, struct buf *b)
{
	struct bytes c = http1_get(h, "X-Tailscale-Challenge");
	char text[DERP_CHALLENGE_MAX + 10] = "response ";

	if (!is_challenge(c))
		return answer_empty(b, 204, NULL, c);
	memcpy(text + 9, c.data, c.len);
	return answer_empty(b, 204, "X-Tailscale-Response", bytes_of(text, 9 + c.len));
}

enum derp_http derp_http_request(const struct http1_head *h, struct buf *answer, bool *fast_start)
{
	struct http1_target t;

	if (!http1_target_parse(h->method, h->target, &t))
		return DERP_HTTP_OTHER;
	if (bytes_eq_str(t.path, "/derp"))
		return on_derp(h, answer, fast_start);
	if (bytes_eq_str(t.path, "/generate_204"))
		return on_generate_204(h, answer);
	if (!bytes_eq_str(t.path, "/derp/probe") && !bytes_eq_str(t.path, "/derp/latency-check"))
		return DERP_HTTP_OTHER;
	if (!bytes_eq_str(h->method, "GET") && !bytes_eq_str(h->method, "HEAD"))
		return answer_empty(answer, 405, "Allow", bytes_str("GET, HEAD"));
	return answer_empty(answer, 200, "Access-Control-Allow-Origin", bytes_str("*"));
}
