/* coordinator/serve.c - see serve.h; order of starting: files, database, machines, ports,
 * privileges given up, loop
 *
 * Nothing is told before it is kept: whoever wants to send calls serve_settle first, which carries
 * out the store events of the control server in one transaction. A database that fails ends the
 * program; what was answered before is on the disk.
 */
#include "coordinator/serve_priv.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "os/privilege.h"
#include "os/seccomp.h"

/* --- events --- */

/* With its deletion: the id of what is gone is not given again. */
static int delete_object(struct serve *s, enum store_table table, int64_t id)
{
	struct buf text;
	int ret = store_del(s->store, table, id, &s->why);

	buf_init(&text, STORE_VALUE_MAX);
	if (ret == 0 && tailnet_ids_emit(s->t, &text) != 0)
		ret = err_set(&s->why, ENOMEM, "store the next ids");
	if (ret == 0)
		ret = store_set(s->store, "ids", buf_bytes(&text), &s->why);
	buf_fini(&text);
	return ret;
}

static int store_object(struct serve *s, const struct tailnet_event *ev)
{
	static const enum store_table table[] = {
		[TAILNET_STORE_USER] = STORE_USERS, [TAILNET_STORE_KEY] = STORE_KEYS,
		[TAILNET_STORE_NODE] = STORE_NODES, [TAILNET_DELETE_USER] = STORE_USERS,
		[TAILNET_DELETE_KEY] = STORE_KEYS,  [TAILNET_DELETE_NODE] = STORE_NODES,
	};
	bool is_delete = ev->type == TAILNET_DELETE_USER || ev->type == TAILNET_DELETE_KEY ||
			 ev->type == TAILNET_DELETE_NODE;
	struct buf text;
	int ret;

	if (is_delete)
		return delete_object(s, table[ev->type], ev->id);
	buf_init(&text, STORE_VALUE_MAX);
	ret = ev->type == TAILNET_STORE_USER  ? tailnet_user_emit(s->t, ev->id, &text)
	      : ev->type == TAILNET_STORE_KEY ? tailnet_authkey_emit(s->t, ev->id, &text)
					      : tailnet_node_emit(s->t, ev->id, &text);
	if (ret == 0)
		ret = store_put(s->store, table[ev->type], ev->id, buf_bytes(&text), &s->why);
	else if (ret == -ENOENT)
		ret = 0; /* changed, then deleted: the delete follows */
	else
		err_set(&s->why, ENOMEM, "store an object");
	buf_fini(&text);
	return ret;
}

static int tailnet_event(struct serve *s, const struct tailnet_event *ev)
{
	struct conn *c =
	    ev->session.index < s->cap_session ? s->by_session[ev->session.index] : NULL;

	switch (ev->type) {
	case TAILNET_OUTPUT:
		if (c)
			conn_kick(c);
		return 0;
	case TAILNET_HANGUP:
		if (c)
			conn_end(c);
		return 0;
	case TAILNET_AUDIT:
		log_info("audit: %s", ev->text);
		return 0;
	default:
		return store_object(s, ev);
	}
}

static bool stop(struct serve *s)
{
	if (!s->failed) {
		s->failed = true;
		log_error("%s; stopping, since nothing can be kept any more", s->why.text);
	}
	loop_stop(s->loop);
	return false;
}

bool serve_settle(struct serve *s)
{
	struct tailnet_event ev;

	if (s->failed)
		return stop(s);
	while (s->t && tailnet_next(s->t, &ev))
		if (tailnet_event(s, &ev) != 0)
			return stop(s);
	if (s->t && tailnet_is_torn(s->t)) {
		err_say(&s->why, ENOMEM, "no room for changes that are to be stored");
		return stop(s);
	}
	relay_settle(s);
	if (s->store && store_commit(s->store, &s->why) != 0)
		return stop(s);
	return true;
}

/* --- time --- */

static void arm(struct serve *s)
{
	mono_t at = s->t ? tailnet_deadline(s->t) : MONO_NEVER;

	if (s->relay.derp)
		at = mono_min(at, derp_server_deadline(s->relay.derp));
	loop_timer_set(&s->wake, at);
}

