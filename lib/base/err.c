/* base/err.c - see err.h */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static PRINTF(3, 0) int fill(struct err *e, int code, const char *fmt, va_list ap)
{
	if (code == 0)
		code = EIO;
	if (e) {
		e->code = code;
		vsnprintf(e->text, sizeof e->text, fmt, ap);
	}
	return -code;
}

/* No locale, no static buffer: glibc's strerror has both, musl's has neither. */
static const char *words_of(int code)
{
#ifdef __GLIBC__
	const char *words = strerrordesc_np(code);
#else
	const char *words = strerror(code);
#endif

	return words ? words : "unknown error";
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = fill(e, code, fmt, ap);
	va_end(ap);
	if (e) {
		size_t n = strlen(e->text);

		snprintf(e->text + n, sizeof e->text - n, ": %s", words_of(e->code));
	}
	return ret;
}

int err_say(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = fill(e, code, fmt, ap);
	va_end(ap);
	return ret;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	va_list ap;
	size_t n;

	if (!e)
		return -EIO;
	memcpy(old, e->text, sizeof old);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", old);
	return -(e->code ? e->code : EIO);
}
