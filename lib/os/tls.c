/* os/tls.c - see tls.h: contexts of clients and servers */
#include "os/tls.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/locked.h"
#include "os/file.h"
#include "os/tls_priv.h"

#define HASHED_DIRS "/etc/ssl/certs:/etc/pki/tls/certs"
enum { SELF_YEARS = 10, PEM_MAX = 1 << 20, SECURE_HEAP = 1 << 16, SECURE_PIECE = 32 };

int tls_err(struct err *err, int code, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return err_say(err, code, "%s: %s", what, reason ? reason : "TLS library failed");
}

/* --- the socket as OpenSSL sees it --- */

static int bio_read(BIO *b, char *buf, int len)
{
	const int *fd = BIO_get_data(b);
	ssize_t n = recv(*fd, buf, (size_t)len, 0);

	BIO_clear_flags(b, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY | BIO_FLAGS_IN_EOF);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	else if (n == 0)
		BIO_set_flags(b, BIO_FLAGS_IN_EOF);
	return (int)n;
}

static int bio_write(BIO *b, const char *buf, int len)
{
	const int *fd = BIO_get_data(b);
	ssize_t n = send(*fd, buf, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_flags(b, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(b);
	return (int)n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)num;
	(void)ptr;
	if (cmd == BIO_CTRL_EOF)
		return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
	return cmd == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

BIO_METHOD *tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");

	if (!m)
		return NULL;
	BIO_meth_set_read(m, bio_read);
	BIO_meth_set_write(m, bio_write);
	BIO_meth_set_ctrl(m, bio_ctrl);
	BIO_meth_set_create(m, bio_create);
	return m;
}

/* --- both sides --- */

static SSL_CTX *context_new(const SSL_METHOD *method)
{
	SSL_CTX *ssl = SSL_CTX_new(method);

	if (!ssl)
		return NULL;
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ssl, 1); /* one system call a record, not two */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	return ssl;
}

/* --- client --- */

static int copy_text(const char *from, char **to)
{
	if (from && !(*to = strdup(from)))
		return -ENOMEM;
	return 0;
}

/* A key, or a certificate in binary form, would be passed over without a word, and each server
 * refused for want of an authority. Only a regular file is looked into: a pipe is read once. */
static bool is_without_certificate(const char *path)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char line[256];
	bool found = false, whole;

	if (!f)
		return false;
	whole = fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode);
	while (whole && !found && fgets(line, sizeof line, f))
		found = strncmp(line, "-----BEGIN ", 11) == 0 && strstr(line, "CERTIFICATE-----");
	whole = whole && !ferror(f);
	fclose(f);
	return whole && !found;
}

static int client_start(struct tls_client *c, const struct tls_client_conf *conf, struct err *err)
{
	X509_LOOKUP *lookup;

	if (conf->ca_file && access(conf->ca_file, R_OK) < 0)
		return err_set(err, errno, "CA file %s", conf->ca_file);
	if (conf->ca_file && is_without_certificate(conf->ca_file))
		log_warn("tls: CA file %s: there is no certificate in PEM form in it; no server is "
			 "trusted by it",
			 conf->ca_file);
	if (copy_text(conf->ca_file, &c->file) < 0 || copy_text(conf->ca_dir, &c->dirs) < 0)
		return err_set(err, ENOMEM, "start TLS");
	c->bio = tls_bio_method();
	c->ssl = context_new(TLS_client_method());
	if (!c->bio || !c->ssl)
		return tls_err(err, ENOMEM, "start TLS");
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(c->ssl, tls_verify, c);
	lookup = X509_STORE_add_lookup(SSL_CTX_get_cert_store(c->ssl), X509_LOOKUP_hash_dir());
	if (!lookup ||
	    X509_LOOKUP_add_dir(lookup, c->dirs ? c->dirs : HASHED_DIRS, X509_FILETYPE_PEM) != 1)
		return tls_err(err, ENOMEM, "CA directories");
	return 0;
}

