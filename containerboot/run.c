/* containerboot/run.c - the life of one node: state, keys, listeners, the end
 *
 * Start: state read and locked -> wanted preferences, differences logged -> node with the stored
 * keys -> listeners -> (process.c gives privileges up) -> loop. Ready is when the node first runs;
 * the boot timer ends it when that takes too long. Asked to leave, it ends at once (with
 * TS_LOGOUT_ON_EXIT, or where its Secret asks for it, after the logout, with a port mapped by
 * TS_PORT_MAPPING after that is given back: a few seconds at most). Whatever state the node is in,
 * the program stays: dependants share its network name space.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "containerboot/netmap_cache.h"
#include "containerboot/oauth.h"
#include "containerboot/owner.h"
#include "containerboot/process.h"
#include "containerboot/program.h"
#include "os/privilege.h"

enum {
	NETMAP_SAVE_S = 10,
	STATE_RETRY_S = 30,
	STOP_LIMIT_S = 5,
	WORD_LIMIT_S = 2,    /* of the Secret, whether to log out */
	GATEWAY_LIMIT_S = 2, /* a gateway on the same link answers in no time */
	BOOT_FLUSH_S = 60,   /* when TS_BOOT_TIMEOUT is off */
	FLUSH_S = 15,        /* with the logout well within the usual 30 s of grace */
	REMOVED_FLUSH_S = 3, /* its Secret may be gone, and others wait */
	TRIM_S = 10,
	SAVED_TRIM_S = 2,
	END_LATE_S = 5, /* what the owner's watcher needs for its last look, and some */
	END_LOOK_MS = 100,
	END_FILE_MAX = 64,
};

#define DEFAULT_SOCKET_DIR "/var/run/tailscale"
#define DEFAULT_SOCKET DEFAULT_SOCKET_DIR "/tailscaled.sock"

static struct node *node(struct program *p)
{
	return host_node(p->host);
}

static void has_ended(struct program *p)
{
	p->has_ended = true;
	process_wake(p->process);
}

void program_stop(struct program *p, int exit_code)
{
	p->exit_code = exit_code;
	p->stopping = true;
	has_ended(p);
}

/* --- state --- */

void program_save(struct program *p)
{
	if (state_store(p->store.state, &p->self) < 0)
		log_error("state: out of memory, not saved");
	if (!store_save(&p->store))
		loop_timer_set(&p->state_retry, mono_add(loop_now(p->loop), SPAN_S(STATE_RETRY_S)));
}

static void retry_save(void *ctx)
{
	struct program *p = ctx;
	LOG_AS(p->label);

	program_save(p);
}

static void copy_text(char *out, size_t cap, const char *text)
{
	if (text)
		(void)bytes_to_str(bytes_str(text), out, cap); /* a cut label is only shown */
}

/* What the node has become, into what is stored. */
static void take_identity(struct program *p)
{
	struct netmap *nm = node_netmap(node(p));
	const struct netmap_node *self = netmap_self(nm);
	const struct netmap_user *user = self ? netmap_user(nm, self->user) : NULL;

	p->self.node = *node_key(node(p));
	if (!self)
		return;
	copy_text(p->self.node_id, sizeof p->self.node_id, self->stable_id);
	p->self.user_id = self->user;
	if (user) {
		copy_text(p->self.login, sizeof p->self.login, user->login);
		copy_text(p->self.display, sizeof p->self.display, user->display);
	}
	copy_text(p->self.magic_suffix, sizeof p->self.magic_suffix, netmap_magic_suffix(nm));
	copy_text(p->self.domain, sizeof p->self.domain, netmap_domain(nm));
}

static void on_persist_login(void *ctx)
{
	struct program *p = ctx;

	take_identity(p);
	p->self.prefs.logged_out = false;
	program_keep_home(p);
	program_pod_logged_in(p);
	program_save(p);
	if (!p->logged_in)
		localapi_server_notify(p->api, LOCALAPI_N_LOGIN, NULL);
	p->logged_in = true;
}

