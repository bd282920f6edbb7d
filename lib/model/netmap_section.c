/* model/netmap_section.c - relays, DNS, health, users of a frame; see netmap_priv.h */
#include "model/netmap_priv.h"

#include <errno.h>
#include <stdlib.h>

enum { DERP_NODES_MAX = 64, DNS_TEXT_MAX = 1024, STUN_PORT = 3478, DERP_PORT = 443, DNS_PORT = 53 };

/* how many members or elements the container at j has; j stays */
static size_t count(struct json j, bool obj, size_t max)
{
	struct bytes key;
	size_t n = 0;

	if (obj)
		json_obj(&j);
	else
		json_arr(&j);
	while (n < max && (obj ? json_key(&j, &key) : json_elem(&j))) {
		json_skip(&j);
		n++;
	}
	return n;
}

/* the string as a copy in the arena; "" when it is longer than DNS_TEXT_MAX: then the reader failed
 */
static const char *read_str(struct json *j, struct arena *a)
{
	char tmp[DNS_TEXT_MAX];
	const char *s = arena_str(a, json_strb(j, tmp, sizeof tmp));

	return s ? s : "";
}

bool nm_text(struct json *j, char *out, size_t cap)
{
	struct json look = *j;

	json_str(&look, out, cap);
	if (json_ok(&look) || json_type(j) != JSON_STRING) {
		*j = look;
		return true;
	}
	out[0] = 0;
	json_skip(j);
	return false;
}

/* How a section's decoding ended; its memory is freed unless it went well. */
static int section_end(struct json *j, struct arena *a)
{
	int r = a->failed ? -ENOMEM : json_done(j) ? 0 : -EBADMSG;

	if (r < 0)
		arena_free(a);
	return r;
}

/* --- relays --- */

/* an address, or none; any other text disables the family */
static void read_family(struct json *j, struct arena *a, struct ip *ip, bool *disabled)
{
	const char *s = read_str(j, a);

	if (*s && !ip_parse(bytes_str(s), ip))
		*disabled = true;
}

static void read_derp_node(struct json *j, struct arena *a, struct netmap_derp_node *d)
{
	struct bytes key;
	int64_t v;

	*d = (struct netmap_derp_node){ .name = "",
					.host = "",
					.cert_name = "",
					.stun_port = STUN_PORT,
					.derp_port = DERP_PORT };
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "Name")) {
			d->name = read_str(j, a);
		} else if (json_key_is(key, "HostName")) {
			d->host = read_str(j, a);
		} else if (json_key_is(key, "CertName")) {
			d->cert_name = read_str(j, a);
		} else if (json_key_is(key, "IPv4")) {
			read_family(j, a, &d->v4, &d->no_v4);
		} else if (json_key_is(key, "IPv6")) {
			read_family(j, a, &d->v6, &d->no_v6);
		} else if (json_key_is(key, "STUNPort")) {
			v = json_i64(j);
			d->stun_port = v == 0 ? STUN_PORT : v > 0 && v <= UINT16_MAX ? (int)v : -1;
		} else if (json_key_is(key, "DERPPort")) {
			v = json_i64(j);
			d->derp_port = v > 0 && v <= UINT16_MAX ? (uint16_t)v : DERP_PORT;
		} else if (json_key_is(key, "STUNOnly")) {
			d->stun_only = json_bool(j);
		} else if (json_key_is(key, "InsecureForTests")) {
			d->insecure = json_bool(j);
		} else {
			json_skip(j);
		}
	}
}

static void read_derp_nodes(struct json *j, struct arena *a, struct netmap_region *r)
{
	size_t max = count(*j, false, DERP_NODES_MAX), n = 0;
	struct netmap_derp_node *v = arena_alloc(a, max * sizeof *v);

	json_arr(j);
	while (json_elem(j)) {
		if (json_null(j))
			continue;
		if (v && n < max)
			read_derp_node(j, a, &v[n++]);
		else
			json_skip(j);
	}
	r->nodes = v;
	r->n_nodes = n;
}

