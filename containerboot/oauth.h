/* containerboot/oauth.h - an auth key out of a client secret or a workload's token: two requests,
 * tried again while the server is away
 *
 * Refusals (4xx but 408 and 429) end it at once; a server that cannot be reached, is busy or broken
 * is asked again after 1, 2, 4 .. OAUTH_WAIT_MAX_S seconds, with one line in the log. A workload's
 * token, which others renew, is read again each time.
 */
#ifndef CONTAINERBOOT_OAUTH_H
#define CONTAINERBOOT_OAUTH_H

#include "base/err.h"
#include "containerboot/oauth_text.h"
#include "os/loop.h"

struct proxy_env;
struct resolver;
struct tls_client;

enum { OAUTH_WAIT_MAX_S = 30, OAUTH_CALL_S = 15 };

/* Puts the token as it is now into *o (oauth_set_token). 0; -errno with one line: later again */
typedef int oauth_renew_fn(void *ctx, struct oauth *o, struct err *e);

struct oauth_mint_conf {
	struct loop *loop;
	struct resolver *resolver; /* this and the two below are borrowed */
	struct tls_client *tls;
	const struct proxy_env *proxy; /* NULL: none */
	const struct oauth *oauth;     /* copied into locked memory */
	const char *tags;              /* comma-separated; copied */
	oauth_renew_fn *renew;         /* before each exchange of a token; NULL: it stays */
};
/* Once, never from within oauth_mint_new; the mint has freed itself by then. key NULL: why says
 * what to do; otherwise it is wiped when the call returns. */
typedef void oauth_key_fn(void *ctx, const char *key, const struct err *why);
struct oauth_mint;
/* NULL: out of memory */
struct oauth_mint *oauth_mint_new(const struct oauth_mint_conf *conf, oauth_key_fn *fn,
				  void *ctx); /* ctx: of renew too */
void oauth_mint_cancel(struct oauth_mint *m); /* no callback; NULL is fine */

#endif
