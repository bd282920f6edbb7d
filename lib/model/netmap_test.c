/* model/netmap_test.c - the map stream: every delta form, torn and bad input, expiry; names cite
 * control-protocol.md */
#include "model/netmap.h"

#include "base/json.h"
#include "base/text.h"
#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>

static const wall_t T0 = { INT64_C(1795309200) * NS_PER_S }; /* 2026-11-22T01:00:00Z */

/* --- helpers --- */

static int try_frame(struct netmap *nm, struct bytes text, size_t piece, wall_t now)
{
	struct err e;
	int r = 0;

	netmap_begin(nm);
	while (text.len > 0 && r == 0) {
		size_t n = text.len < piece ? text.len : piece;

		r = netmap_feed(nm, bytes_of(text.data, n));
		text = bytes_of(text.data + n, text.len - n);
	}
	if (r < 0) {
		netmap_abort(nm);
		return r;
	}
	return netmap_end(nm, now, &e);
}

static void frame(struct netmap *nm, const char *text)
{
	int r = try_frame(nm, bytes_str(text), 97, T0);

	ck_assert_msg(r == 0, "frame gave %d: %.200s", r, text);
}

static char *emit(const struct netmap *nm)
{
	struct buf b;

	buf_init(&b, 64 << 20);
	ck_assert_int_eq(netmap_emit(nm, &b), 0);
	return buf_take_str(&b);
}

/* changes of the last frame as text: "S" self, "+3" new peer 3, "~3:c" peer 3 with bits in hex,
 * "-3", ... */
static const char *changes(struct netmap *nm)
{
	static char text[4096];
	struct netmap_change ch;
	size_t n = 0;

	text[0] = 0;
	while (netmap_next_change(nm, &ch)) {
		static const char *const names[] = { "S",      "P",   "-",     "derp",
						     "filter", "dns", "users", "health",
						     "ping",   "url", "exit" };

		if (ch.type == NETMAP_PEER && (ch.what & NETMAP_P_NEW))
			n += (size_t)snprintf(text + n, sizeof text - n, " +%u", ch.peer);
		else if (ch.type == NETMAP_PEER)
			n += (size_t)snprintf(text + n, sizeof text - n, " ~%u:%x", ch.peer,
					      ch.what);
		else if (ch.type == NETMAP_PEER_REMOVED)
			n += (size_t)snprintf(text + n, sizeof text - n, " -%u", ch.peer);
		else
			n += (size_t)snprintf(text + n, sizeof text - n, " %s%.*s", names[ch.type],
					      (int)ch.text.len, (const char *)ch.text.data);
	}
	return text;
}

#define KEY(d) "nodekey:" KEY_DIGITS(d)
#define KEY_DIGITS(d) d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d
#define SELF                                                                                       \
	"\"Node\":{\"ID\":1,\"Name\":\"me.tail.test.\",\"Key\":\"" KEY(                            \
	    "01") "\",\"Addresses\":[\"100.64.0.1/32\"]}"
#define PEER(id, d)                                                                                \
	"{\"ID\":" #id ",\"Name\":\"p" #id                                                         \
	".tail.test.\",\"Key\":\"" KEY(d) "\",\"Addresses\":[\"100.64.0." #id "/32\"]}"

static struct netmap *with_peers(void) /* self, and peers 2 and 3 with numbers 0 and 1 */
{
	struct netmap *nm = netmap_new();

	frame(nm, "{" SELF ",\"Peers\":[" PEER(2, "02") "," PEER(3, "03") "]}");
	ck_assert_str_eq(changes(nm), " +0 +1 S dns health");
	return nm;
}

static const struct netmap_node *by_id(const struct netmap *nm, int64_t id)
{
	for (uint32_t i = 0; i < netmap_peer_limit(nm); i++) {
		const struct netmap_node *n = netmap_peer(nm, i);

		if (n && n->id == id)
			return n;
	}
	return NULL;
}

static struct netmap_stat stat_of(const struct netmap *nm)
{
	struct netmap_stat st;

	netmap_stat(nm, &st);
	return st;
}

/* --- real frames --- */

TEST(netmap_reads_the_first_map_of_headscale_in_pieces_of_any_size)
{
	size_t len, pieces[] = { 1, 7, 1000, 1 << 20 };
	uint8_t *text = harness_file("lib/model/testdata/map-response-first.json", &len);
	char *first = NULL;

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct netmap *nm = netmap_new();
		const struct netmap_node *n;
		const struct netmap_region *r;
		struct ip a = ip_v4(100, 64, 0, 1);
		char *out;
		size_t k;

		ck_assert_int_eq(try_frame(nm, bytes_of(text, len), pieces[i], T0), 0);
		n = netmap_self(nm);
		ck_assert_str_eq(n->name, "pb.tail.test.");
		ck_assert_int_eq(n->id, 2);
		ck_assert(n->authorized && n->online == 1 && n->cap == 142 && n->capmap.len > 10);
		ck_assert_str_eq(netmap_magic_suffix(nm), "tail.test");
		n = netmap_by_ip(nm, &a);
		ck_assert_ptr_nonnull(n);
		ck_assert_str_eq(n->name, "pa.tail.test.");
		ck_assert_str_eq(n->hostname, "pa");
		ck_assert_str_eq(n->os, "linux");
		ck_assert_uint_eq(n->peerapi4, 58436);
		ck_assert_uint_eq(n->peerapi6, 58436);
		ck_assert_uint_eq(n->home_derp, 999);
		ck_assert_uint_eq(n->n_endpoints, 2);
		ck_assert_uint_eq(n->n_addresses, 2);
		ck_assert_uint_eq(n->n_allowed, 2);
		ck_assert(netmap_by_key(nm, &n->key) == n);
		ck_assert(netmap_by_name(nm, bytes_str("PA")) == n &&
			  netmap_by_name(nm, bytes_str("pa.Tail.test")) == n &&
			  netmap_by_name(nm, bytes_str("pa.tail.test.")) == n &&
			  !netmap_by_name(nm, bytes_str("pa.other")));
		r = netmap_regions(nm, &k);
		ck_assert_uint_eq(k, 1);
		ck_assert(r->id == 999 && r->n_nodes == 1 && r->nodes[0].no_v6 &&
			  !r->nodes[0].no_v4 && r->nodes[0].insecure);
		ck_assert(r->nodes[0].stun_port == 37825 && r->nodes[0].derp_port == 45585);
		ck_assert(netmap_has_filter(nm) && netmap_n_filters(nm) == 1);
		ck_assert(netmap_dns(nm)->proxied && netmap_dns(nm)->n_routes > 60);
		ck_assert_uint_eq(stat_of(nm).bad_peers + stat_of(nm).bad_values, 0);
		out = emit(nm);
		if (first)
			ck_assert_str_eq(out, first);
		else
			first = strdup(out);
		free(out);
		netmap_free(nm);
	}
	free(first);
	free(text);
}

