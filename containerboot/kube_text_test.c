/* containerboot/kube_text_test.c - requests and answers of the API server, access, what differs */
#include "containerboot/kube_text.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/harness.h"

static struct err e;
static struct buf out;
static struct state *server, *known, *state, *own;

static void begin(void)
{
	buf_init(&out, 1 << 20);
	server = state_new();
	known = state_new();
	state = state_new();
	own = state_new();
}

static void end(void)
{
	buf_fini(&out);
	state_free(server);
	state_free(known);
	state_free(state);
	state_free(own);
}

static void put(struct state *s, const char *name, const char *value)
{
	ck_assert_int_eq(state_put(s, name, bytes_str(value)), 0);
}

static struct kube_diff diff(void)
{
	return (struct kube_diff){ .server = server, .known = known, .state = state, .own = own };
}

static void out_is(const char *want)
{
	char *text = buf_take_str(&out);

	ck_assert_str_eq(text, want);
	free(text);
}

#define CHECK_PATCH(want)                                                                          \
	do {                                                                                       \
		struct kube_diff d_ = diff();                                                      \
		ck_assert(kube_patch_emit(&out, &d_));                                             \
		out_is(want);                                                                      \
	} while (0)

static bool has(const struct state *s, const char *name, const char *value)
{
	struct bytes v;

	return state_get(s, name, &v) && bytes_eq_str(v, value);
}

TEST(characters_that_a_field_cannot_have_become_underscores)
{
	char name[STATE_NAME_MAX];

	kube_field_name(bytes_str("_serve/726e"), name);
	ck_assert_str_eq(name, "_serve_726e");
	kube_field_name(bytes_str("a b:c~d.crt-X"), name);
	ck_assert_str_eq(name, "a_b_c_d.crt-X");
}

TEST(a_patch_holds_what_the_state_changed_and_nothing_else)
{
	begin();
	put(server, "_machinekey", "m");
	put(server, "foreign", "f");
	put(known, "_machinekey", "m");
	put(state, "_machinekey", "m");
	CHECK_PATCH("[]");
	put(state, "_profiles", "{}");
	put(state, "_serve/1", "s");
	CHECK_PATCH("[{\"op\":\"add\",\"path\":\"/data/_profiles\",\"value\":\"e30=\"},"
		    "{\"op\":\"add\",\"path\":\"/data/_serve_1\",\"value\":\"cw==\"}]");
	end();
}

TEST(what_others_write_meanwhile_stays)
{
	begin();
	put(known, "tls.crt", "old");
	put(state, "tls.crt", "old");
	put(server, "tls.crt", "renewed by somebody");
	put(server, "unknown", "x");
	CHECK_PATCH("[]");
	end();
}

TEST(a_name_that_left_the_state_leaves_the_secret)
{
	begin();
	put(known, "profile-1", "a");
	put(known, "profile-2", "b");
	put(server, "profile-1", "a");
	CHECK_PATCH("[{\"op\":\"remove\",\"path\":\"/data/profile-1\"}]");
	end();
}

TEST(own_fields_are_held_and_empty_ones_taken_away)
{
	begin();
	put(server, KUBE_F_HTTPS, "a.b");
	put(server, KUBE_F_AUTHKEY, "k");
	put(server, KUBE_F_DEVICE_ID, "1");
	put(own, KUBE_F_HTTPS, "");
	put(own, KUBE_F_EGRESS, "");
	put(own, KUBE_F_DEVICE_ID, "2");
	CHECK_PATCH("[{\"op\":\"add\",\"path\":\"/data/device_id\",\"value\":\"Mg==\"},"
		    "{\"op\":\"remove\",\"path\":\"/data/https_endpoint\"}]");
	end();
}

TEST(a_secret_without_data_gets_a_place_for_it_first)
{
	begin();
	put(state, "a", "1");
	CHECK_PATCH("[{\"op\":\"add\",\"path\":\"/data\",\"value\":{}},"
		    "{\"op\":\"add\",\"path\":\"/data/a\",\"value\":\"MQ==\"}]");
	end();
}

