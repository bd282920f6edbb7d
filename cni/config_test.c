/* cni/config_test.c - stdin, environment, prevResult, plan, lists: the pure parts */
#include "cni/agent_client.h"
#include "cni/config.h"
#include "cni/conflist.h"
#include "cni/gc.h"
#include "cni/plan.h"
#include "cni/result.h"
#include "pod/attachment.h"
#include "tests/harness.h"

static const char asks[] =
    "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"namespaces\":[\"apps\",\"team-*\"],"
    "\"unknown\":{\"a\":[1]},\"runtimeConfig\":{\"io.kubernetes.cri.pod-annotations\":"
    "{\"x\":\"y\",\"tailscale.com/cni\":\"true\"}}}";

static struct config must(const char *text)
{
	struct config c;
	struct fail f = { 0 };

	ck_assert_msg(config_parse(bytes_str(text), &c, &f) == 0, "%s: %s", text, f.msg);
	return c;
}

static int code_of(const char *text)
{
	struct config c;
	struct fail f = { 0 };

	ck_assert_int_eq(config_parse(bytes_str(text), &c, &f), -1);
	return f.code;
}

TEST(the_annotation_counts_only_in_namespaces_that_the_administrator_names)
{
	const struct config c = must(asks);

	ck_assert(c.asks);
	ck_assert(config_wants(&c, "apps") && config_wants(&c, "team-") &&
		  config_wants(&c, "team-b"));
	ck_assert(!config_wants(&c, "app") && !config_wants(&c, "apps2") && !config_wants(&c, ""));
}

TEST(without_namespaces_nobody_is_admitted)
{
	const struct config c =
	    must("{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"optIn\":\"all\"}");

	ck_assert(!config_wants(&c, "default") && !config_wants(&c, ""));
}

TEST(an_annotation_with_another_value_or_case_asks_nothing)
{
	static const char *const values[] = {
		"\"false\"", "\"\"", "true", "{}", "null", "\"TRUE\""
	};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		char text[512];

		snprintf(text, sizeof text,
			 "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"runtimeConfig\":{\"io."
			 "kubernetes.cri.pod-annotations\":{\"tailscale.com/cni\":%s,"
			 "\"Tailscale.com/cni\":\"true\"}}}",
			 values[i]);
		ck_assert_msg(!must(text).asks, "%s", values[i]);
	}
}

TEST(every_fault_of_the_configuration_has_the_code_of_the_specification)
{
	ck_assert_int_eq(code_of(""), FAIL_DECODE);
	ck_assert_int_eq(code_of("7"), FAIL_DECODE);
	ck_assert_int_eq(code_of("{\"cniVersion\":\"1.0.0\""), FAIL_DECODE);
	ck_assert_int_eq(code_of("{\"name\":\"n\"}"), FAIL_VERSION);
	ck_assert_int_eq(code_of("{\"cniVersion\":\"0.2.0\",\"name\":\"n\"}"), FAIL_VERSION);
	ck_assert_int_eq(code_of("{\"cniVersion\":\"1.0.0\"}"), FAIL_CONFIG);
	ck_assert_int_eq(code_of("{\"cniVersion\":\"1.0.0\",\"name\":\"a/b\"}"), FAIL_CONFIG);
	ck_assert_int_eq(code_of("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"priority\":40000}"),
			 FAIL_CONFIG);
	ck_assert_int_eq(
	    code_of("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"ranges\":[\"0.0.0.0/0\"]}"),
	    FAIL_CONFIG);
	ck_assert_int_eq(code_of("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"ranges\":[]}"),
			 FAIL_CONFIG);
	ck_assert_int_eq(code_of("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"failOpen\":\"yes\"}"),
			 FAIL_CONFIG);
	ck_assert_int_eq(code_of("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"socket\":\"x\"}"),
			 FAIL_CONFIG);
}

TEST(a_configuration_cut_anywhere_is_refused)
{
	for (size_t n = 0; n + 1 < sizeof asks; n++) {
		struct config c;
		struct fail f = { 0 };

		ck_assert_int_eq(config_parse(bytes_of(asks, n), &c, &f), -1);
	}
}

