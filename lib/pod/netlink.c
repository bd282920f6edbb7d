/* pod/netlink.c - see netlink.h
 *
 * Answers come from the kernel, yet they are read through cursors like anybody's: a netlink socket
 * also hears other processes, so the sender is checked, and the sequence number.
 */
#include "pod/netlink.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cursor.h"
#include "pod/netlink_priv.h"

enum { REQUEST_MAX = 512, ANSWER_MAX = 32 << 10, ANSWER_S = 5 };

/* --- messages --- */

static void pad(struct wr *w)
{
	wr_zero(w, (size_t) - (w->p - w->start) & 3);
}

static void put_attr(struct wr *w, uint16_t type, const void *data, uint16_t len)
{
	const struct rtattr a = { .rta_len = (uint16_t)(sizeof a + len), .rta_type = type };

	wr_put(w, &a, sizeof a);
	wr_put(w, data, len);
	pad(w);
}

static void put_u32(struct wr *w, uint16_t type, uint32_t v)
{
	put_attr(w, type, &v, sizeof v);
}

static void put_ip(struct wr *w, uint16_t type, const struct ip *ip)
{
	if (ip_is_v4(ip))
		put_attr(w, type, ip->b + 12, 4);
	else
		put_attr(w, type, ip->b, 16);
}

static uint8_t family(const struct ip *ip)
{
	return ip_is_v4(ip) ? AF_INET : AF_INET6;
}

static uint8_t family_bits(const struct ipprefix *p)
{
	return (uint8_t)(ip_is_v4(&p->ip) ? p->bits - 96 : p->bits);
}

static void begin(struct wr *w, uint8_t *buf, uint16_t type, uint16_t flags, const void *body,
		  size_t len)
{
	const struct nlmsghdr h = { .nlmsg_type = type,
				    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };

	*w = wr_of(buf, REQUEST_MAX);
	wr_put(w, &h, sizeof h);
	wr_put(w, body, len);
	pad(w);
}

struct answer {
	void (*fn)(void *ctx, uint16_t type, struct rd body); /* NULL: only the result counts */
	void *ctx;
};

int netlink_next(struct rd *r, struct nlmsghdr *h, struct rd *body)
{
	if (r->left == 0)
		return 0;
	rd_copy(r, h, sizeof *h);
	if (!rd_ok(r) || h->nlmsg_len < sizeof *h)
		return -EBADMSG;
	*body = rd_sub(r, h->nlmsg_len - sizeof *h);
	if (!rd_ok(body))
		return -EBADMSG;
	rd_skip(r, MIN_OF((size_t)-h->nlmsg_len & 3, r->left)); /* the last one may lack its pad */
	return 1;
}

/* One datagram of messages: 1: more is to come, 0 or -errno: the end. */
static int read_messages(struct netlink *nl, struct rd r, const struct answer *a)
{
	struct nlmsghdr h;
	struct rd body;
	int ret;

	while ((ret = netlink_next(&r, &h, &body)) > 0) {
		int32_t code;

		if (h.nlmsg_seq != nl->seq)
			continue;
		if (h.nlmsg_type == NLMSG_DONE)
			return 0;
		if (h.nlmsg_type == NLMSG_ERROR) {
			rd_copy(&body, &code, sizeof code);
			return rd_ok(&body) && code <= 0 ? code : -EBADMSG;
		}
		if (a->fn)
			a->fn(a->ctx, h.nlmsg_type, body);
	}
	return ret < 0 ? ret : 1;
}

static int ask(struct netlink *nl, struct wr *w, const struct answer *a)
{
	uint8_t in[ANSWER_MAX];
	struct sockaddr_nl from;
	struct nlmsghdr h;
	ssize_t n;
	int r = 1;

	if (!wr_ok(w))
		return -EMSGSIZE;
	memcpy(&h, w->start, sizeof h);
	h.nlmsg_len = (uint32_t)wr_len(w);
	h.nlmsg_seq = ++nl->seq;
	memcpy(w->start, &h, sizeof h);
	do
		n = send(nl->fd, w->start, wr_len(w), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	while (r > 0) {
		socklen_t len = sizeof from;

		n = recvfrom(nl->fd, in, sizeof in, 0, (struct sockaddr *)&from, &len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (len != sizeof from || from.nl_pid != 0)
			continue;
		r = read_messages(nl, rd_of(in, (size_t)n), a);
	}
	return r;
}

static int change(struct netlink *nl, struct wr *w)
{
	return ask(nl, w, &(struct answer){ 0 });
}

int netlink_open(struct netlink *nl)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	const struct sockaddr_nl me = { .nl_family = AF_NETLINK };

	*nl = (struct netlink){ .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) };
	if (nl->fd < 0)
		return -errno;
	if (bind(nl->fd, (const struct sockaddr *)&me, sizeof me) < 0 ||
	    setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) {
		const int r = -errno;

		netlink_close(nl);
		return r;
	}
	return 0;
}

