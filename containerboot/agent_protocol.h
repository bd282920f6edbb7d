/* containerboot/agent_protocol.h - what the CNI plugin says: requests on the socket, files in the
 * state directory (docs/protocol/cni-agent.md); pure
 *
 * Both come from a program that runs as root on the same machine, and both are read as if they did
 * not. */
#ifndef CONTAINERBOOT_AGENT_PROTOCOL_H
#define CONTAINERBOOT_AGENT_PROTOCOL_H

#include "base/bytes.h"
#include "os/netlink.h"

enum {
	AGENT_NAME_MAX = 200, /* network and container, as the plugin limits them */
	AGENT_POD_MAX = 320,
	AGENT_PATH_MAX = 256,
	AGENT_RULES_MAX = 264, /* as many as the plugin makes at most */
	AGENT_FILE_MAX = 64 << 10,
};

enum agent_op { AGENT_STATUS, AGENT_ADD, AGENT_OPS };

struct agent_request {
	enum agent_op op;
	char pod[AGENT_POD_MAX]; /* namespace/name; "" when the runtime did not say */
};
MUST_USE bool agent_request_parse(struct bytes line, struct agent_request *out);

enum agent_verdict { AGENT_READY, AGENT_REFUSED, AGENT_NOT_YET, AGENT_VERDICTS };
MUST_USE bool agent_answer_emit(enum agent_verdict verdict, const char *words, struct buf *out);

/* Comma-separated names, a trailing * matches the rest; NULL: all. */
bool agent_admits(const char *namespaces, const char *pod);

struct agent_attachment {
	char network[AGENT_NAME_MAX + 1], container[AGENT_NAME_MAX + 1], ifname[16],
	    netns[AGENT_PATH_MAX];
	uint64_t netns_dev, netns_ino; /* 0: not known */
	bool is_guarded;               /* its lookups are not to be there */
	struct rtnl_rule rules[AGENT_RULES_MAX];
	size_t n_rules;
};
MUST_USE bool agent_attachment_parse(struct bytes text, struct agent_attachment *out);

#endif
