/* kube/event_test.c - what becomes an Event, when it is written again, what the API server takes */
#include "kube/event.h"

#include <stdlib.h>

#include "base/json.h"
#include "kube/object.h"
#include "tests/harness.h"

TEST(events_are_created_once_counted_and_written_again_after_half_a_minute)
{
	static struct seed_rng seed;
	struct kube_event ev = { "v1", "Service", "n", "s", "uid", true, "Bad", "words" };
	struct kube_event_write w;
	struct kube_events *es;
	struct buf body;
	char name[320];

	seed_rng_init(&seed, 1);
	es = kube_events_new("operator", "pod", &seed.rng);
	buf_init(&body, 1 << 20);
	ck_assert(kube_events_add(es, &ev, (mono_t){ 0 }, (wall_t){ 0 }, &w, &body));
	ck_assert(w.create);
	ck_assert_str_eq(w.ns, "n");
	memcpy(name, w.name, sizeof name);
	for (int i = 1; i < 30; i++)
		ck_assert(
		    !kube_events_add(es, &ev, (mono_t){ i * NS_PER_S }, (wall_t){ 0 }, &w, &body));
	buf_clear(&body);
	ck_assert(kube_events_add(es, &ev, (mono_t){ 31 * NS_PER_S }, (wall_t){ 0 }, &w, &body));
	ck_assert(!w.create);
	ck_assert_str_eq(w.name, name);
	ck_assert_ptr_nonnull(memmem(body.data, body.len, "\"count\":31", 10));
	ev.message = "other words";
	ck_assert(kube_events_add(es, &ev, (mono_t){ 32 * NS_PER_S }, (wall_t){ 0 }, &w, &body));
	ck_assert(w.create);
	kube_events_free(es);
	buf_fini(&body);
}

static struct seed_rng seed;
static struct buf body;

static struct kube_events *fresh(void)
{
	struct kube_events *es;

	seed_rng_init(&seed, 2);
	es = kube_events_new("operator", "pod", &seed.rng);
	ck_assert_ptr_nonnull(es);
	buf_init(&body, 1 << 20);
	return es;
}

/* add at a second; whether something is to be sent */
static bool add(struct kube_events *es, const struct kube_event *ev, int64_t s,
		struct kube_event_write *w)
{
	buf_clear(&body);
	return kube_events_add(es, ev, (mono_t){ s * NS_PER_S }, (wall_t){ s * NS_PER_S }, w,
			       &body);
}

static void done(struct kube_events *es)
{
	kube_events_free(es);
	buf_fini(&body);
}

TEST(what_is_sent_is_an_object_with_the_words_as_they_were_given)
{
	const struct kube_event ev = { "v1",  "Service", "n",    "s",
				       "uid", false,     "Good", "a \"word\"\nand a \x01" };
	struct kube_events *es = fresh();
	struct kube_event_write w;
	struct kube_object o;
	char v[64];

	ck_assert(add(es, &ev, 1767323045, &w));
	ck_assert(kube_object_parse(buf_bytes(&body), &o));
	ck_assert_str_eq(o.name, w.name);
	ck_assert_str_eq(o.ns, "n");
	ck_assert(kube_str_at(o.text, "message", v, sizeof v));
	ck_assert_str_eq(v, ev.message);
	ck_assert(kube_str_at(o.text, "involvedObject.uid", v, sizeof v));
	ck_assert_str_eq(v, "uid");
	ck_assert(kube_str_at(o.text, "type", v, sizeof v));
	ck_assert_str_eq(v, "Normal");
	ck_assert(kube_str_at(o.text, "lastTimestamp", v, sizeof v));
	ck_assert_str_eq(v, "2026-01-02T03:04:05Z");
	done(es);
}

TEST(an_event_of_the_whole_cluster_lies_in_the_namespace_default)
{
	const struct kube_event ev = { "v1", "Node", "", "s", "uid", true, "Bad", "words" };
	struct kube_events *es = fresh();
	struct kube_event_write w;
	struct kube_object o;

	ck_assert(add(es, &ev, 0, &w));
	ck_assert_str_eq(w.ns, "default");
	ck_assert(kube_object_parse(buf_bytes(&body), &o));
	ck_assert_str_eq(o.ns, "default");
	ck_assert_uint_eq(kube_at(o.text, "involvedObject.namespace").len, 0);
	done(es);
}