struct tls_client *tls_client_new(const struct tls_client_conf *conf, struct err *err)
{
	static const struct tls_client_conf defaults;
	struct tls_client *c = calloc(1, sizeof *c);

	if (!c) {
		err_set(err, ENOMEM, "start TLS");
		return NULL;
	}
	if (client_start(c, conf ? conf : &defaults, err) < 0) {
		tls_client_free(c);
		return NULL;
	}
	return c;
}

void tls_client_free(struct tls_client *c)
{
	if (!c)
		return;
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->bio);
	free(c->file);
	free(c->dirs);
	free(c);
}

/* --- server --- */

static int set_pin(struct tls_server *s, SSL_CTX *ssl, struct err *err)
{
	unsigned len = sizeof s->pin;

	if (X509_digest(SSL_CTX_get0_certificate(ssl), EVP_sha256(), s->pin, &len) != 1)
		return tls_err(err, EIO, "certificate");
	return 0;
}

/* A new context takes the place of the old one, which lives on in its connections. */
static int server_use(struct tls_server *s, SSL_CTX *ssl, struct err *err)
{
	if (set_pin(s, ssl, err) < 0)
		return -EIO;
	SSL_CTX_free(s->ssl);
	SSL_CTX_up_ref(ssl);
	s->ssl = ssl;
	return 0;
}

/* Private keys come to lie in locked pages outside core dumps, where OpenSSL wants them to be once
 * it has such a heap; one a process, for the few keys that a server has (RSA of 4096 bits: 3 KB).
 * Without it (no memory) they are in the ordinary heap, as without this call. */
static void prepare_for_keys(void)
{
	if (!CRYPTO_secure_malloc_initialized())
		(void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_PIECE);
}

static SSL_CTX *server_context(void)
{
	SSL_CTX *ssl = context_new(TLS_server_method());

	if (ssl)
		SSL_CTX_set_num_tickets(ssl, 0); /* sessions are long: nothing is resumed */
	return ssl;
}

static int load(SSL_CTX *ssl, const char *cert_file, const char *key_file, struct err *err)
{
	char what[300];

	snprintf(what, sizeof what, "certificate file %s", cert_file);
	if (access(cert_file, R_OK) < 0)
		return err_set(err, errno, "%s", what);
	if (SSL_CTX_use_certificate_chain_file(ssl, cert_file) != 1)
		return tls_err(err, EINVAL, what);
	snprintf(what, sizeof what, "key file %s", key_file);
	if (access(key_file, R_OK) < 0)
		return err_set(err, errno, "%s", what);
	if (SSL_CTX_use_PrivateKey_file(ssl, key_file, SSL_FILETYPE_PEM) != 1)
		return tls_err(err, EINVAL, what);
	if (SSL_CTX_check_private_key(ssl) != 1) {
		ERR_clear_error();
		return err_say(err, EINVAL, "%s does not belong to certificate %s", what,
			       cert_file);
	}
	return 0;
}

int tls_server_reload(struct tls_server *s, struct err *err)
{
	SSL_CTX *ssl;
	int ret;

	if (!s->cert_file)
		return 0;
	ssl = server_context();
	if (!ssl)
		return tls_err(err, ENOMEM, "start TLS");
	locked_wipe_freed(true);
	ret = load(ssl, s->cert_file, s->key_file, err);
	if (ret == 0)
		ret = server_use(s, ssl, err);
	SSL_CTX_free(ssl);
	locked_wipe_freed(false);
	return ret;
}

struct tls_server *tls_server_new(const char *cert_file, const char *key_file, struct err *err)
{
	struct tls_server *s = calloc(1, sizeof *s);

