/* wire/encoded_word.h - text in header fields that ASCII does not hold (RFC 2047, "Q") */
#ifndef WIRE_ENCODED_WORD_H
#define WIRE_ENCODED_WORD_H

#include "base/attr.h"
#include "base/bytes.h"

/* Appends text as it is when it is printable ASCII, else as "=?utf-8?q?...?=" words of at most 75
 * characters, apart by a blank, no character divided. */
MUST_USE bool encoded_word(struct buf *out, struct bytes text);

#endif
