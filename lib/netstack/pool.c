/* netstack/pool.c - see pool.h */
#include "netstack/pool.h"

#include <stdlib.h>

#include "base/attr.h"

enum { SMALL_BYTES = 2 * (1024 + 4096) }; /* of pool_expect */

void pool_init(struct pool *p, size_t limit)
{
	*p = (struct pool){ .limit = limit, .trim_at = MONO_NEVER };
}

/* The largest go first. */
static void cut_waiting(struct pool *p, size_t bytes)
{
	for (int i = POOL_SIZES - 1; i >= 0; i--) {
		while (p->waiting[i] && p->waiting_bytes > bytes) {
			struct pool_block *b = p->waiting[i];

			p->waiting[i] = b->next;
			p->waiting_bytes -= pool_bytes((enum pool_size)i);
			p->freed += pool_bytes((enum pool_size)i);
			free(b);
		}
	}
}

void pool_fini(struct pool *p)
{
	cut_waiting(p, 0);
}

void *pool_get(struct pool *p, enum pool_size size)
{
	struct pool_block *b = p->waiting[size];
	size_t n = pool_bytes(size);

	if (n > p->limit - p->used)
		return NULL;
	if (b) {
		p->waiting[size] = b->next;
		p->waiting_bytes -= n;
	} else {
		cut_waiting(p, p->limit - p->used - n);
		b = malloc(n);
		if (!b)
			return NULL;
		p->n_malloc++;
	}
	p->used += n;
	if (p->used > p->peak)
		p->peak = p->used;
	p->touched = true;
	return b;
}

void pool_put(struct pool *p, enum pool_size size, void *block)
{
	struct pool_block *b = block;
	size_t n = pool_bytes(size);

	p->used -= n;
	p->touched = true;
	b->next = p->waiting[size];
	p->waiting[size] = b;
	p->waiting_bytes += n;
}

static bool add_waiting(struct pool *p, enum pool_size size)
{
	struct pool_block *b = NULL;

	if (pool_bytes(size) <= p->limit - p->used - p->waiting_bytes)
		b = malloc(pool_bytes(size));
	if (!b)
		return false;
	p->n_malloc++;
	b->next = p->waiting[size];
	p->waiting[size] = b;
	p->waiting_bytes += pool_bytes(size);
	return true;
}

void pool_expect(struct pool *p, size_t bytes)
{
	bool more = false;

	bytes = MIN_OF(bytes, p->limit / 2);
	bytes += -bytes % pool_bytes(POOL_16K); /* whole blocks */
	if (bytes > p->expected[0])
		p->expected[0] = bytes;
	while (p->used + p->waiting_bytes < bytes && add_waiting(p, POOL_16K))
		more = true;
	/* directories and holes: two of each kind at once are the most that a connection takes */
	for (int size = POOL_1K; more && size < POOL_16K; size++)
		for (int i = 0; i < 2; i++)
			(void)add_waiting(p, (enum pool_size)size);
}

mono_t pool_deadline(const struct pool *p)
{
	return p->waiting_bytes > 0 ? p->trim_at : MONO_NEVER;
}

/* Called every turn: cheap. The deadline moves with activity, but lazily, once per POOL_IDLE. */
void pool_tick(struct pool *p, mono_t now)
{
	size_t keep;

	if (mono_is_never(p->trim_at) && p->waiting_bytes > 0) {
		p->trim_at = mono_add(now, POOL_IDLE);
		p->touched = false;
	}
	if (!mono_due(p->trim_at, now))
		return;
	keep = MAX_OF(p->peak, MAX_OF(p->expected[0], p->expected[1]) + SMALL_BYTES);
	cut_waiting(p, p->touched && keep > p->used ? keep - p->used : 0);
	p->touched = false;
	p->peak = MAX_OF(p->used, p->peak - p->peak / 4);
	p->expected[1] = p->expected[0];
	p->expected[0] = 0;
	p->trim_at = mono_add(now, POOL_IDLE);
	if (p->waiting_bytes == 0) {
		p->expected[1] = 0;
		p->trim_at = MONO_NEVER;
		p->peak = p->used;
	}
}
