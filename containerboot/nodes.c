/* containerboot/nodes.c - see nodes.h */
#include "containerboot/nodes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "containerboot/options.h"
#include "crypto/key.h"

#define SECRET_IS "TS_KUBE_SECRET="

static bool name_is_valid(const char *name)
{
	const size_t n = strlen(name);

	return n > 0 && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == 0 &&
	       name[0] != '-' && name[n - 1] != '-';
}

static int read_value(struct node_settings *s, struct json *j, const char *variable, struct err *e)
{
	char value[NODES_VALUE_MAX + 1], *text;

	(void)json_str(j, value, sizeof value);
	if (!json_ok(j))
		return err_say(e, EINVAL, "%s: %s: no text, or one of more than %d bytes", s->name,
			       variable, NODES_VALUE_MAX);
	if (asprintf(&text, "%s=%s", variable, value) < 0)
		return err_set(e, ENOMEM, "nodes");
	secret_wipe(value, sizeof value);
	s->env[s->n++] = text;
	return 0;
}

static int read_node(struct node_settings *s, struct json *j, struct err *e)
{
	struct bytes key;
	char variable[64];

	if (json_type(j) != JSON_OBJECT)
		return err_say(e, EINVAL, "%s: wanted an object of variables", s->name);
	json_obj(j);
	while (json_key(j, &key)) {
		if (!json_unescape(key, variable, sizeof variable) || !option_of_node(variable))
			return err_say(e, EINVAL, "%s: %.*s is no setting of one node", s->name,
				       (int)MIN_OF(key.len, sizeof variable),
				       (const char *)key.data);
		for (size_t i = 0; i < s->n; i++)
			if (strncmp(s->env[i], variable, strlen(variable)) == 0 &&
			    s->env[i][strlen(variable)] == '=')
				return err_say(e, EINVAL, "%s: %s is there twice", s->name,
					       variable);
		if (s->n == NODES_VARIABLES_MAX)
			return err_say(e, EINVAL, "%s: more than %d variables", s->name,
				       NODES_VARIABLES_MAX);
		if (json_type(j) != JSON_STRING)
			return err_say(e, EINVAL, "%s: %s: wanted a text", s->name, variable);
		if (read_value(s, j, variable, e) < 0)
			return -e->code;
	}
	return 0;
}

static const char *secret_of(const struct node_settings *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (strncmp(s->env[i], SECRET_IS, strlen(SECRET_IS)) == 0)
			return s->env[i] + strlen(SECRET_IS);
	return "";
}

/* The one read last, against those before it. */
static int check_pair(const struct nodes *all, struct err *e)
{
	const struct node_settings *s = &all->v[all->n - 1];

	for (size_t i = 0; i + 1 < all->n; i++) {
		if (strcmp(all->v[i].name, s->name) == 0)
			return err_say(e, EINVAL, "%s is there twice", s->name);
		if (*secret_of(s) && strcmp(secret_of(&all->v[i]), secret_of(s)) == 0)
			return err_say(e, EINVAL, "%s and %s have the same TS_KUBE_SECRET",
				       all->v[i].name, s->name);
	}
	return 0;
}

static int read_nodes(struct nodes *out, struct json *j, struct err *e)
{
	struct bytes key;
	int r = 0;

	if (json_type(j) != JSON_OBJECT)
		return err_say(e, EINVAL, "nodes: wanted an object, NAME: {VARIABLE: VALUE, ...}");
	json_obj(j);
	while (r == 0 && json_key(j, &key)) {
		struct node_settings *s, *grown;

		if (out->n == NODES_MAX)
			return err_say(e, EINVAL, "more than %d nodes", NODES_MAX);
		grown = reallocarray(out->v, out->n + 1, sizeof *out->v);
		if (!grown)
			return err_set(e, ENOMEM, "nodes");
		out->v = grown;
		s = &out->v[out->n];
		*s = (struct node_settings){ 0 };
		if (!json_unescape(key, s->name, sizeof s->name) || !name_is_valid(s->name))
			return err_say(e, EINVAL,
				       "\"%.*s\" is no name of a node: wanted 1 to %d small "
				       "letters, digits and hyphens",
				       (int)MIN_OF(key.len, NODES_NAME_MAX), (const char *)key.data,
				       NODES_NAME_MAX);
		out->n++;
		r = read_node(s, j, e);
		if (r == 0)
			r = check_pair(out, e);
	}
	return r;
}

static int read_all(struct nodes *out, struct bytes text, struct err *e)
{
	struct json j = json_of(text);
	int64_t version = 0;
	bool has_nodes = false;
	struct bytes key;

	if (json_type(&j) != JSON_OBJECT)
		return err_say(e, EINVAL, "wanted a JSON object");
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (bytes_eq_str(key, "version")) {
			version = json_type(&j) == JSON_NUMBER ? json_i64(&j) : 0;
			if (version != NODES_VERSION)
				return err_say(e, EINVAL, "version: wanted %d", NODES_VERSION);
		} else if (bytes_eq_str(key, "nodes") && !has_nodes) {
			has_nodes = true;
			if (read_nodes(out, &j, e) < 0)
				return -e->code;
		} else {
			return err_say(e, EINVAL, "\"%.*s\" is unknown, or there twice",
				       (int)MIN_OF(key.len, 60), (const char *)key.data);
		}
	}
	if (!json_done(&j))
		return err_say(e, EINVAL, "no JSON");
	if (version == 0 || !has_nodes)
		return err_say(e, EINVAL, "wanted \"version\": %d and \"nodes\"", NODES_VERSION);
	return 0;
}

int nodes_parse(struct nodes *out, struct bytes text, struct err *e)
{
	bool is_blank = true;
	int r;

	*out = (struct nodes){ 0 };
	for (size_t i = 0; i < text.len; i++)
		is_blank = is_blank && memchr(" \t\r\n", text.data[i], 4);
	if (is_blank)
		return 0;
	if (text.len > NODES_FILE_MAX)
		return err_say(e, EINVAL, "larger than %d bytes", NODES_FILE_MAX);
	r = read_all(out, text, e);
	if (r < 0)
		nodes_fini(out);
	return r;
}

void node_settings_fini(struct node_settings *s)
{
	for (size_t i = 0; i < s->n; i++) {
		secret_wipe(s->env[i], strlen(s->env[i]));
		free(s->env[i]);
	}
	*s = (struct node_settings){ 0 };
}

void nodes_fini(struct nodes *n)
{
	for (size_t i = 0; i < n->n; i++)
		node_settings_fini(&n->v[i]);
	free(n->v);
	*n = (struct nodes){ 0 };
}

bool node_settings_eq(const struct node_settings *a, const struct node_settings *b)
{
	if (strcmp(a->name, b->name) != 0 || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		bool has = false;

		for (size_t k = 0; k < b->n && !has; k++)
			has = strcmp(a->env[i], b->env[k]) == 0;
		if (!has)
			return false;
	}
	return true;
}
