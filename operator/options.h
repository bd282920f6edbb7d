/* operator/options.h - settings: from the environment, as those of the Go operator, or flags */
#ifndef OPERATOR_OPTIONS_H
#define OPERATOR_OPTIONS_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

struct options { /* texts of the environment or of the defaults; "" when not given */
	const char *ns, *image, *proxy_tags, *login_server, *api_server, *class_name, *default_lb,
	    *default_class;
	const char *cluster_domain, *pull_policy, *priority_class, *proxy_ca, *derp_http;
	const char *client_id_file, *client_secret_file, *api_key_file, *auth_key_file,
	    *headscale_user, *ca_file;
	const char *kubeconfig, *context, *host, *port, *pod_name, *kill_at, *lease, *listen,
	    *logging;
};

/* 0, or -EINVAL and one line. env: getenv or a test's. */
MUST_USE int options_read(struct options *o, const char *(*env)(const char *name), struct err *e);
/* The next variable of the Go operator that is set and has no effect here, from *at = 0 on; NULL:
 * no more. *why is a constant. */
const char *options_without_effect(size_t *at, const char *(*env)(const char *name),
				   const char **why);
/* OPERATOR_TEST_KILL_AT: "3", "3+" (after), by SIGKILL; "3s", "3+s" by SIGSTOP; false: malformed.
 */
MUST_USE bool options_kill_at(const char *text, unsigned *n, bool *after, int *by);
MUST_USE bool options_help(struct buf *out);
MUST_USE bool options_markdown(struct buf *out);

#endif
