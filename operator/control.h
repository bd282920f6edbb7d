/* operator/control.h - one request to the control server's API, with the credentials as they are
 * at that moment
 *
 * The bearer is an API key, read from its file each time, or the token of an OAuth client, asked
 * for first when there is none that is good. What is asked is therefore made when the bearer is
 * there: its form depends on op->keys.
 */
#ifndef OPERATOR_CONTROL_H
#define OPERATOR_CONTROL_H

#include "kube/web.h"
#include "operator/keys.h"

struct operator;

struct control_answer {
	const struct err *why; /* NULL: it was asked; else it could not be, and why */
	bool no_token;         /* why: the OAuth client got no token */
	unsigned status;       /* 0: no answer came */
	struct bytes body;     /* borrowed */
};

/* A member of its owner, who sends one at a time. */
struct control_call {
	struct operator *op;
	/* False: too long, or an id that is none. */
	bool (*make)(void *ctx, struct keys_request *rq, struct buf *body);
	/* Exactly once; from within control_send when nothing could be asked. */
	void (*done)(void *ctx, const struct control_answer *a);
	void *ctx;
	size_t answer_max; /* 0: as much as one device or key needs */
};

void control_send(struct control_call *c);
const char *control_server(const struct operator *op); /* URL of the API */
/* A file that holds one key: read, white space cut off, wiped. */
MUST_USE int control_key_file(const char *path, char out[static KEYS_TEXT_MAX], struct err *e);

#endif
