/* cni/cni_config_fuzz.c - anything on stdin: what parses keeps within its limits, and so do
 * prevResult and GC's list found in it */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cni/config.h"
#include "cni/gc.h"
#include "cni/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct config c;
	static struct result prev;
	static struct gc_valid valid[64];
	struct fail f = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	if (config_check_settings(bytes_of(data, len), "file", &f) < 0)
		assert(f.code == FAIL_CONFIG && *f.msg);
	if (config_parse(bytes_of(data, len), &c, &f) < 0) {
		assert(f.code == FAIL_VERSION || f.code == FAIL_DECODE || f.code == FAIL_CONFIG);
		assert(*f.msg && fail_emit(&f, CONFIG_VERSION_LATEST, &out));
	} else {
		assert(config_version_index(c.version) >= 0 && c.n_ranges > 0 &&
		       c.n_ranges <= CONFIG_RANGES_MAX && c.n_namespaces <= CONFIG_NAMESPACES_MAX);
		assert(pod_is_id(bytes_str(c.name), POD_NETWORK_MAX) && !strchr(c.name, '/'));
		assert(gc_parse(c.valid, valid, ARRAY_LEN(valid)) <= (int)ARRAY_LEN(valid));
		if (c.prev.len > 0 && result_parse(c.prev, &prev, &f) == 0)
			assert(prev.n_ips <= RESULT_IPS_MAX);
	}
	buf_fini(&out);
	return 0;
}
