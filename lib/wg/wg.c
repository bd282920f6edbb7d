/* wg/wg.c - the interface: birth and death, what goes out, questions */
#include "wg/wg.h"

#include <assert.h>
#include <stdlib.h>

#include "wg/wg_priv.h"

const char *const wg_drop_names[WG_DROP_N] = {
	[WG_DROP_NONE] = "none",
	[WG_DROP_SHORT] = "short",
	[WG_DROP_TYPE] = "type",
	[WG_DROP_SIZE] = "size",
	[WG_DROP_MAC1] = "mac1",
	[WG_DROP_MAC2] = "mac2",
	[WG_DROP_RATE] = "rate",
	[WG_DROP_UNKNOWN_KEY] = "unknown_key",
	[WG_DROP_FORGED] = "forged",
	[WG_DROP_OLD_TIMESTAMP] = "old_timestamp",
	[WG_DROP_FLOOD] = "flood",
	[WG_DROP_UNKNOWN_INDEX] = "unknown_index",
	[WG_DROP_EXPIRED] = "expired",
	[WG_DROP_REPLAY] = "replay",
	[WG_DROP_INNER_SHAPE] = "inner_shape",
	[WG_DROP_INNER_SOURCE] = "inner_source",
	[WG_DROP_STAGE_FULL] = "stage_full",
	[WG_DROP_NO_MEMORY] = "no_memory",
};

struct wg *wg_new(const struct wg_conf *conf)
{
	struct wg *wg = calloc(1, sizeof *wg);

	if (!wg || !(wg->me = secret_new(sizeof *wg->me))) {
		free(wg);
		return NULL;
	}
	assert(conf->max_peers < WG_NO_PEER);
	wg->rng = conf->rng;
	wg->max_peers = conf->max_peers;
	wg->staged_max = conf->staged_bytes;
	wg->event_head = wg->event_tail = WG_NO_PEER;
	rng_fill(wg->rng, wg->key_seed, sizeof wg->key_seed);
	wg_identity_init(wg->me, &conf->key);
	wg_allowed_init(&wg->allowed, wg->rng);
	wg_cookie_guard_init(&wg->guard, wg->rng);
	return wg;
}

static void lent_free(struct wg *wg)
{
	while (wg->lent) {
		struct staged *s = wg->lent;

		wg->lent = s->next;
		free(s);
	}
}

static void sessions_end(struct wg *wg)
{
	while (wg->n_heap > 0)
		wg_live_free(wg, wg->heap[wg->n_heap - 1]);
}

void wg_free(struct wg *wg)
{
	if (!wg)
		return;
	sessions_end(wg);
	lent_free(wg);
	for (size_t i = 0; i < wg->n_slots; i++)
		free(wg->peers[i].allowed);
	free(wg->peers);
	free(wg->by_key);
	free(wg->heap);
	wg_index_fini(&wg->indices);
	wg_allowed_fini(&wg->allowed);
	wg_cookie_guard_fini(&wg->guard);
	secret_free(wg->me);
	secret_wipe(wg, sizeof *wg);
	free(wg);
}

void wg_set_key(struct wg *wg, const struct key_priv *key)
{
	sessions_end(wg);
	wg_identity_init(wg->me, key);
	wg->n_cookies = 0;
}

uint32_t wg_route(const struct wg *wg, const struct ip *dst)
{
	return wg_allowed_look(&wg->allowed, dst);
}

void wg_peer_nudge(struct wg *wg, mono_t now, uint32_t peer)
{
	struct peer *p = wg_peer_of(wg, peer);
	struct live *l = p ? p->live : NULL;
	mono_t spaced;

	if (!l || !l->handshaking || l->want_init)
		return;
	l->attempts = 0;
	spaced = mono_add(l->init_sent, SPAN_MS(NUDGE_SPACING_MS));
	l->retry_at = mono_min(l->retry_at, mono_max(spaced, now));
	wg_timers_touch(wg, l);
	wg_tick(wg, now, WALL_ZERO);
}

