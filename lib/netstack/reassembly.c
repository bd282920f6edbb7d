/* netstack/reassembly.c - see reassembly.h */
#include "netstack/reassembly.h"

#include <stdlib.h>

static void entry_free(struct reassembly *r, struct reassembly_entry *e, struct pool *p)
{
	chunkq_clear(&e->q, p);
	ranges_clear(&e->have, p);
	*e = (struct reassembly_entry){ 0 };
	r->n--;
}

void reassembly_fini(struct reassembly *r, struct pool *p)
{
	for (size_t i = 0; i < REASSEMBLY_MAX; i++) {
		if (r->v[i].is_used)
			entry_free(r, &r->v[i], p);
	}
	free(r->whole);
	r->whole = NULL;
}

static bool is_same(const struct reassembly_entry *e, const struct fragment *f)
{
	return e->is_used && e->id == f->id && e->proto == f->proto && ip_eq(&e->src, &f->src) &&
	       ip_eq(&e->dst, &f->dst);
}

/* How many would be of that source if f had a place */
static unsigned share(const struct reassembly *r, const struct fragment *f, const struct ip *src)
{
	unsigned n = ip_eq(src, &f->src);

	for (size_t i = 0; i < REASSEMBLY_MAX; i++)
		n += ip_eq(&r->v[i].src, src);
	return n;
}

/* All places are taken: the oldest of the source that has the most makes room. */
static struct reassembly_entry *victim(struct reassembly *r, const struct fragment *f)
{
	struct reassembly_entry *at = NULL;
	unsigned most = 0;

	for (size_t i = 0; i < REASSEMBLY_MAX; i++) {
		struct reassembly_entry *e = &r->v[i];
		const unsigned n = share(r, f, &e->src);

		if (n > most || (n == most && mono_before(e->expires, at->expires))) {
			at = e;
			most = n;
		}
	}
	return at;
}

/* The entry of f's datagram, or a new one. */
static struct reassembly_entry *entry_for(struct reassembly *r, struct pool *p, mono_t now,
					  const struct fragment *f, bool *evicted)
{
	struct reassembly_entry *at = NULL;

	for (size_t i = 0; i < REASSEMBLY_MAX; i++) {
		if (is_same(&r->v[i], f))
			return &r->v[i];
		if (!r->v[i].is_used)
			at = &r->v[i];
	}
	if (!at)
		at = victim(r, f);
	*evicted = at->is_used;
	if (at->is_used)
		entry_free(r, at, p);
	*at = (struct reassembly_entry){
		.is_used = true,
		.src = f->src,
		.dst = f->dst,
		.id = f->id,
		.proto = f->proto,
		.expires = mono_add(now, SPAN_S(REASSEMBLY_SECONDS)),
	};
	chunkq_init(&at->q);
	r->n++;
	return at;
}

static bool overlaps(const struct ranges *have, uint32_t start, uint32_t end)
{
	for (uint32_t i = 0; i < have->n; i++) {
		if (have->v[i].start < end && start < have->v[i].end)
			return true;
	}
	return false;
}

static bool is_inside(const struct ranges *have, uint32_t start, uint32_t end)
{
	for (uint32_t i = 0; i < have->n; i++) {
		if (have->v[i].start <= start && end <= have->v[i].end)
			return true;
	}
	return false;
}

static bool finish(struct reassembly *r, struct reassembly_entry *e, struct pool *p,
		   const uint8_t **out, size_t *len)
{
	free(r->whole);
	r->whole = malloc(e->total);
	if (!r->whole)
		return false;
	chunkq_read(&e->q, 0, r->whole, e->total);
	*out = r->whole;
	*len = e->total;
	entry_free(r, e, p);
	return true;
}

enum reassembly_result reassembly_add(struct reassembly *r, struct pool *p, mono_t now,
				      const struct fragment *f, const uint8_t **out, size_t *len)
{
	uint32_t end = f->off + f->len;
	bool evicted = false, dup;
	struct tcp_sack was;
	struct reassembly_entry *e;

	if (f->len == 0 || end > REASSEMBLY_LEN_MAX || (f->more && f->len % 8 != 0))
		return REASSEMBLY_REFUSED;
	e = entry_for(r, p, now, f, &evicted);
	if (e->is_spoilt)
		return REASSEMBLY_REFUSED;
	if (is_inside(&e->have, f->off, end))
		return REASSEMBLY_WAIT;
	if (overlaps(&e->have, f->off, end) || (e->total != 0 && end > e->total) ||
	    (!f->more && e->total != 0 && end != e->total) ||
	    (!f->more && e->have.n > 0 && e->have.v[e->have.n - 1].end > end)) {
		e->is_spoilt = true; /* RFC 5722 4: and what comes later of it, until it expires */
		chunkq_clear(&e->q, p);
		ranges_clear(&e->have, p);
		return REASSEMBLY_REFUSED;
	}
	if (!chunkq_need(&e->q, p, f->off, f->len) ||
	    !ranges_add(&e->have, p, f->off, end, &was, &dup)) {
		entry_free(r, e, p);
		return REASSEMBLY_REFUSED;
	}
	chunkq_write(&e->q, f->off, f->data, f->len);
	if (!f->more)
		e->total = end;
	if (e->total != 0 && e->have.n == 1 && e->have.v[0].start == 0 &&
	    e->have.v[0].end == e->total)
		return finish(r, e, p, out, len) ? REASSEMBLY_DONE : REASSEMBLY_REFUSED;
	return evicted ? REASSEMBLY_EVICTED : REASSEMBLY_WAIT;
}

mono_t reassembly_deadline(const struct reassembly *r)
{
	mono_t at = MONO_NEVER;

	for (size_t i = 0; i < REASSEMBLY_MAX && r->n > 0; i++) {
		if (r->v[i].is_used)
			at = mono_min(at, r->v[i].expires);
	}
	return at;
}

unsigned reassembly_tick(struct reassembly *r, struct pool *p, mono_t now)
{
	unsigned n = 0;

	if (r->n == 0)
		return 0;
	for (size_t i = 0; i < REASSEMBLY_MAX; i++) {
		if (r->v[i].is_used && mono_due(r->v[i].expires, now)) {
			entry_free(r, &r->v[i], p);
			n++;
		}
	}
	if (r->n == 0) {
		free(r->whole);
		r->whole = NULL;
	}
	return n;
}