/* RFC 1123 subdomain, which the API server wants of a name: labels begin and end in a letter or a
 * digit */
static bool is_subdomain(const char *name)
{
	for (const char *p = name; *p; p++) {
		const bool plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
		const bool edge = p == name || p[-1] == '.' || !p[1] || p[1] == '.';

		if (!plain && (edge || (*p != '-' && *p != '.')))
			return false;
	}
	return *name && strlen(name) <= KUBE_NAME_MAX;
}

TEST(the_name_of_an_event_is_one_that_the_api_server_takes_however_long_the_objects_is)
{
	struct kube_events *es = fresh();
	struct kube_event_write w;
	char name[KUBE_NAME_MAX + 1];

	for (size_t at = 150; at < KUBE_NAME_MAX - 1; at++)
		for (const char *c = ".-"; *c; c++) {
			const struct kube_event ev = { "v1",  "Service", "n",   name,
						       "uid", true,      "Bad", "words" };

			memset(name, 'a', KUBE_NAME_MAX);
			name[KUBE_NAME_MAX] = 0;
			name[at] = *c;
			if (*c == '-')
				name[at - 1] = '-';
			ck_assert(add(es, &ev, 0, &w));
			ck_assert_msg(is_subdomain(w.name), "%s", w.name);
		}
	done(es);
}

TEST(words_that_are_too_long_are_cut_between_characters)
{
	struct kube_events *es = fresh();
	struct kube_event_write w;
	char words[3 * KUBE_EVENT_MESSAGE_MAX], v[3 * KUBE_EVENT_MESSAGE_MAX];
	const struct kube_event ev = { "v1", "Service", "n", "s", "uid", true, "Bad", words };

	for (size_t n = 0; n < 3; n++) { /* the cut falls on each byte of a character */
		memset(words, 'a', n);
		words[n] = 0;
		while (strlen(words) < 2 * KUBE_EVENT_MESSAGE_MAX)
			memcpy(words + strlen(words), "\xe2\x82\xac", 4);
		ck_assert(add(es, &ev, 0, &w));
		ck_assert(kube_str_at(buf_bytes(&body), "message", v, sizeof v));
		ck_assert_uint_lt(strlen(v), KUBE_EVENT_MESSAGE_MAX);
		ck_assert_uint_gt(strlen(v), KUBE_EVENT_MESSAGE_MAX - 4);
		ck_assert_msg(strncmp(v, words, strlen(v)) == 0, "%s", v + strlen(v) - 8);
	}
	done(es);
}

TEST(an_event_begins_anew_after_an_hour)
{
	const struct kube_event ev = { "v1", "Service", "n", "s", "uid", true, "Bad", "words" };
	struct kube_events *es = fresh();
	struct kube_event_write w;
	char first[sizeof w.name];

	ck_assert(add(es, &ev, 0, &w) && w.create);
	memcpy(first, w.name, sizeof first);
	ck_assert(add(es, &ev, 3599, &w) && !w.create);
	ck_assert_str_eq(w.name, first);
	ck_assert(add(es, &ev, 3600, &w) && w.create);
	ck_assert_str_ne(w.name, first);
	ck_assert(!add(es, &ev, 3601, &w)); /* counted */
	done(es);
}

TEST(the_oldest_of_too_many_events_makes_room)
{
	char name[32];
	const struct kube_event ev = { "v1", "Service", "n", name, "uid", true, "Bad", "words" };
	struct kube_events *es = fresh();
	struct kube_event_write w;

	for (int i = 0; i <= KUBE_EVENTS_MAX; i++) {
		snprintf(name, sizeof name, "s%d", i);
		ck_assert(add(es, &ev, i < 10 ? i : 10, &w) && w.create);
	}
	snprintf(name, sizeof name, "s%d", 1);
	ck_assert(!add(es, &ev, 11, &w)); /* still remembered */
	snprintf(name, sizeof name, "s%d", 0);
	ck_assert(add(es, &ev, 11, &w) && w.create);
	done(es);
}
