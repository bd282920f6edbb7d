/* model/prefs.h - what the user wants of a node: the preferences of the Go client, in its JSON
 * (data-plane.md 7.7)
 *
 * Plain data without pointers. One table (prefs_fields) drives reading, writing, patching and
 * telling what differs. Lists are kept as comma-separated text, since neither tags nor prefixes can
 * hold a comma. Fields of a stored profile that are not in the table survive through prefs_emit's
 * base.
 */
#ifndef MODEL_PREFS_H
#define MODEL_PREFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum { PREFS_URL_MAX = 512, PREFS_NAME_MAX = 256, PREFS_TAGS_MAX = 2048, PREFS_ROUTES_MAX = 16384 };

#define PREFS_CONTROL_URL_DEFAULT "https://controlplane.tailscale.com"

struct prefs {
	char control_url[PREFS_URL_MAX];
	char hostname[PREFS_NAME_MAX];
	char exit_node_id[PREFS_NAME_MAX], exit_node_ip[PREFS_NAME_MAX];
	char operator_user[PREFS_NAME_MAX], profile_name[PREFS_NAME_MAX];
	char tags[PREFS_TAGS_MAX];     /* "tag:a,tag:b" */
	char routes[PREFS_ROUTES_MAX]; /* "10.0.0.0/8,fd00::/8" */
	char services[PREFS_TAGS_MAX]; /* "svc:a" */
	bool accept_routes, accept_dns, exit_node_allow_lan, run_ssh, run_web_client, want_running,
	    logged_out, shields_up, no_snat, posture_checking;
	int no_stateful_filtering; /* -1: not set */
	int netfilter_mode;        /* 0 off, 1 nodivert, 2 on */
};

enum prefs_kind { PREFS_BOOL, PREFS_OPT_BOOL, PREFS_INT, PREFS_TEXT, PREFS_LIST };

struct prefs_field {
	const char *json; /* name in JSON */
	const char *flag; /* of `tailscale up`, or NULL; for telling the user */
	enum prefs_kind kind;
	size_t off, size;
	bool is_omitted_empty; /* Go leaves it out when it is empty */
};
extern const struct prefs_field prefs_fields[];
extern const size_t prefs_n_fields;

void prefs_default(struct prefs *p); /* those of `tailscale up` without flags, not running */

/* Reads known members of a JSON object over what is in *p; -EBADMSG with one line, *p untouched. */
MUST_USE int prefs_parse(struct prefs *p, struct bytes json, struct err *e);
/* MaskedPrefs: only members whose <Name>Set is true. -ENOTSUP when a member that we do not have is
 * set to something. */
MUST_USE int prefs_patch(struct prefs *p, struct bytes json, struct err *e);
/* base: the stored object whose unknown members are kept, or empty; config: JSON that replaces
 * "Config", or empty to keep base's. 0, -ENOMEM, -EBADMSG (base). */
MUST_USE int prefs_emit(const struct prefs *p, struct bytes base, struct bytes config,
			struct buf *out);

bool prefs_field_eq(const struct prefs_field *f, const struct prefs *a, const struct prefs *b);
bool prefs_eq(const struct prefs *a, const struct prefs *b);
/* the value as a user would write it */
const char *prefs_field_text(const struct prefs_field *f, const struct prefs *p,
			     char out[static 16]);

const char *prefs_exit_node(const struct prefs *p); /* its id or address; "": none */

/* Comma lists: the next element and what is left; false at the end. */
bool prefs_list_next(struct bytes *left, struct bytes *elem);
/* Adds an element; false when there is no room or elem holds a comma. */
MUST_USE bool prefs_list_add(char *list, size_t cap, struct bytes elem);

#endif
