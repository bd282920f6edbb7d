/* pod/nft.c - see nft_priv.h; numbers in nfnetlink attributes are big endian */
#include "pod/nft_priv.h"

#include <errno.h>
#include <linux/in.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "pod/netlink_priv.h"

enum {
	ANSWER_S = 5,
	TH_FLAGS = 13, /* RFC 9293 3.1 */
	TH_SYN = 2,
	TH_ACK = 16
};

/* --- messages --- */

static void message(struct nft *n, uint16_t type, uint16_t flags, uint8_t family, uint16_t res)
{
	const struct nlmsghdr h = { .nlmsg_type = type,
				    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
				    .nlmsg_seq = ++n->seq };

	n->start = wr_len(&n->w);
	wr_put(&n->w, &h, sizeof h);
	wr_u8(&n->w, family);
	wr_u8(&n->w, NFNETLINK_V0);
	wr_be16(&n->w, res);
}

static void end(struct nft *n)
{
	const uint32_t len = (uint32_t)(wr_len(&n->w) - n->start);

	if (wr_ok(&n->w))
		memcpy(n->buf + n->start, &len, sizeof len); /* nlmsg_len is first */
}

static void put(struct nft *n, uint16_t type, const void *data, size_t len)
{
	const struct nlattr a = { .nla_len = (uint16_t)(sizeof a + len), .nla_type = type };

	wr_put(&n->w, &a, sizeof a);
	wr_put(&n->w, data, len);
	wr_zero(&n->w, -len & 3);
}

static void put_text(struct nft *n, uint16_t type, const char *s)
{
	put(n, type, s, strlen(s) + 1);
}

static void put_u32(struct nft *n, uint16_t type, uint32_t v)
{
	const uint8_t be[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
				(uint8_t)v };

	put(n, type, be, sizeof be);
}

static size_t nest(struct nft *n, uint16_t type)
{
	const size_t at = wr_len(&n->w);

	put(n, type | NLA_F_NESTED, "", 0);
	return at;
}

static void unnest(struct nft *n, size_t at)
{
	const uint16_t len = (uint16_t)(wr_len(&n->w) - at);

	if (wr_ok(&n->w))
		memcpy(n->buf + at, &len, sizeof len); /* nla_len is first */
}

static void put_data(struct nft *n, uint16_t type, const void *data, size_t len)
{
	const size_t at = nest(n, type);

	put(n, NFTA_DATA_VALUE, data, len);
	unnest(n, at);
}

