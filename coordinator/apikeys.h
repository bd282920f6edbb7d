/* coordinator/apikeys.h - keys of the REST API: 256 random bits each, kept as BLAKE2b, compared in
 * constant time; pure */
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

struct apikeys {
	struct apikey *v;
	size_t n, cap;
	int64_t next;
	struct apikey given; /* chosen by the administrator, kept nowhere */
	bool has_given;
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

MUST_USE int apikeys_emit(const struct apikey *key, struct buf *out);
MUST_USE int apikeys_load(struct apikeys *k, struct bytes json, struct err *e);

#endif
