/* wire/doh.c - see doh.h */
#include "wire/doh.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cursor.h"
#include "wire/dns.h"

static const char type[] = "application/dns-message";

static const char *const names[] = {
	[DOH_ANSWER] = "answered",
	[DOH_MORE] = "incomplete",
	[DOH_BAD_HTTP] = "its answer is not HTTP",
	[DOH_BAD_STATUS] = "it refuses the query",
	[DOH_BAD_TYPE] = "its answer is not application/dns-message",
	[DOH_TOO_LARGE] = "its answer is too large",
	[DOH_BAD_MESSAGE] = "its answer is not one to the query",
	[DOH_ENDED] = "it ended the connection within an answer",
};
static_assert(ARRAY_LEN(names) == DOH_N, "every result has a name");

const char *doh_result_name(enum doh_result r)
{
	return names[r];
}

/* --- URLs --- */

static struct bytes without_template(struct bytes url)
{
	static const char end[] = "{?dns}";
	const size_t n = sizeof end - 1;

	if (url.len >= n && memcmp(url.data + url.len - n, end, n) == 0)
		url.len -= n;
	return url;
}

/* RFC 3986 has none else; a space or a line end would end the request line */
static bool is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
			return false;
	return true;
}

bool doh_url_parse(const char *url, struct doh_url *out)
{
	const struct bytes text = without_template(bytes_str(url));
	struct http1_target t;
	struct bytes host;

	*out = (struct doh_url){ .port = 0 };
	if (text.len >= DOH_URL_MAX || !is_printable(text) ||
	    !http1_target_parse(bytes_str("POST"), text, &t) || t.form != HTTP1_ABSOLUTE)
		return false;
	out->tls = bytes_caseeq(t.scheme, bytes_str("https"));
	if (!out->tls && !bytes_caseeq(t.scheme, bytes_str("http")))
		return false;
	out->port = out->tls ? 443 : 80;
	if (!http1_authority_parse(t.authority, &host, &out->port) || host.len == 0 ||
	    out->port == 0 || !bytes_to_str(host, out->host, sizeof out->host))
		return false;
	return snprintf(out->target, sizeof out->target, "%.*s%s%.*s", (int)t.path.len,
			(const char *)t.path.data, t.has_query ? "?" : "", (int)t.query.len,
			t.has_query ? (const char *)t.query.data : "") < DOH_URL_MAX;
}

/* --- one exchange --- */

void doh_init(struct doh_exchange *x)
{
	*x = (struct doh_exchange){ .keep = true };
	buf_init(&x->out, HTTP1_HEAD_MAX + DOH_QUERY_MAX);
	buf_init(&x->in, (size_t)HTTP1_HEAD_MAX + DOH_ANSWER_MAX);
	buf_init(&x->body, DOH_ANSWER_MAX);
	buf_init(&x->query, DOH_QUERY_MAX);
}

void doh_fini(struct doh_exchange *x)
{
	buf_fini(&x->out);
	buf_fini(&x->in);
	buf_fini(&x->body);
	buf_fini(&x->query);
}

static void set_id(struct buf *msg, uint16_t id)
{
	struct wr w = wr_of(msg->data + msg->off, sizeof id);

	wr_be16(&w, id);
}

static bool write_request(struct doh_exchange *x, const struct doh_url *url)
{
	const bool v6 = strchr(url->host, ':') != NULL, usual = url->port == (url->tls ? 443 : 80);
	struct http1_emit e;
	char host[sizeof url->host + 8];

	if (usual)
		(void)snprintf(host, sizeof host, v6 ? "[%s]" : "%s", url->host);
	else
		(void)snprintf(host, sizeof host, v6 ? "[%s]:%u" : "%s:%u", url->host, url->port);
	e = http1_emit_request(&x->out, "POST", bytes_str(url->target), bytes_str(host));
	http1_emit_field(&e, "Content-Type", type);
	http1_emit_field(&e, "Accept", type);
	http1_emit_length(&e, x->query.len);
	return http1_emit_end(&e) && buf_append(&x->out, buf_bytes(&x->query).data, x->query.len);
}

