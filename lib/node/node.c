/* node/node.c - the object: birth, death, the order in which effects come out, state and health
 *
 * node_next is the pump. Cheap notifications wait in a small queue; everything with packets in it
 * is made on demand, one effect at a time, so that a packet is never copied to wait: first what
 * control, relays and probes want to send, then disco, then WireGuard's own messages, then events
 * of the IP stack, then its segments.
 */
#include "node/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_priv.h"

const char *const node_state_names[NODE_STATE_N] = {
	[NODE_NO_STATE] = "NoState",       [NODE_IN_USE] = "InUseOtherUser",
	[NODE_NEEDS_LOGIN] = "NeedsLogin", [NODE_NEEDS_APPROVAL] = "NeedsMachineAuth",
	[NODE_STOPPED] = "Stopped",        [NODE_STARTING] = "Starting",
	[NODE_RUNNING] = "Running",
};

static bool make_parts(struct node *n, const struct node_conf *conf, struct err *e)
{
	struct wg_conf wg = { .key = conf->node,
			      .rng = n->rng,
			      .max_peers = NETMAP_PEERS_MAX,
			      .staged_bytes = NODE_STAGED_BYTES };
	struct path_conf path = {
		.rng = n->rng, .disco = conf->disco, .node = n->pub, .derp_only = conf->derp_only
	};
	struct netstack_conf ns = {
		.rng = n->rng, .mtu = NODE_MTU, .cc = conf->cc, .memory = conf->memory
	};
	struct control_conf ctl = { .rng = n->rng,
				    .url = conf->control_url,
				    .machine = conf->machine,
				    .node = conf->node,
				    .node_is_kept = conf->node_is_kept,
				    .pinned = conf->control_key,
				    .user_agent_version = "1.102.5",
				    .plain_map = conf->plain_map };

	n->control = control_new(&ctl, e);
	secret_wipe(&ctl, sizeof ctl);
	if (!n->control)
		return false;
	n->netmap = netmap_new();
	n->filter = filter_new(FILTER_FLOWS_DEFAULT);
	n->wg = wg_new(&wg);
	n->path = path_new(&path);
	n->netcheck = netcheck_new(n->rng);
	n->netstack = netstack_new(&ns);
	if (conf->port_mapping && !conf->derp_only && !(n->portmap = portmap_new(n->rng))) {
		err_set(e, ENOMEM, "start node");
		return false;
	}
	secret_wipe(&wg, sizeof wg);
	secret_wipe(&path, sizeof path);
	if (!n->netmap || !n->filter || !n->wg || !n->path || !n->netcheck || !n->netstack ||
	    burst_init(&n->out) != 0 || burst_init(&n->made) != 0 || burst_init(&n->in) != 0) {
		err_set(e, ENOMEM, "start node");
		return false;
	}
	if (conf->raw_packets && !(n->inner = node_inner_new())) {
		err_set(e, ENOMEM, "start node");
		return false;
	}
	control_set_disco(n->control, &n->disco_pub);
	control_set_ephemeral(n->control, conf->ephemeral);
	if (control_set_hostinfo(n->control, &conf->hostinfo) != 0 ||
	    node_offer_routes(n, conf->hostinfo.routes, conf->hostinfo.n_routes) != 0 ||
	    control_set_auth_key(n->control, conf->auth_key) != 0) {
		err_set(e, ENOMEM, "start node");
		return false;
	}
	filter_set_shields(n->filter, conf->shields_up);
	return true;
}

struct node *node_new(const struct node_conf *conf, struct err *e)
{
	struct node *n = calloc(1, sizeof *n);

	if (!n) {
		err_set(e, ENOMEM, "start node");
		return NULL;
	}
	n->rng = conf->rng;
	n->key = secret_new(sizeof *n->key);
	if (!n->key) {
		err_set(e, ENOMEM, "start node");
		free(n);
		return NULL;
	}
	*n->key = conf->node;
	key_public(&n->pub, n->key);
	key_public(&n->disco_pub, &conf->disco);
	n->accept_routes = conf->accept_routes;
	if (conf->n_accept_within > 0) {
		n->within = calloc(conf->n_accept_within, sizeof *n->within);
		if (!n->within) {
			err_set(e, ENOMEM, "start node");
			node_free(n);
			return NULL;
		}
		memcpy(n->within, conf->accept_within, conf->n_accept_within * sizeof *n->within);
		n->n_within = conf->n_accept_within;
	}
	snprintf(n->exit_node, sizeof n->exit_node, "%s", conf->exit_node ? conf->exit_node : "");
	n->derp_only = conf->derp_only;
	n->derp_http = conf->derp_http;
	n->home_wanted = conf->home;
	n->want_running = true;
	n->authorized = true;
	n->restun_at = n->store_at = MONO_NEVER;
	n->expire_at = (wall_t){ INT64_MAX };
	n->last_active = (mono_t){ INT64_MIN / 2 };
	if (!make_parts(n, conf, e)) {
		node_free(n);
		return NULL;
	}
	return n;
}

