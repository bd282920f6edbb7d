/* model/netmap_emit.c - the state as one MapResponse that netmap_feed takes back: the cached netmap
 *
 * Peers are sorted by id, so that the same state gives the same text. What was sent goes out, not
 * what expiry hides.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_member.h"
#include "model/netmap_priv.h"

static void emit_key(struct jsonw *w, const char *name, enum key_kind kind, const struct key_pub *k)
{
	char text[KEY_TEXT_MAX];

	if (!key_is_zero(k))
		jsonw_kstr(w, name, key_pub_text(kind, k, text));
}

static void emit_time(struct jsonw *w, const char *name, wall_t t)
{
	if (t.ns > 0)
		jsonw_kwall(w, name, t);
}

static void emit_ip(struct jsonw *w, const char *name, const struct ip *a)
{
	char text[IP_TEXT];

	if (!ip_is_zero(a))
		jsonw_kstr(w, name, ip_text(a, text));
}

static void emit_flag(struct jsonw *w, const char *name, bool v)
{
	if (v)
		jsonw_kbool(w, name, true);
}

static void emit_int(struct jsonw *w, const char *name, int64_t v)
{
	if (v != 0)
		jsonw_ki64(w, name, v);
}

static void emit_str(struct jsonw *w, const char *name, const char *s)
{
	if (*s)
		jsonw_kstr(w, name, s);
}

static void emit_strings(struct jsonw *w, const char *name, const char *const *v, size_t n)
{
	if (n == 0)
		return;
	jsonw_key(w, name);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, v[i]);
	jsonw_arr_end(w);
}

static void emit_hostinfo(struct jsonw *w, const struct netmap_node *n)
{
	static const char *const protos[2] = { "peerapi4", "peerapi6" };
	uint16_t ports[2] = { n->peerapi4, n->peerapi6 };

	jsonw_key(w, "Hostinfo");
	jsonw_obj(w);
	emit_str(w, "OS", n->os);
	emit_str(w, "Hostname", n->hostname);
	jsonw_key(w, "Services");
	jsonw_arr(w);
	for (int i = 0; i < 2; i++) {
		if (ports[i] == 0)
			continue;
		jsonw_obj(w);
		jsonw_kstr(w, "Proto", protos[i]);
		jsonw_ki64(w, "Port", ports[i]);
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
	jsonw_obj_end(w);
}

static void emit_node(struct jsonw *w, const struct nm_rec *r)
{
	const struct netmap_node *n = &r->n;

	jsonw_obj(w);
	jsonw_ki64(w, "ID", n->id);
	jsonw_kstr(w, "StableID", n->stable_id);
	jsonw_kstr(w, "Name", n->name);
	emit_int(w, "User", n->user);
	emit_key(w, "Key", KEY_NODE, &n->key);
	emit_time(w, "KeyExpiry", n->key_expiry);
	emit_key(w, "Machine", KEY_MACHINE, &n->machine);
	emit_key(w, "DiscoKey", KEY_DISCO, &n->disco);
	jsonw_kprefixes(w, "Addresses", n->addresses, n->n_addresses);
	jsonw_kprefixes(w, "AllowedIPs", n->allowed, n->n_allowed);
	jsonw_kipports(w, "Endpoints", r->n.endpoints, r->n_endpoints);
	emit_int(w, "HomeDERP", r->home_derp);
	emit_hostinfo(w, n);
	emit_time(w, "Created", n->created);
	emit_int(w, "Cap", n->cap);
	emit_strings(w, "Tags", n->tags, n->n_tags);
	if (n->n_primary_routes > 0)
		jsonw_kprefixes(w, "PrimaryRoutes", n->primary_routes, n->n_primary_routes);
	emit_time(w, "LastSeen", n->last_seen);
	if (n->online >= 0)
		jsonw_kbool(w, "Online", n->online);
	emit_flag(w, "MachineAuthorized", n->authorized);
	if (n->capmap.len > 0) {
		jsonw_key(w, "CapMap");
		jsonw_raw(w, n->capmap);
	}
	emit_flag(w, "UnsignedPeerAPIOnly", n->unsigned_peerapi_only);
	emit_flag(w, "Expired", r->sent_expired);
	if (n->masq) {
		emit_ip(w, "SelfNodeV4MasqAddrForThisPeer", &n->masq[0]);
		emit_ip(w, "SelfNodeV6MasqAddrForThisPeer", &n->masq[1]);
	}
	emit_flag(w, "IsWireGuardOnly", n->wireguard_only);
	emit_flag(w, "IsJailed", n->jailed);
	jsonw_obj_end(w);
}

static void emit_family(struct jsonw *w, const char *name, const struct ip *a, bool disabled)
{
	if (disabled)
		jsonw_kstr(w, name, "none");
	else
		emit_ip(w, name, a);
}

static void emit_region(struct jsonw *w, const struct netmap_region *r)
{
	jsonw_obj(w);
	jsonw_ki64(w, "RegionID", r->id);
	jsonw_kstr(w, "RegionCode", r->code);
	jsonw_kstr(w, "RegionName", r->name);
	emit_flag(w, "Avoid", r->avoid);
	emit_flag(w, "NoMeasureNoHome", r->no_measure_no_home);
	jsonw_key(w, "Nodes");
	jsonw_arr(w);
	for (size_t i = 0; i < r->n_nodes; i++) {
		const struct netmap_derp_node *d = &r->nodes[i];

		jsonw_obj(w);
		jsonw_kstr(w, "Name", d->name);
		jsonw_ki64(w, "RegionID", r->id);
		jsonw_kstr(w, "HostName", d->host);
		emit_str(w, "CertName", d->cert_name);
		emit_family(w, "IPv4", &d->v4, d->no_v4);
		emit_family(w, "IPv6", &d->v6, d->no_v6);
		jsonw_ki64(w, "STUNPort", d->stun_port);
		jsonw_ki64(w, "DERPPort", d->derp_port);
		emit_flag(w, "STUNOnly", d->stun_only);
		emit_flag(w, "InsecureForTests", d->insecure);
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
	jsonw_obj_end(w);
}

static void emit_derp(struct jsonw *w, const struct nm_derp *d)
{
	char id[8];

	jsonw_key(w, "DERPMap");
	jsonw_obj(w);
	if (d->n_scores > 0) {
		jsonw_key(w, "HomeParams");
		jsonw_obj(w);
		jsonw_key(w, "RegionScore");
		jsonw_obj(w);
		for (size_t i = 0; i < d->n_scores; i++) {
			snprintf(id, sizeof id, "%u", (unsigned)d->scores[i].id);
			jsonw_key(w, id);
			jsonw_f64(w, d->scores[i].score);
		}
		jsonw_obj_end(w);
		jsonw_obj_end(w);
	}
	jsonw_key(w, "Regions");
	jsonw_obj(w);
	for (size_t i = 0; i < d->n; i++) {
		snprintf(id, sizeof id, "%u", (unsigned)d->v[i].id);
		jsonw_key(w, id);
		emit_region(w, &d->v[i]);
	}
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void emit_resolvers(struct jsonw *w, const char *name, const struct netmap_resolver *v,
			   size_t n)
{
	char text[IPPORT_TEXT];

	jsonw_key(w, name);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++) {
		jsonw_obj(w);
		jsonw_kstr(w, "Addr", *v[i].url ? v[i].url : ipport_text(&v[i].addr, text));
		emit_flag(w, "UseWithExitNode", v[i].use_with_exit);
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
}

static void emit_dns(struct jsonw *w, const struct netmap_dns *d)
{
	char text[IP_TEXT];

	jsonw_key(w, "DNSConfig");
	jsonw_obj(w);
	if (d->n_resolvers > 0)
		emit_resolvers(w, "Resolvers", d->resolvers, d->n_resolvers);
	if (d->n_fallback > 0)
		emit_resolvers(w, "FallbackResolvers", d->fallback, d->n_fallback);
	jsonw_key(w, "Routes");
	jsonw_obj(w);
	for (size_t i = 0; i < d->n_routes; i++)
		emit_resolvers(w, d->routes[i].suffix, d->routes[i].v, d->routes[i].n);
	jsonw_obj_end(w);
	emit_strings(w, "Domains", d->domains, d->n_domains);
	emit_strings(w, "CertDomains", d->cert_domains, d->n_cert_domains);
	emit_flag(w, "Proxied", d->proxied);
	jsonw_key(w, "ExtraRecords");
	jsonw_arr(w);
	for (size_t i = 0; i < d->n_records; i++) {
		jsonw_obj(w);
		jsonw_kstr(w, "Name", d->records[i].name);
		jsonw_kstr(w, "Value", ip_text(&d->records[i].ip, text));
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
	jsonw_obj_end(w);
}

static void emit_users(struct jsonw *w, const struct netmap *nm)
{
	jsonw_key(w, "UserProfiles");
	jsonw_arr(w);
	for (size_t i = 0; i < nm->n_users; i++) {
		const struct netmap_user *u = &nm->users[i]->u;

		jsonw_obj(w);
		jsonw_ki64(w, "ID", u->id);
		jsonw_kstr(w, "LoginName", u->login);
		jsonw_kstr(w, "DisplayName", u->display);
		emit_str(w, "ProfilePicURL", u->picture);
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
}

static int by_id(const void *a, const void *b)
{
	int64_t x = (*(const struct nm_rec *const *)a)->n.id,
		y = (*(const struct nm_rec *const *)b)->n.id;

	return (x > y) - (x < y);
}

/* --- in pieces --- */

