/* os/proxy.h - one HTTP proxy: its URL, the CONNECT request, the head of its reply. Text work only.
 */
#ifndef OS_PROXY_H
#define OS_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum { PROXY_HOST_MAX = 256, PROXY_AUTH_MAX = 512 };

struct proxy {
	char host[PROXY_HOST_MAX]; /* name or address without brackets */
	uint16_t port;
	char auth[PROXY_AUTH_MAX]; /* value of Proxy-Authorization ("Basic ..."), or "" */
};

/* "http://user:pass@host:port", "host:port", "host"; 0 or -EINVAL with words that do not contain
 * the password. Schemes other than http are refused by name. */
MUST_USE int proxy_parse(struct bytes text, struct proxy *out, struct err *err);

/* The head of a CONNECT request; returns its length, 0 when it does not fit. */
size_t proxy_request(const struct proxy *p, const char *host, uint16_t port, char *out, size_t cap);
/* The head of the reply. */
enum proxy_reply { PROXY_MORE, PROXY_OPEN, PROXY_REFUSED, PROXY_GARBAGE };
enum { PROXY_REPLY_MAX = 8192 };
enum proxy_reply proxy_reply_parse(struct bytes in, size_t *head_len, unsigned *status,
				   char reason[static 64]);

#endif
