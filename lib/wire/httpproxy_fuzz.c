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

static bool step(struct httpproxy *p) /* false: this connection is over */
{
	for (;;) {
		switch (httpproxy_next(p)) {
		case HTTPPROXY_DIAL:
			httpproxy_dialed(p, httpproxy_port(p) == 99 ? 502 : 0, "no");
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct httpproxy *p = httpproxy_new();

	if (!p)
		return 0;
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
	return 0;
}
