/* node/greet.c - no five-second hole before the first packet of a new peer
 *
 * Control tells two nodes of each other at different moments. The first handshake often reaches a
 * peer that does not know us yet and is dropped, and WireGuard repeats it only after 5 s. A disco
 * ping is answered as soon as the peer has our keys, so while a handshake waits the peer is pinged
 * every 250 ms for some seconds, and a sign of it repeats the handshake at once. That one may be
 * lost too, with a relay that the peer does not see us at yet, so it goes on until there is a
 * session, in pauses that double with each sign. Ours; the stock client waits.
 */
#include "node/node_priv.h"

static struct greet *find(struct node *n, uint32_t peer)
{
	for (size_t i = 0; i < n->n_greets; i++)
		if (n->greets[i].peer == peer)
			return &n->greets[i];
	return NULL;
}

void node_greet_start(struct node *n, mono_t now, uint32_t peer)
{
	struct wg_peer_stat st;

	if (n->n_greets == NODE_GREETS_MAX || find(n, peer) || !wg_peer_stat(n->wg, peer, &st) ||
	    st.has_session)
		return;
	n->greets[n->n_greets++] = (struct greet){ .peer = peer,
						   .gap = SPAN_MS(NODE_GREET_MS),
						   .next = mono_add(now, SPAN_MS(NODE_GREET_MS)),
						   .end = mono_add(now, SPAN_S(NODE_GREET_S)) };
}

void node_greet_stop(struct node *n, uint32_t peer)
{
	struct greet *g = find(n, peer);

	if (g)
		*g = n->greets[--n->n_greets];
}

void node_greet_heard(struct node *n, mono_t now, uint32_t peer, span_t rtt)
{
	struct greet *g = find(n, peer);

	if (!g || !wg_peer_answers(n->wg, now, peer, rtt))
		return;
	g->next = mono_add(now, g->gap);
	g->gap.ns *= 2;
}

void node_greet_tick(struct node *n, mono_t now)
{
	for (size_t i = n->n_greets; i-- > 0;) {
		struct greet *g = &n->greets[i];

		if (!mono_due(g->next, now))
			continue;
		if (mono_due(g->end, now)) {
			*g = n->greets[--n->n_greets];
			continue;
		}
		path_greet(n->path, now, g->peer);
		g->next = mono_add(now, g->gap);
	}
}

mono_t node_greet_deadline(const struct node *n)
{
	mono_t d = MONO_NEVER;

	for (size_t i = 0; i < n->n_greets; i++)
		d = mono_min(d, n->greets[i].next);
	return d;
}
