/* derp/queue.c - see queue.h */
#include "derp/queue.h"

#include "base/cursor.h"

#include <assert.h>
#include <stdlib.h>

void derp_pool_trim(struct derp_pool *p)
{
	while (p->spare) {
		struct derp_block *b = p->spare;

		p->spare = b->more;
		free(b);
	}
	p->n_spare = 0;
}

void derp_pool_fini(struct derp_pool *p)
{
	assert(p->n_used == 0);
	derp_pool_trim(p);
}

static struct derp_block *take_block(struct derp_pool *p)
{
	struct derp_block *b = p->spare;

	if (b) {
		p->spare = b->more;
		p->n_spare--;
	} else {
		b = malloc(sizeof *b);
		if (!b)
			return NULL;
	}
	p->n_used++;
	b->more = b->next = NULL;
	b->len = b->n_blocks = 0;
	return b;
}

void derp_pool_release(struct derp_pool *p, struct derp_block *b)
{
	while (b) {
		struct derp_block *more = b->more;

		p->n_used--;
		if (p->n_spare < p->keep) {
			b->more = p->spare;
			p->spare = b;
			p->n_spare++;
		} else {
			free(b);
		}
		b = more;
	}
}

static void copy_out(struct rd *r, uint8_t *to, size_t n)
{
	n = MIN_OF(n, r->left);
	rd_copy(r, to, n);
}

/* fills one block from two parts, the first one first */
static void fill(struct derp_block *b, struct rd *one, struct rd *two)
{
	size_t n = MIN_OF(one->left, (size_t)DERP_BLOCK_DATA);

	copy_out(one, b->data, n);
	copy_out(two, b->data + n, DERP_BLOCK_DATA - n);
}

void derp_queue_push(struct derp_queue *q, struct derp_block *b)
{
	if (q->tail)
		q->tail->next = b;
	else
		q->head = b;
	q->tail = b;
	q->n++;
	q->n_blocks += b->n_blocks;
}

bool derp_queue_put(struct derp_queue *q, struct derp_pool *p, struct bytes one, struct bytes two)
{
	struct rd r1 = rd_bytes(one), r2 = rd_bytes(two);
	size_t n = derp_blocks_for(one.len + two.len);
	struct derp_block *first = NULL, **link = &first;

	assert(n > 0);
	if (n > p->max - p->n_used)
		return false;
	for (size_t i = 0; i < n; i++) {
		*link = take_block(p);
		if (!*link) {
			derp_pool_release(p, first);
			return false;
		}
		fill(*link, &r1, &r2);
		link = &(*link)->more;
	}
	first->len = (uint32_t)(one.len + two.len);
	first->n_blocks = (uint32_t)n;
	derp_queue_push(q, first);
	return true;
}

struct derp_block *derp_queue_take(struct derp_queue *q)
{
	struct derp_block *b = q->head;

	if (!b)
		return NULL;
	q->head = b->next;
	if (!q->head)
		q->tail = NULL;
	b->next = NULL;
	q->n--;
	q->n_blocks -= b->n_blocks;
	return b;
}

size_t derp_queue_clear(struct derp_queue *q, struct derp_pool *p)
{
	size_t n = q->n;

	while (q->head)
		derp_pool_release(p, derp_queue_take(q));
	return n;
}

void derp_writer_init(struct derp_writer *w, size_t control_max)
{
	*w = (struct derp_writer){ .frame = NULL };
	buf_init(&w->control, control_max);
}

void derp_writer_fini(struct derp_writer *w, struct derp_pool *p)
{
	derp_pool_release(p, w->frame);
	buf_fini(&w->control);
	w->frame = w->at = NULL;
}

void derp_writer_begin(struct derp_writer *w, struct derp_block *frame)
{
	assert(!w->frame);
	w->frame = w->at = frame;
	w->off = 0;
	w->left = frame->len;
}

static size_t pull_frame(struct derp_writer *w, struct derp_pool *p, uint8_t *buf, size_t cap)
{
	size_t done = 0;

	while (w->left > 0 && done < cap) {
		size_t n = MIN_OF(w->left, DERP_BLOCK_DATA - w->off);

		n = MIN_OF(n, cap - done);
		memcpy(buf + done, w->at->data + w->off, n);
		done += n;
		w->left -= n;
		w->off += n;
		if (w->off == DERP_BLOCK_DATA) {
			w->at = w->at->more;
			w->off = 0;
		}
	}
	if (w->left == 0) {
		derp_pool_release(p, w->frame);
		w->frame = w->at = NULL;
	}
	return done;
}

size_t derp_writer_pull(struct derp_writer *w, struct derp_pool *p, uint8_t *buf, size_t cap)
{
	size_t done = w->frame ? pull_frame(w, p, buf, cap) : 0, n;

	if (w->frame || w->control.len == 0)
		return done;
	n = MIN_OF(cap - done, w->control.len);
	if (n > 0) {
		memcpy(buf + done, buf_bytes(&w->control).data, n);
		buf_consume(&w->control, n);
	}
	return done + n;
}
