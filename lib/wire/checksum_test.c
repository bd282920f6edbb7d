/* wire/checksum_test.c - the Internet checksum against the sum of RFC 1071's text, a word at a time
 */
#include "wire/checksum.h"

#include "tests/harness.h"

/* RFC 1071 4.1, in network order; odd lengths padded with a zero byte */
static uint16_t slow(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		sum += (uint32_t)(p[i] << 8 | (i + 1 < len ? p[i + 1] : 0));
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static uint16_t fast(uint64_t sum) /* the bytes that go into a header, as a number */
{
	uint8_t b[2];

	checksum_store(b, sum);
	return (uint16_t)(b[0] << 8 | b[1]);
}

TEST(rfc1071_3_the_example_of_the_text)
{
	static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	ck_assert_uint_eq(fast(checksum_add(0, data, sizeof data)), (uint16_t)~0xddf2);
	ck_assert_uint_eq(fast(0), 0xffff);
}

TEST(every_length_alignment_and_extreme_of_bytes_gives_what_the_slow_sum_gives)
{
	static uint8_t mem[2048 + 16];
	struct seed_rng rng;

	seed_rng_init(&rng, 1);
	for (int fill = 0; fill < 3; fill++) {
		if (fill == 0)
			rng_fill(&rng.rng, mem, sizeof mem);
		else
			memset(mem, fill == 1 ? 0xff : 0, sizeof mem);
		for (size_t len = 0; len <= 2048; len += len < 70 ? 1 : 61)
			for (size_t at = 0; at < 16; at++)
				ck_assert_uint_eq(fast(checksum_add(0, mem + at, len)),
						  slow(mem + at, len));
	}
}

TEST(parts_of_even_length_add_up_in_any_order)
{
	uint8_t data[301];
	struct seed_rng rng;

	seed_rng_init(&rng, 2);
	rng_fill(&rng.rng, data, sizeof data);
	for (size_t cut = 0; cut <= 300; cut += 2) {
		const uint64_t tail = checksum_add(0, data + cut, sizeof data - cut);

		ck_assert_uint_eq(fast(checksum_add(tail, data, cut)), slow(data, sizeof data));
	}
}

TEST(data_with_its_checksum_in_place_sums_to_zero_and_no_single_bit_can_change)
{
	uint8_t data[64];
	struct seed_rng rng;

	seed_rng_init(&rng, 3);
	rng_fill(&rng.rng, data, sizeof data);
	memset(data + 10, 0, 2);
	checksum_store(data + 10, checksum_add(0, data, sizeof data));
	ck_assert_uint_eq(checksum_fold(checksum_add(0, data, sizeof data)), 0);
	for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_uint_ne(checksum_fold(checksum_add(0, data, sizeof data)), 0);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

TEST(pseudo_headers_are_those_of_rfc9293_and_rfc8200)
{
	const struct ip a4 = ip_v4(192, 0, 2, 1), b4 = ip_v4(198, 51, 100, 200);
	struct ip a6, b6;
	uint8_t v4[12] = { 192, 0, 2, 1, 198, 51, 100, 200, 0, 17, 0x12, 0x34 };
	uint8_t v6[40];

	ck_assert_uint_eq(fast(checksum_pseudo(&a4, &b4, 17, 0x1234)), slow(v4, sizeof v4));
	ck_assert(ip_parse(bytes_str("2001:db8::1"), &a6) && ip_parse(bytes_str("fe80::ff"), &b6));
	memcpy(v6, a6.b, 16);
	memcpy(v6 + 16, b6.b, 16);
	memcpy(v6 + 32, (const uint8_t[8]){ 0, 1, 0x12, 0x34, 0, 0, 0, 6 }, 8);
	ck_assert_uint_eq(fast(checksum_pseudo(&a6, &b6, 6, 0x11234)), slow(v6, sizeof v6));
}
