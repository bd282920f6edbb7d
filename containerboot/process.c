/* containerboot/process.c - the life of the process: what nodes share, which of them there are,
 * signals, confinement, the end
 *
 * Start: settings are parsed (main.c) -> loop, signals, trust roots -> the node -> endpoints ->
 * privileges given up -> loop. With TS_NODES_FILE the nodes come last, so that each lives under the
 * same limits as one that is added later; the process is alive and not ready until then.
 *
 * Without TS_NODES_FILE there is one member, and the process ends with it and with its exit code.
 * With it a member that ends by itself (no login, no start in time) begins anew after a wait, while
 * the others go on; one that left the file leaves, one whose settings changed leaves and begins
 * anew. SIGTERM asks all to leave; a second one ends them at once.
 *
 * step() does one of these things between two runs of the loop, since opening and closing a node
 * may turn it.
 */
#include "containerboot/process.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "containerboot/program.h"
#include "os/file.h"
#include "os/landlock.h"

extern char **environ;

enum { NODE_ENV_MAX = 1024 };

static bool has_many(const struct process *s)
{
	return s->options.nodes_file != NULL;
}

void process_wake(struct process *s)
{
	loop_stop(s->loop);
}

/* --- signals --- */

static void on_stop_signal(void *ctx, int signo)
{
	struct process *s = ctx;

	if (!s->stopping)
		log_info("containerboot: %s, stopping", signo == SIGTERM ? "SIGTERM" : "SIGINT");
	s->stopping = true;
	for (size_t i = 0; i < s->n_members; i++)
		if (s->member[i]->program)
			program_leave(s->member[i]->program);
	process_wake(s);
}

/* As PID 1 we inherit orphans. */
static void on_child(void *ctx, int signo)
{
	(void)ctx;
	(void)signo;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static int watch_signals(struct process *s, struct err *e)
{
	int r = loop_on_signal(s->loop, SIGTERM, on_stop_signal, s);

	if (r == 0)
		r = loop_on_signal(s->loop, SIGINT, on_stop_signal, s);
	if (r == 0 && getpid() == 1)
		r = loop_on_signal(s->loop, SIGCHLD, on_child, s);
	return r < 0 ? err_set(e, -r, "signals") : 0;
}

/* --- endpoints --- */

static void pod_addresses(const struct options *o, struct endpoints_conf *c)
{
	struct bytes left = bytes_str(o->pod_ips ? o->pod_ips : o->pod_ip ? o->pod_ip : ""), one;
	struct ip ip;

	while (prefs_list_next(&left, &one))
		if (ip_parse(one, &ip))
			ip_text(&ip, ip_is_v4(&ip) ? c->pod_ip4 : c->pod_ip6);
}

static bool node_at(void *ctx, size_t i, struct endpoints_node *out)
{
	const struct process *s = ctx;
	const struct member *m = i < s->n_members ? s->member[i] : NULL;

	if (!m)
		return false;
	*out = (struct endpoints_node){ .name = m->settings.name, .why = "starting" };
	if (*m->why)
		out->why = m->why;
	if (m->program && m->program->has_started)
		out->host = m->program->host;
	return true;
}

static void view(void *ctx, size_t i, struct localapi_view *v)
{
	program_view(((struct process *)ctx)->member[i]->program, v);
}

static bool extra_metrics(void *ctx, struct buf *out)
{
	const struct process *s = ctx;
	const struct program *p = s->n_members > 0 ? s->member[0]->program : NULL;

	return !p || !p->agent || agent_metrics(p->agent, out);
}

static int open_endpoints(struct process *s, struct err *e)
{
	const struct options *o = &s->options;
	struct endpoints_conf ep = { .loop = s->loop,
				     .addr = o->local_addr,
				     .health = o->enable_health,
				     .metrics = o->enable_metrics,
				     .node = node_at,
				     .view = view,
				     .extra = extra_metrics,
				     .ctx = s };

	pod_addresses(o, &ep);
	if ((ep.health || ep.metrics) && !(s->endpoints = endpoints_new(&ep, e)))
		return -EIO;
	if (o->healthcheck_addr) {
		ep.addr = o->healthcheck_addr;
		ep.health = true;
		ep.metrics = false;
		if (!(s->old_health = endpoints_new(&ep, e)))
			return -EIO;
	}
	return 0;
}

/* --- members --- */

static void ignore(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
}

/* The settings of one of several nodes: its own come first, and so win. */
static int member_options(struct process *s, struct member *m, struct err *e)
{
	const struct options *all = &s->options;
	const char *name = m->settings.name;
	char *env[NODE_ENV_MAX], *socket = NULL, *dir = NULL;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < m->settings.n; i++)
		env[n++] = m->settings.env[i];
	if (asprintf(&socket, "TS_SOCKET=%s.%s", all->socket, name) < 0)
		return err_set(e, ENOMEM, "settings");
	env[n++] = socket;
	if (all->state_dir) {
		if (asprintf(&dir, "TS_STATE_DIR=%s/%s", all->state_dir, name) < 0) {
			free(socket);
			return err_set(e, ENOMEM, "settings");
		}
		env[n++] = dir;
	}
	for (char **v = environ; *v && n < NODE_ENV_MAX - 1; v++)
		env[n++] = *v;
	env[n] = NULL;
	m->options = calloc(1, sizeof *m->options);
	r = m->options ? options_parse(m->options, env, ignore, NULL, e)
		       : err_set(e, ENOMEM, "settings");
	if (r == 0 && options_kube_secret(m->options) && !m->options->kube_secret)
		r = err_say(
		    e, EINVAL,
		    "in a cluster each node needs a TS_KUBE_SECRET of its own for its state");
	free(socket);
	free(dir);
	return r;
}

