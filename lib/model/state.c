/* model/state.c - the map: see state.h; what a node finds in it is state_node.c */
#include "model/state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "model/state_priv.h"

struct entry {
	char *name; /* as between the quotes in JSON */
	uint8_t *value;
	size_t len;
};

struct state {
	struct entry *v; /* sorted by name, as Go writes a map */
	size_t n, cap;
};

void state_buf_wipe(struct buf *b)
{
	if (b->data)
		secret_wipe(b->data, b->cap);
	buf_fini(b);
}

static void value_free(uint8_t *value, size_t len)
{
	if (value)
		secret_wipe(value, len);
	free(value);
}

/* Entries with private keys lie in memory of their own kind; whoever else reads the file wrote no
 * other names. */
static bool is_secret(const char *name)
{
	return strcmp(name, STATE_MACHINE_KEY) == 0 || strcmp(name, STATE_DISCO_KEY) == 0 ||
	       strncmp(name, STATE_PROFILE_PREFIX, strlen(STATE_PROFILE_PREFIX)) == 0;
}

/* The value as it is kept; takes it over. NULL: out of memory. */
static uint8_t *kept_value(const char *name, uint8_t *value, size_t len)
{
	uint8_t *p;

	if (!is_secret(name))
		return value;
	p = secret_new(len + 1);
	if (p && len > 0)
		memcpy(p, value, len);
	value_free(value, len);
	return p;
}

static void kept_free(const char *name, uint8_t *value, size_t len)
{
	if (is_secret(name))
		secret_free(value);
	else
		value_free(value, len);
}

struct state *state_new(void)
{
	return calloc(1, sizeof(struct state));
}

static void clear(struct state *s)
{
	for (size_t i = 0; i < s->n; i++) {
		kept_free(s->v[i].name, s->v[i].value, s->v[i].len);
		free(s->v[i].name);
	}
	free(s->v);
	*s = (struct state){ 0 };
}

void state_free(struct state *s)
{
	if (!s)
		return;
	clear(s);
	free(s);
}

/* First entry not below name; *found says whether it is that one. */
static size_t lookup(const struct state *s, const char *name, bool *found)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(s->v[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < s->n && strcmp(s->v[lo].name, name) == 0;
	return lo;
}

/* Takes name and value over, also on failure. */
static int insert(struct state *s, size_t i, char *name, uint8_t *value, size_t len)
{
	struct entry *v = s->v;
	int r = -E2BIG;

	if (s->n == STATE_NAMES_MAX)
		goto fail;
	r = -ENOMEM;
	if (s->n == s->cap) {
		v = reallocarray(s->v, s->cap + 16, sizeof *v);
		if (!v)
			goto fail;
		s->v = v;
		s->cap += 16;
	}
	memmove(v + i + 1, v + i, (s->n - i) * sizeof *v);
	v[i] = (struct entry){ name, value, len };
	s->n++;
	return 0;
fail:
	kept_free(name, value, len);
	free(name);
	return r;
}

/* Takes value over, also on failure. */
static int put(struct state *s, const char *name, uint8_t *value, size_t len)
{
	bool found;
	size_t i = lookup(s, name, &found);
	char *copy;

	value = kept_value(name, value, len);
	if (!value)
		return -ENOMEM;
	if (found) {
		kept_free(name, s->v[i].value, s->v[i].len);
		s->v[i].value = value;
		s->v[i].len = len;
		return 0;
	}
	copy = strdup(name);
	if (!copy) {
		kept_free(name, value, len);
		return -ENOMEM;
	}
	return insert(s, i, copy, value, len);
}

int state_put(struct state *s, const char *name, struct bytes value)
{
	uint8_t *copy;

	if (strlen(name) >= STATE_NAME_MAX || value.len > STATE_TEXT_MAX / 2)
		return -E2BIG;
	for (const char *p = name; *p; p++)
		assert(*p > ' ' && *p < 0x7f && *p != '"' && *p != '\\');
	copy = malloc(value.len + 1);
	if (!copy)
		return -ENOMEM;
	if (value.len > 0)
		memcpy(copy, value.data, value.len);
	return put(s, name, copy, value.len);
}

bool state_get(const struct state *s, const char *name, struct bytes *value)
{
	bool found;
	size_t i = lookup(s, name, &found);

	if (found)
		*value = bytes_of(s->v[i].value, s->v[i].len);
	return found;
}

void state_del(struct state *s, const char *name)
{
	bool found;
	size_t i = lookup(s, name, &found);

	if (!found)
		return;
	kept_free(name, s->v[i].value, s->v[i].len);
	free(s->v[i].name);
	memmove(s->v + i, s->v + i + 1, (s->n - i - 1) * sizeof *s->v);
	s->n--;
}

size_t state_n(const struct state *s)
{
	return s->n;
}

void state_at(const struct state *s, size_t i, struct bytes *name, struct bytes *value)
{
	assert(i < s->n);
	*name = bytes_str(s->v[i].name);
	*value = bytes_of(s->v[i].value, s->v[i].len);
}

/* The base64 text of one member; *tmp is the caller's to wipe and free. */
static struct bytes member_text(struct json *j, char **tmp, size_t *tmp_len)
{
	struct bytes raw = json_raw(j);
	struct json one = json_of(raw);

	*tmp = NULL;
	*tmp_len = 0;
	if (!json_ok(j) || bytes_eq_str(raw, "null"))
		return bytes_of(NULL, 0);
	if (raw.len < 2 || raw.data[0] != '"') {
		j->failed = true;
		return bytes_of(NULL, 0);
	}
	if (!memchr(raw.data, '\\', raw.len))
		return bytes_of(raw.data + 1, raw.len - 2);
	*tmp = malloc(raw.len);
	*tmp_len = *tmp ? raw.len : 0;
	if (*tmp)
		raw = json_strb(&one, *tmp, raw.len);
	j->failed = j->failed || !*tmp || !json_ok(&one);
	return raw;
}

static int read_member(struct state *s, struct bytes key, struct json *j, struct err *e)
{
	char name[STATE_NAME_MAX], *tmp;
	size_t tmp_len, n = 0;
	struct bytes text = member_text(j, &tmp, &tmp_len);
	uint8_t *value = NULL;
	int r = -EBADMSG;

	if (!json_ok(j))
		goto out;
	if (memchr(key.data, 0, key.len) || !bytes_to_str(key, name, sizeof name)) {
		r = err_say(e, EBADMSG, "state: a name is longer than %d bytes",
			    STATE_NAME_MAX - 1);
		goto out;
	}
	value = malloc(text.len + 1);
	if (!value) {
		r = -ENOMEM;
		goto out;
	}
	if (!base64_parse(text, BASE64_STD, value, text.len + 1, &n)) {
		secret_wipe(value, text.len + 1);
		free(value);
		r = err_say(e, EBADMSG, "state: value of %s is not base64", name);
		goto out;
	}
	r = put(s, name, value, n);
	if (r == -E2BIG)
		r = err_say(e, EBADMSG, "state: more than %d entries", STATE_NAMES_MAX);
out:
	value_free((uint8_t *)tmp, tmp_len);
	return r;
}

static bool is_blank(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!memchr(" \t\r\n", text.data[i], 4))
			return false;
	return true;
}

