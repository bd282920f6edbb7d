/* base/cursor.h - the only way to touch foreign bytes
 *
 * A reader that ran out stays failed and yields zeros, so a header is read whole and checked once
 * with rd_ok or rd_done. Lengths inside the data become sub-readers, which cannot see past their
 * end. A writer that ran out stays failed and writes nothing more. No allocation; nothing here owns
 * memory.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

struct rd {
	const uint8_t *p;
	size_t left;
	bool failed;
};

static inline struct rd rd_of(const void *data, size_t len)
{
	return (struct rd){ .p = data, .left = len };
}

static inline struct rd rd_bytes(struct bytes b)
{
	return rd_of(b.data, b.len);
}

/* n bytes, or NULL and failed; n == 0 gives a pointer that must not be read */
static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->failed || r->left < n) {
		r->failed = true;
		r->left = 0;
		return NULL;
	}
	if (n > 0)
		r->p += n;
	r->left -= n;
	return p;
}

static inline bool rd_ok(const struct rd *r) /* nothing has failed so far */
{
	return !r->failed;
}

static inline bool rd_done(const struct rd *r) /* nothing has failed and nothing is left */
{
	return !r->failed && r->left == 0;
}

static inline void rd_skip(struct rd *r, size_t n)
{
	(void)rd_take(r, n);
}

static inline struct rd rd_sub(struct rd *r, size_t n) /* a failed reader when n is too much */
{
	const uint8_t *p = rd_take(r, n);

	return (struct rd){ .p = p, .left = r->failed ? 0 : n, .failed = r->failed };
}

/* From here on no more than n bytes are seen; failed when there are fewer. */
static inline void rd_cut(struct rd *r, size_t n)
{
	if (r->failed || r->left < n) {
		r->failed = true;
		r->left = 0;
	} else {
		r->left = n;
	}
}

static inline struct bytes rd_rest(struct rd *r) /* all that is left, taken */
{
	struct bytes b = { r->p, r->left };

	(void)rd_take(r, r->left);
	return b;
}

/* copies n bytes, or zeros when they are not there */
static inline void rd_copy(struct rd *r, void *out, size_t n)
{
	const uint8_t *p = rd_take(r, n);

	if (n == 0)
		return;
	if (p)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_take(r, 1);

	return p ? p[0] : 0;
}

static inline uint16_t rd_be16(struct rd *r)
{
	const uint8_t *p = rd_take(r, 2);

	return (uint16_t)(p ? p[0] << 8 | p[1] : 0);
}

static inline uint32_t rd_be32(struct rd *r)
{
	const uint8_t *p = rd_take(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline uint64_t rd_be64(struct rd *r)
{
	uint64_t hi = rd_be32(r);

	return hi << 32 | rd_be32(r);
}

static inline uint32_t rd_le32(struct rd *r)
{
	const uint8_t *p = rd_take(r, 4);

	return p ? (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0] : 0;
}

static inline uint64_t rd_le64(struct rd *r)
{
	uint64_t lo = rd_le32(r);

	return (uint64_t)rd_le32(r) << 32 | lo;
}

struct wr {
	uint8_t *start, *p;
	size_t left;
	bool failed;
};

static inline struct wr wr_of(void *buf, size_t cap)
{
	return (struct wr){ .start = buf, .p = buf, .left = cap };
}

static inline uint8_t *wr_room(struct wr *w, size_t n) /* n bytes to fill in, or NULL and failed */
{
	uint8_t *p = w->p;

	if (w->failed || w->left < n) {
		w->failed = true;
		w->left = 0;
		return NULL;
	}
	w->p += n;
	w->left -= n;
	return p;
}

static inline bool wr_ok(const struct wr *w)
{
	return !w->failed;
}

static inline size_t wr_len(const struct wr *w) /* bytes written; 0 when it failed */
{
	return w->failed ? 0 : (size_t)(w->p - w->start);
}

static inline void wr_put(struct wr *w, const void *data, size_t n)
{
	(void)wr_room(w, n);
	if (!w->failed && n > 0) /* asks the flag: gcc 12 warns when the pointer is asked */
		memcpy(w->p - n, data, n);
}

static inline void wr_zero(struct wr *w, size_t n)
{
	uint8_t *p = wr_room(w, n);

	if (p && n > 0)
		memset(p, 0, n);
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	wr_put(w, &v, 1);
}

static inline void wr_be16(struct wr *w, uint16_t v)
{
	const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	wr_put(w, b, sizeof b);
}

static inline void wr_be32(struct wr *w, uint32_t v)
{
	const uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
			       (uint8_t)v };

	wr_put(w, b, sizeof b);
}

static inline void wr_be64(struct wr *w, uint64_t v)
{
	wr_be32(w, (uint32_t)(v >> 32));
	wr_be32(w, (uint32_t)v);
}

static inline void wr_le32(struct wr *w, uint32_t v)
{
	const uint8_t b[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
			       (uint8_t)(v >> 24) };

	wr_put(w, b, sizeof b);
}

static inline void wr_le64(struct wr *w, uint64_t v)
{
	wr_le32(w, (uint32_t)v);
	wr_le32(w, (uint32_t)(v >> 32));
}

#endif
