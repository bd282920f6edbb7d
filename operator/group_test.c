/* operator/group_test.c - places in groups, moves from process to process, what a node is told */
#include "operator/group.h"

#include "kube/table.h"
#include "operator/render.h"
#include "os/file.h"
#include "tests/operator_fixture.h"

static const mono_t now = { 1000 * NS_PER_S };

static struct proxy placed(const char *name, const char *place)
{
	struct proxy x = { .minted = MONO_NEVER, .leaves = MONO_NEVER };

	(void)snprintf(x.name, sizeof x.name, "%s", name);
	(void)snprintf(x.group, sizeof x.group, "%s", place);
	x.child[CHILD_SECRET].exists = true;
	return x;
}

TEST(a_place_is_read_as_it_was_written)
{
	static const char *const bad[] = { "",      "c",    "c/1",  "/1/2",   "c/1/64", "c/256/0",
					   "c/x/0", "c/1/", "c//1", "c/1/2x", "c/-1/0" };
	struct group_place at;
	char text[GROUP_TEXT];

	ck_assert(group_place_parse("shared/12/63", &at));
	ck_assert_str_eq(at.class, "shared");
	ck_assert_uint_eq(at.group, 12);
	ck_assert_uint_eq(at.slot, 63);
	group_place_emit(text, &at);
	ck_assert_str_eq(text, "shared/12/63");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!group_place_parse(bad[i], &at), "%s", bad[i]);
}

TEST(names_of_groups_differ_and_stay)
{
	char a[PROXY_NAME_MAX + 1], b[PROXY_NAME_MAX + 1];
	char class[64];

	group_name(a, "shared", 0);
	group_name(b, "shared", 0);
	ck_assert_str_eq(a, b);
	ck_assert(strncmp(a, "ts-shared-0-", 12) == 0);
	group_name(b, "shared", 1);
	ck_assert_str_ne(a, b);
	memset(class, 'x', sizeof class - 1);
	class[63] = 0;
	group_name(a, class, 1);
	group_name(b, class, 11);
	ck_assert_str_ne(a, b);
}

TEST(the_first_free_place_is_found_and_an_own_one_kept)
{
	struct kube_table *t = kube_table_new(&os_rng);
	struct proxy a = placed("a", "c/0/0"), b = placed("b", "c/0/2"),
		     other = placed("o", "d/0/1"), planned = placed("p", "");
	struct group_place at;

	memcpy(planned.wished, "c/0/1", 6); /* its Secret is not there yet */
	ck_assert(kube_table_put(t, "a", &a) && kube_table_put(t, "b", &b) &&
		  kube_table_put(t, "o", &other) && kube_table_put(t, "p", &planned));
	ck_assert(group_find(t, NULL, "c", 4, &at));
	ck_assert_uint_eq(at.group * 10 + at.slot, 3);
	ck_assert(group_find(t, NULL, "c", 3, &at)); /* full: the next group */
	ck_assert_uint_eq(at.group * 10 + at.slot, 10);
	ck_assert(group_find(t, &b, "c", 4, &at));
	ck_assert_uint_eq(at.slot, 2);
	ck_assert(group_find(t, &planned, "c", 4, &at));
	ck_assert_uint_eq(at.slot, 1);
	ck_assert(group_find(t, &b, "c", 2, &at)); /* fewer: it has to move */
	ck_assert_uint_eq(at.group * 10 + at.slot, 10);
	ck_assert(group_find(t, &b, "d", 4, &at)); /* another class */
	ck_assert_str_eq(at.class, "d");
	ck_assert_uint_eq(at.slot, 0);
	kube_table_free(t);
}