int state_parse(struct state *s, struct bytes text, struct err *e)
{
	struct state next = { 0 };
	struct json j = json_of(text);
	struct bytes key;
	int r = 0;

	if (text.len > STATE_TEXT_MAX)
		return err_say(e, EBADMSG, "state: larger than %d MiB", STATE_TEXT_MAX >> 20);
	if (!is_blank(text)) {
		if (json_type(&j) != JSON_OBJECT)
			return err_say(e, EBADMSG, "state: not a JSON object");
		json_obj(&j);
		while (r == 0 && json_key(&j, &key)) {
			if (e)
				*e = (struct err){ 0 };
			r = read_member(&next, key, &j, e);
		}
		if ((r == 0 && !json_done(&j)) || (r == -EBADMSG && !json_ok(&j)))
			r = err_say(e, EBADMSG, "state: torn or malformed JSON");
	}
	if (r < 0) {
		clear(&next);
		return r == -ENOMEM ? err_say(e, ENOMEM, "state: out of memory") : r;
	}
	clear(s);
	*s = next;
	return 0;
}

static int emit_entry(const struct entry *en, bool first, struct buf *out)
{
	const size_t b64 = base64_len(en->len), name = strlen(en->name);
	/* room for it all at once; a moved buffer would leave a copy of a key behind, so the caller
	 * reserves */
	uint8_t *p = buf_reserve(out, name + b64 + 16);
	char *q = (char *)p;

	if (!p)
		return -ENOMEM;
	q = stpcpy(q, first ? "\n  \"" : ",\n  \"");
	q = stpcpy(q, en->name);
	q = stpcpy(q, "\": \"");
	base64_emit(en->value, en->len, BASE64_STD, q);
	q = stpcpy(q + b64, "\"");
	buf_commit(out, (size_t)(q - (char *)p));
	return 0;
}

int state_emit(const struct state *s, struct buf *out)
{
	size_t need = 16;

	for (size_t i = 0; i < s->n; i++)
		need += strlen(s->v[i].name) + base64_len(s->v[i].len) + 16;
	if (!buf_reserve(out, need) || !buf_append(out, "{", 1))
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		if (emit_entry(&s->v[i], i == 0, out) < 0)
			return -ENOMEM;
	return buf_append(out, s->n ? "\n}" : "}", s->n ? 2 : 1) ? 0 : -ENOMEM;
}
