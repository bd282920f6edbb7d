/* model/magicdns_test.c - names answered from the netmap; numbers name sections of data-plane.md */
#include "model/magicdns.h"

#include "tests/harness.h"
#include "wire/dns.h"

#define KEY(d) "nodekey:" d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d

static const char map[] = "{\"Node\":{\"ID\":1,\"Name\":\"me.tail.test.\",\"Key\":\"" KEY(
    "01") "\",\"Addresses\":[\"100.64.0.1/32\",\"fd7a:115c:a1e0::1/128\"]%s},"
	  "\"Peers\":[{\"ID\":2,\"Name\":\"web.tail.test.\",\"Key\":\"" KEY(
	      "02") "\",\"Addresses\":[\"fd7a:115c:a1e0::2/128\",\"100.64.0.2/32\"]},"
		    "{\"ID\":3,\"Name\":\"six.tail.test.\",\"Key\":\"" KEY(
			"03") "\",\"Addresses\":[\"fd7a:115c:a1e0::3/128\"]},"
			      "{\"ID\":4,\"Name\":\"wild.tail.test.\",\"Key\":\"" KEY(
				  "04") "\",\"Addresses\":[\"100.64.0.4/"
					"32\"],\"CapMap\":{\"dns-subdomain-resolve\":null}},"
					"{\"ID\":5,\"Name\":\"shared.other.test.\",\"Key\":\"" KEY(
					    "05") "\",\"Addresses\":[\"100.64.0.5/32\"]}],"
						  "\"DNSConfig\":{\"Proxied\":%s,\"Resolvers\":[{"
						  "\"Addr\":\"1.1.1.1\"}],\"Domains\":[\"tail."
						  "test\",\"corp.example\"],"
						  "\"Routes\":{\"tail.test\":[],\"corp.example.\":["
						  "{\"Addr\":\"10.0.0.1\"},{\"Addr\":\"10.0.0.2\"}]"
						  ",\"dmz.corp.example\":[{\"Addr\":\"10.0.0.3\"}],"
						  "\"local.corp.example\":[],\"64.100.in-addr."
						  "arpa\":[]},"
						  "\"ExtraRecords\":[{\"Name\":\"Extra.tail.test."
						  "\",\"Value\":\"10.9.9.9\"},{\"Name\":\"extra."
						  "tail.test\",\"Value\":\"2001:db8::9\"},{"
						  "\"Name\":\"wiki.corp.example\",\"Type\":\"A\","
						  "\"Value\":\"10.8.8.8\"}]}}";

static struct netmap *netmap_with(const char *self_more, const char *proxied)
{
	struct netmap *nm = netmap_new();
	char text[4096];
	struct err e;

	snprintf(text, sizeof text, map, self_more, proxied);
	netmap_begin(nm);
	ck_assert_int_eq(netmap_feed(nm, bytes_str(text)), 0);
	ck_assert_int_eq(netmap_end(nm, (wall_t){ 1795309200 * NS_PER_S }, &e), 0);
	return nm;
}

/* "addresses", or what was found, as text */
static const char *lookup(const struct netmap *nm, const char *name)
{
	static char text[512];
	static const char *const names[] = { "", "nodata", "nxdomain", "forward" };
	struct magicdns_answer a;
	enum magicdns_found found = magicdns_lookup(nm, bytes_str(name), &a);
	char one[IP_TEXT];
	size_t n = (size_t)snprintf(text, sizeof text, "%s", names[found]);

	for (size_t i = 0; i < a.n; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? " " : "",
				      ip_text(&a.v[i], one));
	for (size_t i = 0; i < a.n_resolvers; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, " %s",
				      ip_text(&a.resolvers[i].addr.ip, one));
	return text;
}

TEST(magicdns_lookup_answers_short_and_full_names_in_any_case)
{
	struct netmap *nm = netmap_with("", "true");

	ck_assert_str_eq(lookup(nm, "web"), "100.64.0.2 fd7a:115c:a1e0::2"); /* IPv4 first */
	ck_assert_str_eq(lookup(nm, "WEB.Tail.test."), "100.64.0.2 fd7a:115c:a1e0::2");
	ck_assert_str_eq(lookup(nm, "me"), "100.64.0.1 fd7a:115c:a1e0::1");
	ck_assert_str_eq(lookup(nm, "shared.other.test"), "100.64.0.5");
	ck_assert_str_eq(lookup(nm, "six"), "fd7a:115c:a1e0::3");
	ck_assert_str_eq(lookup(nm, "extra"),
			 "10.9.9.9 2001:db8::9"); /* a record under a search domain */
	ck_assert_str_eq(lookup(nm, "wiki"), "10.8.8.8");
	ck_assert_str_eq(lookup(nm, "wiki.corp.example"), "10.8.8.8");
	netmap_free(nm);
}

