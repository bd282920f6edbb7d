/* operator/plan_test.c - plans for what may be seen, and a small cluster in which they are carried
 * out and cut off */
#include "tests/operator_fixture.h"

static const char hashes[CHILD_N][HASH_TEXT] = { "a", "b", "c", "d", "e", "", "", "g" };
static const mono_t now = { 1000 * NS_PER_S };
static const wall_t wall = { 1700000000 * NS_PER_S };

static struct proxy whole(const struct parent *p)
{
	struct proxy x = { .minted = MONO_NEVER,
			   .cleanup_since = MONO_NEVER,
			   .asked_logout = MONO_NEVER };

	proxy_name(x.name, p->name, p->uid);
	for (int c = 0; c < CHILD_N; c++) {
		x.child[c].exists = hashes[c][0] != 0;
		memcpy(x.child[c].hash, hashes[c], HASH_TEXT);
	}
	memcpy(x.device_id, "7", 2);
	memcpy(x.device_fqdn, "web.tail.test", 14);
	memcpy(x.device_ip[0], "100.64.0.7", 11);
	memcpy(x.device_ip[1], "fd7a::7", 8);
	x.n_ips = 2;
	x.is_recorded = true;
	memcpy(x.key_tags, "tag:k8s", 8);
	return x;
}

/* "finalizer+ apply:Secret mint ..." */
static void steps(const struct plan *plan, char *out, size_t cap)
{
	static const char *const names[STEP_N] = {
		"finalizer+", "apply", "mint",   "keydrop",  "record", "logout", "logout-undo",
		"device-",    "find",  "delete", "external", "routes", "status", "finalizer-"
	};
	size_t at = 0;

	out[0] = 0;
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *s = &plan->step[i];
		const bool child = s->kind == STEP_APPLY || s->kind == STEP_DELETE;

		at += (size_t)snprintf(out + at, cap - at, "%s%s%s%s", i ? " " : "", names[s->kind],
				       child ? ":" : "", child ? children[s->child].kind : "");
	}
}

static void plan_of(char out[static 1024], const struct parent *p, const struct proxy *x,
		    struct plan *plan, const struct settings *s)
{
	struct want w;

	want_make(&w, p, s, NULL, NULL);
	plan_make(plan, p, &w, &x, x ? 1 : 0, s, hashes, now, wall);
	steps(plan, out, 1024);
}

TEST(plan_for_a_new_service_begins_with_the_finalizer_and_starts_pods_when_their_key_is_there)
{
	struct parent p = fixture_service(EXPOSE, "", CLUSTER_IP);
	struct plan plan;
	char got[1024];

	plan_of(got, &p, NULL, &plan, &fixture_settings);
	ck_assert_str_eq(got, "finalizer+ apply:Secret apply:ServiceAccount apply:Role "
			      "apply:RoleBinding apply:Service mint "
			      "apply:StatefulSet status");
	ck_assert(!plan.condition.is_true);
	ck_assert_str_eq(plan.condition.reason, "ProxyPending");
	parent_fini(&p);
}

TEST(plan_when_all_is_as_wished_is_empty)
{
	struct parent p =
	    fixture_service(EXPOSE, ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "status");
	p.condition = plan.condition;
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "");
	ck_assert(plan.condition.is_true);
	parent_fini(&p);
}

