/* wire/doh_known.c - see doh.h: public resolvers whose addresses also serve HTTPS
 *
 * One row a service: its URL and its addresses. The same set as the stock client has (publicdns of
 * version 1.103), so that a resolver which control names is asked alike.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "wire/doh.h"

enum { SERVICE_ADDRS = 4 };

static const struct service {
	const char *host, *path;
	const char *addr[SERVICE_ADDRS];
	bool only; /* nothing answers on port 53 */
} services[] = {
	{ "cloudflare-dns.com",
	  "dns-query",
	  { "1.1.1.1", "1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001" },
	  false },
	{ "security.cloudflare-dns.com",
	  "dns-query",
	  { "1.1.1.2", "1.0.0.2", "2606:4700:4700::1112", "2606:4700:4700::1002" },
	  false },
	{ "family.cloudflare-dns.com",
	  "dns-query",
	  { "1.1.1.3", "1.0.0.3", "2606:4700:4700::1113", "2606:4700:4700::1003" },
	  false },
	{ "dns.google",
	  "dns-query",
	  { "8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844" },
	  false },
	{ "dns.quad9.net",
	  "dns-query",
	  { "9.9.9.9", "149.112.112.112", "2620:fe::fe", "2620:fe::9" },
	  false },
	{ "dns11.quad9.net",
	  "dns-query",
	  { "9.9.9.11", "149.112.112.11", "2620:fe::11", "2620:fe::fe:11" },
	  false },
	{ "dns10.quad9.net",
	  "dns-query",
	  { "9.9.9.10", "149.112.112.10", "2620:fe::10", "2620:fe::fe:10" },
	  false },
	{ "dns.mullvad.net", "dns-query", { "194.242.2.2", "2a07:e340::2" }, false },
	{ "adblock.dns.mullvad.net", "dns-query", { "194.242.2.3", "2a07:e340::3" }, false },
	{ "base.dns.mullvad.net", "dns-query", { "194.242.2.4", "2a07:e340::4" }, false },
	{ "extended.dns.mullvad.net", "dns-query", { "194.242.2.5", "2a07:e340::5" }, false },
	{ "family.dns.mullvad.net", "dns-query", { "194.242.2.6", "2a07:e340::6" }, false },
	{ "all.dns.mullvad.net", "dns-query", { "194.242.2.9", "2a07:e340::9" }, false },
	{ "wikimedia-dns.org", "dns-query", { "185.71.138.138", "2001:67c:930::1" }, false },
	{ "freedns.controld.com",
	  "p0",
	  { "76.76.2.0", "76.76.10.0", "2606:1a40::", "2606:1a40:1::" },
	  false },
	{ "freedns.controld.com",
	  "p1",
	  { "76.76.2.1", "76.76.10.1", "2606:1a40::1", "2606:1a40:1::1" },
	  false },
	{ "freedns.controld.com",
	  "p2",
	  { "76.76.2.2", "76.76.10.2", "2606:1a40::2", "2606:1a40:1::2" },
	  false },
	{ "freedns.controld.com",
	  "p3",
	  { "76.76.2.3", "76.76.10.3", "2606:1a40::3", "2606:1a40:1::3" },
	  false },
	{ "freedns.controld.com",
	  "family",
	  { "76.76.2.4", "76.76.10.4", "2606:1a40::4", "2606:1a40:1::4" },
	  false },
	{ "private.canadianshield.cira.ca",
	  "dns-query",
	  { "149.112.121.10", "149.112.122.10", "2620:10a:80bb::10", "2620:10a:80bc::10" },
	  false },
	{ "protected.canadianshield.cira.ca",
	  "dns-query",
	  { "149.112.121.20", "149.112.122.20", "2620:10a:80bb::20", "2620:10a:80bc::20" },
	  false },
	{ "family.canadianshield.cira.ca",
	  "dns-query",
	  { "149.112.121.30", "149.112.122.30", "2620:10a:80bb::30", "2620:10a:80bc::30" },
	  false },
	/* a profile follows the host: of any path, at the same addresses */
	{ "dns.nextdns.io",
	  NULL,
	  { "45.90.28.0", "45.90.30.0", "2a07:a8c0::", "2a07:a8c1::" },
	  true },
	{ "dns.controld.com",
	  NULL,
	  { "76.76.2.22", "76.76.10.22", "2606:1a40::22", "2606:1a40:1::22" },
	  true },
};

/* 2a07:a8c0::/33 and 2a07:a8c1::/33: the profile is what follows the first four bytes, without the
 * zero bytes before it */
static bool nextdns(const struct ip *a, char out[static DOH_URL_MAX])
{
	static const uint8_t range[3] = { 0x2a, 0x07, 0xa8 };
	char profile[2 * 12 + 1];
	size_t at = 4;

	if (memcmp(a->b, range, sizeof range) != 0 || (a->b[3] & 0xfe) != 0xc0 || a->b[4] & 0x80)
		return false;
	while (at < sizeof a->b && a->b[at] == 0)
		at++;
	hex_emit(a->b + at, sizeof a->b - at, profile);
	(void)snprintf(out, DOH_URL_MAX, "https://dns.nextdns.io/%s", profile);
	return true;
}

bool doh_known_url(const struct ip *a, char out[static DOH_URL_MAX], bool *only)
{
	struct ip known;

	*only = nextdns(a, out);
	if (*only)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct service *s = &services[i];

		for (size_t k = 0; s->path && k < SERVICE_ADDRS && s->addr[k]; k++) {
			if (!ip_parse(bytes_str(s->addr[k]), &known) || !ip_eq(&known, a))
				continue;
			(void)snprintf(out, DOH_URL_MAX, "https://%s/%s", s->host, s->path);
			*only = s->only;
			return true;
		}
	}
	return false;
}

/* "" when the URL is not one of the host's, else what follows the slash */
static const char *path_of(const char *url, const char *host)
{
	static const char scheme[] = "https://";
	const size_t n = sizeof scheme - 1, len = strlen(host);

	if (strncmp(url, scheme, n) != 0 || strncmp(url + n, host, len) != 0 || url[n + len] != '/')
		return "";
	return url + n + len + 1;
}

size_t doh_known_addrs(const char *url, struct ip *v, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct service *s = &services[i];
		const char *path = path_of(url, s->host);

		if (!path[0] || (s->path && strcmp(path, s->path) != 0))
			continue;
		for (size_t k = 0; k < SERVICE_ADDRS && s->addr[k] && n < max; k++)
			n += ip_parse(bytes_str(s->addr[k]), &v[n]);
		break;
	}
	return n;
}
