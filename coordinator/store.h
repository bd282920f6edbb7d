/* coordinator/store.h - the database: one SQLite file in WAL mode, one transaction for all that a
 * turn of the loop changed
 *
 * Each object is one row, id and JSON text (coordinator/stored.c writes and reads the texts).
 * synchronous=FULL: what store_commit has answered survives kill -9 and power loss.
 */
#ifndef COORDINATOR_STORE_H
#define COORDINATOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

struct store;

enum store_table { STORE_USERS, STORE_KEYS, STORE_NODES, STORE_APIKEYS, STORE_TABLES };
enum { STORE_VERSION = 2, STORE_VALUE_MAX = 4 << 20 };

/* Creates the file (mode 0600) or brings an older one up to date; one that a newer program wrote is
 * refused. */
struct store *store_open(const char *path, struct err *e);
void store_close(struct store *s); /* an open transaction is taken back */

/* put and del open a transaction by themselves; store_commit ends it (nothing to do: 0). After a
 * failure the transaction is taken back as a whole and all later ones fail: what is in memory is
 * not on the disk any more. */
MUST_USE int store_put(struct store *s, enum store_table table, int64_t id, struct bytes json,
		       struct err *e);
MUST_USE int store_del(struct store *s, enum store_table table, int64_t id, struct err *e);
MUST_USE int store_set(struct store *s, const char *name, struct bytes value,
		       struct err *e); /* single values by name */
MUST_USE int store_unset(struct store *s, const char *name, struct err *e);
MUST_USE int store_commit(struct store *s, struct err *e);

/* All rows in order of id; fn's failure ends it. */
typedef int store_row_fn(void *ctx, int64_t id, struct bytes json, struct err *e);
MUST_USE int store_each(struct store *s, enum store_table table, store_row_fn *fn, void *ctx,
			struct err *e);
/* 0: *out is the caller's to free, NUL behind; -ENOENT: no such name (e is untouched) */
MUST_USE int store_get(struct store *s, const char *name, char **out, size_t *len, struct err *e);

/* A copy of the database as it is now, while it is in use; path must not exist. */
MUST_USE int store_backup(struct store *s, const char *path, struct err *e);
uint64_t store_commits(const struct store *s); /* transactions so far */
bool store_ok(const struct store *s);          /* nothing has failed so far */

#endif
