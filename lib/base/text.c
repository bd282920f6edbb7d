/* base/text.c - see text.h */
#include "base/text.h"

#include <stdio.h>

/* --- characters --- */

size_t utf8_len(struct bytes text)
{
	const uint8_t *p = text.data;
	uint8_t lo = 0x80, hi = 0xbf;
	size_t n;

	if (text.len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (text.len < n)
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Of two and three bytes: C1 controls, U+061C, U+200E and U+200F, U+2028 to U+202E, U+2066 to
 * U+2069 */
static bool breaks_a_line(const uint8_t *p, size_t n)
{
	if (n == 2)
		return (p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xd8 && p[1] == 0x9c);
	if (n != 3 || p[0] != 0xe2)
		return false;
	if (p[1] == 0x80)
		return p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae);
	return p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
}

size_t utf8_shown_len(struct bytes text)
{
	size_t n = utf8_len(text);

	if (n == 1 && (text.data[0] < 0x20 || text.data[0] == 0x7f))
		return 0;
	return breaks_a_line(text.data, n) ? 0 : n;
}

void text_show(char *text)
{
	for (size_t left = strlen(text), n; left > 0; text += n, left -= n) {
		n = utf8_shown_len(bytes_of(text, left));
		if (n == 0) {
			*text = '?';
			n = 1;
		}
	}
}

/* --- hex and base64 --- */

void hex_emit(const uint8_t *in, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * n] = 0;
}

bool hex_parse(struct bytes text, uint8_t *out, size_t n)
{
	if (text.len / 2 != n || text.len % 2 != 0)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (hex_value(text.data[i]) < 0)
			return false;
	for (size_t i = 0; i < n; i++)
		out[i] =
		    (uint8_t)(hex_value(text.data[2 * i]) << 4 | hex_value(text.data[2 * i + 1]));
	return true;
}

static char base64_digit(unsigned v, int alphabet)
{
	if (v < 26)
		return (char)('A' + v);
	if (v < 52)
		return (char)('a' + v - 26);
	if (v < 62)
		return (char)('0' + v - 52);
	if (alphabet == BASE64_URL)
		return v == 62 ? '-' : '_';
	return v == 62 ? '+' : '/';
}

static int base64_value(uint8_t c, int alphabet)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (alphabet == BASE64_URL ? '-' : '+'))
		return 62;
	if (c == (alphabet == BASE64_URL ? '_' : '/'))
		return 63;
	return -1;
}

void base64_emit(const uint8_t *in, size_t n, int alphabet, char *out)
{
	for (size_t i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		unsigned v = (unsigned)in[i] << 16;

		if (have > 1)
			v |= (unsigned)in[i + 1] << 8;
		if (have > 2)
			v |= in[i + 2];
		for (size_t k = 0; k < 4; k++)
			*out++ = k <= have ? base64_digit(v >> (18 - 6 * k) & 63, alphabet) : '=';
	}
	*out = 0;
}

bool base64_parse(struct bytes text, int alphabet, uint8_t *out, size_t cap, size_t *n)
{
	size_t len = text.len, total, at = 0;

	if (len > 0 && len % 4 == 0) /* padding only where it completes a group */
		for (int i = 0; i < 2 && text.data[len - 1] == '='; i++)
			len--;
	if (len % 4 == 1)
		return false;
	total = len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0);
	if (total > cap)
		return false;
	for (size_t i = 0; i < len; i++)
		if (base64_value(text.data[i], alphabet) < 0)
			return false;
	/* bits behind the last byte are zero: one text for one value */
	if (len % 4 == 2 && (base64_value(text.data[len - 1], alphabet) & 15))
		return false;
	if (len % 4 == 3 && (base64_value(text.data[len - 1], alphabet) & 3))
		return false;
	for (size_t i = 0; i < len; i += 4) {
		unsigned v = 0;

		for (size_t k = 0; k < 4; k++)
			v = v << 6 |
			    (unsigned)(i + k < len ? base64_value(text.data[i + k], alphabet) : 0);
		for (size_t k = 0; k < 3 && at < total; k++)
			out[at++] = (uint8_t)(v >> (16 - 8 * k));
	}
	*n = total;
	return true;
}

/* --- numbers --- */

