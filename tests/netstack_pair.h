/* tests/netstack_pair.h - for tests: two stacks against each other over a link with faults, on
 * virtual time from a seed
 *
 *      a --- [rate, delay, loss, reordering, duplication] --- b        one of these a direction
 *
 * Flows go from a to b. Every byte is a function of its offset, so that one byte out of place is
 * seen. Figures are printed, never asserted.
 */
#ifndef TESTS_NETSTACK_PAIR_H
#define TESTS_NETSTACK_PAIR_H

#include <stdlib.h>

#include "base/mono.h"
#include "netstack/netstack.h"
#include "netstack/stack.h"
#include "tests/harness.h"

enum { PAIR_PORT = 80 }; /* of the first flow; the others follow */

/* The link's own memory; a test that lets malloc fail takes it from elsewhere. */
#ifndef PAIR_MALLOC
#define PAIR_MALLOC malloc
#define PAIR_REALLOC realloc
#endif

struct link {
	uint64_t rate;                     /* bits a second */
	span_t delay;                      /* one way */
	unsigned loss, reorder, late, dup; /* per 10,000 */
	size_t queue_max;                  /* bytes */
	size_t mtu;                        /* larger ones vanish */
};

struct flying {
	mono_t at;
	uint64_t order;
	uint32_t len;
	uint8_t to;
	uint8_t data[PKT_INNER_MAX];
};

struct world {
	struct seed_rng rng;
	struct link link;
	struct netstack *ns[2];
	struct ip addr[2];
	mono_t now, busy[2];
	struct flying **heap;
	size_t n, cap;
	uint64_t order, lost, reordered, queue_drops, sent;
	struct burst burst;
	struct flying *spare;
};

static inline bool sooner(const struct flying *a, const struct flying *b)
{
	return a->at.ns < b->at.ns || (a->at.ns == b->at.ns && a->order < b->order);
}

static inline void heap_push(struct world *w, struct flying *f)
{
	size_t i = w->n++;

	if (w->n > w->cap) {
		w->cap = w->cap ? w->cap * 2 : 1024;
		w->heap = PAIR_REALLOC(w->heap, w->cap * sizeof *w->heap);
	}
	for (; i > 0 && sooner(f, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = f;
}

static inline struct flying *heap_pop(struct world *w)
{
	struct flying *top = w->heap[0], *last = w->heap[--w->n];
	size_t i = 0;

	for (;;) {
		size_t c = 2 * i + 1;

		if (c >= w->n)
			break;
		if (c + 1 < w->n && sooner(w->heap[c + 1], w->heap[c]))
			c++;
		if (!sooner(w->heap[c], last))
			break;
		w->heap[i] = w->heap[c];
		i = c;
	}
	w->heap[i] = last;
	return top;
}

static inline bool chance(struct world *w, unsigned per_10000)
{
	return per_10000 > 0 && rng_below(&w->rng.rng, 10000) < per_10000;
}

static inline void fly(struct world *w, int from, const struct pkt *p, mono_t at)
{
	struct flying *f = PAIR_MALLOC(sizeof *f);

	f->at = at;
	f->order = w->order++;
	f->len = p->len;
	f->to = (uint8_t)!from;
	memcpy(f->data, p->data, p->len);
	heap_push(w, f);
}

static inline void transmit(struct world *w, int from, const struct pkt *p)
{
	const struct link *l = &w->link;
	mono_t out = mono_max(w->busy[from], w->now);
	int64_t ns = l->rate ? (int64_t)((uint64_t)p->len * 8 * 1000000000 / l->rate) : 0;

	w->sent++;
	if (l->mtu && p->len > l->mtu)
		return;
	if (l->rate && (uint64_t)mono_sub(out, w->now).ns * l->rate / 8000000000U > l->queue_max) {
		w->queue_drops++;
		return;
	}
	out.ns += ns;
	w->busy[from] = out;
	if (chance(w, l->loss)) {
		w->lost++;
		return;
	}
	if (chance(w, l->reorder)) { /* the netem meaning: it skips the delay */
		w->reordered++;
		fly(w, from, p, out);
		return;
	}
	if (chance(w, l->late))
		fly(w, from, p, mono_add(mono_add(out, l->delay), SPAN_MS(3)));
	else
		fly(w, from, p, mono_add(out, l->delay));
	if (chance(w, l->dup))
		fly(w, from, p, mono_add(out, l->delay));
}

static inline void drain(struct world *w, int side)
{
	do {
		burst_reset(&w->burst);
		netstack_pull(w->ns[side], w->now, &w->burst);
		for (size_t i = 0; i < w->burst.n; i++)
			transmit(w, side, &w->burst.v[i]);
	} while (w->burst.n == BURST_MAX);
}

/* Goes to the next thing that happens; false: nothing will within `until`. */
static inline bool step(struct world *w, mono_t until)
{
	mono_t at = w->n > 0 ? w->heap[0]->at : MONO_NEVER;

	for (int i = 0; i < 2; i++)
		at = mono_min(at, netstack_deadline(w->ns[i]));
	if (mono_before(until, at))
		return false;
	w->now = mono_max(w->now, at);
	for (int i = 0; i < 2; i++) {
		if (mono_due(netstack_deadline(w->ns[i]), w->now))
			netstack_tick(w->ns[i], w->now);
	}
	while (w->n > 0 && mono_due(w->heap[0]->at, w->now)) {
		struct flying *f = heap_pop(w);
		struct pkt p = { .data = f->data, .len = f->len };

		netstack_feed(w->ns[f->to], w->now, &p, 1);
		free(f);
	}
	drain(w, 0);
	drain(w, 1);
	return true;
}

static inline void world_init(struct world *w, uint64_t seed, const struct link *l,
			      struct netstack_conf conf)
{
	*w = (struct world){ .link = *l, .now = { NS_PER_S } };
	seed_rng_init(&w->rng, seed);
	ck_assert_int_eq(burst_init(&w->burst), 0);
	conf.rng = &w->rng.rng;
	if (conf.mtu == 0)
		conf.mtu = 1280;
	for (int i = 0; i < 2; i++) {
		w->addr[i] =
		    (struct ip){ { [10] = 0xff, [11] = 0xff, 100, 64, 0, (uint8_t)(i + 1) } };
		w->ns[i] = netstack_new(&conf);
		ck_assert_ptr_nonnull(w->ns[i]);
		ck_assert_int_eq(netstack_addr_add(w->ns[i], &w->addr[i]), 0);
	}
}

static inline void world_fini(struct world *w)
{
	while (w->n > 0)
		free(heap_pop(w));
	free(w->heap);
	netstack_free(w->ns[0]);
	netstack_free(w->ns[1]);
	burst_fini(&w->burst);
}

/* --- one transfer ------------------------------------------------------------------------------
 */

struct flow {
	struct ns_id id[2];
	uint64_t want, written, read;
	bool connected, shut, at_end, ended[2];
	bool is_stalled; /* the reader does not read */
	enum ns_end end[2];
	mono_t first, last;
	span_t bound; /* stop after so long and say how far it got; 0: until all is there */
};

/* What the bytes of a stream are: byte_at has this period, so that they can be copied and compared
 * in one piece. */
enum { STREAM_PERIOD = 1 << 21 };
static uint8_t stream_bytes[STREAM_PERIOD];

static inline uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 2654435761U >> 13 ^ off);
}

