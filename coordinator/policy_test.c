/* coordinator/policy_test.c */
#include "coordinator/policy.h"

#include <errno.h>

#include "model/filter.h"
#include "tests/harness.h"

#include <stdlib.h>

/* alice's laptop and server, bob's laptop, a tagged web server, a router of 10.1.0.0/16 */
enum { LAPTOP, SERVER, BOB, WEB, ROUTER, N };
static struct ipprefix route = { { { [10] = 0xff, [11] = 0xff, 10, 1 } }, 112 };
static const char web_tags[][POLICY_TAG_MAX] = { "tag:web" };
static const char router_tags[][POLICY_TAG_MAX] = { "tag:router" };
static struct policy_node nodes[N];

static void make_nodes(void)
{
	for (int i = 0; i < N; i++) {
		nodes[i] =
		    (struct policy_node){ .id = i + 1, .v4 = ip_v4(100, 64, 0, (uint8_t)(i + 1)) };
		nodes[i].v6 =
		    (struct ip){ { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = (uint8_t)(i + 1) } };
		nodes[i].user = "";
	}
	nodes[LAPTOP].user = nodes[SERVER].user = "alice";
	nodes[LAPTOP].owner = nodes[SERVER].owner = 1;
	nodes[BOB].user = "bob";
	nodes[BOB].owner = 2;
	nodes[WEB].tags = web_tags;
	nodes[WEB].n_tags = 1;
	nodes[ROUTER].tags = router_tags;
	nodes[ROUTER].n_tags = 1;
	nodes[ROUTER].routes = &route;
	nodes[ROUTER].n_routes = 1;
}

static struct policy *load(const char *text)
{
	struct err e = { 0 };
	struct policy *p = policy_parse(bytes_str(text), &e);

	ck_assert_msg(p != NULL, "%s", e.text);
	make_nodes();
	ck_assert_int_eq(policy_prepare(p, nodes, N), 0);
	return p;
}

static void refused(const char *text, const char *words)
{
	struct err e = { 0 };

	ck_assert_ptr_null(policy_parse(bytes_str(text), &e));
	ck_assert_msg(strstr(e.text, words) != NULL, "'%s' lacks '%s'", e.text, words);
}

/* The verdict of the real filter on a TCP SYN (or UDP) from one node to an address, under the rules
 * compiled for self */
static bool passes(struct policy *p, int src, int self, const struct ip *dst, uint16_t port,
		   uint8_t proto)
{
	struct filter *f = filter_new(64);
	struct ipprefix local[3] = { ipprefix_of(&nodes[self].v4, 128),
				     ipprefix_of(&nodes[self].v6, 128), route };
	uint8_t pkt[40] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, proto };
	struct buf rules;
	struct bytes v;
	struct packet facts;
	enum filter_verdict verdict;

	buf_init(&rules, 1 << 20);
	ck_assert_int_eq(policy_filter_emit(p, (size_t)self, &rules), 0);
	v = buf_bytes(&rules);
	ck_assert_int_eq(filter_set_rules(f, &v, 1, NULL, NULL), 0);
	ck_assert_int_eq(filter_set_local(f, local, 3, NULL, 0), 0);
	memcpy(pkt + 12, nodes[src].v4.b + 12, 4);
	memcpy(pkt + 16, dst->b + 12, 4);
	pkt[22] = (uint8_t)(port >> 8);
	pkt[23] = (uint8_t)port;
	pkt[32] = 0x50;
	pkt[33] = TCP_SYN;
	if (proto == PROTO_UDP) {
		pkt[24] = 0;
		pkt[25] = 20;
	}
	verdict = filter_in(f, (mono_t){ 1 }, pkt, sizeof pkt, false, &facts);
	buf_fini(&rules);
	filter_free(f);
	return verdict == FILTER_ACCEPT;
}

static bool tcp(struct policy *p, int src, int dst, uint16_t port)
{
	return passes(p, src, dst, &nodes[dst].v4, port, PROTO_TCP);
}

TEST(no_policy_lets_everybody_reach_everybody)
{
	make_nodes();
	ck_assert(tcp(NULL, BOB, WEB, 80));
	ck_assert(policy_sees(NULL, BOB, WEB));
}

TEST(a_source_of_all_ipv6_takes_nothing_from_one_of_ipv4)
{
	struct policy *p = load("{ \"acls\": [{\"action\":\"accept\",\"src\":[\"::/0\", "
				"\"100.64.0.0/24\"],\"dst\":[\"*:80\"]}] }");

	ck_assert(tcp(p, BOB, WEB, 80));
	policy_free(p);
	p = load("{ \"acls\": [{\"action\":\"accept\",\"src\":[\"::/0\"],"
		 "\"dst\":[\"*:80\"]}] }");
	ck_assert(!tcp(p, BOB, WEB, 80));
	policy_free(p);
}

