/* os/memory.c - see privilege.h: memory for secrets, and memory given back */
#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/privilege.h"

/* --- secrets --- */

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

/* --- giving back --- */

/* Segments that are never written hold what the file holds: their pages can be read again.
 * Relocated data is part of a writable segment until RELRO, so it is left alone. */
static int trim_object(struct dl_phdr_info *info, size_t size, void *total)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		uintptr_t from = (info->dlpi_addr + h->p_vaddr) & -page;
		uintptr_t to = (info->dlpi_addr + h->p_vaddr + h->p_memsz) & -page;

		if (h->p_type == PT_LOAD && !(h->p_flags & PF_W) && to > from &&
		    madvise((void *)from, to - from, MADV_DONTNEED) == 0)
			*(size_t *)total += to - from;
	}
	return 0;
}

size_t memory_trim(void)
{
	size_t total = 0;

	malloc_trim(0);
	dl_iterate_phdr(trim_object, &total);
	return total;
}
