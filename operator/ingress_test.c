/* operator/ingress_test.c - Ingresses: what becomes of rules, hosts, ports by name and certificates
 */
#include "model/serve.h"
#include "tests/operator_fixture.h"

static struct parent p;
static struct want w;
static struct facts facts;
static struct serve *s;

static void ingress(const char *annotations, const char *spec)
{
	static char text[16384];

	parent_fini(&p);
	(void)snprintf(text, sizeof text,
		       "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u-3\","
		       "\"annotations\":{%s}},\"spec\":{\"ingressClassName\":\"tailscale\",%s}}",
		       annotations, spec);
	ck_assert(parent_parse(&p, KIND_INGRESS, bytes_str(text)));
}

static struct render render(void)
{
	want_make(&w, &p, &fixture_settings, NULL, &facts);
	return (struct render){ &fixture_settings, &p, &w, NULL, "ts-web-x", &facts };
}

/* the configuration as the sidecar reads it */
static void serve(void)
{
	static char text[1 << 18];
	const struct render r = render();
	struct buf b;
	struct err e;

	ck_assert_msg(w.role == ROLE_WEB, "%s", w.message);
	buf_init(&b, RENDER_MAX);
	ck_assert(render_child(&b, &r, CHILD_CONFIG, "x"));
	ck_assert(
	    kube_member(kube_at(buf_bytes(&b), "data"), "serve.json", text, sizeof text, NULL));
	buf_fini(&b);
	serve_free(s);
	s = serve_parse(bytes_str(text), NULL, "shop.tail.test", &e);
	ck_assert_msg(s != NULL, "%s: %s", e.text, text);
	ck_assert_uint_eq(s->n_notes, 0);
}

/* "scheme://host:port target" that answers; "" nobody */
static const char *behind(unsigned port, const char *host, const char *path)
{
	static char out[1024];
	const struct serve_site *site = serve_site_of(s, (uint16_t)port, bytes_str(host));
	const struct serve_handler *h;
	struct bytes rest;
	struct buf target;

	if (!site || !(h = serve_handler_of(site, bytes_str(path), &rest)))
		return "";
	if (h->action == SERVE_REDIRECT)
		return h->value;
	buf_init(&target, 1024);
	ck_assert(serve_target(&target, &h->to, rest, false, bytes_str("")));
	(void)snprintf(out, sizeof out, "%s%s:%u %.*s", h->to.tls ? "https " : "", h->to.host,
		       h->to.port, (int)target.len, (const char *)buf_bytes(&target).data);
	buf_fini(&target);
	return out;
}

static bool noted(const char *words)
{
	for (size_t i = 0; i < w.n_notes; i++)
		if (strstr(w.note[i].message, words))
			return true;
	return false;
}

static void done(void)
{
	serve_free(s);
	s = NULL;
	parent_fini(&p);
	p = (struct parent){ 0 };
	facts = (struct facts){ 0 };
}

#define PATH(path, service, port)                                                                  \
	"{\"path\":\"" path "\",\"backend\":{\"service\":{\"name\":\"" service                     \
	"\",\"port\":{" port "}}}}"
#define RULE(host, paths) "{" host "\"http\":{\"paths\":[" paths "]}}"

TEST(the_path_that_was_asked_for_reaches_the_service)
{
	ingress("", "\"defaultBackend\":{\"service\":{\"name\":\"main\",\"port\":{\"number\":80}}},"
		    "\"rules\":[" RULE("", PATH("/api", "api", "\"number\":8080") "," PATH(
					       "/s/", "sec", "\"number\":443")) "]");
	serve();
	ck_assert_uint_eq(s->n_ports, 1);
	ck_assert_str_eq(behind(80, "shop", "/"), "main.shop.svc.cluster.local:80 /");
	ck_assert_str_eq(behind(80, "shop.tail.test", "/x?"), "main.shop.svc.cluster.local:80 /x?");
	ck_assert_str_eq(behind(80, "shop", "/api"), "api.shop.svc.cluster.local:8080 /api");
	ck_assert_str_eq(behind(80, "shop", "/api/v1"), "api.shop.svc.cluster.local:8080 /api/v1");
	ck_assert_str_eq(behind(80, "shop", "/apis"), "main.shop.svc.cluster.local:80 /apis");
	ck_assert_str_eq(behind(80, "shop", "/s/x"), "https sec.shop.svc.cluster.local:443 /s/x");
	ck_assert_str_eq(behind(80, "other.example", "/"), "");
	ck_assert(!w.polls);
	done();
}

