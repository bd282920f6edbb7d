/* host/host_test.c - lines of the log name the node whose turn it is */
#include "tests/host_fixture.h"

#include "base/log.h"

enum { LINES = 64 };
static char lines[LINES][256];
static size_t n_lines;

static void keep(enum log_level level, const char *line)
{
	(void)level;
	if (n_lines < LINES)
		snprintf(lines[n_lines++], sizeof lines[0], "%s", line);
}

static size_t count(const char *start)
{
	size_t n = 0;

	for (size_t i = 0; i < n_lines; i++)
		n += strncmp(lines[i], start, strlen(start)) == 0;
	return n;
}

/* Control cannot be reached, which a node says when a dial of its own has failed. */
TEST(each_line_of_two_nodes_on_one_loop_says_which_of_them_it_is)
{
	struct host *first;

	host_fixture_label = "web: ";
	host_fixture_init();
	first = host;
	host_fixture_label = "api: ";
	host_fixture_make();
	log_set(keep, LOG_INFO);
	host_start(first);
	host_start(host);
	ck_assert_uint_eq(count("node: web: Starting"), 1);
	ck_assert_uint_eq(count("node: api: Starting"), 1);
	for (int i = 0; i < 500 && (count("node: web: ") < 2 || count("node: api: ") < 2); i++)
		loop_turn(loop, SPAN_MS(20));
	ck_assert_uint_gt(count("node: web: "), 1);
	ck_assert_uint_gt(count("node: api: "), 1);
	ck_assert_uint_eq(count("node: "), count("node: web: ") + count("node: api: "));
	log_info("test: nobody's");
	ck_assert_uint_eq(count("test: nobody's"), 1);
	host_free(first);
	host_fixture_fini();
}
