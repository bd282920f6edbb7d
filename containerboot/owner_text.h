/* containerboot/owner_text.h - what the API server says of the DaemonSet that this pod is of. Pure.
 */
#ifndef CONTAINERBOOT_OWNER_TEXT_H
#define CONTAINERBOOT_OWNER_TEXT_H

#include "base/attr.h"
#include "base/bytes.h"
#include "containerboot/kube_text.h"

enum owner_says {
	OWNER_NOTHING, /* a bookmark, or what is not known here */
	OWNER_THERE,
	OWNER_GONE, /* deleted, or being deleted */
	OWNER_BAD,  /* not JSON, or an error in place of an event: look again */
};

/* An object. version: its resourceVersion, written with THERE and GONE, "" when it has none. */
enum owner_says owner_object_parse(struct bytes text, char version[static KUBE_VERSION_MAX]);
/* One line of a watch. The same; NOTHING may bring a newer version too. */
enum owner_says owner_event_parse(struct bytes line, char version[static KUBE_VERSION_MAX]);

#endif
