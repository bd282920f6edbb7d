/* host/serve_test.c - a serve configuration as a peer meets it: the peer is an IP stack whose
 * packets are handed to the node's own, without WireGuard; back ends are sockets on loopback
 */
#include "host/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "os/listen.h"
#include "tests/host_fixture.h"

static struct netstack *ours, *theirs;
static struct serve_server *server;
static char dir[64], said[1 << 16];
static size_t said_len;
static enum ns_end ended;
static bool has_ended, is_deaf;     /* does not read */
static size_t read_most = SIZE_MAX; /* bytes a turn */
static size_t clients_max;          /* of the next server, as the next two; 0: as it is */
static span_t stall, give_way;

#define KEY(d) "nodekey:" d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d
static const char map[] =
    "{\"Node\":{\"ID\":1,\"StableID\":\"1\",\"Name\":\"web.tail.test.\",\"Key\":\"" KEY(
	"01") "\",\"Addresses\":[\"100.64.0.1/32\"],\"User\":7},"
	      "\"Peers\":[{\"ID\":2,\"Name\":\"b.tail.test.\",\"Key\":\"" KEY(
		  "02") "\",\"Addresses\":[\"100.64.0.2/32\"],\"AllowedIPs\":[\"100.64.0.2/"
			"32\"],\"User\":7}],"
			"\"UserProfiles\":[{\"ID\":7,\"LoginName\":\"ann@example.com\","
			"\"DisplayName\":\"Ann \\u00d6\"}],\"Domain\":\"tail.test\"}";

/* --- the peer --- */

static void carry(struct netstack *from, struct netstack *to)
{
	struct burst b;

	ck_assert_int_eq(burst_init(&b), 0);
	do {
		burst_reset(&b);
		netstack_pull(from, loop_now(loop), &b);
		netstack_feed(to, loop_now(loop), b.v, b.n);
	} while (b.n > 0);
	burst_fini(&b);
}

/* what host.c does with the events of the node's stack */
static void events_of_ours(void)
{
	struct ns_event ev;

	while (netstack_next(ours, &ev)) {
		struct flow *f = ev.user;

		if (ev.type == NS_TCP_INCOMING)
			host_forward_incoming(host, &ev);
		else if (f)
			f->event(f, &ev);
	}
}

static void events_of_theirs(struct ns_id id)
{
	struct ns_event ev;
	struct ns_piece piece;

	while (netstack_next(theirs, &ev))
		if (ev.type == NS_TCP_ENDED) {
			has_ended = true;
			ended = ev.end;
		}
	for (size_t left = read_most;
	     !has_ended && !is_deaf && left > 0 && ns_tcp_peek(theirs, id, &piece, 1) > 0;) {
		const size_t n = MIN_OF(piece.len, left),
			     kept = MIN_OF(n, sizeof said - 1 - said_len);

		memcpy(said + said_len, piece.data, kept);
		said_len += kept;
		left -= n;
		ns_tcp_consume(theirs, loop_now(loop), id, n);
	}
	said[said_len] = 0;
}

/* One turn of everything, for a peer that looks at one of its connections. */
static void turn(struct ns_id id)
{
	carry(theirs, ours);
	events_of_ours();
	carry(ours, theirs);
	events_of_theirs(id);
	loop_turn(loop, SPAN_MS(1));
	netstack_tick(theirs, loop_now(loop));
	netstack_tick(ours, loop_now(loop));
}

static struct ipport caller; /* who connects */

/* Connects and says `text`. */
static struct ns_id call(uint16_t port, const char *text)
{
	const struct ipport to = { ip_v4(100, 64, 0, 1), port };
	struct ns_id id;
	size_t sent = 0;

	said_len = 0;
	said[0] = 0;
	has_ended = false;
	ck_assert_int_eq(ns_tcp_connect(theirs, loop_now(loop), &caller, &to, &id), 0);
	for (int i = 0; i < 20000 && !has_ended && sent < strlen(text); i++) {
		turn(id);
		if (!has_ended)
			sent += ns_tcp_write(theirs, loop_now(loop), id, text + sent,
					     strlen(text + sent));
	}
	ck_assert_uint_eq(sent, strlen(text));
	return id;
}

