/* path/portmap.c - which service, when to ask, how long a mapping holds
 *
 * All three services are probed at once; after 250 ms the best that has answered is asked, NAT-PMP
 * before PCP before UPnP. Silence is probed twice more (a datagram may be lost, and UPnP may take
 * a second). A map request is repeated with doubling pauses for 5 s at most, then the next service
 * gets its turn, then there is quiet for five minutes. A mapping is renewed at half its life; one
 * that is not renewed ends with its life. An epoch that does not go on as our clock does says that
 * the gateway restarted and forgot us: the mapping is dropped and everything starts anew, with a
 * wish for the same port. UPnP has a number of the boot instead, if anything: another one brings
 * the renewal forward.
 */
#include "path/portmap.h"

#include <stdlib.h>
#include <string.h>

#include "path/portmap_priv.h"

enum { /* data-plane.md 4.5 */
       PROBE_WAIT_MS = 250,
       SEEN_MS = 600 * 1000,
       MAP_MS = 5000,
};
enum {                        /* ours */
       PROBES = 3,            /* at 0, 250 and 750 ms; the end is at 1750 */
       QUIET_MS = 300 * 1000, /* until the next probe when nobody maps */
       UPNP_MS = 20 * 1000,   /* for all requests that a mapping takes */
       RENEW_LEAST_S = 30,    /* a gateway that gives shorter lives is not asked more often */
       CHECK_S = 15,          /* probes while held: with every round of netcheck, not more often */
};

const char *const portmap_service_names[PORTMAP_SERVICES] = {
	[PORTMAP_PMP] = "NAT-PMP",
	[PORTMAP_PCP] = "PCP",
	[PORTMAP_UPNP] = "UPnP",
};
const char *const portmap_drop_names[PORTMAP_DROP_N] = {
	[PORTMAP_DROP_STRANGER] = "stranger", [PORTMAP_DROP_SHAPE] = "shape",
	[PORTMAP_DROP_UNASKED] = "unasked",   [PORTMAP_DROP_REFUSED] = "refused",
	[PORTMAP_DROP_ADDRESS] = "address",   [PORTMAP_DROP_EPOCH] = "epoch",
};

struct portmap *portmap_new(struct rng *rng)
{
	struct portmap *pm = calloc(1, sizeof *pm);

	if (!pm)
		return NULL;
	pm->rng = rng;
	pm->due = pm->expires = pm->give_up_at = MONO_NEVER;
	for (int i = 0; i < PORTMAP_SERVICES; i++)
		pm->told_seen[i] = -1;
	return pm;
}

void portmap_free(struct portmap *pm)
{
	free(pm);
}

/* --- datagrams out --- */

struct wr portmap_send_open(struct portmap *pm, uint16_t port)
{
	if (pm->n_sends == PORTMAP_SENDS_MAX) { /* the host does not pull: the oldest goes */
		memmove(pm->sends, pm->sends + 1, (PORTMAP_SENDS_MAX - 1) * sizeof pm->sends[0]);
		pm->n_sends--;
	}
	pm->sends[pm->n_sends].to = (struct ipport){ pm->gateway, port };
	return wr_of(pm->sends[pm->n_sends].data, PORTMAP_PACKET_MAX);
}

void portmap_send_close(struct portmap *pm, const struct wr *w)
{
	pm->sends[pm->n_sends++].len = wr_len(w);
}

bool portmap_pull(struct portmap *pm, struct portmap_want *w)
{
	if (pm->n_sends == 0)
		return portmap_upnp_pull(pm, w);
	pm->sent = pm->sends[0];
	memmove(pm->sends, pm->sends + 1, --pm->n_sends * sizeof pm->sends[0]);
	*w = (struct portmap_want){ .type = PORTMAP_SEND,
				    .to = pm->sent.to,
				    .data = bytes_of(pm->sent.data, pm->sent.len) };
	return true;
}

/* --- states --- */

static bool is_held(const struct portmap *pm)
{
	return !ip_is_zero(&pm->external.ip);
}

static void mapping_drop(struct portmap *pm)
{
	pm->external = (struct ipport){ 0 };
	pm->expires = MONO_NEVER;
}

/* Also what was asked for and may have been given without our knowing. */
static void give_back(struct portmap *pm, mono_t now)
{
	if (!is_held(pm) && pm->state != PORTMAP_MAPPING)
		return;
	if (pm->service != PORTMAP_UPNP)
		portmap_send_map(pm, 0);
	else if (is_held(pm) || pm->upnp.step >= UPNP_ADD)
		portmap_upnp_give_back(pm, now, is_held(pm) ? pm->external.port : pm->upnp.port);
	mapping_drop(pm);
}

static void send_probes(struct portmap *pm, mono_t now)
{
	for (int i = 0; i < PORTMAP_SERVICES; i++)
		pm->by[i].is_asked = true;
	portmap_send_probes(pm);
	if (pm->probes != 1) /* at 0 and 750 ms: a device may take a second */
		portmap_upnp_search(pm);
	pm->probes++;
	pm->due = mono_add(now, pm->pause);
	pm->pause.ns *= 2;
}

