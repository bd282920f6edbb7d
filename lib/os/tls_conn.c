/* os/tls_conn.c - see tls_conn.h
 *
 * A record that OpenSSL has taken but could not send is finished by calling SSL_write again with
 * the same length; it does not look at the bytes a second time
 * (SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER). So the owner of the data is told at once that they are
 * taken, and `pending` remembers the length.
 */
#include "os/tls_conn.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ip.h"
#include "base/text.h"
#include "os/loop.h"
#include "os/tls_priv.h"

enum { RECORD = 16384 }; /* RFC 8446 5.1 */

struct tls_conn {
	SSL *ssl;
	int fd;
	int wants;
	size_t pending;
	struct tls_check check;
};

/* --- making --- */

static struct tls_conn *conn_new(SSL_CTX *ctx, const BIO_METHOD *method, int fd)
{
	struct tls_conn *c = calloc(1, sizeof *c);
	BIO *bio;

	if (!c)
		return NULL;
	c->fd = fd;
	c->ssl = SSL_new(ctx);
	bio = BIO_new(method);
	if (!c->ssl || !bio) {
		BIO_free(bio);
		tls_conn_free(c);
		return NULL;
	}
	BIO_set_data(bio, &c->fd);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_app_data(c->ssl, &c->check);
	return c;
}

static bool set_name(struct tls_conn *c)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(c->ssl);
	const char *name = c->check.name;
	struct ip ip;

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (ip_parse(bytes_str(name), &ip))
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

/* SNI is the dialled name also when another one is verified; addresses are not sent (RFC 6066 3).
 */
static bool set_sni(struct tls_conn *c)
{
	struct ip ip;

	return !c->check.host || ip_parse(bytes_str(c->check.host), &ip) ||
	       SSL_set_tlsext_host_name(c->ssl, c->check.host) == 1;
}

static int set_expectation(struct tls_conn *c, const struct tls_expect *e, struct err *err)
{
	static const char pin[] = "sha256-raw:";
	const char *name = e->cert_name && e->cert_name[0] ? e->cert_name : e->host;

	c->check.is_insecure = e->is_insecure;
	if (!name && !e->is_insecure)
		return err_say(err, EINVAL, "TLS: no name to verify");
	if (name && strncmp(name, pin, sizeof pin - 1) == 0) {
		if (!hex_parse(bytes_str(name + sizeof pin - 1), c->check.pin, sizeof c->check.pin))
			return err_say(err, EINVAL,
				       "TLS: pin of %s: wanted sha256-raw: and 64 hex digits",
				       e->host);
		c->check.is_pinned = true;
		name = e->host;
	}
	if ((e->host && !(c->check.host = strdup(e->host))) ||
	    (name && !(c->check.name = strdup(name))))
		return err_set(err, ENOMEM, "TLS");
	if (!set_sni(c) || (name && !c->check.is_pinned && !e->is_insecure && !set_name(c)))
		return tls_err(err, EINVAL, "TLS: name of the server");
	return 0;
}

struct tls_conn *tls_conn_new_client(struct tls_client *ctx, int fd,
				     const struct tls_expect *expect, struct err *err)
{
	struct tls_conn *c = conn_new(ctx->ssl, ctx->bio, fd);

	if (!c) {
		err_set(err, ENOMEM, "TLS");
		return NULL;
	}
	if (set_expectation(c, expect, err) < 0) {
		tls_conn_free(c);
		return NULL;
	}
	SSL_set_connect_state(c->ssl);
	return c;
}

struct tls_conn *tls_conn_new_server(struct tls_server *ctx, int fd, struct err *err)
{
	struct tls_conn *c = conn_new(ctx->ssl, ctx->bio, fd);

	if (!c)
		err_set(err, ENOMEM, "TLS");
	else
		SSL_set_accept_state(c->ssl);
	return c;
}

void tls_conn_free(struct tls_conn *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	free(c->check.host);
	free(c->check.name);
	free(c);
}

/* --- errors --- */

static int cut(struct err *err)
{
	ERR_clear_error();
	return err_say(err, ECONNRESET, "the connection was cut (end without TLS close)");
}

