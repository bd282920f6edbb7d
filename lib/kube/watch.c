/* kube/watch.c - see watch.h
 *
 * A list is one object: base/json.h splits it into its items. A watch is a row of objects with a
 * line feed after each; a line is kept until it is whole, one that is longer than KUBE_OBJECT_MAX
 * is skipped.
 */
#include "kube/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kube/backoff.h"
#include "kube/object.h"

enum { EVENT_MAX = KUBE_OBJECT_MAX + 64, LINE_KEEP = 65536 };

struct kube_watch {
	char *path, *selector;
	struct rng *rng;
	enum { LIST_DUE, LISTING, WATCH_DUE, WATCHING } state;
	mono_t at, begun; /* when a request is due; when the watch began */
	unsigned failures, expired_row, status;
	char rv[KUBE_RV_MAX + 1], page_rv[KUBE_RV_MAX + 1], page_next[KUBE_CONTINUE_MAX + 1];
	bool must_begin, say_synced, is_synced, is_expired, is_broken, list_ended, progressed;
	struct json_split *split;
	struct buf line, body; /* of a watch event; of an error's body, cut */
	bool skipping;
	struct bytes in;
	struct kube_watch_stats stats;
	char trouble[200];
};

static bool is_items(struct bytes key)
{
	return bytes_eq_str(key, "items");
}

struct kube_watch *kube_watch_new(const struct kube_watch_conf *conf)
{
	struct kube_watch *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->rng = conf->rng;
	buf_init(&w->line, EVENT_MAX);
	buf_init(&w->body, 1024);
	w->path = strdup(conf->path);
	w->selector = strdup(conf->selector ? conf->selector : "");
	w->split = json_split_new(is_items, KUBE_OBJECT_MAX);
	if (!w->path || !w->selector || !w->split) {
		kube_watch_free(w);
		return NULL;
	}
	return w;
}

void kube_watch_free(struct kube_watch *w)
{
	if (!w)
		return;
	buf_fini(&w->line);
	buf_fini(&w->body);
	json_split_free(w->split);
	free(w->path);
	free(w->selector);
	free(w);
}

/* --- requests --- */

static size_t escaped(char *out, size_t cap, const char *text)
{
	size_t n = 0;

	for (; *text && cap - n > 4; text++)
		if (strchr("+/=&%# ?", *text) || (uint8_t)*text < 0x20 || (uint8_t)*text > 0x7e)
			n += (size_t)snprintf(out + n, cap - n, "%%%02X", (uint8_t)*text);
		else
			out[n++] = *text;
	out[n] = 0;
	return n;
}

bool kube_watch_request(struct kube_watch *w, mono_t now, char out[static KUBE_REQUEST_MAX],
			bool *is_stream)
{
	const char *sep = *w->selector ? "&" : "";
	char text[3 * KUBE_CONTINUE_MAX + 8];

	if (w->state == LISTING || w->state == WATCHING || !mono_due(w->at, now))
		return false;
	w->status = 0;
	w->is_expired = w->is_broken = w->list_ended = w->skipping = w->progressed = false;
	w->in = (struct bytes){ 0 };
	buf_clear(&w->line);
	buf_clear(&w->body);
	*is_stream = w->state == WATCH_DUE;
	if (*is_stream) {
		const unsigned s = KUBE_WATCH_S + (unsigned)rng_below(w->rng, KUBE_WATCH_S);

		escaped(text, sizeof text, w->rv);
		(void)snprintf(
		    out, KUBE_REQUEST_MAX,
		    "%s?%s%swatch=1&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%u",
		    w->path, w->selector, sep, text, s);
		w->state = WATCHING;
		w->begun = now;
		w->stats.watches++;
		return true;
	}
	json_split_reset(w->split);
	w->page_rv[0] = 0;
	if (w->page_next[0]) {
		escaped(text, sizeof text, w->page_next);
		(void)snprintf(out, KUBE_REQUEST_MAX, "%s?%s%slimit=%d&continue=%s", w->path,
			       w->selector, sep, KUBE_PAGE, text);
	} else {
		(void)snprintf(out, KUBE_REQUEST_MAX, "%s?%s%slimit=%d", w->path, w->selector, sep,
			       KUBE_PAGE);
		w->must_begin = true;
		w->stats.lists++;
	}
	w->page_next[0] = 0;
	w->state = LISTING;
	return true;
}

mono_t kube_watch_deadline(const struct kube_watch *w)
{
	return w->state == LISTING || w->state == WATCHING ? MONO_NEVER : w->at;
}

/* --- answers --- */

void kube_watch_status(struct kube_watch *w, unsigned status)
{
	w->status = status;
	if (status == 410)
		w->is_expired = true;
}

