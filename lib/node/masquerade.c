/* node/masquerade.c - peers that know this node by another address
 * (SelfNodeV4/V6MasqAddrForThisPeer, control-protocol.md 4.7): nodes shared in from another
 * tailnet, where our own may be taken
 *
 * Everything above the tunnel sees our own addresses only. Outward the source is translated behind
 * the filter, inward the destination in front of it, so that rules and flows concern own addresses.
 */
#include "node/node_priv.h"
#include "wire/translate.h"

/* Zero: none, or control gave one of the other family, which is none. */
static struct ip known_as(const struct netmap_node *p, bool v6)
{
	const struct ip *a = p->masq ? &p->masq[v6] : NULL;

	return a && ip_is_v4(a) == !v6 ? *a : (struct ip){ 0 };
}

void node_masquerade_note(struct node *n, const struct netmap_node *p)
{
	if (p->masq)
		n->masquerades = true;
}

void node_masquerade_in(const struct node *n, const struct netmap_node *from, const struct pkt *p)
{
	struct packet facts;
	struct ip as, own;

	if (!n->masquerades || packet_parse(p->data, p->len, &facts) != PACKET_OK)
		return;
	as = known_as(from, facts.is_v6);
	if (!ip_is_zero(&as) && ip_eq(&facts.dst, &as) && node_ip(n, facts.is_v6, &own))
		translate_dst(p->data, &facts, &own);
}

void node_masquerade_out(const struct node *n, uint32_t peer, const struct pkt *p,
			 struct packet *facts)
{
	const struct netmap_node *to;
	struct ip as, own;

	if (!n->masquerades || !(to = netmap_peer(n->netmap, peer)))
		return;
	as = known_as(to, facts->is_v6);
	if (!ip_is_zero(&as) && node_ip(n, facts->is_v6, &own) && ip_eq(&facts->src, &own))
		translate_src(p->data, facts, &as);
}
