/* model/state_priv.h - between state.c (the map) and state_node.c (what a node finds in it) */
#ifndef MODEL_STATE_PRIV_H
#define MODEL_STATE_PRIV_H

#include "base/bytes.h"

void state_buf_wipe(struct buf *b); /* zeros, then buf_fini */

#endif
