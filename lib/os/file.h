/* os/file.h - whole files: bounded read, atomic replace, lock, watch; random bytes from the kernel
 */
#ifndef OS_FILE_H
#define OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/rng.h"
#include "os/loop.h"

/* Locals that close themselves; TAKE_FD hands the descriptor on. */
#define AUTO_FD __attribute__((cleanup(file_fd_close)))
void file_fd_close(int *fd); /* close when >= 0 */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int take_ = (fd);                                                                  \
		(fd) = -1;                                                                         \
		take_;                                                                             \
	})

/* The whole file, NUL added behind; *out is the caller's to free (file_wipe when secret). Larger
 * than max: -EFBIG. */
MUST_USE int file_read(const char *path, size_t max, char **out, size_t *len, struct err *err);
void file_wipe(char *data, size_t len); /* zeroes and frees */
/* Replaces path by data so that a crash leaves the old or the new content: temporary file beside
 * it, fsync, rename, fsync of the directory. */
MUST_USE int file_replace(const char *path, struct bytes data, mode_t mode, struct err *err);
/* The same in pieces, for what is large: open, write, and take puts it in the place of path, which
 * drop leaves alone. Either ends it. sync false: for what may be lost when the machine stops, not
 * torn when the program does. */
struct file_new {
	char *path, *temp;
	int fd;
};
MUST_USE int file_new_open(struct file_new *f, const char *path, mode_t mode, struct err *err);
MUST_USE int file_new_write(struct file_new *f, struct bytes data, struct err *err);
MUST_USE int file_new_take(struct file_new *f, bool sync, struct err *err);
void file_new_drop(struct file_new *f);
/* Removes what replacements of path that were killed before their end left beside it. For the only
 * writer of path (who holds a lock): those of a running one would go too. */
void file_sweep(const char *path);
/* Creates missing directories of path with mode (as mkdir -p). */
MUST_USE int file_mkdirs(const char *path, mode_t mode, struct err *err);
/* An exclusive lock held by the descriptor; -EBUSY when another process has it. */
MUST_USE int file_lock(const char *path, int *fd, struct err *err);

/* Tells when a file changes, appears or is replaced, also through a symlinked directory as
 * Kubernetes mounts have it; several changes at once are one call. Polls every 5 s where inotify is
 * not to be had. */
struct file_watch;
struct file_watch *file_watch_new(struct loop *loop, const char *path, void (*fn)(void *ctx),
				  void *ctx, struct err *err);
void file_watch_free(struct file_watch *w); /* NULL is fine */

extern struct rng os_rng; /* getrandom; never fails: without it the process ends */

#endif
