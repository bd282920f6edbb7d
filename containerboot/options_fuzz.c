/* containerboot/options_fuzz.c - any environment, one variable a line: refused with a line, or
 * wanted preferences come out */
#include <stdlib.h>

#include "containerboot/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *ctx, const char *line)
{
	(void)ctx;
	if (!*line)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { MAX = 64 };
	static struct options o; /* large, and the fuzzer is one thread */
	static struct prefs wanted;
	char *env[MAX + 1], *text = malloc(size + 1), *save = NULL;
	struct err e = { 0 };
	size_t n = 0;

	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = 0;
	for (char *l = strtok_r(text, "\n", &save); l && n < MAX; l = strtok_r(NULL, "\n", &save))
		env[n++] = l;
	env[n] = NULL;
	if (options_parse(&o, env, ignore, NULL, &e) == 0)
		(void)!options_prefs(&o, NULL, &wanted, &e);
	else if (!*e.text)
		abort();
	options_fini(&o);
	options_wipe_env(env);
	free(text);
	return 0;
}
