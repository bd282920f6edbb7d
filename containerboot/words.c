/* containerboot/words.c - text split into words as a shell would */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "containerboot/options.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One word from *in to *out (NUL-terminated); false: a quote is still open at the end. */
static bool word(const char **in, char **out)
{
	const char *p = *in;
	char *q = *out, quote = 0;

	for (; *p && (quote || !is_blank(*p)); p++) {
		if (quote && *p == quote)
			quote = 0;
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (*p == '\\' && p[1] && (!quote || (quote == '"' && strchr("\"\\$`", p[1]))))
			*q++ = *++p;
		else
			*q++ = *p;
	}
	*q++ = 0;
	*in = p;
	*out = q;
	return quote == 0;
}

char **words_split(const char *text, size_t *n, struct err *e)
{
	const size_t len = strlen(text), max = len / 2 + 1;
	char **v = malloc((max + 1) * sizeof *v + len + max + 1), *out;

	*n = 0;
	if (!v) {
		err_set(e, ENOMEM, "split arguments");
		return NULL;
	}
	out = (char *)(v + max + 1);
	for (;;) {
		while (is_blank(*text))
			text++;
		if (!*text)
			break;
		v[(*n)++] = out;
		if (!word(&text, &out)) {
			free(v);
			err_say(e, EINVAL, "a quote is not closed");
			return NULL;
		}
	}
	v[*n] = NULL;
	return v;
}
