/* node/localapi_notify.c - lines of watch-ipn-bus (data-plane.md 7.6) */
#include <stdio.h>

#include "node/localapi_priv.h"

static void put_netmap(struct jsonw *w, const struct localapi_view *v)
{
	const struct netmap *nm = node_netmap(v->node);
	const struct netmap_node *self = netmap_self(nm), *p;
	char key[KEY_TEXT_MAX];

	jsonw_key(w, "NetMap");
	if (!self) {
		jsonw_null(w);
		return;
	}
	jsonw_obj(w);
	jsonw_key(w, "SelfNode");
	localapi_put_node(w, nm, self);
	jsonw_kstr(w, "NodeKey", key_pub_text(KEY_NODE, &self->key, key));
	jsonw_kstr(w, "Domain", netmap_domain(nm));
	jsonw_key(w, "Peers");
	jsonw_arr(w);
	for (uint32_t i = 0; i < netmap_peer_limit(nm); i++)
		if ((p = netmap_peer(nm, i)))
			localapi_put_node(w, nm, p);
	jsonw_arr_end(w);
	jsonw_obj_end(w);
}

static void put_health(struct jsonw *w, const struct node *node)
{
	const char *v[NODE_HEALTH_MAX];
	size_t n = MIN_OF(node_health(node, v, ARRAY_LEN(v)), ARRAY_LEN(v));
	char code[32];

	jsonw_key(w, "Health");
	jsonw_obj(w);
	jsonw_key(w, "Warnings");
	jsonw_obj(w);
	for (size_t i = 0; i < n; i++) {
		snprintf(code, sizeof code, "problem-%zu", i);
		jsonw_key(w, code);
		jsonw_obj(w);
		jsonw_kstr(w, "WarnableCode", code);
		jsonw_kstr(w, "Severity", "medium");
		jsonw_kstr(w, "Title", v[i]);
		jsonw_kstr(w, "Text", v[i]);
		jsonw_obj_end(w);
	}
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

/* A buffer's text as the value of key; false: out of memory. */
static bool put_text(struct jsonw *w, const char *key, const struct buf *json, bool ok)
{
	if (!ok)
		return false;
	jsonw_key(w, key);
	jsonw_raw(w, buf_bytes(json));
	return true;
}

static bool put_prefs(struct jsonw *w, const struct localapi_view *v)
{
	struct buf json;
	bool ok;

	buf_init(&json, LOCALAPI_BODY_MAX);
	ok = put_text(w, "Prefs", &json, state_prefs_json(v->state, v->self, &json) == 0);
	buf_fini(&json);
	return ok;
}

static bool put_status(struct jsonw *w, const struct localapi_view *v)
{
	struct buf json;
	bool ok;

	buf_init(&json, LOCALAPI_ANSWER_MAX);
	ok = put_text(w, "InitialStatus", &json, localapi_status_json(v, true, &json));
	buf_fini(&json);
	return ok;
}

/* What of `what` this watcher has asked to hear. State, login and URL go to all. */
static unsigned wanted(const struct localapi_view *v, unsigned mask, unsigned what)
{
	if (what & LOCALAPI_N_NETMAP && mask & LOCALAPI_NO_NETMAP)
		what &= ~(unsigned)LOCALAPI_N_NETMAP;
	if (what & LOCALAPI_N_HEALTH && !(mask & LOCALAPI_WATCH_HEALTH))
		what &= ~(unsigned)LOCALAPI_N_HEALTH;
	if (what & LOCALAPI_N_NETMAP && !(mask & LOCALAPI_WATCH_NETMAP))
		what &=
		    ~(unsigned)
			LOCALAPI_N_NETMAP; /* a whole netmap is for those only who began with one */
	if (what & LOCALAPI_N_URL && !*node_auth_url(v->node))
		what &= ~(unsigned)LOCALAPI_N_URL;
	return what;
}

bool localapi_notify(const struct localapi_view *v, unsigned mask, unsigned what, const char *text,
		     struct buf *out)
{
	bool ok = true;
	struct jsonw w;

	what = wanted(v, mask, what);
	if (what == 0)
		return true;
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "Version", v->version);
	if (what & LOCALAPI_N_FIRST)
		jsonw_kstr(&w, "SessionID", text ? text : "");
	if (what & LOCALAPI_N_ERROR)
		jsonw_kstr(&w, "ErrMessage", text ? text : "");
	if (what & LOCALAPI_N_LOGIN) {
		jsonw_key(&w, "LoginFinished");
		jsonw_raw(&w, bytes_str("{}"));
	}
	if (what & LOCALAPI_N_STATE)
		jsonw_ki64(&w, "State", node_state(v->node));
	if (what & LOCALAPI_N_PREFS)
		ok = put_prefs(&w, v);
	if (what & LOCALAPI_N_NETMAP)
		put_netmap(&w, v);
	if (what & LOCALAPI_N_URL)
		jsonw_kstr(&w, "BrowseToURL", node_auth_url(v->node));
	if (what & LOCALAPI_N_HEALTH)
		put_health(&w, v->node);
	if (ok && what & LOCALAPI_N_STATUS)
		ok = put_status(&w, v);
	jsonw_obj_end(&w);
	return ok && jsonw_ok(&w) && buf_append(out, "\n", 1);
}
