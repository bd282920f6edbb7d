/* coordinator/slots.c - the nodes there are: places in one array, found by id, keys, label and
 * address
 *
 * A slot keeps its number for life; streams and the policy speak of nodes by it. A dead node is not
 * found any more but keeps slot and addresses until every stream has been told.
 */
#include <stdlib.h>
#include <string.h>

#include "coordinator/tailnet_priv.h"
#include "crypto/siphash.h"

uint64_t tailnet_hash(const struct tailnet *t, const void *data, size_t len)
{
	return siphash(t->hash_key, data, len);
}

static uint64_t hash_id(const struct tailnet *t, int64_t id)
{
	return tailnet_hash(t, &id, sizeof id);
}

static uint64_t hash_key(const struct tailnet *t, const struct key_pub *k)
{
	return tailnet_hash(t, k, sizeof *k);
}

static uint64_t hash_ip(const struct tailnet *t, const struct ip *a)
{
	return tailnet_hash(t, a->b, sizeof a->b);
}

static uint64_t hash_label(const struct tailnet *t, const char *label)
{
	return tailnet_hash(t, label, strlen(label));
}

/* --- finding --- */

struct tnode *node_slot(struct tailnet *t, int64_t id)
{
	uint64_t h = hash_id(t, id);
	uint32_t i;

	for (size_t at = 0; index_next(&t->by_id, h, &at, &i);)
		if (t->nodes[i].pub.id == id)
			return &t->nodes[i];
	return NULL;
}

static uint32_t slot_by_key(const struct tailnet *t, const struct key_pub *node)
{
	uint64_t h = hash_key(t, node);
	uint32_t i;

	for (size_t at = 0; index_next(&t->by_key, h, &at, &i);)
		if (key_eq(&t->nodes[i].pub.node, node))
			return i;
	return NO_INDEX;
}

struct tnode *node_by_key(struct tailnet *t, const struct key_pub *node)
{
	uint32_t i = slot_by_key(t, node);

	return i == NO_INDEX ? NULL : &t->nodes[i];
}

/* control-protocol.md 3.3: a node is its machine key and its owner */
struct tnode *node_by_machine(struct tailnet *t, const struct key_pub *machine, int64_t owner,
			      bool tagged)
{
	uint64_t h = hash_key(t, machine);
	struct tnode *found = NULL;
	uint32_t i;

	for (size_t at = 0; index_next(&t->by_machine, h, &at, &i);) {
		struct tnode *n = &t->nodes[i];

		if (key_eq(&n->pub.machine, machine) && (n->pub.n_tags > 0) == tagged &&
		    (tagged || n->pub.user == owner) && (!found || n->pub.id < found->pub.id))
			found = n;
	}
	return found;
}

bool machine_has_node(const struct tailnet *t, const struct key_pub *machine)
{
	uint64_t h = hash_key(t, machine);
	uint32_t i;

	for (size_t at = 0; index_next(&t->by_machine, h, &at, &i);)
		if (key_eq(&t->nodes[i].pub.machine, machine))
			return true;
	return false;
}

const struct tailnet_node *tailnet_node(const struct tailnet *t, int64_t id)
{
	uint64_t h = hash_id(t, id);
	uint32_t i;

	for (size_t at = 0; index_next(&t->by_id, h, &at, &i);)
		if (t->nodes[i].pub.id == id)
			return &t->nodes[i].pub;
	return NULL;
}

const struct tailnet_node *tailnet_node_by_key(const struct tailnet *t, const struct key_pub *node)
{
	uint32_t i = slot_by_key(t, node);

	return i == NO_INDEX ? NULL : &t->nodes[i].pub;
}

const struct tailnet_node *tailnet_node_each(const struct tailnet *t, size_t *cursor)
{
	while (*cursor < t->n_slots) {
		const struct tnode *n = &t->nodes[(*cursor)++];

		if (n->used && !n->dead)
			return &n->pub;
	}
	return NULL;
}

const struct tailnet_node *tailnet_node_at(const struct tailnet *t, size_t i)
{
	const struct tailnet_node *n;
	size_t cursor = 0;

	if (t->n_nodes == t->n_slots)
		cursor = i, i = 0; /* none is missing */
	while ((n = tailnet_node_each(t, &cursor)) && i-- > 0)
		;
	return n;
}

bool label_taken(const struct tailnet *t, const struct tnode *self, const char *label)
{
	uint64_t h = hash_label(t, label);
	uint32_t i;

	for (size_t at = 0; index_next(&t->by_label, h, &at, &i);)
		if (&t->nodes[i] != self && strcmp(t->nodes[i].pub.given, label) == 0)
			return true;
	return false;
}

bool address_taken(const struct tailnet *t, const struct ip *a)
{
	uint64_t h = hash_ip(t, a);
	uint32_t i;

	for (size_t at = 0; index_next(&t->by_address, h, &at, &i);)
		if (ip_eq(&t->nodes[i].pub.v4, a) || ip_eq(&t->nodes[i].pub.v6, a))
			return true;
	return false;
}

/* --- changing what it is found by --- */

void slot_set_key(struct tailnet *t, struct tnode *n, const struct key_pub *key)
{
	if (!key_is_zero(&n->pub.node))
		index_del(&t->by_key, hash_key(t, &n->pub.node), slot_of(t, n));
	n->pub.node = *key;
	index_add(&t->by_key, hash_key(t, key), slot_of(t, n));
}

