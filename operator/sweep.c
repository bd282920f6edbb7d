/* operator/sweep.c - see sweep.h */
#include "operator/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "operator/work_priv.h"
#include "os/file.h"

struct ledger_record {
	char ip[46], proxy[PROXY_NAME_MAX + 1];
	bool is_gone;        /* deleted, or another's: the member may go */
	bool is_foreign;     /* of another control server: left alone */
	mono_t orphan_since; /* MONO_NEVER: a proxy has it */
	unsigned epoch;
	char parent[];
};

static void turn(struct operator *op);

/* --- what is known --- */

static bool keep(struct operator *op, const struct ledger_entry *v)
{
	struct sweep *s = &op->sweep;
	const size_t n = strlen(v->parent) + 1;
	struct ledger_record *r, *old = kube_table_get(s->devices, v->id);

	if (!old && kube_table_count(s->devices) >= LEDGER_MAX)
		return false;
	r = calloc(1, sizeof *r + n);
	if (!r || !kube_table_put(s->devices, v->id, r)) {
		free(r);
		return false;
	}
	memcpy(r->ip, v->ip, sizeof r->ip);
	memcpy(r->proxy, v->proxy, sizeof r->proxy);
	memcpy(r->parent, v->parent, n);
	r->orphan_since = MONO_NEVER;
	r->is_foreign = strncmp(v->server, control_server(op), sizeof v->server - 1) != 0;
	free(old);
	return true;
}

static void drop(struct operator *op, const char *id)
{
	free(kube_table_del(op->sweep.devices, id));
}

static void drop_all(struct operator *op)
{
	struct kube_table_walk w = { 0 };

	while (op->sweep.devices && kube_table_next(op->sweep.devices, &w))
		free(w.value);
	kube_table_free(op->sweep.devices);
	op->sweep.devices = NULL;
}

bool sweep_knows(const struct operator *op, const struct proxy *x)
{
	const struct sweep *s = &op->sweep;
	const struct ledger_record *r;

	if (!s->loaded || op->keys == KEYS_FIXED || !x->device_id[0] || x->n_ips == 0)
		return true;
	r = kube_table_get(s->devices, x->device_id);
	if (!r)
		return kube_table_count(s->devices) >= LEDGER_MAX;
	return !r->is_gone && !r->is_foreign && strcmp(r->ip, x->device_ip[0]) == 0;
}

void sweep_gone(struct operator *op, const char *id)
{
	struct ledger_record *r = op->sweep.devices ? kube_table_get(op->sweep.devices, id) : NULL;

	if (r)
		r->is_gone = true;
}

/* --- taking in a device: a step of its proxy's plan --- */

/* name NULL: of all shards */
static bool shard_path(const struct operator *op, char path[static KUBE_PATH_MAX], const char *name,
		       const char *query)
{
	if (!kube_path(path, KUBE_PATH_MAX - strlen(query), "v1", "configmaps", op->settings.ns,
		       name, NULL))
		return false;
	memcpy(path + strlen(path), query, strlen(query) + 1);
	return true;
}

void sweep_record(struct work *w, bool is_new)
{
	const struct proxy *x = operator_proxy(w->op, work_step(w)->proxy);
	const struct kube_lease *lease = &w->op->lease;
	char path[KUBE_PATH_MAX], name[LEDGER_NAME_MAX];
	struct buf body;

	if (!is_new && (!x || !ledger_of(&w->device_entry, x, control_server(w->op)))) {
		work_advance(w); /* meanwhile it has left */
		return;
	}
	ledger_shard_name(name, w->device_entry.id);
	buf_init(&body, 8192);
	if (shard_path(w->op, path, is_new ? NULL : name, "?fieldManager=" MANAGER) &&
	    ledger_emit(&body, &w->device_entry, w->op->settings.ns, lease->name,
			is_new ? lease->uid : NULL))
		work_send(w, is_new ? "POST" : "PATCH", path, is_new ? KUBE_JSON : KUBE_MERGE,
			  buf_bytes(&body));
	else
		work_fail(w, "SyncFailed", "no memory");
	buf_fini(&body);
}

void sweep_recorded(struct work *w)
{
	if (!keep(w->op, &w->device_entry))
		log_error("operator: no room for device %s in memory", w->device_entry.id);
}

/* --- reading the ledger --- */

static void again(struct operator *op)
{
	op->sweep.busy = false;
	loop_timer_set(&op->sweep.timer, mono_add(loop_now(op->loop), SPAN_S(SWEEP_S)));
}

static void take_shard(struct operator *op, struct bytes object)
{
	struct json j = json_of(kube_at(object, "data"));
	struct bytes key;

	if (json_type(&j) != JSON_OBJECT)
		return;
	json_obj(&j);
	while (json_key(&j, &key)) {
		struct ledger_entry v;
		char id[64], text[1024];
		struct json one = json_of(json_raw(&j));

		json_str(&one, text, sizeof text);
		if (!json_ok(&one) || !json_unescape(key, id, sizeof id) ||
		    !ledger_parse(&v, id, text))
			op->stats.dropped++;
		else if (!kube_table_get(op->sweep.devices, id) && !keep(op, &v))
			op->stats.dropped++;
	}
}

