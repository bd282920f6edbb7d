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
	struct ip ip;
};

static struct ip ip_read(struct json *j) /* zero: none */
{
	char text[IP_TEXT];
	struct ip a;

	json_str(j, text, sizeof text);
	return ip_parse(bytes_str(text), &a) ? a : (struct ip){ 0 };
}

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
		else if (json_key_is(key, "IP"))
			f->ip = ip_read(&j);
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

/* A c2n request: what is malformed and /echo are answered at once. */
static bool c2n_answer(struct ping *p)
{
	static const char broken[] = "malformed c2n request\n";
	struct bytes text = buf_bytes(&p->text);
	struct http1_head h;
	struct http1_target t;

	p->kind = PING_REPLY;
	http1_request_init(&h);
	if (http1_head_feed(&h, text) != HTTP1_OK || !http1_target_parse(h.method, h.target, &t) ||
	    !bytes_to_str(h.method, p->rq.method, sizeof p->rq.method) ||
	    !body_read(&h, bytes_of(text.data + h.len, text.len - h.len), &p->body))
		return http1_emit_answer(&p->reply, 400, "text/plain", bytes_str(broken), false);
	if (bytes_eq_str(t.path, "/echo"))
		return http1_emit_answer(&p->reply, 200, NULL, buf_bytes(&p->body), false);
	p->kind = PING_C2N;
	p->rq.path = t.path;
	p->rq.query = t.query;
	p->rq.body = buf_bytes(&p->body);
	return true;
}

static bool c2n_read(const char *payload, struct ping *out)
{
	struct bytes text = bytes_str(payload ? payload : "");
	uint8_t *raw = malloc(PING_PAYLOAD_MAX);
	size_t n;
	bool ok = raw && base64_parse(text, BASE64_STD, raw, PING_PAYLOAD_MAX, &n) &&
		  buf_append(&out->text, raw, n);

	free(raw);
	out->over_noise = true; /* whatever URLIsNoise says */
	return ok && c2n_answer(out);
}

/* "disco,TSMP": what is not known is left out */
static unsigned types_of(const char *list)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = { { "disco", PING_DISCO },
		      { "TSMP", PING_TSMP },
		      { "ICMP", PING_ICMP },
		      { "peerapi", PING_PEERAPI } };
	unsigned types = 0;

	while (*list) {
		size_t n = strcspn(list, ",");

		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			if (bytes_eq_str(bytes_of(list, n), known[i].name))
				types |= known[i].bit;
		list += n + (list[n] == ',');
	}
	return types;
}

static bool request_read(const struct fields *f, struct ping *out)
{
	if (!url_parse(bytes_str(f->url), &out->url))
		return false;
	out->over_noise = f->over_noise;
	if (f->types[0] == 0) {
		out->kind = PING_HEAD;
		return true;
	}
	if (strcmp(f->types, "c2n") == 0)
		return c2n_read(f->payload, out);
	out->kind = PING_PEER;
	out->types = types_of(f->types);
	out->ip = f->ip;
	return out->types != 0 && !ip_is_zero(&out->ip);
}

void ping_read(struct bytes json, struct ping *out)
{
	struct fields f = { 0 };

	memset(out, 0, sizeof *out);
	buf_init(&out->reply, PING_REPLY_MAX);
	buf_init(&out->text, PING_PAYLOAD_MAX);
	buf_init(&out->body, PING_PAYLOAD_MAX);
	if (!fields_read(json, &f) || !request_read(&f, out))
		out->kind = PING_IGNORE;
	free(f.url);
	free(f.payload);
}

void ping_fini(struct ping *p)
{
	buf_fini(&p->reply);
	buf_fini(&p->text);
	buf_fini(&p->body);
	p->kind = PING_IGNORE;
}
