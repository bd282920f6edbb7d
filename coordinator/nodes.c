/* coordinator/nodes.c - the nodes: found, made, named, addressed, changed, removed */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/tailnet_priv.h"

bool tailnet_node_expired(const struct tailnet_node *n, wall_t wall)
{
	return n->logged_out || (n->expiry.ns != 0 && n->expiry.ns <= wall.ns);
}

void node_store(struct tailnet *t, struct tnode *n)
{
	if (!n->store_dirty) {
		n->store_dirty = true;
		tailnet_emit(t, TAILNET_STORE_NODE, n->pub.id);
	}
}

static void soon(struct tailnet *t, mono_t now)
{
	mono_t at = mono_add(now, SPAN_MS(TAILNET_BATCH_MS));

	t->flush_at = mono_min(t->flush_at, mono_max(at, mono_add(t->told_at, tailnet_pace(t))));
}

void node_whole(struct tailnet *t, struct tnode *n)
{
	n->full_seq = ++t->seq;
	node_note(t, n);
	view_touch(t, n); /* tags, routes and addresses are what policies speak of */
}

void node_changed(struct tailnet *t, mono_t now, struct tnode *n)
{
	node_whole(t, n);
	t->scan_at = mono_min(t->scan_at, mono_add(now, SPAN_S(1)));
	node_store(t, n);
	soon(t, now);
}

void node_patched(struct tailnet *t, mono_t now, struct tnode *n)
{
	n->patch_seq = ++t->seq;
	node_note(t, n);
	node_store(t, n);
	soon(t, now);
}

/* --- addresses --- */

static struct ip nth(const struct ipprefix *pool, uint64_t k)
{
	struct ip a = pool->ip;

	for (int i = 15; i >= 0 && k > 0; i--, k >>= 8)
		a.b[i] = (uint8_t)(a.b[i] | (k & 0xff));
	return a;
}

static bool reserved(const struct ip *a)
{
	const struct ip magic = ip_v4(100, 100, 100, 100);

	return ip_is_v4(a) && (ip_eq(a, &magic) ||
			       (a->b[12] == 100 && a->b[13] == 115 && (a->b[14] & 0xfe) == 92));
}

static bool taken(const struct tailnet *t, const struct ip *v4, const struct ip *v6)
{
	return (!ip_is_zero(v4) && address_taken(t, v4)) ||
	       (!ip_is_zero(v6) && address_taken(t, v6));
}

static bool allocate(const struct tailnet *t, struct tnode *n)
{
	uint64_t size =
	    t->conf.v4.bits ? UINT64_C(1) << (128 - t->conf.v4.bits) : UINT64_C(1) << 32;

	for (uint64_t k = (uint64_t)n->pub.id; k < (uint64_t)n->pub.id + 2 * TAILNET_NODES_MAX;
	     k++) {
		uint64_t off =
		    1 + (k - 1) % (size - 2); /* neither the network's address nor the last one */
		struct ip v4 = { 0 }, v6 = { 0 };

		if (t->conf.v4.bits)
			v4 = nth(&t->conf.v4, off);
		if (t->conf.v6.bits)
			v6 = nth(&t->conf.v6, off);
		if (reserved(&v4) || taken(t, &v4, &v6))
			continue;
		n->pub.v4 = v4;
		n->pub.v6 = v6;
		return true;
	}
	return false;
}

/* --- names --- */

