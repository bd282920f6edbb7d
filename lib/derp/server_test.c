/* derp/server_test.c - relay and clients against each other, in memory, on virtual time */
#include "derp/server.h"

#include "crypto/box.h"
#include "derp/client.h"
#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>

enum { MAX = 8, HTTP_HEAD = 4096 };

struct end { /* a client and its stream */
	struct derp_client *c;
	struct derp_server *s; /* it dialled this one */
	struct derp_conn_id id;
	struct key_pub key;
	bool ready, closed, open, stalled;
	size_t packets, gone, not_here, present, pongs;
	uint64_t last; /* number in the last packet */
	size_t last_len;
	struct key_pub last_from, last_gone;
	char reason[128];
};

struct net {
	struct seed_rng rng;
	struct derp_server *s,
	    *s2; /* s2: another relay, or NULL; new clients dial it when dial_s2 */
	bool dial_s2;
	struct end e[MAX];
	size_t n, step; /* bytes that move at once */
	mono_t now;
	bool deny;
	char hangup[128];
};

static void net_init_conf(struct net *t, struct derp_server_conf *conf)
{
	*t = (struct net){ .step = 1000, .now = { NS_PER_S } };
	seed_rng_init(&t->rng, 7);
	conf->rng = &t->rng.rng;
	key_gen(&conf->key, &t->rng.rng);
	if (!conf->max_conns)
		conf->max_conns = MAX;
	t->s = derp_server_new(conf);
	ck_assert_ptr_nonnull(t->s);
}

static void net_init(struct net *t)
{
	struct derp_server_conf conf = { .max_conns = MAX };

	net_init_conf(t, &conf);
}

static void net_fini(struct net *t)
{
	for (size_t i = 0; i < t->n; i++)
		derp_client_free(t->e[i].c);
	derp_server_free(t->s);
	derp_server_free(t->s2);
}

static struct end *dial(struct net *t, const struct key_priv *key, const char *mesh)
{
	static const struct ipport remote = { .port = 4000 };
	struct end *e = &t->e[t->n++];
	struct derp_client_conf conf = { .rng = &t->rng.rng,
					 .host = "relay.example.com",
					 .mesh_key = mesh };
	uint8_t buf[HTTP_HEAD];
	size_t n;

	if (key)
		conf.node = *key;
	else
		key_gen(&conf.node, &t->rng.rng);
	key_public(&e->key, &conf.node);
	e->c = derp_client_new(&conf, t->now);
	ck_assert_ptr_nonnull(e->c);
	n = derp_client_pull(e->c, t->now, buf,
			     sizeof buf); /* the request head is the caller's business */
	ck_assert(n > 20 && memcmp(buf, "GET /derp HTTP/1.1\r\n", 20) == 0);
	e->s = t->dial_s2 ? t->s2 : t->s;
	ck_assert_int_eq(derp_server_open(e->s, t->now, &remote, false, &e->id), 0);
	e->open = true;
	return e;
}

static void client_events(struct net *t, struct end *e)
{
	struct derp_event ev;

	while (derp_client_next(e->c, &ev)) {
		switch (ev.type) {
		case DERP_EV_READY:
			e->ready = true;
			break;
		case DERP_EV_PACKET:
			e->packets++;
			e->last_len = ev.data.len;
			e->last_from = ev.from;
			if (ev.data.len >= 8)
				memcpy(&e->last, ev.data.data, 8);
			break;
		case DERP_EV_PEER_GONE:
			*(ev.reason == DERP_GONE_NOT_HERE ? &e->not_here : &e->gone) += 1;
			e->last_gone = ev.from;
			derp_server_link_peer(t->s, t->now, e->c, &ev.from, false);
			break;
		case DERP_EV_PEER_PRESENT:
			e->present++;
			derp_server_link_peer(t->s, t->now, e->c, &ev.from, true);
			break;
		case DERP_EV_PONG:
			e->pongs++;
			break;
		case DERP_EV_CLOSED:
			e->closed = true;
			snprintf(e->reason, sizeof e->reason, "%s", ev.text);
			break;
		case DERP_EV_HEALTH:
		case DERP_EV_RESTARTING:
			break;
		}
	}
}

