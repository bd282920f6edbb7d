/* model/netmap_apply.c - a staged frame becomes a plan, then the plan is carried out; see
 * netmap_priv.h
 *
 * Planning may fail and touches nothing; carrying out cannot fail. Order of
 * control-protocol.md 4.4: Peers alone, or else PeersRemoved, PeersChanged, PeerSeenChange and
 * OnlineChange, PeersChangedPatch; then everything else.
 */
#include "model/netmap_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct step { /* what becomes of the node `id` */
	int64_t id;
	uint32_t peer;      /* its number today, or NO_PEER */
	bool keep;          /* stays as it is */
	struct nm_rec *rec; /* owned; NULL and not keep: removed */
};

struct plan {
	struct step *v;
	size_t n, cap;
	uint32_t *slot; /* by id: index + 1 */
	uint32_t mask;
};

static uint32_t *plan_slot(const struct plan *p, int64_t id)
{
	uint32_t i = (uint32_t)nm_hash_id(id) & p->mask;

	while (p->slot[i] && p->v[p->slot[i] - 1].id != id)
		i = (i + 1) & p->mask;
	return &p->slot[i];
}

/* the step of this id, made when there is none yet; room was reserved */
static struct step *plan_step(const struct netmap *nm, struct plan *p, int64_t id)
{
	uint32_t *s = plan_slot(p, id);

	if (*s == 0) {
		uint32_t peer = nm_index_id(nm, id);

		assert(p->n < p->cap);
		p->v[p->n++] = (struct step){ .id = id, .peer = peer, .keep = peer != NO_PEER };
		*s = (uint32_t)p->n;
	}
	return &p->v[*s - 1];
}

static void step_set(struct step *s, struct nm_rec *rec) /* takes rec */
{
	free(s->rec);
	s->rec = rec;
	s->keep = false;
}

static const struct nm_rec *step_now(const struct netmap *nm, const struct step *s)
{
	return s->keep ? nm->peers[s->peer] : s->rec;
}

static bool plan_init(struct plan *p, size_t max)
{
	uint32_t cap = 16;

	while (cap / 2 <= max)
		cap *= 2;
	*p = (struct plan){ .mask = cap - 1, .cap = max };
	p->slot = calloc(cap, sizeof *p->slot);
	p->v = calloc(max + 1, sizeof *p->v);
	return p->slot && p->v;
}

static void plan_free(struct plan *p)
{
	for (size_t i = 0; p->v && i < p->n; i++)
		free(p->v[i].rec);
	free(p->v);
	free(p->slot);
}

/* --- planning --- */

static void plan_ops(const struct netmap *nm, struct plan *p, struct nm_ops *ops)
{
	for (size_t i = 0; i < ops->n; i++) {
		struct nm_op *op = &ops->v[i];
		struct step *s = plan_step(nm, p, op->id);

		step_set(s, op->rec);
		s->keep = op->rec == NULL && s->peer != NO_PEER;
		op->rec = NULL;
	}
}

static void plan_full(const struct netmap *nm, struct plan *p, struct nm_stage *st)
{
	plan_ops(nm, p, &st->peers);
	for (uint32_t i = 0; i < nm->limit; i++)
		if (nm->peers[i] && !nm->peers[i]->removed &&
		    *plan_slot(p, nm->peers[i]->n.id) == 0)
			plan_step(nm, p, nm->peers[i]->n.id)->keep = false;
}

/* Packs what scratch holds over the step; the scratch may point into the step's old record. */
static int plan_repack(struct nm_stage *st, struct step *s)
{
	struct nm_rec *rec = nm_rec_pack(&st->scratch.n);

	if (!rec)
		return -ENOMEM;
	step_set(s, rec);
	return 0;
}

