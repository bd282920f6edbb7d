/* os/proxy_fuzz.c - the first byte picks the parser: proxy URL, reply to CONNECT, NO_PROXY, listen
 * address */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "os/listen.h"
#include "os/proxy.h"
#include "os/proxy_env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_url(struct bytes in)
{
	struct proxy p;
	struct err err;
	char out[2048];

	if (proxy_parse(in, &p, &err) < 0)
		return;
	assert(p.port != 0 && p.host[0] != 0);
	assert(proxy_request(&p, "example.com", 443, out, sizeof out) > 0);
	/* whatever the URL was, the request has as many lines as it should */
	assert(strchr(p.host, '\n') == NULL && strchr(p.auth, '\n') == NULL);
}

static void fuzz_reply(struct bytes in)
{
	char reason[64];
	unsigned status;
	size_t len;
	enum proxy_reply r = proxy_reply_parse(in, &len, &status, reason);

	assert(len <= in.len && len <= PROXY_REPLY_MAX);
	assert((len > 0) == (r == PROXY_OPEN || r == PROXY_REFUSED));
	for (size_t n = 0; r == PROXY_OPEN && n < len; n++) /* no shorter piece has an answer */
		assert(proxy_reply_parse(bytes_of(in.data, n), &(size_t){ 0 }, &status, reason) ==
		       PROXY_MORE);
}

static void fuzz_no_proxy(struct bytes in)
{
	char *list = strndup((const char *)in.data, in.len);

	assert(list && proxy_excluded(list, "localhost", 1));
	(void)proxy_excluded(list, "a.example.com", 443);
	(void)proxy_excluded(list, "10.1.2.3", 80);
	(void)proxy_excluded(list, "fd00::1", 80);
	free(list);
}

static void fuzz_listen(struct bytes in)
{
	struct listen_addr a;
	struct err err;

	if (listen_addr_parse(in, &a, &err) == 0)
		assert(a.n >= 1 && a.n <= LISTEN_ADDRS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(struct bytes in) = { fuzz_url, fuzz_reply, fuzz_no_proxy,
							    fuzz_listen };

	if (size > 1 && size < 10000)
		targets[data[0] % ARRAY_LEN(targets)](bytes_of(data + 1, size - 1));
	return 0;
}
