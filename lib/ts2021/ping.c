/* ts2021/ping.c - see ping.h */
#include "ts2021/ping.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "wire/http1.h"

enum { PING_REPLY_MAX = PING_PAYLOAD_MAX + 4096 };

struct fields {
	char types[PING_TYPES_MAX];
	char *url, *payload;
	bool over_noise;
};

static bool fields_read(struct bytes json, struct fields *f)
{
	struct json j = json_of(json);
	struct bytes key;

	if (json_type(&j) != JSON_OBJECT)
		return false;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "URL") && !f->url)
			f->url = json_strdup(&j, URL_PATH_MAX + URL_AUTHORITY_MAX + 16);
		else if (json_key_is(key, "URLIsNoise"))
			f->over_noise = json_bool(&j);
		else if (json_key_is(key, "Types"))
			(void)json_str(&j, f->types, sizeof f->types);
		else if (json_key_is(key, "Payload") && !f->payload)
			f->payload = json_strdup(&j, base64_len(PING_PAYLOAD_MAX) + 1);
		else
			json_skip(&j);
	}
	return json_done(&j) && f->url;
}

/* Body of a request that is there whole; false: malformed or cut off */
static bool body_read(const struct http1_head *h, struct bytes in, struct buf *out)
{
	struct http1_body body;
	struct bytes piece;
	size_t used;

	http1_body_init(&body, h);
	for (;;) {
		enum http1_body_result r = http1_body_feed(&body, in, &used, &piece);

		if (r == HTTP1_BODY_DATA && !buf_append(out, piece.data, piece.len))
			return false;
		if (r == HTTP1_BODY_END)
			return true;
		if (r != HTTP1_BODY_DATA)
			return false;
		in = bytes_of(in.data + used, in.len - used);
	}
}

/* The local answer to a c2n request as HTTP/1.1 text */
static bool c2n_answer(struct bytes request, struct buf *reply)
{
	static const char unknown[] = "unknown c2n path\n", broken[] = "malformed c2n request\n";
	struct http1_head h;
	struct http1_target t;
	struct buf body;
	bool ok;

	buf_init(&body, PING_PAYLOAD_MAX);
	http1_request_init(&h);
	if (http1_head_feed(&h, request) != HTTP1_OK ||
	    !http1_target_parse(h.method, h.target, &t) ||
	    !body_read(&h, bytes_of(request.data + h.len, request.len - h.len), &body))
		ok = http1_emit_answer(reply, 400, "text/plain", bytes_str(broken), false);
	else if (!bytes_eq_str(t.path, "/echo"))
		ok = http1_emit_answer(reply, 400, "text/plain", bytes_str(unknown), false);
	else
		ok = http1_emit_answer(reply, 200, NULL, buf_bytes(&body), false);
	buf_fini(&body);
	return ok;
}

static void c2n_read(const struct fields *f, struct ping *out)
{
	struct bytes text = bytes_str(f->payload ? f->payload : "");
	uint8_t *raw = malloc(PING_PAYLOAD_MAX);
	size_t n;

	if (raw && base64_parse(text, BASE64_STD, raw, PING_PAYLOAD_MAX, &n) &&
	    c2n_answer(bytes_of(raw, n), &out->reply)) {
		out->kind = PING_REPLY;
		out->over_noise = true; /* whatever URLIsNoise says */
	}
	free(raw);
}

void ping_read(struct bytes json, struct ping *out)
{
	struct fields f = { 0 };

	memset(out, 0, sizeof *out);
	buf_init(&out->reply, PING_REPLY_MAX);
	if (fields_read(json, &f) && url_parse(bytes_str(f.url), &out->url)) {
		if (f.types[0] == 0) {
			out->kind = PING_HEAD;
			out->over_noise = f.over_noise;
		} else if (strcmp(f.types, "c2n") == 0) {
			c2n_read(&f, out);
		}
	}
	free(f.url);
	free(f.payload);
}
