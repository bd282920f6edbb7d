/* containerboot/cli.h - our own CLI, for images that carry nothing else: pieces shared by its files
 */
#ifndef CONTAINERBOOT_CLI_H
#define CONTAINERBOOT_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/mono.h"

enum {
	CLI_BODY_MAX = 64 << 20,
	CLI_TIMEOUT_S = 15,
	CLI_PEERS_MAX = 100000,
	CLI_FLAGS_MAX = 32, /* on one command line */
	CLI_FLAG_MAX = 32,
};

struct cli_flag_row {
	const char *name, *value; /* what it takes, for people; NULL: it is a boolean */
	const char *dflt, *help, *example;
};
struct cli;
struct cli_command {
	const char *name, *args, *what;      /* for people */
	const struct cli_flag_row *flags[2]; /* each ends in a row without a name; NULL: none */
	int min_args, max_args;
	bool takes_preferences;
	int (*fn)(struct cli *c);
};
extern const struct cli_flag_row cli_set_flags[], cli_up_flags[], cli_down_flags[],
    cli_logout_flags[], cli_status_flags[], cli_ping_flags[], cli_ip_flags[], cli_whois_flags[],
    cli_netcheck_flags[], cli_version_flags[], cli_no_flags[];

struct cli_flag {
	char name[CLI_FLAG_MAX];
	const char *value; /* of a boolean: "true" or "false" */
};
struct cli {
	const char *socket;
	span_t limit; /* of each read and write of a request */
	struct cli_flag flags[CLI_FLAGS_MAX];
	size_t n_flags;
	int argc; /* of what follows the command and is no flag */
	char **argv;
};

/* cli_flags.c: moves the flags of the command from argv to flags. Negative: words were said. */
MUST_USE int cli_flags_take(struct cli *c, const struct cli_command *cmd);
void cli_flags_help(const struct cli_command *cmd);

/* One request over the unix socket, waiting for the whole answer. status: of the answer. 0 or
 * -errno with one line. */
MUST_USE int cli_request(const struct cli *c, const char *method, const char *target,
			 struct bytes body, int *status, struct buf *answer, struct err *e);

/* The socket of the local API, with a limit for each read and write. A descriptor or -errno
 * with one line. */
MUST_USE int cli_dial(const char *socket, span_t limit, struct err *e);
MUST_USE int cli_send(int fd, struct bytes b, struct err *e);
/* nc.c: standard input and output joined with a port of a node; the exit code */
int cli_nc(const char *socket, const char *host, const char *port);

struct cli_node {
	char id[64], name[256], dns_name[256], os[32], relay[32], addr[64];
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
/* A text for people: what is too long is cut after a whole character, and names of others do not
 * get at the terminal. */
struct json;
void cli_text(struct json *j, char *out, size_t cap);
MUST_USE bool cli_status_parse(struct cli_status *s,
			       struct bytes json); /* false: malformed or out of memory */
void cli_status_fini(struct cli_status *s);
/* The report of the local API's netcheck as text, with the names of the relay map ("derpmap").
 * verbose: with the numbers of regions. 0, -EBADMSG: malformed, -ENOMEM */
MUST_USE int cli_netcheck_text(struct bytes report, struct bytes map, bool verbose,
			       struct buf *out);
bool cli_whois_print(struct bytes json); /* false: malformed */
/* cli_set.c: the body of a PATCH of preferences for the flags of c, appended to out. run: 0, 1:
 * also WantRunning; -1: not. old: the preferences in force; status: for a flag that names a node.
 * 0 or -EINVAL, -EBADMSG, -ENOMEM with one line */
MUST_USE int cli_prefs_change(const struct cli *c, int run, struct bytes old,
			      const struct cli_status *status, struct buf *out, struct err *e);
const char *cli_login(const struct cli_status *s, int64_t user);
/* The address of a node by name (short or full), own address or peer address as text; false: no
 * such. */
bool cli_find(const struct cli_status *s, const char *what, bool v6, struct ip *out);
bool cli_is_own(const struct cli_status *s, const char *what); /* this node's name or address */
/* How many peers have this name, address or id; peer: the last of them. */
size_t cli_peers_called(const struct cli_status *s, const char *what, const struct cli_node **peer);

#endif
