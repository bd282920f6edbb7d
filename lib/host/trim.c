/* host/trim.c - when memory goes back to the system
 *
 * After a load (many datagrams, or buffers that went back): once it has been quiet for some
 * seconds, but for a trickle: probes and keepalives of connections that stall, a small request now
 * and then. It is not waited for longer than a minute when buffers went back: what a load left
 * behind does not stay because of the lesser one that follows. After a
 * keep-alive of control or a relay, which touches more than 1 MB of code once a minute in a node
 * that does nothing: at the end of the same turn, so that an idle node arms no timer and wakes up
 * no more often for it. Only when no packet was carried since the keep-alive before, since the next
 * packet has to fault the code in again (some 40 pages, all in the page cache). The same while a
 * large map comes in: what the start has touched, and what decoding leaves free, is not there
 * beside it.
 */
#include "host/host_priv.h"
#include "os/privilege.h"

static uint64_t n_carried(const struct host *h)
{
	const struct node_counters *c = node_counters(h->node);
	uint64_t n = 0;

	for (size_t i = 0; i < NODE_PATH_N; i++)
		n += c->in_packets[i] + c->out_packets[i];
	return n;
}

bool trim_wait_begins(const struct trim_wait *w, uint64_t freed)
{
	return w->n_received - w->n_trimmed > HOST_TRIM_PACKETS ||
	       freed - w->freed_trimmed > HOST_TRIM_FREED;
}

bool trim_wait_ends(struct trim_wait *w, uint64_t freed)
{
	const bool quiet = w->n_received - w->n_seen <= HOST_TRIM_QUIET &&
			   freed - w->freed_seen <= HOST_TRIM_TRICKLE;

	w->n_seen = w->n_received;
	w->freed_seen = freed;
	if (!quiet &&
	    (++w->n_waits < HOST_TRIM_WAITS || freed - w->freed_trimmed <= HOST_TRIM_FREED))
		return false;
	w->n_trimmed = w->n_received;
	w->freed_trimmed = freed;
	w->n_waits = 0;
	return true;
}

static uint64_t freed(const struct host *h)
{
	return netstack_freed(node_netstack(h->node));
}

static void wait_for_quiet(struct host *h)
{
	loop_timer_set(&h->trim, mono_add(loop_now(h->loop), SPAN_S(HOST_TRIM_S)));
}

static void on_trim(void *ctx)
{
	struct host *h = ctx;

	if (!trim_wait_ends(&h->trim_wait, freed(h))) {
		wait_for_quiet(h);
		return;
	}
	node_trim(h->node, loop_now(h->loop));
	memory_trim();
}

void host_trim_init(struct host *h)
{
	loop_timer_init(h->loop, &h->trim, on_trim, h);
	h->trim_again_at = mono_add(loop_now(h->loop), SPAN_S(HOST_TRIM_GAP_S));
}

void host_trim_received(struct host *h, size_t n)
{
	h->trim_wait.n_received += n;
}

static bool is_due(const struct host *h, mono_t now)
{
	if (h->netmap_changed && h->stream_bytes > HOST_TRIM_MAP)
		return true;
	return mono_due(h->trim_again_at, now) || h->stream_bytes > HOST_TRIM_BYTES;
}

void host_trim_turn(struct host *h)
{
	mono_t now = loop_now(h->loop);
	uint64_t n;

	if (!loop_timer_is_set(&h->trim) && trim_wait_begins(&h->trim_wait, freed(h)))
		wait_for_quiet(h);
	if (!h->stream_was_read)
		return;
	n = n_carried(h);
	if (n == h->n_carried && is_due(h, now)) {
		h->trim_again_at = mono_add(now, SPAN_S(HOST_TRIM_GAP_S));
		h->stream_bytes = 0;
		memory_trim();
	}
	h->n_carried = n;
	h->stream_was_read = h->netmap_changed = false;
}
