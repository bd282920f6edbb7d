/* containerboot/agent_dns.c - see agent_dns.h */
#include "containerboot/agent_dns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/cursor.h"
#include "host/doh.h"
#include "model/magicdns.h"
#include "netstack/netstack.h"
#include "os/file.h"
#include "os/sockaddr.h"
#include "wire/dns.h"
#include "wire/packet.h"

enum {
	PORT = 53,
	QUERY_MAX = 4096, /* one over TCP; longer ones close the connection */
	REPLY_MAX = 4096,
	CONN_IDLE_S = 10, /* RFC 7766 section 6.2.3: of the order of seconds */
	UPSTREAM_S = 5,
	STACK_MEMORY = 1 << 20,
	MTU = 1280,
	RESOLVERS_MAX = 4, /* asked for one name */
	READS = 8,         /* of one socket in one wake-up */
	LENGTH = 2,        /* before each message over TCP (RFC 1035 section 4.2.2) */
};

struct asker { /* where an answer goes */
	struct ipport local, remote;
	struct ns_id id; /* of a TCP connection; stale names are harmless */
	bool is_tcp;
};

struct conn {
	struct ns_id id;
	struct agent_dns *dns;
	struct loop_timer idle;
	size_t len;
	uint8_t buf[LENGTH + QUERY_MAX];
	struct conn *next;
};

struct agent_doh { /* asked by HTTPS */
	struct upstream *of;
	struct host_doh_query *query; /* NULL: it has answered, or failed */
};

struct agent_asked { /* asked by port 53, from a socket of its own */
	struct upstream *of;
	int fd; /* -1: it has failed */
	struct loop_poll poll;
};

struct upstream { /* a query that waits for a resolver */
	struct agent_dns *dns;
	struct agent_doh doh[RESOLVERS_MAX];
	size_t n_doh;
	struct upstream *next;
	uint16_t id;     /* towards resolvers; random */
	uint16_t client; /* as the pod sent it */
	mono_t until;
	struct asker from;
	struct agent_asked to[RESOLVERS_MAX];
	size_t n_to, len;
	uint8_t query[];
};

struct agent_dns {
	struct agent_dns_conf conf;
	struct netstack *stack;
	struct burst burst;
	struct loop_timer timer;
	struct loop_defer pump;
	struct conn *conns;
	struct upstream *waiting;
	size_t n_waiting;
	struct agent_dns_counts counts;
};

static mono_t now_of(const struct agent_dns *d)
{
	return loop_now(d->conf.loop);
}

static void service_ip(bool v6, struct ip *out)
{
	static const uint8_t addr6[16] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = 0x53 };

	*out = ip_v4(100, 100, 100, 100);
	if (v6)
		memcpy(out->b, addr6, sizeof addr6);
}

bool agent_dns_wants(const struct pkt *p)
{
	struct packet facts;
	struct ip own;

	if (packet_parse(p->data, p->len, &facts) != PACKET_OK)
		return false;
	service_ip(facts.is_v6, &own);
	return ip_eq(&facts.dst, &own);
}

/* --- answers --- */

static void send_answer(struct agent_dns *d, const struct asker *to, struct bytes msg)
{
	uint8_t framed[LENGTH + REPLY_MAX];
	struct wr w = wr_of(framed, sizeof framed);

	if (!to->is_tcp) {
		(void)!ns_udp_send(d->stack, &to->local, &to->remote,
				   msg); /* lost like any datagram */
	} else {
		wr_be16(&w, (uint16_t)msg.len);
		wr_put(&w, msg.data, msg.len);
		/* who does not read what was asked for is cut off */
		if (ns_tcp_write(d->stack, now_of(d), to->id, framed, wr_len(&w)) < wr_len(&w))
			ns_tcp_shutdown(d->stack, now_of(d), to->id);
	}
	loop_defer(d->conf.loop, &d->pump);
}

