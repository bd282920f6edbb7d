/* path/igd.c - see igd.h */
#include "path/igd.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "wire/http1.h"
#include "wire/xml.h"

enum { HTTP_PORT = 80, VALUE_MAX = 160, URL_MAX = IGD_PATH_MAX + 64 };

/* --- SSDP --- */

size_t igd_search_emit(enum igd_search what, char out[static IGD_SEARCH_MAX])
{
	static const char *const targets[IGD_SEARCH_N] = {
		[IGD_SEARCH_GATEWAY] = "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
		[IGD_SEARCH_ALL] = "ssdp:all", /* devices that do not know their own name */
	};
	int n = snprintf(out, IGD_SEARCH_MAX,
			 "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nST: %s\r\n"
			 "MAN: \"ssdp:discover\"\r\nMX: 1\r\n\r\n",
			 targets[what]);

	assert(n > 0 && n < IGD_SEARCH_MAX);
	return (size_t)n;
}

/* It goes into a request line: no blanks, nothing that is not ASCII. */
static bool is_graphic(struct bytes url)
{
	for (size_t i = 0; i < url.len; i++)
		if (url.data[i] <= ' ' || url.data[i] >= 0x7f)
			return false;
	return url.len > 0;
}

/* "http://host:port/path", "/path" or "path" beside `base`; the host is dropped. */
static bool place_parse(struct bytes url, const struct igd_place *base, struct igd_place *out)
{
	const struct bytes get = bytes_str("GET");
	struct igd_place p = { .port = base ? base->port : HTTP_PORT };
	struct http1_target t;
	struct bytes host;
	const char *slash = base ? strrchr(base->path, '/') : NULL;
	int n;

	if (!is_graphic(url))
		return false;
	if (!http1_target_parse(get, url, &t)) { /* relative to where the description lies */
		if (!slash || memchr(url.data, ':', url.len))
			return false;
		n = snprintf(p.path, sizeof p.path, "%.*s/%.*s", (int)(slash - base->path),
			     base->path, (int)url.len, (const char *)url.data);
		if (n < 0 || (size_t)n >= sizeof p.path ||
		    !http1_target_parse(get, bytes_str(p.path), &t) || t.form != HTTP1_ORIGIN)
			return false;
		*out = p;
		return true;
	}
	if (t.form == HTTP1_ABSOLUTE) {
		p.port = HTTP_PORT;
		if (!bytes_caseeq(t.scheme, bytes_str("http")) ||
		    !http1_authority_parse(t.authority, &host, &p.port) || p.port == 0)
			return false;
	} else if (t.form != HTTP1_ORIGIN || !base) {
		return false;
	}
	n = snprintf(p.path, sizeof p.path, "%.*s%s%.*s", (int)t.path.len,
		     (const char *)t.path.data, t.has_query ? "?" : "", (int)t.query.len,
		     t.query.len ? (const char *)t.query.data : "");
	if (n <= 0 || (size_t)n >= sizeof p.path)
		return false;
	*out = p;
	return true;
}

bool igd_answer_parse(struct bytes datagram, struct igd_answer *out)
{
	static const char name[] = "InternetGatewayDevice";
	struct http1_head h;
	struct bytes st, location;
	uint64_t boot;

	http1_response_init(&h, "M-SEARCH");
	if (http1_head_feed(&h, datagram) != HTTP1_OK || h.status != 200)
		return false;
	st = http1_get(&h, "ST");
	location = http1_get(&h, "Location");
	if (location.len == 0 || location.len > URL_MAX ||
	    !place_parse(location, NULL, &out->place))
		return false;
	out->is_gateway = st.len > 0 && memmem(st.data, st.len, name, sizeof name - 1);
	out->boot = text_u64(http1_get(&h, "BOOTID.UPNP.ORG"), &boot) && boot <= INT32_MAX
			? (uint32_t)boot
			: 0;
	return true;
}

/* --- description --- */

static const char *const urns[IGD_SERVICE_N] = {
	[IGD_IP2] = "urn:schemas-upnp-org:service:WANIPConnection:2",
	[IGD_IP1] = "urn:schemas-upnp-org:service:WANIPConnection:1",
	[IGD_PPP1] = "urn:schemas-upnp-org:service:WANPPPConnection:1",
	[IGD_DSL_IP1] = "urn:dslforum-org:service:WANIPConnection:1",
	[IGD_DSL_PPP1] = "urn:dslforum-org:service:WANPPPConnection:1",
};

struct found {
	enum igd_service service;
	char url[URL_MAX];
};

static enum igd_service service_of(const char *urn)
{
	enum igd_service s = 0;

	while (s < IGD_SERVICE_N && strcmp(urns[s], urn) != 0)
		s++;
	return s;
}

/* One text of the description, inside the element x->name. */
static void description_text(const struct xml *x, struct found *now)
{
	char text[URL_MAX];

	if (!xml_text(x, text, sizeof text))
		return; /* too long for anything that we look for */
	if (bytes_eq_str(x->name, "serviceType"))
		now->service = service_of(text);
	else if (bytes_eq_str(x->name, "controlURL"))
		memcpy(now->url, text, sizeof text);
}

