/* operator/ledger.c - see ledger.h */
#include "operator/ledger.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "crypto/hash.h"

bool ledger_of(struct ledger_entry *v, const struct proxy *x, const char *server)
{
	*v = (struct ledger_entry){ 0 };
	if (!x->device_id[0] || x->n_ips == 0)
		return false;
	memcpy(v->id, x->device_id, sizeof v->id);
	memcpy(v->ip, x->device_ip[0], sizeof v->ip);
	memcpy(v->proxy, x->name, sizeof v->proxy);
	memcpy(v->parent, x->parent, sizeof v->parent);
	(void)snprintf(v->server, sizeof v->server, "%s", server);
	return true;
}

void ledger_shard_name(char out[static LEDGER_NAME_MAX], const char *id)
{
	uint8_t h[HASH_LEN]; /* the same from one start to the next */

	hash256(h, bytes_str(id));
	(void)snprintf(out, LEDGER_NAME_MAX, "tailpod-devices-%x", h[0] % LEDGER_SHARDS);
}

static bool value(struct buf *out, const struct ledger_entry *v)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "ip", v->ip);
	jsonw_kstr(&w, "proxy", v->proxy);
	jsonw_kstr(&w, "parent", v->parent);
	jsonw_kstr(&w, "server", v->server);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

static void shard_head(struct jsonw *w, const struct ledger_entry *v, const char *ns,
		       const char *lease, const char *lease_uid)
{
	char name[LEDGER_NAME_MAX];

	ledger_shard_name(name, v->id);
	jsonw_kstr(w, "apiVersion", "v1");
	jsonw_kstr(w, "kind", "ConfigMap");
	jsonw_key(w, "metadata");
	jsonw_obj(w);
	jsonw_kstr(w, "name", name);
	jsonw_kstr(w, "namespace", ns);
	jsonw_key(w, "labels");
	jsonw_obj(w);
	jsonw_kstr(w, LABEL_LEDGER, "devices");
	jsonw_obj_end(w);
	jsonw_key(w, "ownerReferences");
	jsonw_arr(w);
	jsonw_obj(w);
	jsonw_kstr(w, "apiVersion", "coordination.k8s.io/v1");
	jsonw_kstr(w, "kind", "Lease");
	jsonw_kstr(w, "name", lease);
	jsonw_kstr(w, "uid", lease_uid);
	jsonw_obj_end(w);
	jsonw_arr_end(w);
	jsonw_obj_end(w);
}

bool ledger_emit(struct buf *out, const struct ledger_entry *v, const char *ns, const char *lease,
		 const char *lease_uid)
{
	struct buf text;
	struct jsonw w;
	bool ok;

	buf_init(&text, 4096);
	ok = value(&text, v);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	if (lease_uid)
		shard_head(&w, v, ns, lease, lease_uid);
	jsonw_key(&w, "data");
	jsonw_obj(&w);
	jsonw_key(&w, v->id);
	jsonw_strn(&w, buf_bytes(&text));
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	buf_fini(&text);
	return ok && jsonw_ok(&w);
}

bool ledger_parse(struct ledger_entry *v, const char *id, const char *text)
{
	struct bytes t = bytes_str(text);

	*v = (struct ledger_entry){ 0 };
	return bytes_to_str(bytes_str(id), v->id, sizeof v->id) && v->id[0] &&
	       kube_str_at(t, "ip", v->ip, sizeof v->ip) && v->ip[0] &&
	       kube_str_at(t, "proxy", v->proxy, sizeof v->proxy) &&
	       kube_str_at(t, "parent", v->parent, sizeof v->parent) &&
	       kube_str_at(t, "server", v->server, sizeof v->server);
}

bool ledger_is_orphan(const char *id, const struct proxy *x)
{
	/* a Secret that was made anew says nothing yet: its proxy may run on as the same device */
	return !x || (x->device_id[0] && strcmp(x->device_id, id) != 0);
}
