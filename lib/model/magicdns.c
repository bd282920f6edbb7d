/* model/magicdns.c - see magicdns.h */
#include "model/magicdns.h"

#include <assert.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "wire/dns.h"

static const char service_name[] = "magicdns.localhost-tailscale-daemon";
static const char subdomain_cap[] = "dns-subdomain-resolve", aaaa_cap[] = "magicdns-aaaa";

/* --- small questions --- */

static bool has_cap(const struct netmap_node *n, const char *cap)
{
	struct json j = json_of(n->capmap);
	struct bytes key;

	if (n->capmap.len == 0)
		return false;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (bytes_eq_str(key, cap))
			return true;
		json_skip(&j);
	}
	return false;
}

static bool ends_with(struct bytes name, const char *suffix) /* equal to it, or below it */
{
	size_t n = strlen(suffix);

	if (n == 0 || name.len < n || (name.len > n && name.data[name.len - n - 1] != '.'))
		return false;
	return bytes_caseeq(bytes_of(name.data + name.len - n, n), bytes_str(suffix));
}

static void add(struct magicdns_answer *a, const struct ip *ip)
{
	if (a->n < MAGICDNS_ADDRS_MAX)
		a->v[a->n++] = *ip;
}

static void add_node(struct magicdns_answer *a, const struct netmap_node *n)
{
	a->node = n;
	for (int v4 = 1; v4 >= 0; v4--)
		for (size_t i = 0; i < n->n_addresses; i++)
			if (ipprefix_is_single(&n->addresses[i]) &&
			    ip_is_v4(&n->addresses[i].ip) == v4)
				add(a, &n->addresses[i].ip);
}

/* --- 4via6 --- */

static bool parse_site(struct bytes s, uint64_t *out) /* decimal, or hexadecimal behind 0x */
{
	uint64_t v = 0;

	if (s.len < 3 || s.data[0] != '0' || (s.data[1] != 'x' && s.data[1] != 'X'))
		return text_u64(s, out) && *out >> MAGICDNS_SITE_BITS == 0;
	for (size_t i = 2; i < s.len; i++) {
		uint8_t pair[2] = { '0', s.data[i] }, digit;

		if (i >= 10 || !hex_parse(bytes_of(pair, 2), &digit, 1))
			return false;
		v = v << 4 | digit;
	}
	*out = v;
	return true;
}

bool magicdns_via(struct bytes label, struct ip *out)
{
	static const uint8_t prefix[8] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0x0b, 0x1a };
	char dotted[IP_TEXT];
	struct ip v4, a;
	size_t at = 0;
	uint64_t site;

	while (at + 5 <= label.len &&
	       !bytes_caseeq(bytes_of(label.data + at, 5), bytes_str("-via-")))
		at++;
	if (at + 5 > label.len || at >= sizeof dotted)
		return false;
	for (size_t i = 0; i < at; i++) {
		if (label.data[i] == '.')
			return false;
		dotted[i] = label.data[i] == '-' ? '.' : (char)label.data[i];
	}
	if (!ip_parse(bytes_of(dotted, at), &v4) || !ip_is_v4(&v4) ||
	    !parse_site(bytes_of(label.data + at + 5, label.len - at - 5), &site))
		return false;
	memcpy(a.b, prefix, 8);
	for (int i = 0; i < 4; i++)
		a.b[8 + i] = (uint8_t)(site >> (24 - 8 * i));
	memcpy(a.b + 12, v4.b + 12, 4);
	*out = a;
	return true;
}

/* --- what the netmap knows of a name --- */

static int record_cmp(const void *key, const void *elem)
{
	return strcmp(key, ((const struct netmap_record *)elem)->name);
}

