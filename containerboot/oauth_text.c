/* containerboot/oauth_text.c - see oauth_text.h */
#include "containerboot/oauth_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "crypto/key.h"
#include "model/prefs.h"
#include "wire/http1.h"

#define CLIENT_PREFIX "tskey-client-"
#define TAILSCALE_API "https://api.tailscale.com"

bool oauth_is_secret(const char *auth_key)
{
	return strncmp(auth_key, CLIENT_PREFIX, sizeof CLIENT_PREFIX - 1) == 0;
}

static bool set_base(struct oauth *o, const char *url)
{
	size_t n;

	if (!url_parse(bytes_str(url), &o->base) || strchr(o->base.path, '?'))
		return false;
	for (n = strlen(o->base.path); n > 0 && o->base.path[n - 1] == '/';)
		o->base.path[--n] = 0;
	return true;
}

static int parameter(struct oauth *o, const char *name, struct bytes key, struct bytes value,
		     struct err *e)
{
	char text[PREFS_URL_MAX];
	size_t len;
	bool *flag = bytes_eq_str(key, "ephemeral")       ? &o->ephemeral
		     : bytes_eq_str(key, "preauthorized") ? &o->preauthorized
							  : NULL;

	if (!flag && !bytes_eq_str(key, "baseURL"))
		return err_say(e, EINVAL,
			       "%s: of parameters behind ? only ephemeral, preauthorized and "
			       "baseURL are known",
			       name);
	if (value.len == 0)
		return 0; /* the default */
	if (!http1_unescape(value, true, text, sizeof text, &len))
		return err_say(e, EINVAL, "%s: a malformed parameter", name);
	if (flag && !bool_parse(bytes_str(text), flag))
		return err_say(e, EINVAL, "%s: ephemeral and preauthorized are true or false",
			       name);
	if (!flag && !set_base(o, text))
		return err_say(e, EINVAL,
			       "%s: baseURL: wanted a URL such as https://api.tailscale.com", name);
	return 0;
}

static bool is_plain(const char *s) /* may stand in a header */
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

/* VALUE?parameters: the value into out */
static int split(struct oauth *o, const char *name, const char *text, char *out, size_t cap,
		 struct err *e)
{
	const char *mark = strchr(text, '?');
	struct bytes rest = bytes_str(mark ? mark + 1 : ""), key, value;
	int r = 0;

	if (!bytes_to_str(bytes_of(text, mark ? (size_t)(mark - text) : strlen(text)), out, cap) ||
	    !is_plain(out))
		return err_say(e, EINVAL, "%s: wanted 1 to %zu printable characters", name,
			       cap - 1);
	while (r == 0 && http1_query_next(&rest, &key, &value))
		r = parameter(o, name, key, value, e);
	return r;
}

int oauth_parse(struct oauth *o, const char *name, const char *secret, const char *id,
		const char *control_url, struct err *e)
{
	int r = 0;

	*o = (struct oauth){ .ephemeral = true };
	if (!set_base(o, strcmp(control_url, PREFS_CONTROL_URL_DEFAULT) == 0 ? TAILSCALE_API
									     : control_url))
		return err_say(e, EINVAL, "%s: the control server's URL is malformed", name);
	if (id)
		r = split(o, "TS_CLIENT_ID", id, o->id, sizeof o->id, e);
	if (r == 0)
		r = split(o, name, secret, o->secret, OAUTH_SECRET_MAX, e);
	return r;
}

/* --- of a workload --- */

static bool is_base64url(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* The compact form: base64url with dots in between (RFC 7515 7.1, RFC 7516 7.1). */
static bool is_jwt(const char *s)
{
	unsigned dots = 0;

	if (!is_base64url(*s))
		return false;
	for (; *s; s++) {
		dots += *s == '.';
		if (*s != '.' && !is_base64url(*s))
			return false;
	}
	return dots >= 2;
}

int oauth_set_token(struct oauth *o, const char *token, struct err *e)
{
	if (strlen(token) >= sizeof o->secret || !is_jwt(token))
		return err_say(e, EINVAL,
			       "TS_ID_TOKEN: wanted a JWT (parts of base64url with dots between "
			       "them) of at most %zu characters, or file:PATH",
			       sizeof o->secret - 1);
	secret_wipe(o->secret, sizeof o->secret);
	memcpy(o->secret, token, strlen(token) + 1);
	return 0;
}

int oauth_parse_workload(struct oauth *o, const char *token, const char *id,
			 const char *control_url, struct err *e)
{
	int r;

	*o = (struct oauth){ .ephemeral = true, .is_workload = true };
	if (!set_base(o, control_url))
		return err_say(e, EINVAL, "TS_ID_TOKEN: the control server's URL is malformed");
	r = split(o, "TS_CLIENT_ID", id, o->id, sizeof o->id, e);
	return r < 0 ? r : oauth_set_token(o, token, e);
}

/* "exp" of the claims; a number, which may have a fraction */
static bool read_end(struct bytes claims, int64_t *end)
{
	struct json j = json_of(claims);
	struct bytes key;
	double at = -1;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "exp") && json_type(&j) == JSON_NUMBER)
			at = json_f64(&j);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || !(at >= 0 && at < (double)INT64_MAX))
		return false;
	*end = (int64_t)at;
	return true;
}

