/* containerboot/cli_set.c - flags of `set` and `up` as a change of preferences (MaskedPrefs of the
 * stock client): only what was given is in it */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "containerboot/cli.h"
#include "containerboot/options.h"
#include "model/prefs.h"

/* These mean the opposite of the preference. */
static bool is_opposite(const char *flag)
{
	return strcmp(flag, "snat-subnet-routes") == 0 || strcmp(flag, "stateful-filtering") == 0;
}

static void mark(struct jsonw *w, const char *name)
{
	char set[64];

	snprintf(set, sizeof set, "%sSet", name);
	jsonw_kbool(w, set, true);
}

static void put_list(struct jsonw *w, const char *name, const char *list)
{
	struct bytes left = bytes_str(list), one;

	jsonw_key(w, name);
	jsonw_arr(w);
	while (prefs_list_next(&left, &one))
		jsonw_strn(w, one);
	jsonw_arr_end(w);
	mark(w, name);
}

/* Who offers to be one, for the end of a line. */
static void say_exits(const struct cli_status *s, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_peers && n + 1 < cap; i++)
		if (s->peers[i].exit_option)
			n += (size_t)snprintf(out + n, cap - n, "%s%s",
					      n ? ", " : "exit nodes: ", s->peers[i].name);
	if (n == 0)
		snprintf(out, cap, "no peer offers to be one");
	else if (n >= cap)
		memcpy(out + cap - 4, "...", 4);
}

/* A peer by name, address or id, as the stock CLI looks for it: while the node runs an address must
 * be a peer's, and who is found must offer a way out. out gets its address. */
static int find_exit_node(const struct cli_status *s, const char *value, char out[static IP_TEXT],
			  struct err *e)
{
	static const char flag[] = "--exit-node";
	const struct cli_node *peer;
	const bool runs = strcmp(s->state, "Running") == 0;
	char exits[200];
	struct ip ip;
	size_t n;

	say_exits(s, exits, sizeof exits);
	if (strncmp(value, "auto:", 5) == 0)
		return err_say(e, EINVAL,
			       "%s=%s: this program does not choose one by itself, name a peer; %s",
			       flag, value, exits);
	if (cli_is_own(s, value))
		return err_say(e, EINVAL,
			       "%s=%s is this node itself; did you mean --advertise-exit-node?",
			       flag, value);
	n = cli_peers_called(s, value, &peer);
	if (n == 0 && ip_parse(bytes_str(value), &ip) && !runs) {
		ip_text(&ip, out);
		return 0;
	}
	if (n == 0 && s->n_peers == 0)
		return err_say(e, EINVAL,
			       "%s=%s: peers are not known yet, state is %s: try again once the "
			       "node runs, or give the address",
			       flag, value, s->state);
	if (n == 0)
		return err_say(e, EINVAL, "%s=%s: no peer has this name or address; %s", flag,
			       value, exits);
	if (n > 1)
		return err_say(e, EINVAL,
			       "%s=%s: %zu peers have this name; give the address of one", flag,
			       value, n);
	if (!peer->exit_option)
		return err_say(e, EINVAL,
			       "%s=%s does not offer to be an exit node, or control has not "
			       "approved it; %s",
			       flag, value, exits);
	ip_text(ip_is_zero(&peer->ip4) ? &peer->ip6 : &peer->ip4, out);
	return 0;
}

/* status: NULL when value is empty: none */
static int put_exit_node(struct jsonw *w, const char *value, const struct cli_status *status,
			 struct err *e)
{
	char ip[IP_TEXT] = "";
	int r = *value ? find_exit_node(status, value, ip, e) : 0;

	if (r < 0)
		return r;
	jsonw_kstr(w, "ExitNodeIP", ip);
	mark(w, "ExitNodeIP");
	jsonw_kstr(w, "ExitNodeID", "");
	mark(w, "ExitNodeID");
	return 0;
}