TEST(a_put_keeps_all_of_the_object_but_what_changed)
{
	struct kube_diff d;

	begin();
	put(server, "foreign", "f");
	put(server, "gone", "g");
	put(known, "gone", "g");
	put(state, "a", "1");
	d = diff();
	ck_assert(
	    kube_put_emit(&out,
			  bytes_str("{\"kind\":\"Secret\",\"metadata\":{\"resourceVersion\":\"7\","
				    "\"labels\":{\"x\":\"y\"}},\"data\":{\"foreign\":\"Zg==\","
				    "\"gone\":\"Zw==\"},\"type\":\"Opaque\"}"),
			  &d));
	out_is("{\"kind\":\"Secret\",\"metadata\":{\"resourceVersion\":\"7\",\"labels\":{\"x\":"
	       "\"y\"}},"
	       "\"type\":\"Opaque\",\"data\":{\"a\":\"MQ==\",\"foreign\":\"Zg==\"}}");
	end();
}

TEST(a_post_holds_everything)
{
	struct kube_diff d;

	begin();
	put(state, "a", "1");
	put(own, KUBE_F_CAPVER, "116");
	put(own, KUBE_F_HTTPS, "");
	d = diff();
	ck_assert(kube_post_emit(&out, "ns", "s", &d));
	out_is("{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\","
	       "\"namespace\":\"ns\"},"
	       "\"data\":{\"a\":\"MQ==\",\"tailscale_capver\":\"MTE2\"}}");
	end();
}

TEST(a_secret_of_tailscaled_becomes_the_state_and_own_fields_stay_out_of_it)
{
	char version[KUBE_VERSION_MAX];
	struct state *st = state_new();

	begin();
	ck_assert_int_eq(
	    kube_fields_parse(
		bytes_str("{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"t\","
			  "\"resourceVersion\":\"41\"},\"data\":{\"_machinekey\":\"bQ==\","
			  "\"_serve_1\":\"cw==\",\"authkey\":\"aw==\",\"empty\":\"\","
			  "\"nothing\":null},\"type\":\"Opaque\"}"),
		server, version, &e),
	    0);
	ck_assert_str_eq(version, "41");
	ck_assert(has(server, "authkey", "k"));
	ck_assert_int_eq(kube_state_of(server, st), 0);
	ck_assert(has(st, "_machinekey", "m"));
	ck_assert(has(st, "_serve/1", "s"));
	ck_assert(has(st, "empty", ""));
	ck_assert(!has(st, "authkey", "k"));
	ck_assert_uint_eq(state_n(st), 4);
	state_free(st);
	end();
}

TEST(answers_that_are_no_secret_are_refused_with_words_and_without_values)
{
	static const char *const rows[] = {
		"",
		"{",
		"[]",
		"{\"kind\":\"Pod\"}",
		"{\"data\":{}}",
		"{\"kind\":\"Secret\",\"data\":{\"a\":\"c2Vj*\"}}", /* not base64 */
		"{\"kind\":\"Secret\",\"data\":{\"a\":1}}",
		"{\"kind\":\"Secret\",\"data\":{\"a/b\":\"\"}}",
		"{\"kind\":\"Secret\",\"data\":{\"\":\"\"}}",
		"{\"kind\":\"Secret\",\"data\":{\"\xab\":\"\"}}",
		"{\"kind\":\"Secret\",\"data\":{\"a\":\"c2VjcmV0\"}} x",
	};
	char version[KUBE_VERSION_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin();
		ck_assert_int_eq(kube_fields_parse(bytes_str(rows[i]), server, version, &e),
				 -EBADMSG);
		ck_assert_ptr_null(strstr(e.text, "c2V"));
		end();
	}
}

TEST(every_cut_of_a_secret_is_refused)
{
	static const char text[] = "{\"kind\":\"Secret\",\"metadata\":{\"resourceVersion\":\"4\"},"
				   "\"data\":{\"a\":\"bQ==\",\"b\":\"\"}}";
	char version[KUBE_VERSION_MAX];

	for (size_t n = 0; n < sizeof text - 1; n++) {
		begin();
		ck_assert_int_lt(kube_fields_parse(bytes_of(text, n), server, version, &e), 0);
		end();
	}
}

