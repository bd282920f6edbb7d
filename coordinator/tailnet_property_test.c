/* coordinator/tailnet_property_test.c - after any operations every node's map is what the tailnet
 * is
 *
 * Random joins, deaths, restarts (also of the server, from what it stored), changes and policies;
 * then each streaming client's netmap, made of a first frame and deltas, is compared with the nodes
 * there are.
 */
#include <errno.h>

#include "coordinator/policy.h"
#include "coordinator/tailnet_priv.h"
#include "tests/tailnet_world.h"

enum { SEEDS = 24, STEPS = 120, POLICIES = 7 };

static struct fleet fleet;

/* 0: none; a tailnet divided by tags; nothing for anybody; only from users to tagged; users among
 * their own; everybody, and routed networks */
static const char *const policies[POLICIES] = {
	NULL,
	"{\"tagOwners\":{\"tag:web\":[],\"tag:db\":[]},\"acls\":[{\"action\":\"accept\",\"src\":["
	"\"tag:web\"],\"dst\":[\"tag:web:*\",\"tag:db:5432\"]}]}",
	"{\"acls\":[]}",
	"{\"tagOwners\":{\"tag:web\":[]},\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:"
	"member\"],\"dst\":[\"tag:web:80\"]}],"
	"\"autoApprovers\":{\"routes\":{\"10.0.0.0/8\":[\"autogroup:member\"]}}}",
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],\"dst\":[\"autogroup:"
	"self:*\"]}],"
	"\"grants\":[{\"src\":[\"autogroup:tagged\"],\"dst\":[\"autogroup:tagged\"],\"ip\":[\"tcp:"
	"1-99\"]}]}",
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"10.1.2.0/"
	"24:80\",\"autogroup:internet:*\"]},"
	"{\"action\":\"accept\",\"src\":[\"alice@\",\"10.1.0.0/"
	"24\"],\"dst\":[\"autogroup:member:22\"]}]}",
	"{\"tagOwners\":{\"tag:web\":[],\"tag:db\":[]},\"grants\":[{\"src\":[\"autogroup:member\"],"
	"\"dst\":[\"10.1.0.0/16\",\"autogroup:internet\"],\"ip\":[\"*\"],\"via\":[\"tag:web\"]},{"
	"\"src\":[\"tag:db\"],\"dst\":[\"10.1.2.3\"],\"ip\":[\"22\"]},{\"src\":[\"*\"],\"dst\":["
	"\"tag:db\"],\"ip\":[\"icmp:*\"]}]}",
};

struct model {
	struct fleet *f;
	char key[3][AUTHKEY_TEXT_MAX];
	int policy;
	unsigned names;
};

__attribute__((constructor)) static void longer(void)
{
	harness_timeout(90);
}

static uint64_t below(struct model *m, uint64_t n)
{
	return rng_below(&m->f->rng.rng, n);
}

static struct party *any_party(struct model *m)
{
	size_t start = (size_t)below(m, FLEET_MAX);

	for (size_t i = 0; i < FLEET_MAX; i++)
		if (m->f->v[(start + i) % FLEET_MAX].used)
			return &m->f->v[(start + i) % FLEET_MAX];
	return NULL;
}

static const struct tailnet_node *any_node(struct model *m)
{
	size_t n = 0;

	while (tailnet_node_at(m->f->t, n))
		n++;
	return n ? tailnet_node_at(m->f->t, (size_t)below(m, n)) : NULL;
}

/* --- operations --- */

static void keys(struct model *m)
{
	fleet_key(m->f, KEY_REUSABLE, m->key[0]);
	fleet_key(m->f, KEY_REUSABLE | KEY_EPHEMERAL, m->key[1]);
	fleet_key(m->f, KEY_REUSABLE | KEY_TAGGED, m->key[2]);
}

static void join(struct model *m)
{
	size_t n = 0;
	char name[16];

	for (size_t i = 0; i < FLEET_MAX; i++)
		n += m->f->v[i].used;
	if (n + 2 >= FLEET_MAX)
		return;
	snprintf(name, sizeof name, "n%u", m->names++ % 5);
	(void)fleet_join(m->f, name, m->key[below(m, 3)]);
}

