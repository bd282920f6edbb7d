/* model/serve.c - a serve configuration is read; see serve.h */
#include "model/serve.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "base/json.h"
#include "base/text.h"
#include "wire/http1.h"

#define DOMAIN "${TS_CERT_DOMAIN}"

struct reading {
	struct serve *s;
	struct err *e;
	bool failed;
};

/* Words that hold what a user wrote stay one line. */
static void one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static PRINTF(2, 3) void fail(struct reading *r, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (r->failed)
		return;
	r->failed = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	one_line(text);
	err_say(r->e, EINVAL, "%s", text);
}

static PRINTF(2, 3) void note(struct reading *r, const char *fmt, ...)
{
	struct serve *s = r->s;
	va_list ap;

	if (s->n_notes == SERVE_NOTES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(s->note[s->n_notes], sizeof s->note[0], fmt, ap);
	va_end(ap);
	one_line(s->note[s->n_notes++]);
}

static void to_fini(struct serve_to *to)
{
	free(to->host);
	free(to->unix_path);
	free(to->path);
}

void serve_free(struct serve *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_ports; i++)
		to_fini(&s->port[i].to);
	for (size_t i = 0; i < s->n_sites; i++) {
		for (size_t k = 0; k < s->site[i].n; k++) {
			to_fini(&s->site[i].v[k].to);
			free(s->site[i].v[k].mount);
			free(s->site[i].v[k].value);
		}
		free(s->site[i].v);
		free(s->site[i].host);
	}
	free(s->port);
	free(s->site);
	free(s);
}

/* One more element of a list that is zeroed; NULL: too many, or no memory. */
static void *more(struct reading *r, void *vp, size_t *n, size_t max, size_t size, const char *what)
{
	void **v = vp, *p = *n < max ? reallocarray(*v, *n + 1, size) : NULL;

	if (!p) {
		fail(r, "%s: more than %zu, or out of memory", what, max);
		return NULL;
	}
	*v = p;
	memset((char *)p + *n * size, 0, size);
	return (char *)p + (*n)++ * size;
}

static char *copy(struct reading *r, struct bytes text)
{
	char *out = malloc(text.len + 1);

	if (!out || !bytes_to_str(text, out, text.len + 1)) {
		free(out);
		fail(r, "out of memory");
		return NULL;
	}
	return out;
}

static void text_value(struct reading *r, struct json *j, char *out, size_t cap, const char *where)
{
	struct json one = json_of(json_raw(j));

	json_str(&one, out, cap);
	if (!json_ok(&one))
		fail(r, "%s: wanted a text of at most %zu bytes", where, cap - 1);
}

static bool is_true(struct reading *r, struct json *j, const char *where)
{
	struct json one = json_of(json_raw(j));
	bool on = json_bool(&one);

	if (!json_ok(&one))
		fail(r, "%s: wanted true or false", where);
	return on;
}

/* --- back ends --- */

static bool cut_prefix(struct bytes *text, const char *prefix)
{
	const size_t n = strlen(prefix);

	if (text->len < n || memcmp(text->data, prefix, n) != 0)
		return false;
	text->data += n;
	text->len -= n;
	return true;
}

static bool is_visible(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
			return false;
	return text.len > 0;
}

static void parse_authority(struct reading *r, struct serve_to *to, struct bytes authority,
			    uint16_t port, const char *where)
{
	struct bytes host;

	to->port = port;
	if (text_u16(authority, &to->port) && to->port) {
		to->host = copy(r, bytes_str("127.0.0.1")); /* a port alone is one of this host */
		return;
	}
	to->port = port;
	if (!http1_authority_parse(authority, &host, &to->port) || host.len == 0 ||
	    host.len > SERVE_NAME_MAX || !to->port)
		fail(r, "%s: wanted host:port", where);
	else
		to->host = copy(r, host);
}

/* "3000", "localhost:3000", "http://host:3000/path", "https://...", "https+insecure://...",
 * "unix:/path" */
