/* containerboot/confine.c - see confine.h */
#include "containerboot/confine.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "os/landlock.h"
#include "os/privilege.h"
#include "os/seccomp.h"

/* Read over and over while it runs; what is not there is skipped. /etc as a whole: resolv.conf and
 * hosts are replaced by renaming. */
static const char *const readable[] = {
	"/etc",                       /* resolv.conf, hosts, nsswitch.conf, ssl, pki */
	"/run/systemd/resolve",       /* where resolv.conf may point to */
	"/run/resolvconf",            /* the same */
	"/usr/share/ca-certificates", /* where links in /etc/ssl/certs point to */
	"/usr/local/share/ca-certificates",
	"/usr/share/pki",
	"/usr/lib/ssl",
	"/proc", /* own maps, routes */
	"/dev/null",
	"/dev/urandom",
};
enum { PATHS_MAX = ARRAY_LEN(readable) + 8 + CONFINE_DIRS_MAX };

int confine_parse(const char *text, struct confine *c, struct err *e)
{
	struct bytes left = bytes_str(text ? text : ""), one;

	*c = (struct confine){ .files = true, .calls = true };
	while (prefs_list_next(&left, &one)) {
		if (bytes_eq(one, bytes_str("off")))
			c->files = c->calls = false;
		else if (bytes_eq(one, bytes_str("no-landlock")))
			c->files = false;
		else if (bytes_eq(one, bytes_str("no-seccomp")))
			c->calls = false;
		else if (bytes_eq(one, bytes_str("strict")))
			c->end_on_call = true;
		else
			return err_say(e, EINVAL,
				       "TS_DEBUG_SANDBOX: %.*s: wanted off, no-landlock, "
				       "no-seccomp or strict",
				       (int)one.len, (const char *)one.data);
	}
	return 0;
}

struct paths {
	struct landlock_path v[PATHS_MAX];
	char text[4][PATH_MAX];
	size_t n, n_text;
};

static void add(struct paths *p, const char *path, unsigned access)
{
	p->v[p->n++] = (struct landlock_path){ path, access };
}

/* a file that others replace: where it lies */
static void add_dir_of(struct paths *p, const char *file, unsigned access)
{
	if (file && *file)
		add(p, landlock_dir_of(file, p->text[p->n_text++], PATH_MAX), access);
}

static int confine_files(const struct options *o, const char *state_dir, const char *kube_dir,
			 const char *const *more, struct err *e)
{
	const char *key = options_auth_key(o);
	struct paths *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return err_set(e, ENOMEM, "limit files");
	for (size_t i = 0; i < ARRAY_LEN(readable); i++)
		add(p, readable[i], LANDLOCK_READ);
	add(p, state_dir, LANDLOCK_READ | LANDLOCK_WRITE);
	add(p, kube_dir, LANDLOCK_READ);
	for (size_t i = 0; more && more[i] && i < CONFINE_DIRS_MAX; i++)
		add(p, more[i], LANDLOCK_READ);
	add(p, getenv("SSL_CERT_DIR"), LANDLOCK_READ);
	add_dir_of(p, getenv("SSL_CERT_FILE"), LANDLOCK_READ);
	add_dir_of(p, options_socket(o), LANDLOCK_WRITE);
	if (key && strncmp(key, "file:", 5) == 0)
		add_dir_of(p, key + 5, LANDLOCK_READ);
	if (o->client_secret && strncmp(o->client_secret, "file:", 5) == 0)
		add_dir_of(p, o->client_secret + 5, LANDLOCK_READ);
	if (o->id_token && strncmp(o->id_token, "file:", 5) == 0)
		add_dir_of(p, o->id_token + 5, LANDLOCK_READ);
	r = landlock_confine(p->v, p->n, e);
	free(p);
	if (r == 0)
		log_info("containerboot: the kernel has no Landlock: files are limited by their "
			 "modes only");
	return r < 0 ? r : 0;
}

int confine_apply(const struct confine *c, const struct options *o, const char *state_dir,
		  const char *kube_dir, const char *const *more, struct err *e)
{
	static const char *const net_admin[] = { "cap_net_admin", NULL };
	int r = privilege_drop(c->net_admin ? net_admin : NULL, e);

	if (r == 0 && c->files)
		r = confine_files(o, state_dir, kube_dir, more, e);
	if (r == 0 && c->calls)
		r = seccomp_confine(NULL, c->end_on_call ? SECCOMP_END : SECCOMP_REFUSE, e);
	return r;
}
