/* os/netlink.c - see netlink.h */
#include "os/netlink.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cursor.h"
#include "os/file.h"

enum { REQUEST_MAX = 512, ANSWER_MAX = 32 << 10, ANSWER_S = 5 };

struct rtnl {
	int fd;
	uint32_t seq;
	uint8_t in[ANSWER_MAX];
};

struct rtnl *rtnl_new(struct err *e)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	struct rtnl *nl = calloc(1, sizeof *nl);

	if (!nl) {
		err_set(e, ENOMEM, "netlink");
		return NULL;
	}
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (nl->fd < 0 || setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) {
		err_set(e, errno, "open a netlink socket");
		rtnl_free(nl);
		return NULL;
	}
	return nl;
}

void rtnl_free(struct rtnl *nl)
{
	if (!nl)
		return;
	file_fd_close(&nl->fd);
	free(nl);
}

/* --- messages --- */

struct request {
	uint8_t buf[REQUEST_MAX];
	struct wr w;
};

static void begin(struct request *rq, uint16_t type, uint16_t flags, const void *body, size_t len)
{
	const struct nlmsghdr h = { .nlmsg_type = type,
				    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };

	rq->w = wr_of(rq->buf, sizeof rq->buf);
	wr_put(&rq->w, &h, sizeof h);
	wr_put(&rq->w, body, len);
}

static void put(struct request *rq, uint16_t type, const void *data, size_t len)
{
	const struct rtattr a = { .rta_len = (uint16_t)(sizeof a + len), .rta_type = type };

	wr_put(&rq->w, &a, sizeof a);
	wr_put(&rq->w, data, len);
	wr_zero(&rq->w, -len & 3);
}

static void put_u32(struct request *rq, uint16_t type, uint32_t v)
{
	put(rq, type, &v, sizeof v);
}

static void put_ip(struct request *rq, uint16_t type, const struct ip *ip)
{
	put(rq, type, ip_is_v4(ip) ? ip->b + 12 : ip->b, ip_is_v4(ip) ? 4 : 16);
}

static uint8_t family(const struct ip *ip)
{
	return ip_is_v4(ip) ? AF_INET : AF_INET6;
}

static uint8_t bits(const struct ipprefix *p)
{
	return (uint8_t)(ip_is_v4(&p->ip) ? p->bits - 96 : p->bits);
}

struct answer {
	void (*fn)(void *ctx, uint16_t type, struct rd body);
	void *ctx;
};

/* 1: more is to come; 0 or -errno: the end */
static int read_messages(const struct rtnl *nl, struct rd r, const struct answer *a)
{
	while (r.left > 0) {
		struct nlmsghdr h;
		struct rd body;
		int32_t code = 0;

		rd_copy(&r, &h, sizeof h);
		if (!rd_ok(&r) || h.nlmsg_len < sizeof h)
			return -EBADMSG;
		body = rd_sub(&r, h.nlmsg_len - sizeof h);
		if (!rd_ok(&body))
			return -EBADMSG;
		rd_skip(&r, MIN_OF((size_t)-h.nlmsg_len & 3, r.left));
		if (h.nlmsg_seq != nl->seq)
			continue;
		if (h.nlmsg_type == NLMSG_DONE)
			return 0;
		if (h.nlmsg_type == NLMSG_ERROR) {
			rd_copy(&body, &code, sizeof code);
			return rd_ok(&body) && code <= 0 ? code : -EBADMSG;
		}
		if (a)
			a->fn(a->ctx, h.nlmsg_type, body);
	}
	return 1;
}