static void save_netmap(void *ctx)
{
	struct program *p = ctx;
	struct err e = { 0 };
	int r = netmap_cache_save(p->store.netmap, node_netmap(node(p)), &e);
	LOG_AS(p->label);

	if (r < 0 && !p->netmap_is_unsaved)
		log_warn("state: the netmap is not kept: %s", e.text);
	p->netmap_is_unsaved = r < 0;
	take_identity(p);
	program_save(p);
	if (p->is_ready) /* what emitting touched goes back */
		loop_timer_set(&p->trim, mono_add(loop_now(p->loop), SPAN_S(SAVED_TRIM_S)));
}

static void on_persist_netmap(void *ctx)
{
	struct program *p = ctx;

	if (p->store.netmap && p->options->use_cached_netmap && !loop_timer_is_set(&p->netmap_save))
		loop_timer_set(&p->netmap_save, mono_add(loop_now(p->loop), SPAN_S(NETMAP_SAVE_S)));
}

/* --- what the node tells --- */

static void trim(void *ctx)
{
	size_t given =
	    memory_trim(); /* not within log_debug: it evaluates nothing below its level */

	(void)ctx;

	log_debug("containerboot: %zu KiB of cold code given back", given >> 10);
}

/* Orchestrators see a code of its own; who waits for a key in a file, or logs in by hand over the
 * local API, keeps the program. */
static void cannot_login(struct program *p, const char *why)
{
	if (program_mint(p)) {
		log_info("containerboot: the node must log in anew: asking for an auth key with %s",
			 program_id_token(p) ? "the token of TS_ID_TOKEN" : "the client secret");
		return;
	}
	log_error("containerboot: %s", why);
	if (!p->login_by_hand)
		program_pod_wants_key(p);
	if (p->login_by_hand)
		localapi_server_notify(p->api, LOCALAPI_N_ERROR, why);
	else if (p->key_watch || p->config_watch)
		log_info("containerboot: waiting for another auth key in its file");
	else
		program_stop(p, EXIT_LOGIN);
}

static void on_state(void *ctx, enum node_state state)
{
	struct program *p = ctx;

	log_info("containerboot: state is %s", node_state_names[state]);
	if (state == NODE_NEEDS_APPROVAL)
		log_warn("containerboot: the node waits for approval by an administrator of the "
			 "tailnet");
	if (state == NODE_RUNNING && !p->is_ready) {
		p->is_ready = true;
		loop_timer_set(&p->boot, MONO_NEVER);
		loop_timer_set(&p->trim, mono_add(loop_now(p->loop), SPAN_S(TRIM_S)));
		log_info("Startup complete, waiting for shutdown signal");
	}
	program_pod_tell(p);
	if (p->agent)
		agent_state(p->agent, state);
	localapi_server_notify(p->api, LOCALAPI_N_STATE, NULL);
	if (state == NODE_RUNNING)
		p->login_by_hand = p->has_minted = false;
}

static void on_auth_url(void *ctx, const char *url)
{
	struct program *p = ctx;

	if (program_mint(p))
		return;
	log_info("containerboot: to log this node in, visit %s", url);
	localapi_server_notify(p->api, LOCALAPI_N_URL, NULL);
}

static void on_health(void *ctx)
{
	struct program *p = ctx;

	localapi_server_notify(p->api, LOCALAPI_N_HEALTH, NULL);
}

static void on_inner(void *ctx, struct pkt *v, size_t n)
{
	struct program *p = ctx;

	if (p->agent)
		agent_inner(p->agent, v, n);
}

static void on_netmap(void *ctx)
{
	struct program *p = ctx;

	if (p->agent)
		agent_netmap(p->agent);
	program_pod_tell(p);
	serve_config_netmap(p->serve);
	localapi_server_notify(p->api, LOCALAPI_N_NETMAP, NULL);
}

