/* operator/parent_test.c - keys of work, ports, finalizers: what of an object is taken and what is
 * not */
#include "operator/parent.h"

#include <stdlib.h>

#include "tests/harness.h"

TEST(a_key_of_work_leads_back_to_its_object)
{
	char key[PARENT_KEY_MAX], ns[KUBE_NS_MAX + 1], name[KUBE_NAME_MAX + 1];
	char longest_ns[KUBE_NS_MAX + 1], longest[KUBE_NAME_MAX + 1];

	memset(longest_ns, 'n', KUBE_NS_MAX);
	memset(longest, 'x', KUBE_NAME_MAX);
	longest_ns[KUBE_NS_MAX] = longest[KUBE_NAME_MAX] = 0;
	for (int k = 0; k < KIND_N; k++)
		for (int i = 0; i < 3; i++) {
			const char *in_ns = i == 0 ? "" : i == 1 ? "shop" : longest_ns;
			const char *called = i == 2 ? longest : "web";
			enum kind kind = KIND_N;

			parent_key(key, (enum kind)k, in_ns, called);
			ck_assert(parent_key_parse(key, &kind, ns, name));
			ck_assert_int_eq((int)kind, k);
			ck_assert_str_eq(ns, in_ns);
			ck_assert_str_eq(name, called);
		}
}

TEST(what_is_no_key_of_work_leads_nowhere)
{
	static const char *const bad[] = { "",         "svc",      "svc/",  "svc/ns", "svc/ns/",
					   "SVC/ns/a", "svcs/n/a", "/ns/a", "sv/ns/a" };
	char ns[KUBE_NS_MAX + 1], name[KUBE_NAME_MAX + 1], text[600];
	enum kind kind;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!parent_key_parse(bad[i], &kind, ns, name), "%s", bad[i]);
	snprintf(text, sizeof text, "svc/%0*d/a", KUBE_NS_MAX + 1, 0);
	ck_assert(!parent_key_parse(text, &kind, ns, name));
	snprintf(text, sizeof text, "svc/ns/%0*d", KUBE_NAME_MAX + 1, 0);
	ck_assert(!parent_key_parse(text, &kind, ns, name));
}

TEST(a_port_is_a_number_that_a_port_can_be)
{
	static const struct {
		const char *json;
		uint16_t port;
	} rows[] = {
		{ "{\"port\":80}", 80 },
		{ "{\"port\":65535}", 65535 },
		{ "{\"port\":65536}", 0 },
		{ "{\"port\":4294967376}", 0 }, /* 80 + 2^32 */
		{ "{\"port\":-1}", 0 },
		{ "{\"port\":80.5}", 0 },
		{ "{\"port\":\"80\"}", 0 },
		{ "{\"port\":null}", 0 },
		{ "{\"port\":[80]}", 0 },
		{ "{}", 0 },
		{ "{\"port\":99999999999999999999999}", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(parent_port_at(bytes_str(rows[i].json), "port") == rows[i].port, "%s",
			      rows[i].json);
}

static const char whole[] =
    "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u-1\","
    "\"resourceVersion\":\"5\",\"generation\":3,"
    "\"finalizers\":[\"first/of-another\",\"tailscale.com/finalizer\",\"second/of-another\"],"
    "\"annotations\":{\"tailscale.com/expose\":\"true\",\"other\":\"x\"}},"
    "\"spec\":{\"type\":\"LoadBalancer\",\"clusterIPs\":[\"10.0.0.1\",\"fd00::1\"],"
    "\"ports\":[{\"port\":80},{\"port\":53,\"protocol\":\"UDP\",\"targetPort\":5353}]},"
    "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"other\"},"
    "{\"type\":\"TailscaleProxyReady\",\"status\":\"False\",\"reason\":\"ours\","
    "\"observedGeneration\":2}],"
    "\"loadBalancer\":{\"ingress\":[{\"hostname\":\"web.tail.test\"},{\"ip\":\"1.1.1.1\"},"
    "{\"ip\":\"1.1.1.2\"},{\"ip\":\"1.1.1.3\"},{\"ip\":\"1.1.1.4\"},{\"ip\":\"1.1.1.5\"}]}}}";

TEST(of_an_object_what_is_ours_is_told_from_what_is_others)
{
	struct parent p;

	ck_assert(parent_parse(&p, KIND_SERVICE, bytes_str(whole)));
	ck_assert(p.expose && p.has_finalizer && p.is_load_balancer && p.has_v4 && p.has_v6);
	ck_assert_str_eq(p.finalizers, "[\"first/of-another\",\"second/of-another\"]");
	ck_assert_str_eq(p.unknown, "");
	ck_assert_str_eq(p.ports, "80,53:5353/udp");
	ck_assert_str_eq(p.condition.reason, "ours");
	ck_assert(p.condition.exists && !p.condition.is_true);
	ck_assert_int_eq(p.condition.observed, 2);
	ck_assert_str_eq(p.lb_host, "web.tail.test");
	ck_assert_uint_eq(p.n_lb_ip, ARRAY_LEN(p.lb_ip)); /* the fifth has no place */
	ck_assert_str_eq(p.lb_ip[3], "1.1.1.4");
	parent_fini(&p);
}

TEST(a_cut_object_is_none_and_leaves_nothing_behind)
{
	for (size_t i = 0; i < sizeof whole - 1; i++) {
		AUTO_FREE char *cut = strndup(whole, i);
		struct parent p;

		ck_assert_msg(!parent_parse(&p, KIND_SERVICE, bytes_of(cut, i)), "%zu bytes", i);
	}
}

TEST(an_object_whose_finalizers_cannot_be_kept_is_none)
{
	char text[1200];
	struct parent p;

	snprintf(text, sizeof text,
		 "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"finalizers\":[\"%0600d\"]}}", 0);
	ck_assert(!parent_parse(&p, KIND_SERVICE, bytes_str(text)));
	ck_assert(!parent_parse(
	    &p, KIND_SERVICE,
	    bytes_str("{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"finalizers\":[7]}}")));
	ck_assert(!parent_parse(&p, KIND_SERVICE, bytes_str("{\"metadata\":{\"name\":\"a\"}}")));
}

/* "8:90", ",1:50001/udp", thirty of 16 bytes: of 512 bytes 16 are left, and one more has as many */
TEST(ports_beyond_what_the_text_holds_are_told_and_those_before_them_kept)
{
	char text[8192] = "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"},\"spec\":{\"ports\":[{"
			  "\"port\":8,\"targetPort\":90},{\"port\":1,\"targetPort\":50001,"
			  "\"protocol\":\"UDP\"}";
	struct parent p;

	for (int i = 2; i < 64; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text),
			 ",{\"port\":%d,\"targetPort\":%d,\"protocol\":\"UDP\"}%s", 60000 + i,
			 50000 + i, i < 63 ? "" : "]}}");
	ck_assert(parent_parse(&p, KIND_SERVICE, bytes_str(text)));
	ck_assert_uint_eq(strlen(p.ports), sizeof p.ports - 16);
	ck_assert(strncmp(p.ports, "8:90,1:50001/udp,60002:50002/udp,", 33) == 0);
	ck_assert_str_eq(p.ports + strlen(p.ports) - 4, "/udp"); /* not cut within one */
	ck_assert_str_eq(p.port_left_out, "60032/UDP");
	parent_fini(&p);
}