static void parse_to(struct reading *r, struct serve_to *to, const char *value, bool is_url,
		     const char *where)
{
	struct bytes left = bytes_str(value), authority;
	const uint8_t *slash;
	uint16_t port = 0;

	if (!is_visible(left) || memchr(left.data, '?', left.len) ||
	    memchr(left.data, '#', left.len)) {
		fail(r, "%s: \"%.80s\" is not a back end", where, value);
		return;
	}
	if (cut_prefix(&left, "unix:")) {
		if (left.len == 0 || left.data[0] != '/' || left.len > 107)
			fail(r,
			     "%s: a unix socket is named by its whole path, of at most 107 bytes",
			     where);
		else
			to->unix_path = copy(r, left);
		to->path = copy(r, bytes_str(""));
		return;
	}
	if (is_url) {
		to->insecure = cut_prefix(&left, "https+insecure://");
		to->tls = to->insecure || cut_prefix(&left, "https://");
		if (to->tls || cut_prefix(&left, "http://"))
			port = to->tls ? 443 : 80;
	}
	slash = memchr(left.data, '/', left.len);
	authority = bytes_of(left.data, slash ? (size_t)(slash - left.data) : left.len);
	left.data += authority.len;
	left.len -= authority.len;
	if (!is_url && left.len > 0)
		fail(r, "%s: wanted host:port", where);
	to->path = copy(r, left);
	parse_authority(r, to, authority, port, where);
}

/* --- TCP --- */

static void read_port(struct reading *r, struct bytes key, struct bytes value)
{
	struct json j = json_of(value);
	struct serve_port *p =
	    more(r, &r->s->port, &r->s->n_ports, SERVE_PORTS_MAX, sizeof *p, "TCP");
	char where[64], to[SERVE_TARGET_MAX] = "", tls[SERVE_NAME_MAX + 1] = "";
	bool http = false, https = false;

	if (!p)
		return;
	snprintf(where, sizeof where, "TCP %.*s", (int)MIN_OF(key.len, 20), (const char *)key.data);
	if (!text_u16(key, &p->port) || p->port == 0)
		fail(r, "%s: not a port", where);
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "HTTP")) {
			http = is_true(r, &j, where);
		} else if (json_key_is(key, "HTTPS")) {
			https = is_true(r, &j, where);
		} else if (json_key_is(key, "TCPForward")) {
			text_value(r, &j, to, sizeof to, where);
		} else if (json_key_is(key, "TerminateTLS")) {
			text_value(r, &j, tls, sizeof tls, where);
		} else if (json_key_is(key, "ProxyProtocol")) {
			struct json one = json_of(json_raw(&j));
			uint64_t v = json_u64(&one);

			if (!json_ok(&one) || v > 2)
				fail(r, "%s: ProxyProtocol is 0, 1 or 2", where);
			else
				p->proxy_protocol = (unsigned)v;
		} else {
			note(r, "%s: %.*s is not known and has no effect", where,
			     (int)MIN_OF(key.len, 40), (const char *)key.data);
			json_skip(&j);
		}
	}
	p->kind = https ? SERVE_HTTPS : http ? SERVE_HTTP : SERVE_FORWARD;
	p->terminates_tls = *tls;
	if (!json_done(&j))
		fail(r, "%s: malformed", where);
	else if (http + https + (*to != 0) != 1)
		fail(r, "%s: wanted exactly one of HTTP, HTTPS and TCPForward", where);
	else if (*to)
		parse_to(r, &p->to, to, false, where);
}

/* --- Web --- */

static void redirect(struct reading *r, struct serve_handler *h, const char *value,
		     const char *where)
{
	uint16_t code;

	h->status = 302;
	if (strlen(value) > 4 && value[3] == ':' && text_u16(bytes_of(value, 3), &code)) {
		if (code < 300 || code > 399)
			fail(r, "%s: a redirect has a status from 300 to 399", where);
		h->status = code;
		value += 4;
	}
	if (!is_visible(bytes_str(value)))
		fail(r, "%s: a redirect leads to a URL", where);
	h->value = copy(r, bytes_str(value));
}

static void read_action(struct reading *r, struct serve_handler *h, struct json *j,
			struct bytes key, const char *where)
{
	char *value = malloc(SERVE_VALUE_MAX);

