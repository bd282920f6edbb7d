/* wire/http1_target.c - request targets: forms, authority, escapes, query (RFC 9112 3.2, RFC 3986)
 */
#include "wire/http1.h"

#include "base/cursor.h"
#include "base/text.h"

static bool is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* all before the first c; *rest is what follows it; without c: everything, and rest is empty */
static struct bytes cut(struct bytes in, int c, struct bytes *rest, bool *found)
{
	const uint8_t *p = in.len > 0 ? memchr(in.data, c, in.len) : NULL;
	struct bytes head = in;

	*found = p != NULL;
	*rest = (struct bytes){ NULL, 0 };
	if (p) {
		head.len = (size_t)(p - in.data);
		*rest = bytes_of(p + 1, in.len - head.len - 1);
	}
	return head;
}

static void split_query(struct http1_target *t, struct bytes path)
{
	t->path = cut(path, '?', &t->query, &t->has_query);
}

static bool is_scheme(struct bytes s) /* RFC 3986 3.1 */
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];
		bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!alpha &&
		    (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
			return false;
	}
	return s.len > 0;
}

static bool parse_absolute(struct bytes target, struct http1_target *t)
{
	struct bytes rest;
	bool found;
	size_t n = 0;

	t->form = HTTP1_ABSOLUTE;
	t->scheme = cut(target, ':', &rest, &found);
	if (!found || !is_scheme(t->scheme) || rest.len < 2 || rest.data[0] != '/' ||
	    rest.data[1] != '/')
		return false;
	rest = bytes_of(rest.data + 2, rest.len - 2);
	while (n < rest.len && rest.data[n] != '/' && rest.data[n] != '?')
		n++;
	t->authority = bytes_of(rest.data, n);
	if (n == 0 || memchr(rest.data, '@', n))
		return false;
	split_query(t, bytes_of(rest.data + n, rest.len - n));
	if (t->path.len == 0)
		t->path = bytes_str("/");
	return true;
}

bool http1_target_parse(struct bytes method, struct bytes target, struct http1_target *out)
{
	struct http1_target t = { .form = HTTP1_ORIGIN };
	bool ok = true;

	if (target.len == 0 || memchr(target.data, '#', target.len))
		return false;
	if (bytes_eq_str(method, "CONNECT")) {
		t.form = HTTP1_AUTHORITY;
		t.authority = target;
		ok = !memchr(target.data, '/', target.len) && !memchr(target.data, '@', target.len);
	} else if (target.data[0] == '/') {
		split_query(&t, target);
	} else if (bytes_eq_str(target, "*")) {
		t.form = HTTP1_ASTERISK;
		ok = bytes_eq_str(method, "OPTIONS");
	} else {
		ok = parse_absolute(target, &t);
	}
	if (ok)
		*out = t;
	return ok;
}

static bool parse_port(struct bytes text, uint16_t *port)
{
	uint32_t v = 0;

	if (text.len == 0 || text.len > 5)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(text.data[i] - '0');
	}
	if (v > UINT16_MAX)
		return false;
	*port = (uint16_t)v;
	return true;
}

bool http1_authority_parse(struct bytes authority, struct bytes *host, uint16_t *port)
{
	struct bytes h, rest;
	bool has_port;

	if (authority.len > 0 && authority.data[0] == '[') {
		h = cut(bytes_of(authority.data + 1, authority.len - 1), ']', &rest, &has_port);
		if (!has_port || (rest.len > 0 && rest.data[0] != ':'))
			return false;
		has_port = rest.len > 0;
		if (has_port)
			rest = bytes_of(rest.data + 1, rest.len - 1);
	} else {
		h = cut(authority, ':', &rest, &has_port);
	}
	if (h.len == 0 || memchr(h.data, '[', h.len) || memchr(h.data, ']', h.len))
		return false;
	for (size_t i = 0; i < h.len; i++)
		if (h.data[i] <= ' ' || h.data[i] >= 0x7f || h.data[i] == '/' || h.data[i] == '@')
			return false;
	if (has_port && !parse_port(rest, port))
		return false;
	*host = h;
	return true;
}

bool http1_unescape(struct bytes in, bool is_query, char *out, size_t cap, size_t *len)
{
	struct rd r = rd_bytes(in);
	size_t n = 0;

	while (r.left > 0) {
		uint8_t c = rd_u8(&r);

		if (c == '%') {
			int hi = hex_value(rd_u8(&r)), lo = hex_value(rd_u8(&r));

			if (hi < 0 || lo < 0)
				return false;
			c = (uint8_t)(hi << 4 | lo);
		} else if (c == '+' && is_query) {
			c = ' ';
		}
		if (c == 0 || n + 1 >= cap)
			return false;
		out[n++] = (char)c;
	}
	if (cap == 0)
		return false;
	out[n] = 0;
	*len = n;
	return true;
}

bool http1_escape(struct buf *b, struct bytes in, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t start = b->len;

	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];
		const char esc[3] = { '%', digits[c >> 4], digits[c & 15] };
		bool plain = is_unreserved(c) || (keep_slash && c == '/');

		if (!buf_append(b, plain ? (const void *)&c : esc, plain ? 1 : sizeof esc)) {
			b->len = start;
			return false;
		}
	}
	return true;
}

bool http1_query_next(struct bytes *rest, struct bytes *key, struct bytes *value)
{
	bool found;

	while (rest->len > 0) {
		struct bytes pair = cut(*rest, '&', rest, &found);

		if (pair.len == 0)
			continue;
		*key = cut(pair, '=', value, &found);
		return true;
	}
	return false;
}

/* whether the escaped text means this name; neither is cut */
static bool means(struct bytes escaped, const char *name)
{
	char one[2];
	size_t i = 0, len;

	for (; *name; name++) {
		size_t n = i < escaped.len && escaped.data[i] == '%' ? 3 : 1;

		if (escaped.len - i < n ||
		    !http1_unescape(bytes_of(escaped.data + i, n), true, one, sizeof one, &len))
			return false;
		if (one[0] != *name)
			return false;
		i += n;
	}
	return i == escaped.len;
}

bool http1_query_get(struct bytes query, const char *key, char *out, size_t cap)
{
	struct bytes k, v;
	size_t len;

	if (cap > 0)
		out[0] = 0;
	while (http1_query_next(&query, &k, &v)) {
		if (!means(k, key))
			continue;
		if (http1_unescape(v, true, out, cap, &len))
			return true;
		if (cap > 0)
			out[0] = 0;
		return false;
	}
	return false;
}
