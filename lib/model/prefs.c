/* model/prefs.c - see prefs.h */
#include "model/prefs.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "model/merge.h"

/* clang-format off */
#define OMIT(json, flag, kind, member) { json, flag, kind, offsetof(struct prefs, member), sizeof((struct prefs *)0)->member, true }
#define FIELD(json, flag, kind, member) { json, flag, kind, offsetof(struct prefs, member), sizeof((struct prefs *)0)->member }
const struct prefs_field prefs_fields[] = {
        FIELD("ControlURL",             "login-server",               PREFS_TEXT,     control_url),
        FIELD("RouteAll",               "accept-routes",              PREFS_BOOL,     accept_routes),
        FIELD("ExitNodeID",             "exit-node",                  PREFS_TEXT,     exit_node_id),
        FIELD("ExitNodeIP",             "exit-node",                  PREFS_TEXT,     exit_node_ip),
        FIELD("ExitNodeAllowLANAccess", "exit-node-allow-lan-access", PREFS_BOOL,     exit_node_allow_lan),
        FIELD("CorpDNS",                "accept-dns",                 PREFS_BOOL,     accept_dns),
        FIELD("RunSSH",                 "ssh",                        PREFS_BOOL,     run_ssh),
        FIELD("RunWebClient",           "webclient",                  PREFS_BOOL,     run_web_client),
        FIELD("WantRunning",            NULL,                         PREFS_BOOL,     want_running),
        FIELD("LoggedOut",              NULL,                         PREFS_BOOL,     logged_out),
        FIELD("ShieldsUp",              "shields-up",                 PREFS_BOOL,     shields_up),
        FIELD("AdvertiseTags",          "advertise-tags",             PREFS_LIST,     tags),
        FIELD("Hostname",               "hostname",                   PREFS_TEXT,     hostname),
        FIELD("AdvertiseRoutes",        "advertise-routes",           PREFS_LIST,     routes),
        FIELD("AdvertiseServices",      NULL,                         PREFS_LIST,     services),
        FIELD("NoSNAT",                 "snat-subnet-routes",         PREFS_BOOL,     no_snat),
        FIELD("NoStatefulFiltering",    "stateful-filtering",         PREFS_OPT_BOOL, no_stateful_filtering),
        FIELD("NetfilterMode",          "netfilter-mode",             PREFS_INT,      netfilter_mode),
        OMIT("OperatorUser",            "operator",                   PREFS_TEXT,     operator_user),
        OMIT("ProfileName",             "nickname",                   PREFS_TEXT,     profile_name),
        FIELD("PostureChecking",        "report-posture",             PREFS_BOOL,     posture_checking),
};
/* clang-format on */
const size_t prefs_n_fields = ARRAY_LEN(prefs_fields);
static_assert(ARRAY_LEN(prefs_fields) < MERGE_MAX, "one is left for Config");

static bool *bool_at(const struct prefs_field *f, struct prefs *p)
{
	return (bool *)(void *)((char *)p + f->off);
}

static int *int_at(const struct prefs_field *f, struct prefs *p)
{
	return (int *)(void *)((char *)p + f->off);
}

static char *text_at(const struct prefs_field *f, struct prefs *p)
{
	return (char *)p + f->off;
}

static const void *at(const struct prefs_field *f, const struct prefs *p)
{
	return (const char *)p + f->off;
}

void prefs_default(struct prefs *p)
{
	*p = (struct prefs){ .accept_dns = true, .no_stateful_filtering = 1, .netfilter_mode = 2 };
	memcpy(p->control_url, PREFS_CONTROL_URL_DEFAULT, sizeof PREFS_CONTROL_URL_DEFAULT);
}

bool prefs_list_next(struct bytes *left, struct bytes *elem)
{
	const uint8_t *comma;

	if (left->len == 0)
		return false;
	comma = memchr(left->data, ',', left->len);
	*elem = bytes_of(left->data, comma ? (size_t)(comma - left->data) : left->len);
	left->data += elem->len;
	left->len -= elem->len;
	if (comma) {
		left->data++;
		left->len--;
	}
	return true;
}

bool prefs_list_add(char *list, size_t cap, struct bytes elem)
{
	size_t n = strlen(list), comma = n > 0;

	if (elem.len == 0 || memchr(elem.data, ',', elem.len) || elem.len >= cap - n - comma)
		return false;
	if (comma)
		list[n++] = ',';
	memcpy(list + n, elem.data, elem.len);
	list[n + elem.len] = 0;
	return true;
}