TEST(a_rule_opens_its_port_for_its_source_and_nothing_else)
{
	struct policy *p = load("{ \"tagOwners\": {\"tag:web\": [\"alice@\"]},\n"
				"\"acls\": "
				"[{\"action\":\"accept\",\"src\":[\"bob@\"],\"dst\":[\"tag:web:80,"
				"443,8000-8010\"]}] }");

	ck_assert(tcp(p, BOB, WEB, 80));
	ck_assert(tcp(p, BOB, WEB, 8005));
	ck_assert(!tcp(p, BOB, WEB, 81));
	ck_assert(!tcp(p, LAPTOP, WEB, 80));
	ck_assert(!tcp(p, WEB, BOB, 80));
	ck_assert(policy_sees(p, BOB, WEB) && policy_sees(p, WEB, BOB));
	ck_assert(!policy_sees(p, LAPTOP, WEB));
	policy_free(p);
}

TEST(groups_hosts_and_protocols_mean_what_they_say)
{
	struct policy *p =
	    load("{\"groups\":{\"group:dev\":[\"alice@\"]},\"hosts\":{\"bobs\":\"100.64.0.3/32\"},"
		 "\"acls\":[{\"action\":\"accept\",\"proto\":\"udp\",\"src\":[\"group:dev\"],"
		 "\"dst\":[\"bobs:53\"]}]}");

	ck_assert(passes(p, LAPTOP, BOB, &nodes[BOB].v4, 53, PROTO_UDP));
	ck_assert(!tcp(p, LAPTOP, BOB, 53));
	ck_assert(!passes(p, WEB, BOB, &nodes[BOB].v4, 53, PROTO_UDP));
	policy_free(p);
}

TEST(autogroup_self_is_the_same_users_untagged_devices)
{
	struct policy *p = load("{\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
				"\"dst\":[\"autogroup:self:*\"]}]}");

	ck_assert(tcp(p, LAPTOP, SERVER, 22));
	ck_assert(!tcp(p, BOB, SERVER, 22));
	ck_assert(!tcp(p, WEB, SERVER, 22));
	ck_assert(policy_sees(p, LAPTOP, SERVER));
	ck_assert(!policy_sees(p, LAPTOP, BOB));
	policy_free(p);
}

TEST(a_routed_network_is_reached_through_its_router)
{
	struct policy *p = load("{\"acls\":[{\"action\":\"accept\",\"src\":[\"alice@\"],\"dst\":["
				"\"10.1.2.0/24:443\"]}]}");
	const struct ip inside = ip_v4(10, 1, 2, 9), outside = ip_v4(10, 1, 3, 9);

	ck_assert(passes(p, LAPTOP, ROUTER, &inside, 443, PROTO_TCP));
	ck_assert(!passes(p, LAPTOP, ROUTER, &outside, 443, PROTO_TCP));
	ck_assert(policy_sees(p, LAPTOP, ROUTER));
	ck_assert(!policy_sees(p, BOB, ROUTER));
	policy_free(p);
}

TEST(grants_give_ports_and_capabilities)
{
	struct policy *p = load("{\"tagOwners\":{\"tag:web\":[]},\"grants\":[{\"src\":[\"alice@\"],"
				"\"dst\":[\"tag:web\"],"
				"\"ip\":[\"tcp:443\",\"udp:53\"],\"app\":{\"example.com/"
				"cap\":[{\"role\":\"admin\"}]}}]}");
	struct buf out;

	ck_assert(tcp(p, LAPTOP, WEB, 443));
	ck_assert(!tcp(p, LAPTOP, WEB, 53));
	ck_assert(passes(p, LAPTOP, WEB, &nodes[WEB].v4, 53, PROTO_UDP));
	buf_init(&out, 65536);
	ck_assert_int_eq(policy_filter_emit(p, WEB, &out), 0);
	ck_assert(buf_append(&out, "", 1));
	ck_assert_ptr_nonnull(
	    strstr((char *)out.data, "\"CapMap\":{\"example.com/cap\":[{\"role\":\"admin\"}]}"));
	buf_fini(&out);
	policy_free(p);
}

TEST(comments_and_trailing_commas_are_allowed)
{
	policy_free(
	    load("// head\n{ /* a */ \"acls\": [ "
		 "{\"action\":\"accept\",\"src\":[\"*\",],\"dst\":[\"*:*\"],}, ], } // tail"));
}

TEST(faults_are_named_with_line_and_column)
{
	refused("{\n \"acls\": [\n  {\"action\":\"drop\"}]}", "line 3");
	refused("{\"acsl\":[]}", "acsl");
	refused("{\"acls\":[{\"action\":\"accept\",\"src\":[\"group:x\"],\"dst\":[\"*:*\"]}]}",
		"group:x");
	refused("{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*\"]}]}",
		"name:ports");
	refused("{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:99999\"]}]}",
		"name:ports");
	refused("{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:80,\"]}]}",
		"not of the form");
	refused("{\"groups\":{\"dev\":[]}}", "group:");
	refused("{\"groups\":{\"group:a\":[\"group:b\"]}}", "users");
	refused("{ \"acls\": [ ", "line 1");
	refused("{ /* ", "does not end");
	refused("[]", "object");
}

