/* containerboot/cli.h - our own CLI, for images that carry nothing else: pieces shared by its files
 */
#ifndef CONTAINERBOOT_CLI_H
#define CONTAINERBOOT_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"

enum { CLI_BODY_MAX = 64 << 20, CLI_TIMEOUT_S = 15, CLI_PEERS_MAX = 100000 };

/* One request over the unix socket, waiting for the whole answer. status: of the answer. 0 or
 * -errno with one line. */
MUST_USE int cli_request(const char *socket, const char *method, const char *target,
			 struct bytes body, int *status, struct buf *answer, struct err *e);

/* The socket of the local API, with CLI_TIMEOUT_S for each read and write. A descriptor or -errno
 * with one line. */
MUST_USE int cli_dial(const char *socket, struct err *e);
MUST_USE int cli_send(int fd, struct bytes b, struct err *e);
/* nc.c: standard input and output joined with a port of a node; the exit code */
int cli_nc(const char *socket, const char *host, const char *port);

struct cli_node {
	char name[256], dns_name[256], os[32], relay[32], addr[64];
	struct ip ip4, ip6; /* zero: none */
	int64_t user;
	uint64_t rx, tx;
	bool active, online, exit_option;
};
struct cli_user {
	int64_t id;
	char login[256];
};
struct cli_status {
	char state[32], auth_url[512], version[64];
	struct cli_node self, *peers;
	struct cli_user *users;
	size_t n_peers, n_users, n_health;
	char health[16][256];
	char own_addrs[16][64];
	size_t n_own_addrs;
};
MUST_USE bool cli_status_parse(struct cli_status *s,
			       struct bytes json); /* false: malformed or out of memory */
void cli_status_fini(struct cli_status *s);
bool cli_netcheck_print(struct bytes json); /* false: malformed */
const char *cli_login(const struct cli_status *s, int64_t user);
/* The address of a node by name (short or full), own address or peer address as text; false: no
 * such. */
bool cli_find(const struct cli_status *s, const char *what, bool v6, struct ip *out);

#endif
