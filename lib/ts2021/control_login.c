/* ts2021/control_login.c - register, wait for a person, log out (control-protocol.md 3) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ts2021/control_priv.h"

void control_new_node_key(struct control *c)
{
	if (key_is_zero(&c->old_node_pub)) /* the one that control knows */
		c->old_node_pub = c->node_pub;
	key_gen(&c->keys->node, c->rng);
	key_public(&c->node_pub, &c->keys->node);
}

void control_login_send(struct control *c)
{
	bool is_logout = c->goal == GOAL_LOGOUT;
	struct register_request rq = {
		.version = CONTROL_CAPABILITY_VERSION,
		.node = &c->node_pub,
		.old_node = key_is_zero(&c->old_node_pub) ? NULL : &c->old_node_pub,
		.auth_key = c->auth_key,
		.followup = is_logout ? NULL : c->followup,
		.ephemeral = c->ephemeral,
		.with_tags = !c->tags_refused,
		.is_logout = is_logout,
		.hostinfo = &c->hostinfo,
	};
	struct buf body;

	buf_init(&body, REGISTER_REQUEST_MAX);
	h2_client_drop(c->h2, H2_REGISTER);
	if (!register_emit(&body, &rq) || h2_client_send(c->h2, H2_REGISTER, "POST", REGISTER_PATH,
							 NULL, &c->node_pub, &body) != 0) {
		if (body.data)
			secret_wipe(body.data, body.cap);
		buf_fini(&body);
		control_trouble(c, "out of memory while registering at control %s",
				c->url.authority);
		control_lost(c);
		return;
	}
	control_enter(c, is_logout     ? STATE_LOGGING_OUT
			 : c->followup ? STATE_FOLLOWUP
				       : STATE_REGISTERING);
	c->request_deadline = mono_add(
	    c->now, SPAN_S(c->followup && !is_logout ? CONTROL_FOLLOWUP_S : CONTROL_REGISTER_S));
}

/* A registration that goes well is no success yet: only a map is, or a server that always answers
 * so would be asked for ever without a pause. */
void control_relogin(struct control *c)
{
	c->is_logged_in = false;
	c->wants_login_told = false;
	control_wait(c, backoff_fail(&c->map_backoff, c->rng));
}

/* --- answers --- */

static void tell_failure(struct control *c, bool is_fatal, const char *text)
{
	struct control_event ev = { .type = CONTROL_LOGIN_FAILED, .fatal = is_fatal };

	if (strcmp(text, c->login_failed) == 0)
		return;
	(void)bytes_to_str(bytes_str(text), c->login_failed, sizeof c->login_failed);
	control_push(c, &ev, text);
}

static void failed(struct control *c, const struct register_result *res)
{
	char text[CONTROL_TEXT_MAX];

	if (res->is_about_tags && c->auth_key && !c->tags_refused && c->hostinfo.tags.len > 0) {
		/* control-protocol.md 3.4: Headscale takes tags from the key only */
		c->tags_refused = true;
		control_warn(c,
			     "control %s refuses the requested tags with this auth key; "
			     "registering without them: the tags of "
			     "the key count, leave the requested ones out",
			     c->url.authority);
		control_login_send(c);
		return;
	}
	snprintf(text, sizeof text, "control %.220s refuses %s: %s%s", c->url.authority,
		 c->auth_key ? "the auth key" : "to register this node", res->text,
		 res->is_hopeless && c->auth_key ? ". Make a new auth key" : "");
	tell_failure(c, res->is_hopeless, text);
	control_wait(c, res->is_hopeless ? backoff_fail_slow(&c->login, c->rng)
					 : backoff_fail(&c->login, c->rng));
}

static void expired(struct control *c)
{
	c->was_logged_in = true;  /* the server knew this key */
	if (c->has_renewed_key) { /* once */
		tell_failure(c, false, "control calls the new node key expired too");
		control_wait(c, backoff_fail_slow(&c->login, c->rng));
		return;
	}
	c->has_renewed_key = true;
	control_new_node_key(c);
	control_login_send(c);
}

