/* containerboot/agent_dns.h - MagicDNS for pods: the tailnet's resolver behind the agent's device
 *
 * 100.100.100.100 and fd7a:115c:a1e0::53, port 53, UDP and TCP, answered by an IP stack of its own:
 * nothing on the machine listens there, so only pods whose rule leads to the device can ask
 * (data-plane.md 6.6). Names of the tailnet come from the netmap. A name for which control names
 * resolvers is asked of them: by UDP over the machine's ordinary network, or by HTTPS when a URL
 * names them (host/doh.h); every other one is answered SERVFAIL, upon which a pod's library takes
 * its next name server.
 */
#ifndef CONTAINERBOOT_AGENT_DNS_H
#define CONTAINERBOOT_AGENT_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pkt.h"
#include "base/rng.h"
#include "model/netmap.h"
#include "os/loop.h"

struct agent_dns;
struct host;

enum {
	AGENT_DNS_CONNS_MAX = 64,     /* TCP connections of pods */
	AGENT_DNS_UPSTREAM_MAX = 256, /* queries that wait for a resolver that control named */
};

struct agent_dns_conf {
	struct loop *loop;
	struct rng *rng;
	const struct netmap *netmap; /* all three outlive it */
	struct host *host;           /* so does it; asks by HTTPS; NULL: nobody does */
	/* IP packets for the device, borrowed */
	void (*out)(void *ctx, struct pkt *v, size_t n);
	void *ctx;
};

struct agent_dns_counts {
	uint64_t answered; /* from the netmap, failures too */
	uint64_t asked;    /* of resolvers that control named */
	uint64_t lost;     /* no resolver answered in time, or too many wait */
};

/* NULL: e says why. conf is copied. */
struct agent_dns *agent_dns_new(const struct agent_dns_conf *conf, struct err *e);
void agent_dns_free(struct agent_dns *d); /* NULL is fine */

/* Is an IP packet meant for the resolver? */
bool agent_dns_wants(const struct pkt *p);
/* Such packets; borrowed. Answers come by conf.out, at the end of the turn. */
void agent_dns_feed(struct agent_dns *d, const struct pkt *v, size_t n);

const struct agent_dns_counts *agent_dns_counts(const struct agent_dns *d);

#endif
