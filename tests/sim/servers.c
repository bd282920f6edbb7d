/* tests/sim/servers.c - control and relays of the world: birth, death, what they want done */
#include "tests/sim/sim_priv.h"

static const char domain[] = "sim.example";

static void derp_map(const struct world *w, struct buf *out)
{
	ck_assert(buf_printf(out, "{\"Regions\":{"));
	for (int r = 0; r < WORLD_RELAYS; r++) {
		char ip[IP_TEXT], ip6[IP_TEXT];

		ip_text(&w->relay_ip[r], ip);
		ip_text(&w->relay_ip6[r], ip6);
		ck_assert(buf_printf(
		    out,
		    "%s\"%d\":{\"RegionID\":%d,\"RegionCode\":\"r%d\",\"RegionName\":"
		    "\"r%d\",\"Nodes\":[{\"Name\":\"%d\",\"RegionID\":%d,"
		    "\"HostName\":\"relay%d.example\",\"IPv4\":\"%s\",\"IPv6\":\"%s\"}]}",
		    r ? "," : "", r + 1, r + 1, r, r, r + 1, r + 1, r + 1, ip, ip6));
	}
	ck_assert(buf_printf(out, "}}"));
}

static void control_new_process(struct world *w)
{
	struct buf map;
	struct tailnet_conf conf = { .rng = &w->rng.rng,
				     .key = w->control_key,
				     .server_url = "http://control.example",
				     .base_domain = domain,
				     .ephemeral_timeout = SPAN_S(120) };
	struct err e = { 0 };

	buf_init(&map, 1 << 16);
	derp_map(w, &map);
	conf.derp_map = buf_bytes(&map);
	ck_assert(ipprefix_parse(bytes_str("100.64.0.0/10"), &conf.v4));
	ck_assert(ipprefix_parse(bytes_str("fd7a:115c:a1e0::/48"), &conf.v6));
	w->control = tailnet_new(&conf, &e);
	WORLD_CHECK(w, w->control != NULL, "%s", e.text);
	buf_fini(&map);
}

static void relay_new(struct world *w, int r)
{
	struct derp_server_conf conf = { .rng = &w->rng.rng,
					 .key = w->relay_key[r],
					 .max_conns = 64 };

	w->relay[r] = derp_server_new(&conf);
	ck_assert_ptr_nonnull(w->relay[r]);
	w->relay_up[r] = true;
}

void servers_authkey(struct world *w, const struct world_host *host,
		     char out[static AUTHKEY_TEXT_MAX])
{
	struct tailnet_authkey key = { .user = w->user,
				       .reusable = !host->once,
				       .ephemeral = host->ephemeral };
	struct err e = { 0 };
	int64_t id;

	for (int tries = 0;; tries++) { /* control may die of its disk */
		WORLD_CHECK(w, tries < 5, "control makes no auth key");
		while (!servers_control_alive(w))
			world_run(w, SPAN_MS(SIM_SUPERVISOR_MS));
		WORLD_CHECK(w,
			    tailnet_authkey_add(w->control, sim_wall(w), &key, out, &id, &e) == 0,
			    "%s", e.text);
		servers_settle(w);
		if (servers_control_alive(w))
			return;
	}
}

void servers_new(struct world *w)
{
	struct err e = { 0 };

	key_gen(&w->control_key, &w->rng.rng);
	for (int r = 0; r < WORLD_RELAYS; r++) {
		key_gen(&w->relay_key[r], &w->rng.rng);
		w->relay_ip[r] = ip_v4(192, 0, 2, (uint8_t)(r + 1));
		w->relay_ip6[r] =
		    (struct ip){ { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = (uint8_t)(r + 1) } };
		w->relay_delay[r] = r == 0 ? SPAN_MS(8) : SPAN_MS(40);
		relay_new(w, r);
	}
	control_new_process(w);
	w->control_up = true;
	WORLD_CHECK(w, tailnet_user_add(w->control, sim_wall(w), "user", "User", &w->user, &e) == 0,
		    "%s", e.text);
	servers_settle(w);
}