static void member_close(struct member *m)
{
	program_free(m->program);
	m->program = NULL;
	if (m->options) {
		options_fini(m->options);
		free(m->options);
		m->options = NULL;
	}
}

static void member_free(struct member *m)
{
	member_close(m);
	node_settings_fini(&m->settings);
	free(m);
}

static struct member *member_add(struct process *s)
{
	struct member *m = s->n_members < NODES_MAX ? calloc(1, sizeof *m) : NULL;

	if (!m)
		return NULL;
	m->is_wanted = true;
	s->member[s->n_members++] = m;
	return m;
}

static void member_del(struct process *s, size_t i)
{
	member_free(s->member[i]);
	s->n_members--;
	memmove(&s->member[i], &s->member[i + 1], (s->n_members - i) * sizeof s->member[0]);
}

/* Begins anew, after a wait that grows. */
static void member_later(struct process *s, struct member *m, const char *why)
{
	const unsigned wait = MIN_OF(MEMBER_AGAIN_S << MIN_OF(m->failures, 5U), MEMBER_AGAIN_MAX_S);

	m->failures++;
	m->again = mono_add(loop_now(s->loop), SPAN_S(wait));
	snprintf(m->why, sizeof m->why, "%s", why);
	log_warn("containerboot: %s: %s; the node begins anew in %u s", m->settings.name, why,
		 wait);
}

static int member_open(struct process *s, struct member *m, struct err *e)
{
	const bool is_named = *m->settings.name;
	int r = is_named ? member_options(s, m, e) : 0;

	m->is_changed = false;
	if (r < 0)
		return r;
	m->program = program_new(s, m->settings.name, m->options ? m->options : &s->options);
	if (!m->program)
		return err_set(e, ENOMEM, "start");
	r = program_open(m->program, e);
	return r;
}

/* --- the file --- */

static void on_nodes_file(void *ctx)
{
	struct process *s = ctx;

	s->nodes_changed = true;
	process_wake(s);
}

static struct member *member_named(struct process *s, const char *name)
{
	for (size_t i = 0; i < s->n_members; i++)
		if (strcmp(s->member[i]->settings.name, name) == 0)
			return s->member[i];
	return NULL;
}

/* settings move into the member */
static void want(struct process *s, struct node_settings *settings)
{
	struct member *m = member_named(s, settings->name);

	if (m && node_settings_eq(&m->settings, settings)) {
		m->is_wanted = true;
		return;
	}
	if (!m && !(m = member_add(s))) {
		log_error("containerboot: %s: no room, the node is left out", settings->name);
		return;
	}
	log_info("containerboot: node %s is %s", settings->name,
		 *m->settings.name ? "changed" : "added");
	node_settings_fini(&m->settings);
	m->settings = *settings;
	*settings = (struct node_settings){ 0 };
	m->is_wanted = m->is_changed = true;
	m->failures = 0;
	m->again = (mono_t){ 0 };
	m->why[0] = 0;
}

/* 0, or negative with one line: what was in force stays. */
static int read_nodes(struct process *s, struct err *e)
{
	struct nodes list;
	char *text = NULL;
	size_t len = 0;
	int r = file_read(s->options.nodes_file, NODES_FILE_MAX, &text, &len, e);

	if (r == -ENOENT)
		log_warn("containerboot: TS_NODES_FILE: %s is missing: no nodes",
			 s->options.nodes_file);
	else if (r < 0)
		return err_wrap(e, "TS_NODES_FILE");
	r = nodes_parse(&list, bytes_of(text, len), e);
	if (text)
		file_wipe(text, len);
	if (r < 0)
		return err_wrap(e, "TS_NODES_FILE: %s", s->options.nodes_file);
	for (size_t i = 0; i < s->n_members; i++)
		s->member[i]->is_wanted = false;
	for (size_t i = 0; i < list.n; i++)
		want(s, &list.v[i]);
	nodes_fini(&list);
	return 0;
}

