/* wire/dns.c - see dns.h */
#include "wire/dns.h"

#include <stdio.h>

#include "base/text.h"

enum { POINTER = 0xc0, POINTER_MASK = 0x3fff, OPT_DO = 0x8000 };

/* --- names --- */

static bool label_valid(const uint8_t *p, size_t n)
{
	return n > 0 && n <= DNS_LABEL_MAX && !memchr(p, 0, n) && !memchr(p, '.', n);
}

/* Reads a name at *r. Labels lie before `limit` after a jump: each pointer leads to before the
 * piece it ends. */
static bool read_name(struct rd *r, struct bytes whole, char out[static DNS_NAME_TEXT])
{
	struct rd at = *r;
	size_t n = 0, wire = 0, piece = (size_t)(at.p - whole.data);
	bool jumped = false;

	for (;;) {
		uint8_t len = rd_u8(&at);
		const uint8_t *label;

		if (!rd_ok(&at))
			return false;
		if ((len & POINTER) == POINTER) {
			size_t to = (size_t)(len & 0x3f) << 8 | rd_u8(&at);

			if (!rd_ok(&at) || to >= piece)
				return false;
			if (!jumped)
				*r = at;
			jumped = true;
			piece = to;
			at = rd_of(whole.data + to, whole.len - to);
			continue;
		}
		wire += (size_t)len + 1;
		if (len == 0)
			break;
		label = rd_take(&at, len);
		if (!label || !label_valid(label, len) || wire >= DNS_NAME_WIRE_MAX)
			return false;
		if (n > 0)
			out[n++] = '.';
		memcpy(out + n, label, len);
		n += len;
	}
	out[n] = 0;
	if (!jumped)
		*r = at;
	return true;
}

