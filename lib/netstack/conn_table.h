/* netstack/conn_table.h - connections by name (index and generation) and by the four numbers on the
 * wire
 *
 * The hash is keyed, so nobody outside can aim at one bucket. Names: a generation grows each time
 * the user's claim on an index ends, so an old name never means a new connection.
 */
#ifndef NETSTACK_CONN_TABLE_H
#define NETSTACK_CONN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "crypto/siphash.h"

struct tcp_conn;

struct conn_slot {
	struct tcp_conn *conn;
	uint32_t generation, next_free;
};

struct conn_table {
	struct conn_slot *slots;
	struct tcp_conn **buckets;
	uint32_t n, cap, first_free, n_buckets;
};

void conn_table_fini(struct conn_table *t); /* the connections are the caller's to free before */
bool conn_table_add(struct conn_table *t, const uint8_t key[static SIPHASH_KEY_LEN],
		    struct tcp_conn *c); /* sets index, hash */
void conn_table_del(struct conn_table *t, struct tcp_conn *c);
void conn_table_unname(struct conn_table *t, struct tcp_conn *c); /* the user's name for it dies */
struct tcp_conn *conn_table_find(const struct conn_table *t,
				 const uint8_t key[static SIPHASH_KEY_LEN],
				 const struct ipport *local, const struct ipport *remote);
struct tcp_conn *conn_table_get(const struct conn_table *t, uint32_t index, uint32_t generation);

#endif
