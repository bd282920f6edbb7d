/* os/dial_test.c - look-ups and dials against a name server and proxies of the same loop
 *
 * The name server answers by table; a family without a row is "no data", a silent one never
 * answers.
 */
#include "os/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/listen.h"
#include "os/sockaddr.h"
#include "os/stream.h"
#include "os/udp.h"
#include "tests/harness.h"

static struct loop *loop;
static struct udp *dns;
static struct resolver *resolver;
static const struct ip v4_loopback = { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } };
static const struct ip v6_loopback = { { [15] = 1 } };

/* --- the name server --- */

enum kind { NO_DATA, NO_NAME, LOOPBACK, LOOPBACK_TWO, SILENT, DEAD };
static enum kind answer_a, answer_aaaa;
static int n_questions;
static uint16_t asked_from; /* port */

static size_t put_record(uint8_t *p, bool is_v4, const uint8_t *addr)
{
	static const uint8_t a[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4 };
	static const uint8_t aaaa[] = { 0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16 };

	memcpy(p, is_v4 ? a : aaaa, 12);
	memcpy(p + 12, addr, is_v4 ? 4 : 16);
	return is_v4 ? 16 : 28;
}

static void question(void *ctx, const struct ipport *from, struct pkt *v, size_t n)
{
	(void)ctx;
	for (size_t i = 0; i < n; i++) {
		uint8_t out[512];
		size_t name_end = 12, len;
		bool is_v4;
		enum kind kind;

		n_questions++;
		asked_from = from->port;
		while (name_end < v[i].len && v[i].data[name_end])
			name_end += v[i].data[name_end] + 1U;
		len = name_end + 5;
		ck_assert(len <= v[i].len && len < 300);
		is_v4 = v[i].data[name_end + 2] == 1;
		kind = is_v4 ? answer_a : answer_aaaa;
		if (kind == SILENT)
			continue;
		memcpy(out, v[i].data, len);
		out[2] = 0x81;
		out[3] = kind == NO_NAME ? 0x83 : 0x80;
		out[7] = kind == LOOPBACK || kind == DEAD ? 1 : kind == LOOPBACK_TWO ? 2 : 0;
		out[11] = 0;                              /* no EDNS in the answer */
		if (kind == LOOPBACK_TWO || kind == DEAD) /* 127.0.0.2: nothing listens there */
			len += put_record(out + len, is_v4, (const uint8_t[16]){ 127, 0, 0, 2 });
		if (kind == LOOPBACK_TWO || kind == LOOPBACK)
			len += put_record(out + len, is_v4,
					  is_v4 ? v4_loopback.b + 12 : v6_loopback.b);
		ck_assert_int_eq(udp_send(dns, from, &(struct pkt){ out, (uint32_t)len, 0, 0 }, 1),
				 1);
	}
}

static const struct udp_ops dns_ops = { question, NULL };

static void start(void)
{
	struct ipport at = { v4_loopback, 0 };
	struct resolver_conf conf = {
		.servers = &at, .n_servers = 1, .timeout_ms = 50, .tries = 2
	};
	struct err err;

	loop = loop_new();
	dns = udp_open_at(loop, &at, &dns_ops, NULL, &err);
	ck_assert_msg(dns != NULL, "%s", err.text);
	at.port = udp_port(dns);
	resolver = resolver_new(loop, &conf);
	ck_assert_ptr_nonnull(resolver);
}

static void stop(void)
{
	resolver_free(resolver);
	udp_close(dns);
	loop_free(loop);
}

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		for (int turn_ = 0; turn_ < 2000 && !(cond); turn_++)                              \
			loop_turn(loop, SPAN_MS(50));                                              \
		ck_assert(cond);                                                                   \
	} while (0)

/* --- look-ups --- */

static struct {
	int n_calls, n_last;
	size_t n4, n6;
	struct ip v4, v6;
	struct err why;
} got;

static void answered(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
		     bool is_last)
{
	(void)ctx;
	got.n_calls++;
	got.n_last += is_last;
	if (why)
		got.why = *why;
	ck_assert((n == 0) == (why != NULL));
	if (family == AF_INET) {
		got.n4 = n;
		if (n > 0)
			got.v4 = v[0];
	} else {
		got.n6 = n;
		if (n > 0)
			got.v6 = v[0];
	}
}

static void look_up(const char *name, int families)
{
	struct err err;

	memset(&got, 0, sizeof got);
	ck_assert_msg(resolve_start(resolver, name, families, answered, NULL, &err) != NULL, "%s",
		      err.text);
	ck_assert_int_eq(got.n_calls, 0);
	UNTIL(got.n_last == 1);
}

