/* model/serve_ask.c - which port, site and handler of a serve configuration a request is for */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "model/serve.h"
#include "wire/http1.h"

void serve_fold_name(char *name)
{
	size_t n = strlen(name);

	if (n > 1 && name[n - 1] == '.')
		name[n - 1] = 0;
	for (; *name; name++)
		if (*name >= 'A' && *name <= 'Z')
			*name = (char)(*name + 32);
}

const struct serve_port *serve_port_of(const struct serve *s, uint16_t port)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->port[i].port == port)
			return &s->port[i];
	return NULL;
}

static const struct serve_site *site_named(const struct serve *s, uint16_t port, const char *name)
{
	for (size_t i = 0; i < s->n_sites; i++)
		if (s->site[i].port == port && strcmp(s->site[i].host, name) == 0)
			return &s->site[i];
	return NULL;
}

const struct serve_site *serve_site_of(const struct serve *s, uint16_t port, struct bytes host)
{
	const char *suffix = strchr(s->fqdn, '.');
	char name[2 * SERVE_NAME_MAX + 2], whole[3 * SERVE_NAME_MAX + 3];
	const struct serve_site *site;
	struct bytes only;
	uint16_t there;
	struct ip ip;

	if (!http1_authority_parse(host, &only, &there) ||
	    !bytes_to_str(only, name, SERVE_NAME_MAX + 1))
		return NULL;
	serve_fold_name(name);
	site = site_named(s, port, name);
	if (!site && ip_parse(bytes_str(name), &ip))
		site = site_named(s, port, s->fqdn);
	if (!site && suffix && !strchr(name, '.')) {
		snprintf(whole, sizeof whole, "%s%s", name, suffix);
		site = site_named(s, port, whole);
	}
	return site;
}

void serve_clean_path(const char *path, char *out)
{
	size_t n = 0;

	while (*path) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0 || (len == 1 && path[0] == '.')) {
			path += len;
			continue;
		}
		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (n > 0 && out[--n] != '/')
				;
		} else {
			out[n++] = '/';
			memcpy(out + n, path, len);
			n += len;
		}
		path += len;
	}
	if (n == 0)
		out[n++] = '/';
	out[n] = 0;
}

static const struct serve_handler *mounted(const struct serve_site *site, const char *path,
					   bool slash)
{
	const size_t n = strlen(path);

	for (size_t i = 0; i < site->n; i++) {
		const char *m = site->v[i].mount;

		if (site->v[i].is_exact)
			continue;
		if (slash ? strncmp(m, path, n) == 0 && strcmp(m + n, "/") == 0
			  : strcmp(m, path) == 0)
			return &site->v[i];
	}
	return NULL;
}

static const struct serve_handler *exactly(const struct serve_site *site, const char *path)
{
	for (size_t i = 0; i < site->n; i++)
		if (site->v[i].is_exact && strcmp(site->v[i].mount, path) == 0)
			return &site->v[i];
	return NULL;
}

/* the handler of a cleaned path: its own, then those of its parents; "/a/" before "/a" */
static const struct serve_handler *covering(const struct serve_site *site, char *path)
{
	for (;;) {
		const struct serve_handler *h = mounted(site, path, path[1] != 0);
		char *slash = strrchr(path, '/');

		if (!h && path[1])
			h = mounted(site, path, false);
		if (h || path[1] == 0)
			return h;
		slash[slash == path] = 0;
	}
}

/* What of an escaped path lies behind the first n bytes of its unescaped form, which are `mount`.
 */
static bool behind(struct bytes path, const char *mount, size_t n, struct bytes *rest)
{
	char c[2];
	size_t len;

	while (n > 0) {
		const size_t step = path.len >= 3 && path.data[0] == '%' ? 3 : 1;

		if (path.len == 0 ||
		    !http1_unescape(bytes_of(path.data, step), false, c, sizeof c, &len) ||
		    c[0] != *mount)
			return false;
		path.data += step;
		path.len -= step;
		mount++;
		n--;
	}
	*rest = path;
	return path.len == 0 || path.data[0] == '/';
}

const struct serve_handler *serve_handler_of(const struct serve_site *site, struct bytes path,
					     struct bytes *rest)
{
	char *text = malloc(HTTP1_TARGET_MAX + 1), *clean = malloc(HTTP1_TARGET_MAX + 2);
	const struct serve_handler *h = NULL;
	size_t len, n;

	if (text && clean && http1_unescape(path, false, text, HTTP1_TARGET_MAX + 1, &len) &&
	    text[0] == '/') {
		serve_clean_path(text, clean);
		h = exactly(site, text);
		if (!h)
			h = mounted(site, text, false);
		if (!h)
			h = covering(site, clean);
		n = h ? strlen(h->mount) : 0;
		if (n > 0 && h->mount[n - 1] == '/')
			n--;
		if (h && !behind(path, h->mount, n, rest))
			h = NULL;
	}
	free(text);
	free(clean);
	return h;
}

bool serve_target(struct buf *out, const struct serve_to *to, struct bytes rest, bool has_query,
		  struct bytes query)
{
	size_t base = strlen(to->path);

	if (base > 0 && to->path[base - 1] == '/' && rest.len > 0)
		base--;
	return buf_append(out, to->path, base) && buf_append(out, rest.data, rest.len) &&
	       (base + rest.len > 0 || buf_append(out, "/", 1)) &&
	       (!has_query || buf_append(out, "?", 1)) && buf_append(out, query.data, query.len);
}