static void events_of(struct net *t, struct derp_server *s)
{
	struct derp_server_event ev;

	while (derp_server_next(s, &ev)) {
		if (ev.type == DERP_SRV_VERIFY)
			derp_server_admit(s, t->now, ev.id, !t->deny);
		if (ev.type != DERP_SRV_HANGUP)
			continue;
		snprintf(t->hangup, sizeof t->hangup, "%s", ev.reason);
		for (size_t i = 0; i < t->n; i++)
			if (t->e[i].s == s && t->e[i].id.index == ev.id.index &&
			    t->e[i].id.generation == ev.id.generation)
				t->e[i].open = false;
	}
}

static void server_events(struct net *t)
{
	events_of(t, t->s);
	if (t->s2)
		events_of(t, t->s2);
}

static bool move(struct net *t, struct end *e)
{
	uint8_t *buf = malloc(t->step);
	size_t up = 0, down = 0;

	if (e->open && derp_server_wants_read(e->s, e->id)) {
		up = derp_client_pull(e->c, t->now, buf, t->step);
		derp_server_feed(e->s, t->now, e->id, bytes_of(buf, up));
	}
	server_events(t);
	if (e->open && !e->stalled) {
		down = derp_server_pull(e->s, t->now, e->id, buf, t->step);
		derp_client_feed(e->c, t->now, bytes_of(buf, down));
		client_events(t, e);
	}
	free(buf);
	return up + down > 0;
}

static void pump(struct net *t)
{
	bool busy = true;

	for (int turn = 0; busy && turn < 2000000; turn++) {
		busy = false;
		for (size_t i = 0; i < t->n; i++)
			busy |= move(t, &t->e[i]);
	}
	ck_assert(!busy);
	server_events(t);
}

static void sleep_s(struct net *t, double s)
{
	t->now = mono_add(t->now, SPAN_NS(s * 1e9));
	derp_server_tick(t->s, t->now);
	for (size_t i = 0; i < t->n; i++) {
		derp_client_tick(t->e[i].c, t->now);
		client_events(t, &t->e[i]);
	}
	server_events(t);
}

static void send_n(struct end *from, const struct key_pub *to, uint64_t number, size_t len)
{
	uint8_t *p = calloc(1, len + 8);

	memcpy(p, &number, 8);
	ck_assert(derp_client_send(from->c, to, p, len));
	free(p);
}

static void send_disco(struct end *from, const struct key_pub *to)
{
	uint8_t p[80] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

	ck_assert(derp_client_send(from->c, to, p, sizeof p));
}

TEST(clients_exchange_packets_whatever_the_pieces_of_the_stream)
{
	for (size_t step = 1; step < 200; step += step < 20 ? 1 : 37) {
		struct net t;
		struct end *a, *b;

		net_init(&t);
		t.step = step;
		a = dial(&t, NULL, NULL);
		b = dial(&t, NULL, NULL);
		pump(&t);
		ck_assert(a->ready && b->ready);
		ck_assert(key_eq(derp_client_server_key(a->c), derp_server_key(t.s)));
		for (size_t len = 8; len <= 8 * 9000; len *= 9) {
			send_n(a, &b->key, len, len > DERP_PACKET_MAX ? DERP_PACKET_MAX : len);
			pump(&t);
			ck_assert_uint_eq(b->last, len);
			ck_assert(key_eq(&b->last_from, &a->key));
		}
		send_n(b, &a->key, 5, 0);
		pump(&t);
		ck_assert_uint_eq(a->packets, 1);
		ck_assert_uint_eq(a->last_len, 0);
		net_fini(&t);
	}
}

