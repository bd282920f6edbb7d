/* path/igd_fuzz.c - a device that writes anything: search answers, descriptions, replies */
#include <assert.h>
#include <string.h>

#include "path/igd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void is_place(const struct igd_place *p)
{
	size_t n = strnlen(p->path, sizeof p->path);

	assert(p->port != 0 && n < sizeof p->path && p->path[0] == '/');
	for (size_t i = 0; i < n; i++) /* it becomes part of a request line */
		assert(p->path[i] > ' ' && p->path[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct igd_place at = { 5000, "/a/b" };
	const struct bytes in = bytes_of(data + 1, len ? len - 1 : 0);
	enum igd_service s;
	struct igd_place p;
	struct igd_answer a;
	struct igd_reply r;

	if (len == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		if (igd_answer_parse(in, &a))
			is_place(&a.place);
		break;
	case 1:
		if (igd_description_parse(in, &at, &s, &p)) {
			assert(s < IGD_SERVICE_N);
			is_place(&p);
		}
		break;
	default:
		if (igd_reply_parse(in, (enum igd_action)(data[0] / 3 % IGD_ACTION_N), &r))
			assert(r.error <= 999);
		break;
	}
	return 0;
}
