/* containerboot/config_file.h - tailscaled's configuration file: which one, and what it says over
 * the preferences
 *
 * HuJSON of version alpha0, as `tailscaled --config` and TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR of
 * the stock client have it (containerboot.md 2.3). Names of members count without regard to case; a
 * member that is not known warns, one that asks for what this program does not have is refused by
 * name. Pure: the file's text is an argument.
 */
#ifndef CONTAINERBOOT_CONFIG_FILE_H
#define CONTAINERBOOT_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "containerboot/options.h"
#include "model/prefs.h"
#include "node/node.h"

enum { CONFIG_TEXT_MAX = 1 << 18, CONFIG_KEY_MAX = 4096 };

struct config_file {
	char *auth_key; /* a secret, owned: a key or "file:PATH"; NULL: none */
	bool is_locked; /* the local API may not change preferences */
	struct ipport endpoints[NODE_STATIC_MAX]; /* StaticEndpoints */
	size_t n_endpoints;
};

/* Preferences of a new node that the file leaves at their defaults: as prefs_default, but it wants
 * to run. (Routes of peers are not used: seen of the stock daemon 1.102.5 on Linux.) */
void config_file_prefs(struct prefs *p);

/* Reads a file's text over *p; what it does not mention stays, but that it wants to run. 0;
 * -EBADMSG with "line 3, column 7: ..."; -EFBIG: longer than CONFIG_TEXT_MAX; -ENOMEM. On failure
 * *p and *c are untouched. No message and no warning holds a value. */
MUST_USE int config_file_parse(struct bytes text, struct prefs *p, struct config_file *c,
			       options_warn_fn *warn, void *ctx, struct err *e);
void config_file_fini(struct config_file *c); /* wipes */

/* N of "cap-N.hujson"; 0: not such a name. */
unsigned config_file_version(const char *name);

#endif
