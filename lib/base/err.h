/* base/err.h - what a user is told: one line, what, where, what to do
 *
 * Functions that talk to the outside return 0 or a count, or -errno after filling `struct err`.
 * Outer layers put their words in front with err_wrap. Secrets are never put in.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

enum { ERR_TEXT_MAX = 512 };

struct err {
	int code; /* positive errno, or 0 when nothing failed */
	char text[ERR_TEXT_MAX];
};

/* Sets text to the formatted words, then ": " and the errno's own words when code > 0; returns
 * -code (-EIO for 0). e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);
/* Words only, no errno text appended; returns -code. */
int err_say(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);
/* "words: old text"; keeps the code; returns -code. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);

#endif
