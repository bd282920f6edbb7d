/* path/igd_test.c - messages as devices write them; which service is taken; what is refused
 *
 * The description has the shape of a common one (root device, WANDevice, WANConnectionDevice).
 */
#include "path/igd.h"

#include "tests/harness.h"
#include "wire/http1.h"
#include "wire/xml.h"

static bool answer(const char *text, struct igd_answer *a)
{
	return igd_answer_parse(bytes_str(text), a);
}

TEST(igd_search_is_the_documented_request)
{
	char text[IGD_SEARCH_MAX];
	struct http1_head h;

	for (int i = 0; i < IGD_SEARCH_N; i++) {
		size_t n = igd_search_emit((enum igd_search)i, text);

		http1_request_init(&h);
		ck_assert_int_eq(http1_head_feed(&h, bytes_of(text, n)), HTTP1_OK);
		ck_assert(bytes_eq_str(h.method, "M-SEARCH"));
		ck_assert(bytes_eq_str(h.target, "*"));
		ck_assert(bytes_eq_str(h.host, "239.255.255.250:1900"));
		ck_assert(bytes_eq_str(http1_get(&h, "MAN"), "\"ssdp:discover\""));
		ck_assert(bytes_eq_str(http1_get(&h, "ST"),
				       i ? "ssdp:all"
					 : "urn:schemas-upnp-org:device:InternetGatewayDevice:1"));
	}
}

TEST(igd_answer_gives_port_and_path_and_never_the_host)
{
	struct igd_answer a;

	ck_assert(answer("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n"
			 "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nEXT:\r\n"
			 "LOCATION: http://192.0.2.66:5000/rootDesc.xml?a=b\r\n\r\n",
			 &a));
	ck_assert(a.is_gateway);
	ck_assert_uint_eq(a.place.port, 5000);
	ck_assert_str_eq(a.place.path, "/rootDesc.xml?a=b");
	ck_assert(
	    answer("HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLocation: http://h/\r\n\r\n", &a));
	ck_assert(!a.is_gateway);
	ck_assert_uint_eq(a.place.port, 80);
	ck_assert_uint_eq(a.boot, 0);
	ck_assert(answer("HTTP/1.1 200 OK\r\nLocation: http://h/\r\n"
			 "BOOTID.UPNP.ORG: 1795332467\r\n\r\n",
			 &a));
	ck_assert_uint_eq(a.boot, 1795332467);
	ck_assert(answer("HTTP/1.1 200 OK\r\nLocation: http://h/\r\n"
			 "BOOTID.UPNP.ORG: 99999999999\r\n\r\n",
			 &a));
	ck_assert_uint_eq(a.boot, 0);
}

TEST(igd_answer_refuses_what_is_none)
{
	static const char *const bad[] = {
		"",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nLocation: http://h/\r\n\r\n",
		"NOTIFY * HTTP/1.1\r\nHost: a\r\nLocation: http://h/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation: https://h/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation: file:///etc/passwd\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation: /rootDesc.xml\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation: http://h:0/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation: http://h:65536/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation: http://u@h/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation: http://h/a b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation: http://h/",
	};
	struct igd_answer a;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!answer(bad[i], &a), "%s", bad[i]);
}

TEST(igd_answer_takes_a_path_up_to_its_limit)
{
	struct igd_answer a;

	for (size_t n = IGD_PATH_MAX - 1; n <= IGD_PATH_MAX; n++) {
		char text[512];
		int k = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nLocation: http://h/");

		memset(text + k, 'x', n - 1);
		memcpy(text + k + n - 1, "\r\n\r\n", 5);
		ck_assert_int_eq(answer(text, &a), n < IGD_PATH_MAX);
	}
}

#define SERVICE(type, url)                                                                         \
	"<service><serviceType>" type "</serviceType><serviceId>x</serviceId><controlURL>" url     \
	"</controlURL><eventSubURL>/e</eventSubURL></service>"
#define DEVICE(services)                                                                           \
	"<?xml version=\"1.0\"?>\n<root xmlns=\"urn:schemas-upnp-org:device-1-0\"><specVersion>"   \
	"<major>1</major></specVersion><device><deviceType>urn:x</deviceType><deviceList><device>" \
	"<deviceList><device><serviceList>" services "</serviceList></device></deviceList>"        \
	"</device></deviceList></device></root>"
#define IP1 "urn:schemas-upnp-org:service:WANIPConnection:1"
#define IP2 "urn:schemas-upnp-org:service:WANIPConnection:2"
#define PPP1 "urn:schemas-upnp-org:service:WANPPPConnection:1"
#define DSL "urn:dslforum-org:service:WANIPConnection:1"

