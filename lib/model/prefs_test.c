/* model/prefs_test.c */
#include "model/prefs.h"

#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "model/merge.h"
#include "tests/harness.h"

static struct prefs p, q;
static struct err e;

static struct bytes text(const char *s)
{
	return bytes_str(s);
}

/* merge_emit into a string */
static const char *merged(const char *base, const struct merge_member *m, size_t n)
{
	static char out[1024];
	struct buf b;

	buf_init(&b, sizeof out - 1);
	ck_assert_int_eq(merge_emit(text(base), m, n, &b), 0);
	ck_assert(bytes_to_str(buf_bytes(&b), out, sizeof out));
	buf_fini(&b);
	return out;
}

TEST(merge_replaces_in_place_keeps_the_rest_verbatim_and_adds_what_was_missing)
{
	const struct merge_member m[] = { { "a", text("7") }, { "new", text("[1]") } };

	ck_assert_str_eq(
	    merged("{ \"x\\u0041\" : 1.50, \"A\": {\"deep\": [ ]}, \"z\": null }", m, 2),
	    "{\"x\\u0041\":1.50,\"a\":7,\"z\":null,\"new\":[1]}");
	ck_assert_str_eq(merged("", m, 2), "{\"a\":7,\"new\":[1]}");
	ck_assert_str_eq(merged("null", m, 1), "{\"a\":7}");
	ck_assert_str_eq(merged("{}", NULL, 0), "{}");
}

TEST(merge_removes_a_member_with_an_empty_value_and_drops_repeated_ones)
{
	const struct merge_member m[] = { { "gone", { 0 } }, { "once", text("1") } };

	ck_assert_str_eq(merged("{\"gone\":1,\"once\":2,\"Once\":3}", m, 2), "{\"once\":1}");
}

TEST(merge_refuses_what_is_not_an_object_and_leaves_the_output_alone)
{
	static const char *const bad[] = { "[1]", "7", "{\"a\":}", "{\"a\":1", "{} x" };
	struct buf b;

	buf_init(&b, 100);
	ck_assert(buf_append(&b, "ab", 2));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_int_eq(merge_emit(text(bad[i]), NULL, 0, &b), -EBADMSG);
	ck_assert(bytes_eq_str(buf_bytes(&b), "ab"));
	buf_fini(&b);
}

TEST(what_is_emitted_is_parsed_back_equal_for_random_preferences)
{
	struct seed_rng rng;
	struct buf out;

	seed_rng_init(&rng, 7);
	for (int round = 0; round < 200; round++) {
		prefs_default(&p);
		for (size_t i = 0; i < prefs_n_fields; i++) {
			const struct prefs_field *f = &prefs_fields[i];
			char *at = (char *)&p + f->off;

			if (f->kind == PREFS_BOOL)
				*(bool *)at = rng_below(&rng.rng, 2);
			else if (f->kind == PREFS_OPT_BOOL)
				*(int *)(void *)at = (int)rng_below(&rng.rng, 3) - 1;
			else if (f->kind == PREFS_INT)
				*(int *)(void *)at = (int)rng_below(&rng.rng, 3);
			else if (f->kind == PREFS_TEXT)
				snprintf(at, f->size, "a\"\\\n%llu",
					 (unsigned long long)rng_u64(&rng.rng));
			else
				for (uint64_t n = rng_below(&rng.rng, 5); n > 0; n--) {
					char elem[32];

					snprintf(elem, sizeof elem, "tag:%u", rng_u32(&rng.rng));
					ck_assert(prefs_list_add(at, f->size, text(elem)));
				}
		}
		buf_init(&out, 1 << 20);
		ck_assert_int_eq(
		    prefs_emit(&p, text(round % 2 ? "{\"Other\":[1]}" : ""), text("{}"), &out), 0);
		memset(&q, 0xff, sizeof q);
		prefs_default(&q);
		ck_assert_msg(prefs_parse(&q, buf_bytes(&out), &e) == 0, "%s", e.text);
		ck_assert(prefs_eq(&p, &q));
		buf_fini(&out);
	}
}

TEST(unknown_fields_of_a_profile_survive_and_config_is_replaced)
{
	const char *base =
	    "{\"ControlURL\":\"http://"
	    "a\",\"AutoUpdate\":{\"Check\":true,\"Apply\":null},\"Config\":{\"k\":1}}";
	struct buf out;
	char *s;

	prefs_default(&p);
	ck_assert_int_eq(prefs_parse(&p, text(base), &e), 0);
	buf_init(&out, 1 << 16);
	ck_assert_int_eq(prefs_emit(&p, text(base), text("{\"k\":2}"), &out), 0);
	s = buf_take_str(&out);
	ck_assert_ptr_nonnull(strstr(s, "\"AutoUpdate\":{\"Check\":true,\"Apply\":null}"));
	ck_assert_ptr_nonnull(strstr(s, "\"Config\":{\"k\":2}"));
	ck_assert_ptr_nonnull(strstr(s, "\"ControlURL\":\"http://a\""));
	free(s);
}

