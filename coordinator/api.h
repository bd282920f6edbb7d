/* coordinator/api.h - the REST API: Headscale's /api/v1 routes over the tailnet, one request in,
 * one answer out; no sockets
 *
 * control-protocol.md 6.2: camelCase, ids as strings, errors
 * {"code":5,"message":"...","details":[]} with gRPC's numbers. Below /api/v2 (api_v2.c) the OAuth,
 * keys and devices endpoints of the Tailscale API (6.1).
 */
#ifndef COORDINATOR_API_H
#define COORDINATOR_API_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rng.h"
#include "coordinator/apikeys.h"
#include "coordinator/tailnet.h"

struct api {
	struct tailnet *t;
	struct apikeys *keys;
	struct rng *rng;
	void *ctx;
	/* An API key has changed or is gone: to be kept. */
	void (*apikey_changed)(void *ctx, int64_t id);
	/* The policy in force as text ("" for none) and when it was set; set: -EPERM when it comes
	 * from a file, -EINVAL when it is refused. */
	struct bytes (*policy)(void *ctx, wall_t *when);
	int (*set_policy)(void *ctx, struct bytes text, struct err *e);
	int (*check_policy)(void *ctx, struct bytes text,
			    struct err *e); /* the same without effect */
	int (*backup)(void *ctx, const char *path, struct err *e);
	int (*debug)(void *ctx, struct buf *out); /* a JSON object */
};

struct api_request {
	struct bytes method, path, query, body; /* path without a prefix: "/api/v1/node" */
	struct bytes authorization;             /* the header's value */
	mono_t now;
	wall_t wall;
	bool is_local;      /* over the unix socket: may also write files */
	int64_t uid;        /* who is at its other end; negative: not known */
	struct ipport from; /* else */
	enum { API_NO_KEY, API_BY_KEY, API_BY_TOKEN } by; /* set by api_authorized */
	int64_t key; /* the API key that it has or that its token stands for; 0: of api_key_file */
};

enum { API_BODY_MAX = (1 << 20) + (1 << 16), API_ANSWER_MAX = 128 << 20 };

/* Does it come from who may? Locally always, else with an API key or an access token as bearer, or
 * as the user name of Basic. Notes in r which of them. */
bool api_authorized(struct api *a, struct api_request *r);
/* The routes there are, in turn: "POST", "v1", "user" and a star for each segment that varies.
 * false: past the end */
struct api_route {
	const char *method, *version, *path;
};
bool api_route_at(size_t i, struct api_route *out);
/* HTTP status; the JSON is appended to out. */
unsigned api_handle(struct api *a, const struct api_request *r, struct buf *out);

#endif
