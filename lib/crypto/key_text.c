/* crypto/key_text.c - text forms of keys: "nodekey:" and 64 hex digits, short forms for logs
 * (control-protocol.md 1.1) */
#include <assert.h>
#include <stdio.h>

#include "base/text.h"
#include "crypto/key.h"

static const char *const prefixes[] = {
	[KEY_MACHINE] = "mkey:",
	[KEY_NODE] = "nodekey:",
	[KEY_DISCO] = "discokey:",
	[KEY_CHALLENGE] = "chalpub:",
};
static_assert(ARRAY_LEN(prefixes) == KEY_N, "every kind of key has a prefix");

static const char priv_prefix[] = "privkey:";

static bool parse(const char *prefix, struct bytes text, uint8_t out[static KEY_LEN])
{
	size_t n = strlen(prefix);

	if (text.len != n + 2 * KEY_LEN || memcmp(text.data, prefix, n) != 0)
		return false;
	return hex_parse(bytes_of(text.data + n, 2 * KEY_LEN), out, KEY_LEN);
}

static const char *emit(const char *prefix, const uint8_t key[static KEY_LEN],
			char out[static KEY_TEXT_MAX])
{
	size_t n = strlen(prefix);

	memcpy(out, prefix, n);
	hex_emit(key, KEY_LEN, out + n);
	return out;
}

bool key_pub_parse(enum key_kind kind, struct bytes text, struct key_pub *out)
{
	return parse(prefixes[kind], text, out->b);
}

const char *key_pub_text(enum key_kind kind, const struct key_pub *k, char out[static KEY_TEXT_MAX])
{
	return emit(prefixes[kind], k->b, out);
}

bool key_priv_parse(struct bytes text, struct key_priv *out)
{
	return parse(priv_prefix, text, out->b);
}

const char *key_priv_text(const struct key_priv *k, char out[static KEY_TEXT_MAX])
{
	return emit(priv_prefix, k->b, out);
}

const char *key_pub_short(enum key_kind kind, const struct key_pub *k, char out[static 20])
{
	char b64[9];

	if (kind == KEY_DISCO) {
		memcpy(out, "d:", 2);
		hex_emit(k->b, 8, out + 2);
		return out;
	}
	base64_emit(k->b, 6, BASE64_STD, b64);
	(void)snprintf(out, 20, "[%.5s]", b64);
	return out;
}
