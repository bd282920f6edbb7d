/* coordinator/cli_priv.h - what the files of the command line share */
#ifndef COORDINATOR_CLI_PRIV_H
#define COORDINATOR_CLI_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "coordinator/cli.h"

enum { CLI_ARGS_MAX = 8 };

struct cli {
	const char *config, *socket, *url, *user, *expiration, *tags, *display, *routes;
	bool json, reusable, ephemeral, help;
	const char *arg[CLI_ARGS_MAX]; /* behind the command's words */
	int n_args;
};

/* cli_commands.c */
struct cli_command {
	const char *group, *verb, *args, *help; /* verb "": the group is the command */
	int n_args;
	int (*fn)(struct cli *c); /* exit code */
};
extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

/* cli_http.c: one request to the server. 0: answer holds its JSON; else the exit code, said on
 * standard error. */
int cli_call(const struct cli *c, const char *method, const char *path, struct bytes body,
	     struct buf *answer);

bool cli_has_server(const struct cli *c); /* named by URL, or its socket is there */

/* cli_table.c */
struct cli_column {
	const char *title, *key; /* "user.name" looks into an object */
	const char *flag,
	    *word; /* where flag is true ("!flag": false) the cell is that word; NULL: none */
};
int cli_table(struct bytes json, const char *list, const struct cli_column *v,
	      size_t n);                                                     /* exit code */
bool cli_field(struct bytes object, const char *key, char *out, size_t cap); /* false: not there */
int cli_complain(const char *fmt, ...) PRINTF(1, 2);                         /* returns 1 */
int cli_usage(const char *fmt, ...) PRINTF(1, 2);                            /* returns 2 */

#endif
