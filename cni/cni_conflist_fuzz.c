/* cni/cni_conflist_fuzz.c - anything as an owner's network list */
#include <assert.h>
#include <stdlib.h>

#include "cni/conflist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fail f = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	if (conflist_join(bytes_of(data, len), (struct bytes){ 0 }, &out, &f) == 0)
		assert(conflist_kind(buf_bytes(&out)) == CONFLIST_OURS);
	buf_fini(&out);
	return 0;
}
