/* netstack/limits_test.c - what many strangers can make the stack hold: SYNs, stalled readers, idle
 * connections, memory that runs out; and the parts that keep count: pool, timers
 */
#include "tests/netstack_pair.h"
#include "wire/checksum.h"
#include "wire/ip4.h"

TEST(a_denied_connection_ends_only_while_it_is_opening)
{
	struct seed_rng r;
	const struct netstack_conf conf = { .rng = &r.rng, .mtu = 1280 };
	struct netstack *ns;
	const struct ipport any = { 0 };
	struct ipport to = { ip_v4(100, 64, 0, 2), 80 }, wrong = { ip_v4(100, 64, 0, 3), 80 };
	const struct ip own = ip_v4(100, 64, 0, 1);
	struct ns_tcp_info info;
	struct ns_event ev;
	struct ns_id id;

	seed_rng_init(&r, 1);
	ns = netstack_new(&conf);
	ck_assert_ptr_nonnull(ns);
	ck_assert_int_eq(netstack_addr_add(ns, &own), 0);
	ck_assert_int_eq(ns_tcp_connect(ns, (mono_t){ NS_PER_S }, &any, &to, &id), 0);
	ck_assert(ns_tcp_info(ns, id, &info));
	ns_tcp_denied(ns, &info.local, &wrong);
	ck_assert(!netstack_next(ns, &ev));
	ns_tcp_denied(ns, &info.local, &to);
	ck_assert(netstack_next(ns, &ev));
	ck_assert_int_eq(ev.type, NS_TCP_ENDED);
	ck_assert_int_eq(ev.end, NS_END_DENIED);
	ns_tcp_denied(ns, &info.local, &to); /* it is gone */
	ck_assert(!netstack_next(ns, &ev));
	netstack_free(ns);
}

/* what a stack has to say, to the other */
static void carry(struct netstack *from, struct netstack *to, mono_t now)
{
	struct burst b;

	ck_assert_int_eq(burst_init(&b), 0);
	netstack_pull(from, now, &b);
	netstack_feed(to, now, b.v, b.n);
	burst_fini(&b);
}

/* An open connection is the other end's to reset, and nobody else's. */
TEST(a_denied_connection_that_is_open_stays)
{
	struct seed_rng r;
	const struct netstack_conf conf = { .rng = &r.rng, .mtu = 1280 };
	const struct ip addr[2] = { ip_v4(100, 64, 0, 1), ip_v4(100, 64, 0, 2) };
	const struct ipport any = { 0 }, to = { addr[1], 80 };
	const mono_t now = { NS_PER_S };
	struct netstack *ns[2];
	struct ns_tcp_info info;
	struct ns_event ev;
	struct ns_id id;

	seed_rng_init(&r, 1);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_ptr_nonnull(ns[i] = netstack_new(&conf));
		ck_assert_int_eq(netstack_addr_add(ns[i], &addr[i]), 0);
	}
	ck_assert_int_eq(ns_tcp_connect(ns[0], now, &any, &to, &id), 0);
	carry(ns[0], ns[1], now);
	ck_assert(netstack_next(ns[1], &ev) && ev.type == NS_TCP_INCOMING);
	ns_tcp_accept(ns[1], now, ev.id);
	carry(ns[1], ns[0], now);
	ck_assert(netstack_next(ns[0], &ev) && ev.type == NS_TCP_CONNECTED);
	ck_assert(ns_tcp_info(ns[0], id, &info));
	ns_tcp_denied(ns[0], &info.local, &info.remote);
	while (netstack_next(ns[0], &ev))
		ck_assert_int_ne(ev.type, NS_TCP_ENDED);
	netstack_free(ns[0]);
	netstack_free(ns[1]);
}

