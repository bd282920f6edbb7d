/* coordinator/tailnet_test.c - the control server with real control clients: joining, leaving,
 * expiring, logging in */
#include "coordinator/tailnet_priv.h"

#include "tests/tailnet_world.h"

static struct fleet fleet; /* large */

static struct fleet *begin(uint64_t seed)
{
	fleet_init(&fleet, seed);
	fleet_user(&fleet);
	return &fleet;
}

static bool is_streaming(const struct party *p)
{
	struct control_stat st;

	control_stat(p->c, &st);
	return st.streaming;
}

TEST(node_joins_with_a_key_and_gets_its_map)
{
	struct fleet *f = begin(1);
	char key[AUTHKEY_TEXT_MAX];
	struct party *p;
	const struct tailnet_node *n;

	fleet_key(f, 0, key);
	p = fleet_join(f, "Web Server.example.com", key);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(p->registered, 1);
	ck_assert(p->authorized);
	ck_assert(is_streaming(p));
	ck_assert_ptr_nonnull(netmap_self(p->nm));
	ck_assert_str_eq(netmap_self(p->nm)->name, "web-server.tail.test.");
	ck_assert_uint_eq(netmap_self(p->nm)->n_addresses, 2);
	ck_assert_ptr_nonnull(netmap_region(p->nm, 900));
	ck_assert(netmap_has_filter(p->nm));
	ck_assert_str_eq(netmap_magic_suffix(p->nm), "tail.test");
	n = fleet_node(f, p);
	ck_assert_ptr_nonnull(n);
	ck_assert(n->online);
	ck_assert_int_eq(n->user, f->user);
	fleet_fini(f);
}

TEST(one_time_key_lets_one_machine_in_and_no_second)
{
	struct fleet *f = begin(2);
	char key[AUTHKEY_TEXT_MAX];
	struct party *a, *b;

	fleet_key(f, 0, key);
	a = fleet_party(f, "a");
	b = fleet_party(f, "b");
	ck_assert_int_eq(control_set_auth_key(a->c, key), 0);
	ck_assert_int_eq(control_set_auth_key(b->c, key), 0);
	control_start(a->c, f->now, f->wall); /* side by side */
	control_start(b->c, f->now, f->wall);
	fleet_run(f);
	ck_assert_uint_eq(a->registered + b->registered, 1);
	ck_assert_uint_ge(a->login_failed + b->login_failed, 1);
	ck_assert_ptr_nonnull(strstr(a->registered ? b->why : a->why, "authkey already used"));
	ck_assert_ptr_null(tailnet_node_at(f->t, 1));
	fleet_fini(f);
}

TEST(spent_key_stays_spent_over_a_crash_right_after_the_answer)
{
	struct fleet *f = begin(3);
	char key[AUTHKEY_TEXT_MAX];
	struct party *a, *b;

	fleet_key(f, 0, key);
	a = fleet_join(f, "a", key);
	ck_assert_uint_eq(a->registered, 1);
	fleet_restart(f);
	b = fleet_join(f, "b", key);
	ck_assert_uint_eq(b->registered, 0);
	ck_assert_ptr_nonnull(strstr(b->why, "authkey already used"));
	fleet_pass(f, SPAN_S(30));
	ck_assert(is_streaming(a)); /* known, and back by itself */
	fleet_fini(f);
}

TEST(reusable_key_lets_many_in_and_all_see_each_other)
{
	struct fleet *f = begin(4);
	char key[AUTHKEY_TEXT_MAX], name[16];
	struct party *p[10];

	fleet_key(f, KEY_REUSABLE, key);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "n%d", i);
		p[i] = fleet_join(f, name, key);
	}
	fleet_pass(f, SPAN_MS(50));
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(netmap_n_peers(p[i]->nm), 9);
	fleet_fini(f);
}

TEST(unknown_and_expired_keys_are_refused_in_headscales_words)
{
	struct fleet *f = begin(5);
	char key[AUTHKEY_TEXT_MAX];
	struct party *p;

	fleet_key(f, KEY_EXPIRED, key);
	p = fleet_join(f, "a", key);
	ck_assert_uint_eq(p->registered, 0);
	ck_assert_ptr_nonnull(strstr(p->why, "authkey expired"));
	p = fleet_join(f, "b", "hskey-auth-AAAAAAAAAAAA-BBBB");
	ck_assert_uint_eq(p->registered, 0);
	ck_assert_ptr_nonnull(strstr(p->why, "invalid pre auth key"));
	ck_assert_ptr_null(tailnet_node_at(f->t, 0));
	fleet_fini(f);
}

