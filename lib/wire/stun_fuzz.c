/* wire/stun_fuzz.c - both ends of STUN on any bytes; what parses as an answer survives emit and
 * parse */
#include "wire/stun.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t txid[STUN_TXID], again[STUN_TXID], out[STUN_ANSWER_MAX];
	struct ipport mapped, back;

	(void)stun_is(data, len);
	(void)stun_request_parse(data, len, txid);
	if (stun_answer_parse(data, len, txid, &mapped) == STUN_OK) {
		size_t n = stun_answer_emit(txid, &mapped, out);

		assert(stun_answer_parse(out, n, again, &back) == STUN_OK);
		assert(ipport_eq(&mapped, &back));
	}
	return 0;
}
