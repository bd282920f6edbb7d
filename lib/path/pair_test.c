/* path/pair_test.c - two path machines, each behind its NAT, with a relay between them, on virtual
 * time
 *
 *    a (10.0.0.2) -- NAT 198.51.100.1 --+-- NAT 198.51.100.2 -- b (10.0.1.2)
 *                                       +-- relay, 15 ms from either
 *
 * The NATs map endpoint-independently and filter by remote address, for 30 s. Both ends send data
 * every 100 ms by path_route; what arrives is counted by way. Loss, latency and the death of UDP
 * are the net's.
 */
#include <stdlib.h>

#include "path/path.h"
#include "tests/harness.h"

enum { N_HOSTS = 2, FLIGHT_MAX = 8192, ALLOWED_MAX = 64, RELAY = 3, DATA = 0x44 };

struct host {
	struct path *p;
	struct key_pub node, disco;
	struct ipport inside, outside;
	struct {
		struct ip remote;
		mono_t until;
	} allowed[ALLOWED_MAX];
	size_t n_allowed;
	mono_t stun_at; /* an answer is under way; MONO_NEVER: none */
	mono_t last_got, last_got_udp, last_got_derp;
	span_t worst_gap;
	size_t n_udp, n_derp;
};
struct flight {
	mono_t at;
	int from, to; /* hosts; to -1: by address */
	struct ipport src, dst;
	bool relayed;
	size_t len;
	uint8_t data[1400];
};
struct net {
	struct seed_rng rng;
	mono_t now, data_at;
	struct host h[N_HOSTS];
	struct flight f[FLIGHT_MAX];
	size_t n;
	bool udp_dead;
	unsigned loss_percent;
	bool talking;
};

static void publish(struct net *net, int i)
{
	struct host *h = &net->h[i];
	const struct ipport eps[2] = { h->outside, h->inside };

	path_set_endpoints(h->p, net->now, eps, 2);
}

/* control tells the other end */
static void tell_peer(struct net *net, int i)
{
	const struct host *h = &net->h[i];
	const struct ipport eps[2] = { h->outside, h->inside };
	const struct path_peer conf = { .node = h->node,
					.disco = h->disco,
					.endpoints = eps,
					.n_endpoints = 2,
					.home_derp = RELAY };

	ck_assert_int_eq(path_peer_set(net->h[!i].p, net->now, (uint32_t)i, &conf), 0);
}

static struct net *net_new(uint64_t seed)
{
	struct net *net = calloc(1, sizeof *net);

	ck_assert_ptr_nonnull(net);
	seed_rng_init(&net->rng, seed);
	net->now = net->data_at = (mono_t){ 100 * NS_PER_S };
	for (int i = 0; i < N_HOSTS; i++) {
		struct host *h = &net->h[i];
		struct path_conf conf = { .rng = &net->rng.rng };

		key_gen(&conf.disco, conf.rng);
		key_public(&h->disco, &conf.disco);
		rng_fill(conf.rng, conf.node.b, KEY_LEN);
		h->node = conf.node;
		h->p = path_new(&conf);
		ck_assert_ptr_nonnull(h->p);
		h->inside = (struct ipport){ ip_v4(10, 0, (uint8_t)i, 2), 41641 };
		h->outside =
		    (struct ipport){ ip_v4(198, 51, 100, (uint8_t)(i + 1)), (uint16_t)(50000 + i) };
		h->stun_at = MONO_NEVER;
		h->last_got = net->now;
	}
	for (int i = 0; i < N_HOSTS; i++) {
		publish(net, i);
		tell_peer(net, i);
	}
	return net;
}

static void net_free(struct net *net)
{
	for (int i = 0; i < N_HOSTS; i++)
		path_free(net->h[i].p);
	free(net);
}

static bool may_pass(struct net *net, struct host *h, const struct ip *remote, bool out)
{
	for (size_t k = 0; k < h->n_allowed; k++) {
		if (!ip_eq(&h->allowed[k].remote, remote))
			continue;
		if (out)
			h->allowed[k].until = mono_add(net->now, SPAN_S(30));
		return !mono_before(h->allowed[k].until, net->now);
	}
	if (!out)
		return false;
	ck_assert_uint_lt(h->n_allowed, ALLOWED_MAX);
	h->allowed[h->n_allowed].remote = *remote;
	h->allowed[h->n_allowed++].until = mono_add(net->now, SPAN_S(30));
	return true;
}