TEST(pool_never_hands_out_more_than_its_budget_and_shows_pressure)
{
	struct pool p;
	void *v[64];
	size_t n = 0;

	pool_init(&p, 64 << 10);
	ck_assert_uint_eq(pool_pressure(&p), 0);
	while (n < ARRAY_LEN(v) && (v[n] = pool_get(&p, POOL_4K)))
		n++;
	ck_assert_uint_eq(n, 16);
	ck_assert_uint_ge(pool_pressure(&p), TCP_PRESSURE_HIGH);
	ck_assert_ptr_null(pool_get(&p, POOL_1K));
	pool_put(&p, POOL_4K, v[--n]);
	ck_assert_ptr_null(pool_get(&p, POOL_16K));
	v[n++] = pool_get(&p, POOL_4K);
	ck_assert_uint_eq(p.n_malloc, 16); /* the one given back, not a new one */
	while (n > 0)
		pool_put(&p, POOL_4K, v[--n]);
	ck_assert(p.used == 0 && p.waiting_bytes == 64 << 10);
	pool_tick(&p, (mono_t){ NS_PER_S });
	pool_tick(&p, (mono_t){ 3 * NS_PER_S });
	ck_assert(p.waiting_bytes == 0 && mono_is_never(pool_deadline(&p)));
	ck_assert_uint_eq(p.freed, 64 << 10);
	pool_fini(&p);
}

static void fill_and_empty(struct pool *p, size_t n)
{
	void *v[64];

	for (size_t i = 0; i < n; i++)
		ck_assert_ptr_nonnull(v[i] = pool_get(p, POOL_16K));
	for (size_t i = 0; i < n; i++)
		pool_put(p, POOL_16K, v[i]);
}

TEST(pool_keeps_what_a_running_transfer_needs_and_no_more)
{
	struct pool p;
	void *small;

	pool_init(&p, 1 << 20);
	fill_and_empty(&p, 60);
	pool_tick(&p, (mono_t){ NS_PER_S });
	for (int i = 0; i < 20; i++) /* by megabytes, several times a second */
		fill_and_empty(&p, 40 + (size_t)i);
	ck_assert_uint_eq(p.n_malloc, 60);
	pool_tick(&p, (mono_t){ 2 * NS_PER_S });
	fill_and_empty(&p, 2);
	pool_tick(&p, (mono_t){ 3 * NS_PER_S });
	ck_assert_uint_le(p.waiting_bytes, 45 << 14); /* three quarters of the most there was */
	ck_assert_uint_gt(p.waiting_bytes, 40 << 14);
	for (int i = 4; i < 20; i++) {
		fill_and_empty(&p, 2);
		pool_tick(&p, (mono_t){ i * NS_PER_S });
	}
	ck_assert_uint_eq(p.waiting_bytes, 2 << 14);
	pool_tick(&p, (mono_t){ 20 * NS_PER_S });
	ck_assert(p.waiting_bytes == 0 && mono_is_never(pool_deadline(&p)));
	fill_and_empty(&p, 64); /* all that there is, waiting: another size makes it go */
	ck_assert_uint_eq(p.waiting_bytes, 1 << 20);
	ck_assert_ptr_nonnull(small = pool_get(&p, POOL_1K));
	ck_assert_uint_le(p.used + p.waiting_bytes, 1 << 20);
	pool_put(&p, POOL_1K, small);
	pool_fini(&p);
}

TEST(pool_has_what_is_expected_while_it_is_said_and_half_of_the_budget_at_most)
{
	struct pool p;
	uint64_t n;

	pool_init(&p, 1 << 20);
	pool_expect(&p, 300 << 10);
	ck_assert_uint_ge(p.waiting_bytes, 300 << 10);
	n = p.n_malloc;
	for (int i = 1; i < 20; i++) {
		pool_expect(&p, 300 << 10);
		fill_and_empty(&p, 1 + (size_t)i % 19);
		pool_tick(&p, (mono_t){ i * NS_PER_S });
		ck_assert_uint_ge(p.waiting_bytes, 300 << 10);
	}
	ck_assert_uint_eq(p.n_malloc, n);
	for (int i = 20; i < 40; i++) { /* others move, this one does not */
		fill_and_empty(&p, 1);
		pool_tick(&p, (mono_t){ i * NS_PER_S });
	}
	ck_assert_uint_le(p.waiting_bytes, 2 << 14);
	pool_expect(&p, SIZE_MAX);
	ck_assert_uint_ge(p.waiting_bytes, 512 << 10);
	ck_assert_uint_le(p.waiting_bytes, 544 << 10);
	fill_and_empty(&p, 64); /* the budget is there for all */
	ck_assert_uint_le(p.used + p.waiting_bytes, 1 << 20);
	pool_fini(&p);
}

