/* wire/http1_emit.c - message heads, out */
#include "wire/http1.h"

#include <assert.h>

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	/* RFC 9110 15, 6585 */
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 421, "Misdirected Request" },
	{ 426, "Upgrade Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
};

const char *http1_reason(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* nothing that is put into a head may end its line; spaces only in values */
static void put(struct http1_emit *e, struct bytes v, uint8_t least)
{
	for (size_t i = 0; i < v.len; i++)
		if ((v.data[i] < least && v.data[i] != '\t') || v.data[i] == 0x7f)
			e->failed = true;
	if (!e->failed && !buf_append(e->b, v.data, v.len))
		e->failed = true;
}

static void put_raw(struct http1_emit *e, const char *s)
{
	if (!e->failed && !buf_append(e->b, s, strlen(s)))
		e->failed = true;
}

struct http1_emit http1_emit_request(struct buf *b, const char *method, struct bytes target,
				     struct bytes host)
{
	struct http1_emit e = { .b = b, .start = b->len };

	put(&e, bytes_str(method), '!');
	put_raw(&e, " ");
	put(&e, target, '!');
	put_raw(&e, " HTTP/1.1\r\n");
	if (target.len == 0)
		e.failed = true;
	if (host.len > 0)
		http1_emit_fieldb(&e, "Host", host);
	return e;
}

struct http1_emit http1_emit_response(struct buf *b, int status, const char *reason)
{
	struct http1_emit e = { .b = b, .start = b->len };

	assert(status >= 100 && status <= 599);
	if (!buf_printf(b, "HTTP/1.1 %d ", status))
		e.failed = true;
	put(&e, bytes_str(reason ? reason : http1_reason(status)), ' ');
	put_raw(&e, "\r\n");
	return e;
}

void http1_emit_fieldb(struct http1_emit *e, const char *name, struct bytes value)
{
	put(e, bytes_str(name), '!');
	put_raw(e, ": ");
	put(e, value, ' ');
	put_raw(e, "\r\n");
}

void http1_emit_field(struct http1_emit *e, const char *name, const char *value)
{
	http1_emit_fieldb(e, name, bytes_str(value));
}

void http1_emit_length(struct http1_emit *e, uint64_t len)
{
	if (!e->failed && !buf_printf(e->b, "Content-Length: %llu\r\n", (unsigned long long)len))
		e->failed = true;
}

bool http1_emit_end(struct http1_emit *e)
{
	put_raw(e, "\r\n");
	if (e->failed)
		e->b->len = e->start;
	return !e->failed;
}

bool http1_emit_answer(struct buf *b, int status, const char *type, struct bytes body, bool close)
{
	struct http1_emit e = http1_emit_response(b, status, NULL);

	if (type)
		http1_emit_field(&e, "Content-Type", type);
	if (status != 204 && status != 304)
		http1_emit_length(&e, body.len);
	if (close)
		http1_emit_field(&e, "Connection", "close");
	if (!http1_emit_end(&e))
		return false;
	if (buf_append(b, body.data, body.len))
		return true;
	b->len = e.start;
	return false;
}

bool http1_emit_chunk(struct buf *b, struct bytes data)
{
	size_t start = b->len;

	if (data.len == 0)
		return buf_append(b, "0\r\n\r\n", 5);
	if (buf_printf(b, "%zx\r\n", data.len) && buf_append(b, data.data, data.len) &&
	    buf_append(b, "\r\n", 2))
		return true;
	b->len = start;
	return false;
}
