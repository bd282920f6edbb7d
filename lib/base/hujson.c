/* base/hujson.c - see hujson.h */
#include "base/hujson.h"

/* past the string that starts at i, or len when it does not end */
static size_t skip_string(const char *s, size_t i, size_t len)
{
	for (i++; i < len && s[i] != '"'; i++)
		if (s[i] == '\\')
			i++;
	return i < len ? i + 1 : len + 1;
}

static size_t blank_line(char *s, size_t i, size_t len)
{
	while (i < len && s[i] != '\n')
		s[i++] = ' ';
	return i;
}

static size_t blank_block(char *s, size_t i, size_t len)
{
	size_t start = i;

	for (i += 2; i + 1 < len && !(s[i] == '*' && s[i + 1] == '/'); i++)
		;
	if (i + 1 >= len)
		return len + 1;
	for (size_t k = start; k < i + 2; k++)
		if (s[k] != '\n')
			s[k] = ' ';
	return i + 2;
}

/* One character outside texts and comments: a comma may trail only after a value. */
static void step(char *s, size_t i, size_t none, size_t *comma, bool *after_value)
{
	if (s[i] == ' ' || s[i] == '\t' || s[i] == '\r' || s[i] == '\n')
		return;
	if ((s[i] == '}' || s[i] == ']') && *comma < none)
		s[*comma] = ' ';
	*comma = s[i] == ',' && *after_value ? i : none;
	*after_value = !strchr(",:[{", s[i]);
}

bool hujson_plain(char *s, size_t len, size_t *at)
{
	size_t comma = len; /* the last comma, if only white space and comments follow it */
	bool after_value = false;

	for (size_t i = 0; i < len;) {
		size_t start = i;

		if (s[i] == '"') {
			i = skip_string(s, i, len);
			comma = len;
			after_value = true;
		} else if (s[i] == '/' && i + 1 < len && s[i + 1] == '/') {
			i = blank_line(s, i, len);
		} else if (s[i] == '/' && i + 1 < len && s[i + 1] == '*') {
			i = blank_block(s, i, len);
		} else {
			step(s, i, len, &comma, &after_value);
			i++;
		}
		if (i > len) {
			*at = start;
			return false;
		}
	}
	return true;
}

struct hujson_pos hujson_pos(struct bytes text, size_t at)
{
	struct hujson_pos p = { 1, 1 };

	for (size_t i = 0; i < at && i < text.len; i++) {
		p.column++;
		if (text.data[i] == '\n') {
			p.line++;
			p.column = 1;
		}
	}
	return p;
}
