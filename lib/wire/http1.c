/* wire/http1.c - message heads, in (RFC 9112 2 to 6)
 *
 * Two passes. The first walks the bytes as they come, refuses those that no head may hold and looks
 * for the empty line; it remembers where it stopped, so a head that drips in is looked at once. The
 * second cuts the complete head into its parts and decides how the body is framed.
 */
#include "wire/http1.h"

#include "base/cursor.h"

static const char *const result_names[] = {
	[HTTP1_OK] = "ok",
	[HTTP1_MORE] = "incomplete head",
	[HTTP1_TOO_LONG] = "head too long",
	[HTTP1_TOO_MANY] = "too many header fields",
	[HTTP1_BAD_BYTE] = "control character in head",
	[HTTP1_BAD_LINE] = "malformed start line",
	[HTTP1_BAD_VERSION] = "unsupported HTTP version",
	[HTTP1_BAD_FIELD] = "malformed header field",
	[HTTP1_BAD_HOST] = "missing or repeated Host",
	[HTTP1_BAD_LENGTH] = "bad Content-Length",
	[HTTP1_BAD_ENCODING] = "bad Transfer-Encoding",
};
_Static_assert(ARRAY_LEN(result_names) == HTTP1_N, "every result has a name");

const char *http1_result_name(enum http1_result r)
{
	return r < HTTP1_N ? result_names[r] : "?";
}

static bool is_token_char(uint8_t c) /* RFC 9110 5.6.2 */
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (!is_token_char(b.data[i]))
			return false;
	return b.len > 0;
}

static struct bytes trim(struct bytes b) /* optional white space around a value */
{
	while (b.len > 0 && (b.data[0] == ' ' || b.data[0] == '\t')) {
		b.data++;
		b.len--;
	}
	while (b.len > 0 && (b.data[b.len - 1] == ' ' || b.data[b.len - 1] == '\t'))
		b.len--;
	return b;
}

/* --- first pass --- */

void http1_request_init(struct http1_head *h)
{
	*h = (struct http1_head){ .result = HTTP1_MORE };
}

void http1_response_init(struct http1_head *h, const char *method)
{
	*h = (struct http1_head){ .result = HTTP1_MORE, .is_response = true };
	h->no_body = strcmp(method, "HEAD") == 0;
	h->is_connect = strcmp(method, "CONNECT") == 0;
}

/* A line of the head ends before at (its LF). HTTP1_OK: it was the empty one. */
static enum http1_result line_ended(struct http1_head *h, size_t at)
{
	if (at - h->line == 1) { /* nothing but its CR */
		if (h->line != h->start)
			return HTTP1_OK;
		/* RFC 9112 2.2: one empty line before a request is forgiven */
		if (h->is_response || h->start > 0)
			return HTTP1_BAD_LINE;
		h->start = at + 1;
	}
	h->line = at + 1;
	return HTTP1_MORE;
}

static enum http1_result scan(struct http1_head *h, struct bytes all)
{
	while (h->scanned < all.len) {
		size_t i = h->scanned;
		uint8_t c = all.data[i], before = i > h->line ? all.data[i - 1] : 0;

		if (i >= HTTP1_HEAD_MAX)
			return HTTP1_TOO_LONG;
		h->scanned++;
		if ((before == '\r') != (c == '\n'))
			return HTTP1_BAD_BYTE;
		if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
			return HTTP1_BAD_BYTE;
		if (c == '\n') {
			enum http1_result r = line_ended(h, i);

			if (r != HTTP1_MORE)
				return r;
		}
	}
	return HTTP1_MORE;
}

/* --- second pass --- */

/* the next line of a complete head, without CR LF */
static struct bytes take_line(struct rd *r)
{
	const uint8_t *lf = r->left > 0 ? memchr(r->p, '\n', r->left) : NULL;
	struct bytes line;

	if (!lf)
		return rd_rest(r);
	line = bytes_of(r->p, (size_t)(lf - r->p) - 1);
	rd_skip(r, line.len + 2);
	return line;
}

