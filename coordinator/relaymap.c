/* coordinator/relaymap.c - what nodes are told of relays and names: DERPMap with our own region,
 * members of DNSConfig */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/serve_priv.h"
#include "os/file.h"

/* --- relays --- */

static int64_t stun_port(const struct config *c)
{
	const char *colon = strrchr(c->stun_listen, ':');

	return strcmp(c->stun_listen, "off") == 0 || !colon ? -1 : strtol(colon + 1, NULL, 10);
}

static void own_region(const struct config *c, const struct tls_server *tls, struct jsonw *w)
{
	char id[8], name[16], url_host[256], pin[TLS_PIN_TEXT];
	const char *host = c->derp_host;
	uint16_t port = 0;
	bool https;
	struct ip a;

	(void)!config_url(c->server_url, &https, url_host, &port);
	snprintf(id, sizeof id, "%lld", (long long)c->derp_region);
	snprintf(name, sizeof name, "%lldown", (long long)c->derp_region);
	jsonw_key(w, id);
	jsonw_obj(w);
	jsonw_ki64(w, "RegionID", c->derp_region);
	jsonw_kstr(w, "RegionCode", c->derp_code);
	jsonw_kstr(w, "RegionName", c->derp_name);
	jsonw_key(w, "Nodes");
	jsonw_arr(w);
	jsonw_obj(w);
	jsonw_kstr(w, "Name", name);
	jsonw_ki64(w, "RegionID", c->derp_region);
	jsonw_kstr(w, "HostName", host);
	if (ip_parse(bytes_str(host), &a)) { /* the other family is not to be looked up */
		jsonw_kstr(w, "IPv4", ip_is_v4(&a) ? host : "none");
		jsonw_kstr(w, "IPv6", ip_is_v4(&a) ? "none" : host);
	}
	jsonw_ki64(w, "STUNPort", stun_port(c));
	jsonw_ki64(w, "DERPPort", port);
	if (tls && strcmp(c->tls_mode, "self") == 0) {
		tls_server_pin(tls, pin);
		jsonw_kstr(w, "CertName", pin);
	}
	jsonw_obj_end(w);
	jsonw_arr_end(w);
	jsonw_obj_end(w);
}

static int more_regions(const struct config *c, struct buf *out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	int ret;

	if (!c->derp_paths[0])
		return 0;
	ret = file_read(c->derp_paths, CONFIG_FILE_MAX, &text, &len, e);
	if (ret != 0)
		return err_wrap(e, "derp.map");
	if (config_regions(bytes_of(text, len), out, e) != 0)
		return err_wrap(e, "derp.map %s", c->derp_paths);
	return 0;
}

/* A region of the file would take the place of ours unseen. */
static bool own_is_twice(const struct config *c, struct bytes map)
{
	struct json j = json_of(map);
	struct bytes key;
	unsigned n = 0;
	char id[24];

	snprintf(id, sizeof id, "%lld", (long long)c->derp_region);
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (!json_key_is(key, "Regions")) {
			json_skip(&j);
			continue;
		}
		json_obj(&j);
		while (json_key(&j, &key)) {
			n += json_key_is(key, id);
			json_skip(&j);
		}
	}
	return n > 1;
}

int relaymap_derp(const struct config *c, const struct tls_server *tls, struct buf *out,
		  struct err *e)
{
	struct buf more;
	struct jsonw w;
	int ret;

	buf_init(&more, CONFIG_FILE_MAX);
	ret = more_regions(c, &more, e);
	if (ret == 0 && more.len == 0 && !c->derp_enabled)
		ret = err_say(e, EINVAL,
			      "there is no relay: nodes need one, so set derp.enabled or name "
			      "others in derp.map");
	if (ret == 0) {
		jsonw_init(&w, out);
		jsonw_obj(&w);
		jsonw_key(&w, "Regions");
		jsonw_obj(&w);
		if (c->derp_enabled)
			own_region(c, tls, &w);
		if (more.len > 0)
			jsonw_raw(&w, buf_bytes(&more));
		jsonw_obj_end(&w);
		jsonw_kbool(&w, "omitDefaultRegions", true);
		jsonw_obj_end(&w);
		if (!jsonw_ok(&w))
			ret = err_set(e, ENOMEM, "make the relay map");
		else if (own_is_twice(c, buf_bytes(out)))
			ret = err_say(e, EINVAL,
				      "region %lld of %.200s is our own: set derp.region_id to "
				      "another, or derp.enabled to false",
				      (long long)c->derp_region, c->derp_paths);
	}
	buf_fini(&more);
	return ret;
}

/* --- names --- */

static void resolvers(struct jsonw *w, const char *key, const struct config_list *l)
{
	jsonw_key(w, key);
	jsonw_arr(w);
	for (size_t i = 0; i < l->n; i++) {
		jsonw_obj(w);
		jsonw_kstr(w, "Addr", l->v[i]);
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
}

/* Reverse zones of our pools, the nodes' own domain (both answered by the node itself: an empty
 * list), then the split ones */
static void zones(const struct config *c, struct jsonw *w)
{
	static const struct config_list none;
	char zone[64];

	jsonw_key(w, "Routes");
	jsonw_obj(w);
	resolvers(w, c->base_domain, &none);
	for (unsigned i = 64; i < 128; i++) {
		snprintf(zone, sizeof zone, "%u.100.in-addr.arpa", i);
		resolvers(w, zone, &none);
	}
	resolvers(w, "0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa", &none);
	for (size_t i = 0; i < c->n_split; i++)
		resolvers(w, c->split[i].domain, &c->split[i].resolvers);
	jsonw_obj_end(w);
}

int relaymap_dns(const struct config *c, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	zones(c, &w);
	if (c->nameservers.n > 0)
		resolvers(&w, "Resolvers", &c->nameservers);
	jsonw_key(&w, "Domains");
	jsonw_arr(&w);
	jsonw_str(&w, c->base_domain);
	for (size_t i = 0; i < c->search.n; i++)
		jsonw_str(&w, c->search.v[i]);
	jsonw_arr_end(&w);
	if (c->n_records > 0) {
		jsonw_key(&w, "ExtraRecords");
		jsonw_arr(&w);
		for (size_t i = 0; i < c->n_records; i++) {
			jsonw_obj(&w);
			jsonw_kstr(&w, "Name", c->records[i].name);
			jsonw_kstr(&w, "Type", c->records[i].type);
			jsonw_kstr(&w, "Value", c->records[i].value);
			jsonw_obj_end(&w);
		}
		jsonw_arr_end(&w);
	}
	return jsonw_ok(&w) ? 0 : -ENOMEM;
}