static void on_pong(void *ctx, const struct node_ping_result *r)
{
	struct program *p = ctx;

	localapi_server_pong(p->api, r);
}

/* What is to be undone outside before the end. */
static void stop_when_done(struct program *p)
{
	if (!p->waits_logout && !p->waits_gateway)
		has_ended(p);
}

static void on_logged_out(void *ctx)
{
	struct program *p = ctx;

	log_info("containerboot: logged out");
	key_wipe(&p->self.node);
	p->self.node_id[0] = 0;
	p->self.prefs.logged_out = true;
	p->logged_in = false;
	netmap_cache_drop(p->store.netmap);
	program_pod_logged_out(p);
	program_save(p);
	p->waits_logout = false;
	if (p->stopping)
		stop_when_done(p);
	else
		localapi_server_notify(p->api, LOCALAPI_N_STATE | LOCALAPI_N_PREFS, NULL);
}

static void on_left(void *ctx)
{
	struct program *p = ctx;

	p->waits_gateway = false;
	if (p->stopping)
		stop_when_done(p);
}

static void on_fatal(void *ctx, int code, const char *text)
{
	struct program *p = ctx;

	if (code == EXIT_LOGIN) {
		cannot_login(p, text);
		return;
	}
	log_error("containerboot: %s", text);
	program_stop(p, code ? code : EXIT_FAILED);
}

static const struct host_ops host_events = {
	.state = on_state,
	.auth_url = on_auth_url,
	.persist_login = on_persist_login,
	.persist_netmap = on_persist_netmap,
	.health = on_health,
	.netmap = on_netmap,
	.inner = on_inner,
	.pong = on_pong,
	.c2n = program_c2n,
	.logged_out = on_logged_out,
	.left = on_left,
	.fatal = on_fatal,
};

/* --- signals and deadlines --- */

static void boot_late(void *ctx)
{
	struct program *p = ctx;
	const char *why[NODE_HEALTH_MAX];
	size_t n = node_health(node(p), why, ARRAY_LEN(why));
	LOG_AS(p->label);

	log_error("containerboot: not running after %lld s (TS_BOOT_TIMEOUT), state is %s%s%s",
		  (long long)(p->options->boot_timeout.ns / NS_PER_S),
		  node_state_names[node_state(node(p))], n ? ": " : "", n ? why[0] : "");
	program_stop(p, EXIT_FAILED);
}

static void stop_late(void *ctx)
{
	struct program *p = ctx;
	LOG_AS(p->label);

	if (p->waits_word) {
		log_warn("containerboot: the Secret does not say in time whether to log out: not "
			 "logged out");
		program_leave_told(p, false);
		return;
	}
	log_warn("containerboot: no answer to the %s, leaving anyway",
		 p->waits_logout ? "logout" : "release of the mapped port");
	has_ended(p);
}

static void leave(struct program *p)
{
	p->waits_gateway = p->host && host_leave(p->host);
	p->waits_logout = p->logout_on_exit && p->logged_in;
	if (p->waits_logout)
		node_logout(node(p), loop_now(p->loop));
	loop_timer_set(
	    &p->stop_limit,
	    mono_add(loop_now(p->loop), SPAN_S(p->waits_logout ? STOP_LIMIT_S : GATEWAY_LIMIT_S)));
	stop_when_done(p);
}

void program_leave_told(struct program *p, bool logs_out)
{
	LOG_AS(p->label);

	if (!p->waits_word || p->has_ended)
		return;
	p->waits_word = false;
	if (logs_out) {
		log_info("containerboot: the Secret asks for a logout");
		p->asked_to_log_out = p->logout_on_exit = true;
	}
	leave(p);
}

/* Does the end of an agent's pod mean the end of the plugin? Looks until it is said, or too late.
 */
