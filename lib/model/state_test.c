/* model/state_test.c - testdata/tailscaled.state is what a real tailscaled wrote
 * (control-protocol.md 1.2) */
#include "model/state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "tests/harness.h"

static struct state_node a, b;
static struct err e;

static struct state *sample(void)
{
	struct state *s = state_new();
	size_t len;
	uint8_t *text = harness_file("lib/model/testdata/tailscaled.state", &len);

	ck_assert_msg(state_parse(s, bytes_of(text, len), &e) == 0, "%s", e.text);
	free(text);
	return s;
}

static char *emitted(const struct state *s)
{
	struct buf out;

	buf_init(&out, STATE_TEXT_MAX);
	ck_assert_int_eq(state_emit(s, &out), 0);
	return buf_take_str(&out);
}

static void check_load_fails(struct state *s, int code, const char *words)
{
	ck_assert_int_eq(state_load(s, &a, &e), code);
	ck_assert_msg(strstr(e.text, words) != NULL, "%s", e.text);
	ck_assert_ptr_null(strchr(e.text, '\n'));
}

static void put(struct state *s, const char *name, const char *value)
{
	ck_assert_int_eq(state_put(s, name, bytes_str(value)), 0);
}

TEST(a_file_that_tailscaled_wrote_is_emitted_byte_for_byte)
{
	struct state *s = sample();
	size_t len;
	uint8_t *want = harness_file("lib/model/testdata/tailscaled.state", &len);
	char *got = emitted(s);

	ck_assert_str_eq(got, (char *)want);
	free(got);
	free(want);
	state_free(s);
}

TEST(the_node_in_a_file_that_tailscaled_wrote_is_found)
{
	struct state *s = sample();
	char key[KEY_TEXT_MAX], when[WALL_TEXT];

	ck_assert_msg(state_load(s, &a, &e) == 0, "%s", e.text);
	ck_assert_str_eq(a.profile, "726e");
	ck_assert_str_eq(
	    key_priv_text(&a.machine, key),
	    "privkey:a8e10e8c2cfc4ec92b8e4226a1f09afe9762c3bd8900c5e24a1b6072223d786a");
	ck_assert_str_eq(
	    key_priv_text(&a.node, key),
	    "privkey:e0edf0cdc60ecb3c9e805de93a79e2a3d793eea673d4533cabd376861867396a");
	ck_assert_str_eq(a.node_id, "1");
	ck_assert_int_eq(a.user_id, 1);
	ck_assert_str_eq(a.login, "test");
	ck_assert_str_eq(a.magic_suffix, "tail.test");
	ck_assert_str_eq(wall_text(a.created, when), "2026-11-22T00:59:09.166863338Z");
	ck_assert_str_eq(a.prefs.control_url, "http://127.0.0.1:45585");
	ck_assert_str_eq(a.prefs.hostname, "pa");
	ck_assert(a.prefs.want_running && !a.prefs.accept_dns);
	ck_assert_int_eq(a.prefs.no_stateful_filtering, 1);
	state_free(s);
}

TEST(storing_keeps_what_we_do_not_know_of_a_profile)
{
	struct state *s = sample();
	struct bytes profile;
	char *text;

	ck_assert_int_eq(state_load(s, &a, &e), 0);
	memcpy(a.prefs.hostname, "new", 4);
	ck_assert_int_eq(state_store(s, &a), 0);
	ck_assert(state_get(s, "profile-726e", &profile));
	text = strndup((const char *)profile.data, profile.len);
	ck_assert_ptr_nonnull(strstr(text, "\"NetworkLockKey\":\"nlpriv:4eea7b97"));
	ck_assert_ptr_nonnull(strstr(text, "\"AutoUpdate\":{"));
	ck_assert_ptr_nonnull(strstr(text, "\"Hostname\":\"new\""));
	ck_assert_int_eq(state_load(s, &b, &e), 0);
	ck_assert(prefs_eq(&a.prefs, &b.prefs));
	ck_assert_mem_eq(&a.node, &b.node, sizeof a.node);
	ck_assert_int_eq(b.created.ns, a.created.ns);
	free(text);
	state_free(s);
}

TEST(a_fresh_node_is_stored_as_the_four_kinds_and_loaded_back_equal)
{
	struct state *s = state_new(), *again = state_new();
	struct seed_rng rng;
	struct bytes v;
	char *text;

	seed_rng_init(&rng, 1);
	for (int round = 0; round < 20; round++) {
		state_node_fresh(&a, &rng.rng, (wall_t){ 1790000000 * NS_PER_S + round });
		key_gen(&a.node, &rng.rng);
		snprintf(a.node_id, sizeof a.node_id, "n%d\"\\", round);
		snprintf(a.login, sizeof a.login, "user %d <\"x\">", round);
		ck_assert_int_eq(state_store(s, &a), 0);
		text = emitted(s);
		ck_assert_int_eq(state_parse(again, bytes_str(text), &e), 0);
		free(text);
		ck_assert_msg(state_load(again, &b, &e) == 0, "%s", e.text);
		ck_assert_str_eq(a.profile, b.profile);
		ck_assert_mem_eq(&a.machine, &b.machine, sizeof a.machine);
		ck_assert_mem_eq(&a.node, &b.node, sizeof a.node);
		ck_assert_str_eq(a.node_id, b.node_id);
		ck_assert_int_eq(a.created.ns, b.created.ns);
		ck_assert(prefs_eq(&a.prefs, &b.prefs));
	}
	ck_assert(state_get(again, STATE_MACHINE_KEY, &v) && v.len == 8 + 64);
	ck_assert(state_get(again, STATE_CURRENT_PROFILE, &v) && v.len == 12);
	state_free(s);
	state_free(again);
}

