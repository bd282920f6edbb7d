/* host/egress.h - ports of this host carried to one peer of the tailnet (TS_TAILNET_TARGET_IP,
 * _FQDN)
 *
 * In user space there is no rule that catches all traffic: the ports are named. A connection is
 * joined with one to the same port of the target, or to another one; a refused one is reset. A name
 * is looked up for each connection, so it follows the netmap. Datagrams have a flow for each
 * sender, which ends after two idle minutes (DNS: 30 s).
 */
#ifndef HOST_EGRESS_H
#define HOST_EGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

struct host;
struct egress;

enum {
	EGRESS_PORTS_MAX = 64,
	EGRESS_CONNS_MAX = 4096,
	EGRESS_UDP_MAX = 1024,
	EGRESS_NAME_MAX = 253
};

struct egress_port {
	uint16_t port, to; /* here; there */
	bool is_udp;
};
/* "80,443,5432/tcp,53/udp,8080:80". 0, or -EINVAL with one line beginning with `what`. */
MUST_USE int egress_ports_parse(const char *what, struct bytes text, struct egress_port *v,
				size_t max, size_t *n, struct err *e);

struct egress_conf {
	struct host *host;
	const char *target; /* address or name; copied */
	const struct egress_port *ports;
	size_t n_ports;
};
struct egress *egress_new(const struct egress_conf *conf,
			  struct err *e); /* NULL: e names the port */
void egress_free(
    struct egress *g); /* before the host; tunnels that stand are the host's. NULL is fine */

struct egress_stat {
	size_t waiting, udp_flows;
	uint64_t accepted, failed;
};
void egress_stat(const struct egress *g, struct egress_stat *st);

#endif
