/* containerboot/kube_client.h - requests to the API server of the cluster that this pod runs in
 *
 * The account is a directory as Kubernetes mounts it: token, ca.crt, namespace. Token and CA are
 * read again every half hour and when the server refuses the token (401), once a request. Each
 * request is a connection of its own: there are a handful in a day.
 */
#ifndef CONTAINERBOOT_KUBE_CLIENT_H
#define CONTAINERBOOT_KUBE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "os/loop.h"

#define KUBE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
enum { KUBE_ACCOUNT_AGE_S = 1800, KUBE_CALL_S = 30, KUBE_TOKEN_MAX = 8192 };

struct resolver;
struct kube_client;
struct kube_client_conf {
	struct loop *loop;
	const char *account_dir;   /* NULL: KUBE_ACCOUNT_DIR */
	const char *host;          /* as KUBERNETES_SERVICE_HOST has it */
	struct resolver *resolver; /* NULL when host is an address */
	uint16_t port;
};
/* NULL: e says what is missing of the account. */
struct kube_client *kube_client_new(const struct kube_client_conf *conf, struct err *e);
void kube_client_free(struct kube_client *c); /* no call is left; NULL is fine */
const char *kube_client_namespace(const struct kube_client *c);

struct kube_answer {
	unsigned status; /* 0: there was no answer, and why says so */
	struct bytes body;
	const struct err *why;
};
/* Exactly once, never from within kube_call; the call is gone by then. */
typedef void kube_answer_fn(void *ctx, const struct kube_answer *a);
struct kube_call;
/* type: of the body, NULL: there is none. The body is copied, and wiped afterwards. NULL: out of
 * memory. */
struct kube_call *kube_call(struct kube_client *c, const char *method, const char *target,
			    const char *type, struct bytes body, kube_answer_fn *fn, void *ctx);
/* A GET whose 200 comes in pieces, for at most limit (of everything); the answer's body is empty
 * then. piece returns false to end it. */
typedef bool kube_piece_fn(void *ctx, struct bytes piece);
struct kube_call *kube_stream(struct kube_client *c, const char *target, span_t limit,
			      kube_piece_fn *piece, kube_answer_fn *fn, void *ctx);
void kube_call_cancel(struct kube_call *call); /* no callback; NULL is fine */

#endif