TEST(subnets_are_guarded_behind_the_ranges_wherever_they_stand)
{
	static const char head[] = "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",";
	static const struct {
		const char *members;
		int n; /* ranges in all; -1: refused */
		const char *last;
	} v[] = {
		{ "\"subnets\":[\"10.50.0.0/16\",\"fd00:50::/64\"]}", 4, "fd00:50::/64" },
		{ "\"subnets\":[\"10.50.0.0/16\"],\"ranges\":[\"100.64.1.0/24\"]}", 2,
		  "10.50.0.0/16" },
		{ "\"subnets\":[]}", 2, "fd7a:115c:a1e0::/48" },
		{ "\"subnets\":[\"0.0.0.0/0\"]}", -1, NULL },
		{ "\"subnets\":[\"::/0\"]}", -1, NULL },
		{ "\"subnets\":\"10.50.0.0/16\"}", -1, NULL },
		{ "\"subnets\":[\"10.0.0.0/24\",\"10.0.1.0/24\",\"10.0.2.0/24\",\"10.0.3.0/24\","
		  "\"10.0.4.0/24\",\"10.0.5.0/24\",\"10.0.6.0/24\"]}",
		  -1, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		static struct config c;
		struct fail f = { 0 };
		struct ipprefix last;
		char text[512];
		int r;

		(void)snprintf(text, sizeof text, "%s%s", head, v[i].members);
		r = config_parse(bytes_str(text), &c, &f);
		if (v[i].n < 0) {
			ck_assert_int_eq(r, -1);
			ck_assert_int_eq(f.code, FAIL_CONFIG);
			continue;
		}
		ck_assert_msg(r == 0, "%s", f.msg);
		ck_assert_uint_eq(c.n_ranges, (size_t)v[i].n);
		ck_assert(ipprefix_parse(bytes_str(v[i].last), &last));
		ck_assert(ipprefix_eq(&c.ranges[c.n_ranges - 1], &last));
	}
}

TEST(the_environment_names_all_that_is_missing)
{
	char *none[] = { (char[]){ "CNI_COMMAND=ADD" }, (char[]){ "CNI_NETNS=/n" }, NULL };
	struct fail f = { 0 };
	struct env e;

	ck_assert_int_eq(env_parse(none, &e, &f), -1);
	ck_assert_int_eq(f.code, FAIL_ENV);
	ck_assert_str_eq(f.msg, "required env variables [CNI_CONTAINERID,CNI_IFNAME] missing");
}

TEST(a_pod_name_is_read_from_the_arguments_and_nothing_else_is_judged)
{
	char *v[] = { (char[]){ "CNI_COMMAND=DEL" }, (char[]){ "CNI_CONTAINERID=a" },
		      (char[]){ "CNI_IFNAME=eth0" },
		      (char[]){
			  "CNI_ARGS=;x;=;K8S_POD_NAME=web;IgnoreUnknown=1;K8S_POD_NAMESPACE=apps" },
		      NULL };
	struct fail f = { 0 };
	struct env e;

	ck_assert_int_eq(env_parse(v, &e, &f), 0);
	ck_assert_str_eq(e.pod_namespace, "apps");
	ck_assert_str_eq(e.pod_name, "web");
}

TEST(the_plan_guards_every_address_before_it_looks_up)
{
	const struct ip ips[] = { ip_v4(10, 0, 0, 2), { { 0xfd, [15] = 2 } } };
	struct ipprefix ranges[2];
	struct plan_input in = { .ips = ips,
				 .n_ips = 2,
				 .ranges = ranges,
				 .n_ranges = 2,
				 .iif = "veth1",
				 .table = 77,
				 .priority = 1000 };
	static struct rule v[RULE_MAX];
	size_t n;

	ck_assert(ipprefix_parse(bytes_str("100.64.0.0/10"), &ranges[0]));
	ck_assert(ipprefix_parse(bytes_str("fd7a:115c:a1e0::/48"), &ranges[1]));
	n = plan_rules(&in, v);
	ck_assert_uint_eq(n, 6);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(v[i].is_lookup, i >= 4);
		ck_assert_uint_eq(v[i].priority, v[i].is_lookup ? 1000 : 1001);
		ck_assert_uint_eq(v[i].table, v[i].is_lookup ? 77 : 0);
		ck_assert_int_eq(v[i].has_from, i >= 2);
	}
	in.iif = "";
	ck_assert_uint_eq(plan_rules(&in, v), 4);
}