static bool read_region(struct bytes text, struct arena *a, struct netmap_region *r)
{
	struct json j = json_of(text);
	struct bytes key;
	int64_t id = 0;

	*r = (struct netmap_region){ .code = "", .name = "", .score = 1 };
	if (json_type(&j) != JSON_OBJECT) /* null regions are skipped */
		return false;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "RegionID"))
			id = json_i64(&j);
		else if (json_key_is(key, "RegionCode"))
			r->code = read_str(&j, a);
		else if (json_key_is(key, "RegionName"))
			r->name = read_str(&j, a);
		else if (json_key_is(key, "Avoid"))
			r->avoid = json_bool(&j);
		else if (json_key_is(key, "NoMeasureNoHome"))
			r->no_measure_no_home = json_bool(&j);
		else if (json_key_is(key, "Nodes"))
			read_derp_nodes(&j, a, r);
		else
			json_skip(&j);
	}
	r->id = id > 0 && id <= UINT16_MAX ? (uint16_t)id : 0;
	return json_done(&j) && r->id > 0;
}

static int region_cmp(const void *x, const void *y)
{
	const struct netmap_region *a = x, *b = y;

	return (a->id > b->id) - (a->id < b->id);
}

static void read_regions(struct json *j, struct nm_derp *d)
{
	size_t max = count(*j, true, NETMAP_REGIONS_MAX);
	struct bytes key, raw;

	d->v = arena_alloc(&d->mem, max * sizeof *d->v);
	json_obj(j);
	while (json_key(j, &key)) {
		raw = json_raw(j);
		if (d->v && d->n < max && read_region(raw, &d->mem, &d->v[d->n]))
			d->n++;
	}
	if (d->n > 0)
		qsort(d->v, d->n, sizeof *d->v, region_cmp);
}

static void read_scores(struct json *j, struct nm_derp *d)
{
	size_t max = count(*j, true, NETMAP_REGIONS_MAX), n = 0;
	struct bytes key;

	d->scores = arena_alloc(&d->mem, max * sizeof *d->scores);
	json_obj(j);
	while (json_key(j, &key)) {
		uint64_t id = 0;
		double score = json_f64(j);
		struct json k = json_of(key);

		id = json_u64(&k);
		if (d->scores && n < max && json_done(&k) && id > 0 && id <= UINT16_MAX &&
		    score > 0)
			d->scores[n++] = (struct nm_score){ (uint16_t)id, score };
	}
	d->n_scores = n;
}

static void keep_regions(struct nm_derp *out, const struct nm_derp *old)
{
	struct arena *a = &out->mem;

	out->v = arena_alloc(a, old->n * sizeof *out->v);
	for (size_t i = 0; out->v && i < old->n; i++) {
		const struct netmap_region *o = &old->v[i];
		struct netmap_derp_node *nodes = arena_alloc(a, o->n_nodes * sizeof *nodes);

		out->v[i] = *o;
		out->v[i].code = arena_str(a, bytes_str(o->code));
		out->v[i].name = arena_str(a, bytes_str(o->name));
		out->v[i].nodes = nodes;
		for (size_t k = 0; nodes && k < o->n_nodes; k++) {
			nodes[k] = o->nodes[k];
			nodes[k].name = arena_str(a, bytes_str(o->nodes[k].name));
			nodes[k].host = arena_str(a, bytes_str(o->nodes[k].host));
			nodes[k].cert_name = arena_str(a, bytes_str(o->nodes[k].cert_name));
		}
	}
	out->n = old->n;
}

static void keep_scores(struct nm_derp *out, const struct nm_derp *old)
{
	out->scores = arena_alloc(&out->mem, old->n_scores * sizeof *out->scores);
	if (out->scores && old->n_scores > 0)
		memcpy(out->scores, old->scores, old->n_scores * sizeof *out->scores);
	out->n_scores = old->n_scores;
}

