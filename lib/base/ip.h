/* base/ip.h - addresses, address:port, prefixes, ranges, and their text forms
 *
 * One type for both families: 16 bytes, IPv4 as ::ffff:a.b.c.d. Prefix lengths count in the 128-bit
 * space (an IPv4 /24 has bits 120), so one comparison serves both. The zero value (::) with
 * ip_is_zero is "none". No zones.
 */
#ifndef BASE_IP_H
#define BASE_IP_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/bytes.h"

struct ip {
	uint8_t b[16];
};

struct ipport {
	struct ip ip;
	uint16_t port; /* host order */
};

struct ipprefix {
	struct ip ip; /* host bits zero */
	uint8_t bits; /* 0..128; IPv4: 96..128 */
};

struct iprange { /* inclusive, one family */
	struct ip first, last;
};

enum { IP_TEXT = 46, IPPORT_TEXT = 54, IPPREFIX_TEXT = 50 }; /* with NUL */

static inline bool ip_is_v4(const struct ip *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a->b, mapped, 12) == 0;
}

static inline bool ip_is_zero(const struct ip *a)
{
	static const uint8_t none[16];

	return memcmp(a->b, none, 16) == 0;
}

/* Addresses are stored and loaded in halves: a load of the whole waits, after stores of its parts,
 * until every store before them is done; for a packet those of its decryption. */
static inline uint64_t ip_half(const struct ip *a, size_t at)
{
	uint64_t v;

	memcpy(&v, a->b + at, sizeof v);
	return be64toh(v);
}

static inline bool ip_eq(const struct ip *a, const struct ip *b)
{
	return ip_half(a, 0) == ip_half(b, 0) && ip_half(a, 8) == ip_half(b, 8);
}

static inline bool ipport_eq(const struct ipport *a, const struct ipport *b)
{
	return a->port == b->port && ip_eq(&a->ip, &b->ip);
}

static inline int ip_cmp(const struct ip *a, const struct ip *b)
{
	uint64_t x = ip_half(a, 0), y = ip_half(b, 0);

	if (x == y) {
		x = ip_half(a, 8);
		y = ip_half(b, 8);
	}
	return (x > y) - (x < y);
}

struct ip ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
struct ip ip_from_v4(const uint8_t b[static 4]);
struct ip ip_from_v6(const uint8_t b[static 16]);

bool ip_is_loopback(const struct ip *a);
bool ip_is_link_local(const struct ip *a); /* unicast */
bool ip_is_multicast(const struct ip *a);
bool ip_is_private(const struct ip *a); /* RFC 1918, fc00::/7 */
bool ip_is_tailnet(
    const struct ip *a); /* 100.64.0.0/10 without 100.115.92.0/23, fd7a:115c:a1e0::/48 */
bool ip_is_unspecified(const struct ip *a); /* 0.0.0.0 or :: */

bool ipprefix_has(const struct ipprefix *p, const struct ip *a);
/* What lies in both: the narrower of two prefixes of one family. False: nothing does. */
bool ipprefix_common(const struct ipprefix *a, const struct ipprefix *b, struct ipprefix *out);
bool ipprefix_eq(const struct ipprefix *a, const struct ipprefix *b);
struct ipprefix ipprefix_of(const struct ip *a, uint8_t bits); /* masks host bits */
static inline bool ipprefix_is_single(const struct ipprefix *p)
{
	return p->bits == 128;
}

/* Text to value: strict, the whole text; false (out untouched) otherwise. */
MUST_USE bool ip_parse(struct bytes text,
		       struct ip *out); /* "100.64.0.1", "fd7a::1", "::ffff:1.2.3.4" */
MUST_USE bool ipport_parse(struct bytes text, struct ipport *out); /* "1.2.3.4:5", "[fe80::1]:5" */
MUST_USE bool
ipprefix_parse(struct bytes text,
	       struct ipprefix *out); /* "10.0.0.0/8"; host bits are cleared; no slash: single */
MUST_USE bool iprange_parse(struct bytes text,
			    struct iprange *out); /* "a-b", a prefix, or one address */

/* Value to text, shortest form (RFC 5952); out always NUL-terminated; return out. */
const char *ip_text(const struct ip *a, char out[static IP_TEXT]);
const char *ipport_text(const struct ipport *a, char out[static IPPORT_TEXT]);
const char *ipprefix_text(const struct ipprefix *p, char out[static IPPREFIX_TEXT]);

#endif