static void look_at_end(void *ctx)
{
	struct program *p = ctx;
	struct err e;
	char *text;
	size_t len;
	LOG_AS(p->label);

	if (file_read(p->options->cni_end_file, END_FILE_MAX, &text, &len, &e) == 0) {
		if (strcmp(text, OWNER_REMOVE) == 0) {
			log_info(
			    "containerboot: %s says that the agent is uninstalled: device, rules "
			    "and the node go too",
			    p->options->cni_end_file);
			p->remove_on_exit = p->logout_on_exit = true;
		}
		free(text);
	} else if (loop_now(p->loop).ns < p->end_late.ns) {
		loop_timer_set(&p->end_look, mono_add(loop_now(p->loop), SPAN_MS(END_LOOK_MS)));
		return;
	} else {
		log_warn("containerboot: TS_CNI_END_FILE: %s; device, rules and node are kept",
			 e.text);
	}
	leave(p);
}

void program_leave(struct program *p)
{
	LOG_AS(p->label);

	if (p->stopping) { /* asked twice */
		has_ended(p);
		return;
	}
	p->stopping = true;
	p->exit_code = EXIT_STOPPED;
	p->end_late = mono_add(loop_now(p->loop), SPAN_S(END_LATE_S));
	if (p->agent && p->options->cni_end_file)
		look_at_end(p);
	else if ((p->waits_word = program_pod_ask(p)))
		loop_timer_set(&p->stop_limit, mono_add(loop_now(p->loop), SPAN_S(WORD_LIMIT_S)));
	else
		leave(p);
}

/* --- start --- */

void program_view(void *ctx, struct localapi_view *v)
{
	struct program *p = ctx;

	v->node = node(p);
	v->state = p->store.state;
	v->self = &p->self;
	v->version = PROGRAM_API_VERSION;
	v->is_ephemeral = store_is_memory(&p->store);
}

/* A bare `tailscale` looks at the usual place; there it is a link, when we may make one. What
 * somebody answers on stays. */
static void link_socket(const char *path)
{
	struct stat st;

	if (strcmp(path, DEFAULT_SOCKET) == 0)
		return;
	(void)mkdir(DEFAULT_SOCKET_DIR, 0755);
	if (lstat(DEFAULT_SOCKET, &st) == 0 && S_ISLNK(st.st_mode) && stat(DEFAULT_SOCKET, &st) < 0)
		(void)unlink(DEFAULT_SOCKET);
	if (symlink(path, DEFAULT_SOCKET) < 0)
		log_debug("containerboot: no link at " DEFAULT_SOCKET
			  ": %m; use tailscale --socket=%s",
			  path);
}

static int open_egress(struct program *p, struct err *e)
{
	struct egress_port ports[EGRESS_PORTS_MAX];
	struct egress_conf conf = { .host = p->host,
				    .target = options_target(p->options),
				    .ports = ports };

	if (!conf.target)
		return 0;
	if (egress_ports_parse("TS_TAILNET_TARGET_PORTS", bytes_str(p->options->target_ports),
			       ports, ARRAY_LEN(ports), &conf.n_ports, e) < 0)
		return -EINVAL;
	p->egress = egress_new(&conf, e);
	return p->egress ? 0 : -EIO;
}

static struct agent_events *open_agent_events(const struct program *p)
{
	const struct options *o = p->options;
	const struct agent_events_conf conf = { .client = { .loop = p->loop,
							    .resolver = p->resolver,
							    .host = o->kubernetes_host,
							    .port = (uint16_t)o->kubernetes_port },
						.node = o->node_name };
	struct agent_events *es;
	struct err e = { 0 };

	if (!o->kubernetes_host)
		return NULL;
	es = agent_events_new(&conf, &e);
	if (!es)
		log_info("containerboot: no Events are told to the cluster: %s", e.text);
	return es;
}