__attribute__((constructor)) static void stream_bytes_fill(void)
{
	for (size_t i = 0; i < STREAM_PERIOD; i++)
		stream_bytes[i] = byte_at(i);
}

/* the bytes from OFF on, *len of them at most */
static inline const uint8_t *stream_at(uint64_t off, size_t *len)
{
	*len = MIN_OF(*len, (size_t)(STREAM_PERIOD - off % STREAM_PERIOD));
	return stream_bytes + off % STREAM_PERIOD;
}

static inline void write_more(struct world *w, struct flow *f)
{
	while (f->written < f->want) {
		struct ns_piece v[4];
		size_t k = ns_tcp_reserve(w->ns[0], f->id[0],
					  (size_t)MIN_OF(f->want - f->written, (uint64_t)65536), v,
					  4),
		       n = 0;

		if (k == 0)
			return;
		for (size_t i = 0; i < k; i++) {
			for (size_t j = 0, len; j < v[i].len; j += len, n += len) {
				const uint8_t *p;

				len = v[i].len - j;
				p = stream_at(f->written + n, &len);
				memcpy(v[i].data + j, p, len);
			}
		}
		ns_tcp_commit(w->ns[0], w->now, f->id[0], n);
		f->written += n;
	}
	if (!f->shut) {
		ns_tcp_shutdown(w->ns[0], w->now, f->id[0]);
		f->shut = true;
	}
}

static inline void read_all(struct world *w, struct flow *f)
{
	struct ns_piece v[4];
	size_t k;

	if (f->is_stalled)
		return;
	while ((k = ns_tcp_peek(w->ns[1], f->id[1], v, 4)) > 0) {
		size_t n = 0;

		for (size_t i = 0; i < k; i++) {
			for (size_t j = 0, len; j < v[i].len; j += len, n += len) {
				const uint8_t *p;

				len = v[i].len - j;
				p = stream_at(f->read + n, &len);
				if (memcmp(v[i].data + j, p, len) != 0)
					ck_abort_msg("a byte is wrong from %llu on",
						     (unsigned long long)(f->read + n));
			}
		}
		f->read += n;
		f->last = w->now;
		ns_tcp_consume(w->ns[1], w->now, f->id[1], n);
	}
	if (ns_tcp_at_end(w->ns[1], f->id[1]) && !f->at_end) {
		f->at_end = true;
		ns_tcp_shutdown(w->ns[1], w->now, f->id[1]);
	}
}

