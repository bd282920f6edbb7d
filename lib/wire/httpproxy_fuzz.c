/* wire/httpproxy_fuzz.c - a client and a server of any kind; each input is pieces: side and length,
 * then that many bytes */
#include <stdlib.h>

#include "wire/httpproxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drain(struct httpproxy *p)
{
	struct bytes a = httpproxy_to_client(p), b = httpproxy_to_backend(p);

	if (a.len > HTTPPROXY_OUT_MAX + 2 * HTTPPROXY_IN_MAX ||
	    b.len > HTTPPROXY_OUT_MAX + 2 * HTTPPROXY_IN_MAX)
		abort();
	httpproxy_client_sent(p, a.len);
	httpproxy_backend_sent(p, b.len);
}

static void decide(struct httpproxy *p)
{
	const struct httpproxy_field set[] = { { "X-Forwarded-For", bytes_str("100.64.0.1") },
					       { "Tailscale-", { 0 } } };
	struct httpproxy_request rq;

	if (!httpproxy_request(p, &rq))
		abort();
	if (rq.target.path.len % 2 != 0)
		httpproxy_answer(p, 200, "text/plain", NULL, 0, rq.target.query);
	else if (httpproxy_route(p, &(struct httpproxy_route){ .target = rq.target.path,
							       .host = rq.host,
							       .set = set,
							       .n_set = ARRAY_LEN(set) }))
		httpproxy_dialed(p, 0, "");
}

static bool step(struct httpproxy *p) /* false: this connection is over */
{
	for (;;) {
		switch (httpproxy_next(p)) {
		case HTTPPROXY_DIAL:
			httpproxy_dialed(p, httpproxy_port(p) == 99 ? 502 : 0, "no");
			break;
		case HTTPPROXY_REQUEST:
			decide(p);
			break;
		case HTTPPROXY_TUNNEL:
		case HTTPPROXY_CLOSE:
			return false;
		case HTTPPROXY_HANGUP:
			break;
		case HTTPPROXY_NONE:
			return true;
		}
	}
}

static void feed(struct httpproxy *p, const uint8_t *data, size_t size)
{
	while (size >= 2) {
		const size_t side = data[0] & 3,
			     n = MIN_OF((size_t)data[1] + 256U * (data[0] >> 2), size - 2);
		struct bytes in = bytes_of(data + 2, n);

		if (side == 0)
			httpproxy_client(p, in);
		else if (side == 1)
			httpproxy_backend(p, in);
		else if (side == 2)
			httpproxy_client_end(p);
		else
			httpproxy_backend_end(p);
		data += 2 + n;
		size -= 2 + n;
		if (!step(p))
			break;
		if (side < 2)
			drain(p);
	}
	httpproxy_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct httpproxy *forward = httpproxy_new(), *reverse = httpproxy_new_reverse();

	if (!forward || !reverse)
		abort();
	feed(forward, data, size);
	feed(reverse, data, size);
	return 0;
}
