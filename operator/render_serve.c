/* operator/render_serve.c - the serve configuration of an Ingress
 *
 * The site of the node's name, and one for each host of a rule that is a name of its own. A rule
 * without a host, or with that of spec.tls, belongs to the node's; one without a host to all. The
 * mount path is cut off on the way (containerboot.md 11), so it is put before the back end's.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "operator/render_priv.h"

#define NODE "${TS_CERT_DOMAIN}"

/* Is a host a site of its own? */
static bool is_site(const struct parent *p, const char *host)
{
	return strchr(host, '.') && strcmp(host, p->tls_host) != 0;
}

/* A path's host on a site (NULL: the node's): 2: its own, 1: any, 0: another's. */
static int fits(const struct parent *p, const struct parent_path *x, const char *site)
{
	if (!path_is_served(x))
		return 0;
	if (!x->host[0])
		return 1;
	if (!site)
		return is_site(p, x->host) ? 0 : 2;
	return strcmp(x->host, site) == 0 ? 2 : 0;
}

/* Of equal paths of a type the first counts, one of the site's own host before one of any. */
static bool is_hidden(const struct parent *p, size_t at, const char *site)
{
	const int rank = fits(p, &p->path[at], site);

	for (size_t i = 0; i < p->n_paths; i++) {
		const int other = i == at ? 0 : fits(p, &p->path[i], site);

		if (other > 0 && p->path[i].is_exact == p->path[at].is_exact &&
		    strcmp(p->path[i].path, p->path[at].path) == 0 &&
		    (other > rank || (other == rank && i < at)))
			return true;
	}
	return rank == 0;
}

static void handler(struct jsonw *w, const struct render *r, const struct parent_path *x)
{
	char url[768];

	(void)snprintf(url, sizeof url, "%s://%s.%s.svc.%s:%u%s",
		       path_is_tls(x) ? "https+insecure" : "http", x->service, r->parent->ns,
		       r->settings->cluster_domain, x->port, strcmp(x->path, "/") ? x->path : "");
	jsonw_key(w, x->path);
	jsonw_obj(w);
	jsonw_kstr(w, "Proxy", url);
	jsonw_obj_end(w);
}

static void redirect(struct jsonw *w)
{
	jsonw_key(w, "/");
	jsonw_obj(w);
	jsonw_kstr(w, "Redirect", "301:https://${HOST}${REQUEST_URI}");
	jsonw_obj_end(w);
}

/* Paths of pathType Exact, or the others. */
static void handlers(struct jsonw *w, const struct render *r, const char *host, bool is_exact)
{
	const struct parent *p = r->parent;

	for (size_t i = 0; i < p->n_paths; i++)
		if (p->path[i].is_exact == is_exact && !is_hidden(p, i, host))
			handler(w, r, &p->path[i]);
}

static bool has_exact(const struct parent *p, const char *host)
{
	for (size_t i = 0; i < p->n_paths; i++)
		if (p->path[i].is_exact && !is_hidden(p, i, host))
			return true;
	return false;
}

static void site(struct jsonw *w, const struct render *r, const char *name, unsigned port)
{
	const struct parent *p = r->parent;
	const char *host = strcmp(name, NODE) == 0 || strcmp(name, p->tls_host) == 0 ? NULL : name;
	const bool redirects = port == 80 && r->want->tls && p->http_redirect;
	char key[320];

	(void)snprintf(key, sizeof key, "%s:%u", name, port);
	jsonw_key(w, key);
	jsonw_obj(w);
	jsonw_key(w, "Handlers");
	jsonw_obj(w);
	if (redirects)
		redirect(w);
	else
		handlers(w, r, host, false);
	jsonw_obj_end(w);
	if (!redirects && has_exact(p, host)) {
		jsonw_key(w, "ExactHandlers");
		jsonw_obj(w);
		handlers(w, r, host, true);
		jsonw_obj_end(w);
	}
	jsonw_obj_end(w);
}

static bool is_first_of_host(const struct parent *p, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (path_is_served(&p->path[i]) && strcmp(p->path[i].host, p->path[at].host) == 0)
			return false;
	return true;
}

static void sites(struct jsonw *w, const struct render *r, unsigned port)
{
	const struct parent *p = r->parent;

	site(w, r, NODE, port);
	if (strchr(p->tls_host, '.'))
		site(w, r, p->tls_host, port);
	for (size_t i = 0; i < p->n_paths; i++)
		if (path_is_served(&p->path[i]) && is_site(p, p->path[i].host) &&
		    is_first_of_host(p, i))
			site(w, r, p->path[i].host, port);
}

static void port(struct jsonw *w, const char *number, const char *kind)
{
	jsonw_key(w, number);
	jsonw_obj(w);
	jsonw_kbool(w, kind, true);
	jsonw_obj_end(w);
}

void render_serve(struct jsonw *w, const struct render *r)
{
	struct buf text;
	struct jsonw s;

	buf_init(&text, 1 << 18);
	jsonw_init(&s, &text);
	jsonw_obj(&s);
	jsonw_key(&s, "TCP");
	jsonw_obj(&s);
	port(&s, "80", "HTTP");
	if (r->want->tls)
		port(&s, "443", "HTTPS");
	jsonw_obj_end(&s);
	jsonw_key(&s, "Web");
	jsonw_obj(&s);
	sites(&s, r, 80);
	if (r->want->tls)
		sites(&s, r, 443);
	jsonw_obj_end(&s);
	jsonw_obj_end(&s);
	jsonw_key(w, "data");
	jsonw_obj(w);
	jsonw_key(w, "serve.json");
	jsonw_strn(w, buf_bytes(&text));
	jsonw_obj_end(w);
	if (!jsonw_ok(&s))
		w->failed = true;
	buf_fini(&text);
}