static void apply_scores(struct nm_derp *d)
{
	for (size_t i = 0; i < d->n; i++) {
		d->v[i].score = 1;
		for (size_t k = 0; k < d->n_scores; k++)
			if (d->scores[k].id == d->v[i].id)
				d->v[i].score = d->scores[k].score;
	}
}

int nm_derp_decode(struct bytes text, const struct nm_derp *old, struct nm_derp *out)
{
	struct json j = json_of(text);
	bool regions = false, scores = false;
	struct bytes key;
	int r;

	*out = (struct nm_derp){ 0 };
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Regions") && json_type(&j) == JSON_OBJECT && !regions) {
			read_regions(&j, out);
			regions = true;
		} else if (json_key_is(key, "HomeParams") && json_type(&j) == JSON_OBJECT) {
			json_obj(&j);
			while (json_key(&j, &key)) {
				if (json_key_is(key, "RegionScore") &&
				    json_type(&j) == JSON_OBJECT && !scores) {
					read_scores(&j, out);
					scores = true;
				} else {
					json_skip(&j);
				}
			}
		} else {
			json_skip(&j);
		}
	}
	if (!regions)
		keep_regions(out, old);
	if (!scores)
		keep_scores(out, old);
	r = section_end(&j, &out->mem);
	if (r == 0)
		apply_scores(out);
	return r;
}

/* --- DNS --- */

/* lower case, no dots around */
static const char *plain_name(struct arena *a, struct bytes s)
{
	char *p;

	while (s.len > 0 && s.data[0] == '.')
		s = bytes_of(s.data + 1, s.len - 1);
	while (s.len > 0 && s.data[s.len - 1] == '.')
		s.len--;
	p = arena_str(a, s);
	for (char *c = p; c && *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	return p ? p : "";
}

/* What is too long is left out, and with it what it is part of. */
static const char *read_word(struct json *j, struct nm_dns *d)
{
	char tmp[DNS_TEXT_MAX];
	const char *s;

	if (!nm_text(j, tmp, sizeof tmp))
		d->left_out++;
	s = arena_str(&d->mem, bytes_str(tmp));
	return s ? s : "";
}

static const char *read_name(struct json *j, struct nm_dns *d)
{
	char tmp[DNS_TEXT_MAX];

	if (!nm_text(j, tmp, sizeof tmp))
		d->left_out++;
	return plain_name(&d->mem, bytes_str(tmp));
}

static bool read_resolver(struct json *j, struct nm_dns *d, struct netmap_resolver *r)
{
	const char *addr = "";
	struct bytes key;

	*r = (struct netmap_resolver){ .url = "" };
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "Addr"))
			addr = read_word(j, d);
		else if (json_key_is(key, "UseWithExitNode"))
			r->use_with_exit = json_bool(j);
		else
			json_skip(j);
	}
	if (ip_parse(bytes_str(addr), &r->addr.ip)) {
		r->addr.port = DNS_PORT;
		return true;
	}
	if (ipport_parse(bytes_str(addr), &r->addr))
		return true;
	r->url = addr;
	return strstr(addr, "://") != NULL;
}

static const struct netmap_resolver *read_resolvers(struct json *j, struct nm_dns *d, size_t *n)
{
	size_t max = count(*j, false, NETMAP_DNS_MAX);
	struct netmap_resolver *v = arena_alloc(&d->mem, max * sizeof *v);

	*n = 0;
	json_arr(j);
	while (json_elem(j)) {
		if (!v || *n == max)
			json_skip(j);
		else if (read_resolver(j, d, &v[*n]))
			++*n;
	}
	return v;
}

