/* kube/kubeconfig.h - where the API server is and who we are: from a kubeconfig's text
 *
 * Pure. Files that the text names are read by kube/access.h. exec plugins, auth providers and
 * passwords are refused with words.
 */
#ifndef KUBE_KUBECONFIG_H
#define KUBE_KUBECONFIG_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum { KUBECONFIG_MAX = 1 << 20 };

/* NULL: not given. *_pem are contents, *_file paths as written. All owned. */
struct kubeconfig {
	char *server; /* without a slash at its end */
	char *ns;
	char *ca_pem, *cert_pem, *key_pem, *token;
	char *ca_file, *cert_file, *key_file, *token_file;
	bool is_insecure;
};

/* context NULL: the current one. -EINVAL and words. out is empty on failure. */
MUST_USE int kubeconfig_parse(struct kubeconfig *out, struct bytes text, const char *context,
			      struct err *e);
void kubeconfig_fini(struct kubeconfig *c); /* wipes secrets */

#endif