static void on_wake(void *ctx)
{
	struct serve *s = ctx;
	mono_t now = loop_now(s->loop);

	if (s->t)
		tailnet_tick(s->t, now, loop_wall());
	if (s->relay.derp)
		derp_server_tick(s->relay.derp, now);
}

static void on_flush(void *ctx)
{
	struct serve *s = ctx;

	if (serve_settle(s))
		arm(s);
}

static void on_trim(void *ctx)
{
	(void)ctx;
	memory_trim();
}

void serve_trim_later(struct serve *s)
{
	if (!loop_timer_is_set(&s->trim))
		loop_timer_set(&s->trim, mono_add(loop_now(s->loop), SPAN_S(TRIM_S)));
}

int serve_setting(struct serve *s, int ret)
{
	s->is_config |= ret != 0 && ret != -ENOMEM;
	return ret;
}

/* --- keys and certificate --- */

int serve_private_key(const struct config *c, const char *name, struct key_priv *k, struct err *e)
{
	char path[CONFIG_TEXT + 64], text[KEY_TEXT_MAX], *old = NULL;
	size_t len = 0;
	int ret;

	snprintf(path, sizeof path, "%s/%s", c->state_dir, name);
	ret = file_read(path, 4096, &old, &len, e);
	if (ret == 0) {
		while (len > 0 && (old[len - 1] == '\n' || old[len - 1] == ' '))
			len--;
		if (!key_priv_parse(bytes_of(old, len), k))
			ret = err_say(e, EBADMSG, "%s holds no key of the form privkey:HEX", path);
		file_wipe(old, len);
		return ret;
	}
	if (ret != -ENOENT)
		return ret;
	key_gen(k, &os_rng);
	key_priv_text(k, text);
	ret = file_replace(path, bytes_str(text), 0600, e);
	secret_wipe(text, sizeof text);
	return ret;
}

static int open_tls(struct serve *s, struct err *e)
{
	char cert[CONFIG_TEXT + 16], key[CONFIG_TEXT + 16];

	if (strcmp(s->conf->tls_mode, "off") == 0)
		return 0;
	if (strcmp(s->conf->tls_mode, "files") == 0) {
		s->tls = tls_server_new(s->conf->tls_cert, s->conf->tls_key, e);
		return s->tls ? 0 : serve_setting(s, err_wrap(e, "tls.certificate, tls.key"));
	}
	snprintf(cert, sizeof cert, "%s/tls.crt", s->conf->state_dir);
	snprintf(key, sizeof key, "%s/tls.key", s->conf->state_dir);
	if (access(cert, F_OK) == 0) {
		s->tls = tls_server_new(cert, key, e);
		return s->tls ? 0 : -EINVAL;
	}
	s->tls = tls_server_new_self(s->conf->derp_host, e);
	return s->tls ? tls_server_save(s->tls, cert, key, e) : -EINVAL;
}

/* --- start --- */

static int load_user(void *ctx, int64_t id, struct bytes json, struct err *e)
{
	(void)id;
	return tailnet_user_load(((struct serve *)ctx)->t, json, e);
}

static int load_key(void *ctx, int64_t id, struct bytes json, struct err *e)
{
	(void)id;
	return tailnet_authkey_load(((struct serve *)ctx)->t, json, e);
}

static int load_node(void *ctx, int64_t id, struct bytes json, struct err *e)
{
	(void)id;
	return tailnet_node_load(((struct serve *)ctx)->t, json, e);
}

static int load_ids(struct serve *s, struct err *e)
{
	char *text = NULL;
	size_t len = 0;
	int ret = store_get(s->store, "ids", &text, &len, e);

	if (ret == 0)
		ret = tailnet_ids_load(s->t, bytes_of(text, len), e);
	free(text);
	return ret == -ENOENT ? 0 : ret; /* nothing was ever deleted */
}

static int open_store(struct serve *s, struct err *e)
{
	char path[CONFIG_TEXT + 32];

	snprintf(path, sizeof path, "%s/coordinator.db", s->conf->state_dir);
	s->store = store_open(path, e);
	return s->store ? 0 : -(e->code ? e->code : EIO);
}

