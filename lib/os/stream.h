/* os/stream.h - a connected byte stream over TCP, a unix socket or TLS; bytes are pulled, never
 * copied in between
 *
 * The owner names memory to read into (room) and memory to send from (data) when the stream can use
 * it, so back-pressure is its answer "none": reading stops until stream_resume, writing until
 * stream_kick. All iovecs are borrowed only within the callback that follows at once (got, sent).
 * Work per turn is bounded.
 *
 * Life: open (after stream_dial; at the next turn after stream_adopt), then got/sent/end as they
 * come, then closed, after which nothing comes any more and the stream frees itself; the pointer is
 * dead when closed is called. With stream_close the owner leaves first: no callback follows, not
 * even closed. stream_close may be called in any callback but closed.
 */
#ifndef OS_STREAM_H
#define OS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/ip.h"
#include "os/dial.h"
#include "os/loop.h"
#include "os/tls.h"

enum { STREAM_IOV_MAX = 17 }; /* the largest `max` that room and data see */

struct stream;

struct stream_ops {
	void (*open)(void *ctx); /* connected, TLS done; may be NULL */
	/* Where to read into: fills v, returns how many; 0: pause until stream_resume. */
	size_t (*room)(void *ctx, struct iovec *v, size_t max);
	void (*got)(void *ctx, size_t n); /* n > 0 bytes lie in the room just named */
	/* Nothing lies in it: what was put aside for it can go back. May be NULL. */
	void (*none)(void *ctx);
	/* The peer sent its end; our direction stays open until stream_shutdown. NULL: answered by
	 * stream_shutdown. */
	void (*end)(void *ctx);
	/* What to send now; 0: nothing until stream_kick. */
	size_t (*data)(void *ctx, struct iovec *v, size_t max);
	void (*sent)(void *ctx, size_t n); /* n > 0 bytes of the data just named are gone */
	/* Last callback. why NULL: both directions ended in order. */
	void (*closed)(void *ctx, const struct err *why);
};

/* For a stream that somebody else takes over later: no room to read into, nothing to send. */
size_t stream_hold(void *ctx, struct iovec *v, size_t max);
void stream_ignore(void *ctx, size_t n);

struct stream_conf {
	struct dial_conf dial;    /* where and how; dial.timeout also covers TLS */
	struct tls_client *tls;   /* NULL: plain; a context that outlives the stream */
	struct tls_expect expect; /* of the peer's certificate; expect.host NULL: dial.host */
};

/* Starts connecting. NULL and err when the configuration is bad; everything later is told by
 * closed. conf is copied. */
struct stream *stream_dial(struct loop *loop, const struct stream_conf *conf,
			   const struct stream_ops *ops, void *ctx, struct err *err);
/* Takes a connected descriptor (which is closed on failure too). NULL: out of memory. */
struct stream *stream_adopt(struct loop *loop, int fd, const struct stream_ops *ops, void *ctx);
/* A connected descriptor (closed on failure too) in place of one that is dialled: of conf->dial
 * only host, port and timeout count. NULL and err. */
struct stream *stream_adopt_client(struct loop *loop, int fd, const struct stream_conf *conf,
				   const struct stream_ops *ops, void *ctx, struct err *err);
/* The same for an accepted connection that speaks TLS; open comes after the handshake. Who speaks
 * plain HTTP is told in HTTP (400) to come by https:// before the stream ends. */
struct stream *stream_adopt_tls(struct loop *loop, int fd, struct tls_server *tls, span_t timeout,
				const struct stream_ops *ops, void *ctx);

/* Another owner from now on; allowed in any callback but closed. Kick and resume it when the new
 * one is ready. */
void stream_set_ops(struct stream *s, const struct stream_ops *ops, void *ctx);

void stream_kick(
    struct stream *s); /* there is output; sent at the end of this turn with all else */
void stream_resume(struct stream *s);   /* there is room */
void stream_shutdown(struct stream *s); /* once `data` says 0: FIN (TLS: close_notify first) */
void stream_close(struct stream *s);    /* now, pending data is lost; NULL is fine */
void stream_reset(struct stream *s);    /* the same, and the peer sees a reset */

bool stream_local(const struct stream *s,
		  struct ipport *out); /* false: a unix socket or not connected */
bool stream_remote(const struct stream *s, struct ipport *out);
void stream_nodelay(struct stream *s, bool on); /* on is the default for TCP */
void stream_keepalive(struct stream *s, unsigned idle_s, unsigned interval_s, unsigned count);
bool stream_has_ended(const struct stream *s); /* the peer's end came: nobody is told of it again */
int stream_fd(const struct stream *s);         /* -1 while dialling */
/* DER of the certificates the peer presented, in its order; 0 without TLS or past the end. */
size_t stream_peer_cert(const struct stream *s, size_t i, uint8_t *out, size_t cap);

#endif