/* up to the first space, which is taken too; false when there is none */
static bool take_word(struct bytes *line, struct bytes *word)
{
	const uint8_t *sp = line->len > 0 ? memchr(line->data, ' ', line->len) : NULL;

	if (!sp)
		return false;
	*word = bytes_of(line->data, (size_t)(sp - line->data));
	line->data = sp + 1;
	line->len -= word->len + 1;
	return true;
}

static enum http1_result parse_version(struct bytes v, unsigned *minor)
{
	if (v.len != 8 || memcmp(v.data, "HTTP/", 5) != 0)
		return HTTP1_BAD_LINE;
	if (v.data[5] != '1' || v.data[6] != '.' || v.data[7] < '0' || v.data[7] > '9')
		return HTTP1_BAD_VERSION;
	*minor = v.data[7] > '0';
	return HTTP1_OK;
}

static enum http1_result parse_request_line(struct http1_head *h, struct bytes line)
{
	if (!take_word(&line, &h->method) || !take_word(&line, &h->target))
		return HTTP1_BAD_LINE;
	if (!is_token(h->method) || h->method.len > HTTP1_METHOD_MAX)
		return HTTP1_BAD_LINE;
	if (h->target.len == 0 || h->target.len > HTTP1_TARGET_MAX)
		return HTTP1_BAD_LINE;
	for (size_t i = 0; i < h->target.len; i++)
		if (h->target.data[i] <= ' ' || h->target.data[i] >= 0x7f)
			return HTTP1_BAD_LINE;
	return parse_version(line, &h->minor);
}

static enum http1_result parse_status_line(struct http1_head *h, struct bytes line)
{
	struct bytes version, code;
	enum http1_result r;

	if (!take_word(&line, &version))
		return HTTP1_BAD_LINE;
	r = parse_version(version, &h->minor);
	if (r != HTTP1_OK)
		return r;
	if (!take_word(&line,
		       &code)) { /* real servers leave the space before an empty reason out */
		code = line;
		line = bytes_of("", 0);
	}
	if (code.len != 3 || code.data[0] < '1' || code.data[0] > '5')
		return HTTP1_BAD_LINE;
	for (size_t i = 0; i < 3; i++) {
		if (code.data[i] < '0' || code.data[i] > '9')
			return HTTP1_BAD_LINE;
		h->status = h->status * 10 + (code.data[i] - '0');
	}
	if (line.len > HTTP1_REASON_MAX)
		return HTTP1_BAD_LINE;
	h->reason = line;
	return HTTP1_OK;
}

static enum http1_result parse_field(struct http1_head *h, struct bytes line)
{
	const uint8_t *colon = memchr(line.data, ':', line.len);
	struct http1_field *f;

	if (!colon)
		return HTTP1_BAD_FIELD;
	if (h->n_fields == HTTP1_HEADERS_MAX)
		return HTTP1_TOO_MANY;
	f = &h->field[h->n_fields];
	f->name = bytes_of(line.data, (size_t)(colon - line.data));
	/* a name is a token: this also refuses folded lines and a space before the colon (RFC
	 * 9112 5.1, 5.2) */
	if (!is_token(f->name) || f->name.len > HTTP1_NAME_MAX)
		return HTTP1_BAD_FIELD;
	f->value = trim(bytes_of(colon + 1, line.len - f->name.len - 1));
	h->n_fields++;
	return HTTP1_OK;
}

static size_t count_fields(const struct http1_head *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_fields; i++)
		n += bytes_caseeq(h->field[i].name, bytes_str(name));
	return n;
}

static bool parse_length(struct bytes v, uint64_t *out)
{
	uint64_t n = 0;

	if (v.len == 0 || v.len > 18) /* 18 digits cannot overflow */
		return false;
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i] < '0' || v.data[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(v.data[i] - '0');
	}
	*out = n;
	return true;
}