/* The CNI plugin's node agent, when asked for. */
static int open_agent(struct program *p, struct err *e)
{
	const struct options *o = p->options;
	struct ipprefix subnets[AGENT_SUBNETS_MAX];
	struct agent_conf conf = { .loop = p->loop,
				   .host = p->host,
				   .subnets = subnets,
				   .socket = o->cni_socket,
				   .state_dir = o->cni_state_dir,
				   .device = o->cni_device,
				   .namespaces = o->cni_namespaces };
	int n;

	if (!o->cni_socket)
		return 0;
	if (options_socks5(o) || options_http_proxy(o) || options_target(o))
		return err_say(e, EINVAL,
			       "TS_CNI_AGENT_SOCKET excludes TS_SOCKS5_SERVER, "
			       "TS_OUTBOUND_HTTP_PROXY_LISTEN and TS_TAILNET_TARGET_*: the node's "
			       "packets go to a device");
	n = agent_subnets(o->cni_subnets, subnets, e);
	if (n < 0)
		return n;
	conf.n_subnets = (size_t)n;
	conf.events = p->agent_events = open_agent_events(p);
	p->agent = agent_new(&conf, e);
	return p->agent ? 0 : err_wrap(e, "TS_CNI_AGENT_SOCKET");
}

static int open_listeners(struct program *p, struct err *e)
{
	static const struct localapi_server_ops api_ops = { .act = program_act,
							    .view = program_view };
	const struct options *o = p->options;
	const char *socket = options_socket(o);
	struct localapi_server_conf api = { .host = p->host,
					    .path = socket,
					    .operator_uid = (uid_t)-1,
					    .ops = &api_ops,
					    .ctx = p };
	struct proxy_conf proxy = { .host = p->host,
				    .socks5 = options_socks5(o),
				    .http = options_http_proxy(o),
				    .tailnet_only = o->proxy_tailnet_only };

	p->api = localapi_server_new(&api, e);
	if (!p->api)
		return err_wrap(e, "TS_SOCKET");
	program_set_operator(p);
	if (!*p->label)
		link_socket(socket);
	if ((proxy.socks5 || proxy.http) && !(p->proxy = proxy_server_new(&proxy, e)))
		return err_wrap(e, proxy.socks5 && strstr(e->text, proxy.socks5)
				       ? "TS_SOCKS5_SERVER"
				       : "TS_OUTBOUND_HTTP_PROXY_LISTEN");
	if (open_egress(p, e) < 0)
		return -EIO;
	if (o->dest_dns_name &&
	    !(p->dest = dest_name_new(p->host, p->resolver, o->dest_dns_name, e)))
		return -EIO;
	return serve_config_new(p, e) < 0 ? -EIO : 0;
}

static void init_timers(struct program *p)
{
	loop_timer_init(p->loop, &p->boot, boot_late, p);
	loop_timer_init(p->loop, &p->netmap_save, save_netmap, p);
	loop_timer_init(p->loop, &p->state_retry, retry_save, p);
	loop_timer_init(p->loop, &p->stop_limit, stop_late, p);
	loop_timer_init(p->loop, &p->end_look, look_at_end, p);
	loop_timer_init(p->loop, &p->trim, trim, p);
}

/* --- life --- */

struct program *program_new(struct process *process, const char *name,
			    const struct options *options)
{
	struct secret_arena *arena = secret_arena_new(sizeof(struct program));
	struct program *p = arena ? secret_alloc(arena, sizeof *p) : NULL;

	if (!p) {
		secret_arena_free(arena);
		return NULL;
	}
	p->arena = arena;
	p->process = process;
	if (*name)
		snprintf(p->label, sizeof p->label, "%s: ", name);
	p->options = options;
	p->loop = process->loop;
	p->resolver = process->resolver;
	p->tls = process->tls;
	p->store.lock = -1;
	p->exit_code = EXIT_FAILED;
	p->remove_on_exit = options->cni_remove_on_exit;
	p->logout_on_exit = options->logout_on_exit;
	init_timers(p);
	if (!secret_arena_is_locked(arena))
		log_info("containerboot: memory of keys cannot be locked (RLIMIT_MEMLOCK); it may "
			 "be swapped out");
	return p;
}

