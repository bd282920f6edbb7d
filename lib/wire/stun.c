/* wire/stun.c - see stun.h */
#include "wire/stun.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"

enum {
	FINGERPRINT_XOR = 0x5354554e,
	ATTR_HEADER = 4,
	FAMILY_V4 = 1,
	FAMILY_V6 = 2
}; /* RFC 8489 14.7, 14.1 */

static const uint8_t software[8] = { 't', 'a', 'i', 'l', 'n', 'o', 'd', 'e' };

const char *const stun_fault_names[STUN_FAULT_N] = {
	[STUN_OK] = "ok",
	[STUN_BAD_SHAPE] = "shape",
	[STUN_OTHER_TYPE] = "other type",
	[STUN_NO_ADDRESS] = "no address",
	[STUN_BAD_SOFTWARE] = "software",
	[STUN_BAD_FINGERPRINT] = "fingerprint",
};

/* CRC-32 of ISO/IEC 8802-3, reflected, bit by bit: 32 bytes a request, so a table would not pay */
static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

bool stun_is(const uint8_t *data, size_t len)
{
	struct rd r = rd_of(data, len);
	uint16_t type = rd_be16(&r);
	uint32_t magic;

	rd_skip(&r, 2);
	magic = rd_be32(&r);
	return rd_ok(&r) && len >= STUN_HEADER && (type & 0xc000) == 0 && (type & 0xff) == 1 &&
	       magic == STUN_MAGIC;
}

static void header_emit(struct wr *w, uint16_t type, uint16_t len,
			const uint8_t txid[static STUN_TXID])
{
	wr_be16(w, type);
	wr_be16(w, len);
	wr_be32(w, STUN_MAGIC);
	wr_put(w, txid, STUN_TXID);
}

void stun_request_emit(const uint8_t txid[static STUN_TXID], uint8_t out[static STUN_REQUEST_LEN])
{
	struct wr w = wr_of(out, STUN_REQUEST_LEN);

	header_emit(&w, STUN_BINDING_REQUEST, STUN_REQUEST_LEN - STUN_HEADER, txid);
	wr_be16(&w, STUN_ATTR_SOFTWARE);
	wr_be16(&w, sizeof software);
	wr_put(&w, software, sizeof software);
	/* RFC 8489 14.7: the length in the header already counts the fingerprint */
	uint32_t crc = crc32_of(out, STUN_REQUEST_LEN - 8);

	wr_be16(&w, STUN_ATTR_FINGERPRINT);
	wr_be16(&w, 4);
	wr_be32(&w, crc ^ FINGERPRINT_XOR);
	assert(wr_ok(&w));
}

/* Reads the header; attrs gets what the length in it covers. */
static enum stun_fault header_parse(const uint8_t *data, size_t len, uint16_t want,
				    const uint8_t **txid, struct rd *attrs)
{
	struct rd r = rd_of(data, len);
	uint16_t type = rd_be16(&r), attr_len = rd_be16(&r);
	uint32_t magic = rd_be32(&r);

	*txid = rd_take(&r, STUN_TXID);
	*attrs = rd_sub(&r, attr_len);
	if (!rd_ok(&r) || magic != STUN_MAGIC)
		return STUN_BAD_SHAPE;
	return type == want ? STUN_OK : STUN_OTHER_TYPE;
}

/* One attribute with its padding; false: there is no whole one left */
static bool attr_next(struct rd *attrs, uint16_t *type, struct bytes *value)
{
	*type = rd_be16(attrs);
	size_t n = rd_be16(attrs);
	const uint8_t *p = rd_take(attrs, n);

	if (!rd_ok(attrs))
		return false;
	*value = bytes_of(p, n);
	if (n % 4 != 0 && attrs->left >= 4 - n % 4) /* the last padding may be missing */
		rd_skip(attrs, 4 - n % 4);
	return true;
}

static bool address_parse(struct bytes value, bool xored, const uint8_t txid[static STUN_TXID],
			  struct ipport *out)
{
	struct rd r = rd_bytes(value);
	uint8_t mask[16], addr[16];
	struct wr w = wr_of(mask, sizeof mask);

	wr_be32(&w, STUN_MAGIC);
	wr_put(&w, txid, STUN_TXID);
	rd_skip(&r, 1);
	uint8_t family = rd_u8(&r);
	uint16_t port = rd_be16(&r);
	size_t n = family == FAMILY_V4 ? 4 : 16;

