/* containerboot/kube_text_fuzz.c - answers of an API server: no crash, and what was read goes out
 * as it came */
#include "containerboot/kube_text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char version[KUBE_VERSION_MAX], message[KUBE_MESSAGE_MAX];
	struct state *server = state_new(), *st = state_new(), *none = state_new();
	struct bytes in = bytes_of(data, size);
	struct buf out;
	struct err e;

	buf_init(&out, KUBE_BODY_MAX);
	kube_message(in, message);
	(void)kube_review_parse(in);
	if (server && st && none && kube_fields_parse(in, server, version, &e) == 0 &&
	    kube_state_of(server, st) == 0) {
		struct kube_diff d = { .server = server, .known = st, .state = st, .own = none };

		if (kube_diff_next(&d)) /* nothing differs from what was just read */
			abort();
		d = (struct kube_diff){ .server = none, .known = none, .state = st, .own = none };
		if (kube_put_emit(&out, in, &d)) {
			state_free(server);
			server = state_new();
			if (server && kube_fields_parse(buf_bytes(&out), server, version, &e) < 0)
				abort();
		}
	}
	buf_fini(&out);
	state_free(server);
	state_free(st);
	state_free(none);
	return 0;
}
