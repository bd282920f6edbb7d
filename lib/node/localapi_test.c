/* node/localapi_test.c - requests of the stock CLI to a node with a stored netmap (data-plane.md 7)
 */
#include "node/localapi.h"

#include <stdlib.h>

#include "base/json.h"
#include "tests/node_fixture.h"

static const char map[] =
    "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.test.\",\"User\":7,"
    "\"Key\":\"nodekey:1111111111111111111111111111111111111111111111111111111111111111\","
    "\"Addresses\":[\"100.64.0.1/32\",\"fd7a:115c:a1e0::1/128\"],\"AllowedIPs\":[\"100.64.0.1/"
    "32\"],"
    "\"Hostinfo\":{\"OS\":\"linux\",\"Hostname\":\"a\"},\"MachineAuthorized\":true,\"CapMap\":{"
    "\"x\":null}},"
    "\"Peers\":[{\"ID\":2,\"StableID\":\"n2\",\"Name\":\"b.tail.test.\",\"User\":7,"
    "\"Key\":\"nodekey:2222222222222222222222222222222222222222222222222222222222222222\","
    "\"Addresses\":[\"100.64.0.2/32\"],\"AllowedIPs\":[\"100.64.0.2/32\",\"0.0.0.0/"
    "0\"],\"HomeDERP\":9,"
    "\"Hostinfo\":{\"OS\":\"linux\",\"Hostname\":\"b\"},\"Online\":true,\"Tags\":[\"tag:web\"]}],"
    "\"DERPMap\":{\"Regions\":{\"9\":{\"RegionID\":9,\"RegionCode\":\"lab\",\"RegionName\":"
    "\"Laboratory\",\"Nodes\":"
    "[{\"Name\":\"9a\",\"RegionID\":9,\"HostName\":\"relay.example.com\",\"DERPPort\":8443}]}}},"
    "\"UserProfiles\":[{\"ID\":7,\"LoginName\":\"user@example.com\",\"DisplayName\":\"A "
    "\\\"quoted\\\" user\"}],"
    "\"Domain\":\"example.com\",\"DNSConfig\":{\"Domains\":[\"tail.test\"],\"Proxied\":true}}";

static struct localapi_answer a;

static void setup(void)
{
	struct err e = { 0 };

	node_fixture_init();
	view.wall = (wall_t){ 1790000000 * NS_PER_S };
	ck_assert_msg(node_load_netmap(node, view.now, view.wall, bytes_str(map), &e) == 0, "%s",
		      e.text);
}

static void teardown(void)
{
	localapi_answer_fini(&a);
	node_fixture_fini();
}

/* target: path without the prefix, with its query; NULL-terminated body */
static int ask_as(bool may_write, const char *method, const char *target, const char *body)
{
	char path[256];
	struct localapi_request rq = { .method = bytes_str(method),
				       .host = bytes_str(LOCALAPI_HOST),
				       .may_write = may_write,
				       .body = bytes_str(body) };
	size_t n;

	snprintf(path, sizeof path, "/localapi/v0/%s", target);
	n = strcspn(path, "?");
	rq.path = bytes_of(path, n);
	if (path[n])
		rq.query = bytes_str(path + n + 1);
	localapi_answer_fini(&a);
	localapi_answer_init(&a);
	localapi_handle(&view, &rq, &a);
	return a.status;
}

static int ask(const char *method, const char *target, const char *body)
{
	return ask_as(true, method, target, body);
}

static bool body_has(const char *text)
{
	return memmem(a.body.data + a.body.off, a.body.len, text, strlen(text)) != NULL;
}

/* The body is one JSON value. */
static void check_json(void)
{
	struct json j = json_of(buf_bytes(&a.body));

	json_skip(&j);
	ck_assert_msg(json_done(&j), "%.*s", (int)a.body.len, (char *)a.body.data);
}

