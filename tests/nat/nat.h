/* tests/nat/nat.h - what a NAT box remembers (RFC 4787), pure: the simulated tailnet and e2e/natbox
 * are made of it
 *
 * One table serves one protocol and one outer address. The caller carries packets and owns time.
 */
#ifndef TESTS_NAT_NAT_H
#define TESTS_NAT_NAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"

enum nat_mapping { /* RFC 4787 4.1; none: no box at all */
		   NAT_NONE,
		   NAT_ENDPOINT_INDEPENDENT,
		   NAT_ADDRESS_DEPENDENT,
		   NAT_PORT_DEPENDENT,
		   NAT_MAPPING_N
};
enum nat_filtering { /* RFC 4787 5 */
		     NAT_FILTER_NONE,
		     NAT_FILTER_ADDRESS,
		     NAT_FILTER_PORT,
		     NAT_FILTERING_N
};
extern const char *const nat_mapping_names[NAT_MAPPING_N];
extern const char *const nat_filtering_names[NAT_FILTERING_N];

enum { NAT_PERMITS = 64 }; /* remote ends of one mapping that its filter remembers */

struct nat_conf {
	enum nat_mapping mapping;
	enum nat_filtering filtering;
	span_t timeout;       /* of a mapping, and of a remote end in its filter; only packets going
				 out renew */
	size_t max;           /* mappings at once; further packets find no port */
	uint16_t first_port;  /* outer ports are given in order from here; 0: chosen by the table */
	bool preserves_ports; /* the inner port while it is free */
};

struct nat;

struct nat *nat_new(const struct nat_conf *conf); /* NULL: out of memory */
void nat_free(struct nat *n);
void nat_forget(struct nat *n); /* as after a restart */
size_t nat_mappings(const struct nat *n, mono_t now);

/* A packet from inside: its outer port. false: no mapping and no port for one */
bool nat_out(struct nat *n, mono_t now, const struct ipport *from, const struct ipport *to,
	     uint16_t *port);
/* A packet from outside to one of our ports: whose it is. false: nobody's, or filtered */
bool nat_in(const struct nat *n, mono_t now, const struct ipport *from, uint16_t port,
	    struct ipport *inner);

#endif
