/* containerboot/config_file_fuzz.c - anything as a configuration file: what is taken is what may be
 * stored, what is refused leaves everything untouched and says where */
#include "containerboot/config_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look(void *ctx, const char *line)
{
	(void)ctx;
	assert(*line && !strchr(line, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct prefs p, before; /* large, and the fuzzer is one thread */
	struct config_file c = { 0 };
	struct err e = { 0 };

	config_file_prefs(&before);
	p = before;
	if (config_file_parse(bytes_of(data, len), &p, &c, look, NULL, &e) == 0) {
		assert(check_url("", p.control_url, &e) == 0);
		assert(!*p.hostname || check_hostname("", p.hostname, &e) == 0);
		assert(check_routes("", p.routes, &e) == 0);
		assert(!c.auth_key || *c.auth_key);
		for (size_t i = 0; i < c.n_endpoints; i++)
			assert(i < NODE_STATIC_MAX && c.endpoints[i].port > 0);
	} else {
		assert(strncmp(e.text, "line ", 5) == 0 || strncmp(e.text, "larger ", 7) == 0);
		assert(memcmp(&p, &before, sizeof p) == 0 && !c.auth_key);
	}
	config_file_fini(&c);
	return 0;
}
