/* path/send.c - packets that wait to be pulled; they are sealed only then */
#include "path/path_priv.h"

#include <string.h>

bool out_push(struct path *p, const struct out *o)
{
	if (queue_push(&p->out, o))
		return true;
	path_drop(p, PATH_DROP_QUEUE_FULL);
	return false;
}

void out_forget(struct path *p, uint32_t peer)
{
	for (size_t i = 0; i < p->out.n; i++) {
		struct out *o = queue_at(&p->out, i);

		if (o->peer == peer)
			o->type = 0;
	}
}

static size_t plain_emit(const struct path *p, const struct out *o, uint8_t *plain, size_t cap)
{
	switch (o->type) {
	case DISCO_PING:
		return disco_ping_emit(plain, cap, o->txid, &p->node, o->padding);
	case DISCO_PONG:
		return disco_pong_emit(plain, cap, o->txid, &o->src);
	case DISCO_CALL_ME_MAYBE:
		return disco_call_me_maybe_emit(plain, cap, p->own, p->n_own);
	}
	return 0;
}

bool path_pull(struct path *p, mono_t now, struct path_send *s)
{
	uint8_t plain[DISCO_PLAIN_MAX], nonce[BOX_NONCE];
	struct out o;

	(void)now;
	while (queue_pop(&p->out, &o)) {
		struct known *k = o.type ? known_at(p, o.peer) : NULL;
		const uint8_t *shared = k ? known_shared(p, k) : NULL;
		size_t n = shared ? plain_emit(p, &o, plain, sizeof plain) : 0;

		if (n == 0)
			continue;
		rng_fill(p->rng, nonce, sizeof nonce);
		*s = (struct path_send){ .udp = o.to,
					 .derp = o.derp,
					 .derp_to = k->node,
					 .data = p->buf,
					 .whole = o.whole };
		s->len = disco_seal(p->buf, &p->disco_pub, nonce, shared, plain, n);
		return true;
	}
	return false;
}