TEST(a_path_of_type_exact_is_served_exactly_and_before_a_prefix)
{
	ingress("", "\"rules\":[{\"http\":{\"paths\":["
		    "{\"path\":\"/\",\"pathType\":\"Exact\",\"backend\":{\"service\":{\"name\":"
		    "\"index\",\"port\":{\"number\":80}}}},"
		    "{\"path\":\"/\",\"pathType\":\"Prefix\",\"backend\":{\"service\":{\"name\":"
		    "\"rest\",\"port\":{\"number\":80}}}},"
		    "{\"path\":\"/a/\",\"pathType\":\"Exact\",\"backend\":{\"service\":{\"name\":"
		    "\"a\",\"port\":{\"number\":80}}}}]}}]");
	serve();
	ck_assert_uint_eq(w.n_notes, 0);
	ck_assert_str_eq(behind(80, "shop", "/"), "index.shop.svc.cluster.local:80 /");
	ck_assert_str_eq(behind(80, "shop", "/x"), "rest.shop.svc.cluster.local:80 /x");
	ck_assert_str_eq(behind(80, "shop", "/a/"), "a.shop.svc.cluster.local:80 /a/");
	ck_assert_str_eq(behind(80, "shop", "/a"), "rest.shop.svc.cluster.local:80 /a");
	ck_assert_str_eq(behind(80, "shop", "/a/b"), "rest.shop.svc.cluster.local:80 /a/b");
	ingress("", "\"rules\":[{\"http\":{\"paths\":[{\"path\":\"/a\",\"pathType\":\"Exact\","
		    "\"backend\":{\"service\":{\"name\":\"a\",\"port\":{\"number\":80}}}}]}}]");
	serve(); /* no other path */
	ck_assert_str_eq(behind(80, "shop", "/a"), "a.shop.svc.cluster.local:80 /a");
	ck_assert_str_eq(behind(80, "shop", "/a/b"), "");
	ck_assert_str_eq(behind(80, "shop", "/"), "");
	done();
}

TEST(hosts_of_rules_are_sites_and_rules_without_one_belong_to_all)
{
	ingress(
	    "",
	    "\"tls\":[{\"hosts\":[\"shop.example.com\"],\"secretName\":\"c\"}],\"rules\":"
	    "[" RULE("\"host\":\"shop.example.com\",", PATH("/", "main", "\"number\":80")) "," RULE(
		"\"host\":\"other.example.com\",",
		PATH(
		    "/", "other",
		    "\"number\":80")) "," RULE("\"host\":\"*.example.com\",",
					       PATH(
						   "/w", "wild",
						   "\"number\":80")) "," RULE("",
									      PATH("/", "any", "\"number\":80") "," PATH(
										  "/all", "all",
										  "\"number\":"
										  "80")) "]");
	facts = (struct facts){ TLS_THERE, (char[]){ "YQ==" }, (char[]){ "Yg==" } };
	serve();
	ck_assert_str_eq(w.hostname, "shop");
	for (unsigned port = 80; port <= 443; port += 363) {
		ck_assert_str_eq(behind(port, "shop.tail.test", "/"),
				 "main.shop.svc.cluster.local:80 /");
		ck_assert_str_eq(behind(port, "shop.example.com", "/"),
				 "main.shop.svc.cluster.local:80 /");
		ck_assert_str_eq(behind(port, "other.example.com", "/"),
				 "other.shop.svc.cluster.local:80 /");
		ck_assert_str_eq(behind(port, "other.example.com", "/all"),
				 "all.shop.svc.cluster.local:80 /all");
		ck_assert_str_eq(behind(port, "x.example.com", "/w"), "");
	}
	ck_assert(noted("*.example.com") && !noted("only the first host"));
	ingress("", "\"tls\":[{\"hosts\":[\"shop.example.com\",\"too.example.com\"],\"secretName\":"
		    "\"c\"}],\"rules\":[" RULE("", PATH("/", "main", "\"number\":80")) "]");
	serve();
	ck_assert(noted("only the first host"));
	done();
}

TEST(a_certificate_is_used_when_it_is_there_and_otherwise_told)
{
	static const struct {
		enum tls_state state;
		const char *words;
	} rows[] = { { TLS_ABSENT, "does not exist" },
		     { TLS_FORBIDDEN, "tlsSecrets" },
		     { TLS_BAD, "tls.crt" } };
	const char *spec = "\"tls\":[{\"secretName\":\"cert\"}],\"rules\":[" RULE(
	    "", PATH("/", "main", "\"number\":80")) "]";
	struct render r;

	ingress("\"tailscale.com/http-redirect\":\"true\"", spec);
	ck_assert_str_eq(p.tls_secret, "cert");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		facts.tls = rows[i].state;
		serve();
		ck_assert_uint_eq(s->n_ports, 1);
		ck_assert(w.polls && noted(rows[i].words));
		r = render();
		ck_assert(!render_wants(&r, CHILD_TLS));
		ck_assert(strchr(behind(80, "shop", "/"), ':'));
	}
	facts = (struct facts){ TLS_THERE, (char[]){ "Y3J0" }, (char[]){ "a2V5" } };
	serve();
	ck_assert_uint_eq(s->n_ports, 2);
	ck_assert_uint_eq(w.n_notes, 0);
	ck_assert_str_eq(behind(443, "shop", "/a"), "main.shop.svc.cluster.local:80 /a");
	ck_assert_str_eq(behind(80, "shop", "/a"), "https://${HOST}${REQUEST_URI}");
	r = render();
	ck_assert(render_wants(&r, CHILD_TLS));
	for (int c = 0; c < CHILD_N; c++) {
		struct buf b;

		buf_init(&b, RENDER_MAX);
		ck_assert(render_child(&b, &r, (enum child)c, "x"));
		/* the key is in its Secret and nowhere else */
		ck_assert_int_eq(memmem(b.data, b.len, "a2V5", 4) != NULL, c == CHILD_TLS);
		if (c == CHILD_SET)
			ck_assert(memmem(b.data, b.len, "TS_SERVE_TLS_DIR", 16) &&
				  memmem(b.data, b.len, "ts-web-x-tls", 12));
		buf_fini(&b);
	}
	ingress("", "\"tls\":[{\"hosts\":[\"shop\"]}],\"rules\":[" RULE(
			"", PATH("/", "main", "\"number\":80")) "]");
	facts = (struct facts){ 0 };
	serve();
	ck_assert(noted("names no Secret") && !w.polls);
	done();
}

