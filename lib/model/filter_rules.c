/* model/filter_rules.c - FilterRule texts compiled to sorted ranges; see filter_priv.h
 *
 * Rules only ever allow: an entry that cannot be read, or lies beyond a limit, is left out and
 * allows nothing.
 */
#include "base/json.h"
#include "model/filter_priv.h"

#include <errno.h>
#include <stdlib.h>

enum { CAP_NAME_MAX = 256 };

/* --- ranges --- */

bool spans_push(struct spans *s, u128 first, u128 last)
{
	if (!array_grow(&s->v, &s->cap, s->n + 1, sizeof *s->v))
		return false;
	s->v[s->n++] = (struct span128){ first, last };
	return true;
}

bool spans_add(struct spans *s, const struct iprange *r)
{
	u128 first = ip_number(&r->first), last = ip_number(&r->last);

	if (first < V4_FIRST && last > V4_LAST) /* IPv6 around the place where IPv4 is kept */
		return spans_push(s, first, V4_FIRST - 1) && spans_push(s, V4_LAST + 1, last);
	return spans_push(s, first, last);
}

static int span_cmp(const void *x, const void *y)
{
	const struct span128 *a = x, *b = y;

	return (a->first > b->first) - (a->first < b->first);
}

size_t spans_merge(struct span128 *v, size_t n)
{
	size_t out = 0;

	if (n > 1)
		qsort(v, n, sizeof *v, span_cmp);
	for (size_t i = 0; i < n; i++) {
		if (out > 0 && v[i].first <= v[out - 1].last) {
			if (v[i].last > v[out - 1].last)
				v[out - 1].last = v[i].last;
		} else {
			v[out++] = v[i];
		}
	}
	return out;
}

/* Host bits of a prefix must be zero (control-protocol.md 4.10). */
static bool parse_range(struct bytes s, struct iprange *r)
{
	const uint8_t *slash = s.len > 0 ? memchr(s.data, '/', s.len) : NULL;
	struct ip a;

	if (!iprange_parse(s, r))
		return false;
	return !slash ||
	       (ip_parse(bytes_of(s.data, (size_t)(slash - s.data)), &a) && ip_eq(&a, &r->first));
}

/* One entry of addresses; 1: added, 0: unreadable, -ENOMEM. */
static int add_addresses(struct spans *s, struct bytes text)
{
	static const struct iprange all4 = { { { [10] = 0xff, [11] = 0xff } },
					     { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff,
						 0xff, 0xff, 0xff } } };
	static const struct iprange all6 = { { { 0 } },
					     { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
						 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
						 0xff } } };
	struct iprange r;

	if (s->n + 3 > FILTER_RANGES_MAX)
		return 0;
	if (bytes_eq_str(text, "*"))
		return spans_add(s, &all4) && spans_add(s, &all6) ? 1 : -ENOMEM;
	if (!parse_range(text, &r))
		return 0;
	return spans_add(s, &r) ? 1 : -ENOMEM;
}

/* --- compiling --- */

/* what a rule's text says, before it goes into the lists */
struct draft {
	struct spans src, grant_dst;
	struct target *dst;
	size_t n_dst, dst_cap;
	const char **cap;
	size_t n_caps, caps_cap;
	uint64_t protos[PROTO_WORDS];
	bool has_protos, has_bits;
	struct bytes grants; /* text of CapGrant */
	bool no_memory;
};

static void draft_clear(struct draft *d)
{
	struct draft keep = *d;

	*d = (struct draft){ .src = { .v = keep.src.v, .cap = keep.src.cap },
			     .grant_dst = { .v = keep.grant_dst.v, .cap = keep.grant_dst.cap },
			     .dst = keep.dst,
			     .dst_cap = keep.dst_cap,
			     .cap = keep.cap,
			     .caps_cap = keep.caps_cap };
}

static void draft_free(struct draft *d)
{
	free(d->src.v);
	free(d->grant_dst.v);
	free(d->dst);
	free(d->cap);
}