TEST(largest_packet_passes_and_a_larger_one_is_refused_at_the_door)
{
	struct net t;
	struct end *a, *b;
	uint8_t *p = calloc(1, DERP_PACKET_MAX + 1);

	net_init(&t);
	t.step = 70000;
	a = dial(&t, NULL, NULL);
	b = dial(&t, NULL, NULL);
	pump(&t);
	ck_assert(derp_client_send(a->c, &b->key, p, DERP_PACKET_MAX));
	ck_assert(!derp_client_send(a->c, &b->key, p, DERP_PACKET_MAX + 1));
	pump(&t);
	ck_assert_uint_eq(b->packets, 1);
	ck_assert_uint_eq(b->last_len, DERP_PACKET_MAX);
	free(p);
	net_fini(&t);
}

TEST(packets_may_be_queued_before_the_handshake_is_over)
{
	struct net t;
	struct end *a, *b;

	net_init(&t);
	b = dial(&t, NULL, NULL);
	pump(&t);
	a = dial(&t, NULL, NULL);
	send_n(a, &b->key, 42, 100);
	pump(&t);
	ck_assert_uint_eq(b->last, 42);
	net_fini(&t);
}

TEST(full_client_queue_gives_up_the_oldest)
{
	struct net t;
	struct end *a, *b;

	net_init(&t);
	b = dial(&t, NULL, NULL);
	pump(&t);
	a = dial(&t, NULL, NULL);
	for (uint64_t i = 0; i < DERP_QUEUE_MAX + 10; i++)
		send_n(a, &b->key, i, 100);
	ck_assert_uint_eq(derp_client_stats(a->c)->dropped_queue, 10);
	pump(&t);
	ck_assert_uint_eq(b->last, DERP_QUEUE_MAX + 9);
	net_fini(&t);
}

TEST(slow_reader_loses_the_oldest_packets_and_nobody_else_any)
{
	struct net t;
	struct end *a, *slow, *fast;
	const struct derp_server_stats *st;

	net_init(&t);
	t.step = 100000;
	a = dial(&t, NULL, NULL);
	slow = dial(&t, NULL, NULL);
	fast = dial(&t, NULL, NULL);
	pump(&t);
	st = derp_server_stats(t.s);
	slow->stalled = true;
	for (uint64_t i = 0; i < 200; i++) {
		send_n(a, &slow->key, i, 1300);
		send_n(a, &fast->key, i, 1300);
		move(&t, a);
		move(&t, fast);
	}
	ck_assert_uint_eq(fast->packets, 200);
	ck_assert_uint_eq(st->dropped[DERP_DROP_QUEUE_HEAD], 200 - 32);
	send_disco(a, &slow->key); /* its own queue: displaces nothing */
	move(&t, a);
	ck_assert_uint_eq(st->dropped[DERP_DROP_QUEUE_HEAD], 200 - 32);
	slow->stalled = false;
	pump(&t);
	ck_assert_uint_eq(slow->packets, 33);
	ck_assert(slow->open);
	net_fini(&t);
}

TEST(packets_that_wait_stay_within_the_budgets_of_a_connection_and_of_the_relay)
{
	struct derp_server_conf conf = { .queue_bytes = 64 << 10, .total_bytes = 1 << 20 };
	struct net t;
	struct end *a, *slow, *fast;

	net_init_conf(&t, &conf);
	t.step = 100000;
	a = dial(&t, NULL, NULL);
	slow = dial(&t, NULL, NULL);
	fast = dial(&t, NULL, NULL);
	pump(&t);
	slow->stalled = true;
	for (uint64_t i = 0; i < 100; i++) {
		send_n(a, &slow->key, i, 20000);
		move(&t, a);
	}
	send_n(a, &fast->key, 7, 60000);
	move(&t, a);
	move(&t, fast);
	ck_assert_uint_eq(fast->last, 7);
	slow->stalled = false;
	pump(&t);
	ck_assert_uint_ge(slow->packets, 1);
	ck_assert_uint_le(slow->packets * 20000, 64 << 10);
	ck_assert_uint_eq(slow->last, 99);
	net_fini(&t);
}