TEST(a_slot_is_one_nodes_when_a_late_write_put_two_into_it)
{
	struct kube_table *t = kube_table_new(&os_rng);
	struct proxy a = placed("a", "c/0/1"), b = placed("b", "c/0/1"), p = placed("p", "");
	struct group_place at;

	ck_assert(kube_table_put(t, "a", &a) && kube_table_put(t, "b", &b) &&
		  kube_table_put(t, "p", &p));
	ck_assert(!group_is_second(&a, &b) && group_is_second(&b, &a));
	ck_assert(!group_is_second(&p, &a) && !group_is_second(&a, &p));
	ck_assert(group_find(t, &a, "c", 4, &at)); /* the first by name stays, */
	ck_assert_uint_eq(at.slot, 1);
	ck_assert(group_find(t, &b, "c", 4, &at)); /* the other moves, */
	ck_assert_uint_eq(at.slot, 0);
	memcpy(b.wished, "c/0/0", 6);
	ck_assert(group_find(t, &b, "c", 4, &at)); /* and on its way is sent nowhere else, */
	ck_assert_uint_eq(at.slot, 0);
	ck_assert(group_find(t, NULL, "c", 4, &at));
	ck_assert_uint_eq(at.slot, 2);
	memcpy(b.group, "c/0/0", 6); /* until it is there */
	ck_assert(group_find(t, &a, "c", 4, &at));
	ck_assert_uint_eq(at.slot, 1);
	memcpy(p.wished, "c/0/1", 6); /* a plan goes behind what stands in a Secret */
	ck_assert(group_find(t, &a, "c", 4, &at));
	ck_assert_uint_eq(at.slot, 1);
	ck_assert(group_find(t, &p, "c", 4, &at));
	ck_assert_uint_eq(at.slot, 2);
	kube_table_free(t);
}

TEST(who_moves_leaves_first)
{
	struct proxy x = placed("x", "c/0/1");
	struct want w = { 0 };

	x.node = strdup("{}");
	x.runs = true;
	group_move(&w, &x, "c/0/1", now);
	ck_assert_int_eq(w.move, MOVE_NONE);
	ck_assert_str_eq(w.place, "c/0/1");
	group_move(&w, &x, "", now);
	ck_assert_int_eq(w.move, MOVE_LEAVE);
	ck_assert_str_eq(w.place, "c/0/1");
	x.node[0] = 0; /* told to leave; its process has not answered */
	x.leaves = now;
	group_move(&w, &x, "", now);
	ck_assert_int_eq(w.move, MOVE_LEAVE);
	x.runs = false;
	group_move(&w, &x, "d/1/0", now);
	ck_assert_int_eq(w.move, MOVE_NONE);
	ck_assert_str_eq(w.place, "d/1/0");
	x.runs = true; /* a process that never answers */
	group_move(&w, &x, "", mono_add(now, SPAN_S(GROUP_LEAVE_MAX_S - 1)));
	ck_assert_int_eq(w.move, MOVE_LEAVE);
	group_move(&w, &x, "", mono_add(now, SPAN_S(GROUP_LEAVE_MAX_S)));
	ck_assert_int_eq(w.move, MOVE_NONE);
	ck_assert_str_eq(w.place, "");
	proxy_fini(&x);
}

TEST(a_pod_of_its_own_goes_before_the_node_is_in_a_group)
{
	struct proxy x = placed("x", "");
	struct want w = { 0 };

	x.child[CHILD_SET].exists = true;
	group_move(&w, &x, "c/0/0", now);
	ck_assert_int_eq(w.move, MOVE_END_OWN);
	ck_assert_str_eq(w.place, "");
	x.child[CHILD_SET].is_deleting = true; /* its pod is still there */
	x.leaves = now;
	group_move(&w, &x, "c/0/0", mono_add(now, SPAN_S(GROUP_LEAVE_MAX_S - 1)));
	ck_assert_int_eq(w.move, MOVE_END_OWN);
	ck_assert_str_eq(w.place, "");
	group_move(&w, &x, "c/0/0", mono_add(now, SPAN_S(GROUP_LEAVE_MAX_S)));
	ck_assert_int_eq(w.move, MOVE_NONE); /* a pod that never ends */
	ck_assert_str_eq(w.place, "c/0/0");
	x.leaves = MONO_NEVER; /* it has been put there: nothing is undone */
	memcpy(x.group, "c/0/0", 6);
	x.child[CHILD_SECRET].exists = true;
	group_move(&w, &x, "c/0/0", now);
	ck_assert_int_eq(w.move, MOVE_NONE);
	x.child[CHILD_SET] = (struct child_seen){ 0 };
	x.group[0] = 0;
	group_move(&w, &x, "c/0/0", now);
	ck_assert_int_eq(w.move, MOVE_NONE);
	ck_assert_str_eq(w.place, "c/0/0");
	group_move(&w, NULL, "c/0/0", now);
	ck_assert_int_eq(w.move, MOVE_NONE);
}

