/* wg/replay.h - which counters of a session were seen: a window of 8128 packets behind the highest
 */
#ifndef WG_REPLAY_H
#define WG_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

enum { REPLAY_WORDS = 128, REPLAY_WINDOW = (REPLAY_WORDS - 1) * 64 };

struct replay {       /* zero: nothing was seen */
	uint64_t top; /* one above the highest counter seen; 0: none */
	uint64_t ring[REPLAY_WORDS];
};

/* Call after the packet proved authentic. false: seen before, or too far behind to tell. */
bool wg_replay_accept(struct replay *r, uint64_t counter);

#endif
