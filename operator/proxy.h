/* operator/proxy.h - what there is of a proxy in the cluster: its objects and what it says about
 * itself */
#ifndef OPERATOR_PROXY_H
#define OPERATOR_PROXY_H

#include "operator/parent.h"

#define LABEL_MANAGED "tailscale.com/managed"
#define LABEL_PARENT "tailscale.com/parent-resource"
#define LABEL_PARENT_NS "tailscale.com/parent-resource-ns"
#define LABEL_PARENT_TYPE "tailscale.com/parent-resource-type"
#define LABEL_UID "tailpod/parent-uid"
#define NOTE_PARENT "tailpod/parent"
#define NOTE_HASH "tailpod/hash"
#define NOTE_GROUP                                                                                 \
	"tailpod/group"          /* group.h: where its node runs; not there: in a pod of its own */
#define NOTE_NODE "tailpod/node" /* what its node is told there; "": to leave */
#define NOTE_KEY_ID "tailpod/key-id"
#define NOTE_KEY_EXPIRES "tailpod/key-expires"
#define NOTE_KEY_TAGS "tailpod/key-tags"
#define MANAGER "tailpod-operator"
#define MANAGER_KEY "tailpod-operator-key"

enum child { /* in the order of making; a row in children[] each */
	     CHILD_SECRET,
	     CHILD_ACCOUNT,
	     CHILD_ROLE,
	     CHILD_BINDING,
	     CHILD_SERVICE,
	     CHILD_CONFIG,
	     CHILD_TLS, /* a copy of the certificate that an Ingress names: pods mount their own
			   namespace's */
	     CHILD_SET,
	     CHILD_N,
};
struct child_row {
	const char *api_version, *kind, *resource, *suffix; /* of its name after the proxy's */
};
extern const struct child_row children[CHILD_N];

/* Field of the Secret by which a proxy is asked to log out when it ends, and says that it has
 * (containerboot's TS_LOGOUT_WHEN_ASKED). */
#define FIELD_LOGOUT "logout_on_exit"
enum proxy_logout { LOGOUT_NONE, LOGOUT_ASKED, LOGOUT_DONE };

enum { NODE_TEXT_MAX = 4096 }; /* of NOTE_NODE */
enum { PROXY_NAME_MAX = 52, HASH_TEXT = 17, DEVICE_IPS_MAX = 4 };

struct child_seen {
	bool exists, is_deleting;
	char hash[HASH_TEXT];
	uint64_t rv;
	uint64_t state, applied; /* version of the wish (generation, or rv where there is none);
				    after our last apply */
	unsigned epoch;
};

struct proxy {
	char name[PROXY_NAME_MAX + 1], parent_uid[KUBE_UID_MAX + 1];
	char parent[PARENT_KEY_MAX]; /* work key of the parent */
	struct child_seen child[CHILD_N];
	/* from the Secret */
	char device_id[64], device_fqdn[256], device_ip[DEVICE_IPS_MAX][46];
	size_t n_ips;
	bool has_key, wants_key;
	bool has_state;          /* it has begun once */
	bool runs;               /* some process has written its pod_uid */
	char group[GROUP_TEXT];  /* NOTE_GROUP */
	char *node;              /* NOTE_NODE, owned; NULL: none */
	char wished[GROUP_TEXT]; /* in memory: what its last plan has put it down for */
	enum proxy_logout logout;
	wall_t key_expires;
	char key_id[64], key_tags[TAGS_MAX];
	char machine[80]; /* public machine key of a node that has not said who it is; "" */
	/* in memory only */
	bool is_searched;  /* a device of it that was never noted was looked for, and is gone */
	bool device_gone;  /* deleted by us */
	bool is_recorded;  /* in the ledger (ledger.h), or there is none */
	bool routes_known; /* approved is what the control server said */
	mono_t routes_at;  /* when */
	char approved[ROUTES_MAX];    /* comma-separated */
	mono_t minted, cleanup_since; /* MONO_NEVER: not */
	mono_t asked_logout;          /* when it was first seen to be asked; MONO_NEVER */
	mono_t leaves; /* when its process was first asked to let go; MONO_NEVER: it is not */
};

/* Deterministic, so that a crash between making and noting leaks nothing: ts-NAME-HASH of the
 * parent's UID. */
void proxy_name(char out[static PROXY_NAME_MAX + 1], const char *parent_name,
		const char *parent_uid);
/* Which proxy and child an object is; false: none of ours. */
MUST_USE bool proxy_of_child(const struct kube_object *o, enum child c,
			     char name[static PROXY_NAME_MAX + 1],
			     char parent[static PARENT_KEY_MAX], char uid[static KUBE_UID_MAX + 1]);
/* child_seen.state of an object */
uint64_t proxy_child_state(const struct kube_object *o, enum child c);
/* Takes in what an object says; an older version than the one seen is left out. */
void proxy_see(struct proxy *x, enum child c, const struct kube_object *o, unsigned epoch);
void proxy_lose(struct proxy *x, enum child c); /* the object is gone */
bool proxy_exists(const struct proxy *x);       /* any of its objects */
void proxy_fini(struct proxy *x);

#endif
