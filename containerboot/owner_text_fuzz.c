/* containerboot/owner_text_fuzz.c - an object and events of a watch: no crash, and only digits go
 * into a request */
#include "containerboot/owner_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char version[KUBE_VERSION_MAX] = "";

	(void)owner_object_parse(bytes_of(data, size), version);
	if (version[strspn(version, "0123456789")])
		abort();
	(void)owner_event_parse(bytes_of(data, size), version);
	if (version[strspn(version, "0123456789")])
		abort();
	return 0;
}
