/* pod/masquerade.c - see masquerade.h
 *
 * Each change is one batch of messages, all or nothing. Table inet tailpod-DEVICE, which stays:
 *
 *      chain out, nat, postrouting     oifname DEVICE masquerade
 *      chain guard, filter, forward    oifname DEVICE meta priority != HELD, and then
 *                                      tcp flags & (syn | ack) == syn reject with tcp reset
 *                                      reject with icmpx host-unreachable
 *
 * and table inet tailpod-DEVICE-held, which the kernel drops with the socket that owns it:
 *
 *      chain held, filter, forward     oifname DEVICE meta priority set HELD
 *
 * The two forward chains follow each other at once, so nobody sees the priority in between, and it
 * takes no bit of anybody's packet mark. A new connection is reset since ICMP errors have a rate
 * limit, and those of IPv6 are lost upon a socket that is still inside connect(); an established
 * one gets ICMP, which it outlives. Numbers in nfnetlink attributes are big endian.
 */
#include "pod/masquerade.h"

#include <errno.h>
#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cursor.h"
#include "pod/netlink_priv.h"

enum {
	BATCH_MAX = 2048,
	ANSWER_S = 5,
	PRIORITY = 100 - 5, /* NF_IP_PRI_NAT_SRC */
	PRIORITY_HELD = -5, /* before others' filters (0) */
	PRIORITY_GUARD = PRIORITY_HELD + 1,
	TCP_FLAGS_AT = 13, /* RFC 9293 3.1 */
	TH_SYN = 2,
	TH_ACK = 16
};
static const uint32_t held_mark = 0x74700000; /* sk_buff's priority; its low bits choose the band of
					       * a device's queue: 0, as of any packet */

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

struct chain {
	const char *table, *name, *type;
	uint32_t hook;
	int priority;
};

