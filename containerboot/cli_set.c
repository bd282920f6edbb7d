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

/* An address counts as one, all else as a name or id; the other is emptied. */
static void put_exit_node(struct jsonw *w, const char *value)
{
	struct ip ip;
	const bool is_ip = ip_parse(bytes_str(value), &ip);

	jsonw_kstr(w, "ExitNodeIP", is_ip ? value : "");
	mark(w, "ExitNodeIP");
	jsonw_kstr(w, "ExitNodeID", is_ip ? "" : value);
	mark(w, "ExitNodeID");
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

int cli_prefs_change(const struct cli *c, int run, struct bytes old, struct buf *out, struct err *e)
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
			put_exit_node(&w, f->value);
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