/* records of the name: they are sorted by lower-case name */
static bool find_records(const struct netmap_dns *d, struct bytes name, struct magicdns_answer *out)
{
	const struct netmap_record *r;
	char key[DNS_NAME_TEXT];

	if (d->n_records == 0 || !bytes_to_str(name, key, sizeof key))
		return false;
	for (char *p = key; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	r = bsearch(key, d->records, d->n_records, sizeof *r, record_cmp);
	if (!r)
		return false;
	while (r > d->records && strcmp(r[-1].name, key) == 0)
		r--;
	for (; r < d->records + d->n_records && strcmp(r->name, key) == 0; r++)
		add(out, &r->ip);
	return true;
}

/* A node of this full name, or one above it that answers for everything below. */
static const struct netmap_node *find_node(const struct netmap *nm, struct bytes name)
{
	const struct netmap_node *n;
	const uint8_t *dot;

	if (!memchr(name.data, '.', name.len)) { /* short names are not for DNS clients, unless the
						    tailnet has no domain */
		n = netmap_by_name(nm, name);
		return n && !strchr(n->name, '.') ? n : NULL;
	}
	n = netmap_by_name(nm, name);
	while (!n && (dot = memchr(name.data, '.', name.len)) != NULL) {
		name = bytes_of(dot + 1, name.len - (size_t)(dot + 1 - name.data));
		if (!memchr(name.data, '.', name.len))
			return NULL;
		n = netmap_by_name(nm, name);
		if (n)
			return has_cap(n, subdomain_cap) ? n : NULL;
	}
	return n;
}

static bool find_via(const struct netmap *nm, struct bytes name, struct magicdns_answer *out)
{
	const uint8_t *dot = memchr(name.data, '.', name.len);
	size_t n = dot ? (size_t)(dot - name.data) : name.len;
	struct ip a;

	if (!magicdns_via(bytes_of(name.data, n), &a))
		return false;
	if (dot &&
	    !bytes_caseeq(bytes_of(dot + 1, name.len - n - 1), bytes_str(netmap_magic_suffix(nm))))
		return false;
	add(out, &a);
	return true;
}

/* The longest route that holds the name; the tailnet's own suffix is a local one. */
static enum magicdns_found route(const struct netmap *nm, struct bytes name,
				 struct magicdns_answer *out, const char **zone)
{
	const struct netmap_dns *d = netmap_dns(nm);
	const struct netmap_route *best = NULL;
	const char *suffix = netmap_magic_suffix(nm);
	bool own = d->proxied && ends_with(name, suffix);

	for (size_t i = 0; i < d->n_routes; i++)
		if (ends_with(name, d->routes[i].suffix) &&
		    (!best || strlen(d->routes[i].suffix) > strlen(best->suffix)))
			best = &d->routes[i];
	if (own && (!best || strlen(best->suffix) < strlen(suffix))) {
		*zone = suffix;
		return MAGICDNS_NXDOMAIN;
	}
	if (best && best->n == 0) {
		*zone = best->suffix;
		return MAGICDNS_NXDOMAIN;
	}
	out->resolvers = best ? best->v : d->resolvers;
	out->n_resolvers = best ? best->n : d->n_resolvers;
	return MAGICDNS_FORWARD;
}

static bool is_service(struct bytes name, struct magicdns_answer *out)
{
	static const struct ip v6 = { { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = 0x53 } };
	struct ip v4 = ip_v4(100, 100, 100, 100);

	if (!bytes_caseeq(name, bytes_str(service_name)))
		return false;
	add(out, &v4);
	add(out, &v6);
	return true;
}

/* All addresses of a full name, without its last dot. nodes: names of nodes count. */
static enum magicdns_found resolve(const struct netmap *nm, struct bytes name, bool nodes,
				   struct magicdns_answer *out, const char **zone)
{
	const struct netmap_node *n;

	*out = (struct magicdns_answer){ .n = 0 };
	*zone = "";
	if (name.len == 0)
		return route(nm, name, out, zone);
	if (is_service(name, out))
		return MAGICDNS_ADDRESSES;
	if (ends_with(name, "onion")) {
		*zone = "onion";
		return MAGICDNS_NXDOMAIN;
	}
	if (find_via(nm, name, out) || find_records(netmap_dns(nm), name, out))
		return MAGICDNS_ADDRESSES;
	n = nodes ? find_node(nm, name) : NULL;
	if (n) {
		*zone = netmap_magic_suffix(nm);
		add_node(out, n);
		return out->n > 0 ? MAGICDNS_ADDRESSES : MAGICDNS_NODATA;
	}
	return route(nm, name, out, zone);
}

/* --- for proxies --- */

enum magicdns_found magicdns_lookup(const struct netmap *nm, struct bytes name,
				    struct magicdns_answer *out)
{
	const struct netmap_dns *d = netmap_dns(nm);
	const struct netmap_node *n;
	enum magicdns_found found;
	const char *zone;

	*out = (struct magicdns_answer){ .n = 0 };
	if (!dns_name_valid(name))
		return MAGICDNS_NXDOMAIN;
	if (name.len > 0 && name.data[name.len - 1] == '.')
		name.len--;
	if (name.len == 0)
		return MAGICDNS_NXDOMAIN;
	if (!memchr(name.data, '.', name.len)) {
		n = netmap_by_name(nm, name);
		if (n) {
			add_node(out, n);
			return out->n > 0 ? MAGICDNS_ADDRESSES : MAGICDNS_NODATA;
		}
		for (size_t i = 0; i < d->n_domains; i++) {
			char full[2 * DNS_NAME_TEXT];
			size_t k = strlen(d->domains[i]);

			if (name.len + 1 + k >= DNS_NAME_TEXT)
				continue;
			memcpy(full, name.data, name.len);
			full[name.len] = '.';
			memcpy(full + name.len + 1, d->domains[i], k);
			found = resolve(nm, bytes_of(full, name.len + 1 + k), true, out, &zone);
			if (found == MAGICDNS_ADDRESSES)
				return found;
		}
	}
	return resolve(nm, name, true, out, &zone);
}

/* --- for DNS clients --- */

struct reply {
	struct dns_writer d;
	struct dns_edns edns;
	uint8_t *out;
	size_t cap;
};

static void reply_begin(struct reply *r, const struct dns_head *q,
			const struct dns_question *question, uint8_t rcode, bool tc)
{
	struct dns_head h = { .id = q->id,
			      .qr = true,
			      .opcode = q->opcode,
			      .aa = rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN,
			      .tc = tc,
			      .rd = q->rd,
			      .ra = q->rd,
			      .rcode = rcode };

	dns_begin(&r->d, r->out, r->cap, &h);
	if (question)
		dns_put_question(&r->d, question);
}

static size_t reply_end(struct reply *r)
{
	if (r->edns.there)
		dns_put_edns(&r->d, 1232);
	return dns_finish(&r->d);
}

/* AAAA of a node that has an IPv4 is withheld, unless the own node says otherwise or has no IPv4
 * itself. */
static bool withhold_v6(const struct netmap *nm, const struct magicdns_answer *a)
{
	const struct netmap_node *self = netmap_self(nm);
	bool self4 = false;

	if (!a->node || a->n == 0 || !ip_is_v4(&a->v[0]) || !self || has_cap(self, aaaa_cap))
		return false;
	for (size_t i = 0; i < self->n_addresses; i++)
		self4 |= ip_is_v4(&self->addresses[i].ip);
	return self4;
}

static bool wanted(const struct netmap *nm, const struct magicdns_answer *a, uint16_t type,
		   size_t i)
{
	switch (type) {
	case DNS_A:
		return ip_is_v4(&a->v[i]);
	case DNS_AAAA:
		return !ip_is_v4(&a->v[i]) && !withhold_v6(nm, a);
	case DNS_ANY:
		return i == 0;
	default:
		return false;
	}
}

static void put_negative(struct reply *r, const char *zone)
{
	dns_put_soa(&r->d, zone, MAGICDNS_NEGATIVE_TTL_S, service_name,
		    "hostmaster.localhost-tailscale-daemon");
}

static bool not_offered(uint16_t type)
{
	return type == DNS_NS || type == DNS_SOA || type == DNS_AXFR || type == DNS_HINFO;
}

static void put_local(const struct netmap *nm, struct reply *r, const struct dns_reader *q,
		      enum magicdns_found found, const struct magicdns_answer *a, const char *zone)
{
	bool any = false;

	if (found == MAGICDNS_NXDOMAIN) {
		reply_begin(r, &q->head, &q->q, DNS_NXDOMAIN, false);
		put_negative(r, zone);
		return;
	}
	if (not_offered(q->q.type)) {
		reply_begin(r, &q->head, &q->q, DNS_NOTIMP, false);
		return;
	}
	reply_begin(r, &q->head, &q->q, DNS_NOERROR, false);
	for (size_t i = 0; i < a->n; i++)
		if (wanted(nm, a, q->q.type, i)) {
			dns_put_ip(&r->d, DNS_ANSWER, q->q.name, MAGICDNS_TTL_S, &a->v[i]);
			any = true;
		}
	if (!any)
		put_negative(r, zone);
}

/* The name of a node's address; false: not an address of the tailnet's nodes. */
static bool put_reverse(const struct netmap *nm, struct reply *r, const struct dns_reader *q)
{
	const struct netmap_node *n;
	struct ip a;

	if (q->q.type != DNS_PTR || !dns_reverse_parse(q->q.name, &a))
		return false;
	n = netmap_by_ip(nm, &a);
	if (!n || !n->name[0] || !dns_name_valid(bytes_str(n->name)))
		return false;
	reply_begin(r, &q->head, &q->q, DNS_NOERROR, false);
	dns_put_name(&r->d, DNS_ANSWER, q->q.name, DNS_PTR, MAGICDNS_TTL_S, n->name);
	return true;
}

size_t magicdns_fail(struct bytes query, int rcode, uint8_t *out, size_t cap)
{
	struct reply r = { .out = out, .cap = cap };
	struct dns_reader q;
	struct dns_head h;

	if (dns_open(&q, query)) {
		reply_begin(&r, &q.head, &q.q, (uint8_t)rcode, false);
	} else {
		if (!dns_head_parse(query, &h))
			return 0;
		reply_begin(&r, &h, NULL, (uint8_t)rcode, false);
	}
	return dns_finish(&r.d);
}

static enum magicdns_verdict fail(struct bytes query, int rcode, uint8_t *out, size_t cap,
				  size_t *len)
{
	*len = magicdns_fail(query, rcode, out, cap);
	return *len > 0 ? MAGICDNS_REPLY : MAGICDNS_DROP;
}

enum magicdns_verdict magicdns_reply(const struct netmap *nm, struct bytes query, bool udp,
				     uint8_t *out, size_t cap, size_t *len,
				     struct magicdns_answer *fwd)
{
	struct reply r = { .out = out, .cap = cap };
	enum magicdns_found found;
	struct dns_head h;
	struct dns_reader q;
	const char *zone;

	*len = 0;
	*fwd = (struct magicdns_answer){ .n = 0 };
	if (!dns_head_parse(query, &h) || h.qr)
		return MAGICDNS_DROP;
	if (h.opcode != 0)
		return fail(query, DNS_NOTIMP, out, cap, len);
	if (!dns_find_edns(query, &r.edns) || !dns_open(&q, query))
		return fail(query, DNS_FORMERR, out, cap, len);
	if (q.q.class != DNS_IN)
		return fail(query, DNS_REFUSED, out, cap, len);
	if (udp && r.cap > r.edns.udp_size)
		r.cap = r.edns.udp_size;
	if (!put_reverse(nm, &r, &q)) {
		found = resolve(nm, bytes_str(q.q.name), netmap_dns(nm)->proxied, fwd, &zone);
		if (found == MAGICDNS_FORWARD && fwd->n_resolvers > 0)
			return MAGICDNS_ASK_UPSTREAM;
		if (found == MAGICDNS_FORWARD) /* nobody to ask */
			return fail(query, DNS_SERVFAIL, out, cap, len);
		put_local(nm, &r, &q, found, fwd, zone);
	}
	*len = reply_end(&r);
	if (*len == 0) { /* does not fit: the question alone, and TC */
		reply_begin(&r, &q.head, &q.q, DNS_NOERROR, true);
		*len = reply_end(&r);
	}
	return *len > 0 ? MAGICDNS_REPLY : MAGICDNS_DROP;
}