TEST(both_families_are_asked_and_answer_apart)
{
	start();
	answer_a = LOOPBACK_TWO;
	answer_aaaa = LOOPBACK;
	look_up("host.example.com", RESOLVE_BOTH);
	ck_assert_int_eq(got.n_calls, 2);
	ck_assert_uint_eq(got.n4, 2);
	ck_assert_uint_eq(got.n6, 1);
	ck_assert(ip_eq(&got.v6, &v6_loopback));
	stop();
}

static void nothing(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
		    bool is_last)
{
	(void)ctx;
	(void)family;
	(void)v;
	(void)n;
	(void)why;
	(void)is_last;
}

/* RFC 5452 section 9.2; the first port would be there for as long as something is asked. */
TEST(questions_leave_by_another_port_each_second_though_an_older_one_waits)
{
	struct ipport at = { v4_loopback, 0 };
	struct resolver_conf conf = { .servers = &at, .n_servers = 1, .timeout_ms = 30000 };
	struct resolve *q[3];
	uint16_t port[3];
	struct err err;
	mono_t then;

	start();
	answer_a = SILENT;
	resolver_free(resolver);
	at.port = udp_port(dns);
	resolver = resolver_new(loop, &conf);
	for (int i = 0; i < 3; i++) {
		q[i] = resolve_start(resolver, "host.example.com", RESOLVE_V4, nothing, NULL, &err);
		UNTIL(n_questions == i + 1);
		port[i] = asked_from;
		then = mono_add(loop_now(loop), SPAN_MS(1100));
		while (i == 1 && !mono_due(then, loop_now(loop)))
			loop_turn(loop, SPAN_MS(50));
	}
	ck_assert_uint_eq(port[0], port[1]);
	ck_assert_uint_ne(port[1], port[2]);
	for (int i = 0; i < 3; i++)
		resolve_cancel(q[i]);
	answer_a = LOOPBACK;
	look_up("host.example.com", RESOLVE_V4);
	ck_assert_uint_eq(got.n4, 1);
	stop();
}

TEST(one_family_alone_is_one_answer)
{
	start();
	answer_a = LOOPBACK;
	look_up("host.example.com", RESOLVE_V4);
	ck_assert_int_eq(got.n_calls, 1);
	ck_assert(ip_eq(&got.v4, &v4_loopback));
	stop();
}

TEST(an_address_answers_itself_without_a_question)
{
	start();
	look_up("127.0.0.1", RESOLVE_BOTH);
	ck_assert_int_eq(got.n_calls, 2);
	ck_assert_uint_eq(got.n4, 1);
	look_up("::1", RESOLVE_V6);
	ck_assert_uint_eq(got.n6, 1);
	look_up("::1", RESOLVE_V4);
	ck_assert_uint_eq(got.n6 + got.n4, 0);
	ck_assert_int_eq(n_questions, 0);
	stop();
}

/* RFC 6761 section 6.3; below localhost nothing is in /etc/hosts */
TEST(localhost_and_names_below_it_are_found_without_a_question)
{
	static const char *const names[] = { "localhost", "LocalHost.", "web.localhost",
					     "a.b.localhost." };

	start();
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		look_up(names[i], RESOLVE_BOTH);
		ck_assert_int_eq(got.n_calls, 2);
		ck_assert(ip_eq(&got.v4, &v4_loopback));
		ck_assert(ip_eq(&got.v6, &v6_loopback));
	}
	look_up("localhost", RESOLVE_V4);
	ck_assert_int_eq(got.n_calls, 1);
	ck_assert_uint_eq(got.n4, 1);
	ck_assert_int_eq(n_questions, 0);
	answer_a = NO_NAME;
	look_up("alocalhost", RESOLVE_V4);
	ck_assert_int_gt(n_questions, 0);
	stop();
}

TEST(a_missing_name_and_a_silent_server_are_told_apart)
{
	start();
	answer_a = answer_aaaa = NO_NAME;
	look_up("host.example.com", RESOLVE_BOTH);
	ck_assert_int_eq(got.why.code, ENOENT);
	ck_assert_str_eq(got.why.text, "look up host.example.com: no such name");
	answer_a = answer_aaaa = SILENT;
	look_up("host.example.com", RESOLVE_BOTH);
	ck_assert_int_eq(got.why.code, ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(got.why.text, "no DNS server answers"));
	stop();
}

