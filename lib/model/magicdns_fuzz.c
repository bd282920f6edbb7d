/* model/magicdns_fuzz.c - any query against a small netmap: a reply is a message again, within its
 * room */
#include "model/magicdns.h"

#include <assert.h>

#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define KEY(d) "nodekey:" d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d

static const char map[] = "{\"Node\":{\"ID\":1,\"Name\":\"me.tail.test.\",\"Key\":\"" KEY(
    "01") "\",\"Addresses\":[\"100.64.0.1/32\"]},"
	  "\"Peers\":[{\"ID\":2,\"Name\":\"web.tail.test.\",\"Key\":\"" KEY(
	      "02") "\",\"Addresses\":[\"100.64.0.2/"
		    "32\"],\"CapMap\":{\"dns-subdomain-resolve\":null}}],"
		    "\"DNSConfig\":{\"Proxied\":true,\"Resolvers\":[{\"Addr\":\"1.1.1.1\"}],"
		    "\"Domains\":[\"tail.test\"],\"Routes\":{\"tail.test\":[],\"a\":[{\"Addr\":"
		    "\"10.0.0.1\"}]},"
		    "\"ExtraRecords\":[{\"Name\":\"x.tail.test\",\"Value\":\"10.9.9.9\"}]}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct netmap *nm = netmap_new();
	struct magicdns_answer a;
	uint8_t out[DNS_UDP_MIN];
	struct dns_head h;
	struct err e;
	size_t n;

	assert(nm);
	netmap_begin(nm);
	assert(netmap_feed(nm, bytes_str(map)) == 0 &&
	       netmap_end(nm, (wall_t){ 1795309200 * NS_PER_S }, &e) == 0);
	if (magicdns_reply(nm, bytes_of(data, len), len % 2, out, sizeof out, &n, &a) ==
	    MAGICDNS_REPLY)
		assert(n <= sizeof out && dns_head_parse(bytes_of(out, n), &h) && h.qr);
	(void)magicdns_lookup(nm, bytes_of(data, len), &a);
	netmap_free(nm);
	return 0;
}