TEST(timers_come_in_order_however_they_were_set_moved_and_stopped)
{
	enum { N = 200 };
	struct timers h = { 0 };
	struct timer t[N] = { 0 }, *due;
	bool on[N] = { false };
	struct seed_rng r;
	int64_t last = 0;
	size_t left = 0;

	seed_rng_init(&r, 5);
	ck_assert(timers_reserve(&h, N));
	for (int i = 0; i < 5000; i++) {
		size_t k = rng_below(&r.rng, N);

		on[k] = rng_below(&r.rng, 3) > 0;
		if (on[k])
			timer_set(&h, &t[k], (mono_t){ 1 + (int64_t)rng_below(&r.rng, 1000) });
		else
			timer_stop(&h, &t[k]);
	}
	for (size_t k = 0; k < N; k++)
		left += on[k];
	ck_assert_uint_gt(left, 0);
	for (int64_t now = 0; now <= 1000; now++) {
		while ((due = timers_due(&h, (mono_t){ now }))) {
			ck_assert(on[due - t] && due->at.ns <= now && due->at.ns >= last);
			last = due->at.ns;
			on[due - t] = false;
			left--;
		}
	}
	ck_assert_uint_eq(left, 0);
	ck_assert(mono_is_never(timers_deadline(&h)));
	timers_fini(&h);
}

/* --- strangers ----------------------------------------------------------------------------------
 */

static const struct link lan = { .delay = { 1000000 }, .queue_max = SIZE_MAX / 2 };

static void run_until(struct world *w, struct flow *f, size_t n, span_t d)
{
	mono_t until = mono_add(w->now, d);

	while (step(w, until))
		events(w, f, n);
	w->now = until;
}

TEST(a_flood_of_connects_that_nobody_accepts_stops_at_the_limit_and_passes)
{
	struct world w;
	struct ipport from = { 0 }, to;
	struct netstack_stat st;
	struct ns_id id;
	struct ns_event ev;

	world_init(&w, 1, &lan, (struct netstack_conf){ .max_pending = 64 });
	to = (struct ipport){ w.addr[1], PAIR_PORT };
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(ns_tcp_connect(w.ns[0], w.now, &from, &to, &id), 0);
		if (i % 50 == 0)
			drain(&w, 0);
	}
	drain(&w, 0);
	for (mono_t until = mono_add(w.now, SPAN_MS(100)); step(&w, until);)
		;
	netstack_stat(w.ns[1], &st);
	ck_assert_uint_eq(st.pending, 32); /* half is for whoever else comes */
	ck_assert_uint_eq(st.conns, 32);
	ck_assert_uint_eq(st.memory, 0);
	ck_assert_uint_ge(st.drops[NS_DROP_TCP_PENDING_LIMIT], 1000 - 32);
	for (mono_t until = mono_add(w.now, SPAN_S(600)); step(&w, until);)
		;
	while (netstack_next(w.ns[1], &ev))
		;
	netstack_stat(w.ns[1], &st);
	ck_assert_uint_eq(st.pending, 0); /* TCP_PENDING_MAX */
	ck_assert_uint_eq(st.conns, 0);
	world_fini(&w);
}

/* A segment from a peer, as it would come through the tunnel */
static void inject(struct netstack *ns, mono_t now, const struct ipport *from,
		   const struct ipport *to, struct tcp_head h)
{
	uint8_t b[IP4_HEAD_LEN + TCP_HEAD_MAX];
	struct ip4_head ip = { .src = from->ip, .dst = to->ip, .ttl = 64, .proto = PROTO_TCP };
	size_t n;

	h.sport = from->port;
	h.dport = to->port;
	n = tcp_emit(b + IP4_HEAD_LEN, &h);
	checksum_store(b + IP4_HEAD_LEN + 16,
		       checksum_add(checksum_pseudo(&from->ip, &to->ip, PROTO_TCP, (uint32_t)n),
				    b + IP4_HEAD_LEN, n));
	ip.total_len = (uint16_t)(IP4_HEAD_LEN + n);
	ip4_emit(b, &ip);
	netstack_feed(ns, now, &(struct pkt){ .data = b, .len = ip.total_len }, 1);
}

/* The last segment that the stack sends now to a peer; false: none */
static bool last_sent(struct netstack *ns, mono_t now, const struct ip *to, struct tcp_head *h)
{
	struct burst b;
	bool any = false;

	ck_assert_int_eq(burst_init(&b), 0);
	while (netstack_pull(ns, now, &b) > 0) {
		for (size_t i = 0; i < b.n; i++)
			if (memcmp(b.v[i].data + 16, to->b + 12, 4) == 0)
				any |= tcp_parse(b.v[i].data + 20, b.v[i].len - 20, h);
		burst_reset(&b);
	}
	burst_fini(&b);
	return any;
}

