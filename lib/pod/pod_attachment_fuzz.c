/* pod/pod_attachment_fuzz.c - anything as an attachment's file: what parses is written and parses
 * to the same */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pod/attachment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct attachment a, again;
	struct buf out;

	buf_init(&out, 1 << 20);
	if (attachment_parse(bytes_of(data, len), &a) && attachment_emit(&a, &out) &&
	    attachment_parse(buf_bytes(&out), &again)) {
		assert(again.n_rules == a.n_rules && again.state == a.state);
		for (size_t i = 0; i < a.n_rules; i++) {
			assert(rule_eq(&a.rules[i], &again.rules[i]) && a.rules[i].priority != 0);
			assert(a.rules[i].has_from || *a.rules[i].iif);
		}
	}
	buf_fini(&out);
	return 0;
}
