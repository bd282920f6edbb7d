/* host/egress.c - see egress.h: listeners and connections; datagrams are egress_udp.c */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "host/egress_priv.h"
#include "host/host_priv.h"
#include "host/reach.h"
#include "os/file.h"
#include "os/listen.h"
#include "os/stream.h"

/* A client whose tunnel does not stand yet. */
struct egress_client {
	struct egress *egress;
	struct egress_client *next, *prev;
	struct stream *s;
	struct reach *reach;
	uint16_t to;
};

struct egress_door {
	struct egress *egress;
	struct listener *l;
	uint16_t to;
};

static void client_forget(struct egress_client *c)
{
	struct egress *g = c->egress;

	if (c->prev)
		c->prev->next = c->next;
	else
		g->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	reach_cancel(c->reach);
	g->stat.waiting--;
	free(c);
}

static void on_closed(void *ctx, const struct err *why)
{
	(void)why; /* a client that goes away is no fault */
	client_forget(ctx);
}

static const struct stream_ops hold_ops = { .room = stream_hold,
					    .got = stream_ignore,
					    .data = stream_hold,
					    .sent = stream_ignore,
					    .closed = on_closed };

static void on_reached(void *ctx, const struct reached *r)
{
	struct egress_client *c = ctx;
	struct egress *g = c->egress;
	struct stream *s = c->s;
	uint16_t to = c->to;
	LOG_AS(g->host->label);

	c->reach = NULL;
	client_forget(c);
	if (r->result == REACH_OK && !r->s) {
		stream_keepalive(s, 60, 15, 4);
		if (host_splice(g->host, r->id, s, bytes_of(NULL, 0)) == -ENOMEM)
			log_warn("egress: out of memory for a connection");
		return;
	}
	if (r->s) /* the target is this node itself */
		stream_reset(r->s);
	if (g->stat.failed++ == 0)
		log_info("egress: %s port %u: %s; further failures are counted", g->target, to,
			 r->s ? "that is this node itself" : reach_words[r->result]);
	stream_reset(s);
}

static void on_accept(void *ctx, int fd, const struct ipport *from)
{
	struct egress_door *d = ctx;
	struct egress *g = d->egress;
	struct egress_client *c;

	(void)from;
	c = g->stat.waiting < EGRESS_CONNS_MAX ? calloc(1, sizeof *c) : NULL;
	if (!c) {
		g->stat.failed++;
		file_fd_close(&fd);
		return;
	}
	*c = (struct egress_client){ .egress = g, .next = g->clients, .to = d->to };
	if (g->clients)
		g->clients->prev = c;
	g->clients = c;
	g->stat.accepted++;
	g->stat.waiting++;
	c->s = stream_adopt(host_loop(g->host), fd, &hold_ops, c);
	if (!c->s) {
		client_forget(c);
		return;
	}
	c->reach = reach_start(g->host, g->target, d->to, true, on_reached, c);
	if (!c->reach) {
		stream_reset(c->s);
		client_forget(c);
	}
}

static int open_door(struct egress *g, const struct egress_port *p, struct err *e)
{
	struct egress_door *d = &g->doors[g->n_doors];
	char addr[16];

	snprintf(addr, sizeof addr, ":%u", p->port);
	*d = (struct egress_door){ .egress = g, .to = p->to };
	d->l = listen_tcp(host_loop(g->host), addr, on_accept, d, e);
	if (!d->l)
		return err_wrap(e, "port %u of the pod for %s", p->port, g->target);
	g->n_doors++;
	return 0;
}

struct egress *egress_new(const struct egress_conf *conf, struct err *e)
{
	struct egress *g = calloc(1, sizeof *g);
	size_t len = strlen(conf->target);
	int r = 0;

	if (!g || !(g->doors = calloc(conf->n_ports, sizeof *g->doors))) {
		free(g);
		err_set(e, ENOMEM, "egress");
		return NULL;
	}
	g->host = conf->host;
	if (len > 1 && conf->target[len - 1] == '.')
		len--;
	if (!bytes_to_str(bytes_of(conf->target, len), g->target, sizeof g->target))
		r = err_say(e, EINVAL, "the target's name is too long");
	for (size_t i = 0; r == 0 && i < conf->n_ports; i++)
		r = conf->ports[i].is_udp ? egress_udp_open(g, &conf->ports[i], e)
					  : open_door(g, &conf->ports[i], e);
	if (r < 0) {
		egress_free(g);
		return NULL;
	}
	return g;
}

void egress_free(struct egress *g)
{
	if (!g)
		return;
	while (g->clients) {
		stream_close(g->clients->s);
		client_forget(g->clients);
	}
	for (size_t i = 0; i < g->n_doors; i++)
		listener_close(g->doors[i].l);
	egress_udp_close(g);
	free(g->doors);
	free(g);
}

void egress_stat(const struct egress *g, struct egress_stat *st)
{
	*st = g->stat;
}