/* RFC 9112 6.1 to 6.3 */
static enum http1_result decide_framing(struct http1_head *h)
{
	size_t n_te = count_fields(h, "Transfer-Encoding"),
	       n_cl = count_fields(h, "Content-Length");
	bool none = h->no_body ||
		    (h->is_response && (h->status < 200 || h->status == 204 || h->status == 304)) ||
		    (h->is_connect && h->status < 300);

	if (n_te > 0 && (n_te > 1 || h->minor == 0 ||
			 !bytes_caseeq(http1_get(h, "Transfer-Encoding"), bytes_str("chunked"))))
		return HTTP1_BAD_ENCODING;
	if (n_cl > 1 || (n_cl > 0 && n_te > 0))
		return HTTP1_BAD_LENGTH;
	if (n_cl > 0 && !parse_length(http1_get(h, "Content-Length"), &h->content_length))
		return HTTP1_BAD_LENGTH;
	h->has_length = n_cl > 0;
	if (none)
		h->framing = HTTP1_BODY_NONE;
	else if (n_te > 0)
		h->framing = HTTP1_BODY_CHUNKED;
	else if (n_cl > 0)
		h->framing = h->content_length > 0 ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
	else
		h->framing = h->is_response ? HTTP1_BODY_CLOSE : HTTP1_BODY_NONE;
	return HTTP1_OK;
}

static void decide_keep_alive(struct http1_head *h)
{
	h->keep_alive = h->minor >= 1 || http1_has_token(h, "Connection", "keep-alive");
	if (http1_has_token(h, "Connection", "close") || h->framing == HTTP1_BODY_CLOSE)
		h->keep_alive = false;
}

static enum http1_result parse_head(struct http1_head *h, struct bytes head)
{
	struct rd r = rd_bytes(head);
	struct bytes line;
	enum http1_result res;

	rd_skip(&r, h->start);
	line = take_line(&r);
	res = h->is_response ? parse_status_line(h, line) : parse_request_line(h, line);
	if (res != HTTP1_OK)
		return res;
	for (line = take_line(&r); line.len > 0; line = take_line(&r)) {
		res = parse_field(h, line);
		if (res != HTTP1_OK)
			return res;
	}
	if (!h->is_response) { /* RFC 9112 3.2 */
		size_t n = count_fields(h, "Host");

		if (n > 1 || (n == 0 && h->minor >= 1))
			return HTTP1_BAD_HOST;
		h->host = http1_get(h, "Host");
	}
	res = decide_framing(h);
	decide_keep_alive(h);
	return res;
}

enum http1_result http1_head_feed(struct http1_head *h, struct bytes all)
{
	if (h->result != HTTP1_MORE)
		return h->result;
	h->result = scan(h, all);
	if (h->result == HTTP1_OK) {
		h->len = h->scanned;
		h->result = parse_head(h, bytes_of(all.data, h->len));
	}
	return h->result;
}

/* --- looking up --- */

struct bytes http1_get(const struct http1_head *h, const char *name)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (bytes_caseeq(h->field[i].name, bytes_str(name)))
			return h->field[i].value;
	return (struct bytes){ NULL, 0 };
}

static bool list_has(struct bytes list, struct bytes token)
{
	while (list.len > 0) {
		const uint8_t *comma = memchr(list.data, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.data) : list.len;

		if (bytes_caseeq(trim(bytes_of(list.data, n)), token))
			return true;
		n += comma != NULL;
		list.data += n;
		list.len -= n;
	}
	return false;
}

bool http1_has_token(const struct http1_head *h, const char *name, const char *token)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (bytes_caseeq(h->field[i].name, bytes_str(name)) &&
		    list_has(h->field[i].value, bytes_str(token)))
			return true;
	return false;
}

bool http1_is_upgrade(const struct http1_head *h, const char *proto)
{
	return http1_has_token(h, "Connection", "upgrade") && http1_has_token(h, "Upgrade", proto);
}
