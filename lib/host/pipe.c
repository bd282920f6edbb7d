/* host/pipe.c - see pipe.h */
#include "host/pipe.h"

#include <stdlib.h>

#include "os/stream.h"

struct end {
	struct host_pipe *pipe;
	struct end *other;
	struct stream *s; /* NULL: gone */
	uint8_t *mem; /* PIPE_BUFFER bytes read from s and not yet sent to the other; NULL: none */
	size_t off, len;
	bool ended; /* s sent its end */
};

struct host_pipe {
	struct end a, b;
	struct host_pipes *set;
	struct host_pipe *next, *prev;
};

static void end_release(struct end *e)
{
	free(e->mem);
	e->mem = NULL;
	e->off = e->len = 0;
}

static void pipe_free(struct host_pipe *p)
{
	if (p->prev)
		p->prev->next = p->next;
	else
		p->set->first = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->set->n--;
	end_release(&p->a);
	end_release(&p->b);
	free(p);
}

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct end *e = ctx;

	(void)max;
	if (!e->other->s)
		end_release(e); /* nobody wants it; the end is near */
	if (!e->mem && !(e->mem = malloc(PIPE_BUFFER)))
		return 0;
	if (e->len == 0)
		e->off = 0;
	v[0] = (struct iovec){ e->mem + e->off + e->len, PIPE_BUFFER - e->off - e->len };
	return v[0].iov_len > 0;
}

static void on_got(void *ctx, size_t n)
{
	struct end *e = ctx;

	e->len += n;
	if (e->other->s)
		stream_kick(e->other->s);
	else
		e->len = 0;
}

static void on_end(void *ctx)
{
	struct end *e = ctx;

	e->ended = true;
	if (e->other->s)
		stream_kick(e->other->s);
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct end *e = ctx, *from = e->other;

	(void)max;
	if (from->len == 0) {
		end_release(from);
		if (from->ended)
			stream_shutdown(e->s);
		return 0;
	}
	v[0] = (struct iovec){ from->mem + from->off, from->len };
	return 1;
}

static void on_sent(void *ctx, size_t n)
{
	struct end *e = ctx, *from = e->other;

	from->off += n;
	from->len -= n;
	if (from->s && (from->len == 0 || from->off >= PIPE_BUFFER / 2)) {
		if (from->len > 0) { /* room is made in one piece */
			memmove(from->mem, from->mem + from->off, from->len);
			from->off = 0;
		}
		stream_resume(from->s);
	}
}

static void on_closed(void *ctx, const struct err *why)
{
	struct end *e = ctx, *other = e->other;

	e->s = NULL;
	if (!other->s) {
		pipe_free(e->pipe);
	} else if (why) { /* torn on this side: torn on that side */
		stream_reset(other->s);
		pipe_free(e->pipe);
	} else {
		stream_kick(other->s); /* what e sent is still on its way */
	}
}

static const struct stream_ops ops = {
	.room = on_room,
	.got = on_got,
	.end = on_end,
	.data = on_data,
	.sent = on_sent,
	.closed = on_closed,
};

static bool preload(struct end *e, struct bytes early)
{
	if (early.len == 0)
		return true;
	if (early.len > PIPE_BUFFER || !(e->mem = malloc(PIPE_BUFFER)))
		return false;
	memcpy(e->mem, early.data, early.len);
	e->len = early.len;
	return true;
}

void host_pipe_join(struct host_pipes *set, struct stream *a, struct bytes from_a, struct stream *b,
		    struct bytes from_b)
{
	struct host_pipe *p = calloc(1, sizeof *p);

	if (!p) {
		stream_reset(a);
		stream_reset(b);
		return;
	}
	p->set = set;
	p->next = set->first;
	if (set->first)
		set->first->prev = p;
	set->first = p;
	set->n++;
	p->a = (struct end){ .pipe = p, .other = &p->b, .s = a, .ended = stream_has_ended(a) };
	p->b = (struct end){ .pipe = p, .other = &p->a, .s = b, .ended = stream_has_ended(b) };
	if (!preload(&p->a, from_a) || !preload(&p->b, from_b)) {
		stream_reset(a);
		stream_reset(b);
		pipe_free(p);
		return;
	}
	stream_set_ops(a, &ops, &p->a);
	stream_set_ops(b, &ops, &p->b);
	stream_kick(a);
	stream_kick(b);
	stream_resume(a);
	stream_resume(b);
}

void host_pipes_close(struct host_pipes *set)
{
	while (set->first) {
		stream_close(set->first->a.s);
		stream_close(set->first->b.s);
		pipe_free(set->first);
	}
}
