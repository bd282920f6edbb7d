/* coordinator/cli_table.c - answers of the server as tables for people */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "coordinator/cli_priv.h"

enum { CELL_MAX = 256, COLUMNS_MAX = 16 };

int cli_complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("coordinator: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return 1;
}

int cli_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("coordinator: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("\nTry: coordinator --help\n", stderr);
	va_end(ap);
	return 2;
}

static void value(struct json *j, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = 0;
	switch (json_type(j)) {
	case JSON_STRING: {
		AUTO_FREE char *s = json_strdup(j, 1 << 20);

		snprintf(out, cap, "%s", s ? s : "");
		break;
	}
	case JSON_ARRAY:
		json_arr(j);
		while (json_elem(j)) {
			char one[CELL_MAX];

			value(j, one, sizeof one);
			n += (size_t)snprintf(out + n, n < cap ? cap - n : 0, "%s%s", n ? "," : "",
					      one);
			n = MIN_OF(n, cap - 1);
		}
		break;
	case JSON_NULL:
		json_skip(j);
		break;
	default:
		(void)bytes_to_str(json_raw(j), out, cap);
	}
	text_show(out); /* a host name is a stranger's text: it does not get at the terminal */
}

bool cli_field(struct bytes object, const char *key, char *out, size_t cap)
{
	const char *dot = strchr(key, '.');
	char first[64];
	struct json j = json_of(object);
	struct bytes name;

	snprintf(first, sizeof first, "%.*s", dot ? (int)(dot - key) : (int)strlen(key), key);
	out[0] = 0;
	json_obj(&j);
	while (json_key(&j, &name)) {
		if (!json_key_is(name, first))
			json_skip(&j);
		else if (dot)
			return cli_field(json_raw(&j), dot + 1, out, cap);
		else {
			value(&j, out, cap);
			return json_ok(&j);
		}
	}
	return false;
}

static void cell_of(struct bytes object, const struct cli_column *c, char *out, size_t cap)
{
	bool no = c->flag && c->flag[0] == '!';

	if (c->flag && cli_field(object, c->flag + no, out, cap) &&
	    strcmp(out, no ? "false" : "true") == 0)
		snprintf(out, cap, "%s", c->word);
	else
		(void)cli_field(object, c->key, out, cap);
}

static void row(struct bytes object, const struct cli_column *v, size_t n, const size_t *width)
{
	char cell[CELL_MAX];

	for (size_t i = 0; i < n; i++) {
		cell_of(object, &v[i], cell, sizeof cell);
		printf("%-*s%s", i + 1 < n ? (int)width[i] : 0, cell[0] ? cell : "-",
		       i + 1 < n ? "  " : "\n");
	}
}

static void measure(struct bytes object, const struct cli_column *v, size_t n, size_t *width)
{
	char cell[CELL_MAX];

	for (size_t i = 0; i < n; i++) {
		cell_of(object, &v[i], cell, sizeof cell);
		width[i] = MAX_OF(width[i], strlen(cell));
	}
}

int cli_table(struct bytes text, const char *list, const struct cli_column *v, size_t n)
{
	size_t width[COLUMNS_MAX] = { 0 };

	for (size_t i = 0; i < n; i++)
		width[i] = strlen(v[i].title);
	for (int pass = 0; pass < 2; pass++) {
		struct json j = json_of(text);
		struct bytes key;

		for (size_t i = 0; pass == 1 && i < n; i++)
			printf("%-*s%s", i + 1 < n ? (int)width[i] : 0, v[i].title,
			       i + 1 < n ? "  " : "\n");
		json_obj(&j);
		while (json_key(&j, &key)) {
			if (!json_key_is(key, list)) {
				json_skip(&j);
				continue;
			}
			json_arr(&j);
			while (json_elem(&j)) {
				struct bytes object = json_raw(&j);

				if (pass == 0)
					measure(object, v, n, width);
				else
					row(object, v, n, width);
			}
		}
		if (!json_done(&j))
			return cli_complain("the answer of the server is malformed");
	}
	return 0;
}
