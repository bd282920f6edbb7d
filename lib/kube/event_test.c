/* kube/event_test.c - what becomes an Event, when it is written again, what the API server takes */
#include "kube/event.h"

#include <stdlib.h>

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