/* In these texts ~ marks where the fault is to be told, and is not part of them. */
static const struct {
	const char *text, *words;
} faults[] = {
	/* the text */
	{ "{ ~/* ", "does not end" },
	{ "~[]", "a policy is an object" },
	{ "{\"groups\": {\"group:a\": [\n ~\"a@\" \"b@\"]}}", "malformed" },
	{ "{\"acls\": [ ~7]}", "malformed" },
	{ "{\"acls\": [{\"action\": \"accept\", \"src\": [\n ~\"*\" \"a@\"]}]}", "malformed" },
	{ "{ ~\"hosts\": {}, \"groups\" 1}", "malformed" },
	{ "{ ~\"acsl\": []}", "no section is called" },
	/* sections */
	{ "{\"groups\": { ~\"dev\": []}}", "names here begin with group:" },
	{ "{\"groups\": {\"group:a\":\n ~\"x\"}}", "a list of names" },
	{ "{\"groups\": {\"group:a\": [\"a@\",\n\t~7]}}", "a text of at most" },
	{ "{\"groups\": {\"group:a\": [\"a@\",\n ~\"group:b\", \"c@\"]}}", "is not a user" },
	{ "{\"tagOwners\": {\"tag:a\": [],\n ~\"tag:1\": []}}", "tags begin with a letter" },
	{ "{\"tagOwners\": {\"tag:a\": [],\n \"tag:b\": [\"a@\", ~\"group:x\"]}}",
	  "is not defined" },
	{ "{\"hosts\": {\"a\": \"1.2.3.4\", \"h\": ~\"1.2.3\"}}", "not an address" },
	{ "{\"autoApprovers\": { ~\"route\": {}}}", "autoApprovers has" },
	{ "{\"autoApprovers\": {\"routes\": {\"10.0.0.0/8\": [],\n ~\"x\": [] },\n"
	  "\"exitNode\": []}}",
	  "is not a route" },
	{ "{\"autoApprovers\": {\"routes\": {\"10.0.0.0/8\": [\"a@\",\n ~\"tag:x\"]}}}",
	  "is not defined" },
	{ "{\"autoApprovers\": {\"exitNode\": [\"a@\",\n ~\"tag:x\"]}}", "is not defined" },
	{ "{\"nodeAttrs\": [{\"target\": [\"*\"]}, { ~\"app\": {}}]}", "nodeAttrs entries" },
	{ "{\"nodeAttrs\": [{\"target\": [\"*\"], \"attr\": []},\n"
	  " {\"target\": [\"a@\", ~\"tag:x\"], \"attr\": []}]}",
	  "is not defined" },
	/* rules */
	{ "{\"acls\": ~7}", "a list is wanted" },
	{ "{\"acls\": [{\"action\": ~\"drop\"}]}", "the action of a rule" },
	{ "{\"acls\": [{ ~\"source\": []}]}", "a rule has" },
	{ "{\"acls\": [{\"action\": \"accept\"},\n  ~{\"src\": [\"*\"]}]}", "needs an action" },
	{ "{\"acls\": [{\"proto\": ~\"088\"}]}", "is not a protocol" },
	{ "{\"acls\": [{\"dst\": ~\"*:*\"}]}", "a list of destinations" },
	{ "{\"acls\": [{\"dst\": [\"*:*\", ~\"*\"]}]}", "name:ports" },
	{ "{\"acls\": [{\"action\": \"accept\", \"src\": [\"*\",\n ~\"group:x\"],"
	  "\"dst\": [\"*:*\"]}]}",
	  "is not defined" },
	{ "{\"acls\": [{\"action\": \"accept\", \"src\": [\"*\", ~\"autogroup:self\"],"
	  "\"dst\": [\"*:*\"]}]}",
	  "only be a destination" },
	{ "{\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"],"
	  "\"dst\": [\"*:*\",\n ~\"tag:x:1\"]}]}",
	  "is not defined" },
	{ "{\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"],"
	  "\"dst\": [\"*:*\",\n ~\"autogroup:danger-all:*\"]}]}",
	  "cannot be a destination" },
	{ "{\"tagOwners\": {\"tag:a\": []},\"acls\": [{\"action\": \"accept\","
	  "\"src\": [\"a@\", ~\"tag:a\"], \"dst\": [\"autogroup:self:*\"]}]}",
	  "autogroup:self is for" },
	{ "{\"acls\": [{\"action\": \"accept\", \"proto\": \"icmp\", \"src\": [\"*\"],"
	  "\"dst\": [\"*:*\", ~\"*:80\"]}]}",
	  "no ports" },
	{ "{\"grants\": [{ ~\"action\": 1}]}", "a grant has" },
	{ "{\"grants\": [ ~{\"src\": [\"*\"], \"dst\": [\"*\"]}]}", "one of ip and app" },
	{ "{\"grants\": [{\"via\": [\"tag:a\", ~\"a@\"]}]}", "via names tags" },
	{ "{\"grants\": [{\"src\": [\"*\"], \"dst\": [\"*\"], \"ip\": [\"*\"],"
	  "\"via\": [ ~\"tag:x\"]}]}",
	  "is not defined" },
	{ "{\"grants\": [{\"ip\": [\"*\", ~\"tpc:1\"], \"src\": [\"*\"], \"dst\": [\"*\"]}]}",
	  "protocol:ports" },
	{ "{\"grants\": [{\"ip\": [\"*\", ~\"tcp:0\"], \"src\": [\"*\"], \"dst\": [\"*\"]}]}",
	  "no usable ports" },
	{ "{\"grants\": [{\"src\": [\"*\"], \"dst\": [\"*\"], \"app\": {\"a.b/c\": [],\n"
	  " ~\"https://a.b/c\": []}}]}",
	  "is not a capability" },
	{ "{\"grants\": [{\"src\": [\"*\"], \"dst\": [\"*\", ~\"0.0.0.0/0\"],"
	  "\"ip\": [\"*\"]}]}",
	  "to reach all addresses" },
	{ "{\"grants\": [{\"src\": [\"*\"], \"dst\": [\"*\", ~\"autogroup:internet\"],"
	  "\"app\": {\"a.b/c\": []}}]}",
	  "no capabilities" },
	{ "{\"grants\": [{\"src\": [\"*\", ~\"group:x\"], \"dst\": [\"*\"],"
	  "\"ip\": [\"1\", \"2\"]}]}",
	  "is not defined" },
	/* tests */
	{ "{\"tests\": [{ ~\"dst\": 1}]}", "a test has" },
	{ "{\"tests\": [\n ~{\"src\": \"a@\"}]}", "a test needs" },
	{ "{\"tests\": [{\"src\": ~\"tag:x\", \"deny\": [\"b@:1\"]}]}", "is not defined" },
	{ "{\"tests\": [{\"src\": \"a@\", \"proto\": ~\"icmp\", \"deny\": [\"b@:1\"]}]}",
	  "tests are of" },
	{ "{\"tests\": [{\"src\": \"a@\", \"accept\": [ ~\"tag:x:1\"]}]}", "is not defined" },
	{ "{\"tests\": [{\"src\": \"a@\", \"deny\": [\"b@:1\", ~\"b@:1-2\"]}]}", "one port" },
	{ "{\"tests\": [{\"src\": \"a@\", \"deny\": [ ~\"autogroup:internet:1\"]}]}",
	  "no destination of a test" },
	{ "{\"tests\": [{\"src\": \"a@\", \"deny\": [ ~\"10.0.0.0/8:1\"]}]}", "one address" },
	/* ssh */
	{ "{\"ssh\": [{\"action\": ~\"drop\"}]}", "the action of an ssh rule" },
	{ "{\"ssh\": [{ ~\"user\": []}]}", "an ssh rule has" },
	{ "{\"ssh\": [ ~{\"src\": [\"a@\"]}]}", "an ssh rule needs an action" },
	{ "{\"ssh\": [{\"checkPeriod\": ~\"soon\"}]}", "is not a duration" },
	{ "{\"ssh\": [{\"checkPeriod\": ~\"169h\"}]}", "168h at most" },
	{ "{\"ssh\": [{\"action\": \"accept\", \"src\": [\"a@\", ~\"tag:x\"]}]}",
	  "is not defined" },
	{ "{\"ssh\": [{\"action\": \"accept\", \"src\": [\"a@\", ~\"*\"]}]}", "no source of ssh" },
	{ "{\"ssh\": [{\"action\": \"accept\", \"src\": [\"a@\"], \"dst\": [ ~\"tag:x\"]}]}",
	  "is not defined" },
	{ "{\"ssh\": [{\"action\": \"accept\", \"src\": [\"a@\"], \"dst\": [ ~\"*\"]}]}",
	  "no destination of ssh" },
	{ "{\"ssh\": [{\"action\": \"accept\", \"src\": [\"a@\"], \"dst\": [\"a@\", ~\"b@\"]}]}",
	  "for that user alone" },
	{ "{\"ssh\": [{\"action\": \"accept\", \"src\": [\"autogroup:tagged\"],"
	  "\"dst\": [ ~\"autogroup:member\"]}]}",
	  "tagged devices cannot" },
	{ "{\"ssh\": [{\"action\": \"accept\", \"users\": [\"root\", ~\"*\"]}]}",
	  "not a user to log in as" },
	{ "{\"ssh\": [ ~{\"action\": \"accept\", \"src\": []}]}", "needs users" },
	{ "{\"ssh\": [{\"action\": \"accept\", \"users\": [\"u\"], \"acceptEnv\": [\"A\", "
	  "~\"\"]}]}",
	  "empty name" },
	{ "{\"ssh\": [{\"action\": \"accept\", \"users\": [\"u\"], \"checkPeriod\": ~\"1h\"}]}",
	  "belongs to the action check" },
	/* its own tests, run */
	{ "{\"acls\": [], \"tests\": [{\"src\": \"alice@\", \"deny\": [\"bob@:22\"],\n"
	  " \"accept\": [ ~\"bob@:23\"]}]}",
	  "denied but shall be accepted" },
};