TEST(tagged_key_makes_a_node_without_user_and_expiry)
{
	struct fleet *f = begin(6);
	char key[AUTHKEY_TEXT_MAX];
	struct party *p;

	fleet_key(f, KEY_TAGGED, key);
	p = fleet_join(f, "a", key);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(netmap_self(p->nm)->n_tags, 1);
	ck_assert_str_eq(netmap_self(p->nm)->tags[0], "tag:web");
	ck_assert_int_eq(netmap_self(p->nm)->key_expiry.ns, 0);
	ck_assert_int_eq(netmap_self(p->nm)->user, 2147455555);
	ck_assert_str_eq(netmap_user(p->nm, 2147455555)->login, "tagged-devices");
	fleet_fini(f);
}

TEST(a_key_expiry_beyond_the_end_of_time_is_no_expiry_in_the_past)
{
	struct fleet *f = begin(7);
	char key[AUTHKEY_TEXT_MAX];
	struct party *p;

	fleet_settle(f);
	f->conf.key_expiry = (span_t){ INT64_MAX };
	fleet_restart(f);
	fleet_key(f, 0, key);
	p = fleet_join(f, "a", key);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(p->registered, 1);
	ck_assert(is_streaming(p));
	ck_assert(netmap_self(p->nm)->key_expiry.ns > f->wall.ns);
	fleet_fini(f);
}

TEST(node_that_starts_again_needs_no_key_and_keeps_its_address)
{
	struct fleet *f = begin(7);
	char key[AUTHKEY_TEXT_MAX];
	struct party *p;
	struct ip was;

	fleet_key(f, 0, key);
	p = fleet_join(f, "a", key);
	fleet_pass(f, SPAN_S(1));
	was = fleet_node(f, p)->v4;
	fleet_again(f, p, NULL);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(p->registered, 2);
	ck_assert(is_streaming(p));
	fleet_again(f, p,
		    key); /* the spent key beside a state that is kept (control-protocol.md 3.3) */
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(p->registered, 3);
	ck_assert(ip_eq(&fleet_node(f, p)->v4, &was));
	ck_assert_ptr_null(tailnet_node_at(f->t, 1));
	fleet_fini(f);
}

TEST(offline_is_told_after_ten_seconds_and_online_at_once)
{
	struct fleet *f = begin(8);
	char key[AUTHKEY_TEXT_MAX];
	struct party *a, *b;
	struct key_pub kb;

	fleet_key(f, KEY_REUSABLE, key);
	a = fleet_join(f, "a", key);
	b = fleet_join(f, "b", key);
	fleet_pass(f, SPAN_MS(50));
	kb = b->current;
	ck_assert_int_eq(netmap_by_key(a->nm, &kb)->online, 1);
	control_stop(b->c);
	for (size_t k = 0; k < CONTROL_CONNS; k++)
		fleet_shut(f, &b->wire[k]);
	fleet_pass(f, SPAN_S(TAILNET_OFFLINE_S - 1));
	ck_assert_int_eq(netmap_by_key(a->nm, &kb)->online, 1);
	fleet_pass(f, SPAN_S(2));
	ck_assert_int_eq(netmap_by_key(a->nm, &kb)->online, 0);
	ck_assert_int_gt(netmap_by_key(a->nm, &kb)->last_seen.ns, 0);
	fleet_again(f, b, NULL);
	fleet_pass(f, SPAN_MS(50));
	ck_assert_int_eq(netmap_by_key(a->nm, &kb)->online, 1);
	fleet_fini(f);
}

TEST(ephemeral_node_is_removed_after_its_time_and_not_before)
{
	struct fleet *f = begin(9);
	char key[AUTHKEY_TEXT_MAX], plain[AUTHKEY_TEXT_MAX];
	struct party *a, *e;

	fleet_key(f, KEY_EPHEMERAL, key);
	fleet_key(f, 0, plain);
	a = fleet_join(f, "a", plain);
	e = fleet_join(f, "e", key);
	fleet_pass(f, SPAN_S(1000));
	ck_assert_uint_eq(netmap_n_peers(a->nm), 1); /* it is there as long as it is online */
	fleet_drop(f, e);
	fleet_pass(f, SPAN_S(65));
	ck_assert_uint_eq(netmap_n_peers(a->nm), 1);
	fleet_pass(f, SPAN_S(10));
	ck_assert_uint_eq(netmap_n_peers(a->nm), 0);
	ck_assert_ptr_null(tailnet_node_at(f->t, 1));
	fleet_fini(f);
}

TEST(ephemeral_node_gets_its_time_again_when_the_server_restarts)
{
	struct fleet *f = begin(10);
	char key[AUTHKEY_TEXT_MAX];
	struct party *e;

	fleet_key(f, KEY_EPHEMERAL, key);
	e = fleet_join(f, "e", key);
	fleet_pass(f, SPAN_S(1));
	fleet_drop(f, e);
	fleet_restart(f);
	fleet_pass(f, SPAN_S(50));
	ck_assert_ptr_nonnull(tailnet_node_at(f->t, 0));
	fleet_pass(f, SPAN_S(20));
	ck_assert_ptr_null(tailnet_node_at(f->t, 0));
	fleet_restart(f);
	ck_assert_ptr_null(tailnet_node_at(f->t, 0));
	fleet_fini(f);
}

