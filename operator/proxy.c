/* operator/proxy.c - see proxy.h */
#include "operator/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/key.h"

const struct child_row children[CHILD_N] = {
	[CHILD_SECRET] = { "v1", "Secret", "secrets", "-0" },
	[CHILD_ACCOUNT] = { "v1", "ServiceAccount", "serviceaccounts", "" },
	[CHILD_ROLE] = { "rbac.authorization.k8s.io/v1", "Role", "roles", "" },
	[CHILD_BINDING] = { "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", "" },
	[CHILD_SERVICE] = { "v1", "Service", "services", "" },
	[CHILD_CONFIG] = { "v1", "ConfigMap", "configmaps", "-serve" },
	[CHILD_TLS] = { "v1", "Secret", "secrets", "-tls" },
	[CHILD_SET] = { "apps/v1", "StatefulSet", "statefulsets", "" },
};

void proxy_name(char out[static PROXY_NAME_MAX + 1], const char *parent_name,
		const char *parent_uid)
{
	static const char digits[] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint8_t h[HASH_LEN];
	char tail[9], head[37] = "";
	size_t n;

	hash256(h, bytes_str(parent_uid));
	for (size_t i = 0; i < 8; i++)
		tail[i] = digits[h[i] % 32];
	tail[8] = 0;
	(void)bytes_to_str(bytes_str(parent_name), head, sizeof head);
	for (char *p = head; *p; p++)
		if (*p == '.')
			*p = '-';
	for (n = strlen(head); n > 0 && head[n - 1] == '-'; n--)
		head[n - 1] = 0;
	(void)snprintf(out, PROXY_NAME_MAX + 1, "ts-%s-%s", head, tail);
}

bool proxy_of_child(const struct kube_object *o, enum child c, char name[static PROXY_NAME_MAX + 1],
		    char parent[static PARENT_KEY_MAX], char uid[static KUBE_UID_MAX + 1])
{
	const size_t n = strlen(o->name), tail = strlen(children[c].suffix);

	return n > tail && strcmp(o->name + n - tail, children[c].suffix) == 0 &&
	       bytes_to_str(bytes_of(o->name, n - tail), name, PROXY_NAME_MAX + 1) &&
	       kube_member(o->labels, LABEL_UID, uid, KUBE_UID_MAX + 1, NULL) &&
	       kube_member(o->annotations, NOTE_PARENT, parent, PARENT_KEY_MAX, NULL);
}

static bool datum(struct bytes data, const char *key, char *out, size_t cap)
{
	char text[1024];
	size_t n;

	out[0] = 0;
	if (!kube_member(data, key, text, sizeof text, NULL) ||
	    !base64_parse(bytes_str(text), BASE64_STD, (uint8_t *)out, cap - 1, &n) ||
	    memchr(out, 0, n)) {
		out[0] = 0;
		return false;
	}
	out[n] = 0;
	return n > 0;
}

static void place(struct proxy *x, struct bytes notes)
{
	char node[NODE_TEXT_MAX];

	if (!kube_member(notes, NOTE_GROUP, x->group, sizeof x->group, NULL))
		x->group[0] = 0;
	free(x->node);
	x->node = x->group[0] && kube_member(notes, NOTE_NODE, node, sizeof node, NULL)
		      ? strdup(node)
		      : NULL;
	if (!x->group[0] || (x->node && *x->node))
		x->leaves = MONO_NEVER;
}

/* It is in the Secret before the node registers (containerboot/run.c), and so the surest sign of a
 * device that was not noted there in time. */
static void machine(struct proxy *x, struct bytes data)
{
	char text[KEY_TEXT_MAX];
	struct key_priv key;
	struct key_pub pub;

	x->machine[0] = 0;
	if (x->device_id[0] || !datum(data, "_machinekey", text, sizeof text))
		return;
	if (key_priv_parse(bytes_str(text), &key)) {
		key_public(&pub, &key);
		(void)key_pub_text(KEY_MACHINE, &pub, x->machine);
		key_wipe(&key);
	}
	secret_wipe(text, sizeof text);
}

