/* coordinator/verify_test.c - questions and verdicts, and what is neither */
#include "coordinator/verify.h"

#include <stdlib.h>

#include "tests/harness.h"

#define KEY_A "nodekey:0101010101010101010101010101010101010101010101010101010101010101"
#define KEY_B "nodekey:0202020202020202020202020202020202020202020202020202020202020202"
#define KEY_0 "nodekey:0000000000000000000000000000000000000000000000000000000000000000"

TEST(a_question_is_understood_as_it_was_asked)
{
	static const struct key_pub key = { { 1, 2, 3, 0xff } };
	static const char *const from[] = { "192.0.2.7", "2001:db8::1" };
	char text[VERIFY_QUESTION_MAX];
	struct key_pub got;
	struct ip ip;

	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		size_t n;

		ck_assert(ip_parse(bytes_str(from[i]), &ip));
		n = verify_question_emit(&key, &ip, text);
		ck_assert_uint_eq(n, strlen(text));
		ck_assert_ptr_nonnull(strstr(text, from[i]));
		ck_assert(verify_question_parse(bytes_of(text, n), &got));
		ck_assert(key_eq(&got, &key));
	}
}

TEST(questions_of_other_programs_are_understood)
{
	static const struct {
		const char *text;
		uint8_t key;
	} v[] = {
		{ "{\"NodePublic\":\"" KEY_A "\",\"Source\":\"\"}", 1 },
		{ " {\"source\":null,\"more\":[{}],\"nodepublic\":\"" KEY_A "\"}\n", 1 },
		{ "{\"NodePublic\":\"" KEY_A "\",\"NodePublic\":\"" KEY_B "\"}", 2 },
	};
	struct key_pub got;

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		ck_assert_msg(verify_question_parse(bytes_str(v[i].text), &got), "%zu", i);
		ck_assert_uint_eq(got.b[0], v[i].key);
	}
}

TEST(what_is_no_question_is_refused_and_changes_nothing)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"null",
		"\"" KEY_A "\"",
		"{\"NodePublic\":null}",
		"{\"NodePublic\":1}",
		"{\"NodePublic\":\"\"}",
		"{\"NodePublic\":\"nodekey:01\"}",
		"{\"NodePublic\":\"m" KEY_A "\"}",
		"{\"NodePublic\":\"" KEY_A "00\"}",
		"{\"NodePublic\":\"" KEY_0 "\"}",
		"{\"NodePublic\":\"" KEY_A "\"",
		"{\"NodePublic\":\"" KEY_A "\"}}",
		"{\"NodePublic\":\"" KEY_A "\"} x",
		"{\"NodePublic\":\"x\",\"NodePublic\":\"" KEY_A "\"}",
		"{\"Source\":\"192.0.2.7\"}",
	};
	static const struct key_pub untouched = { { 9 } };
	struct key_pub got = untouched;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(!verify_question_parse(bytes_str(bad[i]), &got), "%s", bad[i]);
		ck_assert(key_eq(&got, &untouched));
	}
}

TEST(verdicts_are_understood_and_nothing_else_is)
{
	static const char *const bad[] = { "",
					   "{}",
					   "true",
					   "{\"Allow\":1}",
					   "{\"Allow\":true",
					   "{\"Allow\":\"true\"}",
					   "{\"Allow\":true}{}" };
	bool allow = false;

	ck_assert(verify_verdict_parse(verify_verdict(true), &allow) && allow);
	ck_assert(verify_verdict_parse(verify_verdict(false), &allow) && !allow);
	allow = true;
	ck_assert(verify_verdict_parse(bytes_str("{\"Allow\":null}"), &allow) && !allow);
	ck_assert(verify_verdict_parse(bytes_str("{\"x\":[1],\"allow\":true}"), &allow) && allow);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!verify_verdict_parse(bytes_str(bad[i]), &allow) && allow, "%s",
			      bad[i]);
}

TEST(bodies_beyond_4096_bytes_are_none)
{
	static const char question[] = "{\"NodePublic\":\"" KEY_A "\"}",
			  verdict[] = "{\"Allow\":true}";
	char *body = malloc(VERIFY_BODY_MAX + 1);
	struct key_pub got;
	bool allow;

	ck_assert_ptr_nonnull(body);
	memset(body, ' ', VERIFY_BODY_MAX + 1);
	memcpy(body, question, strlen(question));
	ck_assert(verify_question_parse(bytes_of(body, VERIFY_BODY_MAX), &got));
	ck_assert(!verify_question_parse(bytes_of(body, VERIFY_BODY_MAX + 1), &got));
	memset(body, ' ', VERIFY_BODY_MAX + 1);
	memcpy(body, verdict, strlen(verdict));
	ck_assert(verify_verdict_parse(bytes_of(body, VERIFY_BODY_MAX), &allow));
	ck_assert(!verify_verdict_parse(bytes_of(body, VERIFY_BODY_MAX + 1), &allow));
	free(body);
}
