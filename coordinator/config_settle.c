/* coordinator/config_settle.c - what follows from what: settings that depend on others, and those
 * that do not go together
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/config.h"
#include "os/listen.h"
#include "os/logger.h"

enum { RATE_MAX = 1000000 };

bool config_url(const char *url, bool *tls, char host[static 256], uint16_t *port)
{
	struct bytes rest = bytes_str(url), h;

	*tls = strncmp(url, "https://", 8) == 0;
	if (!*tls && strncmp(url, "http://", 7) != 0)
		return false;
	rest.data += *tls ? 8 : 7;
	rest.len -= *tls ? 8 : 7;
	while (rest.len > 0 && rest.data[rest.len - 1] == '/')
		rest.len--;
	*port = *tls ? 443 : 80;
	{
		/* host, host:port, [v6]:port */
		const uint8_t *close =
		    rest.len && rest.data[0] == '[' ? memchr(rest.data, ']', rest.len) : NULL;
		const uint8_t *colon = close ? (close + 1 < rest.data + rest.len ? close + 1 : NULL)
					     : (rest.len ? memchr(rest.data, ':', rest.len) : NULL);

		if (colon &&
		    (*colon != ':' ||
		     !text_u16(bytes_of(colon + 1, rest.len - (size_t)(colon + 1 - rest.data)),
			       port) ||
		     *port == 0))
			return false;
		h = close ? bytes_of(rest.data + 1, (size_t)(close - rest.data - 1))
			  : bytes_of(rest.data, colon ? (size_t)(colon - rest.data) : rest.len);
	}
	for (size_t i = 0; i < h.len; i++)
		if (h.data[i] <= ' ' || strchr("/?#@\"'\\[]", h.data[i]) || h.data[i] >= 0x7f)
			return false;
	return h.len > 0 && bytes_to_str(h, host, 256);
}

static int settle_calls(const struct config *c, struct err *e)
{
	if (strcmp(c->system_calls, "limited") == 0 || strcmp(c->system_calls, "strict") == 0 ||
	    strcmp(c->system_calls, "any") == 0)
		return 0;
	return err_say(e, EINVAL, "system_calls is '%s'; it may be limited, strict or any",
		       c->system_calls);
}

static int settle_tls(const struct config *c, struct err *e)
{
	bool files = strcmp(c->tls_mode, "files") == 0;

	if (!files && strcmp(c->tls_mode, "self") != 0 && strcmp(c->tls_mode, "off") != 0)
		return err_say(e, EINVAL, "tls.mode is '%s'; it may be off, files or self",
			       c->tls_mode);
	if (files && (!c->tls_cert[0] || !c->tls_key[0]))
		return err_say(e, EINVAL, "tls.mode files wants tls.certificate and tls.key");
	return 0;
}

static int settle_url(struct config *c, const struct listen_addr *la, struct err *e)
{
	bool tls, has_tls = strcmp(c->tls_mode, "off") != 0;
	struct ipport at_addr = la->v[0];
	char host[256], text[IPPORT_TEXT];
	uint16_t port;

	if (!c->server_url[0]) {
		if (la->is_dual || ip_is_unspecified(&at_addr.ip))
			return err_say(
			    e, EINVAL,
			    "listen is all addresses: say in server_url how nodes reach this host");
		snprintf(c->server_url, sizeof c->server_url, "%s://%s", has_tls ? "https" : "http",
			 ipport_text(&at_addr, text));
	}
	if (!config_url(c->server_url, &tls, host, &port))
		return err_say(
		    e, EINVAL,
		    "server_url '%.100s' is not http://HOST[:PORT] or https://HOST[:PORT]",
		    c->server_url);
	if (strcmp(host, c->base_domain) == 0)
		return err_say(e, EINVAL,
			       "base_domain and the host of server_url must differ: nodes would "
			       "look for us among themselves");
	if (!c->derp_host[0])
		snprintf(c->derp_host, sizeof c->derp_host, "%s", host);
	return 0;
}

static bool is_loopback(const char *host)
{
	struct ip a;

	return ip_parse(bytes_str(host), &a) ? ip_is_loopback(&a) : strcmp(host, "localhost") == 0;
}

bool config_behind_proxy(const struct config *c)
{
	bool tls, has_tls = strcmp(c->tls_mode, "off") != 0;
	struct listen_addr la;
	char host[256];
	uint16_t port;

	if (!config_url(c->server_url, &tls, host, &port) ||
	    listen_addr_parse(bytes_str(c->listen), &la, NULL) != 0)
		return true;
	return tls != has_tls || port != la.v[0].port ||
	       (!la.is_dual && ip_is_loopback(&la.v[0].ip) && !is_loopback(host));
}

