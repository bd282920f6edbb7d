/* coordinator/verify_fuzz.c - bodies of POST /verify and of its answers: what is understood is
 * understood again when it is said in our words, and nothing that is too long is */
#include <stdlib.h>

#include "coordinator/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct ip from = ip_v4(192, 0, 2, 7);
	struct bytes in = bytes_of(data, len);
	struct key_pub node = { 0 }, again = { 0 };
	char text[VERIFY_QUESTION_MAX];
	bool allow = false, same = false;

	if (verify_question_parse(in, &node)) {
		size_t n = verify_question_emit(&node, &from, text);

		if (len > VERIFY_BODY_MAX || key_is_zero(&node) ||
		    !verify_question_parse(bytes_of(text, n), &again) || !key_eq(&node, &again))
			abort();
	} else if (!key_is_zero(&node)) {
		abort(); /* of what is none nothing is kept */
	}
	if (verify_verdict_parse(in, &allow) &&
	    (len > VERIFY_BODY_MAX || !verify_verdict_parse(verify_verdict(allow), &same) ||
	     same != allow))
		abort();
	return 0;
}
