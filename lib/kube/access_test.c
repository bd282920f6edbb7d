/* kube/access_test.c - credentials from files: beside a kubeconfig, and as a pod has them */
#include "kube/access.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "tests/harness.h"

static char dir[] = "/tmp/tailpod-access-XXXXXX";
static struct kubeconfig c;
static struct err e;

static void enter(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void put(const char *name, const char *text)
{
	ck_assert_int_eq(file_replace(name, bytes_str(text), 0600, NULL), 0);
}

static void leave(void)
{
	static const char *const names[] = {
		"config", "ca.crt", "cert", "key", "token", "namespace"
	};

	kubeconfig_fini(&c);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(names[i]);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

#define CONFIG(cluster, user)                                                                      \
	"current-context: t\nclusters:\n- name: c\n  cluster: {server: 'https://h:1'" cluster      \
	"}\n"                                                                                      \
	"users:\n- name: u\n  user: {" user "}\ncontexts:\n- name: t\n  context: {cluster: c, "    \
	"user: u}\n"

TEST(files_that_a_kubeconfig_names_lie_beside_it)
{
	char path[128], want[128];

	enter();
	put("config", CONFIG(", certificate-authority: ca.crt",
			     "client-certificate: cert, client-key: key, tokenFile: token"));
	put("ca.crt", "CA");
	put("cert", "CERT");
	put("key", "KEY");
	snprintf(path, sizeof path, "%s/config", dir);
	ck_assert_msg(kube_access_file(&c, path, NULL, &e) == 0, "%s", e.text);
	ck_assert_str_eq(c.ca_pem, "CA");
	ck_assert_str_eq(c.cert_pem, "CERT");
	ck_assert_str_eq(c.key_pem, "KEY");
	ck_assert_ptr_null(c.token); /* it changes: whoever uses it reads it anew */
	snprintf(want, sizeof want, "%s/token", dir);
	ck_assert_str_eq(c.token_file, want);
	kubeconfig_fini(&c);
	ck_assert_int_eq(kube_access_file(&c, "config", NULL, &e), 0); /* in this directory */
	ck_assert_str_eq(c.ca_pem, "CA");
	ck_assert_str_eq(c.token_file, "./token");
	leave();
}

TEST(what_is_written_into_a_kubeconfig_goes_before_the_file_it_names)
{
	enter();
	put("config",
	    CONFIG(", certificate-authority: missing, certificate-authority-data: Q0E=", ""));
	ck_assert_msg(kube_access_file(&c, "config", NULL, &e) == 0, "%s", e.text);
	ck_assert_str_eq(c.ca_pem, "CA");
	kubeconfig_fini(&c);
	put("config", CONFIG(", certificate-authority: ''", "token: ''")); /* as good as absent */
	ck_assert_msg(kube_access_file(&c, "config", NULL, &e) == 0, "%s", e.text);
	ck_assert_ptr_null(c.ca_pem);
	ck_assert_ptr_null(c.token);
	leave();
}

TEST(a_file_that_is_missing_or_broken_is_named_with_who_names_it)
{
	enter();
	ck_assert_int_eq(kube_access_file(&c, "config", NULL, &e), -ENOENT);
	ck_assert_str_eq(e.text, "kubeconfig: read config: No such file or directory");
	ck_assert_int_eq(kube_access_file(&c, "", NULL, &e), -ENOENT);
	put("config", CONFIG("", "client-certificate: cert, client-key: key"));
	put("cert", "CERT");
	ck_assert_int_eq(kube_access_file(&c, "config", NULL, &e), -ENOENT);
	ck_assert_str_eq(e.text, "config: read ./key: No such file or directory");
	ck_assert_ptr_null(c.server); /* nothing half-read is left */
	ck_assert_ptr_null(c.cert_pem);
	put("config", "current-context: t\n");
	ck_assert_int_eq(kube_access_file(&c, "config", NULL, &e), -EINVAL);
	ck_assert_str_eq(e.text, "config: there is no context t");
	leave();
}

TEST(a_pod_finds_server_authority_token_and_namespace)
{
	char want[128];

	enter();
	put("ca.crt", "CA");
	put("namespace", "prod");
	ck_assert_msg(kube_access_pod(&c, "10.0.0.1", "443", dir, &e) == 0, "%s", e.text);
	ck_assert_str_eq(c.server, "https://10.0.0.1:443");
	ck_assert_str_eq(c.ca_pem, "CA");
	ck_assert_str_eq(c.ns, "prod");
	snprintf(want, sizeof want, "%s/token", dir);
	ck_assert_str_eq(c.token_file, want);
	kubeconfig_fini(&c);
	put("namespace", "prod\n"); /* by hand, or by an editor */
	ck_assert_int_eq(kube_access_pod(&c, "fd00::1", "443", dir, &e), 0);
	ck_assert_str_eq(c.server, "https://[fd00::1]:443");
	ck_assert_str_eq(c.ns, "prod");
	kubeconfig_fini(&c);
	put("namespace", " \n");
	ck_assert_int_eq(kube_access_pod(&c, "h", "443", dir, &e), 0);
	ck_assert_ptr_null(c.ns); /* none is named */
	leave();
}

TEST(a_pod_without_a_service_account_is_told_which_file_is_missing)
{
	char want[160];

	enter();
	snprintf(want, sizeof want, "service account: read %s/ca.crt: No such file or directory",
		 dir);
	ck_assert_int_eq(kube_access_pod(&c, "h", "443", dir, &e), -ENOENT);
	ck_assert_str_eq(e.text, want);
	ck_assert_ptr_null(c.server);
	put("ca.crt", "CA");
	ck_assert_int_eq(kube_access_pod(&c, "h", "443", dir, &e), 0);
	ck_assert_ptr_null(c.ns); /* a namespace is not needed here */
	leave();
}
