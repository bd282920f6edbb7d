/* coordinator/coordinator_config_fuzz.c - configuration files and relay maps that anybody may have
 * written */
#include "coordinator/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct config c;
	struct err e = { 0 };
	struct buf out;

	if (len > 65536)
		return 0;
	config_init(&c);
	if (config_parse(&c, bytes_of(data, len), &e) == 0)
		(void)!config_settle(&c, &e);
	config_fini(&c);
	buf_init(&out, 1 << 20);
	(void)!config_regions(bytes_of(data, len), &out, &e);
	buf_fini(&out);
	return 0;
}