/* Which flow an event names; an incoming connection is that of its port. */
static inline struct flow *flow_of(struct flow *f, size_t n, int side, const struct ns_event *ev)
{
	for (size_t i = 0; i < n; i++) {
		if (ev->type == NS_TCP_INCOMING ? ev->local.port == PAIR_PORT + i
						: f[i].id[side].index == ev->id.index &&
						      f[i].id[side].generation == ev->id.generation)
			return &f[i];
	}
	return NULL;
}

static inline void event(struct world *w, struct flow *f, int side, const struct ns_event *ev)
{
	switch (ev->type) {
	case NS_TCP_INCOMING:
		f->id[1] = ev->id;
		ns_tcp_accept(w->ns[1], w->now, ev->id);
		break;
	case NS_TCP_CONNECTED:
		if (side == 0) {
			f->connected = true;
			f->first = w->now;
			write_more(w, f);
		}
		break;
	case NS_TCP_READABLE:
		if (side == 1)
			read_all(w, f);
		break;
	case NS_TCP_WRITABLE:
		write_more(w, f);
		break;
	case NS_TCP_ENDED:
		f->ended[side] = true;
		f->end[side] = ev->end;
		break;
	default:
		break;
	}
}

static inline void events(struct world *w, struct flow *f, size_t n)
{
	struct ns_event ev;

	for (int side = 0; side < 2; side++) {
		while (netstack_next(w->ns[side], &ev)) {
			struct flow *of = flow_of(f, n, side, &ev);

			if (of)
				event(w, of, side, &ev);
		}
		drain(w, side);
	}
}

/* Flow i of a world goes to its port. */
static inline void open_flow(struct world *w, struct flow *f, size_t i)
{
	struct ipport from = { 0 }, to = { w->addr[1], (uint16_t)(PAIR_PORT + i) };

	ck_assert_int_eq(ns_tcp_connect(w->ns[0], w->now, &from, &to, &f[i].id[0]), 0);
	drain(w, 0);
}

static inline double mbps(uint64_t bytes, span_t d)
{
	return (double)bytes * 8 / 1e6 / ((double)d.ns / 1e9);
}

/* Sends f->want bytes from a to b; returns Mb/s of goodput. */
static inline double transfer(struct world *w, struct flow *f)
{
	mono_t until = mono_add(w->now, f->bound.ns ? f->bound : SPAN_S(3600));

	open_flow(w, f, 0);
	while (!(f->ended[0] && f->ended[1]) && step(w, until))
		events(w, f, 1);
	return mbps(f->read, mono_sub(f->last, f->first));
}

static inline double run(const char *what, uint64_t seed, struct link l, uint64_t bytes,
			 span_t bound, struct netstack_conf conf)
{
	struct world w;
	struct flow f = { .want = bytes, .bound = bound };
	struct netstack_stat st;
	double rate;

	world_init(&w, seed, &l, conf);
	rate = transfer(&w, &f);
	netstack_stat(w.ns[0], &st);
	printf("figure: %s, seed %llu: %.2f Mb/s, %llu MB in %.2f s, %llu sent again of %llu, %llu "
	       "needless, %llu lost %llu early %llu queue drops\n",
	       what, (unsigned long long)seed, rate, (unsigned long long)(f.read >> 20),
	       (double)mono_sub(f.last, f.first).ns / 1e9, (unsigned long long)st.tcp_retrans,
	       (unsigned long long)st.packets_out, (unsigned long long)st.tcp_spurious,
	       (unsigned long long)w.lost, (unsigned long long)w.reordered,
	       (unsigned long long)w.queue_drops);
	fflush(stdout);
	ck_assert(f.connected);
	if (bound.ns == 0) {
		ck_assert_uint_eq(f.read, bytes);
		ck_assert(f.at_end && f.ended[0] && f.ended[1]);
		ck_assert_int_eq(f.end[0], NS_END_DONE);
		ck_assert_int_eq(f.end[1], NS_END_DONE);
	} else {
		ck_assert_uint_gt(f.read, 0);
	}
	world_fini(&w);
	return rate;
}

static const struct link wan20 = { .rate = 100000000, .delay = { 10000000 }, .queue_max = 500000 };
static const struct link wan100 = { .rate = 1000000000,
				    .delay = { 50000000 },
				    .queue_max = 16 << 20 };

#endif
