/* coordinator/policy_fuzz.c - any text: refused with words, or compiled for two nodes without harm
 */
#include "coordinator/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char tags[][POLICY_TAG_MAX] = { "tag:web" };
	const struct policy_node nodes[2] = {
		{ .id = 1, .owner = 1, .user = "alice", .v4 = ip_v4(100, 64, 0, 1) },
		{ .id = 2, .user = "", .tags = tags, .n_tags = 1, .v4 = ip_v4(100, 64, 0, 2) },
	};
	struct err e = { 0 };
	struct policy *p = policy_parse(bytes_of(data, len), &e);
	struct buf out;

	if (!p)
		return 0;
	buf_init(&out, 1 << 20);
	if (policy_test(p, nodes, 2, &e) == 0)
		(void)(policy_filter_emit(p, 1, &out) + policy_ssh_emit(p, 0, "https://h/", &out) +
		       policy_attrs_emit(p, &nodes[0], &out) + policy_sees(p, 0, 1) +
		       policy_tag_allowed(p, "alice", "tag:web"));
	buf_fini(&out);
	policy_free(p);
	return 0;
}
