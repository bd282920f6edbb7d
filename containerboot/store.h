/* containerboot/store.h - the state file: read once, locked, replaced atomically; or memory only */
#ifndef CONTAINERBOOT_STORE_H
#define CONTAINERBOOT_STORE_H

#include <stdbool.h>

#include "base/err.h"
#include "model/state.h"

struct store {
        struct state *state;
        char *path;  /* NULL: memory */
        int lock;    /* descriptor that holds the lock, or -1 */
        bool is_bad; /* the last save failed: said once, until one works again */
};

/* dir NULL: memory. 0, or -errno with one line: locked by another process, unreadable, torn. */
MUST_USE int store_open(struct store *s, const char *dir, struct err *e);
void store_close(struct store *s); /* also of a zeroed store whose lock is -1 */
/* Writes the file; the old one stays until the new one is safe. Logs a failure once. */
bool store_save(struct store *s);

#endif
