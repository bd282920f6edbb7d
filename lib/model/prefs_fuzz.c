/* model/prefs_fuzz.c - preferences from a socket or a file: what was read is read again the same */
#include <stdlib.h>

#include "model/prefs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct prefs a, b; /* large, and the fuzzer is one thread */
	struct bytes in = bytes_of(data, size);
	struct buf out;
	struct err e;

	prefs_default(&a);
	if (prefs_patch(&a, in, &e) == 0) {
		prefs_default(&b);
		b = a;
	}
	if (prefs_parse(&a, in, &e) < 0)
		return 0;
	buf_init(&out, 1 << 20);
	if (prefs_emit(&a, in, bytes_of(NULL, 0), &out) == 0) {
		prefs_default(&b);
		if (prefs_parse(&b, buf_bytes(&out), &e) < 0 || !prefs_eq(&a, &b))
			abort();
	}
	buf_fini(&out);
	return 0;
}
