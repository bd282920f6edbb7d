/* operator/serve.c - probes and metrics */
#include <errno.h>
#include <string.h>

#include "operator/operator.h"

static bool metric(struct buf *b, const char *name, const char *type, const char *help,
		   double value)
{
	return buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name,
			  value);
}

static bool by_label(struct buf *b, const struct operator *op)
{
	static const char *const classes[] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };
	const struct kube_stats *k = kube_stats(op->kube);
	bool ok = buf_printf(
	    b, "# HELP tailpod_operator_api_requests_total Answers of the API server by class.\n"
	       "# TYPE tailpod_operator_api_requests_total counter\n");

	for (size_t i = 0; i < ARRAY_LEN(classes) && ok; i++)
		ok = buf_printf(b, "tailpod_operator_api_requests_total{class=\"%s\"} %llu\n",
				classes[i], (unsigned long long)k->by_class[i]);
	ok = ok && buf_printf(b, "# HELP tailpod_operator_steps_total Steps carried out.\n"
				 "# TYPE tailpod_operator_steps_total counter\n");
	for (size_t i = 0; i < STEP_N && ok; i++)
		ok = buf_printf(b, "tailpod_operator_steps_total{step=\"%s\"} %llu\n",
				step_names[i], (unsigned long long)op->stats.steps[i]);
	ok = ok && buf_printf(b, "# HELP tailpod_operator_watch_lists_total Complete lists asked "
				 "for, by collection.\n"
				 "# TYPE tailpod_operator_watch_lists_total counter\n");
	for (size_t i = 0; i < SOURCES && ok; i++) {
		const struct source *s = &op->source[i];

		ok = buf_printf(b, "tailpod_operator_watch_lists_total{collection=\"%s%s\"} %llu\n",
				s->what == SOURCE_PARENT  ? kinds[s->index].resource
				: s->what == SOURCE_CHILD ? children[s->index].resource
							  : "proxyclasses",
				s->what == SOURCE_CHILD ? " (own)" : "",
				(unsigned long long)kube_watcher_stats(s->watcher)->lists);
	}
	return ok;
}

static bool metrics(struct buf *b, const struct operator *op)
{
	const struct operator_stats *s = &op->stats;
	struct kube_table_walk w = { 0 };
	size_t ready = 0;

	while (kube_table_next(op->proxies, &w))
		ready += ((struct proxy *)w.value)->device_id[0] != 0;
	return metric(b, "tailpod_operator_leader", "gauge", "1 while this replica acts.",
		      op->leading) &&
	       metric(b, "tailpod_operator_parents", "gauge", "Objects of users that are answered.",
		      (double)kube_table_count(op->parents)) &&
	       metric(b, "tailpod_operator_proxies", "gauge", "Proxies there are.",
		      (double)kube_table_count(op->proxies)) &&
	       metric(b, "tailpod_operator_proxies_joined", "gauge",
		      "Proxies that have joined the tailnet.", (double)ready) &&
	       metric(b, "tailpod_operator_queue", "gauge", "Objects due to be worked on.",
		      (double)kube_queue_due(op->queue)) &&
	       metric(b, "tailpod_operator_delayed", "gauge",
		      "Objects waiting for a time: after a failure, or for a key's end.",
		      (double)(kube_queue_waiting(op->queue) - kube_queue_due(op->queue))) &&
	       metric(b, "tailpod_operator_workers", "gauge", "Objects being worked on.",
		      op->workers) &&
	       metric(b, "tailpod_operator_reconciles_total", "counter", "Plans carried out.",
		      (double)s->done) &&
	       metric(b, "tailpod_operator_reconcile_errors_total", "counter",
		      "Plans that failed and are tried again.", (double)s->failed) &&
	       metric(b, "tailpod_operator_keys_total", "counter", "Auth keys handed to proxies.",
		      (double)s->keys) &&
	       metric(b, "tailpod_operator_key_errors_total", "counter",
		      "Auth keys that could not be had.", (double)s->keys_failed) &&
	       metric(b, "tailpod_operator_devices_deleted_total", "counter",
		      "Devices deleted at the control server.", (double)s->devices_deleted) &&
	       metric(b, "tailpod_operator_devices_left_total", "counter",
		      "Devices that could not be deleted.", (double)s->devices_left) &&
	       metric(b, "tailpod_operator_devices_logged_out_total", "counter",
		      "Devices of removed proxies that logged themselves out (fixed auth key).",
		      (double)s->devices_logged_out) &&
	       metric(b, "tailpod_operator_orphans_deleted_total", "counter",
		      "Devices without a proxy that were deleted.", (double)s->orphans_deleted) &&
	       metric(b, "tailpod_operator_ledger_devices", "gauge", "Devices in the ledger.",
		      (double)kube_table_count(op->sweep.devices)) &&
	       metric(b, "tailpod_operator_credentials_expire_seconds", "gauge",
		      "When the API key or the OAuth client's secret ends, as Unix time; 0: never, "
		      "or the control server does not say.",
		      (double)(op->expiry.ends.ns / NS_PER_S)) &&
	       metric(b, "tailpod_operator_objects_dropped_total", "counter",
		      "Objects that made no sense or had no room.", (double)s->dropped) &&
	       by_label(b, op);
}

static void text(struct httpd_call *c, int status, const char *words)
{
	httpd_answer(c, status, "text/plain; charset=utf-8", NULL, 0, bytes_str(words));
}

static void asked(void *ctx, struct httpd_call *c, const struct httpd_request *rq)
{
	struct operator *op = ctx;
	struct buf b;

	if (!bytes_eq_str(rq->head->method, "GET") && !bytes_eq_str(rq->head->method, "HEAD")) {
		text(c, 405, "only GET\n");
	} else if (bytes_eq_str(rq->target.path, "/healthz") ||
		   bytes_eq_str(rq->target.path, "/livez")) {
		text(c, 200, "ok\n");
	} else if (bytes_eq_str(rq->target.path, "/readyz")) {
		text(c, op->synced && !op->stopping ? 200 : 503,
		     op->synced ? op->leading ? "leads\n" : "stands by\n" : "not in sync\n");
	} else if (bytes_eq_str(rq->target.path, "/metrics")) {
		buf_init(&b, 1 << 18);
		if (metrics(&b, op))
			httpd_answer(c, 200, "text/plain; version=0.0.4; charset=utf-8", NULL, 0,
				     buf_bytes(&b));
		else
			text(c, 500, "no memory\n");
		buf_fini(&b);
	} else {
		text(c, 404, "/healthz /livez /readyz /metrics\n");
	}
}

int operator_serve(struct operator *op, struct err *e)
{
	const struct httpd_conf conf = { .loop = op->loop,
					 .addr = op->options->listen,
					 .body_max = 1024,
					 .answer_max = 1 << 18,
					 .fn = asked,
					 .ctx = op };

	if (strcmp(op->options->listen, "-") == 0)
		return 0;
	op->httpd = httpd_new(&conf, e);
	return op->httpd ? 0 : err_wrap(e, "OPERATOR_LISTEN");
}