TEST(plan_puts_right_just_what_differs)
{
	struct parent p =
	    fixture_service(EXPOSE, ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct plan plan;
	char got[1024];
	struct proxy x;

	for (int c = 0; c < CHILD_N; c++) {
		char want[64];

		if (!hashes[c][0])
			continue;
		x = whole(&p);
		plan_of(got, &p, &x, &plan, &fixture_settings);
		p.condition = plan.condition;
		(void)snprintf(want, sizeof want, "apply:%s", children[c].kind);
		x.child[c].hash[0] = 'z';
		plan_of(got, &p, &x, &plan, &fixture_settings);
		ck_assert_str_eq(got, want);
		x = whole(&p);
		x.child[c].applied = 3;
		x.child[c].state = 4; /* changed by somebody after us */
		plan_of(got, &p, &x, &plan, &fixture_settings);
		ck_assert_str_eq(got, want);
	}
	parent_fini(&p);
}

TEST(plan_for_keys_one_for_each_node_and_another_when_it_is_asked_for_or_has_ended)
{
	struct parent p =
	    fixture_service(EXPOSE, ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct settings fixed = fixture_settings;
	struct plan plan;
	char got[1024];
	struct proxy x = whole(&p);

	plan_of(got, &p, &x, &plan, &fixture_settings);
	p.condition = plan.condition;
	x.has_key = true; /* joined: the key is used up */
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "keydrop");
	x.wants_key = true;
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "device- mint");
	x.minted = now; /* but not again and again */
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "");
	ck_assert(!mono_is_never(plan.again));
	x.minted = MONO_NEVER;
	x.wants_key = false;
	x.device_id[0] = 0; /* not joined yet, and the key good */
	x.key_expires = (wall_t){ wall.ns + NS_PER_S };
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "status");
	ck_assert(!mono_is_never(plan.again));
	x.key_expires = wall;
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "mint status");
	fixed.fixed_key = true;
	plan_of(got, &p, &x, &plan, &fixed);
	ck_assert_str_eq(got, "status");
	parent_fini(&p);
}

TEST(plan_writes_a_device_into_the_ledger_when_it_has_joined_before_it_is_told_ready)
{
	struct parent p =
	    fixture_service(EXPOSE, ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	x.is_recorded = false;
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "record status");
	p.condition = plan.condition;
	x.device_gone = true; /* deleted a moment ago */
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "");
	x.device_gone = false;
	p.is_deleting = true; /* it goes at once */
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_ptr_null(strstr(got, "record"));
	parent_fini(&p);
}

TEST(plan_to_end_deletes_pods_first_the_device_then_its_secret_and_the_finalizer_last)
{
	struct parent p =
	    fixture_service(EXPOSE,
			    ",\"finalizers\":[\"tailscale.com/"
			    "finalizer\"],\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"",
			    CLUSTER_IP);
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got,
			 "delete:StatefulSet device- delete:Service delete:RoleBinding delete:Role "
			 "delete:ServiceAccount delete:Secret finalizer-");
	plan_of(got, &p, NULL, &plan, &fixture_settings);
	ck_assert_str_eq(got, "finalizer-");
	parent_fini(&p);
}