TEST(ports_by_name_are_those_of_the_service_and_unknown_ones_are_told)
{
	ingress("", "\"rules\":[" RULE("", PATH("/", "main", "\"name\":\"web\"") "," PATH(
					       "/s", "sec", "\"name\":\"https\"")) "]");
	ck_assert_str_eq(p.path[0].port_name, "web");
	want_make(&w, &p, &fixture_settings, NULL, NULL);
	ck_assert(w.is_invalid && w.polls);
	ck_assert_str_eq(w.reason, "NoValidBackends");
	p.path[0].port = 8080;
	serve();
	ck_assert(noted("no Service sec with a port named https"));
	ck_assert_str_eq(behind(80, "shop", "/s"), "main.shop.svc.cluster.local:8080 /s");
	p.path[1].port = 8443;
	serve();
	ck_assert_str_eq(behind(80, "shop", "/s"), "https sec.shop.svc.cluster.local:8443 /s");
	done();
}

TEST(a_rule_without_a_path_is_served_at_the_root_and_told)
{
	ingress("", "\"rules\":[{\"http\":{\"paths\":[{\"pathType\":\"ImplementationSpecific\","
		    "\"backend\":{\"service\":{\"name\":\"main\",\"port\":{\"number\":80}}}}]}}]");
	serve();
	ck_assert_uint_eq(w.n_notes, 1);
	ck_assert_str_eq(w.note[0].reason, "PathUndefined");
	ck_assert_str_eq(behind(80, "shop", "/x"), "main.shop.svc.cluster.local:80 /x");
	done();
}

TEST(back_ends_that_http_1_does_not_reach_and_services_that_are_not_there_are_told)
{
	ingress("", "\"rules\":[" RULE("", PATH("/", "main", "\"number\":8080") "," PATH(
					       "/g", "rpc", "\"name\":\"grpc-web\"")) "]");
	p.path[1].port = 9090;
	serve();
	ck_assert_uint_eq(w.n_notes, 1);
	ck_assert(noted("port 9090 of Service rpc is for grpc-web"));
	memcpy(p.path[1].protocol, "http", 5); /* what is said counts more than a name */
	serve();
	ck_assert_uint_eq(w.n_notes, 0);
	memcpy(p.path[0].protocol, "kubernetes.io/h2c", 18);
	serve();
	ck_assert(noted("port 8080 of Service main is for kubernetes.io/h2c"));
	memcpy(p.path[0].protocol, "HTTPS", 6);
	serve();
	ck_assert_uint_eq(w.n_notes, 0);
	ck_assert_str_eq(behind(80, "shop", "/x"), "https main.shop.svc.cluster.local:8080 /x");
	w.polls = false;
	p.path[0].is_absent = true;
	serve();
	ck_assert(noted("there is no Service main") && w.polls);
	ck_assert_str_eq(behind(80, "shop", "/x"), "https main.shop.svc.cluster.local:8080 /x");
	done();
}

TEST(paths_that_are_none_are_left_out_and_too_many_refused)
{
	static char rules[12000];
	size_t at = 0;

	ingress(
	    "",
	    "\"rules\":[" RULE(
		"",
		PATH("/a b", "x", "\"number\":80") "," PATH("/q?", "x", "\"number\":80") "," PATH(
		    "rel", "x", "\"number\":80") "," PATH("/none", "x",
							  "") "," PATH("/ok", "x",
								       "\"number\":80")) "]");
	serve();
	ck_assert_uint_eq(s->site[0].n, 1);
	ck_assert_uint_eq(w.n_notes, 4);
	for (int over = 0; over < 2; over++) {
		at = (size_t)snprintf(rules, sizeof rules, "\"rules\":[{\"http\":{\"paths\":[");
		for (int i = 0; i < PARENT_PATHS_MAX + over; i++)
			at += (size_t)snprintf(
			    rules + at, sizeof rules - at,
			    "%s{\"path\":\"/%d\",\"backend\":{\"service\":{\"name\":"
			    "\"x\",\"port\":{\"number\":80}}}}",
			    i ? "," : "", i);
		(void)snprintf(rules + at, sizeof rules - at, "]}}]");
		ingress("", rules);
		want_make(&w, &p, &fixture_settings, NULL, NULL);
		ck_assert_int_eq(w.is_invalid, over);
	}
	done();
}