static int open_store(struct program *p, const char *dir, struct err *e)
{
	const int r = store_open(&p->store, dir, e);

	if (r == -EACCES || r == -EPERM || r == -EROFS)
		return err_wrap(e, "TS_STATE_DIR (uid %u must be able to write there)",
				(unsigned)geteuid());
	return r < 0 && dir && !strstr(e->text, "TS_STATE_DIR") ? err_wrap(e, "TS_STATE_DIR") : r;
}

int program_open(struct program *p, struct err *e)
{
	const struct options *o = p->options;
	const char *dir = options_state_dir(o);
	int r = program_config_open(p, e);

	if (r == 0)
		program_watch_key(p);
	if (r == 0)
		r = program_in_pod(p) ? program_pod_open(p, e) : open_store(p, dir, e);
	if (r == 0 && store_is_memory(&p->store))
		log_warn("containerboot: no TS_STATE_DIR: the state is in memory and the node is "
			 "ephemeral");
	if (r == 0)
		r = program_load_self(p, e);
	if (r == 0)
		r = program_mint_check(p, e);
	if (r < 0)
		return r;
	gethostname(p->hostname, sizeof p->hostname - 1);
	if (o->boot_timeout.ns > 0)
		loop_timer_set(&p->boot, mono_add(loop_now(p->loop), o->boot_timeout));
	r = program_make_host(p, &host_events, e);
	/* keys must not be lost: the store is tried before the node registers */
	if (r == 0 && store_try(&p->store, e) < 0)
		r = err_wrap(e, "TS_STATE_DIR %s cannot be written", dir);
	if (r == 0)
		r = open_agent(p, e);
	if (r == 0)
		r = open_listeners(p, e);
	if (r == 0 && !store_flush(&p->store,
				   o->boot_timeout.ns > 0 ? o->boot_timeout : SPAN_S(BOOT_FLUSH_S)))
		r = err_say(e, EIO, "TS_KUBE_SECRET %s cannot be written", options_kube_secret(o));
	return r;
}

void program_start_node(struct program *p)
{
	p->is_on = true;
	host_start(p->host);
}

void program_start(struct program *p)
{
	LOG_AS(p->label);

	p->has_started = true;
	if (p->is_known || !program_mint(p))
		program_start_node(p);
	program_key_started(p);
}

static void last_save(struct program *p)
{
	/* also when it is younger than the delays of node and timer */
	if (p->is_ready && p->store.netmap && p->options->use_cached_netmap &&
	    !p->self.prefs.logged_out)
		save_netmap(p);
	if (!store_flush(&p->store, SPAN_S(p->is_removed ? REMOVED_FLUSH_S : FLUSH_S)))
		log_error("containerboot: the last changes of the state are not written");
}

void program_free(struct program *p)
{
	if (!p)
		return;
	if (p->has_started)
		last_save(p);
	localapi_server_free(p->api);
	if (p->agent && p->stopping && p->remove_on_exit) {
		agent_remove(p->agent);
		netmap_cache_drop(p->store.netmap); /* a logout that worked has done so already */
		store_remove(&p->store);
	}
	agent_free(p->agent);
	agent_events_free(p->agent_events);
	proxy_server_free(p->proxy);
	egress_free(p->egress);
	dest_name_free(p->dest);
	serve_config_free(p->serve);
	oauth_mint_cancel(p->mint);
	program_unwatch_key(p);
	program_config_free(p);
	if (p->host)
		host_free(p->host);
	loop_timer_fini(&p->boot);
	loop_timer_fini(&p->netmap_save);
	loop_timer_fini(&p->state_retry);
	loop_timer_fini(&p->stop_limit);
	loop_timer_fini(&p->end_look);
	loop_timer_fini(&p->trim);
	store_close(&p->store);
	state_node_wipe(&p->self);
	secret_arena_free(p->arena);
}
