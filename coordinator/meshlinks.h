/* coordinator/meshlinks.h - links to the other relays of our region
 *
 * Each relay is a client of the others (data-plane.md 3.4): it watches who is connected there and
 * forwards packets for them, one hop. A link that ends is dialled again after 5 s; one that turns
 * out to lead to ourselves is dropped for good, so that all relays may have the same list.
 */
#ifndef COORDINATOR_MESHLINKS_H
#define COORDINATOR_MESHLINKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "coordinator/config.h"
#include "crypto/key.h"
#include "derp/server.h"

struct loop;
struct meshlinks;
struct resolver;
struct tls_client;

enum { MESHLINKS_RETRY_S = 5 }; /* data-plane.md 3.3 */

struct meshlinks_conf {
	struct loop *loop;
	struct resolver *resolver;
	struct tls_client *tls;
	struct derp_server *derp;
	const struct key_priv *key; /* of the relay; borrowed */
	const char *mesh_key;       /* 64 hex digits; borrowed */
	const struct config_list *with;
};
struct meshlinks *meshlinks_new(const struct meshlinks_conf *conf,
				struct err *e); /* NULL: e says why */
void meshlinks_free(struct meshlinks *m);       /* before the relay; NULL is fine */
/* What the relay has put on the links leaves; at the end of a turn. */
void meshlinks_flush(struct meshlinks *m);
size_t meshlinks_n_up(const struct meshlinks *m);

#endif
