/* kube/kube_watch_fuzz.c - answers to lists and watches, cut in pieces drawn from the input: the
 * machine never gives SYNCED without BEGIN and always comes to ask again */
#include <assert.h>
#include <string.h>

#include "kube/object.h"
#include "kube/watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void fill(struct rng *r, void *buf, size_t len)
{
	(void)r;
	memset(buf, 7, len);
}

/* one answer: a byte each for status and size of pieces, the rest up to a 0xff byte is the body */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const unsigned statuses[] = { 200, 200, 200, 410, 500, 0, 200, 429 };
	struct rng rng = { fill };
	const struct kube_watch_conf conf = { "/p", NULL, &rng };
	struct kube_watch *w = kube_watch_new(&conf);
	mono_t now = { 0 };
	bool begun = false;

	while (w && len > 1) {
		const unsigned status = statuses[data[0] % 8];
		const size_t piece = data[1] % 64 + 1;
		const uint8_t *end;
		size_t n, at = 0;
		char request[KUBE_REQUEST_MAX];
		bool is_stream;
		struct bytes object;
		enum kube_watch_ev ev;

		now = mono_max(now, kube_watch_deadline(w));
		assert(kube_watch_request(w, now, request, &is_stream));
		kube_watch_status(w, status);
		data += 2;
		len -= 2;
		end = memchr(data, 0xff, len);
		n = end ? (size_t)(end - data) : len;
		while (at < n) {
			const size_t k = n - at < piece ? n - at : piece;

			kube_watch_feed(w, bytes_of(data + at, k));
			at += k;
			while ((ev = kube_watch_next(w, &object)) != KUBE_WATCH_MORE) {
				struct kube_object o;

				begun |= ev == KUBE_WATCH_BEGIN;
				assert(begun);
				if (ev == KUBE_WATCH_PUT || ev == KUBE_WATCH_DEL)
					(void)kube_object_parse(object, &o);
			}
		}
		kube_watch_end(w, now, n % 3 != 0, status == 429);
		while ((ev = kube_watch_next(w, &object)) != KUBE_WATCH_MORE)
			assert(begun && ev == KUBE_WATCH_SYNCED);
		assert(!mono_is_never(kube_watch_deadline(w)));
		data += n + (end != NULL);
		len -= n + (end != NULL);
	}
	kube_watch_free(w);
	return 0;
}
