/* netstack/tcp_path.c - what the path says about itself: ICMP errors, packets that are too big (RFC
 * 1191, 8201, 5927)
 *
 * When our own link narrows, the peer of each connection that offered larger segments is told, as a
 * router would tell it at every packet that it drops. We see none of those, and what we say can get
 * lost, come before the peer is ready for it (a connection that is being opened), or be forgotten
 * (RFC 1191 6.3: after ten minutes). So it is said again: after half a second, then twice as long
 * each time up to about four minutes, as long as such connections are there.
 */
#include <assert.h>

#include "base/cursor.h"
#include "netstack/seq.h"
#include "netstack/stack.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/ip6.h"

bool tcp_cut_to_fit(struct netstack *ns, struct tcp_conn *c)
{
	struct txq *t = &c->tx;

	if (!txq_split(t, &ns->pool, c->mss))
		return false;
	for (uint32_t i = t->head; i != t->tail; i++) {
		/* what was in flight in long segments is gone: no congestion. All anew, so that
		 * they are sent again in order of sequence: after a time-out the first of them is
		 * in flight, and would come last. */
		if (txq_at(t, i)->where != TX_SACKED)
			txq_move(t, i, TX_LOST);
	}
	return true;
}

void tcp_path_mtu(struct netstack *ns, mono_t now, struct tcp_conn *c, uint32_t mtu)
{
	uint32_t heads = (uint32_t)ip_head_len(&c->remote.ip) + TCP_HEAD_LEN;
	uint16_t mss =
	    (uint16_t)(mtu > heads + TCP_MSS_MIN ? MIN_OF(mtu - heads, (uint32_t)UINT16_MAX)
						 : TCP_MSS_MIN);

	(void)now;
	if (mss >= c->mss_path)
		return;
	c->mss_path = mss;
	tcp_set_mss(c);
	if (tcp_cut_to_fit(ns, c))
		tcp_want_out(ns, c);
}

/* RFC 5927 4.1: the quoted sequence number must be of something in flight, or, for peers whose own
 * link narrows while nothing is, of what comes next */
static bool is_credible(const struct tcp_conn *c, uint32_t seq)
{
	if (c->state == TCP_SYN_SENT)
		return seq == c->iss;
	return seq_leq(c->snd_una, seq) && seq_leq(seq, c->snd_nxt);
}

void tcp_icmp_error(struct netstack *ns, mono_t now, const struct packet *quoted,
		    struct bytes transport, uint32_t mtu, bool is_hard)
{
	struct ipport local = { quoted->src, quoted->sport },
		      remote = { quoted->dst, quoted->dport };
	struct tcp_conn *c = conn_table_find(&ns->table, ns->key, &local, &remote);
	struct rd r = rd_bytes(transport);
	uint32_t seq;

	rd_skip(&r, 4);
	seq = rd_be32(&r);
	if (!c || c->state == TCP_PENDING || !is_credible(c, seq)) {
		ns_drop(ns, NS_DROP_TCP_NO_CONN);
		return;
	}
	if (mtu > 0) {
		/* RFC 791: every link carries 68, but below 576 it is an attack; RFC 8201 4: of
		 * less than 1280 nothing is believed */
		if (ip_is_v4(&remote.ip))
			mtu = MAX_OF(mtu, UINT32_C(576));
		if ((ip_is_v4(&remote.ip) || mtu >= IP6_MTU_MIN) &&
		    mtu < c->mss_path + ip_head_len(&remote.ip) + TCP_HEAD_LEN)
			tcp_path_mtu(ns, now, c, mtu);
	} else if (is_hard && (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED)) {
		tcp_end(ns, c, NS_END_UNREACHABLE); /* RFC 5927 5.2: only while opening */
	}
}

void ns_tcp_denied(struct netstack *ns, const struct ipport *local, const struct ipport *remote)
{
	struct tcp_conn *c = conn_table_find(&ns->table, ns->key, local, remote);

	if (c && c->state == TCP_SYN_SENT)
		tcp_end(ns, c, NS_END_DENIED);
}

/* "Too big" in the words of a router on the way, about the segment that we expect next: so a sender
 * believes it (RFC 5927 4.1). */
static void tell_too_big(struct netstack *ns, const struct tcp_conn *c, uint16_t mtu)
{
	const struct ip4_head quoted = { .src = c->remote.ip,
					 .dst = c->local.ip,
					 .total_len = ns->conf_mtu,
					 .dont_fragment = true,
					 .ttl = NS_TTL,
					 .proto = PROTO_TCP };
	const struct icmp_head h = { .type = ICMP_UNREACHABLE,
				     .code = ICMP_CODE_TOO_BIG,
				     .lo = mtu };
	uint8_t head[ICMP_HEAD_LEN], packet[IP4_HEAD_LEN + 8];
	struct wr w = wr_of(packet + IP4_HEAD_LEN, 8);

	icmp_emit(head, &h);
	ip4_emit(packet, &quoted);
	wr_be16(&w, c->remote.port);
	wr_be16(&w, c->local.port);
	wr_be32(&w, c->rcv_nxt);
	(void)!ip_queue(ns, &c->local.ip, &c->remote.ip, PROTO_ICMP, bytes_of(head, sizeof head),
			bytes_of(packet, sizeof packet), 2);
}

/* It offered more than is carried now, and the peer may still send it. Only over IPv4: see
 * netstack.h. */
static bool offers_too_much(const struct netstack *ns, const struct tcp_conn *c)
{
	return !c->is_ended && !c->fin_received && ip_is_v4(&c->remote.ip) &&
	       c->mss_offered > ns->conf.mtu - ip_head_len(&c->remote.ip) - TCP_HEAD_LEN;
}

/* Goes on through the table until NS_TELL_BURST are told or it is through; false: it goes on later.
 */
static bool tell_some(struct netstack *ns)
{
	unsigned told = 0;

	for (; ns->tell_next < ns->table.cap; ns->tell_next++) {
		const struct tcp_conn *c = ns->table.slots[ns->tell_next].conn;

		if (!c || !offers_too_much(ns, c))
			continue;
		if (told == NS_TELL_BURST)
			return false;
		ns->tell_found = true;
		if (!tcp_is_synchronized(c))
			continue; /* nothing is known to be in flight: the next time */
		tell_too_big(ns, c, ns->conf.mtu);
		told++;
	}
	return true;
}

void tcp_path_tick(struct netstack *ns, mono_t now)
{
	if (!mono_due(ns->tell_at, now))
		return;
	if (!tell_some(ns)) {
		ns->tell_at = mono_add(now, NS_TELL_PAUSE);
		return;
	}
	ns->tell_at = ns->tell_found ? mono_add(now, SPAN_MS((int64_t)NS_TELL_MS << ns->tell_round))
				     : MONO_NEVER;
	if (ns->tell_round < NS_TELL_ROUNDS)
		ns->tell_round++;
	ns->tell_next = 0;
	ns->tell_found = false;
}

void netstack_set_mtu(struct netstack *ns, mono_t now, uint16_t mtu)
{
	bool narrower = mtu < ns->conf.mtu;

	assert(mtu >= 576 && mtu <= ns->conf_mtu);
	ns->conf.mtu = mtu;
	for (uint32_t i = 0; narrower && i < ns->table.cap; i++) {
		struct tcp_conn *c = ns->table.slots[i].conn;

		if (c && !c->is_ended)
			tcp_path_mtu(ns, now, c, mtu);
	}
	if (!narrower)
		return;
	ns->tell_next = ns->tell_round = 0;
	ns->tell_found = false;
	ns->tell_at = now;
	tcp_path_tick(ns, now);
}
