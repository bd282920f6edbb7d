/* coordinator/apikeys.h - keys of the REST API and their access tokens: 256 random bits each, kept
 * as BLAKE2b, compared in constant time; pure */
#ifndef COORDINATOR_APIKEYS_H
#define COORDINATOR_APIKEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/mono.h"
#include "base/rng.h"
#include "crypto/hash.h"

enum { APIKEYS_MAX = 1000, APIKEY_TEXT_MAX = 128, APIKEY_PREFIX = 12, APIKEY_GIVEN_MIN = 32 };

struct apikey {
	int64_t id;
	char prefix[APIKEY_PREFIX + 1];
	uint8_t hash[HASH_LEN];
	wall_t created, expires, last_seen; /* expires 0: never */
};

/* An access token of an OAuth client: lives for an hour, in memory only, and not longer than its
 * key */
enum { APITOKENS_MAX = 256, APITOKEN_LIFE_S = 3600 };
struct apitoken {
	uint8_t hash[HASH_LEN];
	int64_t key; /* 0: the given one */
	wall_t expires;
};

struct apikeys {
	struct apikey *v;
	size_t n, cap;
	int64_t next;
	struct apikey given; /* chosen by the administrator, kept nowhere */
	bool has_given;
	struct apitoken *tokens; /* a ring: a new one takes the place of the oldest */
	size_t n_tokens, next_token;
};

void apikeys_init(struct apikeys *k);
void apikeys_fini(struct apikeys *k);
/* text gets the key, which is shown once. NULL: e */
struct apikey *apikeys_add(struct apikeys *k, struct rng *rng, wall_t wall, wall_t expires,
			   char text[static APIKEY_TEXT_MAX], struct err *e);
struct apikey *apikeys_find(struct apikeys *k, int64_t id,
			    const char *prefix); /* by id, or by prefix when id is 0 */
/* A key of the administrator's own is valid too, in place of the one before. Blanks behind it do
 * not count. -EINVAL: shorter than APIKEY_GIVEN_MIN or longer than APIKEY_TEXT_MAX */
MUST_USE int apikeys_give(struct apikeys *k, struct bytes text, struct err *e);
void apikeys_del(struct apikeys *k, int64_t id);
/* The key of that text that has not expired, or NULL. Looks at all of them. */
struct apikey *apikeys_match(struct apikeys *k, wall_t wall, struct bytes text);

/* A token for the holder of that key. 0 or -ENOMEM */
MUST_USE int apikeys_token(struct apikeys *k, struct rng *rng, wall_t wall,
			   const struct apikey *key, char text[static APIKEY_TEXT_MAX]);
/* The key that a token of that text stands for, if both are good; or NULL */
struct apikey *apikeys_match_token(struct apikeys *k, wall_t wall, struct bytes text);

MUST_USE int apikeys_emit(const struct apikey *key, struct buf *out);
MUST_USE int apikeys_load(struct apikeys *k, struct bytes json, struct err *e);

#endif
