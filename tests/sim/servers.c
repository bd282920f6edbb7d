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

	WORLD_CHECK(w, tailnet_authkey_add(w->control, sim_wall(w), &key, out, &id, &e) == 0, "%s",
		    e.text);
	servers_settle(w);
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
	for (size_t i = 0; i < SIM_STORED_MAX; i++)
		buf_fini(&w->stored[i].json);
}

/* --- what control's carrier stores --- */

static struct sim_stored *stored(struct world *w, enum tailnet_event_type type, int64_t id)
{
	struct sim_stored *room = NULL;

	for (size_t i = 0; i < SIM_STORED_MAX; i++) {
		struct sim_stored *s = &w->stored[i];

		if (s->id == id && s->type == type)
			return s;
		if (s->id == 0 && !room)
			room = s;
	}
	ck_assert_ptr_nonnull(room);
	room->type = type;
	room->id = id;
	buf_init(&room->json, 1 << 20);
	return room;
}

static void erase(struct world *w, enum tailnet_event_type type, int64_t id)
{
	struct sim_stored *s = stored(w, type, id);

	buf_fini(&s->json);
	*s = (struct sim_stored){ 0 };
}

static void store(struct world *w, const struct tailnet_event *ev)
{
	struct sim_stored *s = stored(w, ev->type, ev->id);
	int ret;

	buf_clear(&s->json);
	if (ev->type == TAILNET_STORE_USER)
		ret = tailnet_user_emit(w->control, ev->id, &s->json);
	else if (ev->type == TAILNET_STORE_KEY)
		ret = tailnet_authkey_emit(w->control, ev->id, &s->json);
	else
		ret = tailnet_node_emit(w->control, ev->id, &s->json);
	if (ret != 0) /* gone again already: its deletion follows */
		erase(w, ev->type, ev->id);
}

static void load(struct world *w, enum tailnet_event_type type,
		 int (*fn)(struct tailnet *t, struct bytes json, struct err *e))
{
	struct err e = { 0 };

	for (size_t i = 0; i < SIM_STORED_MAX; i++)
		if (w->stored[i].id != 0 && w->stored[i].type == type)
			WORLD_CHECK(w, fn(w->control, buf_bytes(&w->stored[i].json), &e) == 0,
				    "control does not take back what it stored: %s", e.text);
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

void world_control_restart(struct world *w)
{
	world_note(w, "control restarts");
	servers_settle(w);
	stream_break(w, -1);
	tailnet_free(w->control);
	control_new_process(w);
	load(w, TAILNET_STORE_USER, tailnet_user_load);
	load(w, TAILNET_STORE_KEY, tailnet_authkey_load);
	load(w, TAILNET_STORE_NODE, tailnet_node_load);
	set_policy(w);
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

uint64_t world_relay_packets(const struct world *w, int r)
{
	return w->relay_past[r] +
	       (w->relay_up[r] ? derp_server_stats(w->relay[r])->packets_out : 0);
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
			stream_hangup(w, s);
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
		if (s)
			stream_pull_server(w, i, s);
		break;
	case DERP_SRV_HANGUP:
		world_note(w, "relay %d hangs up on %d: %s", r + 1, s ? i : -1, ev->reason);
		if (s)
			stream_hangup(w, s);
		break;
	case DERP_SRV_VERIFY:
	case DERP_SRV_READABLE:
		break;
	}
}

void servers_settle(struct world *w)
{
	struct tailnet_event ev;
	struct derp_server_event dev;

	while (tailnet_next(w->control, &ev))
		control_event(w, &ev);
	for (int r = 0; r < WORLD_RELAYS; r++)
		while (w->relay_up[r] && derp_server_next(w->relay[r], &dev))
			relay_event(w, r, &dev);
}

void servers_step(struct world *w)
{
	if (mono_due(tailnet_deadline(w->control), sim_mono(w)))
		tailnet_tick(w->control, sim_mono(w), sim_wall(w));
	for (int r = 0; r < WORLD_RELAYS; r++)
		if (w->relay_up[r] && mono_due(derp_server_deadline(w->relay[r]), sim_mono(w)))
			derp_server_tick(w->relay[r], sim_mono(w));
	servers_settle(w);
}

int64_t servers_next(const struct world *w)
{
	mono_t d = tailnet_deadline(w->control);

	for (int r = 0; r < WORLD_RELAYS; r++)
		if (w->relay_up[r])
			d = mono_min(d, derp_server_deadline(w->relay[r]));
	return d.ns;
}
