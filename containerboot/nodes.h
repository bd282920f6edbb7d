/* containerboot/nodes.h - the list of a process with several nodes: the file TS_NODES_FILE names
 *
 *      {"version": 1, "nodes": {"web": {"TS_HOSTNAME": "web", "TS_DEST_IP": "10.96.0.7"},
 *                               "api": {"TS_HOSTNAME": "api", "TS_DEST_IP": "10.96.0.8"}}}
 *
 * A node has a name (a DNS label) and settings: variables of option_table.c that have OPTION_NODE,
 * with texts as values. What a node does not set it has from the environment of the process.
 */
#ifndef CONTAINERBOOT_NODES_H
#define CONTAINERBOOT_NODES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
	NODES_VERSION = 1,
	NODES_MAX = 64, /* as many as have metrics: ENDPOINTS_NODES_MAX */
	NODES_FILE_MAX = 1 << 20,
	NODES_NAME_MAX = 63,
	NODES_VARIABLES_MAX = 32, /* of one node */
	NODES_VALUE_MAX = 4096,
};

struct node_settings {
	char name[NODES_NAME_MAX + 1];
	char *env[NODES_VARIABLES_MAX + 1]; /* "NAME=value", NULL at the end; owned */
	size_t n;
};
struct nodes {
	struct node_settings *v; /* n of them, owned; NULL: none */
	size_t n;
};

/* 0, or -EINVAL or -ENOMEM with one line: then *out is empty. A blank text is an empty list. */
MUST_USE int nodes_parse(struct nodes *out, struct bytes text, struct err *e);
void nodes_fini(struct nodes *n); /* wipes the values: keys may be among them */
void node_settings_fini(struct node_settings *s);
bool node_settings_eq(const struct node_settings *a, const struct node_settings *b);

#endif
