/* containerboot/nodes_fuzz.c - any text as the list of nodes: refused with a line, or names that
 * may be part of a path and variables of one node */
#include <stdlib.h>
#include <string.h>

#include "containerboot/nodes.h"
#include "containerboot/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct node_settings *s)
{
	char name[64];

	if (!*s->name || strchr(s->name, '/') || strchr(s->name, '.'))
		abort();
	for (size_t i = 0; i < s->n; i++) {
		const size_t len = strcspn(s->env[i], "=");

		if (!bytes_to_str(bytes_of(s->env[i], len), name, sizeof name) ||
		    !option_of_node(name))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	struct nodes n;

	if (nodes_parse(&n, bytes_of(data, size), &e) < 0 && (!*e.text || n.n != 0))
		abort();
	for (size_t i = 0; i < n.n; i++)
		check(&n.v[i]);
	nodes_fini(&n);
	return 0;
}
