/* path/disco.h - the packets by which two nodes find a path to each other: codec only
 * (data-plane.md 2.1, 2.2)
 *
 *     magic 6 | sender disco key 32 | nonce 24 | NaCl box( type 1, version 1, body )
 *
 * Bodies of ping, pong and call-me-maybe are understood; those of the peer relay (04 to 09) are
 * recognised by name and carry nothing for us. Unknown types and versions are facts, not errors:
 * newer peers may send them.
 */
#ifndef PATH_DISCO_H
#define PATH_DISCO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/ip.h"
#include "crypto/box.h"
#include "crypto/key.h"

enum {
	DISCO_MAGIC_LEN = 6,
	DISCO_HEADER = DISCO_MAGIC_LEN + KEY_LEN + BOX_NONCE, /* 62 */
	DISCO_OVERHEAD = DISCO_HEADER + BOX_TAG,              /* around type, version and body */
	DISCO_TXID = 12,
	DISCO_ENDPOINT_LEN = 18, /* IP 16, port 2 */
	DISCO_PING_LEN = 2 + DISCO_TXID + KEY_LEN,
	DISCO_PONG_LEN = 2 + DISCO_TXID + DISCO_ENDPOINT_LEN,
	DISCO_PLAIN_MAX = 9000, /* ours: a ping that probes a jumbo MTU fits */
	DISCO_PACKET_MAX = DISCO_OVERHEAD + DISCO_PLAIN_MAX,
};

enum disco_type {
	DISCO_PING = 0x01,
	DISCO_PONG = 0x02,
	DISCO_CALL_ME_MAYBE = 0x03,
	DISCO_BIND_RELAY = 0x04,
	DISCO_BIND_RELAY_CHALLENGE = 0x05,
	DISCO_BIND_RELAY_ANSWER = 0x06,
	DISCO_CALL_ME_MAYBE_VIA = 0x07,
	DISCO_ALLOCATE_RELAY_REQUEST = 0x08,
	DISCO_ALLOCATE_RELAY_RESPONSE = 0x09,
	DISCO_TYPE_N,
};
const char *disco_type_name(uint8_t type); /* "unknown" for what is not above */

bool disco_is(const uint8_t *data, size_t len); /* magic, and at least a header */
/* The box's sender; data is disco_is. */
struct key_pub disco_sender(const uint8_t *data);

/* Seals plain (type, version, body) into out, which has room for len + DISCO_OVERHEAD bytes;
 * returns that size. */
size_t disco_seal(uint8_t *out, const struct key_pub *sender, const uint8_t nonce[static BOX_NONCE],
		  const uint8_t shared[static BOX_SHARED], const uint8_t *plain, size_t len);
/* Opens into plain, which has room for DISCO_PLAIN_MAX bytes; false: too short, too long or forged.
 */
MUST_USE bool disco_open(const uint8_t *data, size_t len, const uint8_t shared[static BOX_SHARED],
			 uint8_t *plain, size_t *plain_len);

struct disco_msg {
	uint8_t type, version;
	uint8_t txid[DISCO_TXID]; /* ping, pong */
	bool has_node;            /* ping: a node key was sent (old peers send none) */
	struct key_pub node;
	struct ipport src;   /* pong: our address as the peer saw it */
	struct rd endpoints; /* call-me-maybe: disco_endpoint_next */
	size_t n_endpoints;
};

enum disco_fault { DISCO_OK, DISCO_SHORT, DISCO_VERSION, DISCO_TYPE, DISCO_RELAY, DISCO_BODY };
/* DISCO_TYPE: unknown; DISCO_RELAY: a known type that has no meaning without a peer relay */
enum disco_fault disco_parse(const uint8_t *plain, size_t len, struct disco_msg *msg);
bool disco_endpoint_next(struct rd *endpoints, struct ipport *out);

/* Plain texts, to be sealed; each returns bytes written, 0 when cap is too small. */
size_t disco_ping_emit(uint8_t *out, size_t cap, const uint8_t txid[static DISCO_TXID],
		       const struct key_pub *node, size_t padding);
size_t disco_pong_emit(uint8_t *out, size_t cap, const uint8_t txid[static DISCO_TXID],
		       const struct ipport *src);
size_t disco_call_me_maybe_emit(uint8_t *out, size_t cap, const struct ipport *v, size_t n);

#endif