static void read_sources(struct json *j, struct draft *d, struct arena *mem)
{
	char tmp[CAP_NAME_MAX + 8];

	json_arr(j);
	while (json_elem(j)) {
		struct bytes b;

		if (json_type(j) != JSON_STRING) {
			json_skip(j);
			continue;
		}
		b = json_strb(j, tmp, sizeof tmp);
		if (b.len > 4 && memcmp(b.data, "cap:", 4) == 0) {
			if (!array_grow(&d->cap, &d->caps_cap, d->n_caps + 1, sizeof *d->cap))
				d->no_memory = true;
			else
				d->cap[d->n_caps++] =
				    arena_str(mem, bytes_of(b.data + 4, b.len - 4));
		} else if (add_addresses(&d->src, b) < 0) {
			d->no_memory = true;
		}
	}
}

static bool read_port(struct json *j, uint16_t *out)
{
	int64_t v = json_i64(j);

	if (v < 0 || v > PORT_MAX)
		return false;
	*out = (uint16_t)v;
	return true;
}

static void read_target(struct bytes text, struct draft *d)
{
	struct json j = json_of(text);
	struct spans to = { NULL };
	char tmp[128];
	uint16_t first = 0, last = 0;
	struct bytes key, ip = bytes_of("", 0);
	bool good = true;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "IP")) {
			ip = json_strb(&j, tmp, sizeof tmp);
		} else if (json_key_is(key, "Bits")) {
			d->has_bits |= json_type(&j) != JSON_NULL;
			json_skip(&j);
		} else if (json_key_is(key, "Ports")) {
			json_obj(&j);
			while (json_key(&j, &key)) {
				if (json_key_is(key, "First"))
					good &= read_port(&j, &first);
				else if (json_key_is(key, "Last"))
					good &= read_port(&j, &last);
				else
					json_skip(&j);
			}
		} else {
			json_skip(&j);
		}
	}
	if (json_done(&j) && good) {
		if (add_addresses(&to, ip) < 0 ||
		    !array_grow(&d->dst, &d->dst_cap, d->n_dst + to.n, sizeof *d->dst))
			d->no_memory = true;
		else
			for (size_t i = 0; i < to.n; i++)
				d->dst[d->n_dst++] = (struct target){ to.v[i], first, last };
	}
	free(to.v);
}

static void read_protos(struct json *j, struct draft *d)
{
	json_arr(j);
	while (json_elem(j)) {
		int64_t v = json_i64(j);

		d->has_protos = true;
		if (v >= 0 && v <= 255)
			d->protos[v / 64] |= UINT64_C(1) << (v % 64);
	}
}

static bool read_rule(struct bytes text, struct draft *d, struct arena *mem)
{
	static const uint8_t usual[] = { PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ICMPV6 };
	struct json j = json_of(text);
	struct bytes key;

	draft_clear(d);
	if (json_type(&j) != JSON_OBJECT)
		return false;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "SrcIPs")) {
			read_sources(&j, d, mem);
		} else if (json_key_is(key, "DstPorts")) {
			json_arr(&j);
			while (json_elem(&j))
				read_target(json_raw(&j), d);
		} else if (json_key_is(key, "IPProto")) {
			read_protos(&j, d);
		} else if (json_key_is(key, "CapGrant")) {
			d->grants = json_raw(&j);
		} else if (json_key_is(key, "SrcBits")) {
			d->has_bits |= json_type(&j) != JSON_NULL;
			json_skip(&j);
		} else {
			json_skip(&j);
		}
	}
	if (!d->has_protos)
		for (size_t i = 0; i < ARRAY_LEN(usual); i++)
			d->protos[usual[i] / 64] |= UINT64_C(1) << (usual[i] % 64);
	d->src.n = spans_merge(d->src.v, d->src.n);
	return json_done(&j) && !d->has_bits && (d->src.n > 0 || d->n_caps > 0);
}

static const struct span128 SENTINEL = { ~(u128)0, 0 }; /* ends a list for spans_have */