TEST(netcheck_tells_what_the_node_has_found_and_null_for_what_it_has_not)
{
	setup();
	ck_assert_int_eq(ask_as(false, "GET", "netcheck", ""), 200);
	ck_assert(body_has("\"UDP\":false"));
	ck_assert(body_has("\"MappingVariesByDestIP\":null"));
	ck_assert(body_has("\"UPnP\":null,\"PMP\":null,\"PCP\":null"));
	ck_assert(body_has("\"RegionLatency\":{}"));
	ck_assert(body_has("\"OSHasIPv6\":") && body_has("\"IPv4CanSend\":"));
	ck_assert(body_has("\"CaptivePortal\":null"));
	ck_assert(!body_has("\"Now\""));
	ck_assert_ptr_null(memmem(buf_bytes(&a.body).data, a.body.len, "PortMapping", 11));
	teardown();
}

TEST(status_shows_self_peer_user_and_can_leave_peers_out)
{
	setup();
	ck_assert_int_eq(ask("GET", "status", ""), 200);
	check_json();
	ck_assert(body_has("\"DNSName\":\"a.tail.test.\"") &&
		  body_has("\"DNSName\":\"b.tail.test.\""));
	ck_assert(body_has("\"Relay\":\"lab\"") && body_has("\"ExitNodeOption\":true"));
	ck_assert(body_has("\"LoginName\":\"user@example.com\""));
	ck_assert(body_has("\"MagicDNSSuffix\":\"tail.test\"") &&
		  body_has("\"Tags\":[\"tag:web\"]"));
	ck_assert_int_eq(ask("GET", "status?peers=false", ""), 200);
	check_json();
	ck_assert(!body_has("b.tail.test."));
	teardown();
}

TEST(a_node_that_logged_out_has_no_addresses_and_no_peers)
{
	setup();
	self.prefs.logged_out = true;
	ck_assert_int_eq(ask("GET", "status", ""), 200);
	check_json();
	ck_assert(body_has("\"TailscaleIPs\":[],\"Self\"") && body_has("\"Peer\":null"));
	ck_assert(body_has("\"CurrentTailnet\":null") && !body_has("tail.test"));
	ck_assert(body_has("\"User\":{}"));
	ck_assert_int_eq(ask("GET", "whois?addr=100.64.0.2", ""), 404);
	self.prefs.logged_out = false;
	ck_assert_int_eq(ask("GET", "whois?addr=100.64.0.2", ""), 200);
	teardown();
}

/* status shows the problem of the exit node `name`, or none when words is "" */
static void check_exit(const char *name, const char *words)
{
	const struct control_hostinfo hi = { .hostname = "a" };

	ck_assert_int_eq(node_set_prefs(node, &hi, false, false, name), 0);
	ck_assert_int_eq(ask("GET", "status", ""), 200);
	ck_assert_msg(body_has(words), "%s: %.*s", name, (int)a.body.len, (char *)a.body.data);
	ck_assert_int_eq(body_has("xit node"), *words != 0);
}

/* The map once more, with `to` in place of `from`. */
static void load_changed(const char *from, const char *to)
{
	static char text[sizeof map + 64];
	const char *at = strstr(map, from);
	struct err e = { 0 };

	ck_assert_ptr_nonnull(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - map), map, to, at + strlen(from));
	ck_assert_msg(node_load_netmap(node, view.now, view.wall, bytes_str(text), &e) == 0, "%s",
		      e.text);
}

TEST(an_exit_node_that_is_no_peer_or_offers_no_way_out_or_is_offline_is_a_problem_to_show)
{
	setup();
	check_exit("b", "");
	check_exit("nosuch", "The exit node nosuch is no peer of this node");
	check_exit("100.64.0.9", "The exit node 100.64.0.9 is no peer of this node");
	check_exit("100.64.0.2", "");
	load_changed(",\"0.0.0.0/0\"", "");
	check_exit("n2", "The exit node n2 offers no way out");
	load_changed("\"Online\":true", "\"Online\":false");
	check_exit("n2", "The exit node n2 is offline");
	load_changed("\"Online\":true,", "");
	check_exit("n2", "");
	check_exit("", "");
	teardown();
}