bool text_u64(struct bytes text, uint64_t *out)
{
	uint64_t v = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c < '0' || c > '9' || __builtin_mul_overflow(v, 10U, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(c - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

bool text_i64(struct bytes text, int64_t *out)
{
	uint64_t v;
	bool neg;

	if (text.len == 0)
		return false;
	neg = text.data[0] == '-';
	if (!text_u64(bytes_of(text.data + neg, text.len - neg), &v))
		return false;
	if (v > (uint64_t)INT64_MAX + neg)
		return false;
	*out = neg ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool text_u16(struct bytes text, uint16_t *out)
{
	uint64_t v;

	if (!text_u64(text, &v) || v > UINT16_MAX)
		return false;
	*out = (uint16_t)v;
	return true;
}

bool bool_parse(struct bytes text, bool *out)
{
	static const char *const names[] = { "0", "f", "F", "false", "FALSE", "False",
					     "1", "t", "T", "true",  "TRUE",  "True" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (bytes_eq_str(text, names[i])) {
			*out = i >= ARRAY_LEN(names) / 2;
			return true;
		}
	return false;
}

/* --- time --- */

struct scan {
	const uint8_t *p, *end;
	bool failed;
};

static int scan_digits(struct scan *s, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (s->p == s->end || *s->p < '0' || *s->p > '9') {
			s->failed = true;
			return 0;
		}
		v = v * 10 + (*s->p++ - '0');
	}
	return v;
}

static void scan_char(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != (uint8_t)c)
		s->failed = true;
	else
		s->p++;
}

static int scan_fraction(struct scan *s) /* nanoseconds */
{
	int v = 0, n = 0;

	if (s->p == s->end || *s->p != '.')
		return 0;
	s->p++;
	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++, n++) {
		if (n == 9) {
			s->failed = true;
			return 0;
		}
		v = v * 10 + (*s->p - '0');
	}
	if (n == 0)
		s->failed = true;
	for (; n < 9; n++)
		v *= 10;
	return v;
}

static int scan_offset(struct scan *s) /* seconds east of UTC */
{
	int sign, h, m;

	if (s->p < s->end && *s->p == 'Z') {
		s->p++;
		return 0;
	}
	if (s->p == s->end || (*s->p != '+' && *s->p != '-')) {
		s->failed = true;
		return 0;
	}
	sign = *s->p++ == '-' ? -1 : 1;
	h = scan_digits(s, 2);
	scan_char(s, ':');
	m = scan_digits(s, 2);
	if (h > 23 || m > 59)
		s->failed = true;
	return sign * (h * 3600 + m * 60);
}

static bool is_leap(int y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static int month_days(int y, int m) /* m: 1..12 */
{
	static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[m - 1] + (m == 2 && is_leap(y));
}

static int64_t days_before_year(int y) /* days from 1970-01-01 to the first of January; y >= 1 */
{
	int64_t n = y - 1;

	return n * 365 + n / 4 - n / 100 + n / 400 - 719162;
}

bool wall_parse(struct bytes text, wall_t *out)
{
	struct scan s = { text.data, text.len > 0 ? text.data + text.len : text.data, false };
	int year, month, day, h, m, sec, frac, off;
	int64_t t;

	year = scan_digits(&s, 4);
	scan_char(&s, '-');
	month = scan_digits(&s, 2);
	scan_char(&s, '-');
	day = scan_digits(&s, 2);
	scan_char(&s, 'T');
	h = scan_digits(&s, 2);
	scan_char(&s, ':');
	m = scan_digits(&s, 2);
	scan_char(&s, ':');
	sec = scan_digits(&s, 2);
	frac = scan_fraction(&s);
	off = scan_offset(&s);
	if (s.failed || s.p != s.end || month < 1 || month > 12 || day < 1 || h > 23 || m > 59 ||
	    sec > 59)
		return false;
	if (day > month_days(year, month))
		return false;
	if (year < 1969) { /* days_before_year wants a positive year; before 1970 all is zero */
		*out = WALL_ZERO;
		return true;
	}
	t = days_before_year(year) + day - 1;
	for (int i = 1; i < month; i++)
		t += month_days(year, i);
	t = t * 86400 + h * 3600 + m * 60 + sec - off;
	if (t < 0)
		*out = WALL_ZERO;
	else if (__builtin_mul_overflow(t, NS_PER_S, &t) ||
		 __builtin_add_overflow(t, (int64_t)frac, &t))
		*out = (wall_t){ INT64_MAX };
	else
		*out = (wall_t){ t };
	return true;
}

const char *wall_text(wall_t t, char out[static WALL_TEXT])
{
	int64_t s = t.ns / NS_PER_S, days = s / 86400;
	int ns = (int)(t.ns % NS_PER_S), day_s = (int)(s % 86400), year, month = 1, n;

	if (t.ns <= 0) {
		snprintf(out, WALL_TEXT, "0001-01-01T00:00:00Z");
		return out;
	}
	year = 1970 + (int)(days / 366);
	while (days_before_year(year + 1) <= days)
		year++;
	days -= days_before_year(year);
	while (days >= month_days(year, month))
		days -= month_days(year, month++);
	n = snprintf(out, WALL_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d", year % 10000, month,
		     (int)days + 1, day_s / 3600, day_s / 60 % 60, day_s % 60);
	if (ns > 0) {
		n += snprintf(out + n, (size_t)(WALL_TEXT - n), ".%09d", ns);
		while (out[n - 1] == '0')
			n--;
	}
	out[n] = 'Z';
	out[n + 1] = 0;
	return out;
}

static int64_t unit_ns(const uint8_t *p, size_t n)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "\xc2\xb5s", 1000 },
		{ "\xce\xbcs", 1000 },
		{ "ms", 1000000 },
		{ "s", NS_PER_S },
		{ "m", 60 * NS_PER_S },
		{ "h", 3600 * NS_PER_S },
	};

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (bytes_eq_str(bytes_of(p, n), units[i].name))
			return units[i].ns;
	return 0;
}

