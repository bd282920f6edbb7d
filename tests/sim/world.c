/* tests/sim/world.c - birth and death of nodes, carrying out what they want, and time */
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/log.h"
#include "tests/sim/sim_priv.h"

/* log lines of the machines go to the world that runs */
static struct world *present;
static int present_node = -1;
static unsigned worlds; /* that have ended */

/* --- event log --- */

static PRINTF(2, 0) void note(struct world *w, const char *fmt, va_list ap)
{
	char *line = w->log[w->n_log++ % SIM_LOG_LINES];
	int n = snprintf(line, SIM_LOG_LINE, "%10.4f ",
			 (double)(w->now - 1000 * NS_PER_S) / (double)NS_PER_S);

	vsnprintf(line + n, SIM_LOG_LINE - (size_t)n, fmt, ap);
	if (getenv("SIM_VERBOSE"))
		printf("%s\n", line);
}

void world_note(struct world *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(w, fmt, ap);
	va_end(ap);
}

static void on_log(enum log_level level, const char *line)
{
	(void)level;
	if (present)
		world_note(present, "[%d] %s", present_node, line);
}

void world_fail(struct world *w, const char *file, int line, const char *cond, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	size_t first = w->n_log > SIM_LOG_LINES ? w->n_log - SIM_LOG_LINES : 0;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	printf("--- the last events of seed %llu\n", (unsigned long long)w->seed);
	for (size_t i = first; i < w->n_log; i++)
		printf("%s\n", w->log[i % SIM_LOG_LINES]);
	apps_print(w);
	printf("--- at %.4f s: %s (%s)\n", (double)(w->now - 1000 * NS_PER_S) / (double)NS_PER_S,
	       text, cond);
	fflush(stdout);
	ck_abort_msg("%s:%d: seed %llu: %s", file, line, (unsigned long long)w->seed, text);
}

/* --- carrying out --- */

static void on_netmap(struct world *w, int i)
{
	for (int k = 0; k < w->n_nodes; k++)
		if (k != i && w->nodes[k].removed && w->nodes[i].forgot_at[k] == INT64_MAX &&
		    world_forgot(w, i, k)) {
			w->nodes[i].forgot_at[k] = w->now;
			world_note(w, "node %d has forgotten %d", i, k);
		}
}

static void store_netmap(struct world *w, int i)
{
	struct sim_node *n = &w->nodes[i];

	buf_clear(&n->netmap);
	ck_assert(netmap_emit(node_netmap(n->node), &n->netmap) == 0);
}

static void carry_out(struct world *w, int i, struct node_effect *ef)
{
	struct sim_node *n = &w->nodes[i];

	switch (ef->type) {
	case NODE_DIAL:
		stream_dial(w, i, ef);
		break;
	case NODE_STREAM_OUTPUT:
		stream_pull_node(w, i, ef->stream);
		break;
	case NODE_STREAM_CLOSE:
		stream_close_node(w, i, ef->stream);
		break;
	case NODE_UDP_SEND:
		for (size_t k = 0; k < ef->count; k++)
			net_send(w, i, SIM_PORT, &ef->to, ef->v[k].data, ef->v[k].len);
		break;
	case NODE_RESOLVE:
		node_resolved(n->node, sim_mono(w), ef->host, NULL, 0);
		break;
	case NODE_FLOW:
		apps_event(w, i, &ef->flow);
		break;
	case NODE_STATE:
		world_note(w, "node %d: %s", i, node_state_names[node_state(n->node)]);
		(void)node_ip(n->node, false, &n->tailnet_ip);
		servers_told(w, i);
		break;
	case NODE_PERSIST_LOGIN:
		n->home = node_home(n->node);
		n->key = *node_key(n->node); /* another one after its expiry */
		n->pub = *node_public(n->node);
		break;
	case NODE_PERSIST_NETMAP:
		store_netmap(w, i);
		break;
	case NODE_NETMAP:
		(void)node_ip(n->node, false, &n->tailnet_ip);
		servers_told(w, i);
		on_netmap(w, i);
		break;
	case NODE_FATAL:
		world_note(w, "node %d: fatal: %s", i, ef->text);
		break;
	case NODE_AUTH_URL:
	case NODE_HEALTH:
	case NODE_INNER: /* only of nodes with raw_packets */
	case NODE_PONG:
	case NODE_C2N:
	case NODE_LOGGED_OUT:
	case NODE_GATEWAY_SEND: /* only of nodes with port_mapping */
	case NODE_GATEWAY_HTTP:
	case NODE_GATEWAY_LEFT:
		break;
	}
}

