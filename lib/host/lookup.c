/* host/lookup.c - a name as a proxy sees it
 *
 * The netmap answers for the tailnet. A name under a split DNS route, or any other when control
 * names resolvers, goes to those resolvers: by HTTPS to those named by URL, by port 53 to the
 * others, through the tailnet when they live there, else over the ordinary network. An address of a
 * well-known service is asked by HTTPS first and by port 53 half a second later, or as soon as
 * HTTPS has failed (data-plane.md 6.6). What is left goes to the system's resolver.
 *
 * Each of these ways collects its own answer; the first whole one wins.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/doh.h"
#include "host/host_priv.h"
#include "model/netmap.h"
#include "wire/dns.h"
#include "wire/doh.h"

enum {
	LOOKUP_TRIES = 3,
	LOOKUP_TRY_S = 2,
	LOOKUP_SERVERS_MAX = 4, /* of port 53 */
	LOOKUP_DOH_MAX = 4,
	LOOKUP_QUERY_MAX = 512,
	LOOKUP_HEAD_START_MS = 500, /* of HTTPS; as the stock client's */
};

struct answers { /* of one way: both families */
	bool came[2];
	struct ip v[HOST_ADDRS_MAX];
	size_t n;
};

struct way_doh {
	struct host_lookup *lookup;
	struct host_doh_query *query[2];
	struct answers a;
};

struct host_lookup {
	struct host *host;
	host_lookup_fn *done;
	void *ctx;
	struct loop_defer defer;
	struct ip v[HOST_ADDRS_MAX];
	size_t n;
	size_t n_ways; /* that may still answer */
	/* by HTTPS */
	struct way_doh doh[LOOKUP_DOH_MAX];
	size_t n_doh;
	struct loop_timer head_start; /* set: port 53 waits */
	/* by port 53 */
	struct answers plain;
	struct ipport servers[LOOKUP_SERVERS_MAX];
	size_t n_servers;
	/* over the ordinary network */
	struct resolve *query;
	struct resolver *own; /* for resolvers that control names; NULL: the system's */
	/* through the tailnet */
	struct host_udp *udp;
	struct loop_timer timer;
	unsigned tries;
	uint16_t id[2];     /* of the A query, of the AAAA query */
	uint8_t refused[2]; /* by which of the servers */
	char name[DNS_NAME_TEXT];
};

