/* ts2021/hostinfo.h - what a node tells about itself, kept as JSON text (control-protocol.md 4.11)
 *
 * docs/protocol/control.md lists every field; a test asserts that nothing else is sent.
 */
#ifndef TS2021_HOSTINFO_H
#define TS2021_HOSTINFO_H

#include "base/json.h"
#include "ts2021/control.h"

enum { HOSTINFO_MAX = 64 << 10 };

struct hostinfo {
	struct buf members; /* JSON object, RequestTags and NetInfo apart */
	struct buf tags;    /* JSON array, or empty */
	struct control_netinfo net;
	bool has_net;
};

void hostinfo_init(struct hostinfo *h);
void hostinfo_fini(struct hostinfo *h);
/* 0 or -ENOMEM (unchanged then); *changed tells whether anything differs from before */
MUST_USE int hostinfo_set(struct hostinfo *h, const char *version,
			  const struct control_hostinfo *hi, bool *changed);
/* Whether it differs in more than latency */
bool hostinfo_set_net(struct hostinfo *h, const struct control_netinfo *net);
void hostinfo_emit(const struct hostinfo *h, struct jsonw *w, bool with_tags);

#endif
