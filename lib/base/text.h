/* base/text.h - characters, and text forms of bytes and numbers: hex, base64, decimal, RFC 3339
 * time, durations
 *
 * Parsers are strict, take the whole text and leave out untouched when they return false.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/mono.h"

/* Length in bytes, 1 to 4, of the UTF-8 character that the text begins with (RFC 3629); 0: the text
 * is empty, or what it begins with is not well formed. */
size_t utf8_len(struct bytes text);
/* The same, and 0 also for what has no place in a line that people read: control characters (C0,
 * DEL, C1), separators of lines and paragraphs, marks that turn the direction of writing. */
size_t utf8_shown_len(struct bytes text);
/* Text of others for a log or a terminal: each byte of what has no place in a line becomes '?'. */
void text_show(char *text);

/* Of one hexadecimal digit, either case; -1: it is none. */
static inline int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
/* out gets 2 * n digits and a NUL */
void hex_emit(const uint8_t *in, size_t n, char *out);
MUST_USE bool hex_parse(struct bytes text, uint8_t *out,
			size_t n); /* exactly n bytes; either case */

enum { BASE64_STD, BASE64_URL }; /* alphabet */
/* RFC 4648, padded; out gets base64_len(n) characters and a NUL */
static inline size_t base64_len(size_t n)
{
	return (n + 2) / 3 * 4;
}
void base64_emit(const uint8_t *in, size_t n, int alphabet, char *out);
/* Padded or not; returns false on other characters, bad length or more than cap bytes; *n gets the
 * count. */
MUST_USE bool base64_parse(struct bytes text, int alphabet, uint8_t *out, size_t cap, size_t *n);

MUST_USE bool text_u64(struct bytes text, uint64_t *out); /* decimal digits only */
MUST_USE bool text_i64(struct bytes text, int64_t *out);
MUST_USE bool text_u16(struct bytes text, uint16_t *out);

/* How many characters, in either case, are to be put in, taken out or changed to make b out of a:
 * what was meant by a mistyped name. Of texts longer than TEXT_EDITS_MAX: all of the longer one. */
enum { TEXT_EDITS_MAX = 63 };
size_t text_edits(struct bytes a, struct bytes b);
/* The one of n names that somebody may have meant by what: a few edits away at most, or NULL. */
enum { TEXT_NEAREST_EDITS = 2 };
const char *text_nearest(struct bytes what, const char *const *names, size_t n);

/* RFC 3339 with up to nine digits of fraction and any offset; "0001-01-01T00:00:00Z" and earlier
 * than 1970 give WALL_ZERO. */
enum { WALL_TEXT = 36 };
MUST_USE bool wall_parse(struct bytes text, wall_t *out);
const char *wall_text(wall_t t,
		      char out[static WALL_TEXT]); /* UTC, nanoseconds without trailing zeros; zero:
						      "0001-01-01T00:00:00Z" */

/* Go duration: "1m30s", "500ms", "1.5h", "0"; no sign */
MUST_USE bool span_parse(struct bytes text, span_t *out);

/* Boolean as Go's strconv.ParseBool: 1 t T TRUE true True 0 f F FALSE false False */
MUST_USE bool bool_parse(struct bytes text, bool *out);

#endif
