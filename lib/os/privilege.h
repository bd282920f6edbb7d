/* os/privilege.h - what the process gives up, and where its secrets lie
 *
 * Stages (design.md 3.10): privilege_at_start before anything is read; privilege_drop after the
 * configuration. Memory goes back to the system by memory_trim when the program is ready and idle
 * (design.md 3.6).
 */
#ifndef OS_PRIVILEGE_H
#define OS_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

/* Not dumpable, no core file: /proc/PID/{environ,mem} are closed to others of the same uid. */
MUST_USE int privilege_at_start(struct err *err);
/* No new privileges, all capabilities gone but those in keep (names of cap_from_name,
 * NULL-terminated; NULL: none). */
MUST_USE int privilege_drop(const char *const *keep, struct err *err);

/* The user id of a name in a file like /etc/passwd (NULL: that one), or of digits. 0, -ENOENT:
 * there is no such user; -errno: the file cannot be read */
MUST_USE int user_id(const char *name, const char *passwd, uid_t *out);

/* Locked memory outside core dumps for private keys. Never grows; freeing wipes. When locking is
 * refused (RLIMIT_MEMLOCK) it still works and is_locked says no. */
struct secret_arena;
struct secret_arena *secret_arena_new(size_t len);
void secret_arena_free(struct secret_arena *a);         /* wipes all */
void *secret_alloc(struct secret_arena *a, size_t len); /* zeroed, 16-byte aligned; NULL: full */
bool secret_arena_is_locked(const struct secret_arena *a);

/* Gives free heap and the clean pages of code and constants back; they return by page faults when
 * needed. Returns bytes of mappings advised. */
size_t memory_trim(void);

#endif
