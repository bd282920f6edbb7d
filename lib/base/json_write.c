/* base/json_write.c - the writer of json.h */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

void jsonw_init(struct jsonw *w, struct buf *out)
{
	*w = (struct jsonw){ .out = out };
}

static void put(struct jsonw *w, const void *data, size_t n)
{
	if (!w->failed && !buf_append(w->out, data, n))
		w->failed = true;
}

static void begin(struct jsonw *w) /* a value or a key */
{
	if (w->comma)
		put(w, ",", 1);
	w->comma = true;
}

static void word(struct jsonw *w, const char *s)
{
	begin(w);
	put(w, s, strlen(s));
}

void jsonw_obj(struct jsonw *w)
{
	word(w, "{");
	w->comma = false;
}

void jsonw_obj_end(struct jsonw *w)
{
	put(w, "}", 1);
	w->comma = true;
}

void jsonw_arr(struct jsonw *w)
{
	word(w, "[");
	w->comma = false;
}

void jsonw_arr_end(struct jsonw *w)
{
	put(w, "]", 1);
	w->comma = true;
}

bool json_is_utf8(struct bytes s)
{
	size_t n;

	for (; s.len > 0; s.data += n, s.len -= n)
		if ((n = utf8_len(s)) == 0)
			return false;
	return true;
}

static void put_escaped(struct jsonw *w, uint8_t c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = c ? strchr(from, c) : NULL;
	char tmp[8];

	if (at) {
		tmp[0] = '\\';
		tmp[1] = to[at - from];
		put(w, tmp, 2);
		return;
	}
	snprintf(tmp, sizeof tmp, "\\u%04x", (unsigned)c);
	put(w, tmp, 6);
}

static void quote(struct jsonw *w, struct bytes s)
{
	size_t done = 0, i = 0;

	put(w, "\"", 1);
	while (i < s.len) { /* whole runs of plain characters go out at once */
		uint8_t c = s.data[i];
		size_t n = c < 0x80 ? 1 : utf8_len(bytes_of(s.data + i, s.len - i));

		if (n > 0 && c >= 0x20 && c != '"' && c != '\\') {
			i += n;
			continue;
		}
		put(w, s.data + done, i - done);
		if (n == 0)
			put(w, "\xef\xbf\xbd", 3);
		else
			put_escaped(w, c);
		done = ++i;
	}
	if (i > done)
		put(w, s.data + done, i - done);
	put(w, "\"", 1);
}

void jsonw_key(struct jsonw *w, const char *key)
{
	begin(w);
	quote(w, bytes_str(key));
	put(w, ":", 1);
	w->comma = false;
}

void jsonw_strn(struct jsonw *w, struct bytes s)
{
	begin(w);
	quote(w, s);
}

void jsonw_str(struct jsonw *w, const char *s)
{
	if (s)
		jsonw_strn(w, bytes_str(s));
	else
		jsonw_null(w);
}

void jsonw_i64(struct jsonw *w, int64_t v)
{
	char tmp[24];

	snprintf(tmp, sizeof tmp, "%lld", (long long)v);
	word(w, tmp);
}

void jsonw_u64(struct jsonw *w, uint64_t v)
{
	char tmp[24];

	snprintf(tmp, sizeof tmp, "%llu", (unsigned long long)v);
	word(w, tmp);
}

void jsonw_f64(struct jsonw *w, double v)
{
	char tmp[32];

	if (!__builtin_isfinite(v)) {
		jsonw_null(w);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(tmp, sizeof tmp, "%.*g", digits, v);
		if (strtod(tmp, NULL) == v)
			break;
	}
	word(w, tmp);
}

void jsonw_bool(struct jsonw *w, bool v)
{
	word(w, v ? "true" : "false");
}

void jsonw_null(struct jsonw *w)
{
	word(w, "null");
}

void jsonw_raw(struct jsonw *w, struct bytes json)
{
	if (json.len == 0) {
		jsonw_null(w);
		return;
	}
	begin(w);
	put(w, json.data, json.len);
}

void jsonw_kstr(struct jsonw *w, const char *key, const char *s)
{
	jsonw_key(w, key);
	jsonw_str(w, s);
}

void jsonw_ki64(struct jsonw *w, const char *key, int64_t v)
{
	jsonw_key(w, key);
	jsonw_i64(w, v);
}

void jsonw_kbool(struct jsonw *w, const char *key, bool v)
{
	jsonw_key(w, key);
	jsonw_bool(w, v);
}

bool jsonw_ok(const struct jsonw *w)
{
	return !w->failed;
}
