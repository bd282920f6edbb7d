/* kube/object_test.c - objects of the API as sections, what is found in them, paths */
#include "kube/object.h"

#include <stdlib.h>

#include "tests/harness.h"

#define POD                                                                                        \
	"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"u\","        \
	"\"resourceVersion\":\"3\","                                                               \
	"\"generation\":2,\"labels\":{\"a\":\"1\",\"b\\/c\":\"2\"},\"finalizers\":[\"x\",\"y\"],"  \
	"\"deletionTimestamp\":\"2026-01-02T03:04:05Z\",\"managedFields\":[{}]},\"spec\":{\"t\":{" \
	"\"u\":\"v\"}}}"

TEST(object_sections_are_found_and_strings_in_them)
{
	struct kube_object o;
	char v[8];
	bool too_long;

	ck_assert(kube_object_parse(bytes_str(POD), &o));
	ck_assert_str_eq(o.ns, "n");
	ck_assert_str_eq(o.rv, "3");
	ck_assert_int_eq(o.generation, 2);
	ck_assert(o.is_deleting);
	ck_assert(kube_member(o.labels, "a", v, sizeof v, NULL));
	ck_assert_str_eq(v, "1");
	ck_assert(kube_member(o.labels, "b/c", v, sizeof v, NULL));
	ck_assert(!kube_member(o.labels, "z", v, sizeof v, NULL));
	ck_assert(!kube_member(o.labels, "a", v, 1, &too_long));
	ck_assert(too_long);
	ck_assert(kube_has_string(o.finalizers, "y"));
	ck_assert(!kube_has_string(o.finalizers, "z"));
	ck_assert(kube_str_at(o.spec, "t.u", v, sizeof v));
	ck_assert_str_eq(v, "v");
}

TEST(object_cut_at_any_byte_is_refused)
{
	struct kube_object o;

	for (size_t n = 0; n < sizeof POD - 1; n++)
		ck_assert(!kube_object_parse(bytes_of(POD, n), &o));
}

TEST(paths_name_group_namespace_object_and_subresource_and_escape_names)
{
	char p[KUBE_PATH_MAX];

	ck_assert(kube_path(p, sizeof p, "v1", "services", "a", "b", "status"));
	ck_assert_str_eq(p, "/api/v1/namespaces/a/services/b/status");
	ck_assert(kube_path(p, sizeof p, "apps/v1", "statefulsets", NULL, NULL, NULL));
	ck_assert_str_eq(p, "/apis/apps/v1/statefulsets");
	ck_assert(kube_path(p, sizeof p, "v1", "pods", "a/../b", "c?d", NULL));
	ck_assert_str_eq(p, "/api/v1/namespaces/a%2F..%2Fb/pods/c%3Fd");
	for (size_t cap = 0; cap < 20; cap++)
		ck_assert(!kube_path(p, cap, "v1", "services", "a", "b", "status"));
}

/* "{"metadata":{"name":"p","KEY":"xxx..."}}" with n characters; free() it */
static char *with_member(const char *key, size_t n)
{
	char *text, *value = malloc(n + 1);

	ck_assert_ptr_nonnull(value);
	memset(value, 'x', n);
	value[n] = 0;
	ck_assert_int_gt(
	    asprintf(&text, "{\"metadata\":{\"name\":\"p\",\"%s\":\"%s\"}}", key, value), 0);
	free(value);
	return text;
}

TEST(object_with_a_name_or_version_past_its_limit_is_refused)
{
	static const struct {
		const char *key;
		size_t max;
	} v[] = { { "name", KUBE_NAME_MAX },
		  { "namespace", KUBE_NS_MAX },
		  { "uid", KUBE_UID_MAX },
		  { "resourceVersion", KUBE_RV_MAX } };
	struct kube_object o;

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		for (size_t over = 0; over < 2; over++) {
			char *text = with_member(v[i].key, v[i].max + over);

			ck_assert_msg(kube_object_parse(bytes_str(text), &o) == (over == 0),
				      "%s with %zu characters", v[i].key, v[i].max + over);
			free(text);
		}
}

TEST(what_is_no_object_with_a_name_is_refused)
{
	static const char *const bad[] = {
		"",
		"null",
		"[]",
		"\"p\"",
		"{}",
		"{\"metadata\":null}",
		"{\"metadata\":{}}",
		"{\"metadata\":[]}",
		"{\"metadata\":{\"name\":null}}",
		"{\"metadata\":{\"name\":\"\"}}",
		"{\"metadata\":{\"name\":7}}",
		"{\"metadata\":{\"name\":\"a\\u0000b\"}}", /* would be cut where it is shown */
		"{\"metadata\":{\"name\":\"p\",\"generation\":1.5}}",
		"{\"metadata\":{\"name\":\"p\",\"creationTimestamp\":\"yesterday\"}}",
		"{\"metadata\":{\"name\":\"p\",\"deletionTimestamp\":7}}",
		"{\"metadata\":{\"name\":\"p\"}} {}",
		"{\"metadata\":{\"name\":\"p\"},}",
	};
	struct kube_object o;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!kube_object_parse(bytes_str(bad[i]), &o), "%s was taken", bad[i]);
}

