/* containerboot/act.c - what `tailscale up`, `set`, `down`, `logout` ask for, done to the node and
 * to what is stored */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "containerboot/program.h"
#include "node/c2n.h"
#include "os/privilege.h"

static struct node *node(struct program *p)
{
	return host_node(p->host);
}

void program_set_operator(struct program *p)
{
	const char *name = p->self.prefs.operator_user;
	uid_t uid = (uid_t)-1;
	int r = *name ? user_id(name, NULL, &uid) : 0;

	if (r < 0)
		log_warn(
		    "containerboot: --operator=%s: %s; only root and the program's own user change "
		    "settings",
		    name, r == -ENOENT ? "no such user in /etc/passwd" : strerrordesc_np(-r));
	localapi_server_set_operator(p->api, uid);
}

void program_set_prefs(struct program *p, const struct prefs *next, const char *who)
{
	const bool was = p->self.prefs.want_running;
	struct program_hostinfo info;
	char a[16], b[16];

	for (size_t i = 0; i < prefs_n_fields; i++) {
		const struct prefs_field *f = &prefs_fields[i];

		if (!prefs_field_eq(f, &p->self.prefs, next))
			log_info("containerboot: %s sets %s from %s to %s", who, f->json,
				 prefs_field_text(f, &p->self.prefs, a),
				 prefs_field_text(f, next, b));
	}
	p->self.prefs = *next;
	program_set_operator(p);
	program_save(p);
	if (node_set_prefs(node(p), program_hostinfo(p, &info),
			   next->accept_routes || options_subnets(p->options), next->shields_up,
			   prefs_exit_node(next)) < 0)
		log_warn("containerboot: out of memory, the change counts after a restart");
	host_set_exit_lan(p->host, next->exit_node_allow_lan);
	if (was != next->want_running)
		node_set_running(node(p), loop_now(p->loop), loop_wall(), next->want_running);
	host_kick(p->host);
	localapi_server_notify(p->api, LOCALAPI_N_PREFS, NULL);
}

static int login(struct program *p, const char *key)
{
	p->login_by_hand = true;
	node_login(node(p), loop_now(p->loop), *key ? key : NULL);
	host_kick(p->host);
	return 0;
}

int program_act(void *ctx, const struct localapi_answer *what, const char **words)
{
	struct program *p = ctx;
	LOG_AS(p->label);

	if ((what->act == LOCALAPI_SET_PREFS || what->act == LOCALAPI_START) &&
	    p->config_is_locked) {
		*words = "the configuration file is locked: change it there, or write "
			 "\"Locked\": false into it";
		return 400;
	}
	if ((what->act == LOCALAPI_SET_PREFS || what->act == LOCALAPI_START) &&
	    strcmp(what->prefs.control_url, p->self.prefs.control_url) != 0) {
		*words =
		    "the control server is set by TS_LOGIN_SERVER; change it there and restart";
		return 400;
	}
	switch (what->act) {
	case LOCALAPI_SET_PREFS:
		program_set_prefs(p, &what->prefs, "local API");
		break;
	case LOCALAPI_START:
		program_set_prefs(p, &what->prefs, "local API");
		if (*what->auth_key)
			return login(p, what->auth_key);
		localapi_server_notify(p->api, LOCALAPI_N_STATE, NULL);
		break;
	case LOCALAPI_LOGIN:
		if (node_state(node(p)) != NODE_RUNNING)
			return login(p, "");
		localapi_server_notify(p->api, LOCALAPI_N_STATE, NULL);
		break;
	case LOCALAPI_LOGOUT:
		node_logout(node(p), loop_now(p->loop));
		host_kick(p->host);
		break;
	case LOCALAPI_REBIND:
		node_link_changed(node(p), loop_now(p->loop));
		host_kick(p->host);
		break;
	}
	return 0;
}

/* control asks something of this node */
void program_c2n(void *ctx)
{
	struct program *p = ctx;
	const struct c2n_request *rq = node_c2n(node(p));
	struct localapi_view v = { .now = loop_now(p->loop), .wall = loop_wall() };
	struct buf answer;

	if (!rq)
		return;
	log_info("containerboot: control asks %s %.*s", rq->method, (int)rq->path.len,
		 (const char *)rq->path.data);
	program_view(p, &v);
	buf_init(&answer, C2N_ANSWER_MAX);
	if (!c2n_answer(&v, rq, &answer))
		log_warn("containerboot: out of memory for an answer to control");
	else
		node_c2n_reply(node(p), v.now, &answer);
	buf_fini(&answer);
}
