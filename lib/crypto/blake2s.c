/* crypto/blake2s.c - BLAKE2s-256, HMAC, HKDF and the keyed MAC over OpenSSL's EVP
 *
 * Fetching an algorithm costs several times the hash of a short message, so it is done once per
 * thread, at first use; the contexts are re-initialised afterwards. They hold nothing of any node
 * between calls but the key of the last keyed MAC (WireGuard: hashes of public keys, and cookies,
 * which are worthless after two minutes). OpenSSL 3.0 makes a new state of some 200 bytes for every
 * hash all the same. A caller could do nothing sensible without a hash, so when even that much
 * memory is not to be had the process ends; nothing on the packet path hashes.
 */
#include "crypto/blake2s.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "base/attr.h"
#include "crypto/key.h"

enum { BLOCK = 64, MAC_LEN = 16, KEY_MAX = 32 };

static _Thread_local EVP_MD_CTX *hash_ctx;
static _Thread_local EVP_MAC_CTX *mac_ctx;

static void
must(bool ok) /* after the first use nothing of this can fail: no input of ours is refused */
{
	if (!ok)
		abort();
}

static EVP_MD_CTX *hash_start(void)
{
	if (!hash_ctx) {
		EVP_MD *md = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();

		must(md && ctx && EVP_DigestInit_ex2(ctx, md, NULL) == 1);
		EVP_MD_free(md); /* the context holds its own reference */
		hash_ctx = ctx;
		return ctx;
	}
	must(EVP_DigestInit_ex2(hash_ctx, NULL, NULL) == 1);
	return hash_ctx;
}

static void hash_end(EVP_MD_CTX *ctx, uint8_t out[static BLAKE2S_LEN])
{
	must(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
}

void blake2s(uint8_t out[static 32], const struct bytes *v, size_t n)
{
	EVP_MD_CTX *ctx = hash_start();

	for (size_t i = 0; i < n; i++)
		must(EVP_DigestUpdate(ctx, v[i].data, v[i].len) == 1);
	hash_end(ctx, out);
}

void blake2s_hmac(uint8_t out[static 32], struct bytes key, struct bytes a, struct bytes b)
{
	uint8_t pad[BLOCK] = { 0 }, inner[BLAKE2S_LEN];

	if (key.len > BLOCK)
		blake2s(pad, &key, 1);
	else if (key.len > 0)
		memcpy(pad, key.data, key.len);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36;
	blake2s(inner, (const struct bytes[]){ bytes_of(pad, BLOCK), a, b }, 3);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	blake2s_2(out, bytes_of(pad, BLOCK), bytes_of(inner, sizeof inner));
	secret_wipe(pad, sizeof pad);
	secret_wipe(inner, sizeof inner);
}

void blake2s_hkdf(uint8_t *o1, uint8_t *o2, uint8_t *o3, const uint8_t ck[static 32],
		  struct bytes input)
{
	uint8_t prk[BLAKE2S_LEN], t[BLAKE2S_LEN];
	uint8_t *const outs[] = { o1, o2, o3 };
	struct bytes prev = { 0 };

	blake2s_hmac(prk, bytes_of(ck, 32), input, bytes_of(NULL, 0));
	for (uint8_t i = 0; i < ARRAY_LEN(outs) && outs[i]; i++) {
		const uint8_t label = (uint8_t)(i + 1);

		blake2s_hmac(t, bytes_of(prk, sizeof prk), prev, bytes_of(&label, 1));
		memcpy(outs[i], t, sizeof t);
		prev = bytes_of(t, sizeof t);
	}
	secret_wipe(prk, sizeof prk);
	secret_wipe(t, sizeof t);
}

static EVP_MAC_CTX *mac_context(void)
{
	if (!mac_ctx) {
		EVP_MAC *mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
		size_t len = MAC_LEN;
		const OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE,
									  &len),
					      OSSL_PARAM_construct_end() };

		must(mac);
		mac_ctx = EVP_MAC_CTX_new(mac);
		must(mac_ctx && EVP_MAC_CTX_set_params(mac_ctx, params) == 1);
		EVP_MAC_free(mac);
	}
	return mac_ctx;
}

void blake2s_mac16(uint8_t out[static 16], struct bytes key, struct bytes data)
{
	EVP_MAC_CTX *ctx = mac_context();
	size_t n;

	assert(key.len > 0 && key.len <= KEY_MAX);
	must(EVP_MAC_init(ctx, key.data, key.len, NULL) == 1);
	must(EVP_MAC_update(ctx, data.data, data.len) == 1);
	must(EVP_MAC_final(ctx, out, &n, MAC_LEN) == 1 && n == MAC_LEN);
}
