/* node/relay.c - connections to relay regions: the home one always, others while they are used
 *
 * A slot is a region. It is either waiting (client NULL, retry_at), dialing or open. The nodes of a
 * region are tried in order, one after the other at each failure. Packets may be queued from the
 * moment of dialing: the client machine keeps a bounded queue. A region other than home is closed
 * after 60 s without traffic (data-plane.md 2.4, 3.5).
 *
 * The wait between tries grows with each failure, and a connection that ended soon after it was
 * ready is one more: a relay that lets us in only to close would be dialled without a pause.
 */
#include <stdio.h>
#include <string.h>

#include "node/node_priv.h"

static uint32_t stream_of(const struct node *n, const struct relay *r)
{
	return (uint32_t)(CONTROL_CONNS + (r - n->relays));
}

struct relay *node_relay_of_stream(struct node *n, uint32_t stream)
{
	if (stream < CONTROL_CONNS || stream - CONTROL_CONNS >= NODE_RELAYS_MAX)
		return NULL;
	return &n->relays[stream - CONTROL_CONNS];
}

static struct relay *find(struct node *n, uint16_t region)
{
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++)
		if (n->relays[i].region == region)
			return &n->relays[i];
	return NULL;
}

/* The next usable node of the region after r->node_index tries. */
static const struct netmap_derp_node *pick_node(const struct netmap_region *reg, unsigned index)
{
	size_t usable = 0, k;

	for (size_t i = 0; i < reg->n_nodes; i++)
		usable += !reg->nodes[i].stun_only;
	if (usable == 0)
		return NULL;
	k = index % usable;
	for (size_t i = 0; i < reg->n_nodes; i++)
		if (!reg->nodes[i].stun_only && k-- == 0)
			return &reg->nodes[i];
	return NULL;
}

static void set_target(struct node *n, struct relay *r, const struct netmap_derp_node *d)
{
	snprintf(r->host, sizeof r->host, "%s", d->host);
	snprintf(r->cert_name, sizeof r->cert_name, "%s", d->cert_name ? d->cert_name : "");
	r->insecure = d->insecure;
	r->tls = !n->derp_http;
	r->port = d->derp_port;
	r->addr[0] = d->no_v4 ? (struct ip){ 0 } : d->v4;
	r->addr[1] = d->no_v6 ? (struct ip){ 0 } : d->v6;
	if (ip_is_zero(&r->addr[0])) {
		r->addr[0] = r->addr[1];
		r->addr[1] = (struct ip){ 0 };
	}
}

static void drop_client(struct node *n, struct relay *r)
{
	if (!r->client)
		return;
	derp_client_free(r->client);
	r->client = NULL;
	/* the host may still hold a stream, of this one or of one before */
	r->want_close |= (r->dialing && !r->want_dial) || r->open;
	r->dialing = r->open = r->ready = r->want_dial = r->want_output = r->probed = false;
	(void)n;
}

static void back_off(struct node *n, struct relay *r, mono_t now)
{
	int64_t ms = r->failures == 0 ? 0 : 100 << (r->failures < 7 ? r->failures - 1 : 6);

	if (ms > NODE_RELAY_BACKOFF_MS)
		ms = NODE_RELAY_BACKOFF_MS;
	ms += (int64_t)rng_below(n->rng, (uint64_t)ms / 2 + 1);
	r->retry_at = mono_add(now, SPAN_MS(ms));
}

static void dial(struct node *n, struct relay *r, mono_t now)
{
	const struct netmap_region *reg = netmap_region(n->netmap, r->region);
	const struct netmap_derp_node *d = reg ? pick_node(reg, r->node_index) : NULL;
	struct derp_client_conf conf = {
		.rng = n->rng, .node = *n->key, .host = r->host, .app = "tailpod"
	};

	r->retry_at = MONO_NEVER;
	if (!d)
		return; /* node_relays_map_changed comes back to it */
	set_target(n, r, d);
	conf.is_home = r->region == n->home;
	r->client = derp_client_new(&conf, now);
	secret_wipe(&conf.node, sizeof conf.node);
	if (!r->client) {
		r->failures++;
		back_off(n, r, now);
		return;
	}
	r->dialing = r->want_dial = true;
	r->open = r->ready = false;
	r->dialed_at = now;
}