void kube_watch_feed(struct kube_watch *w, struct bytes in)
{
	assert(w->in.len == 0 || w->is_broken);
	if (w->status == 200) {
		w->in = in;
		return;
	}
	if (in.len > w->body.max - w->body.len)
		in.len = w->body.max - w->body.len;
	(void)!buf_append(&w->body, in.data, in.len);
}

static void list_metadata(struct kube_watch *w, struct bytes value)
{
	if (!kube_str_at(value, "resourceVersion", w->page_rv, sizeof w->page_rv))
		w->is_broken = true;
	if (kube_has_member(value, "continue") &&
	    !kube_str_at(value, "continue", w->page_next, sizeof w->page_next))
		w->is_broken = true;
}

static enum kube_watch_ev list_next(struct kube_watch *w, struct bytes *object)
{
	struct bytes key, value;

	for (;;) {
		switch (json_split_next(w->split, &w->in, &key, &value)) {
		case JSON_SPLIT_MORE:
			return KUBE_WATCH_MORE;
		case JSON_SPLIT_ELEM:
			w->stats.events++;
			*object = value;
			return KUBE_WATCH_PUT;
		case JSON_SPLIT_MEMBER:
			if (bytes_eq_str(key, "metadata"))
				list_metadata(w, value);
			break;
		case JSON_SPLIT_LIST:
		case JSON_SPLIT_LIST_END:
			break;
		case JSON_SPLIT_TOO_BIG:
			w->stats.dropped++;
			break;
		case JSON_SPLIT_END:
			w->list_ended = true;
			w->in = (struct bytes){ 0 };
			return KUBE_WATCH_MORE;
		case JSON_SPLIT_ERROR:
			w->is_broken = true;
			w->in = (struct bytes){ 0 };
			return KUBE_WATCH_MORE;
		}
	}
}

/* one whole event; MORE: nothing that concerns the caller */
static enum kube_watch_ev event(struct kube_watch *w, struct bytes line, struct bytes *object)
{
	struct json j = json_of(line);
	struct bytes key, o = { 0 };
	char type[16] = "", rv[KUBE_RV_MAX + 1];

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (bytes_eq_str(key, "type"))
			json_str(&j, type, sizeof type);
		else if (bytes_eq_str(key, "object"))
			o = json_raw(&j);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || o.len == 0) {
		w->is_broken = true;
		return KUBE_WATCH_MORE;
	}
	if (strcmp(type, "ERROR") == 0) {
		struct json code = json_of(kube_at(o, "code"));

		if (json_u64(&code) == 410)
			w->is_expired = true;
		else
			w->is_broken = true;
		if (!kube_str_at(o, "message", w->trouble, sizeof w->trouble))
			w->trouble[0] = 0;
		return KUBE_WATCH_MORE;
	}
	if (!kube_str_at(o, "metadata.resourceVersion", rv, sizeof rv) || !rv[0]) {
		w->stats.dropped++;
		return KUBE_WATCH_MORE;
	}
	memcpy(w->rv, rv, sizeof rv);
	w->progressed = true;
	*object = o;
	if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0) {
		w->stats.events++;
		return KUBE_WATCH_PUT;
	}
	if (strcmp(type, "DELETED") == 0) {
		w->stats.events++;
		return KUBE_WATCH_DEL;
	}
	return KUBE_WATCH_MORE; /* BOOKMARK, and what later versions invent */
}

/* the next whole line: in the fed bytes, or put together in w->line; false: more bytes are needed
 */
static bool line_next(struct kube_watch *w, struct bytes *line)
{
	const uint8_t *end;
	size_t n;

	if (w->line.len == 0 && w->line.cap > LINE_KEEP)
		buf_fini(&w->line);
	if (w->in.len == 0)
		return false;
	end = memchr(w->in.data, '\n', w->in.len);
	n = end ? (size_t)(end - w->in.data) : w->in.len;
	*line = bytes_of(w->in.data, n);
	w->in = bytes_of(w->in.data + n + (end != NULL), w->in.len - n - (end != NULL));
	if (!w->skipping && (!end || w->line.len > 0) &&
	    !buf_append(&w->line, line->data, line->len)) {
		w->skipping = true;
		buf_clear(&w->line);
	}
	if (!end)
		return false;
	if (w->skipping) {
		w->skipping = false;
		w->stats.dropped++;
		*line = (struct bytes){ 0 };
	} else if (w->line.len > 0) {
		*line = buf_bytes(&w->line);
	}
	return true;
}

enum kube_watch_ev kube_watch_next(struct kube_watch *w, struct bytes *object)
{
	struct bytes line;