static uint16_t of_nft(uint16_t type)
{
	return (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
}

/* --- exchanges --- */

/* Acknowledgements until each of the messages had its own; the first error of all. */
static int read_acks(struct nft *n, uint32_t last)
{
	uint8_t in[8192];

	for (;;) {
		const ssize_t len = recv(n->fd, in, sizeof in, 0);
		struct nlmsghdr h;
		struct rd r, body;
		int ret;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		r = rd_of(in, (size_t)len);
		while ((ret = netlink_next(&r, &h, &body)) > 0) {
			int32_t code;

			/* what was asked for is of no interest, only that it is there; nor is the
			 * rest that an earlier exchange has left */
			if (h.nlmsg_type != NLMSG_ERROR || h.nlmsg_seq - n->first > last - n->first)
				continue;
			rd_copy(&body, &code, sizeof code);
			if (!rd_ok(&body))
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

static int exchange(struct nft *n, uint32_t last)
{
	if (n->fd < 0)
		return n->fd;
	if (!wr_ok(&n->w))
		return -EMSGSIZE;
	return send(n->fd, n->buf, wr_len(&n->w), 0) < 0 ? -errno : read_acks(n, last);
}

void nft_open(struct nft *n)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };

	*n = (struct nft){ .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER) };
	if (n->fd < 0) {
		n->fd = -errno;
	} else if (setsockopt(n->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) {
		const int r = -errno;

		nft_close(n);
		n->fd = r;
	}
}

void nft_close(struct nft *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -EBADF;
}

static void restart(struct nft *n)
{
	n->w = wr_of(n->buf, sizeof n->buf);
	n->first = n->seq + 1;
}

void nft_begin(struct nft *n)
{
	restart(n);
	message(n, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end(n);
}

int nft_run(struct nft *n)
{
	const uint32_t last = n->seq;

	message(n, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end(n);
	return exchange(n, last);
}

/* --- tables and chains --- */

void nft_table(struct nft *n, uint16_t type, uint16_t flags, const char *table,
	       uint32_t table_flags)
{
	message(n, of_nft(type), (uint16_t)(flags | NLM_F_ACK), NFPROTO_INET, 0);
	put_text(n, NFTA_TABLE_NAME, table);
	if (table_flags)
		put_u32(n, NFTA_TABLE_FLAGS, table_flags);
	end(n);
}

void nft_chain(struct nft *n, uint16_t flags, const struct nft_chain *c)
{
	size_t hook;

	message(n, of_nft(NFT_MSG_NEWCHAIN), (uint16_t)(NLM_F_CREATE | flags | NLM_F_ACK),
		NFPROTO_INET, 0);
	put_text(n, NFTA_CHAIN_TABLE, c->table);
	put_text(n, NFTA_CHAIN_NAME, c->name);
	if (c->type) {
		hook = nest(n, NFTA_CHAIN_HOOK);
		put_u32(n, NFTA_HOOK_HOOKNUM, c->hook);
		put_u32(n, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
		unnest(n, hook);
		put_text(n, NFTA_CHAIN_TYPE, c->type);
	}
	end(n);
}

void nft_chain_empty(struct nft *n, const struct nft_chain *c)
{
	message(n, of_nft(NFT_MSG_DELRULE), NLM_F_ACK, NFPROTO_INET, 0);
	put_text(n, NFTA_RULE_TABLE, c->table);
	put_text(n, NFTA_RULE_CHAIN, c->name);
	end(n);
}

int nft_has(struct nft *n, const char *table, const char *chain)
{
	int r;

	restart(n);
	message(n, of_nft(chain ? NFT_MSG_GETCHAIN : NFT_MSG_GETTABLE), NLM_F_ACK, NFPROTO_INET, 0);
	put_text(n, chain ? NFTA_CHAIN_TABLE : NFTA_TABLE_NAME, table);
	if (chain)
		put_text(n, NFTA_CHAIN_NAME, chain);
	end(n);
	r = exchange(n, n->seq);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* --- rules --- */

void nft_rule(struct nft *n, const struct nft_chain *c)
{
	message(n, of_nft(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, NFPROTO_INET,
		0);
	put_text(n, NFTA_RULE_TABLE, c->table);
	put_text(n, NFTA_RULE_CHAIN, c->name);
	n->list = nest(n, NFTA_RULE_EXPRESSIONS);
}

void nft_rule_end(struct nft *n)
{
	unnest(n, n->list);
	end(n);
}

struct expr {
	size_t elem, data;
};

static struct expr expr(struct nft *n, const char *name)
{
	struct expr x = { .elem = nest(n, NFTA_LIST_ELEM) };

	put_text(n, NFTA_EXPR_NAME, name);
	x.data = nest(n, NFTA_EXPR_DATA);
	return x;
}

static void expr_end(struct nft *n, struct expr x)
{
	unnest(n, x.data);
	unnest(n, x.elem);
}

void nft_meta(struct nft *n, uint32_t key)
{
	const struct expr x = expr(n, "meta");

	put_u32(n, NFTA_META_KEY, key);
	put_u32(n, NFTA_META_DREG, NFT_REG_1);
	expr_end(n, x);
}

void nft_meta_set(struct nft *n, uint32_t key)
{
	const struct expr x = expr(n, "meta");

	put_u32(n, NFTA_META_KEY, key);
	put_u32(n, NFTA_META_SREG, NFT_REG_1);
	expr_end(n, x);
}

void nft_immediate(struct nft *n, const void *data, size_t len)
{
	const struct expr x = expr(n, "immediate");

	put_u32(n, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	put_data(n, NFTA_IMMEDIATE_DATA, data, len);
	expr_end(n, x);
}

void nft_payload(struct nft *n, uint32_t base, uint32_t offset, uint32_t len)
{
	const struct expr x = expr(n, "payload");

	put_u32(n, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_u32(n, NFTA_PAYLOAD_BASE, base);
	put_u32(n, NFTA_PAYLOAD_OFFSET, offset);
	put_u32(n, NFTA_PAYLOAD_LEN, len);
	expr_end(n, x);
}

void nft_mask(struct nft *n, const uint8_t *mask, size_t len)
{
	static const uint8_t none[16];
	const struct expr x = expr(n, "bitwise");

	put_u32(n, NFTA_BITWISE_SREG, NFT_REG_1);
	put_u32(n, NFTA_BITWISE_DREG, NFT_REG_1);
	put_u32(n, NFTA_BITWISE_LEN, (uint32_t)len);
	put_data(n, NFTA_BITWISE_MASK, mask, len);
	put_data(n, NFTA_BITWISE_XOR, none, len);
	expr_end(n, x);
}

void nft_cmp(struct nft *n, uint32_t op, const void *data, size_t len)
{
	const struct expr x = expr(n, "cmp");

	put_u32(n, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(n, NFTA_CMP_OP, op);
	put_data(n, NFTA_CMP_DATA, data, len);
	expr_end(n, x);
}

void nft_fib(struct nft *n, uint32_t flags, uint32_t result)
{
	const struct expr x = expr(n, "fib");

	put_u32(n, NFTA_FIB_DREG, NFT_REG_1);
	put_u32(n, NFTA_FIB_RESULT, result);
	put_u32(n, NFTA_FIB_FLAGS, flags);
	expr_end(n, x);
}

void nft_masquerade(struct nft *n)
{
	expr_end(n, expr(n, "masq"));
}

void nft_reject(struct nft *n, uint32_t type, uint8_t code)
{
	const struct expr x = expr(n, "reject");

	put_u32(n, NFTA_REJECT_TYPE, type);
	if (type != NFT_REJECT_TCP_RST)
		put(n, NFTA_REJECT_ICMP_CODE, &code, sizeof code);
	expr_end(n, x);
}

void nft_is_syn(struct nft *n)
{
	static const uint8_t tcp = IPPROTO_TCP, syn = TH_SYN, both = TH_SYN | TH_ACK;

	nft_meta(n, NFT_META_L4PROTO);
	nft_cmp(n, NFT_CMP_EQ, &tcp, sizeof tcp);
	nft_payload(n, NFT_PAYLOAD_TRANSPORT_HEADER, TH_FLAGS, 1);
	nft_mask(n, &both, sizeof both);
	nft_cmp(n, NFT_CMP_EQ, &syn, sizeof syn);
}