void sim_pump(struct world *w, int i)
{
	struct sim_node *n = &w->nodes[i];
	struct node_effect ef;
	unsigned spin = 0;

	present_node = i;
	n->dirty = false;
	while (node_next(n->node, sim_mono(w), sim_wall(w), &ef)) {
		WORLD_CHECK(w, ++spin < SIM_SPIN_MAX, "node %d has effects without end (type %d)",
			    i, ef.type);
		carry_out(w, i, &ef);
	}
	n->deadline = node_deadline(n->node).ns;
	present_node = -1;
}

/* --- time --- */

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t next_event(const struct world *w)
{
	int64_t t = min64(net_next(w), min64(servers_next(w), streams_next(w)));

	for (int i = 0; i < w->n_nodes; i++) {
		const struct sim_node *n = &w->nodes[i];

		if (n->node && n->dirty && sim_awake(w, i))
			return w->now;
		if (n->node)
			t = min64(t, n->deadline > n->wake_at ? n->deadline : n->wake_at);
	}
	return t > w->now ? t : w->now;
}

static void step_node(struct world *w, int i)
{
	struct sim_node *n = &w->nodes[i];

	if (!sim_awake(w, i))
		return;
	present_node = i;
	if (n->wake_at == w->now)
		for (uint32_t k = 0; k < SIM_STREAMS; k++)
			stream_pull_node(w, i, k);
	if (n->deadline <= w->now) {
		node_tick(n->node, sim_mono(w), sim_wall(w));
		n->dirty = true;
	}
	if (n->dirty)
		sim_pump(w, i);
}

static void step(struct world *w)
{
	net_step(w);
	streams_step(w);
	servers_step(w);
	for (int i = 0; i < w->n_nodes; i++)
		step_node(w, i);
	servers_settle(w);
}

static size_t heap_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

size_t world_memory(const struct world *w)
{
	size_t used = heap_used();

	return used > w->memory ? used - w->memory : 0;
}

static void check_memory(struct world *w)
{
	if (w->now < w->memory_check_at)
		return;
	w->memory_check_at = w->now + NS_PER_S;
	WORLD_CHECK(w, world_memory(w) < SIM_HEAP_MAX, "the machines hold %zu bytes",
		    world_memory(w));
}

void world_run(struct world *w, span_t d)
{
	(void)world_until(w, d, NULL, 0, 0);
}

bool world_until(struct world *w, span_t limit, bool (*pred)(struct world *w, int i, int j), int i,
		 int j)
{
	int64_t end = w->now + limit.ns;
	unsigned spin = 0;

	for (;;) {
		int64_t t = next_event(w);

		if (pred && pred(w, i, j))
			return true;
		if (t > end)
			break;
		spin = t == w->now ? spin + 1 : 0;
		WORLD_CHECK(w, spin < SIM_SPIN_MAX,
			    "time stands still: a deadline that its tick does not clear");
		w->now = t;
		step(w);
		check_memory(w);
	}
	w->now = end;
	return false;
}

mono_t world_now(const struct world *w)
{
	return sim_mono(w);
}

/* --- nodes --- */

static void box_address(struct world *w, struct sim_box *b)
{
	unsigned k = ++w->moves;

	b->outside = b->outer < 0 ? ip_v4(203, 0, (uint8_t)(k >> 8), (uint8_t)k)
				  : ip_v4(172, 16, (uint8_t)(k >> 8), (uint8_t)k);
	nat_forget(b->nat);
}

int world_box(struct world *w, const struct world_box *box)
{
	struct sim_box *b = &w->boxes[w->n_boxes++];
	struct nat_conf conf = { .mapping = box->mapping,
				 .filtering = box->filtering,
				 .timeout =
				     box->timeout.ns ? box->timeout : SPAN_S(SIM_NAT_TIMEOUT_S),
				 .max = box->max ? box->max : SIM_MAPPINGS,
				 .preserves_ports = box->preserves_ports,
				 .first_port =
				     (uint16_t)(20000 + rng_below(&w->chance.rng, 10000)) };

	WORLD_CHECK(w, w->n_boxes <= WORLD_BOXES_MAX, "too many boxes");
	*b = (struct sim_box){ .nat = nat_new(&conf),
			       .outer = box->behind - 1,
			       .hairpin = box->hairpin };
	ck_assert_ptr_nonnull(b->nat);
	if (b->outer >= 0)
		w->boxes[b->outer].users++;
	box_address(w, b);
	world_note(w, "box %d: mapping %s, filtering %s, %lld s, %zu ports%s, behind %d",
		   w->n_boxes, nat_mapping_names[box->mapping], nat_filtering_names[box->filtering],
		   (long long)span_ms(conf.timeout) / 1000, conf.max,
		   box->hairpin ? ", hairpin" : "", box->behind);
	return w->n_boxes;
}

