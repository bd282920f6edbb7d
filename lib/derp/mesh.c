/* derp/mesh.c - relays of one region: who watches us, and the links over which we forward
 *
 * A watcher is first told of everybody, slot by slot as its stream drains, and of each change at
 * once. What it is told twice does no harm: presence is a set.
 */
#include "derp/server_priv.h"

#include "derp/client.h"

#include <errno.h>

static struct derp_peer_present present_of(const struct conn *c)
{
	struct derp_peer_present p = { .key = c->key,
				       .addr = c->remote,
				       .flags = DERP_PRESENT_REGULAR };

	if (c->is_mesh)
		p.flags = DERP_PRESENT_MESH;
	if (c->is_prober)
		p.flags |= DERP_PRESENT_PROBER;
	return p;
}

static void tell(struct derp_server *s, mono_t now, enum derp_frame_type type, struct bytes body)
{
	for (size_t i = 0; i < WATCHERS_MAX; i++) {
		struct conn *w = s->watchers[i];

		if (w && !conn_control(s, now, w, type, body))
			conn_kill(s, now, w, "mesh peer does not read",
				  DERP_DROP_GONE_DISCONNECTED);
	}
}

void mesh_present(struct derp_server *s, mono_t now, const struct conn *c)
{
	struct derp_peer_present p = present_of(c);
	uint8_t body[DERP_PRESENT_LEN];

	derp_peer_present_emit(body, &p);
	tell(s, now, DERP_PEER_PRESENT, bytes_of(body, sizeof body));
}

void mesh_gone(struct derp_server *s, mono_t now, const struct key_pub *key)
{
	uint8_t body[KEY_LEN + 1];

	memcpy(body, key->b, KEY_LEN);
	body[KEY_LEN] = DERP_GONE_DISCONNECTED;
	tell(s, now, DERP_PEER_GONE, bytes_of(body, sizeof body));
}

bool mesh_watch(struct derp_server *s, struct conn *c)
{
	if (c->is_watcher)
		return true;
	for (size_t i = 0; i < WATCHERS_MAX; i++) {
		if (s->watchers[i])
			continue;
		s->watchers[i] = c;
		c->is_watcher = true;
		c->dump_at = 0;
		return true;
	}
	return false;
}

void mesh_leave(struct derp_server *s, struct conn *c)
{
	for (size_t i = 0; i < WATCHERS_MAX; i++)
		if (s->watchers[i] == c)
			s->watchers[i] = NULL;
	c->is_watcher = false;
}

bool mesh_dump(struct derp_server *s, struct conn *c)
{
	struct derp_peer_present p;
	uint8_t body[DERP_PRESENT_LEN];

	while (c->is_watcher && c->dump_at < s->conf.max_conns) {
		const struct conn *o = s->slots[c->dump_at];

		if (!o || o->state != CONN_LIVE || o == c) {
			c->dump_at++;
			continue;
		}
		p = present_of(o);
		derp_peer_present_emit(body, &p);
		if (!derp_frame_emit(&c->out.control, DERP_PEER_PRESENT,
				     bytes_of(body, sizeof body), bytes_of(NULL, 0)))
			return false;
		c->dump_at++;
		return true;
	}
	return false;
}

bool mesh_forward(struct derp_server *s, const struct peer *p, const struct key_pub *from,
		  struct bytes packet)
{
	for (unsigned i = 0; i < DERP_LINKS_MAX; i++)
		if ((p->links & 1U << i) && s->links[i])
			return derp_client_forward(s->links[i], from, &p->key, packet);
	return false;
}

int derp_server_link_add(struct derp_server *s, struct derp_client *link)
{
	for (size_t i = 0; i < DERP_LINKS_MAX; i++) {
		if (s->links[i])
			continue;
		s->links[i] = link;
		derp_client_watch(link);
		return 0;
	}
	return -ENOSPC;
}

void derp_server_link_del(struct derp_server *s, mono_t now, struct derp_client *link)
{
	for (unsigned i = 0; i < DERP_LINKS_MAX; i++) {
		if (s->links[i] != link)
			continue;
		s->links[i] = NULL;
		peer_unlink_all(s, now, i);
	}
}

void derp_server_link_peer(struct derp_server *s, mono_t now, struct derp_client *link,
			   const struct key_pub *key, bool is_present)
{
	for (unsigned i = 0; i < DERP_LINKS_MAX; i++)
		if (s->links[i] == link)
			peer_link(s, now, key, i, is_present);
}