TEST(addresses_of_interfaces_outside_the_pod_are_not_the_pods)
{
	static const char text[] =
	    "{\"interfaces\":[{\"name\":\"br0\"},{\"name\":\"eth0\",\"sandbox\":\"/n\"}],"
	    "\"ips\":[{\"address\":\"10.0.0.1/24\",\"interface\":0},"
	    "{\"address\":\"10.0.0.2/24\",\"interface\":1},{\"address\":\"10.0.0.3/24\"}]}";
	struct result r;
	struct fail f = { 0 };
	struct ip v[4], want = ip_v4(10, 0, 0, 2);

	ck_assert_int_eq(result_parse(bytes_str(text), &r, &f), 0);
	ck_assert_int_eq(result_pod_ips(&r, v, 4), 2);
	ck_assert(ip_eq(&v[0], &want));
	ck_assert_int_eq(result_pod_ips(&r, v, 1), -1);
}

TEST(a_list_gets_our_plugin_at_its_end_and_is_then_ours)
{
	static const char owner[] = "{\"cniVersion\":\"1.0.0\",\"name\":\"k\",\"plugins\":[{"
				    "\"type\":\"ptp\",\"n\":1.50}],\"x\":1}";
	struct fail f = { 0 };
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(conflist_join(bytes_str(owner),
				       bytes_str("{\"failOpen\":true,\"type\":\"z\"}"), &out, &f),
			 0);
	ck_assert(buf_append(&out, "", 1));
	ck_assert_str_eq((char *)out.data + out.off,
			 "{\"cniVersion\":\"1.0.0\",\"name\":\"k\",\"x\":1,\"plugins\":[{\"type\":"
			 "\"ptp\",\"n\":1.50},"
			 "{\"type\":\"tailpod-cni\",\"capabilities\":{\"io.kubernetes.cri.pod-"
			 "annotations\":true},"
			 "\"failOpen\":true}]}\n");
	ck_assert_int_eq(conflist_kind(bytes_of(out.data + out.off, out.len - 1)), CONFLIST_OURS);
	buf_fini(&out);
}

TEST(settings_that_an_add_would_refuse_join_no_list)
{
	static const char owner[] =
	    "{\"cniVersion\":\"1.0.0\",\"name\":\"k\",\"plugins\":[{\"type\":\"ptp\"}]}";
	static const char old[] =
	    "{\"cniVersion\":\"0.2.0\",\"name\":\"k\",\"plugins\":[{\"type\":\"ptp\"}]}";
	struct fail f = { 0 };
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(
	    conflist_join(bytes_str(owner), bytes_str("{\"mode\":\"node\"}"), &out, &f), -1);
	ck_assert_int_eq(f.code, FAIL_CONFIG);
	ck_assert_int_eq(conflist_join(bytes_str(old), bytes_str("{}"), &out, &f), -1);
	ck_assert_int_eq(f.code, FAIL_VERSION);
	buf_fini(&out);
}

/* every member that docs/operations/cni.md names */
static const char all_settings[] =
    "{\n  \"mode\": \"routes\", \"optIn\": \"all\", \"annotation\": \"a\",\n  \"namespaces\": "
    "[\"apps\"],"
    "\n  \"failOpen\": true, \"statusAffectsNode\": true, \"podRoutes\": false,"
    "\n  \"resultRoutes\": true, \"ranges\": [\"100.64.0.0/16\"], \"subnets\": [\"10.9.0.0/16\"],"
    "\n  \"table\": 7, \"priority\": 8, \"protocol\": 9, \"socket\": \"/s\", \"stateDir\": "
    "\"/d\"\n}\n";

