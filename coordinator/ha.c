/* coordinator/ha.c - several routers of one subnet: is the one that serves it alive?
 *
 * A node that has lost its network keeps its map stream open until TCP gives up. So every router
 * whose subnet another one online could take is asked each 10 s to prove that it lives, by a
 * PingRequest on its streams (control-protocol.md 5.2), which it answers over Noise. No answer
 * within 5 s makes it silent: it comes after all that answer, until it answers again or opens a
 * new stream. When all are silent the order is as if none were.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/tailnet_priv.h"

static const char path[] = "/machine/ping-response?id=";

static bool serves(const struct tnode *n, const struct ipprefix *r)
{
	return n->pub.approved && node_has_route(n->pub.routes, n->pub.n_routes, r) &&
	       node_has_route(n->pub.approved_routes, n->pub.n_approved, r);
}

static bool is_exit(const struct ipprefix *r)
{
	return r->bits == 0 || (r->bits == 96 && ip_is_v4(&r->ip));
}

/* Could another router that is online take one of its subnets? */
static bool has_stand_in(const struct tailnet *t, const struct tnode *n)
{
	for (size_t i = 0; i < n->pub.n_approved; i++) {
		const struct ipprefix *r = &n->pub.approved_routes[i];

		if (is_exit(r) || !serves(n, r))
			continue;
		for (size_t k = 0; k < t->n_routers; k++) {
			const struct tnode *o = &t->nodes[t->routers[k]];

			if (o != n && o->pub.online && serves(o, r))
				return true;
		}
	}
	return false;
}

/* false: a stream is gone */
static bool send_probe(struct tailnet *t, mono_t now, struct tnode *n)
{
	char id[2 * sizeof n->probe + 1];
	struct jsonw w;
	char url[sizeof t->url + sizeof path + sizeof id];

	rng_fill(t->conf.rng, n->probe, sizeof n->probe);
	hex_emit(n->probe, sizeof n->probe, id);
	/* over Noise the host does not matter, and stock clients want this scheme there */
	snprintf(url, sizeof url, "https%s%s%s", strchr(t->url, ':'), path, id);
	buf_clear(&t->frame);
	jsonw_init(&w, &t->frame);
	jsonw_obj(&w);
	jsonw_kbool(&w, "KeepAlive", true);
	jsonw_key(&w, "PingRequest");
	jsonw_obj(&w);
	jsonw_kstr(&w, "URL", url);
	jsonw_kbool(&w, "URLIsNoise", true);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	if (!jsonw_ok(&w))
		return true; /* no memory: the next time */
	n->probe_by = mono_add(now, SPAN_S(TAILNET_PROBE_WAIT_S));
	t->stat.probes++;
	for (unsigned i = n->n_streams; i-- > 0;)
		if (!frame_send(t, &t->streams[n->stream[i]]))
			map_cut_off(t, now, n->stream[i], "it does not read");
	return n->n_streams > 0;
}

static void set_silent(struct tailnet *t, mono_t now, struct tnode *n, bool silent)
{
	if (n->pub.silent == silent)
		return;
	n->pub.silent = silent;
	t->stat.failovers += silent;
	tailnet_audit(t, "router %s %s", n->pub.given,
		      silent ? "does not answer: others serve its subnets" : "answers again");
	t->routes_dirty = true;
	t->flush_at = mono_min(t->flush_at, mono_add(now, SPAN_MS(TAILNET_BATCH_MS)));
}

void ha_alive(struct tailnet *t, mono_t now, struct tnode *n)
{
	n->probe_by = MONO_NEVER;
	set_silent(t, now, n, false);
}

bool ha_answer(struct tailnet *t, mono_t now, const struct key_pub *machine, const char *target)
{
	uint8_t id[TAILNET_PROBE_ID];
	struct bytes text;

	if (strncmp(target, path, sizeof path - 1) != 0)
		return false;
	text = bytes_str(target + sizeof path - 1);
	if (t->routers_stale)
		node_find_routers(t);
	for (size_t i = 0; text.len == 2 * sizeof id && i < t->n_routers; i++) {
		struct tnode *n = &t->nodes[t->routers[i]];

		if (!mono_is_never(n->probe_by) && key_eq(&n->pub.machine, machine) &&
		    hex_parse(text, id, sizeof id) && secret_eq(id, n->probe, sizeof id)) {
			ha_alive(t, now, n);
			return true;
		}
	}
	return false;
}

mono_t ha_scan(struct tailnet *t, mono_t now)
{
	mono_t next = MONO_NEVER;
	bool is_due;

	if (t->routers_stale)
		node_find_routers(t);
	for (size_t i = 0; i < t->n_routers; i++) { /* who has not answered */
		struct tnode *n = &t->nodes[t->routers[i]];

		if (mono_due(n->probe_by, now)) {
			n->probe_by = MONO_NEVER;
			if (n->pub.online)
				set_silent(t, now, n, true);
		}
		next = mono_min(next, n->probe_by);
	}
	is_due = mono_due(t->probe_at, now);
	for (size_t i = 0; i < t->n_routers && is_due; i++) {
		struct tnode *n = &t->nodes[t->routers[i]];

		if (!n->pub.online || n->n_streams == 0 || !mono_is_never(n->probe_by))
			continue;
		if (!has_stand_in(t, n))
			ha_alive(t, now, n); /* nobody to choose between */
		else if (send_probe(t, now, n))
			next = mono_min(next, n->probe_by);
	}
	if (is_due)
		t->probe_at = mono_add(now, SPAN_S(TAILNET_PROBE_S));
	return t->n_routers > 1 ? mono_min(next, t->probe_at) : next;
}
