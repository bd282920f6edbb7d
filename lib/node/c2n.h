/* node/c2n.h - requests of control to this node ("control to node"), answered; pure
 * (control-protocol.md 5.2)
 *
 * Paths, methods and JSON names of the stock client. What this node does not have (updates, logs
 * sent to a server, device posture, certificates, app connector) is answered as a stock client that
 * has it switched off answers.
 */
#ifndef NODE_C2N_H
#define NODE_C2N_H

#include "node/localapi.h"

enum { C2N_ANSWER_MAX = 2 << 20 }; /* room that an answer may want */

/* Appends a whole HTTP/1.1 answer. false: out of memory */
MUST_USE bool c2n_answer(const struct localapi_view *v, const struct c2n_request *rq,
			 struct buf *out);

#endif
