/* coordinator/events.c - what the carrier must do, in order */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/tailnet_priv.h"

enum { AUDIT_WHAT_MAX = 640 }; /* two names of users and words */

static struct queued *push(struct tailnet *t)
{
	if (t->n_events == t->cap_events) {
		size_t cap = t->cap_events ? t->cap_events * 2 : 64;
		struct queued *v;

		if (cap > TAILNET_EVENTS_MAX || !(v = calloc(cap, sizeof *v)))
			return NULL;
		for (size_t i = 0; i < t->n_events; i++)
			v[i] = t->events[(t->ev_head + i) % t->cap_events];
		free(t->events);
		t->events = v;
		t->cap_events = cap;
		t->ev_head = 0;
	}
	return &t->events[(t->ev_head + t->n_events++) % t->cap_events];
}

void tailnet_emit(struct tailnet *t, enum tailnet_event_type type, int64_t id)
{
	struct queued *q = push(t);

	if (q)
		*q = (struct queued){ .type = type, .id = id };
	else
		t->is_torn = true;
}

bool tailnet_is_torn(const struct tailnet *t)
{
	return t->is_torn;
}

/* A node by the address it comes from and the first half of its machine key */
static void asker_text(const struct asker *a, char out[static TAILNET_ASKER_MAX])
{
	char from[IPPORT_TEXT], key[KEY_LEN + 1];

	if (!a->is_node) {
		snprintf(out, TAILNET_ASKER_MAX, "%s", a->who[0] ? a->who : "server");
		return;
	}
	hex_emit(a->machine.b, KEY_LEN / 2, key);
	snprintf(out, TAILNET_ASKER_MAX, "%s machine=mkey:%s", ipport_text(&a->remote, from), key);
}

void tailnet_audit(struct tailnet *t, const char *fmt, ...)
{
	char what[AUDIT_WHAT_MAX], who[TAILNET_ASKER_MAX], *line = NULL;
	struct queued *q;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	asker_text(&t->asker, who);
	q = asprintf(&line, "%s from=%s", what, who) >= 0 ? push(t) : NULL;
	if (q) {
		*q = (struct queued){ .type = TAILNET_AUDIT, .text = line };
	} else { /* too early is better than never */
		log_warn("audit: %s from=%s", what, who);
		free(line);
	}
}

void tailnet_asked_by(struct tailnet *t, const char *who)
{
	t->asker.is_node = false;
	snprintf(t->asker.who, sizeof t->asker.who, "%s", who ? who : "");
}

void tailnet_asked_by_node(struct tailnet *t, const struct session *s)
{
	tailnet_asked_by(t, NULL);
	t->asker.is_node = s;
	if (s) {
		t->asker.remote = s->remote;
		t->asker.machine = s->machine;
	}
}

bool tailnet_must_store(const struct tailnet *t)
{
	return t->n_events > 0;
}

bool tailnet_next(struct tailnet *t, struct tailnet_event *ev)
{
	struct tnode *n;

	*ev = (struct tailnet_event){ 0 };
	free(t->text);
	t->text = NULL;
	if (t->n_events > 0) { /* stores before outputs: nothing is told before it is kept */
		struct queued q = t->events[t->ev_head];

		t->ev_head = (t->ev_head + 1) % t->cap_events;
		t->n_events--;
		ev->type = q.type;
		ev->id = q.id;
		ev->text = t->text = q.text;
		if (q.type == TAILNET_STORE_NODE && (n = node_slot(t, q.id)))
			n->store_dirty = false;
		return true;
	}
	return session_event(t, ev);
}
