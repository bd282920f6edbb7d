/* path/portmap_upnp_test.c - a mapping by UPnP: the order of requests, every error code that has an
 * answer, what hostile devices cannot do */
#include "path/portmap.h"

#include <stdlib.h>

#include "base/text.h"
#include "tests/harness.h"

static struct {
	struct seed_rng rng;
	struct portmap *pm;
	mono_t now;
	struct ip gateway;
	struct ipport inside;
	/* the last HTTP request */
	uint32_t request;
	size_t n_requests;
	struct ipport to;
	char method[8], target[IGD_PATH_MAX], action[48], body[IGD_BODY_MAX];
} w;

static void drain(void)
{
	struct portmap_want want;

	while (portmap_pull(w.pm, &want)) {
		const char *hash;

		if (want.type == PORTMAP_SEND)
			continue;
		w.n_requests++;
		w.request = want.request;
		w.to = want.to;
		ck_assert(ip_eq(&want.to.ip, &w.gateway)); /* nobody else, ever */
		snprintf(w.method, sizeof w.method, "%s", want.method);
		snprintf(w.target, sizeof w.target, "%s", want.target);
		snprintf(w.body, sizeof w.body, "%.*s", (int)want.data.len,
			 (const char *)want.data.data);
		hash = strchr(want.headers, '#');
		snprintf(w.action, sizeof w.action, "%.*s",
			 hash ? (int)(strchr(hash, '"') - hash - 1) : 0, hash ? hash + 1 : "");
	}
}

static void wait_ms(int64_t ms)
{
	drain();
	w.now = mono_add(w.now, SPAN_MS(ms));
	portmap_tick(w.pm, w.now);
	drain();
}

static unsigned boot = 1;

static void found_at(const char *location, bool is_gateway)
{
	const struct ipport from = { w.gateway, IGD_SSDP_PORT };
	char text[512];
	int n = snprintf(text, sizeof text,
			 "HTTP/1.1 200 OK\r\nST: %s\r\nLOCATION: %s\r\nBOOTID.UPNP.ORG: %u\r\n\r\n",
			 is_gateway ? "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
				    : "upnp:rootdevice",
			 location, boot);

	portmap_feed(w.pm, w.now, &from, (const uint8_t *)text, (size_t)n);
}

static void answered(unsigned status, const char *body)
{
	portmap_answer(w.pm, w.now, w.request, status, bytes_str(body));
	drain();
}

static void described(int version)
{
	char text[512];

	snprintf(text, sizeof text,
		 "<root><device><serviceList><service><serviceType>urn:schemas-upnp-org:service:"
		 "WANIPConnection:%d</serviceType><controlURL>/ctl</controlURL></service>"
		 "</serviceList></device></root>",
		 version);
	answered(200, text);
}

/* the asked action succeeds */
static void done(const char *inside)
{
	char text[512];

	snprintf(text, sizeof text, "<E><B><%sResponse>%s</%sResponse></B></E>", w.action, inside,
		 w.action);
	answered(200, text);
}

static void fault(int code)
{
	char text[256];

	snprintf(text, sizeof text, "<E><B><Fault><errorCode>%d</errorCode></Fault></B></E>", code);
	answered(500, text);
}

static void asked(const char *action)
{
	ck_assert_str_eq(w.action, action);
	ck_assert_str_eq(w.method, *action ? "POST" : "GET");
}

static unsigned long number(const char *name)
{
	const char *p = strstr(w.body, name);

	ck_assert_ptr_nonnull(p);
	return strtoul(p + strlen(name) + 1, NULL, 10);
}

#define ADDRESS "<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>"

static void begin(void)
{
	memset(&w, 0, sizeof w);
	seed_rng_init(&w.rng, 1);
	w.pm = portmap_new(&w.rng.rng);
	ck_assert_ptr_nonnull(w.pm);
	w.now = (mono_t){ 50 * NS_PER_S };
	w.gateway = ip_v4(192, 168, 1, 1);
	w.inside = (struct ipport){ ip_v4(192, 168, 1, 7), 41641 };
	portmap_set(w.pm, w.now, &w.gateway, &w.inside);
	drain();
}

