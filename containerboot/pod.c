/* containerboot/pod.c - the state Secret and what it says beside the state (containerboot.md 9)
 *
 * Order, which an operator relies on: device_id as soon as it is known; device_fqdn and device_ips
 * when the node runs and all listeners stand.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "containerboot/program.h"
#include "os/file.h"

#define NO_KEY "no-authkey"

bool program_in_pod(const struct program *p)
{
	return options_kube_secret(p->options) && !p->options->daemon.state_mem;
}

/* A key that failed was told to the operator; with another one the node begins anew. */
static void take_new_key(struct program *p, const char *key)
{
	static const char *const device[] = { KUBE_F_REISSUE, KUBE_F_DEVICE_ID, KUBE_F_DEVICE_FQDN,
					      KUBE_F_DEVICE_IPS };
	struct kube_secret *secret = p->store.kube;
	struct state *st = p->store.state;
	struct bytes dead, name, value;

	if (!kube_secret_get(secret, KUBE_F_REISSUE, &dead) ||
	    bytes_eq_str(dead, key ? key : NO_KEY))
		return;
	log_info("containerboot: there is a new auth key: joining as a new node");
	for (size_t i = 0; i < ARRAY_LEN(device); i++)
		kube_secret_clear(secret, device[i]);
	state_del(st, STATE_MACHINE_KEY);
	state_del(st, STATE_PROFILES);
	state_del(st, STATE_CURRENT_PROFILE);
	for (size_t i = 0; i < state_n(st);) {
		char text[STATE_NAME_MAX];

		state_at(st, i, &name, &value);
		(void)bytes_to_str(name, text, sizeof text);
		if (strncmp(text, STATE_PROFILE_PREFIX, strlen(STATE_PROFILE_PREFIX)) == 0)
			state_del(st, text);
		else
			i++;
	}
}

static void begin_fields(struct program *p)
{
	static const char *const stale[] = { KUBE_F_HTTPS, KUBE_F_EGRESS, KUBE_F_INGRESS };
	struct kube_secret *secret = p->store.kube;
	char version[16];

	for (size_t i = 0; i < ARRAY_LEN(stale); i++)
		kube_secret_clear(secret, stale[i]);
	snprintf(version, sizeof version, "%d", CONTROL_CAPABILITY_VERSION);
	kube_secret_set(secret, KUBE_F_CAPVER, version);
	if (p->options->pod_uid)
		kube_secret_set(secret, KUBE_F_POD_UID, p->options->pod_uid);
}

int program_pod_open(struct program *p, struct err *e)
{
	const struct options *o = p->options;
	struct kube_secret_conf conf = { .client = { .loop = p->loop,
						     .resolver = p->resolver,
						     .host = o->kubernetes_host,
						     .port = (uint16_t)o->kubernetes_port },
					 .name = options_kube_secret(o),
					 .pod = o->pod_name,
					 .pod_uid = o->pod_uid,
					 .limit = o->boot_timeout,
					 .stop = &p->stopping };
	char *key = NULL;
	int r = store_open_kube(&p->store, &conf, e);

	if (r == 0)
		r = program_auth_key(p, &key, e);
	if (r < 0)
		return r;
	take_new_key(p, key);
	if (key)
		file_wipe(key, strlen(key));
	begin_fields(p);
	return 0;
}

void program_pod_logged_in(struct program *p)
{
	if (p->store.kube && p->has_secret_key && p->options->auth_once)
		kube_secret_clear(p->store.kube, KUBE_F_AUTHKEY);
}

static void set_addresses(struct kube_secret *secret, const struct netmap_node *self)
{
	char text[IP_TEXT];
	struct jsonw w;
	struct buf out;
	char *ips;

	buf_init(&out, 4096);
	jsonw_init(&w, &out);
	jsonw_arr(&w);
	for (size_t i = 0; i < self->n_addresses; i++)
		jsonw_str(&w, ip_text(&self->addresses[i].ip, text));
	jsonw_arr_end(&w);
	ips = jsonw_ok(&w) ? buf_take_str(&out) : NULL;
	if (ips)
		kube_secret_set(secret, KUBE_F_DEVICE_IPS, ips);
	free(ips);
	buf_fini(&out);
}

void program_pod_tell(struct program *p)
{
	const struct netmap_node *self = netmap_self(node_netmap(host_node(p->host)));

	if (!p->store.kube || !self)
		return;
	if (self->stable_id && *self->stable_id)
		kube_secret_set(p->store.kube, KUBE_F_DEVICE_ID, self->stable_id);
	if (p->is_ready && node_state(host_node(p->host)) == NODE_RUNNING) {
		if (self->name && *self->name)
			kube_secret_set(p->store.kube, KUBE_F_DEVICE_FQDN, self->name);
		set_addresses(p->store.kube, self);
	}
	kube_secret_save(p->store.kube);
}

void program_pod_left(struct program *p)
{
	p->is_removed = true;
	if (!p->store.kube)
		return;
	kube_secret_clear(p->store.kube, KUBE_F_POD_UID);
	kube_secret_save(p->store.kube);
}

static void told(void *ctx, struct bytes value)
{
	program_leave_told(ctx, bytes_eq_str(value, "true"));
}

bool program_pod_ask(struct program *p)
{
	return p->store.kube && p->options->logout_when_asked && p->logged_in &&
	       !p->logout_on_exit && kube_secret_look(p->store.kube, KUBE_F_LOGOUT, told, p);
}

void program_pod_logged_out(struct program *p)
{
	if (p->store.kube && p->asked_to_log_out)
		kube_secret_set(p->store.kube, KUBE_F_LOGOUT, KUBE_LOGGED_OUT);
}

void program_pod_wants_key(struct program *p)
{
	struct err e;
	char *key;

	if (!p->store.kube || program_auth_key(p, &key, &e) < 0)
		return;
	kube_secret_set(p->store.kube, KUBE_F_REISSUE, key ? key : NO_KEY);
	if (key)
		file_wipe(key, strlen(key));
	kube_secret_save(p->store.kube);
}
