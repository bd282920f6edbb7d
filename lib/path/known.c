/* path/known.c - the peers of the netmap, found by number, node key and disco key */
#include "crypto/locked.h"
#include "path/path_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t key_hash(const struct path *p, const struct key_pub *k)
{
	return lookup_hash(p->seed, k->b, KEY_LEN);
}

struct known *known_at(const struct path *p, uint32_t peer)
{
	return peer < p->cap_peers && p->peers[peer].present ? &p->peers[peer] : NULL;
}

struct known *known_by_node(const struct path *p, const struct key_pub *node, uint32_t *peer)
{
	uint32_t hash = key_hash(p, node), id;
	size_t pos = LOOKUP_START;

	while (lookup_next(&p->by_node, hash, &pos, &id)) {
		if (key_eq(&p->peers[id].node, node)) {
			*peer = id;
			return &p->peers[id];
		}
	}
	return NULL;
}

size_t known_by_disco(const struct path *p, const struct key_pub *disco, uint32_t *peers,
		      size_t cap)
{
	uint32_t hash = key_hash(p, disco), id;
	size_t pos = LOOKUP_START, n = 0;

	while (n < cap && lookup_next(&p->by_disco, hash, &pos, &id))
		if (key_eq(&p->peers[id].disco, disco))
			peers[n++] = id;
	return n;
}

static void shared_drop(struct known *k)
{
	locked_free(k->shared, BOX_SHARED);
	k->shared = NULL;
	k->bad_disco = false;
}

const uint8_t *known_shared(struct path *p, struct known *k)
{
	if (k->shared || k->bad_disco || key_is_zero(&k->disco))
		return k->shared;
	if (key_eq(&k->disco, &p->disco_pub)) { /* ours comes back from any echo */
		k->bad_disco = true;
		return NULL;
	}
	k->shared = locked_new(BOX_SHARED);
	if (k->shared && !box_shared(k->shared, p->disco, &k->disco)) {
		shared_drop(k);
		k->bad_disco = true;
	}
	return k->shared;
}

bool path_peer_told(struct path *p, mono_t now, const struct ipport *from, uint32_t *peer)
{
	if (!mono_due(p->next_told, now))
		return false;
	p->next_told = mono_add(now, SPAN_MS(TOLD_GAP_MS));
	for (size_t i = 0; i < p->cap_peers; i++) {
		for (size_t j = 0; j < p->peers[i].n_eps; j++) {
			if (ipport_eq(&p->peers[i].eps[j], from)) {
				*peer = (uint32_t)i;
				return true;
			}
		}
	}
	return false;
}

uint16_t known_derp(const struct known *k)
{
	return k->heard_derp ? k->heard_derp : k->home_derp;
}

static int table_reach(struct path *p, uint32_t peer)
{
	size_t cap = p->cap_peers ? p->cap_peers : 16;
	struct known *v;

	if (peer < p->cap_peers)
		return 0;
	if (peer >= PEERS_MAX)
		return -ENOMEM;
	while (cap <= peer)
		cap += cap / 4; /* large entries: little is left over */
	v = realloc(p->peers, cap * sizeof *v);
	if (!v)
		return -ENOMEM;
	memset(v + p->cap_peers, 0, (cap - p->cap_peers) * sizeof *v);
	p->peers = v;
	p->cap_peers = cap;
	return 0;
}

static bool eps_same(const struct known *k, const struct path_peer *conf, size_t n)
{
	if (k->n_eps != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!ipport_eq(&k->eps[i], &conf->endpoints[i]))
			return false;
	return true;
}

static int eps_set(struct path *p, mono_t now, struct known *k, const struct path_peer *conf)
{
	size_t n = MIN_OF(conf->n_endpoints, (size_t)PATH_ENDPOINTS_MAX);
	struct ipport *v = NULL;

	for (size_t i = n; i < conf->n_endpoints; i++)
		path_drop(p, PATH_DROP_ENDPOINT_LIMIT);
	if (eps_same(k, conf, n))
		return 0;
	if (n > 0) {
		v = malloc(n * sizeof *v);
		if (!v)
			return -ENOMEM;
		memcpy(v, conf->endpoints, n * sizeof *v);
	}
	free(k->eps);
	k->eps = v;
	k->n_eps = (uint16_t)n;
	if (k->live)
		cand_netmap(p, now, k->live, v, n);
	return 0;
}

