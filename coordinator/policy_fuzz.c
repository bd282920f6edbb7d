/* coordinator/policy_fuzz.c - any text: refused with words, or compiled for two nodes without harm
 */
#include "coordinator/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char tags[][POLICY_TAG_MAX] = { "tag:web" };
	static const struct ipprefix lan = { { { [10] = 0xff, [11] = 0xff, 10, 1 } }, 112 };
	const struct policy_node nodes[2] = {
		{ .id = 1, .owner = 1, .user = "alice", .v4 = ip_v4(100, 64, 0, 1) },
		{ .id = 2,
		  .user = "",
		  .tags = tags,
		  .n_tags = 1,
		  .v4 = ip_v4(100, 64, 0, 2),
		  .routes = &lan,
		  .n_routes = 1 },
	};
	struct err e = { 0 };
	struct policy *p = policy_parse(bytes_of(data, len), &e);
	struct policy_route route = { .prefix = lan, .is_primary = true };
	struct policy_judged judged;
	struct buf out;

	if (!p)
		return 0;
	buf_init(&out, 1 << 20);
	if (policy_test(p, nodes, 2, &e) == 0)
		(void)(policy_filter_emit(p, 1, &out) + policy_ssh_emit(p, 0, "https://h/", &out) +
		       policy_attrs_emit(p, &nodes[0], &out) + policy_sees(p, 0, 1) +
		       policy_tag_allowed(p, "alice", "tag:web"));
	if (policy_prepare(p, nodes, 2) == 0)
		(void)!policy_routes_seen(p, 0, 1, &route, 1);
	(void)!policy_test_names(p, &judged, &e);
	buf_fini(&out);
	policy_free(p);
	return 0;
}