void servers_free(struct world *w)
{
	tailnet_free(w->control);
	for (int r = 0; r < WORLD_RELAYS; r++)
		derp_server_free(w->relay[r]);
	disk_fini(w);
}

/* --- what control's carrier stores --- */

bool servers_control_alive(const struct world *w)
{
	return !w->control_died && w->now >= w->control_back_at;
}

static int sim_node_of(const struct world *w, int64_t id)
{
	for (int i = 0; i < w->n_nodes; i++)
		if (w->nodes[i].id == id)
			return i;
	return -1;
}

static void store(struct world *w, const struct tailnet_event *ev)
{
	struct buf *json = disk_put(w, ev->type, ev->id);
	const struct tailnet_node *tn;
	int ret;

	if (ev->type == TAILNET_STORE_USER)
		ret = tailnet_user_emit(w->control, ev->id, json);
	else if (ev->type == TAILNET_STORE_KEY)
		ret = tailnet_authkey_emit(w->control, ev->id, json);
	else
		ret = tailnet_node_emit(w->control, ev->id, json);
	if (ret != 0) /* gone again already: its deletion follows */
		w->disk.pending[w->disk.n_pending - 1].is_erased = true;
	if (ev->type != TAILNET_STORE_NODE || !(tn = tailnet_node(w->control, ev->id)))
		return;
	for (int i = 0; i < w->n_nodes; i++)
		if (key_eq(&w->nodes[i].pub, &tn->node))
			w->nodes[i].id = ev->id;
}

/* With it, what the next ids are: a row of a type of its own */
static void erase(struct world *w, enum tailnet_event_type type, int64_t id)
{
	disk_erase(w, type, id);
	ck_assert(tailnet_ids_emit(w->control, disk_put(w, TAILNET_AUDIT, 1)) == 0);
}

void servers_deleted(struct world *w, enum tailnet_event_type type, int64_t id)
{
	int i = type == TAILNET_STORE_NODE ? sim_node_of(w, id) : -1;

	if (i < 0 || (!w->nodes[i].removing && !w->nodes[i].ephemeral))
		return;
	w->nodes[i].removed = w->nodes[i].removing;
	if (!w->nodes[i].removed) /* an ephemeral one may come back as another */
		w->nodes[i].told4 = w->nodes[i].told6 = (struct ip){ 0 };
}

static bool same(const struct ip *a, const struct ip *b)
{
	return !ip_is_zero(a) && ip_eq(a, b);
}

/* Nobody has an address of another one, at control and among those who were told theirs. */
static void check_addresses(struct world *w)
{
	const struct tailnet_node *a, *b;

	for (size_t i = 0; (a = tailnet_node_at(w->control, i)); i++)
		for (size_t k = 0; k < i && (b = tailnet_node_at(w->control, k)); k++)
			WORLD_CHECK(w, !same(&a->v4, &b->v4) && !same(&a->v6, &b->v6),
				    "control gives one address to %s and %s", a->given, b->given);
	for (int i = 0; i < w->n_nodes; i++) /* those removed too */
		for (int k = 0; k < i; k++)
			WORLD_CHECK(w,
				    !same(&w->nodes[i].told4, &w->nodes[k].told4) &&
					!same(&w->nodes[i].told6, &w->nodes[k].told6),
				    "node %d and node %d have been told the same address", i, k);
}

/* What control acknowledged it knows after a restart. */
static void check_kept(struct world *w)
{
	for (int i = 0; i < w->n_nodes; i++) {
		const struct sim_node *n = &w->nodes[i];
		const struct tailnet_node *tn = tailnet_node_by_key(w->control, &n->pub);

		if (ip_is_zero(&n->told4) || n->removed)
			continue;
		WORLD_CHECK(w, tn != NULL, "control has lost node %d, which it let in", i);
		WORLD_CHECK(w, ip_eq(&tn->v4, &n->told4) && ip_eq(&tn->v6, &n->told6),
			    "control gives node %d another address after its restart", i);
	}
	check_addresses(w);
}

