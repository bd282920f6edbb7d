/* crypto/key.h - X25519 key pairs and their text forms (control-protocol.md 1.1)
 *
 * Private keys live in struct key_priv and are wiped by key_wipe; comparisons of secrets are
 * constant time.
 */
#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/rng.h"

enum { KEY_LEN = 32, KEY_TEXT_MAX = 80 };

struct key_pub {
	uint8_t b[KEY_LEN];
};

struct key_priv {
	uint8_t b[KEY_LEN];
};

enum key_kind {
	KEY_MACHINE,
	KEY_NODE,
	KEY_DISCO,
	KEY_CHALLENGE,
	KEY_N
}; /* mkey: nodekey: discokey: chalpub: */

void key_gen(struct key_priv *k, struct rng *rng); /* random, clamped */
void key_clamp(struct key_priv *k);
void key_public(struct key_pub *pub, const struct key_priv *k);
/* X25519; false when the result is all zeros (a low-order point): the peer is hostile */
MUST_USE bool key_dh(uint8_t out[static 32], const struct key_priv *k, const struct key_pub *pub);
void key_wipe(struct key_priv *k);
void secret_wipe(void *p, size_t n);
/* Where private keys live for long: zeroed memory between guard pages, locked as far as the system
 * allows, outside core dumps; at least two pages each. NULL: out of memory. docs/design/secrets.md
 */
void *secret_new(size_t len);
void secret_free(void *p);                                       /* wipes; NULL is fine */
MUST_USE bool secret_eq(const void *a, const void *b, size_t n); /* constant time */

static inline bool key_eq(const struct key_pub *a, const struct key_pub *b)
{
	return memcmp(a->b, b->b, KEY_LEN) == 0;
}

bool key_is_zero(const struct key_pub *k);

/* "nodekey:" + 64 hex; strict, either case of hex; out untouched on false */
MUST_USE bool key_pub_parse(enum key_kind kind, struct bytes text, struct key_pub *out);
const char *key_pub_text(enum key_kind kind, const struct key_pub *k,
			 char out[static KEY_TEXT_MAX]);
MUST_USE bool key_priv_parse(struct bytes text, struct key_priv *out); /* "privkey:" + 64 hex */
const char *key_priv_text(const struct key_priv *k,
			  char out[static KEY_TEXT_MAX]); /* caller wipes out */
/* for logs: "[" + five characters of base64 + "]"; disco: "d:" + 16 hex digits */
const char *key_pub_short(enum key_kind kind, const struct key_pub *k, char out[static 20]);

#endif
