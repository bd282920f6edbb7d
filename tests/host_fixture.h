/* tests/host_fixture.h - for tests: a host on a loop of its own; its node never started, and knows
 * of the tailnet what the test loads */
#ifndef TESTS_HOST_FIXTURE_H
#define TESTS_HOST_FIXTURE_H

#include "host/host.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/resolve.h"
#include "os/tls.h"
#include "tests/harness.h"

static struct loop *loop;
static struct host *host;
static struct resolver *resolver;
static struct tls_client *tls;
static const char *host_fixture_label; /* in lines of the log */

/* A host over the loop, resolver and TLS that are there already. */
static inline void host_fixture_make(void)
{
	static const struct host_ops none;
	struct host_conf hc = { .ops = &none,
				.loop = loop,
				.resolver = resolver,
				.tls = tls,
				.label = host_fixture_label };
	struct err e = { 0 };

	hc.node.rng = &os_rng;
	hc.node.control_url = "http://127.0.0.1:9"; /* nobody listens */
	hc.node.hostinfo.hostname = "test";
	key_gen(&hc.node.machine, &os_rng);
	key_gen(&hc.node.node, &os_rng);
	key_gen(&hc.node.disco, &os_rng);
	host = host_new(&hc, &e);
	ck_assert_msg(host != NULL, "%s", e.text);
}

static inline void host_fixture_init(void)
{
	struct err e = { 0 };

	loop = loop_new();
	resolver = resolver_new(loop, NULL);
	tls = tls_client_new(NULL, &e);
	ck_assert_msg(tls != NULL, "%s", e.text);
	host_fixture_make();
}

static inline void host_fixture_fini(void)
{
	host_free(host);
	resolver_free(resolver);
	tls_client_free(tls);
	loop_free(loop);
}

static inline void host_fixture_load(const char *map)
{
	struct err e = { 0 };
	const int ret =
	    node_load_netmap(host_node(host), loop_now(loop), loop_wall(), bytes_str(map), &e);

	ck_assert_msg(ret == 0, "%s", e.text);
}

/* We are a.tail.test, 100.64.0.1. The only peer, b.tail.test, has the addresses
 * ("\"a/32\",\"b/32\""); resolver: who is asked for names of corp.test, NULL: nobody. */
static inline void host_fixture_load_pair(const char *addresses, const char *server)
{
	char map[1024], routes[128] = "";

	if (server)
		snprintf(routes, sizeof routes, ",\"Routes\":{\"corp.test\":[{\"Addr\":\"%s\"}]}",
			 server);
	snprintf(
	    map, sizeof map,
	    "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.test.\",\"Key\":"
	    "\"nodekey:%064d\",\"Addresses\":[\"100.64.0.1/32\"],\"MachineAuthorized\":true},"
	    "\"Peers\":[{\"ID\":2,\"StableID\":\"n2\",\"Name\":\"b.tail.test.\",\"Key\":"
	    "\"nodekey:%064d\",\"Addresses\":[%s]}],\"DNSConfig\":{\"Domains\":[\"tail.test\"],"
	    "\"Proxied\":true%s}}",
	    1, 2, addresses, routes);
	host_fixture_load(map);
}

static inline struct netstack *stack(void)
{
	return node_netstack(host_node(host));
}

static inline void turns(int n)
{
	while (n-- > 0)
		loop_turn(loop, SPAN_MS(2));
}

#endif