TEST(a_patch_changes_only_members_whose_set_flag_is_true)
{
	prefs_default(&p);
	p.shields_up = true;
	ck_assert_int_eq(
	    prefs_patch(
		&p,
		text("{\"Hostname\":\"new\",\"HostnameSet\":true,\"ControlURL\":\"http://no\","
		     "\"ShieldsUpSet\":true,\"AdvertiseTags\":[\"tag:a\",\"tag:b\"],"
		     "\"AdvertiseTagsSet\":true,\"CorpDNS\":false,\"CorpDNSSet\":false}"),
		&e),
	    0);
	ck_assert_str_eq(p.hostname, "new");
	ck_assert_str_eq(p.control_url, PREFS_CONTROL_URL_DEFAULT);
	ck_assert(!p.shields_up); /* set and absent: the zero value */
	ck_assert_str_eq(p.tags, "tag:a,tag:b");
	ck_assert(p.accept_dns);
}

TEST(a_patch_of_something_unknown_is_refused_only_when_it_asks_for_something)
{
	prefs_default(&p);
	ck_assert_int_eq(
	    prefs_patch(&p, text("{\"NotepadURLs\":true,\"NotepadURLsSet\":true}"), &e), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(e.text, "NotepadURLs"));
	ck_assert_int_eq(
	    prefs_patch(&p, text("{\"NotepadURLs\":false,\"NotepadURLsSet\":true}"), &e), 0);
	ck_assert_int_eq(prefs_patch(&p, text("{\"AutoUpdateSet\":{\"CheckSet\":true}}"), &e), 0);
}

TEST(malformed_or_oversized_preferences_are_refused_and_change_nothing)
{
	static char big[PREFS_URL_MAX + 64];
	static const char *const bad[] = { "",
					   "[]",
					   "{\"ControlURL\":7}",
					   "{\"RouteAll\":\"yes\"}",
					   "{\"AdvertiseTags\":[\"a,b\"]}",
					   "{\"AdvertiseTags\":\"tag:a\"}",
					   "{\"NetfilterMode\":99999999999}",
					   "{\"Hostname\":\"x\"",
					   "{\"Hostname\":\"\x9a\"}" };

	prefs_default(&p);
	prefs_default(&q);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(prefs_parse(&p, text(bad[i]), &e) == -EBADMSG, "%s", bad[i]);
	snprintf(big, sizeof big, "{\"ControlURL\":\"%0*d\"}", PREFS_URL_MAX, 0);
	ck_assert_int_eq(prefs_parse(&p, text(big), &e), -EBADMSG);
	snprintf(big, sizeof big, "{\"ControlURL\":\"%0*d\"}", PREFS_URL_MAX - 1, 0);
	ck_assert(prefs_eq(&p, &q));
	ck_assert_int_eq(prefs_parse(&p, text(big), &e), 0); /* exactly the limit */
}

TEST(a_list_is_walked_and_filled_to_its_limit)
{
	struct bytes left = text("a,b,,c"), elem;
	char list[8] = "";

	ck_assert(prefs_list_next(&left, &elem) && bytes_eq_str(elem, "a"));
	ck_assert(prefs_list_next(&left, &elem) && bytes_eq_str(elem, "b"));
	ck_assert(prefs_list_next(&left, &elem) && elem.len == 0);
	ck_assert(prefs_list_next(&left, &elem) && bytes_eq_str(elem, "c"));
	ck_assert(!prefs_list_next(&left, &elem));
	ck_assert(prefs_list_add(list, sizeof list, text("abc")));
	ck_assert(!prefs_list_add(list, sizeof list, text("defg")));
	ck_assert(prefs_list_add(list, sizeof list, text("def")));
	ck_assert_str_eq(list, "abc,def");
}

TEST(every_field_has_a_text_for_people_and_a_distinct_name)
{
	char tmp[16];

	prefs_default(&p);
	for (size_t i = 0; i < prefs_n_fields; i++) {
		ck_assert(*prefs_field_text(&prefs_fields[i], &p, tmp));
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(prefs_fields[i].json, prefs_fields[k].json);
	}
}
