/* containerboot/serve.c - TS_SERVE_CONFIG: the file, the certificate, and what of them is in force
 *
 * Read at start, when the file, the certificate or a name of the node changes. A file that is
 * missing or empty serves nothing; a malformed one ends the start, and later leaves what was in
 * force.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "containerboot/confine.h"
#include "containerboot/program.h"
#include "host/serve.h"

struct serve_config {
	struct program *p;
	struct serve_server *server;
	struct tls_server *cert; /* NULL: none yet */
	struct file_watch *file, *crt;
	char cert_file[PATH_MAX], key_file[PATH_MAX], file_dir[PATH_MAX];
	char fqdn[SERVE_NAME_MAX + 1], domain[SERVE_NAME_MAX + 1]; /* in force */
	char dir[CONFINE_DIRS_MAX][PATH_MAX];                      /* of Path handlers, at start */
	size_t n_dirs;
	char said[ERR_TEXT_MAX]; /* of the file as it is: not again when a name of the node changes
				  */
};

static const char *path(const struct serve_config *c)
{
	return c->p->options->serve_config;
}

/* --- the certificate --- */

static void load_cert(struct serve_config *c)
{
	struct err e = { 0 };

	if (!*c->cert_file)
		return;
	if (!c->cert)
		c->cert = tls_server_new(c->cert_file, c->key_file, &e);
	else if (tls_server_reload(c->cert, &e) == 0)
		log_info("serve: the certificate was read again");
	if (*e.text)
		log_warn("serve: TS_SERVE_TLS_DIR: %s; %s", e.text,
			 c->cert ? "the old one stays" : "there is none");
}

/* --- the configuration --- */

static void say_ports(const struct serve_config *c, const struct serve *s)
{
	for (size_t i = 0; i < s->n_notes; i++)
		log_warn("TS_SERVE_CONFIG: %s", s->note[i]);
	for (size_t i = 0; i < s->n_ports; i++)
		if (!c->cert && (s->port[i].kind == SERVE_HTTPS || s->port[i].terminates_tls))
			log_warn("TS_SERVE_CONFIG: port %u wants a certificate and there is none: "
				 "put tls.crt and tls.key into a directory and name it in "
				 "TS_SERVE_TLS_DIR; the port is refused until then",
				 s->port[i].port);
	log_info("serve: %zu ports, %zu names", s->n_ports, s->n_sites);
}

static void keep_dirs(struct serve_config *c, const struct serve *s)
{
	for (size_t i = 0; i < s->n_sites; i++)
		for (size_t k = 0; k < s->site[i].n; k++) {
			const struct serve_handler *h = &s->site[i].v[k];

			if (h->action == SERVE_PATH && c->n_dirs < CONFINE_DIRS_MAX - 2 &&
			    strlen(h->value) < PATH_MAX)
				snprintf(c->dir[c->n_dirs++], PATH_MAX, "%s", h->value);
		}
}

