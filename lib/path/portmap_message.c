/* path/portmap_message.c - NAT-PMP and PCP: their messages, and what each answer means */
#include <string.h>

#include "path/portmap_priv.h"

enum { PMP_VERSION = 0, PCP_VERSION = 2, OP_ANSWER = 0x80 };
enum { PMP_OP_ADDRESS = 0, PMP_OP_MAP_UDP = 1 };            /* RFC 6886 3.2, 3.3 */
enum { PCP_OP_ANNOUNCE = 0, PCP_OP_MAP = 1, PCP_UDP = 17 }; /* RFC 6887 7, 11 */
enum { PCP_ERROR_LEAST_S = 30, PCP_ERROR_MOST_S = 1800 };   /* RFC 6887 7.2, 8.1 */

static void send_pmp_address(struct portmap *pm)
{
	struct wr w = portmap_send_open(pm, PORTMAP_PORT);

	wr_u8(&w, PMP_VERSION);
	wr_u8(&w, PMP_OP_ADDRESS);
	portmap_send_close(pm, &w);
}

static void send_pmp_map(struct portmap *pm, uint32_t lifetime)
{
	struct wr w = portmap_send_open(pm, PORTMAP_PORT);

	wr_u8(&w, PMP_VERSION);
	wr_u8(&w, PMP_OP_MAP_UDP);
	wr_be16(&w, 0);
	wr_be16(&w, pm->inside.port);
	wr_be16(&w, lifetime ? pm->wish : 0); /* RFC 6886 3.4: 0 when it is given back */
	wr_be32(&w, lifetime);
	portmap_send_close(pm, &w);
}

static void pcp_header(struct portmap *pm, struct wr *w, uint8_t op, uint32_t lifetime)
{
	wr_u8(w, PCP_VERSION);
	wr_u8(w, op);
	wr_be16(w, 0);
	wr_be32(w, lifetime);
	wr_put(w, pm->inside.ip.b, sizeof pm->inside.ip.b);
}

static void send_pcp_announce(struct portmap *pm)
{
	struct wr w = portmap_send_open(pm, PORTMAP_PORT);

	pcp_header(pm, &w, PCP_OP_ANNOUNCE, 0);
	portmap_send_close(pm, &w);
}

static void send_pcp_map(struct portmap *pm, uint32_t lifetime)
{
	const struct ip none = ip_v4(0, 0, 0, 0);
	struct wr w = portmap_send_open(pm, PORTMAP_PORT);
	const struct ip *suggest =
	    ip_is_zero(&pm->external.ip) || !lifetime ? &none : &pm->external.ip;

	pcp_header(pm, &w, PCP_OP_MAP, lifetime);
	wr_put(&w, pm->nonce, PCP_NONCE);
	wr_u8(&w, PCP_UDP);
	wr_zero(&w, 3);
	wr_be16(&w, pm->inside.port);
	wr_be16(&w, lifetime ? pm->wish : 0);
	wr_put(&w, suggest->b, sizeof suggest->b);
	portmap_send_close(pm, &w);
}

void portmap_send_probes(struct portmap *pm)
{
	send_pmp_address(pm);
	send_pcp_announce(pm);
}

void portmap_send_map(struct portmap *pm, uint32_t lifetime)
{
	if (pm->service == PORTMAP_PMP) {
		if (lifetime && !ip_is_zero(&pm->external.ip))
			send_pmp_address(pm); /* a renewal: is it still the same? */
		send_pmp_map(pm, lifetime);
	} else {
		send_pcp_map(pm, lifetime);
	}
}

static void drop(struct portmap *pm, enum portmap_drop why)
{
	pm->drops[why]++;
}

static void feed_pmp_address(struct portmap *pm, mono_t now, uint16_t result, uint32_t epoch,
			     struct rd *r)
{
	uint8_t v4[4];

	rd_copy(r, v4, sizeof v4);
	if (result != 0) { /* PCP servers say 1 this way; 3: the gateway has no address itself */
		drop(pm, PORTMAP_DROP_REFUSED);
		return;
	}
	if (!rd_ok(r)) {
		drop(pm, PORTMAP_DROP_SHAPE);
		return;
	}
	if (!portmap_epoch(pm, now, PORTMAP_PMP, epoch))
		return;
	portmap_service_seen(pm, now, PORTMAP_PMP);
	pm->pmp_address = ip_from_v4(v4);
	if (pm->service == PORTMAP_PMP && !ip_is_zero(&pm->external.ip) &&
	    !ip_is_unspecified(&pm->pmp_address) && !ip_is_loopback(&pm->pmp_address))
		pm->external.ip = pm->pmp_address; /* it may change under a mapping */
}

