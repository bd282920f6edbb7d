/* os/tun.h - a persistent TUN device: it outlives the process, with addresses and routes; whoever
 * attaches by its name goes on. Without a reader it has no carrier. */
#ifndef OS_TUN_H
#define OS_TUN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/pkt.h"
#include "os/loop.h"

struct tun;

/* Packets that were read; borrowed. Returns how many were taken; the rest is dropped, as on a link
 * that is full. */
typedef size_t tun_fn(void *ctx, const struct pkt *v, size_t n);

/* Attaches to or makes the device; needs NET_ADMIN. NULL: e says why. */
struct tun *tun_open(struct loop *loop, const char *name, tun_fn *fn, void *ctx, struct err *e);
void tun_close(struct tun *t); /* the device stays; NULL is fine */
/* The device itself goes too, once closed by everybody. 0 or -errno */
MUST_USE int tun_remove(struct tun *t, struct err *e);
/* Packets into the host. How many the device took. */
size_t tun_send(struct tun *t, const struct pkt *v, size_t n);

#endif
