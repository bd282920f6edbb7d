/* host/endpoints.h - /healthz, /livez, /readyz and /metrics on TCP (containerboot.md 8)
 *
 *      /healthz  200 "ok" once the node has a tailnet address, else 503; headers Pod-IPv4 and
 * Pod-IPv6 /livez    200 while the loop turns /readyz   200 when the node runs, is logged in and
 * reaches its relay or control; else 503 and the reasons, one a line /metrics  tailscaled_ user
 * metrics
 */
#ifndef HOST_ENDPOINTS_H
#define HOST_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "host/host.h"
#include "node/localapi.h"

struct endpoints;

struct endpoints_conf {
	struct host *host;
	const char *addr;
	bool health, metrics;
	char pod_ip4[IP_TEXT], pod_ip6[IP_TEXT]; /* "" unknown */
	void (*view)(void *ctx, struct localapi_view *v);
	bool (*extra)(void *ctx, struct buf *out); /* further metrics, appended; NULL: none */
	void *ctx;
};
struct endpoints *endpoints_new(const struct endpoints_conf *conf,
				struct err *e); /* NULL: e says why */
void endpoints_free(struct endpoints *p);
uint16_t endpoints_port(const struct endpoints *p);

#endif
