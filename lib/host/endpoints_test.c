/* host/endpoints_test.c - what the health endpoints answer, over real sockets on loopback */
#include "host/endpoints.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/host_fixture.h"
#include "tests/loopback.h"

enum { NODES_MAX = 100 };

static struct endpoints_node nodes[NODES_MAX];
static size_t n_nodes;
static struct endpoints *endpoints;
static bool extra_fails;
static const struct state_node self;

static bool node_at(void *ctx, size_t i, struct endpoints_node *out)
{
	(void)ctx;
	if (i >= n_nodes)
		return false;
	*out = nodes[i];
	return true;
}

static void view(void *ctx, size_t i, struct localapi_view *v)
{
	(void)ctx;
	v->node = host_node(nodes[i].host);
	v->self = &self;
	v->version = "test";
}

static bool extra(void *ctx, struct buf *out)
{
	(void)ctx;
	return !extra_fails && buf_printf(out, "the_extra 1\n");
}

static void start(bool health, bool metrics)
{
	struct err e = { 0 };
	struct endpoints_conf conf = { .addr = "127.0.0.1:0",
				       .health = health,
				       .metrics = metrics,
				       .pod_ip4 = "10.0.0.7",
				       .node = node_at,
				       .view = view,
				       .extra = extra };

	host_fixture_init();
	conf.loop = loop;
	endpoints = endpoints_new(&conf, &e);
	ck_assert_msg(endpoints != NULL, "%s", e.text);
}

static void stop(void)
{
	endpoints_free(endpoints);
	endpoints_free(NULL);
	host_fixture_fini();
}

/* One request on a connection of its own; the whole answer as text, in static memory. */
static const char *ask(const char *method, const char *path)
{
	static char answer[2 << 20];
	const int fd = loopback_dial(endpoints_port(endpoints));
	size_t got = 0;
	char rq[256];
	ssize_t k = -1;

	snprintf(rq, sizeof rq, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method,
		 path);
	ck_assert_int_eq(send(fd, rq, strlen(rq), MSG_NOSIGNAL), (ssize_t)strlen(rq));
	for (int i = 0; i < 5000 && k != 0; i++) {
		loop_turn(loop, SPAN_MS(2));
		k = recv(fd, answer + got, sizeof answer - 1 - got, 0);
		got += k > 0 ? (size_t)k : 0;
	}
	ck_assert_msg(k == 0, "%s %s: no end of the answer", method, path);
	answer[got] = 0;
	close(fd);
	return answer;
}

static bool begins(const char *answer, const char *with)
{
	return strncmp(answer, with, strlen(with)) == 0;
}

static const char *body(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n");

	ck_assert_ptr_nonnull(end);
	return end + 4;
}

TEST(a_node_without_an_address_is_not_healthy_and_the_reason_is_said)
{
	start(true, false);
	nodes[0] = (struct endpoints_node){ .name = "", .why = "starting" };
	n_nodes = 1;
	ck_assert(begins(ask("GET", "/healthz"), "HTTP/1.1 503 "));
	ck_assert_str_eq(body(ask("GET", "/healthz")), "starting\n");
	nodes[0].host = host;
	ck_assert_str_eq(body(ask("GET", "/healthz")), "node currently has no tailscale IPs\n");
	ck_assert_ptr_null(strstr(ask("GET", "/healthz"), "Pod-IPv4"));
	stop();
}

TEST(a_node_with_an_address_is_healthy_and_tells_the_addresses_of_its_pod)
{
	const char *answer;

	start(true, false);
	nodes[0] = (struct endpoints_node){ .name = "", .host = host };
	n_nodes = 1;
	host_fixture_load_pair("\"100.64.0.2/32\"", NULL);
	answer = ask("GET", "/healthz");
	ck_assert(begins(answer, "HTTP/1.1 200 "));
	ck_assert_str_eq(body(answer), "ok");
	ck_assert_ptr_nonnull(strstr(answer, "\r\nPod-IPv4: 10.0.0.7\r\n"));
	ck_assert_ptr_null(strstr(answer, "Pod-IPv6")); /* not known */
	answer = ask("HEAD", "/healthz");
	ck_assert(begins(answer, "HTTP/1.1 200 "));
	ck_assert_str_eq(body(answer), "");
	stop();
}

TEST(of_several_nodes_each_that_is_not_well_has_a_line_with_its_name)
{
	start(true, false);
	host_fixture_load_pair("\"100.64.0.2/32\"", NULL);
	nodes[0] = (struct endpoints_node){ .name = "web", .why = "its key expired" };
	nodes[1] = (struct endpoints_node){ .name = "good", .host = host };
	nodes[2] = (struct endpoints_node){ .name = "db", .why = "starting" };
	n_nodes = 3;
	ck_assert_str_eq(body(ask("GET", "/healthz")), "web: its key expired\ndb: starting\n");
	ck_assert_ptr_nonnull(strstr(body(ask("GET", "/readyz")), "web: its key expired\n"));
	stop();
}

