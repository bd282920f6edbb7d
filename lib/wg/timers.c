/* wg/timers.c - when a peer must retry, keep alive, rekey or forget
 *
 * Whitepaper 6, data-plane.md 1.4. Four deadlines a live peer:
 * - retry: an initiation without an answer is repeated 5 s (and up to a third of a second) later,
 * given up after about 90 s;
 * - keepalive: data came and nothing went back for 10 s: an empty packet says that we are there;
 * - stale: data went out and nothing came back for 15 s: the session may be dead, a new handshake;
 * - zero: 540 s after the last session was derived all its keys go, and with them the live state.
 * That a session is too old to send or receive with is checked where it is used.
 *
 * Live peers sit in a binary heap by the earliest deadline. Traffic moves deadlines with every
 * packet, so a later deadline leaves the heap alone: it fires early, finds nothing due, and is put
 * back. heap_at is never later than the truth.
 */
#include <stdlib.h>

#include "wg/wg_priv.h"

static mono_t earliest(const struct live *l)
{
	return mono_min(mono_min(l->retry_at, l->keepalive_at), mono_min(l->stale_at, l->zero_at));
}

static void put(struct wg *wg, size_t i, struct live *l)
{
	wg->heap[i] = l;
	l->heap_pos = i;
}

static void sift_up(struct wg *wg, struct live *l)
{
	size_t i = l->heap_pos;

	for (; i > 0 && mono_before(l->heap_at, wg->heap[(i - 1) / 2]->heap_at); i = (i - 1) / 2)
		put(wg, i, wg->heap[(i - 1) / 2]);
	put(wg, i, l);
}

static void sift_down(struct wg *wg, struct live *l)
{
	size_t i = l->heap_pos;

	for (;;) {
		size_t c = 2 * i + 1;

		if (c + 1 < wg->n_heap &&
		    mono_before(wg->heap[c + 1]->heap_at, wg->heap[c]->heap_at))
			c++;
		if (c >= wg->n_heap || !mono_before(wg->heap[c]->heap_at, l->heap_at))
			break;
		put(wg, i, wg->heap[c]);
		i = c;
	}
	put(wg, i, l);
}

bool wg_timers_add(struct wg *wg, struct live *l)
{
	if (wg->n_heap == wg->heap_cap) {
		size_t cap = wg->heap_cap ? 2 * wg->heap_cap : 8;
		struct live **v = reallocarray(wg->heap, cap, sizeof(struct live *));

		if (!v)
			return false;
		wg->heap = v;
		wg->heap_cap = cap;
	}
	l->stale_jitter_ms = (uint16_t)rng_below(wg->rng, REKEY_JITTER_MS + 1);
	l->heap_at = earliest(l);
	put(wg, wg->n_heap++, l);
	sift_up(wg, l);
	return true;
}

void wg_timers_del(struct wg *wg, struct live *l)
{
	struct live *last = wg->heap[--wg->n_heap];

	if (last == l)
		return;
	put(wg, l->heap_pos, last);
	sift_up(wg, last);
	sift_down(wg, last);
}

void wg_timers_touch(struct wg *wg, struct live *l)
{
	mono_t at = earliest(l);

	if (mono_before(at, l->heap_at)) {
		l->heap_at = at;
		sift_up(wg, l);
	}
}

static mono_t later(mono_t from, int seconds, uint64_t jitter_ms)
{
	return mono_add(mono_add(from, SPAN_S(seconds)), SPAN_MS(jitter_ms));
}

void wg_timers_arm_retry(struct wg *wg, struct live *l, mono_t from)
{
	l->retry_at = later(from, REKEY_TIMEOUT_S, rng_below(wg->rng, REKEY_JITTER_MS + 1));
	wg_timers_touch(wg, l);
}

void wg_timers_sent(struct live *l, mono_t now, bool data)
{
	l->keepalive_at = MONO_NEVER;
	if (data && mono_is_never(l->stale_at))
		l->stale_at = later(now, STALE_S, l->stale_jitter_ms);
}

void wg_timers_received(struct live *l, mono_t now, bool data)
{
	l->stale_at = MONO_NEVER;
	if (data && mono_is_never(l->keepalive_at))
		l->keepalive_at = mono_add(now, SPAN_S(KEEPALIVE_S));
}

/* false: the peer was given up with nothing left to keep; l is gone */
static bool retry(struct wg *wg, struct live *l)
{
	l->retry_at = MONO_NEVER;
	if (l->handshaking && l->attempts > ATTEMPTS_MAX) {
		l->handshaking = l->want_init = false;
		wg_index_del(&wg->indices, l->hs_index);
		l->hs_index = 0;
		secret_wipe(&l->hs, sizeof l->hs);
		wg_stage_flush(wg, l);
		wg_event_put(wg, l->peer, WG_EV_GAVE_UP, false);
		if (mono_is_never(l->zero_at)) { /* there never was a session */
			wg_live_free(wg, l);
			return false;
		}
		return true;
	}
	l->attempts = l->handshaking ? l->attempts + 1 : 0;
	l->handshaking = l->want_init = true;
	wg_ready_add(wg, l);
	return true;
}

static void fire(struct wg *wg, struct live *l, mono_t now)
{
	if (mono_due(l->zero_at, now)) {
		if (l->handshaking) { /* somebody still wants the peer: only the old keys go */
			for (enum slot s = 0; s < SLOT_N; s++)
				wg_keypair_drop(wg, l, s);
			l->zero_at = MONO_NEVER;
		} else {
			wg_event_put(wg, l->peer, WG_EV_FORGOTTEN, false);
			wg_live_free(wg, l);
			return;
		}
	}
	if (mono_due(l->keepalive_at, now)) {
		l->keepalive_at = MONO_NEVER;
		l->want_keepalive = true;
		wg_ready_add(wg, l);
	}
	if (mono_due(l->stale_at, now)) {
		l->stale_at = MONO_NEVER;
		wg_session_start(wg, l, now);
	}
	if (mono_due(l->retry_at, now) && !retry(wg, l))
		return;
	l->heap_at = earliest(l);
	sift_down(wg, l);
}

void wg_tick(struct wg *wg, mono_t now, wall_t wall)
{
	(void)wall; /* initiations take their timestamp when they are pulled */
	wg_cookie_guard_idle(&wg->guard, now);
	while (wg->n_heap > 0 && mono_due(wg->heap[0]->heap_at, now))
		fire(wg, wg->heap[0], now);
}

mono_t wg_deadline(const struct wg *wg)
{
	return wg->n_heap > 0 ? wg->heap[0]->heap_at : MONO_NEVER;
}
