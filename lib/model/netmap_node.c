/* model/netmap_node.c - one node: from JSON to scratch, packed into one allocation, compared; see
 * netmap_priv.h */
#include "base/text.h"
#include "model/netmap_priv.h"

#include <stdlib.h>

enum { SERVICES_MAX = 64, DERP_IP_PREFIX = 11 /* "127.3.3.40:" of the legacy home relay */ };

/* --- fields --- */

static void spoil(struct json *j)
{
	j->failed = true;
	j->p = j->end;
}

static void read_key(struct json *j, enum key_kind kind, struct key_pub *out)
{
	char tmp[KEY_TEXT_MAX];
	struct bytes b = json_strb(j, tmp, sizeof tmp);

	*out = (struct key_pub){ { 0 } };
	if (b.len > 0 && !key_pub_parse(kind, b, out))
		spoil(j);
}

static wall_t read_time(struct json *j)
{
	char tmp[64];
	struct bytes b = json_strb(j, tmp, sizeof tmp);
	wall_t t = WALL_ZERO;

	if (b.len > 0 && !wall_parse(b, &t))
		spoil(j);
	return t;
}

/* A text that may be left out of its node: "" when there is no room for it. */
static void read_text(struct json *j, struct nm_scratch *s, char *out, size_t cap)
{
	if (!nm_text(j, out, cap))
		s->left_out++;
}

static wall_t read_time_past(struct json *j, struct nm_scratch *s)
{
	struct json look = *j;
	wall_t t = read_time(&look);

	if (json_ok(&look)) {
		*j = look;
		return t;
	}
	s->left_out++;
	json_skip(j);
	return WALL_ZERO;
}

static struct ip read_ip(struct json *j)
{
	char tmp[IP_TEXT];
	struct bytes b = json_strb(j, tmp, sizeof tmp);
	struct ip a = { { 0 } };

	if (b.len > 0 && !ip_parse(b, &a))
		spoil(j);
	return a;
}

/* what is beyond max is read and dropped */
static size_t read_prefixes(struct json *j, struct nm_scratch *s, struct ipprefix *v, size_t max)
{
	size_t n = 0;

	json_arr(j);
	while (json_elem(j)) {
		char tmp[IPPREFIX_TEXT + 4];
		struct bytes b = json_strb(j, tmp, sizeof tmp);
		struct ipprefix p;

		if (b.len == 0)
			continue;
		if (!ipprefix_parse(b, &p))
			spoil(j);
		else if (n < max)
			v[n++] = p;
		else
			s->left_out++;
	}
	return n;
}

/* One that we cannot read (with a zone, or of a kind that is new) is left out. */
static size_t read_endpoints(struct json *j, struct nm_scratch *s, struct ipport *v, size_t max)
{
	size_t n = 0;

	json_arr(j);
	while (json_elem(j)) {
		char tmp[NETMAP_NAME_MAX];
		struct ipport p;

		read_text(j, s, tmp, sizeof tmp);
		if (tmp[0] == 0)
			continue;
		if (n < max && ipport_parse(bytes_str(tmp), &p))
			v[n++] = p;
		else
			s->left_out++;
	}
	return n;
}

static void read_tags(struct json *j, struct nm_scratch *s)
{
	size_t n = 0;

	json_arr(j);
	while (json_elem(j)) {
		if (n == NETMAP_TAGS_MAX) {
			s->left_out++;
			json_skip(j);
			continue;
		}
		if (!nm_text(j, s->tag_text[n], sizeof s->tag_text[n])) {
			/* the node is a tagged one all the same, not its user's */
			memcpy(s->tag_text[n], "tag:", sizeof "tag:");
			s->left_out++;
		}
		s->tags[n] = s->tag_text[n];
		n++;
	}
	s->n.tags = s->tags;
	s->n.n_tags = n;
}

static uint16_t read_u16(struct json *j) /* out of range: 0 */
{
	int64_t v = json_i64(j);

	return v > 0 && v <= UINT16_MAX ? (uint16_t)v : 0;
}

static void read_service(struct json *j, struct nm_scratch *s)
{
	struct netmap_node *n = &s->n;
	char proto[32] = "";
	uint16_t port = 0;
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "Proto"))
			read_text(j, s, proto, sizeof proto);
		else if (json_key_is(key, "Port"))
			port = read_u16(j);
		else
			json_skip(j);
	}
	if (strcmp(proto, "peerapi4") == 0)
		n->peerapi4 = port;
	else if (strcmp(proto, "peerapi6") == 0)
		n->peerapi6 = port;
}