static void move(struct model *m)
{
	struct party *p = any_party(m);
	struct ipport ep[3];
	enum control_ep type[3] = { CONTROL_EP_LOCAL, CONTROL_EP_STUN, CONTROL_EP_STUN };
	struct control_netinfo ni = { .working_udp = 1, .home = (uint16_t)(900 + below(m, 3)) };

	if (!p)
		return;
	for (size_t i = 0; i < 3; i++)
		ep[i] = (struct ipport){ ip_v4(10, 0, 0, (uint8_t)below(m, 9)),
					 (uint16_t)(1 + below(m, 9)) };
	ck_assert_int_eq(control_set_endpoints(p->c, ep, type, (size_t)below(m, 4)), 0);
	if (below(m, 2))
		control_set_netinfo(p->c, &ni);
}

static void announce(struct model *m)
{
	struct party *p = any_party(m);
	struct ipprefix routes[2];
	struct control_hostinfo hi = { .routes = routes, .os_version = "6.1" };

	if (!p)
		return;
	ck_assert(ipprefix_parse(bytes_str("10.1.0.0/16"), &routes[0]));
	ck_assert(ipprefix_parse(bytes_str("0.0.0.0/0"), &routes[1]));
	hi.hostname = p->name;
	hi.n_routes = (size_t)below(m, 3);
	ck_assert_int_eq(control_set_hostinfo(p->c, &hi), 0);
}

static void administer(struct model *m)
{
	const struct tailnet_node *n = any_node(m);
	const char *const tags[2] = { "tag:web", "tag:db" };
	struct ipprefix routes[2];
	struct err e = { 0 };
	char name[24];

	if (!n)
		return;
	snprintf(name, sizeof name, "r%u", (unsigned)below(m, 30));
	switch (below(m, 6)) {
	case 0:
		ck_assert_int_eq(tailnet_node_del(m->f->t, m->f->now, m->f->wall, n->id, &e), 0);
		break;
	case 1:
		ck_assert_int_eq(tailnet_node_expire(m->f->t, m->f->now, m->f->wall, n->id, &e), 0);
		break;
	case 2:
		if (tailnet_node_rename(m->f->t, m->f->now, m->f->wall, n->id, name, &e) != 0)
			ck_assert_int_eq(e.code, EEXIST);
		break;
	case 3:
		ck_assert_int_eq(tailnet_node_set_tags(m->f->t, m->f->now, m->f->wall, n->id, tags,
						       (size_t)(n->n_tags ? 1 + below(m, 2) : 0),
						       &e),
				 0);
		break;
	default:
		ck_assert(ipprefix_parse(bytes_str("10.1.0.0/16"), &routes[0]));
		ck_assert(ipprefix_parse(bytes_str("0.0.0.0/0"), &routes[1]));
		ck_assert_int_eq(tailnet_node_approve_routes(m->f->t, m->f->now, m->f->wall, n->id,
							     routes, (size_t)below(m, 3), &e),
				 0);
	}
}

static struct policy *parsed(int which)
{
	struct err e = { 0 };
	struct policy *p = policies[which] ? policy_parse(bytes_str(policies[which]), &e) : NULL;

	ck_assert_msg(!policies[which] || p, "%s", e.text);
	return p;
}

static void new_policy(struct model *m)
{
	m->policy = (int)below(m, POLICIES);
	tailnet_set_policy(m->f->t, m->f->now, parsed(m->policy));
}

static void restart_server(struct model *m)
{
	fleet_restart(m->f);
	tailnet_set_policy(m->f->t, m->f->now, parsed(m->policy));
}

static void cut(struct model *m) /* a network that breaks */
{
	struct party *p = any_party(m);

	for (unsigned k = 0; p && k < CONTROL_CONNS; k++)
		if (p->wire[k].is_open) {
			fleet_shut(m->f, &p->wire[k]);
			control_closed(p->c, m->f->now, k, NULL);
		}
}

static void step(struct model *m)
{
	struct party *p;

	switch (below(m, 14)) {
	case 0:
	case 1:
	case 2:
		join(m);
		break;
	case 3:
	case 4:
		move(m);
		break;
	case 5:
		announce(m);
		break;
	case 6:
	case 7:
		administer(m);
		break;
	case 8:
		if ((p = any_party(m)))
			fleet_drop(m->f, p);
		break;
	case 9:
		if ((p = any_party(m)))
			fleet_again(m->f, p, m->key[0]);
		break;
	case 10:
		cut(m);
		break;
	case 11:
		new_policy(m);
		break;
	case 12:
		if (below(m, 3) == 0)
			restart_server(m);
		break;
	case 13:
		fleet_pass(m->f, SPAN_S(below(m, 40)));
		break;
	}
	fleet_run(m->f);
}

