/* pod/nft_priv.h - what masquerade.c and refuse.c share: changes of nf_tables, family inet
 *
 * begin, then tables, chains and rules, then run: one batch, all or nothing. Expressions of a rule
 * work on one register; each puts what it finds there or compares what is there.
 */
#ifndef POD_NFT_PRIV_H
#define POD_NFT_PRIV_H

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "base/attr.h"
#include "base/cursor.h"

enum { NFT_BATCH_MAX = 2048 };

struct nft {
	int fd; /* -errno: not open, and what run says then */
	uint32_t first, seq;
	size_t start, list; /* of the present message; of its rule's expressions */
	struct wr w;
	uint8_t buf[NFT_BATCH_MAX];
};

void nft_open(struct nft *n);
void nft_close(struct nft *n);
void nft_begin(struct nft *n);
MUST_USE int nft_run(struct nft *n); /* 0 or the first -errno */

/* type: NFT_MSG_NEWTABLE and the like; flags: NLM_F_*, NFT_TABLE_F_* */
void nft_table(struct nft *n, uint16_t type, uint16_t flags, const char *table,
	       uint32_t table_flags);
struct nft_chain {
	const char *table, *name, *type; /* type NULL: sees no packet by itself */
	uint32_t hook;
	int priority;
};
void nft_chain(struct nft *n, uint16_t flags, const struct nft_chain *c);
void nft_chain_empty(struct nft *n, const struct nft_chain *c);
/* Is a table there, or a chain of it (NULL: not asked)? 1, 0, -errno; between batches */
MUST_USE int nft_has(struct nft *n, const char *table, const char *chain);

void nft_rule(struct nft *n, const struct nft_chain *c); /* its expressions follow */
void nft_rule_end(struct nft *n);
void nft_meta(struct nft *n, uint32_t key);
void nft_meta_set(struct nft *n, uint32_t key);
void nft_immediate(struct nft *n, const void *data, size_t len);
void nft_payload(struct nft *n, uint32_t base, uint32_t offset, uint32_t len);
void nft_mask(struct nft *n, const uint8_t *mask, size_t len);
void nft_cmp(struct nft *n, uint32_t op, const void *data, size_t len); /* as in the register */
void nft_fib(struct nft *n, uint32_t flags, uint32_t result);
void nft_masquerade(struct nft *n);
void nft_reject(struct nft *n, uint32_t type, uint8_t code);
/* The first segment of a connection of TCP. */
void nft_is_syn(struct nft *n);

#endif