static void read_hostinfo(struct json *j, struct nm_scratch *s)
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "Hostname")) {
			read_text(j, s, s->hostname, sizeof s->hostname);
		} else if (json_key_is(key, "OS")) {
			read_text(j, s, s->os, sizeof s->os);
		} else if (json_key_is(key, "Services")) {
			json_arr(j);
			for (int i = 0; json_elem(j); i++) {
				if (i < SERVICES_MAX)
					read_service(j, s);
				else
					json_skip(j);
			}
		} else {
			json_skip(j);
		}
	}
}

static uint16_t legacy_derp(struct json *j) /* "127.3.3.40:7" */
{
	char tmp[32];
	struct bytes b = json_strb(j, tmp, sizeof tmp);
	uint16_t region = 0;

	if (b.len <= DERP_IP_PREFIX || memcmp(b.data, "127.3.3.40:", DERP_IP_PREFIX) != 0 ||
	    !text_u16(bytes_of(b.data + DERP_IP_PREFIX, b.len - DERP_IP_PREFIX), &region))
		return 0;
	return region;
}

static struct bytes read_object(struct json *j) /* its text; null and {} are empty */
{
	struct bytes raw, key;
	struct json look;

	if (json_null(j))
		return bytes_of("", 0);
	if (json_type(j) != JSON_OBJECT) {
		spoil(j);
		return bytes_of("", 0);
	}
	raw = json_raw(j);
	look = json_of(raw);
	json_obj(&look);
	return json_key(&look, &key) ? raw : bytes_of("", 0);
}

/* Capabilities (the old list) become members of the CapMap with null values. */
static struct bytes merge_caps(struct nm_scratch *s, struct bytes capmap, struct bytes list)
{
	struct json j = json_of(list);
	struct jsonw w;
	struct bytes key;
	bool any = false;

	buf_clear(&s->caps);
	jsonw_init(&w, &s->caps);
	jsonw_obj(&w);
	json_arr(&j);
	while (json_elem(&j)) {
		char name[NETMAP_NAME_MAX];

		json_str(&j, name, sizeof name);
		jsonw_key(&w, name);
		jsonw_null(&w);
		any = true;
	}
	if (!any || !json_ok(&j))
		return capmap;
	if (capmap.len > 0) {
		struct json m = json_of(capmap);

		json_obj(&m);
		while (json_key(&m, &key)) {
			char name[NETMAP_NAME_MAX];

			if (!json_unescape(key, name, sizeof name)) {
				json_skip(&m);
				continue;
			}
			jsonw_key(&w, name);
			jsonw_raw(&w, json_raw(&m));
		}
	}
	jsonw_obj_end(&w);
	return jsonw_ok(&w) ? buf_bytes(&s->caps) : capmap;
}

/* --- a whole node --- */

struct leftovers { /* what is put together when all fields are known */
	struct bytes caps;
	uint16_t old_derp;
	bool allowed_given;
};

static void read_ids(struct json *j, struct bytes key, struct nm_scratch *s)
{
	struct netmap_node *n = &s->n;

	if (json_key_is(key, "ID"))
		n->id = json_i64(j);
	else if (json_key_is(key, "StableID"))
		read_text(j, s, s->stable_id, sizeof s->stable_id);
	else if (json_key_is(key, "Name"))
		read_text(j, s, s->name, sizeof s->name);
	else if (json_key_is(key, "User"))
		n->user = json_i64(j);
	else if (json_key_is(key, "Key"))
		read_key(j, KEY_NODE, &n->key);
	else if (json_key_is(key, "Machine"))
		read_key(j, KEY_MACHINE, &n->machine);
	else if (json_key_is(key, "DiscoKey"))
		read_key(j, KEY_DISCO, &n->disco);
	else if (json_key_is(key, "KeyExpiry"))
		n->key_expiry = read_time(j);
	else if (json_key_is(key, "Created"))
		n->created = read_time_past(j, s);
	else if (json_key_is(key, "LastSeen"))
		n->last_seen = read_time_past(j, s);
	else if (json_key_is(key, "Tags"))
		read_tags(j, s);
	else if (json_key_is(key, "Hostinfo"))
		read_hostinfo(j, s);
	else
		json_skip(j);
}

