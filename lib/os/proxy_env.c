/* os/proxy_env.c - see proxy_env.h */
#include "os/proxy_env.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "base/log.h"
#include "base/text.h"

/* --- NO_PROXY --- */

static struct bytes trim(struct bytes b)
{
	while (b.len > 0 && (b.data[0] == ' ' || b.data[0] == '\t'))
		b = bytes_of(b.data + 1, b.len - 1);
	while (b.len > 0 && (b.data[b.len - 1] == ' ' || b.data[b.len - 1] == '\t'))
		b.len--;
	return b;
}

/* Splits "host:port" and "[v6]:port"; a bare IPv6 address has no port. 0: none. */
static struct bytes cut_port(struct bytes item, uint16_t *port)
{
	const uint8_t *colon = memrchr(item.data, ':', item.len);
	size_t n = colon ? (size_t)(colon - item.data) : item.len;
	struct ip ip;

	*port = 0;
	if (colon && !ip_parse(item, &ip) && text_u16(bytes_of(colon + 1, item.len - n - 1), port))
		item.len = n;
	if (item.len > 2 && item.data[0] == '[' && item.data[item.len - 1] == ']')
		item = bytes_of(item.data + 1, item.len - 2);
	return item;
}

/* "example.com": itself and below; ".example.com", "*.example.com": only below */
static bool domain_matches(struct bytes item, struct bytes host)
{
	struct bytes tail;

	if (item.len > 1 && item.data[0] == '*' && item.data[1] == '.')
		item = bytes_of(item.data + 1, item.len - 1);
	if (item.data[0] != '.' && bytes_caseeq(item, host))
		return true;
	if (item.data[0] == '.')
		item = bytes_of(item.data + 1, item.len - 1);
	if (item.len == 0 || host.len <= item.len + 1)
		return false;
	tail = bytes_of(host.data + host.len - item.len, item.len);
	return host.data[host.len - item.len - 1] == '.' && bytes_caseeq(item, tail);
}

static bool item_matches(struct bytes item, struct bytes host, const struct ip *ip, uint16_t port)
{
	struct ipprefix prefix;
	uint16_t item_port;
	struct ip item_ip;

	if (bytes_eq_str(item, "*"))
		return true;
	if (memchr(item.data, '/', item.len))
		return ip && ipprefix_parse(item, &prefix) && ipprefix_has(&prefix, ip);
	item = cut_port(item, &item_port);
	if (item.len == 0 || (item_port != 0 && item_port != port))
		return false;
	if (ip_parse(item, &item_ip))
		return ip && ip_eq(ip, &item_ip);
	return !ip && domain_matches(item, host);
}

bool proxy_excluded(const char *no_proxy, const char *host, uint16_t port)
{
	struct bytes name = bytes_str(host);
	struct ip ip;
	bool is_ip;

	if (name.len > 0 && name.data[name.len - 1] == '.')
		name.len--;
	is_ip = ip_parse(name, &ip);
	if (bytes_caseeq(name, bytes_str("localhost")) || (is_ip && ip_is_loopback(&ip)))
		return true;
	for (const char *p = no_proxy; *p;) {
		size_t n = strcspn(p, ",");
		struct bytes item = trim(bytes_of(p, n));

		if (item.len > 0 && item_matches(item, name, is_ip ? &ip : NULL, port))
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

const struct proxy *proxy_for(const struct proxy_env *env, const char *host, uint16_t port,
			      bool is_tls)
{
	if (!(is_tls ? env->has_https : env->has_http) || proxy_excluded(env->no_proxy, host, port))
		return NULL;
	return is_tls ? &env->https : &env->http;
}

/* --- the environment --- */

/* *name: that of the two which has the value */
static const char *either(const char *upper, const char *lower, const char **name)
{
	const char *v = getenv(upper);

	*name = upper;
	if (!v || !*v) {
		v = getenv(lower);
		*name = lower;
	}
	return v && *v ? v : NULL;
}

/* ALL_PROXY is mostly set for SOCKS and for other programs: what we cannot use of it is passed
 * over. */
static int read_one(const char *upper, const char *lower, struct proxy *out, bool *has,
		    struct err *err)
{
	const char *name, *all_name;
	const char *v = either(upper, lower, &name);
	const char *all = either("ALL_PROXY", "all_proxy", &all_name);
	struct err ignored;

	*has = false;
	if (v) {
		if (proxy_parse(bytes_str(v), out, err) < 0)
			return err_wrap(err, "%s", name);
		*has = true;
	} else if (all) {
		*has = proxy_parse(bytes_str(all), out, &ignored) == 0;
		if (!*has)
			log_debug("proxy: %s is not used: %s", all_name, ignored.text);
	}
	return 0;
}

int proxy_env_read(struct proxy_env *out, struct err *err)
{
	const char *name, *no = either("NO_PROXY", "no_proxy", &name);
	struct proxy_env env = { 0 };

	if (no && !bytes_to_str(bytes_str(no), env.no_proxy, sizeof env.no_proxy))
		return err_say(err, EINVAL, "%s: longer than %d bytes", name, PROXY_NO_MAX - 1);
	if (read_one("HTTPS_PROXY", "https_proxy", &env.https, &env.has_https, err) < 0 ||
	    read_one("HTTP_PROXY", "http_proxy", &env.http, &env.has_http, err) < 0)
		return -EINVAL;
	*out = env;
	return 0;
}