/* What is left without the mark, behind a line of comment; where the mark was, as it is told */
static void unmark(const char *text, char *plain, size_t cap, char *place, size_t place_cap)
{
	const char *mark = strchr(text, '~');
	unsigned line = 2, column = 1;

	ck_assert_ptr_nonnull(mark);
	for (const char *s = text; s < mark; s++) {
		column = *s == '\n' ? 1 : column + 1;
		line += *s == '\n';
	}
	ck_assert_uint_lt((size_t)snprintf(plain, cap, "// first line\n%.*s%s", (int)(mark - text),
					   text, mark + 1),
			  cap);
	snprintf(place, place_cap, "policy: line %u, column %u: ", line, column);
}

TEST(every_fault_is_told_where_its_key_or_value_stands)
{
	make_nodes();
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		char plain[512], place[64];
		struct err e = { 0 };
		struct policy *p;

		unmark(faults[i].text, plain, sizeof plain, place, sizeof place);
		p = policy_parse(bytes_str(plain), &e);
		if (p)
			ck_assert_msg(policy_test(p, nodes, N, &e) == -EINVAL, "%s is taken",
				      plain);
		policy_free(p);
		ck_assert_msg(strncmp(e.text, place, strlen(place)) == 0, "%s: '%s', not at '%s'",
			      plain, e.text, place);
		ck_assert_msg(strstr(e.text, faults[i].words) != NULL, "%s: '%s' lacks '%s'", plain,
			      e.text, faults[i].words);
	}
}