static void secret(struct proxy *x, const struct kube_object *o)
{
	char ips[512], text[64];
	struct json j;

	(void)datum(o->data, "device_id", x->device_id, sizeof x->device_id);
	if (datum(o->data, "device_fqdn", x->device_fqdn, sizeof x->device_fqdn)) {
		const size_t n = strlen(x->device_fqdn);

		if (n > 0 && x->device_fqdn[n - 1] == '.')
			x->device_fqdn[n - 1] = 0;
	}
	x->n_ips = 0;
	if (datum(o->data, "device_ips", ips, sizeof ips)) {
		j = json_of(bytes_str(ips));
		if (json_type(&j) == JSON_ARRAY) {
			json_arr(&j);
			while (x->n_ips < DEVICE_IPS_MAX && json_elem(&j)) {
				json_str(&j, x->device_ip[x->n_ips], sizeof x->device_ip[0]);
				x->n_ips += json_ok(&j);
			}
		}
	}
	x->has_key = kube_has_member(o->data, "authkey");
	x->has_state = kube_has_member(o->data, "_machinekey");
	machine(x, o->data);
	x->wants_key = kube_has_member(o->data, "reissue_authkey");
	x->logout = !datum(o->data, FIELD_LOGOUT, text, sizeof text) ? LOGOUT_NONE
		    : strcmp(text, "done") == 0                      ? LOGOUT_DONE
								     : LOGOUT_ASKED;
	x->key_expires = WALL_ZERO;
	if (kube_member(o->annotations, NOTE_KEY_EXPIRES, text, sizeof text, NULL))
		(void)!wall_parse(bytes_str(text), &x->key_expires);
	x->runs = kube_member(o->data, "pod_uid", text, sizeof text, NULL) && *text;
	place(x, o->annotations);
	if (!kube_member(o->annotations, NOTE_KEY_ID, x->key_id, sizeof x->key_id, NULL))
		x->key_id[0] = 0;
	if (!kube_member(o->annotations, NOTE_KEY_TAGS, x->key_tags, sizeof x->key_tags, NULL))
		x->key_tags[0] = 0;
}

uint64_t proxy_child_state(const struct kube_object *o, enum child c)
{
	uint64_t rv = 0;

	if (c == CHILD_SECRET) /* the proxy itself writes into it all the time */
		return 1;
	(void)!text_u64(bytes_str(o->rv), &rv);
	return o->generation > 0 ? (uint64_t)o->generation : rv;
}

void proxy_see(struct proxy *x, enum child c, const struct kube_object *o, unsigned epoch)
{
	struct child_seen *s = &x->child[c];
	uint64_t rv = 0;

	(void)!text_u64(bytes_str(o->rv), &rv);
	s->epoch = epoch;
	if (s->exists && rv < s->rv)
		return;
	s->exists = true;
	s->is_deleting = o->is_deleting;
	s->rv = rv;
	s->state = proxy_child_state(o, c);
	if (!kube_member(o->annotations, NOTE_HASH, s->hash, sizeof s->hash, NULL))
		s->hash[0] = 0;
	if (c == CHILD_SECRET)
		secret(x, o);
}

void proxy_lose(struct proxy *x, enum child c)
{
	x->child[c] = (struct child_seen){ 0 };
	if (c != CHILD_SECRET)
		return;
	x->device_id[0] = x->device_fqdn[0] = x->key_id[0] = x->key_tags[0] = 0;
	x->n_ips = 0;
	x->routes_known = false;
	x->has_key = x->wants_key = x->has_state = x->runs = false;
	x->logout = LOGOUT_NONE;
	x->machine[0] = 0;
	x->is_searched = false;
	x->key_expires = WALL_ZERO;
	x->group[0] = 0;
	free(x->node);
	x->node = NULL;
}

void proxy_fini(struct proxy *x)
{
	free(x->node);
	x->node = NULL;
}

bool proxy_exists(const struct proxy *x)
{
	for (size_t i = 0; i < CHILD_N; i++)
		if (x->child[i].exists)
			return true;
	return false;
}
