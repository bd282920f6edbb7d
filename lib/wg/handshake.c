/* wg/handshake.c - Noise IKpsk2 of WireGuard (whitepaper 5.4.2, 5.4.3; data-plane.md 1.3)
 *
 * The pre-shared key is 32 zero bytes, as everywhere in a tailnet. Every handshake key seals one
 * thing, with nonce zero.
 */
#include "wg/handshake.h"

#include <assert.h>

#include "base/cursor.h"
#include "crypto/aead.h"
#include "crypto/blake2s.h"

struct symmetric { /* the part of a handshake that both roles keep: hash and chaining key */
	uint8_t h[32], ck[32], k[32];
};

static const uint8_t zero_nonce[AEAD_NONCE], no_psk[32];

static void mix_hash(struct symmetric *s, const void *data, size_t n)
{
	blake2s_2(s->h, bytes_of(s->h, sizeof s->h), bytes_of(data, n));
}

static void mix_key(struct symmetric *s, const uint8_t input[static 32])
{
	blake2s_hkdf(s->ck, s->k, NULL, s->ck, bytes_of(input, 32));
}

MUST_USE static bool mix_dh(struct symmetric *s, const struct key_priv *mine,
			    const struct key_pub *theirs)
{
	uint8_t dh[32];
	bool ok = key_dh(dh, mine, theirs);

	if (ok)
		mix_key(s, dh);
	secret_wipe(dh, sizeof dh);
	return ok;
}

static void mix_ephemeral(struct symmetric *s, const uint8_t e[static 32])
{
	mix_hash(s, e, KEY_LEN);
	blake2s_hkdf(s->ck, NULL, NULL, s->ck, bytes_of(e, KEY_LEN));
}

static void mix_psk(struct symmetric *s)
{
	uint8_t t[32];

	blake2s_hkdf(s->ck, t, s->k, s->ck, bytes_of(no_psk, sizeof no_psk));
	mix_hash(s, t, sizeof t);
	secret_wipe(t, sizeof t);
}

static void seal(struct symmetric *s, const uint8_t *in, size_t n, uint8_t *out)
{
	aead_seal(out, in, n, s->k, zero_nonce, bytes_of(s->h, sizeof s->h));
	mix_hash(s, out, n + TAG_LEN);
}

MUST_USE static bool unseal(struct symmetric *s, const uint8_t *in, size_t n, uint8_t *out)
{
	if (!aead_open(out, in, n, s->k, zero_nonce, bytes_of(s->h, sizeof s->h)))
		return false;
	mix_hash(s, in, n);
	return true;
}

static void start(struct symmetric *s, const struct key_pub *responder)
{
	struct bytes name = bytes_str("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s");

	blake2s(s->ck, &name, 1);
	blake2s_2(s->h, bytes_of(s->ck, 32), bytes_str("WireGuard v1 zx2c4 Jason@zx2c4.com"));
	mix_hash(s, responder->b, KEY_LEN);
}

void wg_identity_mac_keys(const struct key_pub *pub, uint8_t mac1_key[static 32],
			  uint8_t cookie_key[static 32])
{
	blake2s_2(mac1_key, bytes_str("mac1----"), bytes_of(pub->b, KEY_LEN));
	blake2s_2(cookie_key, bytes_str("cookie--"), bytes_of(pub->b, KEY_LEN));
}

void wg_identity_init(struct identity *me, const struct key_priv *key)
{
	me->priv = *key;
	key_clamp(&me->priv);
	key_public(&me->pub, &me->priv);
	wg_identity_mac_keys(&me->pub, me->mac1_key, me->cookie_key);
}

enum { TS_STEP = 1 << 24 }; /* ns: finer would tell strangers about our clock and load */

static void timestamp_put(uint64_t seconds, uint32_t ns, uint8_t out[static TS_LEN])
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(seconds >> (56 - 8 * i));
	for (int i = 0; i < 4; i++)
		out[8 + i] = (uint8_t)(ns >> (24 - 8 * i));
}

void wg_timestamp_emit(wall_t wall, uint8_t out[static TS_LEN])
{
	int64_t ns = wall.ns > 0 ? wall.ns : 0;

	/* TAI64N: 2^62, and ten leap seconds at the epoch */
	timestamp_put((UINT64_C(1) << 62) + 10 + (uint64_t)(ns / NS_PER_S),
		      (uint32_t)(ns % NS_PER_S) & ~(uint32_t)(TS_STEP - 1), out);
}

void wg_timestamp_next(uint8_t ts[static TS_LEN])
{
	struct rd r = rd_of(ts, TS_LEN);
	uint64_t seconds = rd_be64(&r);
	uint32_t ns = rd_be32(&r) + TS_STEP;

	if (ns >= NS_PER_S) {
		ns = 0;
		seconds++;
	}
	timestamp_put(seconds, ns, ts);
}

