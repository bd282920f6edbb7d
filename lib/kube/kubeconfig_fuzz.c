/* kube/kubeconfig_fuzz.c - any text as a kubeconfig: a server, or words why not */
#include <assert.h>

#include "kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kubeconfig c;
	struct err e = { 0 };

	if (kubeconfig_parse(&c, bytes_of(data, len), NULL, &e) == 0)
		assert(c.server);
	else
		assert(e.text[0] && !c.server);
	kubeconfig_fini(&c);
	return 0;
}