enum part { PART_HEAD, PART_PEERS, PART_TAIL, PART_END };
enum { PEERS_OF_A_PIECE = 64 };

struct netmap_text {
	const struct netmap *nm;
	struct jsonw w;
	enum part part;
	const struct nm_rec **peers; /* owned; by id */
	size_t n_peers, at;
};

struct netmap_text *netmap_text_new(const struct netmap *nm)
{
	struct netmap_text *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->nm = nm;
	t->peers = calloc(nm->n_peers + 1, sizeof *t->peers);
	if (!t->peers) {
		free(t);
		return NULL;
	}
	for (uint32_t i = 0; i < nm->limit; i++)
		if (nm->peers[i] && !nm->peers[i]->removed)
			t->peers[t->n_peers++] = nm->peers[i];
	qsort(t->peers, t->n_peers, sizeof *t->peers, by_id);
	return t;
}

void netmap_text_free(struct netmap_text *t)
{
	if (t)
		free(t->peers);
	free(t);
}

static void emit_head(struct jsonw *w, const struct netmap *nm)
{
	jsonw_obj(w);
	if (nm->self) {
		jsonw_key(w, "Node");
		emit_node(w, nm->self);
	}
	emit_derp(w, &nm->derp);
}

static void emit_tail(struct jsonw *w, const struct netmap *nm)
{
	emit_dns(w, &nm->dns.d);
	emit_str(w, "Domain", nm->domain);
	if (nm->filters.any) {
		jsonw_key(w, "PacketFilters");
		jsonw_obj(w);
		for (size_t i = 0; i < nm->filters.n; i++) {
			jsonw_key(w, nm->filters.v[i]->name);
			jsonw_raw(w, nm->filters.v[i]->text);
		}
		jsonw_obj_end(w);
	}
	emit_users(w, nm);
	jsonw_obj_end(w);
}

