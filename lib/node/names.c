/* node/names.c - names of the tailnet to addresses, and who answers for the others */
#include <errno.h>
#include <string.h>

#include "model/magicdns.h"
#include "node/node_priv.h"

int node_lookup(const struct node *n, const char *name, struct ip *v, size_t max)
{
	struct magicdns_answer a;
	size_t count;

	switch (magicdns_lookup(n->netmap, bytes_str(name), &a)) {
	case MAGICDNS_ADDRESSES:
		count = a.n < max ? a.n : max;
		memcpy(v, a.v, count * sizeof *v);
		return (int)count;
	case MAGICDNS_NODATA:
	case MAGICDNS_NXDOMAIN:
		return -ENOENT;
	case MAGICDNS_FORWARD:
		break;
	}
	return 0;
}

size_t node_resolvers(const struct node *n, const char *name, const struct netmap_resolver **v)
{
	struct magicdns_answer a;

	if (magicdns_lookup(n->netmap, bytes_str(name), &a) != MAGICDNS_FORWARD)
		return 0;
	*v = a.resolvers;
	return a.n_resolvers;
}
