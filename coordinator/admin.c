/* coordinator/admin.c - API keys, the policy, reloading: what the API and signals ask of the server
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "coordinator/serve_priv.h"
#include "crypto/hash.h"
#include "os/file.h"

/* --- the policy --- */

static const char file_name[] = "policy_file"; /* hash of the last text from there */

static bool from_file(const struct serve *s)
{
	return s->conf->policy_path[0];
}

/* Parsed and tried against the nodes there are; out NULL: an empty text, which allows all.
 * was_in_force: once its tests held, and fail now for a node that went or changed since; that is no
 * reason to leave a tailnet without a server. */
static int policy_try(struct serve *s, struct bytes text, bool was_in_force, struct policy **out,
		      struct err *e)
{
	struct policy *p = NULL;
	struct err why = { 0 };

	if (text.len > 0 && !(p = policy_parse(text, e)))
		return -(e->code ? e->code : EINVAL);
	if (p && tailnet_policy_test(s->t, p, &why) != 0) {
		if (!was_in_force) {
			*e = why;
			policy_free(p);
			return -EINVAL;
		}
		log_warn("%s; the policy is in force all the same, as before", why.text);
	}
	*out = p;
	return 0;
}

/* After a failure the old one stays in force. */
static int policy_put_in_force(struct serve *s, struct bytes text, bool was_in_force, struct err *e)
{
	struct policy *p;
	int ret = policy_try(s, text, was_in_force, &p, e);

	if (ret == 0)
		tailnet_set_policy(s->t, loop_now(s->loop), p);
	return ret;
}

static int api_check_policy(void *ctx, struct bytes text, struct err *e)
{
	struct policy *p = NULL;
	int ret = policy_try(ctx, text, false, &p, e);

	policy_free(p);
	return ret == 0 ? 0 : -EINVAL;
}

static bool is_last_of_file(struct serve *s, const uint8_t hash[static HASH_LEN])
{
	AUTO_FREE char *kept = NULL;
	struct err e = { 0 };
	size_t len = 0;

	return store_get(s->store, file_name, &kept, &len, &e) == 0 && len == HASH_LEN &&
	       memcmp(kept, hash, HASH_LEN) == 0;
}

/* At a start a file that was never in force has no old one behind it: what its tests refuse does
 * not begin to rule because somebody restarts the server. */
static int load_file(struct serve *s, bool is_start, struct err *e)
{
	AUTO_FREE char *text = NULL;
	uint8_t hash[HASH_LEN];
	size_t len = 0;
	int ret = file_read(s->conf->policy_path, POLICY_TEXT_MAX, &text, &len, e);

	if (ret != 0)
		return err_wrap(e, "policy.path");
	hash256(hash, bytes_of(text, len));
	ret = policy_put_in_force(s, bytes_of(text, len), is_start && is_last_of_file(s, hash), e);
	if (ret != 0)
		return err_wrap(e, "policy.path %s", s->conf->policy_path);
	if (store_set(s->store, file_name, bytes_of(hash, sizeof hash), &s->why) != 0)
		s->failed = true;
	tailnet_audit(s->t, "policy set from %s, %zu bytes", s->conf->policy_path, len);
	s->policy_at = loop_wall();
	return 0;
}

static int load_stored(struct serve *s, struct err *e)
{
	AUTO_FREE char *text = NULL, *at = NULL;
	size_t len = 0;
	int ret = store_get(s->store, "policy", &text, &len, e);

	if (ret == -ENOENT)
		return 0;
	if (ret == 0)
		ret = policy_put_in_force(s, bytes_of(text, len), true, e);
	if (ret == 0 && store_get(s->store, "policy_at", &at, &len, e) == 0)
		s->policy_at.ns = strtoll(at, NULL, 10);
	return ret == 0
		   ? 0
		   : err_wrap(e, "the stored policy (a file named by policy.path comes before it)");
}

static struct bytes api_policy(void *ctx, wall_t *when)
{
	const struct serve *s = ctx;
	const struct policy *p = tailnet_policy(s->t);

	*when = s->policy_at;
	return p ? policy_text(p) : bytes_of("", 0);
}

static int api_set_policy(void *ctx, struct bytes text, struct err *e)
{
	struct serve *s = ctx;
	char at[24];
	int ret;

	if (from_file(s))
		return err_say(
		    e, EPERM,
		    "the policy comes from a file (policy.path): change that, then send SIGHUP");
	ret = policy_put_in_force(s, text, false, e);
	if (ret != 0)
		return -EINVAL;
	s->policy_at = loop_wall();
	if (text.len == 0)
		ret = store_unset(s->store, "policy", &s->why);
	else
		ret = store_set(s->store, "policy", text, &s->why);
	snprintf(at, sizeof at, "%lld", (long long)s->policy_at.ns); /* nanoseconds */
	if (ret == 0)
		ret = store_set(s->store, "policy_at", bytes_str(at), &s->why);
	s->failed |= ret != 0;
	return ret == 0 ? 0 : err_say(e, EIO, "the policy could not be stored");
}

