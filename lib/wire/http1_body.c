/* wire/http1_body.c - where a body ends and what of it is content (RFC 9112 6, 7.1) */
#include "wire/http1.h"

#include "base/text.h"

enum body_state {
	BODY_SIZE,    /* hex digits of a chunk's size */
	BODY_EXT,     /* its extensions: skipped */
	BODY_SIZE_LF, /* the CR was seen */
	BODY_DATA,    /* content, `left` bytes */
	BODY_DATA_CR, /* behind a chunk's content */
	BODY_DATA_LF,
	BODY_TRAILER, /* at the start of a trailer line */
	BODY_TRAILER_LINE,
	BODY_TRAILER_LF,
	BODY_LAST_LF, /* CR of the empty line was seen */
	BODY_DONE,
	BODY_FAILED,
};

enum { CHUNK_DIGITS_MAX = 15 }; /* a size below 2^60 */

void http1_body_init(struct http1_body *b, const struct http1_head *h)
{
	*b = (struct http1_body){ .framing = h->framing };
	switch (h->framing) {
	case HTTP1_BODY_NONE:
		b->state = BODY_DONE;
		break;
	case HTTP1_BODY_LENGTH:
		b->left = h->content_length;
		b->state = b->left > 0 ? BODY_DATA : BODY_DONE;
		break;
	case HTTP1_BODY_CHUNKED:
		b->state = BODY_SIZE;
		break;
	case HTTP1_BODY_CLOSE:
		b->left = UINT64_MAX;
		b->state = BODY_DATA;
		break;
	}
}

static bool is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

/* a byte of the line "size [; extensions] CR" */
static enum body_state size_byte(struct http1_body *b, uint8_t c)
{
	int v = hex_value(c);

	if (++b->line > HTTP1_CHUNK_LINE_MAX)
		return BODY_FAILED;
	if (b->state == BODY_SIZE && v >= 0) {
		if (++b->digits > CHUNK_DIGITS_MAX)
			return BODY_FAILED;
		b->left = b->left << 4 | (uint64_t)v;
		return BODY_SIZE;
	}
	if (b->digits == 0)
		return BODY_FAILED;
	if (c == '\r')
		return BODY_SIZE_LF;
	if (b->state == BODY_SIZE && c != ';' && c != ' ' && c != '\t')
		return BODY_FAILED;
	return is_text(c) ? BODY_EXT : BODY_FAILED;
}

static enum body_state size_line_ended(struct http1_body *b)
{
	b->digits = 0;
	b->line = 0; /* from here on it counts the trailers */
	return b->left > 0 ? BODY_DATA : BODY_TRAILER;
}

static enum body_state trailer_byte(struct http1_body *b, uint8_t c)
{
	if (++b->line > HTTP1_TRAILER_MAX)
		return BODY_FAILED;
	if (c == '\r')
		return b->state == BODY_TRAILER ? BODY_LAST_LF : BODY_TRAILER_LF;
	return is_text(c) ? BODY_TRAILER_LINE : BODY_FAILED;
}

/* a byte that belongs to the framing */
static enum body_state frame_byte(struct http1_body *b, uint8_t c)
{
	switch ((enum body_state)b->state) {
	case BODY_SIZE:
	case BODY_EXT:
		return size_byte(b, c);
	case BODY_SIZE_LF:
		return c == '\n' ? size_line_ended(b) : BODY_FAILED;
	case BODY_DATA_CR:
		return c == '\r' ? BODY_DATA_LF : BODY_FAILED;
	case BODY_DATA_LF:
		return c == '\n' ? BODY_SIZE : BODY_FAILED;
	case BODY_TRAILER:
	case BODY_TRAILER_LINE:
		return trailer_byte(b, c);
	case BODY_TRAILER_LF:
		return c == '\n' ? BODY_TRAILER : BODY_FAILED;
	case BODY_LAST_LF:
		return c == '\n' ? BODY_DONE : BODY_FAILED;
	case BODY_DATA:
	case BODY_DONE:
	case BODY_FAILED:
		break;
	}
	return BODY_FAILED;
}

static struct bytes take_data(struct http1_body *b, struct bytes in)
{
	if (in.len > b->left)
		in.len = (size_t)b->left;
	if (b->framing == HTTP1_BODY_CLOSE)
		return in;
	b->left -= in.len;
	if (b->left == 0)
		b->state = b->framing == HTTP1_BODY_CHUNKED ? BODY_DATA_CR : BODY_DONE;
	return in;
}

enum http1_body_result http1_body_feed(struct http1_body *b, struct bytes in, size_t *used,
				       struct bytes *piece)
{
	size_t i = 0;

	*piece = (struct bytes){ NULL, 0 };
	while (b->state != BODY_DONE && b->state != BODY_FAILED && i < in.len) {
		if (b->state == BODY_DATA) {
			*piece = take_data(b, bytes_of(in.data + i, in.len - i));
			*used = i + piece->len;
			return HTTP1_BODY_DATA;
		}
		b->state = frame_byte(b, in.data[i++]);
	}
	*used = i;
	if (b->state == BODY_FAILED)
		return HTTP1_BODY_BAD;
	return b->state == BODY_DONE ? HTTP1_BODY_END : HTTP1_BODY_MORE;
}

bool http1_body_eof(struct http1_body *b)
{
	if (b->framing == HTTP1_BODY_CLOSE && b->state == BODY_DATA)
		b->state = BODY_DONE;
	if (b->state != BODY_DONE)
		b->state = BODY_FAILED;
	return b->state == BODY_DONE;
}