TEST(preferences_for_the_socket_hold_no_private_key)
{
	struct state *s = sample();
	struct buf out;
	char *text;

	ck_assert_int_eq(state_load(s, &a, &e), 0);
	buf_init(&out, 1 << 20);
	ck_assert_int_eq(state_prefs_json(s, &a, &out), 0);
	text = buf_take_str(&out);
	ck_assert_ptr_nonnull(strstr(text, "\"NodeID\":\"1\""));
	ck_assert_ptr_null(strstr(text, "e0edf0cd"));
	ck_assert_ptr_null(strstr(text, "nlpriv"));
	free(text);
	state_free(s);
}

TEST(an_empty_or_missing_profile_means_nobody_logged_in_and_a_machine_key_is_kept)
{
	struct state *s = state_new();
	struct seed_rng rng;

	seed_rng_init(&rng, 3);
	state_node_fresh(&a, &rng.rng, WALL_ZERO);
	b = a;
	ck_assert_int_eq(state_parse(s, bytes_str(" \n"), &e), 0);
	ck_assert_int_eq(state_load(s, &a, &e), -ENOENT);
	ck_assert_mem_eq(&a.machine, &b.machine, sizeof a.machine);
	put(s, STATE_MACHINE_KEY,
	    "privkey:a8e10e8c2cfc4ec92b8e4226a1f09afe9762c3bd8900c5e24a1b6072223d786a");
	ck_assert_int_eq(state_load(s, &a, &e), -ENOENT);
	ck_assert_int_eq(a.machine.b[0], 0xa8);
	ck_assert_str_eq(a.profile, b.profile);
	state_free(s);
}

TEST(an_inconsistent_state_is_refused_by_the_name_of_the_entry)
{
	struct state *s = sample();

	put(s, "profile-726e", "{\"Config\":{\"PrivateNodeKey\":\"privkey:12\"}}");
	check_load_fails(s, -EBADMSG, "profile-726e");
	state_del(s, "profile-726e");
	check_load_fails(s, -EBADMSG, "profile-726e is missing");
	put(s, STATE_CURRENT_PROFILE, "../../etc");
	check_load_fails(s, -EBADMSG, STATE_CURRENT_PROFILE);
	put(s, STATE_CURRENT_PROFILE, "profile-726e");
	put(s, "profile-726e", "{}");
	put(s, STATE_PROFILES, "[");
	check_load_fails(s, -EBADMSG, STATE_PROFILES);
	state_del(s, STATE_PROFILES); /* only niceties are lost with it */
	ck_assert_int_eq(state_load(s, &a, &e), 0);
	put(s, STATE_MACHINE_KEY, "privkey:0");
	check_load_fails(s, -EBADMSG, STATE_MACHINE_KEY);
	state_del(s, STATE_MACHINE_KEY);
	check_load_fails(s, -EBADMSG, STATE_MACHINE_KEY);
	state_free(s);
}

TEST(a_torn_or_foreign_file_is_refused_and_what_was_there_stays)
{
	static const char *const bad[] = { "[]",
					   "{",
					   "{\"a\":\"aGk=\"",
					   "{\"a\":7}",
					   "{\"a\":\"*\"}",
					   "{\"a\":\"aGk\"} x",
					   "{\"a\":\"aGkx\\",
					   "privkey:" };
	struct state *s = sample();
	const size_t n = state_n(s);
	char *text = emitted(s);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e.text[0] = 0;
		ck_assert_msg(state_parse(s, bytes_str(bad[i]), &e) == -EBADMSG, "%s", bad[i]);
		ck_assert(e.text[0]);
	}
	for (size_t cut = 1; cut < strlen(text); cut++)
		ck_assert_int_eq(state_parse(s, bytes_of(text, cut), &e), -EBADMSG);
	ck_assert_uint_eq(state_n(s), n);
	free(text);
	state_free(s);
}

TEST(unknown_entries_and_escaped_texts_are_kept_and_the_last_of_equal_names_counts)
{
	struct state *s = state_new();
	char *text;

	ck_assert_int_eq(
	    state_parse(
		s,
		bytes_str("{\"z\":\"aGk=\",\"web.crt\":\"\\u0061Gk\",\"n\":null,\"z\":\"eW8=\"}"),
		&e),
	    0);
	text = emitted(s);
	ck_assert_str_eq(text, "{\n  \"n\": \"\",\n  \"web.crt\": \"aGk=\",\n  \"z\": \"eW8=\"\n}");
	free(text);
	state_free(s);
}

TEST(entries_are_limited_in_number_and_name)
{
	static char name[STATE_NAME_MAX + 1];
	struct state *s = state_new();

	memset(name, 'x', STATE_NAME_MAX);
	ck_assert_int_eq(state_put(s, name, bytes_str("")), -E2BIG);
	name[STATE_NAME_MAX - 1] = 0;
	put(s, name, "v");
	for (int i = 1; i < STATE_NAMES_MAX; i++) {
		snprintf(name, sizeof name, "%d", i);
		put(s, name, "v");
	}
	ck_assert_int_eq(state_put(s, "one-more", bytes_str("v")), -E2BIG);
	put(s, "1", "changed");
	ck_assert_uint_eq(state_n(s), STATE_NAMES_MAX);
	state_free(s);
}