static const struct igd_place at = { 5000, "/igd/rootDesc.xml" };

static bool describe(const char *xml, enum igd_service *s, struct igd_place *control)
{
	return igd_description_parse(bytes_str(xml), &at, s, control);
}

TEST(igd_description_takes_the_best_service)
{
	static const struct {
		const char *xml, *path;
		enum igd_service s;
	} v[] = {
		{ DEVICE(SERVICE(IP1, "/a")), "/a", IGD_IP1 },
		{ DEVICE(SERVICE(IP1, "/a") SERVICE(IP2, "/b")), "/b", IGD_IP2 },
		{ DEVICE(SERVICE(IP2, "/b") SERVICE(IP1, "/a")), "/b", IGD_IP2 },
		{ DEVICE(SERVICE(PPP1, "/p") SERVICE(IP1, "/a")), "/a", IGD_IP1 },
		{ DEVICE(SERVICE(PPP1, "/p") SERVICE(DSL, "/d")), "/p", IGD_PPP1 },
		{ DEVICE(SERVICE(DSL, "/d")), "/d", IGD_DSL_IP1 },
		{ DEVICE(SERVICE(IP2, "") SERVICE(IP1, "/a")), "/a", IGD_IP1 }, /* no URL */
		{ DEVICE(SERVICE("urn:x", "/x") SERVICE(IP1, "/a")), "/a", IGD_IP1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		enum igd_service s;
		struct igd_place c;

		ck_assert_msg(describe(v[i].xml, &s, &c), "%zu", i);
		ck_assert_int_eq(s, v[i].s);
		ck_assert_str_eq(c.path, v[i].path);
		ck_assert_uint_eq(c.port, 5000);
	}
}

TEST(igd_description_resolves_control_urls_at_the_gateway)
{
	static const struct {
		const char *xml, *path;
		uint16_t port;
	} v[] = {
		{ DEVICE(SERVICE(IP1, "ctl/IPConn")), "/igd/ctl/IPConn", 5000 },
		{ DEVICE(SERVICE(IP1, "/ctl?a&amp;b")), "/ctl?a&b", 5000 },
		{ DEVICE(SERVICE(IP1, "http://198.51.100.1:49152/c")), "/c", 49152 },
		{ "<root><URLBase>http://10.0.0.1:2869/</URLBase>" SERVICE(IP1, "/c") "</root>",
		  "/c", 2869 },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		enum igd_service s;
		struct igd_place c;

		ck_assert_msg(describe(v[i].xml, &s, &c), "%zu", i);
		ck_assert_str_eq(c.path, v[i].path);
		ck_assert_uint_eq(c.port, v[i].port);
	}
}

TEST(igd_description_refuses_what_is_none)
{
	static const char *const bad[] = {
		"",
		"<html></html>",
		DEVICE(""),
		DEVICE(SERVICE("urn:schemas-upnp-org:service:WANIPConnection:3", "/a")),
		DEVICE(SERVICE(IP1, "")),
		DEVICE(SERVICE(IP1, "https://h/a")),
		DEVICE(SERVICE(IP1, "ftp:a")),
		DEVICE(SERVICE(IP1, "/a b")),
		"<!DOCTYPE x><root>" SERVICE(IP1, "/a") "</root>",
		"<root>" SERVICE(IP1, "/a"),
	};
	enum igd_service s;
	struct igd_place c;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!describe(bad[i], &s, &c), "%s", bad[i]);
}

TEST(igd_actions_have_the_arguments_in_their_order)
{
	const struct igd_mapping m = { 40000, { ip_v4(192, 168, 1, 7), 41641 }, 7200 };
	char headers[IGD_HEADERS_MAX], body[IGD_BODY_MAX];

	(void)igd_action_emit(IGD_IP1, IGD_ADD, &m, headers, body);
	ck_assert_str_eq(headers, "Content-Type: text/xml; charset=\"utf-8\"\r\nSOAPAction: "
				  "\"" IP1 "#AddPortMapping\"\r\n");
	ck_assert_ptr_nonnull(strstr(
	    body, "<s:Body><u:AddPortMapping xmlns:u=\"" IP1 "\"><NewRemoteHost></NewRemoteHost>"
		  "<NewExternalPort>40000</NewExternalPort><NewProtocol>UDP</NewProtocol>"
		  "<NewInternalPort>41641</NewInternalPort>"
		  "<NewInternalClient>192.168.1.7</NewInternalClient><NewEnabled>1</NewEnabled>"
		  "<NewPortMappingDescription>tailscale-portmap</NewPortMappingDescription>"
		  "<NewLeaseDuration>7200</NewLeaseDuration></u:AddPortMapping></s:Body>"));
	(void)igd_action_emit(IGD_PPP1, IGD_DELETE, &m, headers, body);
	ck_assert_ptr_nonnull(
	    strstr(body, "<u:DeletePortMapping xmlns:u=\"" PPP1 "\"><NewRemoteHost></NewRemoteHost>"
			 "<NewExternalPort>40000</NewExternalPort><NewProtocol>UDP</NewProtocol>"
			 "</u:DeletePortMapping>"));
	(void)igd_action_emit(IGD_IP2, IGD_ADDRESS, NULL, headers, body);
	ck_assert_ptr_nonnull(
	    strstr(body, "<u:GetExternalIPAddress xmlns:u=\"" IP2 "\"></u:GetExternalIPAddress>"));
}