static void read_states(struct json *j, struct bytes key, struct nm_scratch *s)
{
	struct netmap_node *n = &s->n;

	if (json_key_is(key, "Cap"))
		n->cap = (int)read_u16(j);
	else if (json_key_is(key, "Online"))
		n->online = json_null(j) ? -1 : json_bool(j);
	else if (json_key_is(key, "MachineAuthorized"))
		n->authorized = json_bool(j);
	else if (json_key_is(key, "Expired"))
		n->expired = json_bool(j);
	else if (json_key_is(key, "IsWireGuardOnly"))
		n->wireguard_only = json_bool(j);
	else if (json_key_is(key, "IsJailed"))
		n->jailed = json_bool(j);
	else if (json_key_is(key, "UnsignedPeerAPIOnly"))
		n->unsigned_peerapi_only = json_bool(j);
	else
		read_ids(j, key, s);
}

static void read_member(struct json *j, struct bytes key, struct nm_scratch *s, struct leftovers *l)
{
	struct netmap_node *n = &s->n;

	if (json_key_is(key, "Addresses")) {
		n->n_addresses = read_prefixes(j, s, s->addresses, NETMAP_ADDRS_MAX);
	} else if (json_key_is(key, "AllowedIPs")) {
		l->allowed_given = json_type(j) != JSON_NULL;
		n->n_allowed = read_prefixes(j, s, s->allowed, NETMAP_ROUTES_MAX);
	} else if (json_key_is(key, "PrimaryRoutes")) {
		n->n_primary_routes = read_prefixes(j, s, s->primary, NETMAP_ROUTES_MAX);
	} else if (json_key_is(key, "Endpoints")) {
		n->n_endpoints = read_endpoints(j, s, s->endpoints, NETMAP_ENDPOINTS_MAX);
	} else if (json_key_is(key, "HomeDERP")) {
		n->home_derp = read_u16(j);
	} else if (json_key_is(key, "DERP")) {
		l->old_derp = legacy_derp(j);
	} else if (json_key_is(key, "CapMap")) {
		n->capmap = read_object(j);
	} else if (json_key_is(key, "Capabilities")) {
		l->caps = json_raw(j);
	} else if (json_key_is(key, "SelfNodeV4MasqAddrForThisPeer")) {
		s->masq[0] = read_ip(j);
	} else if (json_key_is(key, "SelfNodeV6MasqAddrForThisPeer")) {
		s->masq[1] = read_ip(j);
	} else {
		read_states(j, key, s);
	}
}

bool nm_node_decode(struct bytes text, struct nm_scratch *s)
{
	struct json j = json_of(text);
	struct leftovers l = { .caps = { NULL, 0 } };
	struct netmap_node *n = &s->n;
	struct bytes key;

	s->left_out = 0;
	s->stable_id[0] = s->name[0] = s->hostname[0] = s->os[0] = 0;
	s->masq[0] = s->masq[1] = (struct ip){ 0 };
	*n = (struct netmap_node){ .stable_id = s->stable_id,
				   .name = s->name,
				   .hostname = s->hostname,
				   .os = s->os,
				   .peer = NO_PEER,
				   .online = -1,
				   .addresses = s->addresses,
				   .allowed = s->allowed,
				   .primary_routes = s->primary,
				   .endpoints = s->endpoints };
	if (json_type(&j) != JSON_OBJECT)
		return false;
	json_obj(&j);
	while (json_key(&j, &key))
		read_member(&j, key, s, &l);
	if (!json_done(&j) || n->id <= 0 || key_is_zero(&n->key))
		return false;
	if (!l.allowed_given || n->unsigned_peerapi_only) {
		n->allowed = n->addresses;
		n->n_allowed = n->n_addresses;
	}
	if (n->home_derp == 0)
		n->home_derp = l.old_derp;
	if (!ip_is_zero(&s->masq[0]) || !ip_is_zero(&s->masq[1]))
		n->masq = s->masq;
	if (l.caps.len > 0)
		n->capmap = merge_caps(s, n->capmap, l.caps);
	return true;
}

/* --- patches --- */

bool nm_patch_id(struct bytes text, int64_t *id)
{
	struct json j = json_of(text);
	struct bytes key;

	*id = 0;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "NodeID"))
			*id = json_i64(&j);
		else
			json_skip(&j);
	}
	return json_done(&j) && *id > 0;
}

