/* kube/watch_test.c - list and watch, with answers as an API server gives them */
#include "kube/watch.h"

#include <stdlib.h>

#include "tests/harness.h"

static struct seed_rng seed;
static char request[KUBE_REQUEST_MAX];
static bool is_stream;

static mono_t at_ms(int64_t ms)
{
	return (mono_t){ ms * 1000000 };
}

static struct kube_watch *fresh(void)
{
	const struct kube_watch_conf conf = { "/api/v1/services", "labelSelector=a%3Db",
					      &seed.rng };

	seed_rng_init(&seed, 3);
	return kube_watch_new(&conf);
}

#define LIST1                                                                                      \
	"{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[{"         \
	"\"metadata\":{\"name\":\"a\","                                                            \
	"\"resourceVersion\":\"8\"}},{\"metadata\":{\"name\":\"b\",\"resourceVersion\":\"9\"}}]}"  \
	"\n"

/* events as letters: B begin, P put, D del, S synced; bytes are fed `cut` at a time */
static void run(struct kube_watch *w, unsigned status, const char *answer, size_t cut, char *out,
		bool ok, int64_t ms)
{
	size_t len = strlen(answer), at = 0, n = strlen(out);
	struct bytes o;
	enum kube_watch_ev ev;

	kube_watch_status(w, status);
	while (at < len) {
		const size_t k = MIN_OF(cut, len - at);

		kube_watch_feed(w, bytes_of(answer + at, k));
		at += k;
		while ((ev = kube_watch_next(w, &o)) != KUBE_WATCH_MORE)
			out[n++] = "?BPDS"[ev];
	}
	kube_watch_end(w, at_ms(ms), ok, 0);
	while ((ev = kube_watch_next(w, &o)) != KUBE_WATCH_MORE)
		out[n++] = "?BPDS"[ev];
	out[n] = 0;
}

TEST(watch_lists_then_watches_from_the_lists_version_however_the_bytes_are_cut)
{
	for (size_t cut = 1; cut < 80; cut++) {
		struct kube_watch *w = fresh();
		char got[64] = "";

		ck_assert(kube_watch_request(w, at_ms(0), request, &is_stream));
		ck_assert(!is_stream);
		ck_assert_str_eq(request, "/api/v1/services?labelSelector=a%3Db&limit=500");
		run(w, 200, LIST1, cut, got, true, 1);
		ck_assert_str_eq(got, "BPPS");
		ck_assert(kube_watch_is_synced(w));
		ck_assert(kube_watch_request(w, at_ms(1), request, &is_stream));
		ck_assert(is_stream);
		ck_assert_ptr_nonnull(strstr(request, "&resourceVersion=10&"));
		ck_assert_ptr_nonnull(strstr(request, "allowWatchBookmarks=true"));
		got[0] = 0;
		run(w, 200,
		    "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"c\","
		    "\"resourceVersion\":\"11\"}}}\n"
		    "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\","
		    "\"resourceVersion\":\"12\"}}}\n"
		    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"20\"}}}"
		    "\n",
		    cut, got, true, 5000);
		ck_assert_str_eq(got, "PD");
		ck_assert(kube_watch_request(w, at_ms(6000), request, &is_stream));
		ck_assert_ptr_nonnull(strstr(request, "&resourceVersion=20&"));
		kube_watch_free(w);
	}
}

TEST(watch_asks_for_further_pages_and_is_synced_after_the_last)
{
	struct kube_watch *w = fresh();
	char got[64] = "";

	ck_assert(kube_watch_request(w, at_ms(0), request, &is_stream));
	run(w, 200,
	    "{\"metadata\":{\"resourceVersion\":\"5\",\"continue\":\"x+y=\"},\"items\":[{}]}", 9,
	    got, true, 0);
	ck_assert_str_eq(got, "BP");
	ck_assert(kube_watch_request(w, at_ms(0), request, &is_stream));
	ck_assert_ptr_nonnull(strstr(request, "continue=x%2By%3D"));
	run(w, 200, "{\"items\":[{}],\"metadata\":{\"resourceVersion\":\"5\"}}", 9, got, true, 0);
	ck_assert_str_eq(got, "BPPS");
	kube_watch_free(w);
}