/* One entry a line, the first on line 2; # is a number, in keys another each time */
static const struct {
	const char *before, *entry, *after, *words;
	int limit;
} limits[] = {
	{ "{\"groups\":{", "\"group:a#\":[]", "}}", "too many entries (limit 10000)", 10000 },
	{ "{\"groups\":{\"group:a\":[", "\"u#@\"", "]}}", "too many entries (limit 10000)", 10000 },
	{ "{\"hosts\":{", "\"h#\":\"10.0.0.1\"", "}}", "too many entries (limit 10000)", 10000 },
	{ "{\"tagOwners\":{", "\"tag:a#\":[]", "}}", "too many entries (limit 10000)", 10000 },
	{ "{\"acls\":[", "{\"action\":\"accept\",\"src\":[],\"dst\":[]}", "]}",
	  "too many rules (limit 10000)", 10000 },
	{ "{\"acls\":[{\"action\":\"accept\",\"src\":[", "\"10.0.0.#\"", "],\"dst\":[\"*:*\"]}]}",
	  "too many entries (limit 10000)", 10000 },
	{ "{\"acls\":[{\"action\":\"accept\",\"src\":[],\"dst\":[", "\"a:#\"", "]}]}",
	  "too many entries (limit 10000)", 10000 },
	{ "{\"grants\":[{\"src\":[],\"dst\":[\"*\"],\"ip\":[", "\"#\"", "]}]}",
	  "too many entries (limit 10000)", 10000 },
	{ "{\"tests\":[", "{\"src\":\"a@\",\"deny\":[\"*:1\"]}", "]}",
	  "too many entries (limit 10000)", 10000 },
	{ "{\"ssh\":[", "{\"action\":\"accept\",\"src\":[],\"dst\":[],\"users\":[\"u\"]}", "]}",
	  "too many entries (limit 10000)", 10000 },
	{ "{\"nodeAttrs\":[", "{\"target\":[],\"attr\":[]}", "]}", "too many entries (limit 10000)",
	  10000 },
};

static bool put_entry(struct buf *b, const char *entry, int k)
{
	const char *mark = strchr(entry, '#');

	if (!mark)
		return buf_printf(b, "%s", entry);
	return buf_printf(b, "%.*s%d%s", (int)(mark - entry), entry,
			  strstr(mark, "\":") ? k : k % 250 + 1, mark + 1);
}

TEST(what_is_beyond_a_limit_is_told_where_the_first_of_it_stands)
{
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		for (int more = 0; more < 2; more++) {
			char place[64];
			struct err e = { 0 };
			struct policy *p;
			struct buf b;

			buf_init(&b, POLICY_TEXT_MAX);
			ck_assert(buf_printf(&b, "%s", limits[i].before));
			for (int k = 0; k < limits[i].limit + more; k++) {
				ck_assert(buf_printf(&b, "%s\n", k ? "," : ""));
				ck_assert(put_entry(&b, limits[i].entry, k));
			}
			ck_assert(buf_printf(&b, "%s", limits[i].after));
			p = policy_parse(buf_bytes(&b), &e);
			buf_fini(&b);
			if (!more) {
				ck_assert_msg(p || !strstr(e.text, "too many"), "%zu: %s", i,
					      e.text);
				policy_free(p);
				continue;
			}
			ck_assert_msg(!p, "%zu is taken", i);
			snprintf(place, sizeof place,
				 "policy: line %d, column 1: ", limits[i].limit + 2);
			ck_assert_msg(strncmp(e.text, place, strlen(place)) == 0 &&
					  strstr(e.text, limits[i].words),
				      "%zu: '%s', not '%s%s'", i, e.text, place, limits[i].words);
		}
}

TEST(ports_and_texts_beyond_their_limits_are_told_with_their_place)
{
	char text[1024], ports[512] = "1", name[300];
	struct err e = { 0 };

	for (int k = 2; k <= 65; k++)
		snprintf(ports + strlen(ports), sizeof ports - strlen(ports), ",%d", k);
	snprintf(text, sizeof text, "{\"acls\":[{\"dst\":[\n  \"a:%s\"]}]}", ports);
	ck_assert_ptr_null(policy_parse(bytes_str(text), &e));
	ck_assert_msg(strncmp(e.text, "policy: line 2, column 3: ", 26) == 0 &&
			  strstr(e.text, "64 port ranges") != NULL,
		      "%s", e.text);
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = 0;
	snprintf(text, sizeof text, "{\"groups\":{\"group:a\":[\n \"%s\"]}}", name);
	ck_assert_ptr_null(policy_parse(bytes_str(text), &e));
	ck_assert_msg(strncmp(e.text, "policy: line 2, column 2: ", 26) == 0 &&
			  strstr(e.text, "256 bytes") != NULL,
		      "%s", e.text);
}