TEST(what_is_null_is_as_if_it_were_not_there)
{
	struct kube_object o;
	char v[8];

	ck_assert(kube_object_parse(
	    bytes_str("{\"metadata\":{\"name\":\"p\",\"namespace\":null,\"labels\":null,"
		      "\"finalizers\":null,\"generation\":null,\"deletionTimestamp\":null,"
		      "\"creationTimestamp\":null},\"spec\":null,\"status\":null}"),
	    &o));
	ck_assert_str_eq(o.ns, "");
	ck_assert_int_eq(o.generation, 0);
	ck_assert(!o.is_deleting);
	ck_assert_int_eq(o.deleted.ns, 0);
	ck_assert(!kube_member(o.labels, "a", v, sizeof v, NULL));
	ck_assert(!kube_has_member(o.labels, "a"));
	ck_assert(!kube_has_string(o.finalizers, "a"));
	ck_assert_uint_eq(kube_at(o.spec, "template").len, 0);
	ck_assert(!kube_str_at(o.status, "phase", v, sizeof v));
}

TEST(members_are_found_by_the_name_that_is_meant_however_it_is_escaped)
{
	const struct bytes o =
	    bytes_str("{\"\\u0061\\/b\":\"1\",\"\\ud83d\":\"2\",\"n\":7,\"z\":null,\"s\":\"\"}");
	bool too_long = true;
	char v[8] = "before";

	ck_assert(kube_member(o, "a/b", v, sizeof v, NULL));
	ck_assert_str_eq(v, "1");
	ck_assert(kube_has_member(o, "a/b") && kube_has_member(o, "z"));
	ck_assert(!kube_has_member(o, "A/b")); /* names of Kubernetes have their case */
	ck_assert(!kube_has_member(o, "a") && !kube_has_member(o, ""));
	ck_assert(!kube_member(o, "n", v, sizeof v, &too_long)); /* a number is no string */
	ck_assert(!too_long);
	ck_assert(kube_member(o, "s", v, sizeof v, NULL));
	ck_assert_str_eq(v, "");
}

TEST(values_up_to_the_room_are_given_and_longer_ones_leave_nothing_behind)
{
	const struct bytes o = bytes_str("{\"seven\":\"1234567\",\"eight\":\"12345678\"}");
	bool too_long = true;
	char v[8];

	ck_assert(kube_member(o, "seven", v, sizeof v, &too_long));
	ck_assert_str_eq(v, "1234567");
	ck_assert(!too_long);
	ck_assert(!kube_member(o, "eight", v, sizeof v, &too_long));
	ck_assert(too_long);
	ck_assert_str_eq(v, "");
	ck_assert(!kube_member(o, "nine", v, sizeof v, &too_long));
	ck_assert(!too_long);
}

TEST(of_a_list_only_whole_strings_count)
{
	const struct bytes list = bytes_str("[null,7,[\"x\"],{\"x\":\"x\"},\"xy\",\"\\u0079\"]");

	ck_assert(!kube_has_string(list, "x"));
	ck_assert(kube_has_string(list, "xy"));
	ck_assert(kube_has_string(list, "y"));
	ck_assert(!kube_has_string(bytes_str("[\"a\",\"b\""), "c"));
	ck_assert(!kube_has_string(bytes_str("{\"a\":\"b\"}"), "a"));
}

TEST(paths_into_an_object_end_where_it_does)
{
	const struct bytes o = bytes_str("{\"a\":{\"b\":{\"c\":\"x\"},\"\":1},\"s\":\"text\"}");
	char v[8];

	ck_assert(kube_str_at(o, "a.b.c", v, sizeof v));
	ck_assert_str_eq(v, "x");
	ck_assert_uint_eq(kube_at(o, "a.b.c.d").len, 0); /* past a string */
	ck_assert_uint_eq(kube_at(o, "s.t").len, 0);
	ck_assert_uint_eq(kube_at(o, ".a").len, 0);
	ck_assert(!kube_str_at(o, "a.b", v, sizeof v));
	ck_assert(!kube_str_at(o, "a.b.c", v, 1));
	ck_assert(bytes_eq(kube_at(o, ""), o));
}

TEST(a_name_cannot_leave_its_place_in_a_path)
{
	char p[KUBE_PATH_MAX];

	ck_assert(kube_path(p, sizeof p, "v1", "pods", "", "a?b#c%d\r\n\xff", NULL));
	ck_assert_str_eq(p, "/api/v1/pods/a%3Fb%23c%25d%0D%0A%FF");
	/* a request for the collection, which is deleted or listed whole, is asked for by NULL */
	ck_assert(!kube_path(p, sizeof p, "v1", "pods", "n", "", NULL));
	ck_assert(!kube_path(p, sizeof p, "v1", "pods", "n", ".", NULL));
	ck_assert(!kube_path(p, sizeof p, "v1", "pods", "n", "..", NULL));
	ck_assert(!kube_path(p, sizeof p, "v1", "pods", "..", "a", NULL));
	ck_assert(kube_path(p, sizeof p, "v1", "pods", "n", "...", NULL));
}

TEST(a_path_fits_to_the_last_byte_or_not_at_all)
{
	static const char want[] = "/api/v1/namespaces/a/services/%2F";
	char p[sizeof want];

	ck_assert(kube_path(p, sizeof want, "v1", "services", "a", "/", NULL));
	ck_assert_str_eq(p, want);
	for (size_t cap = 0; cap < sizeof want; cap++)
		ck_assert(!kube_path(p, cap, "v1", "services", "a", "/", NULL));
}
