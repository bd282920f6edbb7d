/* wg/peer.c - the table of known peers, their allowed IPs, and the live state that comes and goes
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "wg/wg_priv.h"

enum { BY_KEY_MIN = 16, PEERS_MIN = 8 };

struct peer *wg_peer_of(const struct wg *wg, uint32_t peer)
{
	return peer < wg->n_slots && wg->peers[peer].known ? &wg->peers[peer] : NULL;
}

const struct key_pub *wg_peer_key(const struct wg *wg, uint32_t peer)
{
	const struct peer *p = wg_peer_of(wg, peer);

	return p ? &p->key : NULL;
}

/* seeded, so that who chooses keys cannot make chains long */
static size_t key_home(const struct wg *wg, const struct key_pub *key)
{
	struct rd r = rd_of(key->b, KEY_LEN);
	unsigned __int128 sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (unsigned __int128)(wg->key_seed[i] | 1) * rd_be64(&r);
	return (size_t)((uint64_t)(sum >> 64) ^ (uint64_t)sum) & (wg->by_key_cap - 1);
}

static size_t key_slot(const struct wg *wg, const struct key_pub *key)
{
	size_t i = key_home(wg, key);

	while (wg->by_key[i] != 0 && !key_eq(&wg->peers[wg->by_key[i] - 1].key, key))
		i = (i + 1) & (wg->by_key_cap - 1);
	return i;
}

bool wg_peer_find(const struct wg *wg, const struct key_pub *key, uint32_t *peer)
{
	uint32_t v = wg->n_known > 0 ? wg->by_key[key_slot(wg, key)] : 0;

	if (v == 0)
		return false;
	*peer = v - 1;
	return true;
}

static bool by_key_grow(struct wg *wg)
{
	uint32_t *old = wg->by_key;
	size_t old_cap = wg->by_key_cap, cap = old_cap ? 2 * old_cap : BY_KEY_MIN;
	uint32_t *v = calloc(cap, sizeof *v);

	if (!v)
		return false;
	wg->by_key = v;
	wg->by_key_cap = cap;
	for (size_t i = 0; i < old_cap; i++)
		if (old[i] != 0)
			v[key_slot(wg, &wg->peers[old[i] - 1].key)] = old[i];
	free(old);
	return true;
}

static void by_key_del(struct wg *wg, const struct key_pub *key)
{
	size_t mask = wg->by_key_cap - 1, gap = key_slot(wg, key);

	for (size_t i = (gap + 1) & mask; wg->by_key[i] != 0; i = (i + 1) & mask) {
		size_t home = key_home(wg, &wg->peers[wg->by_key[i] - 1].key);

		if (((i - home) & mask) >= ((i - gap) & mask)) {
			wg->by_key[gap] = wg->by_key[i];
			gap = i;
		}
	}
	wg->by_key[gap] = 0;
}

static bool peers_reach(struct wg *wg, uint32_t peer)
{
	size_t n = wg->n_slots ? wg->n_slots : PEERS_MIN;
	struct peer *v;

	if (peer < wg->n_slots)
		return true;
	while (n <= peer)
		n += n / 4; /* large entries: little is left over */
	n = MIN_OF(n, wg->max_peers);
	v = reallocarray(wg->peers, n, sizeof *v);
	if (!v)
		return false;
	memset(v + wg->n_slots, 0, (n - wg->n_slots) * sizeof *v);
	wg->peers = v;
	wg->n_slots = n;
	return true;
}

int wg_peer_add(struct wg *wg, uint32_t peer, const struct key_pub *key)
{
	uint32_t other;
	struct peer *p;

	if (peer >= wg->max_peers)
		return -ENOSPC;
	if (wg_peer_of(wg, peer) || wg_peer_find(wg, key, &other))
		return -EEXIST;
	if (!peers_reach(wg, peer) ||
	    (4 * (wg->n_known + 1) > 3 * wg->by_key_cap && !by_key_grow(wg)))
		return -ENOMEM;
	p = &wg->peers[peer];
	*p = (struct peer){
		.key = *key, .known = true, .events = p->events, .event_next = p->event_next
	};
	wg->by_key[key_slot(wg, key)] = peer + 1;
	wg->n_known++;
	return 0;
}

static void allowed_clear(struct wg *wg, uint32_t peer)
{
	struct peer *p = &wg->peers[peer];

	for (size_t i = 0; i < p->n_allowed; i++)
		wg_allowed_del(&wg->allowed, &p->allowed[i], peer);
	free(p->allowed);
	p->allowed = NULL;
	p->n_allowed = 0;
}

