/* operator/run.c - wiring, start and end */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "kube/access.h"
#include "operator/operator.h"
#include "os/file.h"

enum { STOP_S = 8 };

static void work_due(void *ctx)
{
	operator_work(ctx);
}

static void lease_due(void *ctx)
{
	operator_lead(ctx);
}

static void stop_due(void *ctx)
{
	loop_stop(((struct operator*)ctx)->loop);
}

/* what is under way ends, then the lease is given away, then the loop; all within STOP_S */
void operator_stop(struct operator *op, int exit_code)
{
	if (!op->stopping) {
		op->stopping = true;
		op->exit_code = exit_code;
		loop_timer_set(&op->stop_timer, mono_add(loop_now(op->loop), SPAN_S(STOP_S)));
	}
	if (op->workers > 0 && op->leading)
		return;
	if (op->leading && !op->lease.release) {
		op->leading = false;
		operator_release(op);
		if (op->lease_in_flight)
			return;
	}
	loop_stop(op->loop);
}

static void on_signal(void *ctx, int signo)
{
	log_info("operator: %s: ends", signo == SIGTERM ? "SIGTERM" : "SIGINT");
	operator_stop(ctx, 0);
}

static void settings(struct operator *op)
{
	const struct options *o = op->options;

	if (!options_kill_at(o->kill_at, &op->kill_at, &op->kill_after, &op->kill_by))
		op->kill_at = 0;
	op->keys = o->client_id_file[0] ? KEYS_OAUTH
		   : o->api_key_file[0] ? KEYS_HEADSCALE
					: KEYS_FIXED;
	op->settings = (struct settings){
		.ns = o->ns,
		.image = o->image,
		.default_tags = o->proxy_tags,
		.login_server = o->login_server,
		.class_name = o->class_name,
		.default_class = o->default_class,
		.cluster_domain = o->cluster_domain,
		.pull_policy = o->pull_policy,
		.priority_class = o->priority_class,
		.ca_secret = o->proxy_ca,
		.default_load_balancer = strcmp(o->default_lb, "true") == 0,
		.fixed_key = op->keys == KEYS_FIXED,
		.derp_http = strcmp(o->derp_http, "true") == 0,
	};
}

static int start(struct operator *op, struct err *e)
{
	const struct options *o = op->options;
	char me[256];
	int r;

	r = o->kubeconfig[0]
		? kube_access_file(&op->access, o->kubeconfig, o->context[0] ? o->context : NULL, e)
		: kube_access_pod(&op->access, o->host, o->port, NULL, e);
	if (r < 0)
		return r;
	if (o->pod_name[0])
		(void)snprintf(me, sizeof me, "%.250s", o->pod_name);
	else if (gethostname(me, sizeof me) < 0)
		return err_set(e, errno, "host name");
	me[sizeof me - 1] = 0;
	if (!(op->web = web_new(op->loop, "tailpod-operator/" TAILPOD_VERSION, e)))
		return -ENOMEM;
	{
		const struct kube_conf kc = { op->loop, op->web, &op->access, &os_rng };
		const struct kube_queue_conf qc = { SPAN_MS(200), SPAN_S(120), &os_rng };

		op->kube = kube_new(&kc);
		op->queue = kube_queue_new(&qc);
	}
	op->parents = kube_table_new(&os_rng);
	op->proxies = kube_table_new(&os_rng);
	op->classes = kube_table_new(&os_rng);
	op->events = kube_events_new("tailpod-operator", me, &os_rng);
	if (!sweep_init(op) || !op->kube || !op->queue || !op->parents || !op->proxies ||
	    !op->classes || !op->events)
		return err_set(e, ENOMEM, "start");
	expiry_init(op);
	kube_lease_init(&op->lease, o->ns, o->lease, me);
	if ((r = loop_on_signal(op->loop, SIGTERM, on_signal, op)) < 0 ||
	    (r = loop_on_signal(op->loop, SIGINT, on_signal, op)) < 0)
		return err_set(e, -r, "signals");
	if ((r = operator_serve(op, e)) < 0)
		return r;
	return operator_watch(op) ? 0 : err_set(e, ENOMEM, "watch");
}

static void end(struct operator *op)
{
	operator_unwatch(op);
	sweep_fini(op);
	expiry_fini(op);
	httpd_free(op->httpd);
	kube_free(op->kube); /* it may have a call under way */
	web_free(op->web);
	kube_events_free(op->events);
	kube_queue_free(op->queue);
	loop_timer_fini(&op->work_timer);
	loop_timer_fini(&op->lease_timer);
	loop_timer_fini(&op->stop_timer);
	loop_free(op->loop);
	kubeconfig_fini(&op->access);
	explicit_bzero(op->token, sizeof op->token);
}

int operator_run(const struct options *o)
{
	static struct operator op; /* large */
	struct err e = { 0 };

	op.options = o;
	op.token_until = (mono_t){ INT64_MIN };
	settings(&op);
	op.loop = loop_new();
	if (!op.loop) {
		log_error("operator: no event loop: out of memory or descriptors");
		return 1;
	}
	loop_timer_init(op.loop, &op.work_timer, work_due, &op);
	loop_timer_init(op.loop, &op.lease_timer, lease_due, &op);
	loop_timer_init(op.loop, &op.stop_timer, stop_due, &op);
	if (start(&op, &e) < 0) {
		log_error("operator: %s", e.text);
		op.exit_code = 1;
	} else {
		log_info("operator: " TAILPOD_VERSION
			 " watches %s as %s, proxies in %s, keys by %s",
			 op.access.server, op.lease.me, o->ns, keys_kind_names[op.keys]);
		loop_run(op.loop);
	}
	end(&op);
	return op.exit_code;
}