void slot_set_label(struct tailnet *t, struct tnode *n, const char *label)
{
	char copy[TAILNET_LABEL_MAX];

	bytes_to_str(bytes_str(label), copy, sizeof copy);
	if (n->pub.given[0])
		index_del(&t->by_label, hash_label(t, n->pub.given), slot_of(t, n));
	memcpy(n->pub.given, copy, sizeof copy);
	if (copy[0])
		index_add(&t->by_label, hash_label(t, copy), slot_of(t, n));
}

static void forget_addresses(struct tailnet *t, struct tnode *n)
{
	if (!ip_is_zero(&n->pub.v4))
		index_del(&t->by_address, hash_ip(t, &n->pub.v4), slot_of(t, n));
	if (!ip_is_zero(&n->pub.v6))
		index_del(&t->by_address, hash_ip(t, &n->pub.v6), slot_of(t, n));
}

void slot_set_addresses(struct tailnet *t, struct tnode *n, const struct ip *v4,
			const struct ip *v6)
{
	forget_addresses(t, n);
	n->pub.v4 = *v4;
	n->pub.v6 = *v6;
	if (!ip_is_zero(v4))
		index_add(&t->by_address, hash_ip(t, v4), slot_of(t, n));
	if (!ip_is_zero(v6))
		index_add(&t->by_address, hash_ip(t, v6), slot_of(t, n));
}

/* --- slots --- */

static bool resize(void *array, size_t n, size_t size)
{
	void **p = array, *v = realloc(*p, n * size);

	if (v)
		*p = v;
	return v;
}

/* Everything that has an entry for each slot grows with them, so that nothing can fail later. */
static bool more_slots(struct tailnet *t)
{
	size_t cap = t->cap_slots ? t->cap_slots * 2 : 16;

	if (!resize(&t->nodes, cap, sizeof *t->nodes) ||
	    !resize(&t->changed, cap, sizeof *t->changed) ||
	    !resize(&t->touched, cap, sizeof *t->touched) ||
	    !resize(&t->deltas, cap, sizeof *t->deltas) ||
	    !resize(&t->routers, cap, sizeof *t->routers) ||
	    !resize(&t->view, cap, sizeof *t->view))
		return false;
	t->cap_slots = cap;
	return true;
}

static bool room(struct tailnet *t)
{
	return t->n_nodes < TAILNET_NODES_MAX &&
	       (t->free_slot != NO_INDEX || t->n_slots < t->cap_slots || more_slots(t)) &&
	       index_reserve(&t->by_id, 1) && index_reserve(&t->by_key, 1) &&
	       index_reserve(&t->by_machine, 1) && index_reserve(&t->by_label, 1) &&
	       index_reserve(&t->by_address, 2);
}

struct tnode *slot_new(struct tailnet *t, const struct tnode *facts)
{
	const struct tailnet_node *f = &facts->pub;
	uint32_t i = t->free_slot;
	struct tnode *n;

	if (!room(t))
		return NULL;
	if (i != NO_INDEX) {
		t->free_slot = t->nodes[i].next_free;
	} else {
		i = (uint32_t)t->n_slots++;
		t->view[i] = (struct policy_node){ 0 };
	}
	n = &t->nodes[i];
	*n = *facts;
	n->used = true;
	n->pub.node = (struct key_pub){ 0 };
	n->pub.given[0] = 0;
	n->pub.v4 = n->pub.v6 = (struct ip){ 0 };
	index_add(&t->by_id, hash_id(t, f->id), i);
	index_add(&t->by_machine, hash_key(t, &f->machine), i);
	slot_set_key(t, n, &f->node);
	slot_set_label(t, n, f->given);
	slot_set_addresses(t, n, &f->v4, &f->v6);
	t->n_nodes++;
	t->routers_stale = t->routes_dirty = true;
	view_touch(t, n);
	return n;
}

void slot_bury(struct tailnet *t, struct tnode *n)
{
	uint32_t i = slot_of(t, n);

	index_del(&t->by_id, hash_id(t, n->pub.id), i);
	index_del(&t->by_machine, hash_key(t, &n->pub.machine), i);
	index_del(&t->by_key, hash_key(t, &n->pub.node), i);
	index_del(&t->by_label, hash_label(t, n->pub.given), i);
	n->dead = true;
	t->n_nodes--;
	t->routers_stale = t->routes_dirty = true;
	view_touch(t, n);
}

void node_fini(struct tnode *n)
{
	free(n->pub.tags);
	free(n->pub.endpoints);
	free(n->pub.endpoint_types);
	free(n->pub.routes);
	free(n->pub.approved_routes);
	free(n->pub.hostinfo);
	free(n->active);
	*n = (struct tnode){ 0 };
}

void slot_free(struct tailnet *t, struct tnode *n)
{
	forget_addresses(t, n);
	node_fini(n);
	n->next_free = t->free_slot;
	t->free_slot = slot_of(t, n);
}

void node_note(struct tailnet *t, struct tnode *n)
{
	if (!n->in_changed)
		t->changed[t->n_changed++] = slot_of(t, n);
	n->in_changed = true;
}
