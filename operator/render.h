/* operator/render.h - the objects of a proxy as JSON for server-side apply
 *
 * Pure. The hash of a text, noted in the object, tells later whether it is still the wished one.
 */
#ifndef OPERATOR_RENDER_H
#define OPERATOR_RENDER_H

#include "operator/plan.h"

enum { RENDER_MAX = 1 << 20 };

struct render {
	const struct settings *settings;
	const struct parent *parent;
	const struct want *want;
	const struct proxy_class *class; /* NULL: none */
	const char *proxy;               /* name */
	const struct facts *facts;       /* NULL: none */
	/* of a group of a ProxyClass, whose proxy this is: the nodes in its one process, by name */
	bool is_group;
	const struct proxy *const *member;
	size_t n_members;
};

/* False: no memory or too large. hash "" leaves the note out. */
MUST_USE bool render_child(struct buf *out, const struct render *r, enum child c, const char *hash);
bool render_wants(const struct render *r, enum child c); /* whether there is such a child at all */
MUST_USE bool render_hash(const struct render *r, enum child c, char out[static HASH_TEXT]);
/* The key's part of the Secret, under a field manager of its own; key "": taken out, the notes
 * stay. */
MUST_USE bool render_key(struct buf *out, const struct render *r, const char *key,
			 const char *key_id, wall_t expires, const char *tags);
/* Status of the parent as its plan has it. */
MUST_USE bool render_status(struct buf *out, const struct parent *p, const struct plan *plan,
			    const struct proxy *x, const struct want *w, wall_t wall);

#endif
