/* os/tls.h - TLS 1.2 and later by OpenSSL: contexts, and what is expected of a certificate; streams
 * do the rest
 *
 * Roots: the hashed CA directories are looked into first (a few files); a bundle, and the files of
 * directories without hashes, are read only when that did not verify; of them only what bears the
 * name of an issuer is parsed, and only the root that verified is kept: 20 ms and 0.9 MB otherwise
 * at every start. ALPN is not offered: the upgrades need HTTP/1.1 (control-protocol.md 2.3).
 */
#ifndef OS_TLS_H
#define OS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

struct tls_client; /* roots and settings, for any number of connections */
struct tls_server; /* certificate and key */

struct tls_client_conf {
	const char *ca_file; /* SSL_CERT_FILE; NULL: the usual places */
	const char *ca_dir;  /* SSL_CERT_DIR, colon separated; NULL: the usual places */
};
struct tls_client *tls_client_new(const struct tls_client_conf *conf,
				  struct err *err); /* conf NULL: defaults */
void tls_client_free(struct tls_client *c);

/* What the certificate must be. All zero: a chain to a root, valid now, for the dialled name. */
struct tls_expect {
	const char *host;      /* name sent (SNI) and verified */
	const char *cert_name; /* verified instead of host; "sha256-raw:<hex>" pins
				  (control-protocol.md 4.8) */
	bool is_insecure;      /* nothing is verified */
};

/* PEM files; read once. NULL and err. */
struct tls_server *tls_server_new(const char *cert_file, const char *key_file, struct err *err);
/* A self-made certificate (ECDSA P-256) for a name or address, valid ten years; its pin by
 * tls_server_pin. */
struct tls_server *tls_server_new_self(const char *name, struct err *err);
/* Reads the files again; on failure the old certificate stays. */
MUST_USE int tls_server_reload(struct tls_server *s, struct err *err);
void tls_server_free(struct tls_server *s);
enum { TLS_PIN_TEXT = 11 + 64 + 1 };
void tls_server_pin(const struct tls_server *s,
		    char out[static TLS_PIN_TEXT]); /* "sha256-raw:<hex>" of the leaf */
/* Writes certificate and key as PEM (mode 0600), so that a self-made one can be kept. */
MUST_USE int tls_server_save(const struct tls_server *s, const char *cert_file,
			     const char *key_file, struct err *err);

#endif
