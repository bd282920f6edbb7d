/* kube/lease.h - who leads: decisions over a Lease of coordination.k8s.io/v1
 *
 * Pure. 15 s a lease, renewed every 2 s; who could not renew for 10 s no longer leads, so that
 * there is never a second leader by our own clock. Another's lease has run out when its record has
 * not changed for as long as it says, by our clock alone: clocks of machines are not compared.
 *
 *      kube_lease_next -> send the request it names; answer: kube_lease_result
 */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/mono.h"
#include "kube/object.h"

enum {
	KUBE_LEASE_S = 15,
	KUBE_LEASE_RENEW_S = 10,
	KUBE_LEASE_RETRY_S = 2,
	KUBE_LEASE_ID_MAX = 253
};

enum kube_lease_act { KUBE_LEASE_NONE, KUBE_LEASE_GET, KUBE_LEASE_CREATE, KUBE_LEASE_UPDATE };

struct kube_lease {
	char ns[KUBE_NS_MAX + 1], name[KUBE_NAME_MAX + 1], me[KUBE_LEASE_ID_MAX + 1];
	char uid[KUBE_UID_MAX + 1]; /* "": not read yet */
	char holder[KUBE_LEASE_ID_MAX + 1], rv[KUBE_RV_MAX + 1], renew_time[64], acquire_time[64];
	int64_t duration_s, transitions;
	mono_t changed;    /* when the record last changed, as we saw it */
	mono_t next, sent; /* next request; when the one under way was sent */
	mono_t held_until;
	bool known, exists, is_busy, release;
	enum kube_lease_act act;
};

void kube_lease_init(struct kube_lease *l, const char *ns, const char *name, const char *me);
/* What to send now, with its body in out (empty for GET). NONE: wait until the deadline. */
enum kube_lease_act kube_lease_next(struct kube_lease *l, mono_t now, wall_t wall, struct buf *out);
void kube_lease_result(struct kube_lease *l, mono_t now, unsigned status,
		       struct bytes body); /* status 0: no answer */
bool kube_lease_is_mine(const struct kube_lease *l, mono_t now);
mono_t kube_lease_deadline(const struct kube_lease *l);
void kube_lease_release(struct kube_lease *l, mono_t now); /* the next request gives it away */

#endif
