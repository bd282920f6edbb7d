/* coordinator/meshlinks.c - see meshlinks.h */
#include "coordinator/meshlinks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "derp/client.h"
#include "os/file.h"
#include "os/resolve.h"
#include "os/stream.h"

enum { CHUNK = 32768 };

struct link {
	struct meshlinks *mesh;
	const char *url;
	char host[256];
	uint16_t port;
	bool is_tls, is_up, is_self;
	struct stream *stream;      /* NULL: none */
	struct derp_client *client; /* with a stream only */
	struct loop_timer timer;    /* deadline of the client, or the next try */
	uint8_t *in, *out;          /* CHUNK each */
	size_t out_at, out_len;
};

struct meshlinks {
	struct meshlinks_conf conf;
	struct link links[DERP_LINKS_MAX];
	size_t n;
};

static mono_t now(const struct link *l)
{
	return loop_now(l->mesh->conf.loop);
}

static void drop_client(struct link *l)
{
	if (!l->client)
		return;
	derp_server_link_del(l->mesh->conf.derp, now(l), l->client);
	derp_client_free(l->client);
	l->client = NULL;
	l->is_up = false;
	l->out_len = 0;
}

/* The stream is over or not wanted any more. */
static void end(struct link *l, const char *why)
{
	stream_close(l->stream);
	l->stream = NULL;
	if (l->is_self)
		log_info("mesh: %s is this relay itself", l->url);
	else
		log_warn("mesh: %s: %s; again in %d s", l->url, why ? why : "closed",
			 MESHLINKS_RETRY_S);
	drop_client(l); /* why may have been its */
	loop_timer_set(&l->timer,
		       l->is_self ? MONO_NEVER : mono_add(now(l), SPAN_S(MESHLINKS_RETRY_S)));
}

static void up(struct link *l)
{
	const struct key_pub *theirs = derp_client_server_key(l->client);

	if (theirs && key_eq(theirs, derp_server_key(l->mesh->conf.derp))) {
		l->is_self = true;
		return;
	}
	l->is_up = true;
	log_info("mesh: linked to %s", l->url);
}

/* false: the link has ended */
static bool pump(struct link *l)
{
	struct derp_event ev;

	while (derp_client_next(l->client, &ev)) {
		switch (ev.type) {
		case DERP_EV_READY:
			up(l);
			break;
		case DERP_EV_PEER_PRESENT:
		case DERP_EV_PEER_GONE:
			if (l->is_up)
				derp_server_link_peer(l->mesh->conf.derp, now(l), l->client,
						      &ev.from, ev.type == DERP_EV_PEER_PRESENT);
			break;
		case DERP_EV_CLOSED:
			end(l, ev.text);
			return false;
		default:
			break;
		}
		if (l->is_self) {
			end(l, NULL);
			return false;
		}
	}
	loop_timer_set(&l->timer, derp_client_deadline(l->client));
	if (l->out_len > 0 || derp_client_has_output(l->client))
		stream_kick(l->stream);
	return true;
}

/* --- stream --- */

static void on_open(void *ctx)
{
	struct link *l = ctx;
	const struct meshlinks_conf *m = &l->mesh->conf;
	const struct derp_client_conf conf = {
		.rng = &os_rng, .node = *m->key, .host = l->host, .mesh_key = m->mesh_key
	};

	l->client = derp_client_new(&conf, now(l));
	if (!l->client) {
		end(l, "out of memory");
		return;
	}
	if (derp_server_link_add(m->derp, l->client) != 0) { /* there are as many as may be */
		end(l, "too many links");
		return;
	}
	stream_keepalive(l->stream, 60, 15, 4);
	(void)pump(l);
}

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	struct link *l = ctx;

	(void)max;
	v[0] = (struct iovec){ l->in, CHUNK };
	return 1;
}

static void on_got(void *ctx, size_t n)
{
	struct link *l = ctx;

	derp_client_feed(l->client, now(l), bytes_of(l->in, n));
	(void)pump(l);
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	struct link *l = ctx;

	(void)max;
	if (l->out_len == 0 && l->client) {
		l->out_at = 0;
		l->out_len = derp_client_pull(l->client, now(l), l->out, CHUNK);
	}
	if (l->out_len == 0)
		return 0;
	v[0] = (struct iovec){ l->out + l->out_at, l->out_len };
	return 1;
}

static void on_sent(void *ctx, size_t n)
{
	struct link *l = ctx;

	l->out_at += n;
	l->out_len -= n;
}

static void on_closed(void *ctx, const struct err *why)
{
	struct link *l = ctx;

	l->stream = NULL;
	end(l, why ? why->text : NULL);
}

static const struct stream_ops ops = { .open = on_open,
				       .room = on_room,
				       .got = on_got,
				       .data = on_data,
				       .sent = on_sent,
				       .closed = on_closed };

static void dial(struct link *l)
{
	const struct meshlinks_conf *m = &l->mesh->conf;
	struct stream_conf conf = {
		.dial = { .host = l->host, .port = l->port, .resolver = m->resolver },
		.tls = l->is_tls ? m->tls : NULL,
	};
	struct err e = { 0 };

	l->stream = stream_dial(m->loop, &conf, &ops, l, &e);
	if (!l->stream)
		end(l, e.text);
}

static void on_timer(void *ctx)
{
	struct link *l = ctx;

	if (!l->stream) {
		dial(l);
	} else if (l->client) {
		derp_client_tick(l->client, now(l));
		(void)pump(l);
	}
}

/* --- life --- */

static bool link_init(struct meshlinks *m, const char *url, struct err *e)
{
	struct link *l = &m->links[m->n];

	l->mesh = m;
	l->url = url;
	if (!config_url(url, &l->is_tls, l->host, &l->port)) {
		err_say(e, EINVAL, "derp.mesh_with: '%.100s' is not http[s]://HOST[:PORT]", url);
		return false;
	}
	m->n++;
	loop_timer_init(m->conf.loop, &l->timer, on_timer, l);
	l->in = malloc(CHUNK);
	l->out = malloc(CHUNK);
	if (!l->in || !l->out) {
		err_set(e, ENOMEM, "start the mesh");
		return false;
	}
	loop_timer_set(&l->timer, loop_now(m->conf.loop));
	return true;
}

struct meshlinks *meshlinks_new(const struct meshlinks_conf *conf, struct err *e)
{
	struct meshlinks *m = calloc(1, sizeof *m);

	if (!m) {
		err_set(e, ENOMEM, "start the mesh");
		return NULL;
	}
	m->conf = *conf;
	if (conf->with->n > DERP_LINKS_MAX) {
		err_say(e, EINVAL, "derp.mesh_with holds at most %d relays", DERP_LINKS_MAX);
		meshlinks_free(m);
		return NULL;
	}
	for (size_t i = 0; i < conf->with->n; i++)
		if (!link_init(m, conf->with->v[i], e)) {
			meshlinks_free(m);
			return NULL;
		}
	return m;
}

void meshlinks_free(struct meshlinks *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		struct link *l = &m->links[i];

		stream_close(l->stream);
		drop_client(l);
		loop_timer_fini(&l->timer);
		free(l->in);
		free(l->out);
	}
	free(m);
}

void meshlinks_flush(struct meshlinks *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->links[i].client && derp_client_has_output(m->links[i].client))
			stream_kick(m->links[i].stream);
}

size_t meshlinks_n_up(const struct meshlinks *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->links[i].is_up;
	return n;
}
