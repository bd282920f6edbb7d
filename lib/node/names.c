/* node/names.c - names of the tailnet to addresses, as the proxies ask */
#include <errno.h>
#include <string.h>

#include "node/node_priv.h"

static bool ours(const struct node *n, struct bytes name)
{
	const char *suffix = netmap_magic_suffix(n->netmap);
	size_t len = strlen(suffix);

	while (name.len > 0 && name.data[name.len - 1] == '.')
		name.len--;
	if (len == 0)
		return false;
	return name.len > len && name.data[name.len - len - 1] == '.' &&
	       bytes_caseeq(bytes_of(name.data + name.len - len, len), bytes_str(suffix));
}

static struct bytes bare(const char *name)
{
	struct bytes b = bytes_str(name);

	while (b.len > 0 && b.data[b.len - 1] == '.')
		b.len--;
	return b;
}

int node_lookup(const struct node *n, const char *name, struct ip *v, size_t max)
{
	const struct netmap_node *p = netmap_by_name(n->netmap, bytes_str(name));
	const struct netmap_dns *dns = netmap_dns(n->netmap);
	size_t count = 0;

	for (size_t i = 0; p && i < p->n_addresses && count < max; i++)
		if (ipprefix_is_single(&p->addresses[i]))
			v[count++] = p->addresses[i].ip;
	for (size_t i = 0; dns && count == 0 && i < dns->n_records; i++)
		if (bytes_caseeq(bare(dns->records[i].name), bare(name)) && count < max)
			v[count++] = dns->records[i].ip;
	if (count > 0)
		return (int)count;
	return ours(n, bytes_str(name)) ? -ENOENT : 0;
}
