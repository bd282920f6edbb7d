/* host/lookup.c - a name as a proxy sees it
 *
 * The netmap answers for the tailnet. A name under a split DNS route, or any other when control
 * names resolvers, goes to those resolvers: through the tailnet when they live there, else over the
 * ordinary network. What is left goes to the system's resolver. The first resolver that answers
 * wins.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/host_priv.h"
#include "wire/dns.h"

enum { LOOKUP_TRIES = 3, LOOKUP_TRY_S = 2, LOOKUP_SERVERS_MAX = 4, LOOKUP_QUERY_MAX = 512 };

struct host_lookup {
	struct host *host;
	host_lookup_fn *done;
	void *ctx;
	struct loop_defer defer;
	struct ip v[HOST_ADDRS_MAX];
	size_t n;
	/* over the ordinary network */
	struct resolve *query;
	struct resolver *own; /* for resolvers that control names; NULL: the system's */
	/* through the tailnet */
	struct host_udp *udp;
	struct loop_timer timer;
	struct ipport servers[LOOKUP_SERVERS_MAX];
	size_t n_servers;
	unsigned tries;
	uint16_t id; /* of the A query; AAAA has the next */
	bool answered[2];
	char name[DNS_NAME_TEXT];
};

static void lookup_free(struct host_lookup *l)
{
	resolve_cancel(l->query);
	resolver_free(l->own);
	host_udp_close(l->udp);
	loop_timer_fini(&l->timer);
	loop_defer_cancel(&l->defer);
	free(l);
}

void host_lookup_cancel(struct host_lookup *l)
{
	if (l)
		lookup_free(l);
}

static void deliver(void *ctx)
{
	struct host_lookup *l = ctx;
	host_lookup_fn *done = l->done;
	struct ip v[HOST_ADDRS_MAX];
	size_t n = l->n;
	void *user = l->ctx;

	memcpy(v, l->v, n * sizeof *v);
	lookup_free(l);
	done(user, v, n);
}

/* not from within whatever answered: that may be freed here */
static void finish(struct host_lookup *l)
{
	loop_defer(l->host->loop, &l->defer);
}

static void add(struct host_lookup *l, const struct ip *a)
{
	if (l->n < HOST_ADDRS_MAX)
		l->v[l->n++] = *a;
}

/* --- over the ordinary network --- */

static void found(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
		  bool is_last)
{
	struct host_lookup *l = ctx;

	(void)family;
	(void)why;
	for (size_t i = 0; i < n; i++)
		add(l, &v[i]);
	if (!is_last)
		return;
	l->query = NULL;
	finish(l);
}

static void ask_ordinary(struct host_lookup *l)
{
	const struct resolver_conf conf = { .servers = l->servers, .n_servers = l->n_servers };
	struct err e = { 0 };

	if (l->n_servers > 0)
		l->own = resolver_new(l->host->loop, &conf);
	l->query =
	    resolve_start(l->own ? l->own : l->host->resolver, l->name, RESOLVE_BOTH, found, l, &e);
	if (!l->query)
		finish(l);
}

/* --- through the tailnet --- */

static void send_query(struct host_lookup *l, enum dns_type type, uint16_t id)
{
	const struct dns_head head = { .id = id, .rd = true };
	struct dns_question q = { .type = (uint16_t)type, .class = DNS_IN };
	uint8_t buf[LOOKUP_QUERY_MAX];
	struct dns_writer w;
	size_t len;

	memcpy(q.name, l->name, sizeof q.name);
	dns_begin(&w, buf, sizeof buf, &head);
	dns_put_question(&w, &q);
	len = dns_finish(&w);
	for (size_t i = 0; len > 0 && i < l->n_servers; i++)
		(void)!host_udp_send(l->udp, &l->servers[i],
				     bytes_of(buf, len)); /* lost like any datagram */
}

static void ask_tailnet(void *ctx)
{
	struct host_lookup *l = ctx;

	if (l->tries++ == LOOKUP_TRIES) {
		finish(l);
		return;
	}
	if (!l->answered[0])
		send_query(l, DNS_A, l->id);
	if (!l->answered[1])
		send_query(l, DNS_AAAA, (uint16_t)(l->id + 1));
	loop_timer_set(&l->timer, mono_add(loop_now(l->host->loop), SPAN_S(LOOKUP_TRY_S)));
}

static bool is_server(const struct host_lookup *l, const struct ipport *from)
{
	for (size_t i = 0; i < l->n_servers; i++)
		if (ipport_eq(&l->servers[i], from))
			return true;
	return false;
}

static void on_answer(void *ctx, const struct ipport *from, struct bytes data)
{
	struct host_lookup *l = ctx;
	struct dns_reader r;
	struct dns_rr rr;
	struct ip a;
	int which;

	if (!is_server(l, from) || !dns_open(&r, data) || !r.head.qr ||
	    strcasecmp(r.q.name, l->name) != 0)
		return;
	which = (uint16_t)(r.head.id - l->id);
	if (which > 1 || l->answered[which] ||
	    (r.head.rcode != DNS_NOERROR && r.head.rcode != DNS_NXDOMAIN))
		return;
	l->answered[which] = true;
	while (dns_next(&r, &rr))
		if (rr.section == DNS_ANSWER && dns_rr_ip(&rr, &a))
			add(l, &a);
	if (l->answered[0] && l->answered[1])
		finish(l);
}

static bool any_in_tailnet(const struct host_lookup *l)
{
	for (size_t i = 0; i < l->n_servers; i++)
		if (node_routes(l->host->node, &l->servers[i].ip))
			return true;
	return false;
}

struct host_lookup *host_lookup(struct host *h, const char *name, host_lookup_fn *done, void *ctx)
{
	struct host_lookup *l = calloc(1, sizeof *l);
	struct err e = { 0 };
	int n;

	if (!l)
		return NULL;
	l->host = h;
	l->done = done;
	l->ctx = ctx;
	loop_defer_init(&l->defer, deliver, l);
	loop_timer_init(h->loop, &l->timer, ask_tailnet, l);
	n = strlen(name) < sizeof l->name ? node_lookup(h->node, name, l->v, HOST_ADDRS_MAX)
					  : -ENOENT;
	if (n != 0) { /* ours: answered, or there is no such name */
		l->n = n > 0 ? (size_t)n : 0;
		finish(l);
		return l;
	}
	memcpy(l->name, name, strlen(name) + 1);
	if (l->name[0] && l->name[strlen(l->name) - 1] == '.')
		l->name[strlen(l->name) - 1] = 0;
	l->n_servers = node_resolvers(h->node, name, l->servers, LOOKUP_SERVERS_MAX);
	if (any_in_tailnet(l) && (l->udp = host_udp_open(h, on_answer, l, &e))) {
		rng_fill(h->rng, &l->id, sizeof l->id);
		ask_tailnet(l);
	} else {
		ask_ordinary(l);
	}
	return l;
}