static void fly(struct net *net, int from, const struct ipport *udp, const uint8_t *data,
		size_t len)
{
	struct host *h = &net->h[from];
	struct flight *f;

	if (udp) {
		(void)may_pass(net, h, &udp->ip, true);
		if (net->udp_dead || rng_below(&net->rng.rng, 100) < net->loss_percent)
			return;
	}
	ck_assert_uint_lt(net->n, FLIGHT_MAX);
	ck_assert_uint_le(len, sizeof net->f[0].data);
	f = &net->f[net->n++];
	*f = (struct flight){
		.from = from, .to = !from, .relayed = !udp, .src = h->outside, .len = len
	};
	f->at = mono_add(net->now, SPAN_MS(udp ? 10 : 30));
	if (udp)
		f->dst = *udp;
	memcpy(f->data, data, len);
}

static void got_data(struct net *net, struct host *h, bool relayed)
{
	span_t gap = mono_sub(net->now, h->last_got);

	if (gap.ns > h->worst_gap.ns)
		h->worst_gap = gap;
	h->last_got = net->now;
	*(relayed ? &h->last_got_derp : &h->last_got_udp) = net->now;
	*(relayed ? &h->n_derp : &h->n_udp) += 1;
}

static void land(struct net *net, const struct flight *f)
{
	struct host *h = &net->h[f->to];

	if (!f->relayed &&
	    (!ipport_eq(&f->dst, &h->outside) || !may_pass(net, h, &f->src.ip, false)))
		return; /* a private address, an old mapping, or filtered */
	if (!path_is_disco(f->data, f->len)) {
		if (f->relayed)
			path_note_derp(h->p, net->now, (uint32_t)f->from, RELAY);
		got_data(net, h, f->relayed);
	} else if (f->relayed) {
		path_feed_derp(h->p, net->now, RELAY, &net->h[f->from].node, f->data, f->len);
	} else {
		path_feed_udp(h->p, net->now, &f->src, f->data, f->len);
	}
}

static void talk(struct net *net)
{
	static const uint8_t data[64] = { DATA };

	for (int i = 0; i < N_HOSTS && net->talking; i++) {
		struct path_route r = path_route(net->h[i].p, net->now, (uint32_t)!i);

		ck_assert_msg(!ip_is_zero(&r.udp.ip) || r.derp == RELAY, "nowhere to send");
		if (!ip_is_zero(&r.udp.ip))
			fly(net, i, &r.udp, data, sizeof data);
		if (r.derp)
			fly(net, i, NULL, data, sizeof data);
	}
	net->data_at = mono_add(net->data_at, SPAN_MS(100));
}

static void flush(struct net *net)
{
	for (int i = 0; i < N_HOSTS; i++) {
		struct host *h = &net->h[i];
		struct path_event ev;
		struct path_send s;

		while (path_pull(h->p, net->now, &s))
			fly(net, i, s.derp ? NULL : &s.udp, s.data, s.len);
		while (path_next(h->p, &ev))
			if (ev.type == PATH_EV_WANT_STUN && mono_is_never(h->stun_at))
				h->stun_at = mono_add(net->now, SPAN_MS(20));
	}
}

static mono_t next_event(const struct net *net)
{
	mono_t due = net->data_at;

	for (int i = 0; i < N_HOSTS; i++)
		due = mono_min(due, mono_min(net->h[i].stun_at, path_deadline(net->h[i].p)));
	for (size_t k = 0; k < net->n; k++)
		due = mono_min(due, net->f[k].at);
	return due;
}

static void step(struct net *net)
{
	for (int i = 0; i < N_HOSTS; i++) {
		if (mono_due(net->h[i].stun_at, net->now)) {
			net->h[i].stun_at = MONO_NEVER;
			publish(net, i);
		}
		path_tick(net->h[i].p, net->now);
	}
	for (size_t k = net->n; k-- > 0;) {
		struct flight f = net->f[k];

		if (!mono_due(f.at, net->now))
			continue;
		net->f[k] = net->f[--net->n];
		land(net, &f);
	}
	if (mono_due(net->data_at, net->now))
		talk(net);
	flush(net);
}

static void run_s(struct net *net, int64_t s)
{
	mono_t until = mono_add(net->now, SPAN_S(s));

	for (int turns = 0; !mono_before(until, next_event(net)); turns++) {
		ck_assert_int_lt(turns, 200000);
		net->now = mono_max(net->now, next_event(net));
		step(net);
	}
	net->now = until;
}

static bool is_direct(struct net *net, int i)
{
	struct path_peer_stat st;

	ck_assert(path_peer_stat(net->h[i].p, net->now, (uint32_t)!i, &st));
	return st.trusted && ipport_eq(&st.best, &net->h[!i].outside);
}

static void counters_reset(struct net *net)
{
	for (int i = 0; i < N_HOSTS; i++) {
		net->h[i].n_udp = net->h[i].n_derp = 0;
		net->h[i].worst_gap = (span_t){ 0 };
		net->h[i].last_got = net->now;
	}
}