TEST(whois_finds_by_address_port_and_key_and_says_404)
{
	setup();
	ck_assert_int_eq(ask("GET", "whois?addr=100.64.0.2:80", ""), 200);
	check_json();
	ck_assert(body_has("\"Name\":\"b.tail.test.\"") &&
		  body_has("\"DisplayName\":\"A \\\"quoted\\\" user\""));
	ck_assert_int_eq(ask("GET", "whois?addr=100.64.0.2", ""), 200);
	ck_assert_int_eq(ask("GET", "whois?addr=%5Bfd7a:115c:a1e0::1%5D:1", ""), 200);
	ck_assert_int_eq(ask("GET",
			     "whois?addr=nodekey:"
			     "2222222222222222222222222222222222222222222222222222222222222222",
			     ""),
			 200);
	ck_assert_int_eq(ask("GET", "whois?addr=100.64.0.9", ""), 404);
	ck_assert_int_eq(ask("GET", "whois?addr=b", ""), 400);
	ck_assert_int_eq(ask("GET", "whois", ""), 400);
	teardown();
}

TEST(derpmap_metrics_and_small_answers_have_their_form)
{
	setup();
	ck_assert_int_eq(ask("GET", "derpmap", ""), 200);
	check_json();
	ck_assert(body_has("\"Regions\":{\"9\":{") && body_has("\"DERPPort\":8443"));
	ck_assert_int_eq(ask("GET", "usermetrics", ""), 200);
	ck_assert(body_has("tailscaled_inbound_packets_total{path=\"direct_ipv4\"} 0\n"));
	ck_assert(body_has("# TYPE tailscaled_home_derp_region_id gauge\n"));
	ck_assert(body_has("tailscaled_inbound_dropped_packets_total{reason="));
	ck_assert_int_eq(ask("GET", "check-ip-forwarding", ""), 200);
	ck_assert(body_has("{\"Warning\":\"\"}"));
	ck_assert_int_eq(ask("GET", "serve-config", ""), 200);
	ck_assert(body_has("{}"));
	teardown();
}

TEST(metrics_of_several_nodes_have_one_heading_and_a_label_each)
{
	struct localapi_view two[2];
	const char *text, *first;
	struct buf out;

	setup();
	two[0] = two[1] = view;
	two[0].name = "web";
	two[1].name = "api";
	buf_init(&out, 1 << 20);
	ck_assert(localapi_metrics(two, 2, &out) && buf_printf(&out, "%c", 0));
	text = (const char *)out.data + out.off;
	ck_assert(strstr(text, "tailscaled_home_derp_region_id{node=\"web\"} ") != NULL);
	ck_assert(strstr(text, "tailscaled_home_derp_region_id{node=\"api\"} ") != NULL);
	ck_assert(strstr(text, "{node=\"api\",path=\"derp\"} 0\n") != NULL);
	ck_assert(strstr(text, "{node=\"web\",type=\"warning\"} ") != NULL);
	first = strstr(text, "# TYPE tailscaled_inbound_bytes_total");
	ck_assert(first && !strstr(first + 1, "# TYPE tailscaled_inbound_bytes_total"));
	buf_fini(&out);
	teardown();
}

