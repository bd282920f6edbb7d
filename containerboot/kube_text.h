/* containerboot/kube_text.h - the state Secret as text: requests, answers, what access allows
 *
 * A Secret holds one field for each name of the state (characters outside [A-Za-z0-9._-] are _),
 * beside fields that the wrapper itself writes and reads (containerboot.md 9). Four maps describe a
 * write: what the server has, the state, the state as it was last written, and our own fields;
 * kube_diff walks what differs, and each kind of request is made from that. What others write
 * meanwhile stays. Pure.
 */
#ifndef CONTAINERBOOT_KUBE_TEXT_H
#define CONTAINERBOOT_KUBE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "model/state.h"

enum {
	KUBE_NAME_MAX = 253,     /* of an object */
	KUBE_DATA_MAX = 1 << 20, /* bytes of all values, the API server's own limit */
	KUBE_BODY_MAX = 4 << 20, /* of an answer: the Secret in base64 and what managers noted */
	KUBE_VERSION_MAX = 64,   /* resourceVersion */
	KUBE_MESSAGE_MAX = 256,
};

/* Fields of our own; all others but these belong to the state. */
#define KUBE_F_AUTHKEY "authkey"
#define KUBE_F_DEVICE_ID "device_id"
#define KUBE_F_DEVICE_FQDN "device_fqdn"
#define KUBE_F_DEVICE_IPS "device_ips"
#define KUBE_F_POD_UID "pod_uid"
#define KUBE_F_CAPVER "tailscale_capver"
#define KUBE_F_HTTPS "https_endpoint"
#define KUBE_F_REISSUE "reissue_authkey"
#define KUBE_F_EGRESS "egress-services"
#define KUBE_F_INGRESS "ingress-config.json"
#define KUBE_F_LOGOUT "logout_on_exit" /* ours: "true" by the operator, KUBE_LOGGED_OUT by us */
#define KUBE_LOGGED_OUT "done"
bool kube_field_is_own(struct bytes name);
/* Name of the state to name of the field; a longer one is cut. */
void kube_field_name(struct bytes name, char out[static STATE_NAME_MAX]);

/* --- what may be done --- */

enum kube_verb { KUBE_GET, KUBE_UPDATE, KUBE_PATCH, KUBE_CREATE, KUBE_EVENT, KUBE_VERBS };
enum kube_answer_of_review { KUBE_UNKNOWN, KUBE_YES, KUBE_NO };
struct kube_access {
	enum kube_answer_of_review
	    may[KUBE_VERBS]; /* unknown counts as yes: the request will tell */
};
bool kube_may(const struct kube_access *a, enum kube_verb v);
/* A SelfSubjectAccessReview; false: out of memory. */
MUST_USE bool kube_review_emit(struct buf *out, enum kube_verb v, const char *ns,
			       const char *secret);
enum kube_answer_of_review kube_review_parse(struct bytes body);
/* Is that enough? 0, or -EACCES with advice. */
MUST_USE int kube_access_check(const struct kube_access *a, const char *ns, const char *secret,
			       struct err *e);
/* The Secret does not exist: may it be made? */
MUST_USE int kube_access_absent(const struct kube_access *a, const char *ns, const char *secret,
				struct err *e);
/* A key in the Secret must be deletable. */
MUST_USE int kube_access_key(const struct kube_access *a, const char *ns, const char *secret,
			     struct err *e);

/* --- the Secret --- */

/* Fields of the answer's data, into an empty map, and its resourceVersion. 0, -EBADMSG, -ENOMEM,
 * -E2BIG */
MUST_USE int kube_fields_parse(struct bytes body, struct state *fields,
			       char version[static KUBE_VERSION_MAX], struct err *e);
/* Those of the server that are the state's, under the state's names. 0, -ENOMEM, -E2BIG */
MUST_USE int kube_state_of(const struct state *fields, struct state *st);

struct kube_diff {
	const struct state *server, *known, *state,
	    *own; /* known: the state as last written, or read;
		     own: an empty value takes the field away */
	size_t i;
	int phase;
	char name[STATE_NAME_MAX]; /* of the change that kube_diff_next told */
	struct bytes value;
	bool is_removal;
};
bool kube_diff_next(struct kube_diff *d);

/* Bodies of what d has left; false: out of memory, or larger than a Secret can be. */
MUST_USE bool kube_patch_emit(struct buf *out,
			      struct kube_diff *d); /* a JSON patch; "[]": nothing differs */
MUST_USE bool kube_put_emit(struct buf *out, struct bytes present, struct kube_diff *d);
MUST_USE bool kube_post_emit(struct buf *out, const char *ns, const char *secret,
			     struct kube_diff *d);

/* The message of a Status, printable; "" when there is none. */
void kube_message(struct bytes body, char out[static KUBE_MESSAGE_MAX]);

struct kube_event {
	const char *kind;      /* of the object: NULL: Pod; Node: ns is where the Event lies */
	const char *ns, *name; /* of the object */
	const char *uid, *reason, *words;
	const char *instance; /* makes the Event's own name unique */
	bool is_warning;
	wall_t at;
};
MUST_USE bool kube_event_emit(struct buf *out, const struct kube_event *ev);

#endif
