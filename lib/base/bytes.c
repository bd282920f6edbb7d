/* base/bytes.c - see bytes.h */
#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_KEEP = 4096 }; /* an emptied buffer larger than this gives its memory back */

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool bytes_caseeq(struct bytes a, struct bytes b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	return true;
}

bool bytes_to_str(struct bytes a, char *out, size_t cap)
{
	size_t n = a.len < cap ? a.len : cap - 1;

	assert(cap > 0);
	if (n > 0)
		memcpy(out, a.data, n);
	out[n] = 0;
	return n == a.len;
}

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void buf_init_over(struct buf *b, void *mem, size_t size)
{
	assert(size > 0);
	*b = (struct buf){ .data = mem, .cap = size - 1, .max = size - 1, .is_fixed = true };
}

void buf_fini(struct buf *b)
{
	if (b->is_fixed) {
		b->off = b->len = 0;
		return;
	}
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
	size_t want, cap;
	uint8_t *p;

	if (n > b->max - b->len)
		return NULL;
	if (b->off + b->len + n <= b->cap)
		return b->data + b->off + b->len;
	if (b->off > 0) {
		memmove(b->data, b->data + b->off, b->len);
		b->off = 0;
		if (b->len + n <= b->cap)
			return b->data + b->len;
	}
	want = b->len + n;
	cap = b->cap < 256 ? 256 : b->cap * 2;
	if (cap < want)
		cap = want;
	p = realloc(b->data, cap + 1); /* one more, so that a NUL always fits */
	if (!p)
		return NULL;
	b->data = p;
	b->cap = cap;
	return b->data + b->len;
}

void buf_commit(struct buf *b, size_t k)
{
	assert(b->off + b->len + k <= b->cap);
	b->len += k;
}

bool buf_append(struct buf *b, const void *data, size_t n)
{
	uint8_t *p;

	if (n == 0)
		return true;
	p = buf_reserve(b, n);
	if (!p)
		return false;
	memcpy(p, data, n);
	b->len += n;
	return true;
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !(p = (char *)buf_reserve(b, (size_t)n)))
		return false;
	if (n == 0)
		return true;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap); /* its NUL lands in the spare byte */
	va_end(ap);
	b->len += (size_t)n;
	return true;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->off += n;
	b->len -= n;
	if (b->len > 0)
		return;
	b->off = 0;
	if (b->cap > BUF_KEEP)
		buf_fini(b);
}

void buf_clear(struct buf *b)
{
	buf_consume(b, b->len);
}

char *buf_take_str(struct buf *b)
{
	char *s;

	assert(!b->is_fixed);
	if (!b->data)
		return calloc(1, 1);
	if (b->off > 0)
		memmove(b->data, b->data + b->off, b->len);
	b->data[b->len] = 0;
	s = (char *)b->data;
	*b = (struct buf){ .max = b->max };
	return s;
}