bool igd_description_parse(struct bytes xml, const struct igd_place *at, enum igd_service *service,
			   struct igd_place *control)
{
	const struct found none = { .service = IGD_SERVICE_N };
	struct found now = none, best = none;
	struct xml x = xml_of(xml);
	struct igd_place base = *at;
	enum xml_event ev;

	while ((ev = xml_next(&x)) != XML_END) {
		bool is_service = bytes_eq_str(x.name, "service");
		char url[URL_MAX];

		if (ev == XML_BAD)
			return false;
		if (ev == XML_OPEN && is_service)
			now = none;
		else if (ev == XML_TEXT && bytes_eq_str(x.name, "URLBase") &&
			 xml_text(&x, url, sizeof url))
			(void)!place_parse(bytes_str(url), NULL, &base);
		else if (ev == XML_TEXT)
			description_text(&x, &now);
		else if (ev == XML_CLOSE && is_service && now.service < best.service && *now.url)
			best = now;
	}
	if (best.service == IGD_SERVICE_N || !place_parse(bytes_str(best.url), &base, control))
		return false;
	*service = best.service;
	return true;
}

/* --- actions --- */

static const char *const actions[IGD_ACTION_N] = {
	[IGD_STATUS] = "GetStatusInfo",      [IGD_ADD] = "AddPortMapping",
	[IGD_ADD_ANY] = "AddAnyPortMapping", [IGD_ADDRESS] = "GetExternalIPAddress",
	[IGD_DELETE] = "DeletePortMapping",
};

size_t igd_action_emit(enum igd_service service, enum igd_action action,
		       const struct igd_mapping *m, char headers[static IGD_HEADERS_MAX],
		       char body[static IGD_BODY_MAX])
{
	char arguments[640] = "", ip[IP_TEXT];
	int n = 0;

	if (action == IGD_ADD || action == IGD_ADD_ANY || action == IGD_DELETE)
		n = snprintf(arguments, sizeof arguments,
			     "<NewRemoteHost></NewRemoteHost><NewExternalPort>%u</NewExternalPort>"
			     "<NewProtocol>UDP</NewProtocol>",
			     m->external);
	if (action == IGD_ADD || action == IGD_ADD_ANY)
		n += snprintf(arguments + n, sizeof arguments - (size_t)n,
			      "<NewInternalPort>%u</NewInternalPort>"
			      "<NewInternalClient>%s</NewInternalClient><NewEnabled>1</NewEnabled>"
			      "<NewPortMappingDescription>tailscale-portmap"
			      "</NewPortMappingDescription><NewLeaseDuration>%u</NewLeaseDuration>",
			      m->inside.port, ip_text(&m->inside.ip, ip), m->lease_s);
	assert(n >= 0 && (size_t)n < sizeof arguments);
	n = snprintf(headers, IGD_HEADERS_MAX,
		     "Content-Type: text/xml; charset=\"utf-8\"\r\nSOAPAction: \"%s#%s\"\r\n",
		     urns[service], actions[action]);
	assert(n > 0 && n < IGD_HEADERS_MAX);
	n = snprintf(body, IGD_BODY_MAX,
		     "<?xml version=\"1.0\"?>\r\n"
		     "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
		     "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>"
		     "<u:%s xmlns:u=\"%s\">%s</u:%s></s:Body></s:Envelope>\r\n",
		     actions[action], urns[service], arguments, actions[action]);
	assert(n > 0 && n < IGD_BODY_MAX);
	return (size_t)n;
}

static bool value_of(struct bytes name, const char *text, struct igd_reply *out)
{
	struct bytes v = bytes_str(text);
	uint64_t code;

	if (bytes_eq_str(name, "errorCode")) {
		if (!text_u64(v, &code) || code == 0 || code > 999)
			return false;
		out->error = (unsigned)code;
	} else if (bytes_eq_str(name, "NewReservedPort")) {
		return text_u16(v, &out->port);
	} else if (bytes_eq_str(name, "NewExternalIPAddress")) {
		return ip_parse(v, &out->address);
	} else if (bytes_eq_str(name, "NewConnectionStatus")) {
		out->is_up =
		    bytes_caseeq(v, bytes_str("Connected")) || bytes_caseeq(v, bytes_str("Up"));
	}
	return true;
}

/* An answer holds an element named after the action ("...Response"), a fault an error code. */
bool igd_reply_parse(struct bytes xml, enum igd_action action, struct igd_reply *out)
{
	struct igd_reply r = { .is_up = true };
	struct xml x = xml_of(xml);
	char answer[48], text[VALUE_MAX];
	enum xml_event ev;
	bool is_answer = false;

	snprintf(answer, sizeof answer, "%sResponse", actions[action]);
	while ((ev = xml_next(&x)) != XML_END) {
		if (ev == XML_BAD)
			return false;
		if (ev == XML_OPEN)
			is_answer = is_answer || bytes_eq_str(x.name, answer);
		else if (ev == XML_TEXT && xml_text(&x, text, sizeof text) &&
			 !value_of(x.name, text, &r))
			return false;
	}
	if (is_answer == (r.error != 0))
		return false;
	*out = r;
	return true;
}
