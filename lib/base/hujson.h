/* base/hujson.h - JSON with comments and trailing commas, made plain without moving a byte
 */
#ifndef BASE_HUJSON_H
#define BASE_HUJSON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Overwrites comments (line and block) and trailing commas by spaces; offsets stay, so positions in
 * the result are positions in the original. false: a comment or string does not end; *at is where
 * it starts. */
bool hujson_plain(char *text, size_t len, size_t *at);

struct hujson_pos {
	unsigned line, column; /* from 1; columns count bytes */
};
struct hujson_pos hujson_pos(struct bytes text, size_t at);

#endif