/* --- between two turns --- */

static bool read_again(struct process *s)
{
	struct err e;

	if (!s->nodes_changed)
		return false;
	s->nodes_changed = false;
	if (read_nodes(s, &e) < 0)
		log_warn("%s; the nodes stay as they were", e.text);
	return true;
}

/* A program that has ended, or that the file does not want (so). True: something was done. */
static bool step_member(struct process *s, size_t i)
{
	struct member *m = s->member[i];
	struct program *p = m->program;
	struct err e = { 0 };
	char why[64];

	if (p && p->has_ended) {
		const int code = p->exit_code;
		const bool by_itself = !s->stopping && m->is_wanted && !m->is_changed;

		if (!m->is_wanted)
			program_pod_left(p);
		member_close(m);
		if (!has_many(s)) {
			s->exit_code = code;
			s->is_done = true;
		} else if (by_itself) {
			snprintf(why, sizeof why, "ended with code %d", code);
			member_later(s, m, why);
		}
		return true;
	}
	if (p && !p->stopping && (!m->is_wanted || m->is_changed)) {
		if (m->is_wanted)
			p->logout_on_exit = false; /* the same node comes again */
		else
			log_info("containerboot: node %s is removed", m->settings.name);
		program_leave(p);
		return true;
	}
	if (!p && !m->is_wanted) {
		member_del(s, i);
		return true;
	}
	if (p || s->stopping || !has_many(s) || !mono_due(m->again, loop_now(s->loop)))
		return false;
	if (member_open(s, m, &e) < 0) {
		member_close(m);
		if (!s->stopping)
			member_later(s, m, e.text);
	} else {
		m->why[0] = 0;
		program_start(m->program);
	}
	return true;
}

static bool step(struct process *s)
{
	mono_t next = MONO_NEVER;
	bool is_left = false;

	if (!s->stopping && read_again(s))
		return true;
	for (size_t i = 0; i < s->n_members; i++)
		if (step_member(s, i))
			return true;
	for (size_t i = 0; i < s->n_members; i++) {
		is_left = is_left || s->member[i]->program;
		if (!s->member[i]->program)
			next = mono_min(next, s->member[i]->again);
	}
	if (s->stopping && !is_left)
		s->is_done = true;
	loop_timer_set(&s->again, s->stopping ? MONO_NEVER : next);
	return false;
}

static void on_again(void *ctx)
{
	process_wake(ctx);
}

/* --- life --- */

/* Variables that one listener or one name cannot serve for several nodes. */
static int check_shared(const struct options *o, struct err *e)
{
	const struct {
		const char *name;
		bool is_set;
	} rows[] = {
		{ "TS_CNI_AGENT_SOCKET", o->cni_socket },
		{ "TS_SOCKS5_SERVER", o->socks5 },
		{ "TS_OUTBOUND_HTTP_PROXY_LISTEN", o->http_proxy },
		{ "TS_SERVE_CONFIG", o->serve_config },
		{ "TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR", o->config_dir },
		{ "PORT", o->port != 0 },
		{ "TS_EXTRA_ARGS", o->extra_args },
		{ "TS_TAILSCALED_EXTRA_ARGS", o->daemon_args },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].is_set)
			return err_say(
			    e, EINVAL,
			    "TS_NODES_FILE excludes %s, which several nodes cannot share",
			    rows[i].name);
	return 0;
}

static const char *given(const char *name) /* NULL when empty too, as a Compose file leaves it */
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static bool is_below(const char *dir, const char *top)
{
	size_t n = top ? strlen(top) : 0;

	while (n > 1 && top[n - 1] == '/')
		n--;
	return n > 0 && strncmp(dir, top, n) == 0 && (dir[n] == '/' || !dir[n]);
}

/* The directory of TS_SOCKET, where the stock image has it too or the state is: made when it is
 * missing. Elsewhere that is a slip. */
static int make_socket_dir(const struct options *o, struct err *e)
{
	const char *path = options_socket(o), *slash = strrchr(path, '/');
	const char *const tops[] = { "/run", "/var/run", "/tmp", options_state_dir(o) };
	AUTO_FREE char *dir = slash && slash > path ? strndup(path, (size_t)(slash - path)) : NULL;
	struct stat st;

	if (!dir || *path == '@' || stat(dir, &st) == 0 || errno != ENOENT)
		return 0; /* what else is wrong is said by who opens it */
	for (size_t i = 0; !strstr(dir, "/..") && i < ARRAY_LEN(tops); i++)
		if (is_below(dir, tops[i]))
			return file_mkdirs(dir, 0755, e) < 0 ? err_wrap(e, "TS_SOCKET") : 0;
	return err_say(e, ENOENT,
		       "TS_SOCKET=%s: there is no directory %s; make it, or choose a place below "
		       "/run, /tmp or TS_STATE_DIR",
		       path, dir);
}

