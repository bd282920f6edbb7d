/* base/json.h - bounded JSON: a pull reader over contiguous bytes, a splitter for streams, a writer
 *
 * Reader: values are asked for in the type that is wanted; a value of another type fails the reader
 * for good, `null` is accepted everywhere and gives the zero value (control-protocol.md 0). What is
 * not wanted is skipped as bytes. Depth is limited to JSON_DEPTH_MAX. No allocation. Key names are
 * compared by the caller, without regard to case as Go does (json_key_is).
 *
 *      struct json j = json_of(text);
 *      struct bytes key;
 *      json_obj(&j);
 *      while (json_key(&j, &key)) {
 *              if (json_key_is(key, "ID"))
 *                      id = json_i64(&j);
 *              else if (json_key_is(key, "Tags")) {
 *                      json_arr(&j);
 *                      while (json_elem(&j))
 *                              json_str(&j, tag, sizeof tag);
 *              } else
 *                      json_skip(&j);
 *      }
 *      if (!json_done(&j)) ...malformed
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { JSON_DEPTH_MAX = 64 };

enum json_type {
	JSON_ERROR,
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
	JSON_NONE
};

struct json {
	const char *p, *end;
	unsigned depth;
	bool failed;
	bool fresh;      /* just entered a container: no comma wanted */
	bool is_null;    /* a null was entered as a container: its loop ends at once */
	uint64_t is_arr; /* bit d - 1: the container at depth d is an array */
	const char *bad; /* once it failed: about where; NULL before */
};

struct json json_of(struct bytes text);
enum json_type json_type(struct json *j); /* of the next value; consumes only white space */

/* Containers. json_obj/json_arr on null make the loop end at once. json_key/json_elem return false
 * at the closing bracket (consumed) and on failure. Each key's value must be consumed before the
 * next json_key; same for json_elem. */
void json_obj(struct json *j);
bool json_key(struct json *j,
	      struct bytes *key); /* raw text between the quotes, escapes not undone; borrowed */
void json_arr(struct json *j);
bool json_elem(struct json *j);
bool json_key_is(struct bytes key, const char *name); /* ASCII case-insensitive */
/* Undoes the escapes of a key; NUL-terminated. False: malformed, NUL inside, or longer than cap
 * - 1. */
MUST_USE bool json_unescape(struct bytes key, char *out, size_t cap);

/* Scalars; null gives zero. */
bool json_bool(struct json *j);
int64_t json_i64(struct json *j); /* a fraction or an overflow fails */
uint64_t json_u64(struct json *j);
double json_f64(struct json *j);
/* Decodes escapes into out (UTF-8, NUL-terminated); returns the length. Longer than cap - 1, or
 * with an embedded NUL: fails. */
size_t json_str(struct json *j, char *out, size_t cap);
/* The string's bytes when it has no escape (most); with escapes they are decoded into tmp. Fails
 * when longer than cap, or with an embedded NUL. */
struct bytes json_strb(struct json *j, char *tmp, size_t cap);
char *json_strdup(
    struct json *j,
    size_t max); /* malloc'd, at most max bytes; null gives ""; NULL on failure (reader failed) */
bool json_take_null(struct json *j); /* consumes a null and says so */
static inline bool
json_null(struct json *j) /* the same; inline, since jansson exports a function of this name */
{
	return json_take_null(j);
}
struct bytes json_raw(struct json *j); /* the whole value as its text; borrowed */
void json_skip(struct json *j);
bool json_ok(const struct json *j);
bool json_is_utf8(struct bytes s); /* RFC 8259 8.1; the reader does not insist on it, who writes
				      again what it read should */
bool json_done(struct json *j);    /* not failed and only white space is left */

/* Splitter: bytes of one big object arrive in any pieces; out come members of the top-level object,
 * and for members named by `is_list` the elements of their arrays one by one, each complete and
 * contiguous, at most `max` bytes. It looks at brackets and strings only: whether a value is good
 * JSON is seen by whoever reads it. Keys are raw, as above, and cut at JSON_SPLIT_KEY_MAX (the
 * value of a longer one counts as too big). */
enum { JSON_SPLIT_KEY_MAX = 256 };
struct json_split;
enum json_split_ev {
	JSON_SPLIT_MORE,   /* give more bytes */
	JSON_SPLIT_MEMBER, /* key, value */
	JSON_SPLIT_LIST, /* key: its array begins (an empty or null one gives no LIST but a MEMBER)
			  */
	JSON_SPLIT_ELEM, /* key, value: one element */
	JSON_SPLIT_LIST_END,
	JSON_SPLIT_END,     /* the object is closed; trailing white space is allowed; comes again on
			       further calls */
	JSON_SPLIT_ERROR,   /* malformed, deeper than JSON_DEPTH_MAX, or out of memory; for good,
			       until a reset */
	JSON_SPLIT_TOO_BIG, /* one member or element exceeded max: it is skipped, key is set;
			       parsing goes on */
};
/* is_list: pure test on a key. NULL: out of memory. */
struct json_split *json_split_new(bool (*is_list)(struct bytes key), size_t max);
void json_split_free(struct json_split *s);
void json_split_reset(struct json_split *s);
/* Consumes from *in; returns the next event. key and value are borrowed until the next call, and
 * may lie in the bytes that *in named. */
enum json_split_ev json_split_next(struct json_split *s, struct bytes *in, struct bytes *key,
				   struct bytes *value);

/* Writer: appends to a struct buf; commas and quoting are its business; a buf that ran out leaves
 * it failed. */
struct jsonw {
	struct buf *out;
	bool failed, comma;
};
void jsonw_init(struct jsonw *w, struct buf *out);
void jsonw_obj(struct jsonw *w);
void jsonw_obj_end(struct jsonw *w);
void jsonw_arr(struct jsonw *w);
void jsonw_arr_end(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_str(struct jsonw *w, const char *s); /* NULL: null; invalid UTF-8 becomes U+FFFD */
void jsonw_strn(struct jsonw *w, struct bytes s);
void jsonw_i64(struct jsonw *w, int64_t v);
void jsonw_u64(struct jsonw *w, uint64_t v);
void jsonw_f64(struct jsonw *w,
	       double v); /* shortest text that reads back equal; not a number: null */
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
void jsonw_raw(struct jsonw *w, struct bytes json);
/* key and value in one call */
void jsonw_kstr(struct jsonw *w, const char *key, const char *s);
void jsonw_ki64(struct jsonw *w, const char *key, int64_t v);
void jsonw_kbool(struct jsonw *w, const char *key, bool v);
bool jsonw_ok(const struct jsonw *w);

#endif