TEST(netmap_applies_the_recorded_deltas_of_headscale)
{
	size_t len;
	uint8_t *text = harness_file("lib/model/testdata/map-response-deltas.json", &len);
	struct json j = json_of(bytes_of(text, len));
	struct netmap *nm = netmap_new();
	const struct netmap_node *n;

	json_arr(&j);
	while (json_elem(&j))
		ck_assert_int_eq(try_frame(nm, json_raw(&j), 50, T0), 0);
	ck_assert(json_done(&j));
	n = by_id(nm, 2);
	ck_assert_ptr_nonnull(n);
	ck_assert_uint_eq(n->home_derp, 999);
	ck_assert_uint_eq(n->n_endpoints, 2);
	ck_assert(stat_of(nm).unknown_patches >= 1 && stat_of(nm).bad_peers == 0);
	netmap_free(nm);
	free(text);
}

TEST(netmap_reads_the_first_maps_of_a_policy_with_routers_and_tags)
{
	size_t len;
	uint8_t *text = harness_file("lib/model/testdata/map-response-policy.json", &len);
	struct json j = json_of(bytes_of(text, len));
	struct bytes key;

	json_obj(&j);
	while (json_key(&j, &key)) {
		struct netmap *nm = netmap_new();

		ck_assert_int_eq(try_frame(nm, json_raw(&j), 300, T0), 0);
		ck_assert_uint_eq(stat_of(nm).bad_peers + stat_of(nm).bad_values, 0);
		if (json_key_is(key, "router1_first")) {
			ck_assert_uint_eq(netmap_self(nm)->n_tags, 1);
			ck_assert_str_eq(netmap_self(nm)->tags[0], "tag:router");
			ck_assert_uint_eq(netmap_self(nm)->n_allowed, 4);
		}
		netmap_free(nm);
	}
	ck_assert(json_done(&j));
	free(text);
}

/* --- 4.2, 4.3: frames and streams --- */

TEST(netmap_4_3_the_first_frame_of_a_stream_must_contain_node_and_the_old_state_stays_until_then)
{
	struct netmap *nm = with_peers();

	netmap_stream_start(nm);
	ck_assert_int_eq(try_frame(nm, bytes_str("{\"PeersChanged\":[" PEER(4, "04") "]}"), 10, T0),
			 -EBADMSG);
	ck_assert_uint_eq(netmap_n_peers(nm), 2);
	frame(nm, "{\"KeepAlive\":true}");
	ck_assert(netmap_was_keepalive(nm));
	ck_assert_uint_eq(netmap_n_peers(nm), 2);
	frame(nm, "{" SELF "}"); /* starts from nothing: nobody is left */
	ck_assert_str_eq(changes(nm), " -0 -1 dns health");
	ck_assert_uint_eq(netmap_n_peers(nm), 0);
	netmap_free(nm);
}

TEST(netmap_a_new_stream_with_the_same_map_changes_no_peer_and_keeps_their_numbers)
{
	struct netmap *nm = with_peers();

	netmap_stream_start(nm);
	frame(nm, "{" SELF ",\"Peers\":[" PEER(3, "03") "," PEER(2, "02") "]}");
	ck_assert_str_eq(changes(nm), " dns health");
	ck_assert_uint_eq(by_id(nm, 2)->peer, 0);
	netmap_free(nm);
}

TEST(netmap_a_torn_frame_has_no_effect_wherever_it_is_cut)
{
	static const char text[] = "{" SELF ",\"PeersChanged\":[" PEER(4, "04") "," PEER(
	    2,
	    "05") "],\"PeersRemoved\":[3],\"PeersChangedPatch\":[{\"NodeID\":2,\"DERPRegion\":4}],"
		  "\"PacketFilters\":{\"*\":null,\"x\":[]},\"DERPMap\":{\"Regions\":{}},"
		  "\"DNSConfig\":{\"Proxied\":true},\"Domain\":\"x\",\"UserProfiles\":[{\"ID\":7}]"
		  "}";
	struct netmap *nm = with_peers();
	char *before = emit(nm);

	for (size_t cut = 0; cut < sizeof text - 1; cut++) {
		char *after;

		ck_assert_int_lt(try_frame(nm, bytes_of(text, cut), 64, T0), 0);
		ck_assert_str_eq(changes(nm), "");
		after = emit(nm);
		ck_assert_str_eq(before, after);
		free(after);
	}
	ck_assert_int_eq(try_frame(nm, bytes_of(text, sizeof text - 1), 64, T0), 0);
	ck_assert_str_eq(changes(nm), " -1 +2 ~0:12 users derp filter dns");
	free(before);
	netmap_free(nm);
}

TEST(netmap_keepalive_ignores_all_but_ping_time_and_url)
{
	struct netmap *nm = with_peers();
	char *before = emit(nm), *after;

	frame(nm, "{\"PeersRemoved\":[2,3],\"Domain\":\"other\",\"PacketFilter\":[],\"KeepAlive\":"
		  "true,\"PingRequest\":{\"URL\":\"x\"},\"PopBrowserURL\":\"http://a/\"}");
	ck_assert_str_eq(changes(nm), " ping{\"URL\":\"x\"} urlhttp://a/");
	frame(nm, "{\"KeepAlive\":true,\"PopBrowserURL\":\"http://a/\"}");
	ck_assert_str_eq(changes(nm), ""); /* repeats are suppressed */
	frame(
	    nm,
	    "{\"PopBrowserURL\":\"http://b/\",\"KeepAlive\":true,\"PingRequest\":{}}"); /* in any
											   order */
	ck_assert_str_eq(changes(nm), " ping{} urlhttp://b/");
	after = emit(nm);
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
	netmap_free(nm);
}

