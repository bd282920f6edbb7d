/* containerboot/agent_events.c - see agent_events.h */
#include "containerboot/agent_events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "containerboot/kube_text.h"
#include "pod/ids.h"

enum { BODY_MAX = 16 << 10, REASON_MAX = 64 };

struct waiting {
	struct waiting *next;
	char target[POD_NAME_MAX + 64];
	struct buf body;
};

struct told {
	char object[POD_NAME_MAX + POD_UID_MAX + 2], reason[REASON_MAX];
	mono_t at;
};

struct agent_events {
	struct loop *loop;
	struct kube_client *client;
	const char *node;
	struct kube_call *call;
	struct waiting *first, **end;
	size_t n_waiting, n_told;
	struct told told[AGENT_EVENTS_TOLD_MAX]; /* a ring */
	bool is_forbidden;
};

static void send_next(struct agent_events *es);

static void drop_first(struct agent_events *es)
{
	struct waiting *w = es->first;

	es->first = w->next;
	if (!es->first)
		es->end = &es->first;
	es->n_waiting--;
	buf_fini(&w->body);
	free(w);
}

static void on_answer(void *ctx, const struct kube_answer *a)
{
	struct agent_events *es = ctx;
	char message[KUBE_MESSAGE_MAX] = "";

	es->call = NULL;
	if (a->status == 403 && !es->is_forbidden) {
		es->is_forbidden = true;
		log_warn(
		    "cni: the agent's account may not create Events; grant `create` on `events` "
		    "in all namespaces");
	} else if (a->status < 200 || a->status > 299) {
		if (a->status)
			kube_message(a->body, message);
		log_warn("cni: an Event was not told: %s", a->status ? message : a->why->text);
	}
	drop_first(es);
	while (es->is_forbidden && es->first)
		drop_first(es);
	send_next(es);
}

static void send_next(struct agent_events *es)
{
	if (es->call || !es->first)
		return;
	es->call = kube_call(es->client, "POST", es->first->target, "application/json",
			     buf_bytes(&es->first->body), on_answer, es);
	if (!es->call)
		drop_first(es);
}

/* Told lately? If not, it is from now on. */
static bool was_told(struct agent_events *es, const char *object, const char *reason)
{
	const mono_t now = loop_now(es->loop);
	struct told *t;

	for (size_t i = 0; i < MIN_OF(es->n_told, (size_t)AGENT_EVENTS_TOLD_MAX); i++) {
		t = &es->told[i];
		if (strcmp(t->object, object) == 0 && strcmp(t->reason, reason) == 0 &&
		    mono_sub(now, t->at).ns < AGENT_EVENTS_AGAIN_S * NS_PER_S)
			return true;
	}
	t = &es->told[es->n_told++ % AGENT_EVENTS_TOLD_MAX];
	snprintf(t->object, sizeof t->object, "%s", object);
	snprintf(t->reason, sizeof t->reason, "%s", reason);
	t->at = now;
	return false;
}

static void tell(struct agent_events *es, const struct kube_event *ev)
{
	char instance[17], object[sizeof es->told[0].object];
	struct waiting *w;
	struct kube_event full = *ev;

	snprintf(object, sizeof object, "%s/%s/%s", ev->ns, ev->name, ev->uid);
	if (es->is_forbidden || es->n_waiting == AGENT_EVENTS_MAX ||
	    was_told(es, object, ev->reason) || !(w = calloc(1, sizeof *w)))
		return;
	full.at = loop_wall();
	full.instance = instance;
	snprintf(instance, sizeof instance, "%016llx", (unsigned long long)full.at.ns);
	snprintf(w->target, sizeof w->target, "/api/v1/namespaces/%s/events", ev->ns);
	buf_init(&w->body, BODY_MAX);
	if (!kube_event_emit(&w->body, &full)) {
		buf_fini(&w->body);
		free(w);
		return;
	}
	*es->end = w;
	es->end = &w->next;
	es->n_waiting++;
	send_next(es);
}

/* The namespace becomes part of a request's target. */
static bool is_name(struct bytes s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.data[i] < 'a' || s.data[i] > 'z') && (s.data[i] < '0' || s.data[i] > '9') &&
		    s.data[i] != '-' && s.data[i] != '.')
			return false;
	return s.len > 0;
}

void agent_events_pod(struct agent_events *es, const char *pod, const char *uid, const char *reason,
		      const char *words)
{
	const char *slash = strchr(pod, '/');
	char ns[KUBE_NAME_MAX + 1];

	if (!es || !slash || !is_name(bytes_of(pod, (size_t)(slash - pod))) ||
	    !is_name(bytes_str(slash + 1)) ||
	    !bytes_to_str(bytes_of(pod, (size_t)(slash - pod)), ns, sizeof ns))
		return;
	tell(es, &(struct kube_event){ .ns = ns,
				       .name = slash + 1,
				       .uid = uid,
				       .reason = reason,
				       .words = words,
				       .is_warning = true });
}

void agent_events_node(struct agent_events *es, bool is_warning, const char *reason,
		       const char *words)
{
	if (!es || !es->node)
		return;
	/* kubectl describe finds a node's Events by its name in the place of the uid */
	tell(es, &(struct kube_event){ .kind = "Node",
				       .ns = "default",
				       .name = es->node,
				       .uid = es->node,
				       .reason = reason,
				       .words = words,
				       .is_warning = is_warning });
}

struct agent_events *agent_events_new(const struct agent_events_conf *conf, struct err *e)
{
	struct agent_events *es = calloc(1, sizeof *es);

	if (!es) {
		err_set(e, ENOMEM, "tell Events");
		return NULL;
	}
	es->loop = conf->client.loop;
	es->node = conf->node && is_name(bytes_str(conf->node)) ? conf->node : NULL;
	es->end = &es->first;
	es->client = kube_client_new(&conf->client, e);
	if (!es->client) {
		free(es);
		return NULL;
	}
	return es;
}

void agent_events_free(struct agent_events *es)
{
	if (!es)
		return;
	kube_call_cancel(es->call);
	while (es->first)
		drop_first(es);
	kube_client_free(es->client);
	free(es);
}