void node_free(struct node *n)
{
	if (!n)
		return;
	node_relays_free(n);
	node_asked_free(n);
	control_free(n->control);
	netmap_free(n->netmap);
	filter_free(n->filter);
	wg_free(n->wg);
	path_free(n->path);
	netcheck_free(n->netcheck);
	portmap_free(n->portmap);
	netstack_free(n->netstack);
	burst_fini(&n->out);
	burst_fini(&n->made);
	burst_fini(&n->in);
	node_inner_free(n->inner);
	free(n->routes);
	free(n->within);
	secret_free(n->key);
	secret_wipe(n, sizeof *n);
	free(n);
}

/* --- effects that wait --- */

/* Only pongs can pile up: the oldest of them gives way, nothing else does. */
static void drop_pong(struct node *n)
{
	size_t i = 0;

	while (i < n->q_len - 1 && n->queue[(n->q_head + i) % NODE_QUEUE_MAX].type != NODE_PONG)
		i++;
	for (; i < n->q_len - 1; i++)
		n->queue[(n->q_head + i) % NODE_QUEUE_MAX] =
		    n->queue[(n->q_head + i + 1) % NODE_QUEUE_MAX];
	n->q_len--;
}

struct node_effect *node_push(struct node *n, enum node_effect_type type)
{
	struct node_effect *ef;

	/* notifications coalesce: one of a kind is enough until it is taken */
	if (type != NODE_PONG && type != NODE_FATAL && type != NODE_AUTH_URL)
		for (size_t i = 0; i < n->q_len; i++) {
			ef = &n->queue[(n->q_head + i) % NODE_QUEUE_MAX];
			if (ef->type == type)
				return ef;
		}
	if (n->q_len == NODE_QUEUE_MAX)
		drop_pong(n);
	ef = &n->queue[(n->q_head + n->q_len++) % NODE_QUEUE_MAX];
	*ef = (struct node_effect){ .type = type };
	return ef;
}

static bool queue_next(struct node *n, struct node_effect *ef)
{
	if (n->q_len == 0)
		return false;
	*ef = n->queue[n->q_head];
	n->q_head = (n->q_head + 1) % NODE_QUEUE_MAX;
	n->q_len--;
	if (ef->type == NODE_PONG) /* a map may have come meanwhile */
		ef->ping.peer = netmap_peer(n->netmap, ef->request);
	return true;
}

/* --- state and health --- */

static enum node_state state_of(const struct node *n)
{
	if (!n->started)
		return NODE_NO_STATE;
	if (n->logged_out)
		return NODE_NEEDS_LOGIN; /* also while down */
	if (!n->want_running)
		return NODE_STOPPED;
	if (n->needs_login)
		return NODE_NEEDS_LOGIN;
	if (n->registered && !n->authorized)
		return NODE_NEEDS_APPROVAL;
	if (n->have_map && n->n_addrs > 0)
		return NODE_RUNNING;
	return NODE_STARTING;
}

void node_state_update(struct node *n)
{
	enum node_state s = state_of(n);

	if (s == n->state)
		return;
	log_info("node: %s", node_state_names[s]);
	n->state = s;
	node_push(n, NODE_STATE);
}

bool node_health_put(struct node *n, const char *key, const char *text)
{
	struct health *slot = NULL;

	for (size_t i = 0; i < NODE_HEALTH_MAX; i++) {
		struct health *h = &n->health[i];

		if (h->key && strcmp(h->key, key) == 0) {
			if (text && strcmp(h->text, text) == 0)
				return false;
			slot = h;
			break;
		}
		if (!h->key && !slot)
			slot = h;
	}
	if (!slot || (!text && !slot->key))
		return false;
	slot->key = text ? key : NULL;
	if (text)
		snprintf(slot->text, sizeof slot->text, "%s", text);
	node_push(n, NODE_HEALTH);
	return true;
}

/* A problem is logged when it comes, when its words change and when it goes. */
void node_health_set(struct node *n, const char *key, const char *text)
{
	if (!node_health_put(n, key, text))
		return;
	if (text)
		log_warn("node: %s", text);
	else
		log_info("node: %s is well again", key);
}

