/* base/ip.c - see ip.h */
#include "base/ip.h"

#include <endian.h>
#include <stdio.h>

#include "base/text.h"

enum { V4_BITS = 96 }; /* of the mapped prefix */

struct ip ip_from_v4(const uint8_t b[static 4])
{
	uint64_t half[2] = { 0 };
	uint32_t v4;
	struct ip a;

	memcpy(&v4, b, sizeof v4);
	half[1] = htobe64(UINT64_C(0xffff) << 32 | be32toh(v4));
	memcpy(a.b, half, sizeof a.b);
	return a;
}

struct ip ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return ip_from_v4((const uint8_t[4]){ a, b, c, d });
}

struct ip ip_from_v6(const uint8_t b[static 16])
{
	struct ip a;

	memcpy(a.b, b, 16);
	return a;
}

/* --- what kind of address --- */

bool ip_is_loopback(const struct ip *a)
{
	static const struct ip one = { { [15] = 1 } };

	return ip_is_v4(a) ? a->b[12] == 127 : ip_eq(a, &one);
}

bool ip_is_link_local(const struct ip *a)
{
	if (ip_is_v4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool ip_is_multicast(const struct ip *a)
{
	return ip_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

bool ip_is_private(const struct ip *a)
{
	const uint8_t *v4 = a->b + 12;

	if (!ip_is_v4(a))
		return (a->b[0] & 0xfe) == 0xfc;
	return v4[0] == 10 || (v4[0] == 172 && (v4[1] & 0xf0) == 16) ||
	       (v4[0] == 192 && v4[1] == 168);
}

bool ip_is_tailnet(const struct ip *a)
{
	static const uint8_t ula[6] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 };
	const uint8_t *v4 = a->b + 12;

	if (!ip_is_v4(a))
		return memcmp(a->b, ula, sizeof ula) == 0;
	if (v4[0] != 100 || (v4[1] & 0xc0) != 64)
		return false;
	return !(v4[1] == 115 && (v4[2] & 0xfe) == 92); /* 100.115.92.0/23 is ChromeOS's */
}

bool ip_is_unspecified(const struct ip *a)
{
	static const struct ip v4 = { { [10] = 0xff, [11] = 0xff } };

	return ip_is_zero(a) || ip_eq(a, &v4);
}

/* --- prefixes --- */

static struct ip mask_ip(const struct ip *a, unsigned bits,
			 uint8_t fill) /* host bits become those of fill */
{
	struct ip r = *a;

	for (unsigned i = bits / 8; i < 16; i++) {
		uint8_t keep = (uint8_t)(i == bits / 8 ? 0xff00U >> (bits % 8) : 0);

		r.b[i] = (uint8_t)((r.b[i] & keep) | (fill & (uint8_t)~keep));
	}
	return r;
}

struct ipprefix ipprefix_of(const struct ip *a, uint8_t bits)
{
	if (bits > 128)
		bits = 128;
	return (struct ipprefix){ mask_ip(a, bits, 0), bits };
}

bool ipprefix_has(const struct ipprefix *p, const struct ip *a)
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	if (p->bits < V4_BITS && ip_is_v4(a)) /* ::/0 does not hold IPv4 */
		return false;
	if (whole > 0 && memcmp(p->ip.b, a->b, whole) != 0)
		return false;
	return rest == 0 || ((p->ip.b[whole] ^ a->b[whole]) >> (8 - rest)) == 0;
}

bool ipprefix_common(const struct ipprefix *a, const struct ipprefix *b, struct ipprefix *out)
{
	const struct ipprefix *wide = a->bits < b->bits ? a : b, *narrow = wide == a ? b : a;

	if (ip_is_v4(&a->ip) != ip_is_v4(&b->ip) || !ipprefix_has(wide, &narrow->ip))
		return false;
	*out = *narrow;
	return true;
}

bool ipprefix_eq(const struct ipprefix *a, const struct ipprefix *b)
{
	return a->bits == b->bits && ip_eq(&a->ip, &b->ip);
}

/* --- text to value --- */

/* decimal without leading zeros, at most max */
static bool parse_dec(const uint8_t *s, size_t n, unsigned max, unsigned *out)
{
	unsigned v = 0;

	if (n == 0 || n > 5 || (n > 1 && s[0] == '0'))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

static bool parse_v4(const uint8_t *s, size_t n, uint8_t out[static 4])
{
	size_t at = 0;

	for (int i = 0; i < 4; i++) {
		size_t end = at;
		unsigned v;

		while (end < n && s[end] != '.')
			end++;
		if ((end < n) != (i < 3) || !parse_dec(s + at, end - at, 255, &v))
			return false;
		out[i] = (uint8_t)v;
		at = end + 1;
	}
	return true;
}

/* one group of up to four hex digits from *at; *at moves behind it */
static bool parse_group(const uint8_t *s, size_t n, size_t *at, uint8_t out[static 2])
{
	unsigned v = 0;
	size_t i = *at;

	while (i < n && hex_value(s[i]) >= 0) {
		if (i - *at == 4)
			return false;
		v = v << 4 | (unsigned)hex_value(s[i++]);
	}
	if (i == *at)
		return false;
	*at = i;
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
	return true;
}

static bool parse_v6(const uint8_t *s, size_t n, uint8_t out[static 16])
{
	uint8_t b[16] = { 0 };
	size_t at = 0, len = 0, gap = SIZE_MAX;

	if (n >= 2 && s[0] == ':' && s[1] == ':') {
		gap = 0;
		at = 2;
	}
	while (at < n) {
		if (len > 0 && gap != len) { /* a colon stands between groups */
			if (s[at++] != ':' || at == n)
				return false;
			if (s[at] == ':') {
				if (gap != SIZE_MAX)
					return false;
				gap = len;
				at++;
				continue;
			}
		}
		if (len > 14)
			return false;
		if (len <= 12 && memchr(s + at, '.', n - at) && !memchr(s + at, ':', n - at)) {
			if (!parse_v4(s + at, n - at, b + len))
				return false;
			len += 4;
			break;
		}
		if (!parse_group(s, n, &at, b + len))
			return false;
		len += 2;
	}
	if (gap == SIZE_MAX ? len != 16 : len > 14)
		return false;
	memset(out, 0, 16);
	if (gap == SIZE_MAX)
		gap = len;
	memcpy(out, b, gap);
	memcpy(out + 16 - (len - gap), b + gap, len - gap);
	return true;
}

bool ip_parse(struct bytes text, struct ip *out)
{
	uint8_t b[16];

	if (text.len == 0 || text.len >= IP_TEXT)
		return false;
	if (memchr(text.data, ':', text.len)) {
		if (!parse_v6(text.data, text.len, b))
			return false;
		*out = ip_from_v6(b);
		return true;
	}
	if (!parse_v4(text.data, text.len, b))
		return false;
	*out = ip_from_v4(b);
	return true;
}

bool ipport_parse(struct bytes text, struct ipport *out)
{
	const uint8_t *colon;
	struct bytes host, port;
	struct ip ip;
	unsigned v;
	bool bracketed;

	if (text.len == 0)
		return false;
	colon = memrchr(text.data, ':', text.len);
	if (!colon)
		return false;
	host = bytes_of(text.data, (size_t)(colon - text.data));
	port = bytes_of(colon + 1, text.len - host.len - 1);
	bracketed = host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
	if (bracketed)
		host = bytes_of(host.data + 1, host.len - 2);
	/* brackets exactly around what has colons */
	if (!ip_parse(host, &ip) || bracketed != (memchr(host.data, ':', host.len) != NULL))
		return false;
	if (!parse_dec(port.data, port.len, 65535, &v))
		return false;
	*out = (struct ipport){ ip, (uint16_t)v };
	return true;
}

bool ipprefix_parse(struct bytes text, struct ipprefix *out)
{
	const uint8_t *slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
	size_t n = slash ? (size_t)(slash - text.data) : text.len;
	unsigned bits = 128, base;
	struct ip ip;

	if (!ip_parse(bytes_of(text.data, n), &ip))
		return false;
	base = memchr(text.data, ':', n) ? 0 : V4_BITS;
	if (slash) {
		if (!parse_dec(slash + 1, text.len - n - 1, 128 - base, &bits))
			return false;
		bits += base;
	}
	if (bits < V4_BITS && ip_is_v4(&ip)) /* ::ffff:0:0/80 would hold both families */
		return false;
	*out = ipprefix_of(&ip, (uint8_t)bits);
	return true;
}

bool iprange_parse(struct bytes text, struct iprange *out)
{
	const uint8_t *dash = text.len > 0 ? memchr(text.data, '-', text.len) : NULL;
	struct ipprefix p;
	struct iprange r;

	if (dash) {
		size_t n = (size_t)(dash - text.data);

		if (!ip_parse(bytes_of(text.data, n), &r.first) ||
		    !ip_parse(bytes_of(dash + 1, text.len - n - 1), &r.last))
			return false;
		if (ip_is_v4(&r.first) != ip_is_v4(&r.last) || ip_cmp(&r.first, &r.last) > 0)
			return false;
		*out = r;
		return true;
	}
	if (!ipprefix_parse(text, &p))
		return false;
	*out = (struct iprange){ p.ip, mask_ip(&p.ip, p.bits, 0xff) };
	return true;
}

/* --- value to text --- */

static char *put_dec(char *p, unsigned v) /* below 1000 */
{
	if (v >= 100)
		*p++ = (char)('0' + v / 100);
	if (v >= 10)
		*p++ = (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

static char *put_v4(char *p, const uint8_t *b)
{
	for (int i = 0; i < 4; i++) {
		if (i > 0)
			*p++ = '.';
		p = put_dec(p, b[i]);
	}
	return p;
}

/* the longest run of at least two zero groups, the first of equals (RFC 5952 4.2) */
static int zero_run(const uint8_t *b, int *len)
{
	int best = -1, best_len = 1;

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && b[2 * (i + n)] == 0 && b[2 * (i + n) + 1] == 0)
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
		i += n;
	}
	*len = best < 0 ? 0 : best_len;
	return best;
}

static char *put_v6(char *p, const uint8_t *b)
{
	static const char digits[] = "0123456789abcdef";
	int run_len, run = zero_run(b, &run_len);

	for (int i = 0; i < 8; i++) {
		unsigned v = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
		bool started = false;

		if (i == run) {
			*p++ = ':';
			*p++ = ':';
			i += run_len - 1;
			continue;
		}
		if (i > 0 && i != run + run_len)
			*p++ = ':';
		for (int shift = 12; shift >= 0; shift -= 4) {
			unsigned d = v >> shift & 15;

			if (d == 0 && !started && shift > 0)
				continue;
			started = true;
			*p++ = digits[d];
		}
	}
	return p;
}

static char *put_ip(char *p, const struct ip *a)
{
	return ip_is_v4(a) ? put_v4(p, a->b + 12) : put_v6(p, a->b);
}

const char *ip_text(const struct ip *a, char out[static IP_TEXT])
{
	*put_ip(out, a) = 0;
	return out;
}

const char *ipport_text(const struct ipport *a, char out[static IPPORT_TEXT])
{
	char *p = out;
	bool v4 = ip_is_v4(&a->ip);

	if (!v4)
		*p++ = '[';
	p = put_ip(p, &a->ip);
	if (!v4)
		*p++ = ']';
	snprintf(p, (size_t)(out + IPPORT_TEXT - p), ":%u", (unsigned)a->port);
	return out;
}

const char *ipprefix_text(const struct ipprefix *p, char out[static IPPREFIX_TEXT])
{
	char *end = put_ip(out, &p->ip);
	unsigned base = ip_is_v4(&p->ip) && p->bits >= V4_BITS ? V4_BITS : 0;

	*end++ = '/';
	*put_dec(end, p->bits - base) = 0;
	return out;
}
