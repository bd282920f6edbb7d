/* model/filter.c - verdicts in the order of data-plane.md 5.4; see filter.h */
#include "model/filter.h"

#include "model/filter_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct filter {
	struct rules *rules; /* NULL: none came yet, nothing passes */
	struct flows flows;
	filter_has_cap_fn *has_cap;
	void *ctx;
	bool shields;
	struct spans local; /* merged; a sentinel stands behind */
};

const char *const filter_verdict_names[FILTER_VERDICT_N] = {
	[FILTER_ACCEPT] = "accept",
	[FILTER_DROP_ACL] = "acl",
	[FILTER_DROP_MULTICAST] = "multicast",
	[FILTER_DROP_LINK_LOCAL] = "link_local_unicast",
	[FILTER_DROP_TOO_SHORT] = "too_short",
	[FILTER_DROP_FRAGMENT] = "fragment",
	[FILTER_DROP_UNKNOWN_PROTOCOL] = "unknown_protocol",
	[FILTER_DROP_NOT_LOCAL] = "not_local",
};

static const enum filter_verdict fault_verdicts[PACKET_FAULT_N] = {
	[PACKET_OK] = FILTER_ACCEPT,
	[PACKET_TOO_SHORT] = FILTER_DROP_TOO_SHORT,
	[PACKET_BAD_VERSION] = FILTER_DROP_UNKNOWN_PROTOCOL,
	[PACKET_BAD_LENGTH] = FILTER_DROP_UNKNOWN_PROTOCOL,
	[PACKET_UNKNOWN] = FILTER_DROP_UNKNOWN_PROTOCOL,
	[PACKET_BAD_FRAGMENT] = FILTER_DROP_FRAGMENT,
};

struct filter *filter_new(size_t max_flows)
{
	struct filter *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	flows_init(&f->flows, max_flows);
	if (filter_set_local(f, NULL, 0, NULL, 0) != 0) {
		filter_free(f);
		return NULL;
	}
	return f;
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	rules_free(f->rules);
	flows_free(&f->flows);
	free(f->local.v);
	free(f);
}

int filter_set_rules(struct filter *f, const struct bytes *rules, size_t n,
		     filter_has_cap_fn *has_cap, void *ctx)
{
	int fault;
	struct rules *r = rules_compile(rules, n, &fault);

	if (!r)
		return fault;
	rules_free(f->rules);
	f->rules = r;
	f->has_cap = has_cap;
	f->ctx = ctx;
	return 0;
}

static bool is_default(const struct ipprefix *p)
{
	return p->bits == (ip_is_v4(&p->ip) ? 96 : 0);
}

static bool add_prefix(struct spans *s, const struct ipprefix *p)
{
	const u128 first = ip_number(&p->ip),
		   host = p->bits == 0 ? ~(u128)0 : ((u128)1 << (128 - p->bits)) - 1;

	return spans_push(s, first, first | host);
}

/* What of first..last is in none of the ranges of `ex` (merged), into s. */
static bool add_rest(struct spans *s, u128 first, u128 last, const struct spans *ex)
{
	for (size_t i = 0; i < ex->n; i++) {
		if (ex->v[i].last < first)
			continue;
		if (ex->v[i].first > last)
			break;
		if (ex->v[i].first > first && !spans_push(s, first, ex->v[i].first - 1))
			return false;
		if (ex->v[i].last >= last)
			return true;
		first = ex->v[i].last + 1;
	}
	return spans_push(s, first, last);
}

static bool add_local(struct spans *s, const struct ipprefix *p, const struct spans *ex)
{
	if (!is_default(p))
		return add_prefix(s, p);
	if (ip_is_v4(&p->ip))
		return add_rest(s, V4_FIRST, V4_LAST, ex);
	return add_rest(s, 0, V4_FIRST - 1, ex) && add_rest(s, V4_LAST + 1, ~(u128)0, ex);
}

int filter_set_local(struct filter *f, const struct ipprefix *v, size_t n,
		     const struct ipprefix *except, size_t n_except)
{
	struct spans s = { 0 }, ex = { 0 };
	bool ok = true;

	for (size_t i = 0; ok && i < n_except; i++)
		ok = add_prefix(&ex, &except[i]);
	ex.n = spans_merge(ex.v, ex.n);
	for (size_t i = 0; ok && i < MIN_OF(n, (size_t)FILTER_LOCAL_MAX); i++)
		ok = add_local(&s, &v[i], &ex);
	s.n = spans_merge(s.v, s.n);
	ok = ok && spans_push(&s, ~(u128)0, 0); /* the sentinel */
	free(ex.v);
	if (!ok) {
		free(s.v);
		return -ENOMEM;
	}
	s.n--;
	free(f->local.v);
	f->local = s;
	return 0;
}

void filter_set_shields(struct filter *f, bool up)
{
	f->shields = up;
}

bool filter_shields(const struct filter *f)
{
	return f->shields;
}

size_t filter_flows(const struct filter *f)
{
	return f->flows.n;
}

