/* model/netmap_filters.c - the packet filter as control sends it: named parts, kept as text, by
 * name */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/netmap_priv.h"

static void filter_drop(struct nm_filters *f, size_t i)
{
	f->bytes -= f->v[i]->text.len;
	free(f->v[i]);
	memmove(&f->v[i], &f->v[i + 1], (f->n - i - 1) * sizeof f->v[0]);
	f->n--;
}

static int name_cmp(struct bytes a, struct bytes b)
{
	int c = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* where name is, or would be: parts are sorted by name */
static size_t filter_at(const struct nm_filters *f, struct bytes name, bool *there)
{
	size_t i = 0;
	int c = 1;

	while (i < f->n && (c = name_cmp(bytes_str(f->v[i]->name), name)) < 0)
		i++;
	*there = i < f->n && c == 0;
	return i;
}

/* text: a JSON array; null deletes */
int nm_filters_set(struct nm_filters *f, struct bytes name, struct bytes text)
{
	struct nm_filter *part;
	bool there;
	size_t i = filter_at(f, name, &there);
	struct json j = json_of(text);
	uint8_t *p;

	f->any = true;
	if (json_type(&j) != JSON_ARRAY && json_type(&j) != JSON_NULL)
		return -EBADMSG;
	if (there)
		filter_drop(f, i);
	if (json_type(&j) == JSON_NULL)
		return 0;
	json_skip(&j);
	if (!json_done(&j))
		return -EBADMSG;
	if (f->n == NETMAP_FILTERS_MAX || text.len > NETMAP_FILTER_BYTES_MAX - f->bytes)
		return -E2BIG;
	part = malloc(sizeof *part + name.len + 1 + text.len);
	if (!part)
		return -ENOMEM;
	p = (uint8_t *)(part + 1);
	memcpy(p, name.data, name.len);
	p[name.len] = 0;
	memcpy(p + name.len + 1, text.data, text.len);
	*part = (struct nm_filter){ (char *)p, bytes_of(p + name.len + 1, text.len) };
	memmove(&f->v[i + 1], &f->v[i], (f->n - i) * sizeof f->v[0]);
	f->v[i] = part;
	f->n++;
	f->bytes += text.len;
	return 0;
}

int nm_filters_parts(struct nm_filters *f, struct bytes text)
{
	struct json first = json_of(text), j = first;
	struct bytes key;
	int r = 0;

	f->any = true;
	json_obj(&first);
	while (json_key(&first, &key)) { /* "*": null counts before all others */
		if (bytes_eq_str(key, "*") && json_type(&first) == JSON_NULL)
			while (f->n > 0)
				filter_drop(f, f->n - 1);
		json_skip(&first);
	}
	json_obj(&j);
	while (json_key(&j, &key)) {
		struct bytes raw = json_raw(&j);
		char name[NETMAP_NAME_MAX];

		if (!json_ok(&j) || r < 0 || (bytes_eq_str(key, "*") && bytes_eq_str(raw, "null")))
			continue;
		r = json_unescape(key, name, sizeof name) ? nm_filters_set(f, bytes_str(name), raw)
							  : -E2BIG;
	}
	return r < 0 ? r : json_done(&j) ? 0 : -EBADMSG;
}

int nm_filters_copy(struct nm_filters *out, const struct nm_filters *f)
{
	*out = (struct nm_filters){ .any = f->any };
	for (size_t i = 0; i < f->n; i++) {
		int r = nm_filters_set(out, bytes_str(f->v[i]->name), f->v[i]->text);

		if (r < 0) {
			nm_filters_free(out);
			return r;
		}
	}
	out->any = f->any;
	return 0;
}

bool nm_filters_eq(const struct nm_filters *a, const struct nm_filters *b)
{
	if (a->any != b->any || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i]->name, b->v[i]->name) != 0 ||
		    !bytes_eq(a->v[i]->text, b->v[i]->text))
			return false;
	return true;
}

void nm_filters_free(struct nm_filters *f)
{
	while (f->n > 0)
		filter_drop(f, f->n - 1);
	*f = (struct nm_filters){ 0 };
}