static void probe(struct portmap *pm, mono_t now)
{
	pm->state = PORTMAP_PROBING;
	for (int i = 0; i < PORTMAP_SERVICES; i++)
		pm->by[i].is_seen = pm->by[i].has_epoch = false;
	pm->upnp = (struct portmap_upnp){ 0 };
	pm->probes = 0;
	pm->pause = SPAN_MS(PROBE_WAIT_MS);
	pm->give_up_at = MONO_NEVER;
	pm->checked_at = now;
	send_probes(pm, now);
}

static void quiet(struct portmap *pm, mono_t now)
{
	pm->state = PORTMAP_QUIET;
	pm->due = mono_add(now, pm->quiet.ns > 0 ? pm->quiet : SPAN_MS(QUIET_MS));
}

/* asks the service for the port, or for more time */
static void ask(struct portmap *pm, mono_t now, enum portmap_service service)
{
	pm->state = PORTMAP_MAPPING;
	pm->service = service;
	if (service == PORTMAP_UPNP) {
		pm->due = pm->give_up_at = mono_add(now, SPAN_MS(UPNP_MS));
		portmap_upnp_ask(pm, now, is_held(pm));
		return;
	}
	pm->pause = SPAN_MS(PROBE_WAIT_MS);
	pm->give_up_at = mono_add(now, SPAN_MS(MAP_MS));
	pm->due = mono_add(now, pm->pause);
	portmap_send_map(pm, PORTMAP_LIFETIME_S);
}

/* Not renewed, yet it lives on until its end: try again half way there. */
static void hold_on(struct portmap *pm, mono_t now)
{
	span_t half = { mono_sub(pm->expires, now).ns / 2 };

	if (half.ns < SPAN_S(RENEW_LEAST_S).ns)
		half = SPAN_S(RENEW_LEAST_S);
	pm->state = PORTMAP_HELD;
	pm->due = mono_min(mono_add(now, half), pm->expires);
}

void portmap_ask_failed(struct portmap *pm, mono_t now, span_t how_long)
{
	pm->upnp.step = UPNP_IDLE;
	pm->quiet = how_long;
	if (is_held(pm)) {
		hold_on(pm, now);
		return;
	}
	for (int s = (int)pm->service + 1; s < PORTMAP_SERVICES; s++)
		if (pm->by[s].is_seen) {
			ask(pm, now, (enum portmap_service)s);
			return;
		}
	quiet(pm, now);
}

void portmap_set(struct portmap *pm, mono_t now, const struct ip *gateway,
		 const struct ipport *inside)
{
	if (ip_eq(gateway, &pm->gateway) && ipport_eq(inside, &pm->inside))
		return;
	give_back(pm, now);
	pm->gateway = *gateway;
	pm->inside = *inside;
	pm->wish = 0;
	pm->pmp_address = (struct ip){ 0 };
	rng_fill(pm->rng, pm->nonce, sizeof pm->nonce);
	if (ip_is_v4(gateway) && ip_is_v4(&inside->ip)) {
		probe(pm, now);
		return;
	}
	pm->state = PORTMAP_OFF;
	pm->upnp = (struct portmap_upnp){ 0 };
	for (int i = 0; i < PORTMAP_SERVICES; i++)
		pm->by[i].is_asked = pm->by[i].is_seen = pm->by[i].has_epoch = false;
	pm->due = MONO_NEVER;
}

void portmap_check(struct portmap *pm, mono_t now)
{
	if (pm->state != PORTMAP_HELD ||
	    mono_before(now, mono_add(pm->checked_at, SPAN_S(CHECK_S))))
		return;
	pm->checked_at = now;
	portmap_send_probes(pm);
	portmap_upnp_search(pm);
}

static void probing_tick(struct portmap *pm, mono_t now)
{
	for (int s = 0; s < PORTMAP_SERVICES; s++)
		if (pm->by[s].is_seen) {
			ask(pm, now, (enum portmap_service)s);
			return;
		}
	if (pm->probes < PROBES) {
		send_probes(pm, now);
		return;
	}
	pm->quiet = SPAN_MS(0);
	quiet(pm, now);
}

static void mapping_tick(struct portmap *pm, mono_t now)
{
	if (mono_due(pm->give_up_at, now)) {
		portmap_ask_failed(pm, now, SPAN_MS(0));
		return;
	}
	pm->pause.ns *= 2;
	pm->due = mono_min(mono_add(now, pm->pause), pm->give_up_at);
	portmap_send_map(pm, PORTMAP_LIFETIME_S);
}