TEST(logout_expires_a_node_and_removes_an_ephemeral_one)
{
	struct fleet *f = begin(11);
	char key[AUTHKEY_TEXT_MAX], ephemeral[AUTHKEY_TEXT_MAX];
	struct party *a, *e;

	fleet_key(f, KEY_REUSABLE, key);
	fleet_key(f, KEY_EPHEMERAL, ephemeral);
	a = fleet_join(f, "a", key);
	e = fleet_join(f, "e", ephemeral);
	fleet_pass(f, SPAN_S(1));
	control_logout(e->c, f->now);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(e->logged_out, 1);
	ck_assert_ptr_null(tailnet_node_at(f->t, 1));
	ck_assert_uint_eq(netmap_n_peers(a->nm), 0);
	control_logout(a->c, f->now);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(a->logged_out, 1);
	ck_assert(tailnet_node_expired(tailnet_node_at(f->t, 0), f->wall));
	fleet_restart(f);
	ck_assert(tailnet_node_at(f->t, 0)->logged_out);
	f->wall.ns -= 3600 * NS_PER_S; /* the clock was wrong: that lets nobody in */
	ck_assert(tailnet_node_expired(tailnet_node_at(f->t, 0), f->wall));
	fleet_again(f, a, key);
	fleet_run(f);
	ck_assert_uint_eq(a->registered, 2);
	ck_assert(!tailnet_node_at(f->t, 0)->logged_out);
	ck_assert(!tailnet_node_expired(tailnet_node_at(f->t, 0), f->wall));
	fleet_fini(f);
}

TEST(expiry_is_told_to_peers_when_it_comes)
{
	struct fleet *f = begin(12);
	char key[AUTHKEY_TEXT_MAX], tagged[AUTHKEY_TEXT_MAX];
	struct party *a, *b;
	struct key_pub ka;

	fleet_key(f, 0, key);
	fleet_key(f, KEY_TAGGED, tagged);
	a = fleet_join(f, "a", key);
	b = fleet_join(f, "b", tagged);
	fleet_pass(f, SPAN_S(10));
	ka = a->current;
	ck_assert(!netmap_by_key(b->nm, &ka)->expired);
	fleet_pass(f, SPAN_S(86395));
	ck_assert(netmap_by_key(b->nm, &ka)->expired);
	fleet_fini(f);
}

/* A clock that ran ahead and is set right again */
TEST(a_key_that_is_not_over_after_all_is_told_to_peers)
{
	struct fleet *f = begin(73);
	char key[AUTHKEY_TEXT_MAX];
	struct party *a, *b;
	struct key_pub ka;

	fleet_key(f, KEY_REUSABLE | KEY_TAGGED, key);
	b = fleet_join(f, "b", key);
	fleet_key(f, 0, key);
	a = fleet_join(f, "a", key);
	fleet_pass(f, SPAN_S(10));
	ka = a->current;
	f->wall.ns += 90000 * NS_PER_S;
	fleet_pass(f, SPAN_S(10));
	ck_assert(netmap_by_key(b->nm, &ka)->expired);
	f->wall.ns -= 90000 * NS_PER_S;
	fleet_pass(f, SPAN_S(10));
	ck_assert(!netmap_by_key(b->nm, &ka)->expired);
	fleet_fini(f);
}

TEST(interactive_login_waits_for_a_person_and_goes_on_at_once)
{
	struct fleet *f = begin(13);
	struct party *p = fleet_join(f, "laptop", NULL);
	char host[TAILNET_NAME_MAX];
	struct err e = { 0 };
	const char *id;
	int64_t node;

	ck_assert_uint_eq(p->registered, 0);
	ck_assert_int_eq(strncmp(p->auth_url, "http://control.example:8080/register/", 37), 0);
	id = strrchr(p->auth_url, '/') + 1;
	ck_assert(tailnet_login_waits(f->t, f->now, id, host));
	ck_assert_str_eq(host, "laptop");
	ck_assert_int_eq(tailnet_login_approve(f->t, f->now, f->wall, "nobody", f->user, &node, &e),
			 -ENOENT);
	fleet_pass(f, SPAN_S(60));
	ck_assert_uint_eq(p->registered, 0);
	ck_assert_int_eq(tailnet_login_approve(f->t, f->now, f->wall, id, f->user, &node, &e), 0);
	fleet_pass(f, SPAN_MS(100));
	ck_assert_uint_eq(p->registered, 1);
	ck_assert(is_streaming(p));
	ck_assert_int_eq(fleet_node(f, p)->id, node);
	ck_assert(!tailnet_login_waits(f->t, f->now, id, host));
	fleet_fini(f);
}

