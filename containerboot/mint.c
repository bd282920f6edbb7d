/* containerboot/mint.c - logging in with a client secret: a key is made when the node must log in,
 * and only then
 *
 * A node that is not known yet waits with its first word to control until the key is there. One
 * that control has forgotten asks for another key; when that one does not help either the program
 * gives up as with any other refused key.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "containerboot/oauth.h"
#include "containerboot/process.h"
#include "containerboot/program.h"
#include "os/file.h"

/* The client secret at hand: 1, 0: none, or -errno with one line. *o is the caller's to wipe. */
static int client(struct program *p, struct oauth *o, struct err *e)
{
	const char *given = program_client_secret(p), *value = given ? given : program_key_value(p),
		   *name = given ? "TS_CLIENT_SECRET" : "TS_AUTHKEY";
	char *secret;
	int r;

	if (!value)
		return 0;
	r = program_read_value(name, value, &secret, e);
	if (r < 0)
		return r;
	r = 0;
	if (given || oauth_is_secret(secret)) {
		r = oauth_parse(o, name, secret, p->process->options.client_id,
				p->self.prefs.control_url, e);
		r = r < 0 ? r : 1;
	}
	file_wipe(secret, strlen(secret));
	return r;
}

int program_mint_check(struct program *p, struct err *e)
{
	struct oauth *o = secret_new(sizeof *o);
	int r = o ? client(p, o, e) : err_set(e, ENOMEM, "client secret");

	secret_free(o);
	if (r <= 0)
		return r;
	if (!*p->self.prefs.tags)
		return err_say(e, EINVAL,
			       "a client secret makes keys for tagged nodes only: set "
			       "TS_ADVERTISE_TAGS (or --advertise-tags in TS_EXTRA_ARGS)");
	p->has_client = true;
	return 0;
}

static void got_key(void *ctx, const char *key, const struct err *why)
{
	struct program *p = ctx;
	LOG_AS(p->label);

	p->mint = NULL;
	if (!key) {
		log_error("containerboot: %s", why->text);
		program_stop(p, EXIT_LOGIN);
		return;
	}
	log_info("containerboot: the client secret gave an auth key");
	node_login(host_node(p->host), loop_now(p->loop), key);
	if (p->is_on)
		host_kick(p->host);
	else
		program_start_node(p);
}

bool program_mint(struct program *p)
{
	struct oauth *o;
	struct err e = { 0 };
	struct oauth_mint_conf conf = { .loop = p->loop,
					.resolver = p->resolver,
					.tls = p->tls,
					.proxy = &p->process->proxy_env,
					.tags = p->self.prefs.tags };
	LOG_AS(p->label);

	if (p->mint)
		return true;
	if (!p->has_client || p->login_by_hand || p->has_minted)
		return false;
	o = secret_new(sizeof *o);
	if (!o || client(p, o, &e) <= 0) {
		log_error("containerboot: %s", *e.text ? e.text : "there is no client secret");
	} else {
		conf.oauth = o;
		p->mint = oauth_mint_new(&conf, got_key, p);
	}
	secret_free(o);
	p->has_minted = p->mint != NULL;
	return p->has_minted;
}
