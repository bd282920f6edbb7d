/* ts2021/link.c - see link.h */
#include "ts2021/link.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"

const uint8_t link_early_magic[5] = { 0xff, 0xff, 0xff, 'T', 'S' };

void link_init(struct link *l, bool is_client)
{
	memset(l, 0, sizeof *l);
	buf_init(&l->out, LINK_OUT_MAX);
	l->early_done = !is_client;
}

void link_fini(struct link *l)
{
	nghttp2_session_del(l->h2);
	l->h2 = NULL;
	channel_fini(&l->ch);
	buf_fini(&l->out);
}

static bool to_h2(struct link *l, struct bytes in)
{
	ssize_t n;

	if (in.len == 0)
		return true;
	n = nghttp2_session_mem_recv(l->h2, in.data, in.len);
	if (n == (ssize_t)in.len)
		return true;
	l->malformed += n != NGHTTP2_ERR_NOMEM;
	l->why = n == NGHTTP2_ERR_NOMEM ? "out of memory" : "malformed HTTP/2";
	return false;
}

/* Takes bytes of the early payload's head: false when they turn out to be HTTP/2 */
static bool early_matches(struct link *l, struct bytes *in)
{
	while (l->early_len < LINK_EARLY_HEAD && in->len > 0) {
		if (l->early_len < sizeof link_early_magic &&
		    in->data[0] != link_early_magic[l->early_len])
			return false;
		l->early[l->early_len++] = in->data[0];
		*in = bytes_of(in->data + 1, in->len - 1);
	}
	return true;
}

static bool take_plain(struct link *l, struct bytes in)
{
	struct rd r;
	size_t n;

	if (l->early_done)
		return to_h2(l, in);
	if (l->early_len < LINK_EARLY_HEAD) {
		if (!early_matches(l, &in)) {
			l->early_done = true;
			return to_h2(l, bytes_of(l->early, l->early_len)) && to_h2(l, in);
		}
		if (l->early_len < LINK_EARLY_HEAD)
			return true;
		r = rd_of(l->early + sizeof link_early_magic, 4);
		l->early_skip = rd_be32(&r);
		if (l->early_skip > LINK_EARLY_MAX) {
			l->why = "the early payload is too long";
			return false;
		}
	}
	n = in.len < l->early_skip ? in.len : l->early_skip;
	l->early_skip -= (uint32_t)n;
	l->early_done = l->early_skip == 0;
	return to_h2(l, bytes_of(in.data + n, in.len - n));
}

/* nghttp2 answers a fault of the other end by GOAWAY and is then done with it */
static void look_for_end(struct link *l)
{
	if (l->h2 && !l->why && !nghttp2_session_want_read(l->h2) &&
	    !nghttp2_session_want_write(l->h2))
		l->why = "the HTTP/2 session ended";
}

bool link_feed(struct link *l, struct bytes in, bool *ready)
{
	uint8_t plain[NOISE_PLAIN_MAX];
	size_t n = 0;

	while (in.len > 0 && !l->why) {
		switch (channel_read(&l->ch, &in, plain, &n)) {
		case CHANNEL_MORE:
			break;
		case CHANNEL_READY:
			*ready = true;
			break;
		case CHANNEL_PLAIN:
			if (!take_plain(l, bytes_of(plain, n)))
				return false;
			break;
		case CHANNEL_BAD:
			l->malformed++;
			l->why = l->ch.why;
			return false;
		}
	}
	look_for_end(l);
	return !l->why;
}

void link_sink(struct link *l, const void *data, size_t len)
{
	assert(l->sunk + len <= LINK_FRAME_MAX);
	memcpy(l->sink + l->sunk, data, len);
	l->sunk += len;
}

/* What HTTP/2 wants to send: a record's worth or what there is, and at most one frame more */
static size_t from_h2(struct link *l, uint8_t plain[static NOISE_PLAIN_MAX + 2 * LINK_FRAME_MAX])
{
	const uint8_t *more = NULL;
	size_t n = 0;
	ssize_t got;

	while (n < NOISE_PLAIN_MAX) {
		l->sink = plain + n;
		l->sunk = 0;
		got = nghttp2_session_mem_send(l->h2, &more);
		n += l->sunk;
		if (got < 0 || got > LINK_FRAME_MAX)
			l->why = "out of memory";
		if (l->why || (got == 0 && l->sunk == 0))
			break;
		if (got > 0)
			memcpy(plain + n, more, (size_t)got);
		n += (size_t)got;
	}
	l->sink = NULL;
	return n;
}

static bool seal(struct link *l, const uint8_t *plain, size_t n)
{
	uint8_t frame[NOISE_FRAME_MAX];
	size_t k, len;

	for (; n > 0; plain += k, n -= k) {
		k = n < NOISE_PLAIN_MAX ? n : NOISE_PLAIN_MAX;
		len = channel_write(&l->ch, plain, k, frame);
		if (len == 0 || !buf_append(&l->out, frame, len)) {
			l->why = len == 0 ? l->ch.why : "out of memory";
			return false;
		}
	}
	return true;
}

static size_t take_out(struct link *l, uint8_t *buf, size_t cap)
{
	size_t n = l->out.len < cap ? l->out.len : cap;

	if (n > 0)
		memcpy(buf, buf_bytes(&l->out).data, n);
	buf_consume(&l->out, n);
	return n;
}

size_t link_pull(struct link *l, uint8_t *buf, size_t cap)
{
	uint8_t plain[NOISE_PLAIN_MAX + 2 * LINK_FRAME_MAX];
	size_t done = take_out(l, buf, cap), n;

	while (done < cap && !l->why && l->h2 && l->ch.state == CHANNEL_OPEN) {
		n = from_h2(l, plain);
		if (n == 0 || !seal(l, plain, n))
			break;
		done += take_out(l, buf + done, cap - done);
	}
	look_for_end(l);
	return done;
}

bool link_has_output(const struct link *l)
{
	if (l->out.len > 0)
		return true;
	return !l->why && l->h2 && l->ch.state == CHANNEL_OPEN && nghttp2_session_want_write(l->h2);
}