static void emit_some_peers(struct netmap_text *t)
{
	if (t->at == 0) {
		jsonw_key(&t->w, "Peers");
		jsonw_arr(&t->w);
	}
	for (size_t n = 0; n < PEERS_OF_A_PIECE && t->at < t->n_peers; n++)
		emit_node(&t->w, t->peers[t->at++]);
	if (t->at == t->n_peers)
		jsonw_arr_end(&t->w);
}

int netmap_text_next(struct netmap_text *t, struct buf *out)
{
	switch (t->part) {
	case PART_HEAD:
		jsonw_init(&t->w, out);
		emit_head(&t->w, t->nm);
		t->part = t->n_peers > 0 ? PART_PEERS : PART_TAIL;
		break;
	case PART_PEERS:
		t->w.out = out;
		emit_some_peers(t);
		if (t->at == t->n_peers)
			t->part = PART_TAIL;
		break;
	case PART_TAIL:
		t->w.out = out;
		emit_tail(&t->w, t->nm);
		t->part = PART_END;
		break;
	case PART_END:
		return 0;
	}
	return jsonw_ok(&t->w) ? 1 : -ENOMEM;
}

int netmap_emit(const struct netmap *nm, struct buf *out)
{
	struct netmap_text *t = netmap_text_new(nm);
	int ret = t ? 1 : -ENOMEM;

	while (ret > 0)
		ret = netmap_text_next(t, out);
	netmap_text_free(t);
	return ret;
}
