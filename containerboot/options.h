/* containerboot/options.h - the environment of the program: one row a variable (containerboot.md 2)
 *
 * A row gives name, kind, default, help and where the value goes; parsing, `--help` and
 * docs/operations/environment.md come from it. A boolean that is none warns and takes the default,
 * everything else that is malformed stops the program with one line, an unknown TS_* warns. Values
 * of secrets appear in no message.
 *
 * The environment is an argument: nothing here calls getenv.
 */
#ifndef CONTAINERBOOT_OPTIONS_H
#define CONTAINERBOOT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/mono.h"
#include "crypto/key.h"
#include "model/prefs.h"
#include "netstack/netstack.h"

/* Flags of `tailscale up` found in TS_EXTRA_ARGS: NULL or -1 means not mentioned. */
struct up_flags {
	char *login_server, *hostname, *auth_key, *tags, *routes, *exit_node, *operator_user;
	int accept_routes, accept_dns, shields_up, exit_node_allow_lan, advertise_exit_node, snat,
	    stateful_filtering;
	bool force_reauth;
};

/* Flags of tailscaled found in TS_TAILSCALED_EXTRA_ARGS. */
struct daemon_flags {
	int port;    /* -1: not mentioned */
	int verbose; /* -1: not mentioned */
	char *socks5, *http_proxy, *state_dir, *socket, *debug;
	bool state_mem;
};

enum { OPTIONS_ROUTES_MAX = 1024 }; /* subnets of TS_ROUTES */

struct options {
	/* identity and login */
	char *auth_key, *client_id, *client_secret, *id_token,
	    *audience; /* secrets; "file:PATH" is still unresolved */
	char *hostname, *login_server, *tags, *extra_args;
	struct key_pub control_key; /* zero: not pinned */
	bool auth_once, logout_on_exit, logout_when_asked, cni_remove_on_exit;
	int accept_routes, shields_up, advertise_exit_node; /* -1: not set */
	char *exit_node;
	bool ssh;
	span_t boot_timeout;

	/* routing and proxies */
	bool userspace;
	char *routes; /* NULL: leave as stored; "": withdraw all */
	struct ip dest_ip;
	char *dest_dns_name, *target_ip, *target_fqdn, *target_ports, *socks5, *http_proxy,
	    *serve_config, *serve_tls_dir;
	uint64_t dest_proxy_protocol;
	bool proxy_tailnet_only, forwarding_optimizations, cluster_traffic_via_ingress;
	int accept_dns; /* -1: not set, which means no */

	/* node agent of the CNI plugin */
	char *cni_socket, *cni_state_dir, *cni_device, *cni_namespaces, *cni_subnets, *cni_end_file,
	    *node_name;

	/* state, daemon, plumbing */
	char *state_dir, *nodes_file, *kube_secret, *socket, *daemon_args, *debug_addr, *config_dir,
	    *internal_app, *kubernetes_host, *sandbox;
	uint64_t kubernetes_port;
	bool no_kube_secret;                    /* TS_KUBE_SECRET is there and empty */
	uint64_t memory_limit, port, verbosity; /* 0: default */
	bool derp_http, derp_only, use_cached_netmap, port_mapping;
	enum ns_cc tcp_congestion;

	/* health, metrics, pod */
	char *local_addr, *healthcheck_addr, *pod_ip, *pod_ips, *pod_uid, *pod_name, *egress_config,
	    *ingress_config;
	bool enable_health, enable_metrics;

	struct up_flags up;
	struct daemon_flags daemon;
};

enum option_kind {
	OPTION_BOOL,
	OPTION_TRI, /* a boolean that may be absent */
	OPTION_TEXT,
	OPTION_SPAN,   /* Go duration */
	OPTION_LISTEN, /* host:port */
	OPTION_ROUTES, /* comma-separated prefixes; empty differs from absent */
	OPTION_TAGS,   /* comma-separated tag:name */
	OPTION_IP,
	OPTION_NUMBER,
	OPTION_SIZE, /* bytes, or with K, M, G (KiB, MiB, GiB) */
	OPTION_URL,
	OPTION_MKEY,     /* mkey:... */
	OPTION_CC,       /* name of a congestion control */
	OPTION_ACCEPTED, /* understood and without effect here; help says why */
};

