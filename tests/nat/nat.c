/* tests/nat/nat.c - mappings and filters of a NAT box; tables are small, look-ups linear */
#include "tests/nat/nat.h"

#include <stdlib.h>

#include "base/attr.h"

enum { FIRST_PORT = 20000 };

struct mapping {
	struct ipport inner, to; /* to: what it depends on */
	uint16_t outer;
	mono_t until;
	struct {
		struct ipport remote;
		mono_t until;
	} permit[NAT_PERMITS];
	size_t n_permits; /* ever: the oldest goes */
};

struct nat {
	struct nat_conf conf;
	struct mapping *v; /* owned */
	size_t n, cap;
	uint16_t next;
};

const char *const nat_mapping_names[NAT_MAPPING_N] = {
	[NAT_NONE] = "none",
	[NAT_ENDPOINT_INDEPENDENT] = "independent",
	[NAT_ADDRESS_DEPENDENT] = "address",
	[NAT_PORT_DEPENDENT] = "port",
};
const char *const nat_filtering_names[NAT_FILTERING_N] = {
	[NAT_FILTER_NONE] = "independent",
	[NAT_FILTER_ADDRESS] = "address",
	[NAT_FILTER_PORT] = "port",
};

struct nat *nat_new(const struct nat_conf *conf)
{
	struct nat *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->conf = *conf;
	n->next = conf->first_port ? conf->first_port : FIRST_PORT;
	return n;
}

void nat_free(struct nat *n)
{
	if (!n)
		return;
	free(n->v);
	free(n);
}

void nat_forget(struct nat *n)
{
	n->n = 0;
}

static bool alive(const struct mapping *m, mono_t now)
{
	return !mono_before(m->until, now);
}

size_t nat_mappings(const struct nat *n, mono_t now)
{
	size_t count = 0;

	for (size_t i = 0; i < n->n; i++)
		count += alive(&n->v[i], now);
	return count;
}

static bool serves(const struct nat *n, const struct mapping *m, const struct ipport *to)
{
	switch (n->conf.mapping) {
	case NAT_ADDRESS_DEPENDENT:
		return ip_eq(&m->to.ip, &to->ip);
	case NAT_PORT_DEPENDENT:
		return ipport_eq(&m->to, to);
	default:
		return true;
	}
}

static struct mapping *by_outer(const struct nat *n, mono_t now, uint16_t port)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->v[i].outer == port && alive(&n->v[i], now))
			return &n->v[i];
	return NULL;
}

static uint16_t choose_port(struct nat *n, mono_t now, uint16_t inner)
{
	uint16_t port;

	if (n->conf.preserves_ports && !by_outer(n, now, inner))
		return inner;
	do {
		port = n->next++;
		if (n->next < 1024)
			n->next = FIRST_PORT;
	} while (by_outer(n, now, port));
	return port;
}

static struct mapping *slot(struct nat *n, mono_t now)
{
	size_t cap = n->cap ? n->cap * 2 : 8;
	struct mapping *v;

	for (size_t i = 0; i < n->n; i++)
		if (!alive(&n->v[i], now))
			return &n->v[i];
	if (n->n >= n->conf.max)
		return NULL;
	if (n->n == n->cap) {
		v = realloc(n->v, cap * sizeof *v);
		if (!v)
			return NULL;
		n->v = v;
		n->cap = cap;
	}
	return &n->v[n->n++];
}

static struct mapping *map(struct nat *n, mono_t now, const struct ipport *from,
			   const struct ipport *to)
{
	struct mapping *m;
	uint16_t port;

	for (size_t i = 0; i < n->n; i++)
		if (alive(&n->v[i], now) && ipport_eq(&n->v[i].inner, from) &&
		    serves(n, &n->v[i], to))
			return &n->v[i];
	port = choose_port(n, now, from->port);
	m = slot(n, now);
	if (m)
		*m = (struct mapping){ .inner = *from, .to = *to, .outer = port };
	return m;
}

static void permit(struct mapping *m, const struct ipport *to, mono_t until)
{
	size_t i;

	for (i = 0; i < MIN_OF(m->n_permits, (size_t)NAT_PERMITS); i++)
		if (ipport_eq(&m->permit[i].remote, to))
			break;
	if (i == MIN_OF(m->n_permits, (size_t)NAT_PERMITS))
		i = m->n_permits++ % NAT_PERMITS;
	m->permit[i].remote = *to;
	m->permit[i].until = until;
}

bool nat_out(struct nat *n, mono_t now, const struct ipport *from, const struct ipport *to,
	     uint16_t *port)
{
	struct mapping *m = map(n, now, from, to);

	if (!m)
		return false;
	m->until = mono_add(now, n->conf.timeout);
	permit(m, to, m->until);
	*port = m->outer;
	return true;
}

static bool permitted(const struct nat *n, const struct mapping *m, mono_t now,
		      const struct ipport *from)
{
	if (n->conf.filtering == NAT_FILTER_NONE)
		return true;
	for (size_t i = 0; i < MIN_OF(m->n_permits, (size_t)NAT_PERMITS); i++)
		if (!mono_before(m->permit[i].until, now) &&
		    ip_eq(&m->permit[i].remote.ip, &from->ip) &&
		    (n->conf.filtering == NAT_FILTER_ADDRESS ||
		     m->permit[i].remote.port == from->port))
			return true;
	return false;
}

bool nat_in(const struct nat *n, mono_t now, const struct ipport *from, uint16_t port,
	    struct ipport *inner)
{
	const struct mapping *m = by_outer(n, now, port);

	if (!m || !permitted(n, m, now, from))
		return false;
	*inner = m->inner;
	return true;
}