static void label_of(const char *hostname, char out[static TAILNET_LABEL_MAX])
{
	size_t n = 0;

	for (const char *p = hostname; *p && *p != '.' && n < TAILNET_LABEL_MAX - 8; p++) {
		char c = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
		bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (good || (n > 0 && out[n - 1] != '-'))
			out[n++] = good ? c : '-';
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	out[n] = 0;
	if (n == 0)
		memcpy(out, "node", 5);
}

static void choose_label(struct tailnet *t, struct tnode *n)
{
	char base[TAILNET_LABEL_MAX], label[TAILNET_LABEL_MAX];

	label_of(n->pub.hostname, base);
	memcpy(label, base, sizeof label);
	for (unsigned k = 1; label_taken(t, n, label); k++)
		snprintf(label, sizeof label, "%.56s-%u", base, k);
	slot_set_label(t, n, label);
}

/* Is the label what choose_label made of that name, and not an administrator's? */
static bool label_follows(const char *label, const char *hostname)
{
	char base[TAILNET_LABEL_MAX];
	size_t len;

	label_of(hostname, base);
	if (strcmp(label, base) == 0)
		return true;
	len = strnlen(base, 56);
	return strncmp(label, base, len) == 0 && label[len] == '-' && label[len + 1] &&
	       strspn(label + len + 1, "0123456789") == strlen(label + len + 1);
}

/* --- what a node tells of itself --- */

static void read_routes(struct json *j, struct tailnet *t, struct tailnet_node *n)
{
	struct ipprefix v[TAILNET_ROUTES_MAX];
	size_t count = 0;
	char text[64];

	json_arr(j);
	while (json_elem(j)) {
		size_t len = json_str(j, text, sizeof text);

		if (count < TAILNET_ROUTES_MAX && ipprefix_parse(bytes_of(text, len), &v[count]))
			count++;
	}
	t->routes_dirty = true;
	free(n->routes);
	n->routes = count ? malloc(count * sizeof *v) : NULL;
	n->n_routes = n->routes ? count : 0;
	if (n->routes)
		memcpy(n->routes, v, count * sizeof *v);
}

static void read_netinfo(struct json *j, struct tailnet_node *n)
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "PreferredDERP")) {
			int64_t home = json_i64(j);

			n->home = home > 0 && home <= UINT16_MAX ? (uint16_t)home : n->home;
		} else {
			json_skip(j);
		}
	}
}

void node_set_hostinfo(struct tailnet *t, struct tnode *n, struct bytes json)
{
	struct tailnet_node *p = &n->pub;
	struct json j = json_of(json);
	struct bytes key;
	bool has_routes = false;
	char *copy, was[TAILNET_NAME_MAX];

	memcpy(was, p->hostname, sizeof was);
	if (json.len == 0 || json.len > TAILNET_HOSTINFO_MAX)
		return;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Hostname")) {
			json_str(&j, p->hostname, sizeof p->hostname);
		} else if (json_key_is(key, "OS")) {
			json_str(&j, p->os, sizeof p->os);
		} else if (json_key_is(key, "RoutableIPs")) {
			read_routes(&j, t, p);
			has_routes = true;
		} else if (json_key_is(key, "NetInfo")) {
			read_netinfo(&j, p);
		} else {
			json_skip(&j);
		}
	}
	if (!has_routes && json_done(&j) && p->n_routes > 0) {
		t->routes_dirty = true;
		free(p->routes);
		p->routes = NULL;
		p->n_routes = 0;
	}
	copy = json_done(&j) ? malloc(json.len + 1) : NULL;
	if (copy) {
		memcpy(copy, json.data, json.len);
		copy[json.len] = 0;
		free(p->hostinfo);
		p->hostinfo = copy;
	}
	if (!p->given[0] ||
	    (was[0] && strcmp(was, p->hostname) != 0 && label_follows(p->given, was)))
		choose_label(t, n);
	node_auto_approve(t, n);
}

bool node_set_tags(struct tnode *n, const char *const *tags, size_t count)
{
	char(*v)[TAILNET_LABEL_MAX] = NULL;

	if (count > TAILNET_TAGS_MAX || (count > 0 && !(v = calloc(count, sizeof *v))))
		return false;
	for (size_t i = 0; i < count; i++)
		snprintf(v[i], sizeof v[i], "%s", tags[i]);
	free(n->pub.tags);
	n->pub.tags = v;
	n->pub.n_tags = count;
	return true;
}

/* --- routes --- */

bool node_has_route(const struct ipprefix *v, size_t n, const struct ipprefix *route)
{
	for (size_t i = 0; i < n; i++)
		if (ipprefix_eq(&v[i], route))
			return true;
	return false;
}

void node_find_routers(struct tailnet *t)
{
	t->n_routers = 0;
	for (size_t i = 0; i < t->n_slots; i++) {
		const struct tnode *n = &t->nodes[i];

		if (n->used && !n->dead && (n->pub.n_approved > 0 || n->served != 0))
			t->routers[t->n_routers++] = (uint32_t)i;
	}
	t->routers_stale = false;
}

/* Who serves a subnet that both may: online before offline, answering before silent, then the lower
 * id. */