bool wg_peer_answers(struct wg *wg, mono_t now, uint32_t peer, span_t rtt)
{
	const struct peer *p = wg_peer_of(wg, peer);
	const struct live *l = p ? p->live : NULL;

	if (l && l->handshaking && mono_sub(now, l->init_sent).ns < NUDGE_ROUND_TRIPS * rtt.ns)
		return false;
	wg_peer_nudge(wg, now, peer);
	return true;
}

void wg_peer_restarted(struct wg *wg, uint32_t peer)
{
	struct peer *p = wg_peer_of(wg, peer);
	struct live *l = p ? p->live : NULL;

	if (p) /* its timestamps may begin anew: the wall clock could have been set back meanwhile
		*/
		memset(p->ts, 0, sizeof p->ts);
	if (!l || !l->slot[SLOT_CURRENT])
		return;
	l->slot[SLOT_CURRENT]->is_receive_only = true;
	l->has_sent = false; /* the pause after an initiation was for the old process */
	if (!l->handshaking)
		l->retry_at = MONO_NEVER;
}

void wg_peer_unheard(struct wg *wg, mono_t now, uint32_t peer)
{
	struct live *l = wg_peer_of(wg, peer) ? wg_live_get(wg, peer) : NULL;

	if (l && !l->slot[SLOT_NEXT] && !wg_keypair_may_send(l->slot[SLOT_CURRENT], now))
		wg_session_start(wg, l, now);
}

size_t wg_seal(struct wg *wg, mono_t now, wall_t wall, uint32_t peer, struct pkt *v, size_t n)
{
	struct live *l;

	(void)wall;
	if (!wg_peer_of(wg, peer)) {
		wg->drops[WG_DROP_UNKNOWN_KEY] += n;
		return 0;
	}
	l = wg_live_get(wg, peer);
	if (!l) {
		wg->drops[WG_DROP_NO_MEMORY] += n;
		return 0;
	}
	if (!l->staged && wg_keypair_may_send(l->slot[SLOT_CURRENT], now)) {
		for (size_t i = 0; i < n; i += BURST_MAX)
			wg_session_seal(wg, l, now, v + i, MIN_OF(n - i, BURST_MAX));
		return n;
	}
	for (size_t i = 0; i < n; i++)
		wg_stage_put(wg, l, &v[i]);
	if (wg_keypair_may_send(l->slot[SLOT_CURRENT], now))
		wg_ready_add(wg, l); /* behind packets that are staged already */
	else
		wg_session_start(wg, l, now);
	return 0;
}

/* The single message in out_mem. */
static void out_one(struct wg *wg, uint32_t peer, uint32_t len, struct wg_out *out)
{
	wg->out_v[0] = (struct pkt){ wg->out_mem + PKT_HEAD, len, PKT_HEAD,
				     (uint16_t)(sizeof wg->out_mem - PKT_HEAD - len) };
	*out = (struct wg_out){ .peer = peer, .v = wg->out_v, .n = 1 };
}

static bool pull_init(struct wg *wg, struct live *l, mono_t now, wall_t wall, struct wg_out *out)
{
	uint8_t ts[TS_LEN], *msg = wg->out_mem + PKT_HEAD;

	l->want_init = false;
	wg_index_del(&wg->indices, l->hs_index); /* an answer to the one before comes too late */
	l->hs_index = wg_index_add(&wg->indices, wg->rng, l->peer);
	wg_timers_arm_retry(wg, l, now);
	if (l->hs_index == 0) {
		drop(wg, WG_DROP_NO_MEMORY);
		return false;
	}
	wg_timestamp_emit(wall, ts);
	if (memcmp(ts, wg->last_ts, TS_LEN) <= 0) {
		memcpy(ts, wg->last_ts, TS_LEN);
		wg_timestamp_next(ts);
	}
	memcpy(wg->last_ts, ts, TS_LEN);
	/* cannot fail: live_get refused keys of low order */
	if (!wg_init_emit(&l->hs, wg->me, &wg->peers[l->peer].key, l->ss, l->hs_index, ts, wg->rng,
			  msg))
		return false;
	wg_macs_put(msg, INIT_MACS, l->mac1_key, &l->cookie, now);
	memcpy(l->init_mac1, msg + INIT_MACS, MAC_LEN);
	l->init_sent = now;
	l->has_sent = true;
	out_one(wg, l->peer, MSG_INIT_LEN, out);
	return true;
}

