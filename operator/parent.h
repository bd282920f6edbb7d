/* operator/parent.h - what users write: Services, Ingresses, Connectors and other kinds, as far as
 * it matters to us
 *
 * Pure. A parent that asks for nothing and bears no mark of ours is not kept (parent_matters).
 */
#ifndef OPERATOR_PARENT_H
#define OPERATOR_PARENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/mono.h"
#include "kube/object.h"

#define FINALIZER "tailscale.com/finalizer"
#define NOTE_EXTERNAL "tailpod/external-name" /* of an egress Service: spec.externalName before */

enum kind { /* a row in kinds[] each */
	    KIND_SERVICE,
	    KIND_INGRESS,
	    KIND_CONNECTOR,
	    KIND_PROXYCLASS,
	    KIND_PROXYGROUP,
	    KIND_DNSCONFIG,
	    KIND_RECORDER,
	    KIND_TAILNET,
	    KIND_PEERRELAY,
	    KIND_PROXYGROUPPOLICY,
	    KIND_N,
};
struct kind_row {
	const char *key; /* first part of a work key, and the label parent-resource-type */
	const char *api_version, *kind, *resource;
	const char *condition; /* type of the condition that we keep; NULL: the kind has none */
	bool is_offered;       /* by this version */
	bool is_core;          /* always there; else its CRD may be missing */
};
extern const struct kind_row kinds[KIND_N];

enum {
	PARENT_PORTS_MAX = 64,
	PARENT_PATHS_MAX = 32,
	PARENT_KEY_MAX = 340,
	GROUP_TEXT = 96, /* group.h: "CLASS/GROUP/SLOT" */
	TAGS_MAX = 512,
	ROUTES_MAX = 1024
};

struct condition {
	bool exists;
	bool is_true;
	char reason[64], message[512], since[40];
	int64_t observed;
};

struct parent_path {
	char host[256]; /* "": any */
	char path[256], service[64];
	char port_name[64]; /* "": by number; else port is looked up */
	uint16_t port;      /* 0: not known */
	bool is_exact;      /* pathType */
	bool is_undefined;  /* the rule names no path */
	bool is_absent;     /* looked up: there is no such Service */
	char protocol[32];  /* looked up: appProtocol of the port; "" none */
	bool is_bad;        /* what cannot be served: no Service, no path */
};

struct parent {
	enum kind kind;
	char ns[KUBE_NS_MAX + 1], name[KUBE_NAME_MAX + 1], uid[KUBE_UID_MAX + 1],
	    rv[KUBE_RV_MAX + 1];
	int64_t generation;
	bool is_deleting, has_finalizer;
	wall_t deleted;
	char *finalizers; /* JSON of the others, for writing them back; NULL: none */
	/* annotations; empty: absent */
	bool expose;
	char malformed[64]; /* the first annotation or field of ours that is too long or no text;
			       "" none */
	char hostname[256], tags[TAGS_MAX], proxy_class[64], tailnet_ip[64], tailnet_fqdn[256];
	char unknown[256]; /* tailscale.com/ annotations that this version does not act on, comma
			      separated */
	/* spec of a Service */
	bool is_load_balancer, is_external_name;
	char lb_class[128], class_name[128];
	char cluster_ip[64], external_name[256];
	bool has_v4, has_v6;      /* among spec.clusterIPs */
	char ports[512];          /* "80,8443:443,53/udp" (here:there), or empty */
	char port_left_out[64];   /* the first that cannot be forwarded; "" none */
	char external_saved[256]; /* what external_name was before it was ours */
	/* spec of an Ingress */
	struct parent_path *path; /* n_paths of them, or NULL */
	size_t n_paths;
	char tls_host[256], tls_secret[KUBE_NAME_MAX + 1];
	bool too_many_paths, many_tls, many_tls_hosts, http_redirect;
	/* spec of a Connector */
	char routes[ROUTES_MAX], host_prefix[64];
	bool exit_node, app_connector;
	int64_t replicas;
	/* status */
	struct condition condition;
	char lb_host[256], lb_ip[4][64];
	size_t n_lb_ip;
};

/* False: not an object of the kind. */
MUST_USE bool parent_parse(struct parent *p, enum kind kind, struct bytes json);
void parent_fini(struct parent *p);
/* Whether to keep it: it asks for a proxy, or bears our finalizer or condition. */
bool parent_matters(const struct parent *p, const char *class_name, bool default_load_balancer);
void parent_key(char out[static PARENT_KEY_MAX], enum kind kind, const char *ns,
		const char *name);                              /* "svc/ns/name" */
uint16_t parent_port_at(struct bytes object, const char *path); /* a number there; 0: none */
/* Back again; false: no such kind or malformed. */
MUST_USE bool parent_key_parse(const char *key, enum kind *kind, char ns[static KUBE_NS_MAX + 1],
			       char name[static KUBE_NAME_MAX + 1]);

#endif