static int start_shared(struct process *s, struct err *e)
{
	struct tls_client_conf tls = { .ca_file = given("SSL_CERT_FILE"),
				       .ca_dir = given("SSL_CERT_DIR") };
	int r;

	s->resolver = resolver_new(s->loop, NULL);
	if (!s->resolver)
		return err_set(e, ENOMEM, "resolver");
	loop_timer_init(s->loop, &s->again, on_again, s);
	r = watch_signals(s, e);
	if (r == 0)
		r = make_socket_dir(&s->options, e);
	if (r == 0)
		r = proxy_env_read(&s->proxy_env, e);
	if (r < 0)
		return r;
	s->tls = tls_client_new(&tls, e);
	return s->tls ? 0 : err_wrap(e, tls.ca_file ? "SSL_CERT_FILE" : "trusted certificates");
}

static int start_one(struct process *s, struct err *e)
{
	struct member *m = member_add(s);
	int r = m ? member_open(s, m, e) : err_set(e, ENOMEM, "start");

	return r < 0 ? r : open_endpoints(s, e);
}

/* Malformed at start is an end, later a warning. */
static int start_many(struct process *s, struct err *e)
{
	const char *dir = s->options.state_dir;
	int r = check_shared(&s->options, e);

	if (r == 0 && dir)
		r = file_mkdirs(dir, 0700, e); /* limits on files name it */
	if (r < 0)
		return r;
	/* watched before it is read: no change is missed */
	s->nodes_watch = file_watch_new(s->loop, s->options.nodes_file, on_nodes_file, s, e);
	if (!s->nodes_watch)
		return err_wrap(e, "TS_NODES_FILE");
	r = read_nodes(s, e);
	return r < 0 ? r : open_endpoints(s, e);
}

/* From here on only what a running sidecar needs. Less than asked for is no reason not to serve:
 * the container is the outer fence. */
static void confine(struct process *s, struct confine *how)
{
	const struct options *o = &s->options;
	const struct program *p = has_many(s) ? NULL : s->member[0]->program;
	const char *dirs[CONFINE_DIRS_MAX + 1], *kube = NULL;
	char dir[PATH_MAX];
	struct err e = { 0 };
	size_t n = 0;

	if (p && p->agent) /* works on the host's devices, rules and files */
		*how = (struct confine){ .net_admin = true };
	if (p) {
		n = serve_config_dirs(p->serve, dirs, CONFINE_DIRS_MAX - 2);
		if (o->config_dir)
			dirs[n++] = o->config_dir;
		if (o->config_dir && program_key_path(p))
			dirs[n++] = landlock_dir_of(program_key_path(p), dir, sizeof dir);
	} else {
		dirs[n++] = landlock_dir_of(o->nodes_file, dir, sizeof dir);
	}
	dirs[n] = NULL;
	if (p ? program_in_pod(p) : options_kube_secret(o) != NULL)
		kube = KUBE_ACCOUNT_DIR;
	if (confine_apply(how, o, options_state_dir(o), kube, dirs, &e) < 0)
		log_warn("containerboot: not confined: %s", e.text);
}

int process_run(struct process *s)
{
	struct confine how;
	struct err e = { 0 };
	int r;

	s->exit_code = EXIT_FAILED;
	s->loop = loop_new();
	r = s->loop ? confine_parse(s->options.sandbox, &how, &e)
		    : err_set(&e, errno, "event loop (epoll, eventfd)");
	if (r == 0)
		r = start_shared(s, &e);
	if (r == 0)
		r = has_many(s) ? start_many(s, &e) : start_one(s, &e);
	if (r == 0) {
		confine(s, &how);
		if (has_many(s))
			s->exit_code = EXIT_STOPPED;
		else
			program_start(s->member[0]->program);
		while (!s->is_done)
			if (!step(s) && !s->is_done)
				loop_run(s->loop);
	} else if (s->stopping) {
		s->exit_code = EXIT_STOPPED; /* asked to while starting */
	} else {
		log_error("containerboot: %s", e.text);
	}
	file_watch_free(s->nodes_watch);
	while (s->n_members > 0)
		member_del(s, s->n_members - 1);
	endpoints_free(s->endpoints);
	endpoints_free(s->old_health);
	loop_timer_fini(&s->again);
	resolver_free(s->resolver);
	tls_client_free(s->tls);
	loop_free(s->loop);
	return s->exit_code;
}