size_t node_health(const struct node *n, const char **v, size_t max)
{
	const char *const *more;
	size_t count = 0, n_more;

	for (size_t i = 0; i < NODE_HEALTH_MAX && count < max; i++)
		if (n->health[i].key)
			v[count++] = n->health[i].text;
	more = netmap_health(n->netmap, &n_more);
	for (size_t i = 0; i < n_more && count < max; i++)
		v[count++] = more[i];
	return count;
}

/* --- start, stop, login --- */

void node_start(struct node *n, mono_t now, wall_t wall)
{
	n->started = true;
	if (n->want_running)
		control_start(n->control, now, wall);
	node_state_update(n);
}

void node_set_running(struct node *n, mono_t now, wall_t wall, bool want)
{
	if (want == n->want_running)
		return;
	n->want_running = want;
	node_gateway_update(n, now);
	if (n->started) {
		if (want) {
			if (!n->logged_out) /* else the login starts it */
				control_start(n->control, now, wall);
			node_relay_ensure_home(n, now);
		} else {
			control_stop(n->control);
			node_relays_restart(n, now);
		}
	}
	node_state_update(n);
}

void node_logout(struct node *n, mono_t now)
{
	control_logout(n->control, now);
}

void node_login(struct node *n, mono_t now, const char *auth_key)
{
	if (auth_key && control_set_auth_key(n->control, auth_key) != 0)
		return;
	n->needs_login = false;
	if (n->logged_out)
		n->login_again = true;
	else
		control_login(n->control, now, false);
	node_state_update(n);
}

/* --- events of paths, WireGuard and the stack --- */

/* What goes to the peer takes another way from now on: connections that wait because of the old one
 * do not wait for their time-outs, which may be seconds off. */
static void path_changed(struct node *n, mono_t now, uint32_t peer)
{
	struct ns_stalled s = { 0 };
	unsigned left = NODE_RETRIES_MAX;

	while (left > 0 && ns_tcp_stalled(n->netstack, now, &s)) {
		if (wg_route(n->wg, &s.remote) != peer)
			continue;
		ns_tcp_try_again(n->netstack, now, &s);
		left--;
	}
}

static void path_pump(struct node *n, mono_t now)
{
	struct path_event ev;

	while (path_next(n->path, &ev)) {
		switch (ev.type) {
		case PATH_EV_DIRECT:
			node_greet_heard(n, now, ev.peer, ev.latency);
			path_changed(n, now, ev.peer);
			break;
		case PATH_EV_RELAYED:
			path_changed(n, now, ev.peer);
			break;
		case PATH_EV_PONG:
		case PATH_EV_PING_TIMEOUT:
			node_ping_pong(n, now, &ev);
			break;
		case PATH_EV_GREETED:
			node_greet_heard(n, now, ev.peer, ev.latency);
			break;
		case PATH_EV_WANT_STUN:
			netcheck_start(n->netcheck, now);
			break;
		}
	}
}

static void wg_pump(struct node *n, mono_t now)
{
	struct wg_event ev;

	while (wg_next(n->wg, &ev)) {
		if (ev.type == WG_EV_SESSION)
			node_greet_stop(n, ev.peer);
		else if (ev.type == WG_EV_GAVE_UP)
			log_debug("node: peer %u does not answer", ev.peer);
	}
	(void)now;
}

static bool flow_pump(struct node *n, mono_t now, struct node_effect *ef)
{
	struct ns_event ev;

	while (netstack_next(n->netstack, &ev)) {
		if (ev.type == NS_ECHO_REPLY) {
			node_ping_echo_reply(n, now, &ev);
			continue;
		}
		*ef = (struct node_effect){ .type = NODE_FLOW, .flow = ev };
		return true;
	}
	return false;
}

bool node_next(struct node *n, mono_t now, wall_t wall, struct node_effect *ef)
{
	if (node_control_next(n, now, wall, ef) || node_relays_next(n, now, wall, ef))
		return true;
	path_pump(n, now);
	wg_pump(n, now);
	if (node_inner_next(n, ef) || queue_next(n, ef) || node_probe_next(n, now, ef) ||
	    node_gateway_next(n, now, ef) || flow_pump(n, now, ef) ||
	    node_pump_out(n, now, wall, ef))
		return true;
	return node_relays_next(n, now, wall, ef); /* the pump may have given relays something */
}

/* --- time --- */