/* --- 4.4: lists and deltas --- */

TEST(netmap_4_4_peers_non_empty_replaces_all_and_hides_the_deltas_of_its_message)
{
	struct netmap *nm = with_peers();

	frame(
	    nm,
	    "{\"PeersRemoved\":[3],\"PeersChanged\":[" PEER(9, "09") "],\"Peers\":[" PEER(
		3,
		"03") "," PEER(4,
			       "04") "],\"PeersChangedPatch\":[{\"NodeID\":3,\"DERPRegion\":9}]}");
	ck_assert_str_eq(changes(nm), " -0 +2");
	ck_assert(by_id(nm, 3) && by_id(nm, 3)->home_derp == 0 && by_id(nm, 4) && !by_id(nm, 9));
	netmap_free(nm);
}

TEST(netmap_4_4_peers_empty_null_or_absent_is_no_change)
{
	struct netmap *nm = with_peers();

	frame(nm, "{\"Peers\":[]}");
	frame(nm,
	      "{\"Peers\":null,\"PeersChanged\":null,\"PeersRemoved\":null,\"PeersChangedPatch\":"
	      "null,\"OnlineChange\":null,\"Node\":null,\"DERPMap\":null,\"DNSConfig\":null,"
	      "\"Health\":null,\"PacketFilter\":null,\"PacketFilters\":null}");
	frame(nm, "{}");
	ck_assert_str_eq(changes(nm), "");
	ck_assert_uint_eq(netmap_n_peers(nm), 2);
	ck_assert(!netmap_has_filter(nm));
	netmap_free(nm);
}

TEST(netmap_4_4_seen_and_online_changes_touch_only_their_fields)
{
	struct netmap *nm = with_peers();

	ck_assert_int_eq(by_id(nm, 2)->online, -1);
	frame(nm, "{\"OnlineChange\":{\"2\":true,\"3\":false,\"77\":true},\"PeerSeenChange\":{"
		  "\"3\":true}}");
	ck_assert_str_eq(changes(nm), " ~0:40 ~1:40");
	ck_assert_int_eq(by_id(nm, 2)->online, 1);
	ck_assert_int_eq(by_id(nm, 3)->online, 0);
	ck_assert_int_eq(by_id(nm, 3)->last_seen.ns, T0.ns);
	frame(nm, "{\"PeerSeenChange\":{\"3\":false}}");
	ck_assert_int_eq(by_id(nm, 3)->last_seen.ns, 0); /* unknown, not removed */
	netmap_free(nm);
}

TEST(netmap_4_5_a_patch_changes_what_it_names_and_null_is_unchanged)
{
	struct netmap *nm = with_peers();
	const struct netmap_node *n;

	frame(nm,
	      "{\"PeersChangedPatch\":[{\"NodeID\":2,\"DERPRegion\":5,\"Cap\":120,\"Endpoints\":["
	      "\"1.2.3.4:5\"],\"CapMap\":{\"x\":null},\"DiscoKey\":\"discokey:" KEY_DIGITS(
		  "0a") "\",\"Online\":true,"
			"\"KeyExpiry\":\"2027-01-01T00:00:00Z\",\"LastSeen\":\"2026-01-01T00:00:"
			"00Z\"},{\"NodeID\":99,\"Cap\":1}]}");
	ck_assert_str_eq(changes(nm), " ~0:5c");
	n = by_id(nm, 2);
	ck_assert(n->home_derp == 5 && n->cap == 120 && n->n_endpoints == 1 && n->online == 1 &&
		  n->disco.b[0] == 0x0a);
	ck_assert(bytes_eq_str(n->capmap, "{\"x\":null}") && n->key_expiry.ns > T0.ns &&
		  n->last_seen.ns > 0);
	ck_assert_uint_eq(stat_of(nm).unknown_patches, 1);
	frame(
	    nm,
	    "{\"PeersChangedPatch\":[{\"NodeID\":2,\"DERPRegion\":0,\"Cap\":0,\"Endpoints\":null,"
	    "\"CapMap\":null,\"DiscoKey\":null,\"Online\":null,\"KeyExpiry\":null,\"Key\":null}]}");
	ck_assert_str_eq(changes(nm), "");
	frame(nm, "{\"PeersChangedPatch\":[{\"NodeID\":2,\"Endpoints\":[],\"CapMap\":{},"
		  "\"KeyExpiry\":\"0001-01-01T00:00:00Z\",\"Key\":\"" KEY("0b") "\"}]}");
	ck_assert_str_eq(changes(nm), " ~0:4a");
	n = by_id(nm, 2);
	ck_assert(n->n_endpoints == 0 && n->capmap.len == 0 && n->key_expiry.ns == 0 &&
		  n->key.b[0] == 0x0b);
	ck_assert(netmap_by_key(nm, &n->key) == n);
	netmap_free(nm);
}

