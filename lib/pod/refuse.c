/* pod/refuse.c - see refuse.h
 *
 * Table inet tailpod_refuse, and for each range
 *
 *      chain to_RANGE, filter, prerouting      daddr RANGE tcp flags & (syn | ack) == syn
 *                                              fib daddr oif 0 fib daddr type != local
 *                                              reject with tcp reset
 *
 * In prerouting, since what has no route never comes to forward. Behind the translation of
 * destinations (dstnat, -100): a Service with an address in the range is its endpoint's by then.
 * fib looks up with the source and destination of the packet, so the guard `from POD to RANGE
 * unreachable` counts, and a lookup of a granted pod before it; the machine's own addresses have no
 * way out either, but are local. It does not look up with the interface: the guards by cable, which
 * are for made-up sources, answer by themselves.
 *
 * One table for all networks and their settings: what one ADD has put, another finds. It looks
 * first, since a transaction that comes to nothing has the kernel wait for all its CPUs.
 */
#include "pod/refuse.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "pod/attachment.h"
#include "pod/nft_priv.h"

enum {
	PRIORITY = 200,
	NAME_MAX_LEN = IPPREFIX_TEXT + 4,
	IP4_DST = 16, /* RFC 791 3.1 */
	IP6_DST = 24  /* RFC 8200 3 */
};
static const char table[] = "tailpod_refuse";

/* As nft takes it: "to_100.64.0.0_10", "to_fd7a.115c.a1e0.._48". */
static const char *name_of(const struct ipprefix *to, char out[static NAME_MAX_LEN])
{
	char text[IPPREFIX_TEXT];

	snprintf(out, NAME_MAX_LEN, "to_%s", ipprefix_text(to, text));
	for (char *p = out; *p; p++)
		*p = *p == ':' ? '.' : *p == '/' ? '_' : *p;
	return out;
}

static void match_range(struct nft *n, const struct ipprefix *to)
{
	const bool v4 = ip_is_v4(&to->ip);
	const uint8_t family = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
	const size_t skip = v4 ? 12 : 0; /* of a mapped address */
	uint8_t mask[16] = { 0 };

	for (size_t i = 0; i < to->bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	nft_meta(n, NFT_META_NFPROTO);
	nft_cmp(n, NFT_CMP_EQ, &family, sizeof family);
	nft_payload(n, NFT_PAYLOAD_NETWORK_HEADER, v4 ? IP4_DST : IP6_DST, (uint32_t)(16 - skip));
	nft_mask(n, mask + skip, 16 - skip);
	nft_cmp(n, NFT_CMP_EQ, to->ip.b + skip, 16 - skip);
}

static void match_no_way(struct nft *n)
{
	static const uint32_t none = 0, local = RTN_LOCAL; /* as in a register: of the host */

	nft_fib(n, NFTA_FIB_F_DADDR, NFT_FIB_RESULT_OIF);
	nft_cmp(n, NFT_CMP_EQ, &none, sizeof none);
	nft_fib(n, NFTA_FIB_F_DADDR, NFT_FIB_RESULT_ADDRTYPE);
	nft_cmp(n, NFT_CMP_NEQ, &local, sizeof local);
}

static int put_range(struct nft *n, const struct ipprefix *to)
{
	char name[NAME_MAX_LEN];
	struct nft_chain c = { .table = table,
			       .name = name_of(to, name),
			       .type = "filter",
			       .hook = NF_INET_PRE_ROUTING,
			       .priority = PRIORITY };
	int r = nft_has(n, table, c.name);

	if (r != 0)
		return r < 0 ? r : 0;
	nft_begin(n);
	nft_table(n, NFT_MSG_NEWTABLE, NLM_F_CREATE, table, 0);
	nft_chain(n, NLM_F_EXCL, &c);
	nft_rule(n, &c);
	match_range(n, to);
	nft_is_syn(n);
	match_no_way(n);
	nft_reject(n, NFT_REJECT_TCP_RST, 0);
	nft_rule_end(n);
	r = nft_run(n);
	if (r != -ENOENT && r != -EOPNOTSUPP)
		return r == -EEXIST ? 0 : r; /* another ADD was faster */
	/* the kernel lacks an expression: a chain that sees no packet stands for it, and the next
	 * one does not try in vain */
	c.type = NULL;
	nft_begin(n);
	nft_table(n, NFT_MSG_NEWTABLE, NLM_F_CREATE, table, 0);
	nft_chain(n, 0, &c);
	(void)!nft_run(n);
	return r;
}

static bool is_guard(const struct rule *r)
{
	return !r->is_lookup && r->has_from;
}

int refuse_put(const struct rule *rules, size_t n_rules, struct err *e)
{
	struct nft n;
	int first = 0;

	nft_open(&n);
	for (size_t i = 0; i < n_rules; i++) {
		bool is_new = is_guard(&rules[i]);
		int r;

		for (size_t k = 0; is_new && k < i; k++)
			is_new = !is_guard(&rules[k]) || !ipprefix_eq(&rules[k].to, &rules[i].to);
		r = is_new ? put_range(&n, &rules[i].to) : 0;
		if (r < 0 && first == 0)
			first = r;
	}
	nft_close(&n);
	return first == 0 ? 0
			  : err_set(e, -first,
				    "pods may wait some seconds before they are refused: refuse at "
				    "once (nf_tables)");
}

int refuse_del(struct err *e)
{
	struct nft n;
	int r;

	nft_open(&n);
	r = nft_has(&n, table, NULL);
	if (r > 0) {
		nft_begin(&n);
		nft_table(&n, NFT_MSG_DELTABLE, 0, table, 0);
		r = nft_run(&n);
	}
	nft_close(&n);
	return r == 0 || r == -ENOENT ? 0 : err_set(e, -r, "remove the table %s", table);
}

struct again {
	bool any;
	int r;
	struct err *e;
};

static bool note_one(void *ctx, const struct attachment *a, bool ok)
{
	struct again *g = ctx;

	(void)a;
	(void)ok;
	g->any = true;
	return false;
}

static bool put_again(void *ctx, const struct attachment *a, bool ok)
{
	struct again *g = ctx;

	if (ok && g->r == 0)
		g->r = refuse_put(a->rules, a->n_rules, g->e);
	return true;
}

int refuse_tidy(const char *state_dir, struct err *e)
{
	struct again g = { .e = e };
	int r = attachment_each(state_dir, NULL, note_one, &g);

	if (r < 0)
		return err_set(e, -r, "read %s", state_dir);
	r = g.any ? 0 : refuse_del(e);
	/* an ADD that has written its file since may have found the table */
	if (r == 0 && !g.any)
		r = attachment_each(state_dir, NULL, put_again, &g);
	return r < 0 ? r : g.r;
}
