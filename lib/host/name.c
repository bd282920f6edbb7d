/* host/name.c - names: those of the tailnet from the netmap, all others from the system's resolver
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_priv.h"

struct host_name {
	struct host *host;
	struct host_name *next;
	struct resolve *query;
	char name[RESOLVE_NAME_MAX + 1];
	struct ip v[HOST_ADDRS_MAX];
	size_t n;
};

static void name_drop(struct host_name *q)
{
	struct host_name **pp = &q->host->names;

	while (*pp != q)
		pp = &(*pp)->next;
	*pp = q->next;
	free(q);
}

static size_t collect(struct ip *v, size_t n, const struct ip *more, size_t count)
{
	for (size_t i = 0; i < count && n < HOST_ADDRS_MAX; i++)
		v[n++] = more[i];
	return n;
}

static void name_found(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
		       bool is_last)
{
	struct host_name *q = ctx;
	struct host *h = q->host;

	(void)family;
	(void)why;
	q->n = collect(q->v, q->n, v, n);
	if (!is_last)
		return;
	node_resolved(h->node, loop_now(h->loop), q->name, q->v, q->n);
	host_kick(h);
	name_drop(q);
}

void host_name_resolve(struct host *h, const char *name)
{
	struct host_name *q = calloc(1, sizeof *q);
	struct err e = { 0 };

	if (!q || strlen(name) > RESOLVE_NAME_MAX) {
		free(q);
		node_resolved(h->node, loop_now(h->loop), name, NULL, 0);
		return;
	}
	*q = (struct host_name){ .host = h, .next = h->names };
	memcpy(q->name, name, strlen(name) + 1);
	h->names = q;
	q->query = resolve_start(h->resolver, name, RESOLVE_BOTH, name_found, q, &e);
	if (q->query)
		return;
	node_resolved(h->node, loop_now(h->loop), name, NULL, 0);
	name_drop(q);
}

void host_name_free(struct host *h)
{
	while (h->names) {
		resolve_cancel(h->names->query);
		name_drop(h->names);
	}
}