TEST(netmap_a_peer_that_does_not_parse_is_dropped_alone_and_counted)
{
	static const char *const bad[] = {
		"{\"ID\":9}",
		"{\"ID\":0,\"Key\":\"" KEY("09") "\"}",
		"{\"ID\":9,\"Key\":\"mkey:" KEY_DIGITS("09") "\"}",
		"{\"ID\":9,\"Key\":\"" KEY("00") "\"}",
		"{\"ID\":9,\"Key\":\"" KEY("09") "\",\"Addresses\":[\"x\"]}",
		"{\"ID\":9,\"Key\":\"" KEY("09") "\",\"Online\":7}",
		"7",
		"null",
		"\"x\"",
		"[]",
		"{\"ID\":9,\"Key\":\"" KEY("09") "\",\"Endpoints\":[7]}",
		"{\"ID\":9,\"Key\":\"" KEY("09") "\",\"CapMap\":[]}",
		"{\"ID\":1e3}",
		"{\"ID\":9,\"Key\":\"" KEY("09") "\",\"Name\":7}",
	};
	struct netmap *nm = with_peers();
	char text[2048];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof text, "{\"PeersChanged\":[%s," PEER(4, "04") "]}", bad[i]);
		frame(nm, text);
		ck_assert_msg(stat_of(nm).bad_peers == i + 1, "%s was taken", bad[i]);
		ck_assert(by_id(nm, 4) && !by_id(nm, 9));
	}
	ck_assert_uint_eq(netmap_n_peers(nm), 3);
	frame(nm,
	      "{\"PeersChangedPatch\":[{\"NodeID\":4,\"Endpoints\":7},{\"NodeID\":4,\"Cap\":8}]}");
	ck_assert_int_eq(by_id(nm, 4)->cap, 8);
	ck_assert_uint_eq(stat_of(nm).bad_peers, ARRAY_LEN(bad) + 1);
	netmap_free(nm);
}

/* form, with len times an 'a' in place of each @ */
static char *with_long(const char *form, size_t len)
{
	char *text = malloc(strlen(form) + 4 * len + 1), *at = text;

	for (const char *f = form; *f; f++) {
		size_t n = *f == '@' ? len : 1;

		memset(at, *f == '@' ? 'a' : *f, n);
		at += n;
	}
	*at = 0;
	return text;
}

TEST(netmap_a_field_that_is_too_long_is_left_out_and_its_peer_kept)
{
	static const char *const members[] = {
		"\"StableID\":\"@\"",
		"\"Name\":\"@\"",
		"\"Hostinfo\":{\"Hostname\":\"@\"}",
		"\"Hostinfo\":{\"OS\":\"@\"}",
		"\"Hostinfo\":{\"Services\":[{\"Proto\":\"@\",\"Port\":1}]}",
		"\"Tags\":[\"@\"]",
		"\"Endpoints\":[\"@\"]",
		"\"LastSeen\":\"@\"",
		"\"Created\":\"@\"",
	};
	struct netmap *nm = with_peers();

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		char form[512], *text;

		snprintf(form, sizeof form,
			 "{\"PeersChanged\":[{\"ID\":9,\"Key\":\"" KEY(
			     "09") "\",\"Addresses\":[\"100.64.0.9/32\"],%s}]}",
			 members[i]);
		text = with_long(form, NETMAP_NAME_MAX);
		frame(nm, text);
		ck_assert_msg(by_id(nm, 9) != NULL, "lost for %s", members[i]);
		ck_assert_uint_eq(by_id(nm, 9)->n_endpoints, 0);
		ck_assert_uint_eq(stat_of(nm).left_out, i + 1);
		if (strstr(members[i], "Tags")) { /* still no user's node */
			ck_assert_uint_eq(by_id(nm, 9)->n_tags, 1);
			ck_assert_str_eq(by_id(nm, 9)->tags[0], "tag:");
		}
		free(text);
	}
	ck_assert_uint_eq(stat_of(nm).bad_peers, 0);
	frame(nm, "{\"PeersChangedPatch\":[{\"NodeID\":9,\"Endpoints\":[\"[fe80::1%eth0]:1\","
		  "\"192.0.2.1:1\"]}]}");
	ck_assert_uint_eq(by_id(nm, 9)->n_endpoints, 1);
	ck_assert_uint_eq(stat_of(nm).left_out, ARRAY_LEN(members) + 1);
	netmap_free(nm);
}

TEST(netmap_what_is_too_long_for_the_own_node_or_a_section_does_not_cost_the_rest)
{
	struct netmap *nm = with_peers();
	const struct netmap_dns *d;
	size_t n;
	char *text = with_long("{\"Node\":{\"ID\":1,\"Key\":\"" KEY(
				   "01") "\",\"Addresses\":[\"100.64.0.1/32\"],\"Name\":\"@\","
					 "\"CapMap\":{\"@\":null}}}",
			       NETMAP_ELEM_MAX); /* another's node would be too large */

	frame(nm, text);
	free(text);
	ck_assert_uint_eq(stat_of(nm).left_out, 1); /* its name */
	text = with_long(
	    "{\"DNSConfig\":{\"Domains\":[\"@\",\"b.test\"],\"ExtraRecords\":[{\"Name\":\"x.test\","
	    "\"Type\":\"TXT\",\"Value\":\"@\"},{\"Name\":\"y.test\",\"Value\":\"192.0.2.1\"}],"
	    "\"Resolvers\":[{\"Addr\":\"https://@/\"},{\"Addr\":\"192.0.2.53\"}]}}",
	    2000);
	frame(nm, text);
	free(text);
	d = netmap_dns(nm);
	ck_assert(d->n_domains == 1 && d->n_records == 1 && d->n_resolvers == 1);
	ck_assert_str_eq(d->domains[0], "b.test");
	ck_assert_str_eq(d->records[0].name, "y.test");
	text = with_long("{\"Health\":[\"@\",\"short\"],\"UserProfiles\":[{\"ID\":7,\"LoginName\":"
			 "\"user\",\"ProfilePicURL\":\"@\"}]}",
			 2100);
	frame(nm, text);
	free(text);
	ck_assert_str_eq(netmap_health(nm, &n)[0], "short");
	ck_assert_str_eq(netmap_user(nm, 7)->login, "user");
	ck_assert_str_eq(netmap_user(nm, 7)->picture, "");
	ck_assert_uint_eq(stat_of(nm).left_out, 1 + 3 + 2);
	ck_assert_uint_eq(stat_of(nm).bad_values, 0);
	netmap_free(nm);
}