/* What SSL_get_error says after a call that returned ret <= 0 with errno `error`. */
static int explain(struct tls_conn *c, int ret, int error, const char *what, struct err *err)
{
	unsigned long e = ERR_peek_error();

	switch (SSL_get_error(c->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		c->wants = LOOP_READ;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		c->wants = LOOP_WRITE;
		return -EAGAIN;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return error ? err_set(err, error, "%s", what) : cut(err);
	case SSL_ERROR_ZERO_RETURN:
		return err_say(err, ECONNRESET, "%s: closed by the peer", what);
	default:
		break;
	}
	if (ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return cut(err);
	return tls_err(err, EPROTO, what);
}

static int explain_handshake(struct tls_conn *c, int ret, int error, struct err *err)
{
	unsigned long e = ERR_peek_error();

	if (c->check.failure[0]) {
		ERR_clear_error();
		return err_say(err, EKEYREJECTED, "%s", c->check.failure);
	}
	ret = explain(c, ret, error, "TLS handshake", err);
	if (ret == -ECONNRESET)
		return err_say(err, ECONNRESET, "TLS handshake: the peer closed the connection");
	if (ERR_GET_REASON(e) == SSL_R_WRONG_VERSION_NUMBER ||
	    ERR_GET_REASON(e) == SSL_R_HTTP_REQUEST)
		return err_say(err, EPROTO,
			       "TLS handshake: the peer does not speak TLS on this port");
	return ret;
}

/* --- a client that speaks HTTP --- */

enum { HTTP_DRAIN = 16384 }; /* of its request, taken off before we answer */

/* What the client has said already is read: a close with bytes unread is a reset, which may
 * overtake the answer. Nothing is waited for. */
static void answer_http(int fd)
{
	static const char text[] = "HTTP/1.0 400 Bad Request\r\n"
				   "Content-Type: text/plain\r\n"
				   "Connection: close\r\n\r\n"
				   "This port speaks TLS only: write https:// in the URL.\n";
	char request[HTTP_DRAIN];

	(void)!recv(fd, request, sizeof request, MSG_DONTWAIT);
	(void)!send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	explicit_bzero(request, sizeof request); /* it may hold a token */
}

static bool has_heard_http(const struct tls_conn *c)
{
	const int reason = ERR_GET_REASON(ERR_peek_error());

	return SSL_is_server(c->ssl) &&
	       (reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST);
}

/* --- using --- */

int tls_conn_handshake(struct tls_conn *c, struct err *err)
{
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_do_handshake(c->ssl);
	if (ret == 1)
		return 0;
	if (has_heard_http(c)) {
		ERR_clear_error();
		answer_http(c->fd);
		return err_say(err, EPROTO, "TLS handshake: plain HTTP on a port for TLS");
	}
	return explain_handshake(c, ret, errno, err);
}

ssize_t tls_conn_read(struct tls_conn *c, void *buf, size_t len, struct err *err)
{
	size_t n;
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_read_ex(c->ssl, buf, len, &n);
	if (ret == 1)
		return (ssize_t)n;
	if (SSL_get_error(c->ssl, ret) == SSL_ERROR_ZERO_RETURN)
		return 0;
	return explain(c, ret, errno, "read", err);
}

static int write_record(struct tls_conn *c, const void *data, size_t len, struct err *err)
{
	size_t n;
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_write_ex(c->ssl, data, len, &n);
	if (ret == 1) {
		c->pending = 0;
		return 0;
	}
	return explain(c, ret, errno, "write", err);
}

int tls_conn_flush(struct tls_conn *c, struct err *err)
{
	static const uint8_t again[RECORD]; /* only its length counts; see above */

	return c->pending ? write_record(c, again, c->pending, err) : 0;
}

ssize_t tls_conn_write(struct tls_conn *c, const struct iovec *v, size_t n, struct err *err)
{
	uint8_t gathered[RECORD];
	const void *data = v[0].iov_base;
	size_t len = MIN_OF(v[0].iov_len, (size_t)RECORD);
	int ret = tls_conn_flush(c, err);

	if (ret < 0)
		return ret;
	if (len < RECORD && n > 1) { /* small pieces make one record */
		size_t k = 0;

		for (size_t i = 0; i < n && k < RECORD; i++) {
			len = MIN_OF(v[i].iov_len, RECORD - k);
			memcpy(gathered + k, v[i].iov_base, len);
			k += len;
		}
		data = gathered;
		len = k;
	}
	ret = write_record(c, data, len, err);
	if (data == gathered)
		explicit_bzero(gathered, len);
	if (ret == -EAGAIN)
		c->pending = len;
	else if (ret < 0)
		return ret;
	return (ssize_t)len;
}

int tls_conn_shutdown(struct tls_conn *c, struct err *err)
{
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_shutdown(c->ssl);
	return ret >= 0 ? 0 : explain(c, ret, errno, "shut down", err);
}

int tls_conn_wants(const struct tls_conn *c)
{
	return c->wants;
}

bool tls_conn_has_input(const struct tls_conn *c)
{
	return SSL_has_pending(c->ssl);
}

size_t tls_conn_peer_cert(const struct tls_conn *c, size_t i, uint8_t *out, size_t cap)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(c->ssl);
	X509 *cert = i < (size_t)INT32_MAX ? sk_X509_value(chain, (int)i) : NULL;
	int n = cert ? i2d_X509(cert, NULL) : 0;

	if (n <= 0 || (size_t)n > cap)
		return 0;
	i2d_X509(cert, &out);
	return (size_t)n;
}