void portmap_tick(struct portmap *pm, mono_t now)
{
	portmap_upnp_tick(pm, now);
	if (mono_due(pm->expires, now))
		mapping_drop(pm);
	if (!mono_due(pm->due, now))
		return;
	switch (pm->state) {
	case PORTMAP_OFF:
		pm->due = MONO_NEVER;
		break;
	case PORTMAP_PROBING:
		probing_tick(pm, now);
		break;
	case PORTMAP_MAPPING:
		mapping_tick(pm, now);
		break;
	case PORTMAP_HELD:
		if (is_held(pm))
			ask(pm, now, pm->service);
		else
			probe(pm, now);
		break;
	case PORTMAP_QUIET:
		probe(pm, now);
		break;
	}
}

mono_t portmap_deadline(const struct portmap *pm)
{
	return mono_min(mono_min(pm->due, pm->expires), portmap_upnp_deadline(pm));
}

/* --- what answers mean --- */

bool portmap_is_address(const struct ip *a)
{
	return ip_is_v4(a) && !ip_is_unspecified(a) && !ip_is_loopback(a) && !ip_is_multicast(a);
}

void portmap_held(struct portmap *pm, mono_t now, const struct ip *address, uint16_t port,
		  uint32_t lifetime)
{
	uint32_t renew = MAX_OF(lifetime / 2, (uint32_t)RENEW_LEAST_S);

	if (!portmap_is_address(address) || port == 0 || lifetime == 0) {
		pm->drops[PORTMAP_DROP_ADDRESS]++;
		portmap_ask_failed(pm, now, SPAN_MS(0));
		return;
	}
	pm->external = (struct ipport){ *address, port };
	pm->wish = port;
	pm->state = PORTMAP_HELD;
	pm->expires = mono_add(now, SPAN_S(lifetime));
	pm->due = mono_add(now, SPAN_S(renew));
}

void portmap_service_seen(struct portmap *pm, mono_t now, enum portmap_service s)
{
	pm->by[s].is_seen = true;
	pm->by[s].seen_at = now;
	if (pm->state == PORTMAP_PROBING && pm->probes > 1)
		pm->due = now; /* the others had their time */
}

/* RFC 6886 3.6, RFC 6887 8.5: has the gateway's clock gone on as ours has? */
static bool goes_on(enum portmap_service s, uint32_t before, uint32_t after, int64_t elapsed)
{
	int64_t server = (int64_t)after - before;

	if (s == PORTMAP_PMP)
		return server + 2 >= elapsed - elapsed / 8;
	return server + 1 >= 0 && elapsed + 2 >= server - server / 16 &&
	       server + 2 >= elapsed - elapsed / 16;
}

bool portmap_epoch(struct portmap *pm, mono_t now, enum portmap_service s, uint32_t epoch)
{
	int64_t elapsed = mono_sub(now, pm->by[s].epoch_at).ns / NS_PER_S;
	bool is_same = !pm->by[s].has_epoch || goes_on(s, pm->by[s].epoch, epoch, elapsed);

	if (!is_same) {
		pm->drops[PORTMAP_DROP_EPOCH]++;
		mapping_drop(pm);
		probe(pm, now);
	}
	pm->by[s].has_epoch = true;
	pm->by[s].epoch = epoch;
	pm->by[s].epoch_at = now;
	return is_same;
}

void portmap_feed(struct portmap *pm, mono_t now, const struct ipport *from, const uint8_t *data,
		  size_t len)
{
	bool is_ssdp = from->port == IGD_SSDP_PORT;

	if (pm->state == PORTMAP_OFF || !ip_eq(&from->ip, &pm->gateway) ||
	    (from->port != PORTMAP_PORT && !is_ssdp))
		pm->drops[PORTMAP_DROP_STRANGER]++;
	else if (is_ssdp)
		portmap_upnp_found(pm, now, bytes_of(data, len));
	else
		portmap_feed_message(pm, now, bytes_of(data, len));
}

/* --- looking in --- */

bool portmap_changed(struct portmap *pm)
{
	bool is_new = !ipport_eq(&pm->told_external, &pm->external);

	pm->told_external = pm->external;
	for (int i = 0; i < PORTMAP_SERVICES; i++) {
		int seen = pm->by[i].is_asked ? pm->by[i].is_seen : -1;

		if (pm->state == PORTMAP_PROBING)
			continue; /* wait for the end of it */
		is_new = is_new || seen != pm->told_seen[i];
		pm->told_seen[i] = seen;
	}
	return is_new;
}

bool portmap_external(const struct portmap *pm, struct ipport *out)
{
	if (!is_held(pm))
		return false;
	*out = pm->external;
	return true;
}

bool portmap_is_released(const struct portmap *pm)
{
	return !is_held(pm) && !pm->debt.is_due && pm->n_sends == 0;
}

int portmap_seen(const struct portmap *pm, mono_t now, enum portmap_service s)
{
	if (!pm->by[s].is_asked)
		return -1;
	if (is_held(pm) && pm->service == s)
		return 1;
	return pm->by[s].is_seen && mono_sub(now, pm->by[s].seen_at).ns <= SPAN_MS(SEEN_MS).ns;
}

const uint64_t *portmap_drops(const struct portmap *pm)
{
	return pm->drops;
}