void wg_peer_del(struct wg *wg, uint32_t peer)
{
	struct peer *p = wg_peer_of(wg, peer);

	if (!p)
		return;
	wg_live_free(wg, p->live);
	allowed_clear(wg, peer);
	by_key_del(wg, &p->key);
	wg->n_known--;
	p->known = false;
	p->events &= EVENT_QUEUED; /* still a link of the queue; wg_next skips it */
}

int wg_peer_allow(struct wg *wg, uint32_t peer, const struct ipprefix *v, size_t n)
{
	struct peer *p = wg_peer_of(wg, peer);
	struct ipprefix *copy = NULL;

	assert(p);
	if (!wg_allowed_reserve(&wg->allowed, n))
		return -ENOMEM;
	if (n > 0) {
		copy = reallocarray(NULL, n, sizeof *copy);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, v, n * sizeof *v);
	}
	allowed_clear(wg, peer);
	p->allowed = copy;
	p->n_allowed = n;
	for (size_t i = 0; i < n; i++)
		wg_allowed_put(&wg->allowed, &v[i], peer);
	return 0;
}

struct live *wg_live_get(struct wg *wg, uint32_t peer)
{
	struct peer *p = wg_peer_of(wg, peer);
	struct live *l;

	assert(p);
	if (p->live)
		return p->live;
	l = locked_new(sizeof *l); /* holds secrets of handshakes */
	if (!l)
		return NULL;
	l->peer = peer;
	l->staged_end = &l->staged;
	l->retry_at = l->keepalive_at = l->stale_at = l->zero_at = MONO_NEVER;
	if (!key_dh(l->ss, &wg->me->priv, &p->key) || !wg_timers_add(wg, l)) {
		locked_free(l, sizeof *l);
		return NULL;
	}
	wg_identity_mac_keys(&p->key, l->mac1_key, l->cookie_key);
	p->live = l;
	return l;
}

void wg_live_free(struct wg *wg, struct live *l)
{
	if (!l)
		return;
	for (enum slot s = 0; s < SLOT_N; s++)
		wg_keypair_drop(wg, l, s);
	wg_index_del(&wg->indices, l->hs_index);
	wg_stage_flush(wg, l);
	wg_ready_del(wg, l);
	wg_timers_del(wg, l);
	wg->peers[l->peer].live = NULL;
	locked_free(l, sizeof *l);
}

void wg_ready_add(struct wg *wg, struct live *l)
{
	if (l->is_ready)
		return;
	l->is_ready = true;
	l->ready_next = NULL;
	l->ready_prev = wg->ready_tail;
	if (wg->ready_tail)
		wg->ready_tail->ready_next = l;
	else
		wg->ready = l;
	wg->ready_tail = l;
}

void wg_ready_del(struct wg *wg, struct live *l)
{
	if (!l->is_ready)
		return;
	l->is_ready = false;
	if (l->ready_prev)
		l->ready_prev->ready_next = l->ready_next;
	else
		wg->ready = l->ready_next;
	if (l->ready_next)
		l->ready_next->ready_prev = l->ready_prev;
	else
		wg->ready_tail = l->ready_prev;
}

/* Events of one kind and one peer merge: the queue is a list through the table and never grows
 * beyond it. */
void wg_event_put(struct wg *wg, uint32_t peer, enum wg_event_type type, bool first)
{
	struct peer *p = &wg->peers[peer];

	if (!(p->events & EVENT_QUEUED)) {
		p->event_next = WG_NO_PEER;
		if (wg->event_tail != WG_NO_PEER)
			wg->peers[wg->event_tail].event_next = peer;
		else
			wg->event_head = peer;
		wg->event_tail = peer;
	}
	p->events |= (uint8_t)(EVENT_QUEUED | 1 << type | (first ? EVENT_FIRST : 0));
}

bool wg_next(struct wg *wg, struct wg_event *ev)
{
	while (wg->event_head != WG_NO_PEER) {
		struct peer *p = &wg->peers[wg->event_head];

		for (enum wg_event_type t = WG_EV_SESSION; t <= WG_EV_FORGOTTEN; t++)
			if (p->known && (p->events & 1 << t)) {
				*ev = (struct wg_event){ t, wg->event_head,
							 t == WG_EV_SESSION &&
							     (p->events & EVENT_FIRST) };
				p->events &=
				    (uint8_t) ~(1 << t | (t == WG_EV_SESSION ? EVENT_FIRST : 0));
				return true;
			}
		p->events = 0;
		wg->event_head = p->event_next;
		if (wg->event_head == WG_NO_PEER)
			wg->event_tail = WG_NO_PEER;
	}
	return false;
}
