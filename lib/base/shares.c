/* base/shares.c - see shares.h */
#include "base/shares.h"

#include <assert.h>
#include <stdlib.h>

enum { BUCKETS_FIRST = 16 };

struct share {
	struct share *next;
	struct ip who;
	size_t n;
};

static size_t bucket(const struct shares *s, const struct ip *who)
{
	uint64_t x = s->seed;

	for (size_t i = 0; i < sizeof who->b; i++)
		x = (x ^ who->b[i]) * UINT64_C(0x100000001b3);
	return (size_t)(x ^ x >> 32) & (s->n_buckets - 1);
}

/* Where the share of that address hangs, or would. */
static struct share **find(const struct shares *s, const struct ip *who)
{
	struct share **at = &s->buckets[bucket(s, who)];

	while (*at && !ip_eq(&(*at)->who, who))
		at = &(*at)->next;
	return at;
}

static bool grow(struct shares *s)
{
	struct shares to = { .n_buckets = s->n_buckets ? 2 * s->n_buckets : BUCKETS_FIRST,
			     .n = s->n,
			     .seed = s->seed };

	to.buckets = calloc(to.n_buckets, sizeof(struct share *));
	if (!to.buckets)
		return false;
	for (size_t i = 0; i < s->n_buckets; i++)
		for (struct share *h = s->buckets[i], *next; h; h = next) {
			struct share **at = &to.buckets[bucket(&to, &h->who)];

			next = h->next;
			h->next = *at;
			*at = h;
		}
	free(s->buckets);
	*s = to;
	return true;
}

bool shares_take(struct shares *s, const struct ip *who)
{
	struct share **at;

	if (s->n == s->n_buckets && !grow(s) && s->n_buckets == 0)
		return false;
	at = find(s, who);
	if (!*at) {
		*at = calloc(1, sizeof **at);
		if (!*at)
			return false;
		(*at)->who = *who;
		s->n++;
	}
	(*at)->n++;
	return true;
}

void shares_give(struct shares *s, const struct ip *who)
{
	struct share **at = s->n_buckets > 0 ? find(s, who) : NULL, *h = at ? *at : NULL;

	assert(h);
	if (--h->n > 0)
		return;
	*at = h->next;
	free(h);
	if (--s->n == 0)
		shares_fini(s);
}

size_t shares_held(const struct shares *s, const struct ip *who)
{
	const struct share *h = s->n_buckets > 0 ? *find(s, who) : NULL;

	return h ? h->n : 0;
}

void shares_fini(struct shares *s)
{
	for (size_t i = 0; i < s->n_buckets; i++)
		while (s->buckets[i]) {
			struct share *h = s->buckets[i];

			s->buckets[i] = h->next;
			free(h);
		}
	free(s->buckets);
	*s = (struct shares){ .seed = s->seed };
}
