/* wg/handshake.h - Noise IKpsk2 of WireGuard, both roles, without MACs and without state between
 * peers */
#ifndef WG_HANDSHAKE_H
#define WG_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"
#include "base/rng.h"
#include "crypto/key.h"
#include "wg/message.h"

struct identity { /* our static key and what follows from it */
	struct key_priv priv;
	struct key_pub pub;
	uint8_t mac1_key[32], cookie_key[32];
};

struct handshake { /* an initiation of ours without an answer yet */
	uint8_t h[32], ck[32];
	struct key_priv ephemeral;
};

struct initiation { /* somebody's initiation, as far as it was read */
	uint8_t h[32], ck[32];
	struct key_pub ephemeral, peer;
	uint8_t ts[TS_LEN];
	uint32_t sender;
};

struct session_keys {
	uint8_t send[32], recv[32];
};

void wg_identity_init(struct identity *me, const struct key_priv *key);
/* keys of mac1 and of cookie replies for messages to the owner of pub */
void wg_identity_mac_keys(const struct key_pub *pub, uint8_t mac1_key[static 32],
			  uint8_t cookie_key[static 32]);
void wg_timestamp_emit(wall_t wall, uint8_t out[static TS_LEN]);
/* the least timestamp of our resolution that is later than ts */
void wg_timestamp_next(uint8_t ts[static TS_LEN]);

/* ss: DH of our static key and the peer's, computed once a peer. false: a point of low order
 * somewhere. */
MUST_USE bool wg_init_emit(struct handshake *hs, const struct identity *me,
			   const struct key_pub *peer, const uint8_t ss[static 32], uint32_t sender,
			   const uint8_t ts[static TS_LEN], struct rng *rng,
			   uint8_t out[static MSG_INIT_LEN]);
/* Who is it? false: forged. The peer is then looked up, and the rest read with its ss. */
MUST_USE bool wg_init_read_static(struct initiation *it, const struct identity *me,
				  const uint8_t in[static MSG_INIT_LEN]);
MUST_USE bool wg_init_read_time(struct initiation *it, const uint8_t ss[static 32],
				const uint8_t in[static MSG_INIT_LEN]);
MUST_USE bool wg_resp_emit(struct initiation *it, uint32_t sender, struct rng *rng,
			   uint8_t out[static MSG_RESP_LEN], struct session_keys *keys);
/* false: forged, hs is as before */
MUST_USE bool wg_resp_read(const struct handshake *hs, const struct identity *me,
			   const uint8_t in[static MSG_RESP_LEN], struct session_keys *keys);

#endif
