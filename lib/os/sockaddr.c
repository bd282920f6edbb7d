/* os/sockaddr.c - see sockaddr.h */
#include "os/sockaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

socklen_t sockaddr_from(const struct ipport *a, struct sockaddr_storage *ss)
{
	if (ip_is_v4(&a->ip)) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };

		memcpy(&in.sin_addr, a->ip.b + 12, 4);
		memcpy(ss, &in, sizeof in);
		return sizeof in;
	} else {
		struct sockaddr_in6 in = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

		memcpy(&in.sin6_addr, a->ip.b, 16);
		memcpy(ss, &in, sizeof in);
		return sizeof in;
	}
}

bool sockaddr_to(const struct sockaddr_storage *ss, struct ipport *out)
{
	if (ss->ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, ss, sizeof in);
		memset(out->ip.b, 0, 10);
		out->ip.b[10] = out->ip.b[11] = 0xff;
		memcpy(out->ip.b + 12, &in.sin_addr, 4);
		out->port = ntohs(in.sin_port);
		return true;
	}
	if (ss->ss_family == AF_INET6) {
		struct sockaddr_in6 in;

		memcpy(&in, ss, sizeof in);
		memcpy(out->ip.b, &in.sin6_addr, 16);
		out->port = ntohs(in.sin6_port);
		return true;
	}
	return false;
}

socklen_t sockaddr_unix(const char *path, struct sockaddr_storage *ss)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof un.sun_path)
		return 0;
	memcpy(un.sun_path, path, n);
	memcpy(ss, &un, sizeof un);
	if (path[0] == '@') {
		((char *)ss)[offsetof(struct sockaddr_un, sun_path)] = 0;
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	}
	return sizeof un;
}
