/* base/log.h - one line a fact: "module: words". Never a key, a token or file content.
 *
 * The sink is set by the program; without one lines are dropped. This is the one process-wide
 * setting of lib/: a sink is not state of any node, and threads only read it.
 *
 * In a process that runs several nodes, whoever carries one of them (lib/host, a program) names it
 * for as long as its turn lasts, so that what lies below has no name to know: "module: NAME:
 * words".
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE, LOG_N };

typedef void log_sink_fn(enum log_level level,
			 const char *line); /* line: no newline, control characters replaced */

void log_set(log_sink_fn *sink, enum log_level max);
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);
extern enum log_level log_max; /* read by the macros below */

/* label: "NAME: ", the caller's; "" or NULL: none. Gives what was in force. */
const char *log_as(const char *label);
void log_back(const char **was);
#define LOG_AS(label) /* until the end of the block */                                             \
	const char *log_was_ __attribute__((cleanup(log_back), unused)) = log_as(label)

#define LOG_AT(level, ...)                                                                         \
	do {                                                                                       \
		if ((level) <= log_max)                                                            \
			log_line((level), __VA_ARGS__);                                            \
	} while (0)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...) LOG_AT(LOG_TRACE, __VA_ARGS__)

#endif
