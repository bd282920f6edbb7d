/* node/endpoints_test.c - own endpoints: which are offered, in which order */
#include "node/node.h"

#include "tests/harness.h"

static struct seed_rng rng;
static struct node *n;
static mono_t now;

static void setup(bool derp_only)
{
	struct node_conf conf = { .rng = &rng.rng,
				  .control_url = "http://127.0.0.1:9",
				  .derp_only = derp_only };
	struct ip own = ip_v4(192, 168, 1, 7);
	struct err e = { 0 };

	seed_rng_init(&rng, 1);
	key_gen(&conf.machine, &rng.rng);
	key_gen(&conf.node, &rng.rng);
	key_gen(&conf.disco, &rng.rng);
	n = node_new(&conf, &e);
	ck_assert_msg(n != NULL, "%s", e.text);
	now = (mono_t){ 100 * NS_PER_S };
	node_set_addresses(n, now, &own, 1, 41641, 0);
}

static struct ipport at(const char *text)
{
	struct ipport a;

	ck_assert(ipport_parse(bytes_str(text), &a));
	return a;
}

static void offered(const char *const *want, size_t count)
{
	struct ipport v[NODE_ENDPOINTS_MAX];
	char text[IPPORT_TEXT];

	ck_assert_uint_eq(node_endpoints(n, v, NODE_ENDPOINTS_MAX), count);
	for (size_t i = 0; i < count; i++)
		ck_assert_str_eq(ipport_text(&v[i], text), want[i]);
}

TEST(static_endpoints_come_before_local_ones_and_take_the_place_of_those_before)
{
	const struct ipport first[] = { at("203.0.113.9:4500"), at("[2001:db8::9]:4500") },
			    second[] = { at("192.168.1.7:41641"), at("203.0.113.9:4501") };

	setup(false);
	offered((const char *[]){ "192.168.1.7:41641" }, 1);
	node_set_static_endpoints(n, now, first, 2);
	offered((const char *[]){ "203.0.113.9:4500", "[2001:db8::9]:4500", "192.168.1.7:41641" },
		3);
	node_set_static_endpoints(n, now, second, 2); /* one of them is ours anyway */
	offered((const char *[]){ "192.168.1.7:41641", "203.0.113.9:4501" }, 2);
	node_set_static_endpoints(n, now, NULL, 0);
	offered((const char *[]){ "192.168.1.7:41641" }, 1);
	node_free(n);
}

TEST(static_endpoints_are_bounded)
{
	struct ipport many[NODE_STATIC_MAX + 5], v[NODE_ENDPOINTS_MAX];

	setup(false);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		many[i] = at("203.0.113.9:1");
		many[i].port = (uint16_t)(i + 1);
	}
	node_set_static_endpoints(n, now, many, ARRAY_LEN(many));
	ck_assert_uint_eq(node_endpoints(n, v, NODE_ENDPOINTS_MAX), NODE_STATIC_MAX + 1);
	node_free(n);
}

TEST(a_node_that_never_uses_udp_offers_no_static_endpoint)
{
	const struct ipport one = at("203.0.113.9:4500");

	setup(true);
	node_set_static_endpoints(n, now, &one, 1);
	offered(NULL, 0);
	node_free(n);
}
