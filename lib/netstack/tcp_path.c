/* netstack/tcp_path.c - what the path says about itself: ICMP errors, packets that are too big (RFC
 * 1191, 8201, 5927) */
#include <assert.h>

#include "base/cursor.h"
#include "netstack/seq.h"
#include "netstack/stack.h"
#include "wire/icmp.h"
#include "wire/ip4.h"

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
	if (!txq_split(&c->tx, &ns->pool, c->mss))
		return; /* no memory: the next time-out tries again */
	for (uint32_t i = c->tx.head; i != c->tx.tail;
	     i++) { /* what was in flight in long segments is gone: no congestion */
		if (txq_at(&c->tx, i)->where == TX_INFLIGHT)
			txq_move(&c->tx, i, TX_LOST);
	}
	tcp_want_out(ns, c);
}

/* RFC 5927 4.1: the quoted sequence number must be of something in flight */
static bool is_credible(const struct tcp_conn *c, uint32_t seq)
{
	if (c->state == TCP_SYN_SENT)
		return seq == c->iss;
	return seq_leq(c->snd_una, seq) && seq_lt(seq, c->snd_nxt);
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
		/* RFC 8200 5: an IPv6 link carries 1280; RFC 791: every one 68, but below 576 it is
		 * an attack */
		mtu = MAX_OF(mtu, ip_is_v4(&remote.ip) ? UINT32_C(576) : UINT32_C(1280));
		if (mtu < c->mss_path + ip_head_len(&remote.ip) + TCP_HEAD_LEN)
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

void netstack_set_mtu(struct netstack *ns, mono_t now, uint16_t mtu)
{
	bool narrower = mtu < ns->conf.mtu;

	assert(mtu >= 576 && mtu <= ns->conf_mtu);
	ns->conf.mtu = mtu;
	for (uint32_t i = 0; narrower && i < ns->table.cap; i++) {
		struct tcp_conn *c = ns->table.slots[i].conn;

		if (!c || !tcp_is_synchronized(c))
			continue;
		tcp_path_mtu(ns, now, c, mtu);
		if (ip_is_v4(&c->remote.ip))
			tell_too_big(ns, c, mtu);
	}
}
