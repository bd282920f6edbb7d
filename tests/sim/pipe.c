/* tests/sim/pipe.c - one direction of a reliable stream: bytes in order, each with a time of
 * arrival */
#include "tests/sim/sim_priv.h"

void pipe_init(struct pipe *p)
{
	p->head = p->n = 0;
	buf_init(&p->bytes, 4 * SIM_WINDOW);
	p->close_at = INT64_MAX;
	p->blocked = false;
}

void pipe_fini(struct pipe *p)
{
	buf_fini(&p->bytes);
	p->n = 0;
}

size_t pipe_room(const struct pipe *p)
{
	return p->bytes.len < SIM_WINDOW ? SIM_WINDOW - p->bytes.len : 0;
}

void pipe_put(struct pipe *p, int64_t at, const uint8_t *data, size_t len)
{
	size_t last = (p->head + p->n + SIM_CHUNKS - 1) % SIM_CHUNKS;

	ck_assert(buf_append(&p->bytes, data, len));
	if (p->n > 0 && p->chunk[last].at > at) /* a stream never overtakes itself */
		at = p->chunk[last].at;
	if (p->n > 0 && (p->n == SIM_CHUNKS || p->chunk[last].at == at)) {
		p->chunk[last].at = at;
		p->chunk[last].len += len;
		return;
	}
	last = (p->head + p->n++) % SIM_CHUNKS;
	p->chunk[last].at = at;
	p->chunk[last].len = len;
}

void pipe_close(struct pipe *p, int64_t at)
{
	size_t last = (p->head + p->n + SIM_CHUNKS - 1) % SIM_CHUNKS;

	p->close_at = p->n > 0 && p->chunk[last].at > at ? p->chunk[last].at : at;
}

struct bytes pipe_due(const struct pipe *p, int64_t now)
{
	size_t len = 0;

	for (size_t i = 0; i < p->n; i++) {
		size_t k = (p->head + i) % SIM_CHUNKS;

		if (p->chunk[k].at > now)
			break;
		len += p->chunk[k].len;
	}
	return bytes_of(buf_bytes(&p->bytes).data, len);
}

bool pipe_take(struct pipe *p, size_t n)
{
	bool waited = p->blocked;

	buf_consume(&p->bytes, n);
	while (n > 0) {
		size_t part = p->chunk[p->head].len < n ? p->chunk[p->head].len : n;

		n -= part;
		p->chunk[p->head].len -= part;
		if (p->chunk[p->head].len == 0) {
			p->head = (p->head + 1) % SIM_CHUNKS;
			p->n--;
		}
	}
	p->blocked = false;
	return waited;
}

bool pipe_ended(const struct pipe *p, int64_t now)
{
	return p->n == 0 && p->close_at <= now;
}

int64_t pipe_next(const struct pipe *p)
{
	return p->n > 0 ? p->chunk[p->head].at : p->close_at;
}