void servers_told(struct world *w, int i)
{
	struct sim_node *n = &w->nodes[i];
	struct ip v4 = { 0 }, v6 = { 0 };

	if (n->removed || !node_ip(n->node, false, &v4) || ip_is_zero(&v4))
		return; /* one that was removed goes on with what it had */
	if (n->ephemeral && !tailnet_node_by_key(w->control, &n->pub))
		return;
	WORLD_CHECK(w, tailnet_node_by_key(w->control, &n->pub),
		    "node %d was let in, and control does not know it", i);
	(void)node_ip(n->node, true, &v6);
	WORLD_CHECK(w, ip_is_zero(&n->told4) || (ip_eq(&n->told4, &v4) && ip_eq(&n->told6, &v6)),
		    "node %d has another address", i);
	n->told4 = v4;
	n->told6 = v6;
	check_addresses(w);
}

static void set_policy(struct world *w)
{
	struct err e = { 0 };
	struct policy *p = w->policy ? policy_parse(bytes_str(w->policy), &e) : NULL;

	WORLD_CHECK(w, p || !w->policy, "%s", e.text);
	tailnet_set_policy(w->control, sim_mono(w), p);
}

void world_policy(struct world *w, const char *text)
{
	world_note(w, "policy: %s", text ? text : "allow all");
	w->policy = text;
	set_policy(w);
}

static void start_again(struct world *w)
{
	streams_end(w, -1);
	tailnet_free(w->control);
	control_new_process(w);
	disk_open(w);
	disk_each(w, TAILNET_STORE_USER, tailnet_user_load);
	disk_each(w, TAILNET_STORE_KEY, tailnet_authkey_load);
	disk_each(w, TAILNET_STORE_NODE, tailnet_node_load);
	disk_each(w, TAILNET_AUDIT, tailnet_ids_load);
	set_policy(w);
	check_kept(w);
}

void world_control_restart(struct world *w)
{
	world_note(w, "control restarts");
	servers_settle(w);
	w->control_died = false;
	start_again(w);
	servers_settle(w);
}

void world_control(struct world *w, bool up)
{
	world_note(w, "control %s", up ? "up" : "down");
	w->control_up = up;
	if (!up)
		stream_break(w, -1);
}

void world_relay(struct world *w, int r, bool up)
{
	world_note(w, "relay %d %s", r + 1, up ? "up" : "down");
	if (up == w->relay_up[r])
		return;
	if (up) {
		derp_server_free(w->relay[r]);
		relay_new(w, r);
		return;
	}
	w->relay_past[r] += derp_server_stats(w->relay[r])->packets_out;
	w->relay_up[r] = false;
	stream_break(w, r);
}

void world_hang(struct world *w, int r, bool hangs)
{
	world_note(w, "dials to %s%c %s", r < 0 ? "control" : "relay ", r < 0 ? ' ' : '1' + r,
		   hangs ? "hang" : "are answered");
	*(r < 0 ? &w->control_hangs : &w->relay_hangs[r]) = hangs;
}

void world_relay_flaps(struct world *w, int r, bool flaps)
{
	world_note(w, "relay %d %s", r + 1, flaps ? "closes after each login" : "is well");
	w->relay_flaps[r] = flaps;
}

uint64_t world_relay_packets(const struct world *w, int r)
{
	return w->relay_past[r] +
	       (w->relay_up[r] ? derp_server_stats(w->relay[r])->packets_out : 0);
}

uint64_t world_relay_accepts(const struct world *w, int r)
{
	return w->relay_up[r] ? derp_server_stats(w->relay[r])->accepts : 0;
}

/* --- events --- */