/* Copies a sorted list and its sentinel; the stretch without it. */
static bool keep_spans(struct spans *to, const struct spans *from, uint32_t *at, uint32_t *n)
{
	if (!array_grow(&to->v, &to->cap, to->n + from->n + 1, sizeof *to->v))
		return false;
	*at = (uint32_t)to->n;
	*n = (uint32_t)from->n;
	if (from->n > 0)
		memcpy(&to->v[to->n], from->v, from->n * sizeof *to->v);
	to->n += from->n;
	to->v[to->n++] = SENTINEL;
	return true;
}

static bool keep_caps(struct rules *r, const struct draft *d, uint32_t *at, uint32_t *n)
{
	if (!array_grow(&r->cap, &r->caps_cap, r->n_caps + d->n_caps, sizeof *r->cap))
		return false;
	*at = (uint32_t)r->n_caps;
	*n = (uint32_t)d->n_caps;
	if (d->n_caps > 0)
		memcpy(&r->cap[r->n_caps], d->cap, d->n_caps * sizeof *r->cap);
	r->n_caps += d->n_caps;
	return true;
}

/* A grant of name; the source lists are those of its rule, the destinations were put into the lists
 * already. */
static bool add_grant(struct rules *r, struct grant g, const char *name, struct bytes values)
{
	struct json j = json_of(values);
	char *copy;

	if (!array_grow(&r->grant, &r->grants_cap, r->n_grants + 1, sizeof *r->grant))
		return false;
	if (json_type(&j) != JSON_ARRAY)
		values = bytes_of("", 0);
	copy = arena_str(&r->mem, values);
	g.name = arena_str(&r->mem, bytes_str(name));
	if (!copy || !g.name)
		return false;
	g.values = bytes_of(copy, values.len);
	r->grant[r->n_grants++] = g;
	return true;
}

static bool read_grant(struct rules *r, struct draft *d, struct bytes text, struct grant g)
{
	struct json j = json_of(text), caps;
	struct bytes key, list = bytes_of("", 0), map = bytes_of("", 0);
	char name[CAP_NAME_MAX];
	bool good = true;

	d->grant_dst.n = 0;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Dsts")) {
			json_arr(&j);
			while (json_elem(&j)) {
				char tmp[128];

				good &= add_addresses(&d->grant_dst,
						      json_strb(&j, tmp, sizeof tmp)) >= 0;
			}
		} else if (json_key_is(key, "Caps")) {
			list = json_raw(&j);
		} else if (json_key_is(key, "CapMap")) {
			map = json_raw(&j);
		} else {
			json_skip(&j);
		}
	}
	if (!json_done(&j)) /* unreadable: grants nothing */
		return true;
	d->grant_dst.n = spans_merge(d->grant_dst.v, d->grant_dst.n);
	if (!good || !keep_spans(&r->grant_dst, &d->grant_dst, &g.dst, &g.n_dst))
		return false;
	if (list.len > 0) {
		caps = json_of(list);
		json_arr(&caps);
		while (json_elem(&caps))
			if (json_str(&caps, name, sizeof name) > 0)
				good &= add_grant(r, g, name, bytes_of("", 0));
	}
	if (map.len > 0) {
		caps = json_of(map);
		json_obj(&caps);
		while (json_key(&caps, &key)) {
			struct bytes values = json_raw(&caps);

			if (json_ok(&caps) && json_unescape(key, name, sizeof name))
				good &= add_grant(r, g, name, values);
		}
	}
	return good;
}

static bool keep_rule(struct rules *r, struct draft *d)
{
	struct rule rule = { 0 };
	struct grant g = { 0 };

	if (!keep_spans(&r->src, &d->src, &rule.src.span, &rule.src.n_spans) ||
	    !keep_caps(r, d, &rule.src.cap, &rule.src.n_caps))
		return false;
	if (d->n_dst > 0) {
		if (!array_grow(&r->rule, &r->rules_cap, r->n_rules + 1, sizeof *r->rule) ||
		    !array_grow(&r->dst, &r->dst_cap, r->n_dst + d->n_dst, sizeof *r->dst))
			return false;
		rule.dst = (uint32_t)r->n_dst;
		rule.n_dst = (uint32_t)d->n_dst;
		memcpy(&r->dst[r->n_dst], d->dst, d->n_dst * sizeof *r->dst);
		r->n_dst += d->n_dst;
		memcpy(rule.protos, d->protos, sizeof rule.protos);
		r->rule[r->n_rules++] = rule;
	}
	if (d->grants.len > 0) {
		struct json j = json_of(d->grants);

		g = (struct grant){ .src = rule.src };
		json_arr(&j);
		while (json_elem(&j))
			if (!read_grant(r, d, json_raw(&j), g))
				return false;
	}
	return true;
}

