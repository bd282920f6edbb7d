/* path/portmap_priv.h - what the files of port mapping share */
#ifndef PATH_PORTMAP_PRIV_H
#define PATH_PORTMAP_PRIV_H

#include "base/cursor.h"
#include "path/portmap.h"

enum { PCP_NONCE = 12, PORTMAP_LIFETIME_S = 7200 };
enum { PORTMAP_SENDS_MAX = 8 }; /* ours: datagrams that wait for the host */

enum portmap_state { PORTMAP_OFF, PORTMAP_PROBING, PORTMAP_MAPPING, PORTMAP_HELD, PORTMAP_QUIET };

/* A mapping that UPnP made, so that it can be undone when all else has changed. */
struct portmap_debt {
	bool is_due, is_asked;
	uint32_t request;
	mono_t give_up_at;
	enum igd_service service;
	struct igd_place control;
	struct ip gateway;
	uint16_t external;
};

enum portmap_upnp_step { UPNP_IDLE, UPNP_DESCRIBE, UPNP_STATUS, UPNP_ADD, UPNP_ADDRESS };

struct portmap_upnp {
	bool has_place, is_gateway, has_service;
	struct igd_place place, control;
	enum igd_service service;
	enum portmap_upnp_step step;
	bool is_due; /* the step's request is not out yet */
	bool no_any; /* the device knows no AddAnyPortMapping */
	bool for_ever, same_port;
	unsigned conflicts;
	uint16_t port; /* asked for */
	uint32_t boot; /* of the gateway; 0: not said */
	uint32_t request;
	mono_t give_up_at; /* of the request */
};

struct portmap {
	struct rng *rng;
	enum portmap_state state;
	enum portmap_service service; /* of MAPPING and HELD */
	struct ip gateway;
	struct ipport inside;
	struct {
		mono_t seen_at, epoch_at;
		bool is_asked, is_seen, has_epoch;
		uint32_t epoch;
	} by[PORTMAP_SERVICES];
	struct ip pmp_address; /* NAT-PMP tells the address apart from the port */
	uint8_t nonce[PCP_NONCE];
	struct portmap_upnp upnp;
	struct portmap_debt debt;
	uint32_t n_requests;

	struct ipport external;
	uint16_t wish; /* the external port of before; 0: none */
	struct ipport told_external;
	int told_seen[PORTMAP_SERVICES];
	mono_t expires; /* of the mapping */
	mono_t give_up_at, due, checked_at;
	span_t pause, quiet;
	unsigned probes;
	uint64_t drops[PORTMAP_DROP_N];

	struct {
		struct ipport to;
		uint8_t data[PORTMAP_PACKET_MAX];
		size_t len;
	} sends[PORTMAP_SENDS_MAX], sent;
	size_t n_sends;
	char headers[IGD_HEADERS_MAX], body[IGD_BODY_MAX]; /* of the last PORTMAP_HTTP */
};

/* portmap.c */
bool portmap_is_address(const struct ip *a); /* can it be the outside of a gateway? */
void portmap_held(struct portmap *pm, mono_t now, const struct ip *address, uint16_t port,
		  uint32_t lifetime_s);
/* The service did not do it: the next one, or quiet for a while. quiet zero: as usual */
void portmap_ask_failed(struct portmap *pm, mono_t now, span_t quiet);
void portmap_service_seen(struct portmap *pm, mono_t now, enum portmap_service s);
/* false: the gateway has started anew and has forgotten us; so does everything here */
bool portmap_epoch(struct portmap *pm, mono_t now, enum portmap_service s, uint32_t epoch);
struct wr portmap_send_open(struct portmap *pm, uint16_t port);
void portmap_send_close(struct portmap *pm, const struct wr *w);

/* portmap_message.c: NAT-PMP and PCP */
void portmap_send_probes(struct portmap *pm);
void portmap_send_map(struct portmap *pm, uint32_t lifetime_s); /* of pm->service */
void portmap_feed_message(struct portmap *pm, mono_t now, struct bytes data);

/* portmap_upnp.c */
void portmap_upnp_search(struct portmap *pm);
void portmap_upnp_found(struct portmap *pm, mono_t now, struct bytes datagram);
void portmap_upnp_ask(struct portmap *pm, mono_t now, bool is_renewal);
void portmap_upnp_give_back(struct portmap *pm, mono_t now, uint16_t external);
bool portmap_upnp_pull(struct portmap *pm, struct portmap_want *w);
void portmap_upnp_tick(struct portmap *pm, mono_t now);
mono_t portmap_upnp_deadline(const struct portmap *pm);

#endif
