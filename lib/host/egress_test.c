/* host/egress_test.c - the list of ports */
#include "host/egress.h"

#include <errno.h>

#include "tests/harness.h"

static struct egress_port v[EGRESS_PORTS_MAX];
static size_t n;
static struct err e;

static int parse(const char *text)
{
	return egress_ports_parse("PORTS", bytes_str(text), v, ARRAY_LEN(v), &n, &e);
}

TEST(ports_are_read_with_protocol_and_other_end)
{
	ck_assert_int_eq(parse("80, 443/tcp,53/udp,8080:80,5353:53/udp"), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert(v[0].port == 80 && v[0].to == 80 && !v[0].is_udp);
	ck_assert(v[1].port == 443 && v[1].to == 443 && !v[1].is_udp);
	ck_assert(v[2].port == 53 && v[2].to == 53 && v[2].is_udp);
	ck_assert(v[3].port == 8080 && v[3].to == 80 && !v[3].is_udp);
	ck_assert(v[4].port == 5353 && v[4].to == 53 && v[4].is_udp);
	ck_assert_int_eq(parse("53,53/udp"), 0);
}

TEST(what_is_no_list_of_ports_is_refused)
{
	static const char *const rows[] = { "0",       "65536", "http", "80;443", "80,", ",80",
					    "80/sctp", "-1",    "80:0", "80:",    ":80", "80,80",
					    "1,1:2",   "80/",   " ",    "80-90" };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(parse(rows[i]) == -EINVAL, "%s", rows[i]);
		ck_assert_int_eq(strncmp(e.text, "PORTS: ", 7), 0);
	}
}

TEST(more_ports_than_the_limit_are_refused)
{
	char text[1024] = "";

	for (int i = 1; i <= EGRESS_PORTS_MAX + 1; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", i > 1 ? "," : "",
			 i);
	ck_assert_int_eq(parse(text), -EINVAL);
	*strrchr(text, ',') = 0;
	ck_assert_int_eq(parse(text), 0);
	ck_assert_uint_eq(n, EGRESS_PORTS_MAX);
}
