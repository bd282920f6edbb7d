/* os/sockaddr.h - for neighbours: our addresses as the kernel's, and back; nothing else in lib/
 * sees sockaddrs */
#ifndef OS_SOCKADDR_H
#define OS_SOCKADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/ip.h"

/* Fills ss in the address's own family, returns its length. */
socklen_t sockaddr_from(const struct ipport *a, struct sockaddr_storage *ss);
/* IPv4 in IPv6 becomes IPv4; false for other families. */
bool sockaddr_to(const struct sockaddr_storage *ss, struct ipport *out);
/* A unix socket's name; 0: too long (107 bytes are the limit) or empty. A leading '@' is the
 * abstract name space. */
socklen_t sockaddr_unix(const char *path, struct sockaddr_storage *ss);
static inline int sockaddr_family(const struct ip *ip)
{
	return ip_is_v4(ip) ? AF_INET : AF_INET6;
}

#endif