/* What it may hold when there is no room for all */
TEST(a_connection_is_a_nodes_when_its_machine_has_one)
{
	struct fleet *f = begin(74);
	struct party *p = fleet_join(f, "laptop", NULL);
	const struct session_id id = p->wire[0].session;
	struct err e = { 0 };
	int64_t node;

	ck_assert(p->wire[0].is_upgraded && !tailnet_is_of_node(f->t, id));
	ck_assert_int_eq(tailnet_login_approve(f->t, f->now, f->wall, strrchr(p->auth_url, '/') + 1,
					       f->user, &node, &e),
			 0);
	ck_assert(tailnet_is_of_node(f->t, id));
	ck_assert_int_eq(tailnet_node_del(f->t, f->now, f->wall, node, &e), 0);
	ck_assert(!tailnet_is_of_node(f->t, id));
	fleet_fini(f);
}

TEST(login_that_is_refused_says_so)
{
	struct fleet *f = begin(14);
	struct party *p = fleet_join(f, "laptop", NULL);
	struct err e = { 0 };

	ck_assert_int_eq(tailnet_login_reject(f->t, f->now, strrchr(p->auth_url, '/') + 1, &e), 0);
	fleet_run(f);
	ck_assert_uint_eq(p->login_failed, 1);
	ck_assert_ptr_nonnull(strstr(p->why, "refused"));
	ck_assert_ptr_null(tailnet_node_at(f->t, 0));
	fleet_fini(f);
}

/* A request of a machine that nobody knows, by the session of p */
static void stranger_asks_for(struct fleet *f, struct party *p, const struct key_pub *node)
{
	const struct session_id id = p->wire[0].session;
	struct session *s = session_get(f->t, id);
	const struct key_pub own = s->machine;
	char key[KEY_TEXT_MAX], body[512];
	struct key_priv k;
	struct key_pub pub;

	key_gen(&k, &f->rng.rng);
	key_public(&pub, &k);
	s->machine = pub;
	snprintf(body, sizeof body,
		 "{\"Version\":119,\"NodeKey\":\"%s\",\"Hostinfo\":{\"Hostname\":\"x\"}}",
		 key_pub_text(KEY_NODE, node ? node : &pub, key));
	register_request(f->t, f->now, f->wall, id, 99999, bytes_str(body));
	s->machine = own;
}

static void stranger_asks(struct fleet *f, struct party *p)
{
	stranger_asks_for(f, p, NULL);
}

TEST(logins_of_strangers_do_not_keep_others_out)
{
	struct fleet *f = begin(16);
	struct party *first = fleet_join(f, "laptop", NULL), *second;
	char host[TAILNET_NAME_MAX];
	struct err e = { 0 };
	int64_t node;

	fleet_pass(f, SPAN_S(1));
	for (int i = 0; i < 3 * TAILNET_LOGINS_MAX; i++)
		stranger_asks(f, first);
	ck_assert_uint_eq(f->t->n_logins, TAILNET_LOGINS_MAX);
	/* whose node waits is still there, and another one finds room */
	ck_assert(tailnet_login_waits(f->t, f->now, strrchr(first->auth_url, '/') + 1, host));
	second = fleet_join(f, "phone", NULL);
	ck_assert_int_eq(tailnet_login_approve(f->t, f->now, f->wall,
					       strrchr(second->auth_url, '/') + 1, f->user, &node,
					       &e),
			 0);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(second->registered, 1);
	fleet_fini(f);
}

TEST(logins_that_one_source_waits_for_do_not_keep_others_out)
{
	struct fleet *f = begin(75);
	struct party *first = fleet_join(f, "laptop", NULL), *second;
	const struct session_id id = first->wire[0].session;
	const struct ipport own = session_get(f->t, id)->remote;
	char host[TAILNET_NAME_MAX];

	fleet_pass(f, SPAN_S(1));
	for (int i = 0; i < 2 * TAILNET_LOGINS_MAX; i++) {
		session_get(f->t, id)->remote.ip = ip_v4(198, 51, 100, (uint8_t)(i % 4));
		stranger_asks(f, first);
		for (size_t k = 0; k < f->t->n_logins; k++)
			if (f->t->logins[k].waiter_h2 == 0) { /* it comes back, and waits */
				f->t->logins[k].waiter = id;
				f->t->logins[k].waiter_h2 = 77777;
			}
	}
	session_get(f->t, id)->remote = own;
	ck_assert_uint_eq(f->t->n_logins, TAILNET_LOGINS_MAX);
	ck_assert(tailnet_login_waits(f->t, f->now, strrchr(first->auth_url, '/') + 1, host));
	second = fleet_join(f, "phone", NULL);
	ck_assert_str_ne(second->auth_url, "");
	ck_assert(tailnet_login_waits(f->t, f->now, strrchr(second->auth_url, '/') + 1, host));
	ck_assert(tailnet_login_waits(f->t, f->now, strrchr(first->auth_url, '/') + 1, host));
	fleet_fini(f);
}

