/* path/portmap.c - see portmap.h
 *
 * Both services are probed at once; after 250 ms NAT-PMP is preferred to PCP if both answered. A
 * map request is repeated with doubling pauses for 5 s at most, then the other service gets its
 * turn, then there is quiet for five minutes. A mapping is renewed at half its life; one that is
 * not renewed ends with its life. An epoch that runs backwards says that the gateway restarted and
 * forgot us: the mapping is dropped and everything starts anew.
 */
#include "path/portmap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

enum { PMP_VERSION = 0, PCP_VERSION = 2, OP_ANSWER = 0x80 };
enum { PMP_OP_ADDRESS = 0, PMP_OP_MAP_UDP = 1 };            /* RFC 6886 3.2, 3.3 */
enum { PCP_OP_ANNOUNCE = 0, PCP_OP_MAP = 1, PCP_UDP = 17 }; /* RFC 6887 7, 11 */
enum { PCP_NONCE = 12, LIFETIME_S = 7200 };
enum { /* data-plane.md 4.5 */
       PROBE_WAIT_MS = 250,
       SEEN_MS = 600 * 1000,
       MAP_MS = 5000,
};
enum {                        /* ours */
       QUIET_MS = 300 * 1000, /* until the next probe when nobody maps */
       RENEW_LEAST_S = 30,    /* a gateway that gives shorter lives is not asked more often */
       SENDS_MAX = 4,
};

enum service { PMP, PCP, SERVICES };
enum state { OFF, PROBING, MAPPING, HELD, QUIET };

struct portmap {
	struct rng *rng;
	enum state state;
	enum service service;
	struct ip gateway;
	struct ipport inside;
	struct {
		mono_t seen_at;
		bool is_seen, has_epoch;
		uint32_t epoch;
	} by[SERVICES];
	struct ip pmp_address; /* NAT-PMP tells the address apart from the port */
	uint8_t nonce[PCP_NONCE];
	struct ipport external, told; /* told: at the last portmap_changed */
	mono_t expires;               /* of the mapping */
	mono_t give_up_at, due;
	span_t pause;
	struct portmap_send sends[SENDS_MAX];
	size_t n_sends;
};

struct portmap *portmap_new(struct rng *rng)
{
	struct portmap *pm = calloc(1, sizeof *pm);

	if (!pm)
		return NULL;
	pm->rng = rng;
	pm->due = pm->expires = MONO_NEVER;
	return pm;
}

void portmap_free(struct portmap *pm)
{
	free(pm);
}

static struct wr send_open(struct portmap *pm, struct portmap_send **s)
{
	if (pm->n_sends == SENDS_MAX) { /* the host does not pull: the oldest is worth least */
		memmove(pm->sends, pm->sends + 1, (SENDS_MAX - 1) * sizeof pm->sends[0]);
		pm->n_sends--;
	}
	*s = &pm->sends[pm->n_sends++];
	(*s)->to = (struct ipport){ pm->gateway, PORTMAP_PORT };
	return wr_of((*s)->data, sizeof(*s)->data);
}

static void send_pmp_address(struct portmap *pm)
{
	struct portmap_send *s;
	struct wr w = send_open(pm, &s);

	wr_u8(&w, PMP_VERSION);
	wr_u8(&w, PMP_OP_ADDRESS);
	s->len = wr_len(&w);
}

static void send_pmp_map(struct portmap *pm, uint32_t lifetime)
{
	struct portmap_send *s;
	struct wr w = send_open(pm, &s);

	wr_u8(&w, PMP_VERSION);
	wr_u8(&w, PMP_OP_MAP_UDP);
	wr_be16(&w, 0);
	wr_be16(&w, pm->inside.port);
	wr_be16(&w, lifetime ? pm->external.port : 0); /* RFC 6886 3.4: 0 when it is given back */
	wr_be32(&w, lifetime);
	s->len = wr_len(&w);
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
	struct portmap_send *s;
	struct wr w = send_open(pm, &s);

	pcp_header(pm, &w, PCP_OP_ANNOUNCE, 0);
	s->len = wr_len(&w);
}

static void send_pcp_map(struct portmap *pm, uint32_t lifetime)
{
	const struct ip none = ip_v4(0, 0, 0, 0);
	struct portmap_send *s;
	struct wr w = send_open(pm, &s);
	const struct ip *suggest =
	    ip_is_zero(&pm->external.ip) || !lifetime ? &none : &pm->external.ip;

	pcp_header(pm, &w, PCP_OP_MAP, lifetime);
	wr_put(&w, pm->nonce, PCP_NONCE);
	wr_u8(&w, PCP_UDP);
	wr_zero(&w, 3);
	wr_be16(&w, pm->inside.port);
	wr_be16(&w, lifetime ? pm->external.port : 0);
	wr_put(&w, suggest->b, sizeof suggest->b);
	s->len = wr_len(&w);
}