size_t filter_memory(const struct filter *f)
{
	return sizeof *f + f->local.cap * sizeof *f->local.v + flows_memory(&f->flows) +
	       (f->rules ? rules_memory(f->rules) : 0);
}

static uint32_t seconds(mono_t now)
{
	return (uint32_t)(now.ns / NS_PER_S);
}

void filter_trim(struct filter *f, mono_t now)
{
	flows_trim(&f->flows, seconds(now));
}

static bool has_flow_state(const struct packet *p)
{
	return p->proto == PROTO_UDP || p->proto == PROTO_SCTP;
}

/* What both directions refuse. 169.254.169.254 is a cloud's name server. */
static enum filter_verdict check_shape(const uint8_t *data, size_t len, struct packet *p)
{
	static const uint8_t metadata[4] = { 169, 254, 169, 254 };
	enum packet_fault fault = packet_parse(data, len, p);

	if (fault != PACKET_OK)
		return fault_verdicts[fault];
	if (ip_is_multicast(&p->dst))
		return FILTER_DROP_MULTICAST;
	if (ip_is_link_local(&p->dst) &&
	    !(ip_is_v4(&p->dst) && memcmp(p->dst.b + 12, metadata, 4) == 0))
		return FILTER_DROP_LINK_LOCAL;
	return FILTER_ACCEPT;
}

static bool is_own_icmp(const struct packet *p)
{
	return p->proto == (p->is_v6 ? PROTO_ICMPV6 : PROTO_ICMP);
}

/* Echo replies and errors: what answers something that we sent. Parameter problem is 12 (RFC 792).
 */
static bool is_icmp_answer(const struct packet *p)
{
	if (p->is_v6)
		return p->icmp_type == 129 || (p->icmp_type >= 1 && p->icmp_type <= 4);
	return p->icmp_type == 0 || p->icmp_type == 3 || p->icmp_type == 11 || p->icmp_type == 12;
}

/* Passes without asking the rules. */
static bool passes_by_state(struct filter *f, mono_t now, const struct packet *p)
{
	struct flow_key k;

	if (p->proto == PROTO_TCP)
		return (p->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN;
	if (p->proto == PROTO_TSMP)
		return true;
	if (is_own_icmp(p))
		return is_icmp_answer(p);
	if (!has_flow_state(p))
		return false;
	k = (struct flow_key){ .src = p->src,
			       .dst = p->dst,
			       .sport = p->sport,
			       .dport = p->dport,
			       .proto = p->proto };
	return flows_has(&f->flows, &k, seconds(now));
}

static bool passes_by_rule(const struct filter *f, const struct packet *p, u128 to)
{
	struct rules_ask q = { .has_cap = f->has_cap,
			       .ctx = f->ctx,
			       .src = &p->src,
			       .from = ip_number(&p->src),
			       .to = to,
			       .proto = p->proto,
			       .port = p->dport };

	if (is_own_icmp(p))
		q.any_proto = true;
	else if (p->proto != PROTO_TCP && !has_flow_state(p))
		q.all_ports = true;
	return rules_allow(f->rules, &q);
}

enum filter_verdict filter_in(struct filter *f, mono_t now, const uint8_t *data, size_t len,
			      bool jailed, struct packet *pkt)
{
	enum filter_verdict v = check_shape(data, len, pkt);
	u128 to;

	if (v != FILTER_ACCEPT)
		return v;
	if (!f->rules)
		return FILTER_DROP_ACL;
	if (pkt->is_later_fragment)
		return FILTER_ACCEPT;
	to = ip_number(&pkt->dst);
	if (!spans_have(f->local.v, f->local.n, to))
		return FILTER_DROP_NOT_LOCAL;
	if (passes_by_state(f, now, pkt))
		return FILTER_ACCEPT;
	if (jailed || f->shields || !passes_by_rule(f, pkt, to))
		return FILTER_DROP_ACL;
	return FILTER_ACCEPT;
}

enum filter_verdict filter_out(struct filter *f, mono_t now, const uint8_t *data, size_t len,
			       struct packet *pkt)
{
	enum filter_verdict v = check_shape(data, len, pkt);
	struct flow_key k;

	if (v != FILTER_ACCEPT || pkt->is_later_fragment || !has_flow_state(pkt))
		return v;
	k = (struct flow_key){ .src = pkt->dst,
			       .dst = pkt->src,
			       .sport = pkt->dport,
			       .dport = pkt->sport,
			       .proto = pkt->proto };
	flows_note(&f->flows, &k, seconds(now));
	return FILTER_ACCEPT;
}

int filter_caps(const struct filter *f, const struct ip *src, const struct ip *dst, struct buf *out)
{
	struct rules_ask q = { .has_cap = f->has_cap,
			       .ctx = f->ctx,
			       .src = src,
			       .from = ip_number(src),
			       .to = ip_number(dst) };

	if (!f->rules)
		return buf_append(out, "{}", 2) ? 0 : -ENOMEM;
	return rules_caps(f->rules, &q, out);
}
