/* containerboot/cni_request_fuzz.c - anything on the agent's socket and in its state directory */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "containerboot/agent_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct agent_attachment a;
	struct agent_request rq;

	if (agent_request_parse(bytes_of(data, len), &rq)) {
		assert(rq.op >= 0 && rq.op < AGENT_OPS && strlen(rq.pod) < AGENT_POD_MAX);
		assert(agent_admits(NULL, rq.pod) && agent_admits("*", rq.pod));
	}
	if (agent_attachment_parse(bytes_of(data, len), &a)) {
		assert(a.n_rules <= AGENT_RULES_MAX);
		for (size_t i = 0; i < a.n_rules; i++) {
			assert(a.rules[i].protocol != 0 && a.rules[i].priority != 0);
			assert(a.rules[i].has_from || *a.rules[i].iif);
		}
	}
	return 0;
}
