/* containerboot/key.c - the auth key: a value, or a file that is read again when it changes */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "containerboot/oauth_text.h"
#include "containerboot/process.h"
#include "containerboot/program.h"

enum { KEY_FILE_MAX = 4096 };

static const char *file_of(const char *value)
{
	return value && strncmp(value, "file:", 5) == 0 ? value + 5 : NULL;
}

/* The node's own comes before that of all nodes of the process. */
const char *program_key_value(const struct program *p)
{
	const char *own = options_auth_key(p->options);

	if (p->config_path)
		return p->config_key;
	return own ? own : options_auth_key(&p->process->options);
}

static bool has_own(const struct program *p)
{
	return options_auth_key(p->options) || p->config_path;
}

const char *program_client_secret(const struct program *p)
{
	return has_own(p) ? NULL : p->process->options.client_secret;
}

const char *program_id_token(const struct program *p)
{
	return has_own(p) ? NULL : p->process->options.id_token;
}

/* of the state Secret, when nothing else names one */
static int secret_key(struct program *p, char **key, struct err *e)
{
	struct bytes value;
	int r;

	if (!p->store.kube || !kube_secret_get(p->store.kube, KUBE_F_AUTHKEY, &value))
		return 0;
	r = kube_secret_check_key(p->store.kube, e);
	if (r < 0)
		return r;
	*key = strndup((const char *)value.data, value.len);
	p->has_secret_key = true;
	return *key ? 0 : err_set(e, ENOMEM, "auth key");
}

int program_read_value(const char *name, const char *value, char **out, struct err *e)
{
	const char *path = file_of(value);
	size_t len, start;
	char *text;
	int r;

	if (!path) {
		*out = strdup(value);
		return *out ? 0 : err_set(e, ENOMEM, "%s", name);
	}
	r = file_read(path, KEY_FILE_MAX, &text, &len, e);
	if (r < 0)
		return err_wrap(e, "%s", name);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	for (start = 0; start < len && strchr(" \t\r\n", text[start]);)
		start++;
	if (start == len)
		r = err_say(e, EINVAL, "%s: %s is empty", name, path);
	else if (!(*out = strndup(text + start, len - start)))
		r = err_set(e, ENOMEM, "%s", name);
	file_wipe(text, len);
	return r;
}

int program_auth_key(struct program *p, char **key, struct err *e)
{
	const char *value = program_key_value(p);
	int r;

	*key = NULL;
	if (program_client_secret(p) || program_id_token(p))
		return 0; /* makes one when it is needed */
	if (!value)
		return secret_key(p, key, e);
	r = program_read_value("TS_AUTHKEY", value, key, e);
	if (r == 0 && oauth_is_secret(*key)) {
		file_wipe(*key, strlen(*key));
		*key = NULL;
	}
	return r;
}

void program_try_key(struct program *p, const char *what)
{
	struct err e = { 0 };
	char *key;
	LOG_AS(p->label);

	if (program_auth_key(p, &key, &e) < 0) {
		log_warn("containerboot: %s", e.text);
		return;
	}
	log_info("containerboot: %s has changed%s", what,
		 node_state(host_node(p->host)) == NODE_RUNNING
		     ? "; it counts when the node must log in"
		     : ": trying it");
	if (key && node_state(host_node(p->host)) != NODE_RUNNING) {
		node_login(host_node(p->host), loop_now(p->loop), key);
		host_kick(p->host);
	} else if (!key && node_state(host_node(p->host)) != NODE_RUNNING) {
		p->has_minted = false;
		(void)program_mint(p);
	}
	if (key)
		file_wipe(key, strlen(key));
}

/* Before the node has begun the word is kept until then. */
static void changed(void *ctx)
{
	struct program *p = ctx;

	if (p->has_started)
		program_try_key(p, "the auth key's file");
	else
		p->key_has_changed = true;
}

void program_key_started(struct program *p)
{
	if (!p->key_has_changed)
		return;
	p->key_has_changed = false;
	program_try_key(p, "the auth key's file");
}

const char *program_key_path(const struct program *p)
{
	return file_of(program_key_value(p));
}

void program_watch_key(struct program *p)
{
	const char *path = program_key_path(p);
	struct err e = { 0 };

	if (p->key_watch && path && strcmp(path, p->key_watch_path) == 0)
		return; /* it may have heard of a change that it has not told yet */
	program_unwatch_key(p);
	if (!path)
		return;
	p->key_watch_path = strdup(path);
	p->key_watch = p->key_watch_path ? file_watch_new(p->loop, path, changed, p, &e) : NULL;
	if (!p->key_watch)
		log_warn("containerboot: changes of the auth key's file will not be seen: %s",
			 *e.text ? e.text : "out of memory");
}

void program_unwatch_key(struct program *p)
{
	file_watch_free(p->key_watch);
	p->key_watch = NULL;
	free(p->key_watch_path);
	p->key_watch_path = NULL;
}
