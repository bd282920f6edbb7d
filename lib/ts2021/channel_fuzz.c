/* ts2021/channel_fuzz.c - any bytes as records; tags pass under FUZZING */
#include <stdlib.h>

#include "crypto/locked.h"
#include "ts2021/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct channel *c = calloc(1, sizeof *c);
	uint8_t plain[NOISE_PLAIN_MAX];
	size_t n = 0, step = len > 0 ? data[0] + 1u : 1;

	if (!c || !(c->secrets = locked_new(sizeof *c->secrets))) {
		free(c);
		return 0;
	}
	c->state = len > 0 && data[0] & 1 ? CHANNEL_OPEN : CHANNEL_HANDSHAKE;
	for (size_t i = 1; i < len; i += step) {
		struct bytes in = bytes_of(data + i, len - i < step ? len - i : step);

		while (in.len > 0 && channel_read(c, &in, plain, &n) != CHANNEL_BAD)
			;
	}
	channel_fini(c);
	free(c);
	return 0;
}
