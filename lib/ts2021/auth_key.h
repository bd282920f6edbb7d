/* ts2021/auth_key.h - the one secret that people give us, in memory that is not swapped out and is
 * wiped */
#ifndef TS2021_AUTH_KEY_H
#define TS2021_AUTH_KEY_H

#include "base/attr.h"

enum { AUTH_KEY_MAX = 8192 };

/* Replaces *held (NULL: none held) by a copy of the key proper, without a tailnet lock suffix. key
 * NULL or "": none. 0, -ENOMEM, -E2BIG */
MUST_USE int auth_key_set(char **held, const char *key);
void auth_key_free(char *held); /* wipes; NULL is fine */

#endif
