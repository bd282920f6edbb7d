/* path/candidate.c - the addresses where a peer may be, who named them, and how many we keep */
#include "path/path_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool cand_usable(const struct ipport *addr)
{
	const struct ip *a = &addr->ip;

	/* link-local: we have no zone; the others cannot be a peer */
	return addr->port != 0 && !ip_is_unspecified(a) && !ip_is_link_local(a) &&
	       !ip_is_multicast(a);
}

struct cand *cand_find(const struct live *l, const struct ipport *addr)
{
	for (size_t i = 0; i < l->n_cands; i++)
		if (ipport_eq(&l->cands[i].addr, addr))
			return &l->cands[i];
	return NULL;
}

static uint32_t addr_hash(const struct path *p, const struct ipport *addr)
{
	uint8_t key[DISCO_ENDPOINT_LEN];

	memcpy(key, addr->ip.b, sizeof addr->ip.b);
	memcpy(key + 16, &addr->port, 2);
	return lookup_hash(p->seed, key, sizeof key);
}

void cand_bind(struct path *p, mono_t now, struct live *l, struct cand *c)
{
	if (!c->bound && lookup_add(&p->by_addr, addr_hash(p, &c->addr), l->peer) < 0)
		return; /* only statistics suffer */
	c->bound = true;
	c->bound_at = now;
}

void cand_unbind(struct path *p, struct live *l, struct cand *c)
{
	if (c->bound)
		lookup_del(&p->by_addr, addr_hash(p, &c->addr), l->peer);
	c->bound = false;
}

static void cand_del(struct path *p, struct live *l, struct cand *c)
{
	cand_unbind(p, l, c);
	if (ipport_eq(&l->best.addr, &c->addr))
		live_doubt(p, l);
	*c = l->cands[--l->n_cands];
}

static bool is_recent(mono_t t, mono_t now)
{
	return mono_sub(now, t).ns <= SPAN_S(LEARNED_S).ns;
}

/* The best address stays while it answers, even when nobody names it any more. */
static bool is_in_use(const struct live *l, const struct cand *c, mono_t now)
{
	return ipport_eq(&l->best.addr, &c->addr) &&
	       (live_trusted(l, now) || is_recent(c->last_pong, now));
}

void cand_prune(struct path *p, mono_t now, struct live *l)
{
	for (size_t i = l->n_cands; i-- > 0;) {
		struct cand *c = &l->cands[i];

		c->learned = c->learned && is_recent(c->last_got_ping, now);
		if (!c->netmap && !c->called && !c->learned && !is_in_use(l, c, now))
			cand_del(p, l, c);
	}
}

/* The one we can best do without: not named by control, silent for longest. NULL: all are needed.
 */
static struct cand *least_useful(struct live *l, mono_t now, bool only_learned)
{
	struct cand *worst = NULL;
	mono_t worst_at = MONO_NEVER;

	for (size_t i = 0; i < l->n_cands; i++) {
		struct cand *c = &l->cands[i];
		mono_t at = mono_max(c->last_got_ping, c->last_pong);

		if (c->netmap || (only_learned && c->called) || is_in_use(l, c, now))
			continue;
		if (!worst || mono_before(at, worst_at)) {
			worst = c;
			worst_at = at;
		}
	}
	return worst;
}

static bool cand_room(struct path *p, mono_t now, struct live *l)
{
	size_t cap = l->cap_cands ? l->cap_cands * 2 : 4;
	struct cand *v;

	if (l->n_cands >= PATH_ENDPOINTS_MAX) {
		struct cand *worst = least_useful(l, now, false);

		if (worst)
			cand_del(p, l, worst);
		return worst;
	}
	if (l->n_cands < l->cap_cands)
		return true;
	cap = MIN_OF(cap, (size_t)PATH_ENDPOINTS_MAX);
	v = realloc(l->cands, cap * sizeof *v);
	if (!v)
		return false;
	l->cands = v;
	l->cap_cands = cap;
	return true;
}

struct cand *cand_add(struct path *p, mono_t now, struct live *l, const struct ipport *addr)
{
	struct cand *c = cand_find(l, addr);

	if (c || !cand_usable(addr))
		return c;
	if (!cand_room(p, now, l)) {
		path_drop(p, PATH_DROP_ENDPOINT_LIMIT);
		return NULL;
	}
	c = &l->cands[l->n_cands++];
	*c = (struct cand){ .addr = *addr,
			    .last_ping = LONG_AGO,
			    .last_got_ping = LONG_AGO,
			    .last_pong = LONG_AGO,
			    .bound_at = LONG_AGO };
	l->next_full = LONG_AGO; /* somebody new to ping */
	return c;
}

struct cand *cand_learn(struct path *p, mono_t now, struct live *l, const struct ipport *addr)
{
	struct cand *c = cand_find(l, addr);
	size_t n = 0;

	if (!c && cand_usable(addr)) {
		for (size_t i = 0; i < l->n_cands; i++)
			n += !l->cands[i].netmap && !l->cands[i].called;
		if (n >= LEARNED_MAX) { /* the oldest makes room: it may be a NAT that gives new
					   ports all the time */
			struct cand *worst = least_useful(l, now, true);

			path_drop(p, PATH_DROP_ENDPOINT_LIMIT);
			if (!worst)
				return NULL;
			cand_del(p, l, worst);
		}
		c = cand_add(p, now, l, addr);
	}
	if (c) {
		c->learned = true;
		c->last_got_ping = now;
	}
	return c;
}

void cand_netmap(struct path *p, mono_t now, struct live *l, const struct ipport *v, size_t n)
{
	for (size_t i = 0; i < l->n_cands; i++)
		l->cands[i].netmap = false;
	for (size_t i = 0; i < n; i++) {
		struct cand *c = cand_find(l, &v[i]);

		if (c)
			c->netmap = true;
	}
	cand_prune(p, now, l);
	for (size_t i = 0; i < n; i++) {
		struct cand *c = cand_add(p, now, l, &v[i]);

		if (c)
			c->netmap = true;
	}
}

bool path_peer_at(const struct path *p, const struct ipport *from, uint32_t *peer)
{
	uint32_t hash = addr_hash(p, from), id;
	size_t pos = LOOKUP_START;
	mono_t newest = LONG_AGO;
	bool found = false;

	while (lookup_next(&p->by_addr, hash, &pos, &id)) {
		const struct cand *c = cand_find(p->peers[id].live, from);

		if (c && c->bound && (!found || mono_before(newest, c->bound_at))) {
			newest = c->bound_at;
			*peer = id;
			found = true;
		}
	}
	return found;
}

void path_send_failed(struct path *p, mono_t now, const struct ipport *to)
{
	uint32_t hash = addr_hash(p, to), ids[SHARED_DISCO_MAX], id;
	size_t pos = LOOKUP_START, n = 0;

	while (n < ARRAY_LEN(ids) && lookup_next(&p->by_addr, hash, &pos, &id))
		ids[n++] = id;
	for (size_t i = 0; i < n; i++) {
		struct live *l = p->peers[ids[i]].live;
		struct cand *c = cand_find(l, to);

		if (!c)
			continue;
		cand_unbind(p, l, c);
		c->last_pong = LONG_AGO;
		if (ipport_eq(&l->best.addr, to))
			live_doubt(p, l);
		/* the others may be tried at once; this one keeps its gap, or each packet would
		 * ping it again */
		c->last_ping = mono_max(c->last_ping, now);
		l->next_full = LONG_AGO;
		live_rearm(p, now, l);
	}
}