static void send_failure(struct agent_dns *d, const struct asker *to, struct bytes query)
{
	uint8_t out[REPLY_MAX];
	const size_t len = magicdns_fail(query, DNS_SERVFAIL, out, sizeof out);

	if (len > 0)
		send_answer(d, to, bytes_of(out, len));
}

/* --- resolvers that control named, over the ordinary network --- */

static void asked_close(struct agent_asked *a)
{
	loop_poll_close(&a->poll);
	file_fd_close(&a->fd);
}

static void forget_upstream(struct agent_dns *d, struct upstream *q)
{
	struct upstream **at = &d->waiting;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	for (size_t i = 0; i < q->n_doh; i++)
		host_doh_cancel(q->doh[i].query);
	for (size_t i = 0; i < q->n_to; i++)
		asked_close(&q->to[i]);
	free(q);
	d->n_waiting--;
}

static void fail_upstream(struct agent_dns *d, struct upstream *q)
{
	uint16_t id = q->client;
	struct wr w = wr_of(q->query, sizeof id);

	wr_be16(&w, id);
	d->counts.lost++;
	send_failure(d, &q->from, bytes_of(q->query, q->len));
	forget_upstream(d, q);
}

/* One resolver less: was it the last? */
static void one_failed(struct agent_dns *d, struct upstream *q)
{
	for (size_t i = 0; i < q->n_doh; i++)
		if (q->doh[i].query)
			return;
	for (size_t i = 0; i < q->n_to; i++)
		if (q->to[i].fd >= 0)
			return;
	fail_upstream(d, q);
}

/* RFC 5452 section 9.1: of the socket's peer, with the id and the question of the query */
static bool is_answer(const struct upstream *q, struct bytes msg)
{
	struct dns_reader answer, query;

	return dns_open(&answer, msg) && answer.head.qr && answer.head.id == q->id &&
	       dns_open(&query, bytes_of(q->query, q->len)) && query.q.type == answer.q.type &&
	       query.q.class == answer.q.class && strcasecmp(query.q.name, answer.q.name) == 0;
}

/* Returns whether q is gone. */
static bool take_answer(struct agent_dns *d, struct upstream *q, uint8_t *msg, size_t len)
{
	struct dns_head head;
	struct wr w = wr_of(msg, sizeof q->client);

	if (!is_answer(q, bytes_of(msg, MIN_OF(len, (size_t)REPLY_MAX))))
		return false;
	if (len > REPLY_MAX ||
	    (q->from.is_tcp && dns_head_parse(bytes_of(msg, len), &head) && head.tc)) {
		fail_upstream(d, q);
		return true;
	}
	wr_be16(&w, q->client);
	send_answer(d, &q->from, bytes_of(msg, len));
	forget_upstream(d, q);
	return true;
}

static void asked_ready(void *ctx, int events)
{
	struct agent_asked *a = ctx;
	struct upstream *q = a->of;
	uint8_t msg[REPLY_MAX];

	(void)events;
	for (int i = 0; i < READS; i++) {
		const ssize_t n =
		    recvfrom(a->fd, msg, sizeof msg, MSG_DONTWAIT | MSG_TRUNC, NULL, NULL);

		if (n < 0 && errno == ECONNREFUSED) {
			asked_close(a);
			one_failed(q->dns, q);
			return;
		}
		if (n < 0 || take_answer(q->dns, q, msg, (size_t)n))
			return;
	}
}

/* Each question leaves by a port that the kernel has drawn (RFC 5452 section 9.2), and hears its
 * resolver only. */
static bool ask_port_53(struct agent_dns *d, struct upstream *q, const struct ipport *to)
{
	struct agent_asked *a = &q->to[q->n_to];
	struct sockaddr_storage ss;
	const socklen_t len = sockaddr_from(to, &ss);

	*a = (struct agent_asked){ .of = q };
	a->fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0)
		return false;
	if (connect(a->fd, (struct sockaddr *)&ss, len) < 0 ||
	    send(a->fd, q->query, q->len, MSG_NOSIGNAL) < 0 ||
	    loop_poll_open(d->conf.loop, &a->poll, a->fd, asked_ready, a) < 0) {
		asked_close(a);
		return false;
	}
	loop_poll_set(&a->poll, LOOP_READ);
	q->n_to++;
	return true;
}

