/* ts2021/ping.h - PingRequest: prove that we live, or answer a c2n request
 * (control-protocol.md 5.2)
 *
 * HEAD pings and c2n /echo are answered; other c2n paths get 400; pings of peers (Types disco, TSMP
 * ...) are not for us.
 */
#ifndef TS2021_PING_H
#define TS2021_PING_H

#include "base/bytes.h"
#include "ts2021/url.h"

enum { PING_PAYLOAD_MAX = 64 << 10, PING_TYPES_MAX = 64 };

enum ping_kind {
	PING_IGNORE,
	PING_HEAD,  /* HEAD url, plain or over Noise */
	PING_REPLY, /* POST reply to url, over Noise */
};
struct ping {
	enum ping_kind kind;
	bool over_noise;
	struct url url;
	struct buf reply; /* PING_REPLY: a whole HTTP/1.1 answer; the caller's */
};
/* json: the PingRequest object. PING_IGNORE also when it is malformed. */
void ping_read(struct bytes json, struct ping *out);

#endif
