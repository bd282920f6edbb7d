/* base/pkt.c - see pkt.h */
#include "base/pkt.h"

#include <errno.h>
#include <stdlib.h>

int burst_init(struct burst *b)
{
	void *mem;

	if (posix_memalign(&mem, 64, (size_t)BURST_MAX * PKT_SLOT) != 0)
		return -ENOMEM;
	b->mem = mem;
	b->n = 0;
	return 0;
}

void burst_fini(struct burst *b)
{
	free(b->mem);
	b->mem = NULL;
	b->n = 0;
}

struct pkt *burst_add(struct burst *b, uint32_t len)
{
	struct pkt *p;

	if (b->n == BURST_MAX || len > PKT_INNER_MAX)
		return NULL;
	p = &b->v[b->n];
	p->data = b->mem + b->n * PKT_SLOT + PKT_HEAD;
	p->len = len;
	p->head = PKT_HEAD;
	p->tail = (uint16_t)(PKT_SLOT - PKT_HEAD - len);
	b->n++;
	return p;
}