TEST(netmap_more_filters_than_can_be_held_allow_nothing_and_cost_no_more_than_that)
{
	struct netmap *nm = with_peers();
	struct buf b;

	frame(nm, "{\"PacketFilters\":{\"base\":[{\"SrcIPs\":[\"*\"]}]}}");
	ck_assert_uint_eq(netmap_n_filters(nm), 1);
	buf_init(&b, 1 << 20);
	ck_assert(buf_printf(&b, "{\"PeersRemoved\":[2],\"PacketFilters\":{"));
	for (int i = 0; i <= NETMAP_FILTERS_MAX; i++)
		ck_assert(buf_printf(&b, "%s\"f%d\":[]", i ? "," : "", i));
	ck_assert(buf_printf(&b, "}}") && buf_append(&b, "", 1));
	frame(nm, (const char *)buf_bytes(&b).data);
	buf_fini(&b);
	ck_assert_uint_eq(netmap_n_peers(nm), 1);
	ck_assert(netmap_has_filter(nm) && netmap_n_filters(nm) == 0);
	ck_assert_uint_eq(stat_of(nm).skipped_big, 1);
	netmap_free(nm);
}

TEST(netmap_a_self_node_that_does_not_parse_refuses_the_whole_frame)
{
	struct netmap *nm = with_peers();

	ck_assert_int_eq(
	    try_frame(nm, bytes_str("{\"Node\":{\"ID\":1},\"PeersRemoved\":[2]}"), 100, T0),
	    -EBADMSG);
	ck_assert_uint_eq(netmap_n_peers(nm), 2);
	netmap_free(nm);
}

TEST(netmap_a_value_that_nobody_reads_is_skipped_and_a_huge_one_too)
{
	struct netmap *nm = with_peers();
	size_t n = NETMAP_VALUE_MAX + 100;
	char *text = malloc(n + 200);
	size_t len = (size_t)snprintf(
	    text, n + 200, "{\"SSHPolicy\":{\"rules\":[{\"x\":[1,{\"y\":\"}]\"}]}]},\"Future\":\"");

	memset(text + len, 'a', n);
	len += n;
	len += (size_t)snprintf(text + len, 100, "\",\"PeersRemoved\":[3]}");
	ck_assert_int_eq(try_frame(nm, bytes_of(text, len), 65536, T0), 0);
	ck_assert_str_eq(changes(nm), " -1");
	ck_assert_uint_eq(stat_of(nm).skipped_big, 1);
	free(text);
	netmap_free(nm);
}

TEST(netmap_peer_numbers_are_dense_and_reused_only_after_removal_was_seen)
{
	struct netmap *nm = with_peers();

	frame(nm, "{\"PeersRemoved\":[2],\"PeersChanged\":[" PEER(4, "04") "]}");
	ck_assert_ptr_nonnull(netmap_peer(nm, 0)); /* still readable */
	ck_assert_int_eq(netmap_peer(nm, 0)->id, 2);
	ck_assert(!netmap_by_name(nm, bytes_str("p2")));
	ck_assert_str_eq(changes(nm), " -0 +2");
	ck_assert_ptr_null(netmap_peer(nm, 0));
	frame(nm, "{\"PeersChanged\":[" PEER(5, "05") "]}");
	ck_assert_str_eq(changes(nm), " +0");
	ck_assert_uint_eq(netmap_peer_limit(nm), 3);
	netmap_free(nm);
}

TEST(netmap_removed_and_sent_again_in_one_frame_is_a_change_not_a_new_peer)
{
	struct netmap *nm = with_peers();

	frame(nm, "{\"PeersRemoved\":[2],\"PeersChanged\":[" PEER(2, "0c") "]}");
	ck_assert_str_eq(changes(nm), " ~0:2");
	netmap_free(nm);
}

/* --- 4.7 node --- */

TEST(netmap_4_7_allowed_ips_absent_is_addresses_and_empty_is_none)
{
	struct netmap *nm = with_peers();

#define NODE(id, more)                                                                             \
	"{\"ID\":" #id ",\"Key\":\"" KEY("0" #id) "\",\"Addresses\":[\"100.64.0." #id              \
						  "/32\"]" more "}"
	frame(
	    nm,
	    "{\"PeersChanged\":[" NODE(4, "") "," NODE(5, ",\"AllowedIPs\":null") "," NODE(
		6,
		",\"AllowedIPs\":[]") "," NODE(7,
					       ",\"AllowedIPs\":[\"10.1.2.3/8\"]") "," NODE(8,
											    ",\"A"
											    "llow"
											    "edIP"
											    "s\":"
											    "[\"1"
											    "0.1."
											    "2.3/"
											    "8\"]"
											    ",\"U"
											    "nsig"
											    "nedP"
											    "eerA"
											    "PIOn"
											    "ly\""
											    ":tru"
											    "e") "]"
												 "}");
	ck_assert_uint_eq(by_id(nm, 4)->n_allowed, 1);
	ck_assert_uint_eq(by_id(nm, 5)->n_allowed, 1);
	ck_assert_uint_eq(by_id(nm, 6)->n_allowed, 0);
	ck_assert_uint_eq(by_id(nm, 7)->allowed[0].bits, 104);
	ck_assert_uint_eq(by_id(nm, 8)->allowed[0].bits, 128);
	netmap_free(nm);
}

TEST(netmap_4_7_legacy_derp_counts_only_without_home_derp_and_capabilities_join_the_capmap)
{
	struct netmap *nm = with_peers();

	frame(
	    nm,
	    "{\"PeersChanged\":[" NODE(4, ",\"DERP\":\"127.3.3.40:7\"") "," NODE(
		5,
		",\"DERP\":"
		"\"127.3.3.40:"
		"7\","
		"\"HomeDERP\":"
		"8") "," NODE(6,
			      ",\"DERP\":\"1.2.3.4:7\"") "," NODE(7,
								  ",\"Capabilities\":[\"a\",\"b\"],"
								  "\"CapMap\":{\"c\":[1]}") "]}");
	ck_assert_uint_eq(by_id(nm, 4)->home_derp, 7);
	ck_assert_uint_eq(by_id(nm, 5)->home_derp, 8);
	ck_assert_uint_eq(by_id(nm, 6)->home_derp, 0);
	ck_assert(bytes_eq_str(by_id(nm, 7)->capmap, "{\"a\":null,\"b\":null,\"c\":[1]}"));
	netmap_free(nm);
}