enum {
	OPTION_KERNEL_ONLY = 1,
	OPTION_SECRET = 2,
	OPTION_CLUSTER_ONLY = 4,
	OPTION_OURS = 8,
	OPTION_NOT_YET = 16,
	OPTION_NODE = 32 /* may be set for one of several nodes: TS_NODES_FILE */
};

struct option {
	const char *group; /* heading, or NULL: as the row above */
	const char *name, *alias;
	enum option_kind kind;
	unsigned flags;
	const char *dflt; /* as a user would write it; NULL: none */
	size_t off;
	uint64_t max; /* OPTION_NUMBER */
	const char *help;
};
extern const struct option option_table[];
extern const size_t option_table_n;

/* Whether a variable of this name (no alias) may be set for one of several nodes. */
bool option_of_node(const char *name);

typedef void options_warn_fn(void *ctx, const char *line);

/* env: NULL-terminated "NAME=value" list. 0, -EINVAL with one line, -ENOMEM. *o needs options_fini
 * either way. */
MUST_USE int options_parse(struct options *o, char *const *env, options_warn_fn *warn, void *ctx,
			   struct err *e);
void options_fini(struct options *o); /* wipes secrets */

/* Overwrites the values of secrets where they lie (what /proc/PID/environ shows) and takes them out
 * of the list. */
void options_wipe_env(char **env);

/* The wanted preferences: stored ones with what the environment says on top. With TS_AUTH_ONCE what
 * it does not mention stays as stored, else it goes back to the default (routes excepted: absent is
 * "leave"). stored NULL: a new node. 0 or -EINVAL with one line. */
MUST_USE int options_prefs(const struct options *o, const struct prefs *stored,
			   struct prefs *wanted, struct err *e);

/* The key that logs in: of the variable or of the extra arguments; NULL: none. Possibly
 * "file:PATH". */
const char *options_auth_key(const struct options *o);
/* Target in the tailnet for ports of the pod, or NULL. */
const char *options_target(const struct options *o);
/* Directory that the state is to be in; NULL: memory. */
const char *options_state_dir(const struct options *o);
/* Path of the local API's socket. */
const char *options_socket(const struct options *o);
/* A node agent whose pods may use subnet routes. */
bool options_subnets(const struct options *o);
/* Name of the Secret that the state is to be in, or NULL. */
const char *options_kube_secret(const struct options *o);
/* is_outside: false for a listener "127.0.0.1:..." */
const char *options_socks5(const struct options *o);
const char *options_http_proxy(const struct options *o);

/* Text for people: --help, and the page under docs/. */
MUST_USE bool options_help(struct buf *out);
MUST_USE bool options_markdown(struct buf *out);

/* words.c: text split as a shell would: blanks, '...', "..." with backslash, backslash. Returns a
 * NULL-terminated list in one allocation, which free() takes; NULL: out of memory or an open quote
 * (e says which). */
char **words_split(const char *text, size_t *n, struct err *e);

/* flags.c */
MUST_USE int up_flags_parse(struct up_flags *f, const char *text, options_warn_fn *warn, void *ctx,
			    struct err *e);
void up_flags_fini(struct up_flags *f);
MUST_USE int daemon_flags_parse(struct daemon_flags *f, const char *text, struct err *e);
void daemon_flags_fini(struct daemon_flags *f);

/* Checks of values, shared by variables and flags: 0 or -EINVAL with one line beginning with
 * `what`. */
MUST_USE int check_routes(const char *what, const char *text, struct err *e);
MUST_USE int check_tags(const char *what, const char *text, struct err *e);
MUST_USE int check_hostname(const char *what, const char *text, struct err *e);
/* as Kubernetes has names of objects (RFC 1123 subdomain) */
MUST_USE int check_object_name(const char *what, const char *text, struct err *e);
MUST_USE int check_url(const char *what, const char *text, struct err *e);
MUST_USE int check_server(const char *what, const char *text, struct err *e); /* of control */
MUST_USE int check_listen(const char *what, const char *text, struct err *e);

#endif