static bool read_list(struct json *j, char *list, size_t cap)
{
	char elem[PREFS_NAME_MAX];
	size_t n;

	list[0] = 0;
	json_arr(j);
	while (json_elem(j)) {
		n = json_str(j, elem, sizeof elem);
		if (!json_ok(j) || !prefs_list_add(list, cap, bytes_of(elem, n)))
			return false;
	}
	return json_ok(j);
}

static bool read_field(const struct prefs_field *f, struct prefs *p, struct json *j)
{
	int64_t v;

	switch (f->kind) {
	case PREFS_BOOL:
		*bool_at(f, p) = json_bool(j);
		break;
	case PREFS_OPT_BOOL:
		*int_at(f, p) = json_null(j) ? -1 : json_bool(j);
		break;
	case PREFS_INT:
		v = json_i64(j);
		if (v < INT_MIN || v > INT_MAX)
			return false;
		*int_at(f, p) = (int)v;
		break;
	case PREFS_TEXT:
		memset(text_at(f, p), 0, f->size);
		(void)json_str(j, text_at(f, p), f->size);
		break;
	case PREFS_LIST:
		return read_list(j, text_at(f, p), f->size);
	}
	return json_ok(j);
}

static const struct prefs_field *field_named(struct bytes key)
{
	for (size_t i = 0; i < ARRAY_LEN(prefs_fields); i++)
		if (json_key_is(key, prefs_fields[i].json))
			return &prefs_fields[i];
	return NULL;
}

/* Reads the fields of the mask (NULL: all) over *p. */
static int read_fields(struct prefs *p, struct bytes json, const bool *mask, struct err *e)
{
	struct json j = json_of(json);
	const struct prefs_field *f;
	struct bytes key;

	if (!json_is_utf8(json)) /* it would be written differently from how it was read */
		return err_say(e, EBADMSG, "preferences: not UTF-8");
	json_obj(&j);
	while (json_key(&j, &key)) {
		f = field_named(key);
		if (!f || (mask && !mask[f - prefs_fields]))
			json_skip(&j);
		else if (!read_field(f, p, &j))
			return err_say(e, EBADMSG, "preferences: %s is malformed or too long",
				       f->json);
	}
	if (!json_done(&j))
		return err_say(e, EBADMSG, "preferences: not a JSON object");
	return 0;
}

int prefs_parse(struct prefs *p, struct bytes json, struct err *e)
{
	struct prefs next = *p;
	int r = read_fields(&next, json, NULL, e);

	if (r == 0)
		*p = next;
	return r;
}

static bool is_zero_value(struct bytes raw)
{
	static const char *const zeros[] = { "null", "false", "0", "\"\"", "[]", "{}" };

	for (size_t i = 0; i < ARRAY_LEN(zeros); i++)
		if (bytes_eq_str(raw, zeros[i]))
			return true;
	return false;
}

/* Does the object set `name` to anything but its zero value? */
static bool is_wanted(struct bytes json, struct bytes name)
{
	struct json j = json_of(json);
	struct bytes key;
	bool wanted = false;

	json_obj(&j);
	while (json_key(&j, &key)) {
		struct bytes raw = json_raw(&j);

		if (bytes_caseeq(key, name))
			wanted = !is_zero_value(raw);
	}
	return wanted;
}

/* Which fields have <Name>Set true. */
static int read_mask(struct bytes json, bool *mask, struct err *e)
{
	struct json j = json_of(json);
	const struct prefs_field *f;
	struct bytes key, name;

	json_obj(&j);
	while (json_key(&j, &key)) {
		struct bytes raw = json_raw(&j);

		name = bytes_of(key.data, key.len > 3 ? key.len - 3 : 0);
		if (name.len == 0 || !json_key_is(bytes_of(key.data + name.len, 3), "Set") ||
		    is_zero_value(raw))
			continue;
		f = field_named(name);
		if (f)
			mask[f - prefs_fields] = true;
		else if (is_wanted(json, name))
			return err_say(e, ENOTSUP, "preferences: %.*s is not supported",
				       (int)MIN_OF(name.len, 64), (const char *)name.data);
	}
	if (!json_done(&j))
		return err_say(e, EBADMSG, "preferences: not a JSON object");
	return 0;
}

static void zero_field(const struct prefs_field *f, struct prefs *p)
{
	memset((char *)p + f->off, 0, f->size);
	if (f->kind == PREFS_OPT_BOOL)
		*int_at(f, p) = -1;
}