bool doh_begin(struct doh_exchange *x, const struct doh_url *url, struct bytes query)
{
	struct dns_reader q;

	if (!dns_open(&q, query) || q.head.qr)
		return false;
	x->id = q.head.id;
	x->has_head = x->keep = false;
	buf_clear(&x->out);
	buf_clear(&x->body);
	buf_clear(&x->query);
	http1_response_init(&x->head, "POST");
	if (!buf_append(&x->query, query.data, query.len))
		return false;
	set_id(&x->query, 0);
	return write_request(x, url);
}

struct bytes doh_output(const struct doh_exchange *x)
{
	return buf_bytes(&x->out);
}

void doh_sent(struct doh_exchange *x, size_t n)
{
	buf_consume(&x->out, n);
}

static bool is_message(struct bytes value) /* parameters may follow */
{
	const uint8_t *semicolon = memchr(value.data, ';', value.len);

	if (semicolon)
		value.len = (size_t)(semicolon - value.data);
	while (value.len > 0 && value.data[value.len - 1] == ' ')
		value.len--;
	return bytes_caseeq(value, bytes_str(type));
}

/* RFC 8484 section 4.2.1: whatever the DNS says, the status is 200 */
static enum doh_result take_head(struct doh_exchange *x)
{
	enum http1_result r;
	struct bytes value;

	for (;;) {
		r = http1_head_feed(&x->head, buf_bytes(&x->in));
		if (r == HTTP1_MORE)
			return DOH_MORE;
		if (r != HTTP1_OK)
			return DOH_BAD_HTTP;
		if (x->head.status >= 200)
			break;
		if (x->head.status == 101)
			return DOH_BAD_HTTP;
		buf_consume(&x->in, x->head.len); /* RFC 9110 section 15.2: another follows */
		http1_response_init(&x->head, "POST");
	}
	if (x->head.status != 200)
		return DOH_BAD_STATUS;
	value = http1_get(&x->head, "Content-Type");
	if (value.len == 0 || !is_message(value))
		return DOH_BAD_TYPE;
	if (x->head.has_length && x->head.content_length > DOH_ANSWER_MAX)
		return DOH_TOO_LARGE;
	http1_body_init(&x->framing, &x->head);
	x->keep = x->head.keep_alive;
	x->has_head = true;
	buf_consume(&x->in, x->head.len);
	return DOH_ANSWER;
}

static enum doh_result finish(struct doh_exchange *x)
{
	struct dns_reader a, q;

	if (!dns_open(&a, buf_bytes(&x->body)) || !a.head.qr || a.head.id != 0 ||
	    !dns_open(&q, buf_bytes(&x->query)) || a.q.type != q.q.type || a.q.class != q.q.class ||
	    strcasecmp(a.q.name, q.q.name) != 0)
		return DOH_BAD_MESSAGE;
	set_id(&x->body, x->id);
	x->keep = x->keep && x->out.len == 0 && x->in.len == 0;
	return DOH_ANSWER;
}

static enum doh_result take_body(struct doh_exchange *x)
{
	for (;;) {
		struct bytes piece = { NULL, 0 };
		size_t used = 0;
		enum http1_body_result r =
		    http1_body_feed(&x->framing, buf_bytes(&x->in), &used, &piece);

		if (r == HTTP1_BODY_DATA && !buf_append(&x->body, piece.data, piece.len))
			return DOH_TOO_LARGE;
		if (r == HTTP1_BODY_BAD)
			return DOH_BAD_HTTP;
		buf_consume(&x->in, used);
		if (r == HTTP1_BODY_END)
			return finish(x);
		if (r == HTTP1_BODY_MORE)
			return DOH_MORE;
	}
}

enum doh_result doh_feed(struct doh_exchange *x, struct bytes in)
{
	enum doh_result r;

	if (!buf_append(&x->in, in.data, in.len))
		return DOH_TOO_LARGE;
	if (!x->has_head) {
		r = take_head(x);
		if (r != DOH_ANSWER)
			return r;
	}
	return take_body(x);
}

enum doh_result doh_eof(struct doh_exchange *x)
{
	x->keep = false;
	return x->has_head && http1_body_eof(&x->framing) ? finish(x) : DOH_ENDED;
}

struct bytes doh_answer(const struct doh_exchange *x)
{
	return buf_bytes(&x->body);
}

bool doh_may_go_on(const struct doh_exchange *x)
{
	return x->keep;
}