TEST(cut_at_each_byte_a_policy_is_refused_and_nothing_leaks)
{
	const char *text = "{\"groups\":{\"group:d\":[\"a@\"]},\"hosts\":{\"h\":\"1.2.3.4\"},"
			   "\"acls\":[{\"action\":\"accept\",\"proto\":\"tcp\","
			   "\"src\":[\"group:d\"],\"dst\":[\"h:80\"]}],\"tests\":[{\"src\":\"a@\","
			   "\"accept\":[\"h:80\"]}]}";
	struct err e;

	for (size_t n = 0; n < strlen(text); n++)
		ck_assert_ptr_null(policy_parse(bytes_of(text, n), &e));
	policy_free(load(text));
}

TEST(a_policys_own_tests_judge_it)
{
	struct err e = { 0 };
	const char *rules = "{\"acls\":[{\"action\":\"accept\",\"src\":[\"alice@\"],\"dst\":[\"bob@"
			    ":22\"]}],\"tests\":[{\"src\":\"alice@\",";
	char text[512];
	struct policy *p;

	snprintf(text, sizeof text, "%s\"accept\":[\"bob@:22\"],\"deny\":[\"bob@:23\"]}]}", rules);
	p = load(text);
	ck_assert_int_eq(policy_test(p, nodes, N, &e), 0);
	policy_free(p);
	snprintf(text, sizeof text, "%s\"accept\":[\"bob@:23\"]}]}", rules);
	p = load(text);
	ck_assert_int_eq(policy_test(p, nodes, N, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "bob@:23 is denied"));
	policy_free(p);
}

static int by_names(const char *rule, const char *test, struct policy_judged *j, struct err *e)
{
	char text[1024];
	struct policy *p;
	int ret;

	snprintf(
	    text, sizeof text,
	    "{\"groups\":{\"group:dev\":[\"bob@\",\"carol@\"],\"group:none\":[]},\"tagOwners\":{"
	    "\"tag:web\":[]},\"hosts\":{\"first\":\"100.64.0.1\",\"lan\":\"10.1.2.3\"},"
	    "\"acls\":[{\"action\":\"accept\",%s}],\n\"tests\":[{%s}]}",
	    rule, test);
	p = policy_parse(bytes_str(text), e);
	ck_assert_msg(p != NULL, "%s", e->text);
	ret = policy_test_names(p, j, e);
	policy_free(p);
	return ret;
}