static void send_map(struct portmap *pm, uint32_t lifetime)
{
	if (pm->service == PMP)
		send_pmp_map(pm, lifetime);
	else
		send_pcp_map(pm, lifetime);
}

static void mapping_drop(struct portmap *pm)
{
	pm->external = (struct ipport){ 0 };
	pm->expires = MONO_NEVER;
}

static void probe(struct portmap *pm, mono_t now)
{
	pm->state = PROBING;
	for (int i = 0; i < SERVICES; i++)
		pm->by[i].is_seen = pm->by[i].has_epoch = false;
	rng_fill(pm->rng, pm->nonce, sizeof pm->nonce);
	send_pmp_address(pm);
	send_pcp_announce(pm);
	pm->due = mono_add(now, SPAN_MS(PROBE_WAIT_MS));
}

static void quiet(struct portmap *pm, mono_t now)
{
	pm->state = QUIET;
	pm->due = mono_add(now, SPAN_MS(QUIET_MS));
}

/* asks the service for the port, or for more time */
static void ask(struct portmap *pm, mono_t now, enum service service)
{
	pm->state = MAPPING;
	pm->service = service;
	pm->pause = SPAN_MS(PROBE_WAIT_MS);
	pm->give_up_at = mono_add(now, SPAN_MS(MAP_MS));
	pm->due = mono_add(now, pm->pause);
	send_map(pm, LIFETIME_S);
}

/* Not renewed, yet it lives on until its end: try again half way there. */
static void hold_on(struct portmap *pm, mono_t now)
{
	span_t half = { mono_sub(pm->expires, now).ns / 2 };

	if (half.ns < SPAN_S(RENEW_LEAST_S).ns)
		half = SPAN_S(RENEW_LEAST_S);
	pm->state = HELD;
	pm->due = mono_min(mono_add(now, half), pm->expires);
}

static void ask_failed(struct portmap *pm, mono_t now)
{
	bool held = !ip_is_zero(&pm->external.ip);

	if (pm->service == PMP && pm->by[PCP].is_seen && !held)
		ask(pm, now, PCP);
	else if (held)
		hold_on(pm, now);
	else
		quiet(pm, now);
}

void portmap_set(struct portmap *pm, mono_t now, const struct ip *gateway,
		 const struct ipport *inside)
{
	if (ip_eq(gateway, &pm->gateway) && ipport_eq(inside, &pm->inside))
		return;
	if (!ip_is_zero(&pm->external.ip))
		send_map(pm, 0);
	mapping_drop(pm);
	pm->gateway = *gateway;
	pm->inside = *inside;
	pm->pmp_address = (struct ip){ 0 };
	if (ip_is_v4(gateway) && ip_is_v4(&inside->ip)) {
		probe(pm, now);
	} else {
		pm->state = OFF;
		pm->due = MONO_NEVER;
	}
}

void portmap_tick(struct portmap *pm, mono_t now)
{
	if (mono_due(pm->expires, now))
		mapping_drop(pm);
	if (!mono_due(pm->due, now))
		return;
	switch (pm->state) {
	case OFF:
		pm->due = MONO_NEVER;
		break;
	case PROBING:
		if (pm->by[PMP].is_seen || pm->by[PCP].is_seen)
			ask(pm, now, pm->by[PMP].is_seen ? PMP : PCP);
		else
			quiet(pm, now);
		break;
	case MAPPING:
		if (mono_due(pm->give_up_at, now)) {
			ask_failed(pm, now);
			break;
		}
		pm->pause.ns *= 2;
		pm->due = mono_min(mono_add(now, pm->pause), pm->give_up_at);
		send_map(pm, LIFETIME_S);
		break;
	case HELD:
		if (ip_is_zero(&pm->external.ip))
			probe(pm, now);
		else
			ask(pm, now, pm->service);
		break;
	case QUIET:
		probe(pm, now);
		break;
	}
}

mono_t portmap_deadline(const struct portmap *pm)
{
	return mono_min(pm->due, pm->expires);
}

static void held(struct portmap *pm, mono_t now, const struct ip *address, uint16_t port,
		 uint32_t lifetime)
{
	uint32_t renew = MAX_OF(lifetime / 2, (uint32_t)RENEW_LEAST_S);

	if (ip_is_unspecified(address) || ip_is_loopback(address) || !ip_is_v4(address) ||
	    port == 0 || lifetime == 0) {
		ask_failed(pm, now);
		return;
	}
	pm->external = (struct ipport){ *address, port };
	pm->state = HELD;
	pm->expires = mono_add(now, SPAN_S(lifetime));
	pm->due = mono_add(now, SPAN_S(renew));
}

