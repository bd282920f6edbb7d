/* base/json.c - the pull reader; see json.h */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 128 }; /* ours: characters of a number that is read as a double */

struct json json_of(struct bytes text)
{
	static const char none[1] = "";
	const char *p = text.len > 0 ? (const char *)text.data : none;

	return (struct json){ .p = p, .end = p + text.len };
}

static void fail(struct json *j)
{
	if (!j->failed)
		j->bad = j->p;
	j->failed = true;
	j->p = j->end;
}

static char peek(struct json *j) /* the next byte past white space, 0 at the end */
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
		j->p++;
	return j->p < j->end ? *j->p : 0;
}

static bool literal(struct json *j, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0) {
		fail(j);
		return false;
	}
	j->p += n;
	return true;
}

enum json_type json_type(struct json *j)
{
	char c;

	if (j->failed)
		return JSON_ERROR;
	c = peek(j);
	if (c == '-' || (c >= '0' && c <= '9'))
		return JSON_NUMBER;
	switch (c) {
	case 0:
		return j->p == j->end ? JSON_NONE : JSON_ERROR;
	case 'n':
		return JSON_NULL;
	case 't':
	case 'f':
		return JSON_BOOL;
	case '"':
		return JSON_STRING;
	case '[':
		return JSON_ARRAY;
	case '{':
		return JSON_OBJECT;
	default:
		return JSON_ERROR;
	}
}

bool json_take_null(struct json *j)
{
	return json_type(j) == JSON_NULL && literal(j, "null");
}

/* --- strings --- */

/* Takes a string with its quotes; *raw gets what is between them. */
static bool take_string(struct json *j, struct bytes *raw, bool *escaped)
{
	const char *p;

	*escaped = false;
	if (j->failed || peek(j) != '"') {
		fail(j);
		return false;
	}
	for (p = j->p + 1; p < j->end && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			break;
		if (*p == '\\') {
			*escaped = true;
			if (++p == j->end)
				break;
		}
	}
	if (p >= j->end || *p != '"') {
		fail(j);
		return false;
	}
	*raw = bytes_of(j->p + 1, (size_t)(p - j->p - 1));
	j->p = p + 1;
	return true;
}

static int hex4(const uint8_t *p, size_t left) /* -1: not four digits */
{
	int v = 0;

	if (left < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		uint8_t c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (c - 'A' + 10);
		else
			return -1;
	}
	return v;
}