mono_t node_deadline(const struct node *n)
{
	mono_t d = control_deadline(n->control);

	d = mono_min(d, wg_deadline(n->wg));
	d = mono_min(d, path_deadline(n->path));
	d = mono_min(d, netstack_deadline(n->netstack));
	d = mono_min(d, node_probe_deadline(n));
	d = mono_min(d, node_relays_deadline(n));
	d = mono_min(d, node_greet_deadline(n));
	d = mono_min(d, node_ping_deadline(n));
	if (n->portmap)
		d = mono_min(d, portmap_deadline(n->portmap));
	return mono_min(d, n->store_at);
}

void node_tick(struct node *n, mono_t now, wall_t wall)
{
	control_tick(n->control, now, wall);
	wg_tick(n->wg, now, wall);
	path_tick(n->path, now);
	netstack_tick(n->netstack, now);
	node_probe_tick(n, now);
	node_relays_tick(n, now);
	node_greet_tick(n, now);
	node_ping_tick(n, now);
	if (n->portmap)
		portmap_tick(n->portmap, now);
	if (mono_due(n->store_at, now)) {
		n->store_at = MONO_NEVER;
		node_push(n, NODE_PERSIST_NETMAP);
	}
	if (n->expire_at.ns <= wall.ns) {
		n->expire_at = netmap_expire(n->netmap, wall);
		node_apply_changes(n, now, wall);
	}
}

void node_trim(struct node *n, mono_t now)
{
	filter_trim(n->filter, now);
}

/* --- streams --- */

void node_stream_opened(struct node *n, mono_t now, uint32_t stream)
{
	struct relay *r = node_relay_of_stream(n, stream);

	if (r)
		node_relay_opened(n, now, r);
	else
		control_opened(n->control, now, stream);
}

void node_stream_feed(struct node *n, mono_t now, wall_t wall, uint32_t stream, struct bytes in)
{
	struct relay *r = node_relay_of_stream(n, stream);

	if (!r) {
		control_feed(n->control, now, wall, stream, in);
	} else if (r->client) {
		derp_client_feed(r->client, now, in);
		r->want_output = true;
	}
}

size_t node_stream_pull(struct node *n, mono_t now, uint32_t stream, uint8_t *buf, size_t cap)
{
	struct relay *r = node_relay_of_stream(n, stream);

	if (!r)
		return control_pull(n->control, now, stream, buf, cap);
	return r->client ? derp_client_pull(r->client, now, buf, cap) : 0;
}

void node_stream_closed(struct node *n, mono_t now, uint32_t stream, const char *why)
{
	struct relay *r = node_relay_of_stream(n, stream);

	if (r)
		node_relay_closed(n, now, r, why);
	else
		control_closed(n->control, now, stream, why);
}

void node_resolved(struct node *n, mono_t now, const char *host, const struct ip *v, size_t count)
{
	netcheck_name(n->netcheck, now, host, v, count);
}

void node_link_changed(struct node *n, mono_t now)
{
	path_link_changed(n->path, now);
	control_link_changed(n->control, now);
	node_relays_restart(n, now);
	node_relay_ensure_home(n, now);
	netcheck_want_full(n->netcheck);
	netcheck_start(n->netcheck, now);
}

void node_set_link_mtu(struct node *n, mono_t now, size_t mtu)
{
	/* outside: IPv6, UDP, WireGuard, which pads to 16 bytes */
	enum { AROUND = 40 + 8 + 32, PAD = 16, LEAST = 576 };
	size_t inner = mtu == 0 || mtu >= NODE_MTU + AROUND ? NODE_MTU
		       : mtu > LEAST + AROUND               ? (mtu - AROUND) / PAD * PAD
							    : LEAST;

	if (n->netstack)
		netstack_set_mtu(n->netstack, now, (uint16_t)inner);
}

void node_load_begin(struct node *n)
{
	netmap_stream_start(n->netmap);
	netmap_begin(n->netmap);
	n->load_failed = 0;
}

int node_load_feed(struct node *n, struct bytes json)
{
	int ret = n->load_failed;

	if (ret == 0)
		ret = netmap_feed(n->netmap, json);
	n->load_failed = ret;
	return ret;
}

int node_load_end(struct node *n, mono_t now, wall_t wall, struct err *e)
{
	int ret = n->load_failed;

	if (ret != 0) {
		netmap_abort(n->netmap);
		return err_say(e, -ret,
			       "the stored netmap is malformed; waiting for control instead");
	}
	ret = netmap_end(n->netmap, wall, e);
	if (ret != 0)
		return ret;
	node_apply_changes(n, now, wall);
	return 0;
}

int node_load_netmap(struct node *n, mono_t now, wall_t wall, struct bytes json, struct err *e)
{
	int ret;

	node_load_begin(n);
	ret = node_load_feed(n, json);
	(void)ret; /* told by the end */
	return node_load_end(n, now, wall, e);
}
