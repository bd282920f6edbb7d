/* ts2021/fields_test.c - exactly the fields of docs/protocol/control.md are sent, and nothing else
 */
#include <stdlib.h>

#include "base/json.h"
#include "tests/harness.h"
#include "ts2021/map_request.h"
#include "ts2021/register.h"

/* "A B C" of the object's keys in order; nested objects as "A{B C}" */
static void keys_of(struct bytes json, struct buf *out)
{
	struct json j = json_of(json);
	struct bytes key, raw;
	bool first = true;

	json_obj(&j);
	while (json_key(&j, &key)) {
		ck_assert(buf_printf(out, "%s%.*s", first ? "" : " ", (int)key.len,
				     (const char *)key.data));
		first = false;
		raw = json_raw(&j);
		if (raw.len && raw.data[0] == '{') {
			ck_assert(buf_append(out, "{", 1));
			keys_of(raw, out);
			ck_assert(buf_append(out, "}", 1));
		}
	}
	ck_assert(json_done(&j));
}

static void check_keys(const struct buf *body, const char *want)
{
	struct buf got;
	char *text;

	buf_init(&got, 10000);
	keys_of(buf_bytes(body), &got);
	text = buf_take_str(&got);
	ck_assert_str_eq(text, want);
	free(text);
}

static struct key_pub node = { { 1 } }, old = { { 2 } }, disco = { { 3 } };

static void all_of_it(struct hostinfo *h)
{
	static const char *const tags[] = { "tag:a", "tag:b" };
	static struct ipprefix routes[2];
	struct control_netinfo ni = { .working_udp = 1,
				      .working_v6 = 0,
				      .varies_by_dest = 0,
				      .os_has_v6 = true,
				      .home = 999,
				      .asked_gateway = true,
				      .have_portmap = true,
				      .latency = { { 999, false, 0.000631729 } },
				      .n_latency = 1 };
	struct control_hostinfo hi = { .hostname = "h",
				       .os_version = "6.18.0",
				       .distro = "debian",
				       .distro_version = "12.11",
				       .distro_code = "bookworm",
				       .app = "k8s",
				       .backend_log_id = "cb",
				       .machine = "x86_64",
				       .container = true,
				       .userspace = true,
				       .shields_up = true,
				       .routes = routes,
				       .n_routes = 2,
				       .tags = tags,
				       .n_tags = 2,
				       .peerapi4 = 1,
				       .peerapi6 = 2 };
	bool changed;

	routes[0] = ipprefix_of(&(struct ip){ 0 }, 0);
	ck_assert(ipprefix_parse(bytes_str("10.0.0.0/8"), &routes[1]));
	hostinfo_init(h);
	ck_assert_int_eq(hostinfo_set(h, "1.0", &hi, &changed), 0);
	ck_assert(changed);
	ck_assert_int_eq(hostinfo_set(h, "1.0", &hi, &changed), 0);
	ck_assert(!changed);
	ck_assert(hostinfo_set_net(h, &ni));
	ni.latency[0].seconds = 1;
	ck_assert(!hostinfo_set_net(h, &ni)); /* jitter is no change */
	ni.upnp = true;
	ck_assert(hostinfo_set_net(h, &ni));
}

#define HOSTINFO_ALL                                                                               \
	"Hostinfo{IPNVersion BackendLogID OS OSVersion Container Distro DistroVersion "            \
	"DistroCodeName App Hostname ShieldsUp "                                                   \
	"NoLogsNoSupport Machine RoutableIPs Services Userspace UserspaceRouter StateEncrypted "   \
	"RequestTags "                                                                             \
	"NetInfo{MappingVariesByDestIP WorkingIPv6 OSHasIPv6 WorkingUDP HavePortMap UPnP PMP PCP " \
	"PreferredDERP "                                                                           \
	"DERPLatency{999-v4}}}"