TEST(netmap_4_7_masquerade_jail_wireguard_only_and_key_names_in_any_case)
{
	struct netmap *nm = with_peers();
	const struct netmap_node *n;

	frame(nm,
	      "{\"peerschanged\":[" NODE(
		  4,
		  ",\"isJailed\":true,\"iswireguardonly\":true,\"SelfNodeV4MasqAddrForThisPeer\":"
		  "\"100.99.0.1\",\"SelfNodeV6MasqAddrForThisPeer\":\"fd7a::9\"") "]}");
	n = by_id(nm, 4);
	ck_assert(n->jailed && n->wireguard_only && ip_is_v4(&n->masq[0]) && n->masq[1].b[15] == 9);
	netmap_free(nm);
}

TEST(netmap_lists_of_a_node_are_cut_at_their_limits)
{
	struct netmap *nm = with_peers();
	struct buf b;

	buf_init(&b, 1 << 20);
	ck_assert(buf_printf(
	    &b, "{\"PeersChanged\":[{\"ID\":4,\"Key\":\"" KEY("04") "\",\"Endpoints\":["));
	for (int i = 0; i < NETMAP_ENDPOINTS_MAX + 5; i++)
		ck_assert(buf_printf(&b, "%s\"1.2.3.4:%d\"", i ? "," : "", i + 1));
	ck_assert(buf_printf(&b, "],\"AllowedIPs\":["));
	for (int i = 0; i < NETMAP_ROUTES_MAX + 5; i++)
		ck_assert(buf_printf(&b, "%s\"10.%d.%d.0/24\"", i ? "," : "", i / 256, i % 256));
	ck_assert(buf_printf(&b, "],\"Tags\":["));
	for (int i = 0; i < NETMAP_TAGS_MAX + 5; i++)
		ck_assert(buf_printf(&b, "%s\"tag:t%d\"", i ? "," : "", i));
	ck_assert(buf_printf(&b, "]}]}"));
	ck_assert_int_eq(try_frame(nm, buf_bytes(&b), 1000, T0), 0);
	ck_assert_uint_eq(by_id(nm, 4)->n_endpoints, NETMAP_ENDPOINTS_MAX);
	ck_assert_uint_eq(by_id(nm, 4)->n_allowed, NETMAP_ROUTES_MAX);
	ck_assert_uint_eq(by_id(nm, 4)->n_tags, NETMAP_TAGS_MAX);
	buf_fini(&b);
	netmap_free(nm);
}

/* --- 4.8 relays --- */

TEST(netmap_4_8_regions_absent_keep_null_regions_are_skipped_and_scores_are_a_delta_of_their_own)
{
	struct netmap *nm = with_peers();
	size_t n;

	frame(nm, "{\"DERPMap\":{\"Regions\":{\"2\":{\"RegionID\":2,\"RegionCode\":\"b\","
		  "\"NoMeasureNoHome\":true,\"Nodes\":[{\"Name\":\"2a\",\"HostName\":\"h\","
		  "\"STUNPort\":-1,\"STUNOnly\":true,\"CertName\":\"c\"},null]},"
		  "\"1\":{\"RegionID\":1,\"Avoid\":true},\"3\":null,\"4\":{\"RegionID\":\"x\"}}}}");
	netmap_regions(nm, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert(netmap_region(nm, 1)->avoid && netmap_region(nm, 2)->no_measure_no_home &&
		  !netmap_region(nm, 3) && !netmap_region(nm, 4));
	ck_assert(netmap_region(nm, 2)->n_nodes == 1 &&
		  netmap_region(nm, 2)->nodes[0].stun_port == -1 &&
		  netmap_region(nm, 2)->nodes[0].derp_port == 443);
	frame(nm, "{\"DERPMap\":{\"HomeParams\":{\"RegionScore\":{\"2\":0.5,\"x\":1}}}}");
	ck_assert(netmap_region(nm, 2)->score == 0.5 && netmap_region(nm, 1)->score == 1);
	ck_assert_str_eq(netmap_region(nm, 2)->nodes[0].cert_name, "c");
	frame(nm, "{\"DERPMap\":{\"Regions\":{\"2\":{\"RegionID\":2}}}}");
	ck_assert(netmap_region(nm, 2)->score == 0.5 && !netmap_region(nm, 1));
	frame(nm, "{\"DERPMap\":{\"HomeParams\":{\"RegionScore\":{}}}}");
	ck_assert(netmap_region(nm, 2)->score == 1);
	frame(nm, "{\"DERPMap\":{\"Regions\":{}}}");
	netmap_regions(nm, &n);
	ck_assert_uint_eq(n, 0);
	netmap_free(nm);
}

/* --- 4.9 DNS --- */

TEST(netmap_4_9_dns_replaces_whole_and_an_empty_route_stays_a_local_one)
{
	struct netmap *nm = with_peers();
	const struct netmap_dns *d = netmap_dns(nm);

	frame(nm,
	      "{\"DNSConfig\":{\"Resolvers\":[{\"Addr\":\"1.1.1.1\"},{\"Addr\":\"[::1]:5353\","
	      "\"UseWithExitNode\":true},{\"Addr\":\"https://dns.example.com/"
	      "q\"},{\"Addr\":\"junk\"}],"
	      "\"Routes\":{\"Corp.Example.\":[{\"Addr\":\"10.0.0.1:54\"}],\"tail.test\":[],\"null."
	      "test\":null,\"bad.test\":[{\"Addr\":\"junk\"}]},"
	      "\"Domains\":[\"Tail.test.\"],\"Proxied\":true,\"ExtraRecords\":[{\"Name\":\"B.tail."
	      "test.\",\"Value\":\"100.64.0.9\"},{\"Name\":\"a.tail.test\",\"Type\":\"AAAA\","
	      "\"Value\":\"fd7a::9\"},"
	      "{\"Name\":\"t.tail.test\",\"Type\":\"TXT\",\"Value\":\"x\"},{\"Name\":\"w.tail."
	      "test\",\"Type\":\"A\",\"Value\":\"fd7a::9\"}],\"CertDomains\":[\"me.tail.test\"]}}");
	ck_assert_uint_eq(d->n_resolvers, 3);
	ck_assert(d->resolvers[0].addr.port == 53 && d->resolvers[1].addr.port == 5353 &&
		  d->resolvers[1].use_with_exit);
	ck_assert_str_eq(d->resolvers[2].url, "https://dns.example.com/q");
	ck_assert_uint_eq(d->n_routes, 3);
	ck_assert_str_eq(d->routes[0].suffix, "corp.example");
	ck_assert(d->routes[0].n == 1 && d->routes[0].v[0].addr.port == 54 && d->routes[1].n == 0 &&
		  d->routes[2].n == 0);
	ck_assert_uint_eq(d->n_records, 2);
	ck_assert_str_eq(d->records[0].name, "a.tail.test");
	ck_assert_str_eq(d->records[1].name, "b.tail.test");
	ck_assert_str_eq(d->domains[0], "tail.test");
	ck_assert(d->proxied && d->n_cert_domains == 1);
	frame(nm, "{\"DNSConfig\":{}}");
	ck_assert(d->n_resolvers == 0 && d->n_routes == 0 && !d->proxied);
	netmap_free(nm);
}

/* --- 4.4, 4.10 filters --- */

static const char *filters(const struct netmap *nm)
{
	static char text[1024];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < netmap_n_filters(nm); i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%.*s;",
				      (int)netmap_filter(nm, i).len,
				      (const char *)netmap_filter(nm, i).data);
	return netmap_has_filter(nm) ? text : "none";
}

