/* ts2021/hostinfo_test.c - what a node tells about itself: changes, limits, text from outside */
#include "ts2021/hostinfo.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/harness.h"

static struct hostinfo h;
static bool changed;

static int set(const struct control_hostinfo *hi)
{
	return hostinfo_set(&h, "1.0", hi, &changed);
}

/* What is sent; free() it. Fails the test when it is no JSON. */
static char *emitted(bool with_tags)
{
	struct jsonw w;
	struct buf b;
	struct json j;
	char *text;

	buf_init(&b, 4 * HOSTINFO_MAX);
	jsonw_init(&w, &b);
	hostinfo_emit(&h, &w, with_tags);
	ck_assert(jsonw_ok(&w));
	j = json_of(buf_bytes(&b));
	json_skip(&j);
	ck_assert(json_done(&j));
	ck_assert(json_is_utf8(buf_bytes(&b)));
	text = buf_take_str(&b);
	ck_assert_ptr_nonnull(text);
	return text;
}

static bool says(const char *what)
{
	char *text = emitted(true);
	const bool found = strstr(text, what);

	free(text);
	return found;
}

TEST(before_anything_is_set_an_empty_object_is_sent)
{
	char *text;

	hostinfo_init(&h);
	text = emitted(true);
	ck_assert_str_eq(text, "{}");
	free(text);
	hostinfo_fini(&h);
}

TEST(text_of_the_host_stays_within_its_member)
{
	/* names of hosts and distributions come from files that somebody else writes */
	const struct control_hostinfo hi = { .hostname = "a\"},\"App\":\"x",
					     .distro = "line\nbreak\t\x01",
					     .os_version = "\xff\xfe not UTF-8",
					     .machine = "back\\slash" };

	hostinfo_init(&h);
	ck_assert_int_eq(set(&hi), 0);
	ck_assert(says("\"Hostname\":\"a\\\"},\\\"App\\\":\\\"x\""));
	ck_assert(says("\"Machine\":\"back\\\\slash\""));
	ck_assert(!says("\"App\":\"x\""));
	hostinfo_fini(&h);
}

TEST(each_difference_is_a_change_and_the_same_again_is_none)
{
	static const char *const one[] = { "tag:a" }, *const two[] = { "tag:a", "tag:b" };
	static const struct ipprefix all = { 0 };
	const struct control_hostinfo v[] = {
		{ .hostname = "a" },
		{ .hostname = "b" },
		{ .hostname = "b", .tags = one, .n_tags = 1 },
		{ .hostname = "b", .tags = two, .n_tags = 2 },
		{ .hostname = "b", .routes = &all, .n_routes = 1 },
		{ .hostname = "b", .peerapi4 = 1 },
		{ .hostname = "b", .peerapi6 = 1 },
		{ .hostname = "b", .shields_up = true },
		{ .hostname = "b", .userspace = true },
		{ .hostname = "b", .container = true },
		{ .hostname = "b" },
	};

	hostinfo_init(&h);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		ck_assert_int_eq(set(&v[i]), 0);
		ck_assert_msg(changed, "row %zu", i);
		ck_assert_int_eq(set(&v[i]), 0);
		ck_assert_msg(!changed, "row %zu, again", i);
	}
	hostinfo_fini(&h);
}

TEST(tags_are_asked_for_only_where_they_are_wanted)
{
	static const char *const tags[] = { "tag:a", "tag:b" };
	const struct control_hostinfo hi = { .hostname = "h", .tags = tags, .n_tags = 2 };
	char *text;

	hostinfo_init(&h);
	ck_assert_int_eq(set(&hi), 0);
	ck_assert(says("\"RequestTags\":[\"tag:a\",\"tag:b\"]"));
	text = emitted(false);
	ck_assert_ptr_null(strstr(text, "RequestTags"));
	free(text);
	ck_assert_int_eq(set(&(struct control_hostinfo){ .hostname = "h" }), 0);
	ck_assert(!says("RequestTags"));
	hostinfo_fini(&h);
}

