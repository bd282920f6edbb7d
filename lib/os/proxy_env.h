/* os/proxy_env.h - which proxy a connection goes through: the settings users give by environment
 *
 * The rules for NO_PROXY are those of Go programs: "*", an address, a prefix, a domain (itself and
 * below; with a leading dot or "*.": only below), each but the prefix with an optional port;
 * loopback and "localhost" always go directly.
 */
#ifndef OS_PROXY_ENV_H
#define OS_PROXY_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "os/proxy.h"

enum { PROXY_NO_MAX = 8192 };

struct proxy_env {
	bool has_http, has_https;
	struct proxy http, https;
	char no_proxy[PROXY_NO_MAX];
};

/* From the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, upper case first, then lower
 * case. 0 or -EINVAL. */
MUST_USE int proxy_env_read(struct proxy_env *out, struct err *err);
/* The proxy for a connection to host:port with or without TLS, or NULL: direct. */
const struct proxy *proxy_for(const struct proxy_env *env, const char *host, uint16_t port,
			      bool is_tls);
/* Whether the list says "directly" for host:port. */
bool proxy_excluded(const char *no_proxy, const char *host, uint16_t port);

#endif
