/* wire/http1_fuzz.c - a head from the stream: whole and byte by byte must agree; what it holds is
 * looked up and taken apart */
#include "wire/http1.h"

#include <assert.h>

static void walk(const struct http1_head *h)
{
	struct http1_target t;
	struct bytes host, k, v;
	uint16_t port;
	char out[64];
	size_t len;

	assert(h->len <= HTTP1_HEAD_MAX && h->n_fields <= HTTP1_HEADERS_MAX);
	assert(h->framing != HTTP1_BODY_CLOSE || h->is_response);
	(void)http1_is_upgrade(h, "DERP");
	if (h->is_response || !http1_target_parse(h->method, h->target, &t))
		return;
	if (http1_authority_parse(t.form == HTTP1_ORIGIN ? h->host : t.authority, &host, &port))
		assert(host.len > 0);
	if (http1_unescape(t.path, false, out, sizeof out, &len))
		assert(len < sizeof out);
	(void)http1_query_get(t.query, "v", out, sizeof out);
	while (http1_query_next(&t.query, &k, &v))
		assert(k.len <= h->target.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const methods[] = { "GET", "HEAD", "CONNECT" };
	struct http1_head whole, parts;
	enum http1_result r, p = HTTP1_MORE;
	uint8_t mode;

	if (len == 0)
		return 0;
	mode = data[0] & 3;
	data++;
	len--;
	http1_request_init(&whole);
	if (mode > 0)
		http1_response_init(&whole, methods[mode - 1]);
	parts = whole;
	r = http1_head_feed(&whole, bytes_of(data, len));
	for (size_t n = 0; n <= len && p == HTTP1_MORE; n++)
		p = http1_head_feed(&parts, bytes_of(data, n));
	assert(p == r && parts.len == whole.len && parts.framing == whole.framing);
	if (r == HTTP1_OK)
		walk(&whole);
	return 0;
}