TEST(magicdns_an_unknown_name_of_the_tailnet_does_not_exist_and_is_never_forwarded)
{
	struct netmap *nm = netmap_with("", "true");

	ck_assert_str_eq(lookup(nm, "nobody.tail.test"), "nxdomain");
	ck_assert_str_eq(lookup(nm, "tail.test"), "nxdomain");
	ck_assert_str_eq(lookup(nm, "x.onion"), "nxdomain");
	ck_assert_str_eq(lookup(nm, "a..b"), "nxdomain");
	ck_assert_str_eq(lookup(nm, ""), "nxdomain");
	netmap_free(nm);
}

TEST(magicdns_6_6_split_dns_takes_the_longest_suffix_and_whole_labels)
{
	struct netmap *nm = netmap_with("", "true");

	ck_assert_str_eq(lookup(nm, "a.corp.example"), "forward 10.0.0.1 10.0.0.2");
	ck_assert_str_eq(lookup(nm, "a.dmz.Corp.example."), "forward 10.0.0.3");
	ck_assert_str_eq(lookup(nm, "a.local.corp.example"),
			 "nxdomain"); /* the longest has no resolvers: answered here */
	ck_assert_str_eq(lookup(nm, "notcorp.example"), "forward 1.1.1.1");
	ck_assert_str_eq(lookup(nm, "www.example.org"), "forward 1.1.1.1");
	netmap_free(nm);
}

TEST(magicdns_6_6_four_via_six_names)
{
	struct netmap *nm = netmap_with("", "true");
	struct ip a;

	ck_assert_str_eq(lookup(nm, "10-1-2-3-via-7"), "fd7a:115c:a1e0:b1a:0:7:a01:203");
	ck_assert_str_eq(lookup(nm, "10-1-2-3-VIA-0x1F.tail.test"),
			 "fd7a:115c:a1e0:b1a:0:1f:a01:203");
	ck_assert_str_eq(lookup(nm, "10-1-2-3-via-7.example.org"), "forward 1.1.1.1");
	ck_assert(!magicdns_via(bytes_str("10-1-2-via-7"), &a) &&
		  !magicdns_via(bytes_str("10-1-2-3-via-"), &a) &&
		  !magicdns_via(bytes_str("-via-7"), &a) &&
		  !magicdns_via(bytes_str("10-1-2-3-via-4294967296"), &a) &&
		  !magicdns_via(bytes_str("10.1.2.3-via-7"), &a) &&
		  !magicdns_via(bytes_str("10-1-2-3-via-0x"), &a) &&
		  !magicdns_via(bytes_str("10-1-2-3-via-0x123456789"), &a) &&
		  !magicdns_via(bytes_str("via"), &a));
	ck_assert(magicdns_via(bytes_str("10-1-2-3-via-4294967295"), &a));
	netmap_free(nm);
}

TEST(magicdns_6_6_names_below_a_node_with_the_subdomain_capability)
{
	struct netmap *nm = netmap_with("", "true");

	ck_assert_str_eq(lookup(nm, "a.b.wild.tail.test"), "100.64.0.4");
	ck_assert_str_eq(lookup(nm, "a.web.tail.test"), "nxdomain");
	netmap_free(nm);
}

/* --- DNS clients --- */

static size_t query(const char *name, uint16_t type, uint16_t edns, uint8_t out[static 512])
{
	struct dns_question q = { .type = type, .class = DNS_IN };
	struct dns_head h = { .id = 4711, .rd = true };
	struct dns_writer d;

	ck_assert(bytes_to_str(bytes_str(name), q.name, sizeof q.name));
	dns_begin(&d, out, 512, &h);
	dns_put_question(&d, &q);
	if (edns)
		dns_put_edns(&d, edns);
	return dns_finish(&d);
}

