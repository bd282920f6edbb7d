/* wg/feed.c - what comes in: sorting by type, and the order in which a handshake message is
 * examined
 *
 * data-plane.md 1.4: exact size, mac1 always, under load mac2 and the rate of the source, and only
 * then any cryptography of weight: static key, is the peer known, timestamp, is it newer, is it not
 * too soon.
 */
#include "base/cursor.h"
#include "wg/wg_priv.h"

/* May the message be worked on? Else it was counted, and answered with a cookie when it may be. */
static bool admit(struct wg *wg, mono_t now, const struct ipport *from, const uint8_t *msg,
		  size_t macs)
{
	bool no_memory;

	if (!wg_mac1_check(wg->me->mac1_key, msg, macs)) {
		drop(wg, WG_DROP_MAC1);
		return false;
	}
	if (!wg_cookie_note_load(&wg->guard, now))
		return true;
	if (!wg_mac2_check(&wg->guard, now, wg->rng, from, msg, macs)) {
		drop(wg, WG_DROP_MAC2);
		if (wg->n_cookies < COOKIES_MAX) {
			struct cookie_out *c = &wg->cookies[wg->n_cookies++];

			c->to = *from;
			wg_cookie_emit(&wg->guard, now, wg->rng, from, wg->me->cookie_key,
				       le32_get(msg + INIT_SENDER), msg + macs, c->msg);
		}
		return false;
	}
	if (!wg_cookie_rate_allows(&wg->guard, now, &from->ip, &no_memory)) {
		drop(wg, no_memory ? WG_DROP_NO_MEMORY : WG_DROP_RATE);
		return false;
	}
	return true;
}

static bool is_soon(const struct live *l, mono_t now)
{
	return l->has_taken && mono_before(now, mono_add(l->init_taken, SPAN_MS(FLOOD_GUARD_MS)));
}

static enum wg_drop answer(struct wg *wg, mono_t now, wall_t wall, struct live *l,
			   struct initiation *it)
{
	uint32_t index = wg_index_add(&wg->indices, wg->rng, l->peer);
	struct session_keys keys;
	struct keypair *k;

	if (index == 0)
		return WG_DROP_NO_MEMORY;
	if (!wg_resp_emit(it, index, wg->rng, l->resp, &keys)) {
		wg_index_del(&wg->indices, index);
		return WG_DROP_FORGED;
	}
	k = wg_keypair_new(&keys, now, index, it->sender, false);
	secret_wipe(&keys, sizeof keys);
	if (!k) {
		wg_index_del(&wg->indices, index);
		return WG_DROP_NO_MEMORY;
	}
	memcpy(wg->peers[l->peer].ts, it->ts, TS_LEN);
	wg_timers_received(l, now, false);
	l->init_taken = now;
	l->has_taken = l->has_resp = true;
	wg_session_install(wg, l, k, now, wall);
	wg_ready_add(wg, l);
	return WG_DROP_NONE;
}

static enum wg_drop take_init(struct wg *wg, mono_t now, wall_t wall, const uint8_t *msg)
{
	struct initiation it;
	struct live *l;
	uint32_t peer;
	bool is_new;
	enum wg_drop why;

	if (!wg_init_read_static(&it, wg->me, msg))
		return WG_DROP_FORGED;
	if (!wg_peer_find(wg, &it.peer, &peer))
		return WG_DROP_UNKNOWN_KEY;
	is_new = !wg->peers[peer].live;
	l = wg_live_get(wg, peer);
	if (!l)
		return WG_DROP_NO_MEMORY;
	if (!wg_init_read_time(&it, l->ss, msg))
		why = WG_DROP_FORGED;
	else if (memcmp(it.ts, wg->peers[peer].ts, TS_LEN) <= 0)
		why = WG_DROP_OLD_TIMESTAMP;
	else if (is_soon(l, now))
		why = WG_DROP_FLOOD;
	else
		why = answer(wg, now, wall, l, &it);
	if (why != WG_DROP_NONE && is_new)
		wg_live_free(wg, l);
	secret_wipe(&it, sizeof it);
	return why;
}

