/* containerboot/kube_secret.h - the state in a Kubernetes Secret: read at start, written when it
 * changes
 *
 * One write is under way at a time; changes meanwhile make the next one. A write is a JSON patch of
 * what differs; where patching is not allowed the Secret is read and put back whole; where it does
 * not exist it is created. What fails is said once, by the log and by an Event of the pod if that
 * is allowed, and tried again, at most a minute later. Nothing of the state is lost meanwhile but
 * by the end of the process.
 */
#ifndef CONTAINERBOOT_KUBE_SECRET_H
#define CONTAINERBOOT_KUBE_SECRET_H

#include <stdbool.h>

#include "containerboot/kube_client.h"
#include "containerboot/kube_text.h"

struct kube_secret;
struct kube_secret_conf {
	struct kube_client_conf client;
	const char *name;
	const char *pod, *pod_uid; /* of the Events; NULL: none are written */
	struct state *state;       /* borrowed for the life of this; what is read goes there */
	span_t limit;              /* of reading; 0: no limit */
	const bool *stop;          /* looked at while waiting; ends it */
};
/* Asks what is allowed and reads the Secret, turning the loop meanwhile. NULL: e has advice. */
struct kube_secret *kube_secret_open(const struct kube_secret_conf *conf, struct err *e);
void kube_secret_free(struct kube_secret *s); /* what is not written is lost; NULL is fine */

/* Own fields, by their KUBE_F_ names; written with the next save. */
bool kube_secret_get(const struct kube_secret *s, const char *field, struct bytes *value);
void kube_secret_set(struct kube_secret *s, const char *field, const char *text);
void kube_secret_clear(struct kube_secret *s, const char *field);
/* Asks the server what one of our fields says now. fn exactly once, unless freed before: value NULL
 * data: not there, or no answer. False: out of memory, or one is under way. */
typedef void kube_secret_look_fn(void *ctx, struct bytes value);
MUST_USE bool kube_secret_look(struct kube_secret *s, const char *field, kube_secret_look_fn *fn,
			       void *ctx);
/* May the key in the Secret be used? 0 or -EACCES with advice. */
MUST_USE int kube_secret_check_key(const struct kube_secret *s, struct err *e);

void kube_secret_save(struct kube_secret *s); /* soon */
/* Turns the loop until everything is written; false: not within the limit. */
bool kube_secret_flush(struct kube_secret *s, span_t limit);

#endif
