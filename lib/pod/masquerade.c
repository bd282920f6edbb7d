/* pod/masquerade.c - see masquerade.h
 *
 * One batch of three messages, all or nothing: table inet tailpod-DEVICE, chain "out" (nat,
 * postrouting), rule `meta oifname DEVICE masquerade`. Numbers in nfnetlink attributes are big
 * endian.
 */
#include "pod/masquerade.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cursor.h"

enum { BATCH_MAX = 1024, ANSWER_S = 5, PRIORITY = 100 - 5 /* NF_IP_PRI_NAT_SRC */ };

struct batch {
	uint8_t buf[BATCH_MAX];
	struct wr w;
	size_t start; /* of the present message */
	uint32_t seq;
};

static void message(struct batch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t res)
{
	const struct nlmsghdr h = { .nlmsg_type = type,
				    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
				    .nlmsg_seq = ++b->seq };

	b->start = wr_len(&b->w);
	wr_put(&b->w, &h, sizeof h);
	wr_u8(&b->w, family);
	wr_u8(&b->w, NFNETLINK_V0);
	wr_be16(&b->w, res);
}

static void end(struct batch *b)
{
	const uint32_t len = (uint32_t)(wr_len(&b->w) - b->start);

	if (wr_ok(&b->w))
		memcpy(b->buf + b->start, &len, sizeof len); /* nlmsg_len is first */
}

static void put(struct batch *b, uint16_t type, const void *data, size_t len)
{
	const struct nlattr a = { .nla_len = (uint16_t)(sizeof a + len), .nla_type = type };

	wr_put(&b->w, &a, sizeof a);
	wr_put(&b->w, data, len);
	wr_zero(&b->w, -len & 3);
}

static void put_text(struct batch *b, uint16_t type, const char *s)
{
	put(b, type, s, strlen(s) + 1);
}

static void put_u32(struct batch *b, uint16_t type, uint32_t v)
{
	const uint8_t be[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
				(uint8_t)v };

	put(b, type, be, sizeof be);
}

static size_t nest(struct batch *b, uint16_t type)
{
	const size_t at = wr_len(&b->w);

	put(b, type | NLA_F_NESTED, "", 0);
	return at;
}

static void unnest(struct batch *b, size_t at)
{
	const uint16_t len = (uint16_t)(wr_len(&b->w) - at);

	if (wr_ok(&b->w))
		memcpy(b->buf + at, &len, sizeof len); /* nla_len is first */
}

static uint16_t nft(uint16_t type)
{
	return (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
}

static void put_chain(struct batch *b, const char *table)
{
	size_t hook;

	message(b, nft(NFT_MSG_NEWCHAIN), NLM_F_CREATE | NLM_F_ACK, NFPROTO_INET, 0);
	put_text(b, NFTA_CHAIN_TABLE, table);
	put_text(b, NFTA_CHAIN_NAME, "out");
	hook = nest(b, NFTA_CHAIN_HOOK);
	put_u32(b, NFTA_HOOK_HOOKNUM, NF_INET_POST_ROUTING);
	put_u32(b, NFTA_HOOK_PRIORITY, PRIORITY);
	unnest(b, hook);
	put_text(b, NFTA_CHAIN_TYPE, "nat");
	end(b);
}

/* One expression; fill puts what is in its data. */
static void expression(struct batch *b, const char *name,
		       void (*fill)(struct batch *b, const char *device), const char *device)
{
	const size_t elem = nest(b, NFTA_LIST_ELEM);
	size_t data;

	put_text(b, NFTA_EXPR_NAME, name);
	data = nest(b, NFTA_EXPR_DATA);
	if (fill)
		fill(b, device);
	unnest(b, data);
	unnest(b, elem);
}

static void fill_meta(struct batch *b, const char *device)
{
	(void)device;
	put_u32(b, NFTA_META_KEY, NFT_META_OIFNAME);
	put_u32(b, NFTA_META_DREG, NFT_REG_1);
}

static void fill_cmp(struct batch *b, const char *device)
{
	char name[IFNAMSIZ] = "";
	size_t data;

	(void)bytes_to_str(bytes_str(device), name, sizeof name);
	put_u32(b, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(b, NFTA_CMP_OP, NFT_CMP_EQ);
	data = nest(b, NFTA_CMP_DATA);
	put(b, NFTA_DATA_VALUE, name, sizeof name);
	unnest(b, data);
}

static void put_rule(struct batch *b, const char *table, const char *device)
{
	size_t list;

	message(b, nft(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, NFPROTO_INET, 0);
	put_text(b, NFTA_RULE_TABLE, table);
	put_text(b, NFTA_RULE_CHAIN, "out");
	list = nest(b, NFTA_RULE_EXPRESSIONS);
	expression(b, "meta", fill_meta, device);
	expression(b, "cmp", fill_cmp, device);
	expression(b, "masq", NULL, device);
	unnest(b, list);
	end(b);
}

static void put_table(struct batch *b, uint16_t type, uint16_t flags, const char *table)
{
	message(b, nft(type), (uint16_t)(flags | NLM_F_ACK), NFPROTO_INET, 0);
	put_text(b, NFTA_TABLE_NAME, table);
	end(b);
}

/* Acknowledgements until each of the messages had its own; the first error of all. */
static int read_acks(int fd, uint32_t last)
{
	uint8_t in[8192];

	for (;;) {
		const ssize_t n = recv(fd, in, sizeof in, 0);
		struct rd r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		r = rd_of(in, (size_t)n);
		while (r.left > 0) {
			struct nlmsghdr h;
			struct rd body;
			int32_t code;

			rd_copy(&r, &h, sizeof h);
			if (!rd_ok(&r) || h.nlmsg_len < sizeof h)
				return -EBADMSG;
			body = rd_sub(&r, h.nlmsg_len - sizeof h);
			rd_skip(&r, MIN_OF((size_t)-h.nlmsg_len & 3, r.left));
			rd_copy(&body, &code, sizeof code);
			if (!rd_ok(&body) || h.nlmsg_type != NLMSG_ERROR)
				return -EBADMSG;
			if (code != 0)
				return code;
			if (h.nlmsg_seq == last)
				return 0;
		}
	}
}

static int run(struct batch *b, uint32_t last)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	int fd, r;

	if (!wr_ok(&b->w))
		return -EMSGSIZE;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd < 0)
		return -errno;
	r = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
		    send(fd, b->buf, wr_len(&b->w), 0) < 0
		? -errno
		: read_acks(fd, last);
	close(fd);
	return r;
}

static void begin(struct batch *b, const char *device, char table[static 32])
{
	*b = (struct batch){ .seq = 0 };
	b->w = wr_of(b->buf, sizeof b->buf);
	snprintf(table, 32, "tailpod-%s", device);
	message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end(b);
}

static uint32_t finish(struct batch *b)
{
	const uint32_t last = b->seq;

	message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end(b);
	return last;
}

int masquerade_add(const char *device, struct err *e)
{
	struct batch b;
	char table[32];
	int r;

	begin(&b, device, table);
	put_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table);
	put_chain(&b, table);
	put_rule(&b, table, device);
	r = run(&b, finish(&b));
	return r == 0 || r == -EEXIST ? 0 : err_set(e, -r, "masquerade on %s (nf_tables)", device);
}

int masquerade_del(const char *device, struct err *e)
{
	struct batch b;
	char table[32];
	int r;

	begin(&b, device, table);
	put_table(&b, NFT_MSG_DELTABLE, 0, table);
	r = run(&b, finish(&b));
	return r == 0 || r == -ENOENT ? 0 : err_set(e, -r, "remove the masquerade on %s", device);
}