static bool is_before(const struct tailnet_node *a, const struct tailnet_node *b)
{
	int x = a->online ? 2 - a->silent : 0, y = b->online ? 2 - b->silent : 0;

	return x != y ? x > y : a->id < b->id;
}

static bool is_primary(struct tailnet *t, const struct tnode *n, const struct ipprefix *route)
{
	if (!n->pub.approved || !node_has_route(n->pub.routes, n->pub.n_routes, route))
		return false;
	if (t->routers_stale)
		node_find_routers(t);
	for (size_t i = 0; i < t->n_routers; i++) {
		const struct tnode *o = &t->nodes[t->routers[i]];

		if (o != n && o->pub.approved && o->pub.online && is_before(&o->pub, &n->pub) &&
		    node_has_route(o->pub.routes, o->pub.n_routes, route) &&
		    node_has_route(o->pub.approved_routes, o->pub.n_approved, route))
			return false;
	}
	return true;
}

static uint64_t served_by(struct tailnet *t, struct tnode *n)
{
	uint64_t h = 0;

	memset(n->primary, 0, sizeof n->primary);
	for (size_t i = 0; i < n->pub.n_approved; i++) {
		const struct ipprefix *r = &n->pub.approved_routes[i];

		if (!is_primary(t, n, r))
			continue;
		n->primary[i / 64] |= UINT64_C(1) << (i % 64);
		for (size_t k = 0; k < sizeof r->ip.b; k++)
			h = (h ^ r->ip.b[k]) * UINT64_C(1099511628211); /* FNV-1a */
		h = (h ^ (r->bits + 1U)) * UINT64_C(1099511628211);
	}
	return h;
}

void node_routes_moved(struct tailnet *t)
{
	if (!t->routes_dirty)
		return;
	t->routes_dirty = false;
	node_find_routers(t);
	for (size_t i = 0; i < t->n_routers; i++) {
		struct tnode *n = &t->nodes[t->routers[i]];
		uint64_t h = served_by(t, n);

		if (h != n->served)
			node_whole(t, n);
		n->served = h;
	}
}

static bool set_approved(struct tailnet *t, struct tnode *n, const struct ipprefix *v, size_t count)
{
	struct ipprefix *copy = NULL;

	if (count > TAILNET_ROUTES_MAX || (count > 0 && !(copy = malloc(count * sizeof *copy))))
		return false;
	if (count > 0)
		memcpy(copy, v, count * sizeof *copy);
	free(n->pub.approved_routes);
	n->pub.approved_routes = copy;
	n->pub.n_approved = count;
	t->routers_stale = t->routes_dirty = true;
	return true;
}

void node_auto_approve(struct tailnet *t, struct tnode *n)
{
	struct ipprefix v[TAILNET_ROUTES_MAX];
	size_t count = n->pub.n_approved;
	const struct policy_node pn = view_node(t, n);

	if (!t->policy || n->pub.n_routes == 0)
		return;
	if (count > 0)
		memcpy(v, n->pub.approved_routes, count * sizeof *v);
	for (size_t i = 0; i < n->pub.n_routes && count < TAILNET_ROUTES_MAX; i++)
		if (!node_has_route(v, count, &n->pub.routes[i]) &&
		    policy_route_approved(t->policy, &pn, &n->pub.routes[i]))
			v[count++] = n->pub.routes[i];
	if (count > n->pub.n_approved && set_approved(t, n, v, count)) {
		tailnet_audit(t, "node %lld (%s): routes approved by the policy, %zu in all",
			      (long long)n->pub.id, n->pub.given, count);
		node_whole(t, n);
		node_store(t, n);
	}
}

/* --- birth and death --- */

struct tnode *node_create(struct tailnet *t, wall_t wall, const struct key_pub *machine,
			  const struct key_pub *node)
{
	struct tnode f = { .offline_at = MONO_NEVER,
			   .remove_at = MONO_NEVER,
			   .probe_by = MONO_NEVER };

	f.pub.id = t->next_node;
	f.pub.machine = *machine;
	f.pub.node = *node;
	f.pub.created = f.pub.last_seen = wall;
	f.pub.approved = !t->conf.needs_approval;
	if (t->conf.key_expiry.ns > 0)
		f.pub.expiry = wall_add(wall, t->conf.key_expiry);
	if (!allocate(t, &f))
		return NULL;
	t->next_node++; /* never used again, also after deletion */
	return slot_new(t, &f);
}