TEST(plan_for_a_proxy_without_parent_or_of_one_of_that_name_before_sweeps_it)
{
	struct parent p =
	    fixture_service(EXPOSE, ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct proxy x = whole(&p);
	const struct proxy *all[] = { &x };
	struct want w = { .role = ROLE_NONE };
	struct plan plan;
	char got[1024];

	plan_make(&plan, NULL, &w, all, 1, &fixture_settings, hashes, now, wall);
	steps(&plan, got, sizeof got);
	ck_assert_str_eq(got,
			 "delete:StatefulSet device- delete:Service delete:RoleBinding delete:Role "
			 "delete:ServiceAccount delete:Secret");
	memcpy(p.uid, "u-2", 4); /* the same name, made anew */
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert(strncmp(got, "delete:StatefulSet device- ", 27) == 0);
	ck_assert(strstr(got, "mint apply:StatefulSet status"));
	parent_fini(&p);
}

TEST(plan_with_a_fixed_key_asks_the_proxy_to_log_out_and_waits_for_its_answer_but_not_for_ever)
{
	static const char rest[] = "device- delete:Service delete:RoleBinding delete:Role "
				   "delete:ServiceAccount delete:Secret finalizer-";
	struct parent p =
	    fixture_service("", ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct settings fixed = fixture_settings;
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	fixed.fixed_key = true;
	plan_of(got, &p, &x, &plan, &fixed);
	ck_assert_str_eq(got, "logout delete:StatefulSet");
	x.logout = LOGOUT_ASKED;
	x.asked_logout = now;
	x.child[CHILD_SET].exists = false;
	plan_of(got, &p, &x, &plan, &fixed); /* its account and Secret stay: it needs them */
	ck_assert_str_eq(got, "");
	ck_assert_int_eq(plan.again.ns, now.ns + SPAN_S(LOGOUT_MAX_S).ns);
	memcpy(x.group, "c/0/1", 6); /* kubelet brings the list first */
	x.asked_logout = (mono_t){ now.ns - SPAN_S(LOGOUT_MAX_S).ns };
	plan_of(got, &p, &x, &plan, &fixed);
	ck_assert_str_eq(got, "");
	x.group[0] = 0;
	plan_of(got, &p, &x, &plan, &fixed);
	ck_assert_str_eq(got, rest);
	x.asked_logout = now;
	x.logout = LOGOUT_DONE;
	plan_of(got, &p, &x, &plan, &fixed);
	ck_assert_str_eq(got, rest);
	x.logout = LOGOUT_NONE;
	x.device_id[0] = 0; /* never joined: nothing to end */
	plan_of(got, &p, &x, &plan, &fixed);
	ck_assert_str_eq(got, rest + strlen("device- "));
	parent_fini(&p);

	p = fixture_service(EXPOSE, ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	x = whole(&p);
	x.logout = LOGOUT_ASKED; /* wanted again meanwhile */
	plan_of(got, &p, &x, &plan, &fixed);
	ck_assert_str_eq(got, "logout-undo status");
	parent_fini(&p);
}

TEST(plan_looks_for_a_device_that_was_never_noted_before_the_secret_goes)
{
	static const char rest[] = "delete:StatefulSet find delete:Service delete:RoleBinding "
				   "delete:Role delete:ServiceAccount delete:Secret finalizer-";
	struct parent p =
	    fixture_service("", ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct settings fixed = fixture_settings;
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	x.device_id[0] = 0;
	plan_of(got, &p, &x, &plan,
		&fixture_settings); /* no key, no state: nobody can have joined */
	ck_assert(!strstr(got, "find"));
	memcpy(x.key_id, "9", 2);
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, rest);
	x.key_id[0] = 0;
	memcpy(x.machine, "mkey:aa", 8);
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, rest);
	x.is_searched = true;
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert(!strstr(got, "find"));
	x.is_searched = false;
	fixed.fixed_key = true; /* nobody to ask */
	plan_of(got, &p, &x, &plan, &fixed);
	ck_assert(!strstr(got, "find"));
	parent_fini(&p);
}

TEST(plan_for_a_wish_that_is_not_valid_leaves_what_runs_and_says_why)
{
	struct parent p =
	    fixture_service(EXPOSE ",\"tailscale.com/tags\":\"x\"",
			    ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "status");
	ck_assert_str_eq(plan.condition.reason, "ProxyInvalid");
	ck_assert_uint_eq(plan.n_notes, 1);
	parent_fini(&p);
}

TEST(plan_when_the_wish_is_taken_back_takes_all_and_its_own_status)
{
	struct parent p =
	    fixture_service("", ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	p.condition.exists = true;
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert(strstr(got, "delete:Secret status finalizer-"));
	ck_assert(plan.clear_status);
	parent_fini(&p);
}

TEST(load_balancer_status_has_the_name_and_addresses_of_the_services_family)
{
	struct parent p = fixture_service("", ",\"finalizers\":[\"tailscale.com/finalizer\"]",
					  "\"clusterIP\":\"10.0.0.1\",\"type\":\"LoadBalancer\","
					  "\"loadBalancerClass\":\"tailscale\"");
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(plan.lb_host, "web.tail.test");
	ck_assert_uint_eq(plan.n_lb_ip, 1);
	ck_assert_str_eq(plan.lb_ip[0], "100.64.0.7");
	parent_fini(&p);
}

TEST(a_service_of_both_families_is_told_with_both_addresses_of_its_node)
{
	struct parent p = fixture_service(
	    "", ",\"finalizers\":[\"tailscale.com/finalizer\"]",
	    "\"clusterIP\":\"10.0.0.1\",\"clusterIPs\":[\"10.0.0.1\",7,\"nonsense\","
	    "\"fd00:96::1\"],\"type\":\"LoadBalancer\","
	    "\"loadBalancerClass\":\"tailscale\"");
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_uint_eq(plan.n_lb_ip, 2);
	ck_assert_str_eq(plan.lb_ip[0], "100.64.0.7");
	ck_assert(strchr(plan.lb_ip[1], ':'));
	parent_fini(&p);
}

TEST(an_egress_service_that_is_exposed_instead_gets_its_name_back)
{
	struct parent p = fixture_service(
	    EXPOSE ",\"" NOTE_EXTERNAL "\":\"before\"",
	    ",\"finalizers\":[\"tailscale.com/finalizer\"]",
	    "\"type\":\"ExternalName\",\"externalName\":\"ts-x.tailpod.svc.cluster.local\"");
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert(strstr(got, "external"));
	ck_assert_str_eq(plan.external_name, "before");
	ck_assert_str_eq(plan.external_saved, "");
	parent_fini(&p);
}

TEST(an_egress_service_gets_its_name_back_when_the_wish_is_taken_back)
{
	static const char fqdn[] = "\"tailscale.com/tailnet-fqdn\":\"db.tail.test\"",
			  saved[] = "\"tailpod/external-name\":\"before\"",
			  finalizer[] = ",\"finalizers\":[\"tailscale.com/finalizer\"]";
	char both[256], ours[256], spec[512], got[1024];
	struct parent p = fixture_service(fqdn, finalizer, EXTERNAL);
	struct proxy x = whole(&p);
	struct plan plan;

	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "external status");
	ck_assert_str_eq(plan.external_saved, "x");
	(void)snprintf(ours, sizeof ours, "%s", plan.external_name);
	parent_fini(&p);

	(void)snprintf(both, sizeof both, "%s,%s", fqdn, saved);
	(void)snprintf(spec, sizeof spec,
		       "\"type\":\"ExternalName\",\"externalName\":\"%s\",\"ports\":[{\"port\":1}]",
		       ours);
	p = fixture_service(both, finalizer, spec);
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "status"); /* ours already */
	parent_fini(&p);
	p = fixture_service(both, finalizer, EXTERNAL); /* changed by somebody */
	plan_of(got, &p, &x, &plan, &fixture_settings);
	ck_assert_str_eq(got, "external status");
	ck_assert_str_eq(plan.external_saved, "before");
	parent_fini(&p);

	p = fixture_service(saved, finalizer, spec);
	plan_of(got, &p, NULL, &plan, &fixture_settings);
	ck_assert_str_eq(got, "external finalizer-");
	ck_assert_str_eq(plan.external_name, "before");
	ck_assert_str_eq(plan.external_saved, "");
	p.is_deleting = true;
	plan_of(got, &p, NULL, &plan, &fixture_settings);
	ck_assert_str_eq(got, "finalizer-");
	parent_fini(&p);
}

static struct parent fixture_connector(const char *spec)
{
	struct parent p;
	char text[1024];

	(void)snprintf(text, sizeof text,
		       "{\"metadata\":{\"name\":\"cn\",\"uid\":\"u-2\",\"resourceVersion\":\"5\","
		       "\"finalizers\":[\"tailscale.com/finalizer\"]},\"spec\":%s}",
		       spec);
	ck_assert(parent_parse(&p, KIND_CONNECTOR, bytes_str(text)));
	return p;
}

TEST(routers_are_ready_when_the_control_server_has_approved_their_routes)
{
	struct parent p = fixture_connector(
	    "{\"exitNode\":true,\"subnetRouter\":{\"advertiseRoutes\":[\"10.0.0.0/8\"]}}");
	struct proxy x = whole(&p);
	struct settings s = fixture_settings;
	struct plan plan;
	char got[1024];

	s.is_headscale = true;
	plan_of(got, &p, &x, &plan, &s);
	ck_assert_str_eq(got, "status routes");
	ck_assert_str_eq(plan.condition.reason, "ConnectorCreating");
	x.routes_known = true;
	x.routes_at = now;
	plan_of(got, &p, &x, &plan, &s);
	ck_assert_str_eq(got, "status"); /* just asked */
	ck_assert(!plan.condition.is_true && plan.again.ns == now.ns + SPAN_S(ROUTES_SOON_S).ns);
	ck_assert_str_eq(plan.condition.reason, "RoutesNotApproved");
	ck_assert_str_eq(plan.condition.message,
			 "headscale nodes approve-routes -i 7 -r 10.0.0.0/8,0.0.0.0/0,::/0");
	memcpy(x.approved, "::/0,10.0.0.0/8", 16); /* not yet all */
	plan_of(got, &p, &x, &plan, &s);
	ck_assert_str_eq(plan.condition.reason, "RoutesNotApproved");
	memcpy(x.approved, "::/0,10.0.0.0/8,1.0.0.0/8,0.0.0.0/0", 36);
	plan_of(got, &p, &x, &plan, &s);
	ck_assert_str_eq(plan.condition.reason, "ConnectorCreated");
	ck_assert(plan.condition.is_true && plan.again.ns == now.ns + SPAN_S(ROUTES_LATER_S).ns);
	x.routes_at = (mono_t){ now.ns - SPAN_S(ROUTES_LATER_S).ns };
	plan_of(got, &p, &x, &plan, &s);
	ck_assert_str_eq(got, "status routes"); /* they may be taken back */
	s.is_headscale = false;
	x.approved[0] = 0;
	plan_of(got, &p, &x, &plan, &s);
	ck_assert(strstr(plan.condition.message, "admin console"));
	s.fixed_key = true; /* nobody to ask */
	plan_of(got, &p, &x, &plan, &s);
	ck_assert_str_eq(got, "status");
	ck_assert(plan.condition.is_true && strstr(plan.condition.message, "approve its routes"));
	parent_fini(&p);
}

/* --- a cluster in which plans are carried out for so many steps, then cut off --- */

struct world {
	bool finalizer, exists[CHILD_N], key, device, recorded, parent;
	unsigned minted;
};

static void carry_out(struct world *w, const struct plan *plan, size_t n)
{
	for (size_t i = 0; i < plan->n && i < n; i++) {
		const struct step *s = &plan->step[i];

		switch (s->kind) {
		case STEP_FINALIZER_ADD:
			w->finalizer = true;
			break;
		case STEP_FINALIZER_DEL:
			/* nothing may be left that only this object leads to */
			for (int c = 0; c < CHILD_N; c++)
				ck_assert(!w->exists[c]);
			ck_assert(!w->device);
			w->finalizer = false;
			break;
		case STEP_APPLY:
			ck_assert(w->finalizer);
			if (s->child == CHILD_SET)
				ck_assert(w->key || w->device);
			w->exists[s->child] = true;
			break;
		case STEP_MINT:
			ck_assert(w->finalizer && w->exists[CHILD_SECRET] && !w->key);
			w->key = true;
			w->minted++;
			break;
		case STEP_KEY_DROP:
			ck_assert(w->device);
			w->key = false;
			break;
		case STEP_RECORD:
			ck_assert(w->device);
			w->recorded = true;
			break;
		case STEP_STATUS:
			if (plan->condition.is_true) /* from then on somebody may rely on it */
				ck_assert(w->recorded);
			break;
		case STEP_DELETE_DEVICE:
			ck_assert(!w->exists[CHILD_SET]);
			w->device = false;
			break;
		case STEP_DELETE:
			if (s->child == CHILD_SECRET) /* the only place that knows the device */
				ck_assert(!w->device);
			w->exists[s->child] = false;
			break;
		default:
			break;
		}
	}
}

static void look(const struct world *w, struct parent *p, struct proxy *x)
{
	struct proxy all = whole(p);

	*x = all;
	p->has_finalizer = w->finalizer;
	for (int c = 0; c < CHILD_N; c++)
		if (!w->exists[c])
			x->child[c] = (struct child_seen){ 0 };
	x->has_key = w->key;
	x->is_recorded = w->recorded;
	x->key_expires = (wall_t){ wall.ns + 3600 * NS_PER_S };
	if (!w->device)
		x->device_id[0] = 0;
}

TEST(plans_cut_off_anywhere_converge_make_one_key_and_leave_nothing_behind)
{
	struct seed_rng seed;

	for (uint64_t n = 0; n < 2000; n++) {
		struct world w = { .parent = true };
		struct parent p = fixture_service(EXPOSE, "", CLUSTER_IP);
		struct proxy x;
		struct plan plan;
		char got[1024];

		seed_rng_init(&seed, n);
		for (int round = 0; round < 60; round++) {
			look(&w, &p, &x);
			if (round == 30)
				p.is_deleting = true;
			plan_of(got, &p, proxy_exists(&x) ? &x : NULL, &plan, &fixture_settings);
			carry_out(&w, &plan, round % 30 > 25 ? SIZE_MAX : rng_below(&seed.rng, 4));
			if (round < 30 && w.exists[CHILD_SET] && w.key &&
			    rng_below(&seed.rng, 3) == 0)
				w.device = true; /* the proxy joins */
			if (round == 29)
				ck_assert_msg(w.exists[CHILD_SET] && w.finalizer && w.minted == 1,
					      "seed %llu", (unsigned long long)n);
		}
		ck_assert_msg(!w.finalizer && !w.device, "seed %llu", (unsigned long long)n);
		for (int c = 0; c < CHILD_N; c++)
			ck_assert_msg(!w.exists[c], "seed %llu: %s", (unsigned long long)n,
				      children[c].kind);
		parent_fini(&p);
	}
}

TEST(every_step_and_child_has_its_row)
{
	for (size_t i = 0; i < STEP_N; i++)
		ck_assert_ptr_nonnull(step_names[i]);
	for (size_t i = 0; i < CHILD_N; i++)
		ck_assert_ptr_nonnull(children[i].resource);
	for (size_t i = 0; i < KIND_N; i++)
		ck_assert_ptr_nonnull(kinds[i].resource);
}

TEST(a_name_that_another_node_has_is_told)
{
	static const struct {
		const char *fqdn;
		bool told;
	} v[] = { { "shop-web.tail.test", false },
		  { "Shop-Web.tail.test", false },
		  { "shop-web-1.tail.test", true },
		  { "shop-web-x7gh2k1p.tail.test", true },
		  { "old.tail.test", false } /* it has not yet begun anew */ };
	struct parent p =
	    fixture_service(EXPOSE, ",\"finalizers\":[\"tailscale.com/finalizer\"]", CLUSTER_IP);
	struct proxy x = whole(&p);
	struct plan plan;
	char got[1024];

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		(void)snprintf(x.device_fqdn, sizeof x.device_fqdn, "%s", v[i].fqdn);
		plan_of(got, &p, &x, &plan, &fixture_settings);
		ck_assert_uint_eq(plan.n_notes, v[i].told);
		if (v[i].told)
			ck_assert_str_eq(plan.note[0].reason, "HostnameTaken");
	}
	parent_fini(&p);
}