static int ask(struct rtnl *nl, struct request *rq, const struct answer *a)
{
	const size_t len = wr_len(&rq->w);
	struct nlmsghdr h;
	int r = 1;

	if (!wr_ok(&rq->w))
		return -EMSGSIZE;
	memcpy(&h, rq->buf, sizeof h);
	h.nlmsg_len = (uint32_t)len;
	h.nlmsg_seq = ++nl->seq;
	memcpy(rq->buf, &h, sizeof h);
	if (send(nl->fd, rq->buf, len, 0) < 0)
		return -errno;
	while (r > 0) {
		struct sockaddr_nl from;
		socklen_t from_len = sizeof from;
		const ssize_t n =
		    recvfrom(nl->fd, nl->in, sizeof nl->in, 0, (struct sockaddr *)&from, &from_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (from_len == sizeof from && from.nl_pid == 0)
			r = read_messages(nl, rd_of(nl->in, (size_t)n), a);
	}
	return r;
}

static int unless(int r, int a, int b) /* these two are no faults */
{
	return r == -a || r == -b ? 0 : r;
}

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

static void get_ip(struct rd v, struct ip *out)
{
	if (v.left == 4)
		*out = ip_from_v4(v.p);
	else if (v.left == 16)
		*out = ip_from_v6(v.p);
}

/* --- links and addresses --- */

int rtnl_link_index(struct rtnl *nl, const char *name)
{
	const unsigned i = if_nametoindex(name);

	(void)nl;
	return i > 0 && i <= INT32_MAX ? (int)i : -ENODEV;
}

int rtnl_link_up(struct rtnl *nl, int link, uint32_t mtu)
{
	const struct ifinfomsg h = { .ifi_index = link, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct request rq;

	begin(&rq, RTM_NEWLINK, NLM_F_ACK, &h, sizeof h);
	put_u32(&rq, IFLA_MTU, mtu);
	return ask(nl, &rq, NULL);
}

static int addr(struct rtnl *nl, uint16_t type, uint16_t flags, int link, const struct ip *ip)
{
	const struct ifaddrmsg h = { .ifa_family = family(ip),
				     .ifa_prefixlen = ip_is_v4(ip) ? 32 : 128,
				     .ifa_index = (uint32_t)link,
				     .ifa_flags = IFA_F_NODAD };
	struct request rq;

	begin(&rq, type, NLM_F_ACK | flags, &h, sizeof h);
	put_ip(&rq, IFA_LOCAL, ip);
	put_ip(&rq, IFA_ADDRESS, ip);
	return ask(nl, &rq, NULL);
}

int rtnl_addr_add(struct rtnl *nl, int link, const struct ip *ip)
{
	return unless(addr(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, link, ip), EEXIST, EEXIST);
}

int rtnl_addr_del(struct rtnl *nl, int link, const struct ip *ip)
{
	return unless(addr(nl, RTM_DELADDR, 0, link, ip), EADDRNOTAVAIL, ENODEV);
}

/* --- routes --- */

static void route_request(struct request *rq, uint16_t type, uint16_t flags,
			  const struct rtnl_route *r)
{
	const struct rtmsg h = { .rtm_family = family(&r->dst.ip),
				 .rtm_dst_len = bits(&r->dst),
				 .rtm_protocol = r->protocol,
				 .rtm_scope = RT_SCOPE_LINK,
				 .rtm_type = RTN_UNICAST };
	const struct {
		struct rtattr a;
		uint32_t v;
	} mtu = { { sizeof mtu, RTAX_MTU }, r->mtu };

	begin(rq, type, NLM_F_ACK | flags, &h, sizeof h);
	put_ip(rq, RTA_DST, &r->dst.ip);
	put_u32(rq, RTA_OIF, (uint32_t)r->link);
	put_u32(rq, RTA_TABLE, r->table);
	if (r->mtu)
		put(rq, RTA_METRICS, &mtu, sizeof mtu);
}

int rtnl_route_add(struct rtnl *nl, const struct rtnl_route *r)
{
	struct request rq;

	route_request(&rq, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, r);
	return ask(nl, &rq, NULL);
}

int rtnl_route_del(struct rtnl *nl, const struct rtnl_route *r)
{
	struct request rq;

	route_request(&rq, RTM_DELROUTE, 0, r);
	return unless(ask(nl, &rq, NULL), ESRCH, ENOENT);
}

struct route_dump {
	uint32_t table;
	uint8_t protocol;
	rtnl_route_fn *fn;
	void *ctx;
	struct ip dst;
	struct rtnl_route one;
};

static void route_attr(void *ctx, uint16_t type, struct rd v)
{
	struct route_dump *d = ctx;

	if (type == RTA_DST)
		get_ip(v, &d->dst);
	else if (type == RTA_OIF)
		d->one.link = (int)get_u32(v);
	else if (type == RTA_TABLE)
		d->one.table = get_u32(v);
}

static void route_found(void *ctx, uint16_t type, struct rd body)
{
	struct route_dump *d = ctx;
	struct rtmsg h;
	unsigned base;

	rd_copy(&body, &h, sizeof h);
	base = h.rtm_family == AF_INET ? 96 : 0;
	if (!rd_ok(&body) || type != RTM_NEWROUTE || base + h.rtm_dst_len > 128)
		return;
	d->dst = h.rtm_family == AF_INET ? ip_v4(0, 0, 0, 0) : (struct ip){ { 0 } };
	d->one = (struct rtnl_route){ .table = h.rtm_table, .protocol = h.rtm_protocol };
	each_attr(body, route_attr, d);
	if (d->one.table != d->table || d->one.protocol != d->protocol)
		return;
	d->one.dst = ipprefix_of(&d->dst, (uint8_t)(base + h.rtm_dst_len));
	d->fn(d->ctx, &d->one);
}

static const uint8_t families[] = { AF_INET, AF_INET6 };

int rtnl_routes(struct rtnl *nl, uint32_t table, uint8_t protocol, rtnl_route_fn *fn, void *ctx)
{
	struct route_dump d = { .table = table, .protocol = protocol, .fn = fn, .ctx = ctx };

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct rtmsg h = { .rtm_family = families[i] };
		struct request rq;
		int r;

		begin(&rq, RTM_GETROUTE, NLM_F_DUMP, &h, sizeof h);
		r = ask(nl, &rq, &(struct answer){ route_found, &d });
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- rules --- */

bool rtnl_rule_eq(const struct rtnl_rule *a, const struct rtnl_rule *b)
{
	return a->is_lookup == b->is_lookup && a->has_from == b->has_from &&
	       a->priority == b->priority && a->table == b->table &&
	       (!a->has_from || ipprefix_eq(&a->from, &b->from)) && ipprefix_eq(&a->to, &b->to) &&
	       strcmp(a->iif, b->iif) == 0;
}

static int rule(struct rtnl *nl, uint16_t type, uint16_t flags, const struct rtnl_rule *r)
{
	const struct fib_rule_hdr h = { .family = family(&r->to.ip),
					.src_len = r->has_from ? bits(&r->from) : 0,
					.dst_len = bits(&r->to),
					.action =
					    r->is_lookup ? FR_ACT_TO_TBL : FR_ACT_UNREACHABLE };
	struct request rq;

	begin(&rq, type, NLM_F_ACK | flags, &h, sizeof h);
	put_u32(&rq, FRA_PRIORITY, r->priority);
	put_ip(&rq, FRA_DST, &r->to.ip);
	if (r->has_from)
		put_ip(&rq, FRA_SRC, &r->from.ip);
	if (*r->iif)
		put(&rq, FRA_IIFNAME, r->iif, strlen(r->iif) + 1);
	if (r->is_lookup)
		put_u32(&rq, FRA_TABLE, r->table);
	put(&rq, FRA_PROTOCOL, &r->protocol, 1);
	return ask(nl, &rq, NULL);
}

int rtnl_rule_add(struct rtnl *nl, const struct rtnl_rule *r)
{
	return unless(rule(nl, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, r), EEXIST, EEXIST);
}

int rtnl_rule_del(struct rtnl *nl, const struct rtnl_rule *r)
{
	return unless(rule(nl, RTM_DELRULE, 0, r), ENOENT, ESRCH);
}

struct rule_dump {
	uint8_t protocol;
	rtnl_rule_fn *fn;
	void *ctx;
	struct ip from, to;
	struct rtnl_rule one;
};

static void rule_attr(void *ctx, uint16_t type, struct rd v)
{
	struct rule_dump *d = ctx;

	switch (type) {
	case FRA_PRIORITY:
		d->one.priority = get_u32(v);
		break;
	case FRA_TABLE:
		d->one.table = get_u32(v);
		break;
	case FRA_SRC:
		get_ip(v, &d->from);
		break;
	case FRA_DST:
		get_ip(v, &d->to);
		break;
	case FRA_IIFNAME:
		if (v.left > 0)
			(void)bytes_to_str(bytes_of(v.p, strnlen((const char *)v.p, v.left)),
					   d->one.iif, sizeof d->one.iif);
		break;
	case FRA_PROTOCOL:
		d->one.protocol = rd_u8(&v);
		break;
	default:
		break;
	}
}

static void rule_found(void *ctx, uint16_t type, struct rd body)
{
	struct rule_dump *d = ctx;
	struct fib_rule_hdr h;
	unsigned base;

	rd_copy(&body, &h, sizeof h);
	base = h.family == AF_INET ? 96 : 0;
	if (!rd_ok(&body) || type != RTM_NEWRULE || base + h.src_len > 128 ||
	    base + h.dst_len > 128 || h.dst_len == 0 ||
	    (h.action != FR_ACT_TO_TBL && h.action != FR_ACT_UNREACHABLE))
		return;
	d->one =
	    (struct rtnl_rule){ .is_lookup = h.action == FR_ACT_TO_TBL, .has_from = h.src_len > 0 };
	each_attr(body, rule_attr, d);
	if (d->one.protocol != d->protocol)
		return;
	if (!d->one.is_lookup)
		d->one.table = 0;
	d->one.to = ipprefix_of(&d->to, (uint8_t)(base + h.dst_len));
	if (d->one.has_from)
		d->one.from = ipprefix_of(&d->from, (uint8_t)(base + h.src_len));
	d->fn(d->ctx, &d->one);
}

int rtnl_rules(struct rtnl *nl, uint8_t protocol, rtnl_rule_fn *fn, void *ctx)
{
	struct rule_dump d = { .protocol = protocol, .fn = fn, .ctx = ctx };

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct fib_rule_hdr h = { .family = families[i] };
		struct request rq;
		int r;

		begin(&rq, RTM_GETRULE, NLM_F_DUMP, &h, sizeof h);
		r = ask(nl, &rq, &(struct answer){ rule_found, &d });
		if (r < 0 && r != -EAFNOSUPPORT)
			return r;
	}
	return 0;
}