/* --- resolvers that control named by URL --- */

/* What is too large for the asker's datagrams: the question alone, so that it asks by TCP. */
static size_t truncated(struct bytes query, uint8_t *out, size_t cap)
{
	struct dns_writer w;
	struct dns_reader q;
	struct dns_head h;

	if (!dns_open(&q, query))
		return 0;
	h = (struct dns_head){
		.id = q.head.id, .qr = true, .tc = true, .rd = q.head.rd, .ra = true
	};
	dns_begin(&w, out, cap, &h);
	dns_put_question(&w, &q.q);
	return dns_finish(&w);
}

static void doh_answer(void *ctx, struct bytes answer)
{
	struct agent_doh *h = ctx;
	struct upstream *q = h->of;
	struct agent_dns *d = q->dns;
	uint8_t out[REPLY_MAX];
	struct dns_edns edns;
	size_t room = REPLY_MAX;
	struct wr w = wr_of(out, sizeof q->client);

	h->query = NULL;
	if (answer.len == 0) {
		one_failed(d, q);
		return;
	}
	if (!q->from.is_tcp && dns_find_edns(bytes_of(q->query, q->len), &edns))
		room = MIN_OF(room, (size_t)edns.udp_size);
	if (answer.len > room)
		answer.len = truncated(bytes_of(q->query, q->len), out, sizeof out);
	else
		memcpy(out, answer.data, answer.len);
	wr_be16(&w, q->client);
	if (answer.len > 0)
		send_answer(d, &q->from, bytes_of(out, answer.len));
	forget_upstream(d, q);
}

static bool ask_doh(struct agent_dns *d, struct upstream *q, const char *url)
{
	struct agent_doh *h = &q->doh[q->n_doh];

	if (!d->conf.host || q->n_doh == RESOLVERS_MAX)
		return false;
	h->of = q;
	h->query = host_doh_ask(d->conf.host, url, bytes_of(q->query, q->len), doh_answer, h);
	q->n_doh += h->query != NULL;
	return h->query != NULL;
}

/* --- all of them --- */

static void set_timer(struct agent_dns *d)
{
	mono_t at = netstack_deadline(d->stack);

	for (const struct upstream *q = d->waiting; q; q = q->next)
		at = mono_min(at, q->until);
	loop_timer_set(&d->timer, at);
}

/* Of one pod as many may wait as are left (base/shares.h): one that asks and asks leaves places. */
static bool has_share(const struct agent_dns *d, const struct ip *pod)
{
	size_t own = 0;

	for (const struct upstream *q = d->waiting; q; q = q->next)
		own += ip_eq(&q->from.remote.ip, pod);
	return own < AGENT_DNS_UPSTREAM_MAX - d->n_waiting;
}

/* false: nobody can be asked. All named resolvers are asked at once; the first answer counts. */
static bool ask_upstream(struct agent_dns *d, const struct asker *from, struct bytes query,
			 const struct magicdns_answer *fwd)
{
	struct upstream *q;
	struct wr w;

	if (!has_share(d, &from->remote.ip))
		return false;
	q = calloc(1, sizeof *q + query.len);
	if (!q)
		return false;
	*q = (struct upstream){ .dns = d,
				.next = d->waiting,
				.from = *from,
				.len = query.len,
				.until = mono_add(now_of(d), SPAN_S(UPSTREAM_S)) };
	memcpy(q->query, query.data, query.len);
	q->client = (uint16_t)(query.data[0] << 8 | query.data[1]);
	q->id = (uint16_t)rng_u64(d->conf.rng);
	w = wr_of(q->query, sizeof q->id);
	wr_be16(&w, q->id);
	d->waiting = q;
	d->n_waiting++;
	for (size_t i = 0; i < fwd->n_resolvers && q->n_to < RESOLVERS_MAX; i++) {
		const struct netmap_resolver *r = &fwd->resolvers[i];

		if (ip_is_zero(&r->addr.ip))
			(void)ask_doh(d, q, r->url);
		else
			(void)ask_port_53(d, q, &r->addr);
	}
	if (q->n_to == 0 && q->n_doh == 0) {
		forget_upstream(d, q);
		return false;
	}
	d->counts.asked++;
	set_timer(d);
	return true;
}

