/* kube/kubeconfig_test.c - kubeconfigs, good and bad; objects and paths; Events */
#include "kube/kubeconfig.h"

#include <errno.h>

#include "kube/event.h"
#include "kube/object.h"
#include "tests/harness.h"

#define GOOD                                                                                       \
	"apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters:\n- name: c\n  cluster:\n"     \
	"    server: https://127.0.0.1:6443/\n    certificate-authority-data: UEVN\nusers:\n- "    \
	"name: u\n  user:\n"                                                                       \
	"    token: secret\ncontexts:\n- name: t\n  context: {cluster: c, user: u, namespace: "    \
	"n}\n"

static int parse(struct kubeconfig *c, const char *text, struct err *e)
{
	return kubeconfig_parse(c, bytes_str(text), NULL, e);
}

TEST(kubeconfig_gives_server_credentials_and_namespace_of_the_current_context)
{
	struct kubeconfig c;
	struct err e;

	ck_assert_int_eq(parse(&c, GOOD, &e), 0);
	ck_assert_str_eq(c.server, "https://127.0.0.1:6443");
	ck_assert_str_eq(c.ca_pem, "PEM");
	ck_assert_str_eq(c.token, "secret");
	ck_assert_str_eq(c.ns, "n");
	ck_assert(!c.is_insecure);
	kubeconfig_fini(&c);
}

TEST(kubeconfig_cut_anywhere_is_refused_or_lacks_nothing_that_was_there)
{
	char text[sizeof GOOD];

	for (size_t n = 0; n < sizeof GOOD - 1; n++) {
		struct kubeconfig c;
		struct err e = { 0 };

		memcpy(text, GOOD, n);
		text[n] = 0;
		if (parse(&c, text, &e) == 0)
			ck_assert_str_eq(c.server, "https://127.0.0.1:6443");
		else
			ck_assert_int_gt(strlen(e.text), 0);
		kubeconfig_fini(&c);
	}
}

TEST(kubeconfig_that_needs_what_we_lack_is_refused_with_words)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "a: [", "line" },
		{ "- 1", "not a kubeconfig" },
		{ "current-context: x", "no context x" },
		{ "clusters: []", "current-context" },
		{ "current-context: t\nclusters: [{name: c, cluster: {server: 'https://a'}}]\n"
		  "users: [{name: u, user: {exec: {command: x}}}]\n"
		  "contexts: [{name: t, context: {cluster: c, user: u}}]",
		  "exec" },
		{ "current-context: t\nclusters: [{name: c, cluster: {server: 'ftp://a'}}]\n"
		  "contexts: [{name: t, context: {cluster: c}}]",
		  "not a URL" },
		{ "current-context: t\nclusters: [{name: c, cluster: {server: 'https://a', "
		  "certificate-authority-data: '*'}}]\ncontexts: [{name: t, context: {cluster: "
		  "c}}]",
		  "base64" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct kubeconfig c;
		struct err e = { 0 };

		ck_assert_int_eq(parse(&c, bad[i].text, &e), -EINVAL);
		ck_assert_msg(strstr(e.text, bad[i].words) != NULL, "%s: %s", bad[i].words, e.text);
	}
}

#define POD                                                                                        \
	"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"u\","        \
	"\"resourceVersion\":\"3\","                                                               \
	"\"generation\":2,\"labels\":{\"a\":\"1\",\"b\\/c\":\"2\"},\"finalizers\":[\"x\",\"y\"],"  \
	"\"deletionTimestamp\":\"2026-01-02T03:04:05Z\",\"managedFields\":[{}]},\"spec\":{\"t\":{" \
	"\"u\":\"v\"}}}"

TEST(object_sections_are_found_and_strings_in_them)
{
	struct kube_object o;
	char v[8];
	bool too_long;

	ck_assert(kube_object_parse(bytes_str(POD), &o));
	ck_assert_str_eq(o.ns, "n");
	ck_assert_str_eq(o.rv, "3");
	ck_assert_int_eq(o.generation, 2);
	ck_assert(o.is_deleting);
	ck_assert(kube_member(o.labels, "a", v, sizeof v, NULL));
	ck_assert_str_eq(v, "1");
	ck_assert(kube_member(o.labels, "b/c", v, sizeof v, NULL));
	ck_assert(!kube_member(o.labels, "z", v, sizeof v, NULL));
	ck_assert(!kube_member(o.labels, "a", v, 1, &too_long));
	ck_assert(too_long);
	ck_assert(kube_has_string(o.finalizers, "y"));
	ck_assert(!kube_has_string(o.finalizers, "z"));
	ck_assert(kube_str_at(o.spec, "t.u", v, sizeof v));
	ck_assert_str_eq(v, "v");
}

TEST(object_cut_at_any_byte_is_refused)
{
	struct kube_object o;

	for (size_t n = 0; n < sizeof POD - 1; n++)
		ck_assert(!kube_object_parse(bytes_of(POD, n), &o));
}

TEST(paths_name_group_namespace_object_and_subresource_and_escape_names)
{
	char p[KUBE_PATH_MAX];

	ck_assert(kube_path(p, sizeof p, "v1", "services", "a", "b", "status"));
	ck_assert_str_eq(p, "/api/v1/namespaces/a/services/b/status");
	ck_assert(kube_path(p, sizeof p, "apps/v1", "statefulsets", NULL, NULL, NULL));
	ck_assert_str_eq(p, "/apis/apps/v1/statefulsets");
	ck_assert(kube_path(p, sizeof p, "v1", "pods", "a/../b", "c?d", NULL));
	ck_assert_str_eq(p, "/api/v1/namespaces/a%2F..%2Fb/pods/c%3Fd");
	for (size_t cap = 0; cap < 20; cap++)
		ck_assert(!kube_path(p, cap, "v1", "services", "a", "b", "status"));
}

TEST(events_are_created_once_counted_and_written_again_after_half_a_minute)
{
	static struct seed_rng seed;
	struct kube_event ev = { "v1", "Service", "n", "s", "uid", true, "Bad", "words" };
	struct kube_event_write w;
	struct kube_events *es;
	struct buf body;
	char name[320];

	seed_rng_init(&seed, 1);
	es = kube_events_new("operator", "pod", &seed.rng);
	buf_init(&body, 1 << 20);
	ck_assert(kube_events_add(es, &ev, (mono_t){ 0 }, (wall_t){ 0 }, &w, &body));
	ck_assert(w.create);
	ck_assert_str_eq(w.ns, "n");
	memcpy(name, w.name, sizeof name);
	for (int i = 1; i < 30; i++)
		ck_assert(
		    !kube_events_add(es, &ev, (mono_t){ i * NS_PER_S }, (wall_t){ 0 }, &w, &body));
	buf_clear(&body);
	ck_assert(kube_events_add(es, &ev, (mono_t){ 31 * NS_PER_S }, (wall_t){ 0 }, &w, &body));
	ck_assert(!w.create);
	ck_assert_str_eq(w.name, name);
	ck_assert_ptr_nonnull(memmem(body.data, body.len, "\"count\":31", 10));
	ev.message = "other words";
	ck_assert(kube_events_add(es, &ev, (mono_t){ 32 * NS_PER_S }, (wall_t){ 0 }, &w, &body));
	ck_assert(w.create);
	kube_events_free(es);
	buf_fini(&body);
}
