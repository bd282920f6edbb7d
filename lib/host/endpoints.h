/* host/endpoints.h - /healthz, /livez, /readyz and /metrics on TCP (containerboot.md 8)
 *
 * - /healthz: 200 "ok" once the node has a tailnet address, else 503; headers Pod-IPv4 and Pod-IPv6
 * - /livez: 200 while the loop turns
 * - /readyz: 200 when the node runs, is logged in and reaches its relay or control; else 503 and
 *   the reasons, one a line
 * - /metrics: tailscaled_ user metrics
 */
#ifndef HOST_ENDPOINTS_H
#define HOST_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "host/host.h"
#include "node/localapi.h"

struct endpoints;

enum { ENDPOINTS_NODES_MAX = 64 }; /* more have no metrics */
struct endpoints_node {
	const char *name;  /* before its reasons; "": it is the only one */
	struct host *host; /* NULL: it does not run, why says the reason */
	const char *why;
};
struct endpoints_conf {
	struct loop *loop;
	const char *addr;
	bool health, metrics;
	char pod_ip4[IP_TEXT], pod_ip6[IP_TEXT]; /* "" unknown */
	bool (*node)(void *ctx, size_t i,
		     struct endpoints_node *out);                   /* false: there are no more */
	void (*view)(void *ctx, size_t i, struct localapi_view *v); /* of one with a host */
	bool (*extra)(void *ctx, struct buf *out); /* further metrics, appended; NULL: none */
	void *ctx;
};
struct endpoints *endpoints_new(const struct endpoints_conf *conf,
				struct err *e); /* NULL: e says why */
void endpoints_free(struct endpoints *p);
uint16_t endpoints_port(const struct endpoints *p);

#endif
