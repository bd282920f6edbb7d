/* node/inner.c - inner packets as they are, in place of the IP stack: for a host with a TUN device
 *
 * Accepted packets are copied once, since the datagrams they were decrypted in are the host's only
 * for the length of a call; they leave in runs as NODE_INNER. Packets for the tailnet join the
 * queue of those that the node makes itself and pass the same filter and routes.
 */
#include <stdlib.h>
#include <string.h>

#include "node/node_priv.h"

struct node_inner {
	uint8_t *mem; /* NODE_INNER_MAX slots of PKT_SLOT bytes */
	struct pkt v[NODE_INNER_MAX];
	size_t start, end;
};

struct node_inner *node_inner_new(void)
{
	struct node_inner *in = calloc(1, sizeof *in);

	if (in && !(in->mem = malloc((size_t)NODE_INNER_MAX * PKT_SLOT))) {
		free(in);
		return NULL;
	}
	return in;
}

void node_inner_free(struct node_inner *in)
{
	if (!in)
		return;
	free(in->mem);
	free(in);
}

void node_inner_take(struct node *n, const struct pkt *v, size_t count)
{
	struct node_inner *in = n->inner;

	for (size_t i = 0; i < count; i++) {
		struct pkt *p;

		if (in->end == NODE_INNER_MAX || v[i].len > PKT_INNER_MAX) {
			n->counters.inner_full++;
			continue;
		}
		p = &in->v[in->end];
		*p = (struct pkt){ .data = in->mem + in->end * PKT_SLOT + PKT_HEAD,
				   .len = v[i].len,
				   .head = PKT_HEAD,
				   .tail = (uint16_t)(PKT_SLOT - PKT_HEAD - v[i].len) };
		memcpy(p->data, v[i].data, v[i].len);
		in->end++;
	}
}

bool node_inner_next(struct node *n, struct node_effect *ef)
{
	struct node_inner *in = n->inner;
	size_t count;

	if (!in)
		return false;
	if (in->start == in->end) { /* the last run has been used: its memory is free again */
		in->start = in->end = 0;
		return false;
	}
	count = MIN_OF(in->end - in->start, (size_t)BURST_MAX);
	*ef = (struct node_effect){ .type = NODE_INNER, .v = in->v + in->start, .count = count };
	in->start += count;
	return true;
}

size_t node_send_packets(struct node *n, const struct pkt *v, size_t count)
{
	size_t i = 0;

	for (; i < count; i++) {
		struct pkt *p;

		if (burst_room(&n->made) == 0)
			break;
		p = burst_add(&n->made, v[i].len); /* NULL: too large for the tunnel; dropped */
		if (p)
			memcpy(p->data, v[i].data, v[i].len);
	}
	return i;
}