TEST(two_nodes_behind_filtering_nats_become_direct_within_a_second_and_leave_the_relay)
{
	struct net *net = net_new(1);

	net->talking = true;
	run_s(net, 1);
	ck_assert(is_direct(net, 0) && is_direct(net, 1));
	run_s(net, 1);
	counters_reset(net);
	run_s(net, 300);
	for (int i = 0; i < N_HOSTS; i++) {
		ck_assert_uint_eq(net->h[i].n_derp, 0);
		ck_assert_uint_ge(net->h[i].n_udp, 2999);
		ck_assert_int_le(span_ms(net->h[i].worst_gap), 110);
	}
	net_free(net);
}

TEST(nothing_is_lost_on_the_way_from_relay_to_direct)
{
	struct net *net = net_new(2);

	net->talking = true;
	run_s(net, 5);
	for (int i = 0; i < N_HOSTS; i++)
		ck_assert_int_le(span_ms(net->h[i].worst_gap), 130);
	net_free(net);
}

TEST(when_udp_dies_traffic_is_back_through_the_relay_and_direct_again_when_it_returns)
{
	struct net *net = net_new(3);

	net->talking = true;
	run_s(net, 10);
	counters_reset(net);
	net->udp_dead = true;
	run_s(net, 20);
	for (int i = 0; i < N_HOSTS; i++) {
		ck_assert_int_le(span_ms(net->h[i].worst_gap), 7000); /* trust lasts 6.5 s */
		ck_assert_uint_ge(net->h[i].n_derp, 120);
		ck_assert(!is_direct(net, i));
	}
	net->udp_dead = false;
	run_s(net, 10);
	ck_assert(is_direct(net, 0) && is_direct(net, 1));
	counters_reset(net);
	run_s(net, 10);
	ck_assert_uint_eq(net->h[0].n_derp + net->h[1].n_derp, 0);
	net_free(net);
}

TEST(a_moved_address_that_the_host_noticed_is_direct_again_within_10_s)
{
	struct net *net = net_new(4);

	net->talking = true;
	run_s(net, 60);
	net->h[1].outside = (struct ipport){ ip_v4(203, 0, 113, 50), 7777 };
	net->h[1].n_allowed = 0; /* another NAT: it knows nothing */
	counters_reset(net);
	path_link_changed(net->h[1].p, net->now);
	run_s(net, 10);
	ck_assert(is_direct(net, 0) && is_direct(net, 1));
	for (int i = 0; i < N_HOSTS; i++)
		ck_assert_int_le(span_ms(net->h[i].worst_gap), 7000);
	counters_reset(net);
	run_s(net, 10);
	ck_assert_uint_eq(net->h[0].n_derp + net->h[1].n_derp, 0);
	net_free(net);
}

TEST(a_nat_that_restarts_unnoticed_costs_less_than_10_s_of_traffic_and_direct_comes_back)
{
	struct net *net = net_new(5);

	net->talking = true;
	run_s(net, 60);
	net->h[1].outside.port = 60001;
	net->h[1].n_allowed = 0;
	counters_reset(net);
	run_s(net, 10);
	for (int i = 0; i < N_HOSTS; i++) {
		ck_assert_int_le(span_ms(net->h[i].worst_gap), 7000);
		ck_assert_int_le(span_ms(mono_sub(net->now, net->h[i].last_got)), 200);
	}
	run_s(net, 10);
	ck_assert(is_direct(net, 0) && is_direct(net, 1));
	net_free(net);
}

TEST(with_a_third_of_all_datagrams_lost_nodes_become_direct_and_traffic_never_pauses_for_10_s)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct net *net = net_new(seed);
		bool was_direct = false;

		net->loss_percent = 33;
		net->talking = true;
		for (int s = 0; s < 60; s++) {
			run_s(net, 1);
			was_direct |= is_direct(net, 0) && is_direct(net, 1);
		}
		ck_assert_msg(was_direct, "seed %d", (int)seed);
		for (int i = 0; i < N_HOSTS; i++)
			ck_assert_msg(net->h[i].worst_gap.ns < SPAN_S(10).ns, "seed %d", (int)seed);
		net_free(net);
	}
}

TEST(nodes_that_stop_talking_fall_silent_and_find_each_other_again)
{
	struct net *net = net_new(6);

	net->talking = true;
	run_s(net, 5);
	net->talking = false;
	run_s(net, 60);
	for (int i = 0; i < N_HOSTS; i++) /* all that is left is to forget the peer one day */
		ck_assert_int_gt(mono_sub(path_deadline(net->h[i].p), net->now).ns, SPAN_S(300).ns);
	run_s(net, 1000);
	for (int i = 0; i < N_HOSTS; i++)
		ck_assert(mono_is_never(path_deadline(net->h[i].p)));
	net->talking = true;
	run_s(net, 2);
	ck_assert(is_direct(net, 0) && is_direct(net, 1));
	net_free(net);
}
