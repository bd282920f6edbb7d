/* model/state.h - tailscaled.state: a map of names to bytes, and what a node finds in it
 * (control-protocol.md 1.2)
 *
 * The file is one JSON object of base64 values. Readable both ways: the Go client takes over what
 * we write and we take over what it wrote, so a user can switch images and keep the node. Names
 * that we do not know are kept, also in the Kubernetes Secret, where each name is one entry. Pure:
 * who stores the bytes is the caller's business. Values may be private keys: everything is wiped
 * before it is freed.
 *
 * The four kinds of names (machine key, profiles, current profile, the profile itself) are
 * consistent or absent; a state that has some of them and not the others is refused, since a node
 * that would then register anew loses its addresses.
 */
#ifndef MODEL_STATE_H
#define MODEL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/mono.h"
#include "base/rng.h"
#include "crypto/key.h"
#include "model/prefs.h"

struct state;

enum {
	STATE_NAMES_MAX = 4096,    /* entries */
	STATE_NAME_MAX = 256,      /* bytes of a name */
	STATE_TEXT_MAX = 64 << 20, /* bytes of the file */
	STATE_PROFILE_ID_MAX = 32,
};

#define STATE_MACHINE_KEY "_machinekey"
#define STATE_PROFILES "_profiles"
#define STATE_CURRENT_PROFILE "_current-profile"
#define STATE_PROFILE_PREFIX "profile-"
#define STATE_SERVE_PREFIX "_serve/" /* + profile id */
/* ours; tailscaled keeps but does not read them */
#define STATE_DISCO_KEY                                                                            \
	"_tailpod-disco" /* privkey: text, so that peers' disco sessions survive a restart */

struct state *state_new(void); /* NULL: out of memory */
void state_free(struct state *s);

/* Replaces everything; empty text is an empty state. -EBADMSG with one line, -ENOMEM; s is then as
 * before. */
MUST_USE int state_parse(struct state *s, struct bytes text, struct err *e);
MUST_USE int state_emit(const struct state *s,
			struct buf *out); /* 0, -ENOMEM; the caller wipes out */

bool state_get(const struct state *s, const char *name,
	       struct bytes *value); /* borrowed until it is changed */
/* name: printable ASCII without quote and backslash. 0, -ENOMEM, -E2BIG (a limit). */
MUST_USE int state_put(struct state *s, const char *name, struct bytes value);
void state_del(struct state *s, const char *name);
size_t state_n(const struct state *s);
void state_at(const struct state *s, size_t i, struct bytes *name,
	      struct bytes *value); /* sorted by name */

/* What a node is, out of the current profile. */
struct state_node {
	char profile[STATE_PROFILE_ID_MAX];      /* "726e" */
	struct key_priv machine, node, old_node; /* node all zero: not registered yet */
	char node_id[64];                        /* stable id; "" unknown */
	int64_t user_id;
	char login[PREFS_NAME_MAX], display[PREFS_NAME_MAX];
	char magic_suffix[PREFS_NAME_MAX], domain[PREFS_NAME_MAX];
	wall_t created;
	struct prefs prefs;
};

void state_node_wipe(struct state_node *n);
/* A node that never was: new machine key and profile id, no node key, default preferences. */
void state_node_fresh(struct state_node *n, struct rng *rng, wall_t now);
/* -ENOENT: nobody logged in yet; *n is untouched but for the machine key, if there is one.
 * -EBADMSG: inconsistent or unreadable, one line that says which entry. */
MUST_USE int state_load(const struct state *s, struct state_node *n, struct err *e);
/* Writes all four kinds, keeping what else the stored profile holds. 0, -ENOMEM, -E2BIG, -EBADMSG
 * (the stored profile). */
MUST_USE int state_store(struct state *s, const struct state_node *n);
/* As state_store does, the current profile as JSON without private keys: what GET prefs answers. */
MUST_USE int state_prefs_json(const struct state *s, const struct state_node *n, struct buf *out);

#endif
