/* tests/secrets.h - for tests: in what memory of this process a secret lies
 *
 * Not under AddressSanitizer, which makes mlock do nothing, and memory endless.
 */
#ifndef TESTS_SECRETS_H
#define TESTS_SECRETS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(__SANITIZE_ADDRESS__)

/* RLIMIT_MEMLOCK may allow little or nothing: then outside core dumps is all that can be had. */
static inline bool secrets_can_lock(void)
{
	static uint8_t page[64 * 4096]; /* more than any test holds */
	bool ok = mlock(page, sizeof page) == 0;

	munlock(page, sizeof page);
	return ok;
}

/* Places of the 32 bytes (given inverted, so that this is none) in ordinary memory of this process;
 * *all: anywhere. */
static inline size_t secrets_search(const uint8_t inverted[static 32], size_t *all)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long from = 0, to = 0;
	size_t ordinary = 0, hits = 0;
	bool lock = secrets_can_lock();
	char line[512], perms[8];

	*all = 0;
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, perms) == 3) {
			uint8_t page[4096 + 31] = { 0 };

			hits = 0;
			for (unsigned long at = from; perms[1] == 'w' && at < to; at += 4096) {
				ssize_t n = pread(mem, page, sizeof page, (off_t)at);

				for (ssize_t i = 0; i + 32 <= n && i < 4096; i++) {
					size_t k = 0;

					while (k < 32 && page[i + (ssize_t)k] + inverted[k] == 0xff)
						k++;
					hits += k == 32;
				}
				memset(page, 0, sizeof page);
			}
		} else if (strncmp(line, "VmFlags:", 8) == 0) {
			*all += hits;
			if (!strstr(line, " dd") || (lock && !strstr(line, " lo")))
				ordinary += hits;
			hits = 0;
		}
	}
	fclose(maps);
	close(mem);
	return ordinary;
}

#endif
#endif
