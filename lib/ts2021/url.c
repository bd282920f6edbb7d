/* ts2021/url.c - see url.h */
#include "ts2021/url.h"

#include <stdio.h>

#include "wire/http1.h"

/* Nothing that would end a line or a word of the request that the URL goes into. */
static bool is_one_word(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] == 0x7f)
			return false;
	return true;
}

bool url_parse(struct bytes text, struct url *out)
{
	struct http1_target t;
	struct bytes host;
	bool v6;
	int n;

	if (!is_one_word(text) || !http1_target_parse(bytes_str("GET"), text, &t) ||
	    t.form != HTTP1_ABSOLUTE)
		return false;
	if (bytes_caseeq(t.scheme, bytes_str("https")))
		out->tls = true;
	else if (bytes_caseeq(t.scheme, bytes_str("http")))
		out->tls = false;
	else
		return false;
	out->port = out->tls ? 443 : 80;
	if (!http1_authority_parse(t.authority, &host, &out->port) || host.len == 0 ||
	    out->port == 0)
		return false;
	if (!bytes_to_str(host, out->host, sizeof out->host))
		return false;
	v6 = memchr(host.data, ':', host.len) != NULL;
	if (out->port == (out->tls ? 443 : 80))
		n = snprintf(out->authority, sizeof out->authority, v6 ? "[%s]" : "%s", out->host);
	else
		n = snprintf(out->authority, sizeof out->authority, v6 ? "[%s]:%u" : "%s:%u",
			     out->host, out->port);
	if (n < 0 || (size_t)n >= sizeof out->authority)
		return false;
	n = snprintf(out->path, sizeof out->path, "%.*s%s%.*s", (int)t.path.len,
		     (const char *)t.path.data, t.has_query ? "?" : "", (int)t.query.len,
		     t.query.len ? (const char *)t.query.data : "");
	return n > 0 && (size_t)n < sizeof out->path;
}