/* A slot for the region; the least recently used one that is not home gives way when all are taken.
 */
static struct relay *slot_for(struct node *n, mono_t now, uint16_t region)
{
	struct relay *r = find(n, region), *oldest = NULL;

	if (r)
		return r;
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++) {
		struct relay *s = &n->relays[i];

		if (s->region == 0 && !s->want_close) {
			r = s;
			break;
		}
		if (s->region != n->home &&
		    (!oldest || mono_before(s->last_used, oldest->last_used)))
			oldest = s;
	}
	if (!r) {
		if (oldest) {
			drop_client(n, oldest);
			oldest->region = 0; /* free once its stream is closed */
		}
		return NULL;
	}
	*r = (struct relay){ .region = region, .retry_at = MONO_NEVER, .last_used = now };
	dial(n, r, now);
	return r;
}

void node_relay_send(struct node *n, mono_t now, uint16_t region, const struct key_pub *to,
		     const uint8_t *data, size_t len)
{
	struct relay *r;

	if (!n->want_running)
		return;
	r = slot_for(n, now, region);
	if (!r || !r->client || !derp_client_send(r->client, to, data, len)) {
		n->counters.relay_full++;
		return;
	}
	r->last_used = now;
	r->for_probe = false;
	if (r->open)
		r->want_output = true;
	n->counters.out_packets[NODE_DERP]++;
	n->counters.out_bytes[NODE_DERP] += len;
}

void node_relays_forget(struct node *n, const struct key_pub *key)
{
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++)
		if (n->relays[i].client)
			derp_client_forget(n->relays[i].client, key);
}

void node_relay_ensure_home(struct node *n, mono_t now)
{
	struct relay *r;

	if (!n->want_running || n->home == 0)
		return;
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++)
		if (n->relays[i].client && n->relays[i].ready) {
			derp_client_set_home(n->relays[i].client, n->relays[i].region == n->home);
			n->relays[i].want_output = true;
		}
	r = slot_for(n, now, n->home);
	if (r && !r->client && mono_is_never(r->retry_at))
		dial(n, r, now);
}

static bool has_place(const struct node *n)
{
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++)
		if (n->relays[i].region == 0 && !n->relays[i].want_close)
			return true;
	return false;
}

/* The time to be ready is what regions are compared by; an open connection proves with a ping that
 * it is alive and counts with what it took then. Where there are more regions than places they
 * wait: one that was measured and carries nothing gives way. */
void node_relay_probe(struct node *n, mono_t now, uint16_t region)
{
	struct relay *r = find(n, region);

	if (!n->want_running)
		return;
	if (!r && !has_place(n)) {
		if (n->n_to_probe < ARRAY_LEN(n->to_probe))
			n->to_probe[n->n_to_probe++] = region;
		return;
	}
	if (!r && (r = slot_for(n, now, region)))
		r->for_probe = region != n->home;
	if (!r || !r->ready)
		return;
	derp_client_ping(r->client, now);
	r->probed = r->want_output = true;
}

static void probe_waiting(struct node *n, mono_t now)
{
	if (!netcheck_running(n->netcheck))
		n->n_to_probe = 0; /* the round is over */
	while (n->n_to_probe > 0 && has_place(n))
		node_relay_probe(n, now, n->to_probe[--n->n_to_probe]);
	for (size_t i = 0; i < NODE_RELAYS_MAX && n->n_to_probe > 0; i++) {
		struct relay *r = &n->relays[i];

		if (!r->for_probe || r->region == 0 || r->region == n->home ||
		    (r->client && (!r->ready || r->probed)))
			continue;
		drop_client(n, r);
		r->region = 0; /* a place as soon as its stream is closed */
		return;
	}
}

