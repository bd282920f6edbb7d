/* crypto/aead.c - ChaCha20-Poly1305: libsodium for single calls and small packets, OpenSSL for
 * large ones
 *
 * A packet costs a fixed part (OpenSSL 420 ns: taking a nonce, giving a tag; libsodium 225) and a
 * part per byte, where OpenSSL is faster. BATCH_LARGE is where the curves cross, measured by
 * aead_bench. If OpenSSL offers no ChaCha20-Poly1305 (a FIPS provider), libsodium does it all.
 */
#include "crypto/aead.h"

#include <assert.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>

#include "crypto/key.h"
#include "crypto/locked.h"

enum { BATCH_LARGE = 96 }; /* plaintext bytes from which OpenSSL is faster (aead_bench) */

static_assert(AEAD_KEY == crypto_aead_chacha20poly1305_ietf_KEYBYTES &&
		  AEAD_TAG == crypto_aead_chacha20poly1305_ietf_ABYTES &&
		  AEAD_NONCE == crypto_aead_chacha20poly1305_ietf_NPUBBYTES &&
		  XAEAD_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	      "sizes as in RFC 8439");

void aead_seal(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[static 32],
	       const uint8_t nonce[static 12], struct bytes ad)
{
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, ad.data, ad.len, NULL,
							nonce, key);
}

bool aead_open(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[static 32],
	       const uint8_t nonce[static 12], struct bytes ad)
{
	return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad.data, ad.len,
							 nonce, key) == 0;
}

void xaead_seal(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[static 32],
		const uint8_t nonce[static 24], struct bytes ad)
{
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, in, len, ad.data, ad.len, NULL,
							 nonce, key);
}

bool xaead_open(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[static 32],
		const uint8_t nonce[static 24], struct bytes ad)
{
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad.data, ad.len,
							  nonce, key) == 0;
}

/* Lies in a slot of locked memory, and behind it what OpenSSL allocates while the key is installed:
 * its context holds the key too. */
struct aead_key {
	uint8_t key[AEAD_KEY];
	EVP_CIPHER_CTX *ctx; /* both directions, key installed; NULL: OpenSSL has no such cipher */
};

/* --- OpenSSL's memory: the heap, but for what a key that is being made ready needs --- */

static struct {
	uint8_t *at; /* NULL: no key is being made ready */
	size_t left;
} room;

static void *openssl_malloc(size_t n, const char *file, int line)
{
	size_t padded = (n + 15) & ~(size_t)15;
	void *p = room.at;

	(void)file;
	(void)line;
	if (!p || n == 0 || padded < n || padded > room.left)
		return malloc(n);
	room.at += padded;
	room.left -= padded;
	return p;
}

static bool wipes_freed;

void locked_wipe_freed(bool on)
{
	wipes_freed = on;
}

static void openssl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (locked_is(p))
		return; /* it goes with its slot */
	if (p && wipes_freed)
		secret_wipe(p, malloc_usable_size(p));
	free(p);
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
	assert(!p || !locked_is(p)); /* contexts do not grow */
	void *other;

	(void)file;
	(void)line;
	if (!p || !wipes_freed || n == 0)
		return realloc(p, n);
	other = malloc(n);
	if (!other)
		return NULL;
	memcpy(other, p, MIN_OF(n, malloc_usable_size(p)));
	secret_wipe(p, malloc_usable_size(p));
	free(p);
	return other;
}

enum { OWN_PART = (sizeof(struct aead_key) + 15) / 16 * 16 };

/* Looked up once a process: a handle to the library's own table, not state. NULL when the library
 * has none. */
static const EVP_CIPHER *cipher;
static const char *backend = "libsodium";

__attribute__((constructor)) static void find_cipher(void)
{
	CRYPTO_malloc_fn present;

	/* before OpenSSL's first allocation; where somebody was earlier, with one or with functions
	 * of his own, contexts stay in the heap */
	CRYPTO_get_mem_functions(&present, NULL, NULL);
	if (present == CRYPTO_malloc)
		(void)!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free);
	cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	if (cipher)
		backend = "OpenSSL, libsodium below 96 bytes";
}

struct aead_key *aead_key_new(const uint8_t key[static 32])
{
	struct aead_key *k = locked_new(LOCKED_SIZE);
	bool ok;

	if (!k)
		return NULL;
	memcpy(k->key, key, sizeof k->key);
	if (!cipher)
		return k;
	if (locked_is(k)) {
		room.at = (uint8_t *)k + OWN_PART;
		room.left = LOCKED_SIZE - OWN_PART;
	}
	k->ctx = EVP_CIPHER_CTX_new();
	ok = k->ctx && EVP_CipherInit_ex2(k->ctx, cipher, key, NULL, 1, NULL) == 1;
	room.at = NULL;
	if (ok)
		return k;
	aead_key_free(k);
	return NULL;
}

void aead_key_free(struct aead_key *k)
{
	if (!k)
		return;
	EVP_CIPHER_CTX_free(k->ctx); /* wipes its key schedule */
	locked_free(k, LOCKED_SIZE);
}

static void nonce_of(uint8_t nonce[static AEAD_NONCE], uint64_t counter)
{
	for (int i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

static bool is_large(const struct aead_key *k, size_t len)
{
	return k->ctx && len >= BATCH_LARGE && len <= INT32_MAX;
}

/* All of these succeed or the library is broken: a cipher that is installed takes every nonce and
 * every length. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

static void seal_large(struct aead_key *k, struct aead_job *j, const uint8_t *nonce)
{
	int n;

	must(EVP_CipherInit_ex2(k->ctx, NULL, NULL, nonce, 1, NULL) == 1);
	must(EVP_CipherUpdate(k->ctx, j->data, &n, j->data, (int)j->len) == 1);
	must(EVP_CipherFinal_ex(k->ctx, j->data + n, &n) == 1);
	must(EVP_CIPHER_CTX_ctrl(k->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, j->data + j->len) == 1);
}

static bool open_large(struct aead_key *k, struct aead_job *j, const uint8_t *nonce)
{
	size_t len = j->len - AEAD_TAG;
	int n;

	must(EVP_CipherInit_ex2(k->ctx, NULL, NULL, nonce, 0, NULL) == 1);
	must(EVP_CIPHER_CTX_ctrl(k->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, j->data + len) == 1);
	must(EVP_CipherUpdate(k->ctx, j->data, &n, j->data, (int)len) == 1);
	return EVP_CipherFinal_ex(k->ctx, j->data + n, &n) == 1;
}

void aead_seal_batch(struct aead_key *k, struct aead_job *v, size_t n)
{
	uint8_t nonce[AEAD_NONCE] = { 0 };

	for (struct aead_job *j = v; j < v + n; j++) {
		nonce_of(nonce, j->counter);
		if (is_large(k, j->len))
			seal_large(k, j, nonce);
		else
			aead_seal(j->data, j->data, j->len, k->key, nonce, bytes_of(NULL, 0));
	}
}

void aead_open_batch(struct aead_key *k, struct aead_job *v, size_t n)
{
	uint8_t nonce[AEAD_NONCE] = { 0 };

	for (struct aead_job *j = v; j < v + n; j++) {
		nonce_of(nonce, j->counter);
		if (j->len < AEAD_TAG)
			j->ok = false;
		else if (is_large(k, j->len - AEAD_TAG))
			j->ok = open_large(k, j, nonce);
		else
			j->ok =
			    aead_open(j->data, j->data, j->len, k->key, nonce, bytes_of(NULL, 0));
	}
}

const char *aead_backend_name(void)
{
	return backend;
}