static int settle_domain(const struct config *c, struct err *e)
{
	const char *d = c->base_domain;
	size_t len = strlen(d), label = 0;

	for (size_t i = 0; i < len; i++) {
		bool good =
		    (d[i] >= 'a' && d[i] <= 'z') || (d[i] >= '0' && d[i] <= '9') || d[i] == '-';

		label = d[i] == '.' ? 0 : label + 1;
		if ((!good && d[i] != '.') || label > 63 ||
		    (d[i] == '.' && (i == 0 || d[i - 1] == '.' || i + 1 == len)))
			return err_say(e, EINVAL, "base_domain '%s' is not a domain in lower case",
				       d);
	}
	return len > 0 ? 0 : err_say(e, EINVAL, "base_domain is missing");
}

static int settle_pools(const struct config *c, struct err *e)
{
	if (!c->v4.bits && !c->v6.bits)
		return err_say(e, EINVAL,
			       "prefixes.v4 and prefixes.v6 are both empty: nodes need an address");
	if (c->v4.bits && (!ip_is_v4(&c->v4.ip) || c->v4.bits > 124))
		return err_say(e, EINVAL, "prefixes.v4 is not an IPv4 prefix of 28 bits or fewer");
	if (c->v6.bits && (ip_is_v4(&c->v6.ip) || c->v6.bits > 96))
		return err_say(e, EINVAL, "prefixes.v6 is not an IPv6 prefix of 96 bits or fewer");
	return 0;
}

/* Who is served, and with whom: of the relay. */
static int settle_relay(const struct config *c, struct err *e)
{
	struct listen_addr la;

	if (c->metrics_listen[0] && listen_addr_parse(bytes_str(c->metrics_listen), &la, e) != 0)
		return err_wrap(e, "metrics_listen");
	if (c->derp_mesh_with.n > 0 && !c->derp_mesh_key_file[0])
		return err_say(e, EINVAL, "derp.mesh_with wants derp.mesh_key_file");
	if (!c->relay_only)
		return 0;
	if (!c->derp_enabled)
		return err_say(e, EINVAL, "derp.enabled is false, and a relay is all there is");
	if (c->derp_verify && !c->derp_verify_url[0])
		return err_say(e, EINVAL,
			       "nobody could use this relay: say in derp.verify_url (--verify-url) "
			       "who knows the nodes, or let everybody in by derp.verify_clients: "
			       "false (--open)");
	return 0;
}

int config_settle(struct config *c, struct err *e)
{
	struct listen_addr la;
	enum log_level level;
	int ret = settle_tls(c, e);

	if (ret == 0)
		ret = settle_calls(c, e);
	if (ret == 0)
		ret = listen_addr_parse(bytes_str(c->listen), &la, e) == 0 ? 0
									   : err_wrap(e, "listen");
	if (ret == 0)
		ret = settle_domain(c, e);
	if (ret == 0)
		ret = settle_url(c, &la, e);
	if (ret == 0)
		ret = settle_pools(c, e);
	if (ret == 0)
		ret = settle_relay(c, e);
	if (ret != 0)
		return ret;
	if (!logger_level_parse(bytes_str(c->log_level), &level))
		return err_say(e, EINVAL,
			       "log_level '%s' is none of error, warn, info, debug, trace",
			       c->log_level);
	if (c->derp_region <= 0 || c->derp_region > UINT16_MAX)
		return err_say(
		    e, EINVAL,
		    "derp.region_id is between 1 and 65535; 900 to 999 are for private use");
	if (c->max_connections < 16 || c->max_connections > 1000000)
		return err_say(e, EINVAL, "limits.connections is between 16 and 1000000");
	if (c->handshakes_per_second > RATE_MAX || c->api_per_second > RATE_MAX)
		return err_say(e, EINVAL,
			       "limits.handshakes_per_second and limits.api_per_second are at most "
			       "%d; 0: no limit",
			       RATE_MAX);
	if (!c->socket[0] && (size_t)snprintf(c->socket, sizeof c->socket,
					      "%.480s/coordinator.sock", c->state_dir) >= 108)
		return err_say(e, EINVAL,
			       "state_directory is too long for a socket in it: set socket");
	if (!c->stun_listen[0]) {
		const char *colon = strrchr(c->listen, ':');

		snprintf(c->stun_listen, sizeof c->stun_listen, "%.*s:3478",
			 colon ? (int)(colon - c->listen) : 0, c->listen);
	}
	if (strcmp(c->stun_listen, "off") != 0 &&
	    listen_addr_parse(bytes_str(c->stun_listen), &la, e) != 0)
		return err_wrap(e, "derp.stun_listen");
	return 0;
}
