/* model/merge.c - see merge.h */
#include "model/merge.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>

#include "base/json.h"

struct merge {
	struct buf *out;
	const struct merge_member *m;
	size_t n;
	uint64_t seen; /* members already written (or dropped) */
	bool any, failed;
};

static void put(struct merge *g, struct bytes key, struct bytes json)
{
	if (g->failed)
		return;
	g->failed = !buf_append(g->out, g->any ? ",\"" : "{\"", 2) ||
		    !buf_append(g->out, key.data, key.len) || !buf_append(g->out, "\":", 2) ||
		    !buf_append(g->out, json.data, json.len);
	g->any = true;
}

/* the number of the member with this name, or n */
static size_t find(const struct merge *g, struct bytes key)
{
	size_t i = 0;

	while (i < g->n && !json_key_is(key, g->m[i].key))
		i++;
	return i;
}

static void put_member(struct merge *g, size_t i)
{
	if (g->seen >> i & 1)
		return;
	g->seen |= UINT64_C(1) << i;
	if (g->m[i].json.len > 0)
		put(g, bytes_str(g->m[i].key), g->m[i].json);
}

static void put_base(struct merge *g, struct json *j)
{
	struct bytes key, raw;
	size_t i;

	json_obj(j);
	while (json_key(j, &key)) {
		raw = json_raw(j);
		if (!json_ok(j))
			return;
		i = find(g, key);
		if (i < g->n)
			put_member(g, i);
		else
			put(g, key, raw);
	}
}

int merge_emit(struct bytes base, const struct merge_member *m, size_t n, struct buf *out)
{
	struct merge g = { .out = out, .m = m, .n = n };
	const size_t len = out->len;
	struct json j = json_of(base);

	assert(n <= MERGE_MAX);
	if (base.len > 0) {
		put_base(&g, &j);
		if (!json_done(&j)) {
			out->len = len;
			return -EBADMSG;
		}
	}
	for (size_t i = 0; i < n; i++)
		put_member(&g, i);
	if (!g.any)
		g.failed = g.failed || !buf_append(out, "{", 1);
	if (g.failed || !buf_append(out, "}", 1)) {
		out->len = len;
		return -ENOMEM;
	}
	return 0;
}