TEST(a_cancelled_look_up_calls_nobody_before_and_after_asking)
{
	struct resolve *q;
	struct err err;

	start();
	answer_a = answer_aaaa = LOOPBACK;
	q = resolve_start(resolver, "host.example.com", RESOLVE_BOTH, answered, NULL, &err);
	resolve_cancel(q);
	q = resolve_start(resolver, "host.example.com", RESOLVE_BOTH, answered, NULL, &err);
	loop_turn(loop, SPAN_MS(1)); /* asked */
	resolve_cancel(q);
	for (int i = 0; i < 10; i++)
		loop_turn(loop, SPAN_MS(2));
	ck_assert_int_eq(got.n_calls, 0);
	q = resolve_start(resolver, "host.example.com", RESOLVE_BOTH, answered, NULL, &err);
	loop_turn(loop, SPAN_MS(1));
	resolve_cancel(q); /* and the resolver goes while the question is out */
	stop();
}

TEST(malformed_names_are_refused_at_once)
{
	char name[300];
	struct err err;

	start();
	memset(name, 'a', sizeof name);
	name[254] = 0;
	ck_assert_ptr_null(resolve_start(resolver, name, RESOLVE_BOTH, answered, NULL, &err));
	ck_assert_ptr_null(resolve_start(resolver, "", RESOLVE_BOTH, answered, NULL, &err));
	answer_a = answer_aaaa = NO_NAME;
	look_up("a..b", RESOLVE_V4);
	ck_assert_int_ne(got.why.code, 0);
	stop();
}

/* --- dials --- */

static struct {
	int n, fd;
	struct err why;
} dialled;
static struct listener *listener;
static int n_accepted;

static void on_dialled(void *ctx, int fd, const struct err *why)
{
	(void)ctx;
	dialled.n++;
	dialled.fd = fd;
	if (why)
		dialled.why = *why;
}

static void accepted(void *ctx, int fd, const struct ipport *from)
{
	(void)ctx;
	(void)from;
	n_accepted++;
	close(fd);
}

static void serve(const char *addr)
{
	struct err err;

	listener = listen_tcp(loop, addr, accepted, NULL, &err);
	ck_assert_msg(listener != NULL, "%s", err.text);
}

static void run_dial(struct dial_conf *conf)
{
	struct err err;

	memset(&dialled, 0, sizeof dialled);
	conf->resolver = resolver;
	if (!conf->host)
		conf->host = "host.example.com";
	ck_assert_msg(dial_start(loop, conf, on_dialled, NULL, &err) != NULL, "%s", err.text);
	ck_assert_int_eq(dialled.n, 0);
	UNTIL(dialled.n == 1);
}

static void expect_connected(void)
{
	ck_assert_msg(dialled.fd >= 0, "%s", dialled.why.text);
	ck_assert_int_eq(fcntl(dialled.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	close(dialled.fd);
}

TEST(a_name_is_looked_up_and_connected)
{
	start();
	serve("127.0.0.1:0");
	answer_a = LOOPBACK;
	run_dial(&(struct dial_conf){ .port = listener_port(listener) });
	expect_connected();
	listener_close(listener);
	stop();
}

TEST(a_refused_first_address_leads_to_the_next_at_once)
{
	start();
	serve("127.0.0.1:0");
	answer_a = LOOPBACK_TWO;
	run_dial(&(struct dial_conf){ .port = listener_port(listener) });
	expect_connected();
	listener_close(listener);
	stop();
}

TEST(a_refused_ipv6_falls_back_to_ipv4)
{
	start();
	serve("127.0.0.1:0");
	answer_aaaa = LOOPBACK; /* nothing listens on ::1 */
	answer_a = LOOPBACK;
	run_dial(&(struct dial_conf){ .port = listener_port(listener) });
	expect_connected();
	listener_close(listener);
	stop();
}

TEST(a_silent_aaaa_does_not_hold_up_ipv4)
{
	start();
	serve("127.0.0.1:0");
	answer_aaaa = SILENT;
	answer_a = LOOPBACK;
	run_dial(&(struct dial_conf){ .port = listener_port(listener) });
	expect_connected();
	listener_close(listener);
	stop();
}

/* An address that swallows SYNs: a listener whose queue is full. */
static int black_hole(struct ipport *at, int filler[static 8])
{
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_from(at, &ss);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	ck_assert_int_eq(listen(fd, 0), 0);
	len = sizeof ss;
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	ck_assert(sockaddr_to(&ss, at));
	for (int i = 0; i < 8; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(filler[i], (struct sockaddr *)&ss, len);
	}
	return fd;
}

TEST(an_address_that_swallows_packets_is_overtaken_by_the_next_after_a_quarter_second)
{
	static const struct ip two[2] = { { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 3 } },
					  { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } } };
	struct ipport hole = { two[0], 0 };
	int filler[8], fd;
	mono_t t;
	char addr[32];

	start();
	fd = black_hole(&hole, filler);
	snprintf(addr, sizeof addr, "127.0.0.1:%u", hole.port);
	serve(addr);
	t = loop_clock();
	run_dial(&(struct dial_conf){ .port = hole.port, .addrs = two, .n_addrs = 2 });
	expect_connected();
	ck_assert_int_ge(mono_sub(loop_clock(), t).ns, SPAN_MS(250).ns);
	for (int i = 0; i < 8; i++)
		close(filler[i]);
	close(fd);
	listener_close(listener);
	stop();
}

