/* containerboot/store.h - where the state is: a file, read once, locked, replaced atomically; a
 * Secret; or memory only */
#ifndef CONTAINERBOOT_STORE_H
#define CONTAINERBOOT_STORE_H

#include <stdbool.h>

#include "base/err.h"
#include "containerboot/kube_secret.h"
#include "model/state.h"

struct store {
	struct state *state;
	char *path;               /* NULL: no file */
	char *netmap;             /* where the cached netmap lies; NULL: nowhere */
	struct kube_secret *kube; /* NULL: no Secret */
	int lock;                 /* descriptor that holds the lock, or -1 */
	bool is_bad;              /* the last save failed: said once, until one works again */
};

/* dir NULL: memory. 0, or -errno with one line: locked by another process, unreadable, torn. */
MUST_USE int store_open(struct store *s, const char *dir, struct err *e);
/* The same out of a Secret; conf->state is set here. */
MUST_USE int store_open_kube(struct store *s, struct kube_secret_conf *conf, struct err *e);
static inline bool store_is_memory(const struct store *s)
{
	return !s->path && !s->kube;
}
/* The file goes, with its lock; what is in memory stays. A Secret is left alone. */
void store_remove(struct store *s);
void store_close(struct store *s); /* also of a zeroed store whose lock is -1 */
/* Writes the file; the old one stays until the new one is safe. A Secret is written soon: 0 says
 * only that it was begun. */
MUST_USE int store_try(struct store *s, struct err *e);
/* The same; logs a failure once, and the first success after it. */
bool store_save(struct store *s);
/* Waits until what was saved is safe; false: not within the limit. */
bool store_flush(struct store *s, span_t limit);

#endif
