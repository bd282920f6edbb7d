/* containerboot/owner_text_test.c - what an object and an event of a watch say */
#include "containerboot/owner_text.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"

#define META "\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"12\""
#define GOING ",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}"

static char version[KUBE_VERSION_MAX];

TEST(an_object_is_there_until_it_has_a_deletion_time)
{
	ck_assert_int_eq(owner_object_parse(bytes_str("{" META "},\"spec\":{}}"), version),
			 OWNER_THERE);
	ck_assert_str_eq(version, "12");
	ck_assert_int_eq(
	    owner_object_parse(bytes_str("{" META ",\"deletionTimestamp\":null}}"), version),
	    OWNER_THERE);
	ck_assert_int_eq(owner_object_parse(bytes_str("{" META GOING), version), OWNER_GONE);
}

TEST(events_say_there_gone_or_nothing)
{
	static const struct {
		const char *line;
		enum owner_says want;
	} rows[] = {
		{ "{\"type\":\"ADDED\",\"object\":{" META "}}}", OWNER_THERE },
		{ "{\"type\":\"MODIFIED\",\"object\":{" META "}}}", OWNER_THERE },
		{ "{\"type\":\"MODIFIED\",\"object\":{" META GOING "}", OWNER_GONE },
		{ "{\"object\":{" META "}},\"type\":\"DELETED\"}", OWNER_GONE },
		{ "{\"type\":\"BOOKMARK\",\"object\":{" META "}}}", OWNER_NOTHING },
		{ "{\"type\":\"LATER\",\"object\":{" META "}}}", OWNER_NOTHING },
		{ "{\"type\":\"ERROR\",\"object\":{\"code\":410}}", OWNER_BAD },
		{ "{\"type\":\"DELETED\"}", OWNER_BAD },
		{ "{\"type\":\"DELETED\",\"object\":null", OWNER_BAD },
		{ "", OWNER_BAD },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(owner_event_parse(bytes_str(rows[i].line), version) == rows[i].want,
			      "%s", rows[i].line);
}

TEST(an_event_cut_anywhere_is_bad_and_never_a_deletion)
{
	static const char line[] = "{\"type\":\"DELETED\",\"object\":{" META "}}}";

	for (size_t n = 0; n < sizeof line - 1; n++)
		ck_assert_int_eq(owner_event_parse(bytes_of(line, n), version), OWNER_BAD);
}

TEST(a_version_that_is_no_number_reaches_no_request)
{
	(void)bytes_to_str(bytes_str("7"), version, sizeof version);
	ck_assert_int_eq(owner_object_parse(
			     bytes_str("{\"metadata\":{\"resourceVersion\":\"1&x=2\"}}"), version),
			 OWNER_BAD);
	ck_assert_str_eq(version, "7");
}