void netlink_close(struct netlink *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

/* --- rules --- */

static void rule_message(struct wr *w, uint8_t *buf, uint16_t type, uint16_t flags,
			 const struct rule *r, uint8_t protocol)
{
	const struct fib_rule_hdr h = { .family = family(&r->to.ip),
					.src_len = r->has_from ? family_bits(&r->from) : 0,
					.dst_len = family_bits(&r->to),
					.table = RT_TABLE_UNSPEC,
					.action =
					    r->is_lookup ? FR_ACT_TO_TBL : FR_ACT_UNREACHABLE };

	begin(w, buf, type, flags, &h, sizeof h);
	put_u32(w, FRA_PRIORITY, r->priority);
	put_ip(w, FRA_DST, &r->to.ip);
	if (r->has_from)
		put_ip(w, FRA_SRC, &r->from.ip);
	if (*r->iif)
		put_attr(w, FRA_IIFNAME, r->iif, (uint16_t)(strlen(r->iif) + 1));
	if (r->is_lookup)
		put_u32(w, FRA_TABLE, r->table);
	put_attr(w, FRA_PROTOCOL, &protocol, 1);
}

int netlink_rule_add(struct netlink *nl, const struct rule *r, uint8_t protocol)
{
	uint8_t buf[REQUEST_MAX];
	struct wr w;
	int ret;

	rule_message(&w, buf, RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, r, protocol);
	ret = change(nl, &w);
	return ret == -EEXIST ? 0 : ret;
}

int netlink_rule_del(struct netlink *nl, const struct rule *r, uint8_t protocol)
{
	uint8_t buf[REQUEST_MAX];
	struct wr w;
	int ret;

	rule_message(&w, buf, RTM_DELRULE, NLM_F_ACK, r, protocol);
	ret = change(nl, &w);
	return ret == -ENOENT || ret == -ESRCH ? 0 : ret;
}

/* Attributes of one message, in any order; fn for each. */
static void each_attr(struct rd r, void (*fn)(void *ctx, uint16_t type, struct rd v), void *ctx)
{
	while (r.left > 0) {
		struct rtattr a;
		struct rd v;

		rd_copy(&r, &a, sizeof a);
		if (!rd_ok(&r) || a.rta_len < sizeof a)
			return;
		v = rd_sub(&r, a.rta_len - sizeof a);
		if (!rd_ok(&v))
			return;
		rd_skip(&r, MIN_OF((size_t)-a.rta_len & 3, r.left));
		fn(ctx, a.rta_type & NLA_TYPE_MASK, v);
	}
}

static uint32_t get_u32(struct rd v)
{
	uint32_t n;

	rd_copy(&v, &n, sizeof n);
	return n;
}

static bool get_ip(struct rd v, struct ip *out)
{
	if (v.left == 4)
		*out = ip_from_v4(v.p);
	else if (v.left == 16)
		*out = ip_from_v6(v.p);
	else
		return false;
	return true;
}

struct rule_reading {
	struct rule rule;
	struct ip from, to;
	uint8_t protocol;
};

static void rule_attr(void *ctx, uint16_t type, struct rd v)
{
	struct rule_reading *x = ctx;

	switch (type) {
	case FRA_PRIORITY:
		x->rule.priority = get_u32(v);
		break;
	case FRA_TABLE:
		x->rule.table = get_u32(v);
		break;
	case FRA_SRC:
		(void)get_ip(v, &x->from);
		break;
	case FRA_DST:
		(void)get_ip(v, &x->to);
		break;
	case FRA_IIFNAME:
		if (v.left > 0)
			(void)bytes_to_str(bytes_of(v.p, strnlen((const char *)v.p, v.left)),
					   x->rule.iif, sizeof x->rule.iif);
		break;
	case FRA_PROTOCOL:
		x->protocol = rd_u8(&v);
		break;
	default:
		break;
	}
}

struct rule_dump {
	uint8_t protocol;
	netlink_rule_fn *fn;
	void *ctx;
};

static void rule_found(void *ctx, uint16_t type, struct rd body)
{
	const struct rule_dump *d = ctx;
	struct rule_reading x = { 0 };
	struct fib_rule_hdr h;
	unsigned base;

	rd_copy(&body, &h, sizeof h);
	if (!rd_ok(&body) || type != RTM_NEWRULE)
		return;
	each_attr(body, rule_attr, &x);
	base = h.family == AF_INET ? 96 : 0;
	if (x.protocol != d->protocol || base + h.src_len > 128 || base + h.dst_len > 128 ||
	    (h.action != FR_ACT_TO_TBL && h.action != FR_ACT_UNREACHABLE) || h.dst_len == 0)
		return;
	x.rule.is_lookup = h.action == FR_ACT_TO_TBL;
	if (!x.rule.is_lookup)
		x.rule.table = 0;
	x.rule.has_from = h.src_len > 0;
	x.rule.to = ipprefix_of(&x.to, (uint8_t)(base + h.dst_len));
	if (x.rule.has_from)
		x.rule.from = ipprefix_of(&x.from, (uint8_t)(base + h.src_len));
	d->fn(d->ctx, &x.rule);
}

int netlink_rules(struct netlink *nl, uint8_t protocol, netlink_rule_fn *fn, void *ctx)
{
	struct rule_dump d = { protocol, fn, ctx };
	static const uint8_t families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct fib_rule_hdr h = { .family = families[i] };
		uint8_t buf[REQUEST_MAX];
		struct wr w;
		int r;

		begin(&w, buf, RTM_GETRULE, NLM_F_DUMP, &h, sizeof h);
		r = ask(nl, &w, &(struct answer){ rule_found, &d });
		if (r < 0 && !(families[i] == AF_INET6 && r == -EAFNOSUPPORT))
			return r;
	}
	return 0;
}

