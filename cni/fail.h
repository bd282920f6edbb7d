/* cni/fail.h - why a verb failed: the specification's code, one line for people, details */
#ifndef CNI_FAIL_H
#define CNI_FAIL_H

#include "base/attr.h"
#include "base/bytes.h"

enum fail_code { /* CNI specification 1.1.0, "Error"; cni.md 4 */
		 FAIL_VERSION = 1,
		 FAIL_FIELD = 2,
		 FAIL_ENV = 4,
		 FAIL_IO = 5,
		 FAIL_DECODE = 6,
		 FAIL_CONFIG = 7,
		 FAIL_NETNS = 8,
		 FAIL_AGAIN = 11,
		 FAIL_UNAVAILABLE = 50,
		 FAIL_LIMITED = 51,
		 /* ours */
		 FAIL_CLASH = 100,   /* the pod's own address lies in the tailnet's range */
		 FAIL_DAMAGED = 101, /* CHECK: a rule or route of ours is missing */
};

struct fail {
	int code;
	char msg[512], details[256];
};

/* both return -1, so that `return fail_set(...)` reads well */
int fail_set(struct fail *f, enum fail_code code, const char *fmt, ...) PRINTF(3, 4);
/* the same with ": " and the words of errno code `no` */
int fail_errno(struct fail *f, enum fail_code code, int no, const char *fmt, ...) PRINTF(4, 5);
/* the error object, version as the caller of the plugin speaks it */
MUST_USE bool fail_emit(const struct fail *f, const char *version, struct buf *out);

#endif