static void new_address(struct world *w, struct sim_node *n)
{
	unsigned k;

	if (n->box >= 0 && w->boxes[n->box].users == 1)
		box_address(w, &w->boxes[n->box]);
	k = ++w->moves;
	if (n->family != WORLD_IPV6)
		n->addr = n->box < 0 ? ip_v4(203, 0, (uint8_t)(k >> 8), (uint8_t)k)
				     : ip_v4(10, (uint8_t)(k >> 8), (uint8_t)k, 2);
	if (n->family != WORLD_IPV4)
		n->addr6 = (struct ip){ { 0x20, 0x01, 0x0d, 0xb8, (uint8_t)(k >> 8),
					  (uint8_t)k, [15] = 2 } };
}

static void tell_addresses(struct world *w, struct sim_node *n)
{
	struct ip v[2];
	size_t count = 0;

	if (n->family != WORLD_IPV6)
		v[count++] = n->addr;
	if (n->family != WORLD_IPV4)
		v[count++] = n->addr6;
	node_set_addresses(n->node, sim_mono(w), v, count, n->family != WORLD_IPV6 ? SIM_PORT : 0,
			   n->family != WORLD_IPV4 ? SIM_PORT : 0);
}

static void birth(struct world *w, int i, bool keep_netmap, bool keep_disco)
{
	struct sim_node *n = &w->nodes[i];
	char name[16];
	struct err e = { 0 };
	struct node_conf conf = { .rng = &w->rng.rng,
				  .control_url = "http://control.example",
				  .machine = n->machine,
				  .node = n->key,
				  .auth_key = n->authkey,
				  .hostinfo = { .hostname = name, .os_version = "sim" },
				  .ephemeral = n->ephemeral,
				  .home = n->home,
				  .memory = 8 << 20 };

	present_node = i;
	snprintf(name, sizeof name, "node%d", i);
	if (!keep_disco)
		key_gen(&n->disco, &w->rng.rng);
	conf.disco = n->disco;
	n->node = node_new(&conf, &e);
	WORLD_CHECK(w, n->node != NULL, "%s", e.text);
	tell_addresses(w, n);
	if (keep_netmap && n->netmap.len > 0)
		WORLD_CHECK(w,
			    node_load_netmap(n->node, sim_mono(w), sim_wall(w),
					     buf_bytes(&n->netmap), &e) == 0,
			    "node %d does not take back its netmap: %s", i, e.text);
	for (int k = 0; k < w->n_nodes; k++)
		if (n->forgot_at[k] != INT64_MAX && world_knows(w, i, k))
			n->forgot_at[k] = INT64_MAX; /* what it stored is older than the removal */
	node_start(n->node, sim_mono(w), sim_wall(w));
	n->dirty = true;
	n->deadline = 0;
	present_node = -1;
}

int world_add(struct world *w, const struct world_host *host)
{
	int i = w->n_nodes++;
	struct sim_node *n = &w->nodes[i];

	WORLD_CHECK(w, i < WORLD_NODES_MAX, "too many nodes");
	n->used = true;
	n->udp = !host->no_udp;
	n->ephemeral = host->ephemeral;
	n->family = host->family;
	n->mtu = host->mtu ? host->mtu : SIZE_MAX;
	n->box = host->box - 1;
	if (host->box == 0 && host->mapping != NAT_NONE)
		n->box = world_box(w, &(struct world_box){ .mapping = host->mapping,
							   .filtering = host->filtering }) -
			 1;
	if (n->box >= 0)
		w->boxes[n->box].users++;
	n->streams = calloc(SIM_STREAMS, sizeof *n->streams);
	ck_assert_ptr_nonnull(n->streams);
	buf_init(&n->netmap, 1 << 20);
	for (int k = 0; k < WORLD_NODES_MAX; k++)
		n->forbidden_at[k] = n->forgot_at[k] = INT64_MAX;
	key_gen(&n->machine, &w->rng.rng);
	key_gen(&n->key, &w->rng.rng);
	key_public(&n->pub, &n->key);
	new_address(w, n);
	if (host->key_of > 0)
		memcpy(n->authkey, w->nodes[host->key_of - 1].authkey, sizeof n->authkey);
	else
		servers_authkey(w, host, n->authkey);
	world_note(w, "node %d: behind box %d, %s%s, MTU %zu", i, n->box + 1,
		   n->family == WORLD_IPV4   ? "IPv4"
		   : n->family == WORLD_IPV6 ? "IPv6"
					     : "both families",
		   n->udp ? "" : ", no UDP", host->mtu);
	birth(w, i, false, false);
	return i;
}