TEST(netmap_4_4_packet_filters_are_named_parts_with_star_and_null_and_the_old_form_is_base)
{
	struct netmap *nm = with_peers();

	ck_assert_str_eq(filters(nm),
			 "none"); /* no filter was ever sent: not the same as an empty one */
	frame(nm, "{\"PacketFilter\":[]}");
	ck_assert_str_eq(filters(nm), "[];");
	ck_assert_str_eq(changes(nm), " filter");
	frame(nm, "{\"PacketFilters\":{\"b\":[{\"x\":1}],\"a\":[2]}}");
	ck_assert_str_eq(filters(nm), "[2];[{\"x\":1}];[];");
	frame(nm, "{\"PacketFilters\":{\"b\":null}}");
	ck_assert_str_eq(filters(nm), "[2];[];");
	frame(nm, "{\"PacketFilters\":{\"c\":[3],\"*\":null}}"); /* the star counts first wherever
								    it stands */
	ck_assert_str_eq(filters(nm), "[3];");
	ck_assert_str_eq(changes(nm), " filter");
	frame(nm, "{\"PacketFilters\":{\"c\":[3]}}");
	ck_assert_str_eq(changes(nm), "");
	frame(nm, "{\"PacketFilter\":[4],\"PacketFilters\":null}");
	ck_assert_str_eq(filters(nm), "[4];[3];");
	frame(nm, "{\"PacketFilters\":{\"*\":null}}");
	ck_assert_str_eq(filters(nm), "");
	netmap_stream_start(nm);
	frame(nm, "{" SELF "}"); /* nothing before the first filter of a stream */
	ck_assert_str_eq(filters(nm), "none");
	netmap_free(nm);
}

TEST(netmap_filters_that_are_malformed_refuse_the_frame_and_too_large_ones_deny_everything)
{
	struct netmap *nm = with_peers();
	size_t n = NETMAP_VALUE_MAX + 100, len;
	char *text = malloc(n + 100);

	frame(nm, "{\"PacketFilter\":[1]}");
	ck_assert_int_eq(try_frame(nm, bytes_str("{\"PacketFilter\":{}}"), 100, T0), -EBADMSG);
	ck_assert_int_eq(try_frame(nm, bytes_str("{\"PacketFilters\":{\"a\":7}}"), 100, T0),
			 -EBADMSG);
	ck_assert_int_eq(try_frame(nm, bytes_str("{\"PacketFilters\":{\"a\":[tru]}}"), 100, T0),
			 -EBADMSG);
	ck_assert_str_eq(filters(nm), "[1];");
	len = (size_t)snprintf(text, 64, "{\"PacketFilters\":{\"a\":[\"");
	memset(text + len, 'a', n);
	len += n;
	len += (size_t)snprintf(text + len, 100, "\"]}}");
	ck_assert_int_eq(try_frame(nm, bytes_of(text, len), 65536, T0), 0);
	ck_assert_str_eq(filters(nm), "");
	free(text);
	netmap_free(nm);
}