static int compile_list(struct rules *r, struct bytes text, struct draft *d)
{
	struct json j = json_of(text);

	if (json_type(&j) != JSON_ARRAY)
		return -EBADMSG;
	json_arr(&j);
	while (json_elem(&j)) {
		struct bytes rule = json_raw(&j);

		if (!json_ok(&j) || r->n_rules + r->n_grants >= FILTER_RULES_MAX ||
		    r->src.n >= FILTER_RANGES_MAX || r->n_dst >= FILTER_RANGES_MAX)
			continue;
		if (read_rule(rule, d, &r->mem) && !d->no_memory && !keep_rule(r, d))
			return -ENOMEM;
		if (d->no_memory)
			return -ENOMEM;
	}
	if (r->mem.failed)
		return -ENOMEM;
	return json_done(&j) ? 0 : -EBADMSG;
}

struct rules *rules_compile(const struct bytes *text, size_t n, int *fault)
{
	struct rules *r = calloc(1, sizeof *r);
	struct draft d = { .no_memory = false };

	*fault = r ? 0 : -ENOMEM;
	for (size_t i = 0; i < n && *fault == 0; i++)
		*fault = compile_list(r, text[i], &d);
	draft_free(&d);
	if (*fault == 0 && !index_build(r))
		*fault = -ENOMEM;
	if (*fault == 0)
		return r;
	rules_free(r);
	return NULL;
}

void rules_free(struct rules *r)
{
	if (!r)
		return;
	free(r->rule);
	free(r->src.v);
	free(r->grant_dst.v);
	free(r->dst);
	free(r->cap);
	free(r->grant);
	index_free(&r->index);
	arena_free(&r->mem);
	free(r);
}

size_t rules_memory(const struct rules *r)
{
	return r->rules_cap * sizeof *r->rule + (r->src.cap + r->grant_dst.cap) * sizeof *r->src.v +
	       r->dst_cap * sizeof *r->dst + r->caps_cap * sizeof *r->cap +
	       r->grants_cap * sizeof *r->grant + index_memory(&r->index) + r->mem.bytes;
}

/* --- capabilities --- */

static int grant_cmp(const void *x, const void *y)
{
	const struct grant *const *a = x, *const *b = y;

	return strcmp((*a)->name, (*b)->name);
}

/* the elements of a JSON array, into an array that is open */
static void copy_elements(struct jsonw *w, struct bytes values)
{
	struct json j = json_of(values);

	json_arr(&j);
	while (json_elem(&j))
		jsonw_raw(w, json_raw(&j));
}

int rules_caps(const struct rules *r, const struct rules_ask *q, struct buf *out)
{
	AUTO_FREE const struct grant **v = calloc(r->n_grants + 1, sizeof *v);
	struct jsonw w;
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_grants; i++) {
		const struct grant *g = &r->grant[i];

		if (spans_have(&r->grant_dst.v[g->dst], g->n_dst, q->to) &&
		    rules_source_fits(r, &g->src, q))
			v[n++] = g;
	}
	qsort(v, n, sizeof *v, grant_cmp);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	for (size_t i = 0; i < n;) {
		size_t end = i;

		jsonw_key(&w, v[i]->name);
		jsonw_arr(&w);
		for (; end < n && strcmp(v[end]->name, v[i]->name) == 0; end++)
			if (v[end]->values.len > 0)
				copy_elements(&w, v[end]->values);
		jsonw_arr_end(&w);
		i = end;
	}
	jsonw_obj_end(&w);
	return jsonw_ok(&w) ? 0 : -ENOMEM;
}
