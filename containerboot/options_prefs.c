/* containerboot/options_prefs.c - the preferences that the settings ask for, over the stored ones
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "containerboot/options.h"

static int tri(int flag, int variable, int stored, bool keep) /* what counts most comes first */
{
	return flag >= 0 ? flag : variable >= 0 ? variable : keep ? stored : false;
}

static int text(char *out, size_t cap, const char *flag, const char *variable, bool keep,
		struct err *e)
{
	const char *v = flag ? flag : variable ? variable : keep ? NULL : "";

	if (v && !bytes_to_str(bytes_str(v), out, cap))
		return err_say(e, EINVAL, "a value is longer than %zu bytes", cap - 1);
	return 0;
}

/* As the stock client has it, a tag may be written without "tag:". */
static int tags(struct prefs *w, const char *flag, const char *variable, bool keep, struct err *e)
{
	const char *v = flag ? flag : variable ? variable : keep ? NULL : "";
	struct bytes left = bytes_str(v ? v : ""), one;
	char tag[PREFS_TAGS_MAX];

	if (!v)
		return 0;
	w->tags[0] = 0;
	while (prefs_list_next(&left, &one)) {
		snprintf(tag, sizeof tag, "%s%.*s",
			 memchr(one.data, ':', one.len) ? "" : "tag:", (int)one.len,
			 (const char *)one.data);
		if (!prefs_list_add(w->tags, sizeof w->tags, bytes_str(tag)))
			return err_say(e, EINVAL, "the tags are longer than %zu bytes",
				       sizeof w->tags - 1);
	}
	return 0;
}

/* The default routes of an exit node stand among the routes (both or none); the rest is kept. */
static int exit_routes(struct prefs *w, int wanted, bool keep, struct err *e)
{
	char *old = strdup(w->routes);
	struct bytes left, one;
	bool had = false, ok = true;

	if (!old)
		return err_set(e, ENOMEM, "routes");
	w->routes[0] = 0;
	left = bytes_str(old);
	while (ok && prefs_list_next(&left, &one)) {
		if (bytes_eq_str(one, "0.0.0.0/0") || bytes_eq_str(one, "::/0"))
			had = true;
		else
			ok = prefs_list_add(w->routes, sizeof w->routes, one);
	}
	if (wanted >= 0 ? wanted : had && keep)
		ok = ok && prefs_list_add(w->routes, sizeof w->routes, bytes_str("0.0.0.0/0")) &&
		     prefs_list_add(w->routes, sizeof w->routes, bytes_str("::/0"));
	free(old);
	return ok ? 0
		  : err_say(e, EINVAL, "the routes are longer than %zu bytes",
			    sizeof w->routes - 1);
}

/* An address goes where the stock client keeps addresses, all else where it keeps ids. */
static int exit_node(struct prefs *w, const char *flag, const char *variable, bool keep,
		     struct err *e)
{
	const char *v = flag ? flag : variable;
	struct ip ip;

	if (!v && keep)
		return 0;
	v = v ? v : "";
	w->exit_node_id[0] = w->exit_node_ip[0] = 0;
	if (ip_parse(bytes_str(v), &ip))
		return text(w->exit_node_ip, sizeof w->exit_node_ip, v, NULL, false, e);
	return text(w->exit_node_id, sizeof w->exit_node_id, v, NULL, false, e);
}

int options_prefs(const struct options *o, const struct prefs *stored, struct prefs *w,
		  struct err *e)
{
	const struct up_flags *up = &o->up;
	const bool keep = stored && o->auth_once;
	int r;

	if (stored)
		*w = *stored;
	else
		prefs_default(w);
	w->want_running = true;
	w->logged_out = false;
	w->run_ssh = w->run_web_client = false;
	w->accept_dns = tri(up->accept_dns, o->accept_dns, w->accept_dns, false);
	w->accept_routes = tri(up->accept_routes, o->accept_routes, w->accept_routes, keep);
	w->shields_up = tri(up->shields_up, o->shields_up, w->shields_up, keep);
	if (up->snat >= 0)
		w->no_snat = !up->snat;
	if (up->stateful_filtering >= 0)
		w->no_stateful_filtering = !up->stateful_filtering;
	r = text(w->control_url, sizeof w->control_url, up->login_server, o->login_server, false,
		 e);
	if (r == 0)
		r = text(w->hostname, sizeof w->hostname, up->hostname, o->hostname, keep, e);
	if (r == 0)
		r = tags(w, up->tags, o->tags, keep, e);
	if (r == 0)
		r = text(w->routes, sizeof w->routes, up->routes, o->routes, true, e);
	if (r == 0)
		r = exit_routes(w, tri(up->advertise_exit_node, o->advertise_exit_node, -1, true),
				keep || up->routes || o->routes, e);
	if (r == 0)
		r = exit_node(w, up->exit_node, o->exit_node, keep, e);
	if (r == 0)
		w->exit_node_allow_lan =
		    tri(up->exit_node_allow_lan, -1, w->exit_node_allow_lan, keep);
	if (r == 0 && prefs_exit_node(w)[0] && strstr(w->routes, "0.0.0.0/0"))
		r = err_say(e, EINVAL,
			    "a node that is an exit node cannot use one: unset TS_EXIT_NODE "
			    "(--exit-node) or TS_ADVERTISE_EXIT_NODE (--advertise-exit-node)");
	if (r == 0)
		r = text(w->operator_user, sizeof w->operator_user, up->operator_user, NULL, keep,
			 e);
	return r;
}
