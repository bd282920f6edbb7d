/* ts2021/answer.c - see answer.h */
#include "ts2021/answer.h"

#include <string.h>

enum {
	ANSWER_IN_MAX = HTTP1_HEAD_MAX + (256 << 10)
}; /* the head, and as much as one feed may bring behind it */

void answer_init(struct answer *a, const char *method, const char *protocol)
{
	memset(a, 0, sizeof *a);
	http1_response_init(&a->head, method);
	a->protocol = protocol;
	buf_init(&a->in, ANSWER_IN_MAX);
	buf_init(&a->content, ANSWER_BODY_MAX);
}

void answer_fini(struct answer *a)
{
	buf_fini(&a->in);
	buf_fini(&a->content);
}

static enum answer_got read_body(struct answer *a)
{
	struct bytes piece;
	size_t used;

	for (;;) {
		enum http1_body_result r =
		    http1_body_feed(&a->body, buf_bytes(&a->in), &used, &piece);
		bool fits = r != HTTP1_BODY_DATA || buf_append(&a->content, piece.data, piece.len);

		buf_consume(&a->in, used);
		if (!fits || r == HTTP1_BODY_BAD)
			return ANSWER_BAD;
		if (r == HTTP1_BODY_MORE)
			return ANSWER_MORE;
		if (r == HTTP1_BODY_END)
			return ANSWER_DONE;
	}
}

static enum answer_got read_head(struct answer *a)
{
	enum http1_result r = http1_head_feed(&a->head, buf_bytes(&a->in));
	const char *method = a->head.no_body ? "HEAD" : "GET";

	if (r == HTTP1_MORE)
		return ANSWER_MORE;
	if (r != HTTP1_OK)
		return ANSWER_BAD;
	if (a->head.status >= 100 && a->head.status < 200 &&
	    a->head.status != 101) { /* informational: the answer follows */
		buf_consume(&a->in, a->head.len);
		http1_response_init(&a->head, method);
		return read_head(a);
	}
	a->has_head = true;
	a->is_upgraded =
	    a->head.status == 101 && a->protocol && http1_is_upgrade(&a->head, a->protocol);
	http1_body_init(&a->body, &a->head);
	buf_consume(&a->in, a->head.len);
	return a->head.status == 101 ? ANSWER_DONE : read_body(a);
}

enum answer_got answer_feed(struct answer *a, struct bytes in)
{
	if (!buf_append(&a->in, in.data, in.len))
		return ANSWER_BAD;
	return a->has_head ? read_body(a) : read_head(a);
}

enum answer_got answer_eof(struct answer *a)
{
	return a->has_head && http1_body_eof(&a->body) ? ANSWER_DONE : ANSWER_BAD;
}