TEST(prefs_are_shown_without_keys_and_changed_only_where_asked)
{
	setup();
	ck_assert_int_eq(ask("GET", "prefs", ""), 200);
	check_json();
	ck_assert(body_has("\"ControlURL\":\"" PREFS_CONTROL_URL_DEFAULT "\""));
	ck_assert(
	    body_has("privkey:0000000000000000000000000000000000000000000000000000000000000000"));
	ck_assert_int_eq(ask("PATCH", "prefs", "{\"Hostname\":\"new\",\"HostnameSet\":true}"), 200);
	ck_assert_int_eq(a.kind, LOCALAPI_ACT);
	ck_assert_int_eq(a.act, LOCALAPI_SET_PREFS);
	ck_assert_str_eq(a.prefs.hostname, "new");
	ck_assert(a.wants_prefs);
	ck_assert_int_eq(ask("PATCH", "prefs", "{\"RunSSH\":true,\"RunSSHSet\":true}"), 400);
	ck_assert(body_has("SSH"));
	ck_assert_int_eq(a.kind, LOCALAPI_DONE);
	ck_assert_int_eq(ask("PATCH", "prefs", "{\"Hostname\":"), 400);
	ck_assert_int_eq(ask("POST", "check-prefs", "{\"RunSSH\":true}"), 200);
	ck_assert(body_has("\"Error\":\""));
	ck_assert_int_eq(ask("POST", "check-prefs", "{\"Hostname\":\"x\"}"), 200);
	ck_assert(body_has("{}"));
	teardown();
}

TEST(start_takes_preferences_and_a_key)
{
	setup();
	ck_assert_int_eq(
	    ask("POST", "start", "{\"UpdatePrefs\":{\"ShieldsUp\":true},\"AuthKey\":\"k\"}"), 204);
	ck_assert_int_eq(a.act, LOCALAPI_START);
	ck_assert(a.prefs.shields_up);
	ck_assert_str_eq(a.auth_key, "k");
	ck_assert_int_eq(ask("POST", "login-interactive", ""), 204);
	ck_assert_int_eq(a.act, LOCALAPI_LOGIN);
	ck_assert_int_eq(ask("POST", "logout", ""), 204);
	ck_assert_int_eq(a.act, LOCALAPI_LOGOUT);
	teardown();
}

TEST(who_may_only_read_changes_nothing)
{
	static const char *const writes[][2] = { { "PATCH", "prefs" },
						 { "POST", "start" },
						 { "POST", "logout" },
						 { "POST", "login-interactive" },
						 { "POST", "check-prefs" },
						 { "POST", "serve-config" },
						 { "POST", "debug?action=rebind" } };

	setup();
	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		ck_assert_int_eq(ask_as(false, writes[i][0], writes[i][1], "{}"), 403);
		ck_assert_int_eq(a.kind, LOCALAPI_DONE);
	}
	ck_assert_int_eq(ask_as(false, "GET", "status", ""), 200);
	teardown();
}

TEST(web_pages_and_foreign_hosts_are_refused)
{
	struct localapi_request rq = { .method = bytes_str("GET"),
				       .path = bytes_str("/localapi/v0/status"),
				       .may_write = true };

	setup();
	localapi_answer_init(&a);
	rq.host = bytes_str("evil.example.com");
	localapi_handle(&view, &rq, &a);
	ck_assert_int_eq(a.status, 403);
	localapi_answer_fini(&a);
	localapi_answer_init(&a);
	rq.host = bytes_str(LOCALAPI_HOST);
	rq.has_origin = true;
	localapi_handle(&view, &rq, &a);
	ck_assert_int_eq(a.status, 403);
	teardown();
}

TEST(unknown_paths_are_404_and_other_methods_405)
{
	setup();
	ck_assert_int_eq(ask("GET", "no-such", ""), 404);
	ck_assert_int_eq(ask("GET", "", ""), 404);
	ck_assert_int_eq(ask("POST", "status", ""), 405);
	teardown();
}