	prepare_for_keys();
	if (!s || !(s->bio = tls_bio_method()) || copy_text(cert_file, &s->cert_file) < 0 ||
	    copy_text(key_file, &s->key_file) < 0) {
		err_set(err, ENOMEM, "start TLS");
		tls_server_free(s);
		return NULL;
	}
	if (tls_server_reload(s, err) < 0) {
		tls_server_free(s);
		return NULL;
	}
	return s;
}

void tls_server_free(struct tls_server *s)
{
	if (!s)
		return;
	SSL_CTX_free(s->ssl);
	BIO_meth_free(s->bio);
	free(s->cert_file);
	free(s->key_file);
	free(s);
}

void tls_server_pin(const struct tls_server *s, char out[static TLS_PIN_TEXT])
{
	memcpy(out, "sha256-raw:", 11);
	hex_emit(s->pin, sizeof s->pin, out + 11);
}

/* --- a self-made certificate --- */

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool is_plain_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= 253 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") ==
		   n;
}

static bool fill_cert(X509 *cert, EVP_PKEY *key, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	char alt[300], cn[65];
	struct ip ip;
	uint64_t serial;

	rng_fill(&os_rng, &serial, sizeof serial);
	snprintf(alt, sizeof alt, "%s:%s", ip_parse(bytes_str(name), &ip) ? "IP" : "DNS", name);
	(void)bytes_to_str(bytes_str(name), cn,
			   sizeof cn); /* a CN has 64 characters; names are verified by SAN */
	return X509_set_version(cert, X509_VERSION_3) &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
	       X509_time_adj_ex(X509_getm_notAfter(cert), 365 * SELF_YEARS, 0, NULL) &&
	       X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
					  (const unsigned char *)cn, -1, -1, 0) &&
	       X509_set_issuer_name(cert, subject) && X509_set_pubkey(cert, key) &&
	       add_extension(cert, NID_subject_alt_name, alt) &&
	       add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(cert, NID_ext_key_usage, "serverAuth") &&
	       X509_sign(cert, key, EVP_sha256()) > 0;
}

struct tls_server *tls_server_new_self(const char *name, struct err *err)
{
	struct tls_server *s = is_plain_name(name) ? calloc(1, sizeof *s) : NULL;
	X509 *cert = s ? X509_new() : NULL;
	SSL_CTX *ssl = s ? server_context() : NULL;
	EVP_PKEY *key;
	bool ok;

	prepare_for_keys();
	key = s ? EVP_EC_gen("P-256") : NULL;
	ok = key && cert && ssl && (s->bio = tls_bio_method()) && fill_cert(cert, key, name) &&
	     SSL_CTX_use_certificate(ssl, cert) == 1 && SSL_CTX_use_PrivateKey(ssl, key) == 1;

	if (!ok)
		tls_err(err, EINVAL, "make a certificate");
	else
		ok = server_use(s, ssl, err) == 0;
	SSL_CTX_free(ssl);
	X509_free(cert);
	EVP_PKEY_free(key);
	if (ok)
		return s;
	tls_server_free(s);
	return NULL;
}

/* What `write` puts into memory goes to the file. */
static int save(const char *path, BIO *mem, mode_t mode, struct err *err)
{
	char *data;
	long n = BIO_get_mem_data(mem, &data);

	return file_replace(path, bytes_of(data, (size_t)n), mode, err);
}

int tls_server_save(const struct tls_server *s, const char *cert_file, const char *key_file,
		    struct err *err)
{
	BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_secmem());
	int ret;

	if (!cert || !key || PEM_write_bio_X509(cert, SSL_CTX_get0_certificate(s->ssl)) != 1 ||
	    PEM_write_bio_PrivateKey(key, SSL_CTX_get0_privatekey(s->ssl), NULL, NULL, 0, NULL,
				     NULL) != 1)
		ret = tls_err(err, EIO, "write the certificate");
	else if ((ret = save(key_file, key, 0600, err)) == 0)
		ret = save(cert_file, cert, 0600, err);
	BIO_free(cert);
	BIO_free(key);
	return ret;
}