TEST(each_member_of_the_settings_arrives_where_it_belongs)
{
	char text[1024];
	struct fail f = { 0 };
	struct config c;

	ck_assert_msg(config_check_settings(bytes_str(all_settings), "file", &f) == 0, "%s", f.msg);
	snprintf(text, sizeof text, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",%s",
		 all_settings + 1);
	c = must(text);
	ck_assert(c.opt_in == CONFIG_ALL && c.fail_open && c.status_affects_node && !c.pod_routes &&
		  c.result_routes);
	ck_assert_str_eq(c.annotation, "a");
	ck_assert_str_eq(c.namespaces[0], "apps");
	ck_assert_str_eq(c.socket, "/s");
	ck_assert_str_eq(c.state_dir, "/d");
	ck_assert_uint_eq(c.n_namespaces, 1);
	ck_assert_uint_eq(c.n_ranges, 2);
	ck_assert_uint_eq(c.table, 7);
	ck_assert_uint_eq(c.priority, 8);
	ck_assert_uint_eq(c.protocol, 9);
}

TEST(settings_that_do_not_fit_are_refused_with_their_place)
{
	static const struct {
		const char *text, *words;
	} v[] = {
		{ "{\n  \"failOpn\": true\n}",
		  "f, line 2, column 3: there is no setting 'failOpn'; the nearest is 'failOpen'" },
		{ "{\"subnet\":[]}",
		  "f, line 1, column 2: there is no setting 'subnet'; the nearest is 'subnets'" },
		{ "{\"ranges\":[\"fd00::/8\"],\n\"prevResult\":{}}",
		  "f, line 2, column 1: there is no setting 'prevResult'; the nearest is "
		  "'ranges'" },
		{ "{\n\n\"failOpen\": \"yes\"}",
		  "f, line 3, column 1: the value of 'failOpen' does not fit" },
		{ "{\"table\": 4294967296}",
		  "f, line 1, column 2: the value of 'table' does not fit" },
		{ "{\"protocol\": 4}",
		  "f, line 1, column 2: the value of 'protocol' does not fit" },
		{ "{\"socket\": \"run\"}",
		  "f, line 1, column 2: the value of 'socket' does not fit" },
		{ "{\"annotation\": null}",
		  "f, line 1, column 2: the value of 'annotation' does not fit" },
		{ "{\"failOpen\": true,\n}", "f, line 2, column 1: this is not good JSON" },
		{ "{\n\"failOpen\": true\n} x", "f, line 3, column 3: this is not good JSON" },
		{ "", "f, line 1, column 1: this is not good JSON" },
		{ "\n [1]", "f, line 2, column 2: the settings are not a JSON object" },
		{ "{\"subnets\":[\"1.0.0.0/8\",\"2.0.0.0/8\",\"3.0.0.0/8\",\"4.0.0.0/8\",\"5.0.0.0/"
		  "8\","
		  "\"6.0.0.0/8\",\"7.0.0.0/8\"]}",
		  "f: more than 8 of 'ranges' and 'subnets' together" },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct fail f = { 0 };

		ck_assert_int_eq(config_check_settings(bytes_str(v[i].text), "f", &f), -1);
		ck_assert_str_eq(f.msg, v[i].words);
	}
	for (size_t n = 0; n < strlen(all_settings) - 2; n++) {
		struct fail f = { 0 };

		ck_assert_int_eq(config_check_settings(bytes_of(all_settings, n), "f", &f), -1);
	}
}

TEST(a_list_for_gc_with_a_nameless_entry_is_refused_whole)
{
	struct gc_valid v[2];

	ck_assert_int_eq(gc_parse(bytes_str("[]"), v, 2), 0);
	ck_assert_int_eq(gc_parse(bytes_str("[{\"containerID\":\"a\",\"ifname\":\"b\"}]"), v, 2),
			 1);
	ck_assert_int_eq(gc_parse(bytes_str("[{\"containerID\":\"a\"}]"), v, 2), -1);
	ck_assert_int_eq(gc_parse(bytes_str("{}"), v, 2), -1);
	ck_assert_int_eq(gc_parse(bytes_str("[{\"containerID\":7,\"ifname\":\"b\"}]"), v, 2), -1);
}