static size_t utf8_put(unsigned v, char out[static 4])
{
	if (v < 0x80) {
		out[0] = (char)v;
		return 1;
	}
	if (v < 0x800) {
		out[0] = (char)(0xc0 | v >> 6);
		out[1] = (char)(0x80 | (v & 0x3f));
		return 2;
	}
	if (v < 0x10000) {
		out[0] = (char)(0xe0 | v >> 12);
		out[1] = (char)(0x80 | (v >> 6 & 0x3f));
		out[2] = (char)(0x80 | (v & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | v >> 18);
	out[1] = (char)(0x80 | (v >> 12 & 0x3f));
	out[2] = (char)(0x80 | (v >> 6 & 0x3f));
	out[3] = (char)(0x80 | (v & 0x3f));
	return 4;
}

/* One escape, behind its backslash; returns the bytes taken, 0 when malformed. A lone surrogate
 * becomes U+FFFD. */
static size_t unescape_one(const uint8_t *p, size_t left, char out[static 4], size_t *n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = left > 0 && p[0] ? strchr(from, p[0]) : NULL;
	int v, low;

	if (at) {
		out[0] = to[at - from];
		*n = 1;
		return 1;
	}
	if (left == 0 || p[0] != 'u' || (v = hex4(p + 1, left - 1)) < 0)
		return 0;
	if (v >= 0xd800 && v < 0xe000) {
		if (v < 0xdc00 && left >= 7 && p[5] == '\\' && p[6] == 'u' &&
		    (low = hex4(p + 7, left - 7)) >= 0xdc00 && low < 0xe000) {
			*n = utf8_put(0x10000U + ((unsigned)(v - 0xd800) << 10) +
					  (unsigned)(low - 0xdc00),
				      out);
			return 11;
		}
		v = 0xfffd;
	}
	*n = utf8_put((unsigned)v, out);
	return 5;
}

/* out gets at most cap bytes, no NUL; SIZE_MAX when malformed, too long or with a NUL inside */
static size_t unescape(struct bytes raw, char *out, size_t cap)
{
	size_t n = 0, k, took;
	char c[4];

	for (size_t i = 0; i < raw.len;) {
		if (raw.data[i] != '\\') {
			c[0] = (char)raw.data[i++];
			k = 1;
		} else {
			took = unescape_one(raw.data + i + 1, raw.len - i - 1, c, &k);
			if (took == 0)
				return SIZE_MAX;
			i += 1 + took;
		}
		if (c[0] == 0 || cap - n < k)
			return SIZE_MAX;
		memcpy(out + n, c, k);
		n += k;
	}
	return n;
}

bool json_unescape(struct bytes key, char *out, size_t cap)
{
	size_t n = cap > 0 ? unescape(key, out, cap - 1) : SIZE_MAX;

	if (n == SIZE_MAX)
		return false;
	out[n] = 0;
	return true;
}

struct bytes json_strb(struct json *j, char *tmp, size_t cap)
{
	struct bytes raw;
	bool escaped;
	size_t n;

	if (json_null(j) || !take_string(j, &raw, &escaped))
		return bytes_of("", 0);
	if (!escaped && raw.len <= cap)
		return raw;
	n = unescape(raw, tmp, cap);
	if (n == SIZE_MAX) {
		fail(j);
		return bytes_of("", 0);
	}
	return bytes_of(tmp, n);
}

size_t json_str(struct json *j, char *out, size_t cap)
{
	struct bytes raw;
	bool escaped;
	size_t n;

	if (cap == 0) {
		fail(j);
		return 0;
	}
	out[0] = 0;
	if (json_null(j) || !take_string(j, &raw, &escaped))
		return 0;
	n = unescape(raw, out, cap - 1);
	if (n == SIZE_MAX) {
		fail(j);
		n = 0;
	}
	out[n] = 0;
	return n;
}

char *json_strdup(struct json *j, size_t max)
{
	struct bytes raw = { NULL, 0 };
	bool escaped;
	char *s;
	size_t n;

	if (!json_null(j) && !take_string(j, &raw, &escaped))
		return NULL;
	s = malloc((raw.len < max ? raw.len : max) + 1);
	n = s ? unescape(raw, s, raw.len < max ? raw.len : max) : SIZE_MAX;
	if (n == SIZE_MAX) {
		free(s);
		fail(j);
		return NULL;
	}
	s[n] = 0;
	return s;
}

bool json_key_is(struct bytes key, const char *name)
{
	return bytes_caseeq(key, bytes_str(name));
}

/* --- containers --- */

static bool top_is_arr(const struct json *j)
{
	return j->is_arr >> (j->depth - 1) & 1;
}

static void enter(struct json *j, bool arr)
{
	if (json_null(j)) {
		j->is_null = true;
		return;
	}
	if (j->failed || peek(j) != (arr ? '[' : '{') || j->depth == JSON_DEPTH_MAX) {
		fail(j);
		return;
	}
	j->p++;
	j->depth++;
	j->is_arr &= ~(UINT64_C(1) << (j->depth - 1));
	j->is_arr |= (uint64_t)arr << (j->depth - 1);
	j->fresh = true;
}

/* Whether another member or element follows; takes the comma or the closing bracket. */
static bool advance(struct json *j, bool arr)
{
	bool fresh = j->fresh;
	char c;

	if (j->failed || j->is_null) {
		j->is_null = false;
		return false;
	}
	if (j->depth == 0 || top_is_arr(j) != arr) {
		fail(j);
		return false;
	}
	c = peek(j);
	j->fresh = false;
	if (c == (arr ? ']' : '}')) {
		j->p++;
		j->depth--;
		return false;
	}
	if (fresh)
		return true;
	if (c != ',') {
		fail(j);
		return false;
	}
	j->p++;
	return true;
}

void json_obj(struct json *j)
{
	enter(j, false);
}

void json_arr(struct json *j)
{
	enter(j, true);
}

bool json_key(struct json *j, struct bytes *key)
{
	bool escaped;

	if (!advance(j, false) || !take_string(j, key, &escaped))
		return false;
	if (peek(j) != ':') {
		fail(j);
		return false;
	}
	j->p++;
	return true;
}

bool json_elem(struct json *j)
{
	if (!advance(j, true))
		return false;
	if (peek(j) == ']') { /* behind a comma */
		fail(j);
		return false;
	}
	return true;
}

/* --- numbers and the rest --- */

static bool take_digits(struct json *j)
{
	const char *start = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return j->p > start;
}

/* A number by the grammar of RFC 8259; *integer: it has neither fraction nor exponent. */
static bool take_number(struct json *j, struct bytes *text, bool *integer)
{
	const char *start;

	if (j->failed)
		return false;
	peek(j);
	start = j->p;
	*integer = true;
	if (j->p < j->end && *j->p == '-')
		j->p++;
	if (j->p < j->end && *j->p == '0')
		j->p++;
	else if (!take_digits(j))
		goto malformed;
	if (j->p < j->end && *j->p == '.') {
		*integer = false;
		j->p++;
		if (!take_digits(j))
			goto malformed;
	}
	if (j->p < j->end && (*j->p == 'e' || *j->p == 'E')) {
		*integer = false;
		j->p++;
		if (j->p < j->end && (*j->p == '+' || *j->p == '-'))
			j->p++;
		if (!take_digits(j))
			goto malformed;
	}
	*text = bytes_of(start, (size_t)(j->p - start));
	return true;
malformed:
	fail(j);
	return false;
}

static bool digits_value(struct bytes text, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < text.len; i++)
		if (__builtin_mul_overflow(v, 10U, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text.data[i] - '0'), &v))
			return false;
	*out = v;
	return true;
}