/* up to the question for a port */
static void ask_port(int version)
{
	begin();
	found_at("http://192.168.1.1:5000/rootDesc.xml", true);
	wait_ms(250);
	asked("");
	ck_assert_str_eq(w.target, "/rootDesc.xml");
	ck_assert_uint_eq(w.to.port, 5000);
	described(version);
	asked("GetStatusInfo");
	ck_assert_str_eq(w.target, "/ctl");
	done("<NewConnectionStatus>Connected</NewConnectionStatus>");
	asked(version == 2 ? "AddAnyPortMapping" : "AddPortMapping");
}

static void hold(void)
{
	ask_port(1);
	done("");
	asked("GetExternalIPAddress");
	done(ADDRESS);
}

static bool external(struct ipport *out)
{
	return portmap_external(w.pm, out);
}

TEST(upnp_maps_in_the_documented_order)
{
	struct ipport ext;
	unsigned long port;

	ask_port(1);
	port = number("NewExternalPort");
	ck_assert(port >= 1024 && port <= 65535);
	ck_assert_uint_eq(number("NewInternalPort"), 41641);
	ck_assert_uint_eq(number("NewLeaseDuration"), 7200);
	ck_assert_ptr_nonnull(strstr(w.body, "<NewInternalClient>192.168.1.7<"));
	done("");
	asked("GetExternalIPAddress");
	ck_assert(!external(&ext));
	done(ADDRESS);
	ck_assert(external(&ext));
	ck_assert_uint_eq(ext.port, port);
	ck_assert(portmap_changed(w.pm));
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_UPNP), 1);
	ck_assert_int_eq(portmap_seen(w.pm, w.now, PORTMAP_PMP), 0);
	portmap_free(w.pm);
}

TEST(upnp_takes_the_port_that_a_version_2_device_chooses)
{
	struct ipport ext;

	ask_port(2);
	done("<NewReservedPort>4242</NewReservedPort>");
	done(ADDRESS);
	ck_assert(external(&ext));
	ck_assert_uint_eq(ext.port, 4242);
	portmap_free(w.pm);
}

TEST(upnp_falls_back_to_the_action_of_version_1)
{
	ask_port(2);
	fault(IGD_E_INVALID_ACTION);
	asked("AddPortMapping");
	done("");
	asked("GetExternalIPAddress");
	portmap_free(w.pm);
}

TEST(upnp_asks_for_a_mapping_for_ever_where_leases_are_refused)
{
	static const int codes[] = { IGD_E_INVALID_ARGS, IGD_E_ONLY_PERMANENT };

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct ipport ext;

		ask_port(1);
		fault(codes[i]);
		asked("AddPortMapping");
		ck_assert_uint_eq(number("NewLeaseDuration"), 0);
		done("");
		done(ADDRESS);
		ck_assert(external(&ext));
		w.n_requests = 0;
		wait_ms(3600 * 1000); /* looked after like any other */
		asked("AddPortMapping");
		ck_assert_uint_eq(number("NewLeaseDuration"), 0);
		portmap_free(w.pm);
	}
}

TEST(upnp_tries_four_other_ports_at_a_conflict)
{
	static const int codes[] = { IGD_E_CONFLICT, IGD_E_OTHER_MECHANISM };

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		unsigned long last = 0;

		ask_port(1);
		for (int k = 0; k < 5; k++) {
			asked("AddPortMapping");
			ck_assert_uint_ne(number("NewExternalPort"), last);
			last = number("NewExternalPort");
			fault(codes[i]);
		}
		w.n_requests = 0;
		wait_ms(299999);
		ck_assert_uint_eq(w.n_requests, 0); /* quiet */
		portmap_free(w.pm);
	}
}

TEST(upnp_asks_for_the_inner_port_where_both_must_be_one)
{
	ask_port(1);
	fault(IGD_E_SAME_PORT);
	asked("AddPortMapping");
	ck_assert_uint_eq(number("NewExternalPort"), 41641);
	w.n_requests = 0;
	fault(IGD_E_CONFLICT); /* taken: there is no other */
	ck_assert_uint_eq(w.n_requests, 0);
	portmap_free(w.pm);
}

TEST(upnp_gives_up_at_any_other_error)
{
	static const int codes[] = { 401, 404, 501, 602, 603, 605, 606, 613, 715, 716,
				     726, 727, 728, 730, 731, 732, 733, 734, 800, 999 };

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		ask_port(1);
		w.n_requests = 0;
		fault(codes[i]);
		ck_assert_uint_eq(w.n_requests, 0);
		ck_assert_uint_eq(portmap_drops(w.pm)[PORTMAP_DROP_REFUSED], 1);
		ck_assert(portmap_is_released(w.pm));
		portmap_free(w.pm);
	}
}