bool dns_name_valid(struct bytes text)
{
	size_t at = 0, end = text.len;

	if (end > 0 && text.data[end - 1] == '.')
		end--;
	if (end == 0)
		return text.len <= 1;
	if (end + 2 > DNS_NAME_WIRE_MAX)
		return false;
	while (at <= end) {
		const uint8_t *dot = at < end ? memchr(text.data + at, '.', end - at) : NULL;
		size_t n = dot ? (size_t)(dot - text.data) - at : end - at;

		if (!label_valid(text.data + at, n))
			return false;
		at += n + 1;
	}
	return true;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* where in the question's name `tail` begins as a whole suffix, or SIZE_MAX */
static size_t suffix_at(const char *question, const char *tail)
{
	size_t q = strlen(question), t = strlen(tail);

	if (t == 0 || t > q || (t < q && question[q - t - 1] != '.'))
		return SIZE_MAX;
	for (size_t i = 0; i < t; i++)
		if (lower((uint8_t)question[q - t + i]) != lower((uint8_t)tail[i]))
			return SIZE_MAX;
	return q - t;
}

static void write_name(struct dns_writer *d, const char *name)
{
	size_t n = strlen(name), at = 0;

	if (!dns_name_valid(bytes_of(name, n))) {
		d->w.failed = true;
		return;
	}
	if (n > 0 && name[n - 1] == '.')
		n--;
	while (at < n) {
		char tail[DNS_NAME_TEXT];
		size_t to, len;

		(void)bytes_to_str(bytes_of(name + at, n - at), tail, sizeof tail);
		to = suffix_at(d->question,
			       tail); /* labels of text and wire are equally far: a dot, a length */
		if (to != SIZE_MAX) {
			wr_be16(&d->w, (uint16_t)(POINTER << 8 | (DNS_HEAD + to)));
			return;
		}
		len = strcspn(tail, ".");
		wr_u8(&d->w, (uint8_t)len);
		wr_put(&d->w, tail, len);
		at += len + 1;
	}
	wr_u8(&d->w, 0);
}

/* --- reading --- */

static struct dns_head read_head(struct rd *r)
{
	struct dns_head h = { .id = rd_be16(r) };
	uint16_t f = rd_be16(r);

	h.qr = f >> 15 & 1;
	h.opcode = (uint8_t)(f >> 11 & 15);
	h.aa = f >> 10 & 1;
	h.tc = f >> 9 & 1;
	h.rd = f >> 8 & 1;
	h.ra = f >> 7 & 1;
	h.ad = f >> 5 & 1;
	h.cd = f >> 4 & 1;
	h.rcode = f & 15;
	for (int i = 0; i < 4; i++)
		h.count[i] = rd_be16(r);
	return h;
}

bool dns_head_parse(struct bytes msg, struct dns_head *h)
{
	struct rd r = rd_bytes(msg);
	struct dns_head got = read_head(&r);

	if (!rd_ok(&r))
		return false;
	*h = got;
	return true;
}

bool dns_open(struct dns_reader *r, struct bytes msg)
{
	struct rd at = rd_bytes(msg);

	*r = (struct dns_reader){ .whole = msg };
	if (msg.len > DNS_TCP_MAX)
		return false;
	r->head = read_head(&at);
	if (!rd_ok(&at) || r->head.count[0] != 1 || !read_name(&at, msg, r->q.name))
		return false;
	r->q.type = rd_be16(&at);
	r->q.class = rd_be16(&at);
	r->at = at;
	r->left = r->head.count[1];
	return rd_ok(&at);
}

bool dns_next(struct dns_reader *r, struct dns_rr *rr)
{
	struct rd data;

	while (r->left == 0) {
		if (r->section >= DNS_ADDITIONAL)
			return false;
		r->section++;
		r->left = r->head.count[r->section + 1];
	}
	if (!rd_ok(&r->at))
		return false;
	if (!read_name(&r->at, r->whole, rr->name)) {
		r->at.failed = true;
		return false;
	}
	rr->section = r->section;
	rr->type = rd_be16(&r->at);
	rr->class = rd_be16(&r->at);
	rr->ttl = rd_be32(&r->at);
	data = rd_sub(&r->at, rd_be16(&r->at));
	rr->data = rd_rest(&data);
	r->left--;
	return rd_ok(&r->at);
}

bool dns_ok(const struct dns_reader *r)
{
	return rd_ok(&r->at);
}

bool dns_rr_ip(const struct dns_rr *rr, struct ip *out)
{
	if (rr->class != DNS_IN)
		return false;
	if (rr->type == DNS_A && rr->data.len == 4)
		*out = ip_from_v4(rr->data.data);
	else if (rr->type == DNS_AAAA && rr->data.len == 16)
		*out = ip_from_v6(rr->data.data);
	else
		return false;
	return true;
}

bool dns_rr_target(const struct dns_reader *r, const struct dns_rr *rr,
		   char out[static DNS_NAME_TEXT])
{
	struct rd at = rd_bytes(rr->data);

	if (rr->type != DNS_CNAME && rr->type != DNS_PTR && rr->type != DNS_NS)
		return false;
	return rr->data.len > 0 && read_name(&at, r->whole, out) && rd_done(&at);
}

bool dns_find_edns(struct bytes msg, struct dns_edns *out)
{
	struct dns_reader r;
	struct dns_rr rr;

	*out = (struct dns_edns){ .udp_size = DNS_UDP_MIN };
	if (!dns_open(&r, msg))
		return false;
	while (dns_next(&r, &rr))
		if (rr.section == DNS_ADDITIONAL && rr.type == DNS_OPT)
			*out = (struct dns_edns){ true,
						  rr.class < DNS_UDP_MIN ? (uint16_t)DNS_UDP_MIN
									 : rr.class,
						  (rr.ttl & OPT_DO) != 0 };
	return dns_ok(&r);
}

/* --- writing --- */

void dns_begin(struct dns_writer *d, void *buf, size_t cap, const struct dns_head *h)
{
	*d = (struct dns_writer){ .w = wr_of(buf, cap < DNS_TCP_MAX ? cap : DNS_TCP_MAX), .h = *h };
	memset(d->h.count, 0, sizeof d->h.count);
	d->head = wr_room(&d->w, DNS_HEAD);
}

void dns_put_question(struct dns_writer *d, const struct dns_question *q)
{
	write_name(d, q->name);
	wr_be16(&d->w, q->type);
	wr_be16(&d->w, q->class);
	(void)bytes_to_str(bytes_str(q->name), d->question, sizeof d->question);
	d->h.count[0]++;
}

static void put_rr_head(struct dns_writer *d, enum dns_section s, const char *name, uint16_t type,
			uint32_t ttl)
{
	write_name(d, name);
	wr_be16(&d->w, type);
	wr_be16(&d->w, DNS_IN);
	wr_be32(&d->w, ttl);
	d->h.count[s + 1]++;
}

/* Data of a length that is known when it is written. */
static uint8_t *begin_data(struct dns_writer *d)
{
	return wr_room(&d->w, 2);
}

static void end_data(struct dns_writer *d, uint8_t *len)
{
	size_t n;

	if (!len || !wr_ok(&d->w))
		return;
	n = (size_t)(d->w.p - len) - 2;
	len[0] = (uint8_t)(n >> 8);
	len[1] = (uint8_t)n;
}

void dns_put_ip(struct dns_writer *d, enum dns_section s, const char *name, uint32_t ttl,
		const struct ip *a)
{
	bool v4 = ip_is_v4(a);

	put_rr_head(d, s, name, v4 ? DNS_A : DNS_AAAA, ttl);
	wr_be16(&d->w, v4 ? 4 : 16);
	wr_put(&d->w, v4 ? a->b + 12 : a->b, v4 ? 4 : 16);
}

void dns_put_name(struct dns_writer *d, enum dns_section s, const char *name, enum dns_type type,
		  uint32_t ttl, const char *target)
{
	uint8_t *len;

	put_rr_head(d, s, name, (uint16_t)type, ttl);
	len = begin_data(d);
	write_name(d, target);
	end_data(d, len);
}

void dns_put_soa(struct dns_writer *d, const char *zone, uint32_t ttl, const char *mname,
		 const char *rname)
{
	uint8_t *len;

	put_rr_head(d, DNS_AUTHORITY, zone, DNS_SOA, ttl);
	len = begin_data(d);
	write_name(d, mname);
	write_name(d, rname);
	wr_be32(&d->w, 1);    /* serial */
	wr_be32(&d->w, 1800); /* refresh, retry, expire: nobody transfers this zone */
	wr_be32(&d->w, 900);
	wr_be32(&d->w, 604800);
	wr_be32(&d->w, ttl);
	end_data(d, len);
}

void dns_put_edns(struct dns_writer *d, uint16_t udp_size)
{
	wr_u8(&d->w, 0);
	wr_be16(&d->w, DNS_OPT);
	wr_be16(&d->w, udp_size);
	wr_be32(&d->w, 0);
	wr_be16(&d->w, 0);
	d->h.count[DNS_ADDITIONAL + 1]++;
}

size_t dns_finish(struct dns_writer *d)
{
	const struct dns_head *h = &d->h;
	struct wr w = wr_of(d->head, DNS_HEAD);

	if (!wr_ok(&d->w))
		return 0;
	wr_be16(&w, h->id);
	wr_be16(&w,
		(uint16_t)(h->qr << 15 | (h->opcode & 15) << 11 | h->aa << 10 | h->tc << 9 |
			   h->rd << 8 | h->ra << 7 | h->ad << 5 | h->cd << 4 | (h->rcode & 15)));
	for (int i = 0; i < 4; i++)
		wr_be16(&w, h->count[i]);
	return wr_len(&d->w);
}

/* --- reverse names --- */

static bool strip_suffix(struct bytes *name, const char *suffix)
{
	size_t n = strlen(suffix);

	if (name->len <= n ||
	    !bytes_caseeq(bytes_of(name->data + name->len - n, n), bytes_str(suffix)))
		return false;
	name->len -= n;
	return true;
}

static bool reverse_v4(struct bytes s, struct ip *out)
{
	struct ip a = ip_v4(0, 0, 0, 0);

	for (int i = 3; i >= 0; i--) {
		const uint8_t *dot = s.len > 0 ? memchr(s.data, '.', s.len) : NULL;
		size_t n = dot ? (size_t)(dot - s.data) : s.len;
		uint16_t v;

		if ((dot == NULL) != (i == 0) || !text_u16(bytes_of(s.data, n), &v) || v > 255 ||
		    (n > 1 && s.data[0] == '0'))
			return false;
		a.b[12 + i] = (uint8_t)v;
		if (dot)
			s = bytes_of(dot + 1, s.len - n - 1);
	}
	*out = a;
	return true;
}

static bool reverse_v6(struct bytes s, struct ip *out)
{
	struct ip a = { { 0 } };

	if (s.len != 63)
		return false;
	for (size_t i = 0; i < 32; i++) {
		uint8_t pair[2] = { '0', s.data[2 * i] }, v;

		if (!hex_parse(bytes_of(pair, 2), &v, 1) || (i < 31 && s.data[2 * i + 1] != '.'))
			return false;
		a.b[15 - i / 2] |= (uint8_t)(i % 2 ? v << 4 : v);
	}
	*out = a;
	return true;
}

bool dns_reverse_parse(const char *name, struct ip *out)
{
	struct bytes s = bytes_str(name);

	if (s.len > 0 && s.data[s.len - 1] == '.')
		s.len--;
	if (strip_suffix(&s, ".in-addr.arpa"))
		return reverse_v4(s, out);
	if (strip_suffix(&s, ".ip6.arpa"))
		return reverse_v6(s, out);
	return false;
}

const char *dns_reverse_text(const struct ip *a, char out[static DNS_REVERSE_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *p = out;

	if (ip_is_v4(a)) {
		snprintf(out, DNS_REVERSE_TEXT, "%u.%u.%u.%u.in-addr.arpa", a->b[15], a->b[14],
			 a->b[13], a->b[12]);
		return out;
	}
	for (int i = 15; i >= 0; i--) {
		*p++ = digits[a->b[i] & 15];
		*p++ = '.';
		*p++ = digits[a->b[i] >> 4];
		*p++ = '.';
	}
	snprintf(p, (size_t)(out + DNS_REVERSE_TEXT - p), "ip6.arpa");
	return out;
}