/* one "1.5h" from *pp; false: malformed or too much */
static bool span_piece(const uint8_t **pp, const uint8_t *end, int64_t *ns)
{
	const uint8_t *p = *pp, *start;
	int64_t whole = 0, frac = 0, scale = 1, unit;
	bool digits = false;

	for (; p < end && *p >= '0' && *p <= '9'; p++, digits = true)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, *p - '0', &whole))
			return false;
	if (p < end && *p == '.')
		for (p++; p < end && *p >= '0' && *p <= '9'; p++, digits = true)
			if (scale < NS_PER_S) { /* nine digits; the rest is dropped */
				frac = frac * 10 + (*p - '0');
				scale *= 10;
			}
	start = p;
	while (p < end && *p != '.' && !(*p >= '0' && *p <= '9'))
		p++;
	unit = unit_ns(start, (size_t)(p - start));
	if (!digits || unit == 0 || __builtin_mul_overflow(whole, unit, &whole) ||
	    __builtin_add_overflow(whole, unit / scale * frac + unit % scale * frac / scale,
				   &whole))
		return false;
	*ns = whole;
	*pp = p;
	return true;
}

bool span_parse(struct bytes text, span_t *out)
{
	const uint8_t *p = text.data, *end;
	int64_t total = 0, ns;

	if (text.len == 0)
		return false;
	if (bytes_eq_str(text, "0")) {
		*out = SPAN_NS(0);
		return true;
	}
	for (end = p + text.len; p < end;)
		if (!span_piece(&p, end, &ns) || __builtin_add_overflow(total, ns, &total))
			return false;
	*out = SPAN_NS(total);
	return true;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

size_t text_edits(struct bytes a, struct bytes b)
{
	size_t row[TEXT_EDITS_MAX + 1]; /* to make the first j of b out of the first i of a */

	if (a.len > TEXT_EDITS_MAX || b.len > TEXT_EDITS_MAX)
		return MAX_OF(a.len, b.len);
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			const size_t change =
			    diagonal + (lower(a.data[i - 1]) != lower(b.data[j - 1]));

			diagonal = row[j];
			row[j] = MIN_OF(change, MIN_OF(row[j], row[j - 1]) + 1);
		}
	}
	return row[b.len];
}

const char *text_nearest(struct bytes what, const char *const *names, size_t n)
{
	const char *near = NULL;
	size_t best = TEXT_NEAREST_EDITS + 1;

	for (size_t i = 0; i < n; i++) {
		const size_t d = text_edits(what, bytes_str(names[i]));

		if (d < best && d < MIN_OF(what.len, strlen(names[i]))) { /* not all of it */
			best = d;
			near = names[i];
		}
	}
	return near;
}
