/* ts2021/answer.h - one HTTP/1.1 answer being read: head, bounded body, and what follows it */
#ifndef TS2021_ANSWER_H
#define TS2021_ANSWER_H

#include "base/bytes.h"
#include "wire/http1.h"

enum { ANSWER_BODY_MAX = 64 << 10 }; /* control-protocol.md 2.1 */

enum answer_got { ANSWER_MORE, ANSWER_DONE, ANSWER_BAD };

struct answer {
	struct http1_head head; /* its views are only good inside answer_feed */
	struct http1_body body;
	bool has_head, is_upgraded; /* 101 with the protocol that was asked for */
	const char *protocol;
	struct buf in, content;
};

/* protocol: of an upgrade that is asked for, or NULL; borrowed */
void answer_init(struct answer *a, const char *method, const char *protocol);
void answer_fini(struct answer *a);
/* All bytes are taken; after ANSWER_DONE answer_rest has what followed. */
enum answer_got answer_feed(struct answer *a, struct bytes in);
enum answer_got answer_eof(struct answer *a); /* the stream ended */
static inline struct bytes answer_rest(const struct answer *a)
{
	return buf_bytes(&a->in);
}

#endif