TEST(egress_nodes_of_a_group_listen_on_ports_of_their_own)
{
	struct want w = { .role = ROLE_EGRESS };
	struct group_port port;
	char node[NODE_TEXT_MAX];

	memcpy(w.ports, "80,8443:443,53/udp", 19);
	memcpy(w.target_ip, "100.64.0.9", 11);
	memcpy(w.hostname, "db", 3);
	memcpy(w.place, "c/0/2", 6);
	ck_assert(group_node(node, &w, "ts-db"));
	ck_assert_str_eq(node, "{\"TS_HOSTNAME\":\"db\",\"TS_KUBE_SECRET\":\"ts-db-0\","
			       "\"TS_TAILNET_TARGET_IP\":\"100.64.0.9\","
			       "\"TS_TAILNET_TARGET_PORTS\":\"20128:80,20129:443,20130:53/udp\"}");
	ck_assert(group_port(&w, 1, &port));
	ck_assert_uint_eq(port.port, 8443);
	ck_assert_uint_eq(port.target, 20129);
	ck_assert(group_port(&w, 2, &port) && port.is_udp);
	ck_assert(!group_port(&w, 3, &port));
}

static void child(char *out, size_t cap, const struct render *r, enum child c)
{
	struct buf b;

	ck_assert(render_wants(r, c));
	buf_init(&b, RENDER_MAX);
	ck_assert(render_child(&b, r, c, ""));
	ck_assert(bytes_to_str(buf_bytes(&b), out, cap));
	buf_fini(&b);
}

TEST(a_group_has_the_rights_and_the_list_of_just_its_nodes)
{
	static char text[1 << 16];
	struct proxy a = placed("ts-a", "c/0/0"), b = placed("ts-b", "c/0/1");
	const struct proxy *member[] = { &a, &b };
	struct parent p;
	struct want w = { .role = ROLE_KEEP };
	struct render r = { .settings = &fixture_settings,
			    .parent = &p,
			    .want = &w,
			    .proxy = "ts-c-0-x",
			    .is_group = true,
			    .member = member,
			    .n_members = 2 };

	ck_assert(parent_parse(&p, KIND_PROXYCLASS,
			       bytes_str("{\"metadata\":{\"name\":\"c\",\"uid\":\"u-9\"}}")));
	a.node = strdup("{\"TS_HOSTNAME\":\"a\"}");
	a.has_key = true;
	b.has_key = true;
	b.node = strdup(""); /* leaves: out of the list, its rights stay for the last write */
	child(text, sizeof text, &r, CHILD_ROLE);
	ck_assert(strstr(text, "\"resourceNames\":[\"ts-a-0\",\"ts-b-0\"]") != NULL);
	child(text, sizeof text, &r, CHILD_CONFIG);
	ck_assert_msg(strstr(text, "{\\\"version\\\":1,\\\"nodes\\\":{\\\"ts-a\\\":"
				   "{\\\"TS_HOSTNAME\\\":\\\"a\\\"}}}") != NULL,
		      "%s", text);
	a.has_key = false; /* it was used */
	a.has_state = true;
	child(text, sizeof text, &r, CHILD_CONFIG);
	ck_assert(strstr(text, "\\\"ts-a\\\":") != NULL);
	a.has_state = false; /* nor one that could not log in yet */
	child(text, sizeof text, &r, CHILD_CONFIG);
	ck_assert(strstr(text, "\\\"nodes\\\":{}}") != NULL);
	child(text, sizeof text, &r, CHILD_SET);
	ck_assert(strstr(text, "TS_NODES_FILE") && !strstr(text, "TS_AUTHKEY") &&
		  !strstr(text, "TS_KUBE_SECRET"));
	ck_assert(strstr(text, "\"matchLabels\":{\"app\":\"ts-c-0-x\"}") != NULL);
	ck_assert(!render_wants(&r, CHILD_SECRET));
	r.n_members = 0; /* no names would be all Secrets */
	child(text, sizeof text, &r, CHILD_ROLE);
	ck_assert(strstr(text, "secrets") == NULL);
	proxy_fini(&a);
	proxy_fini(&b);
	parent_fini(&p);
}