/* an integer as sign and magnitude */
static bool take_integer(struct json *j, bool *neg, uint64_t *out)
{
	struct bytes text;
	bool integer;

	if (json_null(j) || !take_number(j, &text, &integer))
		return false;
	*neg = text.data[0] == '-';
	if (!integer || !digits_value(bytes_of(text.data + *neg, text.len - *neg), out)) {
		fail(j);
		return false;
	}
	return true;
}

int64_t json_i64(struct json *j)
{
	uint64_t v;
	bool neg;

	if (!take_integer(j, &neg, &v))
		return 0;
	if (v > (uint64_t)INT64_MAX + neg) {
		fail(j);
		return 0;
	}
	return neg ? (int64_t)(0 - v) : (int64_t)v;
}

uint64_t json_u64(struct json *j)
{
	uint64_t v;
	bool neg;

	if (!take_integer(j, &neg, &v))
		return 0;
	if (neg && v > 0) {
		fail(j);
		return 0;
	}
	return v;
}

double json_f64(struct json *j)
{
	char tmp[NUMBER_MAX + 1];
	struct bytes text;
	bool integer;

	if (json_null(j) || !take_number(j, &text, &integer))
		return 0;
	if (!bytes_to_str(text, tmp, sizeof tmp)) {
		fail(j);
		return 0;
	}
	return strtod(tmp, NULL);
}

bool json_bool(struct json *j)
{
	if (j->failed)
		return false;
	switch (peek(j)) {
	case 'n':
		literal(j, "null");
		return false;
	case 't':
		return literal(j, "true");
	case 'f':
		literal(j, "false");
		return false;
	default:
		fail(j);
		return false;
	}
}

static void skip_scalar(struct json *j)
{
	struct bytes text;
	bool flag;

	switch (json_type(j)) {
	case JSON_NULL:
		literal(j, "null");
		break;
	case JSON_BOOL:
		json_bool(j);
		break;
	case JSON_NUMBER:
		take_number(j, &text, &flag);
		break;
	case JSON_STRING:
		take_string(j, &text, &flag);
		break;
	default:
		fail(j);
	}
}

void json_skip(struct json *j)
{
	unsigned base = j->depth;
	struct bytes key;

	do { /* at a value */
		enum json_type type = json_type(j);
		bool at_value = false;

		if (type == JSON_OBJECT || type == JSON_ARRAY)
			enter(j, type == JSON_ARRAY);
		else
			skip_scalar(j);
		while (!j->failed && j->depth > base && !at_value)
			at_value = top_is_arr(j) ? json_elem(j) : json_key(j, &key);
	} while (!j->failed && j->depth > base);
}

struct bytes json_raw(struct json *j)
{
	const char *start;

	peek(j);
	start = j->p;
	json_skip(j);
	if (j->failed)
		return bytes_of("", 0);
	return bytes_of(start, (size_t)(j->p - start));
}

bool json_ok(const struct json *j)
{
	return !j->failed;
}

bool json_done(struct json *j)
{
	return !j->failed && j->depth == 0 && peek(j) == 0 && j->p == j->end;
}