TEST(watch_lists_anew_after_410_in_a_status_an_event_or_between_pages)
{
	for (int kind = 0; kind < 3; kind++) {
		struct kube_watch *w = fresh();
		char got[64] = "";

		ck_assert(kube_watch_request(w, at_ms(0), request, &is_stream));
		if (kind == 2) {
			run(w, 200,
			    "{\"metadata\":{\"resourceVersion\":\"5\",\"continue\":\"x\"},"
			    "\"items\":[{}]}",
			    99, got, true, 0);
			ck_assert(kube_watch_request(w, at_ms(0), request, &is_stream));
			run(w, 410, "{\"code\":410}", 99, got, true, 0);
		} else {
			run(w, 200, LIST1, 99, got, true, 0);
			ck_assert(kube_watch_request(w, at_ms(0), request, &is_stream));
			if (kind == 0)
				run(w, 410, "{\"code\":410}", 99, got, true, 0);
			else
				run(w, 200,
				    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":"
				    "410}}\n",
				    99, got, true, 0);
		}
		got[0] = 0;
		ck_assert(kube_watch_request(w, kube_watch_deadline(w), request, &is_stream));
		ck_assert(!is_stream);
		ck_assert_ptr_null(strstr(request, "continue"));
		run(w, 200, LIST1, 99, got, true, 0);
		ck_assert_str_eq(got, "BPPS");
		ck_assert_uint_eq(kube_watch_stats(w)->expired, 1);
		kube_watch_free(w);
	}
}

TEST(watch_waits_longer_and_longer_while_the_server_fails)
{
	struct kube_watch *w = fresh();
	mono_t now = at_ms(0);
	int64_t waited = 0;

	for (int i = 0; i < 10; i++) {
		char got[8] = "";

		ck_assert(kube_watch_request(w, now, request, &is_stream));
		run(w, i % 2 ? 0 : 503, i % 2 ? "" : "{\"message\":\"tired\"}", 99, got, i % 2 == 0,
		    now.ns / 1000000);
		ck_assert_str_eq(got, "");
		ck_assert(!kube_watch_request(w, now, request, &is_stream));
		ck_assert_str_ne(kube_watch_trouble(w), "");
		waited = span_ms(mono_sub(kube_watch_deadline(w), now));
		now = kube_watch_deadline(w);
	}
	ck_assert_int_ge(waited, 20000);
	ck_assert_int_le(waited, 40000);
	kube_watch_free(w);
}

TEST(watch_that_ends_at_once_and_says_nothing_is_not_repeated_at_once)
{
	struct kube_watch *w = fresh();
	char got[64] = "";
	mono_t now = at_ms(0);

	ck_assert(kube_watch_request(w, now, request, &is_stream));
	run(w, 200, LIST1, 99, got, true, 0);
	for (int i = 0; i < 8; i++) {
		ck_assert(kube_watch_request(w, now, request, &is_stream));
		run(w, 200, "", 1, got, true, now.ns / 1000000);
		now = kube_watch_deadline(w);
	}
	ck_assert_int_ge(now.ns, SPAN_S(20).ns);
	kube_watch_free(w);
}

TEST(watch_drops_an_object_that_is_too_large_and_goes_on)
{
	struct kube_watch *w = fresh();
	char got[64] = "";
	const size_t huge = KUBE_OBJECT_MAX + 1000;
	static const char tail[] = "\"}\n{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":"
				   "\"c\",\"resourceVersion\":\"11\"}}}\n";
	char *text = malloc(huge + sizeof tail);

	ck_assert(kube_watch_request(w, at_ms(0), request, &is_stream));
	run(w, 200, LIST1, 99, got, true, 0);
	ck_assert(kube_watch_request(w, at_ms(0), request, &is_stream));
	memset(text, 'x', huge);
	memcpy(text, "{\"type\":\"ADDED\",\"object\":\"", 26);
	memcpy(text + huge, tail, sizeof tail);
	got[0] = 0;
	run(w, 200, text, 65536, got, true, 5000);
	ck_assert_str_eq(got, "P");
	ck_assert_uint_eq(kube_watch_stats(w)->dropped, 1);
	free(text);
	kube_watch_free(w);
}

TEST(watch_takes_a_list_that_is_cut_off_for_a_failure)
{
	const size_t len = strlen(LIST1);

	for (size_t n = 0; n + 2 < len; n++) {
		struct kube_watch *w = fresh();
		char got[64] = "", text[512];

		memcpy(text, LIST1, n);
		text[n] = 0;
		ck_assert(kube_watch_request(w, at_ms(0), request, &is_stream));
		run(w, 200, text, 7, got, true, 0);
		ck_assert_ptr_null(strchr(got, 'S'));
		ck_assert(!kube_watch_is_synced(w));
		kube_watch_free(w);
	}
}
