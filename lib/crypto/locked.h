/* crypto/locked.h - locked memory for secrets of which there are many: keys of sessions, handshakes
 *
 * secret_new (crypto/key.h) takes two pages for each; here slots of two sizes share pages that are
 * likewise locked as far as the system allows, outside core dumps and wiped. The first pages hold
 * 7 slots (14 small ones), further ones 56 (64) each, and go when their last slot does. One pool of
 * each size a process, like the heap; used by one thread. docs/design/secrets.md
 */
#ifndef CRYPTO_LOCKED_H
#define CRYPTO_LOCKED_H

#include <stdbool.h>
#include <stddef.h>

enum {
	LOCKED_SIZE = 1152,    /* bytes: an AEAD key made ready, with what OpenSSL keeps of it */
	LOCKED_SMALL = 288,    /* bytes: a shared key, what a Noise channel keeps */
	LOCKED_SLABS_MAX = 64, /* of each size: some 3,500 slots in 4 MiB, some 4,000 small ones in
				  1.2 MiB; what is more lies in the heap */
};

/* Zeroed, aligned to 16; len <= LOCKED_SIZE. From the heap when there is no slot; NULL: no memory.
 */
void *locked_new(size_t len);
/* Wipes and gives back what locked_new gave for len. NULL is fine. */
void locked_free(void *p, size_t len);
/* While on, what OpenSSL frees is wiped: for a private key that is being read, of which it leaves
 * copies behind. */
void locked_wipe_freed(bool on);
bool locked_is(const void *p); /* does it lie in a slot? */
size_t locked_count(void);     /* in use */

#endif