bool wg_init_emit(struct handshake *hs, const struct identity *me, const struct key_pub *peer,
		  const uint8_t ss[static 32], uint32_t sender, const uint8_t ts[static TS_LEN],
		  struct rng *rng, uint8_t out[static MSG_INIT_LEN])
{
	struct symmetric s;
	struct key_pub e;
	bool ok;

	start(&s, peer);
	key_gen(&hs->ephemeral, rng);
	key_public(&e, &hs->ephemeral);
	le32_put(out, MSG_INIT);
	le32_put(out + INIT_SENDER, sender);
	memcpy(out + INIT_E, e.b, KEY_LEN);
	mix_ephemeral(&s, e.b);
	ok = mix_dh(&s, &hs->ephemeral, peer);
	if (ok) {
		seal(&s, me->pub.b, KEY_LEN, out + INIT_STATIC);
		mix_key(&s, ss);
		seal(&s, ts, TS_LEN, out + INIT_TS);
		memcpy(hs->h, s.h, sizeof hs->h);
		memcpy(hs->ck, s.ck, sizeof hs->ck);
	}
	secret_wipe(&s, sizeof s);
	return ok;
}

bool wg_init_read_static(struct initiation *it, const struct identity *me,
			 const uint8_t in[static MSG_INIT_LEN])
{
	struct symmetric s;
	bool ok;

	start(&s, &me->pub);
	it->sender = le32_get(in + INIT_SENDER);
	memcpy(it->ephemeral.b, in + INIT_E, KEY_LEN);
	mix_ephemeral(&s, it->ephemeral.b);
	ok = mix_dh(&s, &me->priv, &it->ephemeral) &&
	     unseal(&s, in + INIT_STATIC, KEY_LEN + TAG_LEN, it->peer.b);
	memcpy(it->h, s.h, sizeof it->h);
	memcpy(it->ck, s.ck, sizeof it->ck);
	secret_wipe(&s, sizeof s);
	return ok;
}

bool wg_init_read_time(struct initiation *it, const uint8_t ss[static 32],
		       const uint8_t in[static MSG_INIT_LEN])
{
	struct symmetric s;
	bool ok;

	memcpy(s.h, it->h, sizeof s.h);
	memcpy(s.ck, it->ck, sizeof s.ck);
	mix_key(&s, ss);
	ok = unseal(&s, in + INIT_TS, TS_LEN + TAG_LEN, it->ts);
	memcpy(it->h, s.h, sizeof it->h);
	memcpy(it->ck, s.ck, sizeof it->ck);
	secret_wipe(&s, sizeof s);
	return ok;
}

bool wg_resp_emit(struct initiation *it, uint32_t sender, struct rng *rng,
		  uint8_t out[static MSG_RESP_LEN], struct session_keys *keys)
{
	struct symmetric s;
	struct key_priv e;
	struct key_pub pub;
	bool ok;

	memcpy(s.h, it->h, sizeof s.h);
	memcpy(s.ck, it->ck, sizeof s.ck);
	key_gen(&e, rng);
	key_public(&pub, &e);
	le32_put(out, MSG_RESP);
	le32_put(out + RESP_SENDER, sender);
	le32_put(out + RESP_RECEIVER, it->sender);
	memcpy(out + RESP_E, pub.b, KEY_LEN);
	mix_ephemeral(&s, pub.b);
	ok = mix_dh(&s, &e, &it->ephemeral) && mix_dh(&s, &e, &it->peer);
	if (ok) {
		mix_psk(&s);
		seal(&s, NULL, 0, out + RESP_EMPTY);
		blake2s_hkdf(keys->recv, keys->send, NULL, s.ck, bytes_of(NULL, 0));
	}
	key_wipe(&e);
	secret_wipe(&s, sizeof s);
	return ok;
}

bool wg_resp_read(const struct handshake *hs, const struct identity *me,
		  const uint8_t in[static MSG_RESP_LEN], struct session_keys *keys)
{
	struct symmetric s;
	struct key_pub e;
	uint8_t none[1];
	bool ok;

	memcpy(s.h, hs->h, sizeof s.h);
	memcpy(s.ck, hs->ck, sizeof s.ck);
	memcpy(e.b, in + RESP_E, KEY_LEN);
	mix_ephemeral(&s, e.b);
	ok = mix_dh(&s, &hs->ephemeral, &e) && mix_dh(&s, &me->priv, &e);
	if (ok) {
		mix_psk(&s);
		ok = unseal(&s, in + RESP_EMPTY, TAG_LEN, none);
	}
	if (ok)
		blake2s_hkdf(keys->send, keys->recv, NULL, s.ck, bytes_of(NULL, 0));
	secret_wipe(&s, sizeof s);
	return ok;
}
