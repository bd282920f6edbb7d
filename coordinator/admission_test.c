/* coordinator/admission_test.c - questions to a server on loopback: verdicts, what is none, the
 * cache, failing closed and open */
#include "coordinator/admission.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "coordinator/config.h"
#include "os/listen.h"
#include "os/loop.h"
#include "tests/harness.h"

static struct {
	struct loop *loop;
	struct listener *server;
	struct admission *a;
	const char *status, *body; /* what the server says; NULL: nothing, it hangs up */
	size_t n_asked, n_answers;
	bool allow;
	uint32_t index;
	int asked[2]; /* pipe: what the server was sent */
} w;

/* Answers in a process of its own, which may wait. */
static void on_accept(void *ctx, int fd, const struct ipport *from)
{
	char in[2048] = "", out[512];
	size_t len = 0;

	(void)ctx;
	(void)from;
	w.n_asked++;
	if (fork() != 0) {
		close(fd);
		return;
	}
	fcntl(fd, F_SETFL, 0);
	while (len < sizeof in - 1 && !strstr(in, "\"}")) {
		ssize_t n = read(fd, in + len, sizeof in - 1 - len);

		if (n <= 0)
			_exit(1);
		len += (size_t)n;
	}
	if (write(w.asked[1], in, len) < 0)
		_exit(1);
	if (w.status) {
		int n =
		    snprintf(out, sizeof out,
			     "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			     w.status, strlen(w.body), w.body);

		if (write(fd, out, (size_t)n) != n)
			_exit(1);
	}
	_exit(0);
}

static void on_verdict(void *ctx, struct derp_conn_id id, bool allow)
{
	(void)ctx;
	w.n_answers++;
	w.index = id.index;
	w.allow = allow;
}

static void begin(const char *status, const char *body, bool fail_open)
{
	static char url[64];
	struct admission_conf conf = { .url = url, .fail_open = fail_open, .answer = on_verdict };
	struct err e = { 0 };

	memset(&w, 0, sizeof w);
	w.status = status;
	w.body = body;
	ck_assert_int_eq(pipe(w.asked), 0);
	w.loop = conf.loop = loop_new();
	w.server = listen_tcp(w.loop, "127.0.0.1:0", on_accept, NULL, &e);
	ck_assert_msg(w.server != NULL, "%s", e.text);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/verify?x=1", listener_port(w.server));
	w.a = admission_new(&conf, &e);
	ck_assert_msg(w.a != NULL, "%s", e.text);
}

static void end(void)
{
	admission_free(w.a);
	listener_close(w.server);
	loop_free(w.loop);
	close(w.asked[0]);
	close(w.asked[1]);
}

static void ask(uint8_t key)
{
	const struct key_pub k = { { key } };
	const struct ipport from = { ip_v4(192, 0, 2, 7), 1234 };
	size_t before = w.n_answers;

	admission_ask(w.a, (struct derp_conn_id){ 40 + key, 1 }, &k, &from);
	for (int i = 0; i < 1000 && w.n_answers == before; i++)
		(void)loop_turn(w.loop, SPAN_MS(20));
	ck_assert_uint_eq(w.n_answers, before + 1);
	ck_assert_uint_eq(w.index, 40U + key);
}

TEST(a_node_that_the_server_knows_is_let_in_and_remembered)
{
	char sent[2048] = "";

	begin("200 OK", "{\"Allow\":true}", false);
	ask(1);
	ck_assert(w.allow);
	ck_assert_int_gt(read(w.asked[0], sent, sizeof sent - 1), 0);
	ck_assert_ptr_eq(strstr(sent, "POST /verify?x=1 HTTP/1.1\r\n"), sent);
	ck_assert_ptr_nonnull(
	    strstr(sent, "{\"NodePublic\":\"nodekey:01000000000000000000000000000000"
			 "00000000000000000000000000000000\",\"Source\":\"192.0.2.7\"}"));
	ask(1);
	ck_assert(w.allow);
	ck_assert_uint_eq(w.n_asked, 1);
	ck_assert_uint_eq(admission_stats(w.a)->cached, 1);
	ask(2);
	ck_assert_uint_eq(w.n_asked, 2);
	end();
}

TEST(a_node_that_the_server_does_not_know_is_refused_and_that_is_remembered)
{
	begin("200 OK", "{\"Allow\":false,\"more\":[1]}", true);
	ask(1);
	ck_assert(!w.allow);
	ask(1);
	ck_assert(!w.allow);
	ck_assert_uint_eq(w.n_asked, 1);
	ck_assert_uint_eq(admission_stats(w.a)->denied, 2);
	ck_assert_uint_eq(admission_stats(w.a)->failed, 0);
	end();
}

TEST(what_is_no_verdict_refuses_unless_told_otherwise_and_is_not_remembered)
{
	static const struct {
		const char *status, *body;
	} v[] = {
		{ NULL, "" },
		{ "500 No", "{\"Allow\":true}" },
		{ "204 No", "" },
		{ "301 Elsewhere", "{\"Allow\":true}" },
		{ "200 OK", "" },
		{ "200 OK", "{}" },
		{ "200 OK", "true" },
		{ "200 OK", "{\"Allow\":1}" },
		{ "200 OK", "{\"Allow\":true" },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		for (int open = 0; open < 2; open++) {
			begin(v[i].status, v[i].body, open);
			ask(1);
			ck_assert_msg(w.allow == open, "%zu", i);
			ask(1);
			ck_assert_uint_eq(w.n_asked, 2);
			ck_assert_uint_eq(admission_stats(w.a)->failed, 2);
			end();
		}
}

TEST(questions_beyond_those_under_way_wait_and_beyond_that_are_refused)
{
	const size_t all = ADMISSION_ASKS_MAX + ADMISSION_WAIT_MAX;

	for (int open = 0; open < 2; open++) {
		begin("200 OK", "{\"Allow\":true}", open);
		for (size_t i = 0; i < all + 3; i++) {
			const struct key_pub k = { { (uint8_t)i, (uint8_t)(i >> 8), 1 } };
			const struct ipport from = { ip_v4(192, 0, 2, (uint8_t)(i % 8)), 1234 };

			admission_ask(w.a, (struct derp_conn_id){ (uint32_t)i, 1 }, &k, &from);
		}
		ck_assert_uint_eq(w.n_answers, 3);
		ck_assert(!w.allow);
		ck_assert_uint_eq(admission_stats(w.a)->failed, 3);
		end(); /* with all of them open */
	}
}

/* Node keys are made up in no time: they do not fill the queue for others. */
TEST(questions_from_one_address_leave_room_for_others)
{
	const struct ipport many = { ip_v4(192, 0, 2, 7), 1234 },
			    other = { ip_v4(192, 0, 2, 8), 1 };
	const size_t all = ADMISSION_ASKS_MAX + ADMISSION_WAIT_FROM_ONE;
	struct ipport v6[2];

	for (int i = 0; i < 2; i++) /* of one network */
		ck_assert(ipport_parse(bytes_str(i ? "[fd77::1]:1" : "[fd77::2:2]:2"), &v6[i]));
	for (int family = 0; family < 2; family++) {
		begin("200 OK", "{\"Allow\":true}", false);
		for (size_t i = 0; i < all + 3; i++) {
			const struct key_pub k = { { (uint8_t)i, (uint8_t)(i >> 8), 1 } };

			admission_ask(w.a, (struct derp_conn_id){ (uint32_t)i, 1 }, &k,
				      family ? &v6[i % 2] : &many);
		}
		ck_assert_uint_eq(w.n_answers, 3);
		ck_assert(!w.allow);
		admission_ask(w.a, (struct derp_conn_id){ 9999, 1 },
			      &(struct key_pub){ { 0, 0, 2 } }, &other);
		ck_assert_uint_eq(w.n_answers, 3); /* it waits */
		end();
	}
}

TEST(admission_urls_are_taken_apart)
{
	static const struct {
		const char *url, *host, *path;
		uint16_t port;
		bool tls;
	} v[] = {
		{ "http://h/verify", "h", "/verify", 80, false },
		{ "https://h:8443/a/b?c", "h", "/a/b?c", 8443, true },
		{ "https://[fd77::1]/v", "fd77::1", "/v", 443, true },
		{ "https://h", "h", "/", 443, true },
	};
	static const char *const bad[] = { "",
					   "h/verify",
					   "ftp://h/",
					   "http:///v",
					   "http://h/a b",
					   "http://h/a\r\nX: y",
					   "http://h:0/",
					   "http://h/#a",
					   "http://u@h/" };
	char host[256];
	const char *path;
	uint16_t port;
	bool tls;

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		ck_assert(admission_url(v[i].url, &tls, host, &port, &path));
		ck_assert_str_eq(host, v[i].host);
		ck_assert_str_eq(path, v[i].path);
		ck_assert_uint_eq(port, v[i].port);
		ck_assert_int_eq(tls, v[i].tls);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!admission_url(bad[i], &tls, host, &port, &path), "%s", bad[i]);
}
