/* model/serve.h - a serve configuration: which ports of the node are forwarded, and which answer
 * HTTP with what (containerboot.md 11)
 *
 * The JSON of the Go client: TCP (TCPForward, TerminateTLS, ProxyProtocol; HTTP, HTTPS) and Web
 * with its handlers (Proxy, Text, Path, Redirect). Beside a site's Handlers there may be
 * ExactHandlers, which answer for their path and nothing below it and come first; they are ours,
 * and the Go client skips them. Pure. ${TS_CERT_DOMAIN} stands for a name of the node. What is
 * understood and not offered (Funnel, Services) becomes a note, what is malformed an error that
 * names its place.
 */
#ifndef MODEL_SERVE_H
#define MODEL_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum {                             /* ours; bytes unless said */
       SERVE_FILE_MAX = 256 << 10, /* also after ${TS_CERT_DOMAIN} is replaced */
       SERVE_PORTS_MAX = 256,      /* a count */
       SERVE_SITES_MAX = 64,       /* a count, of host:port in Web */
       SERVE_HANDLERS_MAX = 256,   /* a count, of one site */
       SERVE_MOUNT_MAX = 1024,     /* path of a handler */
       SERVE_VALUE_MAX = 32 << 10, /* Text; Proxy, Path and Redirect: */
       SERVE_TARGET_MAX = 4096,
       SERVE_NAME_MAX = 253,
       SERVE_NOTES_MAX = 8, /* a count */
};

/* A back end. */
struct serve_to {
	char *host;      /* name or address without brackets; NULL: */
	char *unix_path; /* a unix socket */
	uint16_t port;
	bool tls, insecure; /* insecure: its certificate is not looked at */
	char *path;         /* of its URL: "" or "/..."; comes before what is asked for */
};

enum serve_kind { SERVE_FORWARD, SERVE_HTTP, SERVE_HTTPS };
struct serve_port {
	uint16_t port;
	enum serve_kind kind;
	struct serve_to to;      /* of a forward */
	bool terminates_tls;     /* of a forward */
	unsigned proxy_protocol; /* of a forward: 0, 1, 2 */
};

enum serve_action { SERVE_PROXY, SERVE_TEXT, SERVE_PATH, SERVE_REDIRECT };
struct serve_handler {
	char *mount;   /* begins with '/' */
	bool is_exact; /* answers for mount alone */
	enum serve_action action;
	struct serve_to to; /* of a proxy */
	char *value;        /* text, file or directory, where to */
	int status;         /* of a redirect */
};
struct serve_site {
	char *host; /* lower case, without a dot at its end */
	uint16_t port;
	struct serve_handler *v;
	size_t n;
};

struct serve {
	struct serve_port *port;
	size_t n_ports;
	struct serve_site *site;
	size_t n_sites;
	char fqdn[SERVE_NAME_MAX + 1];   /* of the node, as sites have names; "" unknown */
	char note[SERVE_NOTES_MAX][160]; /* what is not offered, a line each */
	size_t n_notes;
};

/* cert_domain: for ${TS_CERT_DOMAIN}; NULL: fqdn, and without one "no-https". fqdn: with or without
 * its dot. NULL: *e is one line that says why. */
struct serve *serve_parse(struct bytes text, const char *cert_domain, const char *fqdn,
			  struct err *e);
void serve_free(struct serve *s); /* NULL is fine */

const struct serve_port *serve_port_of(const struct serve *s, uint16_t port); /* NULL: none */
/* host: as a request has it, with or without port. A short name is one of the tailnet, an address
 * is the node itself. NULL: nobody of that name is served there. */
const struct serve_site *serve_site_of(const struct serve *s, uint16_t port, struct bytes host);
/* path: as sent, escaped. The exact handler of it, or the one whose mount covers most of it, and
 * what is left of the path behind the mount (escaped; empty or beginning with '/'). NULL: none, or
 * a path that leads out of its mount. */
const struct serve_handler *serve_handler_of(const struct serve_site *site, struct bytes path,
					     struct bytes *rest);
/* Appends the target for the back end: its path, then `rest`, then the query. */
MUST_USE bool serve_target(struct buf *out, const struct serve_to *to, struct bytes rest,
			   bool has_query, struct bytes query);
/* Cleans an absolute path as Go's path.Clean: no "//", ".", "..". out holds as much as path. */
void serve_clean_path(const char *path, char *out);
/* Makes of a name what sites have: lower case, no dot at its end. */
void serve_fold_name(char *name);

#endif