/* --- API keys --- */

static const char next_name[] = "apikey_next";

/* With its deletion, as of users, auth keys and nodes: the number of a key that the audit log names
 * is not given again. */
static int delete_key(struct serve *s, int64_t id)
{
	int ret = store_del(s->store, STORE_APIKEYS, id, &s->why);
	char next[24];

	snprintf(next, sizeof next, "%lld", (long long)s->apikeys.next);
	return ret == 0 ? store_set(s->store, next_name, bytes_str(next), &s->why) : ret;
}

static int load_next(struct serve *s, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int64_t next = 0;
	size_t len = 0;
	int ret = store_get(s->store, next_name, &text, &len, e);

	if (ret == -ENOENT)
		return 0; /* none was ever deleted */
	if (ret == 0 && (!text_i64(bytes_of(text, len), &next) || next < 1))
		ret = err_say(e, EBADMSG, "database: %s is no number", next_name);
	s->apikeys.next = MAX_OF(s->apikeys.next, next);
	return ret;
}

static void api_key_changed(void *ctx, int64_t id)
{
	struct serve *s = ctx;
	struct apikey *k = apikeys_find(&s->apikeys, id, "");
	struct buf text;
	int ret;

	buf_init(&text, 4096);
	if (!k)
		ret = delete_key(s, id);
	else if ((ret = apikeys_emit(k, &text)) == 0)
		ret = store_put(s->store, STORE_APIKEYS, id, buf_bytes(&text), &s->why);
	else
		err_set(&s->why, ENOMEM, "store an API key");
	buf_fini(&text);
	s->failed |= ret != 0;
}

static int load_apikey(void *ctx, int64_t id, struct bytes json, struct err *e)
{
	(void)id;
	return apikeys_load(&((struct serve *)ctx)->apikeys, json, e);
}

/* --- the rest --- */

static int api_backup(void *ctx, const char *path, struct err *e)
{
	struct serve *s = ctx;

	return serve_settle(s) ? store_backup(s->store, path, e)
			       : err_say(e, EIO, "the database failed");
}

static int api_debug(void *ctx, struct buf *out)
{
	return metrics_debug(ctx, out);
}

void admin_init(struct serve *s)
{
	apikeys_init(&s->apikeys);
	s->api = (struct api){ .t = s->t,
			       .keys = &s->apikeys,
			       .rng = &os_rng,
			       .ctx = s,
			       .apikey_changed = api_key_changed,
			       .policy = api_policy,
			       .set_policy = api_set_policy,
			       .check_policy = api_check_policy,
			       .backup = api_backup,
			       .debug = api_debug };
}

/* The API key that the administrator chose, where there is one. */
static int load_given_key(struct serve *s, struct err *e)
{
	char *text = NULL;
	size_t len;
	int ret;

	if (!s->conf->api_key_file[0])
		return 0;
	ret = file_read(s->conf->api_key_file, APIKEY_TEXT_MAX + 2, &text, &len, e);
	if (ret == 0) {
		ret = apikeys_give(&s->apikeys, bytes_of(text, len), e);
		file_wipe(text, len);
	}
	return ret < 0 ? err_wrap(e, "api_key_file %s", s->conf->api_key_file) : 0;
}

int admin_load(struct serve *s, struct err *e)
{
	int ret;

	if (!s->t)
		return serve_setting(s, load_given_key(s, e));
	ret = store_each(s->store, STORE_APIKEYS, load_apikey, s, e);
	if (ret == 0)
		ret = load_next(s, e);
	if (ret == 0)
		ret = serve_setting(s, load_given_key(s, e));
	if (ret == 0)
		ret = from_file(s) ? serve_setting(s, load_file(s, true, e)) : load_stored(s, e);
	if (ret == 0 && !tailnet_policy(s->t))
		log_warn("no policy is set: every node may reach every other");
	return ret;
}

void admin_reload(struct serve *s)
{
	struct err e = { 0 };
	struct buf map;

	if (s->t && from_file(s) && load_file(s, false, &e) != 0)
		log_error("%s; the policy before stays in force", e.text);
	else if (s->t && from_file(s))
		log_info("policy %s is in force", s->conf->policy_path);
	if (load_given_key(s, &e) != 0)
		log_error("%s; the key before stays valid", e.text);
	if (s->tls && strcmp(s->conf->tls_mode, "files") == 0) {
		if (tls_server_reload(s->tls, &e) != 0)
			log_error("%s; the certificate before stays", e.text);
		else
			log_info("certificate read again");
	}
	if (!s->t)
		return;
	buf_init(&map, CONFIG_FILE_MAX * 2);
	if (relaymap_derp(s->conf, s->tls, &map, &e) != 0)
		log_error("%s; the relay map before stays", e.text);
	else if (tailnet_set_derp_map(s->t, loop_now(s->loop), buf_bytes(&map)) != 0)
		log_error("out of memory for the relay map");
	buf_fini(&map);
}