/* RFC 5961 7: what one peer draws takes nothing from others, whose keep-alives are answered by the
 * same kind of ACK. */
TEST(a_flood_of_what_is_challenged_leaves_the_keepalives_of_others_answered)
{
	struct seed_rng r;
	const struct netstack_conf conf = { .rng = &r.rng, .mtu = 1280 };
	const struct ipport own = { ip_v4(100, 64, 0, 1), 80 },
			    peer[2] = { { ip_v4(100, 64, 0, 2), 7 }, { ip_v4(100, 64, 0, 3), 7 } };
	const mono_t now = { NS_PER_S };
	struct netstack *ns;
	struct ns_event ev;
	struct tcp_head h = { 0 };
	uint32_t next = 0;

	seed_rng_init(&r, 1);
	ck_assert_ptr_nonnull(ns = netstack_new(&conf));
	ck_assert_int_eq(netstack_addr_add(ns, &own.ip), 0);
	for (size_t i = 0; i < 2; i++) {
		inject(ns, now, &peer[i], &own, (struct tcp_head){ .flags = TCP_SYN, .wnd = 999 });
		ck_assert(netstack_next(ns, &ev) && ev.type == NS_TCP_INCOMING);
		ns_tcp_accept(ns, now, ev.id);
		ck_assert(last_sent(ns, now, &peer[i].ip, &h));
		next = h.seq + 1;
		inject(ns, now, &peer[i], &own,
		       (struct tcp_head){ .seq = 1, .ack = next, .flags = TCP_ACK, .wnd = 999 });
		ck_assert(netstack_next(ns, &ev) && ev.type == NS_TCP_CONNECTED);
	}
	for (int i = 0; i < 10000; i++)
		inject(ns, now, &peer[0], &own,
		       (struct tcp_head){ .seq = 1, .ack = 7, .flags = TCP_ACK, .wnd = 999 });
	(void)last_sent(ns, now, &peer[0].ip, &h);
	inject(ns, now, &peer[1], &own, /* RFC 9293 3.8.4 */
	       (struct tcp_head){ .seq = 0, .ack = next, .flags = TCP_ACK, .wnd = 999 });
	ck_assert(last_sent(ns, now, &peer[1].ip, &h));
	ck_assert(h.flags == TCP_ACK && h.seq == next && h.ack == 1);
	netstack_free(ns);
}

/* How many of n connections a peer may open; those that it closes again go to TIME-WAIT here. */
static size_t connect_many(struct netstack *ns, mono_t now, const struct ip *peer, uint16_t n,
			   bool closes)
{
	const struct ipport own = { ip_v4(100, 64, 0, 1), 80 };
	size_t done = 0;

	for (uint16_t port = 1; port <= n; port++) {
		const struct ipport from = { *peer, port };
		struct ns_event ev;
		struct tcp_head h = { .flags = TCP_SYN, .wnd = 999 };

		inject(ns, now, &from, &own, h);
		if (!netstack_next(ns, &ev))
			continue;
		ck_assert_int_eq(ev.type, NS_TCP_INCOMING);
		ns_tcp_accept(ns, now, ev.id);
		ck_assert(last_sent(ns, now, peer, &h));
		h = (struct tcp_head){ .seq = 1, .ack = h.seq + 1, .flags = TCP_ACK, .wnd = 999 };
		inject(ns, now, &from, &own, h);
		ck_assert(netstack_next(ns, &ev) && ev.type == NS_TCP_CONNECTED);
		done++;
		if (!closes)
			continue;
		ns_tcp_release(ns, now, ev.id);
		ck_assert(last_sent(ns, now, peer, &h));
		h = (struct tcp_head){
			.seq = 1, .ack = h.seq + 1, .flags = TCP_ACK | TCP_FIN, .wnd = 999
		};
		inject(ns, now, &from, &own, h);
		ck_assert(last_sent(ns, now, peer, &h));
	}
	return done;
}