void node_remove(struct tailnet *t, mono_t now, struct tnode *n)
{
	for (unsigned i = 0; i < n->n_streams; i++)
		t->streams[n->stream[i]].gone = true;
	slot_bury(t, n);
	n->full_seq = ++t->seq;
	node_note(t, n);
	soon(t, now);
	tailnet_emit(t, TAILNET_DELETE_NODE, n->pub.id);
}

/* --- administration --- */

static int missing(int64_t id, struct err *e)
{
	return err_say(e, ENOENT, "there is no node %lld", (long long)id);
}

int tailnet_node_del(struct tailnet *t, mono_t now, wall_t wall, int64_t id, struct err *e)
{
	struct tnode *n = node_slot(t, id);

	(void)wall;
	if (!n)
		return missing(id, e);
	tailnet_audit(t, "node %lld (%s) deleted", (long long)id, n->pub.given);
	node_remove(t, now, n);
	return 0;
}

int tailnet_node_expire(struct tailnet *t, mono_t now, wall_t wall, int64_t id, struct err *e)
{
	struct tnode *n = node_slot(t, id);

	if (!n)
		return missing(id, e);
	n->pub.expiry = wall;
	tailnet_audit(t, "node %lld (%s) expired", (long long)id, n->pub.given);
	node_changed(t, now, n);
	return 0;
}

int tailnet_node_rename(struct tailnet *t, mono_t now, wall_t wall, int64_t id, const char *name,
			struct err *e)
{
	struct tnode *n = node_slot(t, id);
	char label[TAILNET_LABEL_MAX];

	(void)wall;
	if (!n)
		return missing(id, e);
	label_of(name, label);
	if (strcmp(label, name) != 0)
		return err_say(e, EINVAL, "'%.60s' is not a host name label; '%s' would be", name,
			       label);
	if (label_taken(t, n, label))
		return err_say(e, EEXIST, "another node is called '%s'", label);
	tailnet_audit(t, "node %lld (%s) renamed to %s", (long long)id, n->pub.given, label);
	slot_set_label(t, n, label);
	node_changed(t, now, n);
	return 0;
}

int tailnet_node_set_tags(struct tailnet *t, mono_t now, wall_t wall, int64_t id,
			  const char *const *tags, size_t count, struct err *e)
{
	struct tnode *n = node_slot(t, id);

	(void)wall;
	if (!n)
		return missing(id, e);
	for (size_t i = 0; i < count; i++)
		if (strncmp(tags[i], "tag:", 4) != 0 || strlen(tags[i]) >= TAILNET_LABEL_MAX)
			return err_say(e, EINVAL, "'%.60s' is not a tag: tags look like tag:web",
				       tags[i]);
	if (!node_set_tags(n, tags, count))
		return err_say(e, ENOBUFS, "no room for %zu tags (limit %d)", count,
			       TAILNET_TAGS_MAX);
	tailnet_audit(t, "node %lld (%s): tags set", (long long)id, n->pub.given);
	node_changed(t, now, n);
	return 0;
}

int tailnet_node_approve(struct tailnet *t, mono_t now, wall_t wall, int64_t id, struct err *e)
{
	struct tnode *n = node_slot(t, id);

	(void)wall;
	if (!n)
		return missing(id, e);
	n->pub.approved = true;
	t->routes_dirty |= n->pub.n_approved > 0;
	tailnet_audit(t, "node %lld (%s) approved", (long long)id, n->pub.given);
	node_changed(t, now, n);
	return 0;
}

int tailnet_node_approve_routes(struct tailnet *t, mono_t now, wall_t wall, int64_t id,
				const struct ipprefix *v, size_t count, struct err *e)
{
	struct tnode *n = node_slot(t, id);

	(void)wall;
	if (!n)
		return missing(id, e);
	if (!set_approved(t, n, v, count))
		return err_say(e, ENOBUFS, "no room for %zu routes (limit %d)", count,
			       TAILNET_ROUTES_MAX);
	tailnet_audit(t, "node %lld (%s): %zu routes approved", (long long)id, n->pub.given, count);
	node_changed(t, now, n);
	return 0;
}
