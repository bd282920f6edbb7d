/* containerboot/process.c - the life of the process: what nodes share, signals, confinement, the
 * end
 *
 * Start: settings are parsed (main.c) -> loop, signals, trust roots -> endpoints -> the node
 * (run.c) -> privileges given up -> loop. SIGTERM asks the node to leave; the process ends when it
 * has, with its exit code.
 */
#include "containerboot/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "containerboot/program.h"

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
	if (s->node)
		program_leave(s->node);
	else
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

	*out = (struct endpoints_node){ .name = "", .host = s->node->host };
	return i == 0;
}

static void view(void *ctx, size_t i, struct localapi_view *v)
{
	(void)i;
	program_view(((struct process *)ctx)->node, v);
}

static bool extra_metrics(void *ctx, struct buf *out)
{
	const struct process *s = ctx;

	return !s->node->agent || agent_metrics(s->node->agent, out);
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

/* --- life --- */

static int start(struct process *s, struct err *e)
{
	struct tls_client_conf tls = { .ca_file = getenv("SSL_CERT_FILE"),
				       .ca_dir = getenv("SSL_CERT_DIR") };
	int r;

	s->resolver = resolver_new(s->loop, NULL);
	if (!s->resolver)
		return err_set(e, ENOMEM, "resolver");
	r = watch_signals(s, e);
	if (r == 0)
		r = proxy_env_read(&s->proxy_env, e);
	if (r < 0)
		return r;
	s->tls = tls_client_new(&tls, e);
	if (!s->tls)
		return -EIO;
	s->node = program_new(s, &s->options);
	if (!s->node)
		return err_set(e, ENOMEM, "start");
	r = program_open(s->node, e);
	return r < 0 ? r : open_endpoints(s, e);
}

/* From here on only what a running sidecar needs. Less than asked for is no reason not to serve:
 * the container is the outer fence. */
static void confine(struct process *s, struct confine *how)
{
	struct program *p = s->node;
	struct err e = { 0 };
	const char *dirs[CONFINE_DIRS_MAX + 1];

	if (p->agent) /* works on the host's devices, rules and files */
		*how = (struct confine){ .net_admin = true };
	dirs[serve_config_dirs(p->serve, dirs, CONFINE_DIRS_MAX)] = NULL;
	if (confine_apply(how, &s->options, program_state_dir(p),
			  program_in_pod(p) ? KUBE_ACCOUNT_DIR : NULL, dirs, &e) < 0)
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
		    : err_set(&e, errno, "event loop");
	if (r == 0)
		r = start(s, &e);
	if (r == 0) {
		confine(s, &how);
		program_start(s->node);
		loop_run(s->loop);
		s->exit_code = s->node->exit_code;
	} else if (s->stopping) {
		s->exit_code = EXIT_STOPPED; /* asked to while starting */
	} else {
		log_error("containerboot: %s", e.text);
	}
	endpoints_free(s->endpoints);
	endpoints_free(s->old_health);
	program_free(s->node);
	resolver_free(s->resolver);
	tls_client_free(s->tls);
	loop_free(s->loop);
	return s->exit_code;
}
