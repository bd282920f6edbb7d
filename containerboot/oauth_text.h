/* containerboot/oauth_text.h - a client secret, or a workload's token, in place of an auth key:
 * what is asked of the control server's API, and what it answers
 *
 * As the stock client does it (containerboot.md 2.1): a client-credentials grant (RFC 6749 4.4) at
 * BASE/api/v2/oauth/token, or of workload identity the exchange of a JWT that others have signed at
 * BASE/api/v2/oauth/token-exchange; then BASE/api/v2/tailnet/-/keys makes one auth key with the
 * node's tags, for this one login. Parameters may follow the secret or the client's id:
 * SECRET?ephemeral=BOOL&preauthorized=BOOL&baseURL=URL. Pure; no message holds a secret.
 */
#ifndef CONTAINERBOOT_OAUTH_TEXT_H
#define CONTAINERBOOT_OAUTH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "ts2021/url.h"

enum {
	OAUTH_SECRET_MAX = 512,
	OAUTH_ID_MAX = 256,
	OAUTH_TOKEN_MAX = 4096,
	OAUTH_KEY_MAX = 512,
	OAUTH_WORDS_MAX = 200, /* of a refusal, as they are shown */
	OAUTH_TARGET_MAX = URL_PATH_MAX + 64,
	OAUTH_KEY_LIFE_S = 600, /* of the key that is made: it is used at once */
};

struct oauth { /* with the secret in it: kept in locked memory, wiped by its owner */
	struct url base;
	char secret[OAUTH_TOKEN_MAX], id[OAUTH_ID_MAX];
	bool ephemeral, preauthorized;
	bool is_workload; /* the secret is a workload's token */
};

/* Is an auth key really the secret of a client ("tskey-client-...")? */
bool oauth_is_secret(const char *auth_key);

/* name: of the variable, for words. id: of the client, NULL: none. control_url: whose API is asked
 * unless baseURL says otherwise; Tailscale's own stands apart from its control server. 0 or -EINVAL
 * with one line */
MUST_USE int oauth_parse(struct oauth *o, const char *name, const char *secret, const char *id,
			 const char *control_url, struct err *e);
/* Of workload identity: the client's id and TS_ID_TOKEN's token. Tailscale's own control server
 * answers for itself here, as the stock client asks it. */
MUST_USE int oauth_parse_workload(struct oauth *o, const char *token, const char *id,
				  const char *control_url, struct err *e);
/* Another token of the same workload; on failure the old one stays. */
MUST_USE int oauth_set_token(struct oauth *o, const char *token, struct err *e);
/* When a workload's token ends by its own words (RFC 7519 4.1.4), in seconds since 1970; false: it
 * does not say. Good for words only: nothing has checked the token. */
bool oauth_token_end(const struct oauth *o, int64_t *end);

/* Path of a request under the base; false: too long. */
MUST_USE bool oauth_target(const struct oauth *o, const char *path,
			   char out[static OAUTH_TARGET_MAX]);
#define OAUTH_TOKEN_PATH "/api/v2/oauth/token"
#define OAUTH_EXCHANGE_PATH "/api/v2/oauth/token-exchange" /* of a workload's token */
#define OAUTH_KEYS_PATH "/api/v2/tailnet/-/keys"

/* Bodies of the two requests, appended; false: out of memory. tags: comma-separated */
MUST_USE bool oauth_token_body(const struct oauth *o, struct buf *out);
MUST_USE bool oauth_key_body(const struct oauth *o, const char *tags, struct buf *out);

/* Answers with status 200: one member, printable and without blanks. false: it is not there. */
MUST_USE bool oauth_token_read(struct bytes body, char out[static OAUTH_TOKEN_MAX]);
MUST_USE bool oauth_key_read(struct bytes body, char out[static OAUTH_KEY_MAX]);
/* The server's words in an answer with another status, made printable; "" when there are none, or
 * when they hold the secret. */
void oauth_words(const struct oauth *o, struct bytes body, char out[static OAUTH_WORDS_MAX]);

#endif