/* --- queries --- */

static void on_query(struct agent_dns *d, const struct asker *from, struct bytes query)
{
	uint8_t out[REPLY_MAX];
	struct magicdns_answer fwd;
	size_t len;

	switch (magicdns_reply(d->conf.netmap, query, !from->is_tcp, out, sizeof out, &len, &fwd)) {
	case MAGICDNS_REPLY:
		d->counts.answered++;
		send_answer(d, from, bytes_of(out, len));
		break;
	case MAGICDNS_ASK_UPSTREAM:
		if (ask_upstream(d, from, query, &fwd))
			break;
		d->counts.lost++;
		send_failure(d, from, query);
		break;
	case MAGICDNS_DROP:
		break;
	}
}

static void conn_free(struct conn *c)
{
	struct conn **at = &c->dns->conns;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	loop_timer_fini(&c->idle);
	free(c);
}

static void on_idle(void *ctx)
{
	struct conn *c = ctx;

	ns_tcp_release(c->dns->stack, now_of(c->dns), c->id);
	loop_defer(c->dns->conf.loop, &c->dns->pump);
	conn_free(c);
}

static void accept_conn(struct agent_dns *d, const struct ns_event *ev)
{
	struct conn *c = ev->local.port == PORT ? calloc(1, sizeof *c) : NULL;

	if (!c) {
		ns_tcp_refuse(d->stack, now_of(d), ev->id);
		return;
	}
	c->id = ev->id;
	c->dns = d;
	c->next = d->conns;
	d->conns = c;
	loop_timer_init(d->conf.loop, &c->idle, on_idle, c);
	loop_timer_set(&c->idle, mono_add(now_of(d), SPAN_S(CONN_IDLE_S)));
	ns_tcp_set_user(d->stack, c->id, c);
	ns_tcp_accept(d->stack, now_of(d), c->id);
}

/* Whole messages at the start of what was read; false: one is too long. */
static bool take_messages(struct conn *c, const struct asker *from)
{
	for (;;) {
		struct rd r = rd_of(c->buf, c->len);
		const size_t len = rd_be16(&r);
		const uint8_t *msg;

		if (rd_ok(&r) && len > QUERY_MAX)
			return false;
		msg = rd_take(&r, len);
		if (!rd_ok(&r))
			return true;
		on_query(c->dns, from, bytes_of(msg, len));
		c->len -= LENGTH + len;
		memmove(c->buf, c->buf + LENGTH + len, c->len);
	}
}

static bool awaits_upstream(const struct agent_dns *d, struct ns_id id)
{
	for (const struct upstream *q = d->waiting; q; q = q->next)
		if (q->from.is_tcp && q->from.id.index == id.index &&
		    q->from.id.generation == id.generation)
			return true;
	return false;
}

static void read_conn(struct conn *c, const struct ns_event *ev)
{
	struct agent_dns *d = c->dns;
	const struct asker from = {
		.local = ev->local, .remote = ev->remote, .id = c->id, .is_tcp = true
	};
	struct ns_piece piece;

	loop_timer_set(&c->idle, mono_add(now_of(d), SPAN_S(CONN_IDLE_S)));
	while (ns_tcp_peek(d->stack, c->id, &piece, 1) > 0) {
		const size_t n = MIN_OF(piece.len, sizeof c->buf - c->len);

		memcpy(c->buf + c->len, piece.data, n);
		c->len += n;
		ns_tcp_consume(d->stack, now_of(d), c->id, n);
		if (!take_messages(c, &from)) {
			ns_tcp_abort(d->stack, now_of(d), c->id);
			conn_free(c);
			return;
		}
	}
	/* what was asked is still answered; the idle limit ends those that wait for a resolver */
	if (ns_tcp_at_end(d->stack, c->id) && !awaits_upstream(d, c->id))
		ns_tcp_shutdown(d->stack, now_of(d), c->id);
}

