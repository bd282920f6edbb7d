/* os/memory.c - see privilege.h: memory for secrets, and memory given back */
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/privilege.h"

/* --- secrets
 * -------------------------------------------------------------------------------------------------
 */

struct secret_arena {
	uint8_t *mem;
	size_t len, used;
	bool is_locked;
};

struct secret_arena *secret_arena_new(size_t len)
{
	struct secret_arena *a = calloc(1, sizeof *a);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!a || len == 0 || len > SIZE_MAX - page) {
		free(a);
		return NULL;
	}
	a->len = (len + page - 1) / page * page;
	a->mem = mmap(NULL, a->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->mem == MAP_FAILED) {
		free(a);
		return NULL;
	}
	(void)madvise(a->mem, a->len, MADV_DONTDUMP);
	(void)madvise(a->mem, a->len, MADV_WIPEONFORK); /* a child has no business with keys */
	a->is_locked = mlock(a->mem, a->len) == 0;
	return a;
}

void secret_arena_free(struct secret_arena *a)
{
	if (!a)
		return;
	explicit_bzero(a->mem, a->len);
	munmap(a->mem, a->len);
	free(a);
}

void *secret_alloc(struct secret_arena *a, size_t len)
{
	size_t n = (len + 15) & ~(size_t)15;
	void *p;

	if (n < len || n > a->len - a->used)
		return NULL;
	p = a->mem + a->used;
	a->used += n;
	return p;
}

bool secret_arena_is_locked(const struct secret_arena *a)
{
	return a->is_locked;
}

/* --- giving back
 * --------------------------------------------------------------------------------------------- */

/* "7f00-7f10 r-xp offset dev inode /path": a private mapping of a file that is executed and never
 * written, so its pages can be read again. Anything else (r-- may be relocated data) is left alone.
 * Returns bytes given back. */
static size_t trim_line(const char *line)
{
	unsigned long long from, to, inode;
	char perms[5], path[2];

	if (sscanf(line, "%llx-%llx %4s %*x %*s %llu %1s", &from, &to, perms, &inode, path) != 5 ||
	    strcmp(perms, "r-xp") != 0 || inode == 0 || path[0] != '/' || to <= from)
		return 0;
	if (madvise((void *)(uintptr_t)from, (size_t)(to - from), MADV_DONTNEED) < 0)
		return 0;
	return (size_t)(to - from);
}

size_t memory_trim(void)
{
	char buf[4096];
	size_t total = 0, len = 0;
	ssize_t k;
	int fd;

	malloc_trim(0);
	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while ((k = read(fd, buf + len, sizeof buf - 1 - len)) > 0) {
		char *line = buf, *end;

		len += (size_t)k;
		buf[len] = 0;
		while ((end = strchr(line, '\n'))) {
			*end = 0;
			total += trim_line(line);
			line = end + 1;
		}
		len -= (size_t)(line - buf);
		memmove(buf, line, len);
		if (len == sizeof buf - 1)
			len = 0; /* a path that long: its rest is no line of ours */
	}
	close(fd);
	return total;
}
