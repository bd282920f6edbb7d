/* wg/replay.c - sliding window over packet counters
 *
 * RFC 6479: a ring of words in which bit (counter mod ring) stands for a counter; one word is
 * always spare, so moving ahead clears whole words and never shifts.
 */
#include "wg/replay.h"

#include <assert.h>

bool wg_replay_accept(struct replay *r, uint64_t counter)
{
	uint64_t word = counter / 64, bit = UINT64_C(1) << (counter % 64);

	assert(counter < UINT64_MAX); /* top is one above */
	if (counter >= r->top) {
		uint64_t from = r->top == 0 ? 0 : (r->top - 1) / 64 + 1;

		if (r->top == 0 || word - (from - 1) >= REPLAY_WORDS)
			from = word - (word < REPLAY_WORDS ? word : REPLAY_WORDS - 1);
		for (uint64_t w = from; w <= word; w++)
			r->ring[w % REPLAY_WORDS] = 0;
		r->top = counter + 1;
	} else if (r->top - 1 - counter >= REPLAY_WINDOW) {
		return false;
	}
	if (r->ring[word % REPLAY_WORDS] & bit)
		return false;
	r->ring[word % REPLAY_WORDS] |= bit;
	return true;
}
