/* ts2021/foreign_text.h - words of a server as one line that may be shown: UTF-8 without
 * control characters, no keys, cut short */
#ifndef TS2021_FOREIGN_TEXT_H
#define TS2021_FOREIGN_TEXT_H

#include "base/bytes.h"

enum { FOREIGN_TEXT_MAX = 200 + 1 }; /* control-protocol.md 3.2 */

/* secret: an auth key that must not be repeated even where its form is not known; may be NULL */
void foreign_text(struct bytes in, const char *secret, char out[static FOREIGN_TEXT_MAX]);

#endif
