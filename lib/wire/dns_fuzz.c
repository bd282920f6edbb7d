/* wire/dns_fuzz.c - any message is read to its end; its question goes out and comes back the same
 */
#include "wire/dns.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes msg = bytes_of(data, len);
	char name[DNS_NAME_TEXT];
	uint8_t out[DNS_UDP_MIN];
	struct dns_reader r, again;
	struct dns_writer d;
	struct dns_edns e;
	struct dns_rr rr;
	struct ip a;
	size_t n;

	(void)dns_find_edns(msg, &e);
	if (!dns_open(&r, msg))
		return 0;
	assert(dns_name_valid(bytes_str(r.q.name)));
	(void)dns_reverse_parse(r.q.name, &a);
	dns_begin(&d, out, sizeof out, &r.head);
	dns_put_question(&d, &r.q);
	n = dns_finish(&d);
	assert(n > 0 && dns_open(&again, bytes_of(out, n)) && strcmp(again.q.name, r.q.name) == 0);
	while (dns_next(&r, &rr)) {
		(void)dns_rr_ip(&rr, &a);
		(void)dns_rr_target(&r, &rr, name);
		assert(dns_name_valid(bytes_str(rr.name)));
	}
	return 0;
}
