/* containerboot/config.c - the configuration file in force: chosen, read, read again
 *
 * The file is chosen once, at start. It is read before the state is opened, since its auth key is
 * needed to do so, and over the stored preferences when those are known. A malformed file ends the
 * start; later it is one line in the log and what was in force stays. A changed file is put into
 * force in place: preferences and static endpoints at once, the auth key when the node waits for
 * one, another control server at the next start.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "containerboot/config_file.h"
#include "containerboot/program.h"
#include "os/file.h"

#define VARIABLE "TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR"

static void warn(void *ctx, const char *line)
{
	const struct program *p = ctx;

	log_warn("containerboot: %s: %s", p->config_path, line);
}

static void silent(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
}

/* Newest of the names that we know: files of a newer one may hold what we would misread. */
static int choose(struct program *p, struct err *e)
{
	const char *path = p->options->config_dir;
	unsigned best = 0, seen = 0, v;
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return err_set(e, errno, VARIABLE ": open %s", path);
	while ((entry = readdir(dir))) {
		v = config_file_version(entry->d_name);
		if (v > seen)
			seen = v;
		if (v > best && v <= CONTROL_CAPABILITY_VERSION)
			best = v;
	}
	closedir(dir);
	if (best == 0 && seen > 0)
		return err_say(e, ENOENT,
			       VARIABLE ": cap-%u.hujson in %s is newer than this program, which "
					"knows files up to cap-%d.hujson",
			       seen, path, CONTROL_CAPABILITY_VERSION);
	if (best == 0)
		return err_say(e, ENOENT, VARIABLE ": no cap-N.hujson in %s", path);
	if (asprintf(&p->config_path, "%s/cap-%u.hujson", path, best) < 0) {
		p->config_path = NULL;
		return err_set(e, ENOMEM, VARIABLE);
	}
	return 0;
}

static int load(const struct program *p, struct prefs *prefs, struct config_file *c,
		options_warn_fn *fn, struct err *e)
{
	size_t len;
	char *text;
	int r = file_read(p->config_path, CONFIG_TEXT_MAX, &text, &len, e);

	if (r < 0)
		return r;
	r = config_file_parse(bytes_of(text, len), prefs, c, fn, (void *)(uintptr_t)p, e);
	file_wipe(text, len);
	return r < 0 ? err_wrap(e, "%s", p->config_path) : 0;
}

/* The file's key counts in place of TS_AUTHKEY's. true: it is another one */
static bool take(struct program *p, struct config_file *c)
{
	const char *old = p->config_key;
	const bool is_new = c->auth_key && (!old || strcmp(old, c->auth_key) != 0);

	p->config_is_locked = c->is_locked;
	memcpy(p->endpoints, c->endpoints, sizeof p->endpoints);
	p->n_endpoints = c->n_endpoints;
	secret_free(p->config_key);
	p->config_key = c->auth_key;
	c->auth_key = NULL;
	return is_new;
}

static void changed(void *ctx)
{
	struct program *p = ctx;
	struct prefs *next = malloc(sizeof *next);
	struct config_file c = { 0 };
	struct err e = { 0 };
	bool is_new;

	if (!p->host) { /* still starting: it is read once more */
		free(next);
		return;
	}
	if (next)
		*next = p->self.prefs;
	if (!next || load(p, next, &c, warn, &e) < 0) {
		log_warn("containerboot: %s; what was in force stays",
			 next ? e.text : "out of memory");
		free(next);
		return;
	}
	if (strcmp(next->control_url, p->self.prefs.control_url) != 0) {
		log_warn("containerboot: %s: another ServerURL counts after a restart",
			 p->config_path);
		memcpy(next->control_url, p->self.prefs.control_url, sizeof next->control_url);
	}
	log_info("containerboot: %s was read again", p->config_path);
	is_new = take(p, &c);
	node_set_static_endpoints(host_node(p->host), loop_now(p->loop), p->endpoints,
				  p->n_endpoints);
	program_set_prefs(p, next, "configuration file");
	free(next);
	program_watch_key(p);
	if (is_new)
		program_try_key(p, "the auth key of the configuration file");
}

int program_config_open(struct program *p, struct err *e)
{
	struct prefs *prefs;
	struct config_file c = { 0 };
	int r;

	if (!p->options->config_dir)
		return 0;
	r = choose(p, e);
	if (r < 0)
		return r;
	prefs = malloc(sizeof *prefs);
	if (!prefs)
		return err_set(e, ENOMEM, VARIABLE);
	p->config_watch = file_watch_new(p->loop, p->config_path, changed, p, e);
	if (!p->config_watch)
		log_warn("containerboot: changes of %s will not be seen: %s", p->config_path,
			 e->text);
	config_file_prefs(prefs);
	r = load(p, prefs, &c, warn, e);
	free(prefs);
	if (r < 0)
		return r;
	(void)take(p, &c);
	log_info("containerboot: settings of the node come from %s", p->config_path);
	return 0;
}

int program_config_prefs(struct program *p, const struct prefs *stored, struct prefs *wanted,
			 struct err *e)
{
	struct config_file c = { 0 };
	int r;

	if (stored)
		*wanted = *stored;
	else
		config_file_prefs(wanted);
	r = load(p, wanted, &c, silent, e);
	if (r == 0)
		(void)take(p, &c);
	return r;
}

void program_config_free(struct program *p)
{
	file_watch_free(p->config_watch);
	secret_free(p->config_key);
	free(p->config_path);
}
