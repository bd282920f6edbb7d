/* path/netcheck.c - rounds of STUN probes and the report made from them
 *
 * A round plans its probes (probes.c), hands them out when they are due, and ends when three
 * regions (or all that were asked) have answered and the slow ones have had their grace, when
 * nothing is left to wait for, or after 3 s. When not one answer came, UDP is dead: the regions are
 * then measured over HTTPS by the caller until 5 s after the start. The home is chosen at the end
 * (home.c). ICMP and captive-portal probes are left out: containers have no raw socket, and nobody
 * who could click.
 *
 * The transaction id names the probe in its last two bytes; the other ten are random, so an answer
 * is found without a search and cannot be guessed. They are another probe's in no case: a relay
 * knows those that it was sent, and must not answer for the others.
 */
#include "path/netcheck_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct netcheck *netcheck_new(struct rng *rng)
{
	struct netcheck *nc = calloc(1, sizeof *nc);

	if (!nc)
		return NULL;
	nc->rng = rng;
	nc->stable = rng_u32(rng);
	nc->can_v4 = nc->can_v6 = true;
	nc->want_full = true;
	return nc;
}

static void regions_free(struct region *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; v[i].nodes && k < v[i].n_nodes; k++)
			free(v[i].nodes[k].host);
		free(v[i].nodes);
	}
	free(v);
}

void netcheck_free(struct netcheck *nc)
{
	if (!nc)
		return;
	regions_free(nc->regions, nc->n_regions);
	free(nc->probes);
	free(nc->report);
	free(nc);
}

static int node_copy(struct node *n, const struct netcheck_node *from)
{
	size_t len = strnlen(from->host, sizeof from->host - 1);

	n->host = strndup(from->host, len);
	if (!n->host)
		return -ENOMEM;
	n->v4 = from->v4;
	n->v6 = from->v6;
	n->fixed_v4 = !ip_is_zero(&from->v4);
	n->fixed_v6 = !ip_is_zero(&from->v6);
	n->no_v4 = from->no_v4;
	n->no_v6 = from->no_v6;
	n->stun_port = from->stun_port;
	if (len == 0 || (n->fixed_v4 && n->fixed_v6))
		n->name = NAME_NONE;
	return 0;
}

static int region_copy(struct region *r, const struct netcheck_region *from)
{
	r->id = from->id;
	r->score = from->score > 0 ? from->score : 1;
	r->no_home = from->no_home;
	r->heard_at = NEVER_HEARD;
	r->nodes = calloc(from->n_nodes + !from->n_nodes, sizeof *r->nodes);
	if (!r->nodes)
		return -ENOMEM;
	r->n_nodes = from->n_nodes;
	for (size_t i = 0; i < from->n_nodes; i++) {
		int e = node_copy(&r->nodes[i], &from->nodes[i]);

		if (e < 0)
			return e;
	}
	return 0;
}

static struct region *region_find(struct netcheck *nc, uint16_t id)
{
	for (size_t i = 0; i < nc->n_regions; i++)
		if (nc->regions[i].id == id)
			return &nc->regions[i];
	return NULL;
}

/* What was learnt about a region outlives a change of the map. */
static void region_inherit(struct region *r, const struct region *old)
{
	memcpy(r->history, old->history, sizeof r->history);
	r->next_sample = old->next_sample;
	r->heard_at = old->heard_at;
	r->last = old->last;
}

static void round_stop(struct netcheck *nc)
{
	free(nc->probes);
	nc->probes = NULL;
	nc->n_probes = 0;
	nc->phase = IDLE;
}

int netcheck_set_map(struct netcheck *nc, mono_t now, const struct netcheck_region *v, size_t n)
{
	bool was_running = netcheck_running(nc);
	struct region *regions;
	int e = 0;

	if (n > NETCHECK_REGIONS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++)
		if (v[i].n_nodes > NETCHECK_NODES_MAX)
			return -E2BIG;
	regions = calloc(n + !n, sizeof *regions);
	if (!regions)
		return -ENOMEM;
	for (size_t i = 0; i < n && e == 0; i++)
		e = region_copy(&regions[i], &v[i]);
	if (e < 0) {
		regions_free(regions, n);
		return e;
	}
	for (size_t i = 0; i < n; i++) {
		const struct region *old = region_find(nc, v[i].id);

		if (old)
			region_inherit(&regions[i], old);
	}
	round_stop(nc); /* its probes name regions of the old map */
	regions_free(nc->regions, nc->n_regions);
	nc->regions = regions;
	nc->n_regions = n;
	nc->want_full = true;
	if (was_running)
		netcheck_start(nc, now);
	return 0;
}

