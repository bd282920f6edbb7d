/* crypto/key.c - X25519 key pairs, wiping and comparing secrets, by libsodium */
#include "crypto/key.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

/* libsodium picks its vector code only when told to; without this everything runs on the portable
 * one, at a third of the speed. Each module that seals or compares wipes too, so this file is in
 * every program that uses crypto. */
__attribute__((constructor)) static void pick_implementations(void)
{
	if (sodium_init() < 0)
		abort();
}

static_assert(crypto_scalarmult_BYTES == KEY_LEN, "X25519 results are keys");

void key_clamp(struct key_priv *k)
{
	k->b[0] &= 0xf8;
	k->b[31] = (uint8_t)((k->b[31] & 0x7f) | 0x40);
}

void key_gen(struct key_priv *k, struct rng *rng)
{
	rng_fill(rng, k->b, sizeof k->b);
	key_clamp(k);
}

void key_public(struct key_pub *pub, const struct key_priv *k)
{
	(void)crypto_scalarmult_base(pub->b, k->b); /* fails for no clamped scalar */
}

bool key_dh(uint8_t out[static 32], const struct key_priv *k, const struct key_pub *pub)
{
	/* libsodium refuses points of small order; the result is then all zeros */
	if (crypto_scalarmult(out, k->b, pub->b) == 0)
		return true;
	secret_wipe(out, KEY_LEN);
	return false;
}

void key_wipe(struct key_priv *k)
{
	secret_wipe(k->b, sizeof k->b);
}

void secret_wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}

void *secret_new(size_t len)
{
	void *p = sodium_malloc(len); /* behind a guard page, so that its end is the page's */

	if (p)
		sodium_memzero(p, len);
	return p;
}

void secret_free(void *p)
{
	sodium_free(p);
}

bool secret_eq(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

bool key_is_zero(const struct key_pub *k)
{
	return sodium_is_zero(k->b, sizeof k->b) == 1;
}
