/* coordinator/cli.h - the commands but `serve`: requests to a running server, and what needs none
 */
#ifndef COORDINATOR_CLI_H
#define COORDINATOR_CLI_H

/* argv without the program's name. Exit code: 0, 1 the server refused or cannot be reached, 2 wrong
 * usage. */
int cli_run(int argc, char **argv);

#endif