/* --- what must be --- */

static bool has_route(const struct ipprefix *v, size_t n, const struct ipprefix *r)
{
	for (size_t i = 0; i < n; i++)
		if (ipprefix_eq(&v[i], r))
			return true;
	return false;
}

/* Who serves a subnet: approved, announced, online if any such is, answering if any such does, then
 * the lowest id. Exit routes: everybody who may. */
static int rank(const struct tailnet_node *n)
{
	return n->online ? 2 - n->silent : 0;
}

static bool serves(struct fleet *f, const struct tailnet_node *n, const struct ipprefix *r)
{
	const struct tailnet_node *best = NULL, *o;

	if (!has_route(n->routes, n->n_routes, r) ||
	    !has_route(n->approved_routes, n->n_approved, r))
		return false;
	if (r->bits == 96)
		return true;
	for (size_t i = 0; (o = tailnet_node_at(f->t, i)); i++)
		if (has_route(o->routes, o->n_routes, r) &&
		    has_route(o->approved_routes, o->n_approved, r) &&
		    (!best || rank(o) > rank(best) || (rank(o) == rank(best) && o->id < best->id)))
			best = o;
	return best == n || !best->online;
}

/* By a policy made anew; to itself a node is told all that it serves. */
static void compare_routes(struct fleet *f, struct policy *p, size_t viewer, size_t peer,
			   const struct netmap_node *got)
{
	static const char *const texts[] = { "10.1.0.0/16", "0.0.0.0/0" };
	const struct tailnet_node *n = tailnet_node_at(f->t, peer);

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct policy_route r = { 0 };
		bool seen, shown;

		ck_assert(ipprefix_parse(bytes_str(texts[i]), &r.prefix));
		shown = has_route(got->allowed, got->n_allowed, &r.prefix);
		seen = has_route(n->routes, n->n_routes, &r.prefix) &&
		       has_route(n->approved_routes, n->n_approved, &r.prefix);
		r.is_primary = serves(f, n, &r.prefix);
		ck_assert_int_eq(policy_routes_seen(viewer == peer ? NULL : p, viewer, peer, &r, 1),
				 0);
		seen = seen && r.seen;
		ck_assert_msg(shown == seen, "route %s of %s to %s: shown %d", texts[i], n->given,
			      tailnet_node_at(f->t, viewer)->given, shown);
	}
}

static void compare(struct fleet *f, const struct tailnet_node *n, const struct netmap_node *got)
{
	char name[TAILNET_LABEL_MAX + 32];
	bool expired = tailnet_node_expired(n, f->wall);

	snprintf(name, sizeof name, "%s.tail.test.", n->given);
	ck_assert_int_eq(got->id, n->id);
	ck_assert_str_eq(got->name, name);
	ck_assert(key_eq(&got->machine, &n->machine));
	ck_assert(key_eq(&got->disco, &n->disco));
	ck_assert_int_eq(got->online, n->online);
	ck_assert_int_eq(got->expired, expired);
	ck_assert_int_eq(got->cap, n->cap);
	ck_assert(ip_eq(&got->addresses[0].ip, &n->v4));
	ck_assert_int_eq(got->key_expiry.ns, n->expiry.ns);
	ck_assert_uint_eq(got->n_tags, n->n_tags);
	for (size_t i = 0; i < n->n_tags; i++)
		ck_assert_str_eq(got->tags[i], n->tags[i]);
	if (!expired) {
		ck_assert_uint_eq(got->home_derp, n->home);
		ck_assert_uint_eq(got->n_endpoints, n->n_endpoints);
		for (size_t i = 0; i < n->n_endpoints; i++)
			ck_assert(ipport_eq(&got->endpoints[i], &n->endpoints[i]));
	}
}

