/* base/log.c - see log.h */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum log_level log_max = LOG_ERROR;
static log_sink_fn *log_sink;

void log_set(log_sink_fn *sink, enum log_level max)
{
	log_sink = sink;
	log_max = max;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	size_t len;

	if (!log_sink || level > log_max)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	len = strlen(line);
	for (size_t i = 0, n; i < len; i += n ? n : 1) { /* foreign text cannot forge a line */
		n = utf8_shown_len(bytes_of(line + i, len - i));
		if (n == 0)
			line[i] = '?';
	}
	log_sink(level, line);
}