TEST(nobody_answering_ends_at_the_time_limit_with_words)
{
	struct ipport hole = { { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 3 } }, 0 };
	int filler[8], fd;

	start();
	fd = black_hole(&hole, filler);
	run_dial(&(struct dial_conf){
	    .port = hole.port, .addrs = &hole.ip, .n_addrs = 1, .timeout = SPAN_MS(100) });
	ck_assert_int_eq(dialled.fd, -1);
	ck_assert_int_eq(dialled.why.code, ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(dialled.why.text, "no answer within"));
	for (int i = 0; i < 8; i++)
		close(filler[i]);
	close(fd);
	stop();
}

TEST(refused_everywhere_names_host_port_and_address)
{
	char want[64];
	uint16_t port;

	start();
	serve("127.0.0.1:0");
	port = listener_port(listener);
	listener_close(listener);
	answer_a = LOOPBACK;
	run_dial(&(struct dial_conf){ .port = port });
	ck_assert_int_eq(dialled.why.code, ECONNREFUSED);
	snprintf(want, sizeof want, "host.example.com:%u (127.0.0.1)", port);
	ck_assert_msg(strstr(dialled.why.text, want) != NULL, "%s", dialled.why.text);
	stop();
}

TEST(a_name_that_does_not_resolve_says_so)
{
	start();
	answer_a = answer_aaaa = NO_NAME;
	run_dial(&(struct dial_conf){ .port = 1 });
	ck_assert_int_eq(dialled.why.code, ENOENT);
	ck_assert_str_eq(dialled.why.text, "look up host.example.com: no such name");
	stop();
}

TEST(a_name_server_that_is_silent_says_so)
{
	start();
	answer_a = answer_aaaa = SILENT;
	run_dial(&(struct dial_conf){ .port = 1, .timeout = SPAN_MS(60) });
	ck_assert_int_eq(dialled.why.code, ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(dialled.why.text, "look up host.example.com"));
	stop();
}

TEST(a_cancelled_dial_calls_nobody)
{
	struct dial_conf conf = { .host = "host.example.com", .port = 1 };
	struct dial *d;
	struct err err;

	start();
	conf.resolver = resolver;
	d = dial_start(loop, &conf, on_dialled, NULL, &err);
	dial_cancel(d);
	d = dial_start(loop, &conf, on_dialled, NULL, &err);
	loop_turn(loop, SPAN_MS(1));
	dial_cancel(d);
	loop_turn(loop, SPAN_MS(5));
	ck_assert_int_eq(dialled.n, 0);
	stop();
}

TEST(configurations_without_sense_are_refused_at_once)
{
	static const struct dial_conf bad[] = {
		{ .host = "", .port = 1 },
		{ .host = "a b", .port = 1 },
		{ .host = "a\r\nX", .port = 1 },
		{ .host = "127.0.0.1" },
		{ .host = "name", .port = 1 },
		{ .host = "127.0.0.1", .port = 1, .no_v4 = true, .no_v6 = true },
		{ .unix_path = "" }
	};
	struct err err;

	start();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_ptr_null(dial_start(loop, &bad[i], on_dialled, NULL, &err));
	stop();
}

/* --- proxies --- */

static struct proxy_conn {
	struct stream *s;
	uint8_t in[1024];
	size_t n_in;
	const char *reply;
	size_t sent;
} pc;

static size_t pc_room(void *ctx, struct iovec *v, size_t max)
{
	(void)ctx;
	(void)max;
	v[0] = (struct iovec){ pc.in + pc.n_in, sizeof pc.in - pc.n_in };
	return pc.n_in < sizeof pc.in;
}