static void read_routes(struct json *j, struct nm_dns *d)
{
	size_t max = count(*j, true, NETMAP_DNS_MAX), n = 0;
	struct netmap_route *v = arena_alloc(&d->mem, max * sizeof *v);
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		char name[NETMAP_NAME_MAX];
		size_t sent;

		if (!v || n == max || !json_unescape(key, name, sizeof name)) {
			json_skip(j);
			continue;
		}
		sent = count(*j, false, 1);
		v[n].suffix = plain_name(&d->mem, bytes_str(name));
		v[n].v = read_resolvers(j, d, &v[n].n);
		if (sent == 0 || v[n].n > 0) /* all its resolvers unreadable: not a local answer */
			n++;
	}
	d->d.routes = v;
	d->d.n_routes = n;
}

static const char *const *read_names(struct json *j, struct nm_dns *d, size_t *n)
{
	size_t max = count(*j, false, NETMAP_DNS_MAX);
	const char **v = arena_alloc(&d->mem, max * sizeof *v);

	*n = 0;
	json_arr(j);
	while (json_elem(j)) {
		if (!v || *n == max)
			json_skip(j);
		else if (*(v[*n] = read_name(j, d)))
			++*n;
	}
	return v;
}

static int record_cmp(const void *x, const void *y)
{
	const struct netmap_record *a = x, *b = y;
	int c = strcmp(a->name, b->name);

	return c ? c : ip_cmp(&a->ip, &b->ip);
}

static bool read_record(struct json *j, struct nm_dns *d, struct netmap_record *r)
{
	const char *type = "", *value = "";
	struct bytes key;

	*r = (struct netmap_record){ .name = "" };
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "Name"))
			r->name = read_name(j, d);
		else if (json_key_is(key, "Type"))
			type = read_word(j, d);
		else if (json_key_is(key, "Value"))
			value = read_word(j, d);
		else
			json_skip(j);
	}
	if (!*r->name || !ip_parse(bytes_str(value), &r->ip))
		return false;
	return !*type || strcmp(type, ip_is_v4(&r->ip) ? "A" : "AAAA") == 0;
}

static void read_records(struct json *j, struct nm_dns *d)
{
	size_t max = count(*j, false, NETMAP_DNS_MAX), n = 0;
	struct netmap_record *v = arena_alloc(&d->mem, max * sizeof *v);

	json_arr(j);
	while (json_elem(j)) {
		if (!v || n == max)
			json_skip(j);
		else if (read_record(j, d, &v[n]))
			n++;
	}
	if (n > 0)
		qsort(v, n, sizeof *v, record_cmp);
	d->d.records = v;
	d->d.n_records = n;
}

int nm_dns_decode(struct bytes text, struct nm_dns *out)
{
	struct json j = json_of(text);
	struct netmap_dns *d = &out->d;
	struct bytes key;

	*out = (struct nm_dns){ 0 };
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Resolvers"))
			d->resolvers = read_resolvers(&j, out, &d->n_resolvers);
		else if (json_key_is(key, "FallbackResolvers"))
			d->fallback = read_resolvers(&j, out, &d->n_fallback);
		else if (json_key_is(key, "Routes"))
			read_routes(&j, out);
		else if (json_key_is(key, "Domains"))
			d->domains = read_names(&j, out, &d->n_domains);
		else if (json_key_is(key, "CertDomains"))
			d->cert_domains = read_names(&j, out, &d->n_cert_domains);
		else if (json_key_is(key, "ExtraRecords"))
			read_records(&j, out);
		else if (json_key_is(key, "Proxied"))
			d->proxied = json_bool(&j);
		else
			json_skip(&j);
	}
	return section_end(&j, &out->mem);
}

/* --- health --- */

static void health_add(struct nm_health *h, const char *id, const char *text)
{
	if (h->n == NETMAP_HEALTH_MAX)
		return;
	h->id[h->n] = id ? arena_str(&h->mem, bytes_str(id)) : NULL;
	h->text[h->n] = arena_str(&h->mem, bytes_str(text));
	if (!h->mem.failed)
		h->n++;
}

static void health_drop(struct nm_health *h, const char *id) /* NULL: all display messages */
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (h->id[i] && (!id || strcmp(h->id[i], id) == 0))
			continue;
		h->id[n] = h->id[i];
		h->text[n++] = h->text[i];
	}
	h->n = n;
}

