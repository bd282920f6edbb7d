/* coordinator/apikeys.c - see apikeys.h */
#include "coordinator/apikeys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "crypto/key.h"

void apikeys_init(struct apikeys *k)
{
	*k = (struct apikeys){ .next = 1 };
}

void apikeys_fini(struct apikeys *k)
{
	free(k->v);
	free(k->tokens);
	*k = (struct apikeys){ 0 };
}

static struct apikey *room(struct apikeys *k)
{
	if (k->n == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 8;
		struct apikey *v = realloc(k->v, cap * sizeof *v);

		if (!v)
			return NULL;
		k->v = v;
		k->cap = cap;
	}
	return &k->v[k->n];
}

/* prefix-PUBLIC-SECRET; prefix gets the public part */
static void new_text(struct rng *rng, const char *kind, char prefix[static 16],
		     char text[static APIKEY_TEXT_MAX])
{
	uint8_t secret[32], public[9];
	char body[48];

	rng_fill(rng, secret, sizeof secret);
	do {
		rng_fill(rng, public, sizeof public);
		base64_emit(public, sizeof public, BASE64_URL, prefix);
	} while (prefix[0] == '-'); /* on a command line that would be an option */
	base64_emit(secret, sizeof secret, BASE64_URL, body);
	body[43] = 0; /* without its padding */
	snprintf(text, APIKEY_TEXT_MAX, "%s-%.12s-%s", kind, prefix, body);
	secret_wipe(secret, sizeof secret);
	secret_wipe(body, sizeof body);
}

struct apikey *apikeys_add(struct apikeys *k, struct rng *rng, wall_t wall, wall_t expires,
			   char text[static APIKEY_TEXT_MAX], struct err *e)
{
	struct apikey *key = k->n < APIKEYS_MAX ? room(k) : NULL;
	char prefix[16];

	if (!key) {
		err_say(e, ENOBUFS, "no room for another API key (limit %d)", APIKEYS_MAX);
		return NULL;
	}
	new_text(rng, "hskey-api", prefix, text);
	*key = (struct apikey){ .id = k->next++, .created = wall, .expires = expires };
	memcpy(key->prefix, prefix, APIKEY_PREFIX);
	hash256(key->hash, bytes_str(text));
	k->n++;
	return key;
}

struct apikey *apikeys_find(struct apikeys *k, int64_t id, const char *prefix)
{
	for (size_t i = 0; i < k->n; i++)
		if (id != 0 ? k->v[i].id == id : strcmp(k->v[i].prefix, prefix) == 0)
			return &k->v[i];
	return NULL;
}

void apikeys_del(struct apikeys *k, int64_t id)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->v[i].id == id) {
			k->v[i] = k->v[--k->n];
			return;
		}
}

int apikeys_give(struct apikeys *k, struct bytes text, struct err *e)
{
	while (text.len > 0 && text.data[text.len - 1] <= ' ') /* a file's last line */
		text.len--;
	if (text.len < APIKEY_GIVEN_MIN || text.len > APIKEY_TEXT_MAX)
		return err_say(e, EINVAL, "an API key has %d to %d characters", APIKEY_GIVEN_MIN,
			       APIKEY_TEXT_MAX);
	k->given = (struct apikey){ 0 };
	hash256(k->given.hash, text);
	k->has_given = true;
	return 0;
}

struct apikey *apikeys_match(struct apikeys *k, wall_t wall, struct bytes text)
{
	struct apikey *found = NULL;
	uint8_t hash[HASH_LEN];

	hash256(hash, text);
	for (size_t i = 0; i < k->n; i++)
		if (secret_eq(hash, k->v[i].hash, sizeof hash))
			found = &k->v[i];
	if (k->has_given && secret_eq(hash, k->given.hash, sizeof hash))
		found = &k->given;
	return found && (found->expires.ns == 0 || found->expires.ns > wall.ns) ? found : NULL;
}

int apikeys_emit(const struct apikey *key, struct buf *out)
{
	char hash[2 * HASH_LEN + 1];
	struct jsonw w;

	hex_emit(key->hash, HASH_LEN, hash);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_ki64(&w, "id", key->id);
	jsonw_kstr(&w, "prefix", key->prefix);
	jsonw_kstr(&w, "hash", hash);
	jsonw_ki64(&w, "created", key->created.ns);
	jsonw_ki64(&w, "expires", key->expires.ns);
	jsonw_ki64(&w, "last_seen", key->last_seen.ns);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) ? 0 : -ENOMEM;
}

int apikeys_load(struct apikeys *k, struct bytes text, struct err *e)
{
	struct json j = json_of(text);
	char hash[2 * HASH_LEN + 1] = "";
	struct apikey key = { 0 }, *to;
	struct bytes name;

	json_obj(&j);
	while (json_key(&j, &name)) {
		if (json_key_is(name, "id"))
			key.id = json_i64(&j);
		else if (json_key_is(name, "prefix"))
			json_str(&j, key.prefix, sizeof key.prefix);
		else if (json_key_is(name, "hash"))
			json_str(&j, hash, sizeof hash);
		else if (json_key_is(name, "created"))
			key.created.ns = json_i64(&j);
		else if (json_key_is(name, "expires"))
			key.expires.ns = json_i64(&j);
		else if (json_key_is(name, "last_seen"))
			key.last_seen.ns = json_i64(&j);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || key.id <= 0 || key.id == INT64_MAX ||
	    !hex_parse(bytes_str(hash), key.hash, HASH_LEN))
		return err_say(e, EBADMSG, "a stored API key is malformed");
	to = room(k);
	if (!to)
		return err_set(e, ENOMEM, "load API keys");
	*to = key;
	k->n++;
	if (key.id >= k->next)
		k->next = key.id + 1;
	return 0;
}

/* --- tokens --- */

int apikeys_token(struct apikeys *k, struct rng *rng, wall_t wall, const struct apikey *key,
		  char text[static APIKEY_TEXT_MAX])
{
	struct apitoken *t;
	char prefix[16];

	if (!k->tokens && !(k->tokens = calloc(APITOKENS_MAX, sizeof *k->tokens)))
		return -ENOMEM;
	t = &k->tokens[k->next_token];
	k->next_token = (k->next_token + 1) % APITOKENS_MAX;
	k->n_tokens += k->n_tokens < APITOKENS_MAX;
	new_text(rng, "hskey-oauthtok", prefix, text);
	*t = (struct apitoken){ .key = key->id,
				.expires = { wall.ns + APITOKEN_LIFE_S * NS_PER_S } };
	hash256(t->hash, bytes_str(text));
	return 0;
}

struct apikey *apikeys_match_token(struct apikeys *k, wall_t wall, struct bytes text)
{
	const struct apitoken *found = NULL;
	uint8_t hash[HASH_LEN];
	struct apikey *key;

	hash256(hash, text);
	for (size_t i = 0; i < k->n_tokens; i++)
		if (secret_eq(hash, k->tokens[i].hash, sizeof hash) &&
		    k->tokens[i].expires.ns > wall.ns)
			found = &k->tokens[i];
	if (!found)
		return NULL;
	if (found->key == 0)
		return k->has_given ? &k->given : NULL;
	key = apikeys_find(k, found->key, "");
	return key && (key->expires.ns == 0 || key->expires.ns > wall.ns) ? key : NULL;
}