void node_relays_map_changed(struct node *n, mono_t now)
{
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++) {
		struct relay *r = &n->relays[i];
		const struct netmap_region *reg;
		const struct netmap_derp_node *d;

		if (r->region == 0)
			continue;
		reg = netmap_region(n->netmap, r->region);
		d = reg ? pick_node(reg, r->node_index) : NULL;
		if (d && r->client && strcmp(d->host, r->host) == 0 && d->derp_port == r->port)
			continue; /* the same relay as before */
		if (d && !r->client && !mono_is_never(r->retry_at))
			continue; /* its turn comes within seconds; a map is no reason to hurry */
		drop_client(n, r);
		if (!d) {
			path_derp_gone(n->path, now, r->region, NULL);
			r->region = 0;
			continue;
		}
		r->failures = 0;
		r->retry_at = now;
	}
	if (n->home != 0 && !netmap_region(n->netmap, n->home))
		n->home = 0;
	node_relay_ensure_home(n, now);
}

void node_relays_restart(struct node *n, mono_t now)
{
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++) {
		struct relay *r = &n->relays[i];

		if (r->region == 0)
			continue;
		drop_client(n, r);
		r->failures = 0;
		r->retry_at = n->want_running ? now : MONO_NEVER;
		if (r->region != n->home)
			r->region = 0;
	}
}

void node_relays_free(struct node *n)
{
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++)
		derp_client_free(n->relays[i].client);
}

/* --- what the stream did --- */

void node_relay_opened(struct node *n, mono_t now, struct relay *r)
{
	(void)n;
	(void)now;
	if (!r->client)
		return;
	r->dialing = false;
	r->open = r->want_output = true;
}

static void failed(struct node *n, mono_t now, struct relay *r, const char *why)
{
	bool was_ready = r->ready;
	char text[ERR_TEXT_MAX];

	if (r->failures == 0) {
		log_info("relay %u (%s): %s", r->region, r->host, why ? why : "connection closed");
		r->told = false;
	}
	snprintf(text, sizeof text, "The home relay (%s) cannot be reached: %s", r->host,
		 why ? why : "it closes the connection");
	drop_client(n, r); /* why may have been its */
	path_derp_gone(n->path, now, r->region, NULL);
	r->flaps = was_ready && r->failures > 0;
	r->failures++;
	r->node_index++;
	if (r->region == n->home ||
	    (!(r->for_probe && n->n_to_probe > 0) &&
	     mono_before(now, mono_add(r->last_used, SPAN_S(NODE_RELAY_IDLE_S)))))
		back_off(n, r, now);
	else
		r->region = 0;
	if (r->region != 0 && r->region == n->home && r->failures > 1) {
		node_health_set(n, "relay", text);
		netcheck_start(n->netcheck, now);
	}
}

void node_relay_closed(struct node *n, mono_t now, struct relay *r, const char *why)
{
	r->open = r->dialing = false; /* the host has no stream any more */
	if (r->client)
		failed(n, now, r, why);
	r->want_close = false;
}

static void tell_home(struct node *n, struct relay *r)
{
	node_health_set(n, "relay", NULL);
	if (!r->told)
		log_info("relay %u (%s): home", r->region, r->host);
	r->told = true;
}

static void ready(struct node *n, mono_t now, struct relay *r)
{
	r->ready = true;
	r->ready_at = now;
	netcheck_derp_heard(n->netcheck, now, r->region);
	r->setup = mono_sub(now, r->dialed_at);
	netcheck_derp_rtt(n->netcheck, now, r->region, r->setup);
	if (r->region != n->home)
		return;
	derp_client_set_home(r->client, true);
	r->want_output = true;
	if (!r->flaps)
		tell_home(n, r); /* else when it proves to last */
}

static mono_t useful_at(const struct relay *r)
{
	return r->ready && r->failures > 0 ? mono_add(r->ready_at, SPAN_S(NODE_RELAY_USEFUL_S))
					   : MONO_NEVER;
}

static void useful(struct node *n, struct relay *r)
{
	r->failures = 0;
	r->flaps = false;
	if (r->region == n->home)
		tell_home(n, r);
}