	if (!value) {
		fail(r, "out of memory");
		json_skip(j);
		return;
	}
	text_value(r, j, value, json_key_is(key, "Text") ? SERVE_VALUE_MAX : SERVE_TARGET_MAX,
		   where);
	if (r->failed) {
		free(value);
		return;
	}
	if (json_key_is(key, "Text")) {
		h->action = SERVE_TEXT;
		h->value = copy(r, bytes_str(value));
	} else if (json_key_is(key, "Path")) {
		h->action = SERVE_PATH;
		if (value[0] != '/')
			fail(r, "%s: Path wants a whole path", where);
		h->value = copy(r, bytes_str(value));
	} else if (json_key_is(key, "Redirect")) {
		h->action = SERVE_REDIRECT;
		redirect(r, h, value, where);
	} else {
		h->action = SERVE_PROXY;
		parse_to(r, &h->to, value, true, where);
	}
	free(value);
}

static bool is_action(struct bytes key)
{
	return json_key_is(key, "Proxy") || json_key_is(key, "Text") || json_key_is(key, "Path") ||
	       json_key_is(key, "Redirect");
}

/* An empty text counts as absent, as Go leaves such members out. */
static bool is_empty_text(const struct json *at)
{
	struct json j = *at;
	char one[2];

	return (json_type(&j) == JSON_STRING || json_type(&j) == JSON_NULL) &&
	       json_str(&j, one, sizeof one) == 0 && json_ok(&j);
}

static void read_handler(struct reading *r, struct serve_site *site, bool is_exact,
			 struct bytes mount, struct bytes value)
{
	struct json j = json_of(value);
	struct serve_handler *h =
	    more(r, &site->v, &site->n, SERVE_HANDLERS_MAX, sizeof *h, "Handlers");
	char where[128], text[SERVE_MOUNT_MAX];
	unsigned actions = 0;
	struct bytes key;

	if (!h)
		return;
	h->is_exact = is_exact;
	snprintf(where, sizeof where, "Web %.60s %.*s", site->host, (int)MIN_OF(mount.len, 40),
		 (const char *)mount.data);
	if (!json_unescape(mount, text, sizeof text) || text[0] != '/')
		fail(r, "%s: a handler's path begins with / and has at most %d bytes", where,
		     SERVE_MOUNT_MAX - 1);
	else
		h->mount = copy(r, bytes_str(text));
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (is_action(key) && !is_empty_text(&j)) {
			if (actions++ > 0) {
				fail(r, "%s: wanted exactly one of Proxy, Text, Path and Redirect",
				     where);
				json_skip(&j);
			} else {
				read_action(r, h, &j, key, where);
			}
			continue;
		}
		if (!is_action(key))
			note(r, "%s: %.*s is not offered and has no effect", where,
			     (int)MIN_OF(key.len, 40), (const char *)key.data);
		json_skip(&j);
	}
	if (!json_done(&j))
		fail(r, "%s: malformed", where);
	else if (actions != 1)
		fail(r, "%s: wanted exactly one of Proxy, Text, Path and Redirect", where);
}

static void read_site(struct reading *r, struct bytes key, struct bytes value)
{
	struct json j = json_of(value), handlers;
	struct serve_site *site =
	    more(r, &r->s->site, &r->s->n_sites, SERVE_SITES_MAX, sizeof *site, "Web");
	char name[SERVE_NAME_MAX + 8];
	struct bytes host, mount;

	if (!site)
		return;
	if (!json_unescape(key, name, sizeof name) ||
	    !http1_authority_parse(bytes_str(name), &host, &site->port) || host.len == 0 ||
	    host.len > SERVE_NAME_MAX || site->port == 0) {
		fail(r, "Web %.*s: wanted host:port", (int)MIN_OF(key.len, 80),
		     (const char *)key.data);
		return;
	}
	site->host = copy(r, host);
	if (!site->host)
		return;
	serve_fold_name(site->host);
	json_obj(&j);
	while (json_key(&j, &key)) {
		const bool is_exact = json_key_is(key, "ExactHandlers");

		if (!is_exact && !json_key_is(key, "Handlers")) {
			json_skip(&j);
			continue;
		}
		handlers = json_of(json_raw(&j));
		json_obj(&handlers);
		while (json_key(&handlers, &mount))
			read_handler(r, site, is_exact, mount, json_raw(&handlers));
		if (!json_done(&handlers))
			fail(r, "Web %.80s: malformed", site->host);
	}
	if (!json_done(&j))
		fail(r, "Web %.80s: malformed", site->host);
}

