/* containerboot/options_check.c - whether the text of one value is what it is to be, whichever way
 * it came: a variable, a flag, a configuration file
 */
#include <errno.h>
#include <string.h>

#include "containerboot/options.h"
#include "os/listen.h"

int check_url(const char *what, const char *text, struct err *e)
{
	const char *host = strncmp(text, "https://", 8) == 0  ? text + 8
			   : strncmp(text, "http://", 7) == 0 ? text + 7
							      : NULL;

	if (!host || !*host || *host == '/' || *host == ':' || strchr(host, '@') ||
	    strlen(text) >= PREFS_URL_MAX)
		return err_say(e, EINVAL, "%s: wanted a URL such as https://headscale.example.com",
			       what);
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return err_say(e, EINVAL, "%s: a URL holds no blanks", what);
	return 0;
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

int check_tags(const char *what, const char *text, struct err *e)
{
	struct bytes left = bytes_str(text), tag;

	if (left.len >= PREFS_TAGS_MAX)
		return err_say(e, EINVAL, "%s: longer than %d bytes", what, PREFS_TAGS_MAX - 1);
	if (left.len > 0 && left.data[left.len - 1] == ',')
		return err_say(e, EINVAL, "%s: ends in a comma", what);
	while (prefs_list_next(&left, &tag)) {
		bool ok = tag.len > 4 && memcmp(tag.data, "tag:", 4) == 0;

		for (size_t i = 4; ok && i < tag.len; i++)
			ok = strchr(
				 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-",
				 tag.data[i]) &&
			     tag.data[i];
		if (!ok)
			return err_say(
			    e, EINVAL,
			    "%s: each tag is tag: and letters, digits, hyphens (tag:web,tag:db)",
			    what);
	}
	return 0;
}

int check_routes(const char *what, const char *text, struct err *e)
{
	struct bytes left = bytes_str(text), one;
	struct ipprefix p, masked;
	char text_of[IPPREFIX_TEXT];
	unsigned n = 0, defaults = 0; /* of IPv4: 1, of IPv6: 2 */

	if (left.len >= PREFS_ROUTES_MAX - 16) /* and two default routes */
		return err_say(e, EINVAL, "%s: longer than %d bytes", what, PREFS_ROUTES_MAX - 17);
	while (prefs_list_next(&left, &one)) {
		const uint8_t *slash = one.len ? memchr(one.data, '/', one.len) : NULL;

		if (!slash || !ipprefix_parse(one, &p))
			return err_say(e, EINVAL, "%s: wanted subnets such as 10.0.0.0/8,fd00::/8",
				       what);
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
		return err_say(e, EINVAL, "%s: wanted host:port such as :1055 or localhost:1055",
			       what);
	return 0;
}