/* the reply as text: "rcode aa/- ra/- [tc] answers | authority" */
static const char *ask_sized(const struct netmap *nm, const char *name, uint16_t type,
			     uint16_t edns, size_t *len)
{
	static char text[2048];
	uint8_t q[512], out[4096];
	size_t n = query(name, type, edns, q), at;
	struct magicdns_answer fwd;
	struct dns_reader r;
	struct dns_rr rr;
	char one[DNS_NAME_TEXT];
	struct ip a;

	switch (magicdns_reply(nm, bytes_of(q, n), true, out, sizeof out, len, &fwd)) {
	case MAGICDNS_DROP:
		return "drop";
	case MAGICDNS_ASK_UPSTREAM:
		snprintf(text, sizeof text, "forward %zu", fwd.n_resolvers);
		return text;
	default:
		break;
	}
	ck_assert(dns_open(&r, bytes_of(out, *len)));
	ck_assert(r.head.id == 4711 && r.head.qr && r.head.rd && r.head.ra);
	ck_assert_str_eq(r.q.name, name);
	at = (size_t)snprintf(text, sizeof text, "%u%s%s", r.head.rcode, r.head.aa ? " aa" : "",
			      r.head.tc ? " tc" : "");
	while (dns_next(&r, &rr)) {
		if (rr.type == DNS_SOA)
			at += (size_t)snprintf(text + at, sizeof text - at, " soa(%s,%u)", rr.name,
					       rr.ttl);
		else if (dns_rr_ip(&rr, &a))
			at += (size_t)snprintf(text + at, sizeof text - at, " %s/%u",
					       ip_text(&a, one), rr.ttl);
		else if (dns_rr_target(&r, &rr, one))
			at += (size_t)snprintf(text + at, sizeof text - at, " %s/%u", one, rr.ttl);
		else if (rr.type == DNS_OPT)
			at += (size_t)snprintf(text + at, sizeof text - at, " opt");
	}
	ck_assert(dns_ok(&r));
	return text;
}

static const char *ask(const struct netmap *nm, const char *name, uint16_t type)
{
	size_t len;

	return ask_sized(nm, name, type, 0, &len);
}

TEST(magicdns_6_6_replies_by_type_with_ttl_5_and_negative_soa_10)
{
	struct netmap *nm = netmap_with("", "true");

	ck_assert_str_eq(ask(nm, "web.tail.test", DNS_A), "0 aa 100.64.0.2/5");
	ck_assert_str_eq(ask(nm, "Web.Tail.Test", DNS_ANY), "0 aa 100.64.0.2/5");
	ck_assert_str_eq(ask(nm, "web.tail.test", DNS_TXT), "0 aa soa(tail.test,10)");
	ck_assert_str_eq(ask(nm, "web.tail.test", DNS_NS), "4");
	ck_assert_str_eq(ask(nm, "web.tail.test", DNS_SOA), "4");
	ck_assert_str_eq(ask(nm, "nobody.tail.test", DNS_A), "3 aa soa(tail.test,10)");
	ck_assert_str_eq(ask(nm, "extra.tail.test", DNS_AAAA), "0 aa 2001:db8::9/5");
	ck_assert_str_eq(ask(nm, "x.onion", DNS_A), "3 aa soa(onion,10)");
	ck_assert_str_eq(ask(nm, "magicdns.localhost-tailscale-daemon", DNS_A),
			 "0 aa 100.100.100.100/5");
	ck_assert_str_eq(ask(nm, "magicdns.localhost-tailscale-daemon", DNS_AAAA),
			 "0 aa fd7a:115c:a1e0::53/5");
	ck_assert_str_eq(ask(nm, "10-1-2-3-via-7.tail.test", DNS_AAAA),
			 "0 aa fd7a:115c:a1e0:b1a:0:7:a01:203/5");
	ck_assert_str_eq(ask(nm, "10-1-2-3-via-7.tail.test", DNS_A), "0 aa soa(,10)");
	netmap_free(nm);
}

TEST(magicdns_6_6_aaaa_of_a_node_with_ipv4_is_withheld_unless_we_have_the_attribute_or_no_ipv4)
{
	struct netmap *nm = netmap_with("", "true");

	ck_assert_str_eq(ask(nm, "web.tail.test", DNS_AAAA), "0 aa soa(tail.test,10)");
	ck_assert_str_eq(ask(nm, "six.tail.test", DNS_AAAA), "0 aa fd7a:115c:a1e0::3/5");
	netmap_free(nm);
	nm = netmap_with(",\"CapMap\":{\"magicdns-aaaa\":null}", "true");
	ck_assert_str_eq(ask(nm, "web.tail.test", DNS_AAAA), "0 aa fd7a:115c:a1e0::2/5");
	netmap_free(nm);
	nm = netmap_with(",\"Addresses\":[\"fd7a:115c:a1e0::1/128\"]", "true");
	ck_assert_str_eq(ask(nm, "web.tail.test", DNS_AAAA), "0 aa fd7a:115c:a1e0::2/5");
	netmap_free(nm);
}

TEST(magicdns_6_6_ptr_of_node_addresses_and_no_forwarding_of_the_tailnets_reverse_zones)
{
	struct netmap *nm = netmap_with("", "true");
	char text[DNS_REVERSE_TEXT];
	struct ip a;

	ck_assert_str_eq(ask(nm, "2.0.64.100.in-addr.arpa", DNS_PTR), "0 aa web.tail.test/5");
	ck_assert(ip_parse(bytes_str("fd7a:115c:a1e0::3"), &a));
	ck_assert_str_eq(ask(nm, dns_reverse_text(&a, text), DNS_PTR), "0 aa six.tail.test/5");
	ck_assert_str_eq(ask(nm, "99.0.64.100.in-addr.arpa", DNS_PTR),
			 "3 aa soa(64.100.in-addr.arpa,10)");
	ck_assert_str_eq(ask(nm, "8.8.8.8.in-addr.arpa", DNS_PTR), "forward 1");
	netmap_free(nm);
}

