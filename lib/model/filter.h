/* model/filter.h - the packet filter: rules from control, flow state for UDP and SCTP, default deny
 * (data-plane.md 5) */
#ifndef MODEL_FILTER_H
#define MODEL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "wire/packet.h"

struct filter;

enum {
	FILTER_FLOWS_DEFAULT = 65536,
	FILTER_FLOW_BYTES =
	    88, /* at most, for each flow that the table may hold; it grows with use */
	FILTER_FLOW_TTL_S = 300,    /* a flow unused for so long is gone */
	FILTER_RULES_MAX = 65536,   /* what is beyond these allows nothing */
	FILTER_RANGES_MAX = 262144, /* address ranges of sources, and of destinations */
	FILTER_LOCAL_MAX = 2048,    /* prefixes of filter_set_local; what is beyond is not local */
};

struct filter *filter_new(
    size_t max_flows); /* denies everything until the first filter_set_rules; NULL: out of memory */
void filter_free(struct filter *f);

/* Replaces the rules; rules: n JSON arrays of FilterRule (control-protocol.md 4.10). Unreadable
 * entries spoil only themselves. has_cap answers "does the node with this address have that node
 * capability" (srcs of form cap:NAME); pure. 0, -ENOMEM, -EBADMSG (old rules stay). The flow table
 * is kept. */
typedef bool filter_has_cap_fn(void *ctx, const struct ip *src, struct bytes cap);
MUST_USE int filter_set_rules(struct filter *f, const struct bytes *rules, size_t n,
			      filter_has_cap_fn *has_cap, void *ctx);
/* Destinations that are ours: own addresses and approved routes. A default route (0.0.0.0/0, ::/0:
 * an exit node's) means all of its family but `except`; what v names beside it stays. Copied. 0 or
 * -ENOMEM (nothing changes). */
MUST_USE int filter_set_local(struct filter *f, const struct ipprefix *v, size_t n,
			      const struct ipprefix *except, size_t n_except);
void filter_set_shields(struct filter *f, bool up);
bool filter_shields(const struct filter *f);

enum filter_verdict {
	FILTER_ACCEPT,
	FILTER_DROP_ACL,
	FILTER_DROP_MULTICAST,
	FILTER_DROP_LINK_LOCAL,
	FILTER_DROP_TOO_SHORT,
	FILTER_DROP_FRAGMENT,
	FILTER_DROP_UNKNOWN_PROTOCOL,
	FILTER_DROP_NOT_LOCAL,
	FILTER_VERDICT_N
};
extern const char *const filter_verdict_names[FILTER_VERDICT_N]; /* metric labels */

/* data: the packet as it came out of WireGuard; jailed: the peer may not open connections. Parses
 * into *pkt (usable when accepted). */
enum filter_verdict filter_in(struct filter *f, mono_t now, const uint8_t *data, size_t len,
			      bool jailed, struct packet *pkt);
/* An outgoing packet: notes UDP and SCTP flows; drops multicast and link-local. */
enum filter_verdict filter_out(struct filter *f, mono_t now, const uint8_t *data, size_t len,
			       struct packet *pkt);
/* Application capabilities that src has towards dst, as a JSON object text appended to out (whois).
 */
MUST_USE int filter_caps(const struct filter *f, const struct ip *src, const struct ip *dst,
			 struct buf *out);
size_t filter_flows(const struct filter *f);
/* Forgets flows that timed out and gives their memory back; for an idle moment. */
void filter_trim(struct filter *f, mono_t now);
size_t filter_memory(const struct filter *f); /* bytes of rules and flows */

#endif
