/* aead_bench.c - ns per packet by size: the batch interface beside single libsodium calls; X25519
 * and BLAKE2s */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "crypto/key.h"

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

enum { N = 64, ROUNDS = 600 };

int main(void)
{
	static const size_t sizes[] = { 0, 64, 128, 192, 256, 384, 512, 768, 1024, 1280, 1420 };
	static uint8_t mem[N][2048], out[32];
	const uint8_t key[32] = { 1 }, nonce[12] = { 0 };
	struct key_priv priv = { { 8, 1, [31] = 64 } };
	struct key_pub pub;
	struct aead_key *k = aead_key_new(key);
	struct aead_job v[N];
	int64_t t;

	if (!k)
		return 1;
	printf("backend: %s\n%8s %10s %10s %10s  ns per packet\n", aead_backend_name(), "bytes",
	       "batch seal", "batch open", "one seal");
	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		int64_t seal = 0, open = 0, one;

		for (int r = 0; r < ROUNDS; r++) {
			for (size_t i = 0; i < N; i++)
				v[i] = (struct aead_job){ mem[i], sizes[s], i, false };
			t = now();
			aead_seal_batch(k, v, N);
			seal += now() - t;
			for (size_t i = 0; i < N; i++)
				v[i].len += AEAD_TAG;
			t = now();
			aead_open_batch(k, v, N);
			open += now() - t;
		}
		t = now();
		for (int r = 0; r < ROUNDS; r++)
			for (size_t i = 0; i < N; i++)
				aead_seal(mem[i], mem[i], sizes[s], key, nonce, bytes_of(NULL, 0));
		one = now() - t;
		printf("%8zu %10" PRId64 " %10" PRId64 " %10" PRId64 "\n", sizes[s],
		       seal / (N * ROUNDS), open / (N * ROUNDS), one / (N * ROUNDS));
	}
	aead_key_free(k);
	t = now();
	key_public(&pub, &priv);
	for (int i = 0; i < 2000; i++)
		if (!key_dh(out, &priv, &pub))
			return 1;
	printf("X25519 %" PRId64 " ns\n", (now() - t) / 2000);
	t = now();
	for (int i = 0; i < 100000; i++)
		blake2s_2(out, bytes_of(out, 32), bytes_of(NULL, 0));
	printf("BLAKE2s 32 bytes %" PRId64 " ns\n", (now() - t) / 100000);
	t = now();
	for (int i = 0; i < 100000; i++)
		blake2s_mac16(out, bytes_of(key, 32), bytes_of(mem, 116));
	printf("BLAKE2s MAC 116 bytes %" PRId64 " ns\n", (now() - t) / 100000);
	return 0;
}
