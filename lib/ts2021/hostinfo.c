/* ts2021/hostinfo.c - see hostinfo.h */
#include "ts2021/hostinfo.h"

#include <errno.h>
#include <stdio.h>

#include "base/json_member.h"

void hostinfo_init(struct hostinfo *h)
{
	*h = (struct hostinfo){ 0 };
	buf_init(&h->members, HOSTINFO_MAX);
	buf_init(&h->tags, HOSTINFO_MAX);
}

void hostinfo_fini(struct hostinfo *h)
{
	buf_fini(&h->members);
	buf_fini(&h->tags);
}

static void str_unless_empty(struct jsonw *w, const char *key, const char *s)
{
	if (s && *s)
		jsonw_kstr(w, key, s);
}

static void emit_service(struct jsonw *w, const char *proto, uint16_t port)
{
	if (port == 0)
		return;
	jsonw_obj(w);
	jsonw_kstr(w, "Proto", proto);
	jsonw_ki64(w, "Port", port);
	jsonw_obj_end(w);
}

static void emit_services(struct jsonw *w, const struct control_hostinfo *hi)
{
	if (hi->peerapi4 == 0 && hi->peerapi6 == 0)
		return;
	jsonw_key(w, "Services");
	jsonw_arr(w);
	emit_service(w, "peerapi4", hi->peerapi4);
	emit_service(w, "peerapi6", hi->peerapi6);
	jsonw_arr_end(w);
}

static bool emit_members(struct buf *out, const char *version, const struct control_hostinfo *hi)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	str_unless_empty(&w, "IPNVersion", version);
	str_unless_empty(&w, "BackendLogID", hi->backend_log_id);
	jsonw_kstr(&w, "OS", "linux");
	str_unless_empty(&w, "OSVersion", hi->os_version);
	jsonw_kbool(&w, "Container", hi->container);
	str_unless_empty(&w, "Distro", hi->distro);
	str_unless_empty(&w, "DistroVersion", hi->distro_version);
	str_unless_empty(&w, "DistroCodeName", hi->distro_code);
	str_unless_empty(&w, "App", hi->app);
	str_unless_empty(&w, "Hostname", hi->hostname);
	if (hi->shields_up)
		jsonw_kbool(&w, "ShieldsUp", true);
	jsonw_kbool(&w, "NoLogsNoSupport", true);
	str_unless_empty(&w, "Machine", hi->machine);
	if (hi->n_routes > 0)
		jsonw_kprefixes(&w, "RoutableIPs", hi->routes, hi->n_routes);
	emit_services(&w, hi);
	jsonw_kbool(&w, "Userspace", hi->userspace);
	jsonw_kbool(&w, "UserspaceRouter", hi->userspace);
	jsonw_kbool(&w, "StateEncrypted", false);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

static bool emit_tags(struct buf *out, const struct control_hostinfo *hi)
{
	struct jsonw w;

	if (hi->n_tags == 0)
		return true;
	jsonw_init(&w, out);
	jsonw_arr(&w);
	for (size_t i = 0; i < hi->n_tags; i++)
		jsonw_str(&w, hi->tags[i]);
	jsonw_arr_end(&w);
	return jsonw_ok(&w);
}

int hostinfo_set(struct hostinfo *h, const char *version, const struct control_hostinfo *hi,
		 bool *changed)
{
	struct hostinfo fresh;

	hostinfo_init(&fresh);
	if (!emit_members(&fresh.members, version, hi) || !emit_tags(&fresh.tags, hi)) {
		hostinfo_fini(&fresh);
		return -ENOMEM;
	}
	*changed = !bytes_eq(buf_bytes(&fresh.members), buf_bytes(&h->members)) ||
		   !bytes_eq(buf_bytes(&fresh.tags), buf_bytes(&h->tags));
	fresh.net = h->net;
	fresh.has_net = h->has_net;
	hostinfo_fini(h);
	*h = fresh;
	return 0;
}

bool hostinfo_set_net(struct hostinfo *h, const struct control_netinfo *net)
{
	const struct control_netinfo *o = &h->net;
	bool same = h->has_net && o->working_udp == net->working_udp &&
		    o->working_v6 == net->working_v6 && o->varies_by_dest == net->varies_by_dest &&
		    o->os_has_v6 == net->os_has_v6 && o->home == net->home &&
		    o->asked_gateway == net->asked_gateway &&
		    o->have_portmap == net->have_portmap && o->upnp == net->upnp &&
		    o->pmp == net->pmp && o->pcp == net->pcp;

	h->net = *net;
	if (h->net.n_latency > ARRAY_LEN(h->net.latency))
		h->net.n_latency = ARRAY_LEN(h->net.latency);
	h->has_net = true;
	return !same;
}

static void emit_opt(struct jsonw *w, const char *key, int v) /* opt.Bool: control-protocol.md 0 */
{
	if (v >= 0)
		jsonw_kbool(w, key, v != 0);
}

static void emit_net(struct jsonw *w, const struct control_netinfo *n)
{
	char key[16];

	jsonw_obj(w);
	emit_opt(w, "MappingVariesByDestIP", n->varies_by_dest);
	emit_opt(w, "WorkingIPv6", n->working_v6);
	jsonw_kbool(w, "OSHasIPv6", n->os_has_v6);
	emit_opt(w, "WorkingUDP", n->working_udp);
	if (n->have_portmap)
		jsonw_kbool(w, "HavePortMap", true);
	emit_opt(w, "UPnP", n->asked_gateway ? n->upnp : -1);
	emit_opt(w, "PMP", n->asked_gateway ? n->pmp : -1);
	emit_opt(w, "PCP", n->asked_gateway ? n->pcp : -1);
	if (n->home)
		jsonw_ki64(w, "PreferredDERP", n->home);
	if (n->n_latency > 0) {
		jsonw_key(w, "DERPLatency");
		jsonw_obj(w);
		for (size_t i = 0; i < n->n_latency; i++) {
			snprintf(key, sizeof key, "%u-v%c", n->latency[i].region,
				 n->latency[i].v6 ? '6' : '4');
			jsonw_key(w, key);
			jsonw_f64(w, n->latency[i].seconds);
		}
		jsonw_obj_end(w);
	}
	jsonw_obj_end(w);
}

void hostinfo_emit(const struct hostinfo *h, struct jsonw *w, bool with_tags)
{
	struct json j = json_of(buf_bytes(&h->members));
	struct bytes key;
	char name[32];

	jsonw_obj(w);
	if (h->members.len > 0) {
		json_obj(&j);
		while (json_key(&j, &key)) {
			(void)bytes_to_str(key, name, sizeof name);
			jsonw_key(w, name);
			jsonw_raw(w, json_raw(&j));
		}
	}
	if (with_tags && h->tags.len > 0) {
		jsonw_key(w, "RequestTags");
		jsonw_raw(w, buf_bytes(&h->tags));
	}
	if (h->has_net) {
		jsonw_key(w, "NetInfo");
		emit_net(w, &h->net);
	}
	jsonw_obj_end(w);
}