TEST(register_request_sends_exactly_the_documented_fields)
{
	struct register_request rq = { .version = 116,
				       .node = &node,
				       .old_node = &old,
				       .auth_key = "k",
				       .followup = "http://x",
				       .ephemeral = true,
				       .with_tags = true };
	struct hostinfo h;
	struct buf b;

	all_of_it(&h);
	rq.hostinfo = &h;
	buf_init(&b, 100000);
	ck_assert(register_emit(&b, &rq));
	check_keys(&b,
		   "Version NodeKey OldNodeKey Followup " HOSTINFO_ALL " Ephemeral Auth{AuthKey}");
	buf_fini(&b);
	rq.is_logout = true;
	rq.followup = NULL;
	rq.old_node = NULL;
	rq.ephemeral = false;
	ck_assert(register_emit(&b, &rq));
	check_keys(&b, "Version NodeKey Expiry " HOSTINFO_ALL);
	buf_fini(&b);
	hostinfo_fini(&h);
}

TEST(map_requests_send_exactly_the_documented_fields_and_all_of_them_each_time)
{
	struct ipport ep = { ip_v4(192, 0, 2, 1), 5 };
	enum control_ep type = CONTROL_EP_STUN;
	struct map_request rq = { .version = 116,
				  .is_stream = true,
				  .with_zstd = true,
				  .with_tags = true,
				  .node = &node,
				  .disco = &disco,
				  .endpoints = &ep,
				  .types = &type,
				  .n_endpoints = 1 };
	struct hostinfo h;
	struct buf b;

	all_of_it(&h);
	rq.hostinfo = &h;
	buf_init(&b, 100000);
	ck_assert(map_request_emit(&b, &rq));
	check_keys(&b, "Version Compress KeepAlive NodeKey DiscoKey Stream " HOSTINFO_ALL
		       " Endpoints EndpointTypes");
	buf_fini(&b);
	rq.is_stream = false;
	rq.with_zstd = false;
	ck_assert(map_request_emit(&b, &rq));
	check_keys(&b, "Version KeepAlive NodeKey DiscoKey " HOSTINFO_ALL
		       " Endpoints EndpointTypes OmitPeers");
	buf_fini(&b);
	hostinfo_fini(&h);
}

#define SERVICES                                                                                   \
	"\"Services\":[{\"Proto\":\"peerapi4\",\"Port\":1},"                                       \
	"{\"Proto\":\"peerapi6\",\"Port\":2}]"

TEST(values_have_the_forms_that_go_reads)
{
	struct ipport ep = { ip_v4(192, 0, 2, 1), 5 };
	enum control_ep type = CONTROL_EP_STUN;
	struct map_request rq = { .version = 116,
				  .with_tags = true,
				  .node = &node,
				  .disco = &disco,
				  .endpoints = &ep,
				  .types = &type,
				  .n_endpoints = 1 };
	static const char *const want[] = { "\"Version\":116,",
					    "\"NodeKey\":\"nodekey:0100",
					    "\"DiscoKey\":\"discokey:0300",
					    "\"OmitPeers\":true",
					    "\"Endpoints\":[\"192.0.2.1:5\"]",
					    "\"EndpointTypes\":[2]",
					    "\"RoutableIPs\":[\"::/0\",\"10.0.0.0/8\"]",
					    "\"RequestTags\":[\"tag:a\",\"tag:b\"]",
					    SERVICES,
					    "\"WorkingIPv6\":false",
					    "\"PreferredDERP\":999",
					    "\"999-v4\":1" };
	struct hostinfo h;
	struct buf b;
	char *text;

	all_of_it(&h);
	rq.hostinfo = &h;
	buf_init(&b, 100000);
	ck_assert(map_request_emit(&b, &rq));
	text = buf_take_str(&b);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		ck_assert_msg(strstr(text, want[i]) != NULL, "%s not in %s", want[i], text);
	free(text);
	hostinfo_fini(&h);
}

TEST(what_is_not_known_is_left_out)
{
	struct map_request rq = { .version = 116, .node = &node };
	struct control_hostinfo hi = { .hostname = "h" };
	struct hostinfo h;
	struct buf b;
	bool changed;

	hostinfo_init(&h);
	ck_assert_int_eq(hostinfo_set(&h, "", &hi, &changed), 0);
	rq.hostinfo = &h;
	buf_init(&b, 100000);
	ck_assert(map_request_emit(&b, &rq));
	check_keys(&b, "Version KeepAlive NodeKey Hostinfo{OS Container Hostname NoLogsNoSupport "
		       "Userspace UserspaceRouter StateEncrypted} OmitPeers");
	buf_fini(&b);
	hostinfo_fini(&h);
}
