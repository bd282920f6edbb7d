/* coordinator/events.c - what the carrier must do, in order */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/tailnet_priv.h"

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
		log_error("tailnet: too many changes wait to be stored");
}

void tailnet_audit(struct tailnet *t, const char *fmt, ...)
{
	char line[512];
	struct queued *q;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	q = push(t);
	if (q)
		*q = (struct queued){ .type = TAILNET_AUDIT, .text = strdup(line) };
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
