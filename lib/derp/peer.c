/* derp/peer.c - node keys that the relay knows, and who has to be told when one goes
 *
 * The table is hashed by a random linear function of the key, so strangers cannot choose keys that
 * collide.
 */
#include "derp/server_priv.h"

#include "base/cursor.h"

#include <assert.h>
#include <stdlib.h>

bool peers_init(struct derp_server *s)
{
	s->n_buckets = 64;
	while (s->n_buckets < s->conf.max_conns * 2)
		s->n_buckets *= 2;
	s->peers = calloc(s->n_buckets, sizeof(struct peer *));
	s->edges = calloc(s->n_buckets, sizeof(struct edge *));
	rng_fill(s->conf.rng, s->hash_key, sizeof s->hash_key);
	return s->peers && s->edges;
}

void peers_fini(struct derp_server *s)
{
	for (size_t i = 0; s->peers && i < s->n_buckets; i++) {
		while (s->peers[i]) {
			struct peer *p = s->peers[i];

			s->peers[i] = p->hash_next;
			free(p);
		}
	}
	free(s->peers);
	free(s->edges);
}

static size_t bucket_of(const struct derp_server *s, const struct key_pub *key)
{
	struct rd r = rd_of(key->b, KEY_LEN);
	uint64_t h = 0;

	for (size_t i = 0; i < KEY_LEN / 4; i++)
		h += s->hash_key[i] * rd_be32(&r);
	return (size_t)(h >> 32) & (s->n_buckets - 1);
}

struct peer *peer_find(const struct derp_server *s, const struct key_pub *key)
{
	for (struct peer *p = s->peers[bucket_of(s, key)]; p; p = p->hash_next)
		if (key_eq(&p->key, key))
			return p;
	return NULL;
}

static struct peer *peer_add(struct derp_server *s, const struct key_pub *key)
{
	struct peer *p = peer_find(s, key), **bucket = &s->peers[bucket_of(s, key)];

	if (p)
		return p;
	/* mesh peers may tell of as many clients as they have: a relay of the same size each */
	if (s->n_peers >= s->conf.max_conns * (1 + DERP_LINKS_MAX))
		return NULL;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->key = *key;
	p->hash_next = *bucket;
	*bucket = p;
	s->n_peers++;
	return p;
}

/* --- edges --- */

static struct edge **edge_bucket(const struct derp_server *s, const struct peer *from,
				 const struct conn *to)
{
	uint64_t h = s->hash_key[0] * ((uintptr_t)from >> 4) + s->hash_key[1] * to->id.index;

	return &s->edges[(h >> 32) & (s->n_buckets - 1)];
}

void edge_note(struct derp_server *s, struct peer *from, struct conn *to)
{
	struct edge **bucket = edge_bucket(s, from, to), *e;

	for (e = *bucket; e; e = e->hash_next)
		if (e->from == from && e->to == to)
			return;
	if (to->n_edges >= EDGES_MAX || s->n_edges >= s->conf.max_conns * EDGES_PER_CONN)
		return;
	e = malloc(sizeof *e);
	if (!e)
		return;
	*e = (struct edge){ .from = from, .to = to, .hash_next = *bucket };
	*bucket = e;
	e->from_next = from->edges;
	e->from_link = &from->edges;
	if (e->from_next)
		e->from_next->from_link = &e->from_next;
	from->edges = e;
	e->to_next = to->edges;
	e->to_link = &to->edges;
	if (e->to_next)
		e->to_next->to_link = &e->to_next;
	to->edges = e;
	to->n_edges++;
	s->n_edges++;
}

static void edge_del(struct derp_server *s, struct edge *e)
{
	struct edge **link = edge_bucket(s, e->from, e->to);

	while (*link != e)
		link = &(*link)->hash_next;
	*link = e->hash_next;
	*e->from_link = e->from_next;
	if (e->from_next)
		e->from_next->from_link = e->from_link;
	*e->to_link = e->to_next;
	if (e->to_next)
		e->to_next->to_link = e->to_link;
	e->to->n_edges--;
	s->n_edges--;
	free(e);
}

void edges_drop(struct derp_server *s, struct conn *to)
{
	while (to->edges)
		edge_del(s, to->edges);
}

/* The key is nowhere any more: tell whom it sent to, forget it */
static void peer_drop_if_gone(struct derp_server *s, mono_t now, struct peer *p)
{
	struct peer **link = &s->peers[bucket_of(s, &p->key)];
	uint8_t body[KEY_LEN + 1];

	if (p->conns || p->links)
		return;
	memcpy(body, p->key.b, KEY_LEN);
	body[KEY_LEN] = DERP_GONE_DISCONNECTED;
	while (p->edges) {
		if (conn_control(s, now, p->edges->to, DERP_PEER_GONE, bytes_of(body, sizeof body)))
			s->stats.gone_disconnected++;
		edge_del(s, p->edges);
	}
	while (*link != p)
		link = &(*link)->hash_next;
	*link = p->hash_next;
	s->n_peers--;
	free(p);
}

/* --- conns of a key --- */

bool peer_join(struct derp_server *s, struct conn *c)
{
	struct peer *p = peer_add(s, &c->key);

	if (!p)
		return false;
	s->stats.clients += !p->conns;
	c->peer = p;
	c->peer_next = p->conns; /* the newest wrote last */
	p->conns = c;
	return true;
}

static void unchain(struct conn *c)
{
	struct conn **link = &c->peer->conns;

	while (*link != c)
		link = &(*link)->peer_next;
	*link = c->peer_next;
	c->peer_next = NULL;
}

void peer_leave(struct derp_server *s, mono_t now, struct conn *c)
{
	struct peer *p = c->peer;

	if (!p)
		return;
	unchain(c);
	c->peer = NULL;
	if (p->conns)
		return;
	s->stats.clients--;
	mesh_gone(s, now, &c->key);
	p = peer_find(s, &c->key); /* telling may have ended other conns */
	if (p)
		peer_drop_if_gone(s, now, p);
}

void peer_wrote(struct conn *c)
{
	if (c->peer->conns == c)
		return;
	unchain(c);
	c->peer_next = c->peer->conns;
	c->peer->conns = c;
}

/* --- keys behind mesh links --- */

void peer_link(struct derp_server *s, mono_t now, const struct key_pub *key, unsigned link,
	       bool is_present)
{
	struct peer *p = is_present ? peer_add(s, key) : peer_find(s, key);

	if (!p)
		return;
	if (is_present) {
		p->links |= 1U << link;
		return;
	}
	p->links &= ~(1U << link);
	peer_drop_if_gone(s, now, p);
}

void peer_unlink_all(struct derp_server *s, mono_t now, unsigned link)
{
	for (size_t i = 0; i < s->n_buckets; i++) {
		for (struct peer *p = s->peers[i], *next; p; p = next) {
			next = p->hash_next;
			p->links &= ~(1U << link);
			peer_drop_if_gone(s, now, p);
		}
	}
}
