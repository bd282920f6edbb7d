/* ts2021/register.c - see register.h */
#include "ts2021/register.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
	REGISTER_ROOM = 16 << 10
}; /* taken at once, so that a growing buffer leaves no copies of the auth key behind */
enum { LOCK_KEY_LEN = 64, LOCK_SIG_MAX = 4096 }; /* Ed25519 private key; its signature in CBOR */

bool register_emit(struct buf *out, const struct register_request *rq)
{
	char key[KEY_TEXT_MAX];
	struct jsonw w;

	if (!buf_reserve(out, REGISTER_ROOM + rq->hostinfo->members.len + rq->hostinfo->tags.len))
		return false;
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_ki64(&w, "Version", rq->version);
	jsonw_kstr(&w, "NodeKey", key_pub_text(KEY_NODE, rq->node, key));
	if (rq->old_node)
		jsonw_kstr(&w, "OldNodeKey", key_pub_text(KEY_NODE, rq->old_node, key));
	if (rq->is_logout)
		jsonw_kstr(
		    &w, "Expiry",
		    "1970-01-01T00:02:03Z"); /* any past time logs out; this one is customary */
	if (rq->followup && *rq->followup)
		jsonw_kstr(&w, "Followup", rq->followup);
	jsonw_key(&w, "Hostinfo");
	hostinfo_emit(rq->hostinfo, &w, rq->with_tags);
	if (rq->ephemeral)
		jsonw_kbool(&w, "Ephemeral", true);
	if (rq->auth_key && *rq->auth_key && !rq->is_logout) {
		jsonw_key(&w, "Auth");
		jsonw_obj(&w);
		jsonw_kstr(&w, "AuthKey", rq->auth_key);
		jsonw_obj_end(&w);
	}
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

struct answer_fields {
	bool authorized, expired, has_signature;
	char *error, *url;
};

static bool fields_read(struct bytes body, struct answer_fields *f)
{
	struct json j = json_of(body);
	struct bytes key, raw;

	if (json_type(&j) != JSON_OBJECT)
		return false;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "MachineAuthorized")) {
			f->authorized = json_bool(&j);
		} else if (json_key_is(key, "NodeKeyExpired")) {
			f->expired = json_bool(&j);
		} else if (json_key_is(key, "Error") && !f->error) {
			f->error = json_strdup(&j, body.len + 1);
		} else if (json_key_is(key, "AuthURL") && !f->url) {
			f->url = json_strdup(&j, REGISTER_URL_MAX);
		} else if (json_key_is(key, "NodeKeySignature")) {
			raw = json_raw(&j);
			f->has_signature = !bytes_eq_str(raw, "null") && !bytes_eq_str(raw, "\"\"");
		} else {
			json_skip(&j);
		}
	}
	return json_done(&j);
}

/* Errors of Headscale and of the service after which the same key fails again:
 * control-protocol.md 3.4 */
static bool is_hopeless(const char *error)
{
	static const char *const marks[] = { "auth key",
					     "authkey",
					     "auth-key",
					     "different machine key",
					     "in use by another machine",
					     "invalid key",
					     "tags" };

	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (strstr(error, marks[i]))
			return true;
	return false;
}

static void judge(const struct answer_fields *f, const char *auth_key, struct register_result *out)
{
	if (f->error && *f->error) {
		out->outcome = REGISTER_ERROR;
		out->is_hopeless = is_hopeless(f->error);
		out->is_about_tags = strstr(f->error, "tags") && strstr(f->error, "not permitted");
		foreign_text(bytes_str(f->error), auth_key, out->text);
	} else if (f->has_signature) {
		out->outcome = REGISTER_SIGN;
	} else if (f->expired) {
		out->outcome = REGISTER_EXPIRED;
	} else if (f->url && *f->url) {
		out->outcome = REGISTER_AUTH_URL;
		(void)bytes_to_str(bytes_str(f->url), out->url, sizeof out->url);
		for (char *p = out->url; *p; p++)
			if ((unsigned char)*p <= ' ' || *p == 0x7f)
				*p = '_'; /* shown to people: one line */
	} else {
		out->outcome = REGISTER_OK;
		out->authorized = f->authorized;
	}
}

void register_read(unsigned status, struct bytes body, const char *auth_key,
		   struct register_result *out)
{
	struct answer_fields f = { 0 };

	memset(out, 0, sizeof *out);
	if (status == 429) {
		out->outcome = REGISTER_BUSY;
	} else if (status != 200) {
		out->outcome = REGISTER_STATUS;
		foreign_text(body, auth_key, out->text);
	} else if (!fields_read(body, &f)) {
		out->outcome = REGISTER_MALFORMED;
	} else {
		judge(&f, auth_key, out);
	}
	free(f.error);
	free(f.url);
}

static bool is_std_base64(struct bytes text, size_t cap, size_t want)
{
	uint8_t tmp[LOCK_SIG_MAX];
	size_t n;
	bool ok = base64_parse(text, BASE64_STD, tmp, cap, &n) && n > 0 && (want == 0 || n == want);

	secret_wipe(tmp, sizeof tmp);
	return ok;
}

size_t register_auth_key_len(const char *key)
{
	const char *tl = strstr(key, "--TL"), *dash;

	if (!tl)
		return strlen(key);
	dash = strchr(tl + 4, '-');
	if (dash && is_std_base64(bytes_of(tl + 4, (size_t)(dash - tl - 4)), LOCK_SIG_MAX, 0) &&
	    is_std_base64(bytes_str(dash + 1), LOCK_KEY_LEN, LOCK_KEY_LEN))
		return (size_t)(tl - key);
	return strlen(key); /* a random part that happens to contain the mark */
}
