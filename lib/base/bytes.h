/* base/bytes.h - a borrowed stretch of bytes or text, and a growing buffer with a limit
 *
 * `struct bytes` never owns. `struct buf` owns; its limit is given at init and every append beyond
 * it fails.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

struct bytes {
	const uint8_t *data;
	size_t len;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
	return (struct bytes){ data, len };
}

static inline struct bytes bytes_str(const char *s) /* without its NUL */
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static inline bool bytes_eq(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool bytes_eq_str(struct bytes a, const char *s)
{
	return bytes_eq(a, bytes_str(s));
}

/* ASCII without regard to case */
bool bytes_caseeq(struct bytes a, struct bytes b);
/* copies with a terminating NUL, cut to cap - 1; returns whether all of it fitted */
bool bytes_to_str(struct bytes a, char *out, size_t cap);

/* Growing buffer: [off, off + len) of data is live; consuming from the front is cheap. */
struct buf {
	uint8_t *data; /* owned unless is_fixed; NULL when empty */
	size_t off, len, cap, max;
	bool is_fixed;
};

void buf_init(struct buf *b, size_t max); /* nothing is allocated yet; max: limit of live bytes */
/* Over memory of the caller's, which is neither grown nor freed: for secrets, of which a buffer
 * that grows leaves copies behind. Its limit is size - 1; size > 0. */
void buf_init_over(struct buf *b, void *mem, size_t size);
void buf_fini(struct buf *b); /* frees; the struct may be used again as empty, same max */
/* Both return false (nothing appended) when memory or the limit ran out. */
MUST_USE bool buf_append(struct buf *b, const void *data, size_t n);
MUST_USE bool buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Room for n more bytes at the end, or NULL; valid until the next call; buf_commit makes k <= n of
 * them live. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t k);
void buf_consume(struct buf *b, size_t n); /* drop n <= len from the front; frees all memory when it
					      becomes empty and was large */
void buf_clear(struct buf *b);
/* not for buf_init_over; hands the memory over (live bytes moved to its start), NUL-terminated;
 * caller frees; NULL: out of memory */
char *buf_take_str(struct buf *b);

static inline struct bytes buf_bytes(const struct buf *b)
{
	return (struct bytes){ b->data ? b->data + b->off : NULL, b->len };
}

#endif
