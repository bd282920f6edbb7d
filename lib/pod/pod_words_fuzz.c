/* pod/pod_words_fuzz.c - anything on the agent's socket, heard by either end */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pod/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct words_request rq;
	struct words_answer answer;

	if (words_request_parse(bytes_of(data, len), &rq))
		assert(rq.op >= 0 && rq.op < WORDS_OPS && strlen(rq.pod) <= POD_NAME_MAX);
	if (words_answer_parse(bytes_of(data, len), &answer))
		assert(answer.verdict >= 0 && answer.verdict < WORDS_VERDICTS &&
		       strlen(answer.words) < sizeof answer.words);
	return 0;
}