static void relay_event(struct node *n, mono_t now, wall_t wall, struct relay *r,
			const struct derp_event *ev)
{
	switch (ev->type) {
	case DERP_EV_READY:
		ready(n, now, r);
		break;
	case DERP_EV_PACKET:
		r->last_used = now;
		r->for_probe = false;
		netcheck_derp_heard(n->netcheck, now, r->region);
		node_relay_packet(n, now, wall, r->region, &ev->from, ev->data);
		break;
	case DERP_EV_PEER_GONE:
		path_derp_gone(n->path, now, r->region, &ev->from);
		break;
	case DERP_EV_HEALTH:
		if (r->region == n->home)
			node_health_set(n, "relay", ev->text && ev->text[0] ? ev->text : NULL);
		break;
	case DERP_EV_CLOSED:
		failed(n, now, r, ev->text);
		break;
	case DERP_EV_PEER_PRESENT:
	case DERP_EV_RESTARTING: /* the connection's end follows; back-off spreads the return */
		break;
	case DERP_EV_PONG:
		if (r->probed)
			netcheck_derp_rtt(n->netcheck, now, r->region, r->setup);
		r->probed = false;
		break;
	}
}

static bool relay_effect(struct node *n, struct relay *r, struct node_effect *ef)
{
	*ef = (struct node_effect){ .stream = stream_of(n, r) };
	if (r->want_close) {
		r->want_close = false;
		ef->type = NODE_STREAM_CLOSE;
		return true;
	}
	if (r->want_dial) {
		r->want_dial = false;
		ef->type = NODE_DIAL;
		ef->host = r->host;
		ef->port = r->port;
		ef->addr = r->addr[0];
		ef->addr2 = r->addr[1];
		ef->tls = r->tls;
		ef->cert_name = r->cert_name[0] ? r->cert_name : NULL;
		ef->insecure = r->insecure;
		return true;
	}
	if (!r->open || !r->client || !r->want_output)
		return false;
	r->want_output =
	    false; /* once: the host pulls until dry, now or when the stream is writable */
	ef->type = NODE_STREAM_OUTPUT;
	return derp_client_has_output(r->client);
}

bool node_relays_next(struct node *n, mono_t now, wall_t wall, struct node_effect *ef)
{
	probe_waiting(n, now);
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++) {
		struct relay *r = &n->relays[i];
		struct derp_event ev;

		while (r->client && derp_client_next(r->client, &ev))
			relay_event(n, now, wall, r, &ev);
		if (relay_effect(n, r, ef))
			return true;
	}
	return false;
}

/* --- time --- */

mono_t node_relays_deadline(const struct node *n)
{
	mono_t d = MONO_NEVER;

	for (size_t i = 0; i < NODE_RELAYS_MAX; i++) {
		const struct relay *r = &n->relays[i];

		if (r->region == 0)
			continue;
		d = mono_min(d, r->client ? derp_client_deadline(r->client) : r->retry_at);
		d = mono_min(d, useful_at(r));
		if (r->client && r->region != n->home)
			d = mono_min(d, mono_add(r->last_used, SPAN_S(NODE_RELAY_IDLE_S)));
	}
	return d;
}

void node_relays_tick(struct node *n, mono_t now)
{
	for (size_t i = 0; i < NODE_RELAYS_MAX; i++) {
		struct relay *r = &n->relays[i];

		if (r->region == 0)
			continue;
		if (mono_due(useful_at(r), now))
			useful(n, r);
		if (r->client) {
			derp_client_tick(r->client, now);
			r->want_output = true;
		} else if (mono_due(r->retry_at, now)) {
			dial(n, r, now);
		}
		if (r->client && r->region != n->home &&
		    mono_due(mono_add(r->last_used, SPAN_S(NODE_RELAY_IDLE_S)), now)) {
			drop_client(n, r);
			path_derp_gone(n->path, now, r->region, NULL);
			r->region = 0;
		}
	}
}
