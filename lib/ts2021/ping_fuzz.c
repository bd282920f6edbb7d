/* ts2021/ping_fuzz.c - a hostile PingRequest */
#include "ts2021/ping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ping p;

	ping_read(bytes_of(data, len), &p);
	ping_fini(&p);
	return 0;
}
