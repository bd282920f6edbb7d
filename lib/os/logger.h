/* os/logger.h - the sink of base/log.h that programs use: lines on stderr with time and level */
#ifndef OS_LOGGER_H
#define OS_LOGGER_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/log.h"

/* prefix: name of the program, a string constant or NULL */
void logger_init(const char *prefix, enum log_level max);
bool logger_level_parse(
    struct bytes text, enum log_level *out); /* "error", "warn", "info", "debug", "trace" or 0..4 */
extern const char *const logger_level_names[LOG_N];

#endif