/* true: go on. false: the gateway restarted, and everything starts anew. */
static bool seen(struct portmap *pm, mono_t now, enum service service, uint32_t epoch)
{
	bool backwards = pm->by[service].has_epoch && epoch < pm->by[service].epoch;

	pm->by[service].is_seen = pm->by[service].has_epoch = true;
	pm->by[service].seen_at = now;
	pm->by[service].epoch = epoch;
	if (!backwards)
		return true;
	mapping_drop(pm);
	probe(pm, now);
	return false;
}

static void feed_pmp(struct portmap *pm, mono_t now, struct rd *r)
{
	uint8_t op = rd_u8(r);
	uint16_t result = rd_be16(r);
	uint32_t epoch = rd_be32(r);

	if (op == (OP_ANSWER | PMP_OP_ADDRESS)) {
		const uint8_t *v4 = rd_take(r, 4);

		if (!rd_ok(r) || result != 0 || !seen(pm, now, PMP, epoch))
			return;
		pm->pmp_address = ip_from_v4(v4);
	} else if (op == (OP_ANSWER | PMP_OP_MAP_UDP)) {
		uint16_t inside = rd_be16(r), outside = rd_be16(r);
		uint32_t lifetime = rd_be32(r);

		if (!rd_ok(r) || inside != pm->inside.port || pm->state != MAPPING ||
		    pm->service != PMP)
			return;
		if (!seen(pm, now, PMP, epoch))
			return;
		if (result == 0)
			held(pm, now, &pm->pmp_address, outside, lifetime);
		else
			ask_failed(pm, now);
	}
}

static void feed_pcp(struct portmap *pm, mono_t now, struct rd *r)
{
	uint8_t op = rd_u8(r), nonce[PCP_NONCE], result;
	uint32_t lifetime, epoch;
	uint16_t inside, outside;
	struct ip address;

	rd_skip(r, 1);
	result = rd_u8(r);
	lifetime = rd_be32(r);
	epoch = rd_be32(r);
	rd_skip(r, 12);
	if (!rd_ok(r))
		return;
	if (op == (OP_ANSWER | PCP_OP_ANNOUNCE)) {
		if (result == 0)
			(void)seen(pm, now, PCP, epoch);
		return;
	}
	rd_copy(r, nonce, sizeof nonce);
	rd_skip(r, 4);
	inside = rd_be16(r);
	outside = rd_be16(r);
	rd_copy(r, address.b, sizeof address.b);
	if (!rd_ok(r) || op != (OP_ANSWER | PCP_OP_MAP) || pm->state != MAPPING ||
	    pm->service != PCP || memcmp(nonce, pm->nonce, sizeof nonce) != 0 ||
	    inside != pm->inside.port)
		return;
	if (!seen(pm, now, PCP, epoch))
		return;
	if (result == 0)
		held(pm, now, &address, outside, lifetime);
	else
		ask_failed(pm, now);
}

void portmap_feed(struct portmap *pm, mono_t now, const struct ipport *from, const uint8_t *data,
		  size_t len)
{
	struct rd r = rd_of(data, len);
	uint8_t version = rd_u8(&r);

	if (pm->state == OFF || from->port != PORTMAP_PORT || !ip_eq(&from->ip, &pm->gateway))
		return;
	if (version == PMP_VERSION)
		feed_pmp(pm, now, &r);
	else if (version == PCP_VERSION)
		feed_pcp(pm, now, &r);
}

bool portmap_pull(struct portmap *pm, struct portmap_send *s)
{
	if (pm->n_sends == 0)
		return false;
	*s = pm->sends[0];
	memmove(pm->sends, pm->sends + 1, --pm->n_sends * sizeof pm->sends[0]);
	return true;
}

bool portmap_changed(struct portmap *pm)
{
	bool is_new = !ipport_eq(&pm->told, &pm->external);

	pm->told = pm->external;
	return is_new;
}

bool portmap_external(const struct portmap *pm, struct ipport *out)
{
	if (ip_is_zero(&pm->external.ip))
		return false;
	*out = pm->external;
	return true;
}

void portmap_services(const struct portmap *pm, mono_t now, bool *pmp, bool *pcp)
{
	bool *out[SERVICES] = { pmp, pcp };

	for (int i = 0; i < SERVICES; i++)
		*out[i] =
		    pm->by[i].is_seen && mono_sub(now, pm->by[i].seen_at).ns <= SPAN_MS(SEEN_MS).ns;
}
