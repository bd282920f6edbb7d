/* tests/stream_peer.h - for tests: an end of a stream that keeps what it hears and how it ended */
#ifndef TESTS_STREAM_PEER_H
#define TESTS_STREAM_PEER_H

#include "base/bytes.h"
#include "os/stream.h"
#include "tests/harness.h"

struct peer {
	struct stream *s;
	struct buf in, out;
	uint8_t mem[65536];
	size_t room;  /* bytes it may still read; SIZE_MAX: any */
	size_t piece; /* of `out` in each place of a vector */
	bool opened, ended, closed, close_on_got, close_on_open, shut_on_end;
	struct err why;
};

static void peer_on_open(void *ctx)
{
	struct peer *p = ctx;

	p->opened = true;
	if (p->close_on_open)
		stream_close(p->s);
}

static size_t peer_on_room(void *ctx, struct iovec *v, size_t max)
{
	struct peer *p = ctx;
	size_t n = MIN_OF(p->room, sizeof p->mem);

	ck_assert_uint_ge(max, 2);
	if (n < 2) {
		v[0] = (struct iovec){ p->mem, n };
		return n > 0;
	}
	v[0] = (struct iovec){ p->mem, n / 2 };
	v[1] = (struct iovec){ p->mem + n / 2, n - n / 2 };
	return 2;
}

static void peer_on_got(void *ctx, size_t n)
{
	struct peer *p = ctx;

	ck_assert(n > 0 && buf_append(&p->in, p->mem, n));
	if (p->room != SIZE_MAX)
		p->room -= n;
	if (p->close_on_got)
		stream_close(p->s);
}

static void peer_on_end(void *ctx)
{
	struct peer *p = ctx;

	p->ended = true;
	if (p->shut_on_end)
		stream_shutdown(p->s);
}

static size_t peer_on_data(void *ctx, struct iovec *v, size_t max)
{
	struct peer *p = ctx;
	size_t left = p->out.len, off = p->out.off, n = 0;

	for (; left > 0 && n < max; n++) {
		size_t k = MIN_OF(left, p->piece);

		v[n] = (struct iovec){ p->out.data + off, k };
		off += k;
		left -= k;
	}
	return n;
}

static void peer_on_sent(void *ctx, size_t n)
{
	buf_consume(&((struct peer *)ctx)->out, n);
}

static void peer_on_closed(void *ctx, const struct err *why)
{
	struct peer *p = ctx;

	ck_assert(!p->closed);
	p->closed = true;
	p->s = NULL;
	if (why)
		p->why = *why;
}

static const struct stream_ops peer_ops = { .open = peer_on_open,
					    .room = peer_on_room,
					    .got = peer_on_got,
					    .end = peer_on_end,
					    .data = peer_on_data,
					    .sent = peer_on_sent,
					    .closed = peer_on_closed };

static inline void peer_init(struct peer *p)
{
	*p = (struct peer){ .room = SIZE_MAX, .piece = SIZE_MAX, .shut_on_end = true };
	buf_init(&p->in, 64 << 20);
	buf_init(&p->out, 64 << 20);
}

static inline void peer_fini(struct peer *p)
{
	stream_close(p->s);
	buf_fini(&p->in);
	buf_fini(&p->out);
}

/* Appends n bytes that differ from place to place: the same ones each time. */
static inline void peer_fill(struct buf *out, size_t n)
{
	uint8_t *p = buf_reserve(out, n);

	ck_assert_ptr_nonnull(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 31 + i / 251);
	buf_commit(out, n);
}

#endif
