/* wire/socks5.c - see socks5.h */
#include "wire/socks5.h"

#include <assert.h>

#include "base/cursor.h"

enum { METHOD_NONE = 0, METHOD_REFUSED = 0xff };  /* section 3 */
enum { TYPE_V4 = 1, TYPE_NAME = 3, TYPE_V6 = 4 }; /* section 5 */
enum {
	GREETING_HEAD = 2,
	REQUEST_HEAD = 5 /* with the first byte of the address: the length of a name */
};

void socks5_init(struct socks5 *s)
{
	*s = (struct socks5){ 0 };
}

struct bytes socks5_output(const struct socks5 *s)
{
	return bytes_of(s->out, s->n_out);
}

void socks5_sent(struct socks5 *s, size_t n)
{
	assert(n <= s->n_out);
	memmove(s->out, s->out + n, s->n_out - n);
	s->n_out -= n;
}

static void put(struct socks5 *s, const void *data, size_t n)
{
	assert(n <= sizeof s->out - s->n_out);
	memcpy(s->out + s->n_out, data, n);
	s->n_out += n;
}

static void write_addr(struct wr *w, const struct ipport *at)
{
	if (ip_is_v4(&at->ip)) {
		wr_u8(w, TYPE_V4);
		wr_put(w, at->ip.b + 12, 4);
	} else {
		wr_u8(w, TYPE_V6);
		wr_put(w, at->ip.b, 16);
	}
	wr_be16(w, at->port);
}

void socks5_reply(struct socks5 *s, enum socks5_code code, const struct ipport *bound)
{
	const struct ipport none = { .ip = ip_v4(0, 0, 0, 0) };
	uint8_t reply[SOCKS5_REPLY_MAX];
	struct wr w = wr_of(reply, sizeof reply);

	assert(s->state == SOCKS5_AT_REPLY);
	wr_u8(&w, SOCKS5_VERSION);
	wr_u8(&w, (uint8_t)code);
	wr_u8(&w, 0);
	write_addr(&w, bound ? bound : &none);
	put(s, reply, wr_len(&w));
	s->state = SOCKS5_AT_END;
}

/* A name; text that is an address counts as one. false: empty, or bytes that no name has. */
static bool read_name(struct rd *r, struct socks5_addr *a)
{
	const size_t n = rd_u8(r);
	const uint8_t *p = rd_take(r, n);

	if (!p || n == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] >= 0x7f)
			return false;
	memcpy(a->name, p, n);
	a->name[n] = 0;
	if (ip_parse(bytes_of(p, n), &a->at.ip))
		a->name[0] = 0;
	return true;
}

/* Section 5: type, address, port. *known is false for an address type that does not exist. */
static bool read_addr(struct rd *r, struct socks5_addr *a, bool *known)
{
	uint8_t b[16];
	bool ok = true;

	*a = (struct socks5_addr){ 0 };
	*known = true;
	switch (rd_u8(r)) {
	case TYPE_V4:
		rd_copy(r, b, 4);
		a->at.ip = ip_from_v4(b);
		break;
	case TYPE_NAME:
		ok = read_name(r, a);
		break;
	case TYPE_V6:
		rd_copy(r, b, 16);
		a->at.ip = ip_from_v6(b);
		break;
	default:
		*known = ok = false;
		break;
	}
	a->at.port = rd_be16(r);
	return ok;
}

/* Takes bytes until `want` are there; whether they are. */
static bool gather(struct socks5 *s, struct bytes *in, size_t want)
{
	size_t n = MIN_OF(want - s->n_in, in->len);

	if (n > 0)
		memcpy(s->in + s->n_in, in->data, n);
	s->n_in += n;
	in->data += n;
	in->len -= n;
	return s->n_in == want;
}

static enum socks5_event end(struct socks5 *s)
{
	s->state = SOCKS5_AT_END;
	return SOCKS5_CLOSE;
}

static enum socks5_event greeting(struct socks5 *s, struct bytes *in)
{
	if (s->n_in < GREETING_HEAD && !gather(s, in, GREETING_HEAD))
		return SOCKS5_MORE;
	if (s->in[0] != SOCKS5_VERSION)
		return end(s);
	if (!gather(s, in, GREETING_HEAD + s->in[1]))
		return SOCKS5_MORE;
	if (!memchr(s->in + GREETING_HEAD, METHOD_NONE, s->in[1])) {
		put(s, (const uint8_t[]){ SOCKS5_VERSION, METHOD_REFUSED }, 2);
		return end(s);
	}
	put(s, (const uint8_t[]){ SOCKS5_VERSION, METHOD_NONE }, 2);
	s->n_in = 0;
	s->state = SOCKS5_AT_REQUEST;
	return SOCKS5_MORE;
}

/* whole length of the request in s->in, which has its head */
static size_t request_len(const struct socks5 *s)
{
	switch (s->in[3]) {
	case TYPE_V4:
		return 4 + 4 + 2;
	case TYPE_NAME:
		return 4 + 1 + (size_t)s->in[4] + 2;
	case TYPE_V6:
		return 4 + 16 + 2;
	default:
		return REQUEST_HEAD;
	}
}

static enum socks5_event refuse(struct socks5 *s, enum socks5_code code)
{
	s->state = SOCKS5_AT_REPLY;
	socks5_reply(s, code, NULL);
	return SOCKS5_CLOSE;
}

static enum socks5_event request(struct socks5 *s, struct bytes *in)
{
	struct rd r;
	bool known, ok;

	if (s->n_in < REQUEST_HEAD && !gather(s, in, REQUEST_HEAD))
		return SOCKS5_MORE;
	if (s->in[0] != SOCKS5_VERSION)
		return end(s);
	if (!gather(s, in, request_len(s)))
		return SOCKS5_MORE;
	r = rd_of(s->in + 3, s->n_in - 3);
	ok = read_addr(&r, &s->addr, &known);
	if (!known)
		return refuse(s, SOCKS5_NO_ADDRESS_TYPE);
	s->command = s->in[1];
	if (s->command != SOCKS5_CONNECT && s->command != SOCKS5_UDP_ASSOCIATE)
		return refuse(s, SOCKS5_NO_COMMAND);
	if (!ok || !rd_done(&r))
		return refuse(s, SOCKS5_FAILURE);
	s->state = SOCKS5_AT_REPLY;
	return SOCKS5_REQUEST;
}

enum socks5_event socks5_feed(struct socks5 *s, struct bytes in, size_t *used)
{
	const size_t len = in.len;
	enum socks5_event ev = SOCKS5_MORE;

	if (s->state == SOCKS5_AT_GREETING)
		ev = greeting(s, &in);
	if (s->state == SOCKS5_AT_REQUEST)
		ev = request(s, &in);
	*used = len - in.len;
	return ev;
}

bool socks5_udp_parse(struct bytes in, struct socks5_addr *to, struct bytes *payload)
{
	struct rd r = rd_bytes(in);
	uint8_t fragment;
	bool known;

	(void)rd_be16(&r); /* reserved */
	fragment = rd_u8(&r);
	if (!read_addr(&r, to, &known) || !rd_ok(&r) || fragment != 0)
		return false;
	*payload = rd_rest(&r);
	return true;
}

size_t socks5_udp_header(const struct ipport *from, uint8_t out[static SOCKS5_UDP_HEADER_MAX])
{
	struct wr w = wr_of(out, SOCKS5_UDP_HEADER_MAX);

	wr_zero(&w, 3);
	write_addr(&w, from);
	return wr_len(&w);
}
