/* containerboot/owner.c - see owner.h */
#include "containerboot/owner.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "containerboot/owner_text.h"
#include "containerboot/program.h"
#include "os/privilege.h"

struct owner {
	struct loop *loop;
	struct kube_client *client;
	struct kube_call *call;
	struct loop_timer again, last;
	const char *name, *file;
	char version[KUBE_VERSION_MAX];
	struct buf line; /* the watch's, not complete yet */
	bool is_gone, is_stopping, has_warned;
};

static void write_file(const struct owner *o, const char *text)
{
	struct err e;

	if (file_replace(o->file, bytes_str(text), 0644, &e) < 0)
		log_error("owner: %s", e.text);
}

static void note(struct owner *o, bool is_gone)
{
	o->has_warned = false;
	if (o->is_gone == is_gone)
		return;
	o->is_gone = is_gone;
	log_info("owner: DaemonSet %s is %s", o->name,
		 is_gone ? "deleted: the end of this pod is the last" : "there again");
	if (is_gone)
		write_file(o, OWNER_REMOVE);
	else
		(void)unlink(o->file);
}

static void stop_now(struct owner *o)
{
	if (!o->is_gone)
		write_file(o, OWNER_KEEP);
	loop_stop(o->loop);
}

/* --- a look --- */

static void look(void *ctx);
static void watch(struct owner *o);

static void look_later(struct owner *o)
{
	if (o->is_stopping)
		stop_now(o);
	else
		loop_timer_set(&o->again, mono_add(loop_now(o->loop), SPAN_S(OWNER_AGAIN_S)));
}

static void warn(struct owner *o, const struct kube_answer *a)
{
	char message[KUBE_MESSAGE_MAX] = "";

	if (o->has_warned)
		return;
	o->has_warned = true;
	if (a->status)
		kube_message(a->body, message);
	log_warn("owner: DaemonSet %s cannot be watched, so its removal would go unnoticed: %s%s",
		 o->name, a->status ? message : a->why->text,
		 a->status == 403 ? "; grant `get` and `watch` on it" : "");
}

static void on_look(void *ctx, const struct kube_answer *a)
{
	struct owner *o = ctx;
	enum owner_says says = OWNER_BAD;

	o->call = NULL;
	if (a->status == 404) {
		note(o, true);
		look_later(o);
		return;
	}
	if (a->status == 200)
		says = owner_object_parse(a->body, o->version);
	if (says == OWNER_BAD) {
		warn(o, a);
		look_later(o);
		return;
	}
	note(o, says == OWNER_GONE);
	if (o->is_stopping)
		stop_now(o);
	else
		watch(o);
}

static void look(void *ctx)
{
	struct owner *o = ctx;
	char target[2 * KUBE_NAME_MAX + 64];

	snprintf(target, sizeof target, "/apis/apps/v1/namespaces/%s/daemonsets/%s",
		 kube_client_namespace(o->client), o->name);
	o->call = kube_call(o->client, "GET", target, NULL, bytes_of(NULL, 0), on_look, o);
	if (!o->call)
		look_later(o);
}

/* --- the watch --- */

static bool on_piece(void *ctx, struct bytes piece)
{
	struct owner *o = ctx;
	struct bytes left;
	const uint8_t *end;

	if (!buf_append(&o->line, piece.data, piece.len))
		return false;
	for (left = buf_bytes(&o->line); (end = memchr(left.data, '\n', left.len));
	     left = buf_bytes(&o->line)) {
		const size_t n = (size_t)(end - left.data);
		const enum owner_says says = owner_event_parse(bytes_of(left.data, n), o->version);

		if (says == OWNER_BAD)
			return false;
		if (says != OWNER_NOTHING)
			note(o, says == OWNER_GONE);
		buf_consume(&o->line, n + 1);
		if (o->line.len == 0) {
			buf_fini(&o->line); /* an idle watch holds nothing */
			buf_init(&o->line, OWNER_LINE_MAX);
			break;
		}
	}
	return true;
}

/* However it ended: what has happened since is looked at. */
static void on_watch(void *ctx, const struct kube_answer *a)
{
	struct owner *o = ctx;

	o->call = NULL;
	buf_clear(&o->line);
	if (a->status == 200)
		look(o);
	else {
		warn(o, a);
		look_later(o);
	}
}

