/* containerboot/program.h - one node of the tailnet as one object: what run.c runs, act.c changes
 * on request; process.h has what nodes share */
#ifndef CONTAINERBOOT_PROGRAM_H
#define CONTAINERBOOT_PROGRAM_H

#include "containerboot/agent.h"
#include "containerboot/agent_events.h"
#include "containerboot/nodes.h"
#include "containerboot/options.h"
#include "containerboot/store.h"
#include "host/egress.h"
#include "host/host.h"
#include "host/localapi_server.h"
#include "host/proxy.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/privilege.h"
#include "os/resolve.h"
#include "os/tls.h"

/* The stock client whose local API this speaks: its CLI warns when it meets another. */
#define PROGRAM_API_VERSION "1.102.5"

enum {                   /* exit codes that an orchestrator can act on */
       EXIT_STOPPED = 0, /* asked to stop */
       EXIT_FAILED = 1,  /* a bad setting, no start in time, something broke: see the last line */
       EXIT_LOGIN = NODE_EXIT_LOGIN, /* 3: must log in (new, removed, expired) without a key that
					control takes */
};

struct process;
struct program {
	struct process *process;
	struct secret_arena *arena;     /* where this lies */
	char label[NODES_NAME_MAX + 3]; /* "NAME: ", or "" for the only node */
	const struct options *options;
	struct store store;
	struct state_node self;
	struct loop *loop; /* this and the next two: the process's */
	struct resolver *resolver;
	struct tls_client *tls;
	struct host *host;
	struct localapi_server *api;
	struct proxy_server *proxy;
	struct egress *egress;
	struct dest_name *dest;
	struct serve_config *serve;
	struct agent *agent;               /* of the CNI plugin; NULL: not asked for */
	struct agent_events *agent_events; /* NULL: no cluster, or no account in it */
	struct file_watch *key_watch;
	char *key_watch_path;
	struct oauth_mint *mint; /* under way */
	char *config_path;       /* the configuration file in use, or NULL */
	struct file_watch *config_watch;
	char *config_key; /* its auth key, a secret; NULL: none */
	bool config_is_locked;
	struct ipport endpoints[NODE_STATIC_MAX]; /* its StaticEndpoints */
	size_t n_endpoints;
	char hostname[256];
	struct loop_timer boot, netmap_save, state_retry, stop_limit, end_look, trim;
	mono_t end_late; /* of TS_CNI_END_FILE */
	bool is_ready, stopping, logged_in, has_started, has_ended;
	bool is_removed;                     /* the list has it no more */
	bool remove_on_exit, logout_on_exit; /* what options say, or the end of an agent's pod */
	bool waits_logout, waits_gateway;    /* of a program that stops */
	bool waits_word;                     /* of its Secret, before it stops */
	bool asked_to_log_out;               /* there */
	bool login_by_hand;                  /* asked for over the local API, and not done yet */
	bool has_secret_key;                 /* the auth key is the Secret's */
	bool has_client;                     /* a client secret, or a workload's token, logs in */
	bool key_has_changed;                /* its file did before the node began */
	bool has_minted;        /* it gave a key (or is about to), and the node did not run since */
	bool is_known, is_on;   /* of the node: kept from an earlier run; host_start was called */
	bool netmap_is_unsaved; /* the last try failed: said once, until one works again */
	int exit_code;
};

/* run.c */
/* name: before its log lines; "" for the only one. options are borrowed for its life. NULL: no
 * memory. */
struct program *program_new(struct process *process, const char *name,
			    const struct options *options);
/* Reads the state, makes the node and its listeners; may turn the loop meanwhile. 0 or -errno with
 * one line; it needs program_free either way. */
MUST_USE int program_open(struct program *p, struct err *e);
void program_start(struct program *p); /* after program_open: packets go */
void program_start_node(struct program *p);
/* Begins the end: a logout if that is wanted, a mapped port given back. has_ended says when it is
 * done, a few seconds at most; asked again it ends at once. */
void program_leave(struct program *p);
void program_free(struct program *p); /* the last write may turn the loop; NULL is fine */
void program_stop(struct program *p, int exit_code);
void program_save(struct program *p); /* self into the store, the store onto the disk; tries again
					 later when it fails */

/* self.c: who we are and what is wanted of us, out of state and environment or configuration file.
 * 0 or -errno with one line */
