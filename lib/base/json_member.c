/* base/json_member.c - see json_member.h */
#include "base/json_member.h"

#include "base/text.h"

void jsonw_kwall(struct jsonw *w, const char *key, wall_t t)
{
	char text[WALL_TEXT];

	jsonw_kstr(w, key, wall_text(t, text));
}

void jsonw_kprefixes(struct jsonw *w, const char *key, const struct ipprefix *v, size_t n)
{
	char text[IPPREFIX_TEXT];

	jsonw_key(w, key);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, ipprefix_text(&v[i], text));
	jsonw_arr_end(w);
}

void jsonw_kipports(struct jsonw *w, const char *key, const struct ipport *v, size_t n)
{
	char text[IPPORT_TEXT];

	jsonw_key(w, key);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, ipport_text(&v[i], text));
	jsonw_arr_end(w);
}

wall_t json_wall(struct json *j)
{
	char text[64];
	const size_t n = json_str(j, text, sizeof text);
	wall_t t = WALL_ZERO;

	if (n > 0 && !wall_parse(bytes_of(text, n), &t))
		j->failed = true;
	return t;
}
