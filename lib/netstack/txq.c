/* netstack/txq.c - see txq.h */
#include "netstack/txq.h"

#include "netstack/seq.h"

void txq_init(struct txq *t)
{
	*t = (struct txq){ 0 };
	chunkq_init(&t->q);
	for (int i = 0; i < TX_LISTS; i++)
		t->list[i] = (struct tx_list){ TX_NONE, TX_NONE };
}

void txq_clear(struct txq *t, struct pool *p)
{
	chunkq_clear(&t->q, p);
	txq_init(t);
}

static void unlink_record(struct txq *t, struct tx_seg *s)
{
	struct tx_list *l;

	t->bytes[s->where] -= tx_span(s);
	t->n[s->where]--;
	if (s->where >= TX_LISTS)
		return;
	l = &t->list[s->where];
	if (s->prev == TX_NONE)
		l->first = s->next;
	else
		txq_at(t, s->prev)->next = s->next;
	if (s->next == TX_NONE)
		l->last = s->prev;
	else
		txq_at(t, s->next)->prev = s->prev;
}

/* The lost record behind which record i belongs; TX_NONE: in front of them all. Neighbours in
 * sequence are lost together as a rule, so the walk is short. */
static uint32_t lost_before(const struct txq *t, uint32_t i)
{
	const struct tx_list *l = &t->list[TX_LOST];

	if (l->first == TX_NONE || seq_lt(i, l->first))
		return TX_NONE;
	if (seq_lt(l->last, i))
		return l->last;
	do
		i--;
	while (txq_at(t, i)->where != TX_LOST);
	return i;
}

static void link_record(struct txq *t, uint32_t i, struct tx_seg *s, enum tx_where to)
{
	struct tx_list *l;

	s->where = (uint8_t)to;
	t->bytes[to] += tx_span(s);
	t->n[to]++;
	s->skip = 1;
	if (to >= TX_LISTS)
		return;
	l = &t->list[to];
	s->prev = to == TX_LOST ? lost_before(t, i) : l->last;
	s->next = s->prev == TX_NONE ? l->first : txq_at(t, s->prev)->next;
	*(s->prev == TX_NONE ? &l->first : &txq_at(t, s->prev)->next) = i;
	*(s->next == TX_NONE ? &l->last : &txq_at(t, s->next)->prev) = i;
}

/* Records between two multiples of CHUNKQ_SPAN */
enum { SPAN_RECORDS = CHUNKQ_SPAN / sizeof(struct tx_seg) };
static_assert(TX_INDEX_MAX > 2 * SPAN_RECORDS, "the head can be moved down when the tail is there");

static uint32_t lower(uint32_t i, uint32_t by)
{
	return i == TX_NONE ? TX_NONE : i - by;
}

/* The bytes stay where they are: after some terabytes in which something was always in flight the
 * indices would be used up. */
static void renumber(struct txq *t)
{
	const uint32_t by = t->head / SPAN_RECORDS * SPAN_RECORDS;

	for (uint32_t i = t->head; i != t->tail; i++) {
		struct tx_seg *s = txq_at(t, i);

		s->prev = lower(s->prev, by);
		s->next = lower(s->next, by);
	}
	for (int i = 0; i < TX_LISTS; i++)
		t->list[i] =
		    (struct tx_list){ lower(t->list[i].first, by), lower(t->list[i].last, by) };
	t->head -= by;
	t->tail -= by;
	chunkq_rebase(&t->q, (uint64_t)by * sizeof(struct tx_seg));
}

struct tx_seg *txq_push(struct txq *t, struct pool *p, uint32_t seq, uint32_t len, uint8_t flags)
{
	struct tx_seg *s;

	if (!chunkq_need(&t->q, p, (uint64_t)t->tail * sizeof *s, sizeof *s))
		return NULL;
	if (t->tail >= TX_INDEX_MAX)
		renumber(t);
	s = txq_at(t, t->tail);
	*s = (struct tx_seg){ .seq = seq, .len = len, .flags = flags };
	link_record(t, t->tail, s, TX_INFLIGHT);
	t->tail++;
	return s;
}

void txq_pop(struct txq *t, struct pool *p)
{
	unlink_record(t, txq_at(t, t->head));
	t->head++;
	if (t->head == t->tail) {
		txq_clear(t, p);
		return;
	}
	chunkq_drop(&t->q, p, (uint64_t)t->head * sizeof(struct tx_seg));
}

void txq_cut(struct txq *t, uint32_t n)
{
	struct tx_seg *s = txq_at(t, t->head);

	assert(n <= s->len);
	s->seq += n;
	s->len -= n;
	t->bytes[s->where] -= n;
}

void txq_grow(struct txq *t, uint32_t i, uint32_t n, bool fin)
{
	struct tx_seg *s = txq_at(t, i);

	t->bytes[s->where] -= tx_span(s);
	s->len += n;
	if (fin)
		s->flags |= TX_FIN;
	t->bytes[s->where] += tx_span(s);
}

void txq_move(struct txq *t, uint32_t i, enum tx_where to)
{
	struct tx_seg *s = txq_at(t, i);

	unlink_record(t, s);
	link_record(t, i, s, to);
}

void txq_unlose(struct txq *t)
{
	struct tx_list *lost = &t->list[TX_LOST], *flight = &t->list[TX_INFLIGHT];

	if (lost->first == TX_NONE)
		return;
	for (uint32_t i = lost->first; i != TX_NONE; i = txq_at(t, i)->next)
		txq_at(t, i)->where = TX_INFLIGHT;
	txq_at(t, lost->last)->next = flight->first;
	if (flight->first == TX_NONE)
		flight->last = lost->last;
	else
		txq_at(t, flight->first)->prev = lost->last;
	flight->first = lost->first;
	*lost = (struct tx_list){ TX_NONE, TX_NONE };
	t->bytes[TX_INFLIGHT] += t->bytes[TX_LOST];
	t->n[TX_INFLIGHT] += t->n[TX_LOST];
	t->bytes[TX_LOST] = t->n[TX_LOST] = 0;
}

uint32_t txq_find(const struct txq *t, uint32_t seq)
{
	uint32_t lo = t->head, hi = t->tail;

	while (lo != hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (seq_leq(tx_end(txq_at(t, mid)), seq))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Rebuilt from scratch: order of transmission becomes order of sequence, which costs RACK one round
 * of precision. */
bool txq_split(struct txq *t, struct pool *p, uint32_t mss)
{
	struct txq to;

	assert(mss > 0);
	txq_init(&to);
	for (uint32_t i = t->head; i != t->tail; i++) {
		const struct tx_seg *s = txq_at(t, i);
		uint32_t done = 0;

		do {
			uint32_t left = s->len - done, len = left < mss ? left : mss;
			uint8_t flags = len < left ? (uint8_t)(s->flags & ~TX_FIN) : s->flags;
			struct tx_seg *part = txq_push(&to, p, s->seq + done, len, flags);

			if (!part) {
				txq_clear(&to, p);
				return false;
			}
			part->sent = s->sent;
			part->original = s->original;
			part->first_sent = s->first_sent;
			part->delivered_at = s->delivered_at;
			part->delivered = s->delivered;
			part->n_sent = s->n_sent;
			txq_move(&to, to.tail - 1, s->where);
			done += len;
		} while (done < s->len);
	}
	txq_clear(t, p);
	*t = to;
	return true;
}