/* --- the whole --- */

static void each_member(struct reading *r, struct bytes value, const char *what,
			void (*fn)(struct reading *r, struct bytes key, struct bytes value))
{
	struct json j = json_of(value);
	struct bytes key;

	json_obj(&j);
	while (!r->failed && json_key(&j, &key))
		fn(r, key, json_raw(&j));
	if (!r->failed && !json_done(&j))
		fail(r, "%s: malformed", what);
}

static bool has_members(struct bytes value)
{
	struct json j = json_of(value);
	struct bytes key;

	json_obj(&j);
	return json_key(&j, &key);
}

static void read_all(struct reading *r, struct bytes text)
{
	struct json j = json_of(text);
	struct bytes key, value;

	if (json_type(&j) != JSON_OBJECT) {
		fail(r, "wanted a JSON object with TCP and Web");
		return;
	}
	json_obj(&j);
	while (!r->failed && json_key(&j, &key)) {
		value = json_raw(&j);
		if (json_key_is(key, "TCP"))
			each_member(r, value, "TCP", read_port);
		else if (json_key_is(key, "Web"))
			each_member(r, value, "Web", read_site);
		else if (json_key_is(key, "AllowFunnel") && has_members(value))
			note(r, "AllowFunnel has no effect: Funnel is not offered");
		else if (json_key_is(key, "Services") && has_members(value))
			note(r, "Services have no effect: they are not offered");
		else if (json_key_is(key, "Foreground") && has_members(value))
			note(r, "Foreground has no effect: it belongs to sessions of the CLI");
	}
	if (!r->failed && !json_done(&j))
		fail(r, "malformed JSON");
}

/* every site needs a port that speaks HTTP */
static void check_sites(struct reading *r)
{
	for (size_t i = 0; !r->failed && i < r->s->n_sites; i++) {
		const struct serve_port *p = serve_port_of(r->s, r->s->site[i].port);

		if (!p || p->kind == SERVE_FORWARD)
			note(r,
			     "Web %.80s:%u has no effect: TCP does not say HTTP or HTTPS for "
			     "that port",
			     r->s->site[i].host, r->s->site[i].port);
	}
}

static bool replace_domain(struct buf *out, struct bytes text, const char *domain)
{
	const size_t n = strlen(DOMAIN);

	while (text.len > 0) {
		const uint8_t *at = memmem(text.data, text.len, DOMAIN, n);
		size_t len = at ? (size_t)(at - text.data) : text.len;

		if (!buf_append(out, text.data, len) ||
		    (at && !buf_append(out, domain, strlen(domain))))
			return false;
		len += at ? n : 0;
		text.data += len;
		text.len -= len;
	}
	return true;
}

struct serve *serve_parse(struct bytes text, const char *cert_domain, const char *fqdn,
			  struct err *e)
{
	struct reading r = { .s = calloc(1, sizeof *r.s), .e = e };
	struct buf whole;
	char domain[SERVE_NAME_MAX + 1] = "no-https";

	if (!r.s) {
		err_set(e, ENOMEM, "serve configuration");
		return NULL;
	}
	if (fqdn && bytes_to_str(bytes_str(fqdn), r.s->fqdn, sizeof r.s->fqdn))
		serve_fold_name(r.s->fqdn);
	if (cert_domain || *r.s->fqdn)
		(void)bytes_to_str(bytes_str(cert_domain ? cert_domain : r.s->fqdn), domain,
				   sizeof domain);
	buf_init(&whole, SERVE_FILE_MAX);
	if (!replace_domain(&whole, text, domain))
		fail(&r, "larger than %d KiB", SERVE_FILE_MAX >> 10);
	else
		read_all(&r, buf_bytes(&whole));
	buf_fini(&whole);
	check_sites(&r);
	if (!r.failed)
		return r.s;
	serve_free(r.s);
	return NULL;
}
