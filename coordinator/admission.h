/* coordinator/admission.h - asks a control server whether a node may use our relay
 *
 * The protocol is verify.h's. Verdicts are kept for a short time; a server that does not give one
 * is no unless fail_open says otherwise (derper's own default is yes).
 */
#ifndef COORDINATOR_ADMISSION_H
#define COORDINATOR_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/ip.h"
#include "crypto/key.h"
#include "derp/server.h"

struct loop;
struct resolver;
struct tls_client;
struct admission;

enum {                            /* ours */
       ADMISSION_ASKS_MAX = 64,   /* questions under way */
       ADMISSION_WAIT_MAX = 1024, /* that wait for one of these; more are refused */
       ADMISSION_WAIT_FROM_ONE = ADMISSION_WAIT_MAX / 2, /* from one address (IPv6: /64) */
       ADMISSION_CACHE = 1024,  /* answers; a power of two; the older of two gives way */
       ADMISSION_ALLOW_S = 30,  /* a node that was removed is let in so much longer */
       ADMISSION_DENY_S = 3,    /* one that was just added waits so much longer */
       ADMISSION_TIMEOUT_S = 5, /* data-plane.md 3.4 */
};

struct admission_conf {
	struct loop *loop;
	struct resolver *resolver;
	struct tls_client *tls;
	const char *url; /* http[s]://host[:port]/path; borrowed */
	bool fail_open;
	/* once for each question, never from within admission_ask unless it is answered at once */
	void (*answer)(void *ctx, struct derp_conn_id id, bool allow);
	void *ctx;
};
struct admission_stats {
	uint64_t allowed, denied, failed, cached;
};
struct admission *admission_new(const struct admission_conf *conf, struct err *e); /* NULL: e */
void admission_free(struct admission *a); /* open questions are forgotten; NULL is fine */
void admission_ask(struct admission *a, struct derp_conn_id id, const struct key_pub *key,
		   const struct ipport *remote);
const struct admission_stats *admission_stats(const struct admission *a);

/* "http[s]://host[:port]/path": the parts, path NUL-terminated. false: no such URL */
MUST_USE bool admission_url(const char *url, bool *tls, char host[static 256], uint16_t *port,
			    const char **path);

#endif
