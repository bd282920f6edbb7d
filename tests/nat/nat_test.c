/* tests/nat/nat_test.c - the box does what RFC 4787's words say, for each mapping and filtering */
#include "tests/nat/nat.h"

#include "tests/harness.h"

static const mono_t start = { 1000 * NS_PER_S };

static struct ipport at(const char *text)
{
	struct ipport a;

	ck_assert_msg(ipport_parse(bytes_str(text), &a), "%s", text);
	return a;
}

static struct nat *box(enum nat_mapping mapping, enum nat_filtering filtering)
{
	struct nat_conf conf = {
		.mapping = mapping, .filtering = filtering, .timeout = SPAN_S(30), .max = 100
	};
	struct nat *n = nat_new(&conf);

	ck_assert_ptr_nonnull(n);
	return n;
}

static uint16_t out(struct nat *n, mono_t now, const char *from, const char *to)
{
	struct ipport f = at(from), t = at(to);
	uint16_t port;

	return nat_out(n, now, &f, &t, &port) ? port : 0;
}

static bool in(struct nat *n, mono_t now, const char *from, uint16_t port, const char *inner)
{
	struct ipport f = at(from), want = at(inner), got;

	return nat_in(n, now, &f, port, &got) && ipport_eq(&got, &want);
}

TEST(a_mapping_depends_on_what_its_name_says)
{
	for (enum nat_mapping m = NAT_ENDPOINT_INDEPENDENT; m < NAT_MAPPING_N; m++) {
		struct nat *n = box(m, NAT_FILTER_NONE);
		uint16_t p = out(n, start, "10.0.0.2:5", "1.1.1.1:1");

		ck_assert_uint_ne(p, 0);
		ck_assert_uint_eq(out(n, start, "10.0.0.2:5", "1.1.1.1:1"), p);
		ck_assert((out(n, start, "10.0.0.2:5", "1.1.1.1:2") == p) ==
			  (m != NAT_PORT_DEPENDENT));
		ck_assert((out(n, start, "10.0.0.2:5", "2.2.2.2:1") == p) ==
			  (m == NAT_ENDPOINT_INDEPENDENT));
		ck_assert_uint_ne(out(n, start, "10.0.0.2:6", "1.1.1.1:1"), p);
		ck_assert_uint_ne(out(n, start, "10.0.0.3:5", "1.1.1.1:1"), p);
		nat_free(n);
	}
}

TEST(a_filter_lets_in_what_its_name_says)
{
	for (enum nat_filtering f = NAT_FILTER_NONE; f < NAT_FILTERING_N; f++) {
		struct nat *n = box(NAT_ENDPOINT_INDEPENDENT, f);
		uint16_t p = out(n, start, "10.0.0.2:5", "1.1.1.1:1");

		ck_assert(in(n, start, "1.1.1.1:1", p, "10.0.0.2:5"));
		ck_assert(in(n, start, "1.1.1.1:2", p, "10.0.0.2:5") == (f != NAT_FILTER_PORT));
		ck_assert(in(n, start, "2.2.2.2:1", p, "10.0.0.2:5") == (f == NAT_FILTER_NONE));
		ck_assert(!in(n, start, "1.1.1.1:1", (uint16_t)(p + 1), "10.0.0.2:5"));
		nat_free(n);
	}
}

TEST(a_mapping_ends_with_its_timeout_and_only_packets_going_out_renew_it)
{
	struct nat *n = box(NAT_ENDPOINT_INDEPENDENT, NAT_FILTER_PORT);
	uint16_t p = out(n, start, "10.0.0.2:5", "1.1.1.1:1");
	mono_t later = mono_add(start, SPAN_S(20)), end = mono_add(start, SPAN_S(40));

	ck_assert_uint_eq(out(n, later, "10.0.0.2:5", "2.2.2.2:2"), p);
	ck_assert(in(n, end, "2.2.2.2:2", p, "10.0.0.2:5"));
	ck_assert(!in(n, end, "1.1.1.1:1", p, "10.0.0.2:5")); /* its own time was over */
	ck_assert(!in(n, mono_add(later, SPAN_MS(30001)), "2.2.2.2:2", p, "10.0.0.2:5"));
	ck_assert_uint_ne(out(n, mono_add(end, SPAN_S(60)), "10.0.0.2:5", "1.1.1.1:1"), p);
	nat_free(n);
}

TEST(a_box_without_free_ports_refuses_new_mappings_and_keeps_the_old)
{
	struct nat_conf conf = { .mapping = NAT_PORT_DEPENDENT, .timeout = SPAN_S(30), .max = 2 };
	struct nat *n = nat_new(&conf);
	uint16_t p = out(n, start, "10.0.0.2:5", "1.1.1.1:1");

	ck_assert_uint_ne(out(n, start, "10.0.0.2:5", "1.1.1.1:2"), 0);
	ck_assert_uint_eq(out(n, start, "10.0.0.2:5", "1.1.1.1:3"), 0);
	ck_assert_uint_eq(out(n, start, "10.0.0.2:5", "1.1.1.1:1"), p);
	ck_assert_uint_eq(nat_mappings(n, start), 2);
	ck_assert_uint_ne(out(n, mono_add(start, SPAN_S(31)), "10.0.0.2:5", "1.1.1.1:3"), 0);
	nat_free(n);
}

TEST(a_port_is_preserved_while_it_is_free)
{
	struct nat_conf conf = { .mapping = NAT_ENDPOINT_INDEPENDENT,
				 .timeout = SPAN_S(30),
				 .max = 10,
				 .preserves_ports = true };
	struct nat *n = nat_new(&conf);

	ck_assert_uint_eq(out(n, start, "10.0.0.2:5000", "1.1.1.1:1"), 5000);
	ck_assert_uint_ne(out(n, start, "10.0.0.3:5000", "1.1.1.1:1"), 5000);
	nat_forget(n);
	ck_assert_uint_eq(out(n, start, "10.0.0.3:5000", "1.1.1.1:1"), 5000);
	nat_free(n);
}
