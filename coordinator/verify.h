/* coordinator/verify.h - may a node use a relay: the question that a relay asks, and the verdict
 *
 * The protocol of derper's -verify-client-url (data-plane.md 3.4). The question is the body of a
 * POST, {"NodePublic":"nodekey:...","Source":"IP"}; the verdict is the body of its answer,
 * {"Allow":true}. Other members are passed over, and of a member that comes twice the last counts,
 * as in Go.
 */
#ifndef COORDINATOR_VERIFY_H
#define COORDINATOR_VERIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "crypto/key.h"

enum {                            /* ours, bytes */
       VERIFY_BODY_MAX = 4096,    /* of either body; a longer one is none */
       VERIFY_QUESTION_MAX = 256, /* that is ever emitted, NUL included */
};

/* false: no question of this protocol, or one about no node; *node is untouched then */
MUST_USE bool verify_question_parse(struct bytes body, struct key_pub *node);
/* NUL-terminated into out; source is the address that the node came from. Its length. */
size_t verify_question_emit(const struct key_pub *node, const struct ip *source,
			    char out[static VERIFY_QUESTION_MAX]);
/* false: no verdict of this protocol; *allow is untouched then */
MUST_USE bool verify_verdict_parse(struct bytes body, bool *allow);
struct bytes verify_verdict(bool allow); /* constant text */

#endif