TEST(upnp_does_not_map_while_the_line_is_down)
{
	begin();
	found_at("http://192.168.1.1:5000/d", true);
	wait_ms(250);
	described(1);
	done("<NewConnectionStatus>Disconnected</NewConnectionStatus>");
	asked("GetStatusInfo"); /* the last one */
	portmap_free(w.pm);
}

TEST(upnp_goes_on_where_the_status_is_not_known)
{
	begin();
	found_at("http://192.168.1.1:5000/d", true);
	wait_ms(250);
	described(1);
	fault(401);
	asked("AddPortMapping");
	portmap_free(w.pm);
}

TEST(upnp_gives_back_a_mapping_to_an_address_that_is_none)
{
	static const char *const bad[] = {
		"<NewExternalIPAddress/>", "<NewExternalIPAddress>0.0.0.0</NewExternalIPAddress>",
		"<NewExternalIPAddress>127.0.0.1</NewExternalIPAddress>",
		"<NewExternalIPAddress>2001:db8::1</NewExternalIPAddress>"
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct ipport ext;

		ask_port(1);
		done("");
		done(bad[i]);
		ck_assert(!external(&ext));
		asked("DeletePortMapping");
		ck_assert_uint_eq(portmap_drops(w.pm)[PORTMAP_DROP_ADDRESS], 1);
		portmap_free(w.pm);
	}
}

TEST(upnp_renews_at_half_life_and_ends_with_the_lease)
{
	struct ipport ext, after;

	hold();
	ck_assert(external(&ext));
	wait_ms(3600 * 1000);
	asked("AddPortMapping");
	ck_assert_uint_eq(number("NewExternalPort"), ext.port);
	done("");
	done(ADDRESS);
	ck_assert(external(&after));
	ck_assert(ipport_eq(&ext, &after));
	for (int i = 0; i < 200 && external(&after); i++) { /* it refuses from now on */
		wait_ms(span_ms(mono_sub(portmap_deadline(w.pm), w.now)) + 1);
		fault(501);
	}
	ck_assert(!external(&after));
	ck_assert_int_ge(mono_sub(w.now, (mono_t){ 50 * NS_PER_S }).ns, SPAN_S(10800).ns);
	portmap_free(w.pm);
}

TEST(upnp_asks_again_for_the_port_when_the_gateway_has_started_anew)
{
	struct ipport before, after;

	hold();
	ck_assert(external(&before));
	w.now = mono_add(w.now, SPAN_S(60));
	portmap_check(w.pm, w.now);
	w.n_requests = 0;
	found_at("http://192.168.1.1:5000/rootDesc.xml", true);
	wait_ms(0);
	ck_assert_uint_eq(w.n_requests, 0); /* the same boot */
	boot++;
	found_at("http://192.168.1.1:5001/rootDesc.xml", true); /* and elsewhere */
	wait_ms(0);
	asked("");
	ck_assert_uint_eq(w.to.port, 5001);
	described(1);
	done("<NewConnectionStatus>Connected</NewConnectionStatus>");
	ck_assert_uint_eq(number("NewExternalPort"), before.port);
	done("");
	done(ADDRESS);
	ck_assert(external(&after));
	ck_assert(ipport_eq(&before, &after));
	ck_assert_uint_eq(portmap_drops(w.pm)[PORTMAP_DROP_EPOCH], 1);
	portmap_free(w.pm);
}

TEST(upnp_gives_the_mapping_back_and_says_when_it_is_done)
{
	const struct ip none = { 0 };
	struct ipport ext;

	hold();
	ck_assert(external(&ext));
	portmap_set(w.pm, w.now, &none, &w.inside);
	drain();
	asked("DeletePortMapping");
	ck_assert_uint_eq(number("NewExternalPort"), ext.port);
	ck_assert(!portmap_is_released(w.pm));
	answered(200, "");
	ck_assert(portmap_is_released(w.pm));
	ck_assert(mono_is_never(portmap_deadline(w.pm)));
	portmap_free(w.pm);
}