/* Peers know each other's node keys, and so does who was one. */
TEST(a_login_that_waited_does_not_get_the_key_that_another_machine_joined_with)
{
	struct fleet *f = begin(29);
	struct party *p = fleet_join(f, "laptop", NULL), *b = fleet_party(f, "b");
	char key[AUTHKEY_TEXT_MAX];
	struct key_pub node;
	struct err e = { 0 };
	int64_t id;

	key_public(&node, &b->node);
	stranger_asks_for(f, p, &node);
	ck_assert_uint_eq(f->t->n_logins, 2);
	fleet_key(f, 0, key);
	ck_assert_int_eq(control_set_auth_key(b->c, key), 0);
	control_start(b->c, f->now, f->wall);
	fleet_run(f);
	ck_assert_uint_eq(b->registered, 1);
	ck_assert_int_eq(
	    tailnet_login_approve(f->t, f->now, f->wall, f->t->logins[1].id, f->user, &id, &e),
	    -EEXIST);
	ck_assert_uint_eq(f->t->n_logins, 1);
	ck_assert_ptr_null(tailnet_node_at(f->t, 1));
	fleet_fini(f);
}

TEST(a_machine_that_starts_its_login_again_has_one)
{
	struct fleet *f = begin(17);
	struct party *p = fleet_join(f, "laptop", NULL);
	char url[sizeof p->auth_url];

	snprintf(url, sizeof url, "%s", p->auth_url);
	fleet_again(f, p, NULL); /* the same keys: the page that is open stays good */
	fleet_run(f);
	ck_assert_uint_eq(f->t->n_logins, 1);
	ck_assert_str_eq(p->auth_url, url);
	control_login(p->c, f->now, true); /* another node key: another login */
	fleet_run(f);
	ck_assert_uint_eq(f->t->n_logins, 1);
	ck_assert_str_ne(p->auth_url, url);
	fleet_fini(f);
}

TEST(a_login_that_waited_too_long_goes_on_under_another_url)
{
	struct fleet *f = begin(18);
	struct party *p = fleet_join(f, "laptop", NULL);
	char url[sizeof p->auth_url], host[TAILNET_NAME_MAX];
	struct err e = { 0 };
	int64_t node;

	snprintf(url, sizeof url, "%s", p->auth_url);
	fleet_pass(f, SPAN_S(TAILNET_LOGIN_S + 60));
	ck_assert_str_ne(p->auth_url, url);
	ck_assert(!tailnet_login_waits(f->t, f->now, strrchr(url, '/') + 1, host));
	ck_assert_int_eq(tailnet_login_approve(f->t, f->now, f->wall, strrchr(p->auth_url, '/') + 1,
					       f->user, &node, &e),
			 0);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(p->registered, 1);
	fleet_fini(f);
}

TEST(approved_login_whose_answer_was_lost_is_in_when_it_asks_again)
{
	struct fleet *f = begin(15);
	struct party *p = fleet_join(f, "laptop", NULL);
	struct err e = { 0 };
	int64_t node;

	p->deaf = true; /* the answer does not arrive */
	ck_assert_int_eq(tailnet_login_approve(f->t, f->now, f->wall, strrchr(p->auth_url, '/') + 1,
					       f->user, &node, &e),
			 0);
	fleet_settle(f);
	for (unsigned k = 0; k < CONTROL_CONNS; k++)
		if (p->wire[k].is_open) {
			fleet_shut(f, &p->wire[k]);
			control_closed(p->c, f->now, k, NULL);
		}
	p->deaf = false;
	fleet_pass(f, SPAN_S(20));
	ck_assert_uint_eq(p->registered, 1);
	ck_assert(is_streaming(p));
	ck_assert_ptr_null(tailnet_node_at(f->t, 1));
	fleet_fini(f);
}

TEST(new_node_that_needs_approval_is_told_so_and_let_in)
{
	struct fleet *f = begin(16);
	char key[AUTHKEY_TEXT_MAX];
	struct err e = { 0 };
	struct party *p;

	tailnet_free(f->t);
	f->conf.needs_approval = true;
	fleet_open(f);
	fleet_user(f);
	fleet_key(f, 0, key);
	p = fleet_join(f, "a", key);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(p->registered, 1);
	ck_assert(!p->authorized);
	ck_assert(!netmap_self(p->nm)->authorized);
	ck_assert_int_eq(tailnet_node_approve(f->t, f->now, f->wall, fleet_node(f, p)->id, &e), 0);
	fleet_pass(f, SPAN_MS(50));
	ck_assert(netmap_self(p->nm)->authorized);
	fleet_fini(f);
}