TEST(a_peer_that_opens_all_connections_it_can_leaves_room_for_others)
{
	const struct ip own = ip_v4(100, 64, 0, 1), greedy = ip_v4(100, 64, 0, 2),
			other = ip_v4(100, 64, 0, 3), third = ip_v4(100, 64, 0, 4);
	struct seed_rng r;
	const struct netstack_conf conf = { .rng = &r.rng, .mtu = 1280, .max_conns = 64 };
	const mono_t now = { NS_PER_S };
	struct netstack_stat st;
	struct netstack *ns;

	seed_rng_init(&r, 1);
	ck_assert_ptr_nonnull(ns = netstack_new(&conf));
	ck_assert_int_eq(netstack_addr_add(ns, &own), 0);
	/* TIME-WAIT is no hold: it makes room */
	ck_assert_uint_eq(connect_many(ns, now, &third, 200, true), 200);
	netstack_stat(ns, &st);
	ck_assert_uint_eq(st.conns, 64);
	ck_assert_uint_eq(connect_many(ns, now, &greedy, 200, false), 32);
	ck_assert_uint_eq(connect_many(ns, now, &other, 10, false), 10);
	netstack_stat(ns, &st);
	ck_assert_uint_eq(st.drops[NS_DROP_TCP_CONN_LIMIT], 200 - 32);
	ck_assert_uint_eq(connect_many(ns, now, &third, 5, false), 5);
	netstack_free(ns);
}

TEST(a_peer_that_fills_what_waits_for_accept_leaves_room_for_others)
{
	const struct ipport own = { ip_v4(100, 64, 0, 1), 80 }, other = { ip_v4(100, 64, 0, 3), 7 };
	struct seed_rng r;
	const struct netstack_conf conf = { .rng = &r.rng, .mtu = 1280, .max_pending = 64 };
	const struct tcp_head syn = { .flags = TCP_SYN, .wnd = 999 };
	const mono_t now = { NS_PER_S };
	struct netstack *ns;
	struct ns_event ev;
	bool came = false;

	seed_rng_init(&r, 1);
	ck_assert_ptr_nonnull(ns = netstack_new(&conf));
	ck_assert_int_eq(netstack_addr_add(ns, &own.ip), 0);
	for (uint16_t port = 1; port < 200; port++)
		inject(ns, now, &(struct ipport){ ip_v4(100, 64, 0, 2), port }, &own, syn);
	inject(ns, now, &other, &own, syn);
	while (netstack_next(ns, &ev))
		came |= ev.type == NS_TCP_INCOMING && ip_eq(&ev.remote.ip, &other.ip);
	ck_assert(came);
	netstack_free(ns);
}

/* Opens n flows that are written to and never read. */
static void open_many(struct world *w, struct flow *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		open_flow(w, f, i);
	run_until(w, f, n, SPAN_S(2));
	for (size_t i = 0; i < n; i++)
		ck_assert(f[i].connected && f[i].id[1].generation != 0);
}

TEST(readers_that_stall_leave_the_budget_and_the_others_alone)
{
	enum { N = 100 };
	static struct flow f[N + 1];
	struct world w;
	struct netstack_stat st;
	uint8_t block[4096] = { 0 };

	world_init(&w, 1, &lan, (struct netstack_conf){ .memory = 8 << 20 });
	for (size_t i = 0; i <= N; i++) {
		f[i].shut = true;
		f[i].want = 0;
	}
	open_many(&w, f, N);
	for (int turn = 0; turn < 200; turn++) {
		mono_t until = mono_add(w.now, SPAN_MS(20));

		for (size_t i = 0; i < N; i++)
			(void)!ns_tcp_write(w.ns[0], w.now, f[i].id[0], block, sizeof block);
		drain(&w, 0);
		while (step(&w, until)) /* nobody reads: events stay where they are */
			;
		netstack_stat(w.ns[1], &st);
		ck_assert_uint_le(st.memory, 8 << 20);
	}
	printf("figure: %d stalled readers hold %zu KiB of a budget of 8192\n", (int)N,
	       st.memory >> 10);
	fflush(stdout);
	ck_assert_uint_gt(st.memory, 1 << 20);
	ck_assert_uint_eq(st.conns, N);
	for (size_t i = 0; i < N; i++)
		ns_tcp_abort(w.ns[1], w.now, f[i].id[1]);
	drain(&w, 1);
	run_until(&w, f, 0, SPAN_S(5));
	netstack_stat(w.ns[1], &st);
	ck_assert_uint_eq(st.memory, 0);
	netstack_stat(w.ns[0], &st);
	ck_assert_uint_eq(st.memory, 0); /* the resets took the senders' buffers too */
	world_fini(&w);
}