MUST_USE int program_load_self(struct program *p, struct err *e);
/* After it: the node and its host, which tells events; keys that are new go into self. */
MUST_USE int program_make_host(struct program *p, const struct host_ops *events, struct err *e);
void program_keep_home(struct program *p); /* the home relay into the state; saved by others */
/* What control is told of us; views into p and h. */
enum { PROGRAM_TAGS_MAX = 64 };
struct program_hostinfo {
	struct control_hostinfo info;
	const char *tags[PROGRAM_TAGS_MAX];
	struct ipprefix routes[OPTIONS_ROUTES_MAX];
	char text[PREFS_TAGS_MAX];
};
const struct control_hostinfo *program_hostinfo(const struct program *p,
						struct program_hostinfo *h);

/* act.c: what the local API asks for */
void program_c2n(void *ctx); /* what control asks of this node */
void program_view(void *ctx, struct localapi_view *v);
void program_set_operator(struct program *p); /* of the local API, as preferences name him */
int program_act(void *ctx, const struct localapi_answer *what, const char **words);
/* Puts preferences into force and stores them; who: is said in the log to set them. */
void program_set_prefs(struct program *p, const struct prefs *next, const char *who);
/* key.c: the auth key; *key is the caller's to wipe and free, NULL: none. 0 or -errno with one
 * line. */
MUST_USE int program_auth_key(struct program *p, char **key, struct err *e);
/* Before the key is read, so that no change is missed; again when another file may hold it. */
void program_watch_key(struct program *p);
void program_unwatch_key(struct program *p);
void program_key_started(struct program *p); /* a change that came too early counts now */
/* VALUE, or what stands in the file of file:PATH; wiped and freed by the caller. */
MUST_USE int program_read_value(const char *name, const char *value, char **out, struct err *e);
/* TS_CLIENT_SECRET and TS_CLIENT_ID, or NULL; a node's own auth key comes before them. */
const char *program_client_secret(const struct program *p);
/* TS_ID_TOKEN, which comes with TS_CLIENT_ID, in the same way */
const char *program_id_token(const struct program *p);
/* What stands where an auth key does, unresolved, or NULL. */
const char *program_key_value(const struct program *p);
/* mint.c: logging in with a client secret or a workload's token. check: after the preferences are
 * known. mint: true: a key is on its way to the node */
MUST_USE int program_mint_check(struct program *p, struct err *e);
bool program_mint(struct program *p);
const char *program_key_path(const struct program *p); /* of TS_AUTHKEY=file:PATH, or NULL */
/* Tries the key at hand when the node does not run; what: is said in the log to have changed. */
void program_try_key(struct program *p, const char *what);
/* config.c: the configuration file of TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR; nothing without one.
 * open: chooses it, checks it, takes its auth key; prefs: what it says over the
 * stored ones (NULL: a new node) */
MUST_USE int program_config_open(struct program *p, struct err *e);
MUST_USE int program_config_prefs(struct program *p, const struct prefs *stored,
				  struct prefs *wanted, struct err *e);
void program_config_free(struct program *p);
/* dest.c: TS_EXPERIMENTAL_DEST_DNS_NAME. NULL: e says why */
struct dest_name *dest_name_new(struct host *host, struct resolver *resolver, const char *name,
				struct err *e);
void dest_name_free(struct dest_name *d); /* before the resolver; NULL is fine */
/* serve.c: TS_SERVE_CONFIG */
struct serve_config;
MUST_USE int serve_config_new(struct program *p,
			      struct err *e);     /* into p->serve; nothing without it */
void serve_config_free(struct serve_config *c);   /* NULL is fine */
void serve_config_netmap(struct serve_config *c); /* names may have changed */
/* Directories that it reads from, at most max, borrowed. */
size_t serve_config_dirs(const struct serve_config *c, const char **v, size_t max);
/* pod.c: the state Secret and what it says beside the state; nothing without one */
bool program_in_pod(const struct program *p); /* is the state to be in a Secret? */
MUST_USE int program_pod_open(struct program *p, struct err *e);
void program_pod_logged_in(struct program *p);
void program_pod_tell(struct program *p); /* who we are, as far as it is known and in place */
void program_pod_wants_key(struct program *p);
/* TS_LOGOUT_WHEN_ASKED: the Secret is asked; then program_leave_told. False:
 * there is nothing to ask. */
MUST_USE bool program_pod_ask(struct program *p);
void program_leave_told(struct program *p, bool logs_out); /* run.c */
void program_pod_logged_out(struct program *p);            /* and says so there */
/* Before program_free of a node that is no longer wanted: says in its Secret that nobody runs it.
 */
void program_pod_left(struct program *p);

/* cli.c: status, ping, ... over the socket; returns the exit code */
int cli_main(int argc, char **argv);
bool cli_knows(const char *command);

#endif
