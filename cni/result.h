/* cni/result.h - prevResult: what we must know of it, and how it is handed on
 *
 * It is passed on byte for byte; only when the caller wants another version on it, or our routes in
 * it, are its members written again, each value still as the text it was.
 */
#ifndef CNI_RESULT_H
#define CNI_RESULT_H

#include "base/ip.h"
#include "cni/fail.h"

enum { RESULT_INTERFACES_MAX = 64, RESULT_IPS_MAX = 64, RESULT_ROUTES_MAX = 16 };

struct result_interface {
	char name[16];
	bool in_pod; /* sandbox is not empty */
};

struct result_ip {
	struct ip ip, gateway; /* gateway zero: none */
	int interface;         /* index, -1: not said */
};

struct result {
	struct bytes raw; /* borrowed */
	char version[16]; /* "": not said */
	struct result_interface interfaces[RESULT_INTERFACES_MAX];
	size_t n_interfaces;
	struct result_ip ips[RESULT_IPS_MAX];
	size_t n_ips;
};

struct result_route { /* what resultRoutes adds */
	struct ipprefix dst;
	struct ip gw;
	int mtu, advmss; /* only written from 1.1.0 on */
};

MUST_USE int result_parse(struct bytes text, struct result *out, struct fail *f);
/* Addresses of the pod: those of interfaces inside, all when no interface says. Count, at most max;
 * -1: there are more. */
int result_pod_ips(const struct result *r, struct ip *out, size_t max);
/* The gateway for a family on the pod's interface; false: none is named. */
bool result_gateway(const struct result *r, const char *ifname, bool v6, struct ip *out);
MUST_USE bool result_emit(const struct result *r, const char *version,
			  const struct result_route *routes, size_t n, struct buf *out);

#endif