static bool all_ended(const struct flow *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!f[i].ended[0] || !f[i].ended[1])
			return false;
	return true;
}

/* Their windows have grown before they stall, so that more is promised than there is. */
TEST(readers_that_stall_after_a_quick_start_leave_room_for_a_new_connection)
{
	enum { N = 30, BUDGET = 8 << 20, WANT = 4 << 20 };
	static struct flow f[N + 1];
	struct link fast = { .rate = 1000000000, .delay = { 10000000 }, .queue_max = 16 << 20 };
	struct netstack_stat st;
	struct world w;
	size_t most = 0;
	mono_t until;

	world_init(&w, 1, &fast, (struct netstack_conf){ .memory = BUDGET });
	w.ns[0]->pool.limit = SIZE_MAX / 2; /* the senders' side is not what is tried */
	w.ns[0]->conf.memory = SIZE_MAX / 2;
	for (size_t i = 0; i < N; i++) {
		f[i].want = WANT;
		open_flow(&w, f, i);
		until = mono_add(w.now, SPAN_S(5));
		while (f[i].read < WANT / 4 && step(&w, until))
			events(&w, f, i + 1);
		f[i].is_stalled = true;
		netstack_stat(w.ns[1], &st);
		most = MAX_OF(most, st.memory);
	}
	f[N].want = WANT;
	open_flow(&w, f, N);
	until = mono_add(w.now, SPAN_S(60));
	while (!f[N].at_end && step(&w, until))
		events(&w, f, N + 1);
	printf("figure: %d readers stalled, at most %zu KiB of 8192; a new one: %.1f Mb/s\n",
	       (int)N, most >> 10, mbps(f[N].read, mono_sub(f[N].last, f[N].first)));
	fflush(stdout);
	ck_assert_uint_eq(f[N].read, WANT);

	/* they may stall for long: nobody gives them up */
	run_until(&w, f, N + 1, SPAN_S(3 * 3600));
	for (size_t i = 0; i < N; i++) {
		ck_assert(!f[i].ended[0] && !f[i].ended[1]);
		f[i].is_stalled = false;
		read_all(&w, &f[i]);
	}
	drain(&w, 1);
	until = mono_add(w.now, SPAN_S(600));
	while (!all_ended(f, N) && step(&w, until))
		events(&w, f, N + 1);
	for (size_t i = 0; i < N; i++) {
		ck_assert_uint_eq(f[i].read, WANT);
		ck_assert(f[i].at_end);
	}
	netstack_stat(w.ns[1], &st);
	ck_assert_uint_eq(st.memory, 0);
	world_fini(&w);
}

/* Those who come when little is left are served like others: first bytes at once, and a window that
 * is worth the name. The senders stall on a budget too: what they read ahead is theirs to lose. */
TEST(newcomers_beside_stalled_readers_begin_at_once_and_get_a_usable_window)
{
	enum { OLD = 60, NEW = 60, BUDGET = 16 << 20, WANT = 4 << 20, PART = 512 << 10 };
	static struct flow f[OLD + NEW];
	struct link fast = { .rate = 1000000000, .delay = { 10000000 }, .queue_max = 16 << 20 };
	struct world w;
	span_t first = SPAN_S(0), last = SPAN_S(0);
	size_t n_begun = 0, n_done = 0;
	mono_t until, start;

	world_init(&w, 1, &fast, (struct netstack_conf){ .memory = BUDGET });
	for (size_t i = 0; i < OLD; i++) {
		f[i] = (struct flow){ .want = WANT };
		open_flow(&w, f, i);
		until = mono_add(w.now, SPAN_S(5));
		while (f[i].read < WANT / 8 && step(&w, until))
			events(&w, f, i + 1);
		f[i].is_stalled = true;
	}
	run_until(&w, f, OLD, SPAN_S(5));
	start = w.now;
	for (size_t i = OLD; i < OLD + NEW; i++) {
		f[i] = (struct flow){ .want = PART };
		open_flow(&w, f, i);
	}
	until = mono_add(w.now, SPAN_S(60));
	while (n_done < NEW && step(&w, until)) {
		events(&w, f, OLD + NEW);
		for (size_t i = OLD; i < OLD + NEW; i++) {
			if (f[i].read > 0 && !f[i].bound.ns) { /* unused here: begun */
				f[i].bound = mono_sub(w.now, start);
				first.ns = MAX_OF(first.ns, f[i].bound.ns);
				n_begun++;
			}
			if (f[i].read == PART && f[i].written == PART) {
				f[i].written++;
				last = mono_sub(w.now, start);
				n_done++;
			}
		}
	}
	printf(
	    "figure: %d newcomers beside %d stalled: %zu begun, the last after %.2f s; %zu done, "
	    "after %.2f s\n",
	    (int)NEW, (int)OLD, n_begun, (double)first.ns / 1e9, n_done, (double)last.ns / 1e9);
	fflush(stdout);
	ck_assert_uint_eq(n_begun, NEW);
	ck_assert_uint_eq(n_done, NEW);
	ck_assert_int_le(first.ns, SPAN_S(1).ns);
	ck_assert_int_le(last.ns, SPAN_S(10).ns);
	world_fini(&w);
}

