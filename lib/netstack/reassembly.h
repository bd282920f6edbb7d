/* netstack/reassembly.h - datagrams that arrive in fragments (RFC 791 3.2, RFC 8200 4.5, RFC 5722)
 *
 * At most REASSEMBLY_MAX at a time, each for REASSEMBLY_SECONDS; when one more begins the oldest of
 * the source that has the most goes, so that who fills all places keeps nobody out. A fragment that
 * overlaps another spoils its datagram (RFC 5722; for IPv4 too: nobody honest does it); an exact
 * duplicate is ignored.
 */
#ifndef NETSTACK_REASSEMBLY_H
#define NETSTACK_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "netstack/chunkq.h"
#include "netstack/ranges.h"

enum { REASSEMBLY_MAX = 16, REASSEMBLY_SECONDS = 30, REASSEMBLY_LEN_MAX = 65535 };

struct fragment {
	struct ip src, dst;
	uint32_t id;
	uint8_t proto;
	bool more;
	uint32_t off, len;
	const uint8_t *data;
};

struct reassembly_entry {
	bool is_used, is_spoilt;
	struct ip src, dst;
	uint32_t id, total; /* total: 0 while the last fragment is missing */
	uint8_t proto;
	mono_t expires;
	struct chunkq q;
	struct ranges have;
};

struct reassembly {
	struct reassembly_entry v[REASSEMBLY_MAX];
	uint32_t n;
	uint8_t *whole; /* the last complete one; owned */
};

enum reassembly_result { REASSEMBLY_WAIT, REASSEMBLY_DONE, REASSEMBLY_REFUSED, REASSEMBLY_EVICTED };

void reassembly_fini(struct reassembly *r, struct pool *p);
/* DONE: out and len are the whole payload, valid until the next call. EVICTED: waits, but an older
 * one was given up. */
enum reassembly_result reassembly_add(struct reassembly *r, struct pool *p, mono_t now,
				      const struct fragment *f, const uint8_t **out, size_t *len);
mono_t reassembly_deadline(const struct reassembly *r);
unsigned reassembly_tick(struct reassembly *r, struct pool *p,
			 mono_t now); /* how many were given up */

#endif