static void must_visit(struct control *c, const char *url)
{
	struct control_event ev = { .type = CONTROL_AUTH_URL };
	bool is_first = !c->followup, is_same = !is_first && strcmp(c->followup, url) == 0;

	if (!is_same) {
		free(c->followup);
		c->followup = strdup(url);
		control_push(c, &ev, url);
	}
	if (c->was_logged_in && !c->auth_key && !c->wants_login_told) {
		ev.type = CONTROL_NEEDS_LOGIN;
		c->wants_login_told = true;
		control_push(c, &ev, NULL);
	}
	if (!is_first || !c->followup) { /* it should have waited for the person */
		control_wait(c, backoff_fail(&c->login, c->rng));
		return;
	}
	control_login_send(c);
}

static void registered(struct control *c, bool is_authorized)
{
	struct control_event ev = { .type = CONTROL_REGISTERED,
				    .authorized = is_authorized,
				    .node_key = c->keys->node };

	free(c->followup);
	c->followup = NULL;
	memset(&c->old_node_pub, 0, sizeof c->old_node_pub);
	c->is_logged_in = c->was_logged_in = true;
	c->has_renewed_key = c->wants_login_told = false;
	c->login_failed[0] = 0;
	backoff_reset(&c->login);
	control_push(c, &ev, NULL);
	secret_wipe(&ev, sizeof ev);
	control_proceed(c);
}

static void logout_answered(struct control *c, const struct register_result *res, span_t wait)
{
	struct control_event ev = { .type = CONTROL_LOGGED_OUT };

	if (res->outcome == REGISTER_BUSY ||
	    (res->outcome == REGISTER_STATUS && res->text[0] == 0)) {
		control_wait(c, wait);
		return;
	}
	c->was_logged_in = c->may_be_known = false;
	control_stop(c);
	control_push(c, &ev, res->text[0] ? res->text : NULL);
}

static void answered(struct control *c, const struct register_result *res, unsigned status,
		     span_t wait)
{
	const char *at = c->url.authority;

	switch (res->outcome) {
	case REGISTER_BUSY:
		control_trouble(c, "control %s is busy: registering again in a moment", at);
		control_wait(c, wait);
		break;
	case REGISTER_STATUS:
		control_trouble(c, "control %s refuses to register this node, status %u: %s", at,
				status, res->text);
		control_wait(c, wait);
		break;
	case REGISTER_MALFORMED:
		control_trouble(c, "control %s sent a register response that cannot be read", at);
		control_wait(c, backoff_fail(&c->login, c->rng));
		break;
	case REGISTER_ERROR:
		failed(c, res);
		break;
	case REGISTER_SIGN:
		control_warn(c,
			     "tailnet lock is on at control %s: this node's key must be signed by "
			     "a trusted node (tailscale "
			     "lock sign) before others talk to it",
			     at);
		registered(c, true);
		break;
	case REGISTER_EXPIRED:
		expired(c);
		break;
	case REGISTER_AUTH_URL:
		must_visit(c, res->url);
		break;
	case REGISTER_OK:
		registered(c, res->authorized);
		break;
	}
}

void control_login_poll(struct control *c)
{
	struct h2_request *rq = c->h2 ? &c->h2->rq[H2_REGISTER] : NULL;
	struct register_result res;
	unsigned status;
	span_t wait;

	if (!rq || (rq->phase != H2_ENDED && rq->phase != H2_BROKEN))
		return;
	c->request_deadline = MONO_NEVER;
	if (rq->phase == H2_BROKEN) {
		h2_client_drop(c->h2, H2_REGISTER);
		control_trouble(c, "control %s broke off while registering", c->url.authority);
		control_wait(c, backoff_fail(&c->login, c->rng));
		return;
	}
	status = rq->status;
	register_read(status, buf_bytes(&rq->body), c->auth_key, &res);
	wait = res.outcome == REGISTER_BUSY || res.outcome == REGISTER_STATUS
		   ? control_refused(c, rq, &c->login)
		   : SPAN_S(0);
	h2_client_drop(c->h2, H2_REGISTER);
	if (c->state == STATE_LOGGING_OUT)
		logout_answered(c, &res, wait);
	else
		answered(c, &res, status, wait);
}

void control_login_tick(struct control *c)
{
	if (!mono_due(c->request_deadline, c->now))
		return;
	c->request_deadline = MONO_NEVER;
	if (c->state != STATE_FOLLOWUP)
		control_trouble(c, "control %s does not answer the register request within %d s",
				c->url.authority, CONTROL_REGISTER_S);
	control_lost(c);
}