bool oauth_token_end(const struct oauth *o, int64_t *end)
{
	const char *claims = strchr(o->secret, '.');
	uint8_t plain[OAUTH_TOKEN_MAX];
	size_t len;
	bool ok;

	if (!o->is_workload || !claims++)
		return false;
	ok = base64_parse(bytes_of(claims, strcspn(claims, ".")), BASE64_URL, plain, sizeof plain,
			  &len) &&
	     read_end(bytes_of(plain, len), end);
	secret_wipe(plain, sizeof plain);
	return ok;
}

/* --- what goes out, what comes back --- */

bool oauth_target(const struct oauth *o, const char *path, char out[static OAUTH_TARGET_MAX])
{
	return snprintf(out, OAUTH_TARGET_MAX, "%s%s", o->base.path, path) < OAUTH_TARGET_MAX;
}

bool oauth_token_body(const struct oauth *o, struct buf *out)
{
	if (o->is_workload)
		return buf_printf(out, "client_id=") &&
		       http1_escape(out, bytes_str(o->id), false) &&
		       buf_printf(out, "&jwt=%s", o->secret); /* of letters that need no escape */
	return buf_printf(out, "grant_type=client_credentials&client_id=") &&
	       http1_escape(out, bytes_str(*o->id ? o->id : "tailpod"), false) &&
	       buf_printf(out, "&client_secret=") && http1_escape(out, bytes_str(o->secret), false);
}

bool oauth_key_body(const struct oauth *o, const char *tags, struct buf *out)
{
	static const char *const inside[] = { "capabilities", "devices", "create" };
	struct bytes left = bytes_str(tags), tag;
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
		jsonw_key(&w, inside[i]);
		jsonw_obj(&w);
	}
	jsonw_kbool(&w, "reusable", false);
	jsonw_kbool(&w, "ephemeral", o->ephemeral);
	jsonw_kbool(&w, "preauthorized", o->preauthorized);
	jsonw_key(&w, "tags");
	jsonw_arr(&w);
	while (prefs_list_next(&left, &tag))
		jsonw_strn(&w, tag);
	jsonw_arr_end(&w);
	for (size_t i = 0; i < ARRAY_LEN(inside); i++)
		jsonw_obj_end(&w);
	jsonw_ki64(&w, "expirySeconds", OAUTH_KEY_LIFE_S);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

/* One text of an object. */
static bool member(struct bytes body, const char *name, char *out, size_t cap)
{
	struct json j = json_of(body);
	struct bytes key;

	out[0] = 0;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, name) && json_type(&j) == JSON_STRING)
			(void)json_str(&j, out, cap);
		else
			json_skip(&j);
	}
	return json_done(&j) && is_plain(out);
}

bool oauth_token_read(struct bytes body, char out[static OAUTH_TOKEN_MAX])
{
	return member(body, "access_token", out, OAUTH_TOKEN_MAX);
}

bool oauth_key_read(struct bytes body, char out[static OAUTH_KEY_MAX])
{
	return member(body, "key", out, OAUTH_KEY_MAX);
}

void oauth_words(const struct oauth *o, struct bytes body, char out[static OAUTH_WORDS_MAX])
{
	static const char *const names[] = { "error", "error_description", "message" };
	struct json j = json_of(body);
	bool has_secret = false;
	char text[1024];
	struct bytes key;

	out[0] = 0;
	json_obj(&j);
	while (json_key(&j, &key)) {
		bool wanted = false;

		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			wanted = wanted || json_key_is(key, names[i]);
		if (!wanted || json_type(&j) != JSON_STRING) {
			json_skip(&j);
			continue;
		}
		(void)json_str(&j, text, sizeof text);
		if (!json_ok(&j))
			break;
		has_secret = has_secret || strstr(text, o->secret);
		(void)bytes_to_str(bytes_str(text), out, OAUTH_WORDS_MAX); /* the last says most */
	}
	secret_wipe(text, sizeof text); /* who refuses may repeat what it was given */
	if (!json_done(&j) || has_secret)
		out[0] = 0;
	for (char *s = out; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}