	rd_copy(&r, addr, n);
	if (!rd_ok(&r) || (family != FAMILY_V4 && family != FAMILY_V6))
		return false;
	if (xored) {
		port ^= STUN_MAGIC >> 16;
		for (size_t i = 0; i < n; i++)
			addr[i] ^= mask[i];
	}
	out->ip = family == FAMILY_V4 ? ip_from_v4(addr) : ip_from_v6(addr);
	out->port = port;
	return true;
}

enum stun_fault stun_answer_parse(const uint8_t *data, size_t len, uint8_t txid[static STUN_TXID],
				  struct ipport *mapped)
{
	const uint8_t *tx;
	struct rd attrs;
	enum stun_fault fault = header_parse(data, len, STUN_BINDING_SUCCESS, &tx, &attrs);
	struct ipport plain, xored;
	bool has_plain = false, has_xored = false;
	struct bytes value;
	uint16_t type;

	if (fault != STUN_OK)
		return fault;
	while (!has_xored && attrs.left > 0 && attr_next(&attrs, &type, &value)) {
		if (type == STUN_ATTR_XOR_MAPPED_ADDRESS ||
		    type == STUN_ATTR_XOR_MAPPED_ADDRESS_OLD)
			has_xored = address_parse(value, true, tx, &xored);
		else if (type == STUN_ATTR_MAPPED_ADDRESS && !has_plain)
			has_plain = address_parse(value, false, tx, &plain);
	}
	if (!rd_ok(&attrs) && !has_xored)
		return STUN_BAD_SHAPE;
	if (!has_xored && !has_plain)
		return STUN_NO_ADDRESS;
	memcpy(txid, tx, STUN_TXID);
	*mapped = has_xored ? xored : plain;
	return STUN_OK;
}

enum stun_fault stun_request_parse(const uint8_t *data, size_t len, uint8_t txid[static STUN_TXID])
{
	const uint8_t *tx;
	struct rd attrs;
	enum stun_fault fault = header_parse(data, len, STUN_BINDING_REQUEST, &tx, &attrs);
	bool has_software = false, has_fingerprint = false;
	struct bytes value = { 0 };
	uint16_t type = 0;
	size_t before = 0; /* bytes in front of the attribute last read */

	if (fault != STUN_OK)
		return fault;
	while (attrs.left > 0) {
		if (has_fingerprint)
			return STUN_BAD_FINGERPRINT; /* it must be the last attribute */
		before = (size_t)(attrs.p - data);
		if (!attr_next(&attrs, &type, &value))
			return STUN_BAD_SHAPE;
		if (type == STUN_ATTR_SOFTWARE)
			has_software = bytes_eq(value, bytes_of(software, sizeof software));
		has_fingerprint = type == STUN_ATTR_FINGERPRINT;
	}
	if (!has_software)
		return STUN_BAD_SOFTWARE;
	if (!has_fingerprint || value.len != 4)
		return STUN_BAD_FINGERPRINT;
	struct rd r = rd_bytes(value);

	if (rd_be32(&r) != (crc32_of(data, before) ^ FINGERPRINT_XOR))
		return STUN_BAD_FINGERPRINT;
	memcpy(txid, tx, STUN_TXID);
	return STUN_OK;
}

size_t stun_answer_emit(const uint8_t txid[static STUN_TXID], const struct ipport *from,
			uint8_t out[static STUN_ANSWER_MAX])
{
	bool v4 = ip_is_v4(&from->ip);
	uint16_t addr_len = v4 ? 4 : 16;
	const uint8_t *addr = v4 ? from->ip.b + 12 : from->ip.b;
	struct wr w = wr_of(out, STUN_ANSWER_MAX);

	header_emit(&w, STUN_BINDING_SUCCESS, (uint16_t)(ATTR_HEADER + 4 + addr_len), txid);
	wr_be16(&w, STUN_ATTR_XOR_MAPPED_ADDRESS);
	wr_be16(&w, (uint16_t)(4 + addr_len));
	wr_u8(&w, 0);
	wr_u8(&w, v4 ? FAMILY_V4 : FAMILY_V6);
	wr_be16(&w, from->port ^ (uint16_t)(STUN_MAGIC >> 16));
	for (size_t i = 0; i < addr_len; i++)
		wr_u8(&w,
		      addr[i] ^
			  out[4 + i]); /* cookie and transaction id, as they stand in the header */
	return wr_len(&w);
}