TEST(igd_requests_of_any_kind_fit_and_are_xml)
{
	const struct igd_mapping m = { 65535, { ip_v4(255, 255, 255, 255), 65535 }, UINT32_MAX };
	char headers[IGD_HEADERS_MAX], body[IGD_BODY_MAX];

	for (int s = 0; s < IGD_SERVICE_N; s++)
		for (int a = 0; a < IGD_ACTION_N; a++) {
			size_t n = igd_action_emit((enum igd_service)s, (enum igd_action)a, &m,
						   headers, body);
			struct xml x = xml_of(bytes_of(body, n));
			enum xml_event ev;

			do
				ev = xml_next(&x);
			while (ev != XML_END && ev != XML_BAD);
			ck_assert_int_eq(ev, XML_END);
		}
}

#define REPLY(action, inside)                                                                      \
	"<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"e\"><s:Body><u:" action "Response "          \
	"xmlns:u=\"u\">" inside "</u:" action "Response></s:Body></s:Envelope>"
#define FAULT(code)                                                                                \
	"<s:Envelope xmlns:s=\"e\"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>"  \
	"UPnPError</faultstring><detail><UPnPError xmlns=\"c\"><errorCode>" code "</errorCode>"    \
	"<errorDescription>x</errorDescription></UPnPError></detail></s:Fault></s:Body>"           \
	"</s:Envelope>"

static bool reply(const char *xml, enum igd_action a, struct igd_reply *r)
{
	return igd_reply_parse(bytes_str(xml), a, r);
}

TEST(igd_replies_give_their_values)
{
	struct igd_reply r;
	char text[IP_TEXT];

	ck_assert(reply(REPLY("AddPortMapping", ""), IGD_ADD, &r));
	ck_assert_uint_eq(r.error, 0);
	ck_assert(reply(REPLY("AddAnyPortMapping", "<NewReservedPort>4000</NewReservedPort>"),
			IGD_ADD_ANY, &r));
	ck_assert_uint_eq(r.port, 4000);
	ck_assert(reply(REPLY("GetExternalIPAddress", "<NewExternalIPAddress>203.0.113.9"
						      "</NewExternalIPAddress>"),
			IGD_ADDRESS, &r));
	ck_assert_str_eq(ip_text(&r.address, text), "203.0.113.9");
	ck_assert(reply(REPLY("GetExternalIPAddress", "<NewExternalIPAddress/>"), IGD_ADDRESS, &r));
	ck_assert(ip_is_zero(&r.address));
	ck_assert(reply(REPLY("GetStatusInfo", "<NewConnectionStatus>Connected"
					       "</NewConnectionStatus><NewUptime>5</NewUptime>"),
			IGD_STATUS, &r));
	ck_assert(r.is_up);
	ck_assert(
	    reply(REPLY("GetStatusInfo", "<NewConnectionStatus>Disconnected</NewConnectionStatus>"),
		  IGD_STATUS, &r));
	ck_assert(!r.is_up);
	ck_assert(reply(FAULT("718"), IGD_ADD, &r));
	ck_assert_uint_eq(r.error, IGD_E_CONFLICT);
}

TEST(igd_replies_that_are_none_are_refused)
{
	static const char *const bad[] = {
		"",
		"<a/>",
		REPLY("GetStatusInfo", ""), /* of another action */
		FAULT("0"),
		FAULT("x"),
		FAULT("1000"),
		FAULT("-1"),
		REPLY("AddAnyPortMapping", "<NewReservedPort>65536</NewReservedPort>"),
		REPLY("AddAnyPortMapping", "<errorCode>718</errorCode>"), /* both */
		"<s:Envelope><s:Body>",
	};
	struct igd_reply r;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!reply(bad[i], IGD_ADD_ANY, &r), "%s", bad[i]);
	ck_assert(!reply(REPLY("GetExternalIPAddress",
			       "<NewExternalIPAddress>router.example</NewExternalIPAddress>"),
			 IGD_ADDRESS, &r));
}
