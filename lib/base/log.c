/* base/log.c - see log.h */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum log_level log_max = LOG_ERROR;
static log_sink_fn *log_sink;
static const char *log_label;

void log_set(log_sink_fn *sink, enum log_level max)
{
	log_sink = sink;
	log_max = max;
}

const char *log_as(const char *label)
{
	const char *was = log_label;

	log_label = label;
	return was;
}

void log_back(const char **was)
{
	log_label = *was;
}

/* Behind the module. */
static void put_label(char *line, size_t cap)
{
	const char *module_end = strstr(line, ": ");
	size_t at = module_end ? (size_t)(module_end + 2 - line) : 0, len = strlen(line);
	size_t n = MIN_OF(strlen(log_label), cap - 1 - at),
	       rest = MIN_OF(len - at, cap - 1 - at - n);

	memmove(line + at + n, line + at, rest);
	memcpy(line + at, log_label, n);
	line[at + n + rest] = 0;
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
	if (log_label)
		put_label(line, sizeof line);
	text_show(line); /* foreign text cannot forge a line */
	log_sink(level, line);
}
