/* cni/cni_state_fuzz.c - anything as an attachment's file, an agent's answer or an owner's network
 * list: what parses is written and parses to the same */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cni/agent_client.h"
#include "cni/attachment.h"
#include "cni/conflist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct attachment a, again;
	struct agent_answer answer;
	struct fail f = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	if (attachment_parse(bytes_of(data, len), &a) && attachment_emit(&a, &out) &&
	    attachment_parse(buf_bytes(&out), &again)) {
		assert(again.n_rules == a.n_rules && again.state == a.state);
		for (size_t i = 0; i < a.n_rules; i++)
			assert(rule_eq(&a.rules[i], &again.rules[i]));
	}
	buf_clear(&out);
	if (agent_answer_parse(bytes_of(data, len), &answer))
		assert(answer.verdict > AGENT_AWAY && answer.verdict < AGENT_VERDICTS);
	if (conflist_join(bytes_of(data, len), (struct bytes){ 0 }, &out, &f) == 0)
		assert(conflist_kind(buf_bytes(&out)) == CONFLIST_OURS);
	buf_fini(&out);
	return 0;
}