TEST(client_that_does_not_read_at_all_is_hung_up_after_two_seconds)
{
	struct net t;
	struct end *a, *b;

	net_init(&t);
	a = dial(&t, NULL, NULL);
	b = dial(&t, NULL, NULL);
	pump(&t);
	b->stalled = true;
	send_n(a, &b->key, 1, 100);
	move(&t, a);
	sleep_s(&t, 1.9);
	ck_assert(b->open);
	sleep_s(&t, 0.2);
	ck_assert(!b->open && a->open);
	ck_assert_str_eq(t.hangup, "client does not read");
	ck_assert_uint_eq(derp_server_stats(t.s)->dropped[DERP_DROP_WRITE_ERROR], 1);
	net_fini(&t);
}

TEST(peer_gone_disconnected_goes_to_whom_the_peer_sent)
{
	struct net t;
	struct end *a, *b, *other;

	net_init(&t);
	a = dial(&t, NULL, NULL);
	b = dial(&t, NULL, NULL);
	other = dial(&t, NULL, NULL);
	pump(&t);
	send_n(a, &b->key, 1, 100);
	send_n(a, &b->key, 2, 100);
	pump(&t);
	derp_server_close(t.s, t.now, a->id);
	a->open = false;
	pump(&t);
	ck_assert_uint_eq(b->gone, 1);
	ck_assert(key_eq(&b->last_gone, &a->key));
	ck_assert_uint_eq(other->gone, 0);
	net_fini(&t);
}

TEST(peer_gone_not_here_answers_disco_only_three_at_once_then_one_a_second)
{
	struct net t;
	struct end *a;
	struct key_pub nobody = { { 9 } };

	net_init(&t);
	a = dial(&t, NULL, NULL);
	pump(&t);
	send_n(a, &nobody, 1, 100);
	pump(&t);
	ck_assert_uint_eq(a->not_here, 0);
	for (int i = 0; i < 10; i++)
		send_disco(a, &nobody);
	pump(&t);
	ck_assert_uint_eq(a->not_here, 3);
	sleep_s(&t, 1.1);
	for (int i = 0; i < 10; i++)
		send_disco(a, &nobody);
	pump(&t);
	ck_assert_uint_eq(a->not_here, 4);
	ck_assert_uint_eq(derp_server_stats(t.s)->dropped[DERP_DROP_UNKNOWN_DEST], 21);
	net_fini(&t);
}

TEST(of_two_connections_with_one_key_the_last_writer_gets_the_packets)
{
	struct net t;
	struct end *a, *one, *two;
	struct key_priv key;

	net_init(&t);
	key_gen(&key, &t.rng.rng);
	a = dial(&t, NULL, NULL);
	one = dial(&t, &key, NULL);
	pump(&t);
	two = dial(&t, &key, NULL);
	pump(&t);
	ck_assert(one->open && two->open);
	send_n(a, &one->key, 1, 50);
	pump(&t);
	ck_assert_uint_eq(two->packets, 1);
	send_n(one, &a->key, 2, 50);
	pump(&t);
	send_n(a, &one->key, 3, 50);
	pump(&t);
	ck_assert_uint_eq(one->last, 3);
	derp_server_close(t.s, t.now, one->id);
	one->open = false;
	pump(&t);
	ck_assert_uint_eq(a->gone, 0); /* the key is still there */
	send_n(a, &one->key, 4, 50);
	pump(&t);
	ck_assert_uint_eq(two->last, 4);
	ck_assert_uint_eq(derp_server_stats(t.s)->clients, 2);
	net_fini(&t);
}

