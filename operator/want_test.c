/* operator/want_test.c - what objects ask for, one row each */
#include "tests/operator_fixture.h"

static const struct {
	const char *annotations, *meta, *spec;
	enum role role;
	const char *reason, *words; /* of an invalid wish, or of the first note */
} rows[] = {
	{ EXPOSE, "", CLUSTER_IP, ROLE_INGRESS, NULL, NULL },
	{ "", "", CLUSTER_IP, ROLE_NONE, NULL, NULL },
	{ "\"tailscale.com/expose\":\"yes\"", "", CLUSTER_IP, ROLE_NONE, "NotSupported",
	  "expose: \"yes\"" },
	{ "\"tailscale.com/expose\":\"false\"", "", CLUSTER_IP, ROLE_NONE, NULL, NULL },
	{ "", "",
	  "\"clusterIP\":\"10.0.0.1\",\"type\":\"LoadBalancer\",\"loadBalancerClass\":"
	  "\"tailscale\"",
	  ROLE_INGRESS, NULL, NULL },
	{ "", "", "\"clusterIP\":\"10.0.0.1\",\"type\":\"LoadBalancer\"", ROLE_NONE, NULL, NULL },
	{ "", "",
	  "\"clusterIP\":\"10.0.0.1\",\"type\":\"LoadBalancer\",\"loadBalancerClass\":\"other\"",
	  ROLE_NONE, NULL, NULL },
	{ EXPOSE, "", "\"clusterIP\":\"None\"", ROLE_KEEP, "ProxyInvalid", "headless" },
	{ EXPOSE, "", "\"type\":\"ClusterIP\"", ROLE_KEEP, "ProxyPending", "no cluster address" },
	{ EXPOSE, "", EXTERNAL, ROLE_INGRESS, NULL, NULL },
	{ EXPOSE, "", "\"type\":\"ExternalName\",\"externalName\":\"a b\"", ROLE_KEEP,
	  "ProxyInvalid", "externalName" },
	{ EXPOSE, "", "\"type\":\"ExternalName\"", ROLE_KEEP, "ProxyInvalid", "externalName" },
	{ EXPOSE ",\"tailscale.com/hostname\":\"a_b\"", "", CLUSTER_IP, ROLE_KEEP, "ProxyInvalid",
	  "DNS label" },
	{ EXPOSE ",\"tailscale.com/hostname\":7", "", CLUSTER_IP, ROLE_KEEP, "ProxyInvalid",
	  "tailscale.com/hostname is too long, or not text" },
	{ "\"tailscale.com/tailnet-fqdn\":[]", "", EXTERNAL, ROLE_KEEP, "ProxyInvalid",
	  "tailscale.com/tailnet-fqdn is too long, or not text" },
	{ "\"tailscale.com/expose\":\"yes yes yes yes yes\"", "", CLUSTER_IP, ROLE_KEEP,
	  "ProxyInvalid", "tailscale.com/expose is too long, or not text" },
	{ EXPOSE ",\"tailscale.com/tags\":\"web\"", "", CLUSTER_IP, ROLE_KEEP, "ProxyInvalid",
	  "tag:NAME" },
	{ EXPOSE ",\"tailscale.com/tags\":\"tag:a, tag:b\"", "", CLUSTER_IP, ROLE_INGRESS, NULL,
	  NULL },
	{ EXPOSE ",\"tailscale.com/proxy-class\":\"x\"", "", CLUSTER_IP, ROLE_KEEP, "ProxyPending",
	  "does not exist" },
	{ EXPOSE ",\"tailscale.com/proxy-group\":\"g\"", "", CLUSTER_IP, ROLE_KEEP, "ProxyInvalid",
	  "proxy-group" },
	{ EXPOSE ",\"tailscale.com/funnel\":\"true\"", "", CLUSTER_IP, ROLE_INGRESS, "NotSupported",
	  "funnel" },
	{ EXPOSE, ",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"", CLUSTER_IP, ROLE_NONE, NULL,
	  NULL },
	{ "\"tailscale.com/tailnet-ip\":\"100.64.0.9\"", "", EXTERNAL, ROLE_EGRESS, NULL, NULL },
	{ "\"tailscale.com/tailnet-fqdn\":\"db.tail.test.\"", "", EXTERNAL, ROLE_EGRESS, NULL,
	  NULL },
	{ "\"tailscale.com/tailnet-fqdn\":\"db\"", "", EXTERNAL, ROLE_KEEP, "ProxyInvalid",
	  "full name" },
	{ "\"tailscale.com/tailnet-ip\":\"100.64.0\"", "", EXTERNAL, ROLE_KEEP, "ProxyInvalid",
	  "not an IP" },
	{ "\"tailscale.com/tailnet-ip\":\"127.0.0.1\"", "", EXTERNAL, ROLE_KEEP, "ProxyInvalid",
	  "no address that a tailnet node can have" },
	{ "\"tailscale.com/tailnet-ip\":\"ff02::1\"", "", EXTERNAL, ROLE_KEEP, "ProxyInvalid",
	  "no address that a tailnet node can have" },
	{ "\"tailscale.com/tailnet-ip\":\"1.2.3.4\",\"tailscale.com/tailnet-fqdn\":\"a.b\"", "",
	  EXTERNAL, ROLE_KEEP, "ProxyInvalid", "only one" },
	{ "\"tailscale.com/tailnet-ip\":\"1.2.3.4\"", "", CLUSTER_IP, ROLE_KEEP, "ProxyInvalid",
	  "ExternalName" },
	{ "\"tailscale.com/tailnet-ip\":\"1.2.3.4\"", "", "\"type\":\"ExternalName\"", ROLE_KEEP,
	  "ProxyInvalid", "ports" },
};