void world_stop(struct world *w, int i)
{
	struct sim_node *n = &w->nodes[i];

	world_note(w, "node %d stops", i);
	streams_fini(w, i);
	apps_node_died(w, i);
	node_free(n->node);
	n->node = NULL;
}

void world_restart(struct world *w, int i, bool keep_netmap)
{
	if (w->nodes[i].node)
		world_stop(w, i);
	world_note(w, "node %d starts %s its netmap", i, keep_netmap ? "with" : "without");
	birth(w, i, keep_netmap, false);
}

void world_resume(struct world *w, int i)
{
	world_stop(w, i);
	world_note(w, "node %d starts with all it stored", i);
	birth(w, i, true, true);
}

void world_move(struct world *w, int i)
{
	struct sim_node *n = &w->nodes[i];
	struct ip outside;
	char text[IP_TEXT];

	new_address(w, n);
	outside = net_outside(w, i);
	world_note(w, "node %d moves to %s", i, ip_text(&outside, text));
	streams_cut(w, i);
	tell_addresses(w, n);
	node_link_changed(n->node, sim_mono(w));
	n->dirty = true;
}

void world_rebind(struct world *w, int i)
{
	int b = w->nodes[i].box;
	char text[IP_TEXT];

	WORLD_CHECK(w, b >= 0, "node %d is behind no NAT", i);
	while (w->boxes[b].outer >= 0)
		b = w->boxes[b].outer;
	box_address(w, &w->boxes[b]);
	world_note(w, "the NAT of node %d is now %s", i, ip_text(&w->boxes[b].outside, text));
}

void world_udp(struct world *w, int i, bool works)
{
	world_note(w, "node %d: UDP %s", i, works ? "works" : "is blocked");
	w->nodes[i].udp = works;
}

static const struct tailnet_node *at_control(const struct world *w, int i)
{
	return tailnet_node_by_key(w->control, &w->nodes[i].pub);
}

void world_expire(struct world *w, int i)
{
	const struct tailnet_node *tn = at_control(w, i);
	struct err e = { 0 };

	world_note(w, "the key of node %d expires", i);
	WORLD_CHECK(w, tn != NULL, "control does not know node %d", i);
	WORLD_CHECK(w, tailnet_node_expire(w->control, sim_mono(w), sim_wall(w), tn->id, &e) == 0,
		    "%s", e.text);
	servers_settle(w);
}

bool world_remove(struct world *w, int i)
{
	const struct tailnet_node *tn = at_control(w, i);
	struct err e = { 0 };

	WORLD_CHECK(w, tn || w->nodes[i].removing, "control does not know node %d", i);
	if (!servers_control_alive(w))
		return false;
	world_note(w, "node %d is removed", i);
	w->nodes[i].removing = true;
	if (tn)
		WORLD_CHECK(w,
			    tailnet_node_del(w->control, sim_mono(w), sim_wall(w), tn->id, &e) == 0,
			    "%s", e.text);
	servers_settle(w);
	return w->nodes[i].removed;
}

bool world_removed(struct world *w, int i)
{
	return w->nodes[i].removed;
}

bool world_at_control(struct world *w, int i, int unused)
{
	(void)unused;
	return at_control(w, i) != NULL;
}

bool world_gone(struct world *w, int i, int unused)
{
	return !world_at_control(w, i, unused);
}

void world_static(struct world *w, int i, const struct ipport *a)
{
	struct sim_node *n = &w->nodes[i];

	node_set_static_endpoints(n->node, sim_mono(w), a, a ? 1 : 0);
	n->dirty = true;
}

int world_endpoint(struct world *w, int i, const struct ipport *a)
{
	const struct tailnet_node *tn = at_control(w, i);

	for (size_t k = 0; tn && k < tn->n_endpoints; k++)
		if (ipport_eq(&tn->endpoints[k], a))
			return tn->endpoint_types[k];
	return -1;
}

uint16_t world_home(struct world *w, int i)
{
	const struct tailnet_node *tn = at_control(w, i);

	return tn ? tn->home : 0;
}

void world_forbid(struct world *w, int i, int j, span_t grace)
{
	w->nodes[j].forbidden_at[i] = w->now + grace.ns;
}

void world_allow(struct world *w, int i, int j)
{
	w->nodes[j].forbidden_at[i] = INT64_MAX;
}

void world_sleep(struct world *w, int i, span_t d)
{
	world_note(w, "node %d sleeps %lld ms", i, (long long)span_ms(d));
	w->nodes[i].wake_at = w->now + d.ns;
}

