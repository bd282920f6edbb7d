/* pod/ids_test.c - which names a runtime and an administrator may give; they become paths of files
 */
#include "pod/ids.h"

#include "tests/harness.h"

static bool is_id(const char *text)
{
	return pod_is_id(bytes_str(text), 10);
}

TEST(ids_begin_with_a_letter_or_digit_and_stay_within_their_directory)
{
	static const char *const good[] = { "a", "0", "Z.9_-", "a..", "0123456789" };
	static const char *const bad[] = { "",      ".",   "..",   "-a",         "_a",
					   "a/b",   "a b", "a\n",  "a\\",        "\xc3\xa4",
					   "a\x7f", "a:b", "a%2f", "01234567890" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(is_id(good[i]), "%s was refused", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!is_id(bad[i]), "\"%s\" was taken", bad[i]);
	ck_assert(!pod_is_id(bytes_of("a\0b", 3), 10)); /* would be cut where it is opened */
	ck_assert(!pod_is_id(bytes_of("a\0", 2), 10));
	ck_assert(!pod_is_id((struct bytes){ 0 }, 10));
}

TEST(names_of_interfaces_are_those_that_the_kernel_takes)
{
	static const char *const good[] = { "eth0",     "a",     "...",
					    "eth0.100", "vpn@1", "0123456789abcde" };
	static const char *const bad[] = {
		"", ".", "..", "a/b", "a:1", "a b", "a\tb", "a\n", "0123456789abcdef", "a\x7f"
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(pod_is_ifname(bytes_str(good[i])), "%s was refused", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!pod_is_ifname(bytes_str(bad[i])), "\"%s\" was taken", bad[i]);
	ck_assert(!pod_is_ifname(bytes_of("a\0b", 3)));
}

TEST(a_pattern_means_one_namespace_or_with_a_star_all_that_begin_so)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} v[] = {
		{ "prod", "prod", true },
		{ "prod", "prod-2", false },
		{ "prod", "pro", false },
		{ "prod", "Prod", false },
		{ "prod-*", "prod-2", true },
		{ "prod-*", "prod-", true },
		{ "prod-*", "prod", false },
		{ "*", "anything", true },
		{ "*", "", true },
		{ "", "", true },
		{ "", "a", false },
		{ "*a", "ba", false },
		{ "a*b*", "a*b", true },
		{ "a*b*", "axb", false },
		{ "**", "*x", true },
		{ "**", "x", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		ck_assert_msg(pod_namespace_matches(bytes_str(v[i].pattern),
						    bytes_str(v[i].name)) == v[i].matches,
			      "%s and %s", v[i].pattern, v[i].name);
	ck_assert(pod_namespace_matches(bytes_str("*"), (struct bytes){ 0 }));
	ck_assert(!pod_namespace_matches((struct bytes){ 0 }, bytes_str("a")));
	/* what lies behind a name is not part of it */
	ck_assert(!pod_namespace_matches(bytes_str("prod-*"), bytes_of("prod-2", 4)));
}