static int plan_flags(const struct netmap *nm, struct plan *p, struct nm_stage *st, wall_t now)
{
	for (size_t i = 0; i < st->n_flags; i++) {
		const struct nm_flag *f = &st->flags[i];
		struct step *s = plan_step(nm, p, f->id);
		const struct nm_rec *base = step_now(nm, s);

		if (!base)
			continue;
		nm_scratch_load(&st->scratch, base);
		if (f->online)
			st->scratch.n.online = f->value;
		else
			st->scratch.n.last_seen = f->value ? now : WALL_ZERO;
		if (plan_repack(st, s) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int plan_patches(struct netmap *nm, struct plan *p, struct nm_stage *st)
{
	struct bytes all = buf_bytes(&st->patches);

	while (all.len > 0) {
		struct bytes text;
		uint32_t len;
		int64_t id;
		struct step *s;
		const struct nm_rec *base;

		memcpy(&len, all.data, sizeof len);
		text = bytes_of(all.data + sizeof len, len);
		all = bytes_of(text.data + len, all.len - sizeof len - len);
		if (!nm_patch_id(text, &id)) {
			nm->stat.bad_peers++;
			continue;
		}
		s = plan_step(nm, p, id);
		base = step_now(nm, s);
		if (!base)
			nm->stat.unknown_patches++;
		else if (!nm_patch_decode(text, base, &st->scratch))
			nm->stat.bad_peers++;
		else if (plan_repack(st, s) < 0)
			return -ENOMEM;
		nm->stat.left_out += base ? st->scratch.left_out : 0;
	}
	return 0;
}

static int plan_deltas(struct netmap *nm, struct plan *p, struct nm_stage *st, wall_t now)
{
	int r;

	for (size_t i = 0; i < st->n_removed; i++) {
		struct step *s = plan_step(nm, p, st->removed[i]);

		step_set(s, NULL);
	}
	plan_ops(nm, p, &st->changed);
	r = plan_flags(nm, p, st, now);
	return r < 0 ? r : plan_patches(nm, p, st);
}

static bool ensure_peers(struct netmap *nm, size_t want)
{
	uint32_t cap = nm->peers_cap ? nm->peers_cap : 16, *free_no;
	struct nm_rec **peers;

	if (want <= nm->peers_cap)
		return true;
	while (cap < want)
		cap *= 2;
	peers = reallocarray(nm->peers, cap, sizeof *peers);
	if (!peers)
		return false;
	nm->peers = peers;
	free_no = reallocarray(nm->free_no, cap, sizeof *free_no);
	if (!free_no)
		return false;
	nm->free_no = free_no;
	nm->peers_cap = cap;
	return true;
}

/* All room that carrying out will need. */
static int plan_reserve(struct netmap *nm, struct plan *p)
{
	size_t added = 0, names = 0, addresses = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (!p->v[i].rec)
			continue;
		names++;
		added += p->v[i].peer == NO_PEER;
		addresses += p->v[i].rec->n.n_addresses;
	}
	if (nm->n_peers + added > NETMAP_PEERS_MAX)
		return -EBADMSG;
	if (!ensure_peers(nm, nm->limit + added) || !nm_changes_reserve(nm, p->n + 16) ||
	    !nm_index_reserve(nm, IX_ID, nm->ix[IX_ID].n + names) ||
	    !nm_index_reserve(nm, IX_KEY, nm->ix[IX_KEY].n + names) ||
	    !nm_index_reserve(nm, IX_NAME, nm->ix[IX_NAME].n + names) ||
	    !nm_index_reserve(nm, IX_IP, nm->ix[IX_IP].n + addresses))
		return -ENOMEM;
	return 0;
}

/* --- carrying out --- */

static void bury(struct netmap *nm, struct nm_rec *r)
{
	r->next_dead = nm->dead;
	nm->dead = r;
}

static void remove_peer(struct netmap *nm, uint32_t peer)
{
	struct nm_rec *r = nm->peers[peer];

	nm_index_del(nm, r);
	nm->stat.memory -= r->size;
	nm->n_peers--;
	r->removed = true;
	bury(nm, r);
	nm_change_add(nm, NETMAP_PEER_REMOVED, peer, 0);
}

static void replace_peer(struct netmap *nm, uint32_t peer, struct nm_rec *rec, int64_t control_now)
{
	struct nm_rec *old = nm->peers[peer];
	unsigned what = nm_node_diff(old, &rec->n);

	rec->n.peer = peer;
	nm_rec_expire(rec, control_now);
	if (rec->n.expired != old->n.expired)
		what |= NETMAP_P_OTHER | NETMAP_P_ENDPOINTS | NETMAP_P_DERP;
	if (what == 0) {
		free(rec);
		return;
	}
	nm_index_del(nm, old);
	nm->stat.memory -= old->size;
	nm->stat.memory += rec->size;
	nm->peers[peer] = rec;
	nm_index_add(nm, rec);
	bury(nm, old);
	nm_change_add(nm, NETMAP_PEER, peer, what);
}

static void add_peer(struct netmap *nm, struct nm_rec *rec, int64_t control_now)
{
	uint32_t peer = nm->n_free > 0 ? nm->free_no[--nm->n_free] : nm->limit++;

	rec->n.peer = peer;
	nm_rec_expire(rec, control_now);
	nm->peers[peer] = rec;
	nm->stat.memory += rec->size;
	nm->n_peers++;
	nm_index_add(nm, rec);
	nm_change_add(nm, NETMAP_PEER, peer,
		      NETMAP_P_NEW | NETMAP_P_KEY | NETMAP_P_DISCO | NETMAP_P_ENDPOINTS |
			  NETMAP_P_DERP | NETMAP_P_ALLOWED | NETMAP_P_OTHER);
}

static void carry_out(struct netmap *nm, struct plan *p, int64_t control_now)
{
	for (size_t i = 0; i < p->n;
	     i++) { /* removals first: names and addresses may move on to another node */
		struct step *s = &p->v[i];

		if (!s->keep && !s->rec && s->peer != NO_PEER)
			remove_peer(nm, s->peer);
	}
	for (size_t i = 0; i < p->n; i++) {
		struct step *s = &p->v[i];
		struct nm_rec *rec = s->rec;

		s->rec = NULL;
		if (rec && s->peer != NO_PEER)
			replace_peer(nm, s->peer, rec, control_now);
		else if (rec)
			add_peer(nm, rec, control_now);
	}
}

static void set_self(struct netmap *nm, struct nm_rec *rec, int64_t control_now)
{
	const char *dot = strchr(rec->n.name, '.');
	size_t n;

	nm_rec_expire(rec, control_now);
	if (!nm->self || nm_node_diff(nm->self, &rec->n) || nm->self->n.expired != rec->n.expired)
		nm_change_add(nm, NETMAP_SELF, NO_PEER, 0);
	if (nm->self)
		bury(nm, nm->self);
	nm->self = rec;
	(void)bytes_to_str(bytes_str(dot ? dot + 1 : ""), nm->suffix, sizeof nm->suffix);
	n = strlen(nm->suffix);
	if (n > 0 && nm->suffix[n - 1] == '.')
		nm->suffix[n - 1] = 0;
}

static void set_users(struct netmap *nm, struct nm_stage *st)
{
	for (size_t i = 0; i < st->n_users; i++) {
		struct nm_user *u = st->users[i], **at = NULL;

		if (nm->n_users > 0)
			at = bsearch(&u, nm->users, nm->n_users, sizeof *nm->users, nm_user_cmp);
		if (at) {
			nm->stat.memory += u->size - (*at)->size;
			free(*at);
			*at = u;
		} else if (nm->n_users < NETMAP_USERS_MAX) {
			size_t k = nm->n_users++;

			while (k > 0 && nm->users[k - 1]->u.id > u->u.id) {
				nm->users[k] = nm->users[k - 1];
				k--;
			}
			nm->users[k] = u;
			nm->stat.memory += u->size;
		} else {
			free(u);
		}
	}
	if (st->n_users > 0)
		nm_change_add(nm, NETMAP_USERS, NO_PEER, 0);
	st->n_users = 0;
}

static void drop_users(struct netmap *nm)
{
	for (size_t i = 0; i < nm->n_users; i++) {
		nm->stat.memory -= nm->users[i]->size;
		free(nm->users[i]);
	}
	nm->n_users = 0;
}

/* The sections that replace each other whole: swapped, so that the stage frees the old one. */
#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		__typeof__(a) swap_ = (a);                                                         \
		(a) = (b);                                                                         \
		(b) = swap_;                                                                       \
	} while (0)

static void set_sections(struct netmap *nm, struct nm_stage *st)
{
	if (st->has_derp) {
		SWAP(nm->derp, st->derp);
		nm_change_add(nm, NETMAP_DERPMAP, NO_PEER, 0);
	}
	if ((st->has_filters || nm->fresh) && !nm_filters_eq(&nm->filters, &st->filters)) {
		SWAP(nm->filters, st->filters);
		nm_change_add(nm, NETMAP_FILTER, NO_PEER, 0);
	}
	if (st->has_dns || nm->fresh) { /* a fresh stream without DNSConfig has none */
		SWAP(nm->dns, st->dns);
		nm_change_add(nm, NETMAP_DNS, NO_PEER, 0);
	}
	if (st->has_health || nm->fresh) {
		SWAP(nm->health, st->health);
		nm_change_add(nm, NETMAP_HEALTH, NO_PEER, 0);
	}
	if (st->has_domain || nm->fresh)
		memcpy(nm->domain, st->domain, sizeof nm->domain);
	if (st->has_exit) {
		nm_change_add(nm, NETMAP_DEBUG_EXIT, NO_PEER, 0);
		nm->changes[nm->n_changes - 1].value = st->exit_code;
	}
}

/* What counts in every frame, keep-alives too. */
static void set_always(struct netmap *nm, struct nm_stage *st, wall_t now)
{
	buf_fini(&nm->texts);
	SWAP(nm->texts, st->texts);
	if (nm->texts.len > 0) {
		nm_change_add(nm, NETMAP_PING_REQUEST, NO_PEER, 0);
		nm->changes[nm->n_changes - 1].text = buf_bytes(&nm->texts);
	}
	if (st->url && (!nm->last_url || strcmp(nm->last_url, st->url) != 0)) { /* no repeats */
		SWAP(nm->last_url, st->url);
		nm_change_add(nm, NETMAP_OPEN_URL, NO_PEER, 0);
		nm->changes[nm->n_changes - 1].text = bytes_str(nm->last_url);
	}
	if (st->control_time.ns > 0 &&
	    st->control_time.ns < (int64_t)NETMAP_CLOCK_EPOCH_S * NS_PER_S) {
		nm->skew = SPAN_NS(0);
	} else if (st->control_time.ns > 0) {
		int64_t d = st->control_time.ns - now.ns;

		nm->skew = d > 60 * NS_PER_S || d < -60 * NS_PER_S ? SPAN_NS(d) : SPAN_NS(0);
	}
}

static int plan_make(struct netmap *nm, struct plan *p, struct nm_stage *st, wall_t now)
{
	size_t max = st->peers.n + st->changed.n + st->n_removed + st->n_flags + st->n_patches;
	int r = 0;

	if (st->keepalive)
		max = 0;
	else if (st->has_peers || nm->fresh)
		max += nm->n_peers;
	if (!plan_init(p, max))
		return -ENOMEM;
	if (st->keepalive)
		return nm_changes_reserve(nm, 16) ? 0 : -ENOMEM;
	if (st->has_peers || nm->fresh)
		plan_full(nm, p, st);
	if (!st->has_peers)
		r = plan_deltas(nm, p, st, now);
	if (r == 0)
		r = plan_reserve(nm, p);
	if (r == 0 && !array_grow(&nm->users, &nm->users_cap, nm->n_users + st->n_users,
				  sizeof(struct nm_user *)))
		r = -ENOMEM;
	return r;
}

int nm_apply(struct netmap *nm, struct nm_stage *st, wall_t now, struct err *e)
{
	struct plan p = { NULL };
	int64_t control_now;
	int r;

	if (nm->fresh && !st->keepalive && !st->self)
		return err_say(e, EBADMSG, "netmap: the first frame of the stream has no Node");
	r = plan_make(nm, &p, st, now);
	if (r == 0) {
		set_always(nm, st, now);
		control_now = nm_control_ns(nm, now);
		nm->keepalive = st->keepalive;
		nm->stat.frames++;
	}
	if (r == 0 && !st->keepalive) {
		if (nm->fresh)
			drop_users(nm);
		carry_out(nm, &p, control_now);
		if (st->self)
			set_self(nm, TAKE_PTR(st->self), control_now);
		set_users(nm, st);
		set_sections(nm, st);
		nm->fresh = false;
	}
	plan_free(&p);
	if (r == -ENOMEM)
		return err_say(e, ENOMEM, "netmap: out of memory");
	return r < 0 ? err_say(e, -r, "netmap: more than %d peers", NETMAP_PEERS_MAX) : 0;
}
