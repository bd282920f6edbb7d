/* netstack/conn_table.c - see conn_table.h */
#include "netstack/conn_table.h"

#include <stdlib.h>

#include "netstack/tcp_conn.h"

enum { FIRST_SLOTS = 16, NO_SLOT = UINT32_MAX };

void conn_table_fini(struct conn_table *t)
{
	free(t->slots);
	free(t->buckets);
	*t = (struct conn_table){ 0 };
}

static uint32_t hash_of(const uint8_t *key, const struct ipport *local, const struct ipport *remote)
{
	uint8_t b[36];

	memcpy(b, local->ip.b, 16);
	memcpy(b + 16, remote->ip.b, 16);
	memcpy(b + 32, &local->port, 2);
	memcpy(b + 34, &remote->port, 2);
	return (uint32_t)siphash(key, b, sizeof b);
}

/* Slots and buckets double together: the load stays at or below one. */
static bool grow(struct conn_table *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : FIRST_SLOTS;
	struct conn_slot *slots = reallocarray(t->slots, cap, sizeof *slots);
	struct tcp_conn **buckets;

	if (!slots)
		return false;
	t->slots = slots;
	buckets = calloc(cap, sizeof(struct tcp_conn *));
	if (!buckets)
		return false;
	for (uint32_t i = 0; i < t->cap; i++) {
		struct tcp_conn *c = slots[i].conn;

		c->hash_next = buckets[c->hash & (cap - 1)];
		buckets[c->hash & (cap - 1)] = c;
	}
	free(t->buckets);
	t->buckets = buckets;
	t->first_free = t->cap;
	for (uint32_t i = t->cap; i < cap; i++)
		slots[i] = (struct conn_slot){ .generation = 1,
					       .next_free = i + 1 < cap ? i + 1 : NO_SLOT };
	t->cap = t->n_buckets = cap;
	return true;
}

bool conn_table_add(struct conn_table *t, const uint8_t key[static SIPHASH_KEY_LEN],
		    struct tcp_conn *c)
{
	struct conn_slot *s;

	if (t->n == t->cap && !grow(t))
		return false;
	c->index = t->first_free;
	s = &t->slots[c->index];
	t->first_free = s->next_free;
	s->conn = c;
	c->hash = hash_of(key, &c->local, &c->remote);
	c->hash_next = t->buckets[c->hash & (t->n_buckets - 1)];
	t->buckets[c->hash & (t->n_buckets - 1)] = c;
	t->n++;
	return true;
}

void conn_table_unname(struct conn_table *t, struct tcp_conn *c)
{
	struct conn_slot *s = &t->slots[c->index];

	if (++s->generation == 0)
		s->generation = 1;
}

void conn_table_del(struct conn_table *t, struct tcp_conn *c)
{
	struct tcp_conn **at = &t->buckets[c->hash & (t->n_buckets - 1)];
	struct conn_slot *s = &t->slots[c->index];

	while (*at != c)
		at = &(*at)->hash_next;
	*at = c->hash_next;
	conn_table_unname(t, c);
	s->conn = NULL;
	s->next_free = t->first_free;
	t->first_free = c->index;
	t->n--;
}

struct tcp_conn *conn_table_find(const struct conn_table *t,
				 const uint8_t key[static SIPHASH_KEY_LEN],
				 const struct ipport *local, const struct ipport *remote)
{
	uint32_t hash;
	struct tcp_conn *c;

	if (t->n == 0)
		return NULL;
	hash = hash_of(key, local, remote);
	c = t->buckets[hash & (t->n_buckets - 1)];
	while (c && !(c->hash == hash && c->state != TCP_CLOSED && ipport_eq(&c->remote, remote) &&
		      ipport_eq(&c->local, local)))
		c = c->hash_next;
	return c;
}

struct tcp_conn *conn_table_get(const struct conn_table *t, uint32_t index, uint32_t generation)
{
	if (index >= t->cap || t->slots[index].generation != generation)
		return NULL;
	return t->slots[index].conn;
}