static int open_tailnet(struct serve *s, struct err *e)
{
	const struct config *c = s->conf;
	struct tailnet_conf conf = { .rng = &os_rng,
				     .server_url = c->server_url,
				     .base_domain = c->base_domain,
				     .v4 = c->v4,
				     .v6 = c->v6,
				     .ephemeral_timeout = c->ephemeral_timeout,
				     .key_expiry = c->key_expiry,
				     .needs_approval = c->needs_approval };
	struct buf map, dns;
	int ret = serve_private_key(c, "control.key", &conf.key, e);

	buf_init(&map, 2 * CONFIG_FILE_MAX);
	buf_init(&dns, 2 * CONFIG_FILE_MAX);
	if (ret == 0)
		ret = serve_setting(s, relaymap_derp(c, s->tls, &map, e));
	if (ret == 0 && relaymap_dns(c, &dns) != 0)
		ret = err_set(e, ENOMEM, "start");
	if (ret == 0) {
		conf.derp_map = buf_bytes(&map);
		conf.dns = buf_bytes(&dns);
		s->t = tailnet_new(&conf, e);
		ret = s->t ? 0 : -ENOMEM;
	}
	key_wipe(&conf.key);
	buf_fini(&map);
	buf_fini(&dns);
	if (ret == 0)
		ret = store_each(s->store, STORE_USERS, load_user, s, e);
	if (ret == 0)
		ret = store_each(s->store, STORE_KEYS, load_key, s, e);
	if (ret == 0)
		ret = store_each(s->store, STORE_NODES, load_node, s, e);
	if (ret == 0)
		ret = load_ids(s, e);
	return ret;
}

static size_t descriptors(int64_t wanted)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return 512;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur < 128)
		return 64;
	return r.rlim_cur - 64 < (rlim_t)wanted ? (size_t)(r.rlim_cur - 64) : (size_t)wanted;
}

static void on_signal(void *ctx, int signo)
{
	struct serve *s = ctx;

	if (signo == SIGHUP) {
		admin_reload(s);
		return;
	}
	log_info("signal %d, stopping", signo);
	loop_stop(s->loop);
}

static int open_ports(struct serve *s, struct err *e)
{
	s->tcp = listen_tcp(s->loop, s->conf->listen, conn_accept, s, e);
	if (!s->tcp)
		return -(e->code ? e->code : EIO);
	s->local = s->conf->relay_only
		       ? NULL
		       : listen_unix(s->loop, s->conf->socket, 0600, conn_accept_local, s, e);
	if (!s->local && !s->conf->relay_only)
		return -(e->code ? e->code : EIO);
	if (s->conf->metrics_listen[0] &&
	    !(s->metrics = listen_tcp(s->loop, s->conf->metrics_listen, conn_accept_metrics, s, e)))
		return err_wrap(e, "metrics_listen");
	return relay_open_stun(s, e);
}

/* Another user, once ports and files are open. The state directory becomes his. */
static int become(struct serve *s, struct err *e)
{
	const char *name = s->conf->user, *dir = s->conf->state_dir;
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p = NULL;

	if (!f)
		return err_set(e, errno, "look for user %s in /etc/passwd", name);
	while ((p = fgetpwent(f)) && strcmp(p->pw_name, name) != 0)
		;
	fclose(f);
	if (!p)
		return serve_setting(
		    s, err_say(e, ENOENT, "user: there is no %s in /etc/passwd", name));
	if (chown(dir, p->pw_uid, p->pw_gid) != 0)
		return err_set(e, errno, "give %s to user %s", dir, name);
	if (setgroups(0, NULL) != 0 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) != 0 ||
	    setresuid(p->pw_uid, p->pw_uid, p->pw_uid) != 0)
		return err_set(e, errno, "become user %s", name);
	return 0;
}

/* What is no longer possible once clients are served. Files stay as they are: `coordinator backup`
 * writes where it is told to. */
static int confine(const struct config *conf, struct err *e)
{
	static const char *const sqlite[] = { "fchown", "utimensat", NULL };
	bool strict = strcmp(conf->system_calls, "strict") == 0;
	int ret = privilege_drop(NULL, e);

	if (ret != 0 || strcmp(conf->system_calls, "any") == 0)
		return ret;
	return seccomp_confine(sqlite, strict ? SECCOMP_END : SECCOMP_REFUSE, e);
}