static size_t view(struct model *m, struct policy_node *v, struct ipprefix (*active)[4],
		   char (*users)[TAILNET_NAME_MAX])
{
	const struct tailnet_node *n;
	size_t i;

	for (i = 0; (n = tailnet_node_at(m->f->t, i)); i++) {
		const struct tailnet_user *u = n->n_tags ? NULL : tailnet_user(m->f->t, n->user);
		size_t n_active = 0;

		snprintf(users[i], TAILNET_NAME_MAX, "%s", u ? u->name : "");
		for (size_t k = 0; k < n->n_approved; k++)
			if (has_route(n->routes, n->n_routes, &n->approved_routes[k]))
				active[i][n_active++] = n->approved_routes[k];
		v[i] = (struct policy_node){ .id = n->id,
					     .owner = n->n_tags ? 0 : n->user,
					     .user = users[i],
					     .tags = (const char(*)[POLICY_TAG_MAX])n->tags,
					     .n_tags = n->n_tags,
					     .v4 = n->v4,
					     .v6 = n->v6,
					     .routes = active[i],
					     .n_routes = n_active };
	}
	return i;
}

/* Time passes until no change waits to be told. */
static void calm(struct model *m)
{
	unsigned turns = 0;

	do {
		ck_assert_uint_lt(turns++, 100);
		fleet_pass(m->f, SPAN_MS(3 * TAILNET_BATCH_MS));
	} while (!mono_is_never(m->f->t->flush_at));
}

/* The filter that a stream has, made of changes, is what the whole tailnet gives at once. */
static void judge_filters(struct model *m, struct policy *p, size_t n)
{
	const struct tailnet *t = m->f->t;

	for (size_t k = 0; k < t->n_streams; k++) {
		const struct stream *s = &t->streams[k];
		struct buf text;
		size_t i = 0;

		while (i < n && tailnet_node_at(t, i) != &t->nodes[s->slot].pub)
			i++;
		if (i == n)
			continue;
		buf_init(&text, 1 << 20);
		ck_assert_int_eq(policy_filter_emit(p, i, &text), 0);
		ck_assert_uint_eq(tailnet_hash(t, buf_bytes(&text).data, text.len), s->filter_hash);
		buf_fini(&text);
	}
}

static void judge(struct model *m)
{
	enum { N = 256 };
	static struct policy_node v[N];
	static struct ipprefix active[N][4];
	static char users[N][TAILNET_NAME_MAX];
	struct policy *p = parsed(m->policy);
	size_t n = view(m, v, active, users);

	ck_assert_uint_lt(n, N);
	ck_assert_int_eq(policy_prepare(p, v, n), 0);
	judge_filters(m, p, n);
	for (size_t i = 0; i < n; i++) {
		const struct tailnet_node *self = tailnet_node_at(m->f->t, i);
		size_t peers = 0;

		for (size_t k = 0; k < FLEET_MAX; k++) {
			struct party *q = &m->f->v[k];
			struct control_stat st;

			if (!q->used || !key_eq(&q->current, &self->node))
				continue;
			control_stat(q->c, &st);
			if (!st.streaming || !netmap_self(q->nm) ||
			    netmap_self(q->nm)->id != self->id ||
			    strcmp(st.state, "streaming") != 0)
				continue;
			compare(m->f, self, netmap_self(q->nm));
			compare_routes(m->f, p, i, i, netmap_self(q->nm));
			for (size_t j = 0; j < n; j++) {
				const struct tailnet_node *o = tailnet_node_at(m->f->t, j);
				const struct netmap_node *got = netmap_by_key(q->nm, &o->node);

				if (o == self || !policy_sees(p, i, j))
					continue;
				peers++;
				ck_assert_msg(got != NULL, "%s (%lld) does not know %s (%lld)",
					      self->given, (long long)self->id, o->given,
					      (long long)o->id);
				compare(m->f, o, got);
				compare_routes(m->f, p, i, j, got);
			}
			ck_assert_msg(netmap_n_peers(q->nm) == peers,
				      "%s knows %zu peers, should %zu", self->given,
				      netmap_n_peers(q->nm), peers);
			peers = 0;
		}
	}
	policy_free(p);
}

TEST(every_map_is_what_the_tailnet_is_after_any_operations)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct model m = { .f = &fleet };

		fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		fleet_init(&fleet, seed);
		fleet_user(&fleet);
		keys(&m);
		for (unsigned i = 0; i < STEPS; i++) {
			step(&m);
			if (below(&m, 3) == 0) {
				calm(&m);
				judge(&m);
			}
		}
		fleet_fini(&fleet);
	}
}
