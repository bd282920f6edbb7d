/* operator/keys.h - auth keys and devices: what control servers are asked, and what they answer
 *
 * Pure. Three levels of trust: an OAuth client (the Tailscale service, Headscale from 0.30), an API
 * key (Headscale's /api/v1, or a token of the service), one fixed auth key (any control server;
 * nothing can be deleted).
 */
#ifndef OPERATOR_KEYS_H
#define OPERATOR_KEYS_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/mono.h"

enum keys_kind { KEYS_NONE, KEYS_FIXED, KEYS_HEADSCALE, KEYS_TOKEN, KEYS_OAUTH };
extern const char *const keys_kind_names[5];

enum { KEYS_TEXT_MAX = 512, KEYS_ID_MAX = 64, KEYS_URL_MAX = 1024 };

struct keys_request {
	const char *method, *type; /* type of the body, NULL: none */
	char url[KEYS_URL_MAX];
};

enum keys_kind keys_kind_of(const char *api_key); /* of an API key: by its prefix */

/* expires: when the key ends if nobody has used it. False: too long. */
MUST_USE bool keys_mint(struct keys_request *rq, struct buf *body, enum keys_kind kind,
			const char *server, const char *user, const char *tags, wall_t now,
			wall_t expires);
/* 0 and key, id; or -errno and words without the key: -EACCES for credentials that are refused,
 * -EINVAL for a refusal that will not change by itself, -EAGAIN for the rest. */
MUST_USE int keys_mint_answer(enum keys_kind kind, unsigned status, struct bytes body,
			      char key[static KEYS_TEXT_MAX], char id[static KEYS_ID_MAX],
			      struct err *e);
MUST_USE bool keys_delete_device(struct keys_request *rq, enum keys_kind kind, const char *server,
				 const char *id);
MUST_USE int keys_delete_answer(unsigned status, struct bytes body,
				struct err *e); /* gone already is 0 */
/* An auth key that nobody may join with any more. */
MUST_USE bool keys_revoke(struct keys_request *rq, struct buf *body, enum keys_kind kind,
			  const char *server, const char *id);
/* 0: it ends nothing any more; a server that knows no such request counts as that. */
MUST_USE int keys_revoke_answer(unsigned status, struct bytes body, struct err *e);
/* All devices; then the id of the first with that machine key, or made with that auth key (which
 * only /api/v1 tells). "": what is not known; id "": there is none. */
MUST_USE bool keys_devices(struct keys_request *rq, enum keys_kind kind, const char *server);
MUST_USE int keys_devices_find(enum keys_kind kind, unsigned status, struct bytes body,
			       const char *machine, const char *key_id, char id[static KEYS_ID_MAX],
			       struct err *e);
/* Is the device of an id still the one that had this address? */
enum keys_device { KEYS_DEVICE_GONE, KEYS_DEVICE_SAME, KEYS_DEVICE_OTHER };
MUST_USE bool keys_device(struct keys_request *rq, enum keys_kind kind, const char *server,
			  const char *id);
MUST_USE int keys_device_answer(enum keys_kind kind, unsigned status, struct bytes body,
				const char *ip, enum keys_device *is, struct err *e);
/* Which routes of a device are approved: comma-separated into out. A device that is gone has none.
 */
MUST_USE bool keys_routes(struct keys_request *rq, enum keys_kind kind, const char *server,
			  const char *id);
MUST_USE int keys_routes_answer(enum keys_kind kind, unsigned status, struct bytes body, char *out,
				size_t cap, struct err *e);
/* When the credentials end. of: the API key, or the id of the OAuth client; only what is public of
 * it is sent. */
MUST_USE bool keys_expiry(struct keys_request *rq, enum keys_kind kind, const char *server,
			  const char *of);
/* api_key: of KEYS_HEADSCALE, to find it in the list. WALL_ZERO: never, or nobody says. */
wall_t keys_expiry_answer(enum keys_kind kind, unsigned status, struct bytes body,
			  const char *api_key);
/* OAuth: client credentials for a bearer token. */
MUST_USE bool keys_token(struct keys_request *rq, struct buf *body, const char *server,
			 const char *id, const char *secret);
MUST_USE int keys_token_answer(unsigned status, struct bytes body, char token[static KEYS_TEXT_MAX],
			       span_t *life, struct err *e);

#endif