static void control_event(struct world *w, const struct tailnet_event *ev)
{
	struct sim_stream *s;
	int i;

	switch (ev->type) {
	case TAILNET_OUTPUT:
		s = stream_of_session(w, ev->session, &i);
		if (s)
			stream_pull_server(w, i, s);
		break;
	case TAILNET_HANGUP:
		s = stream_of_session(w, ev->session, &i);
		if (s) {
			stream_pull_server(w, i, s);
			stream_hangup(w, s, SPAN_S(0));
		} else {
			tailnet_closed(w->control, sim_mono(w), sim_wall(w), ev->session);
		}
		break;
	case TAILNET_STORE_USER:
	case TAILNET_STORE_KEY:
	case TAILNET_STORE_NODE:
		store(w, ev);
		break;
	case TAILNET_DELETE_USER:
		erase(w, TAILNET_STORE_USER, ev->id);
		break;
	case TAILNET_DELETE_KEY:
		erase(w, TAILNET_STORE_KEY, ev->id);
		break;
	case TAILNET_DELETE_NODE:
		erase(w, TAILNET_STORE_NODE, ev->id);
		break;
	case TAILNET_AUDIT:
		world_note(w, "audit: %s", ev->text);
		break;
	}
}

static void relay_event(struct world *w, int r, const struct derp_server_event *ev)
{
	int i;
	struct sim_stream *s = stream_of_conn(w, r, ev->id, &i);

	switch (ev->type) {
	case DERP_SRV_OUTPUT:
		if (!s)
			break;
		stream_pull_server(w, i, s);
		if (++s->outputs > 1 && w->relay_flaps[r]) /* its key, then its ServerInfo */
			stream_hangup(w, s, SPAN_MS(20));
		break;
	case DERP_SRV_HANGUP:
		world_note(w, "relay %d hangs up on %d: %s", r + 1, s ? i : -1, ev->reason);
		if (s)
			stream_hangup(w, s, SPAN_S(0));
		break;
	case DERP_SRV_VERIFY:
	case DERP_SRV_READABLE:
		break;
	}
}

/* After these bytes leave: what was changed before must be kept. */
static bool speaks(const struct tailnet_event *ev)
{
	return ev->type == TAILNET_OUTPUT || ev->type == TAILNET_HANGUP;
}

/* Control whose disk failed: its connections are reset; a new process follows. */
static void bury(struct world *w)
{
	w->control_died = false;
	w->control_back_at = w->now + SPAN_MS(SIM_SUPERVISOR_MS).ns;
	start_again(w);
}

void servers_settle(struct world *w)
{
	struct tailnet_event ev;
	struct derp_server_event dev;

	while (servers_control_alive(w) && tailnet_next(w->control, &ev)) {
		if (speaks(&ev) && !disk_commit(w))
			w->control_died = true;
		else
			control_event(w, &ev);
	}
	if (servers_control_alive(w) && !disk_commit(w))
		w->control_died = true;
	for (int r = 0; r < WORLD_RELAYS; r++)
		while (w->relay_up[r] && derp_server_next(w->relay[r], &dev))
			relay_event(w, r, &dev);
}

void servers_step(struct world *w)
{
	if (w->control_died)
		bury(w);
	if (servers_control_alive(w) && mono_due(tailnet_deadline(w->control), sim_mono(w)))
		tailnet_tick(w->control, sim_mono(w), sim_wall(w));
	for (int r = 0; r < WORLD_RELAYS; r++)
		if (w->relay_up[r] && mono_due(derp_server_deadline(w->relay[r]), sim_mono(w)))
			derp_server_tick(w->relay[r], sim_mono(w));
	servers_settle(w);
}

int64_t servers_next(const struct world *w)
{
	mono_t d = mono_max(tailnet_deadline(w->control), (mono_t){ w->control_back_at });

	if (w->control_died)
		return w->now;
	for (int r = 0; r < WORLD_RELAYS; r++)
		if (w->relay_up[r])
			d = mono_min(d, derp_server_deadline(w->relay[r]));
	return d.ns;
}
