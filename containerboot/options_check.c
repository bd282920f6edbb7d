/* containerboot/options_check.c - whether the text of one value is what it is to be, whichever way
 * it came: a variable, a flag, a configuration file
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "containerboot/options.h"
#include "os/listen.h"
#include "ts2021/url.h"

enum { SHOWN_MAX = 48 };

/* Part of a value for its refusal: what may be a key that got into the wrong variable is not shown.
 */
static const char *shown(struct bytes v, char out[static SHOWN_MAX])
{
	if (!bytes_to_str(v, out, SHOWN_MAX) || strstr(out, "key"))
		return "...";
	text_show(out);
	return out;
}

static bool has_blank(struct bytes v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.data[i] <= ' ')
			return true;
	return false;
}

static int check_blanks(const char *what, struct bytes one, const char *example, struct err *e)
{
	if (!has_blank(one))
		return 0;
	return err_say(e, EINVAL, "%s: a comma alone is between two, without blanks: %s", what,
		       example);
}

int check_url(const char *what, const char *text, struct err *e)
{
	const char *host = strncmp(text, "https://", 8) == 0  ? text + 8
			   : strncmp(text, "http://", 7) == 0 ? text + 7
							      : NULL;

	if (*text && !strstr(text, "://") && !strchr(text, '@'))
		return err_say(e, EINVAL, "%s: https:// (or http://) is missing in front of it",
			       what);
	if (!host || !*host || *host == '/' || *host == ':' || strchr(host, '@') ||
	    strlen(text) >= PREFS_URL_MAX)
		return err_say(e, EINVAL, "%s: wanted a URL such as https://headscale.example.com",
			       what);
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return err_say(e, EINVAL, "%s: a URL holds no blanks", what);
	return 0;
}

int check_server(const char *what, const char *text, struct err *e)
{
	int r = check_url(what, text, e);
	struct url url;

	if (r == 0 && (!url_parse(bytes_str(text), &url) || strcmp(url.path, "/") != 0))
		r = err_say(e, EINVAL,
			    "%s: wanted scheme, host and perhaps a port, and no path: "
			    "https://headscale.example.com:8443",
			    what);
	return r;
}

int check_hostname(const char *what, const char *text, struct err *e)
{
	size_t label = 0;
	char before = 0;

	for (const char *p = text; *p; before = *p++) {
		const bool alnum = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
				   (*p >= '0' && *p <= '9');

		if (*p == '.' && label > 0 && before != '-')
			label = 0;
		else if (!alnum && *p > ' ' && *p < 0x7f && *p != '-' && *p != '.')
			return err_say(e, EINVAL,
				       "%s: a host name has letters, digits and hyphens; '%c' is "
				       "none of them",
				       what, *p);
		else if ((!alnum && (*p != '-' || label == 0)) || ++label > 63)
			return err_say(
			    e, EINVAL,
			    "%s: a host name has letters, digits and hyphens, 63 a label", what);
	}
	if (strlen(text) >= 254 || before == '-' || before == '.')
		return err_say(e, EINVAL,
			       "%s: a host name ends in a letter or digit and has at most 253",
			       what);
	return 0;
}

int check_object_name(const char *what, const char *text, struct err *e)
{
	const size_t len = strlen(text);

	if (len > 253 || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") != len ||
	    strchr(".-", text[0]) || strchr(".-", text[len - 1]))
		return err_say(e, EINVAL,
			       "%s: wanted a name of lower-case letters, digits, '-' and '.'",
			       what);
	return 0;
}

/* Letters, digits and hyphens, a letter first: as the stock client checks it */
static bool is_tag_name(struct bytes v)
{
	for (size_t i = 0; i < v.len; i++) {
		const uint8_t c = v.data[i];
		const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && (i == 0 || ((c < '0' || c > '9') && c != '-')))
			return false;
	}
	return v.len > 0;
}

int check_tags(const char *what, const char *text, struct err *e)
{
	struct bytes left = bytes_str(text), tag, name;
	char part[SHOWN_MAX];
	size_t len = left.len;
	int r;

	if (left.len > 0 && left.data[left.len - 1] == ',')
		return err_say(e, EINVAL, "%s: ends in a comma", what);
	while (prefs_list_next(&left, &tag)) {
		const bool has_prefix = tag.len > 4 && memcmp(tag.data, "tag:", 4) == 0;

		name = has_prefix ? bytes_of(tag.data + 4, tag.len - 4) : tag;
		len += has_prefix ? 0 : 4;
		r = check_blanks(what, tag, "tag:web,tag:db", e);
		if (r < 0)
			return r;
		if (!is_tag_name(name))
			return err_say(e, EINVAL,
				       "%s: '%s' is no tag: a letter, then letters, digits, "
				       "hyphens (tag:web,tag:db)",
				       what, shown(tag, part));
	}
	if (len >= PREFS_TAGS_MAX)
		return err_say(e, EINVAL, "%s: longer than %d bytes", what, PREFS_TAGS_MAX - 1);
	return 0;
}

int check_routes(const char *what, const char *text, struct err *e)
{
	struct bytes left = bytes_str(text), one;
	struct ipprefix p, masked;
	char text_of[IPPREFIX_TEXT], part[SHOWN_MAX];
	unsigned n = 0, defaults = 0; /* of IPv4: 1, of IPv6: 2 */

	if (left.len >= PREFS_ROUTES_MAX - 16) /* and two default routes */
		return err_say(e, EINVAL, "%s: longer than %d bytes", what, PREFS_ROUTES_MAX - 17);
	while (prefs_list_next(&left, &one)) {
		const uint8_t *slash = one.len ? memchr(one.data, '/', one.len) : NULL;

		if (check_blanks(what, one, "10.0.0.0/8,fd00::/8", e) < 0)
			return -EINVAL;
		if (!slash && ip_parse(one, &p.ip))
			return err_say(
			    e, EINVAL, "%s: %s has no length; of one address it is %s/%d", what,
			    shown(one, part), shown(one, part), ip_is_v4(&p.ip) ? 32 : 128);
		if (!slash || !ipprefix_parse(one, &p))
			return err_say(e, EINVAL,
				       "%s: '%s' is no subnet; wanted such as 10.0.0.0/8,fd00::/8",
				       what, shown(one, part));
		if (!ip_parse(bytes_of(one.data, (size_t)(slash - one.data)), &masked.ip) ||
		    !ip_eq(&masked.ip, &p.ip))
			return err_say(
			    e, EINVAL, "%s: %.*s has bits beyond its length; the subnet is %s",
			    what, (int)one.len, (const char *)one.data, ipprefix_text(&p, text_of));
		if (++n > OPTIONS_ROUTES_MAX)
			return err_say(e, EINVAL, "%s: more than %d subnets", what,
				       OPTIONS_ROUTES_MAX);
		if (p.bits == 0 || (p.bits == 96 && ip_is_v4(&p.ip)))
			defaults |= p.bits == 0 ? 2 : 1;
	}
	if (defaults == 1 || defaults == 2)
		return err_say(e, EINVAL,
			       "%s: 0.0.0.0/0 and ::/0 go together: they make an exit node", what);
	return 0;
}

int check_listen(const char *what, const char *text, struct err *e)
{
	struct listen_addr a;

	if (listen_addr_parse(bytes_str(text), &a, e) < 0)
		return err_say(e, EINVAL,
			       "%s: wanted host:port such as :1055, localhost:1055, [::1]:1055: no "
			       "scheme, no name but localhost",
			       what);
	return 0;
}