static PRINTF(2, 3) void warn_once(struct serve_config *c, const char *fmt, ...)
{
	char line[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (strcmp(line, c->said) == 0)
		return;
	memcpy(c->said, line, sizeof line);
	log_warn("%s", line);
}

/* 0: in force, or nothing to serve; negative with one line: what was in force stays. */
static int apply(struct serve_config *c, struct err *e)
{
	struct serve *s = NULL;
	char *text = NULL;
	size_t len = 0;
	bool is_blank;
	int r = file_read(path(c), SERVE_FILE_MAX, &text, &len, e);

	if (r < 0 && r != -ENOENT)
		return err_wrap(e, "TS_SERVE_CONFIG");
	is_blank = !text || strspn(text, " \t\r\n") == len;
	if (is_blank)
		warn_once(c, "TS_SERVE_CONFIG: %s is %s: nothing is served", path(c),
			  text ? "empty" : "missing");
	else
		s = serve_parse(bytes_of(text, len), *c->domain ? c->domain : NULL,
				*c->fqdn ? c->fqdn : NULL, e);
	free(text);
	if (!is_blank && !s) {
		err_wrap(e, "TS_SERVE_CONFIG: %s", path(c));
		return -EINVAL;
	}
	if (s && *c->fqdn) /* else it comes again with the node's name */
		say_ports(c, s);
	serve_server_set(c->server, s, c->cert);
	return 0;
}

static void again(struct serve_config *c)
{
	struct err e = { 0 };

	if (apply(c, &e) < 0)
		warn_once(c, "%s; what was served before goes on", e.text);
}

static void reload(void *ctx)
{
	struct serve_config *c = ctx;

	c->said[0] = 0;
	again(c);
}

static void cert_changed(void *ctx)
{
	load_cert(ctx);
	reload(ctx);
}

static bool differs(char *have, const char *now)
{
	char folded[SERVE_NAME_MAX + 1];
	size_t n;

	if (!now || !bytes_to_str(bytes_str(now), folded, sizeof folded))
		return false; /* no name (yet): the last one stays */
	n = strlen(folded);
	if (n > 0 && folded[n - 1] == '.')
		folded[n - 1] = 0;
	if (strcmp(have, folded) == 0)
		return false;
	memcpy(have, folded, sizeof folded);
	return true;
}

static bool take_names(struct serve_config *c)
{
	const struct netmap *nm = node_netmap(host_node(c->p->host));
	const struct netmap_node *self = netmap_self(nm);
	const struct netmap_dns *dns = netmap_dns(nm);
	bool changed = self && differs(c->fqdn, self->name);

	if (dns && dns->n_cert_domains > 0)
		changed = differs(c->domain, dns->cert_domains[0]) || changed;
	return changed;
}

void serve_config_netmap(struct serve_config *c)
{
	if (c && take_names(c))
		again(c);
}

/* --- life --- */

static int names_of_files(struct serve_config *c, struct err *e)
{
	const char *dir = c->p->options->serve_tls_dir, *slash = strrchr(path(c), '/');
	int n = 0, k = 0;

	if (dir) {
		n = snprintf(c->cert_file, sizeof c->cert_file, "%s/tls.crt", dir);
		k = snprintf(c->key_file, sizeof c->key_file, "%s/tls.key", dir);
	}
	if (n >= PATH_MAX || k >= PATH_MAX || strlen(path(c)) >= PATH_MAX)
		return err_say(e, ENAMETOOLONG, "TS_SERVE_CONFIG: the path is too long");
	if (slash)
		snprintf(c->file_dir, sizeof c->file_dir, "%.*s",
			 (int)MIN_OF(slash - path(c) + 1, PATH_MAX - 1), path(c));
	else
		memcpy(c->file_dir, ".", 2);
	return 0;
}

/* Directories of files are limited to those that are known at start. */
static int first_load(struct serve_config *c, struct err *e)
{
	struct serve *s;
	char *text;
	size_t len;
	int r;

	load_cert(c);
	(void)take_names(c); /* of a cached netmap */
	r = apply(c, e);
	if (r < 0 || file_read(path(c), SERVE_FILE_MAX, &text, &len, e) < 0)
		return r;
	s = serve_parse(bytes_of(text, len), NULL, NULL, e);
	if (s)
		keep_dirs(c, s);
	serve_free(s);
	free(text);
	return 0;
}

int serve_config_new(struct program *p, struct err *e)
{
	const struct serve_server_conf conf = { .host = p->host,
						.resolver = p->resolver,
						.tls = p->tls };
	struct serve_config *c;
	int r;

	if (!p->options->serve_config)
		return 0;
	p->serve = c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ENOMEM, "TS_SERVE_CONFIG");
	c->p = p;
	c->server = serve_server_new(&conf);
	r = c->server ? names_of_files(c, e) : err_set(e, ENOMEM, "TS_SERVE_CONFIG");
	if (r < 0)
		return r;
	/* watched before they are read: no change is missed */
	c->file = file_watch_new(p->loop, path(c), reload, c, e);
	if (c->file && *c->cert_file)
		c->crt = file_watch_new(p->loop, c->cert_file, cert_changed, c, e);
	if (!c->file || (*c->cert_file && !c->crt))
		return err_wrap(e, "TS_SERVE_CONFIG");
	return first_load(c, e);
}

void serve_config_free(struct serve_config *c)
{
	if (!c)
		return;
	file_watch_free(c->file);
	file_watch_free(c->crt);
	serve_server_free(c->server);
	tls_server_free(c->cert);
	free(c);
}

size_t serve_config_dirs(const struct serve_config *c, const char **v, size_t max)
{
	size_t n = 0;

	if (!c)
		return 0;
	if (n < max)
		v[n++] = c->file_dir;
	if (n < max && *c->cert_file)
		v[n++] = c->p->options->serve_tls_dir;
	for (size_t i = 0; i < c->n_dirs && n < max; i++)
		v[n++] = c->dir[i];
	return n;
}