struct rule_list {
	struct rule *v;
	size_t n, cap;
	bool failed;
};

static void collect(void *ctx, const struct rule *r)
{
	struct rule_list *l = ctx;

	if (l->n == l->cap) {
		const size_t cap = l->cap ? l->cap * 2 : 64;
		struct rule *v = cap <= NETLINK_RULES_MAX ? realloc(l->v, cap * sizeof *v) : NULL;

		if (!v) {
			l->failed = true;
			return;
		}
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *r;
}

int netlink_rules_all(struct netlink *nl, uint8_t protocol, struct rule **v, size_t *n)
{
	struct rule_list l = { 0 };
	const int r = netlink_rules(nl, protocol, collect, &l);

	*v = l.v;
	*n = l.n;
	return r == 0 && l.failed ? -ENOMEM : r;
}

/* --- links --- */

static void link_attr(void *ctx, uint16_t type, struct rd v)
{
	struct netlink_link *l = ctx;

	(void)v;
	l->is_port |= type == IFLA_MASTER;
	l->is_cable |= type == IFLA_LINK_NETNSID;
}

static void link_found(void *ctx, uint16_t type, struct rd body)
{
	struct netlink_link *l = ctx;
	struct ifinfomsg h;

	rd_copy(&body, &h, sizeof h);
	if (!rd_ok(&body) || type != RTM_NEWLINK)
		return;
	l->index = h.ifi_index;
	each_attr(body, link_attr, l);
}

int netlink_link(struct netlink *nl, const char *name, struct netlink_link *out)
{
	const struct ifinfomsg h = { .ifi_family = AF_UNSPEC };
	uint8_t buf[REQUEST_MAX];
	struct wr w;

	*out = (struct netlink_link){ 0 };
	begin(&w, buf, RTM_GETLINK, NLM_F_ACK, &h, sizeof h);
	put_attr(&w, IFLA_IFNAME, name, (uint16_t)(strlen(name) + 1));
	return ask(nl, &w, &(struct answer){ link_found, out });
}

int netlink_link_del(struct netlink *nl, const char *name)
{
	const struct ifinfomsg h = { .ifi_family = AF_UNSPEC };
	uint8_t buf[REQUEST_MAX];
	struct wr w;
	int ret;

	begin(&w, buf, RTM_DELLINK, NLM_F_ACK, &h, sizeof h);
	put_attr(&w, IFLA_IFNAME, name, (uint16_t)(strlen(name) + 1));
	ret = change(nl, &w);
	return ret == -ENODEV ? 0 : ret;
}

int netlink_link_up(struct netlink *nl, int link, uint32_t mtu)
{
	const struct ifinfomsg h = { .ifi_index = link, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	uint8_t buf[REQUEST_MAX];
	struct wr w;

	begin(&w, buf, RTM_NEWLINK, NLM_F_ACK, &h, sizeof h);
	put_u32(&w, IFLA_MTU, mtu);
	return change(nl, &w);
}

static int address(struct netlink *nl, uint16_t type, uint16_t flags, int link, const struct ip *ip)
{
	const struct ifaddrmsg h = { .ifa_family = family(ip),
				     .ifa_prefixlen = ip_is_v4(ip) ? 32 : 128,
				     .ifa_index = (uint32_t)link,
				     .ifa_flags = IFA_F_NODAD };
	uint8_t buf[REQUEST_MAX];
	struct wr w;

	begin(&w, buf, type, NLM_F_ACK | flags, &h, sizeof h);
	put_ip(&w, IFA_LOCAL, ip);
	put_ip(&w, IFA_ADDRESS, ip);
	return change(nl, &w);
}

int netlink_addr_add(struct netlink *nl, int link, const struct ip *ip)
{
	const int r = address(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, link, ip);

	return r == -EEXIST ? 0 : r;
}

int netlink_addr_del(struct netlink *nl, int link, const struct ip *ip)
{
	const int r = address(nl, RTM_DELADDR, 0, link, ip);

	return r == -EADDRNOTAVAIL || r == -ENODEV ? 0 : r;
}

/* --- routes --- */

static uint32_t table_of(const struct netlink_route *r)
{
	return r->table ? r->table : RT_TABLE_MAIN;
}

static void route_message(struct wr *w, uint8_t *buf, uint16_t type, uint16_t flags,
			  const struct netlink_route *r, uint8_t protocol)
{
	const bool has_gw = !ip_is_zero(&r->gw);
	const struct rtmsg h = { .rtm_family = family(&r->dst.ip),
				 .rtm_dst_len = family_bits(&r->dst),
				 .rtm_protocol = protocol,
				 .rtm_scope = has_gw ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
				 .rtm_type = RTN_UNICAST,
				 .rtm_flags = has_gw ? RTNH_F_ONLINK : 0 };
	struct {
		struct rtattr a;
		uint32_t v;
	} metrics[3];
	uint16_t n = 0;

	begin(w, buf, type, flags, &h, sizeof h);
	put_ip(w, RTA_DST, &r->dst.ip);
	put_u32(w, RTA_OIF, (uint32_t)r->link);
	put_u32(w, RTA_TABLE, table_of(r));
	if (has_gw)
		put_ip(w, RTA_GATEWAY, &r->gw);
	if (r->mtu) {
		metrics[n].a = (struct rtattr){ sizeof metrics[0], RTAX_LOCK };
		metrics[n++].v = 1U << RTAX_MTU;
		metrics[n].a = (struct rtattr){ sizeof metrics[0], RTAX_MTU };
		metrics[n++].v = r->mtu;
	}
	if (r->advmss) {
		metrics[n].a = (struct rtattr){ sizeof metrics[0], RTAX_ADVMSS };
		metrics[n++].v = r->advmss;
	}
	if (n > 0)
		put_attr(w, RTA_METRICS, metrics, (uint16_t)(n * sizeof metrics[0]));
}

int netlink_route_add(struct netlink *nl, const struct netlink_route *r, uint8_t protocol)
{
	uint8_t buf[REQUEST_MAX];
	struct wr w;
	int ret;

	route_message(&w, buf, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, r, protocol);
	ret = change(nl, &w);
	if (ret != -EEXIST)
		return ret;
	ret = netlink_route_has(nl, r, protocol);
	if (ret <= 0)
		return ret < 0 ? ret : -EEXIST;
	route_message(&w, buf, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, r, protocol);
	return change(nl, &w);
}

int netlink_route_del(struct netlink *nl, const struct netlink_route *r, uint8_t protocol)
{
	uint8_t buf[REQUEST_MAX];
	struct wr w;
	int ret;

	route_message(&w, buf, RTM_DELROUTE, NLM_F_ACK, r, protocol);
	ret = change(nl, &w);
	return ret == -ESRCH || ret == -ENOENT ? 0 : ret;
}

struct route_search {
	const struct netlink_route *want; /* NULL: the default route */
	struct ipprefix *list;            /* or all destinations, NULL: not asked */
	size_t n, max;
	uint8_t protocol;
	uint32_t table;
	bool found;
	uint32_t best;
	struct netlink_route out;
};

struct route_reading {
	struct ip dst, gw;
	uint32_t link, table, metric;
};

static void route_attr(void *ctx, uint16_t type, struct rd v)
{
	struct route_reading *x = ctx;

	switch (type) {
	case RTA_DST:
		(void)get_ip(v, &x->dst);
		break;
	case RTA_GATEWAY:
		(void)get_ip(v, &x->gw);
		break;
	case RTA_OIF:
		x->link = get_u32(v);
		break;
	case RTA_TABLE:
		x->table = get_u32(v);
		break;
	case RTA_PRIORITY:
		x->metric = get_u32(v);
		break;
	default:
		break;
	}
}

static void route_found(void *ctx, uint16_t type, struct rd body)
{
	struct route_search *s = ctx;
	struct route_reading x = { 0 };
	struct rtmsg h;

	rd_copy(&body, &h, sizeof h);
	if (!rd_ok(&body) || type != RTM_NEWROUTE || h.rtm_type != RTN_UNICAST)
		return;
	x.table = h.rtm_table;
	each_attr(body, route_attr, &x);
	if (x.table != s->table || x.link == 0)
		return;
	if (s->list) {
		const uint8_t base = h.rtm_family == AF_INET ? 96 : 0;

		if (h.rtm_protocol == s->protocol && s->n < s->max && h.rtm_dst_len <= 128 - base) {
			/* without the attribute it is the default route */
			if (ip_is_zero(&x.dst) && base)
				x.dst = ip_v4(0, 0, 0, 0);
			s->list[s->n++] = ipprefix_of(&x.dst, (uint8_t)(base + h.rtm_dst_len));
		}
	} else if (s->want) {
		s->found |= h.rtm_protocol == s->protocol && ip_eq(&x.dst, &s->want->dst.ip) &&
			    h.rtm_dst_len == family_bits(&s->want->dst) &&
			    (int)x.link == s->want->link && ip_eq(&x.gw, &s->want->gw);
	} else if (h.rtm_dst_len == 0 && (!s->found || x.metric < s->best)) {
		s->found = true;
		s->best = x.metric;
		s->out.link = (int)x.link;
		s->out.gw = x.gw;
	}
}

static int search(struct netlink *nl, bool v6, struct route_search *s)
{
	const struct rtmsg h = { .rtm_family = v6 ? AF_INET6 : AF_INET,
				 .rtm_table =
				     s->table <= UINT8_MAX ? (uint8_t)s->table : RT_TABLE_COMPAT };
	uint8_t buf[REQUEST_MAX];
	struct wr w;

	begin(&w, buf, RTM_GETROUTE, NLM_F_DUMP, &h, sizeof h);
	return ask(nl, &w, &(struct answer){ route_found, s });
}

int netlink_route_has(struct netlink *nl, const struct netlink_route *r, uint8_t protocol)
{
	struct route_search s = { .want = r, .protocol = protocol, .table = table_of(r) };
	const int ret = search(nl, !ip_is_v4(&r->dst.ip), &s);

	return ret < 0 ? ret : s.found;
}

int netlink_routes(struct netlink *nl, uint32_t table, uint8_t protocol, struct ipprefix *v,
		   size_t max)
{
	struct route_search s = { .list = v, .max = max, .protocol = protocol, .table = table };
	int r = search(nl, false, &s);

	if (r == 0)
		r = search(nl, true, &s);
	return r < 0 ? r : (int)s.n;
}

int netlink_default(struct netlink *nl, bool v6, struct netlink_route *out)
{
	struct route_search s = { .table = RT_TABLE_MAIN };
	const int ret = search(nl, v6, &s);

	if (ret < 0)
		return ret;
	if (!s.found)
		return -ENOENT;
	*out = s.out;
	return 0;
}
