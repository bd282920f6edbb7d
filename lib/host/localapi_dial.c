/* host/localapi_dial.c - see localapi_dial.h */
#include "host/localapi_dial.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "host/reach.h"
#include "os/loop.h"
#include "os/stream.h"

enum { DIAL_HOST_MAX = 256, DIAL_PORT_TEXT = 8 };

struct dial {
	struct host *host;
	struct host_pipes *pipes;
	struct httpd_call *call;
	struct reach *reach;
	char name[DIAL_HOST_MAX];
	uint16_t port;
};

static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\n"
				"Upgrade: ts-dial\r\nConnection: upgrade\r\n\r\n";
static_assert(sizeof switching - 1 <= HOST_BEFORE_MAX, "the head goes ahead of the flow's bytes");

static void say(struct httpd_call *c, int status, const char *text)
{
	httpd_answer(c, status, "text/plain; charset=utf-8", NULL, 0, bytes_str(text));
}

/* The address is none of ours: the client dials it with its own rights, and resolves it itself. */
static void leave_to_client(struct dial *d)
{
	char addr[DIAL_HOST_MAX + DIAL_PORT_TEXT + 2];
	const struct httpd_field extra[] = { { "Dial-Self", "true" }, { "Dial-Addr", addr } };

	snprintf(addr, sizeof addr, strchr(d->name, ':') ? "[%s]:%u" : "%s:%u", d->name, d->port);
	httpd_answer(d->call, 200, NULL, extra, ARRAY_LEN(extra), bytes_of(NULL, 0));
}

static void drop(struct dial *d, const struct reached *r)
{
	if (r->s)
		stream_close(r->s);
	else
		ns_tcp_abort(node_netstack(host_node(d->host)), loop_now(host_loop(d->host)),
			     r->id);
	host_kick(d->host);
}

static void join(struct dial *d, const struct reached *r)
{
	struct bytes head = bytes_of(switching, sizeof switching - 1);
	struct buf early;
	bool has_ended;
	struct stream *s;

	buf_init(&early, PIPE_BUFFER);
	s = httpd_detach(d->call, &early, &has_ended);
	if (!s) {
		drop(d, r);
		say(d->call, 500, "cannot take the connection over\n");
	} else if (r->s) {
		host_pipe_join(d->pipes, s, buf_bytes(&early), r->s, head);
	} else if (host_splice_after(d->host, r->id, s, buf_bytes(&early), head) == 0 &&
		   has_ended) {
		ns_tcp_shutdown(node_netstack(host_node(d->host)), loop_now(host_loop(d->host)),
				r->id);
		host_kick(d->host);
	}
	buf_fini(&early);
}

static void on_reached(void *ctx, const struct reached *r)
{
	struct dial *d = ctx;
	char text[128];

	httpd_on_gone(d->call, NULL, NULL);
	if (r->result == REACH_OK) {
		join(d, r);
	} else if (r->result == REACH_NOT_ALLOWED) {
		leave_to_client(d);
	} else {
		snprintf(text, sizeof text, "dial failure: %s\n", reach_words[r->result]);
		say(d->call, 502, text);
	}
	free(d);
}

static void on_gone(void *ctx)
{
	struct dial *d = ctx;

	reach_cancel(d->reach);
	free(d);
}

void localapi_dial(struct host *h, struct host_pipes *pipes, struct httpd_call *c,
		   const struct httpd_request *rq)
{
	const struct bytes network = http1_get(rq->head, "Dial-Network");
	struct dial *d;

	if (!bytes_eq_str(rq->head->method, "POST")) {
		say(c, 405, "POST required\n");
		return;
	}
	if (!http1_is_upgrade(rq->head, "ts-dial")) {
		say(c, 400, "bad ts-dial upgrade\n");
		return;
	}
	if (network.len > 0 && !bytes_eq_str(network, "tcp")) {
		say(c, 501, "only tcp is dialed\n");
		return;
	}
	d = calloc(1, sizeof *d);
	if (!d) {
		say(c, 500, "out of memory\n");
		return;
	}
	*d = (struct dial){ .host = h, .pipes = pipes, .call = c };
	if (!bytes_to_str(http1_get(rq->head, "Dial-Host"), d->name, sizeof d->name) ||
	    d->name[0] == 0 || !text_u16(http1_get(rq->head, "Dial-Port"), &d->port) ||
	    d->port == 0) {
		free(d);
		say(c, 400, "missing Dial-Host or Dial-Port header\n");
		return;
	}
	d->reach = reach_start(h, d->name, d->port, true, on_reached, d);
	if (!d->reach) {
		free(d);
		say(c, 500, "out of memory\n");
		return;
	}
	httpd_on_gone(c, on_gone, d);
}
