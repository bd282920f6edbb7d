/* os/tls_conn.h - for neighbours: one TLS connection over a non-blocking descriptor
 *
 * Calls that cannot go on return -EAGAIN; tls_conn_wants says what they wait for.
 */
#ifndef OS_TLS_CONN_H
#define OS_TLS_CONN_H

#include <sys/uio.h>

#include "os/tls.h"

struct tls_conn;

/* expect->host is needed unless is_insecure; strings are copied. NULL and err. The descriptor stays
 * the caller's. */
struct tls_conn *tls_conn_new_client(struct tls_client *ctx, int fd,
				     const struct tls_expect *expect, struct err *err);
struct tls_conn *tls_conn_new_server(struct tls_server *ctx, int fd, struct err *err);
void tls_conn_free(struct tls_conn *c);

/* 0: done. A client that speaks HTTP to our server is answered 400 in HTTP, in so far as the socket
 * takes it at once, and fails. */
MUST_USE int tls_conn_handshake(struct tls_conn *c, struct err *err);
/* Bytes; 0: the peer said that it is done; -errno with err when the connection is broken or cut. */
MUST_USE ssize_t tls_conn_read(struct tls_conn *c, void *buf, size_t len, struct err *err);
/* Takes one record's worth; bytes returned are taken for good, though some may still wait for the
 * descriptor. */
MUST_USE ssize_t tls_conn_write(struct tls_conn *c, const struct iovec *v, size_t n,
				struct err *err);
MUST_USE int tls_conn_flush(struct tls_conn *c,
			    struct err *err); /* 0: nothing taken is waiting any more */
MUST_USE int tls_conn_shutdown(struct tls_conn *c,
			       struct err *err); /* after flush; 0: close_notify is on its way */
int tls_conn_wants(const struct tls_conn *c);    /* LOOP_READ or LOOP_WRITE after -EAGAIN */
bool tls_conn_has_input(
    const struct tls_conn *c); /* bytes were read from the descriptor and not yet given out */
size_t tls_conn_peer_cert(const struct tls_conn *c, size_t i, uint8_t *out, size_t cap);

#endif
