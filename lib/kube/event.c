/* kube/event.c - see event.h */
#include "kube/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "crypto/siphash.h"

struct seen {
	uint64_t id; /* 0: free */
	mono_t first, written;
	unsigned count;
	char name[320];
};

struct kube_events {
	char *component, *instance;
	struct rng *rng;
	uint8_t key[SIPHASH_KEY_LEN];
	size_t n;
	struct seen *seen; /* KUBE_EVENTS_MAX, made as needed */
	size_t cap;
};

struct kube_events *kube_events_new(const char *component, const char *instance, struct rng *rng)
{
	struct kube_events *es = calloc(1, sizeof *es);

	if (!es)
		return NULL;
	es->rng = rng;
	rng_fill(rng, es->key, sizeof es->key);
	es->component = strdup(component);
	es->instance = strdup(instance);
	if (!es->component || !es->instance) {
		kube_events_free(es);
		return NULL;
	}
	return es;
}

void kube_events_free(struct kube_events *es)
{
	if (!es)
		return;
	free(es->component);
	free(es->instance);
	free(es->seen);
	free(es);
}

static uint64_t id_of(const struct kube_events *es, const struct kube_event *ev)
{
	const char *parts[] = { ev->kind, ev->ns, ev->name, ev->uid, ev->reason, ev->message };
	uint64_t h = ev->is_warning;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		uint64_t pair[2] = { h, siphash(es->key, parts[i], strlen(parts[i])) };

		h = siphash(es->key, pair, sizeof pair);
	}
	return h | 1;
}

static struct seen *find(struct kube_events *es, uint64_t id, mono_t now)
{
	struct seen *oldest = NULL;

	for (size_t i = 0; i < es->n; i++) {
		struct seen *s = &es->seen[i];

		if (s->id == id && mono_sub(now, s->first).ns < SPAN_S(3600).ns)
			return s;
		if (s->id == id) {
			s->id = 0;
			return s;
		}
		if (!oldest || mono_before(s->written, oldest->written))
			oldest = s;
	}
	if (es->n < KUBE_EVENTS_MAX) {
		if (es->n == es->cap) {
			const size_t cap = es->cap ? es->cap * 2 : 16;
			struct seen *more = realloc(es->seen, cap * sizeof *more);

			if (!more)
				return NULL;
			es->seen = more;
			es->cap = cap;
		}
		oldest = &es->seen[es->n++];
	}
	oldest->id = 0;
	return oldest;
}

/* A foreign name as the front of one of ours: RFC 1123 wants each label to end in a letter or a
 * digit, wherever the cut falls. */
static size_t front_len(const char *name)
{
	size_t n = strnlen(name, KUBE_EVENT_FRONT_MAX);

	while (n > 0 && (name[n - 1] == '.' || name[n - 1] == '-'))
		n--;
	return n;
}

/* out gets as many whole characters as it has room for */
static void cut_words(struct bytes text, char *out, size_t cap)
{
	size_t n = 0;

	while (n < text.len) {
		const size_t k = utf8_len(bytes_of(text.data + n, text.len - n));

		if (n + MAX_OF(k, 1U) >= cap)
			break;
		n += MAX_OF(k, 1U); /* what is malformed is told as such by the writer */
	}
	(void)bytes_to_str(bytes_of(text.data, n), out, cap);
}

static void emit_new(struct jsonw *w, const struct kube_events *es, const struct kube_event *ev,
		     const struct kube_event_write *out, const char *time)
{
	char message[KUBE_EVENT_MESSAGE_MAX];

	cut_words(bytes_str(ev->message), message, sizeof message);
	jsonw_obj(w);
	jsonw_kstr(w, "apiVersion", "v1");
	jsonw_kstr(w, "kind", "Event");
	jsonw_key(w, "metadata");
	jsonw_obj(w);
	jsonw_kstr(w, "name", out->name);
	jsonw_kstr(w, "namespace", out->ns);
	jsonw_obj_end(w);
	jsonw_key(w, "involvedObject");
	jsonw_obj(w);
	jsonw_kstr(w, "apiVersion", ev->api_version);
	jsonw_kstr(w, "kind", ev->kind);
	jsonw_kstr(w, "name", ev->name);
	if (ev->ns[0])
		jsonw_kstr(w, "namespace", ev->ns);
	jsonw_kstr(w, "uid", ev->uid);
	jsonw_obj_end(w);
	jsonw_kstr(w, "reason", ev->reason);
	jsonw_kstr(w, "message", message);
	jsonw_kstr(w, "type", ev->is_warning ? "Warning" : "Normal");
	jsonw_key(w, "source");
	jsonw_obj(w);
	jsonw_kstr(w, "component", es->component);
	jsonw_obj_end(w);
	jsonw_kstr(w, "reportingComponent", es->component);
	jsonw_kstr(w, "reportingInstance", es->instance);
	jsonw_kstr(w, "firstTimestamp", time);
	jsonw_kstr(w, "lastTimestamp", time);
	jsonw_ki64(w, "count", 1);
	jsonw_obj_end(w);
}

bool kube_events_add(struct kube_events *es, const struct kube_event *ev, mono_t now, wall_t wall,
		     struct kube_event_write *out, struct buf *body)
{
	const uint64_t id = id_of(es, ev);
	struct seen *s = find(es, id, now);
	char time[WALL_TEXT];
	struct jsonw w;

	if (!s)
		return false;
	wall.ns -= wall.ns % NS_PER_S;
	wall_text(wall, time);
	jsonw_init(&w, body);
	*out = (struct kube_event_write){ .create = s->id != id };
	(void)bytes_to_str(bytes_str(ev->ns[0] ? ev->ns : "default"), out->ns, sizeof out->ns);
	if (out->create) {
		*s = (struct seen){ .id = id, .first = now, .written = now, .count = 1 };
		(void)snprintf(s->name, sizeof s->name, "%.*s.%016llx", (int)front_len(ev->name),
			       ev->name, (unsigned long long)rng_u64(es->rng));
		memcpy(out->name, s->name, sizeof out->name);
		emit_new(&w, es, ev, out, time);
		return jsonw_ok(&w);
	}
	s->count++;
	if (mono_sub(now, s->written).ns < SPAN_S(30).ns)
		return false;
	s->written = now;
	memcpy(out->name, s->name, sizeof out->name);
	jsonw_obj(&w);
	jsonw_ki64(&w, "count", s->count);
	jsonw_kstr(&w, "lastTimestamp", time);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}