static void watch(struct owner *o)
{
	char target[2 * KUBE_NAME_MAX + 256];

	snprintf(target, sizeof target,
		 "/apis/apps/v1/namespaces/%s/daemonsets?watch=1&allowWatchBookmarks=true&"
		 "fieldSelector=metadata.name%%3D%s&resourceVersion=%s&timeoutSeconds=%d",
		 kube_client_namespace(o->client), o->name, o->version, OWNER_WATCH_S);
	o->call = kube_stream(o->client, target, SPAN_S(OWNER_WATCH_S + 10), on_piece, on_watch, o);
	if (!o->call)
		look_later(o);
}

/* --- life --- */

static void too_late(void *ctx)
{
	struct owner *o = ctx;

	log_warn("owner: no answer about DaemonSet %s: everything is kept for the next one",
		 o->name);
	stop_now(o);
}

void owner_stop(struct owner *o)
{
	if (o->is_stopping)
		return;
	o->is_stopping = true;
	if (o->is_gone) {
		stop_now(o);
		return;
	}
	kube_call_cancel(o->call);
	o->call = NULL;
	loop_timer_set(&o->last, mono_add(loop_now(o->loop), SPAN_S(OWNER_LAST_S)));
	look(o);
}

/* It becomes part of a request's target. */
static bool is_name(const char *s)
{
	return *s && strlen(s) <= KUBE_NAME_MAX &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == 0;
}

struct owner *owner_new(const struct owner_conf *conf, struct err *e)
{
	struct owner *o;

	if (!is_name(conf->daemonset)) {
		err_say(e, EINVAL, "%.80s is no name of a DaemonSet", conf->daemonset);
		return NULL;
	}
	if (unlink(conf->file) < 0 && errno != ENOENT) {
		err_set(e, errno, "remove %s of an earlier run", conf->file);
		return NULL;
	}
	o = calloc(1, sizeof *o);
	if (!o) {
		err_set(e, ENOMEM, "start");
		return NULL;
	}
	o->loop = conf->client.loop;
	o->name = conf->daemonset;
	o->file = conf->file;
	buf_init(&o->line, OWNER_LINE_MAX);
	loop_timer_init(o->loop, &o->again, look, o);
	loop_timer_init(o->loop, &o->last, too_late, o);
	o->client = kube_client_new(&conf->client, e);
	if (!o->client) {
		owner_free(o);
		return NULL;
	}
	look(o);
	return o;
}

void owner_free(struct owner *o)
{
	if (!o)
		return;
	kube_call_cancel(o->call);
	kube_client_free(o->client);
	loop_timer_fini(&o->again);
	loop_timer_fini(&o->last);
	buf_fini(&o->line);
	free(o);
}

static void on_signal(void *ctx, int signo)
{
	(void)signo;
	owner_stop(ctx);
}

static int run(const struct owner_conf *conf, struct err *e)
{
	struct owner *o = owner_new(conf, e);
	int r;

	if (!o)
		return -EIO;
	r = loop_on_signal(conf->client.loop, SIGTERM, on_signal, o);
	if (r == 0)
		r = loop_on_signal(conf->client.loop, SIGINT, on_signal, o);
	if (r < 0)
		(void)err_set(e, -r, "signals");
	else
		loop_run(conf->client.loop);
	owner_free(o);
	return r;
}

int owner_main(int argc, char **argv)
{
	struct owner_conf conf = { .client.host = getenv("KUBERNETES_SERVICE_HOST") };
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct err e = { 0 };
	uint64_t n = 443;
	int r = 0;

	if (argc != 2) {
		fputs("usage: containerboot watch-owner DAEMONSET FILE\n"
		      "Says in FILE whether the pod that it runs in is ended for good (remove) or "
		      "for "
		      "the next one (keep).\n",
		      stderr);
		return 2;
	}
	conf.daemonset = argv[0];
	conf.file = argv[1];
	if (!conf.client.host || (port && !text_u64(bytes_str(port), &n)) || n == 0 || n > 65535)
		r = err_say(
		    &e, EINVAL,
		    "this is no pod: KUBERNETES_SERVICE_HOST and _PORT do not name an API server");
	if (r == 0)
		r = privilege_at_start(&e);
	if (r == 0)
		r = privilege_drop(NULL, &e);
	if (r == 0) {
		conf.client.port = (uint16_t)n;
		conf.client.loop = loop_new();
		if (!conf.client.loop)
			r = err_set(&e, ENOMEM, "start");
	}
	if (r == 0) {
		conf.client.resolver = resolver_new(conf.client.loop, NULL);
		r = conf.client.resolver ? run(&conf, &e) : err_set(&e, ENOMEM, "resolver");
		resolver_free(conf.client.resolver);
		loop_free(conf.client.loop);
	}
	if (r < 0)
		log_error("owner: %s", e.text);
	return r < 0 ? EXIT_FAILED : EXIT_STOPPED;
}
