/* netstack/pair_test.c - two stacks against each other (tests/netstack_pair.h) */
#include <errno.h>

#include "tests/netstack_pair.h"

/* minutes of virtual time are seconds of ours, and more where others compute too */
__attribute__((constructor)) static void allow_time(void)
{
	harness_timeout(240);
}

TEST(pair_carries_every_byte_over_a_clean_link)
{
	run("clean, 20 ms, 100 Mb/s", 1, wan20, 20 << 20, SPAN_S(0), (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_through_loss)
{
	struct link l = wan20;

	l.loss = 200;
	for (uint64_t seed = 1; seed <= 3; seed++)
		run("2 % loss, 20 ms, 100 Mb/s", seed, l, 8 << 20, SPAN_S(0),
		    (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_through_reordering)
{
	struct link l = wan20;

	l.reorder = 500;
	for (uint64_t seed = 1; seed <= 3; seed++)
		run("5 % reordering, 20 ms, 100 Mb/s", seed, l, 40 << 20, SPAN_S(0),
		    (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_through_loss_and_reordering)
{
	struct link l = wan20;

	l.reorder = 500;
	l.loss = 200;
	for (uint64_t seed = 1; seed <= 2; seed++)
		run("2 % loss, 5 % reordering, 20 ms, 100 Mb/s", seed, l, 8 << 20, SPAN_S(0),
		    (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_when_some_are_late)
{
	struct link l = wan20;

	l.late = 500;
	run("5 % late by 3 ms, 20 ms, 100 Mb/s", 1, l, 40 << 20, SPAN_S(0),
	    (struct netstack_conf){ 0 });
}

TEST(pair_carries_every_byte_through_duplication)
{
	struct link l = wan20;

	l.dup = 500;
	l.loss = 50;
	run("5 % twice, 0.5 % loss, 20 ms, 100 Mb/s", 1, l, 8 << 20, SPAN_S(0),
	    (struct netstack_conf){ 0 });
}

static const struct tcp_conn *conn_of(const struct world *w, int side, const struct flow *f);

/* RFC 3708 2: a DSACK of what was sent once tells of a network that duplicates, and neither widens
 * RACK's reordering window (RFC 8985 6.2 step 4) nor takes a loss back. Of what was sent again the
 * network duplicates a twentieth too; that cannot be told from a needless retransmission, and is
 * all that may be held to be one. */
TEST(pair_takes_no_duplicate_of_the_network_for_a_needless_retransmission)
{
	enum { SEEDS = 12 };
	unsigned long long again = 0, lost = 0, needless = 0;

	/* the first loses nothing */
	for (unsigned seed = 0; seed <= SEEDS; seed++) {
		struct link l = wan20;
		struct flow f = { .want = 8 << 20 };
		struct netstack_stat st;
		struct world w;
		unsigned mult = 0;

		l.dup = 500;
		l.loss = seed > 0 ? 50 : 0;
		l.queue_max = 4 << 20; /* what is lost is lost by chance */
		world_init(&w, MAX_OF(seed, 1U), &l, (struct netstack_conf){ 0 });
		open_flow(&w, &f, 0);
		while (!(f.ended[0] && f.ended[1]) && step(&w, mono_add(w.now, SPAN_S(60)))) {
			if (!f.ended[0])
				mult = MAX_OF(mult, conn_of(&w, 0, &f)->rack.reo_wnd_mult);
			events(&w, &f, 1);
		}
		netstack_stat(w.ns[0], &st);
		ck_assert_uint_eq(f.read, f.want);
		ck_assert_uint_le(st.tcp_retrans, w.lost);
		ck_assert_uint_le(mult, seed > 0 ? 5 : 1);
		ck_assert(seed > 0 || st.tcp_spurious == 0);
		again += st.tcp_retrans;
		lost += w.lost;
		needless += st.tcp_spurious;
		world_fini(&w);
	}
	printf("figure: 5 %% twice, 0.5 %% loss, %d transfers: %llu sent again, %llu lost, %llu "
	       "held to be needless\n",
	       (int)SEEDS, again, lost, needless);
	fflush(stdout);
	ck_assert_uint_le(needless * 100, again * 7);
}

/* The receive buffer is what limits it: 8 MiB a round trip, 671 Mb/s, slow start included. */
TEST(pair_fills_a_long_fat_pipe)
{
	const int seconds = SANITIZED ? 4 : 15; /* slow start takes the first */

	ck_assert_double_ge(run("no loss, 100 ms, 1 Gb/s", 1, wan100, UINT64_MAX, SPAN_S(seconds),
				(struct netstack_conf){ 0 }),
			    (SANITIZED ? 0.5 : 0.9) * 671);
}

struct trace {                                   /* of a sender, over time */
	double rate, cwnd, srtt_ms, in_recovery; /* means; in_recovery: a part of 1 */
	uint64_t recoveries, timeouts, segments;
};

static void trace_minute(uint64_t seed, const struct link *l, struct trace *t)
{
	struct flow f = { .want = UINT64_MAX };
	enum recovery_state was = CA_OPEN;
	double cwnd = 0, srtt = 0, lossy = 0, all = 0;
	struct world w;
	mono_t until, last;

	world_init(&w, seed, l, (struct netstack_conf){ 0 });
	open_flow(&w, &f, 0);
	last = w.now;
	until = mono_add(w.now, SPAN_S(60));
	while (step(&w, until)) {
		const struct tcp_conn *c = conn_of(&w, 0, &f);
		double dt = (double)mono_sub(w.now, last).ns;

		last = w.now;
		all += dt;
		cwnd += dt * c->cc.cwnd / MAX_OF(c->mss, 1);
		srtt += dt * (double)c->rtt.srtt.ns / 1e6;
		lossy += was == CA_OPEN ? 0 : dt;
		t->recoveries += c->rec.state != was && c->rec.state == CA_RECOVERY;
		t->timeouts += c->rec.state != was && c->rec.state == CA_LOSS;
		was = c->rec.state;
		events(&w, &f, 1);
	}
	t->segments += conn_of(&w, 0, &f)->segs_out;
	t->rate += mbps(f.read, SPAN_S(60));
	t->cwnd += cwnd / all;
	t->srtt_ms += srtt / all;
	t->in_recovery += lossy / all;
	world_fini(&w);
}

/* docs/design/congestion.md, "What CUBIC gets through random loss": not less than the response
 * function of RFC 9438 allows, and not more, for others share the path. The path's rate is no limit
 * here, nor are time-outs: RACK and the probe of the tail find every loss. */
TEST(pair_follows_the_response_function_of_cubic)
{
	enum { SEEDS = SANITIZED ? 1 : 8 };
	struct link l = wan20;

	l.loss = 200;
	for (int i = 0; i < 2; i++) {
		struct trace t = { 0 };

		l.reorder = i * 500U;
		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			trace_minute(seed, &l, &t);
		printf("figure: cubic, 20 ms, 2 %% loss, %u %% reordering, %d minutes: %.2f Mb/s, "
		       "window %.1f segments, round trip %.1f ms, %.1f %% of the time in recovery, "
		       "one recovery in %.0f segments, %llu time-outs\n",
		       l.reorder / 100, (int)SEEDS, t.rate / SEEDS, t.cwnd / SEEDS,
		       t.srtt_ms / SEEDS, 100 * t.in_recovery / SEEDS,
		       (double)t.segments / (double)t.recoveries, (unsigned long long)t.timeouts);
		fflush(stdout);
		ck_assert_double_ge(t.rate / SEEDS, SANITIZED ? 4 : 4.9);
		ck_assert_double_le(t.rate / SEEDS, SANITIZED ? 7 : 6.2);
		ck_assert_double_le(t.srtt_ms / SEEDS, 20.8); /* nothing waits for an ACK */
		ck_assert_uint_le(t.timeouts, SEEDS);
	}
}

TEST(pair_allocates_nothing_in_a_steady_transfer)
{
	struct world w;
	struct flow f = { .want = 40 << 20 };
	uint64_t before[2] = { 0 };

	world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
	open_flow(&w, &f, 0);
	while (f.read < (36 << 20) && step(&w, MONO_NEVER)) {
		events(&w, &f, 1);
		for (int i = 0; i < 2 && f.read < (20 << 20); i++)
			before[i] = w.ns[i]->pool.n_malloc;
	}
	ck_assert_uint_ge(f.read, 36 << 20);
	ck_assert_uint_eq(w.ns[0]->pool.n_malloc, before[0]);
	ck_assert_uint_eq(w.ns[1]->pool.n_malloc, before[1]);
	world_fini(&w);
}

/* The reader has to wait for the processor now and then, ever longer: buffers fill to what they
 * never held before. */
TEST(pair_allocates_nothing_while_a_reader_pauses)
{
	struct link l = { .rate = 500000000, .delay = { 1000000 }, .queue_max = 4 << 20 };
	struct world w;
	struct flow f = { .want = UINT64_MAX };
	uint64_t before[2] = { 0 };
	mono_t start;

	world_init(&w, 1, &l, (struct netstack_conf){ 0 });
	open_flow(&w, &f, 0);
	start = w.now;
	for (int i = 0; i < (SANITIZED ? 60 : 120); i++) {
		int64_t ms = mono_sub(w.now, start).ns / 1000000;
		mono_t until = mono_add(w.now, SPAN_MS(100));

		while (step(&w, until))
			events(&w, &f, 1);
		f.is_stalled = true;
		until = mono_add(w.now, SPAN_MS((uint64_t)(ms < 3000 ? 10 : ms / 100)));
		while (step(&w, until))
			events(&w, &f, 1);
		f.is_stalled = false;
		read_all(&w, &f);
		drain(&w, 1);
		for (int k = 0; k < 2 && ms < 3000; k++)
			before[k] = w.ns[k]->pool.n_malloc;
	}
	printf(
	    "figure: a reader that pauses: %.1f Mb/s, %zu KiB at most; %llu and %llu blocks from "
	    "malloc, %llu and %llu of them since the third second\n",
	    mbps(f.read, mono_sub(w.now, start)), w.ns[1]->pool.peak >> 10,
	    (unsigned long long)w.ns[0]->pool.n_malloc, (unsigned long long)w.ns[1]->pool.n_malloc,
	    (unsigned long long)(w.ns[0]->pool.n_malloc - before[0]),
	    (unsigned long long)(w.ns[1]->pool.n_malloc - before[1]));
	fflush(stdout);
	ck_assert_uint_gt(before[1], 100);
	ck_assert_uint_le(w.ns[1]->pool.peak, (8 << 20) + 4 * CHUNK_LEN);
	ck_assert_uint_eq(w.ns[0]->pool.n_malloc, before[0]);
	ck_assert_uint_eq(w.ns[1]->pool.n_malloc, before[1]);
	world_fini(&w);
}

TEST(pair_idle_connection_holds_no_buffers)
{
	struct world w;
	struct flow f = { .want = 1 << 20 };
	mono_t until;

	world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
	f.shut = true; /* stays open */
	open_flow(&w, &f, 0);
	until = mono_add(w.now, SPAN_S(20));
	while (step(&w, until))
		events(&w, &f, 1);
	ck_assert_uint_eq(f.read, f.want);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(w.ns[i]->table.n, 1);
		ck_assert_uint_eq(w.ns[i]->pool.used, 0);
		ck_assert_uint_eq(w.ns[i]->pool.waiting_bytes, 0);
		ck_assert(mono_is_never(netstack_deadline(w.ns[i])));
	}
	world_fini(&w);
}

/* Pulls side 1's next event, after the packets under way have arrived. */
static bool next_at(struct world *w, int side, struct ns_event *ev)
{
	mono_t until = mono_add(w->now, SPAN_S(1));

	while (step(w, until))
		if (netstack_next(w->ns[side], ev))
			return true;
	return netstack_next(w->ns[side], ev);
}

TEST(a_promiscuous_stack_takes_other_destinations_and_answers_in_their_name)
{
	const struct ip far[2] = { ip_v4(10, 50, 0, 2), { { 0xfd, 0x50, [15] = 2 } } };
	const struct ip own6 = { { 0xfd, 0x7a, [15] = 1 } };
	struct world w;
	struct ns_event ev;

	world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
	ck_assert_int_eq(netstack_addr_add(w.ns[0], &own6), 0);
	for (int i = 0; i < 2; i++) {
		const struct ipport from = { 0 }, to = { far[i], 80 };
		struct ns_id id;

		netstack_set_promiscuous(w.ns[1], false);
		ck_assert_int_eq(ns_echo_send(w.ns[0], &far[i], 7, 9, bytes_str("x")), 0);
		drain(&w, 0);
		ck_assert(!next_at(&w, 1, &ev));

		netstack_set_promiscuous(w.ns[1], true);
		ck_assert_int_eq(ns_echo_send(w.ns[0], &far[i], 7, 9, bytes_str("ping")), 0);
		drain(&w, 0);
		ck_assert(next_at(&w, 1, &ev) && ev.type == NS_ECHO_REQUEST);
		ck_assert(ip_eq(&ev.local.ip, &far[i]) && ev.echo_id == 7 && ev.echo_seq == 9 &&
			  bytes_eq_str(ev.data, "ping"));
		ck_assert_int_eq(ns_echo_reply(w.ns[1], &far[i], &ev.remote.ip, 7, 9, ev.data), 0);
		drain(&w, 1);
		ck_assert(next_at(&w, 0, &ev) && ev.type == NS_ECHO_REPLY);
		ck_assert(ip_eq(&ev.remote.ip, &far[i]) && ev.echo_id == 7 && ev.echo_seq == 9);

		ck_assert_int_eq(ns_tcp_connect(w.ns[0], w.now, &from, &to, &id), 0);
		drain(&w, 0);
		ck_assert(next_at(&w, 1, &ev) && ev.type == NS_TCP_INCOMING);
		ck_assert(ip_eq(&ev.local.ip, &far[i]) && ev.local.port == 80);
		ns_tcp_accept(w.ns[1], w.now, ev.id);
		drain(&w, 1);
		ck_assert(next_at(&w, 0, &ev) && ev.type == NS_TCP_CONNECTED);
		ns_tcp_abort(w.ns[0], w.now, id);
		drain(&w, 0);
		while (next_at(&w, 1, &ev) && ev.type != NS_TCP_ENDED)
			;
	}
	/* an answer is of one family */
	ck_assert_int_eq(ns_echo_reply(w.ns[1], &far[0], &own6, 1, 1, bytes_str("")),
			 -EADDRNOTAVAIL);
	world_fini(&w);
}

/* What is pulled one packet at a time, as when a burst has room for one more only. */
static void drain_singly(struct world *w, int side)
{
	do {
		w->burst.n = BURST_MAX - 1;
		if (netstack_pull(w->ns[side], w->now, &w->burst) == 0)
			return;
		transmit(w, side, &w->burst.v[BURST_MAX - 1]);
	} while (true);
}

TEST(data_is_not_forgotten_when_an_acknowledgement_takes_the_last_place_of_a_burst)
{
	struct world w;
	struct link l = wan20;
	struct flow f = { .want = 16 };
	struct ns_event ev;
	bool read = false;
	char got[16];

	l.dup = 10000; /* the second copy asks for a D-SACK at once */
	world_init(&w, 1, &l, (struct netstack_conf){ 0 });
	f.shut = true; /* stays open */
	open_flow(&w, &f, 0);
	while (!f.connected && step(&w, mono_add(w.now, SPAN_S(1))))
		events(&w, &f, 1);
	drain(&w, 0);
	while (f.read < f.want && w.n > 0) { /* what is under way arrives, nothing is sent yet */
		struct flying *fl = heap_pop(&w);
		struct pkt p = { .data = fl->data, .len = fl->len };

		w.now = mono_max(w.now, fl->at);
		netstack_feed(w.ns[fl->to], w.now, &p, 1);
		if (w.n > 0 && w.heap[0]->at.ns == fl->at.ns && w.heap[0]->to == fl->to) {
			free(fl);
			continue; /* both copies first */
		}
		free(fl);
		while (netstack_next(w.ns[1], &ev))
			event(&w, flow_of(&f, 1, 1, &ev), 1, &ev);
	}
	ck_assert_uint_eq(f.read, f.want);
	ck_assert_uint_eq(ns_tcp_write(w.ns[1], w.now, f.id[1], "sixteen letters.", 16), 16);
	drain_singly(&w, 1);
	for (mono_t until = mono_add(w.now, SPAN_S(5)); !read && step(&w, until);)
		while (netstack_next(w.ns[0], &ev)) {
			struct ns_piece v[1];

			if (ev.type != NS_TCP_READABLE || ns_tcp_peek(w.ns[0], f.id[0], v, 1) == 0)
				continue;
			ck_assert_uint_eq(v[0].len, sizeof got);
			memcpy(got, v[0].data, sizeof got);
			read = true;
		}
	ck_assert(read && memcmp(got, "sixteen letters.", 16) == 0);
	world_fini(&w);
}

static const struct tcp_conn *conn_of(const struct world *w, int side, const struct flow *f)
{
	return conn_table_get(&w->ns[side]->table, f->id[side].index, f->id[side].generation);
}

TEST(a_link_that_narrows_is_told_to_senders_and_offered_to_new_ones)
{
	struct flow f[2] = { { .want = 4 << 20 }, { .want = 1 << 20 } };
	struct world w;
	mono_t until;

	world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
	f[0].shut = f[1].shut = true; /* stay open */
	open_flow(&w, f, 0);
	until = mono_add(w.now, SPAN_MS(150));
	while (step(&w, until))
		events(&w, f, 1);
	ck_assert(f[0].read > 0 && f[0].read < f[0].want);
	w.link.mtu = 1000; /* and nobody else says so */
	netstack_set_mtu(w.ns[1], w.now, 1000);
	drain(&w, 1);
	until = mono_add(w.now, SPAN_S(10));
	while (step(&w, until))
		events(&w, f, 1);
	ck_assert_uint_eq(f[0].read, f[0].want);
	ck_assert_uint_eq(conn_of(&w, 0, &f[0])->mss_path,
			  960); /* it was told, and did not guess */
	open_flow(&w, f, 1);
	until = mono_add(w.now, SPAN_S(10));
	while (step(&w, until))
		events(&w, f, 2);
	ck_assert_uint_eq(f[1].read, f[1].want);
	ck_assert_uint_eq(conn_of(&w, 0, &f[1])->mss_peer, 960);
	ck_assert_uint_eq(conn_of(&w, 0, &f[1])->n_retries, 0);
	netstack_set_mtu(w.ns[1], w.now, 1280); /* wide again: for those that come */
	world_fini(&w);
}

/* What side 1 has to say is lost. */
static void lose(struct world *w)
{
	burst_reset(&w->burst);
	ck_assert_uint_eq(netstack_pull(w->ns[1], w->now, &w->burst), 1);
}

static void narrow(struct world *w)
{
	w->link.mtu = 1000;
	netstack_set_mtu(w->ns[1], w->now, 1000);
}

static void run_for(struct world *w, struct flow *f, size_t n, span_t time)
{
	mono_t until = mono_add(w->now, time);

	while (step(w, until))
		events(w, f, n);
	w->now = until;
}

TEST(a_sender_is_told_again_that_the_link_narrowed)
{
	struct flow f = { .want = 4 << 20, .shut = true };
	struct world w;

	world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
	open_flow(&w, &f, 0);
	run_for(&w, &f, 1, SPAN_MS(150));
	ck_assert(f.read > 0 && f.read < f.want);
	drain(&w, 1);
	narrow(&w);
	lose(&w);
	run_for(&w, &f, 1, SPAN_MS(400)); /* what comes meanwhile was under way */
	ck_assert(f.read < f.want);
	ck_assert_uint_gt(conn_of(&w, 0, &f)->mss_path, 960);
	run_for(&w, &f, 1, SPAN_S(3));
	ck_assert_uint_eq(f.read, f.want);
	ck_assert_uint_eq(conn_of(&w, 0, &f)->mss_path, 960);
	run_for(&w, &f, 1, SPAN_S(600)); /* idle, and said a few times more */
	ck_assert_uint_le(w.ns[1]->stat.packets_out, w.ns[0]->stat.packets_out);
	ck_assert(!mono_is_never(netstack_deadline(w.ns[1])));
	netstack_set_mtu(w.ns[1], w.now, 1280);
	run_for(&w, &f, 1, SPAN_S(300));
	ck_assert(mono_is_never(netstack_deadline(w.ns[1]))); /* there is nothing to say any more */
	world_fini(&w);
}

TEST(a_link_that_narrows_while_a_connection_is_opened_is_told_when_it_is_open)
{
	for (int answered = 0; answered < 2; answered++) {
		struct flow f = { .want = 1 << 20, .shut = true };
		struct ns_event ev;
		struct world w;

		world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
		open_flow(&w, &f, 0);
		while (w.ns[1]->table.n == 0)
			ck_assert(step(&w, mono_add(w.now, SPAN_S(1))));
		ck_assert(netstack_next(w.ns[1], &ev) && ev.type == NS_TCP_INCOMING);
		if (answered) { /* with a size that is soon too large */
			event(&w, &f, 1, &ev);
			drain(&w, 1);
		}
		narrow(&w);
		if (!answered)
			event(&w, &f, 1, &ev);
		drain(&w, 1);
		run_for(&w, &f, 1, SPAN_S(5));
		ck_assert_uint_eq(f.read, f.want);
		ck_assert_uint_eq(conn_of(&w, 0, &f)->mss_peer, answered ? 1240 : 960);
		ck_assert_uint_le(conn_of(&w, 0, &f)->mss, 960);
		ck_assert_uint_le(conn_of(&w, 1, &f)->mss, 960); /* ours too */
		world_fini(&w);
	}
}

TEST(hundreds_of_senders_are_told_in_turn)
{
	enum { MANY = 300 };
	static struct flow f[MANY];
	struct world w;

	world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
	for (size_t i = 0; i < MANY; i++) {
		f[i] = (struct flow){ .want = 1000, .shut = true };
		open_flow(&w, f, i);
	}
	run_for(&w, f, MANY, SPAN_S(5));
	narrow(&w);
	drain(&w, 1);
	run_for(&w, f, MANY, SPAN_MS(300)); /* before it would be said again */
	for (size_t i = 0; i < MANY; i++)
		ck_assert_uint_eq(conn_of(&w, 0, &f[i])->mss_path, 960);
	world_fini(&w);
}

/* A reader of a local socket reserves room, and then hears of its end: with thousands at once that
 * room was all memory there is, and no FIN found any. */
TEST(room_that_was_reserved_goes_back_when_the_end_comes_instead_of_data)
{
	struct world w;
	struct flow f = { .want = 0 };
	struct ns_piece v[4];

	world_init(&w, 1, &wan20, (struct netstack_conf){ 0 });
	f.shut = true;
	open_flow(&w, &f, 0);
	while (!f.connected && step(&w, mono_add(w.now, SPAN_S(1))))
		events(&w, &f, 1);
	ck_assert_uint_eq(w.ns[0]->pool.used, 0);
	ck_assert_uint_gt(ns_tcp_reserve(w.ns[0], f.id[0], 16384, v, 4), 0);
	ck_assert_uint_ge(w.ns[0]->pool.used, 16384);
	ns_tcp_shutdown(w.ns[0], w.now, f.id[0]);
	ck_assert_uint_eq(w.ns[0]->pool.used, 0);
	for (mono_t until = mono_add(w.now, SPAN_S(2)); !f.at_end && step(&w, until);)
		events(&w, &f, 1);
	ck_assert(f.at_end);
	world_fini(&w);
}
