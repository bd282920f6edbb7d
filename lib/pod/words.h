/* pod/words.h - what the CNI plugin and its node agent say on the agent's socket
 * (docs/protocol/cni-agent.md); pure
 *
 * Both ends run as root on one machine, and each reads the other as if it did not.
 */
#ifndef POD_WORDS_H
#define POD_WORDS_H

#include "base/attr.h"
#include "base/bytes.h"
#include "pod/attachment.h"

enum words_op { WORDS_STATUS, WORDS_ADD, WORDS_OPS };

struct words_request {
	enum words_op op;
	char pod[POD_NAME_MAX + 1]; /* namespace/name; "" when the runtime did not say */
	char uid[POD_UID_MAX + 1];  /* the pod's; "" likewise */
};
/* One line. a: of WORDS_ADD, its rules are not sent; else NULL. */
MUST_USE bool words_request_emit(enum words_op op, const struct attachment *a, struct buf *out);
MUST_USE bool words_request_parse(struct bytes line, struct words_request *out);

enum words_verdict {
	WORDS_READY,   /* add: granted; status: can add */
	WORDS_REFUSED, /* add: this pod may not */
	WORDS_NOT_YET, /* the agent runs but is not on the tailnet */
	WORDS_VERDICTS
};

struct words_answer {
	enum words_verdict verdict;
	char words[256]; /* why, for people */
};
/* One line. */
MUST_USE bool words_answer_emit(enum words_verdict verdict, const char *words, struct buf *out);
MUST_USE bool words_answer_parse(struct bytes line, struct words_answer *out);

#endif
