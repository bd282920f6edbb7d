/* model/netmap.c - life of a netmap, look-ups, changes, expiry; see netmap_priv.h for the map of
 * files
 */
#include "model/netmap.h"

#include "model/netmap_priv.h"

#include <assert.h>
#include <stdlib.h>

/* --- life --- */

struct netmap *netmap_new(void)
{
	struct netmap *nm = calloc(1, sizeof *nm);

	if (!nm)
		return NULL;
	nm->fresh = true;
	buf_init(&nm->texts, NETMAP_VALUE_MAX);
	return nm;
}

void netmap_free(struct netmap *nm)
{
	if (!nm)
		return;
	netmap_abort(nm);
	nm_reap(nm);
	for (uint32_t i = 0; i < nm->limit; i++)
		free(nm->peers[i]);
	free(nm->peers);
	free(nm->free_no);
	free(nm->self);
	for (int i = 0; i < IX_N; i++)
		free(nm->ix[i].slot);
	for (size_t i = 0; i < nm->n_users; i++)
		free(nm->users[i]);
	free(nm->users);
	arena_free(&nm->derp.mem);
	arena_free(&nm->dns.mem);
	arena_free(&nm->health.mem);
	nm_filters_free(&nm->filters);
	free(nm->last_url);
	free(nm->changes);
	buf_fini(&nm->texts);
	free(nm);
}

/* --- changes --- */

bool netmap_was_keepalive(const struct netmap *nm)
{
	return nm->keepalive;
}

bool nm_changes_reserve(struct netmap *nm, size_t more)
{
	return array_grow(&nm->changes, &nm->changes_cap, nm->n_changes + more,
			  sizeof *nm->changes);
}

void nm_change_add(struct netmap *nm, enum netmap_change_type type, uint32_t peer, unsigned what)
{
	assert(nm->n_changes < nm->changes_cap);
	nm->changes[nm->n_changes++] =
	    (struct netmap_change){ .type = type, .peer = peer, .what = what };
}

void nm_reap(struct netmap *nm)
{
	struct nm_rec *r, *next;

	for (r = nm->dead; r; r = next) {
		next = r->next_dead;
		if (r->removed) {
			nm->peers[r->n.peer] = NULL;
			nm->free_no[nm->n_free++] = r->n.peer;
		}
		free(r);
	}
	nm->dead = NULL;
}

bool netmap_next_change(struct netmap *nm, struct netmap_change *ch)
{
	if (nm->next_change < nm->n_changes) {
		*ch = nm->changes[nm->next_change++];
		return true;
	}
	nm_reap(nm);
	nm->n_changes = nm->next_change = 0;
	if (nm->changes_cap > 1024) { /* what a large map needed */
		free(TAKE_PTR(nm->changes));
		nm->changes_cap = 0;
	}
	return false;
}

/* --- look-ups --- */

static const struct netmap_node *node_of(const struct netmap *nm, uint32_t peer)
{
	return peer == NO_PEER ? NULL : &nm->peers[peer]->n;
}

const struct netmap_node *netmap_self(const struct netmap *nm)
{
	return nm->self ? &nm->self->n : NULL;
}

const struct netmap_node *netmap_peer(const struct netmap *nm, uint32_t peer)
{
	return peer < nm->limit && nm->peers[peer] ? &nm->peers[peer]->n : NULL;
}

uint32_t netmap_peer_limit(const struct netmap *nm)
{
	return nm->limit;
}

size_t netmap_n_peers(const struct netmap *nm)
{
	return nm->n_peers;
}

const struct netmap_node *netmap_by_ip(const struct netmap *nm, const struct ip *a)
{
	for (size_t i = 0; nm->self && i < nm->self->n.n_addresses; i++)
		if (ipprefix_is_single(&nm->self->n.addresses[i]) &&
		    ip_eq(&nm->self->n.addresses[i].ip, a))
			return &nm->self->n;
	return node_of(nm, nm_index_ip(nm, a));
}

const struct netmap_node *netmap_by_key(const struct netmap *nm, const struct key_pub *k)
{
	return node_of(nm, nm_index_key(nm, k));
}

static const struct netmap_node *by_fqdn(const struct netmap *nm, struct bytes name)
{
	struct bytes self = nm->self ? bytes_str(nm->self->n.name) : bytes_of("", 0);

	if (self.len > 0 && self.data[self.len - 1] == '.')
		self.len--;
	if (self.len > 0 && bytes_caseeq(self, name))
		return &nm->self->n;
	return node_of(nm, nm_index_name(nm, name));
}