/* All at once, each stalls at its first byte: promises of the first windows alone are more than
 * there is. */
TEST(readers_that_stall_at_their_first_byte_all_get_it)
{
	enum { N = 400, BUDGET = 16 << 20, WANT = 4 << 20 };
	static struct flow f[N];
	struct link fast = { .rate = 1000000000, .delay = { 1000000 }, .queue_max = 16 << 20 };
	size_t n_begun = 0;
	struct world w;
	mono_t until, start;
	span_t last = SPAN_S(0);

	world_init(&w, 1, &fast, (struct netstack_conf){ .memory = BUDGET });
	start = w.now;
	for (size_t i = 0; i < N; i++) {
		f[i] = (struct flow){ .want = WANT };
		open_flow(&w, f, i);
	}
	until = mono_add(w.now, SPAN_S(60));
	while (n_begun < N && step(&w, until)) {
		events(&w, f, N);
		for (size_t i = 0; i < N; i++) {
			if (f[i].read > 0 && !f[i].is_stalled) {
				f[i].is_stalled = true;
				last = mono_sub(w.now, start);
				n_begun++;
			}
		}
	}
	printf("figure: %zu of %d begun and stalled, the last after %.2f s\n", n_begun, (int)N,
	       (double)last.ns / 1e9);
	fflush(stdout);
	ck_assert_uint_eq(n_begun, N);
	ck_assert_int_le(last.ns, SPAN_S(5).ns);
	world_fini(&w);
}

TEST(ten_thousand_idle_connections_hold_no_buffers_and_wake_nobody)
{
	enum { N = 10000 };
	static struct flow f[N];
	struct world w;
	struct netstack_stat st;

	world_init(&w, 1, &lan, (struct netstack_conf){ 0 });
	for (size_t i = 0; i < N; i++)
		f[i].shut = true;
	for (size_t i = 0; i < N; i++)
		open_flow(&w, f, i);
	for (mono_t until = mono_add(w.now, SPAN_S(5)); step(&w, until);) {
		struct ns_event ev;

		for (int side = 0; side < 2; side++) {
			while (netstack_next(w.ns[side], &ev))
				if (ev.type == NS_TCP_INCOMING)
					ns_tcp_accept(w.ns[1], w.now, ev.id);
			drain(&w, side);
		}
	}
	netstack_stat(w.ns[1], &st);
	printf("figure: %zu idle connections: %zu bytes each, buffers %zu bytes in all\n", st.conns,
	       sizeof(struct tcp_conn), st.memory);
	fflush(stdout);
	ck_assert_uint_eq(st.conns, N);
	ck_assert_uint_eq(st.pending, 0);
	ck_assert_uint_eq(st.memory, 0);
	ck_assert(mono_is_never(netstack_deadline(w.ns[1])));
	world_fini(&w);
}

TEST(a_transfer_with_hardly_any_memory_is_slow_and_whole)
{
	struct world w;
	struct flow f = { .want = 2 << 20 };

	world_init(&w, 1, &wan20, (struct netstack_conf){ .memory = 128 << 10 });
	w.link.loss = 100;
	transfer(&w, &f);
	ck_assert_uint_eq(f.read, f.want);
	ck_assert_int_eq(f.end[0], NS_END_DONE);
	world_fini(&w);
}
