/* node/gateway_test.c - a port mapped at the gateway: effects, endpoints, giving it back */
#include "node/node.h"

#include "path/portmap.h"
#include "tests/harness.h"

static struct seed_rng rng;
static struct node *n;
static mono_t now;
static const uint16_t port = 41641;
static struct ip gateway, own;
static size_t sends, requests;
static bool left;
static uint8_t last[PORTMAP_PACKET_MAX];

static void setup(bool with)
{
	struct node_conf conf = { .rng = &rng.rng,
				  .control_url = "http://127.0.0.1:9",
				  .port_mapping = with };
	struct err e = { 0 };

	seed_rng_init(&rng, 1);
	key_gen(&conf.machine, &rng.rng);
	key_gen(&conf.node, &rng.rng);
	key_gen(&conf.disco, &rng.rng);
	n = node_new(&conf, &e);
	ck_assert_msg(n != NULL, "%s", e.text);
	now = (mono_t){ 100 * NS_PER_S };
	gateway = ip_v4(192, 168, 1, 1);
	own = ip_v4(192, 168, 1, 7);
	node_set_addresses(n, now, &own, 1, port, 0);
	node_set_gateway(n, now, &gateway, &own);
}

static void pump(void)
{
	struct node_effect ef;

	sends = requests = 0;
	while (node_next(n, now, WALL_ZERO, &ef)) {
		if (ef.type == NODE_GATEWAY_SEND && ef.to.port == PORTMAP_PORT) {
			ck_assert(ip_eq(&ef.to.ip, &gateway));
			memcpy(last, ef.data.data, ef.data.len);
			sends++;
		}
		requests += ef.type == NODE_GATEWAY_HTTP;
		left = left || ef.type == NODE_GATEWAY_LEFT;
	}
}

static void hear(const void *data, size_t len)
{
	const struct ipport from = { gateway, PORTMAP_PORT };

	node_gateway_recv(n, now, &from, bytes_of(data, len));
	pump();
}

static void map_by_pmp(void)
{
	static const uint8_t address[12] = { 0, 128, 0, 0, 0, 0, 1, 0, 203, 0, 113, 9 };
	static const uint8_t mapped[16] = { 0,    129,  0,    0,    0, 0, 1,    0,
					    0xa2, 0xa9, 0xc3, 0x50, 0, 0, 0x1c, 0x20 };

	pump();
	hear(address, sizeof address);
	now = mono_add(now, SPAN_MS(250));
	node_tick(n, now, WALL_ZERO);
	pump();
	ck_assert_uint_eq(sends, 1);
	hear(mapped, sizeof mapped);
}

static const char *endpoint(size_t i)
{
	static char text[IPPORT_TEXT];
	struct ipport v[NODE_ENDPOINTS_MAX];
	size_t count = node_endpoints(n, v, NODE_ENDPOINTS_MAX);

	return i < count ? ipport_text(&v[i], text) : "";
}

TEST(a_mapped_port_is_the_first_endpoint)
{
	struct node_portmap pm;

	setup(true);
	ck_assert_str_eq(endpoint(0), "192.168.1.7:41641");
	map_by_pmp();
	ck_assert_str_eq(endpoint(0), "203.0.113.9:50000");
	ck_assert_str_eq(endpoint(1), "192.168.1.7:41641");
	node_portmap(n, now, &pm);
	ck_assert(pm.is_on);
	ck_assert_int_eq(pm.pmp, 1);
	ck_assert_int_eq(pm.upnp, 0);
	node_free(n);
}

TEST(without_the_switch_nothing_is_asked)
{
	struct node_portmap pm;

	setup(false);
	pump();
	ck_assert_uint_eq(sends + requests, 0);
	node_portmap(n, now, &pm);
	ck_assert(!pm.is_on);
	ck_assert_int_eq(pm.pmp, -1);
	ck_assert(!node_gateway_leave(n, now));
	node_free(n);
}

TEST(who_leaves_gives_the_port_back_first)
{
	setup(true);
	map_by_pmp();
	left = false;
	ck_assert(node_gateway_leave(n, now));
	pump();
	ck_assert_uint_eq(sends, 1);
	ck_bytes_eq(last + 6, "\0\0\0\0\0\0", 6);
	ck_assert(left);
	ck_assert_str_eq(endpoint(0), "192.168.1.7:41641");
	node_set_addresses(n, now, &own, 1, port + 1, 0); /* nothing new after that */
	pump();
	ck_assert_uint_eq(sends, 0);
	node_free(n);
}

TEST(a_node_that_is_down_holds_no_port)
{
	setup(true);
	map_by_pmp();
	node_set_running(n, now, WALL_ZERO, false);
	pump();
	ck_assert_uint_eq(sends, 1);
	ck_bytes_eq(last + 6, "\0\0\0\0\0\0", 6);
	node_set_running(n, now, WALL_ZERO, true);
	pump();
	ck_assert_uint_eq(sends, 2); /* probes */
	node_free(n);
}