/* A map request of p without a stream, by its session */
static void tells(struct fleet *f, struct party *p, const char *more)
{
	char key[KEY_TEXT_MAX], body[1024];

	snprintf(body, sizeof body, "{\"Version\":119,\"NodeKey\":\"%s\",%s}",
		 key_pub_text(KEY_NODE, &p->current, key), more);
	map_request(f->t, f->now, f->wall, p->wire[0].session, 99999, bytes_str(body));
}

/* A hostile one with a good auth key would not care what it is told of itself. */
static void waits_alone(uint64_t seed, const char *policy)
{
	static const char route[] =
	    "\"Hostinfo\":{\"Hostname\":\"r\",\"RoutableIPs\":[\"10.9.0.0/16\"]}";
	struct fleet *f = begin(seed);
	struct party *a, *b, *c;
	char key[AUTHKEY_TEXT_MAX];
	struct ipprefix r;
	struct err e = { 0 };
	int64_t id;

	fleet_key(f, KEY_REUSABLE, key);
	a = fleet_join(f, "a", key);
	c = fleet_join(f, "c", key);
	fleet_pass(f, SPAN_S(1));
	if (policy)
		tailnet_set_policy(f->t, f->now, policy_parse(bytes_str(policy), &e));
	f->t->conf.needs_approval = true;
	b = fleet_join(f, "b", key);
	fleet_pass(f, SPAN_S(1));
	ck_assert(b->registered == 1 && !b->authorized);
	id = fleet_node(f, b)->id;
	ck_assert(ipprefix_parse(bytes_str("10.9.0.0/16"), &r));
	ck_assert_int_eq(tailnet_node_approve_routes(f->t, f->now, f->wall, id, &r, 1, &e), 0);
	tells(f, b, route);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(netmap_n_peers(a->nm), 1);
	ck_assert_uint_eq(netmap_n_peers(c->nm), 1);
	ck_assert_uint_eq(netmap_n_peers(b->nm), 0);
	ck_assert_uint_eq(node_by_key(f->t, &b->current)->n_active, 0);
	ck_assert_int_eq(tailnet_node_approve(f->t, f->now, f->wall, id, &e), 0);
	fleet_pass(f, SPAN_S(1));
	ck_assert_uint_eq(netmap_n_peers(a->nm), 2);
	ck_assert_uint_eq(netmap_n_peers(c->nm), 2);
	ck_assert_uint_eq(netmap_n_peers(b->nm), 2);
	ck_assert_uint_eq(node_by_key(f->t, &b->current)->n_active, 1);
	fleet_fini(f);
}

TEST(a_node_that_waits_for_approval_is_alone)
{
	waits_alone(78, NULL);
	waits_alone(79, "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}]}");
}

TEST(deleted_node_is_forgotten_by_peers_and_cannot_stream)
{
	struct fleet *f = begin(17);
	char key[AUTHKEY_TEXT_MAX];
	struct party *a, *b;
	struct err e = { 0 };

	fleet_key(f, KEY_REUSABLE, key);
	a = fleet_join(f, "a", key);
	b = fleet_join(f, "b", key);
	fleet_pass(f, SPAN_S(1));
	ck_assert_int_eq(control_set_auth_key(b->c, NULL), 0);
	ck_assert_int_eq(tailnet_node_del(f->t, f->now, f->wall, fleet_node(f, b)->id, &e), 0);
	fleet_pass(f, SPAN_MS(50));
	ck_assert_uint_eq(netmap_n_peers(a->nm), 0);
	fleet_pass(f, SPAN_S(60));
	ck_assert_uint_ge(b->needs_login, 1);
	fleet_fini(f);
}

static void says_its_name(struct fleet *f, struct party *p, const char *name)
{
	struct control_hostinfo hi = { .hostname = name, .os_version = "6.1" };

	ck_assert_int_eq(control_set_hostinfo(p->c, &hi), 0);
	fleet_pass(f, SPAN_MS(200));
}

TEST(label_follows_the_host_name_until_an_administrator_gives_one)
{
	struct fleet *f = begin(19);
	char key[AUTHKEY_TEXT_MAX];
	struct err e = { 0 };
	struct party *a, *b;

	fleet_key(f, KEY_REUSABLE, key);
	a = fleet_join(f, "same", key);
	b = fleet_join(f, "same", key);
	fleet_pass(f, SPAN_MS(50));
	ck_assert_str_eq(fleet_node(f, b)->given, "same-1");
	says_its_name(f, b, "Other.lan");
	ck_assert_str_eq(fleet_node(f, b)->given, "other");
	says_its_name(f, a, "other");
	ck_assert_str_eq(fleet_node(f, a)->given, "other-1");
	ck_assert_int_eq(
	    tailnet_node_rename(f->t, f->now, f->wall, fleet_node(f, a)->id, "mine", &e), 0);
	says_its_name(f, a, "third");
	ck_assert_str_eq(fleet_node(f, a)->given, "mine");
	fleet_fini(f);
}