static enum wg_drop take_resp(struct wg *wg, mono_t now, wall_t wall, const uint8_t *msg)
{
	uint32_t index = le32_get(msg + RESP_RECEIVER), peer;
	struct session_keys keys;
	struct keypair *k;
	struct live *l;

	if (!wg_index_find(&wg->indices, index, &peer))
		return WG_DROP_UNKNOWN_INDEX;
	l = wg->peers[peer].live;
	if (l->hs_index != index) /* a session: the response came twice */
		return WG_DROP_UNKNOWN_INDEX;
	if (!wg_resp_read(&l->hs, wg->me, msg, &keys))
		return WG_DROP_FORGED;
	k = wg_keypair_new(&keys, now, index, le32_get(msg + RESP_SENDER), true);
	secret_wipe(&keys, sizeof keys);
	if (!k)
		return WG_DROP_NO_MEMORY;
	l->hs_index = 0; /* the keypair has it now */
	secret_wipe(&l->hs, sizeof l->hs);
	wg_timers_received(l, now, false);
	wg_session_install(wg, l, k, now, wall);
	return WG_DROP_NONE;
}

static enum wg_drop take_cookie(struct wg *wg, mono_t now, const uint8_t *msg)
{
	uint32_t index = le32_get(msg + COOKIE_RECEIVER), peer;
	struct live *l;
	const uint8_t *mac1;

	if (!wg_index_find(&wg->indices, index, &peer))
		return WG_DROP_UNKNOWN_INDEX;
	l = wg->peers[peer].live;
	mac1 = l->hs_index == index ? l->init_mac1 : l->resp_mac1;
	return wg_cookie_read(&l->cookie, now, l->cookie_key, mac1, msg) ? WG_DROP_NONE
									 : WG_DROP_FORGED;
}

static void feed_handshake(struct wg *wg, mono_t now, wall_t wall, const struct ipport *from,
			   const struct pkt *p)
{
	static const struct {
		uint32_t len, macs;
	} shape[] = { [MSG_INIT] = { MSG_INIT_LEN, INIT_MACS },
		      [MSG_RESP] = { MSG_RESP_LEN, RESP_MACS },
		      [MSG_COOKIE] = { MSG_COOKIE_LEN, 0 } };
	uint32_t type = le32_get(p->data);
	enum wg_drop why = WG_DROP_NONE;

	if (type < MSG_INIT || type > MSG_COOKIE)
		why = WG_DROP_TYPE;
	else if (p->len != shape[type].len)
		why = WG_DROP_SIZE;
	else if (type == MSG_COOKIE)
		why = take_cookie(wg, now, p->data);
	else if (admit(wg, now, from, p->data, shape[type].macs))
		why = type == MSG_INIT ? take_init(wg, now, wall, p->data)
				       : take_resp(wg, now, wall, p->data);
	if (why != WG_DROP_NONE)
		drop(wg, why);
}

size_t wg_feed(struct wg *wg, mono_t now, wall_t wall, const struct ipport *from, struct pkt *v,
	       size_t n, struct wg_plain *out)
{
	size_t n_out = 0;

	for (size_t i = 0; i < n;) {
		size_t run = 0;

		while (i + run < n && v[i + run].len >= MSG_DATA_MIN &&
		       le32_get(v[i + run].data) == MSG_DATA)
			run++;
		if (run > 0) {
			n_out += wg_session_open(wg, now, wall, v + i, run, out + n_out);
			i += run;
			continue;
		}
		if (v[i].len < MSG_DATA_MIN)
			drop(wg, WG_DROP_SHORT);
		else
			feed_handshake(wg, now, wall, from, &v[i]);
		i++;
	}
	return n_out;
}
