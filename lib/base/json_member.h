/* base/json_member.h - values that answers of every kind have: times, prefixes, addresses with
 * ports
 */
#ifndef BASE_JSON_MEMBER_H
#define BASE_JSON_MEMBER_H

#include <stddef.h>

#include "base/ip.h"
#include "base/json.h"
#include "base/mono.h"

/* RFC 3339 (base/text.h); zero: "0001-01-01T00:00:00Z", as Go writes it */
void jsonw_kwall(struct jsonw *w, const char *key, wall_t t);
/* An array of texts, in order */
void jsonw_kprefixes(struct jsonw *w, const char *key, const struct ipprefix *v, size_t n);
void jsonw_kipports(struct jsonw *w, const char *key, const struct ipport *v, size_t n);
/* null and "" are WALL_ZERO; what is no time fails the reader */
wall_t json_wall(struct json *j);

#endif
