/* kube/access.h - credentials from files: a kubeconfig, or what Kubernetes mounts into a pod */
#ifndef KUBE_ACCESS_H
#define KUBE_ACCESS_H

#include "base/attr.h"
#include "base/err.h"
#include "kube/kubeconfig.h"

#define KUBE_POD_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
enum { KUBE_TOKEN_MAX = 16384 };

/* Reads a kubeconfig and the files that it names, relative to its directory; token files stay
 * paths. */
MUST_USE int kube_access_file(struct kubeconfig *out, const char *path, const char *context,
			      struct err *e);
/* In a pod: host and port are KUBERNETES_SERVICE_HOST and _PORT; dir NULL: KUBE_POD_DIR. */
MUST_USE int kube_access_pod(struct kubeconfig *out, const char *host, const char *port,
			     const char *dir, struct err *e);

#endif
