/* containerboot/mint.c - logging in with a client secret or a workload's token: a key is made when
 * the node must log in, and only then
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

static int read_token(struct program *p, char **token, struct err *e)
{
	return program_read_value("TS_ID_TOKEN", program_id_token(p), token, e);
}

/* as client, below */
static int workload(struct program *p, struct oauth *o, struct err *e)
{
	char *token;
	int r = read_token(p, &token, e);

	if (r < 0)
		return r;
	r = oauth_parse_workload(o, token, p->process->options.client_id, p->self.prefs.control_url,
				 e);
	file_wipe(token, strlen(token));
	return r < 0 ? r : 1;
}

static int renew(void *ctx, struct oauth *o, struct err *e)
{
	char *token;
	int r = read_token(ctx, &token, e);

	if (r < 0)
		return r;
	r = oauth_set_token(o, token, e);
	file_wipe(token, strlen(token));
	return r;
}

/* What makes keys at hand: 1, 0: none, or -errno with one line. *o is the caller's to wipe. */
static int client(struct program *p, struct oauth *o, struct err *e)
{
	const char *given = program_client_secret(p), *value = given ? given : program_key_value(p),
		   *name = given ? "TS_CLIENT_SECRET" : "TS_AUTHKEY";
	char *secret;
	int r;

	if (program_id_token(p))
		return workload(p, o, e);
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
			       "%s makes keys for tagged nodes only: set "
			       "TS_ADVERTISE_TAGS (or --advertise-tags in TS_EXTRA_ARGS)",
			       program_id_token(p) ? "workload identity" : "a client secret");
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
	log_info("containerboot: %s gave an auth key",
		 program_id_token(p) ? "the token of TS_ID_TOKEN" : "the client secret");
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
		conf.renew = o->is_workload ? renew : NULL;
		p->mint = oauth_mint_new(&conf, got_key, p);
	}
	secret_free(o);
	p->has_minted = p->mint != NULL;
	return p->has_minted;
}
