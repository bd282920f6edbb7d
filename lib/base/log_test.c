/* base/log_test.c - a line of the log is one line, whatever text of others it repeats */
#include "base/log.h"

#include "tests/harness.h"

static char got[2048];

static void keep(enum log_level level, const char *line)
{
	(void)level;
	snprintf(got, sizeof got, "%s", line);
}

static const char *logged(const char *text)
{
	log_set(keep, LOG_INFO);
	log_info("peer says %s", text);
	return got;
}

TEST(text_of_others_forges_no_line_and_steers_no_terminal)
{
	ck_assert_str_eq(logged("a\nb\x1b[2J\xc2\x9b"
				"0m\xff"),
			 "peer says a?b?[2J??0m?");
	ck_assert_str_eq(logged("caf\xc3\xa9"), "peer says caf\xc3\xa9");
}

TEST(a_line_names_the_node_whose_turn_it_is_behind_its_module)
{
	const char *was = log_as("web: ");

	ck_assert_ptr_eq(was, NULL);
	ck_assert_str_eq(logged("no more"), "web: peer says no more");
	log_info("node: a: b");
	ck_assert_str_eq(got, "node: web: a: b");
	{
		LOG_AS("");
		log_info("node: c");
		ck_assert_str_eq(got, "node: c");
	}
	log_info("node: d");
	ck_assert_str_eq(got, "node: web: d");
	ck_assert_str_eq(log_as(NULL), "web: ");
	log_info("node: e");
	ck_assert_str_eq(got, "node: e");
}

TEST(a_label_never_makes_a_line_longer_than_its_room)
{
	char text[2000], label[2000];

	memset(text, 'x', sizeof text);
	memset(label, 'l', sizeof label);
	text[sizeof text - 1] = label[sizeof label - 1] = 0;
	for (size_t cut = 0; cut < 1100; cut++) {
		LOG_AS(label + cut);
		log_set(keep, LOG_INFO);
		log_info("m: %s", text + sizeof text - 1 - cut);
		ck_assert_uint_eq(strlen(got), MIN_OF((size_t)1023, 3 + 1999 - cut + cut));
		ck_assert_int_eq(got[3], 'l');
	}
}

TEST(a_long_line_is_cut_and_its_last_character_with_it)
{
	char text[2000];

	for (size_t i = 0; i + 1 < sizeof text; i++)
		text[i] = i % 2 ? (char)0xa9 : (char)0xc3;
	text[sizeof text - 1] = 0;
	logged(text);
	ck_assert_uint_eq(strlen(got), 1023);
	ck_assert_int_eq(got[1022], '?');
	ck_assert_int_eq(got[1021], (char)0xa9);
}
