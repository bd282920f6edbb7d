/* wire/socks5.h - SOCKS version 5 as a server: greeting, request, reply, UDP header (RFC 1928)
 *
 * Pure. The caller feeds what the client sent, sends what socks5_output holds, and answers a
 * request with socks5_reply. The only method is "no authentication". Bytes behind the request are
 * not touched: they belong to the connection.
 */
#ifndef WIRE_SOCKS5_H
#define WIRE_SOCKS5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/ip.h"

enum {
	SOCKS5_VERSION = 5, /* section 3; the first byte of a connection */
	SOCKS5_REQUEST_MAX =
	    262, /* section 4 with a name of 255 bytes; a greeting has at most 257 */
	SOCKS5_REPLY_MAX = 22,
	SOCKS5_UDP_HEADER_MAX = 22, /* of ours: always an address */
};

enum socks5_command { SOCKS5_CONNECT = 1, SOCKS5_BIND = 2, SOCKS5_UDP_ASSOCIATE = 3 };

enum socks5_code { /* section 6 */
		   SOCKS5_OK = 0,
		   SOCKS5_FAILURE = 1,
		   SOCKS5_NOT_ALLOWED = 2,
		   SOCKS5_NET_UNREACHABLE = 3,
		   SOCKS5_HOST_UNREACHABLE = 4,
		   SOCKS5_REFUSED = 5,
		   SOCKS5_TTL_EXPIRED = 6,
		   SOCKS5_NO_COMMAND = 7,
		   SOCKS5_NO_ADDRESS_TYPE = 8,
};

struct socks5_addr {
	char name[256];   /* "" when it is an address */
	struct ipport at; /* port always; ip when name is empty */
};

enum socks5_event {
	SOCKS5_MORE,    /* everything was used */
	SOCKS5_REQUEST, /* command and addr are valid; answer by socks5_reply */
	SOCKS5_CLOSE,   /* send what is in the output, then close */
};

struct socks5 {
	enum { SOCKS5_AT_GREETING, SOCKS5_AT_REQUEST, SOCKS5_AT_REPLY, SOCKS5_AT_END } state;
	enum socks5_command command;
	struct socks5_addr addr;
	uint8_t in[SOCKS5_REQUEST_MAX], out[SOCKS5_REPLY_MAX + 2];
	size_t n_in, n_out;
};

void socks5_init(struct socks5 *s);
/* Bytes past *used are not the machine's. After SOCKS5_REQUEST and SOCKS5_CLOSE nothing more is to
 * be fed. */
enum socks5_event socks5_feed(struct socks5 *s, struct bytes in, size_t *used);
/* bound: the address that the destination sees, or of the UDP relay; NULL: unspecified */
void socks5_reply(struct socks5 *s, enum socks5_code code, const struct ipport *bound);
struct bytes socks5_output(const struct socks5 *s);
void socks5_sent(struct socks5 *s, size_t n);

/* Section 7. false: malformed or a fragment (which need not be supported). */
MUST_USE bool socks5_udp_parse(struct bytes in, struct socks5_addr *to, struct bytes *payload);
size_t socks5_udp_header(const struct ipport *from,
			 uint8_t out[static SOCKS5_UDP_HEADER_MAX]); /* its length */

#endif
