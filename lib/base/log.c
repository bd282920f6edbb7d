/* base/log.c - see log.h */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

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

	if (!log_sink || level > log_max)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	for (char *p = line; *p; p++) /* foreign text cannot forge a line */
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	log_sink(level, line);
}
