/* netstack/ranges.c - see ranges.h */
#include "netstack/ranges.h"

#include <string.h>

#include "netstack/seq.h"

static void release_when_empty(struct ranges *r, struct pool *p)
{
	if (r->n == 0 && r->v) {
		pool_put(p, POOL_4K, r->v);
		r->v = NULL;
	}
}

/* first range that ends at or behind seq */
static uint32_t find(const struct ranges *r, uint32_t seq)
{
	uint32_t lo = 0, hi = r->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (seq_lt(r->v[mid].end, seq))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool ranges_add(struct ranges *r, struct pool *p, uint32_t start, uint32_t end,
		struct tcp_sack *was, bool *dup)
{
	uint32_t i, j;

	if (!r->v) {
		r->v = pool_get(p, POOL_4K);
		if (!r->v)
			return false;
	}
	i = find(r, start);
	for (j = i; j < r->n && seq_leq(r->v[j].start, end); j++)
		;
	*dup = false;
	if (i == j) { /* touches none */
		if (r->n == RANGES_MAX)
			return false;
		memmove(r->v + i + 1, r->v + i, (r->n - i) * sizeof *r->v);
		r->v[i] = (struct range){ start, end, ++r->clock };
		r->n++;
	} else {
		*dup = j == i + 1 && seq_leq(r->v[i].start, start) && seq_leq(end, r->v[i].end);
		r->v[i].start = seq_min(r->v[i].start, start);
		r->v[i].end = seq_max(r->v[j - 1].end, end);
		r->v[i].touched = ++r->clock;
		memmove(r->v + i + 1, r->v + j, (r->n - j) * sizeof *r->v);
		r->n -= j - i - 1;
	}
	*was = (struct tcp_sack){ r->v[i].start, r->v[i].end };
	return true;
}

bool ranges_has(const struct ranges *r, uint32_t start, uint32_t end)
{
	uint32_t i = find(r, end);

	return i < r->n && seq_leq(r->v[i].start, start) && seq_lt(start, end);
}

void ranges_drop(struct ranges *r, struct pool *p, uint32_t seq)
{
	uint32_t n = 0;

	while (n < r->n && seq_leq(r->v[n].end, seq))
		n++;
	if (n > 0) {
		memmove(r->v, r->v + n, (r->n - n) * sizeof *r->v);
		r->n -= n;
	}
	if (r->n > 0 && seq_lt(r->v[0].start, seq))
		r->v[0].start = seq;
	release_when_empty(r, p);
}

void ranges_clear(struct ranges *r, struct pool *p)
{
	r->n = 0;
	release_when_empty(r, p);
}

size_t ranges_sack(const struct ranges *r, struct tcp_sack *v, size_t max)
{
	uint32_t below = UINT32_MAX;
	size_t n = 0;

	for (; n < max && n < r->n; n++) {
		const struct range *best = NULL;

		for (uint32_t i = 0; i < r->n; i++) {
			if (r->v[i].touched < below && (!best || r->v[i].touched > best->touched))
				best = &r->v[i];
		}
		if (!best)
			break;
		v[n] = (struct tcp_sack){ best->start, best->end };
		below = best->touched;
	}
	return n;
}