const struct netmap_node *netmap_by_name(const struct netmap *nm, struct bytes name)
{
	char full[2 * NETMAP_NAME_MAX];
	const struct netmap_node *n;
	size_t suffix = strlen(nm->suffix);

	if (name.len > 0 && name.data[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len >= NETMAP_NAME_MAX)
		return NULL;
	n = by_fqdn(nm, name);
	if (n || suffix == 0 || memchr(name.data, '.', name.len))
		return n;
	memcpy(full, name.data, name.len);
	full[name.len] = '.';
	memcpy(full + name.len + 1, nm->suffix, suffix);
	return by_fqdn(nm, bytes_of(full, name.len + 1 + suffix));
}

const struct netmap_region *netmap_regions(const struct netmap *nm, size_t *n)
{
	*n = nm->derp.n;
	return nm->derp.v;
}

const struct netmap_region *netmap_region(const struct netmap *nm, uint16_t id)
{
	for (size_t i = 0; i < nm->derp.n; i++)
		if (nm->derp.v[i].id == id)
			return &nm->derp.v[i];
	return NULL;
}

int nm_user_cmp(const void *a, const void *b)
{
	int64_t x = (*(struct nm_user *const *)a)->u.id, y = (*(struct nm_user *const *)b)->u.id;

	return (x > y) - (x < y);
}

const struct netmap_user *netmap_user(const struct netmap *nm, int64_t id)
{
	struct nm_user want = { .u = { .id = id } }, *p = &want, **at = NULL;

	if (nm->n_users > 0)
		at = bsearch(&p, nm->users, nm->n_users, sizeof *nm->users, nm_user_cmp);
	return at ? &(*at)->u : NULL;
}

const char *netmap_domain(const struct netmap *nm)
{
	return nm->domain;
}

const char *netmap_magic_suffix(const struct netmap *nm)
{
	return nm->suffix;
}

const char *const *netmap_health(const struct netmap *nm, size_t *n)
{
	*n = nm->health.n;
	return nm->health.text;
}

span_t netmap_clock_skew(const struct netmap *nm)
{
	return nm->skew;
}

const struct netmap_dns *netmap_dns(const struct netmap *nm)
{
	return &nm->dns.d;
}

size_t netmap_n_filters(const struct netmap *nm)
{
	return nm->filters.n;
}

struct bytes netmap_filter(const struct netmap *nm, size_t i)
{
	return i < nm->filters.n ? nm->filters.v[i]->text : bytes_of("", 0);
}

bool netmap_has_filter(const struct netmap *nm)
{
	return nm->filters.any;
}

void netmap_stat(const struct netmap *nm, struct netmap_stat *st)
{
	*st = nm->stat;
	for (int i = 0; i < IX_N; i++)
		st->memory += nm->ix[i].cap * sizeof *nm->ix[i].slot;
	st->memory += nm->peers_cap * (sizeof *nm->peers + sizeof *nm->free_no);
}

/* --- expiry --- */

int64_t nm_control_ns(const struct netmap *nm, wall_t now)
{
	int64_t t;

	return __builtin_add_overflow(now.ns, nm->skew.ns, &t) ? INT64_MAX : t;
}

static void expire_one(struct netmap *nm, struct nm_rec *r, int64_t control_now, int64_t *next)
{
	int64_t at = r->n.key_expiry.ns;

	if (at > control_now && at < *next)
		*next = at;
	if (r->n.expired == (r->sent_expired || (at > 0 && at <= control_now)))
		return;
	if (!nm_changes_reserve(nm, 1)) { /* soon again */
		*next = control_now < INT64_MAX - NS_PER_S ? control_now + NS_PER_S : control_now;
		return;
	}
	nm_rec_expire(r, control_now);
	if (r == nm->self)
		nm_change_add(nm, NETMAP_SELF, NO_PEER, 0);
	else
		nm_change_add(nm, NETMAP_PEER, r->n.peer,
			      NETMAP_P_OTHER | NETMAP_P_ENDPOINTS | NETMAP_P_DERP);
}

wall_t netmap_expire(struct netmap *nm, wall_t now)
{
	int64_t next = INT64_MAX, control_now = nm_control_ns(nm, now), out;

	for (uint32_t i = 0; i < nm->limit; i++)
		if (nm->peers[i] && !nm->peers[i]->removed)
			expire_one(nm, nm->peers[i], control_now, &next);
	if (nm->self)
		expire_one(nm, nm->self, control_now, &next);
	if (next == INT64_MAX || __builtin_sub_overflow(next, nm->skew.ns, &out))
		return (wall_t){ INT64_MAX };
	return (wall_t){ out };
}
