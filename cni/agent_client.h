/* cni/agent_client.h - one question to the node agent (docs/protocol/cni-agent.md) */
#ifndef CNI_AGENT_CLIENT_H
#define CNI_AGENT_CLIENT_H

#include "pod/words.h"

enum { AGENT_TIMEOUT_MS = 2000, AGENT_LINE_MAX = 64 << 10 };

struct agent_answer {
	bool is_away; /* no socket, no answer in time, nonsense: said.words tells which */
	struct words_answer said;
};

/* add: a names the attachment (its rules are not sent). */
struct agent_answer agent_ask_add(const char *socket, const struct attachment *a);
struct agent_answer agent_ask_status(const char *socket);

#endif