static void loaded(void *ctx, const struct web_reply *r)
{
	struct operator *op = ctx;
	struct kube_table_walk t = { 0 };
	struct bytes items = kube_at(r->body, "items");
	struct json j = json_of(items);

	kube_count(op->kube, r->status);
	if (r->status != 200 || !r->ok || items.len == 0) {
		log_warn("operator: the ledger of devices cannot be read: status %u%s%s: orphans "
			 "are not swept",
			 r->status, *r->why ? ": " : "", r->why);
		again(op);
		return;
	}
	json_arr(&j);
	while (json_elem(&j))
		take_shard(op, json_raw(&j));
	op->sweep.loaded = true;
	log_info("operator: %zu devices in the ledger", kube_table_count(op->sweep.devices));
	while (kube_table_next(op->proxies, &t))
		if (!sweep_knows(op, t.value))
			operator_enqueue(op, ((struct proxy *)t.value)->parent);
	again(op);
}

static void load(struct operator *op)
{
	char path[KUBE_PATH_MAX];
	struct err e = { 0 };

	op->sweep.busy = true;
	if (!shard_path(op, path, NULL, "?labelSelector=tailpod%2Fledger%3Ddevices") ||
	    !kube_send(op->kube, "GET", path, KUBE_JSON, bytes_of(NULL, 0), loaded, op, &e))
		again(op);
}

/* --- members whose devices are gone are taken out --- */

static void forgot(void *ctx, const struct web_reply *r)
{
	struct operator *op = ctx;
	struct sweep *s = &op->sweep;

	operator_wrote(op);
	kube_count(op->kube, r->status);
	if (r->status != 404 && (r->status < 200 || r->status > 299)) {
		log_warn("operator: the ledger of devices cannot be written: status %u%s%s",
			 r->status, *r->why ? ": " : "", r->why);
		again(op);
		return;
	}
	for (size_t i = 0; i < s->n_forget; i++) {
		const struct ledger_record *v = kube_table_get(s->devices, s->forget[i]);

		if (v && v->is_gone)
			drop(op, s->forget[i]);
	}
	turn(op);
}

/* Those of one shard, the first that comes. */
static void choose_gone(struct operator *op, char shard[static LEDGER_NAME_MAX])
{
	struct sweep *s = &op->sweep;
	struct kube_table_walk t = { 0 };
	char name[LEDGER_NAME_MAX];

	s->n_forget = 0;
	while (s->n_forget < SWEEP_FORGET_MAX && kube_table_next(s->devices, &t)) {
		const struct ledger_record *r = t.value;

		if (!r->is_gone || r->epoch == s->epoch)
			continue;
		ledger_shard_name(name, t.name);
		if (s->n_forget == 0)
			memcpy(shard, name, sizeof name);
		else if (strcmp(name, shard) != 0)
			continue;
		(void)bytes_to_str(bytes_str(t.name), s->forget[s->n_forget++],
				   sizeof s->forget[0]);
	}
}

static bool forget(struct operator *op)
{
	struct sweep *s = &op->sweep;
	char path[KUBE_PATH_MAX], shard[LEDGER_NAME_MAX];
	struct jsonw w;
	struct buf body;
	struct err e = { 0 };

	choose_gone(op, shard);
	if (s->n_forget == 0)
		return false;
	buf_init(&body, 1 << 16);
	jsonw_init(&w, &body);
	jsonw_obj(&w);
	jsonw_key(&w, "data");
	jsonw_obj(&w);
	for (size_t i = 0; i < s->n_forget; i++)
		jsonw_kstr(&w, s->forget[i], NULL);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	operator_writes(op);
	if (!operator_leads(op) || !jsonw_ok(&w) ||
	    !shard_path(op, path, shard, "?fieldManager=" MANAGER) ||
	    !kube_send(op->kube, "PATCH", path, KUBE_MERGE, buf_bytes(&body), forgot, op, &e))
		again(op);
	buf_fini(&body);
	return true;
}

/* --- orphans --- */

static bool make(void *ctx, struct keys_request *rq, struct buf *body)
{
	struct operator *op = ctx;

	(void)body;
	return op->sweep.deletes
		   ? keys_delete_device(rq, op->keys, control_server(op), op->sweep.at.id)
		   : keys_device(rq, op->keys, control_server(op), op->sweep.at.id);
}

static void tell(struct operator *op, const struct ledger_entry *v)
{
	char shard[LEDGER_NAME_MAX], text[640];
	const struct kube_event ev = { "v1", "ConfigMap", op->settings.ns, shard,
				       "",   false,       "OrphanDeleted", text };

	ledger_shard_name(shard, v->id);
	(void)snprintf(text, sizeof text,
		       "device %s (%s) of %.330s, whose proxy is gone, is deleted at the control "
		       "server",
		       v->id, v->ip, v->parent);
	operator_tell(op, &ev);
}