static void on_event(struct agent_dns *d, const struct ns_event *ev)
{
	const struct asker from = { .local = ev->local, .remote = ev->remote };

	switch (ev->type) {
	case NS_TCP_INCOMING:
		accept_conn(d, ev);
		break;
	case NS_TCP_READABLE:
		if (ev->user)
			read_conn(ev->user, ev);
		break;
	case NS_TCP_ENDED:
		if (ev->user)
			conn_free(ev->user);
		break;
	case NS_UDP_RECV:
		if (ev->local.port == PORT)
			on_query(d, &from, ev->data);
		else
			ns_udp_refuse(d->stack, now_of(d), &ev->local, &ev->remote);
		break;
	case NS_TCP_CONNECTED:
	case NS_TCP_WRITABLE:
	case NS_ECHO_REPLY:
	case NS_ECHO_REQUEST:
	case NS_UDP_UNREACHABLE:
		break;
	}
}

/* --- the stack --- */

static void pump(void *ctx)
{
	struct agent_dns *d = ctx;
	struct ns_event ev;

	while (netstack_next(d->stack, &ev))
		on_event(d, &ev);
	do {
		burst_reset(&d->burst);
		if (netstack_pull(d->stack, now_of(d), &d->burst) > 0)
			d->conf.out(d->conf.ctx, d->burst.v, d->burst.n);
	} while (d->burst.n > 0);
	set_timer(d);
}

static void on_timer(void *ctx)
{
	struct agent_dns *d = ctx;
	const mono_t now = now_of(d);

	for (struct upstream *q = d->waiting, *next; q; q = next) {
		next = q->next;
		if (q->until.ns <= now.ns)
			fail_upstream(d, q);
	}
	netstack_tick(d->stack, now);
	pump(d);
}

void agent_dns_feed(struct agent_dns *d, const struct pkt *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct pkt p = v[i];

		netstack_feed(d->stack, now_of(d), &p, 1);
	}
	loop_defer(d->conf.loop, &d->pump);
}

const struct agent_dns_counts *agent_dns_counts(const struct agent_dns *d)
{
	return &d->counts;
}

struct agent_dns *agent_dns_new(const struct agent_dns_conf *conf, struct err *e)
{
	const struct netstack_conf stack = { .rng = conf->rng,
					     .mtu = MTU,
					     .max_conns = AGENT_DNS_CONNS_MAX,
					     .max_pending = AGENT_DNS_CONNS_MAX,
					     .memory = STACK_MEMORY };
	struct agent_dns *d = calloc(1, sizeof *d);
	struct ip own[2];

	service_ip(false, &own[0]);
	service_ip(true, &own[1]);
	if (!d)
		goto fail;
	d->conf = *conf;
	loop_timer_init(conf->loop, &d->timer, on_timer, d);
	loop_defer_init(&d->pump, pump, d);
	d->stack = netstack_new(&stack);
	if (d->stack && burst_init(&d->burst) == 0 && netstack_addr_add(d->stack, &own[0]) == 0 &&
	    netstack_addr_add(d->stack, &own[1]) == 0)
		return d;
fail:
	err_set(e, ENOMEM, "start the resolver of pods");
	agent_dns_free(d);
	return NULL;
}

void agent_dns_free(struct agent_dns *d)
{
	if (!d)
		return;
	while (d->conns)
		conn_free(d->conns);
	while (d->waiting)
		forget_upstream(d, d->waiting);
	loop_timer_fini(&d->timer);
	loop_defer_cancel(&d->pump);
	burst_fini(&d->burst);
	netstack_free(d->stack);
	free(d);
}
