/* ts2021/url.h - http[s]://host[:port][/path[?query]] as control and its pings name places */
#ifndef TS2021_URL_H
#define TS2021_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { URL_HOST_MAX = 256, URL_AUTHORITY_MAX = URL_HOST_MAX + 8, URL_PATH_MAX = 1024 };

struct url {
	bool tls;
	uint16_t port;
	char host[URL_HOST_MAX];           /* without brackets */
	char authority[URL_AUTHORITY_MAX]; /* host[:port] as Host and :authority want it; brackets
					      around IPv6 */
	char path[URL_PATH_MAX];           /* with the query; at least "/" */
};

/* false: malformed (white space and control characters anywhere too), another scheme, user info,
 * fragment, or too long; out is then unspecified */
MUST_USE bool url_parse(struct bytes text, struct url *out);

#endif