static void lookup_free(struct host_lookup *l)
{
	for (size_t i = 0; i < l->n_doh; i++)
		for (size_t k = 0; k < 2; k++)
			host_doh_cancel(l->doh[i].query[k]);
	resolve_cancel(l->query);
	resolver_free(l->own);
	host_udp_close(l->udp);
	loop_timer_fini(&l->timer);
	loop_timer_fini(&l->head_start);
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

static void add(struct answers *a, const struct ip *ip)
{
	if (a->n < HOST_ADDRS_MAX)
		a->v[a->n++] = *ip;
}

static bool is_whole(const struct answers *a)
{
	return a->n > 0 || (a->came[0] && a->came[1]);
}

/* This way has said all it will: is it the answer? */
static void way_ended(struct host_lookup *l, const struct answers *a)
{
	l->n_ways--;
	if (l->defer.loop) /* another was faster */
		return;
	if (is_whole(a) || l->n_ways == 0) {
		memcpy(l->v, a->v, a->n * sizeof *a->v);
		l->n = a->n;
		finish(l);
	}
}

static void ask_plain(struct host_lookup *l);

/* Nothing by HTTPS: port 53 need not wait any longer. */
static void end_head_start(struct host_lookup *l)
{
	if (!loop_timer_is_set(&l->head_start))
		return;
	loop_timer_set(&l->head_start, MONO_NEVER);
	ask_plain(l);
}

static size_t write_query(const struct host_lookup *l, enum dns_type type, uint16_t id,
			  uint8_t *buf)
{
	const struct dns_head head = { .id = id, .rd = true };
	struct dns_question q = { .type = (uint16_t)type, .class = DNS_IN };
	struct dns_writer w;

	memcpy(q.name, l->name, sizeof q.name);
	dns_begin(&w, buf, LOOKUP_QUERY_MAX, &head);
	dns_put_question(&w, &q);
	return dns_finish(&w);
}

static bool is_reply(const struct host_lookup *l, const struct dns_reader *r)
{
	return r->head.qr && strcasecmp(r->q.name, l->name) == 0;
}

static bool is_answer(const struct host_lookup *l, const struct dns_reader *r)
{
	return is_reply(l, r) && (r->head.rcode == DNS_NOERROR || r->head.rcode == DNS_NXDOMAIN);
}

static void take(struct answers *a, struct dns_reader *r, int which)
{
	struct dns_rr rr;
	struct ip ip;

	a->came[which] = true;
	while (dns_next(r, &rr))
		if (rr.section == DNS_ANSWER && dns_rr_ip(&rr, &ip))
			add(a, &ip);
}

/* --- by HTTPS --- */

static void doh_came(struct way_doh *w, int which, struct bytes answer)
{
	struct host_lookup *l = w->lookup;
	struct dns_reader r;

	w->query[which] = NULL;
	if (dns_open(&r, answer) && is_answer(l, &r))
		take(&w->a, &r, which);
	if (w->query[0] || w->query[1])
		return;
	if (!is_whole(&w->a))
		end_head_start(l);
	way_ended(l, &w->a);
}

static void doh_came4(void *ctx, struct bytes answer)
{
	doh_came(ctx, 0, answer);
}

static void doh_came6(void *ctx, struct bytes answer)
{
	doh_came(ctx, 1, answer);
}

static bool ask_doh(struct host_lookup *l, const char *url)
{
	struct way_doh *w = &l->doh[l->n_doh];
	uint8_t buf[LOOKUP_QUERY_MAX];
	size_t len;

	if (l->n_doh == LOOKUP_DOH_MAX)
		return false;
	*w = (struct way_doh){ .lookup = l };
	len = write_query(l, DNS_A, 1, buf);
	w->query[0] = host_doh_ask(l->host, url, bytes_of(buf, len), doh_came4, w);
	len = write_query(l, DNS_AAAA, 1, buf);
	w->query[1] = host_doh_ask(l->host, url, bytes_of(buf, len), doh_came6, w);
	if (!w->query[0] && !w->query[1])
		return false;
	l->n_doh++;
	l->n_ways++;
	return true;
}

/* --- by port 53, over the ordinary network --- */

static void found(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
		  bool is_last)
{
	struct host_lookup *l = ctx;

	(void)family;
	for (size_t i = 0; i < n; i++)
		add(&l->plain, &v[i]);
	l->plain.came[!l->plain.came[0] ? 0 : 1] = n > 0 || (why && why->code == ENOENT);
	if (!is_last)
		return;
	l->query = NULL;
	way_ended(l, &l->plain);
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
		way_ended(l, &l->plain);
}

/* --- by port 53, through the tailnet --- */

static void send_query(struct host_lookup *l, enum dns_type type, uint16_t id)
{
	uint8_t buf[LOOKUP_QUERY_MAX];
	const size_t len = write_query(l, type, id, buf);

	for (size_t i = 0; len > 0 && i < l->n_servers; i++)
		(void)!host_udp_send(l->udp, &l->servers[i],
				     bytes_of(buf, len)); /* lost like any datagram */
}

static void ask_tailnet(void *ctx)
{
	struct host_lookup *l = ctx;

	if (l->tries++ == LOOKUP_TRIES) {
		way_ended(l, &l->plain);
		return;
	}
	if (!l->plain.came[0])
		send_query(l, DNS_A, l->id[0]);
	if (!l->plain.came[1])
		send_query(l, DNS_AAAA, l->id[1]);
	loop_timer_set(&l->timer, mono_add(loop_now(l->host->loop), SPAN_S(LOOKUP_TRY_S)));
}

static bool is_server(const struct host_lookup *l, const struct ipport *from, size_t *i)
{
	for (*i = 0; *i < l->n_servers; (*i)++)
		if (ipport_eq(&l->servers[*i], from))
			return true;
	return false;
}

/* Some refuse AAAA for what has an address of the other kind: asking again brings nothing. */
static bool is_all(const struct host_lookup *l)
{
	const unsigned all = (1U << l->n_servers) - 1;

	for (int k = 0; k < 2; k++)
		if (!l->plain.came[k] && (l->refused[k] != all || l->plain.n == 0))
			return false;
	return true;
}

static void on_answer(void *ctx, const struct ipport *from, struct bytes data)
{
	struct host_lookup *l = ctx;
	struct dns_reader r;
	size_t i;
	int which;

	if (!is_server(l, from, &i) || !dns_open(&r, data) || !is_reply(l, &r))
		return;
	which = r.q.type == DNS_AAAA;
	if (r.head.id != l->id[which] || r.q.type != (which ? DNS_AAAA : DNS_A) ||
	    l->plain.came[which] || !loop_timer_is_set(&l->timer))
		return;
	if (is_answer(l, &r))
		take(&l->plain, &r, which);
	else
		l->refused[which] |= (uint8_t)(1U << i);
	if (!is_all(l))
		return;
	loop_timer_set(&l->timer, MONO_NEVER);
	way_ended(l, &l->plain);
}

static bool any_in_tailnet(const struct host_lookup *l)
{
	for (size_t i = 0; i < l->n_servers; i++)
		if (node_routes(l->host->node, &l->servers[i].ip) ||
		    ip_is_tailnet(&l->servers[i].ip)) /* also one that is away */
			return true;
	return false;
}

static void ask_plain(struct host_lookup *l)
{
	struct err e = { 0 };

	l->n_ways++;
	if (!any_in_tailnet(l)) {
		ask_ordinary(l);
		return;
	}
	l->udp = host_udp_open(l->host, on_answer, l, &e);
	if (!l->udp) { /* what is for a resolver in the tailnet goes nowhere else */
		way_ended(l, &l->plain);
		return;
	}
	rng_fill(l->host->rng, l->id, sizeof l->id);
	ask_tailnet(l);
}

/* --- which ways --- */

static void on_head_start(void *ctx)
{
	ask_plain(ctx);
}

static bool has_url(const char (*v)[DOH_URL_MAX], size_t n, const char *url)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i], url) == 0)
			return true;
	return false;
}

