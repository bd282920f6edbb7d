/* cni/agent_client.h - one question to the node agent (docs/protocol/cni-agent.md) */
#ifndef CNI_AGENT_CLIENT_H
#define CNI_AGENT_CLIENT_H

#include "base/attr.h"
#include "base/bytes.h"
#include "cni/attachment.h"

enum { AGENT_TIMEOUT_MS = 2000, AGENT_LINE_MAX = 64 << 10 };

enum agent_verdict {
	AGENT_AWAY,    /* no socket, no answer in time, nonsense: `words` says which */
	AGENT_READY,   /* add: granted; status: can add */
	AGENT_REFUSED, /* add: this pod may not */
	AGENT_NOT_YET, /* it runs but is not on the tailnet */
	AGENT_VERDICTS
};
extern const char *const agent_verdict_names[AGENT_VERDICTS];

struct agent_answer {
	enum agent_verdict verdict;
	char words[256];
};

/* add: a names the attachment (its rules are not sent). */
struct agent_answer agent_ask_add(const char *socket, const struct attachment *a);
struct agent_answer agent_ask_status(const char *socket);

/* Pure halves of it. Request: one line. Answer: false when it is malformed. */
MUST_USE bool agent_request_emit(const char *op, const struct attachment *a, struct buf *out);
MUST_USE bool agent_answer_parse(struct bytes line, struct agent_answer *out);

#endif
