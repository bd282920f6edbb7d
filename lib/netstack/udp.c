/* netstack/udp.c - datagrams: nothing is kept but the two queues */
#include <errno.h>

#include "netstack/stack.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/udp.h"

void udp_input(struct netstack *ns, mono_t now, const struct packet *p, struct bytes data)
{
	struct udp_head h;
	struct dgram *d;

	(void)now;
	if (!udp_parse(data.data, data.len, &h) || h.dport == 0) {
		ns_drop(ns, NS_DROP_SHAPE);
		return;
	}
	if (!h.has_checksum && p->is_v6) { /* RFC 8200 8.1 */
		ns_drop(ns, NS_DROP_CHECKSUM);
		return;
	}
#ifndef FUZZING
	if (h.has_checksum &&
	    checksum_fold(checksum_add(checksum_pseudo(&p->src, &p->dst, PROTO_UDP, h.len),
				       data.data, h.len)) != 0) {
		ns_drop(ns, NS_DROP_CHECKSUM);
		return;
	}
#endif
	d = dgramq_add(&ns->inq, &ns->pool, h.len - (size_t)UDP_HEAD_LEN);
	if (!d) {
		ns_drop(ns, NS_DROP_QUEUE_FULL);
		return;
	}
	d->kind = NS_UDP_RECV;
	d->local = (struct ipport){ p->dst, h.dport };
	d->remote = (struct ipport){ p->src, h.sport };
	memcpy(d->data, data.data + UDP_HEAD_LEN, d->len);
}

int ns_udp_send(struct netstack *ns, const struct ipport *local, const struct ipport *remote,
		struct bytes data)
{
	struct udp_head h = { .sport = local->port,
			      .dport = remote->port,
			      .len = (uint16_t)(UDP_HEAD_LEN + data.len) };
	uint8_t head[UDP_HEAD_LEN];
	struct ip src = local->ip;

	if (data.len > UINT16_MAX - UDP_HEAD_LEN)
		return -EMSGSIZE;
	if (ip_is_zero(&src) && !ns_own_address(ns, &remote->ip, &src))
		return -EADDRNOTAVAIL;
	if (ip_is_v4(&src) != ip_is_v4(&remote->ip))
		return -EADDRNOTAVAIL;
	udp_emit(head, &h);
	return ip_queue(ns, &src, &remote->ip, PROTO_UDP, bytes_of(head, sizeof head), data, 6);
}

/* The datagram is gone; an error quotes what a header of it must have been (RFC 1122 3.2.2.1:
 * header and eight bytes). */
void ns_udp_refuse(struct netstack *ns, mono_t now, const struct ipport *local,
		   const struct ipport *remote)
{
	bool v4 = ip_is_v4(&local->ip);
	struct icmp_head h = { .type = v4 ? ICMP_UNREACHABLE : ICMP6_UNREACHABLE,
			       .code = v4 ? ICMP_CODE_PORT : ICMP6_CODE_PORT };
	struct udp_head udp = { .sport = remote->port, .dport = local->port, .len = UDP_HEAD_LEN };
	uint8_t head[ICMP_HEAD_LEN], quoted[IP_HEAD_MAX + UDP_HEAD_LEN];
	size_t n = ip_head_len(&local->ip);

	if (ip_is_v4(&remote->ip) != v4 || !limiter_take(&ns->errors, now)) {
		ns_drop(ns, NS_DROP_RATE);
		return;
	}
	ip_emit(ns, quoted, &remote->ip, &local->ip, PROTO_UDP, UDP_HEAD_LEN);
	udp_emit(quoted + n, &udp);
	icmp_emit(head, &h);
	(void)!ip_queue(ns, &local->ip, &remote->ip, v4 ? PROTO_ICMP : PROTO_ICMPV6,
			bytes_of(head, sizeof head), bytes_of(quoted, n + UDP_HEAD_LEN), 2);
}