/* Resolvers that also answer on port 53 are in `known`, and wait when there is no other. */
static void ask_resolvers(struct host_lookup *l, const struct netmap_resolver *v, size_t n)
{
	char known[LOOKUP_DOH_MAX][DOH_URL_MAX], url[DOH_URL_MAX];
	struct ipport late[LOOKUP_SERVERS_MAX];
	size_t n_known = 0, n_late = 0;
	bool only;

	for (size_t i = 0; i < n; i++) {
		if (ip_is_zero(&v[i].addr.ip)) {
			if (!has_url(known, n_known, v[i].url))
				(void)ask_doh(l, v[i].url);
		} else if (v[i].addr.port == 53 && !node_routes(l->host->node, &v[i].addr.ip) &&
			   doh_known_url(&v[i].addr.ip, url, &only) &&
			   (only || !host_doh_is_down(l->host, url))) {
			if (!has_url(known, n_known, url) && n_known < LOOKUP_DOH_MAX &&
			    ask_doh(l, url))
				memcpy(known[n_known++], url, sizeof url);
			if (!only && n_late < LOOKUP_SERVERS_MAX)
				late[n_late++] = v[i].addr;
		} else if (l->n_servers < LOOKUP_SERVERS_MAX) {
			l->servers[l->n_servers++] = v[i].addr;
		}
	}
	if (l->n_servers == 0 && n_late > 0) {
		memcpy(l->servers, late, n_late * sizeof *late);
		l->n_servers = n_late;
		if (l->n_doh > 0) {
			loop_timer_set(&l->head_start, mono_add(loop_now(l->host->loop),
								SPAN_MS(LOOKUP_HEAD_START_MS)));
			return;
		}
	}
	if (l->n_servers > 0)
		ask_plain(l);
}

struct host_lookup *host_lookup(struct host *h, const char *name, host_lookup_fn *done, void *ctx)
{
	struct host_lookup *l = calloc(1, sizeof *l);
	const struct netmap_resolver *v = NULL;
	size_t n_resolvers;
	int n;

	if (!l)
		return NULL;
	l->host = h;
	l->done = done;
	l->ctx = ctx;
	loop_defer_init(&l->defer, deliver, l);
	loop_timer_init(h->loop, &l->timer, ask_tailnet, l);
	loop_timer_init(h->loop, &l->head_start, on_head_start, l);
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
	n_resolvers = node_resolvers(h->node, name, &v);
	if (n_resolvers > 0)
		ask_resolvers(l, v, n_resolvers);
	else
		ask_plain(l);
	if (l->n_ways == 0 && !loop_timer_is_set(&l->head_start))
		finish(l); /* resolvers are named, and none can be asked */
	return l;
}