TEST(magicdns_without_proxied_node_names_are_not_answered_to_dns_clients)
{
	struct netmap *nm = netmap_with("", "false");

	ck_assert_str_eq(ask(nm, "web.tail.test", DNS_A),
			 "3 aa soa(tail.test,10)"); /* the route is still a local one */
	ck_assert_str_eq(ask(nm, "shared.other.test", DNS_A), "forward 1");
	netmap_free(nm);
}

TEST(magicdns_malformed_and_odd_queries_get_their_code_or_nothing)
{
	struct netmap *nm = netmap_with("", "true");
	struct magicdns_answer fwd;
	uint8_t q[512], out[512];
	size_t n = query("web.tail.test", DNS_A, 0, q), len;
	struct dns_head h;

	for (size_t cut = 0; cut < n; cut++) {
		enum magicdns_verdict v =
		    magicdns_reply(nm, bytes_of(q, cut), true, out, sizeof out, &len, &fwd);

		ck_assert_int_eq(v, cut < DNS_HEAD ? MAGICDNS_DROP : MAGICDNS_REPLY);
		if (v == MAGICDNS_REPLY)
			ck_assert(dns_head_parse(bytes_of(out, len), &h) &&
				  h.rcode == DNS_FORMERR && h.id == 4711);
	}
	q[2] |= 0x80; /* a reply is never replied to */
	ck_assert_int_eq(magicdns_reply(nm, bytes_of(q, n), true, out, sizeof out, &len, &fwd),
			 MAGICDNS_DROP);
	q[2] = 0x20; /* opcode 4 */
	ck_assert_int_eq(magicdns_reply(nm, bytes_of(q, n), true, out, sizeof out, &len, &fwd),
			 MAGICDNS_REPLY);
	ck_assert(dns_head_parse(bytes_of(out, len), &h) && h.rcode == DNS_NOTIMP);
	q[2] = 1;
	q[n - 1] = 3; /* class CHAOS */
	ck_assert_int_eq(magicdns_reply(nm, bytes_of(q, n), true, out, sizeof out, &len, &fwd),
			 MAGICDNS_REPLY);
	ck_assert(dns_head_parse(bytes_of(out, len), &h) && h.rcode == DNS_REFUSED);
	netmap_free(nm);
}

TEST(magicdns_an_answer_respects_the_size_of_the_client_and_sets_tc)
{
	struct netmap *nm = netmap_with("", "true");
	struct buf b;
	struct err e;
	size_t len;

	buf_init(&b, 65536);
	ck_assert(buf_printf(&b, "{\"DNSConfig\":{\"Proxied\":true,\"ExtraRecords\":["));
	for (int i = 0; i < 2 * MAGICDNS_ADDRS_MAX; i++)
		ck_assert(buf_printf(&b,
				     "%s{\"Name\":\"many-addresses-under-one-rather-long-name.tail."
				     "test\",\"Value\":\"2001:db8::%d\"}",
				     i ? "," : "", i));
	ck_assert(buf_printf(&b, "]}}"));
	netmap_begin(nm);
	ck_assert_int_eq(netmap_feed(nm, buf_bytes(&b)), 0);
	ck_assert_int_eq(netmap_end(nm, (wall_t){ 1795309200 * NS_PER_S }, &e), 0);
	buf_fini(&b);
	ck_assert_str_eq(
	    ask_sized(nm, "many-addresses-under-one-rather-long-name.tail.test", DNS_AAAA, 0, &len),
	    "0 aa tc");
	ck_assert_uint_le(len, DNS_UDP_MIN);
	ck_assert_str_eq(
	    ask_sized(nm, "many-addresses-under-one-rather-long-name.tail.test", DNS_A, 1232, &len),
	    "0 aa soa(,10) opt");
	ck_assert(strncmp(ask_sized(nm, "many-addresses-under-one-rather-long-name.tail.test",
				    DNS_AAAA, 1232, &len),
			  "0 aa 2001", 9) == 0);
	ck_assert_uint_gt(len, DNS_UDP_MIN);
	netmap_free(nm);
}

TEST(magicdns_without_resolvers_a_client_gets_servfail_and_a_proxy_the_systems_resolver)
{
	struct netmap *nm = netmap_new();

	ck_assert_str_eq(ask(nm, "www.example.org", DNS_A), "2");
	ck_assert_str_eq(lookup(nm, "www.example.org"), "forward");
	netmap_free(nm);
}
