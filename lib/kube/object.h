/* kube/object.h - an object of the API as its sections, borrowed from its JSON text; paths of the
 * API
 *
 * Nothing is copied but the names: labels, annotations, spec and status stay text until somebody
 * asks for a value in them. What is not asked for (managedFields above all) is skipped as bytes.
 */
#ifndef KUBE_OBJECT_H
#define KUBE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/mono.h"

enum {
	KUBE_NAME_MAX = 253,
	KUBE_NS_MAX = 63,
	KUBE_UID_MAX = 63,
	KUBE_RV_MAX = 63,
	KUBE_PATH_MAX = 1024
};

struct kube_object {
	char ns[KUBE_NS_MAX + 1], name[KUBE_NAME_MAX + 1], uid[KUBE_UID_MAX + 1],
	    rv[KUBE_RV_MAX + 1];
	int64_t generation;
	wall_t created, deleted; /* deleted: WALL_ZERO while nobody has asked for it */
	bool is_deleting;
	struct bytes labels, annotations, finalizers; /* JSON texts; empty when absent */
	struct bytes spec, status, data, text;        /* text: the whole object */
};

/* False: not an object, no name, or a name or version longer than the API server allows. */
MUST_USE bool kube_object_parse(struct bytes json, struct kube_object *out);

/* The value of a member of a JSON object of strings (labels, annotations); false: not there, not a
 * string, or too long (*too_long is set then; may be NULL). NUL-terminated. */
MUST_USE bool kube_member(struct bytes object, const char *key, char *out, size_t cap,
			  bool *too_long);
bool kube_has_member(struct bytes object, const char *key);
/* An element of an array of strings (finalizers). */
bool kube_has_string(struct bytes array, const char *value);
/* The raw text of a member of an object at a path of keys ("spec.template"); empty: not there. */
struct bytes kube_at(struct bytes object, const char *path);
/* A string there; false: absent, not a string, too long. */
MUST_USE bool kube_str_at(struct bytes object, const char *path, char *out, size_t cap);

/* "/api/v1/namespaces/NS/services/NAME/status": group_version is "v1" or "apps/v1"; ns NULL or ""
 * for cluster scope or all namespaces; name and sub may be NULL. Names are escaped. False: longer
 * than cap, or a name that is none ("", ".", ".."): it would name the collection. */
MUST_USE bool kube_path(char *out, size_t cap, const char *group_version, const char *resource,
			const char *ns, const char *name, const char *sub);

#endif