static int put_netfilter(struct jsonw *w, const char *value, struct err *e)
{
	static const char *const modes[] = { "off", "nodivert", "on" };

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (strcmp(value, modes[i]) == 0) {
			jsonw_ki64(w, "NetfilterMode", (int64_t)i);
			mark(w, "NetfilterMode");
			return 0;
		}
	return err_say(e, EINVAL, "--netfilter-mode: wanted on, nodivert or off");
}

static int put_field(struct jsonw *w, const struct cli_flag *f, struct err *e)
{
	const struct prefs_field *field = NULL;
	bool on = strcmp(f->value, "true") == 0;

	for (size_t i = 0; i < prefs_n_fields && !field; i++)
		if (prefs_fields[i].flag && strcmp(prefs_fields[i].flag, f->name) == 0)
			field = &prefs_fields[i];
	if (!field)
		return 0; /* of up: reset and the like change nothing here */
	if (strcmp(f->name, "hostname") == 0 && *f->value) {
		int r = check_hostname("--hostname", f->value, e);

		if (r < 0)
			return r;
	}
	switch (field->kind) {
	case PREFS_BOOL:
	case PREFS_OPT_BOOL:
		jsonw_kbool(w, field->json, on != is_opposite(f->name));
		break;
	case PREFS_TEXT:
		jsonw_kstr(w, field->json, f->value);
		break;
	default:
		return put_netfilter(w, f->value, e);
	}
	mark(w, field->json);
	return 0;
}

/* Routes and the default routes of an exit node stand in one list, and each flag keeps the other's.
 */
static int put_routes(struct jsonw *w, const struct prefs *old, const char *routes,
		      const char *exit, struct err *e)
{
	char list[PREFS_ROUTES_MAX];
	struct bytes left, one;
	bool is_exit = strstr(old->routes, "0.0.0.0/0"), ok = true;
	int r = routes ? check_routes("--advertise-routes", routes, e) : 0;

	if (r < 0)
		return r;
	if (exit)
		is_exit = strcmp(exit, "true") == 0;
	list[0] = 0;
	left = bytes_str(routes ? routes : old->routes);
	while (ok && prefs_list_next(&left, &one))
		if (!bytes_eq_str(one, "0.0.0.0/0") && !bytes_eq_str(one, "::/0"))
			ok = prefs_list_add(list, sizeof list, one);
	if (is_exit)
		ok = ok && prefs_list_add(list, sizeof list, bytes_str("0.0.0.0/0")) &&
		     prefs_list_add(list, sizeof list, bytes_str("::/0"));
	if (!ok)
		return err_say(e, EINVAL, "--advertise-routes: the list is too long");
	put_list(w, "AdvertiseRoutes", list);
	return 0;
}

int cli_prefs_change(const struct cli *c, int run, struct bytes old,
		     const struct cli_status *status, struct buf *out, struct err *e)
{
	struct prefs *p = malloc(sizeof *p);
	const char *routes = NULL, *exit = NULL;
	struct jsonw w;
	int r = p ? 0 : err_set(e, ENOMEM, "preferences");

	if (r == 0) {
		prefs_default(p);
		r = prefs_parse(p, old, e);
	}
	jsonw_init(&w, out);
	jsonw_obj(&w);
	for (size_t i = 0; r == 0 && i < c->n_flags; i++) {
		const struct cli_flag *f = &c->flags[i];

		if (strcmp(f->name, "advertise-routes") == 0)
			routes = f->value;
		else if (strcmp(f->name, "advertise-exit-node") == 0)
			exit = f->value;
		else if (strcmp(f->name, "exit-node") == 0)
			r = put_exit_node(&w, f->value, status, e);
		else
			r = put_field(&w, f, e);
	}
	if (r == 0 && (routes || exit))
		r = put_routes(&w, p, routes, exit, e);
	if (run >= 0) {
		jsonw_kbool(&w, "WantRunning", run);
		mark(&w, "WantRunning");
	}
	jsonw_obj_end(&w);
	free(p);
	if (r < 0)
		return r;
	return jsonw_ok(&w) ? 0 : err_set(e, ENOMEM, "preferences");
}
