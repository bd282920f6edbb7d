/* host/pipe.h - two open streams joined, both ways, with half-close and back-pressure
 *
 * For what a proxy dials on the ordinary network. Each direction holds at most PIPE_BUFFER bytes,
 * and none while idle.
 */
#ifndef HOST_PIPE_H
#define HOST_PIPE_H

#include <stddef.h>

#include "base/bytes.h"

struct stream;
struct host_pipe;

enum { PIPE_BUFFER = 64 << 10 };

struct host_pipes { /* all pipes of one owner; zeroed at first */
	struct host_pipe *first;
	size_t n;
};

/* The set owns both streams from now on, whatever happens. from_a: bytes already read from a, on
 * their way to b (copied, at most PIPE_BUFFER); from_b likewise. An end that has come already is
 * passed on behind them. */
void host_pipe_join(struct host_pipes *set, struct stream *a, struct bytes from_a, struct stream *b,
		    struct bytes from_b);
void host_pipes_close(struct host_pipes *set); /* all of them, now */

#endif