TEST(without_nodes_tests_are_judged_by_names_and_addresses_are_left_open)
{
	static const struct {
		const char *rule, *test;
		int ret;
		size_t held, open;
	} v[] = {
		{ "\"src\":[\"group:dev\"],\"dst\":[\"tag:web:80\"]",
		  "\"src\":\"bob@\",\"accept\":[\"tag:web:80\"],\"deny\":[\"tag:web:81\"]", 0, 2,
		  0 },
		{ "\"src\":[\"group:dev\"],\"dst\":[\"tag:web:80\"]",
		  "\"src\":\"alice@\",\"accept\":[\"tag:web:80\"]", -EINVAL, 1, 0 },
		{ "\"src\":[\"bob@\"],\"dst\":[\"tag:web:80\"]", /* all of a group, or nothing */
		  "\"src\":\"group:dev\",\"accept\":[\"tag:web:80\"]", -EINVAL, 1, 0 },
		{ "\"src\":[\"*\"],\"dst\":[\"*:*\"]", "\"src\":\"alice@\",\"deny\":[\"bob@:22\"]",
		  -EINVAL, 1, 0 },
		{ "\"src\":[\"alice@\"],\"dst\":[\"lan:22\"]",
		  "\"src\":\"alice@\",\"accept\":[\"lan:22\"],\"deny\":[\"lan:23\"]", 0, 2, 0 },
		/* whose address may it be? */
		{ "\"src\":[\"first\"],\"dst\":[\"tag:web:80\"]",
		  "\"src\":\"alice@\",\"accept\":[\"tag:web:80\"]", 0, 0, 1 },
		{ "\"src\":[\"alice@\"],\"dst\":[\"tag:web:80\"]",
		  "\"src\":\"first\",\"accept\":[\"tag:web:80\"]", 0, 0, 1 },
		{ "\"src\":[\"first\"],\"dst\":[\"tag:web:80\"]",
		  "\"src\":\"first\",\"accept\":[\"tag:web:80\"],\"deny\":[\"tag:web:81\"]", 0, 1,
		  1 },
		{ "\"src\":[\"*\"],\"dst\":[\"*:*\"]",
		  "\"src\":\"group:none\",\"accept\":[\"tag:web:80\"]", 0, 0, 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct policy_judged j;
		struct err e = { 0 };
		int ret = by_names(v[i].rule, v[i].test, &j, &e);

		ck_assert_msg(ret == v[i].ret, "%zu: %d %s", i, ret, e.text);
		ck_assert_msg(j.held == v[i].held && j.open == v[i].open, "%zu: %zu held, %zu open",
			      i, j.held, j.open);
		ck_assert(ret == 0 || strstr(e.text, "line 2, column"));
		ck_assert(j.open == 0 || j.first_open == 2);
	}
}

TEST(without_rules_all_is_allowed_and_with_none_nothing)
{
	struct policy *p = load("{\"groups\":{}}");

	ck_assert(tcp(p, BOB, WEB, 80));
	ck_assert(policy_sees(p, BOB, WEB));
	policy_free(p);
	p = load("{\"acls\":[]}");
	ck_assert(!tcp(p, BOB, WEB, 80));
	ck_assert(!policy_sees(p, BOB, WEB));
	policy_free(p);
}

TEST(what_may_not_stand_where_is_refused)
{
	static const struct {
		const char *text, *words;
	} v[] = {
		{ "{\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:internet\"],\"dst\":[\"*:"
		  "*\"]}]}",
		  "destination" },
		{ "{\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:self\"],\"dst\":[\"*:*\"]"
		  "}]}",
		  "destination" },
		{ "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"autogroup:danger-"
		  "all:*\"]}]}",
		  "cannot be a destination" },
		{ "{\"tagOwners\":{\"tag:a\":[]},\"acls\":[{\"action\":\"accept\",\"src\":[\"tag:"
		  "a\"],\"dst\":["
		  "\"autogroup:self:*\"]}]}",
		  "autogroup:self" },
		{ "{\"acls\":[{\"action\":\"accept\",\"proto\":\"icmp\",\"src\":[\"*\"],\"dst\":["
		  "\"*:80\"]}]}",
		  "no ports" },
		{ "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:0\"]}]}",
		  "name:ports" },
		{ "{\"grants\":[{\"src\":[\"*\"],\"dst\":[\"0.0.0.0/0\"],\"ip\":[\"*\"]}]}",
		  "internet" },
		{ "{\"grants\":[{\"src\":[\"*\"],\"dst\":[\"*\"],\"app\":{\"https://a.b/c\":[]}}]}",
		  "capability" },
		{ "{\"acls\":[{\"action\":\"accept\",\"proto\":\"088\",\"src\":[\"*\"],\"dst\":[\"*"
		  ":"
		  "*\"]}]}",
		  "protocol" },
		{ "{\"acls\":[],\"tests\":[{\"src\":\"a@\"}]}", "accept and deny" },
		{ "{\"acls\":[],\"tests\":[{\"src\":\"a@\",\"deny\":[\"b@:1-2\"]}]}", "one port" },
		{ "{\"acls\":[],\"tests\":[{\"src\":\"a@\",\"deny\":[\"10.0.0.0/8:1\"]}]}",
		  "one address" },
		{ "{\"ssh\":[{\"action\":\"accept\",\"src\":[\"a@\"],\"dst\":[\"*\"],\"users\":["
		  "\"root\"]}]}",
		  "destination of ssh" },
		{ "{\"ssh\":[{\"action\":\"accept\",\"src\":[\"a@\"],\"dst\":[\"b@\"],\"users\":["
		  "\"root\"]}]}",
		  "autogroup:self" },
		{ "{\"tagOwners\":{\"tag:1\":[]}}", "begin with a letter" },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		refused(v[i].text, v[i].words);
}

static void has(struct policy *p, int self, const char *part)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	ck_assert_int_eq(policy_filter_emit(p, (size_t)self, &out), 0);
	ck_assert(buf_append(&out, "", 1));
	ck_assert_msg(strstr((char *)out.data, part), "%s lacks %s", (char *)out.data, part);
	buf_fini(&out);
}

TEST(who_may_use_a_relay_is_told_to_it_too)
{
	struct policy *p = load("{\"grants\":[{\"src\":[\"alice@\"],\"dst\":[\"bob@\"],\"app\":{"
				"\"tailscale.com/cap/relay\":[]}}]}");

	has(p, BOB,
	    "\"SrcIPs\":[\"100.64.0.1-100.64.0.2\",\"fd7a:115c:a1e0::1-fd7a:115c:a1e0::2\"],"
	    "\"CapGrant\":[{\"Dsts\":[\"100.64.0.3/32\",\"fd7a:115c:a1e0::3/128\"],"
	    "\"CapMap\":{\"tailscale.com/cap/relay\":[]}}]");
	has(p, LAPTOP,
	    "\"SrcIPs\":[\"100.64.0.3\",\"fd7a:115c:a1e0::3\"],"
	    "\"CapGrant\":[{\"Dsts\":[\"100.64.0.1/32\",\"fd7a:115c:a1e0::1/128\"],"
	    "\"CapMap\":{\"tailscale.com/cap/relay-target\":null}}]");
	policy_free(p);
}

TEST(a_change_of_one_node_makes_those_filters_stale_that_name_it)
{
	struct policy *p =
	    load("{\"tagOwners\":{\"tag:web\":[],\"tag:router\":[]},\"acls\":[{\"action\":"
		 "\"accept\",\"src\":[\"bob@\"],\"dst\":[\"tag:web:80\"]}]}");

	ck_assert(policy_filter_stale(p, LAPTOP)); /* all of them, after a new policy */
	policy_settle(p);
	ck_assert(!policy_filter_stale(p, WEB));
	nodes[BOB].v4 = ip_v4(100, 64, 0, 77);
	ck_assert_int_eq(policy_update(p, nodes, N, BOB), 0);
	ck_assert(policy_filter_stale(p, WEB) && policy_filter_stale(p, BOB));
	ck_assert(!policy_filter_stale(p, LAPTOP) && !policy_filter_stale(p, ROUTER));
	has(p, WEB, "100.64.0.77");
	policy_settle(p);
	nodes[BOB].id = 0; /* gone */
	ck_assert_int_eq(policy_update(p, nodes, N, BOB), 0);
	ck_assert(policy_filter_stale(p, WEB));
	ck_assert(!policy_sees(p, BOB, WEB));
	ck_assert(!tcp(p, BOB, WEB, 80));
	policy_free(p);
}

TEST(a_filter_is_stale_when_another_target_of_the_same_rule_leads_to_the_node)
{
	static const char both[][POLICY_TAG_MAX] = { "tag:web", "tag:router" };
	struct policy *p =
	    load("{\"tagOwners\":{\"tag:web\":[],\"tag:router\":[]},\"acls\":[{\"action\":"
		 "\"accept\",\"src\":[\"bob@\"],\"dst\":[\"tag:web:80\",\"tag:router:22\"]}]}");

	policy_settle(p);
	ck_assert(!policy_filter_stale(p, WEB));
	nodes[WEB].tags = both;
	nodes[WEB].n_tags = 2;
	ck_assert_int_eq(policy_update(p, nodes, N, WEB), 0);
	ck_assert(policy_filter_stale(p, WEB));
	ck_assert(tcp(p, BOB, WEB, 22));
	policy_free(p);
}

TEST(ssh_rules_lead_to_names_and_to_ones_own)
{
	struct policy *p =
	    load("{\"ssh\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],\"dst\":["
		 "\"autogroup:self\"],\"users\":[\"autogroup:nonroot\",\"pi\"]}]}");
	struct buf out;

	buf_init(&out, 65536);
	ck_assert_int_eq(policy_ssh_emit(p, SERVER, "https://h/x", &out), 0);
	ck_assert(buf_append(&out, "", 1));
	ck_assert_ptr_nonnull(strstr((char *)out.data, "{\"nodeIP\":\"100.64.0.1\"}"));
	ck_assert_ptr_null(strstr((char *)out.data, "100.64.0.3"));
	ck_assert_ptr_nonnull(
	    strstr((char *)out.data, "\"sshUsers\":{\"*\":\"=\",\"root\":\"\",\"pi\":\"pi\"}"));
	buf_fini(&out);
	policy_free(p);
}

TEST(owners_and_approvers_are_asked_by_user_and_tag)
{
	struct policy *p = load("{\"groups\":{\"group:ops\":[\"bob@\"]},\"tagOwners\":{\"tag:web\":"
				"[\"group:ops\"],\"tag:router\":[]},"
				"\"autoApprovers\":{\"routes\":{\"10.0.0.0/"
				"8\":[\"tag:router\"]},\"exitNode\":[\"bob@\"]}}");
	const struct ip other = ip_v4(192, 168, 0, 0);
	const struct ipprefix lan = ipprefix_of(&other, 112), exit4 = { ip_v4(0, 0, 0, 0), 96 };

	ck_assert(policy_tag_allowed(p, "bob", "tag:web"));
	ck_assert(!policy_tag_allowed(p, "alice", "tag:web"));
	ck_assert(!policy_tag_allowed(p, "bob", "tag:nobody"));
	ck_assert(policy_route_approved(p, &nodes[ROUTER], &route));
	ck_assert(!policy_route_approved(p, &nodes[WEB], &route));
	ck_assert(!policy_route_approved(p, &nodes[ROUTER], &lan));
	ck_assert(policy_route_approved(p, &nodes[BOB], &exit4));
	ck_assert(!policy_route_approved(p, &nodes[ROUTER], &exit4));
	policy_free(p);
}

TEST(tags_that_all_own_each_other_are_looked_at_once_each)
{
	enum { TAGS = 24 };
	char text[32768] = "{\"tagOwners\":{";
	struct policy *p;

	for (int i = 0; i < TAGS; i++) {
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"tag:t%d\":[",
			 i ? "," : "", i);
		for (int k = 0; k < TAGS; k++)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"tag:t%d\"",
				 k ? "," : "", k);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s]",
			 i == TAGS - 1 ? ",\"bob@\"" : "");
	}
	snprintf(text + strlen(text), sizeof text - strlen(text), "}}");
	p = load(text);
	ck_assert(policy_tag_allowed(p, "bob", "tag:t0"));
	ck_assert(!policy_tag_allowed(p, "alice", "tag:t0"));
	policy_free(p);
}

TEST(an_owner_may_be_many_tags_away)
{
	enum { TAGS = 100 };
	char text[8192] = "{\"tagOwners\":{";
	struct policy *p;

	for (int i = 0; i < TAGS; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text),
			 "\"tag:t%d\":[\"tag:t%d\"],", i, i + 1);
	snprintf(text + strlen(text), sizeof text - strlen(text), "\"tag:t%d\":[\"bob@\"]}}", TAGS);
	p = load(text);
	ck_assert(policy_tag_allowed(p, "bob", "tag:t0"));
	ck_assert(!policy_tag_allowed(p, "alice", "tag:t0"));
	policy_free(p);
}
