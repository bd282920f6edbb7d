/* kube/kubeconfig_test.c - kubeconfigs, good and bad */
#include "kube/kubeconfig.h"

#include <errno.h>

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