TEST(keepalive_comes_each_minute_and_silence_of_two_ends_the_client)
{
	struct net t;
	struct end *a;

	net_init(&t);
	a = dial(&t, NULL, NULL);
	pump(&t);
	for (int i = 0; i < 10; i++) {
		sleep_s(&t, 65);
		pump(&t);
		ck_assert(a->open && !a->closed);
	}
	a->stalled = true;
	t.now = mono_add(t.now, SPAN_S(121));
	ck_assert(mono_due(derp_client_deadline(a->c), t.now));
	derp_client_tick(a->c, t.now);
	client_events(&t, a);
	ck_assert(a->closed);
	ck_assert_str_eq(a->reason, "relay was silent for two minutes");
	ck_assert(!derp_client_send(a->c, &a->key, (const uint8_t *)"x", 1));
	net_fini(&t);
}

TEST(login_must_be_over_in_ten_seconds)
{
	struct net t;
	struct end *a;

	net_init(&t);
	a = dial(&t, NULL, NULL);
	a->stalled = true;
	derp_server_pull(t.s, t.now, a->id, (uint8_t[2048]){ 0 }, 2048);
	sleep_s(&t, 9.9);
	ck_assert(a->open && !a->closed);
	sleep_s(&t, 0.2);
	ck_assert(!a->open && a->closed);
	ck_assert_str_eq(t.hangup, "login took too long");
	net_fini(&t);
}

TEST(verified_relay_admits_or_hangs_up_and_keeps_what_came_early)
{
	struct derp_server_conf conf = { .verify = true };
	struct net t;
	struct end *a, *b, *c;

	net_init_conf(&t, &conf);
	a = dial(&t, NULL, NULL);
	pump(&t);
	b = dial(&t, NULL, NULL);
	send_n(b, &a->key, 11, 50);
	pump(&t);
	ck_assert(a->ready && b->ready);
	ck_assert_uint_eq(a->last, 11);
	t.deny = true;
	c = dial(&t, NULL, NULL);
	pump(&t);
	ck_assert(!c->ready && !c->open);
	ck_assert_str_eq(t.hangup, "not admitted");
	net_fini(&t);
}

TEST(rate_limit_delays_reading_and_drops_nothing)
{
	struct derp_server_conf conf = { .rate_bytes = 100000, .rate_burst = 70000 };
	struct net t;
	struct end *a, *b;

	net_init_conf(&t, &conf);
	t.step = 1500;
	a = dial(&t, NULL, NULL);
	b = dial(&t, NULL, NULL);
	pump(&t);
	for (uint64_t i = 0; i < 200; i++)
		send_n(a, &b->key, i, 1000);
	pump(&t);
	ck_assert_uint_lt(b->packets, 75);
	ck_assert(!derp_server_wants_read(t.s, a->id) && derp_server_wants_read(t.s, b->id));
	for (int i = 0; i < 200 && b->packets < 200; i++) {
		ck_assert(!mono_is_never(derp_server_deadline(t.s)));
		sleep_s(&t, 0.02);
		pump(&t);
	}
	ck_assert_uint_eq(b->packets, 200);
	ck_assert_uint_ge(
	    (uint64_t)t.now.ns,
	    (uint64_t)(NS_PER_S * 2.2)); /* 206,000 bytes - burst at 100,000 a second */
	net_fini(&t);
}

TEST(ping_is_answered_and_its_absence_ends_the_connection)
{
	struct net t;
	struct end *a;

	net_init(&t);
	a = dial(&t, NULL, NULL);
	pump(&t);
	derp_client_ping(a->c, t.now);
	pump(&t);
	ck_assert_uint_eq(a->pongs, 1);
	derp_client_ping(a->c, t.now);
	a->stalled = true;
	sleep_s(&t, 5.1);
	ck_assert(a->closed);
	ck_assert_str_eq(a->reason, "relay did not answer a ping");
	net_fini(&t);
}

