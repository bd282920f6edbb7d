/* host/port_test.c - which UDP port a node gets (host_conf.port, host_conf.kept_port) */
#include "tests/harness.h"

#include "crypto/key.h"
#include "host/host.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/resolve.h"
#include "os/tls.h"
#include "os/udp.h"

static struct loop *loop;
static struct resolver *resolver;
static struct tls_client *tls;

static void setup(void)
{
	struct err e = { 0 };

	loop = loop_new();
	resolver = resolver_new(loop, NULL);
	tls = tls_client_new(NULL, &e);
	ck_assert(loop && resolver && tls);
}

static void teardown(void)
{
	resolver_free(resolver);
	tls_client_free(tls);
	loop_free(loop);
}

static uint16_t port_with(uint16_t port, uint16_t kept)
{
	static const struct host_ops ops;
	struct host_conf hc = { .loop = loop,
				.ops = &ops,
				.resolver = resolver,
				.tls = tls,
				.port = port,
				.kept_port = kept,
				.node = { .rng = &os_rng,
					  .control_url = "http://127.0.0.1:9",
					  .hostinfo = { .hostname = "test" } } };
	struct err e = { 0 };
	struct host *h;
	uint16_t got;

	key_gen(&hc.node.machine, &os_rng);
	key_gen(&hc.node.node, &os_rng);
	key_gen(&hc.node.disco, &os_rng);
	h = host_new(&hc, &e);
	ck_assert_msg(h != NULL, "%s", e.text);
	got = host_port(h);
	host_free(h);
	return got;
}

static void ignore(void *ctx, const struct ipport *from, struct pkt *v, size_t n)
{
	(void)ctx, (void)from, (void)v, (void)n;
}

static const struct udp_ops udp_ops = { .recv = ignore };

TEST(the_port_of_an_earlier_run_is_taken_again)
{
	uint16_t first;

	setup();
	first = port_with(0, 0);
	ck_assert_uint_ne(first, 0);
	ck_assert_uint_eq(port_with(0, first), first);
	teardown();
}

TEST(a_kept_port_that_another_program_has_is_no_obstacle)
{
	struct err e = { 0 };
	struct udp *other;
	uint16_t port;

	setup();
	other = udp_open(loop, AF_INET, 0, &udp_ops, NULL, &e);
	ck_assert_msg(other != NULL, "%s", e.text);
	port = port_with(0, udp_port(other));
	ck_assert_uint_ne(port, 0);
	ck_assert_uint_ne(port, udp_port(other));
	udp_close(other);
	teardown();
}

TEST(a_port_that_was_asked_for_wins_over_the_kept_one)
{
	uint16_t kept, asked;

	setup();
	kept = port_with(0, 0);
	do
		asked = port_with(0, 0);
	while (asked == kept);
	ck_assert_uint_eq(port_with(asked, kept), asked);
	teardown();
}
