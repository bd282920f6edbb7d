/* wire/tsmp.c - see tsmp.h */
#include "wire/tsmp.h"

#include "base/cursor.h"
#include "wire/packet.h"

bool tsmp_parse(struct bytes body, struct tsmp *out)
{
	struct rd r = rd_bytes(body);

	if (body.len < TSMP_BODY_MIN)
		return false;
	*out = (struct tsmp){ .kind = rd_u8(&r) };
	switch (out->kind) {
	case TSMP_PING:
		rd_copy(&r, out->data, 8);
		return rd_ok(&r);
	case TSMP_PONG:
		rd_copy(&r, out->data, 8);
		out->peerapi_port = rd_be16(&r);
		return rd_ok(&r);
	case TSMP_DISCO_KEY:
		rd_copy(&r, out->disco_key, 32);
		return rd_ok(&r);
	case TSMP_REJECT:
		out->proto = rd_u8(&r);
		out->reason = rd_u8(&r);
		out->sport = rd_be16(&r);
		out->dport = rd_be16(&r);
		if (body.len > TSMP_BODY_MIN) /* flags; an older peer sends none */
			out->maybe_broken = rd_u8(&r) & 1;
		return rd_ok(&r);
	}
	return false;
}

static void body_emit(struct wr *w, const struct tsmp *m)
{
	wr_u8(w, (uint8_t)m->kind);
	switch (m->kind) {
	case TSMP_PING:
		wr_put(w, m->data, 8);
		break;
	case TSMP_PONG:
		wr_put(w, m->data, 8);
		wr_be16(w, m->peerapi_port);
		break;
	case TSMP_DISCO_KEY:
		wr_put(w, m->disco_key, 32);
		break;
	case TSMP_REJECT:
		wr_u8(w, m->proto);
		wr_u8(w, m->reason);
		wr_be16(w, m->sport);
		wr_be16(w, m->dport);
		if (m->maybe_broken)
			wr_u8(w, 1);
		break;
	}
}

/* RFC 791: the one's complement sum of a 20-byte header whose checksum field is zero */
static uint16_t header_sum(const uint8_t h[static 20])
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(h[i] << 8 | h[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void ip4_emit(struct wr *w, const struct ip *src, const struct ip *dst, size_t len)
{
	uint8_t h[20] = { 0x45, 0, (uint8_t)(len >> 8), (uint8_t)len, 0, 0, 0, 0, 64, PROTO_TSMP };
	uint16_t sum;

	memcpy(h + 12, src->b + 12, 4);
	memcpy(h + 16, dst->b + 12, 4);
	sum = header_sum(h);
	h[10] = (uint8_t)(sum >> 8);
	h[11] = (uint8_t)sum;
	wr_put(w, h, sizeof h);
}

size_t tsmp_emit(const struct tsmp *m, const struct ip *src, const struct ip *dst,
		 uint8_t out[static TSMP_PACKET_MAX])
{
	uint8_t body[TSMP_BODY_MAX];
	struct wr b = wr_of(body, sizeof body), w = wr_of(out, TSMP_PACKET_MAX);

	body_emit(&b, m);
	if (wr_len(&b) < TSMP_BODY_MIN || ip_is_v4(src) != ip_is_v4(dst))
		return 0;
	if (ip_is_v4(src)) {
		ip4_emit(&w, src, dst, 20 + wr_len(&b));
	} else {
		wr_be32(&w, 6U << 28);
		wr_be16(&w, (uint16_t)wr_len(&b));
		wr_u8(&w, PROTO_TSMP);
		wr_u8(&w, 64);
		wr_put(&w, src->b, 16);
		wr_put(&w, dst->b, 16);
	}
	wr_put(&w, body, wr_len(&b));
	return wr_len(&w);
}
