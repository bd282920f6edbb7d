/* ts2021/ping.h - PingRequest: prove that we live, answer a c2n request, or ping a peer
 * (control-protocol.md 5.2)
 *
 * HEAD pings and c2n /echo need nothing but what is here; other c2n requests and pings of peers are
 * facts for the node to act on.
 */
#ifndef TS2021_PING_H
#define TS2021_PING_H

#include "base/bytes.h"
#include "base/ip.h"
#include "ts2021/url.h"

enum { PING_PAYLOAD_MAX = 64 << 10, PING_TYPES_MAX = 64, PING_METHOD_MAX = 16 };

enum ping_kind {
	PING_IGNORE,
	PING_HEAD,  /* HEAD url, plain or over Noise */
	PING_REPLY, /* POST reply to url, over Noise */
	PING_C2N,   /* rq wants an HTTP/1.1 answer, posted to url over Noise */
	PING_PEER,  /* ping ip in each of the ways of types, post each result to url */
	PING_KIND_N
};
enum { /* bits: ways to ping a peer */
       PING_DISCO = 1,
       PING_TSMP = 2,
       PING_ICMP = 4,
       PING_PEERAPI = 8,
};
struct c2n_request { /* views into what the ping holds */
	char method[PING_METHOD_MAX];
	struct bytes path, query, body;
};
struct ping {
	enum ping_kind kind;
	bool over_noise;
	struct url url;
	struct buf reply;      /* PING_REPLY: a whole HTTP/1.1 answer */
	struct buf text, body; /* PING_C2N */
	struct c2n_request rq;
	unsigned types; /* PING_PEER */
	struct ip ip;
};
/* json: the PingRequest object. PING_IGNORE also when it is malformed. ping_fini afterwards, in any
 * case. */
void ping_read(struct bytes json, struct ping *out);
void ping_fini(struct ping *p);

#endif
