/* operator/want.h - what a parent asks for, checked: a proxy's settings, or words why there is none
 *
 * Pure. Nothing that a user wrote is dropped in silence: what this version does not do becomes a
 * note, and a note becomes an Event.
 */
#ifndef OPERATOR_WANT_H
#define OPERATOR_WANT_H

#include "operator/parent.h"

enum move {
	MOVE_NONE,
	MOVE_LEAVE,   /* its node leaves the group that it is in */
	MOVE_END_OWN, /* the pod of its own goes, until it is gone */
};

enum role {
	ROLE_NONE,    /* no proxy: not asked for (any more), or being deleted */
	ROLE_INGRESS, /* the tailnet reaches a Service's address */
	ROLE_EGRESS,  /* the cluster reaches a node of the tailnet */
	ROLE_WEB,     /* an Ingress, over HTTP, and HTTPS with a certificate */
	ROLE_ROUTER,  /* a Connector */
	ROLE_KEEP,    /* the wish is not valid: what runs is left as it is */
};

enum { CLASS_NODES_MAX = 64 }; /* of one process: as containerboot has it (NODES_MAX) */

/* A ProxyClass: raw JSON pieces that go into the pod template. */
struct proxy_class {
	char name[64];
	bool is_valid;
	char why[256];
	char unknown[256];    /* fields that nothing reads, ", " between; "" none */
	char ts_env[64];      /* the first variable of TS_ that it sets; "" none */
	unsigned per_process; /* Services of one process; 0: a pod each */
	char *spec;           /* JSON, owned */
};
void proxy_class_parse(struct proxy_class *c, struct bytes object);
void proxy_class_fini(struct proxy_class *c);

/* Other objects that a parent names, as they were read for it. */
enum tls_state { TLS_NONE, TLS_THERE, TLS_ABSENT, TLS_FORBIDDEN, TLS_BAD };
struct facts {
	enum tls_state tls;
	char *tls_crt, *tls_key; /* base64, as in the Secret; owned, wiped */
};
void facts_fini(struct facts *f);

struct settings { /* of the operator; texts live as long as the program */
	const char *ns, *image, *default_tags, *login_server, *class_name, *default_class,
	    *cluster_domain;
	const char *pull_policy, *priority_class, *ca_secret;
	bool default_load_balancer;
	bool is_headscale; /* the API is Headscale's */
	bool fixed_key;    /* tags come from the key: they cannot be chosen */
	bool derp_http;    /* relays by plain HTTP */
};

enum { NOTES_MAX = 8 };
struct note {
	bool is_warning;
	char reason[48], message[400];
};

struct want {
	enum role role;
	bool is_invalid; /* reason and message say why */
	char reason[64], message[400];
	bool tls;               /* of a web: HTTPS, by facts.tls_crt */
	bool exit_node;         /* of a router */
	bool polls;             /* what it depends on is not watched */
	char place[GROUP_TEXT]; /* of its node in a group; "": a pod of its own */
	enum move move;
	char hostname[64], tags[TAGS_MAX];
	char
	    dest_name[256]; /* of an ingress whose Service is an ExternalName; dest_ip is "" then */
	char dest_ip[64], target_ip[64], target_fqdn[256], ports[512], routes[ROUTES_MAX];
	struct note note[NOTES_MAX];
	size_t n_notes;
};

/* class: of the parent's proxy_class or the default one, NULL when there is none of that name. f:
 * what was looked up for it; NULL: nothing. */
void want_make(struct want *w, const struct parent *p, const struct settings *s,
	       const struct proxy_class *c, const struct facts *f);
const char *want_class(const struct parent *p,
		       const struct settings *s); /* the name to look up; "" for none */
bool path_is_served(const struct parent_path *x);
bool path_is_tls(const struct parent_path *x); /* its back end is spoken to by TLS */
bool hostname_is_valid(const char *name);      /* RFC 1123 label */
bool tags_are_valid(const char *tags);         /* "tag:a,tag:b-c" */

#endif