TEST(plan_of_a_service_in_a_group_has_no_pod_and_moves_in_order)
{
	static const char hashes[CHILD_N][HASH_TEXT] = { "a" };
	struct parent p =
	    fixture_service(EXPOSE, ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct proxy x = { .minted = MONO_NEVER, .leaves = MONO_NEVER }, *v = &x;
	struct plan plan;
	struct want w;

	proxy_name(x.name, p.name, p.uid);
	want_make(&w, &p, &fixture_settings, NULL, NULL);
	memcpy(w.place, "c/0/0", 6);
	plan_make(&plan, &p, &w, NULL, 0, &fixture_settings, hashes, now, (wall_t){ 1 });
	for (size_t i = 0; i < plan.n; i++)
		ck_assert(plan.step[i].kind != STEP_APPLY || plan.step[i].child == CHILD_SECRET);
	/* from a pod of its own: that and its Service go, nothing is begun */
	x.child[CHILD_SECRET].exists = x.child[CHILD_SET].exists = x.child[CHILD_SERVICE].exists =
	    true;
	memcpy(x.child[CHILD_SECRET].hash, "a", 2);
	w.move = MOVE_END_OWN;
	plan_make(&plan, &p, &w, (const struct proxy *const *)&v, 1, &fixture_settings, hashes, now,
		  (wall_t){ 1 });
	ck_assert_uint_ge(plan.n, 2);
	ck_assert(plan.step[0].kind == STEP_DELETE && plan.step[0].child == CHILD_SET);
	ck_assert(plan.step[1].kind == STEP_DELETE && plan.step[1].child == CHILD_SERVICE);
	for (size_t i = 0; i < plan.n; i++)
		ck_assert(plan.step[i].kind != STEP_APPLY && plan.step[i].kind != STEP_MINT);
	ck_assert(!mono_is_never(plan.again));
	parent_fini(&p);
}

TEST(a_class_says_how_many_or_is_refused_with_words)
{
	static const struct {
		const char *spec;
		unsigned n;
		bool is_valid;
	} rows[] = {
		{ "{}", 0, true },
		{ "{\"tailpod\":{\"nodesPerProcess\":1}}", 0, true },
		{ "{\"tailpod\":{\"nodesPerProcess\":2}}", 2, true },
		{ "{\"tailpod\":{\"nodesPerProcess\":64}}", 64, true },
		{ "{\"tailpod\":{\"nodesPerProcess\":65}}", 0, false },
		{ "{\"tailpod\":{\"nodesPerProcess\":0}}", 0, false },
		{ "{\"tailpod\":{\"nodesPerProcess\":-3}}", 0, false },
		{ "{\"tailpod\":{\"nodesPerProcess\":\"8\"}}", 0, false },
		{ "{\"tailpod\":{\"nodesPerProcess\":1.5}}", 0, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct proxy_class c;
		char text[200];

		(void)snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"c\"},\"spec\":%s}",
			       rows[i].spec);
		proxy_class_parse(&c, bytes_str(text));
		ck_assert_msg(c.is_valid == rows[i].is_valid, "%s: %s", rows[i].spec, c.why);
		ck_assert_uint_eq(c.per_process, rows[i].n);
		ck_assert(c.is_valid || strstr(c.why, "nodesPerProcess"));
		ck_assert_str_eq(c.unknown, "");
		proxy_class_fini(&c);
	}
}