static void until_ended(struct ns_id id)
{
	for (int i = 0; i < 20000 && !has_ended; i++)
		turn(id);
	ck_assert(has_ended);
	ck_assert_int_eq(ended, NS_END_RESET);
}

static void pass(struct ns_id id, span_t time)
{
	const mono_t end = mono_add(loop_now(loop), time);

	while (!has_ended && !mono_due(end, loop_now(loop)))
		turn(id);
}

/* Connects to a port, says `text` and reads until `want` is there, or the connection is over. */
static void talk(uint16_t port, const char *text, const char *want)
{
	const struct ipport to = { ip_v4(100, 64, 0, 1), port };
	struct ns_id id;
	size_t sent = 0;

	said_len = 0;
	said[0] = 0;
	has_ended = false;
	ck_assert_int_eq(ns_tcp_connect(theirs, loop_now(loop), &caller, &to, &id), 0);
	for (int i = 0; i < 4000 && !has_ended && (!want || !strstr(said, want)); i++) {
		carry(theirs, ours);
		events_of_ours();
		carry(ours, theirs);
		events_of_theirs(id);
		if (!has_ended)
			sent += ns_tcp_write(theirs, loop_now(loop), id, text + sent,
					     strlen(text + sent));
		if (!has_ended && ns_tcp_at_end(theirs, id))
			break;
		loop_turn(loop, SPAN_MS(1));
		netstack_tick(theirs, loop_now(loop));
		netstack_tick(ours, loop_now(loop));
	}
	if (!has_ended)
		ns_tcp_abort(theirs, loop_now(loop), id);
	carry(theirs, ours);
	events_of_ours();
	if (want)
		ck_assert_msg(strstr(said, want) != NULL, "%s", said);
}

/* --- the node --- */