static void read_message(struct json *j, struct nm_health *h, const char *id)
{
	char title[DNS_TEXT_MAX] = "", text[DNS_TEXT_MAX] = "", both[2 * DNS_TEXT_MAX];
	struct bytes key;
	struct buf b;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "Title"))
			h->left_out += !nm_text(j, title, sizeof title);
		else if (json_key_is(key, "Text"))
			h->left_out += !nm_text(j, text, sizeof text);
		else
			json_skip(j);
	}
	buf_init(&b, sizeof both - 1);
	if (json_ok(j) && buf_printf(&b, "%s%s%s", title, *title && *text ? ": " : "", text)) {
		(void)bytes_to_str(buf_bytes(&b), both, sizeof both);
		health_add(h, id, both);
	} else if (json_ok(j)) {
		h->mem.failed = true;
	}
	buf_fini(&b);
}

static void read_messages(struct json *j, struct nm_health *h)
{
	struct json first = *j;
	struct bytes key;

	json_obj(&first);
	while (json_key(&first, &key)) { /* "*": null counts before all others */
		if (bytes_eq_str(key, "*") && json_type(&first) == JSON_NULL)
			health_drop(h, NULL);
		json_skip(&first);
	}
	json_obj(j);
	while (json_key(j, &key)) {
		char id[NETMAP_NAME_MAX];

		if (bytes_eq_str(key, "*") || !json_unescape(key, id, sizeof id)) {
			json_skip(j);
			continue;
		}
		health_drop(h, id);
		if (!json_null(j))
			read_message(j, h, id);
	}
}

int nm_health_decode(struct bytes text, bool display, const struct nm_health *old,
		     struct nm_health *out)
{
	struct json j = json_of(text);

	*out = (struct nm_health){ 0 };
	for (size_t i = 0; i < old->n; i++)
		if (display || old->id[i])
			health_add(out, old->id[i], old->text[i]);
	if (display) {
		read_messages(&j, out);
	} else {
		json_arr(&j);
		while (json_elem(&j)) {
			char line[2 * DNS_TEXT_MAX];

			if (!nm_text(&j, line, sizeof line))
				out->left_out++;
			else if (json_ok(&j))
				health_add(out, NULL, line);
		}
	}
	return section_end(&j, &out->mem);
}

/* --- users --- */

struct nm_user *nm_user_decode(struct bytes text, int *fault, uint64_t *left_out)
{
	char login[DNS_TEXT_MAX] = "", display[DNS_TEXT_MAX] = "", picture[DNS_TEXT_MAX] = "";
	struct json j = json_of(text);
	struct nm_user *u;
	struct bytes key;
	int64_t id = 0;
	size_t n, size;
	char *p;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "ID"))
			id = json_i64(&j);
		else if (json_key_is(key, "LoginName"))
			json_str(&j, login, sizeof login);
		else if (json_key_is(key, "DisplayName"))
			*left_out += !nm_text(&j, display, sizeof display);
		else if (json_key_is(key, "ProfilePicURL"))
			*left_out += !nm_text(&j, picture, sizeof picture);
		else
			json_skip(&j);
	}
	*fault = json_done(&j) && id != 0 ? 0 : -EBADMSG;
	if (*fault < 0)
		return NULL;
	size = sizeof *u + strlen(login) + strlen(display) + strlen(picture) + 3;
	u = malloc(size);
	if (!u) {
		*fault = -ENOMEM;
		return NULL;
	}
	p = (char *)(u + 1);
	*u = (struct nm_user){ .u = { .id = id }, .size = size };
	n = strlen(login) + 1;
	u->u.login = memcpy(p, login, n);
	p += n;
	n = strlen(display) + 1;
	u->u.display = memcpy(p, display, n);
	p += n;
	u->u.picture = memcpy(p, picture, strlen(picture) + 1);
	return u;
}