static void pull_resp(struct wg *wg, struct live *l, mono_t now, struct wg_out *out)
{
	uint8_t *msg = wg->out_mem + PKT_HEAD;

	l->has_resp = false;
	memcpy(msg, l->resp, MSG_RESP_LEN);
	wg_macs_put(msg, RESP_MACS, l->mac1_key, &l->cookie, now);
	memcpy(l->resp_mac1, msg + RESP_MACS, MAC_LEN);
	out_one(wg, l->peer, MSG_RESP_LEN, out);
}

static void pull_staged(struct wg *wg, struct live *l, mono_t now, struct wg_out *out)
{
	struct staged **end = &wg->lent;
	size_t n = 0;

	while (n < BURST_MAX && l->staged) {
		struct staged *s = wg_stage_take(wg, l);

		s->next = NULL;
		*end = s;
		end = &s->next;
		wg->out_v[n++] = (struct pkt){ s->mem + PKT_HEAD, s->len, PKT_HEAD, PKT_TAIL };
	}
	wg_session_seal(wg, l, now, wg->out_v, n);
	*out = (struct wg_out){ .peer = l->peer, .v = wg->out_v, .n = n };
}

static bool pull_live(struct wg *wg, struct live *l, mono_t now, wall_t wall, struct wg_out *out)
{
	bool may_send = wg_keypair_may_send(l->slot[SLOT_CURRENT], now);

	if (l->staged && !may_send) /* the session may have died since they were staged */
		wg_session_start(wg, l, now);
	if (l->has_resp) {
		pull_resp(wg, l, now, out);
		return true;
	}
	if (l->want_init && pull_init(wg, l, now, wall, out))
		return true;
	if (l->staged && may_send) {
		pull_staged(wg, l, now, out);
		return true;
	}
	if (l->want_keepalive && may_send) {
		out_one(wg, l->peer, 0, out);
		wg_session_seal(wg, l, now, wg->out_v, 1);
		return true;
	}
	l->want_keepalive = false;
	return false;
}

bool wg_pull(struct wg *wg, mono_t now, wall_t wall, struct wg_out *out)
{
	lent_free(wg);
	if (wg->n_cookies > 0) {
		struct cookie_out *c = &wg->cookies[--wg->n_cookies];

		memcpy(wg->out_mem + PKT_HEAD, c->msg, MSG_COOKIE_LEN);
		out_one(wg, WG_NO_PEER, MSG_COOKIE_LEN, out);
		out->to = c->to;
		return true;
	}
	while (wg->ready) {
		struct live *l = wg->ready;

		if (pull_live(wg, l, now, wall, out))
			return true;
		wg_ready_del(wg, l);
	}
	return false;
}

bool wg_peer_stat(const struct wg *wg, uint32_t peer, struct wg_peer_stat *st)
{
	const struct peer *p = wg_peer_of(wg, peer);

	if (!p)
		return false;
	*st = (struct wg_peer_stat){
		.rx_bytes = p->rx_bytes,
		.tx_bytes = p->tx_bytes,
		.rx_packets = p->rx_packets,
		.tx_packets = p->tx_packets,
		.last_handshake = p->last_handshake,
		.has_session = p->live && p->live->slot[SLOT_CURRENT] &&
			       !p->live->slot[SLOT_CURRENT]->is_receive_only,
		.handshaking = p->live && p->live->handshaking,
	};
	return true;
}

const uint64_t *wg_drops(const struct wg *wg)
{
	return wg->drops;
}
