/* wire/dns.h - DNS messages: parse and emit (RFC 1035, OPT of RFC 6891)
 *
 * Names are text: labels joined by dots, no dot at the end, "" is the root, case as it came. A
 * label with a dot or a NUL inside is refused, so that text and wire name each other. Compression
 * pointers must go backwards from the start of the piece they end, so following them ends.
 */
#ifndef WIRE_DNS_H
#define WIRE_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/ip.h"

enum {
	DNS_HEAD = 12,
	DNS_NAME_TEXT = 256,
	DNS_LABEL_MAX = 63,
	DNS_NAME_WIRE_MAX = 255,
	DNS_UDP_MIN = 512,
	DNS_TCP_MAX = 65535
};
enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_HINFO = 13,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_OPT = 41,
	DNS_AXFR = 252,
	DNS_ANY = 255
};
enum { DNS_IN = 1 };
enum dns_rcode { DNS_NOERROR, DNS_FORMERR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED };
enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

struct dns_head {
	uint16_t id;
	bool qr, aa, tc, rd, ra, ad, cd;
	uint8_t opcode, rcode;
	uint16_t count[4]; /* questions, then by dns_section + 1 */
};

struct dns_question {
	char name[DNS_NAME_TEXT];
	uint16_t type, class;
};

/* A message with exactly one question; its records are pulled one by one. */
struct dns_reader {
	struct bytes whole;
	struct rd at;
	struct dns_head head;
	struct dns_question q;
	unsigned section;
	uint16_t left; /* records of the section */
};

struct dns_rr {
	char name[DNS_NAME_TEXT];
	enum dns_section section;
	uint16_t type, class;
	uint32_t ttl;
	struct bytes data; /* as it lies in the message */
};

/* The header alone: for an answer to what is otherwise malformed. */
MUST_USE bool dns_head_parse(struct bytes msg, struct dns_head *h);
MUST_USE bool dns_open(struct dns_reader *r,
		       struct bytes msg); /* false: malformed, or not one question */
bool dns_next(struct dns_reader *r,
	      struct dns_rr *rr); /* false: no more, or malformed: ask dns_ok */
bool dns_ok(const struct dns_reader *r);
bool dns_rr_ip(const struct dns_rr *rr, struct ip *out); /* of an A or AAAA record */
/* The name in the data of a CNAME, PTR or NS record. */
bool dns_rr_target(const struct dns_reader *r, const struct dns_rr *rr,
		   char out[static DNS_NAME_TEXT]);

struct dns_edns {
	bool there;
	uint16_t udp_size;
	bool dnssec_ok;
};
bool dns_find_edns(struct bytes msg, struct dns_edns *out); /* false: the message is malformed */

/* Emitting. Names that end like the question's are compressed. What does not fit fails the writer.
 */
struct dns_writer {
	struct wr w;
	uint8_t *head;
	struct dns_head h;
	char question[DNS_NAME_TEXT];
};
void dns_begin(struct dns_writer *d, void *buf, size_t cap,
	       const struct dns_head *h); /* its counts are ignored */
void dns_put_question(struct dns_writer *d, const struct dns_question *q);
void dns_put_ip(struct dns_writer *d, enum dns_section s, const char *name, uint32_t ttl,
		const struct ip *a);
void dns_put_name(struct dns_writer *d, enum dns_section s, const char *name, enum dns_type type,
		  uint32_t ttl, const char *target);
void dns_put_soa(struct dns_writer *d, const char *zone, uint32_t ttl, const char *mname,
		 const char *rname); /* authority; minimum is ttl */
void dns_put_edns(struct dns_writer *d, uint16_t udp_size);
size_t
dns_finish(struct dns_writer *d); /* length; 0: something did not fit or a name is malformed */
/* Is text a name that can go onto the wire? One dot at its end is allowed. */
bool dns_name_valid(struct bytes text);

/* "4.3.2.1.in-addr.arpa", nibbles under ip6.arpa */
bool dns_reverse_parse(const char *name, struct ip *out);
enum { DNS_REVERSE_TEXT = 80 };
const char *dns_reverse_text(const struct ip *a, char out[static DNS_REVERSE_TEXT]);

#endif