static void begin(void)
{
	struct netstack_conf nc = { .rng = &os_rng, .mtu = 1280 };
	const struct ip their_ip = ip_v4(100, 64, 0, 2), other_ip = ip_v4(100, 64, 0, 3);
	struct serve_server_conf sc;

	snprintf(dir, sizeof dir, "/tmp/host-serve-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	host_fixture_init();
	host_fixture_load(map);
	ours = stack();
	theirs = netstack_new(&nc);
	ck_assert_int_eq(netstack_addr_add(theirs, &their_ip), 0);
	ck_assert_int_eq(netstack_addr_add(theirs, &other_ip), 0);
	caller = (struct ipport){ their_ip, 0 };
	sc = (struct serve_server_conf){ .host = host,
					 .resolver = resolver,
					 .tls = tls,
					 .clients_max = clients_max,
					 .stall = stall,
					 .give_way = give_way };
	server = serve_server_new(&sc);
	ck_assert_ptr_nonnull(server);
}

static void configure(const char *json)
{
	struct err e = { 0 };
	struct serve *s = serve_parse(bytes_str(json), NULL, "web.tail.test", &e);

	ck_assert_msg(s != NULL, "%s", e.text);
	serve_server_set(server, s, NULL);
}

static void end(void)
{
	char command[96];

	serve_server_free(server);
	netstack_free(theirs);
	turns(5);
	host_fixture_fini();
	snprintf(command, sizeof command, "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void put_file(const char *name, const char *text)
{
	char path[128];
	struct err e = { 0 };

	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_int_eq(file_replace(path, bytes_str(text), 0600, &e), 0);
}

static void get(uint16_t port, const char *target, const char *more, const char *want)
{
	char text[1024];

	snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: web.tail.test%s\r\n%s\r\n", target,
		 port == 80 ? "" : ":8080", more);
	talk(port, text, want);
}

/* --- what is answered here --- */

TEST(serve_answers_texts_redirects_and_unknown_names)
{
	struct serve_stat st;

	begin();
	configure("{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"web.tail.test:80\":{\"Handlers\":{"
		  "\"/hi\":{\"Text\":\"hello there\"},"
		  "\"/old\":{\"Redirect\":\"301:https://${HOST}/new${REQUEST_URI}\"}}}}}");
	get(80, "/hi", "", "\r\n\r\nhello there");
	ck_assert_ptr_nonnull(strstr(said, "HTTP/1.1 200 "));
	get(80, "/old/a?b=c", "", "Location: https://web.tail.test/new/old/a?b=c\r\n");
	ck_assert_ptr_nonnull(strstr(said, "HTTP/1.1 301 "));
	get(80, "/other", "", "HTTP/1.1 404 ");
	talk(80, "GET /hi HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n", "HTTP/1.1 404 ");
	talk(80, "GET /hi HTTP/1.1\r\nHost: web\r\n\r\n", "hello there"); /* a short name */
	talk(80, "nonsense\r\n\r\n", "HTTP/1.1 400 ");
	serve_server_stat(server, &st);
	ck_assert_uint_ge(st.accepted, 6);
	ck_assert_uint_eq(st.refused, 0);
	serve_server_set(server, NULL, NULL); /* nothing is served: the port is the host's again */
	talk(80, "GET /hi HTTP/1.1\r\n\r\n", NULL);
	ck_assert(has_ended && ended == NS_END_REFUSED);
	end();
}

TEST(serve_files_by_type_index_and_never_from_outside)
{
	char json[512], secret[128];

	begin();
	put_file("index.html", "the index");
	put_file("a.css", "b {}");
	snprintf(secret, sizeof secret, "%s/sub", dir);
	ck_assert_int_eq(mkdir(secret, 0700), 0);
	put_file("sub/index.html", "below");
	snprintf(json, sizeof json,
		 "{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"web.tail.test:80\":{\"Handlers\":{"
		 "\"/\":{\"Path\":\"%s\"},\"/f/\":{\"Path\":\"%s\"},"
		 "\"/one\":{\"Path\":\"%s/a.css\"}}}}}",
		 dir, dir, dir);
	configure(json);
	get(80, "/f/", "", "\r\n\r\nthe index");
	ck_assert_ptr_nonnull(strstr(said, "Content-Type: text/html"));
	get(80, "/f/a.css", "", "\r\n\r\nb {}");
	ck_assert_ptr_nonnull(strstr(said, "Content-Type: text/css"));
	get(80, "/one", "", "\r\n\r\nb {}");
	get(80, "/f/sub", "", "Location: /f/sub/\r\n");
	get(80, "/f/sub?a=b/c", "", "Location: /f/sub/?a=b/c\r\n");
	get(80, "//sub", "", "Location: /sub/\r\n"); /* not the host sub */
	get(80, "/f/sub/", "", "below");
	get(80, "/f/a.css/", "", "HTTP/1.1 404 "); /* a file is no directory */
	get(80, "/f/none", "", "HTTP/1.1 404 ");
	get(80, "/f/../../../../etc/passwd", "", "HTTP/1.1 404 ");
	get(80, "/f/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "", "HTTP/1.1 404 ");
	ck_assert_ptr_null(strstr(said, "root:"));
	talk(80, "HEAD /f/a.css HTTP/1.1\r\nHost: web.tail.test\r\n\r\n", "Content-Length: 4\r\n");
	ck_assert_ptr_null(strstr(said, "b {}"));
	talk(80, "POST /f/ HTTP/1.1\r\nHost: web.tail.test\r\nContent-Length: 0\r\n\r\n",
	     "HTTP/1.1 405 ");
	end();
}

/* --- back ends --- */

static struct listener *listener;
static struct backend {
	struct stream *s;
	char in[4096];
	size_t n;
	bool has_answered;
} backend;
static bool is_silent; /* the back end */
static const char *backend_answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbehind";

static size_t on_room(void *ctx, struct iovec *v, size_t max)
{
	(void)ctx;
	(void)max;
	v[0] = (struct iovec){ backend.in + backend.n, sizeof backend.in - 1 - backend.n };
	return 1;
}

static void on_got(void *ctx, size_t n)
{
	(void)ctx;
	backend.n += n;
	backend.in[backend.n] = 0;
	if (strstr(backend.in, "\r\n\r\n"))
		stream_kick(backend.s);
}

static size_t on_data(void *ctx, struct iovec *v, size_t max)
{
	(void)ctx;
	(void)max;
	if (is_silent || backend.has_answered || !strstr(backend.in, "\r\n\r\n"))
		return 0;
	v[0] = (struct iovec){ (void *)(uintptr_t)backend_answer, strlen(backend_answer) };
	return 1;
}

static void on_sent(void *ctx, size_t n)
{
	(void)ctx;
	ck_assert_uint_eq(n, strlen(backend_answer));
	backend.has_answered = true;
}

static void on_closed(void *ctx, const struct err *why)
{
	(void)ctx;
	(void)why;
	backend.s = NULL;
}

static const struct stream_ops ops = {
	.room = on_room, .got = on_got, .data = on_data, .sent = on_sent, .closed = on_closed
};

static void accepted(void *ctx, int fd, const struct ipport *from)
{
	(void)ctx;
	(void)from;
	backend = (struct backend){ .s = stream_adopt(loop, fd, &ops, NULL) };
	ck_assert_ptr_nonnull(backend.s);
}

static void begin_behind(const char *json)
{
	char text[512];
	struct err e = { 0 };
	const char *port = strstr(json, "PORT");

	begin();
	listener = listen_tcp(loop, "127.0.0.1:0", accepted, NULL, &e);
	ck_assert_msg(listener != NULL, "%s", e.text);
	snprintf(text, sizeof text, "%.*s%u%s", (int)(port - json), json, listener_port(listener),
		 port + 4);
	configure(text);
}

static void end_behind(void)
{
	stream_close(backend.s);
	listener_close(listener);
	end();
}

TEST(serve_tells_a_back_end_who_asks_and_believes_no_client)
{
	begin_behind("{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"web.tail.test:80\":{"
		     "\"Handlers\":{\"/app\":{\"Proxy\":\"http://127.0.0.1:PORT/base\"}}}}}");
	get(80, "/app/x?y=z",
	    "Tailscale-User-Login: root@example.com\r\nX-Forwarded-For: 1.2.3.4\r\n"
	    "Forwarded: for=1.2.3.4\r\nX-Mine: stays\r\n",
	    "\r\n\r\nbehind");
	ck_assert_ptr_nonnull(strstr(backend.in, "GET /base/x?y=z HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(backend.in, "Tailscale-User-Login: ann@example.com\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(backend.in, "Tailscale-User-Name: =?utf-8?q?Ann_=C3=96?=\r\n"));
	ck_assert_ptr_nonnull(strstr(backend.in, "X-Forwarded-For: 100.64.0.2\r\n"));
	ck_assert_ptr_nonnull(strstr(backend.in, "X-Forwarded-Proto: http\r\n"));
	ck_assert_ptr_nonnull(strstr(backend.in, "X-Mine: stays\r\n"));
	ck_assert_ptr_null(strstr(backend.in, "root@example.com"));
	ck_assert_ptr_null(strstr(backend.in, "1.2.3.4"));
	end_behind();
}

TEST(serve_answers_502_for_a_back_end_that_is_away)
{
	begin_behind("{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"web.tail.test:80\":{"
		     "\"Handlers\":{\"/\":{\"Proxy\":\"http://127.0.0.1:PORT\"}}}}}");
	listener_close(listener);
	listener = NULL;
	get(80, "/", "", "HTTP/1.1 502 ");
	end_behind();
}

TEST(serve_forwards_a_port_behind_a_proxy_header)
{
	begin_behind(
	    "{\"TCP\":{\"5432\":{\"TCPForward\":\"127.0.0.1:PORT\",\"ProxyProtocol\":1}}}");
	talk(5432, "raw\r\n\r\n", "behind");
	ck_assert_ptr_nonnull(strstr(backend.in, "PROXY TCP4 100.64.0.2 100.64.0.1 "));
	ck_assert_ptr_nonnull(strstr(backend.in, " 5432\r\nraw\r\n\r\n"));
	end_behind();
}

TEST(serve_refuses_https_without_a_certificate)
{
	struct serve_stat st;

	begin();
	configure("{\"TCP\":{\"443\":{\"HTTPS\":true}},\"Web\":{\"web.tail.test:443\":{"
		  "\"Handlers\":{\"/\":{\"Text\":\"x\"}}}}}");
	talk(443, "x", NULL);
	ck_assert(has_ended && ended == NS_END_REFUSED);
	serve_server_stat(server, &st);
	ck_assert_uint_eq(st.refused, 1);
	ck_assert_uint_eq(st.accepted, 0);
	end();
}

/* --- clients that stall --- */

static const char app[] = "{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"web.tail.test:80\":{"
			  "\"Handlers\":{\"/\":{\"Proxy\":\"http://127.0.0.1:PORT\"}}}}}";

static struct serve_stat stat_now(void)
{
	struct serve_stat st;

	serve_server_stat(server, &st);
	return st;
}

static void begin_big_file(void)
{
	char json[256], *text = malloc((4 << 20) + 1);

	begin();
	ck_assert_ptr_nonnull(text);
	memset(text, 'f', 4 << 20);
	text[4 << 20] = 0;
	put_file("big", text);
	free(text);
	snprintf(json, sizeof json,
		 "{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"web.tail.test:80\":{\"Handlers\":{"
		 "\"/\":{\"Path\":\"%s\"}}}}}",
		 dir);
	configure(json);
}

TEST(serve_cuts_a_client_that_owes_the_rest_of_its_request)
{
	stall = SPAN_MS(400);
	is_silent = true;
	begin_behind(app);
	until_ended(call(80, "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\n1234"));
	ck_assert_ptr_nonnull(strstr(backend.in, "\r\n\r\n1234")); /* it streams */
	ck_assert_uint_eq(stat_now().stalled, 1);
	ck_assert_uint_eq(stat_now().clients, 0);
	ck_assert_uint_eq(host_n_splices(host), 0);
	end_behind();
}

TEST(serve_cuts_a_client_that_does_not_read_its_answer)
{
	struct ns_id id;

	stall = SPAN_MS(400);
	is_deaf = true;
	begin_big_file();
	id = call(80, "GET /big HTTP/1.1\r\nHost: web\r\n\r\n");
	for (int i = 0; i < 20000 && stat_now().stalled == 0; i++)
		turn(id);
	is_deaf = false; /* its window was closed, to a reset too; what it says next is answered */
	until_ended(id);
	ck_assert_uint_eq(stat_now().stalled, 1);
	ck_assert_uint_eq(stat_now().clients, 0);
	ck_assert_uint_eq(host_n_splices(host), 0);
	end();
}

TEST(serve_waits_for_a_slow_upload_and_a_slow_reader)
{
	struct ns_id id;
	mono_t begun;

	stall = SPAN_MS(400);
	is_silent = true;
	begin_behind(app);
	id = call(80, "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 2000\r\n\r\n");
	begun = loop_now(loop);
	while (!has_ended && mono_sub(loop_now(loop), begun).ns < 3 * stall.ns) {
		ck_assert_uint_eq(ns_tcp_write(theirs, loop_now(loop), id, "x", 1), 1);
		pass(id, SPAN_MS(20));
	}
	ck_assert(!has_ended);
	ns_tcp_abort(theirs, loop_now(loop), id);
	end_behind();

	begin_big_file();
	read_most = 200;
	id = call(80, "GET /big HTTP/1.1\r\nHost: web\r\n\r\n");
	pass(id, SPAN_MS(1200));
	ck_assert(!has_ended);
	ck_assert_uint_gt(said_len, 0);
	ck_assert_uint_eq(stat_now().stalled, 0);
	end();
}

TEST(serve_waits_for_a_silent_back_end_and_leaves_tunnels_alone)
{
	struct ns_id id;

	stall = SPAN_MS(400);
	is_silent = true;
	begin_behind(app);
	id = call(80, "GET / HTTP/1.1\r\nHost: web\r\n\r\n");
	pass(id, SPAN_MS(1200));
	ck_assert(!has_ended);
	is_silent = false; /* an answer that begins and goes on some time */
	backend_answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
	stream_kick(backend.s);
	pass(id, SPAN_MS(1200));
	ck_assert(!has_ended);
	ck_assert_ptr_nonnull(strstr(said, "data: 1\n\n"));
	ck_assert_uint_eq(stat_now().clients, 1);
	ns_tcp_abort(theirs, loop_now(loop), id);
	pass(id, SPAN_MS(20));
	stream_close(backend.s);

	backend_answer = "HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhi";
	id =
	    call(80, "GET / HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
	pass(id, SPAN_MS(1200));
	ck_assert(!has_ended);
	ck_assert_ptr_nonnull(strstr(said, "\r\n\r\nhi"));
	ck_assert_uint_eq(stat_now().stalled, 0);
	ck_assert_uint_eq(stat_now().clients, 0); /* a tunnel takes no place */
	end_behind();
}

TEST(serve_waits_no_longer_than_that_for_a_back_end_when_the_client_may_be_gone)
{
	struct ns_id id;

	stall = SPAN_MS(400);
	is_silent = true;
	begin_behind(app);
	id = call(80, "GET / HTTP/1.1\r\nHost: web\r\n\r\n");
	pass(id, SPAN_MS(50));
	ns_tcp_abort(theirs, loop_now(loop), id);
	pass(id, SPAN_MS(50));
	ck_assert_uint_eq(stat_now().clients, 1);
	pass(id, SPAN_MS(1200));
	ck_assert_uint_eq(stat_now().clients, 0);
	ck_assert_ptr_null(backend.s);

	id = call(80, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); /* says its end, and reads */
	ns_tcp_shutdown(theirs, loop_now(loop), id);
	pass(id, SPAN_MS(200));
	is_silent = false;
	stream_kick(backend.s);
	pass(id, SPAN_MS(100));
	ck_assert_ptr_nonnull(strstr(said, "\r\n\r\nbehind"));
	end_behind();
}

TEST(serve_with_all_places_taken_gives_the_place_of_who_stalled_longest)
{
	struct ns_id held[3];

	clients_max = 6;       /* a peer alone has half of them */
	give_way = SPAN_S(20); /* nobody is old yet */
	is_silent = true;
	begin_behind(app);
	held[0] = call(80, "GET /waits HTTP/1.1\r\nHost: web\r\n\r\n"); /* owes nothing */
	pass(held[0], SPAN_MS(50));
	for (int i = 1; i < 3; i++) {
		held[i] = call(80, "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\n");
		pass(held[i], SPAN_MS(50));
	}
	ck_assert_uint_eq(stat_now().clients, 3);
	talk(80, "GET / HTTP/1.1\r\nHost: web\r\n\r\n", NULL);
	ck_assert(has_ended && ended == NS_END_REFUSED);
	ck_assert_uint_eq(stat_now().gave_way, 0);
	caller.ip = ip_v4(100, 64, 0, 3); /* another peer has room */
	talk(80, "nonsense\r\n\r\n", "HTTP/1.1 400 ");
	for (int i = 0; i < 3; i++)
		ns_tcp_abort(theirs, loop_now(loop), held[i]);
	end_behind();

	give_way = SPAN_MS(100);
	begin_behind(app);
	held[0] = call(80, "GET /waits HTTP/1.1\r\nHost: web\r\n\r\n");
	pass(held[0], SPAN_MS(50));
	for (int i = 1; i < 3; i++) {
		held[i] = call(80, "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\n");
		pass(held[i], SPAN_MS(50));
	}
	for (int i = 0; i < 3; i++) { /* the first time they may be found to have moved */
		has_ended = false;
		pass(held[0], SPAN_MS(300));
		talk(80, "nonsense\r\n\r\n", NULL);
		if (stat_now().gave_way > 0)
			break;
	}
	ck_assert_uint_eq(stat_now().gave_way, 1);
	/* it was the first of the two that owe */
	ck_assert_uint_eq(ns_tcp_write(theirs, loop_now(loop), held[1], "x", 1), 0);
	ck_assert_uint_eq(ns_tcp_write(theirs, loop_now(loop), held[2], "x", 1), 1);
	ck_assert_uint_eq(ns_tcp_write(theirs, loop_now(loop), held[0], "x", 1), 1);
	end_behind();
}