void netcheck_set_families(struct netcheck *nc, bool v4, bool v6)
{
	if (v4 != nc->can_v4 || v6 != nc->can_v6)
		nc->want_full = true;
	nc->can_v4 = v4;
	nc->can_v6 = v6;
}

void netcheck_hold_home(struct netcheck *nc, bool hold)
{
	nc->hold_home = hold;
}

void netcheck_set_home(struct netcheck *nc, uint16_t region)
{
	nc->home = region;
}

void netcheck_want_full(struct netcheck *nc)
{
	nc->want_full = true;
}

bool netcheck_running(const struct netcheck *nc)
{
	return nc->phase != IDLE;
}

const struct netcheck_report *netcheck_report(const struct netcheck *nc)
{
	return nc->report;
}

/* Names are asked again in every full round: relays move. */
static void names_forget(struct netcheck *nc)
{
	for (size_t i = 0; i < nc->n_regions; i++) {
		for (size_t k = 0; k < nc->regions[i].n_nodes; k++) {
			struct node *n = &nc->regions[i].nodes[k];

			if (n->host[0] == '\0' || (n->fixed_v4 && n->fixed_v6))
				continue;
			n->name = NAME_UNKNOWN;
			if (!n->fixed_v4)
				n->v4 = (struct ip){ 0 };
			if (!n->fixed_v6)
				n->v6 = (struct ip){ 0 };
		}
	}
}

void netcheck_start(struct netcheck *nc, mono_t now)
{
	if (netcheck_running(nc))
		return;
	nc->is_full = nc->want_full || !nc->report ||
		      mono_sub(now, nc->last_full).ns >= SPAN_MS(FULL_EVERY_MS).ns;
	for (size_t i = 0; i < nc->n_regions; i++) {
		struct region *r = &nc->regions[i];

		r->v4 = r->v6 = r->https = (span_t){ 0 };
		r->https_asked = r->https_due = false;
	}
	nc->n_seen = nc->n_v4_servers = 0;
	nc->varies = false;
	nc->done = false;
	if (nc->is_full)
		names_forget(nc);
	if (probes_plan(nc, now) < 0)
		return; /* no memory: the caller's next round may have it */
	if (nc->is_full) {
		nc->last_full = now;
		nc->want_full = false;
	}
	nc->started = now;
	nc->stop_at = mono_add(now, SPAN_MS(STUN_MS));
	nc->phase = STUN;
	netcheck_tick(nc, now);
}