int prefs_patch(struct prefs *p, struct bytes json, struct err *e)
{
	bool mask[ARRAY_LEN(prefs_fields)] = { false };
	struct prefs next = *p;
	int r = read_mask(json, mask, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(prefs_fields); i++)
		if (mask[i]) /* set and absent means the zero value */
			zero_field(&prefs_fields[i], &next);
	r = read_fields(&next, json, mask, e);
	if (r == 0)
		*p = next;
	return r;
}

static void write_list(struct jsonw *w, const char *list)
{
	struct bytes left = bytes_str(list), elem;

	if (left.len == 0) { /* as Go writes an empty slice that was never made */
		jsonw_null(w);
		return;
	}
	jsonw_arr(w);
	while (prefs_list_next(&left, &elem))
		jsonw_strn(w, elem);
	jsonw_arr_end(w);
}

static bool write_field(const struct prefs_field *f, const struct prefs *p, struct buf *out)
{
	struct jsonw w;
	int v;

	jsonw_init(&w, out);
	if (f->is_omitted_empty && !*(const char *)at(f, p))
		return true;
	switch (f->kind) {
	case PREFS_BOOL:
		jsonw_bool(&w, *(const bool *)at(f, p));
		break;
	case PREFS_OPT_BOOL:
		v = *(const int *)at(f, p);
		if (v < 0)
			jsonw_null(&w);
		else
			jsonw_bool(&w, v);
		break;
	case PREFS_INT:
		jsonw_i64(&w, *(const int *)at(f, p));
		break;
	case PREFS_TEXT:
		jsonw_str(&w, at(f, p));
		break;
	case PREFS_LIST:
		write_list(&w, at(f, p));
		break;
	}
	return jsonw_ok(&w);
}

/* What else a profile of the Go client has, for one that it has not written. */
static const char others[] =
    "{\"InternalExitNodePrior\":\"\",\"NotepadURLs\":false,\"Sync\":null,"
    "\"AutoUpdate\":{\"Check\":false,\"Apply\":false},\"AppConnector\":{\"Advertise\":false},"
    "\"NetfilterKind\":\"\",\"RemoteConfig\":false,\"DriveShares\":null}";

int prefs_emit(const struct prefs *p, struct bytes base, struct bytes config, struct buf *out)
{
	struct merge_member m[ARRAY_LEN(prefs_fields) + 1];
	size_t ends[ARRAY_LEN(prefs_fields)], n = ARRAY_LEN(prefs_fields), start = 0;
	struct buf values; /* all of them in a row: pointers are only taken once it stands still */
	int r = -ENOMEM;

	buf_init(&values, 2 * sizeof *p + 4096);
	for (size_t i = 0; i < n; i++) {
		if (!write_field(&prefs_fields[i], p, &values))
			goto out;
		ends[i] = values.len;
	}
	for (size_t i = 0; i < n; start = ends[i++])
		m[i] = (struct merge_member){ prefs_fields[i].json,
					      bytes_of(buf_bytes(&values).data + start,
						       ends[i] - start) };
	if (config.len > 0)
		m[n++] = (struct merge_member){ "Config", config };
	r = merge_emit(base.len ? base : bytes_str(others), m, n, out);
out:
	buf_fini(&values);
	return r;
}

bool prefs_field_eq(const struct prefs_field *f, const struct prefs *a, const struct prefs *b)
{
	if (f->kind == PREFS_TEXT || f->kind == PREFS_LIST)
		return strcmp(at(f, a), at(f, b)) == 0;
	return memcmp(at(f, a), at(f, b), f->size) == 0;
}

bool prefs_eq(const struct prefs *a, const struct prefs *b)
{
	for (size_t i = 0; i < ARRAY_LEN(prefs_fields); i++)
		if (!prefs_field_eq(&prefs_fields[i], a, b))
			return false;
	return true;
}

const char *prefs_field_text(const struct prefs_field *f, const struct prefs *p,
			     char out[static 16])
{
	int v;

	switch (f->kind) {
	case PREFS_BOOL:
		return *(const bool *)at(f, p) ? "true" : "false";
	case PREFS_OPT_BOOL:
		v = *(const int *)at(f, p);
		return v < 0 ? "unset" : v ? "true" : "false";
	case PREFS_INT:
		snprintf(out, 16, "%d", *(const int *)at(f, p));
		return out;
	case PREFS_TEXT:
	case PREFS_LIST:
		return *(const char *)at(f, p) ? at(f, p) : "(empty)";
	}
	return "";
}

const char *prefs_exit_node(const struct prefs *p)
{
	return *p->exit_node_id ? p->exit_node_id : p->exit_node_ip;
}