static void put_chain(struct batch *b, const struct chain *c)
{
	size_t hook;

	message(b, nft(NFT_MSG_NEWCHAIN), NLM_F_CREATE | NLM_F_ACK, NFPROTO_INET, 0);
	put_text(b, NFTA_CHAIN_TABLE, c->table);
	put_text(b, NFTA_CHAIN_NAME, c->name);
	hook = nest(b, NFTA_CHAIN_HOOK);
	put_u32(b, NFTA_HOOK_HOOKNUM, c->hook);
	put_u32(b, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
	unnest(b, hook);
	put_text(b, NFTA_CHAIN_TYPE, c->type);
	end(b);
}

/* --- expressions of a rule; each works on register 1 --- */

struct expression {
	size_t elem, data;
};

static struct expression expression_begin(struct batch *b, const char *name)
{
	struct expression x = { .elem = nest(b, NFTA_LIST_ELEM) };

	put_text(b, NFTA_EXPR_NAME, name);
	x.data = nest(b, NFTA_EXPR_DATA);
	return x;
}

static void expression_end(struct batch *b, struct expression x)
{
	unnest(b, x.data);
	unnest(b, x.elem);
}

static void put_value(struct batch *b, uint16_t type, const void *v, size_t len)
{
	const size_t data = nest(b, type);

	put(b, NFTA_DATA_VALUE, v, len);
	unnest(b, data);
}

static void meta_get(struct batch *b, uint32_t key)
{
	const struct expression x = expression_begin(b, "meta");

	put_u32(b, NFTA_META_KEY, key);
	put_u32(b, NFTA_META_DREG, NFT_REG_1);
	expression_end(b, x);
}

static void meta_set(struct batch *b, uint32_t key)
{
	const struct expression x = expression_begin(b, "meta");

	put_u32(b, NFTA_META_KEY, key);
	put_u32(b, NFTA_META_SREG, NFT_REG_1);
	expression_end(b, x);
}

/* v: as in a register, of the host's byte order */
static void compare(struct batch *b, uint32_t op, const void *v, size_t len)
{
	const struct expression x = expression_begin(b, "cmp");

	put_u32(b, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(b, NFTA_CMP_OP, op);
	put_value(b, NFTA_CMP_DATA, v, len);
	expression_end(b, x);
}

static void is_byte(struct batch *b, uint8_t v)
{
	compare(b, NFT_CMP_EQ, &v, sizeof v);
}

static void immediate(struct batch *b, const void *v, size_t len)
{
	const struct expression x = expression_begin(b, "immediate");

	put_u32(b, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	put_value(b, NFTA_IMMEDIATE_DATA, v, len);
	expression_end(b, x);
}

static void transport_byte(struct batch *b, uint32_t offset)
{
	const struct expression x = expression_begin(b, "payload");

	put_u32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_u32(b, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	put_u32(b, NFTA_PAYLOAD_OFFSET, offset);
	put_u32(b, NFTA_PAYLOAD_LEN, 1);
	expression_end(b, x);
}

static void mask_byte(struct batch *b, uint8_t mask)
{
	const struct expression x = expression_begin(b, "bitwise");
	const uint8_t none = 0;

	put_u32(b, NFTA_BITWISE_SREG, NFT_REG_1);
	put_u32(b, NFTA_BITWISE_DREG, NFT_REG_1);
	put_u32(b, NFTA_BITWISE_LEN, 1);
	put_value(b, NFTA_BITWISE_MASK, &mask, sizeof mask);
	put_value(b, NFTA_BITWISE_XOR, &none, sizeof none);
	expression_end(b, x);
}

static void reject_by_reset(struct batch *b)
{
	const struct expression x = expression_begin(b, "reject");

	put_u32(b, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
	expression_end(b, x);
}

static void reject_by_icmp(struct batch *b, uint8_t code)
{
	const struct expression x = expression_begin(b, "reject");

	put_u32(b, NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	put(b, NFTA_REJECT_ICMP_CODE, &code, sizeof code);
	expression_end(b, x);
}

static void masquerade(struct batch *b)
{
	expression_end(b, expression_begin(b, "masq"));
}

/* --- rules and tables --- */

/* Of packets that leave by the device; what follows is the caller's. */
static size_t rule_begin(struct batch *b, const struct chain *c, const char *device)
{
	char name[IFNAMSIZ] = "";
	size_t list;

	(void)bytes_to_str(bytes_str(device), name, sizeof name);
	message(b, nft(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, NFPROTO_INET, 0);
	put_text(b, NFTA_RULE_TABLE, c->table);
	put_text(b, NFTA_RULE_CHAIN, c->name);
	list = nest(b, NFTA_RULE_EXPRESSIONS);
	meta_get(b, NFT_META_OIFNAME);
	compare(b, NFT_CMP_EQ, name, sizeof name);
	return list;
}

static void rule_end(struct batch *b, size_t list)
{
	unnest(b, list);
	end(b);
}

static void empty_chain(struct batch *b, const struct chain *c)
{
	message(b, nft(NFT_MSG_DELRULE), NLM_F_ACK, NFPROTO_INET, 0);
	put_text(b, NFTA_RULE_TABLE, c->table);
	put_text(b, NFTA_RULE_CHAIN, c->name);
	end(b);
}

static void put_table(struct batch *b, uint16_t type, uint16_t flags, const char *table,
		      bool is_owned)
{
	message(b, nft(type), (uint16_t)(flags | NLM_F_ACK), NFPROTO_INET, 0);
	put_text(b, NFTA_TABLE_NAME, table);
	if (is_owned)
		put_u32(b, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
	end(b);
}

/* Acknowledgements until each of the messages had its own; the first error of all. */
static int read_acks(int fd, uint32_t last)
{
	uint8_t in[8192];

	for (;;) {
		const ssize_t n = recv(fd, in, sizeof in, 0);
		struct nlmsghdr h;
		struct rd r, body;
		int ret;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		r = rd_of(in, (size_t)n);
		while ((ret = netlink_next(&r, &h, &body)) > 0) {
			int32_t code;

			rd_copy(&body, &code, sizeof code);
			if (!rd_ok(&body) || h.nlmsg_type != NLMSG_ERROR)
				return -EBADMSG;
			if (code != 0)
				return code;
			if (h.nlmsg_seq == last)
				return 0;
		}
		if (ret < 0)
			return ret;
	}
}

static int open_socket(void)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int r;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int run_on(int fd, struct batch *b, uint32_t last)
{
	if (!wr_ok(&b->w))
		return -EMSGSIZE;
	return send(fd, b->buf, wr_len(&b->w), 0) < 0 ? -errno : read_acks(fd, last);
}

static int run(struct batch *b, uint32_t last)
{
	const int fd = open_socket();
	int r;

	if (fd < 0)
		return fd;
	r = run_on(fd, b, last);
	close(fd);
	return r;
}

static void begin(struct batch *b)
{
	*b = (struct batch){ .seq = 0 };
	b->w = wr_of(b->buf, sizeof b->buf);
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

static const char *table_of(const char *device, const char *suffix, char out[static 32])
{
	snprintf(out, 32, "tailpod-%s%s", device, suffix);
	return out;
}

int masquerade_add(const char *device, struct err *e)
{
	char table[32];
	const struct chain out = { .table = table_of(device, "", table),
				   .name = "out",
				   .type = "nat",
				   .hook = NF_INET_POST_ROUTING,
				   .priority = PRIORITY };
	struct batch b;
	size_t list;
	int r;

	begin(&b);
	put_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table, false);
	put_chain(&b, &out);
	list = rule_begin(&b, &out, device);
	masquerade(&b);
	rule_end(&b, list);
	r = run(&b, finish(&b));
	return r == 0 || r == -EEXIST ? 0 : err_set(e, -r, "masquerade on %s (nf_tables)", device);
}

int masquerade_del(const char *device, struct err *e)
{
	struct batch b;
	char table[32];
	int r;

	begin(&b);
	put_table(&b, NFT_MSG_DELTABLE, 0, table_of(device, "", table), false);
	r = run(&b, finish(&b));
	return r == 0 || r == -ENOENT ? 0 : err_set(e, -r, "remove the masquerade on %s", device);
}

static int hold(int fd, const char *device)
{
	char table[32];
	const struct chain held = { .table = table_of(device, "-held", table),
				    .name = "held",
				    .type = "filter",
				    .hook = NF_INET_FORWARD,
				    .priority = PRIORITY_HELD };
	struct batch b;
	size_t list;

	begin(&b);
	put_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table, true);
	put_chain(&b, &held);
	list = rule_begin(&b, &held, device);
	immediate(&b, &held_mark, sizeof held_mark);
	meta_set(&b, NFT_META_PRIORITY);
	rule_end(&b, list);
	return run_on(fd, &b, finish(&b));
}

static int guard(const char *device, bool want)
{
	char table[32];
	const struct chain chain = { .table = table_of(device, "", table),
				     .name = "guard",
				     .type = "filter",
				     .hook = NF_INET_FORWARD,
				     .priority = PRIORITY_GUARD };
	struct batch b;
	size_t list;

	begin(&b);
	put_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE, table, false);
	put_chain(&b, &chain);
	empty_chain(&b, &chain); /* an earlier process's */
	for (int icmp = 0; want && icmp < 2; icmp++) {
		list = rule_begin(&b, &chain, device);
		meta_get(&b, NFT_META_PRIORITY);
		compare(&b, NFT_CMP_NEQ, &held_mark, sizeof held_mark);
		if (icmp) {
			reject_by_icmp(&b, NFT_REJECT_ICMPX_HOST_UNREACH);
		} else {
			meta_get(&b, NFT_META_L4PROTO);
			is_byte(&b, IPPROTO_TCP);
			transport_byte(&b, TCP_FLAGS_AT);
			mask_byte(&b, TH_SYN | TH_ACK);
			is_byte(&b, TH_SYN);
			reject_by_reset(&b);
		}
		rule_end(&b, list);
	}
	return run(&b, finish(&b));
}

int masquerade_hold(const char *device, struct err *e)
{
	const int fd = open_socket();
	int r = fd < 0 ? fd : hold(fd, device);

	if (r == 0)
		r = guard(device, true);
	if (r == 0)
		return fd;
	(void)!guard(device, false); /* without the one the other would refuse everything */
	if (fd >= 0)
		close(fd);
	return err_set(e, -r, "guard %s against the end of this process (nf_tables)", device);
}
