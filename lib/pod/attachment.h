/* pod/attachment.h - what was made for one container's interface, kept in a file until DEL
 *
 * One file an attachment: STATEDIR/NETWORK/CONTAINER:IFNAME, on a file system that a reboot empties
 * as it empties the kernel. It is complete on disk before the first rule is made and goes after the
 * last one, so at any moment every rule of ours is named by a file, and DEL needs neither
 * prevResult nor the namespace nor the agent. The agent reads the same files
 * (docs/protocol/cni-agent.md).
 */
#ifndef POD_ATTACHMENT_H
#define POD_ATTACHMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "pod/ids.h"
#include "pod/rule.h"

enum attachment_state {
	ATTACHMENT_GUARDED, /* guards only: the pod did not ask, or may not have it */
	ATTACHMENT_GRANTED, /* its lookups are in place */
	ATTACHMENT_PENDING, /* the agent was away (failOpen): it completes this one */
	ATTACHMENT_STATES
};
extern const char *const attachment_state_names[ATTACHMENT_STATES];

enum {
	ATTACHMENT_TEXT_MAX = 64 << 10,
	ATTACHMENT_FILE_MAX = POD_DIR_MAX + POD_NETWORK_MAX + POD_CONTAINER_MAX + 32
};

struct attachment {
	char network[POD_NETWORK_MAX + 1], container[POD_CONTAINER_MAX + 1],
	    ifname[POD_IFNAME_MAX + 1], netns[POD_NETNS_MAX + 1], pod[POD_NAME_MAX + 1],
	    uid[POD_UID_MAX + 1];
	uint64_t netns_dev, netns_ino; /* which namespace the path meant; 0: not known */
	enum attachment_state state;
	uint8_t protocol;
	struct rule rules[RULE_MAX];
	size_t n_rules;
};

MUST_USE bool attachment_emit(const struct attachment *a, struct buf *out);
MUST_USE bool attachment_parse(struct bytes text, struct attachment *out);

/* Where the file of an attachment is, by its network, container and ifname. */
void attachment_path(const char *state_dir, const struct attachment *a,
		     char out[static ATTACHMENT_FILE_MAX]);
/* Files. 0 or -errno; load: -ENOENT when there is none, -EBADMSG when it does not parse. */
MUST_USE int attachment_save(const char *state_dir, const struct attachment *a);
MUST_USE int attachment_load(const char *state_dir, const char *network, const char *container,
			     const char *ifname, struct attachment *out);
MUST_USE int attachment_remove(const char *state_dir, const char *network, const char *container,
			       const char *ifname);
/* All of one network, or of all networks (network NULL); fn returns false to stop. A file that does
 * not parse comes with `ok` false and only its names filled in. -errno, or 0. */
typedef bool attachment_fn(void *ctx, const struct attachment *a, bool ok);
MUST_USE int attachment_each(const char *state_dir, const char *network, attachment_fn *fn,
			     void *ctx);

#endif