static int cmp_seen(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	bool x6 = !ip_is_v4(&x->addr.ip), y6 = !ip_is_v4(&y->addr.ip);

	if (x6 != y6)
		return x6 ? 1 : -1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* 2.6: the best of each family, and whatever was seen more than once */
static void report_global(struct netcheck *nc, struct netcheck_report *rep)
{
	bool has[2] = { false, false };

	qsort(nc->seen, nc->n_seen, sizeof nc->seen[0], cmp_seen);
	for (size_t i = 0; i < nc->n_seen; i++) {
		int family = !ip_is_v4(&nc->seen[i].addr.ip);

		if (has[family] && nc->seen[i].count < 2)
			continue;
		has[family] = true;
		rep->global[rep->n_global++] = nc->seen[i].addr;
	}
	rep->varies_by_dest = nc->varies ? 1 : nc->n_v4_servers < 2 ? -1 : 0;
}

static void report_latencies(struct netcheck *nc, mono_t now, struct netcheck_report *rep)
{
	for (size_t i = 0; i < nc->n_regions; i++) {
		struct region *r = &nc->regions[i];

		region_remember(r, now);
		if (nc->is_full || r->probed)
			r->last = region_best(r);
		rep->v4 |= r->v4.ns > 0;
		rep->v6 |= r->v6.ns > 0;
		if (region_best(r).ns > 0)
			rep->latency[rep->n_latency++] =
			    (struct netcheck_latency){ r->id, r->v4, r->v6, r->https };
	}
	rep->udp = rep->v4 || rep->v6;
}

static void round_end(struct netcheck *nc, mono_t now)
{
	struct netcheck_report *rep = calloc(1, sizeof *rep);

	round_stop(nc);
	nc->done = true;
	if (!rep)
		return; /* the old report stands */
	rep->at = now;
	report_global(nc, rep);
	report_latencies(nc, now, rep);
	nc->home = rep->home = home_choose(nc, now, nc->home);
	if (!rep->udp)
		nc->want_full = true; /* look everywhere next time */
	free(nc->report);
	nc->report = rep;
}

static bool any_answer(const struct netcheck *nc)
{
	for (size_t i = 0; i < nc->n_regions; i++)
		if (nc->regions[i].v4.ns > 0 || nc->regions[i].v6.ns > 0)
			return true;
	return false;
}

static void https_begin(struct netcheck *nc)
{
	nc->phase = HTTPS;
	nc->stop_at = mono_add(nc->started, SPAN_MS(ROUND_MS));
	for (size_t i = 0; i < nc->n_regions; i++)
		nc->regions[i].https_due = nc->regions[i].n_nodes > 0;
}

static bool https_complete(const struct netcheck *nc)
{
	for (size_t i = 0; i < nc->n_regions; i++)
		if (nc->regions[i].https_due && nc->regions[i].https.ns == 0)
			return false;
	return true;
}

void netcheck_tick(struct netcheck *nc, mono_t now)
{
	if (nc->phase == STUN && (mono_due(nc->stop_at, now) || probes_exhausted(nc))) {
		if (any_answer(nc)) {
			round_end(nc, now);
			return;
		}
		https_begin(nc);
	}
	if (nc->phase == HTTPS && (mono_due(nc->stop_at, now) || https_complete(nc)))
		round_end(nc, now);
}

mono_t netcheck_deadline(const struct netcheck *nc)
{
	mono_t due = nc->phase == IDLE ? MONO_NEVER : nc->stop_at;
	struct ipport to;

	for (size_t i = 0; i < nc->n_probes && nc->phase == STUN; i++)
		if (probe_is_open(nc, &nc->probes[i]) && probe_address(nc, &nc->probes[i], &to))
			due = mono_min(due, nc->probes[i].due);
	return due;
}

static bool next_probe(struct netcheck *nc, mono_t now, struct netcheck_want *w)
{
	uint8_t txid[STUN_TXID];

	for (size_t i = 0; i < nc->n_probes; i++) {
		struct probe *pr = &nc->probes[i];
		struct node *unnamed;

		if (!probe_is_open(nc, pr) || !mono_due(pr->due, now))
			continue;
		if (probe_address(nc, pr, &w->to)) {
			pr->sent = true;
			pr->sent_at = now;
			rng_fill(nc->rng, pr->random, sizeof pr->random);
			memcpy(txid, pr->random, sizeof pr->random);
			txid[STUN_TXID - 2] = (uint8_t)(i >> 8);
			txid[STUN_TXID - 1] = (uint8_t)i;
			stun_request_emit(txid, nc->request);
			w->type = NETCHECK_WANT_SEND;
			w->data = nc->request;
			w->len = sizeof nc->request;
			w->region = nc->regions[pr->region].id;
			return true;
		}
		unnamed = probe_unnamed(nc, pr);
		if (unnamed && unnamed->name == NAME_UNKNOWN) {
			unnamed->name = NAME_ASKED;
			w->type = NETCHECK_WANT_NAME;
			(void)bytes_to_str(bytes_str(unnamed->host), w->host, sizeof w->host);
			return true;
		}
	}
	return false;
}

static bool next_https(struct netcheck *nc, struct netcheck_want *w)
{
	for (size_t i = 0; i < nc->n_regions; i++) {
		struct region *r = &nc->regions[i];

		if (!r->https_due || r->https_asked)
			continue;
		r->https_asked = true;
		w->type = NETCHECK_WANT_HTTPS;
		w->region = r->id;
		return true;
	}
	return false;
}

bool netcheck_next(struct netcheck *nc, mono_t now, struct netcheck_want *w)
{
	*w = (struct netcheck_want){ 0 };
	netcheck_tick(nc, now);
	if (nc->phase == STUN && next_probe(nc, now, w))
		return true;
	if (nc->phase == HTTPS && next_https(nc, w))
		return true;
	if (!nc->done)
		return false;
	nc->done = false;
	w->type = NETCHECK_DONE;
	return true;
}

static void note_own(struct netcheck *nc, const struct ipport *mapped, const struct ipport *server)
{
	size_t i = 0;

	if (ip_is_v4(&mapped->ip)) {
		if (nc->n_v4_servers == 0 ||
		    (nc->n_v4_servers == 1 && !ip_eq(&nc->v4_server, &server->ip)))
			nc->n_v4_servers++;
		if (nc->n_v4_servers == 1)
			nc->v4_server = server->ip;
		for (size_t k = 0; k < nc->n_seen; k++)
			if (ip_is_v4(&nc->seen[k].addr.ip) &&
			    !ipport_eq(&nc->seen[k].addr, mapped) &&
			    !ip_eq(&nc->seen[k].server.ip, &server->ip))
				nc->varies = true;
	}
	while (i < nc->n_seen && !ipport_eq(&nc->seen[i].addr, mapped))
		i++;
	if (i == NETCHECK_ENDPOINTS_MAX)
		return;
	if (i == nc->n_seen)
		nc->seen[nc->n_seen++] =
		    (struct seen){ .addr = *mapped, .server = *server, .order = i };
	nc->seen[i].count++;
}

/* 4.2: enough regions answered, so the rest gets as long as the slowest took (twice that in a full
 * round) */
static void stop_early(struct netcheck *nc, mono_t now)
{
	span_t slowest = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < nc->n_regions; i++) {
		span_t best = region_best(&nc->regions[i]);

		n += best.ns > 0;
		slowest.ns = MAX_OF(slowest.ns, best.ns);
	}
	if (n < ENOUGH_REGIONS && !probes_all_answered(nc))
		return;
	if (nc->is_full)
		slowest.ns *= 2;
	slowest.ns = MAX_OF(slowest.ns, SPAN_MS(GRACE_MIN_MS).ns);
	nc->stop_at = mono_min(nc->stop_at, mono_add(now, slowest));
}

