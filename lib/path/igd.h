/* path/igd.h - messages of UPnP Internet Gateway Devices: search, description, actions; pure
 *
 * UPnP Device Architecture 1.1 (1.3.2 search, 2 description, 3 control), WANIPConnection:1 and :2,
 * WANPPPConnection:1; data-plane.md 4.6. Of what a device says about where it is, port and path
 * are kept and the host is not: whoever asks talks to the gateway's address and to no other.
 */
#ifndef PATH_IGD_H
#define PATH_IGD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/ip.h"

enum { IGD_SSDP_PORT = 1900 };
enum { /* ours; bytes */
       IGD_SEARCH_MAX = 192,
       IGD_PATH_MAX = 256,          /* of a URL, with its query and NUL */
       IGD_DESCRIPTION_MAX = 65536, /* of the XML that the host takes in, answers to actions too */
       IGD_HEADERS_MAX = 192,
       IGD_BODY_MAX = 1280, /* of a request */
};

/* --- SSDP --- */

enum igd_search { IGD_SEARCH_GATEWAY, IGD_SEARCH_ALL, IGD_SEARCH_N };
/* The datagram, for the gateway or the group 239.255.255.250; its length. */
size_t igd_search_emit(enum igd_search what, char out[static IGD_SEARCH_MAX]);

struct igd_place { /* at the gateway */
	uint16_t port;
	char path[IGD_PATH_MAX];
};
struct igd_answer {
	struct igd_place place; /* of the description */
	bool is_gateway;        /* says that it is one */
	uint32_t boot;          /* BOOTID.UPNP.ORG: another after each start; 0: not said */
};
/* false: no answer to a search */
MUST_USE bool igd_answer_parse(struct bytes datagram, struct igd_answer *out);

/* --- description --- */

enum igd_service { /* best first */
		   IGD_IP2,
		   IGD_IP1,
		   IGD_PPP1,
		   IGD_DSL_IP1, /* before UPnP had the names */
		   IGD_DSL_PPP1,
		   IGD_SERVICE_N
};
/* The best service that maps ports, and where its actions go. false: malformed, or there is none */
MUST_USE bool igd_description_parse(struct bytes xml, const struct igd_place *at,
				    enum igd_service *service, struct igd_place *control);

/* --- actions --- */

enum igd_action {
	IGD_STATUS,  /* GetStatusInfo */
	IGD_ADD,     /* AddPortMapping */
	IGD_ADD_ANY, /* AddAnyPortMapping, of WANIPConnection:2 alone: the device may choose */
	IGD_ADDRESS, /* GetExternalIPAddress */
	IGD_DELETE,  /* DeletePortMapping */
	IGD_ACTION_N
};
struct igd_mapping { /* UDP */
	uint16_t external;
	struct ipport inside;
	uint32_t lease_s; /* 0: for ever */
};
/* Header lines and body of the POST; bytes of the body. m: of actions that name a mapping */
size_t igd_action_emit(enum igd_service service, enum igd_action action,
		       const struct igd_mapping *m, char headers[static IGD_HEADERS_MAX],
		       char body[static IGD_BODY_MAX]);

enum { /* error codes that have an answer; WANIPConnection:2 2.5 */
       IGD_E_INVALID_ACTION = 401,
       IGD_E_INVALID_ARGS = 402,
       IGD_E_CONFLICT = 718,
       IGD_E_SAME_PORT = 724,       /* external and internal port must be one */
       IGD_E_ONLY_PERMANENT = 725,  /* leases must be 0 */
       IGD_E_OTHER_MECHANISM = 729, /* the port is mapped by PCP or the like */
};
struct igd_reply {
	unsigned error;    /* of the UPnP fault; 0: none */
	uint16_t port;     /* NewReservedPort; 0: not said */
	struct ip address; /* NewExternalIPAddress; zero: not said */
	bool is_up;        /* NewConnectionStatus says so, or nothing */
};
/* false: no answer to that action */
MUST_USE bool igd_reply_parse(struct bytes xml, enum igd_action action, struct igd_reply *out);

#endif