TEST(wishes_of_services_become_roles_or_words_why_not)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct parent p = fixture_service(rows[i].annotations, rows[i].meta, rows[i].spec);
		struct want w;

		want_make(&w, &p, &fixture_settings, NULL, NULL);
		ck_assert_msg(w.role == rows[i].role, "row %zu: role %d", i, w.role);
		if (rows[i].role == ROLE_KEEP) {
			ck_assert(w.is_invalid && parent_matters(&p, "tailscale", false));
			ck_assert_str_eq(w.reason, rows[i].reason);
			ck_assert_msg(strstr(w.message, rows[i].words) != NULL, "row %zu: %s", i,
				      w.message);
		} else if (!rows[i].words) {
			ck_assert_msg(w.n_notes == 0, "row %zu: %s", i, w.note[0].message);
		} else {
			ck_assert(parent_matters(&p, "tailscale", false));
			ck_assert_uint_ge(w.n_notes, 1);
			ck_assert_str_eq(w.note[0].reason, rows[i].reason);
			ck_assert(strstr(w.note[0].message, rows[i].words));
		}
		parent_fini(&p);
	}
}

TEST(ports_of_an_egress_service_keep_protocol_and_target_or_are_told)
{
	static const struct {
		const char *ports, *want, *left_out;
	} cases[] = {
		{ "{\"port\":80}", "80", "" },
		{ "{\"port\":80,\"targetPort\":8080},{\"port\":443,\"targetPort\":443}",
		  "80:8080,443", "" },
		{ "{\"port\":53,\"protocol\":\"UDP\"},{\"port\":53,\"protocol\":\"TCP\"}",
		  "53/udp,53", "" },
		{ "{\"port\":53,\"targetPort\":5353,\"protocol\":\"UDP\"}", "53:5353/udp", "" },
		{ "{\"port\":80},{\"port\":81,\"targetPort\":\"web\"}", "80", "81 to web" },
		{ "{\"port\":80},{\"port\":9,\"protocol\":\"SCTP\"}", "80", "9/SCTP" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char spec[512];
		struct parent p;
		struct want w;

		(void)snprintf(spec, sizeof spec,
			       "\"type\":\"ExternalName\",\"externalName\":\"x\",\"ports\":[%s]",
			       cases[i].ports);
		p = fixture_service("\"tailscale.com/tailnet-ip\":\"100.64.0.9\"", "", spec);
		want_make(&w, &p, &fixture_settings, NULL, NULL);
		ck_assert_int_eq(w.role, ROLE_EGRESS);
		ck_assert_str_eq(w.ports, cases[i].want);
		ck_assert_str_eq(p.port_left_out, cases[i].left_out);
		ck_assert_uint_eq(w.n_notes, cases[i].left_out[0] ? 1 : 0);
		parent_fini(&p);
	}
}

static struct proxy_class class_of(const char *spec)
{
	char text[2048];
	struct proxy_class c;

	(void)snprintf(text, sizeof text,
		       "{\"metadata\":{\"name\":\"c\",\"uid\":\"u\"},\"spec\":%s}", spec);
	proxy_class_parse(&c, bytes_str(text));
	return c;
}

TEST(fields_of_a_class_that_nothing_reads_are_told_and_the_rest_is_used)
{
	static const struct {
		const char *spec, *unknown;
	} cases[] = {
		{ "{}", "" },
		{ "{\"statefulSet\":{\"labels\":{\"a\":\"b\"},\"pod\":{\"nodeSelector\":{\"x\":"
		  "\"y\"},"
		  "\"affinity\":{\"anything\":{\"below\":1}}}}}",
		  "" },
		{ "{\"statefulSet\":{\"replicas\":2},\"color\":\"red\"}",
		  "spec.statefulSet.replicas, spec.color" },
		{ "{\"statefulSet\":{\"pod\":{\"hostNetwork\":true,\"tailscaleContainer\":{\"env\":"
		  "["
		  "{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\",\"valueFrom\":{}},{\"name\":"
		  "\"C\",\"valueFrom\":{}}]}}}}",
		  "spec.statefulSet.pod.hostNetwork, "
		  "spec.statefulSet.pod.tailscaleContainer.env.valueFrom" },
		{ "{\"tailscale\":{\"acceptRoutes\":true,\"x\":{}}}", "spec.tailscale.x" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proxy_class c = class_of(cases[i].spec);
		struct parent p = { .kind = KIND_PROXYCLASS };
		struct want w;

		ck_assert(c.is_valid);
		ck_assert_str_eq(c.unknown, cases[i].unknown);
		want_make(&w, &p, &fixture_settings, &c, NULL);
		ck_assert(!w.is_invalid && w.n_notes == (cases[i].unknown[0] != 0));
		if (cases[i].unknown[0])
			ck_assert(strstr(w.message, cases[i].unknown));
		proxy_class_fini(&c);
	}
}

TEST(a_class_with_more_unknown_fields_than_fit_is_told_of_the_first)
{
	char spec[2000] = "{\"a\":1";
	struct proxy_class c;

	for (int i = 0; i < 60; i++)
		(void)snprintf(spec + strlen(spec), sizeof spec - strlen(spec),
			       ",\"another-field-%d\":{}", i);
	(void)snprintf(spec + strlen(spec), sizeof spec - strlen(spec), "}");
	c = class_of(spec);
	ck_assert(c.is_valid && strlen(c.unknown) == sizeof c.unknown - 1);
	ck_assert_int_eq(strncmp(c.unknown, "spec.a, spec.another-field-0", 28), 0);
	proxy_class_fini(&c);
}

TEST(an_exposed_external_name_is_the_proxys_destination_by_name)
{
	struct parent p = fixture_service(
	    EXPOSE, "", "\"type\":\"ExternalName\",\"externalName\":\"db.example.com\"");
	struct want w;

	want_make(&w, &p, &fixture_settings, NULL, NULL);
	ck_assert_int_eq(w.role, ROLE_INGRESS);
	ck_assert_str_eq(w.dest_name, "db.example.com");
	ck_assert_str_eq(w.dest_ip, "");
	parent_fini(&p);
	/* it was an egress Service a moment ago: its own name counts, not the proxy's */
	p = fixture_service(
	    EXPOSE ",\"" NOTE_EXTERNAL "\":\"before.example.com\"", "",
	    "\"type\":\"ExternalName\",\"externalName\":\"ts-x.tailpod.svc.cluster.local\"");
	want_make(&w, &p, &fixture_settings, NULL, NULL);
	ck_assert_str_eq(w.dest_name, "before.example.com");
	parent_fini(&p);
}

TEST(a_class_that_sets_a_variable_of_the_proxys_own_is_told)
{
	struct parent p = { .kind = KIND_PROXYCLASS };
	struct proxy_class c =
	    class_of("{\"statefulSet\":{\"pod\":{\"tailscaleContainer\":{\"env\":[{"
		     "\"name\":\"A\",\"value\":\"b\"},{\"name\":\"TS_HOSTNAME\"}]}}}}");
	struct want w;

	want_make(&w, &p, &fixture_settings, &c, NULL);
	ck_assert_uint_eq(w.n_notes, 1);
	ck_assert_str_eq(w.note[0].reason, "CustomTSEnvVar");
	ck_assert(strstr(w.note[0].message, "TS_HOSTNAME"));
	proxy_class_fini(&c);
}

TEST(ingresses_and_connectors_of_a_class_that_shares_processes_are_told_that_they_do_not)
{
	static const struct {
		enum kind kind;
		const char *class_name, *spec;
		size_t n;
	} cases[] = {
		{ KIND_SERVICE, "", "{\"tailpod\":{\"nodesPerProcess\":4}}", 0 },
		{ KIND_INGRESS, "tailscale", "{\"tailpod\":{\"nodesPerProcess\":4}}", 1 },
		{ KIND_INGRESS, "nginx", "{\"tailpod\":{\"nodesPerProcess\":4}}", 0 },
		{ KIND_CONNECTOR, "", "{\"tailpod\":{\"nodesPerProcess\":4}}", 1 },
		{ KIND_CONNECTOR, "", "{\"tailpod\":{\"nodesPerProcess\":1}}", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parent p = { .kind = cases[i].kind };
		struct proxy_class c = class_of(cases[i].spec);
		struct want w;

		(void)snprintf(p.class_name, sizeof p.class_name, "%s", cases[i].class_name);
		want_make(&w, &p, &fixture_settings, &c, NULL);
		ck_assert_msg(w.n_notes == cases[i].n, "row %zu: %s", i, w.note[0].message);
		if (cases[i].n > 0) {
			ck_assert_str_eq(w.note[0].reason, "NotSupported");
			ck_assert(strstr(w.note[0].message, "nodesPerProcess of ProxyClass"));
		}
		proxy_class_fini(&c);
	}
}

TEST(hostname_defaults_to_namespace_and_name_and_tags_to_the_operators)
{
	struct parent p = fixture_service(EXPOSE, "", CLUSTER_IP);
	struct want w;

	want_make(&w, &p, &fixture_settings, NULL, NULL);
	ck_assert_str_eq(w.hostname, "shop-web");
	ck_assert_str_eq(w.tags, "tag:k8s");
	ck_assert_str_eq(w.dest_ip, "10.0.0.1");
	parent_fini(&p);
	p = fixture_service(
	    EXPOSE ",\"tailscale.com/hostname\":\"a-1\",\"tailscale.com/tags\":\"tag:x, tag:y\"",
	    "", CLUSTER_IP);
	want_make(&w, &p, &fixture_settings, NULL, NULL);
	ck_assert_str_eq(w.hostname, "a-1");
	ck_assert_str_eq(w.tags, "tag:x,tag:y");
	parent_fini(&p);
}

TEST(long_names_that_differ_late_are_different_hostnames)
{
	static const char *const ends[] = { "-v1", "-v2", ".a", "-" };
	char names[ARRAY_LEN(ends)][64], text[512];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct parent p;
		struct want w;

		(void)snprintf(text, sizeof text,
			       "{\"metadata\":{\"name\":\"%0*d%s\",\"uid\":\"u-%zu\"},\"spec\":{"
			       "\"exitNode\":true}}",
			       253 - (int)strlen(ends[i]), 1, ends[i], i);
		ck_assert(parent_parse(&p, KIND_CONNECTOR, bytes_str(text)));
		want_make(&w, &p, &fixture_settings, NULL, NULL);
		ck_assert(!w.is_invalid && hostname_is_valid(w.hostname));
		ck_assert_uint_eq(strlen(w.hostname), 63);
		memcpy(names[i], w.hostname, sizeof names[i]);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(names[k], names[i]);
		parent_fini(&p);
	}
}

TEST(kinds_that_are_not_offered_are_answered_and_connectors_checked)
{
	static const struct {
		enum kind kind;
		const char *spec;
		enum role role;
		const char *words;
	} all[] = {
		{ KIND_RECORDER, "{}", ROLE_KEEP, "not supported" },
		{ KIND_PROXYGROUP, "{}", ROLE_KEEP, "not supported" },
		{ KIND_CONNECTOR,
		  "{\"subnetRouter\":{\"advertiseRoutes\":[\"10.0.0.0/8\",\"fd00::/64\"]}}",
		  ROLE_ROUTER, NULL },
		{ KIND_CONNECTOR, "{\"subnetRouter\":{\"advertiseRoutes\":[\"10.0.0.0\"]}}",
		  ROLE_KEEP, "no subnet" },
		{ KIND_CONNECTOR, "{\"exitNode\":true}", ROLE_ROUTER, NULL },
		{ KIND_CONNECTOR, "{}", ROLE_KEEP, "names no subnet" },
		{ KIND_CONNECTOR, "{\"subnetRouter\":{\"advertiseRoutes\":[\"10.0.0.1/8\"]}}",
		  ROLE_KEEP, "no subnet" },
		{ KIND_CONNECTOR, "{\"subnetRouter\":{\"advertiseRoutes\":[\"0.0.0.0/0\"]}}",
		  ROLE_KEEP, "no subnet" },
		{ KIND_CONNECTOR, "{\"appConnector\":{}}", ROLE_KEEP, "appConnector" },
		{ KIND_CONNECTOR, "{\"exitNode\":true,\"hostname\":\"a\",\"hostnamePrefix\":\"b\"}",
		  ROLE_KEEP, "exclude each other" },
		{ KIND_CONNECTOR,
		  "{\"replicas\":2,\"subnetRouter\":{\"advertiseRoutes\":[\"10.0.0.0/8\"]}}",
		  ROLE_KEEP, "replicas" },
		{ KIND_CONNECTOR, "{\"exitNode\":true,\"tags\":[\"tag:a\",7]}", ROLE_KEEP,
		  "spec.tags is too long, or not text" },
		{ KIND_CONNECTOR, "{\"exitNode\":true,\"tags\":[\"web\"]}", ROLE_KEEP, "tag:NAME" },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		char text[1024];
		struct parent p;
		struct want w;

		(void)snprintf(text, sizeof text,
			       "{\"metadata\":{\"name\":\"c\",\"uid\":\"u\"},\"spec\":%s}",
			       all[i].spec);
		ck_assert(parent_parse(&p, all[i].kind, bytes_str(text)));
		want_make(&w, &p, &fixture_settings, NULL, NULL);
		ck_assert_int_eq(w.role, all[i].role);
		if (all[i].words)
			ck_assert_msg(strstr(w.message, all[i].words) != NULL, "%s", w.message);
		if (all[i].words && all[i].kind == KIND_CONNECTOR)
			ck_assert_str_eq(w.reason, "ConnectorInvalid");
		parent_fini(&p);
	}
}

/* Annotations that the Go operator reads on any kind: acted on, or named in a note. */
TEST(every_annotation_is_acted_on_or_told_on_each_kind)
{
	static const struct {
		const char *name, *value;
		bool on_service, on_ingress; /* acted on there */
	} all[] = {
		{ "expose", "true", true, false },
		{ "hostname", "h", true, true },
		{ "tags", "tag:a", true, true },
		{ "proxy-class", "c", true, true },
		{ "proxy-group", "g", false, false },
		{ "tailnet-ip", "100.64.0.9", true, false },
		{ "ts-tailnet-target-ip", "100.64.0.9", true, false },
		{ "tailnet-fqdn", "a.b.c", true, false },
		{ "experimental-forward-cluster-traffic-via-ingress", "true", false, false },
		{ "funnel", "true", false, false },
		{ "http-redirect", "true", false, true },
		{ "http-endpoint", "enabled", false, false },
		{ "share-acme-account", "true", false, false },
		{ "not-invented-yet", "x", false, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		for (int kind = 0; kind < KIND_N; kind++) {
			const bool acts = (kind == KIND_SERVICE && all[i].on_service) ||
					  (kind == KIND_INGRESS && all[i].on_ingress);
			char text[1024];
			struct parent p;
			struct want w;

			(void)snprintf(
			    text, sizeof text,
			    "{\"metadata\":{\"name\":\"x\",\"namespace\":\"n\",\"uid\":"
			    "\"u\",\"annotations\":{\"tailscale.com/%s\":\"%s\"}},\"spec\":{"
			    "\"ingressClassName\":\"tailscale\"}}",
			    all[i].name, all[i].value);
			ck_assert(parent_parse(&p, (enum kind)kind, bytes_str(text)));
			ck_assert_msg((strstr(p.unknown, all[i].name) == NULL) == acts, "%s on %s",
				      all[i].name, kinds[kind].kind);
			want_make(&w, &p, &fixture_settings, NULL, NULL);
			if (!acts && kinds[kind].is_offered)
				ck_assert_msg(
				    w.n_notes > 0 && strstr(w.note[0].message, all[i].name),
				    "%s on %s is not told", all[i].name, kinds[kind].kind);
			if (!kinds[kind].is_offered) /* the kind as a whole is answered */
				ck_assert(w.is_invalid);
			ck_assert(acts || parent_matters(&p, "tailscale", false));
			parent_fini(&p);
		}
}

TEST(tags_and_hostnames_that_a_control_server_would_refuse_are_refused)
{
	static const char *const bad_tags[] = { "",       "tag:",   "web",     "tag:1a",
						"tag:a,", ",tag:a", "tag:a b", "tag:a;b" };
	static const char *const bad_names[] = {
		"",    "-a",  "a-",
		"a.b", "a_b", "0123456789012345678901234567890123456789012345678901234567890123"
	};

	for (size_t i = 0; i < ARRAY_LEN(bad_tags); i++)
		ck_assert_msg(!tags_are_valid(bad_tags[i]), "%s", bad_tags[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad_names); i++)
		ck_assert_msg(!hostname_is_valid(bad_names[i]), "%s", bad_names[i]);
	ck_assert(tags_are_valid("tag:a") && tags_are_valid("tag:a-1,tag:B"));
	ck_assert(hostname_is_valid("a") && hostname_is_valid("a-1-B"));
}

TEST(parents_that_ask_for_nothing_and_bear_no_mark_are_not_kept)
{
	struct parent p = fixture_service("\"a\":\"b\"", "", CLUSTER_IP);

	ck_assert(!parent_matters(&p, "tailscale", false));
	parent_fini(&p);
	p = fixture_service("", ",\"finalizers\":[\"x\",\"tailscale.com/finalizer\"]", CLUSTER_IP);
	ck_assert(parent_matters(&p, "tailscale", false));
	ck_assert(p.has_finalizer);
	ck_assert_str_eq(p.finalizers, "[\"x\"]");
	parent_fini(&p);
	p = fixture_service(EXPOSE, "", CLUSTER_IP);
	ck_assert(parent_matters(&p, "tailscale", false));
	parent_fini(&p);
}

static const char *fixture_override[2];

static const char *environment(const char *name)
{
	static const char *const set[][2] = { { "OPERATOR_NAMESPACE", "n" },
					      { "PROXY_IMAGE", "i" },
					      { "KUBECONFIG", "/k" },
					      { "API_KEY_FILE", "/a" } };

	if (fixture_override[0] && strcmp(name, fixture_override[0]) == 0)
		return fixture_override[1];
	for (size_t i = 0; i < ARRAY_LEN(set); i++)
		if (strcmp(set[i][0], name) == 0)
			return set[i][1];
	return NULL;
}
static const char *go_environment(const char *name)
{
	return strcmp(name, "APISERVER_PROXY") == 0       ? "true"
	       : strcmp(name, "PROXY_FIREWALL_MODE") == 0 ? "auto"
	       : strcmp(name, "AUTH_PROXY") == 0          ? "false"
	       : strcmp(name, "TS_PORT") == 0             ? "41641"
							  : NULL;
}

TEST(variables_of_the_go_operator_without_effect_are_told_when_they_ask_for_something)
{
	const char *why;
	size_t at = 0;

	ck_assert_str_eq(options_without_effect(&at, go_environment, &why), "TS_PORT");
	ck_assert_str_eq(why, "the operator is no node of the tailnet");
	ck_assert_str_eq(options_without_effect(&at, go_environment, &why), "APISERVER_PROXY");
	ck_assert_ptr_null(options_without_effect(&at, go_environment, &why));
}

TEST(options_have_defaults_and_a_bad_one_is_refused_with_its_name)
{
	static const char *const bad[][2] = {
		{ "PROXY_TAGS", "web" },         { "OPERATOR_LOGIN_SERVER", "hs" },
		{ "PROXY_DERP_HTTP", "maybe" },  { "OPERATOR_NAMESPACE", "" },
		{ "API_KEY_FILE", "" },          { "KUBECONFIG", "" },
		{ "CLIENT_ID_FILE", "/only-id" }
	};
	struct options o;
	struct err e;

	fixture_override[0] = NULL;
	ck_assert_int_eq(options_read(&o, environment, &e), 0);
	ck_assert_str_eq(o.proxy_tags, "tag:k8s");
	ck_assert_str_eq(o.api_key_file, "/a");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		fixture_override[0] = bad[i][0];
		fixture_override[1] = bad[i][1];
		ck_assert_int_lt(options_read(&o, environment, &e), 0);
		ck_assert_msg(strstr(e.text, bad[i][0]) != NULL, "%s: %s", bad[i][0], e.text);
	}
}

TEST(help_and_page_tell_users_every_variable_but_those_for_tests)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	ck_assert(options_help(&out) && options_markdown(&out) && buf_append(&out, "", 1));
	ck_assert_ptr_nonnull(strstr((const char *)buf_bytes(&out).data, "OPERATOR_LISTEN"));
	ck_assert_ptr_null(strstr((const char *)buf_bytes(&out).data, "_TEST_"));
	buf_fini(&out);
}