	if (w->must_begin && w->state == LISTING && w->status == 200) {
		w->must_begin = false;
		return KUBE_WATCH_BEGIN;
	}
	if (w->say_synced) {
		w->say_synced = false;
		w->is_synced = true;
		return KUBE_WATCH_SYNCED;
	}
	if (w->state == LISTING && !w->is_broken && w->status == 200 && w->in.len > 0)
		return list_next(w, object);
	while (w->state == WATCHING && !w->is_broken && !w->is_expired && line_next(w, &line)) {
		/* the bytes of w->line live until the next append: cleared at the next line only */
		struct bytes mine = line;
		enum kube_watch_ev ev = mine.len > 0 ? event(w, mine, object) : KUBE_WATCH_MORE;

		if (w->line.len > 0)
			w->line.len = 0;
		if (ev != KUBE_WATCH_MORE)
			return ev;
	}
	w->in = (struct bytes){ 0 };
	return KUBE_WATCH_MORE;
}

/* --- the end of an answer --- */

static void wait_after_failure(struct kube_watch *w, mono_t now, unsigned retry_after_s)
{
	span_t wait = kube_backoff(w->failures, SPAN_MS(500), SPAN_S(30), w->rng);

	if (retry_after_s > 0 && retry_after_s <= 300 && wait.ns < SPAN_S(retry_after_s).ns)
		wait = SPAN_S(retry_after_s);
	w->failures += w->failures < 20;
	w->stats.failures++;
	w->at = mono_add(now, wait);
}

static void why(struct kube_watch *w, bool ok)
{
	char message[120];

	if (w->status != 0 && w->status != 200) {
		if (!kube_str_at(buf_bytes(&w->body), "message", message, sizeof message))
			message[0] = 0;
		(void)snprintf(w->trouble, sizeof w->trouble, "status %u %s", w->status, message);
	} else if (w->status == 0 || !ok) {
		(void)snprintf(w->trouble, sizeof w->trouble, "the connection broke");
	} else if (!w->trouble[0]) {
		(void)snprintf(w->trouble, sizeof w->trouble, "the answer makes no sense");
	}
}

static void list_end(struct kube_watch *w, mono_t now, bool ok, unsigned retry_after_s)
{
	w->state = LIST_DUE;
	w->at = now;
	if (w->is_expired) { /* the next page's snapshot is gone: from the start */
		w->page_next[0] = 0;
		w->stats.expired++;
		wait_after_failure(w, now, retry_after_s);
		return;
	}
	if (!ok || w->status != 200 || w->is_broken || !w->list_ended || !w->page_rv[0]) {
		why(w, ok);
		w->page_next[0] = 0;
		wait_after_failure(w, now, retry_after_s);
		return;
	}
	w->trouble[0] = 0;
	if (w->page_next[0])
		return;
	w->failures = 0;
	memcpy(w->rv, w->page_rv, sizeof w->rv);
	w->state = WATCH_DUE;
	w->say_synced = true;
}

void kube_watch_end(struct kube_watch *w, mono_t now, bool ok, unsigned retry_after_s)
{
	assert(w->state == LISTING || w->state == WATCHING);
	w->in = (struct bytes){ 0 };
	if (w->state == LISTING) {
		list_end(w, now, ok, retry_after_s);
		return;
	}
	w->at = now;
	if (w->progressed)
		w->expired_row = 0;
	if (w->is_expired) {
		w->stats.expired++;
		w->state = LIST_DUE;
		w->page_next[0] = 0;
		if (w->expired_row > 0)
			w->at = mono_add(
			    now, kube_backoff(w->expired_row, SPAN_MS(100), SPAN_S(30), w->rng));
		w->expired_row += w->expired_row < 20;
		return;
	}
	w->state = WATCH_DUE;
	/* one that ends at once and says nothing counts as a failure: no storm of watches */
	if (w->status == 200 && !w->is_broken &&
	    (w->progressed || (ok && mono_sub(now, w->begun).ns > SPAN_S(1).ns))) {
		w->trouble[0] = 0;
		w->failures = 0;
		w->at = mono_add(now, kube_backoff(0, SPAN_MS(50), SPAN_MS(50), w->rng));
		return;
	}
	why(w, ok);
	if (w->is_broken) { /* what was in the broken event is unknown */
		w->state = LIST_DUE;
		w->page_next[0] = 0;
	}
	wait_after_failure(w, now, retry_after_s);
}

bool kube_watch_is_synced(const struct kube_watch *w)
{
	return w->is_synced;
}

const struct kube_watch_stats *kube_watch_stats(const struct kube_watch *w)
{
	return &w->stats;
}

const char *kube_watch_trouble(const struct kube_watch *w)
{
	return w->trouble;
}
