/* ts2021/map_request.h - POST /machine/map: stream and lite update (control-protocol.md 4.1) */
#ifndef TS2021_MAP_REQUEST_H
#define TS2021_MAP_REQUEST_H

#include "ts2021/hostinfo.h"

#define MAP_PATH "/machine/map"

enum { MAP_REQUEST_MAX = 256 << 10, MAP_REQUEST_ENDPOINTS_MAX = 64 };

struct map_request {
	unsigned version;
	bool is_stream, with_zstd, with_tags;
	const struct key_pub *node, *disco; /* disco: NULL when there is none */
	const struct hostinfo *hostinfo;
	const struct ipport *endpoints;
	const enum control_ep *types;
	size_t n_endpoints;
};
MUST_USE bool map_request_emit(struct buf *out, const struct map_request *rq);

#endif
