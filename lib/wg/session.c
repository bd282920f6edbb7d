/* wg/session.c - keypairs and the packets under them
 *
 * Three slots (whitepaper 6.3): the initiator of a handshake uses the new pair at once; the
 * responder keeps it in `next` and sends with `current` until the first packet arrives under it,
 * since only then it knows that the initiator has it. All three may decrypt, so packets in flight
 * over a rekey are not lost. Packets go through in runs of one key, in place.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "wg/wg_priv.h"

struct keypair *wg_keypair_new(const struct session_keys *keys, mono_t now, uint32_t local,
			       uint32_t remote, bool is_initiator)
{
	struct keypair *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->send = aead_key_new(keys->send);
	k->recv = aead_key_new(keys->recv);
	if (!k->send || !k->recv) {
		aead_key_free(k->send);
		aead_key_free(k->recv);
		free(k);
		return NULL;
	}
	k->born = now;
	k->local = local;
	k->remote = remote;
	k->is_initiator = is_initiator;
	return k;
}

void wg_keypair_drop(struct wg *wg, struct live *l, enum slot slot)
{
	struct keypair *k = TAKE_PTR(l->slot[slot]);

	if (!k)
		return;
	wg_index_del(&wg->indices, k->local);
	aead_key_free(k->send);
	aead_key_free(k->recv);
	secret_wipe(k, sizeof *k);
	free(k);
}

static bool is_older(const struct keypair *k, mono_t now, int seconds)
{
	return mono_due(mono_add(k->born, SPAN_S(seconds)), now);
}

bool wg_keypair_may_send(const struct keypair *k, mono_t now)
{
	return k && !k->is_receive_only && !is_older(k, now, REJECT_AFTER_S) &&
	       k->send_n < REJECT_AFTER_MESSAGES;
}

static void usable(struct wg *wg, struct live *l, bool first, wall_t wall)
{
	wg->peers[l->peer].last_handshake = wall;
	l->handshaking = l->want_init = false;
	l->attempts = 0;
	l->retry_at = MONO_NEVER;
	wg_event_put(wg, l->peer, WG_EV_SESSION, first);
	wg_ready_add(wg, l);
}

void wg_session_install(struct wg *wg, struct live *l, struct keypair *k, mono_t now, wall_t wall)
{
	l->zero_at = mono_add(now, SPAN_S(ZERO_AFTER_S));
	if (!k->is_initiator) {
		/* a current pair stays in use; an older unconfirmed one was never used by anybody
		 */
		wg_keypair_drop(wg, l, SLOT_NEXT);
		l->slot[SLOT_NEXT] = k;
	} else {
		bool first = !wg_keypair_may_send(l->slot[SLOT_CURRENT], now);

		wg_keypair_drop(wg, l, SLOT_PREVIOUS);
		if (l->slot[SLOT_NEXT]) { /* both began at once: the peer may use what it began */
			l->slot[SLOT_PREVIOUS] = TAKE_PTR(l->slot[SLOT_NEXT]);
			wg_keypair_drop(wg, l, SLOT_CURRENT);
		} else {
			l->slot[SLOT_PREVIOUS] = TAKE_PTR(l->slot[SLOT_CURRENT]);
		}
		l->slot[SLOT_CURRENT] = k;
		l->want_keepalive = true; /* confirms the key to the responder, unless data does */
		usable(wg, l, first, wall);
	}
	wg_timers_touch(wg, l);
}

void wg_session_confirm(struct wg *wg, struct live *l, mono_t now, wall_t wall)
{
	bool first = !wg_keypair_may_send(l->slot[SLOT_CURRENT], now);

	wg_keypair_drop(wg, l, SLOT_PREVIOUS);
	l->slot[SLOT_PREVIOUS] = TAKE_PTR(l->slot[SLOT_CURRENT]);
	l->slot[SLOT_CURRENT] = TAKE_PTR(l->slot[SLOT_NEXT]);
	usable(wg, l, first, wall);
}

void wg_session_start(struct wg *wg, struct live *l, mono_t now)
{
	mono_t earliest = l->has_sent ? mono_add(l->init_sent, SPAN_S(REKEY_TIMEOUT_S)) : now;

	if (l->handshaking || !mono_is_never(l->retry_at))
		return;
	if (mono_before(now, earliest)) { /* never two within 5 s: begin when they are over */
		l->retry_at = earliest;
		wg_timers_touch(wg, l);
		return;
	}
	l->handshaking = l->want_init = true;
	l->attempts = 0;
	wg_ready_add(wg, l);
}

static void seal_prepare(struct keypair *k, struct pkt *p, struct aead_job *job)
{
	uint32_t padded = (p->len + 15) / 16 * 16, old = p->len;
	struct wr w;

	assert(p->head >= MSG_DATA_HEAD && p->tail >= padded - old + TAG_LEN);
	pkt_trim(p, padded);
	memset(p->data + old, 0, padded - old);
	*job = (struct aead_job){ p->data, padded, k->send_n, false };
	pkt_trim(p, padded + TAG_LEN);
	pkt_push(p, MSG_DATA_HEAD);
	w = wr_of(p->data, MSG_DATA_HEAD);
	wr_le32(&w, MSG_DATA);
	wr_le32(&w, k->remote);
	wr_le64(&w, k->send_n++);
}

