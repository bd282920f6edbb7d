/* derp/http.c - see http.h */
#include "derp/http.h"

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

static enum derp_http on_derp(const struct http1_head *h, struct buf *b, bool *fast_start)
{
	if (!bytes_eq_str(h->method, "GET"))
		return answer_empty(b, 405, "Allow", bytes_str("GET"));
	if (!http1_is_upgrade(h, "DERP"))
		return result(http1_emit_answer(
		    b, 426, "text/plain", bytes_str("DERP requires connection upgrade\n"), false));
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
