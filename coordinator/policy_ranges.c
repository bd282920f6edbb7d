/* coordinator/policy_ranges.c - sets of addresses as sorted ranges
 *
 * IPv4 lies within the numbers of IPv6, yet not in its ranges: ::/0 is all of IPv6 and nothing of
 * IPv4. A range is of the family of its first address.
 */
#include <stdlib.h>
#include <string.h>

#include "coordinator/policy_priv.h"

struct iprange range_of(const struct ipprefix *p)
{
	struct iprange r = { p->ip, p->ip };

	for (unsigned bit = p->bits; bit < 128; bit++)
		r.last.b[bit / 8] |= (uint8_t)(0x80U >> (bit % 8));
	return r;
}

bool ipranges_add(struct ipranges *r, const struct iprange *one)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 8;
		struct iprange *v =
		    r->n < POLICY_RANGES_MAX ? realloc(r->v, cap * sizeof *v) : NULL;

		if (!v)
			return false;
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = *one;
	return true;
}

bool ipranges_add_ip(struct ipranges *r, const struct ip *a)
{
	const struct iprange one = { *a, *a };

	return ip_is_zero(a) || ipranges_add(r, &one);
}

bool ipranges_add_prefix(struct ipranges *r, const struct ipprefix *p)
{
	const struct iprange one = range_of(p);

	return ipranges_add(r, &one);
}

bool ipranges_add_node(struct ipranges *r, const struct policy_node *n)
{
	return ipranges_add_ip(r, &n->v4) && ipranges_add_ip(r, &n->v6);
}

static bool same_family(const struct iprange *a, const struct iprange *b)
{
	return ip_is_v4(&a->first) == ip_is_v4(&b->first);
}

static int by_first(const void *a, const void *b)
{
	const struct iprange *x = a, *y = b;

	return same_family(x, y) ? ip_cmp(&x->first, &y->first) : ip_is_v4(&y->first) ? 1 : -1;
}

/* b, which does not begin before a, begins in it or right behind: they join */
static bool touches(const struct iprange *a, const struct iprange *b)
{
	struct ip next = a->last;

	if (!same_family(a, b))
		return false;
	if (ip_cmp(&b->first, &a->last) <= 0)
		return true;
	for (int i = 15; i >= 0; i--)
		if (++next.b[i] != 0)
			break;
	return ip_eq(&next, &b->first);
}

void ipranges_merge(struct ipranges *r)
{
	size_t k = 0;

	if (r->n == 0)
		return;
	qsort(r->v, r->n, sizeof *r->v, by_first);
	for (size_t i = 1; i < r->n; i++) {
		if (!touches(&r->v[k], &r->v[i]))
			r->v[++k] = r->v[i];
		else if (ip_cmp(&r->v[i].last, &r->v[k].last) > 0)
			r->v[k].last = r->v[i].last;
	}
	r->n = k + 1;
}

bool ipranges_overlap(const struct ipranges *r, const struct iprange *one)
{
	for (size_t i = 0; i < r->n; i++)
		if (same_family(&r->v[i], one) && ip_cmp(&r->v[i].first, &one->last) <= 0 &&
		    ip_cmp(&one->first, &r->v[i].last) <= 0)
			return true;
	return false;
}

bool prefixes_overlap(const struct ipprefix *a, const struct ipprefix *b)
{
	return a->bits <= b->bits ? ipprefix_has(a, &b->ip) : ipprefix_has(b, &a->ip);
}

/* the prefix length when the range is exactly one prefix, else -1 */
static int as_prefix(const struct iprange *r)
{
	int bits = 0;

	while (bits < 128 && !((r->first.b[bits / 8] ^ r->last.b[bits / 8]) >> (7 - bits % 8) & 1))
		bits = r->first.b[bits / 8] == r->last.b[bits / 8] ? (bits / 8 + 1) * 8 : bits + 1;
	for (int i = bits; i < 128; i++)
		if ((r->first.b[i / 8] >> (7 - i % 8) & 1) ||
		    !(r->last.b[i / 8] >> (7 - i % 8) & 1))
			return -1;
	return bits;
}

bool ipranges_emit(const struct ipranges *r, struct jsonw *w)
{
	for (size_t i = 0; i < r->n; i++) {
		char first[IP_TEXT], last[IP_TEXT], text[2 * IP_TEXT + 4];
		int bits = as_prefix(&r->v[i]);
		struct ipprefix p;

		if (bits == 128) {
			jsonw_str(w, ip_text(&r->v[i].first, first));
		} else if (bits >= 0) {
			p = ipprefix_of(&r->v[i].first, (uint8_t)bits);
			jsonw_str(w, ipprefix_text(&p, text));
		} else {
			struct buf b;

			buf_init(&b, sizeof text);
			if (!buf_printf(&b, "%s-%s", ip_text(&r->v[i].first, first),
					ip_text(&r->v[i].last, last)))
				w->failed = true;
			jsonw_strn(w, buf_bytes(&b));
			buf_fini(&b);
		}
	}
	return jsonw_ok(w);
}

void ipranges_free(struct ipranges *r)
{
	free(r->v);
	*r = (struct ipranges){ 0 };
}
