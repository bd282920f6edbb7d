/* cni/cni_result_fuzz.c - anything as prevResult: handed on, it reads the same, with routes of ours
 * or without */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cni/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct result in, again;
	const struct result_route route = { .dst = { .ip = ip_v4(100, 64, 0, 0), .bits = 106 },
					    .gw = ip_v4(10, 0, 0, 1),
					    .mtu = 1280,
					    .advmss = 1240 };
	struct ip ips[RESULT_IPS_MAX], ips_again[RESULT_IPS_MAX];
	struct fail f = { 0 };

	if (result_parse(bytes_of(data, len), &in, &f) < 0) {
		assert(f.code == FAIL_DECODE && *f.msg);
		return 0;
	}
	for (size_t n_routes = 0; n_routes < 2; n_routes++) {
		struct buf out;

		buf_init(&out, 1 << 20);
		if (result_emit(&in, "1.1.0", &route, n_routes, &out)) {
			const int n = result_pod_ips(&in, ips, ARRAY_LEN(ips));

			assert(result_parse(buf_bytes(&out), &again, &f) == 0);
			assert(strcmp(again.version, "1.1.0") == 0);
			assert(n == result_pod_ips(&again, ips_again, ARRAY_LEN(ips_again)));
			assert(n <= 0 || memcmp(ips, ips_again, (size_t)n * sizeof ips[0]) == 0);
		}
		buf_fini(&out);
	}
	return 0;
}
