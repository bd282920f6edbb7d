/* node/control_events.c - what the control connection reports: a login that went well or ill, a
 * map, a stream that it wants opened, trouble
 *
 * Each event either is an effect for the host or changes the node; a map that is of no use goes
 * back to control, which asks anew.
 */
#include <errno.h>
#include <stdio.h>

#include "node/node_priv.h"

static void rotate_key(struct node *n, mono_t now, const struct key_priv *key)
{
	if (secret_eq(key->b, n->key->b, KEY_LEN))
		return;
	*n->key = *key;
	key_public(&n->pub, key);
	wg_set_key(n->wg, key);
	path_set_node_key(n->path, &n->pub);
	node_relays_restart(n, now);
}

static void on_registered(struct node *n, mono_t now, const struct control_event *ev)
{
	rotate_key(n, now, &ev->node_key);
	n->registered = true;
	n->needs_login = false;
	n->authorized = ev->authorized;
	n->auth_url[0] = 0;
	node_health_set(n, "login", NULL);
	node_health_set(n, "approval",
			ev->authorized
			    ? NULL
			    : "This node needs approval: an administrator of the tailnet must "
			      "authorize it.");
	node_push(n, NODE_PERSIST_LOGIN);
}

/* What of control's maps had no place here: each kind is said once. */
static void tell_losses(struct node *n)
{
	struct netmap_stat st;

	netmap_stat(n->netmap, &st);
	const struct {
		uint64_t count;
		const char *what;
	} losses[] = {
		{ st.left_out, "a field that is too long, or an element of a list that is" },
		{ st.bad_peers, "a peer that cannot be read" },
		{ st.bad_values, "a section that cannot be read" },
		{ st.skipped_big, "a peer, user or section that is too large" },
	};

	for (size_t i = 0; i < ARRAY_LEN(losses); i++) {
		if (losses[i].count == 0 || n->losses_told & 1U << i)
			continue;
		n->losses_told |= 1U << i;
		log_warn("node: left out of control's map: %s (docs/limits.md)", losses[i].what);
	}
}

static void on_map_end(struct node *n, mono_t now, wall_t wall)
{
	struct err e = { 0 };

	if (!n->in_frame)
		return;
	n->in_frame = false;
	if (netmap_end(n->netmap, wall, &e) != 0) {
		control_map_unusable(n->control, now, e.text);
		return;
	}
	n->map_is_live = true;
	tell_losses(n);
	control_map_applied(n->control, now);
	node_apply_changes(n, now, wall);
}

static void on_map_bytes(struct node *n, mono_t now, const struct control_event *ev)
{
	int ret = n->in_frame ? netmap_feed(n->netmap, ev->data) : 0;

	if (ret == 0)
		return;
	netmap_abort(n->netmap);
	n->in_frame = false;
	control_map_unusable(n->control, now,
			     ret == -ENOMEM ? "no memory for it" : "malformed JSON");
}

static void fatal(struct node *n, int code, const char *text)
{
	struct node_effect *ef;

	snprintf(n->fatal, sizeof n->fatal, "%s", text);
	ef = node_push(n, NODE_FATAL);
	ef->text = n->fatal;
	ef->value = code;
}

static void on_login_failed(struct node *n, const struct control_event *ev)
{
	if (!ev->fatal) {
		node_health_set(n, "login", ev->text);
		return;
	}
	node_health_put(n, "login", ev->text); /* whoever carries the effect out says it */
	n->needs_login = true;
	fatal(n, NODE_EXIT_LOGIN, ev->text);
}

/* The server knew this node, wants a login, and there is no key to log in with. */
static void on_needs_login(struct node *n, const char *text)
{
	if (!text)
		text = "the node was removed from the tailnet or its key has expired, and there is "
		       "no auth key to log in with: set TS_AUTHKEY";
	n->needs_login = true;
	node_health_put(n, "login", text);
	fatal(n, NODE_EXIT_LOGIN, text);
}

/* One event of control; true when it is an effect for the host. */
static bool control_effect(struct node *n, mono_t now, wall_t wall, const struct control_event *ev,
			   struct node_effect *ef)
{
	*ef = (struct node_effect){ .stream = ev->conn };
	switch (ev->type) {
	case CONTROL_DIAL:
		ef->type = NODE_DIAL;
		ef->host = ev->host;
		ef->port = ev->port;
		ef->tls = ev->tls;
		return true;
	case CONTROL_HANGUP:
		ef->type = NODE_STREAM_CLOSE;
		return true;
	case CONTROL_OUTPUT:
		ef->type = NODE_STREAM_OUTPUT;
		return true;
	case CONTROL_AUTH_URL:
		snprintf(n->auth_url, sizeof n->auth_url, "%s", ev->text);
		n->needs_login = true;
		ef->type = NODE_AUTH_URL;
		ef->text = n->auth_url;
		node_state_update(n);
		return true;
	case CONTROL_REGISTERED:
		on_registered(n, now, ev);
		break;
	case CONTROL_MAP_BEGIN:
		if (ev->is_first)
			netmap_stream_start(n->netmap);
		netmap_begin(n->netmap);
		n->in_frame = true;
		break;
	case CONTROL_MAP_DATA:
		on_map_bytes(n, now, ev);
		break;
	case CONTROL_MAP_END:
		on_map_end(n, now, wall);
		break;
	case CONTROL_MAP_ABORT:
		if (n->in_frame)
			netmap_abort(n->netmap);
		n->in_frame = false;
		break;
	case CONTROL_LOGIN_FAILED:
		on_login_failed(n, ev);
		break;
	case CONTROL_NEEDS_LOGIN:
		on_needs_login(n, ev->text);
		break;
	case CONTROL_TROUBLE:
		node_health_set(n, "control", ev->text);
		netcheck_hold_home(n->netcheck, ev->text && n->home != 0);
		break;
	case CONTROL_LOGGED_OUT:
		n->registered = n->have_map = n->map_is_live = false;
		n->needs_login = n->logged_out = true;
		node_push(n, NODE_LOGGED_OUT);
		break;
	}
	node_state_update(n);
	return false;
}

bool node_control_next(struct node *n, mono_t now, wall_t wall, struct node_effect *ef)
{
	struct control_event ev;
	bool is_effect = false;

	if (n->login_again) {
		n->login_again = n->logged_out = false;
		control_start(n->control, now, wall);
		control_login(n->control, now, true);
	}
	while (!is_effect && control_next(n->control, &ev)) {
		is_effect = control_effect(n, now, wall, &ev, ef);
		if (ev.type == CONTROL_REGISTERED)
			key_wipe(&ev.node_key);
	}
	return is_effect;
}