static void answered(struct netcheck *nc, mono_t now, struct probe *pr, const struct ipport *mapped)
{
	struct region *r = &nc->regions[pr->region];
	span_t *family = pr->v6 ? &r->v6 : &r->v4, rtt = mono_sub(now, pr->sent_at);
	struct ipport server;
	bool is_first = region_best(r).ns == 0;

	pr->answered = true;
	rtt.ns = MAX_OF(rtt.ns, INT64_C(1)); /* 0 means not measured */
	if (family->ns == 0 || rtt.ns < family->ns)
		*family = rtt;
	(void)probe_address(nc, pr, &server);
	note_own(nc, mapped, &server);
	if (is_first)
		stop_early(nc, now);
	netcheck_tick(nc, now);
}

bool netcheck_feed(struct netcheck *nc, mono_t now, const struct ipport *from, const uint8_t *data,
		   size_t len)
{
	uint8_t txid[STUN_TXID];
	struct ipport mapped;
	size_t i;

	(void)from; /* the transaction id decides: NAT64 and anycast relays answer from elsewhere */
	if (!stun_is(data, len))
		return false;
	if (stun_answer_parse(data, len, txid, &mapped) != STUN_OK || nc->phase != STUN)
		return true;
	i = (size_t)txid[STUN_TXID - 2] << 8 | txid[STUN_TXID - 1];
	if (i >= nc->n_probes || !nc->probes[i].sent || nc->probes[i].answered ||
	    memcmp(txid, nc->probes[i].random, sizeof nc->probes[i].random) != 0)
		return true;
	answered(nc, now, &nc->probes[i], &mapped);
	return true;
}

void netcheck_name(struct netcheck *nc, mono_t now, const char *host, const struct ip *v, size_t n)
{
	for (size_t i = 0; i < nc->n_regions; i++) {
		for (size_t k = 0; k < nc->regions[i].n_nodes; k++) {
			struct node *node = &nc->regions[i].nodes[k];

			if (strcmp(node->host, host) != 0 || (node->fixed_v4 && node->fixed_v6))
				continue;
			node->name = n > 0 ? NAME_KNOWN : NAME_NONE;
			for (size_t a = n; a-- > 0;) { /* the first of each family wins */
				if (ip_is_v4(&v[a]) && !node->fixed_v4)
					node->v4 = v[a];
				else if (!ip_is_v4(&v[a]) && !node->fixed_v6)
					node->v6 = v[a];
			}
		}
	}
	netcheck_tick(nc, now); /* it may have been the last hope of the round */
}

void netcheck_derp_heard(struct netcheck *nc, mono_t now, uint16_t region)
{
	struct region *r = region_find(nc, region);

	if (r)
		r->heard_at = now;
}

void netcheck_derp_rtt(struct netcheck *nc, mono_t now, uint16_t region, span_t rtt)
{
	struct region *r = region_find(nc, region);

	if (!r || nc->phase != HTTPS)
		return;
	r->https.ns = MAX_OF(rtt.ns, INT64_C(1));
	netcheck_tick(nc, now);
}
