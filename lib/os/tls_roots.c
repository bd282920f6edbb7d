/* os/tls_roots.c - CA certificates that no hash leads to: bundles and plain files
 *
 * A bundle holds some 140 roots and one is wanted. To parse them all takes 20 ms and 0.9 MB, so of
 * each only the text is decoded, and it becomes a certificate when the name of an issuer of what
 * the server presented occurs in it. Names are compared as bytes, which is how issuers are written
 * in practice; where they are not, and where a root's root is needed, TLS_ROOTS_ALL finds it.
 */
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/tls_priv.h"

enum { DIR_FILES_MAX = 1024 };

static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
	"/etc/ssl/ca-bundle.pem",             /* SUSE */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

static bool may_have_issued(const uint8_t *der, long len, STACK_OF(X509) * presented)
{
	for (int i = 0; i < sk_X509_num(presented); i++) {
		const X509_NAME *issuer = X509_get_issuer_name(sk_X509_value(presented, i));
		const unsigned char *name;
		size_t n;

		if (X509_NAME_get0_der(issuer, &name, &n) == 1 && memmem(der, (size_t)len, name, n))
			return true;
	}
	return false;
}

static void add(X509_STORE *store, const uint8_t *der, long len)
{
	X509 *cert = d2i_X509(NULL, &der, len);

	if (cert)
		X509_STORE_add_cert(store, cert);
	X509_free(cert);
}

static void load_issuers(X509_STORE *store, const char *path, STACK_OF(X509) * presented)
{
	BIO *file = BIO_new_file(path, "r");
	char *label, *header;
	unsigned char *der;
	long len;

	while (file && PEM_read_bio(file, &label, &header, &der, &len) == 1) {
		if ((strcmp(label, PEM_STRING_X509) == 0 ||
		     strcmp(label, PEM_STRING_X509_OLD) == 0) &&
		    may_have_issued(der, len, presented))
			add(store, der, len);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	BIO_free(file);
}

/* presented NULL: all */
static void load_file(X509_STORE *store, const char *path, STACK_OF(X509) * presented)
{
	if (presented)
		load_issuers(store, path, presented);
	else
		X509_STORE_load_file(store, path);
}

static void load_dir(X509_STORE *store, const char *path, STACK_OF(X509) * presented)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0;

	while (dir && (e = readdir(dir)) && n < DIR_FILES_MAX) {
		char file[1024];

		if (e->d_name[0] == '.' ||
		    (size_t)snprintf(file, sizeof file, "%s/%s", path, e->d_name) >= sizeof file)
			continue;
		n++;
		load_file(store, file, presented);
	}
	if (dir)
		closedir(dir);
}

static void load_bundle(X509_STORE *store, const struct tls_client *client,
			STACK_OF(X509) * presented)
{
	if (client->file) {
		load_file(store, client->file, presented);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(bundles); i++)
		if (access(bundles[i], R_OK) == 0) {
			load_file(store, bundles[i], presented);
			return;
		}
}

static void load_dirs(X509_STORE *store, const struct tls_client *client,
		      STACK_OF(X509) * presented)
{
	for (const char *p = client->dirs; p && *p;) {
		size_t n = strcspn(p, ":");
		char *dir = strndup(p, n);

		if (dir)
			load_dir(store, dir, presented);
		free(dir);
		p += n + (p[n] == ':');
	}
}

X509_STORE *tls_roots_load(const struct tls_client *client, enum tls_roots which,
			   STACK_OF(X509) * presented)
{
	X509_STORE *store = X509_STORE_new();

	if (!store)
		return NULL;
	if (which == TLS_ROOTS_ALL)
		presented = NULL;
	if (which != TLS_ROOTS_DIRS)
		load_bundle(store, client, presented);
	if (which != TLS_ROOTS_BUNDLE)
		load_dirs(store, client, presented);
	ERR_clear_error();
	return store;
}
