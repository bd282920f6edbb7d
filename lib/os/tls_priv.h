/* os/tls_priv.h - for neighbours: the contexts behind tls.h */
#ifndef OS_TLS_PRIV_H
#define OS_TLS_PRIV_H

#include <openssl/ssl.h>

#include "os/tls.h"

struct tls_client {
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	char *file; /* bundle to fall back on; NULL: the usual places */
	char *dirs; /* whose files are read when hashes did not help; NULL: none */
};

struct tls_server {
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	char *cert_file, *key_file; /* NULL: self-made */
	uint8_t pin[32];            /* SHA-256 of the leaf's DER */
};

/* A BIO over a socket: recv and send without SIGPIPE. NULL: out of memory. */
BIO_METHOD *tls_bio_method(void);
/* Fills err with words and OpenSSL's reason, empties its queue; returns -code. */
int tls_err(struct err *err, int code, const char *what);

/* What one connection expects; the SSL's app data. */
struct tls_check {
	char *host, *name; /* dialled; verified (host or CertName) */
	bool is_insecure, is_pinned;
	uint8_t pin[32];
	char failure[384]; /* filled by the verification: words for the user */
};
int tls_verify(X509_STORE_CTX *store, void *client); /* SSL_CTX_set_cert_verify_callback */

/* tls_roots.c - steps of the search for a root that no hash leads to, the cheapest first */
enum tls_roots {
	TLS_ROOTS_BUNDLE, /* the file of the client or the usual bundle: what may have issued */
	TLS_ROOTS_DIRS,   /* every file of the directories: the same */
	TLS_ROOTS_ALL,    /* both, whatever is in them */
	TLS_ROOTS_N
};
/* presented: the server's certificates. NULL: out of memory. */
X509_STORE *tls_roots_load(const struct tls_client *client, enum tls_roots which,
			   STACK_OF(X509) * presented);

#endif
