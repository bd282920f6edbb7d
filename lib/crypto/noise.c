/* crypto/noise.c - Noise IK of the control protocol, both roles (control-protocol.md 2.4)
 *
 * No payloads; every handshake key is used once, with a zero nonce. The client's machine key is not
 * kept in the state between its two messages: the caller passes it again.
 */
#include "crypto/noise.h"

#include <assert.h>
#include <stdio.h>

#include "base/cursor.h"
#include "crypto/aead.h"
#include "crypto/blake2s.h"

enum { TYPE_INIT = 1, TYPE_RESP = 2, TYPE_RECORD = 4 };
/* where things are in the two messages of fixed size */
enum {
	INIT_HEAD = 5,
	INIT_E = 5,
	INIT_STATIC = 37,
	INIT_TAG = 85,
	INIT_PAYLOAD = NOISE_INIT_LEN - INIT_HEAD
};
enum { RECORD_HEAD = 3, RESP_E = 3, RESP_TAG = 35, RESP_PAYLOAD = NOISE_RESP_LEN - RECORD_HEAD };
static_assert(INIT_TAG + AEAD_TAG == NOISE_INIT_LEN && RESP_TAG + AEAD_TAG == NOISE_RESP_LEN,
	      "nothing is left over");

static const uint8_t zero_nonce[AEAD_NONCE];

static void mix_hash(struct noise_handshake *hs, const void *data, size_t n)
{
	blake2s_2(hs->h, bytes_of(hs->h, sizeof hs->h), bytes_of(data, n));
}

MUST_USE static bool mix_dh(struct noise_handshake *hs, uint8_t k[static 32],
			    const struct key_priv *mine, const struct key_pub *theirs)
{
	uint8_t dh[32];
	bool ok = key_dh(dh, mine, theirs);

	if (ok)
		blake2s_hkdf(hs->ck, k, NULL, hs->ck, bytes_of(dh, sizeof dh));
	secret_wipe(dh, sizeof dh);
	return ok;
}

/* out gets n + 16 bytes */
static void seal(struct noise_handshake *hs, const uint8_t k[static 32], const uint8_t *in,
		 size_t n, uint8_t *out)
{
	aead_seal(out, in, n, k, zero_nonce, bytes_of(hs->h, sizeof hs->h));
	mix_hash(hs, out, n + AEAD_TAG);
}

MUST_USE static bool unseal(struct noise_handshake *hs, const uint8_t k[static 32],
			    const uint8_t *in, size_t n, uint8_t *out)
{
	if (!aead_open(out, in, n, k, zero_nonce, bytes_of(hs->h, sizeof hs->h)))
		return false;
	mix_hash(hs, in, n);
	return true;
}

static void start(struct noise_handshake *hs, uint16_t version, const struct key_pub *control)
{
	static const char name[] = "Noise_IK_25519_ChaChaPoly_BLAKE2s";
	struct bytes b = bytes_of(name, sizeof name - 1);
	char prologue[48];

	memset(hs, 0, sizeof *hs);
	blake2s(hs->h, &b, 1);
	memcpy(hs->ck, hs->h, sizeof hs->ck);
	(void)snprintf(prologue, sizeof prologue, "Tailscale Control Protocol v%u", version);
	mix_hash(hs, prologue, strlen(prologue));
	mix_hash(hs, control->b, KEY_LEN);
}

static void split(struct noise_handshake *hs, uint8_t client[static 32], uint8_t server[static 32])
{
	blake2s_hkdf(client, server, NULL, hs->ck, bytes_of(NULL, 0));
	noise_wipe(hs);
}

bool noise_init_emit(struct noise_handshake *hs, uint16_t version, const struct key_priv *machine,
		     const struct key_pub *control, struct rng *rng,
		     uint8_t out[static NOISE_INIT_LEN])
{
	const uint8_t head[INIT_HEAD] = { (uint8_t)(version >> 8), (uint8_t)version, TYPE_INIT, 0,
					  INIT_PAYLOAD };
	struct key_pub pub;
	uint8_t k[32];

	start(hs, version, control);
	hs->peer_static = *control;
	key_gen(&hs->ephemeral, rng);

	memcpy(out, head, sizeof head);
	key_public(&pub, &hs->ephemeral);
	memcpy(out + INIT_E, pub.b, KEY_LEN);
	mix_hash(hs, pub.b, KEY_LEN);
	if (!mix_dh(hs, k, &hs->ephemeral, control))
		goto fail;
	key_public(&pub, machine);
	seal(hs, k, pub.b, KEY_LEN, out + INIT_STATIC);
	if (!mix_dh(hs, k, machine, control))
		goto fail;
	seal(hs, k, NULL, 0, out + INIT_TAG);
	secret_wipe(k, sizeof k);
	return true;
fail:
	secret_wipe(k, sizeof k);
	noise_wipe(hs);
	return false;
}

