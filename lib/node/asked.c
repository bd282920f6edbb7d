/* node/asked.c - what control asks of this node by a PingRequest: c2n requests, which the host
 * answers, and pings of peers (control-protocol.md 5.2)
 */
#include <stdlib.h>

#include "node/localapi.h"
#include "node/node_priv.h"

enum { PING_WAYS = 4, PING_ANSWER_MAX = 4096 };

static const struct {
	unsigned bit;
	enum node_ping_kind kind;
	const char *name;
	bool can;
} ways[PING_WAYS] = {
	{ PING_DISCO, NODE_PING_DISCO, "disco", true },
	{ PING_TSMP, NODE_PING_TSMP, "TSMP", true },
	{ PING_ICMP, NODE_PING_ICMP, "ICMP", true },
	{ PING_PEERAPI, NODE_PING_TSMP, "peerapi", false },
};

struct asked {
	struct ping ping;
	unsigned waiting; /* bits of ways without an answer */
	uint32_t number;
};

/* Tokens of node_ping: a mark, the number of the request, the way. */
#define ASKED_TOKEN (UINT64_C(1) << 62)

static uint64_t token_of(const struct asked *a, size_t way)
{
	return ASKED_TOKEN | (uint64_t)a->number << 8 | way;
}

static void forget(struct asked **slot)
{
	ping_fini(&(*slot)->ping);
	free(*slot);
	*slot = NULL;
}

static void answer(struct node *n, mono_t now, struct asked **slot, size_t way,
		   const struct node_ping_result *r)
{
	const struct localapi_view v = { .node = n };
	struct asked *a = *slot;
	struct buf body;

	if (!(a->waiting & ways[way].bit))
		return;
	a->waiting &= ~ways[way].bit;
	buf_init(&body, PING_ANSWER_MAX);
	if (localapi_ping_response_json(&v, ways[way].name, &a->ping.ip, r, &body))
		control_ping_answer(n->control, now, &a->ping, &body);
	buf_fini(&body);
	if (a->waiting == 0)
		forget(slot);
}

bool node_asked_pong(struct node *n, mono_t now, const struct node_ping_result *r)
{
	if (!(r->token & ASKED_TOKEN))
		return false;
	for (size_t i = 0; i < NODE_ASKED_MAX; i++)
		for (size_t way = 0; n->asked[i] && way < PING_WAYS; way++)
			if (r->token == token_of(n->asked[i], way))
				answer(n, now, &n->asked[i], way, r);
	return true;
}

static void ping_peer(struct node *n, mono_t now, struct ping *p)
{
	const struct node_ping_result cannot = { .error = "peerapi is not pinged by this node" };
	struct asked **slot = NULL;

	for (size_t i = 0; i < NODE_ASKED_MAX && !slot; i++)
		if (!n->asked[i])
			slot = &n->asked[i];
	if (!slot || !(*slot = calloc(1, sizeof **slot))) { /* control asks again */
		ping_fini(p);
		return;
	}
	(*slot)->ping = *p;
	(*slot)->waiting = p->types;
	(*slot)->number = n->asked_number++;
	for (size_t way = 0; *slot && way < PING_WAYS; way++) {
		if (!((*slot)->waiting & ways[way].bit))
			continue;
		if (ways[way].can)
			node_ping(n, now, ways[way].kind, &(*slot)->ping.ip, token_of(*slot, way),
				  0);
		else
			answer(n, now, slot, way, &cannot);
	}
}

void node_asked_take(struct node *n, mono_t now, struct bytes json)
{
	struct ping p;

	if (!control_ping_request(n->control, now, json, &p))
		return;
	if (p.kind == PING_PEER) {
		ping_peer(n, now, &p);
		return;
	}
	if (n->c2n)
		ping_fini(n->c2n); /* an older one that nobody answered */
	else
		n->c2n = malloc(sizeof *n->c2n);
	if (!n->c2n) {
		ping_fini(&p);
		return;
	}
	*n->c2n = p;
	node_push(n, NODE_C2N);
}

const struct c2n_request *node_c2n(const struct node *n)
{
	return n->c2n ? &n->c2n->rq : NULL;
}

void node_c2n_reply(struct node *n, mono_t now, struct buf *http)
{
	if (!n->c2n)
		return;
	control_ping_answer(n->control, now, n->c2n, http);
	ping_fini(n->c2n);
	free(n->c2n);
	n->c2n = NULL;
}

void node_asked_free(struct node *n)
{
	for (size_t i = 0; i < NODE_ASKED_MAX; i++)
		if (n->asked[i])
			forget(&n->asked[i]);
	if (n->c2n)
		ping_fini(n->c2n);
	free(n->c2n);
	n->c2n = NULL;
}
