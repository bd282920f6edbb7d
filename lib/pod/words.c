/* pod/words.c - see words.h */
#include "pod/words.h"

#include <string.h>

#include "base/json.h"

enum { WORDS_VERSION = 1 };

static const char *const ops[WORDS_OPS] = { [WORDS_STATUS] = "status", [WORDS_ADD] = "add" };
static const char *const verdicts[WORDS_VERDICTS] = {
	[WORDS_READY] = "ready", [WORDS_REFUSED] = "refused", [WORDS_NOT_YET] = "not-yet"
};

/* The index of the next value among names; anything else fails the reader. */
static int read_name(struct json *j, const char *const *names, int n)
{
	char text[16];

	json_str(j, text, sizeof text);
	for (int i = 0; i < n; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	j->failed = true;
	return 0;
}

bool words_request_emit(enum words_op op, const struct attachment *a, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_ki64(&w, "version", WORDS_VERSION);
	jsonw_kstr(&w, "op", ops[op]);
	if (a) {
		jsonw_kstr(&w, "network", a->network);
		jsonw_kstr(&w, "container", a->container);
		jsonw_kstr(&w, "ifname", a->ifname);
		jsonw_kstr(&w, "pod", a->pod);
		jsonw_kstr(&w, "uid", a->uid);
	}
	jsonw_obj_end(&w);
	return jsonw_ok(&w) && buf_append(out, "\n", 1);
}

bool words_request_parse(struct bytes line, struct words_request *out)
{
	struct json j = json_of(line);
	struct bytes key;
	bool has_op = false;
	uint64_t version = 0;

	*out = (struct words_request){ .op = WORDS_STATUS };
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "version"))
			version = json_u64(&j);
		else if (json_key_is(key, "op")) {
			out->op = (enum words_op)read_name(&j, ops, WORDS_OPS);
			has_op = true;
		} else if (json_key_is(key, "pod"))
			json_str(&j, out->pod, sizeof out->pod);
		else if (json_key_is(key, "uid"))
			json_str(&j, out->uid, sizeof out->uid);
		else
			json_skip(&j);
	}
	return json_done(&j) && has_op && version == WORDS_VERSION;
}

bool words_answer_emit(enum words_verdict verdict, const char *words, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "verdict", verdicts[verdict]);
	jsonw_kstr(&w, "words", words);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) && buf_append(out, "\n", 1);
}

bool words_answer_parse(struct bytes line, struct words_answer *out)
{
	struct json j = json_of(line);
	struct bytes key;
	bool has_verdict = false;

	*out = (struct words_answer){ .verdict = WORDS_NOT_YET };
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "verdict")) {
			out->verdict = (enum words_verdict)read_name(&j, verdicts, WORDS_VERDICTS);
			has_verdict = true;
		} else if (json_key_is(key, "words"))
			json_str(&j, out->words, sizeof out->words);
		else
			json_skip(&j);
	}
	return json_done(&j) && has_verdict;
}
