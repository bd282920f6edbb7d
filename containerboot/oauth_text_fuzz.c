/* containerboot/oauth_text_fuzz.c - first line: a client secret with parameters, or a workload's
 * token; the rest: what a server answers */
#include "containerboot/oauth_text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_plain(const char *s)
{
	for (assert(*s); *s; s++)
		assert(*s > ' ' && *s <= '~');
}

static void check_workload(const char *text, struct bytes body)
{
	static const char head[] = "client_id=id&jwt=";
	char words[OAUTH_WORDS_MAX];
	int64_t end = -1;
	struct oauth o;
	struct err e = { 0 };
	struct buf out;

	if (oauth_parse_workload(&o, text, "id", "http://a", &e) < 0) {
		assert(*e.text);
		return;
	}
	assert(strcmp(o.secret, text) == 0);
	assert(!oauth_token_end(&o, &end) || end >= 0);
	buf_init(&out, 1 << 16);
	assert(oauth_token_body(&o, &out));
	assert(out.len == sizeof head - 1 + strlen(text)); /* nothing in it needs an escape */
	oauth_words(&o, body, words);
	assert(!strstr(words, text));
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *line = len > 0 ? memchr(data, '\n', len) : NULL;
	const size_t first = line ? (size_t)(line - data) : len;
	const struct bytes body = bytes_of(data + first, len - first);
	char *secret = len > 0 ? strndup((const char *)data, first) : strdup("");
	char token[OAUTH_TOKEN_MAX], key[OAUTH_KEY_MAX], words[OAUTH_WORDS_MAX];
	struct oauth o;
	struct err e = { 0 };
	struct buf out;
	struct json j;

	assert(secret);
	buf_init(&out, 1 << 16);
	if (oauth_parse(&o, "X", secret, "id", "http://a", &e) == 0) {
		check_plain(o.secret);
		assert(oauth_token_body(&o, &out));
		char *text = buf_take_str(&out);

		assert(text);
		check_plain(text);
		free(text);
		assert(oauth_key_body(&o, "tag:a", &out));
		j = json_of(buf_bytes(&out));
		json_skip(&j);
		assert(json_done(&j));
		oauth_words(&o, body, words);
		for (const char *s = words; *s; s++)
			assert(*s >= ' ' && *s <= '~');
	} else {
		assert(*e.text);
	}
	check_workload(secret, body);
	if (oauth_token_read(body, token))
		check_plain(token);
	if (oauth_key_read(body, key))
		check_plain(key);
	buf_fini(&out);
	free(secret);
	return 0;
}
