/* coordinator/verify.c - see verify.h */
#include "coordinator/verify.h"

#include <assert.h>
#include <stdio.h>

#include "base/json.h"

bool verify_question_parse(struct bytes body, struct key_pub *node)
{
	struct json j = json_of(body);
	struct key_pub k = { 0 };
	char text[KEY_TEXT_MAX];
	struct bytes name;

	if (body.len > VERIFY_BODY_MAX)
		return false;
	json_obj(&j);
	while (json_key(&j, &name)) {
		if (json_key_is(name, "NodePublic")) {
			size_t len = json_str(&j, text, sizeof text);

			if (!key_pub_parse(KEY_NODE, bytes_of(text, len), &k))
				return false;
		} else {
			json_skip(&j);
		}
	}
	if (!json_done(&j) || key_is_zero(&k))
		return false;
	*node = k;
	return true;
}

size_t verify_question_emit(const struct key_pub *node, const struct ip *source,
			    char out[static VERIFY_QUESTION_MAX])
{
	char key[KEY_TEXT_MAX], ip[IP_TEXT];
	int n = snprintf(out, VERIFY_QUESTION_MAX, "{\"NodePublic\":\"%s\",\"Source\":\"%s\"}",
			 key_pub_text(KEY_NODE, node, key), ip_text(source, ip));

	assert(n > 0 && n < VERIFY_QUESTION_MAX);
	return (size_t)n;
}

bool verify_verdict_parse(struct bytes body, bool *allow)
{
	struct json j = json_of(body);
	struct bytes name;
	bool has = false, said = false;

	if (body.len > VERIFY_BODY_MAX)
		return false;
	json_obj(&j);
	while (json_key(&j, &name)) {
		if (json_key_is(name, "Allow")) {
			said = json_bool(&j);
			has = true;
		} else {
			json_skip(&j);
		}
	}
	if (!json_done(&j) || !has)
		return false;
	*allow = said;
	return true;
}

struct bytes verify_verdict(bool allow)
{
	return bytes_str(allow ? "{\"Allow\":true}" : "{\"Allow\":false}");
}
