/* os/proxy.c - see proxy.h */
#include "os/proxy.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum {
	PROXY_PORT = 80,
	CREDENTIALS_MAX = 256
}; /* the port when none is given, as in the URL of any http server */

/* --- the URL --- */

static bool cut_front(struct bytes *text, const char *front)
{
	size_t n = strlen(front);

	if (text->len < n || !bytes_caseeq(bytes_of(text->data, n), bytes_str(front)))
		return false;
	*text = bytes_of(text->data + n, text->len - n);
	return true;
}

/* "%41" and plain characters; false: bad escape, a control character or too long */
static bool unescape(struct bytes in, char *out, size_t cap, size_t *len)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];

		if (c == '%') {
			if (in.len - i < 3 || !hex_parse(bytes_of(in.data + i + 1, 2), &c, 1))
				return false;
			i += 2;
		}
		if (c < 0x20 || c == 0x7f || n == cap)
			return false;
		out[n++] = (char)c;
	}
	*len = n;
	return true;
}

static bool set_auth(struct bytes userinfo, struct proxy *out)
{
	const uint8_t *colon = memchr(userinfo.data, ':', userinfo.len);
	struct bytes user = userinfo, password = { NULL, 0 };
	char plain[CREDENTIALS_MAX];
	size_t n, m = 0;
	bool ok;

	if (colon) {
		user.len = (size_t)(colon - userinfo.data);
		password = bytes_of(colon + 1, userinfo.len - user.len - 1);
	}
	ok = unescape(user, plain, sizeof plain - 1, &n);
	if (ok) {
		plain[n++] = ':';
		ok = unescape(password, plain + n, sizeof plain - n, &m);
	}
	if (ok) {
		static_assert(sizeof out->auth > 6 + (CREDENTIALS_MAX + 2) / 3 * 4,
			      "the longest credentials fit");
		memcpy(out->auth, "Basic ", 6);
		base64_emit((const uint8_t *)plain, n + m, BASE64_STD, out->auth + 6);
	}
	explicit_bzero(plain, sizeof plain);
	return ok;
}

static bool is_host_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '.' || c == '_';
}

static bool set_host(struct bytes host, struct proxy *out)
{
	bool is_v6 = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';

	if (is_v6)
		host = bytes_of(host.data + 1, host.len - 2);
	if (host.len == 0 || host.len >= sizeof out->host)
		return false;
	for (size_t i = 0; i < host.len; i++)
		if (!is_host_char(host.data[i]) && !(is_v6 && host.data[i] == ':'))
			return false;
	return bytes_to_str(host, out->host, sizeof out->host);
}

static bool set_host_port(struct bytes text, struct proxy *out)
{
	const uint8_t *colon = memrchr(text.data, ':', text.len);
	struct bytes host = text;

	out->port = PROXY_PORT;
	if (colon && colon > text.data &&
	    !memchr(colon, ']', text.len - (size_t)(colon - text.data))) {
		host.len = (size_t)(colon - text.data);
		if (!text_u16(bytes_of(colon + 1, text.len - host.len - 1), &out->port) ||
		    out->port == 0)
			return false;
	}
	return set_host(host, out);
}

int proxy_parse(struct bytes text, struct proxy *out, struct err *err)
{
	struct proxy p = { 0 };
	const uint8_t *end;
	bool ok = text.len > 0;

	if (ok && !cut_front(&text, "http://") && memmem(text.data, text.len, "://", 3))
		return err_say(err, EINVAL, "proxy URL: only http:// proxies are supported");
	if (ok && text.len > 0 && (end = memchr(text.data, '/', text.len)))
		text.len = (size_t)(end - text.data); /* a path means nothing here */
	ok = ok && text.len > 0;
	if (ok && (end = memrchr(text.data, '@', text.len))) {
		struct bytes userinfo = bytes_of(text.data, (size_t)(end - text.data));

		text = bytes_of(end + 1, text.len - userinfo.len - 1);
		ok = set_auth(userinfo, &p) && text.len > 0;
	}
	if (!ok || !set_host_port(text, &p)) {
		explicit_bzero(&p, sizeof p);
		return err_say(err, EINVAL, "proxy URL: wanted http://[user:password@]host[:port]");
	}
	*out = p;
	return 0;
}

/* --- CONNECT --- */

size_t proxy_request(const struct proxy *p, const char *host, uint16_t port, char *out, size_t cap)
{
	const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
	int n =
	    snprintf(out, cap, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n%s%s%s\r\n", open,
		     host, close, port, open, host, close, port,
		     p->auth[0] ? "Proxy-Authorization: " : "", p->auth, p->auth[0] ? "\r\n" : "");

	return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

/* End of the head: behind the first empty line; 0: not there yet. */
static size_t head_end(struct bytes in)
{
	for (size_t i = 0; i + 1 < in.len; i++) {
		if (in.data[i] != '\n')
			continue;
		if (in.data[i + 1] == '\n')
			return i + 2;
		if (in.data[i + 1] == '\r' && i + 2 < in.len && in.data[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

/* "HTTP/1.x NNN reason" */
static bool status_line(struct bytes in, unsigned *status, char reason[static 64])
{
	const uint8_t *end = memchr(in.data, '\n', in.len);
	struct bytes line = bytes_of(in.data, end ? (size_t)(end - in.data) : in.len);
	uint64_t code;

	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	if (!cut_front(&line, "HTTP/1.") || line.len < 5 || line.data[1] != ' ' ||
	    !text_u64(bytes_of(line.data + 2, 3), &code) || code < 100 ||
	    (line.len > 5 && line.data[5] != ' '))
		return false;
	*status = (unsigned)code;
	(void)bytes_to_str(line.len > 6 ? bytes_of(line.data + 6, line.len - 6) : bytes_str(""),
			   reason, 64);
	for (char *p = reason; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
	return true;
}

enum proxy_reply proxy_reply_parse(struct bytes in, size_t *head_len, unsigned *status,
				   char reason[static 64])
{
	static const char start[] = "HTTP/1.";
	size_t n = MIN_OF(in.len, sizeof start - 1), end = in.len > 0 ? head_end(in) : 0;

	*head_len = 0;
	*status = 0;
	reason[0] = 0;
	if (n > 0 && memcmp(in.data, start, n) != 0)
		return PROXY_GARBAGE;
	if (end == 0)
		return in.len >= PROXY_REPLY_MAX ? PROXY_GARBAGE : PROXY_MORE;
	if (end > PROXY_REPLY_MAX || !status_line(in, status, reason))
		return PROXY_GARBAGE;
	*head_len = end;
	return *status >= 200 && *status < 300 ? PROXY_OPEN : PROXY_REFUSED;
}