bool noise_init_read(struct noise_handshake *hs, const struct key_priv *control,
		     const uint8_t in[static NOISE_INIT_LEN], uint16_t *version,
		     struct key_pub *machine)
{
	struct rd r = rd_of(in, INIT_HEAD);
	uint16_t v = rd_be16(&r);
	uint8_t type = rd_u8(&r), k[32], none[1];
	uint16_t len = rd_be16(&r);
	struct key_pub own;

	if (type != TYPE_INIT || len != INIT_PAYLOAD)
		return false;
	key_public(&own, control);
	start(hs, v, &own);
	memcpy(hs->peer_ephemeral.b, in + INIT_E, KEY_LEN);
	mix_hash(hs, hs->peer_ephemeral.b, KEY_LEN);
	if (!mix_dh(hs, k, control, &hs->peer_ephemeral) ||
	    !unseal(hs, k, in + INIT_STATIC, KEY_LEN + AEAD_TAG, hs->peer_static.b) ||
	    !mix_dh(hs, k, control, &hs->peer_static) ||
	    !unseal(hs, k, in + INIT_TAG, AEAD_TAG, none)) {
		secret_wipe(k, sizeof k);
		noise_wipe(hs);
		return false;
	}
	secret_wipe(k, sizeof k);
	*version = v;
	*machine = hs->peer_static;
	return true;
}

bool noise_resp_emit(struct noise_handshake *hs, struct rng *rng,
		     uint8_t out[static NOISE_RESP_LEN], struct noise_keys *keys)
{
	const uint8_t head[RECORD_HEAD] = { TYPE_RESP, 0, RESP_PAYLOAD };
	struct key_pub pub;
	uint8_t k[32];

	key_gen(&hs->ephemeral, rng);
	memcpy(out, head, sizeof head);
	key_public(&pub, &hs->ephemeral);
	memcpy(out + RESP_E, pub.b, KEY_LEN);
	mix_hash(hs, pub.b, KEY_LEN);
	if (!mix_dh(hs, k, &hs->ephemeral, &hs->peer_ephemeral) ||
	    !mix_dh(hs, k, &hs->ephemeral, &hs->peer_static)) {
		secret_wipe(k, sizeof k);
		noise_wipe(hs);
		return false;
	}
	seal(hs, k, NULL, 0, out + RESP_TAG);
	secret_wipe(k, sizeof k);
	split(hs, keys->recv, keys->send);
	keys->send_n = keys->recv_n = 0;
	return true;
}

bool noise_resp_read(struct noise_handshake *hs, const struct key_priv *machine,
		     const uint8_t in[static NOISE_RESP_LEN], struct noise_keys *keys)
{
	struct rd r = rd_of(in, RECORD_HEAD);
	uint8_t type = rd_u8(&r), k[32], none[1];
	uint16_t len = rd_be16(&r);

	if (type != TYPE_RESP || len != RESP_PAYLOAD)
		goto fail;
	memcpy(hs->peer_ephemeral.b, in + RESP_E, KEY_LEN);
	mix_hash(hs, hs->peer_ephemeral.b, KEY_LEN);
	if (!mix_dh(hs, k, &hs->ephemeral, &hs->peer_ephemeral) ||
	    !mix_dh(hs, k, machine, &hs->peer_ephemeral) ||
	    !unseal(hs, k, in + RESP_TAG, AEAD_TAG, none)) {
		secret_wipe(k, sizeof k);
		goto fail;
	}
	secret_wipe(k, sizeof k);
	split(hs, keys->send, keys->recv);
	keys->send_n = keys->recv_n = 0;
	return true;
fail:
	noise_wipe(hs);
	return false;
}

void noise_wipe(struct noise_handshake *hs)
{
	secret_wipe(hs, sizeof *hs);
}

static void nonce_of(uint8_t nonce[static AEAD_NONCE],
		     uint64_t n) /* big endian, unlike plain Noise */
{
	struct wr w = wr_of(nonce, AEAD_NONCE);

	wr_be32(&w, 0);
	wr_be64(&w, n);
}

bool noise_seal(struct noise_keys *k, const uint8_t *in, size_t len, uint8_t *out)
{
	struct wr w = wr_of(out, RECORD_HEAD);
	uint8_t nonce[AEAD_NONCE];

	assert(len <= NOISE_PLAIN_MAX);
	if (k->send_n == UINT64_MAX) /* never used: Noise reserves it */
		return false;
	nonce_of(nonce, k->send_n++);
	wr_u8(&w, TYPE_RECORD);
	wr_be16(&w, (uint16_t)(len + AEAD_TAG));
	aead_seal(out + RECORD_HEAD, in, len, k->send, nonce, bytes_of(NULL, 0));
	return true;
}

bool noise_open(struct noise_keys *k, const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t nonce[AEAD_NONCE];

	if (k->recv_n == UINT64_MAX || len < AEAD_TAG || len > NOISE_PLAIN_MAX + AEAD_TAG)
		return false;
	nonce_of(nonce, k->recv_n);
	if (!aead_open(out, in, len, k->recv, nonce, bytes_of(NULL, 0)))
		return false;
	k->recv_n++;
	return true;
}