void world_wall_jump(struct world *w, span_t d)
{
	world_note(w, "wall clocks jump by %lld ms", (long long)span_ms(d));
	w->wall_off += d.ns;
}

/* --- looking in --- */

struct node *world_node(struct world *w, int i)
{
	return w->nodes[i].node;
}

bool world_running(struct world *w, int i, int unused)
{
	(void)unused;
	return w->nodes[i].node && node_state(w->nodes[i].node) == NODE_RUNNING;
}

static const struct netmap_node *peer_of(struct world *w, int i, int j)
{
	return w->nodes[i].node ? netmap_by_key(node_netmap(w->nodes[i].node), &w->nodes[j].pub)
				: NULL;
}

static bool path_of(struct world *w, int i, int j, struct node_peer_stat *st)
{
	const struct netmap_node *p = peer_of(w, i, j);

	if (!p)
		return false;
	node_peer_stat(w->nodes[i].node, sim_mono(w), p->peer, st);
	return true;
}

bool world_direct(struct world *w, int i, int j)
{
	struct node_peer_stat st;

	return path_of(w, i, j, &st) && !ip_is_zero(&st.addr.ip);
}

bool world_relayed(struct world *w, int i, int j)
{
	struct node_peer_stat st;

	return path_of(w, i, j, &st) && ip_is_zero(&st.addr.ip);
}

bool world_knows(struct world *w, int i, int j)
{
	return peer_of(w, i, j) != NULL;
}

bool world_offline(struct world *w, int i, int j)
{
	const struct netmap_node *p = peer_of(w, i, j);

	return p && p->online == 0;
}

bool world_online(struct world *w, int i, int j)
{
	const struct netmap_node *p = peer_of(w, i, j);

	return p && p->online == 1;
}

bool world_located(struct world *w, int i, int j)
{
	const struct netmap_node *p = peer_of(w, i, j);
	struct ip outside = net_outside(w, j);

	for (size_t k = 0; p && k < p->n_endpoints; k++)
		if (ip_eq(&p->endpoints[k].ip, &outside))
			return true;
	return false;
}

bool world_lists(struct world *w, int i, int j, const struct ipport *a)
{
	const struct netmap_node *p = peer_of(w, i, j);

	for (size_t k = 0; p && k < p->n_endpoints; k++)
		if (ipport_eq(&p->endpoints[k], a))
			return true;
	return false;
}

bool world_forgot(struct world *w, int i, int j)
{
	return !peer_of(w, i, j);
}

bool world_meshed(struct world *w, int n, int unused)
{
	(void)unused;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			if (!w->nodes[i].removed && !w->nodes[j].removed &&
			    (!world_running(w, i, 0) || (i != j && !world_knows(w, i, j))))
				return false;
	return true;
}

uint64_t world_datagrams(const struct world *w)
{
	return w->datagrams;
}

size_t world_rows(const struct world *w)
{
	size_t n = 0;

	for (size_t i = 0; i < SIM_ROWS_MAX; i++)
		n += w->disk.rows[i].json.len > 0;
	return n;
}

size_t world_flight(const struct world *w)
{
	return w->n_heap;
}

uint64_t world_trace(const struct world *w)
{
	return w->trace;
}

uint64_t world_choice(struct world *w, uint64_t n)
{
	return rng_below(&w->chance.rng, n);
}

/* --- the world --- */

struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);

	ck_assert_ptr_nonnull(w);
	w->memory = heap_used();
	present = w;
	log_set(on_log, getenv("SIM_VERBOSE") ? LOG_DEBUG : LOG_INFO);
	w->seed = seed;
	seed_rng_init(&w->rng, seed);
	seed_rng_init(&w->chance, ~seed);
	w->now = 1000 * NS_PER_S;
	w->net = (struct world_net){ .delay = SPAN_MS(10), .jitter = SPAN_MS(2) };
	servers_new(w);
	return w;
}

void world_net(struct world *w, const struct world_net *net)
{
	w->net = *net;
}

void world_free(struct world *w)
{
	for (int i = 0; i < w->n_nodes; i++) {
		struct sim_node *n = &w->nodes[i];

		if (n->node)
			world_stop(w, i);
		buf_fini(&n->netmap);
		free(n->streams);
	}
	servers_free(w);
	net_free(w);
	for (int b = 0; b < w->n_boxes; b++)
		nat_free(w->boxes[b].nat);
	present = NULL;
	/* in the first world libraries make what they keep */
	if (worlds++ > 0)
		WORLD_CHECK(w, world_memory(w) < SIM_LEAK_MAX, "%zu bytes are left of the world",
			    world_memory(w));
	free(w);
}
