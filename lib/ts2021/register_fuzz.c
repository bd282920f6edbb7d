/* ts2021/register_fuzz.c - a hostile server's register answer, /key answer and error text */
#include <assert.h>

#include "ts2021/key_fetch.h"
#include "ts2021/register.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct register_result r;
	struct key_pub key;

	register_read(200, bytes_of(data, len), "TheKey", &r);
	assert(!strstr(r.text, "TheKey"));
	register_read(500, bytes_of(data, len), "TheKey", &r);
	assert(!strstr(r.text, "TheKey"));
	(void)key_fetch_read(200, bytes_of(data, len), &key);
	return 0;
}