static void feed_pmp(struct portmap *pm, mono_t now, struct rd *r)
{
	uint8_t op = rd_u8(r);
	uint16_t result = rd_be16(r);
	uint32_t epoch = rd_be32(r);

	if (op == (OP_ANSWER | PMP_OP_ADDRESS)) {
		feed_pmp_address(pm, now, result, epoch, r);
	} else if (op == (OP_ANSWER | PMP_OP_MAP_UDP)) {
		uint16_t inside = rd_be16(r), outside = rd_be16(r);
		uint32_t lifetime = rd_be32(r);

		if (!rd_ok(r)) {
			drop(pm, PORTMAP_DROP_SHAPE);
		} else if (inside != pm->inside.port || pm->state != PORTMAP_MAPPING ||
			   pm->service != PORTMAP_PMP) {
			drop(pm, PORTMAP_DROP_UNASKED);
		} else if (portmap_epoch(pm, now, PORTMAP_PMP, epoch)) {
			if (result == 0) {
				portmap_held(pm, now, &pm->pmp_address, outside, lifetime);
				return;
			}
			drop(pm, PORTMAP_DROP_REFUSED);
			portmap_ask_failed(pm, now, SPAN_MS(0));
		}
	} else {
		drop(pm, PORTMAP_DROP_SHAPE);
	}
}

/* How long a refusal lasts (RFC 6887 8.1), within bounds of ours. */
static span_t refusal(uint32_t lifetime)
{
	return SPAN_S(MAX_OF(PCP_ERROR_LEAST_S, MIN_OF(lifetime, (uint32_t)PCP_ERROR_MOST_S)));
}

static void feed_pcp_map(struct portmap *pm, mono_t now, uint8_t result, uint32_t lifetime,
			 uint32_t epoch, struct rd *r)
{
	uint8_t nonce[PCP_NONCE], protocol;
	uint16_t inside, outside;
	struct ip address;

	rd_copy(r, nonce, sizeof nonce);
	protocol = rd_u8(r);
	rd_skip(r, 3);
	inside = rd_be16(r);
	outside = rd_be16(r);
	rd_copy(r, address.b, sizeof address.b);
	if (!rd_ok(r)) {
		drop(pm, PORTMAP_DROP_SHAPE);
		return;
	}
	if (pm->state != PORTMAP_MAPPING || pm->service != PORTMAP_PCP ||
	    memcmp(nonce, pm->nonce, sizeof nonce) != 0 || inside != pm->inside.port ||
	    protocol != PCP_UDP) {
		drop(pm, PORTMAP_DROP_UNASKED);
		return;
	}
	if (!portmap_epoch(pm, now, PORTMAP_PCP, epoch))
		return;
	if (result == 0) {
		portmap_held(pm, now, &address, outside, lifetime);
		return;
	}
	drop(pm, PORTMAP_DROP_REFUSED);
	portmap_ask_failed(pm, now, refusal(lifetime));
}

static void feed_pcp(struct portmap *pm, mono_t now, struct rd *r)
{
	uint8_t op = rd_u8(r), result;
	uint32_t lifetime, epoch;

	rd_skip(r, 1);
	result = rd_u8(r);
	lifetime = rd_be32(r);
	epoch = rd_be32(r);
	rd_skip(r, 12);
	if (!rd_ok(r)) {
		drop(pm, PORTMAP_DROP_SHAPE);
	} else if (op == (OP_ANSWER | PCP_OP_MAP)) {
		feed_pcp_map(pm, now, result, lifetime, epoch, r);
	} else if (op != (OP_ANSWER | PCP_OP_ANNOUNCE)) {
		drop(pm, PORTMAP_DROP_SHAPE);
	} else if (result != 0) {
		drop(pm, PORTMAP_DROP_REFUSED);
	} else if (portmap_epoch(pm, now, PORTMAP_PCP, epoch)) {
		portmap_service_seen(pm, now, PORTMAP_PCP);
	}
}

void portmap_feed_message(struct portmap *pm, mono_t now, struct bytes data)
{
	struct rd r = rd_bytes(data);
	uint8_t version = rd_u8(&r);

	if (rd_ok(&r) && version == PMP_VERSION)
		feed_pmp(pm, now, &r);
	else if (rd_ok(&r) && version == PCP_VERSION)
		feed_pcp(pm, now, &r);
	else
		drop(pm, PORTMAP_DROP_SHAPE);
}