void nm_scratch_load(struct nm_scratch *s, const struct nm_rec *base)
{
	s->left_out = 0;
	s->n = base->n;
	s->n.n_endpoints = base->n_endpoints;
	s->n.home_derp = base->home_derp;
	s->n.expired = base->sent_expired;
}

static void read_patch(struct json *j, struct bytes key, struct nm_scratch *s)
{
	struct netmap_node *n = &s->n;
	uint16_t v;

	if (json_key_is(key, "DERPRegion")) {
		v = read_u16(j);
		n->home_derp = v ? v : n->home_derp;
	} else if (json_key_is(key, "Cap")) {
		v = read_u16(j);
		n->cap = v ? v : n->cap;
	} else if (json_null(j)) { /* of all others: unchanged */
		return;
	} else if (json_key_is(key, "CapMap")) {
		n->capmap = read_object(j);
	} else if (json_key_is(key, "Endpoints")) {
		n->n_endpoints = read_endpoints(j, s, s->endpoints, NETMAP_ENDPOINTS_MAX);
		n->endpoints = s->endpoints;
	} else if (json_key_is(key, "Key")) {
		read_key(j, KEY_NODE, &n->key);
	} else if (json_key_is(key, "DiscoKey")) {
		read_key(j, KEY_DISCO, &n->disco);
	} else if (json_key_is(key, "Online")) {
		n->online = json_bool(j);
	} else if (json_key_is(key, "LastSeen")) {
		n->last_seen = read_time_past(j, s);
	} else if (json_key_is(key, "KeyExpiry")) {
		n->key_expiry = read_time(j);
	} else {
		json_skip(j);
	}
}

bool nm_patch_decode(struct bytes text, const struct nm_rec *base, struct nm_scratch *s)
{
	struct json j = json_of(text);
	struct bytes key;

	nm_scratch_load(s, base);
	json_obj(&j);
	while (json_key(&j, &key))
		read_patch(&j, key, s);
	return json_done(&j) && !key_is_zero(&s->n.key);
}

/* --- records --- */

static bool same_prefixes(const struct ipprefix *a, size_t n, const struct ipprefix *b, size_t m)
{
	if (n != m)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!ipprefix_eq(&a[i], &b[i]))
			return false;
	return true;
}

static void *carve(uint8_t **p, size_t size)
{
	uint8_t *at = *p;

	*p += size;
	return at;
}

static const char *carve_str(uint8_t **p, const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(carve(p, n), s, n);
}

static const struct ipprefix *carve_prefixes(uint8_t **p, const struct ipprefix *v, size_t n)
{
	struct ipprefix *at = carve(p, n * sizeof *v);

	if (n > 0)
		memcpy(at, v, n * sizeof *v);
	return at;
}

struct nm_rec *nm_rec_pack(const struct netmap_node *n)
{
	bool shared = same_prefixes(n->addresses, n->n_addresses, n->allowed, n->n_allowed);
	size_t size = sizeof(struct nm_rec), tags = 0;
	const char **tag;
	struct ipport *ep;
	struct nm_rec *r;
	uint8_t *p;

	for (size_t i = 0; i < n->n_tags; i++)
		tags += strlen(n->tags[i]) + 1;
	size += n->n_tags * sizeof *tag + tags + n->n_endpoints * sizeof *ep;
	size += n->masq ? 2 * sizeof *n->masq : 0;
	size += (n->n_addresses + (shared ? 0 : n->n_allowed) + n->n_primary_routes) *
		sizeof(struct ipprefix);
	size += strlen(n->stable_id) + strlen(n->name) + strlen(n->hostname) + strlen(n->os) + 4 +
		n->capmap.len;
	r = malloc(size);
	if (!r)
		return NULL;
	*r = (struct nm_rec){ .n = *n,
			      .size = (uint32_t)size,
			      .n_endpoints = n->n_endpoints,
			      .home_derp = n->home_derp,
			      .sent_expired = n->expired };
	p = (uint8_t *)(r + 1); /* pointers, then what wants two bytes, then single bytes */
	tag = carve(&p, n->n_tags * sizeof *tag);
	ep = carve(&p, n->n_endpoints * sizeof *ep);
	if (n->n_endpoints > 0)
		memcpy(ep, n->endpoints, n->n_endpoints * sizeof *ep);
	r->n.tags = tag;
	r->n.endpoints = ep;
	r->n.addresses = carve_prefixes(&p, n->addresses, n->n_addresses);
	r->n.allowed = shared ? r->n.addresses : carve_prefixes(&p, n->allowed, n->n_allowed);
	r->n.primary_routes = carve_prefixes(&p, n->primary_routes, n->n_primary_routes);
	r->n.masq =
	    n->masq ? memcpy(carve(&p, 2 * sizeof *n->masq), n->masq, 2 * sizeof *n->masq) : NULL;
	for (size_t i = 0; i < n->n_tags; i++)
		tag[i] = carve_str(&p, n->tags[i]);
	r->n.stable_id = carve_str(&p, n->stable_id);
	r->n.name = carve_str(&p, n->name);
	r->n.hostname = carve_str(&p, n->hostname);
	r->n.os = carve_str(&p, n->os);
	r->n.capmap = bytes_of(carve(&p, n->capmap.len), n->capmap.len);
	if (n->capmap.len > 0)
		memcpy(p - n->capmap.len, n->capmap.data, n->capmap.len);
	return r;
}