TEST(home_is_counted_and_follows_its_change)
{
	struct net t;
	struct end *a;

	net_init(&t);
	a = dial(&t, NULL, NULL);
	pump(&t);
	derp_client_set_home(a->c, true);
	pump(&t);
	ck_assert_uint_eq(derp_server_stats(t.s)->homes, 1);
	derp_client_set_home(a->c, false);
	pump(&t);
	ck_assert_uint_eq(derp_server_stats(t.s)->homes, 0);
	derp_client_set_home(a->c, true);
	pump(&t);
	derp_server_close(t.s, t.now, a->id);
	ck_assert_uint_eq(derp_server_stats(t.s)->homes, 0);
	a->open = false;
	net_fini(&t);
}

#define MESH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(mesh_watcher_learns_of_all_and_of_changes_and_may_close_and_forward)
{
	struct derp_server_conf conf = { .mesh_key = MESH };
	struct net t;
	struct end *a, *b, *m;
	struct key_pub stranger = { { 77 } };
	uint8_t packet[64] = { 3 }, close_frame[DERP_HEAD_LEN + KEY_LEN];

	net_init_conf(&t, &conf);
	a = dial(&t, NULL, NULL);
	b = dial(&t, NULL, NULL);
	pump(&t);
	m = dial(&t, NULL, MESH);
	derp_client_watch(m->c);
	pump(&t);
	ck_assert_uint_ge(m->present, 2);
	ck_assert(derp_client_forward(m->c, &stranger, &a->key, bytes_of(packet, sizeof packet)));
	ck_assert(derp_client_forward(m->c, &a->key, &stranger, bytes_of(packet, sizeof packet)));
	pump(&t);
	ck_assert_uint_eq(a->packets, 1);
	ck_assert(key_eq(&a->last_from, &stranger));
	ck_assert_uint_eq(derp_server_stats(t.s)->dropped[DERP_DROP_UNKNOWN_DEST_ON_FWD], 1);
	derp_server_close(t.s, t.now, b->id);
	b->open = false;
	pump(&t);
	ck_assert_uint_eq(m->gone, 1);
	derp_frame_head(close_frame, DERP_CLOSE_PEER, KEY_LEN);
	memcpy(close_frame + DERP_HEAD_LEN, a->key.b, KEY_LEN);
	derp_server_feed(t.s, t.now, m->id, bytes_of(close_frame, sizeof close_frame));
	pump(&t);
	ck_assert(!a->open && m->open);
	ck_assert_str_eq(t.hangup, "closed by a mesh peer");
	net_fini(&t);
}

TEST(mesh_frames_from_others_end_their_connection)
{
	struct derp_server_conf conf = { .mesh_key = MESH };
	struct net t;
	struct end *a;

	net_init_conf(&t, &conf);
	a = dial(&t, NULL, NULL);
	derp_client_watch(a->c);
	pump(&t);
	ck_assert(!a->open);
	ck_assert_str_eq(t.hangup, "not a mesh peer");
	net_fini(&t);
}

TEST(packet_for_a_client_of_another_relay_leaves_over_the_link)
{
	struct net t;
	struct end *a, *link;
	struct key_pub far = { { 55 } };

	net_init(&t);
	a = dial(&t, NULL, NULL);
	link = dial(&t, NULL, NULL); /* its stream's other end is of no matter here */
	pump(&t);
	link->open = false;
	ck_assert_int_eq(derp_server_link_add(t.s, link->c), 0);
	derp_server_link_peer(t.s, t.now, link->c, &far, true);
	send_n(a, &far, 1, 50);
	pump(&t);
	ck_assert_uint_eq(derp_server_stats(t.s)->forwarded_out, 1);
	ck_assert(derp_client_has_output(link->c));
	derp_server_link_del(t.s, t.now, link->c);
	send_n(a, &far, 1, 50);
	pump(&t);
	ck_assert_uint_eq(derp_server_stats(t.s)->dropped[DERP_DROP_UNKNOWN_DEST], 1);
	net_fini(&t);
}

