/* wire/doh_fuzz.c - a URL, then what a server says to a query, in pieces; the last byte of a line
 * of text parts both */
#include <stdlib.h>
#include <string.h>

#include "wire/dns.h"
#include "wire/doh.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t query[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1 };

static void serve(const struct doh_url *url, struct bytes said)
{
	struct doh_exchange x;
	enum doh_result r = DOH_MORE;
	struct dns_reader a;

	doh_init(&x);
	if (!doh_begin(&x, url, bytes_of(query, sizeof query)))
		abort();
	doh_sent(&x, doh_output(&x).len);
	while (r == DOH_MORE && said.len > 0) {
		const size_t n = MIN_OF((size_t)(said.data[0] % 64) + 1, said.len);

		r = doh_feed(&x, bytes_of(said.data, n));
		said = bytes_of(said.data + n, said.len - n);
	}
	if (r == DOH_MORE)
		r = doh_eof(&x);
	if (r == DOH_ANSWER && (!dns_open(&a, doh_answer(&x)) || a.head.id != 0x1234))
		abort();
	doh_fini(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
	const size_t n = line ? (size_t)(line - data) : size;
	char text[DOH_URL_MAX + 8];
	struct doh_url url;
	struct ip v[4];

	(void)bytes_to_str(bytes_of(data, n), text, sizeof text);
	(void)doh_known_addrs(text, v, 4);
	if (!doh_url_parse(text, &url))
		return 0;
	if (strlen(url.host) >= sizeof url.host || url.target[0] != '/' || url.port == 0 ||
	    strpbrk(url.target, " \r\n") || strpbrk(url.host, " \r\n"))
		abort();
	if (line)
		serve(&url, bytes_of(line + 1, size - n - 1));
	return 0;
}