static void failed(struct operator *op, const struct err *e)
{
	log_warn("operator: orphaned device %s of %s: %s; is tried again", op->sweep.at.id,
		 op->sweep.at.parent, e->text);
	again(op);
}

static void deleted(void *ctx, const struct control_answer *a)
{
	struct operator *op = ctx;
	struct sweep *s = &op->sweep;
	struct err e = { 0 };

	if (a->why || keys_delete_answer(a->status, a->body, &e) < 0) {
		failed(op, a->why ? a->why : &e);
		return;
	}
	op->stats.orphans_deleted++;
	log_info("audit: orphaned device %s (%s) of %s is deleted", s->at.id, s->at.ip,
		 s->at.parent);
	tell(op, &s->at);
	sweep_gone(op, s->at.id);
	turn(op);
}

static void looked(void *ctx, const struct control_answer *a)
{
	struct operator *op = ctx;
	struct sweep *s = &op->sweep;
	struct err e = { 0 };
	enum keys_device is;

	if (a->why || keys_device_answer(op->keys, a->status, a->body, s->at.ip, &is, &e) < 0) {
		failed(op, a->why ? a->why : &e);
		return;
	}
	if (is == KEYS_DEVICE_SAME) {
		s->deletes = true;
		s->call.done = deleted;
		control_send(&s->call);
		return;
	}
	if (is == KEYS_DEVICE_OTHER)
		log_warn("audit: device %s of %s has another address than %s: it is taken for "
			 "another's and left",
			 s->at.id, s->at.parent, s->at.ip);
	sweep_gone(op, s->at.id);
	turn(op);
}

/* Which devices have a proxy. */
static void claim(struct operator *op)
{
	struct sweep *s = &op->sweep;
	struct kube_table_walk t = { 0 };
	const mono_t now = loop_now(op->loop);

	s->epoch++;
	while (kube_table_next(op->proxies, &t)) {
		const struct proxy *x = t.value;
		struct ledger_record *r =
		    x->device_id[0] ? kube_table_get(s->devices, x->device_id) : NULL;

		if (r)
			r->epoch = s->epoch;
	}
	t = (struct kube_table_walk){ 0 };
	while (kube_table_next(s->devices, &t)) {
		struct ledger_record *r = t.value;

		if (r->epoch == s->epoch || !ledger_is_orphan(t.name, operator_proxy(op, r->proxy)))
			r->orphan_since = MONO_NEVER;
		else if (mono_is_never(r->orphan_since))
			r->orphan_since = now;
	}
}

static bool choose_orphan(struct operator *op)
{
	struct sweep *s = &op->sweep;
	struct kube_table_walk t = { 0 };
	const mono_t now = loop_now(op->loop);

	while (kube_table_next(s->devices, &t)) {
		const struct ledger_record *r = t.value;

		if (r->is_gone || r->is_foreign || mono_is_never(r->orphan_since) ||
		    mono_before(now, mono_add(r->orphan_since, SPAN_S(ORPHAN_S))))
			continue;
		s->at = (struct ledger_entry){ 0 };
		(void)bytes_to_str(bytes_str(t.name), s->at.id, sizeof s->at.id);
		(void)bytes_to_str(bytes_str(r->parent), s->at.parent, sizeof s->at.parent);
		memcpy(s->at.ip, r->ip, sizeof s->at.ip);
		return true;
	}
	return false;
}

static void turn(struct operator *op)
{
	struct sweep *s = &op->sweep;

	s->busy = true;
	if (!operator_leads(op) || op->stopping) {
		s->busy = false;
		return;
	}
	claim(op); /* anew before each: a proxy may have come back */
	if (forget(op))
		return;
	/* a full table does not say that a proxy is gone */
	if (s->left == 0 || kube_table_count(op->proxies) >= PROXIES_MAX || !choose_orphan(op)) {
		again(op);
		return;
	}
	s->left--;
	s->deletes = false;
	s->call = (struct control_call){ op, make, looked, op };
	control_send(&s->call);
}

/* --- life --- */

static void due(void *ctx)
{
	struct operator *op = ctx;
	struct sweep *s = &op->sweep;

	if (!op->leading || op->stopping || s->busy || op->keys == KEYS_FIXED)
		return;
	s->left = SWEEP_DEVICES_MAX;
	if (s->loaded)
		turn(op);
	else
		load(op);
}

bool sweep_init(struct operator *op)
{
	loop_timer_init(op->loop, &op->sweep.timer, due, op);
	op->sweep.devices = kube_table_new(&os_rng);
	return op->sweep.devices != NULL;
}

void sweep_fini(struct operator *op)
{
	loop_timer_fini(&op->sweep.timer);
	drop_all(op);
}

void sweep_lead(struct operator *op)
{
	loop_timer_set(&op->sweep.timer, loop_now(op->loop));
}