TEST(two_meshed_relays_carry_packets_across_and_know_who_left)
{
	struct derp_server_conf conf = { .mesh_key = MESH },
				conf2 = { .mesh_key = MESH, .max_conns = MAX };
	struct end *a, *b, *link;
	struct net t;

	net_init_conf(&t, &conf);
	conf2.rng = &t.rng.rng;
	key_gen(&conf2.key, &t.rng.rng);
	t.s2 = derp_server_new(&conf2);
	ck_assert_ptr_nonnull(t.s2);
	a = dial(&t, NULL, NULL);
	t.dial_s2 = true;
	b = dial(&t, NULL, NULL);
	link = dial(&t, NULL, MESH);
	ck_assert_int_eq(derp_server_link_add(t.s, link->c), 0);
	pump(&t);
	ck_assert_uint_ge(link->present, 1);
	send_n(a, &b->key, 31, 1000);
	pump(&t);
	ck_assert_uint_eq(b->last, 31);
	ck_assert(key_eq(&b->last_from, &a->key));
	derp_server_close(t.s2, t.now, b->id);
	b->open = false;
	pump(&t);
	ck_assert_uint_eq(link->gone, 1);
	send_n(a, &b->key, 32, 1000);
	pump(&t);
	ck_assert_uint_eq(derp_server_stats(t.s)->dropped[DERP_DROP_UNKNOWN_DEST], 1);
	net_fini(&t);
}

TEST(connections_are_limited_and_old_ids_mean_nothing)
{
	struct derp_server_conf conf = { .max_conns = 2 };
	struct ipport remote = { .port = 1 };
	struct derp_conn_id one, two, three;
	struct net t;
	uint8_t buf[64];

	net_init_conf(&t, &conf);
	ck_assert_int_eq(derp_server_open(t.s, t.now, &remote, true, &one), 0);
	ck_assert_int_eq(derp_server_open(t.s, t.now, &remote, true, &two), 0);
	ck_assert_int_eq(derp_server_open(t.s, t.now, &remote, true, &three), -ENOSPC);
	derp_server_close(t.s, t.now, one);
	ck_assert_int_eq(derp_server_open(t.s, t.now, &remote, true, &three), 0);
	ck_assert_uint_eq(derp_server_pull(t.s, t.now, one, buf, sizeof buf), 0);
	ck_assert_uint_eq(derp_server_pull(t.s, t.now, three, buf, sizeof buf),
			  45); /* fast start: the key at once */
	ck_assert_int_eq(buf[0], DERP_SERVER_KEY);
	net_fini(&t);
}

static void hostile(struct derp_server_conf conf, const uint8_t *bytes, size_t len,
		    const char *want)
{
	struct ipport remote = { .port = 1 };
	struct derp_conn_id id;
	struct net t;

	net_init_conf(&t, &conf);
	ck_assert_int_eq(derp_server_open(t.s, t.now, &remote, true, &id), 0);
	derp_server_feed(t.s, t.now, id, bytes_of(bytes, len));
	server_events(&t);
	ck_assert_str_eq(t.hangup, want);
	net_fini(&t);
}

TEST(login_refuses_other_frames_wrong_boxes_and_long_ones)
{
	static const char *const no = "client did not introduce itself properly";
	struct derp_server_conf conf = { .max_conns = 2 };
	uint8_t info[DERP_HEAD_LEN + 100] = { DERP_CLIENT_INFO, 0, 0, 0, 100, 9 };

	hostile(conf, info, sizeof info, no);
	hostile(conf, (const uint8_t *)"\x02\0\0\0\0", 5, no);
	hostile(conf, (const uint8_t *)"\x06\0\0\0\0", 5, no);
	hostile(conf, (const uint8_t *)"\x02\0\0\x40\x01", 5,
		"frame too long"); /* DERP_INFO_MAX + 1 */
	hostile(conf, (const uint8_t *)"\x04\0\1\0\x21", 5,
		"frame too long"); /* a packet of 65537 */
	hostile(conf, (const uint8_t *)"\x99\0\x10\0\1", 5,
		"frame too long"); /* DERP_FRAME_MAX + 1 */
}