TEST(upnp_stops_waiting_for_a_device_that_does_not_take_its_mapping_back)
{
	const struct ip none = { 0 };

	hold();
	portmap_set(w.pm, w.now, &none, &w.inside);
	drain();
	wait_ms(4999);
	ck_assert(!portmap_is_released(w.pm));
	wait_ms(1);
	ck_assert(portmap_is_released(w.pm));
	portmap_free(w.pm);
}

TEST(upnp_comes_after_the_others)
{
	uint8_t m[12] = { 0, 128, 0, 0, 0, 0, 1, 0, 203, 0, 113, 9 };
	uint8_t no[16] = { 0, 129, 0, 2, 0, 0, 1, 0, 0xa2, 0xa9 };
	struct ipport from;

	begin();
	from = (struct ipport){ w.gateway, PORTMAP_PORT };
	found_at("http://192.168.1.1:5000/d", true);
	portmap_feed(w.pm, w.now, &from, m, sizeof m);
	wait_ms(250);
	ck_assert_uint_eq(w.n_requests, 0);
	portmap_feed(w.pm, w.now, &from, no, sizeof no); /* NAT-PMP refuses */
	drain();
	ck_assert_uint_eq(w.n_requests, 1);
	asked("");
	portmap_free(w.pm);
}

TEST(upnp_prefers_the_answer_that_says_it_is_a_gateway)
{
	begin();
	found_at("http://192.168.1.1:8200/media.xml", false);
	found_at("http://192.168.1.1:5000/igd.xml", true);
	found_at("http://192.168.1.1:8201/other.xml", false);
	wait_ms(250);
	ck_assert_str_eq(w.target, "/igd.xml");
	portmap_free(w.pm);
}

TEST(upnp_talks_to_the_gateway_whatever_is_said_about_where_it_is)
{
	begin();
	found_at("http://10.9.9.9:8080/admin", true); /* drain asserts the address */
	wait_ms(250);
	ck_assert_uint_eq(w.n_requests, 1);
	answered(200, "<root><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1"
		      "</serviceType><controlURL>http://169.254.169.254/latest</controlURL>"
		      "</service></root>");
	ck_assert_uint_eq(w.n_requests, 2);
	ck_assert_uint_eq(w.to.port, 80);
	portmap_free(w.pm);
}

TEST(upnp_answers_of_others_do_not_count)
{
	const char *text = "HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1:5000/d\r\n\r\n";
	const struct ipport strangers[] = { { ip_v4(192, 168, 1, 66), IGD_SSDP_PORT },
					    { ip_v4(192, 168, 1, 1), 4444 } };

	begin();
	for (size_t i = 0; i < ARRAY_LEN(strangers); i++)
		portmap_feed(w.pm, w.now, &strangers[i], (const uint8_t *)text, strlen(text));
	wait_ms(250);
	wait_ms(500);
	wait_ms(1000);
	ck_assert_uint_eq(w.n_requests, 0);
	ck_assert_uint_eq(portmap_drops(w.pm)[PORTMAP_DROP_STRANGER], 2);
	portmap_free(w.pm);
}

TEST(upnp_ignores_answers_to_other_requests_and_gives_up_without_one)
{
	ask_port(1);
	w.n_requests = 0;
	portmap_answer(w.pm, w.now, w.request - 1, 200, bytes_str("<AddPortMappingResponse/>"));
	portmap_answer(w.pm, w.now, w.request + 1, 200, bytes_str("<AddPortMappingResponse/>"));
	drain();
	ck_assert_uint_eq(w.n_requests, 0);
	ck_assert_uint_eq(portmap_drops(w.pm)[PORTMAP_DROP_UNASKED], 2);
	wait_ms(5000);
	ck_assert_int_eq(span_ms(mono_sub(portmap_deadline(w.pm), w.now)), 300000);
	portmap_free(w.pm);
}

TEST(upnp_survives_any_answer_that_is_none)
{
	static const char *const bad[] = { "", "<a>", "no xml", "<a/>" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		for (int at = 0; at < 4; at++) {
			struct ipport ext;

			begin();
			found_at("http://192.168.1.1:5000/d", true);
			wait_ms(250);
			if (at > 0)
				described(1);
			if (at > 1)
				done("");
			if (at > 2)
				done("");
			w.n_requests = 0;
			answered(i == 0 ? 0 : 200, bad[i]);
			ck_assert_uint_eq(w.n_requests, 0);
			ck_assert(!external(&ext));
			portmap_free(w.pm);
		}
}