static bool same_tags(const struct netmap_node *a, const struct netmap_node *b)
{
	if (a->n_tags != b->n_tags)
		return false;
	for (size_t i = 0; i < a->n_tags; i++)
		if (strcmp(a->tags[i], b->tags[i]) != 0)
			return false;
	return true;
}

static bool same_masq(const struct ip *a, const struct ip *b)
{
	return a && b ? ip_eq(&a[0], &b[0]) && ip_eq(&a[1], &b[1]) : !a && !b;
}

static bool same_rest(const struct netmap_node *a, const struct netmap_node *b)
{
	return a->user == b->user && a->cap == b->cap && a->online == b->online &&
	       a->authorized == b->authorized && a->wireguard_only == b->wireguard_only &&
	       a->jailed == b->jailed && a->unsigned_peerapi_only == b->unsigned_peerapi_only &&
	       a->peerapi4 == b->peerapi4 && a->peerapi6 == b->peerapi6 &&
	       a->key_expiry.ns == b->key_expiry.ns && a->created.ns == b->created.ns &&
	       a->last_seen.ns == b->last_seen.ns && same_masq(a->masq, b->masq) &&
	       key_eq(&a->machine, &b->machine) && strcmp(a->stable_id, b->stable_id) == 0 &&
	       strcmp(a->name, b->name) == 0 && strcmp(a->hostname, b->hostname) == 0 &&
	       strcmp(a->os, b->os) == 0 && bytes_eq(a->capmap, b->capmap) && same_tags(a, b) &&
	       same_prefixes(a->primary_routes, a->n_primary_routes, b->primary_routes,
			     b->n_primary_routes);
}

unsigned nm_node_diff(const struct nm_rec *old, const struct netmap_node *n)
{
	const struct netmap_node *o = &old->n;
	unsigned what = 0;
	bool same = old->n_endpoints == n->n_endpoints;

	for (size_t i = 0; same && i < n->n_endpoints; i++)
		same = ipport_eq(&o->endpoints[i], &n->endpoints[i]);
	if (!same)
		what |= NETMAP_P_ENDPOINTS;
	if (!key_eq(&o->key, &n->key))
		what |= NETMAP_P_KEY;
	if (!key_eq(&o->disco, &n->disco))
		what |= NETMAP_P_DISCO;
	if (old->home_derp != n->home_derp)
		what |= NETMAP_P_DERP;
	if (!same_prefixes(o->addresses, o->n_addresses, n->addresses, n->n_addresses) ||
	    !same_prefixes(o->allowed, o->n_allowed, n->allowed, n->n_allowed))
		what |= NETMAP_P_ALLOWED;
	if (!same_rest(o, n) || old->sent_expired != n->expired)
		what |= NETMAP_P_OTHER;
	return what;
}

bool nm_rec_expire(struct nm_rec *r, int64_t control_now_ns)
{
	bool expired =
	    r->sent_expired || (r->n.key_expiry.ns > 0 && r->n.key_expiry.ns <= control_now_ns);
	bool changed = expired != r->n.expired;

	r->n.expired = expired;
	r->n.n_endpoints = expired ? 0 : r->n_endpoints;
	r->n.home_derp = expired ? 0 : r->home_derp;
	return changed;
}