TEST(a_node_that_does_not_run_is_not_ready_and_yet_live)
{
	const char *answer;

	start(true, false);
	nodes[0] = (struct endpoints_node){ .name = "", .host = host };
	n_nodes = 1;
	host_fixture_load_pair("\"100.64.0.2/32\"", NULL);
	answer = ask("GET", "/readyz"); /* an address alone does not make it so */
	ck_assert(begins(answer, "HTTP/1.1 503 "));
	ck_assert_msg(begins(body(answer), "not ready: state is "), "%s", answer);
	ck_assert(begins(ask("GET", "/livez"), "HTTP/1.1 200 "));
	stop();
}

TEST(reasons_that_find_no_room_do_not_make_a_node_well)
{
	char *name = malloc((2 << 20) + 1);

	ck_assert_ptr_nonnull(name);
	memset(name, 'n', 2 << 20);
	name[2 << 20] = 0;
	start(true, false);
	nodes[0] = (struct endpoints_node){ .name = name, .why = "starting" };
	n_nodes = 1;
	ck_assert(begins(ask("GET", "/healthz"), "HTTP/1.1 503 "));
	ck_assert(begins(ask("GET", "/readyz"), "HTTP/1.1 503 "));
	stop();
	free(name);
}

TEST(only_what_is_switched_on_is_there_and_only_to_be_read)
{
	start(true, false);
	ck_assert(begins(ask("GET", "/metrics"), "HTTP/1.1 404 "));
	ck_assert(begins(ask("POST", "/livez"), "HTTP/1.1 405 "));
	ck_assert(begins(ask("DELETE", "/healthz"), "HTTP/1.1 405 "));
	ck_assert(begins(ask("GET", "/"), "HTTP/1.1 404 "));
	ck_assert(begins(ask("GET", "/livez/"), "HTTP/1.1 404 "));
	ck_assert(begins(ask("GET", "/LIVEZ"), "HTTP/1.1 404 "));
	ck_assert(begins(ask("GET", "/livez?verbose=1"), "HTTP/1.1 200 ")); /* as kubelets may */
	stop();
	start(false, true);
	ck_assert(begins(ask("GET", "/livez"), "HTTP/1.1 404 "));
	ck_assert(begins(ask("GET", "/healthz"), "HTTP/1.1 404 "));
	ck_assert(begins(ask("GET", "/metrics"), "HTTP/1.1 200 "));
	stop();
}

TEST(metrics_are_those_of_the_nodes_that_run_up_to_a_limit_and_what_the_program_adds)
{
	static char names[NODES_MAX][16];
	const char *text;

	start(false, true);
	for (size_t i = 0; i < NODES_MAX; i++) {
		snprintf(names[i], sizeof names[i], "node%zu", i);
		nodes[i] = (struct endpoints_node){ .name = names[i], .host = host };
	}
	nodes[1] = (struct endpoints_node){ .name = names[1], .why = "starting" };
	n_nodes = NODES_MAX;
	text = body(ask("GET", "/metrics"));
	ck_assert_ptr_nonnull(strstr(text, "\"node0\""));
	ck_assert_ptr_null(strstr(text, "\"node1\""));
	ck_assert_ptr_nonnull(strstr(text, "\"node64\""));
	ck_assert_ptr_null(strstr(text, "\"node65\"")); /* the 65th that runs */
	ck_assert_ptr_nonnull(strstr(text, "the_extra 1\n"));
	extra_fails = true;
	ck_assert(begins(ask("GET", "/metrics"), "HTTP/1.1 500 "));
	stop();
}

TEST(an_address_that_is_taken_is_named)
{
	struct endpoints_conf conf = { .health = true, .node = node_at };
	struct err e = { 0 };
	uint16_t port;
	const int fd = loopback_listen(SOCK_STREAM, &port);
	char addr[32], want[64];

	loop = loop_new();
	conf.loop = loop;
	snprintf(addr, sizeof addr, "127.0.0.1:%u", port);
	snprintf(want, sizeof want, "health endpoints at %s: ", addr);
	conf.addr = addr;
	ck_assert_ptr_null(endpoints_new(&conf, &e));
	ck_assert_msg(begins(e.text, want), "%s", e.text);
	conf.addr = "nonsense";
	ck_assert_ptr_null(endpoints_new(&conf, &e));
	ck_assert_msg(begins(e.text, "health endpoints at nonsense: "), "%s", e.text);
	loop_free(loop);
	close(fd);
}