static void pc_got(void *ctx, size_t n)
{
	(void)ctx;
	pc.n_in += n;
	stream_kick(pc.s);
}

static size_t pc_data(void *ctx, struct iovec *v, size_t max) /* a byte at a time */
{
	(void)ctx;
	(void)max;
	if (pc.n_in == 0 || !pc.reply || !pc.reply[pc.sent])
		return 0;
	v[0] = (struct iovec){ (char *)(uintptr_t)pc.reply + pc.sent, 1 };
	return 1;
}

static void pc_sent(void *ctx, size_t n)
{
	(void)ctx;
	pc.sent += n;
}

static void pc_closed(void *ctx, const struct err *why)
{
	(void)ctx;
	(void)why;
	pc.s = NULL;
}

static const struct stream_ops pc_ops = {
	.room = pc_room, .got = pc_got, .data = pc_data, .sent = pc_sent, .closed = pc_closed
};

static void proxy_accepted(void *ctx, int fd, const struct ipport *from)
{
	(void)ctx;
	(void)from;
	pc.s = stream_adopt(loop, fd, &pc_ops, NULL);
	ck_assert_ptr_nonnull(pc.s);
}

static void dial_by_proxy(const char *reply)
{
	struct proxy proxy = { .host = "127.0.0.1", .auth = "Basic dTpw" };
	struct err err;

	start();
	listener = listen_tcp(loop, "127.0.0.1:0", proxy_accepted, NULL, &err);
	ck_assert_msg(listener != NULL, "%s", err.text);
	proxy.port = listener_port(listener);
	pc.reply = reply;
	run_dial(&(struct dial_conf){
	    .port = 443, .proxy = &proxy, .timeout = SPAN_MS(reply ? 5000 : 80) });
}

static void stop_proxy(void)
{
	stream_close(pc.s);
	listener_close(listener);
	stop();
}

TEST(through_a_proxy_the_name_goes_out_unresolved_and_no_byte_behind_the_head_is_lost)
{
	char rest[16] = { 0 };
	static const char want[] =
	    "CONNECT host.example.com:443 HTTP/1.1\r\nHost: host.example.com:443\r\n"
	    "Proxy-Authorization: Basic dTpw\r\n\r\n";

	dial_by_proxy("HTTP/1.1 200 OK\r\nX: y\r\n\r\nearly");
	ck_assert_msg(dialled.fd >= 0, "%s", dialled.why.text);
	UNTIL(pc.sent == strlen(pc.reply));
	ck_assert_int_eq(recv(dialled.fd, rest, sizeof rest, 0), 5);
	ck_assert_str_eq(rest, "early");
	ck_assert_uint_eq(pc.n_in, sizeof want - 1);
	ck_assert_mem_eq(pc.in, want, sizeof want - 1);
	ck_assert_int_eq(n_questions, 0);
	close(dialled.fd);
	stop_proxy();
}

TEST(a_proxy_that_wants_a_password_says_what_to_do)
{
	dial_by_proxy("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
	ck_assert_int_eq(dialled.why.code, EACCES);
	ck_assert_ptr_nonnull(
	    strstr(dialled.why.text, "host.example.com:443: 407 Proxy Authentication Required"));
	ck_assert_ptr_nonnull(strstr(dialled.why.text, "proxy's URL"));
	stop_proxy();
}

TEST(a_proxy_that_is_none_is_named)
{
	dial_by_proxy("SSH-2.0-OpenSSH\r\n");
	ck_assert_int_eq(dialled.why.code, EPROTO);
	ck_assert_ptr_nonnull(strstr(dialled.why.text, "does not answer as an HTTP proxy"));
	stop_proxy();
}

TEST(a_silent_proxy_ends_at_the_time_limit)
{
	dial_by_proxy(NULL);
	ck_assert_int_eq(dialled.why.code, ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(dialled.why.text, "no answer to CONNECT"));
	stop_proxy();
}

TEST(a_proxy_that_cannot_be_reached_is_told_from_the_destination)
{
	struct proxy proxy = { .host = "127.0.0.1" };

	start();
	serve("127.0.0.1:0");
	proxy.port = listener_port(listener);
	listener_close(listener);
	run_dial(&(struct dial_conf){ .port = 443, .proxy = &proxy });
	ck_assert_int_eq(dialled.why.code, ECONNREFUSED);
	ck_assert_ptr_nonnull(
	    strstr(dialled.why.text, "proxy for host.example.com:443: connect to 127.0.0.1"));
	stop();
}
