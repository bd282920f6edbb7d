/* ts2021/register.h - POST /machine/register: what is asked, and what an answer means
 * (control-protocol.md 3) */
#ifndef TS2021_REGISTER_H
#define TS2021_REGISTER_H

#include "base/bytes.h"
#include "crypto/key.h"
#include "ts2021/foreign_text.h"
#include "ts2021/hostinfo.h"

#define REGISTER_PATH "/machine/register"

enum { REGISTER_URL_MAX = 1024, REGISTER_REQUEST_MAX = 256 << 10 };

struct register_request {
	unsigned version;
	const struct key_pub *node, *old_node; /* old_node: NULL or the one that is replaced */
	const char *auth_key, *followup;       /* NULL or "": none */
	bool ephemeral, with_tags, is_logout;
	const struct hostinfo *hostinfo;
};
/* out holds a secret when there is an auth key: wipe it. false: out of memory or too long */
MUST_USE bool register_emit(struct buf *out, const struct register_request *rq);

enum register_outcome { /* in the order in which they are looked for: control-protocol.md 3.2 */
			REGISTER_BUSY,   /* 429 */
			REGISTER_STATUS, /* another status than 200; text */
			REGISTER_MALFORMED,
			REGISTER_ERROR,    /* text */
			REGISTER_SIGN,     /* tailnet lock wants the new node key signed */
			REGISTER_EXPIRED,  /* a new node key is wanted */
			REGISTER_AUTH_URL, /* url */
			REGISTER_OK,
};
struct register_result {
	enum register_outcome outcome;
	bool authorized;
	bool is_hopeless;   /* REGISTER_ERROR: the same request will fail again */
	bool is_about_tags; /* REGISTER_ERROR: RequestTags were refused */
	char text[FOREIGN_TEXT_MAX];
	char url[REGISTER_URL_MAX];
};
void register_read(unsigned status, struct bytes body, const char *auth_key,
		   struct register_result *out);

/* Length of the key proper: a tailnet lock suffix "--TL<signature>-<key>" is not for the server
 * (control-protocol.md 3.3) */
size_t register_auth_key_len(const char *key);

#endif