TEST(labels_are_unique_and_addresses_too)
{
	struct fleet *f = begin(18);
	char key[AUTHKEY_TEXT_MAX];
	struct party *p[4];

	fleet_key(f, KEY_REUSABLE, key);
	for (int i = 0; i < 4; i++)
		p[i] = fleet_join(f, "same", key);
	fleet_pass(f, SPAN_MS(50));
	ck_assert_str_eq(fleet_node(f, p[0])->given, "same");
	ck_assert_str_eq(fleet_node(f, p[1])->given, "same-1");
	ck_assert_str_eq(fleet_node(f, p[3])->given, "same-3");
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < i; k++) {
			ck_assert(!ip_eq(&fleet_node(f, p[i])->v4, &fleet_node(f, p[k])->v4));
			ck_assert(!ip_eq(&fleet_node(f, p[i])->v6, &fleet_node(f, p[k])->v6));
		}
	fleet_fini(f);
}

TEST(keep_alives_come_within_a_minute)
{
	struct fleet *f = begin(19);
	char key[AUTHKEY_TEXT_MAX];
	struct party *p;
	unsigned before;

	fleet_key(f, 0, key);
	p = fleet_join(f, "a", key);
	fleet_pass(f, SPAN_S(1));
	before = p->frames;
	fleet_pass(f, SPAN_S(600));
	ck_assert_uint_ge(p->frames - before, 10);
	ck_assert_uint_le(p->frames - before, 12);
	ck_assert_uint_eq(p->registered, 1);
	fleet_fini(f);
}

TEST(reader_that_does_not_keep_up_loses_its_stream_and_memory_stays_bounded)
{
	struct fleet *f = begin(20);
	char key[AUTHKEY_TEXT_MAX];
	struct tailnet_stat st;
	struct party *a, *b;

	fleet_key(f, KEY_REUSABLE, key);
	a = fleet_join(f, "a", key);
	b = fleet_join(f, "b", key);
	fleet_pass(f, SPAN_S(1));
	a->deaf = true;
	for (unsigned i = 0; i < 60000; i++) { /* each change is a frame for a */
		struct ipport ep = { .ip = ip_v4(192, 0, 2, (uint8_t)i),
				     .port = (uint16_t)(1 + i) };
		enum control_ep type = CONTROL_EP_STUN;

		ck_assert_int_eq(control_set_endpoints(b->c, &ep, &type, 1), 0);
		fleet_pass(f, SPAN_MS(15));
		tailnet_stat(f->t, &st);
		if (st.streams == 1)
			break;
	}
	ck_assert_uint_eq(st.streams, 1);
	fleet_fini(f);
}

TEST(machine_holds_a_bounded_number_of_connections)
{
	struct fleet *f = begin(21);
	struct ipport remote = { .ip = ip_v4(192, 0, 2, 1), .port = 1 };
	struct key_priv machine;
	unsigned opened = 0;
	int ret = 0;

	key_gen(&machine, &f->rng.rng);
	for (unsigned i = 0; i < 20; i++) {
		struct noise_handshake n;
		uint8_t init[NOISE_INIT_LEN];
		struct session_id id;

		ck_assert(noise_init_emit(&n, 116, &machine, tailnet_key(f->t), &f->rng.rng, init));
		ret = tailnet_open(f->t, f->now, init, &remote, &id);
		opened += ret == 0;
	}
	ck_assert_int_eq(ret, -ENOBUFS);
	ck_assert_uint_eq(opened, TAILNET_SESSIONS_PER_MACHINE);
	fleet_fini(f);
}

TEST(a_new_home_relay_is_told_in_a_patch_and_latencies_not_at_all)
{
	struct fleet *f = begin(70);
	struct control_netinfo ni = { .working_udp = 1, .home = 900 };
	char key[AUTHKEY_TEXT_MAX];
	struct party *a, *b;
	struct tnode *n;
	uint64_t full, patch;

	fleet_key(f, KEY_REUSABLE, key);
	a = fleet_join(f, "a", key);
	b = fleet_join(f, "b", key);
	control_set_netinfo(b->c, &ni);
	fleet_pass(f, SPAN_S(2));
	n = node_by_key(f->t, &b->current);
	ck_assert_ptr_nonnull(n);
	full = n->full_seq;
	patch = n->patch_seq;
	ni.home = 901;
	control_set_netinfo(b->c, &ni);
	fleet_pass(f, SPAN_S(2));
	ck_assert_uint_eq(n->full_seq, full);
	ck_assert_uint_gt(n->patch_seq, patch);
	ck_assert_uint_eq(netmap_by_key(a->nm, &b->current)->home_derp, 901);
	patch = n->patch_seq;
	ni.have_portmap = ni.asked_gateway = ni.upnp = true;
	control_set_netinfo(b->c, &ni);
	fleet_pass(f, SPAN_S(2));
	ck_assert(strstr(n->pub.hostinfo, "UPnP\":true") != NULL); /* kept */
	ck_assert_uint_eq(n->full_seq, full);
	ck_assert_uint_eq(n->patch_seq, patch);
	fleet_fini(f);
}