TEST(what_is_too_large_is_refused_and_what_was_told_before_stays)
{
	char *name = malloc(HOSTINFO_MAX + 1);
	const char *tags[1] = { name };
	struct control_hostinfo hi = { .hostname = "before" };

	ck_assert_ptr_nonnull(name);
	memset(name, 'n', HOSTINFO_MAX);
	name[HOSTINFO_MAX] = 0;
	hostinfo_init(&h);
	ck_assert_int_eq(set(&hi), 0);
	hi.hostname = name;
	ck_assert_int_eq(set(&hi), -ENOMEM);
	ck_assert(says("\"Hostname\":\"before\""));
	hi = (struct control_hostinfo){ .hostname = "after", .tags = tags, .n_tags = 1 };
	ck_assert_int_eq(set(&hi), -ENOMEM);
	ck_assert(says("\"Hostname\":\"before\"") && !says("RequestTags"));
	hi.hostname = name + HOSTINFO_MAX / 2; /* half of it fits */
	hi.n_tags = 0;
	ck_assert_int_eq(set(&hi), 0);
	ck_assert(changed);
	hostinfo_fini(&h);
	free(name);
}

TEST(what_was_measured_of_the_network_survives_a_change_of_the_rest)
{
	const struct control_netinfo ni = { .working_udp = 1, .working_v6 = -1, .home = 7 };

	hostinfo_init(&h);
	ck_assert_int_eq(set(&(struct control_hostinfo){ .hostname = "a" }), 0);
	ck_assert(!says("NetInfo")); /* not measured yet */
	ck_assert(hostinfo_set_net(&h, &ni));
	ck_assert_int_eq(set(&(struct control_hostinfo){ .hostname = "b" }), 0);
	ck_assert(says("\"PreferredDERP\":7"));
	ck_assert(says("\"WorkingUDP\":true"));
	ck_assert(!says("WorkingIPv6")); /* unknown is not false */
	ck_assert(!says("UPnP") && !says("HavePortMap"));
	hostinfo_fini(&h);
}

TEST(each_fact_of_the_network_counts_as_a_change_but_latency)
{
	struct control_netinfo ni = { .working_udp = -1, .working_v6 = -1, .varies_by_dest = -1 };

	hostinfo_init(&h);
	ck_assert(hostinfo_set_net(&h, &ni)); /* the first is one whatever it says */
	ck_assert(!hostinfo_set_net(&h, &ni));
#define CHANGE(member, value)                                                                      \
	do {                                                                                       \
		ni.member = (value);                                                               \
		ck_assert_msg(hostinfo_set_net(&h, &ni), #member);                                 \
		ck_assert_msg(!hostinfo_set_net(&h, &ni), #member ", again");                      \
	} while (0)
	CHANGE(working_udp, 0);
	CHANGE(working_udp, 1);
	CHANGE(working_v6, 1);
	CHANGE(varies_by_dest, 1);
	CHANGE(os_has_v6, true);
	CHANGE(home, 1);
	CHANGE(asked_gateway, true);
	CHANGE(have_portmap, true);
	CHANGE(upnp, true);
	CHANGE(pmp, true);
	CHANGE(pcp, true);
#undef CHANGE
	ni.n_latency = 1;
	ni.latency[0].region = UINT16_MAX;
	ni.latency[0].v6 = true;
	ni.latency[0].seconds = 0.25;
	ck_assert(!hostinfo_set_net(&h, &ni));
	ck_assert(says("\"DERPLatency\":{\"65535-v6\":0.25}")); /* told with the next report */
	hostinfo_fini(&h);
}

TEST(no_more_latencies_are_told_than_there_is_room_for)
{
	struct control_netinfo ni = { 0 };
	char want[32];

	for (size_t i = 0; i < ARRAY_LEN(ni.latency); i++) {
		ni.latency[i].region = (uint16_t)(i + 1);
		ni.latency[i].seconds = 1;
	}
	ni.n_latency = SIZE_MAX;
	hostinfo_init(&h);
	(void)hostinfo_set_net(&h, &ni);
	snprintf(want, sizeof want, "\"%zu-v4\":1}", ARRAY_LEN(ni.latency));
	ck_assert(says(want));
	hostinfo_fini(&h);
}