/* The peer has another disco key: what was proven with the old one counts no more. */
static int disco_set(struct path *p, mono_t now, uint32_t peer, struct known *k,
		     const struct key_pub *disco)
{
	if (key_eq(&k->disco, disco))
		return 0;
	if (!key_is_zero(disco) && lookup_add(&p->by_disco, key_hash(p, disco), peer) < 0)
		return -ENOMEM;
	if (!key_is_zero(&k->disco))
		lookup_del(&p->by_disco, key_hash(p, &k->disco), peer);
	if (k->live && k->live->n_pings > 0) {
		/* or who changes its key all the time would have us ping what it names, third
		 * parties too, without a limit */
		if (mono_due(k->live->void_until, now))
			k->live->n_void = 0;
		k->live->n_void += k->live->n_pings;
		k->live->void_until = mono_add(now, SPAN_S(PING_TIMEOUT_S));
	}
	ping_forget(p, peer);
	out_forget(p, peer);
	shared_drop(k);
	k->disco = *disco;
	if (k->live)
		live_reset(p, now, k->live);
	return 0;
}

static int known_add(struct path *p, uint32_t peer, const struct key_pub *node)
{
	int r = table_reach(p, peer);

	if (r < 0)
		return r;
	if (lookup_add(&p->by_node, key_hash(p, node), peer) < 0)
		return -ENOMEM;
	p->peers[peer] = (struct known){ .present = true, .node = *node };
	return 0;
}

int path_peer_set(struct path *p, mono_t now, uint32_t peer, const struct path_peer *conf)
{
	struct known *k = known_at(p, peer);
	bool is_new;
	int r;

	if (k && !key_eq(&k->node, &conf->node)) { /* another node under this number */
		path_peer_del(p, peer);
		k = NULL;
	}
	is_new = !k;
	if (is_new) {
		r = known_add(p, peer, &conf->node);
		if (r < 0)
			return r;
		k = &p->peers[peer];
	}
	/* A key learnt from the peer itself is newer than the one that control repeats. */
	uint32_t told = key_hash(p, &conf->disco);

	r = 0;
	if (is_new || told != k->netmap_disco)
		r = disco_set(p, now, peer, k, &conf->disco);
	if (r == 0)
		r = eps_set(p, now, k, conf);
	if (r < 0) {
		if (is_new)
			path_peer_del(p, peer);
		return r;
	}
	k->netmap_disco = told;
	if (k->home_derp != conf->home_derp)
		k->heard_derp = 0; /* it moved: what we heard is older than what control says */
	k->home_derp = conf->home_derp;
	k->wireguard_only = conf->wireguard_only;
	return 0;
}

void path_set_disco_key(struct path *p, mono_t now, uint32_t peer, const struct key_pub *disco)
{
	struct known *k = known_at(p, peer);

	if (k && !key_is_zero(disco) && disco_set(p, now, peer, k, disco) < 0)
		path_drop(p, PATH_DROP_QUEUE_FULL);
}

void path_peer_del(struct path *p, uint32_t peer)
{
	struct known *k = known_at(p, peer);

	if (!k)
		return;
	ping_forget(p, peer);
	out_forget(p, peer);
	if (k->live)
		live_free(p, k->live);
	lookup_del(&p->by_node, key_hash(p, &k->node), peer);
	if (!key_is_zero(&k->disco))
		lookup_del(&p->by_disco, key_hash(p, &k->disco), peer);
	shared_drop(k);
	free(k->eps);
	*k = (struct known){ 0 };
}

void path_note_derp(struct path *p, mono_t now, uint32_t peer, uint16_t region)
{
	struct known *k = known_at(p, peer);

	(void)now;
	if (k)
		k->heard_derp = region;
}

void path_derp_gone(struct path *p, mono_t now, uint16_t region, const struct key_pub *key)
{
	uint32_t peer;
	struct known *k;

	(void)now;
	if (key) {
		k = known_by_node(p, key, &peer);
		if (k && k->heard_derp == region)
			k->heard_derp = 0;
		return;
	}
	for (size_t i = 0; i < p->cap_peers; i++)
		if (p->peers[i].heard_derp == region)
			p->peers[i].heard_derp = 0;
}

void known_fini(struct path *p)
{
	for (size_t i = 0; i < p->cap_peers; i++)
		path_peer_del(p, (uint32_t)i);
	free(p->peers);
	lookup_fini(&p->by_node);
	lookup_fini(&p->by_disco);
}