TEST(hostinfo_above_its_limit_changes_nothing_and_is_told_to_nobody)
{
	static char words[TAILNET_HOSTINFO_MAX + 1];
	struct fleet *f = begin(71);
	struct control_hostinfo hi = { .hostname = "b", .os_version = "6.1", .distro = words };
	char key[AUTHKEY_TEXT_MAX], *before;
	struct party *b;
	struct tnode *n;
	uint64_t full, patch;

	fleet_key(f, KEY_REUSABLE, key);
	fleet_join(f, "a", key);
	b = fleet_join(f, "b", key);
	fleet_pass(f, SPAN_S(2));
	n = node_by_key(f->t, &b->current);
	ck_assert_ptr_nonnull(n);
	before = strdup(n->pub.hostinfo);
	full = n->full_seq;
	patch = n->patch_seq;
	memset(words, 'w', sizeof words - 1);
	for (int i = 0; i < 3; i++) { /* each another */
		words[0] = (char)('a' + i);
		ck_assert_int_eq(control_set_hostinfo(b->c, &hi), 0);
		fleet_pass(f, SPAN_S(2));
	}
	ck_assert_str_eq(n->pub.hostinfo, before);
	ck_assert_uint_eq(n->full_seq, full);
	ck_assert_uint_eq(n->patch_seq, patch);
	ck_assert(is_streaming(b)); /* the client is served as before */
	words[100] = 0;             /* one that fits is taken */
	ck_assert_int_eq(control_set_hostinfo(b->c, &hi), 0);
	fleet_pass(f, SPAN_S(2));
	ck_assert_ptr_nonnull(strstr(n->pub.hostinfo, words));
	ck_assert_uint_gt(n->full_seq, full);
	free(before);
	fleet_fini(f);
}

TEST(who_is_no_node_may_not_send_large_requests)
{
	static char words[TAILNET_STRANGER_BODIES + 1];
	struct fleet *f = begin(76);
	struct control_hostinfo hi = { .hostname = "b", .os_version = "6.1", .distro = words };
	char key[AUTHKEY_TEXT_MAX];
	struct party *a, *b = fleet_party(f, "b");

	memset(words, 'w', sizeof words - 1);
	ck_assert_int_eq(control_set_hostinfo(b->c, &hi), 0);
	control_start(b->c, f->now, f->wall);
	fleet_pass(f, SPAN_S(2));
	ck_assert_ptr_nonnull(strstr(b->trouble, "status 413"));
	fleet_drop(f, b);
	fleet_key(f, 0, key);
	a = fleet_join(f, "a", key);
	fleet_pass(f, SPAN_S(2));
	ck_assert_int_eq(control_set_hostinfo(a->c, &hi), 0);
	fleet_pass(f, SPAN_S(2));
	ck_assert(is_streaming(a)); /* a node may: it is read, and what is too much of it left */
	ck_assert_str_eq(a->trouble, "");
	fleet_fini(f);
}

TEST(types_belong_to_their_endpoints_and_a_change_of_them_alone_is_told_to_nobody)
{
	struct fleet *f = begin(72);
	char key[AUTHKEY_TEXT_MAX];
	struct party *a, *b;
	struct tnode *n;
	uint64_t seq;
	unsigned frames;

	fleet_key(f, KEY_REUSABLE, key);
	a = fleet_join(f, "a", key);
	b = fleet_join(f, "b", key);
	fleet_pass(f, SPAN_S(2));
	n = node_by_key(f->t, &b->current);
	ck_assert_ptr_nonnull(n);
	tells(f, b,
	      "\"Endpoints\":[\"192.0.2.1:1\",\"none\",\"192.0.2.2:2\"],\"EndpointTypes\":[1,2,3]");
	fleet_pass(f, SPAN_S(2));
	ck_assert_uint_eq(netmap_by_key(a->nm, &b->current)->n_endpoints, 2);
	ck_assert_uint_eq(n->pub.n_endpoints, 2);
	ck_assert_uint_eq(n->pub.endpoint_types[0], 1);
	ck_assert_uint_eq(n->pub.endpoint_types[1], 3);
	seq = f->t->seq;
	frames = a->frames;
	tells(f, b, "\"EndpointTypes\":[4,5],\"Endpoints\":[\"192.0.2.1:1\",\"192.0.2.2:2\"]");
	fleet_pass(f, SPAN_S(2));
	ck_assert_uint_eq(n->pub.endpoint_types[0], 4);
	ck_assert_uint_eq(n->pub.endpoint_types[1], 5);
	ck_assert_uint_eq(f->t->seq, seq);
	ck_assert_uint_eq(a->frames, frames);
	fleet_fini(f);
}