void wg_session_seal(struct wg *wg, struct live *l, mono_t now, struct pkt *v, size_t n)
{
	struct keypair *k = l->slot[SLOT_CURRENT];
	struct peer *p = &wg->peers[l->peer];
	struct aead_job jobs[BURST_MAX];
	bool data = false;

	assert(n <= BURST_MAX);
	for (size_t i = 0; i < n; i++) {
		data |= v[i].len > 0;
		seal_prepare(k, &v[i], &jobs[i]);
		p->tx_bytes += v[i].len;
	}
	p->tx_packets += n;
	aead_seal_batch(k->send, jobs, n);
	l->want_keepalive = false;
	wg_timers_sent(l, now, data);
	wg_timers_touch(wg, l);
	if (k->send_n >= REKEY_AFTER_MESSAGES ||
	    (k->is_initiator && is_older(k, now, REKEY_AFTER_S)))
		wg_session_start(wg, l, now);
}

static struct keypair *keypair_of(const struct live *l, uint32_t index, enum slot *slot)
{
	for (enum slot s = 0; l && s < SLOT_N; s++)
		if (l->slot[s] && l->slot[s]->local == index) {
			*slot = s;
			return l->slot[s];
		}
	return NULL;
}

/* One authentic packet, decrypted at p. false: nothing to hand on. */
static bool inner_ok(struct wg *wg, uint32_t peer, struct pkt *p)
{
	struct rd r = rd_of(p->data, p->len);
	uint8_t version = rd_u8(&r) >> 4;
	struct ip src, dst;
	uint32_t len;

	if (version == 4) {
		const uint8_t *a;

		rd_skip(&r, 1);
		len = rd_be16(&r);
		rd_skip(&r, 8);
		a = rd_take(&r, 4);
		rd_skip(&r, 4);
		if (!rd_ok(&r) || len < 20 || len > p->len) {
			drop(wg, WG_DROP_INNER_SHAPE);
			return false;
		}
		src = ip_from_v4(a);
	} else {
		rd_skip(&r, 3);
		len = 40 + (uint32_t)rd_be16(&r);
		rd_skip(&r, 2);
		rd_copy(&r, src.b, sizeof src.b);
		rd_copy(&r, dst.b, sizeof dst.b);
		/* ::ffff:a.b.c.d inside IPv6 would pass for IPv4 in every table */
		if (version != 6 || !rd_ok(&r) || len > p->len || ip_is_v4(&src) ||
		    ip_is_v4(&dst)) {
			drop(wg, WG_DROP_INNER_SHAPE);
			return false;
		}
	}
	if (wg_allowed_find(&wg->allowed, &src) != peer) {
		drop(wg, WG_DROP_INNER_SOURCE);
		return false;
	}
	pkt_trim(p, len);
	return true;
}

/* What follows from packets of a run that proved authentic. */
static void received(struct wg *wg, struct live *l, mono_t now, wall_t wall, enum slot slot,
		     bool data)
{
	struct keypair *k = l->slot[slot];

	if (slot == SLOT_NEXT)
		wg_session_confirm(wg, l, now, wall);
	wg_timers_received(l, now, data);
	if (k->is_initiator && !k->rekeyed_on_receive && is_older(k, now, REKEY_ON_RECEIVE_S)) {
		k->rekeyed_on_receive = true;
		wg_session_start(wg, l, now);
	}
	wg_timers_touch(wg, l);
}

/* n packets for one receiver index, at most BURST_MAX */
static size_t open_run(struct wg *wg, mono_t now, wall_t wall, uint32_t index, struct pkt *v,
		       size_t n, struct wg_plain *out)
{
	struct aead_job jobs[BURST_MAX];
	uint32_t peer = WG_NO_PEER;
	struct live *l = wg_index_find(&wg->indices, index, &peer) ? wg->peers[peer].live : NULL;
	enum slot slot = SLOT_CURRENT;
	struct keypair *k = keypair_of(l, index, &slot);
	bool authentic = false, data = false;
	size_t n_out = 0;

	if (!k || is_older(k, now, REJECT_AFTER_S)) {
		wg->drops[k ? WG_DROP_EXPIRED : WG_DROP_UNKNOWN_INDEX] += n;
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct rd r = rd_of(v[i].data, v[i].len);

		rd_skip(&r, 8);
		jobs[i] = (struct aead_job){ .counter = rd_le64(&r) };
		jobs[i].data = v[i].data + MSG_DATA_HEAD;
		jobs[i].len = r.left;
	}
	aead_open_batch(k->recv, jobs, n);
	for (size_t i = 0; i < n; i++) {
		if (!jobs[i].ok) {
			drop(wg, WG_DROP_FORGED);
			continue;
		}
		if (jobs[i].counter >= REJECT_AFTER_MESSAGES) {
			drop(wg, WG_DROP_EXPIRED);
			continue;
		}
		if (!wg_replay_accept(&k->replay, jobs[i].counter)) {
			drop(wg, WG_DROP_REPLAY);
			continue;
		}
		authentic = true;
		wg->peers[peer].rx_bytes += v[i].len;
		wg->peers[peer].rx_packets++;
		pkt_pull(&v[i], MSG_DATA_HEAD);
		pkt_trim(&v[i], v[i].len - TAG_LEN);
		if (v[i].len == 0)
			continue; /* keepalive */
		data = true;
		if (inner_ok(wg, peer, &v[i]))
			out[n_out++] = (struct wg_plain){ peer, &v[i] };
	}
	if (authentic)
		received(wg, l, now, wall, slot, data);
	return n_out;
}

size_t wg_session_open(struct wg *wg, mono_t now, wall_t wall, struct pkt *v, size_t n,
		       struct wg_plain *out)
{
	size_t n_out = 0;

	for (size_t i = 0; i < n;) {
		uint32_t index = le32_get(v[i].data + 4);
		size_t run = 1;

		while (i + run < n && run < BURST_MAX && le32_get(v[i + run].data + 4) == index)
			run++;
		n_out += open_run(wg, now, wall, index, v + i, run, out + n_out);
		i += run;
	}
	return n_out;
}
