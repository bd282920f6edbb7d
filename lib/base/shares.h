/* base/shares.h - who holds how many of the places that many share
 *
 * The rule: who holds as many as are left gets no more. So one who takes what can be had gets half,
 * two a third each, and as much stays for whoever comes; nothing that somebody holds is taken away
 * for it. Kept is a count for each address that holds a place, freed with the last.
 */
#ifndef BASE_SHARES_H
#define BASE_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/ip.h"

struct share;
struct shares {
	struct share **buckets;
	size_t n_buckets, n; /* n: addresses */
	uint64_t seed;       /* the owner's: nobody else knows who shares a bucket */
};

void shares_fini(struct shares *s);
MUST_USE bool shares_take(struct shares *s, const struct ip *who); /* false: no memory */
void shares_give(struct shares *s, const struct ip *who);          /* what was taken */
size_t shares_held(const struct shares *s, const struct ip *who);

static inline bool shares_allow(const struct shares *s, const struct ip *who, size_t left)
{
	return shares_held(s, who) < left;
}

#endif
