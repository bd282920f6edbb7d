/* containerboot/agent_protocol.c - see agent_protocol.h */
#include "containerboot/agent_protocol.h"

#include <string.h>

#include "base/json.h"

enum { PROTOCOL_VERSION = 1 };

static const char *const ops[AGENT_OPS] = { [AGENT_STATUS] = "status", [AGENT_ADD] = "add" };
static const char *const verdicts[AGENT_VERDICTS] = {
	[AGENT_READY] = "ready", [AGENT_REFUSED] = "refused", [AGENT_NOT_YET] = "not-yet"
};

static void read_op(struct json *j, enum agent_op *out)
{
	char text[16];

	json_str(j, text, sizeof text);
	for (int i = 0; i < AGENT_OPS; i++)
		if (strcmp(text, ops[i]) == 0) {
			*out = (enum agent_op)i;
			return;
		}
	j->failed = true;
}

bool agent_request_parse(struct bytes line, struct agent_request *out)
{
	struct json j = json_of(line);
	struct bytes key;
	bool has_op = false;
	uint64_t version = 0;

	*out = (struct agent_request){ .op = AGENT_STATUS };
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "version"))
			version = json_u64(&j);
		else if (json_key_is(key, "op")) {
			read_op(&j, &out->op);
			has_op = true;
		} else if (json_key_is(key, "pod"))
			json_str(&j, out->pod, sizeof out->pod);
		else
			json_skip(&j);
	}
	return json_done(&j) && has_op && version == PROTOCOL_VERSION;
}

bool agent_answer_emit(enum agent_verdict verdict, const char *words, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "verdict", verdicts[verdict]);
	jsonw_kstr(&w, "words", words);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) && buf_append(out, "\n", 1);
}

bool agent_admits(const char *namespaces, const char *pod)
{
	const size_t ns = strcspn(pod, "/");

	if (!namespaces)
		return true;
	while (*namespaces) {
		const size_t n = strcspn(namespaces, ",");

		if (n > 0 && namespaces[n - 1] == '*'
			? n - 1 <= ns && memcmp(namespaces, pod, n - 1) == 0
			: n == ns && memcmp(namespaces, pod, n) == 0)
			return true;
		namespaces += n;
		namespaces += *namespaces == ',';
	}
	return false;
}

/* --- files --- */

static void read_prefix(struct json *j, struct ipprefix *out)
{
	char text[IPPREFIX_TEXT];

	json_str(j, text, sizeof text);
	if (!ipprefix_parse(bytes_str(text), out))
		j->failed = true;
}

static uint32_t read_u32(struct json *j)
{
	const uint64_t v = json_u64(j);

	if (v > UINT32_MAX)
		j->failed = true;
	return (uint32_t)v;
}

static void read_rule(struct json *j, struct rtnl_rule *out)
{
	struct bytes key;
	bool has_to = false;

	*out = (struct rtnl_rule){ 0 };
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "priority"))
			out->priority = read_u32(j);
		else if (json_key_is(key, "from")) {
			read_prefix(j, &out->from);
			out->has_from = true;
		} else if (json_key_is(key, "to")) {
			read_prefix(j, &out->to);
			has_to = true;
		} else if (json_key_is(key, "iif"))
			json_str(j, out->iif, sizeof out->iif);
		else if (json_key_is(key, "lookup")) {
			out->table = read_u32(j);
			out->is_lookup = true;
		} else
			json_skip(j);
	}
	if (!has_to || out->priority == 0 || (!out->has_from && !*out->iif) ||
	    (out->has_from && ip_is_v4(&out->from.ip) != ip_is_v4(&out->to.ip)))
		j->failed = true;
}

static void read_rules(struct json *j, struct agent_attachment *out)
{
	json_arr(j);
	while (json_elem(j)) {
		if (out->n_rules == AGENT_RULES_MAX) {
			j->failed = true;
			return;
		}
		read_rule(j, &out->rules[out->n_rules++]);
	}
}

bool agent_attachment_parse(struct bytes text, struct agent_attachment *out)
{
	struct json j = json_of(text);
	struct bytes key;
	char state[16] = "";
	uint64_t protocol = 0;

	memset(out, 0, sizeof *out);
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "network"))
			json_str(&j, out->network, sizeof out->network);
		else if (json_key_is(key, "container"))
			json_str(&j, out->container, sizeof out->container);
		else if (json_key_is(key, "ifname"))
			json_str(&j, out->ifname, sizeof out->ifname);
		else if (json_key_is(key, "netns"))
			json_str(&j, out->netns, sizeof out->netns);
		else if (json_key_is(key, "netnsDev"))
			out->netns_dev = json_u64(&j);
		else if (json_key_is(key, "netnsIno"))
			out->netns_ino = json_u64(&j);
		else if (json_key_is(key, "state"))
			json_str(&j, state, sizeof state);
		else if (json_key_is(key, "protocol"))
			protocol = json_u64(&j);
		else if (json_key_is(key, "rules"))
			read_rules(&j, out);
		else
			json_skip(&j);
	}
	if (!json_done(&j) || protocol == 0 || protocol > UINT8_MAX)
		return false;
	for (size_t i = 0; i < out->n_rules; i++)
		out->rules[i].protocol = (uint8_t)protocol;
	out->is_guarded = strcmp(state, "guarded") == 0;
	return out->is_guarded || strcmp(state, "granted") == 0 || strcmp(state, "pending") == 0;
}
