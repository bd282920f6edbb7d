/* wire/tcp.c - see tcp.h */
#include "wire/tcp.h"

#include "base/cursor.h"
#include "wire/packet.h"

enum { OPT_END, OPT_NOP, OPT_MSS, OPT_WSCALE, OPT_SACK_PERMITTED, OPT_SACK, OPT_TS = 8 };
enum {
	OPT_MSS_LEN = 4,
	OPT_WSCALE_LEN = 3,
	OPT_SACK_PERMITTED_LEN = 2,
	OPT_TS_LEN = 10,
	SACK_LEN = 8
};

static void parse_sack(struct rd r, struct tcp_head *h)
{
	if (r.left % SACK_LEN != 0)
		return;
	while (r.left > 0 && h->n_sack < TCP_SACK_MAX) {
		h->sack[h->n_sack].start = rd_be32(&r);
		h->sack[h->n_sack].end = rd_be32(&r);
		h->n_sack++;
	}
}

static void parse_option(uint8_t kind, struct rd r, struct tcp_head *h)
{
	switch (kind) {
	case OPT_MSS:
		if (r.left == OPT_MSS_LEN - 2 && h->flags & TCP_SYN) {
			h->has_mss = true;
			h->mss = rd_be16(&r);
		}
		break;
	case OPT_WSCALE:
		if (r.left == OPT_WSCALE_LEN - 2 && h->flags & TCP_SYN) {
			h->has_wscale = true;
			h->wscale = rd_u8(&r);
			if (h->wscale > TCP_WSCALE_MAX) /* RFC 7323 2.3 */
				h->wscale = TCP_WSCALE_MAX;
		}
		break;
	case OPT_SACK_PERMITTED:
		if (r.left == 0 && h->flags & TCP_SYN)
			h->sack_permitted = true;
		break;
	case OPT_SACK:
		parse_sack(r, h);
		break;
	case OPT_TS:
		if (r.left == OPT_TS_LEN - 2) {
			h->has_ts = true;
			h->tsval = rd_be32(&r);
			h->tsecr = rd_be32(&r);
		}
		break;
	default: /* RFC 9293 3.1 MUST-6: skip what we do not know */
		break;
	}
}

static void parse_options(struct rd r, struct tcp_head *h)
{
	/* RFC 7323 appendix A: NOP NOP TS is what nearly every segment carries */
	if (r.left == 12 && r.p[0] == OPT_NOP && r.p[1] == OPT_NOP && r.p[2] == OPT_TS &&
	    r.p[3] == OPT_TS_LEN) {
		rd_skip(&r, 4);
		h->has_ts = true;
		h->tsval = rd_be32(&r);
		h->tsecr = rd_be32(&r);
		return;
	}
	while (r.left > 0) {
		uint8_t kind = rd_u8(&r), len;
		struct rd body;

		if (kind == OPT_END)
			return;
		if (kind == OPT_NOP)
			continue;
		len = rd_u8(&r);
		if (len < 2)
			return;
		body = rd_sub(&r, len - 2u);
		if (!rd_ok(&r))
			return;
		parse_option(kind, body, h);
	}
}

bool tcp_parse(const uint8_t *data, size_t len, struct tcp_head *h)
{
	struct rd r = rd_of(data, len);

	*h = (struct tcp_head){ 0 };
	h->sport = rd_be16(&r);
	h->dport = rd_be16(&r);
	h->seq = rd_be32(&r);
	h->ack = rd_be32(&r);
	h->head_len = (uint8_t)((rd_u8(&r) >> 4) * 4);
	h->flags = rd_u8(&r);
	h->wnd = rd_be16(&r);
	rd_skip(&r, 2);
	h->urgent = rd_be16(&r);
	if (!rd_ok(&r) || h->head_len < TCP_HEAD_LEN || h->head_len > len)
		return false;
	if (h->head_len > TCP_HEAD_LEN)
		parse_options(rd_sub(&r, (size_t)h->head_len - TCP_HEAD_LEN), h);
	return true;
}

static void emit_options(struct wr *w, const struct tcp_head *h)
{
	size_t n = h->n_sack;

	if (h->has_mss) {
		wr_u8(w, OPT_MSS);
		wr_u8(w, OPT_MSS_LEN);
		wr_be16(w, h->mss);
	}
	if (h->has_wscale) {
		wr_u8(w, OPT_NOP);
		wr_u8(w, OPT_WSCALE);
		wr_u8(w, OPT_WSCALE_LEN);
		wr_u8(w, h->wscale);
	}
	if (h->sack_permitted) {
		wr_u8(w, OPT_NOP);
		wr_u8(w, OPT_NOP);
		wr_u8(w, OPT_SACK_PERMITTED);
		wr_u8(w, OPT_SACK_PERMITTED_LEN);
	}
	if (h->has_ts) {
		wr_u8(w, OPT_NOP);
		wr_u8(w, OPT_NOP);
		wr_u8(w, OPT_TS);
		wr_u8(w, OPT_TS_LEN);
		wr_be32(w, h->tsval);
		wr_be32(w, h->tsecr);
	}
	if (n > 0 && n > (w->left - 4) / SACK_LEN)
		n = (w->left - 4) / SACK_LEN;
	if (n == 0)
		return;
	wr_u8(w, OPT_NOP);
	wr_u8(w, OPT_NOP);
	wr_u8(w, OPT_SACK);
	wr_u8(w, (uint8_t)(2 + n * SACK_LEN));
	for (size_t i = 0; i < n; i++) {
		wr_be32(w, h->sack[i].start);
		wr_be32(w, h->sack[i].end);
	}
}

size_t tcp_emit(uint8_t out[static TCP_HEAD_MAX], const struct tcp_head *h)
{
	struct wr w = wr_of(out, TCP_HEAD_MAX);

	wr_be16(&w, h->sport);
	wr_be16(&w, h->dport);
	wr_be32(&w, h->seq);
	wr_be32(&w, h->ack);
	wr_zero(&w, 1);
	wr_u8(&w, h->flags);
	wr_be16(&w, h->wnd);
	wr_zero(&w, 2);
	wr_be16(&w, h->urgent);
	emit_options(&w, h);
	out[12] = (uint8_t)(wr_len(&w) / 4 << 4);
	return wr_len(&w);
}
