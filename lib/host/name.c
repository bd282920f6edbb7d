/* host/name.c - names: those of the tailnet from the netmap, all others from the system's resolver
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_priv.h"

enum { NAME_ADDRS_MAX = 2 * RESOLVE_ADDRS_MAX };

/* --- for the node: names of relays --- */

struct host_name {
	struct host *host;
	struct host_name *next;
	struct resolve *query;
	char name[RESOLVE_NAME_MAX + 1];
	struct ip v[NAME_ADDRS_MAX];
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
	for (size_t i = 0; i < count && n < NAME_ADDRS_MAX; i++)
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

/* --- for proxies --- */

struct host_lookup {
	host_lookup_fn *done;
	void *ctx;
	struct resolve *query;
	struct loop_defer defer;
	struct ip v[NAME_ADDRS_MAX];
	size_t n;
};

static void finish(struct host_lookup *l)
{
	l->done(l->ctx, l->v, l->n);
	free(l);
}

static void deferred(void *ctx)
{
	finish(ctx);
}

static void found(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
		  bool is_last)
{
	struct host_lookup *l = ctx;

	(void)family;
	(void)why;
	l->n = collect(l->v, l->n, v, n);
	if (is_last)
		finish(l);
}

struct host_lookup *host_lookup(struct host *h, const char *name, host_lookup_fn *done, void *ctx)
{
	struct host_lookup *l = calloc(1, sizeof *l);
	struct err e = { 0 };
	int n;

	if (!l)
		return NULL;
	l->done = done;
	l->ctx = ctx;
	loop_defer_init(&l->defer, deferred, l);
	n = node_lookup(h->node, name, l->v, NAME_ADDRS_MAX);
	if (n == 0)
		l->query = resolve_start(h->resolver, name, RESOLVE_BOTH, found, l, &e);
	if (!l->query) { /* answered already, or it never will be */
		l->n = n > 0 ? (size_t)n : 0;
		loop_defer(h->loop, &l->defer);
	}
	return l;
}

void host_lookup_cancel(struct host_lookup *l)
{
	if (!l)
		return;
	if (l->query)
		resolve_cancel(l->query);
	loop_defer_cancel(&l->defer);
	free(l);
}