TEST(a_review_names_the_secret_but_for_creation)
{
	begin();
	ck_assert(kube_review_emit(&out, KUBE_PATCH, "ns", "s"));
	out_is("{\"apiVersion\":\"authorization.k8s.io/"
	       "v1\",\"kind\":\"SelfSubjectAccessReview\",\"spec\":"
	       "{\"resourceAttributes\":{\"namespace\":\"ns\",\"verb\":\"patch\",\"group\":\"\","
	       "\"resource\":\"secrets\",\"name\":\"s\"}}}");
	ck_assert(kube_review_emit(&out, KUBE_CREATE, "ns", "s"));
	ck_assert_ptr_null(memmem(out.data, out.len, "\"name\"", 6));
	end();
}

TEST(an_answer_to_a_review_is_yes_no_or_unknown)
{
	ck_assert_int_eq(kube_review_parse(bytes_str("{\"status\":{\"allowed\":true}}")), KUBE_YES);
	ck_assert_int_eq(
	    kube_review_parse(bytes_str("{\"status\":{\"allowed\":false,\"denied\":true}}")),
	    KUBE_NO);
	ck_assert_int_eq(kube_review_parse(bytes_str("{\"status\":{}}")), KUBE_UNKNOWN);
	ck_assert_int_eq(kube_review_parse(bytes_str("{\"status\":{\"allowed\":true}")),
			 KUBE_UNKNOWN);
	ck_assert_int_eq(kube_review_parse(bytes_str("nonsense")), KUBE_UNKNOWN);
}

TEST(access_that_does_not_suffice_is_refused_with_advice)
{
	struct kube_access a = { 0 };

	ck_assert_int_eq(kube_access_check(&a, "ns", "s", &e),
			 0); /* nobody answered: it is tried */
	a.may[KUBE_PATCH] = KUBE_NO;
	ck_assert_int_eq(kube_access_check(&a, "ns", "s", &e), 0);
	ck_assert_int_eq(kube_access_key(&a, "ns", "s", &e), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.text, "verb patch"));
	a.may[KUBE_UPDATE] = KUBE_NO;
	ck_assert_int_eq(kube_access_check(&a, "ns", "s", &e), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.text, "may not update or patch the Secret ns/s"));
	ck_assert_ptr_nonnull(strstr(e.text, "resourceNames: s"));
	a.may[KUBE_GET] = KUBE_NO;
	ck_assert_int_eq(kube_access_check(&a, "ns", "s", &e), -EACCES);
	ck_assert_int_eq(kube_access_absent(&a, "ns", "s", &e), 0);
	a.may[KUBE_CREATE] = KUBE_NO;
	ck_assert_int_eq(kube_access_absent(&a, "ns", "s", &e), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.text, "kubectl -n ns create secret generic s"));
}

TEST(a_status_message_is_shown_without_control_characters)
{
	char text[KUBE_MESSAGE_MAX];

	kube_message(bytes_str("{\"kind\":\"Status\",\"message\":\"no\\n\\u001b[31m\"}"), text);
	ck_assert_str_eq(text, "no??[31m");
	kube_message(bytes_str("<html>"), text);
	ck_assert_str_eq(text, "");
}

TEST(an_event_names_the_pod)
{
	struct kube_event ev = { .ns = "n",
				 .name = "p",
				 .uid = "u",
				 .reason = "R",
				 .words = "w",
				 .instance = "1",
				 .at = { 1000 * NS_PER_S + 5 } };

	begin();
	ck_assert(kube_event_emit(&out, &ev));
	out_is("{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"p.1\","
	       "\"namespace\":\"n\"},"
	       "\"involvedObject\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"p\","
	       "\"namespace\":\"n\","
	       "\"uid\":\"u\"},\"reason\":\"R\",\"message\":\"w\",\"type\":\"Normal\","
	       "\"firstTimestamp\":"
	       "\"1970-01-01T00:16:40Z\",\"lastTimestamp\":\"1970-01-01T00:16:40Z\",\"count\":1,"
	       "\"source\":"
	       "{\"component\":\"containerboot\"}}");
	end();
}