TEST(netmap_health_null_is_unchanged_empty_is_healthy_and_display_messages_are_parts)
{
	struct netmap *nm = with_peers();
	const char *const *v;
	size_t n;

	frame(nm, "{\"Health\":[\"one\",\"two\"],\"DisplayMessages\":{\"a\":{\"Title\":\"T\","
		  "\"Text\":\"x\"},\"b\":{\"Title\":\"U\"}}}");
	v = netmap_health(nm, &n);
	ck_assert_uint_eq(n, 4);
	ck_assert_str_eq(v[1], "two");
	ck_assert_str_eq(v[2], "T: x");
	frame(nm, "{\"Health\":null,\"DisplayMessages\":{\"a\":null}}");
	v = netmap_health(nm, &n);
	ck_assert_uint_eq(n, 3);
	frame(nm, "{\"Health\":[]}");
	v = netmap_health(nm, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(v[0], "U");
	frame(nm, "{\"DisplayMessages\":{\"*\":null}}");
	netmap_health(nm, &n);
	ck_assert_uint_eq(n, 0);
	netmap_free(nm);
}

TEST(netmap_users_merge_by_id_and_exit_and_domain_come_through)
{
	struct netmap *nm = with_peers();

	frame(nm, "{\"UserProfiles\":[{\"ID\":5,\"LoginName\":\"b\"},{\"ID\":3,\"LoginName\":\"a\","
		  "\"Groups\":[\"x\"]},{\"LoginName\":\"none\"}],\"Domain\":\"d.test\",\"Debug\":{"
		  "\"Exit\":3}}");
	ck_assert_str_eq(changes(nm), " users exit");
	frame(nm, "{\"UserProfiles\":[{\"ID\":5,\"LoginName\":\"c\",\"DisplayName\":\"C\"}]}");
	ck_assert_str_eq(netmap_user(nm, 5)->login, "c");
	ck_assert_str_eq(netmap_user(nm, 3)->login, "a");
	ck_assert_ptr_null(netmap_user(nm, 4));
	ck_assert_str_eq(netmap_domain(nm), "d.test");
	netmap_free(nm);
}

/* --- 4.13 expiry --- */

TEST(netmap_4_13_an_expired_peer_loses_endpoints_and_relay_locally_and_the_next_expiry_is_told)
{
	struct netmap *nm = with_peers();
	const struct netmap_node *n;
	wall_t next;

	frame(nm, "{\"PeersChangedPatch\":[{\"NodeID\":2,\"Endpoints\":[\"1.2.3.4:5\"],"
		  "\"DERPRegion\":7,\"KeyExpiry\":\"2026-11-22T01:00:10Z\"},{\"NodeID\":3,"
		  "\"KeyExpiry\":\"2026-11-22T02:00:00Z\"}]}");
	changes(nm);
	next = netmap_expire(nm, T0);
	ck_assert_int_eq(next.ns, T0.ns + 10 * NS_PER_S);
	ck_assert_str_eq(changes(nm), "");
	next = netmap_expire(nm, next);
	ck_assert_int_eq(next.ns, T0.ns + 3600 * NS_PER_S);
	ck_assert_str_eq(changes(nm), " ~0:58");
	n = by_id(nm, 2);
	ck_assert(n->expired && n->n_endpoints == 0 && n->home_derp == 0);
	frame(nm, "{\"PeersChangedPatch\":[{\"NodeID\":2,\"KeyExpiry\":\"0001-01-01T00:00:00Z\"}]"
		  "}"); /* the zero time clears it */
	ck_assert_str_eq(changes(nm), " ~0:58");
	n = by_id(nm, 2);
	ck_assert(!n->expired && n->n_endpoints == 1 && n->home_derp == 7);
	netmap_free(nm);
}

TEST(netmap_4_13_expiry_goes_by_controls_clock_when_it_differs_by_more_than_a_minute)
{
	struct netmap *nm = with_peers();

	frame(nm, "{\"ControlTime\":\"2026-11-22T01:00:59Z\"}");
	ck_assert_int_eq(netmap_clock_skew(nm).ns, 0);
	frame(nm, "{\"ControlTime\":\"2026-11-22T01:10:00Z\",\"PeersChangedPatch\":[{\"NodeID\":2,"
		  "\"KeyExpiry\":\"2026-11-22T01:05:00Z\"}]}");
	ck_assert_int_eq(netmap_clock_skew(nm).ns, 600 * NS_PER_S);
	ck_assert(by_id(nm, 2)->expired);
	netmap_free(nm);
}

TEST(netmap_4_13_a_control_clock_of_long_ago_is_no_clock)
{
	struct netmap *nm = with_peers();

	frame(nm, "{\"ControlTime\":\"2026-11-22T01:10:00Z\"}");
	ck_assert_int_eq(netmap_clock_skew(nm).ns, 600 * NS_PER_S);
	frame(nm, "{\"ControlTime\":\"2020-08-03T00:00:00.000000001Z\",\"PeersChangedPatch\":[{"
		  "\"NodeID\":2,\"KeyExpiry\":\"2026-11-22T00:59:00Z\"}]}");
	ck_assert_int_eq(netmap_clock_skew(nm).ns, 0);
	ck_assert(by_id(nm, 2)->expired);
	netmap_free(nm);
}

TEST(netmap_4_13_the_own_key_expires_too_and_an_expired_flag_of_control_counts)
{
	struct netmap *nm = netmap_new();
	wall_t next;

	frame(nm, "{\"Node\":{\"ID\":1,\"Key\":\"" KEY(
		      "01") "\",\"KeyExpiry\":\"2026-11-22T01:00:01Z\"},\"Peers\":[{\"ID\":2,"
			    "\"Key\":\"" KEY("02") "\",\"Expired\":true,\"HomeDERP\":4}]}");
	ck_assert(!netmap_self(nm)->expired && by_id(nm, 2)->expired &&
		  by_id(nm, 2)->home_derp == 0);
	changes(nm);
	next = netmap_expire(nm, (wall_t){ T0.ns + NS_PER_S });
	ck_assert_int_eq(next.ns, INT64_MAX);
	ck_assert(netmap_self(nm)->expired);
	ck_assert_str_eq(changes(nm), " S");
	netmap_free(nm);
}

/* --- the cached netmap --- */

TEST(netmap_emit_is_taken_back_and_gives_the_same_text_again)
{
	static const char *const files[] = { "lib/model/testdata/map-response-first.json" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct netmap *a = netmap_new(), *b = netmap_new();
		size_t len;
		uint8_t *text = harness_file(files[i], &len);
		char *one, *two;

		ck_assert_int_eq(try_frame(a, bytes_of(text, len), 500, T0), 0);
		frame(a,
		      "{\"DERPMap\":{\"HomeParams\":{\"RegionScore\":{\"999\":0.25}}},"
		      "\"PeersChanged\":[" NODE(9, ",\"SelfNodeV4MasqAddrForThisPeer\":\"1.2.3.4\","
						   "\"IsJailed\":true,\"CapMap\":{\"x\":[{\"y\":1}]"
						   "},\"Tags\":[\"tag:a\"]") "],"
									     "\"PacketFilters\":{"
									     "\"we\\\"ird\":[]}}");
		one = emit(a);
		ck_assert_int_eq(try_frame(b, bytes_str(one), 777, T0), 0);
		two = emit(b);
		ck_assert_str_eq(one, two);
		free(one);
		free(two);
		free(text);
		netmap_free(a);
		netmap_free(b);
	}
}