static void limit(struct ratelimit *r, int64_t per_s)
{
	ratelimit_init(r, &os_rng, (uint64_t)per_s, 10 * (uint64_t)per_s);
}

static int start(struct serve *s, struct err *e)
{
	int ret = file_mkdirs(s->conf->state_dir, 0700, e);

	if (ret == 0 && s->conf->user[0] && getuid() == 0)
		ret = open_ports(
		    s, e); /* low ports want root; everything else is done as the other user */
	if (ret == 0 && s->tcp)
		ret = become(s, e);
	if (ret == 0)
		ret = privilege_drop(s->tcp || getuid() != 0
					 ? NULL
					 : (const char *const[]){ "cap_net_bind_service", NULL },
				     e);
	if (ret == 0 && !s->conf->relay_only)
		ret = open_store(s, e);
	if (ret == 0)
		ret = open_tls(s, e);
	if (ret == 0 && !s->conf->relay_only)
		ret = open_tailnet(s, e);
	if (ret == 0)
		ret = relay_open(s, e);
	if (ret != 0)
		return ret;
	admin_init(s);
	limit(&s->handshakes, s->conf->handshakes_per_second);
	limit(&s->api_calls, s->conf->api_per_second);
	limit(&s->api_strangers, s->conf->api_per_second);
	ret = admin_load(s, e);
	if (ret == 0 && !s->tcp)
		ret = open_ports(s, e);
	if (ret == 0)
		ret = confine(s->conf, e);
	return ret;
}

static void finish(struct serve *s)
{
	listener_close(s->tcp);
	listener_close(s->local);
	listener_close(s->metrics);
	while (s->conns)
		conn_end(s->conns);
	if (s->t && s->store && !s->failed)
		(void)serve_settle(s);
	loop_timer_fini(&s->wake);
	loop_timer_fini(&s->trim);
	loop_flush_del(&s->flush);
	relay_close(s);
	tailnet_free(s->t);
	tls_server_free(s->tls);
	apikeys_fini(&s->apikeys);
	store_close(s->store);
	loop_free(s->loop);
	free(s->by_session);
	free(s->by_derp);
}

static void started(const struct serve *s)
{
	const struct config *c = s->conf;
	char pin[TLS_PIN_TEXT];

	if (!c->relay_only) {
		log_info("serving %s at %s, commands at %s", c->server_url, c->listen, c->socket);
		return;
	}
	log_info("a relay, %s at %s", c->server_url, c->listen);
	if (s->tls && strcmp(c->tls_mode, "self") == 0) {
		tls_server_pin(s->tls, pin);
		log_info("CertName for the relay map: %s", pin);
	}
	if (!c->derp_verify)
		log_warn("everybody may use this relay (derp.verify_clients: false)");
}

int serve_run(const struct config *conf, struct err *e)
{
	struct serve *s = calloc(1, sizeof *s);
	int ret;

	if (!s) {
		err_set(e, ENOMEM, "start");
		return 1;
	}
	s->conf = conf;
	s->max_conns = descriptors(conf->max_connections);
	s->loop = loop_new();
	if (!s->loop) {
		free(s);
		err_set(e, ENOMEM, "start the loop");
		return 1;
	}
	s->started = loop_now(s->loop);
	loop_timer_init(s->loop, &s->wake, on_wake, s);
	loop_timer_init(s->loop, &s->trim, on_trim, s);
	loop_on_flush(s->loop, &s->flush, on_flush, s);
	ret = start(s, e);
	for (size_t i = 0; i < 3 && ret == 0; i++)
		if (loop_on_signal(s->loop, ((const int[]){ SIGTERM, SIGINT, SIGHUP })[i],
				   on_signal, s) != 0)
			ret = err_say(e, EIO, "cannot wait for signals");
	if (ret == 0) {
		started(s);
		serve_trim_later(s);
		loop_run(s->loop);
		if (s->failed) {
			*e = s->why;
			ret = -EIO;
		}
	} else {
		loop_flush_del(&s->flush);
	}
	finish(s);
	ret = ret == 0 ? 0 : s->is_config ? SERVE_EXIT_CONFIG : 1;
	free(s);
	return ret;
}
