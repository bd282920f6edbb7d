/* wg/stage.c - packets that wait for a session: copies, within one byte budget; a peer's oldest
 * goes first */
#include <stdlib.h>

#include "wg/wg_priv.h"

static size_t cost(const struct staged *s)
{
	return sizeof *s + PKT_HEAD + s->len + PKT_TAIL;
}

struct staged *wg_stage_take(struct wg *wg, struct live *l)
{
	struct staged *s = l->staged;

	if (!s)
		return NULL;
	l->staged = s->next;
	if (!l->staged)
		l->staged_end = &l->staged;
	l->n_staged--;
	wg->staged_bytes -= cost(s);
	return s;
}

static bool drop_oldest(struct wg *wg, struct live *l)
{
	struct staged *s = wg_stage_take(wg, l);

	if (!s)
		return false;
	drop(wg, WG_DROP_STAGE_FULL);
	free(s);
	return true;
}

void wg_stage_flush(struct wg *wg, struct live *l)
{
	struct staged *s;

	while ((s = wg_stage_take(wg, l)))
		free(s);
}

void wg_stage_put(struct wg *wg, struct live *l, const struct pkt *p)
{
	size_t need = sizeof(struct staged) + PKT_HEAD + p->len + PKT_TAIL;
	struct staged *s;

	if (need > wg->staged_max) {
		drop(wg, WG_DROP_STAGE_FULL);
		return;
	}
	if (l->n_staged == STAGED_PEER_MAX)
		(void)drop_oldest(wg, l);
	while (wg->staged_max - wg->staged_bytes < need)
		if (!drop_oldest(wg, l)) { /* the budget is with other peers */
			drop(wg, WG_DROP_STAGE_FULL);
			return;
		}
	s = malloc(need);
	if (!s) {
		drop(wg, WG_DROP_NO_MEMORY);
		return;
	}
	s->next = NULL;
	s->len = p->len;
	memcpy(s->mem + PKT_HEAD, p->data, p->len);
	*l->staged_end = s;
	l->staged_end = &s->next;
	l->n_staged++;
	wg->staged_bytes += need;
}