TEST(a_ping_goes_to_the_node_for_peers_and_is_answered_here_for_others)
{
	setup();
	ck_assert_int_eq(ask("POST", "ping?ip=100.64.0.2&type=TSMP", ""), 200);
	ck_assert_int_eq(a.kind, LOCALAPI_PING);
	ck_assert_int_eq(a.ping, NODE_PING_TSMP);
	ck_assert_int_eq(ask("POST", "ping?ip=100.64.0.1&type=disco", ""), 200);
	ck_assert_int_eq(a.kind, LOCALAPI_DONE);
	ck_assert(body_has("\"IsLocalIP\":true"));
	ck_assert_int_eq(ask("POST", "ping?ip=100.64.0.99&type=disco", ""), 200);
	ck_assert(body_has("\"Err\":\"no matching peer\""));
	ck_assert_int_eq(ask("POST", "ping?ip=b&type=disco", ""), 400);
	ck_assert_int_eq(ask("POST", "ping?ip=100.64.0.2&type=peerapi", ""), 400);
	ck_assert_int_eq(ask("POST", "ping?ip=100.64.0.2&type=disco&size=1201", ""), 400);
	ck_assert_int_eq(ask("POST", "ping?ip=100.64.0.2&type=disco&size=1200", ""), 200);
	teardown();
}

TEST(a_pong_is_told_direct_relayed_or_failed)
{
	struct node_ping_result r = { .latency = SPAN_MS(3) };
	struct ip to = ip_v4(100, 64, 0, 2);

	setup();
	r.peer = netmap_by_ip(node_netmap(node), &to);
	r.addr = (struct ipport){ ip_v4(192, 0, 2, 1), 41641 };
	localapi_answer_init(&a);
	ck_assert(localapi_ping_json(&view, &to, &r, &a.body));
	check_json();
	ck_assert(body_has("\"NodeName\":\"b\"") && body_has("\"LatencySeconds\":0.003"));
	ck_assert(body_has("\"Endpoint\":\"192.0.2.1:41641\""));
	buf_clear(&a.body);
	r.addr = (struct ipport){ 0 };
	r.derp = 9;
	ck_assert(localapi_ping_json(&view, &to, &r, &a.body));
	ck_assert(body_has("\"DERPRegionID\":9,\"DERPRegionCode\":\"lab\""));
	buf_clear(&a.body);
	r.error = "timed out";
	ck_assert(localapi_ping_json(&view, &to, &r, &a.body));
	ck_assert(body_has("\"Err\":\"timed out\"") && !body_has("LatencySeconds"));
	teardown();
}

TEST(a_watcher_gets_what_its_mask_asks_for)
{
	setup();
	ck_assert_int_eq(ask("GET", "watch-ipn-bus?mask=2", ""), 200);
	ck_assert_int_eq(a.kind, LOCALAPI_STREAM);
	ck_assert(body_has("\"Version\":\"1.2.3\"") && body_has("\"State\":") &&
		  !body_has("\"NetMap\":"));
	ck_assert_int_eq(ask("GET", "watch-ipn-bus?mask=16526", ""),
			 200); /* state, prefs, netmap, health, status */
	ck_assert(body_has("\"NetMap\":{") && body_has("\"Prefs\":{") &&
		  body_has("\"InitialStatus\":{") && body_has("\"Health\":{"));
	check_json();
	ck_assert_int_eq(ask("GET", "watch-ipn-bus?mask=x", ""), 400);
	ck_assert_int_eq(ask("GET", "watch-ipn-bus", ""), 200);
	buf_clear(&a.body);
	ck_assert(localapi_notify(&view, 0, LOCALAPI_N_NETMAP | LOCALAPI_N_HEALTH, NULL, &a.body));
	ck_assert_uint_eq(a.body.len, 0);
	ck_assert(localapi_notify(&view, 0, LOCALAPI_N_STATE, NULL, &a.body));
	ck_assert(body_has("\"State\":"));
	teardown();
}

TEST(a_serve_configuration_may_be_cleared_but_not_set)
{
	setup();
	ck_assert_int_eq(ask("POST", "serve-config", "{}"), 200);
	ck_assert_int_eq(ask("POST", "serve-config", "{\"TCP\":null,\"Web\":{}}"), 200);
	ck_assert_int_eq(ask("POST", "serve-config", "{\"TCP\":{\"80\":{\"HTTP\":true}}}"), 501);
	ck_assert_int_eq(ask("POST", "serve-config", "["), 400);
	teardown();
}
