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
 * one gets ICMP, which it outlives.
 */
#include "pod/masquerade.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#include "base/bytes.h"
#include "pod/nft_priv.h"

enum {
	PRIORITY = 100 - 5, /* NF_IP_PRI_NAT_SRC */
	PRIORITY_HELD = -5, /* before others' filters (0) */
	PRIORITY_GUARD = PRIORITY_HELD + 1
};
static const uint32_t held_mark = 0x74700000; /* sk_buff's priority; its low bits choose the band of
					       * a device's queue: 0, as of any packet */

static const char *table_of(const char *device, const char *suffix, char out[static 32])
{
	snprintf(out, 32, "tailpod-%s%s", device, suffix);
	return out;
}

/* Of packets that leave by the device; what follows is the caller's. */
static void rule_of(struct nft *n, const struct nft_chain *c, const char *device)
{
	char name[IFNAMSIZ] = "";

	(void)bytes_to_str(bytes_str(device), name, sizeof name);
	nft_rule(n, c);
	nft_meta(n, NFT_META_OIFNAME);
	nft_cmp(n, NFT_CMP_EQ, name, sizeof name);
}

int masquerade_add(const char *device, struct err *e)
{
	char table[32];
	const struct nft_chain out = { .table = table_of(device, "", table),
				       .name = "out",
				       .type = "nat",
				       .hook = NF_INET_POST_ROUTING,
				       .priority = PRIORITY };
	struct nft n;
	int r;

	nft_open(&n);
	nft_begin(&n);
	nft_table(&n, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table, 0);
	nft_chain(&n, 0, &out);
	rule_of(&n, &out, device);
	nft_masquerade(&n);
	nft_rule_end(&n);
	r = nft_run(&n);
	nft_close(&n);
	return r == 0 || r == -EEXIST ? 0 : err_set(e, -r, "masquerade on %s (nf_tables)", device);
}

int masquerade_del(const char *device, struct err *e)
{
	char table[32];
	struct nft n;
	int r;

	nft_open(&n);
	nft_begin(&n);
	nft_table(&n, NFT_MSG_DELTABLE, 0, table_of(device, "", table), 0);
	r = nft_run(&n);
	nft_close(&n);
	return r == 0 || r == -ENOENT ? 0 : err_set(e, -r, "remove the masquerade on %s", device);
}

static int hold(struct nft *n, const char *device)
{
	char table[32];
	const struct nft_chain held = { .table = table_of(device, "-held", table),
					.name = "held",
					.type = "filter",
					.hook = NF_INET_FORWARD,
					.priority = PRIORITY_HELD };

	nft_begin(n);
	nft_table(n, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table, NFT_TABLE_F_OWNER);
	nft_chain(n, 0, &held);
	rule_of(n, &held, device);
	nft_immediate(n, &held_mark, sizeof held_mark);
	nft_meta_set(n, NFT_META_PRIORITY);
	nft_rule_end(n);
	return nft_run(n);
}

static int guard(const char *device, bool want)
{
	char table[32];
	const struct nft_chain chain = { .table = table_of(device, "", table),
					 .name = "guard",
					 .type = "filter",
					 .hook = NF_INET_FORWARD,
					 .priority = PRIORITY_GUARD };
	struct nft n;
	int r;

	nft_open(&n);
	nft_begin(&n);
	nft_table(&n, NFT_MSG_NEWTABLE, NLM_F_CREATE, table, 0);
	nft_chain(&n, 0, &chain);
	nft_chain_empty(&n, &chain); /* an earlier process's */
	for (int icmp = 0; want && icmp < 2; icmp++) {
		rule_of(&n, &chain, device);
		nft_meta(&n, NFT_META_PRIORITY);
		nft_cmp(&n, NFT_CMP_NEQ, &held_mark, sizeof held_mark);
		if (icmp) {
			nft_reject(&n, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_HOST_UNREACH);
		} else {
			nft_is_syn(&n);
			nft_reject(&n, NFT_REJECT_TCP_RST, 0);
		}
		nft_rule_end(&n);
	}
	r = nft_run(&n);
	nft_close(&n);
	return r;
}

int masquerade_hold(const char *device, struct err *e)
{
	struct nft n;
	int r;

	nft_open(&n);
	r = hold(&n, device);
	if (r == 0)
		r = guard(device, true);
	if (r == 0)
		return n.fd;
	(void)!guard(device, false); /* without the one the other would refuse everything */
	nft_close(&n);
	return err_set(e, -r, "guard %s against the end of this process (nf_tables)", device);
}
