/* os/logger.c - see logger.h. The prefix is the one setting that a log sink cannot do without. */
#include "os/logger.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

const char *const logger_level_names[LOG_N] = { "error", "warn", "info", "debug", "trace" };
static const char *logger_prefix;

/* One write a line, so that lines of several processes do not mix. */
static void sink(enum log_level level, const char *line)
{
	char out[1200];
	struct timespec ts;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = snprintf(out, sizeof out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s%s%s\n",
		     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		     (int)(ts.tv_nsec / 1000000), logger_level_names[level],
		     logger_prefix ? logger_prefix : "", logger_prefix ? ": " : "", line);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof out) {
		n = sizeof out - 1;
		out[n - 1] = '\n';
	}
	(void)!write(STDERR_FILENO, out, (size_t)n); /* nobody to tell */
}

void logger_init(const char *prefix, enum log_level max)
{
	logger_prefix = prefix;
	log_set(sink, max);
}

bool logger_level_parse(struct bytes text, enum log_level *out)
{
	uint64_t v;

	for (int i = 0; i < LOG_N; i++)
		if (bytes_caseeq(text, bytes_str(logger_level_names[i]))) {
			*out = (enum log_level)i;
			return true;
		}
	if (!text_u64(text, &v) || v >= LOG_N)
		return false;
	*out = (enum log_level)v;
	return true;
}
