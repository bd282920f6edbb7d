/* model/state_fuzz.c - the state file: what was read is written and read again the same */
#include <stdlib.h>

#include "model/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct state *a, const struct state *b)
{
	struct bytes na, va, nb, vb;

	if (state_n(a) != state_n(b))
		abort();
	for (size_t i = 0; i < state_n(a); i++) {
		state_at(a, i, &na, &va);
		state_at(b, i, &nb, &vb);
		if (!bytes_eq(na, nb) || !bytes_eq(va, vb))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct state_node n, again; /* large, and the fuzzer is one thread */
	struct state *a = state_new(), *b = state_new();
	struct buf out;
	struct err e;

	buf_init(&out, STATE_TEXT_MAX);
	if (!a || !b || state_parse(a, bytes_of(data, size), &e) < 0)
		goto out;
	if (state_emit(a, &out) < 0 || state_parse(b, buf_bytes(&out), &e) < 0)
		abort();
	check_same(a, b);
	if (state_load(a, &n, &e) == 0 && state_store(a, &n) == 0)
		if (state_load(a, &again, &e) < 0 || !prefs_eq(&n.prefs, &again.prefs))
			abort();
out:
	buf_fini(&out);
	state_free(a);
	state_free(b);
	return 0;
}
