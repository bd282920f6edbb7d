/* os/sockaddr_test.c - our addresses as the kernel's, and back; names of unix sockets */
#include "os/sockaddr.h"

#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>

#include "tests/harness.h"

static struct ipport at(const char *text)
{
	struct ipport a;

	ck_assert_msg(ipport_parse(bytes_str(text), &a), "%s", text);
	return a;
}

TEST(an_address_goes_to_the_kernel_in_its_own_family_and_comes_back)
{
	static const struct {
		const char *text;
		int family;
		socklen_t len;
	} v[] = {
		{ "1.2.3.4:258", AF_INET, sizeof(struct sockaddr_in) },
		{ "0.0.0.0:0", AF_INET, sizeof(struct sockaddr_in) },
		{ "255.255.255.255:65535", AF_INET, sizeof(struct sockaddr_in) },
		{ "[fd7a:115c:a1e0::1]:258", AF_INET6, sizeof(struct sockaddr_in6) },
		{ "[::]:0", AF_INET6, sizeof(struct sockaddr_in6) },
		{ "[::1]:65535", AF_INET6, sizeof(struct sockaddr_in6) },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		const struct ipport a = at(v[i].text);
		struct sockaddr_storage ss;
		struct ipport back;

		memset(&ss, 0xee, sizeof ss);
		ck_assert_uint_eq(sockaddr_from(&a, &ss), v[i].len);
		ck_assert_int_eq(ss.ss_family, v[i].family);
		ck_assert_int_eq(sockaddr_family(&a.ip), v[i].family);
		ck_assert(sockaddr_to(&ss, &back));
		ck_assert(ipport_eq(&back, &a));
	}
}

TEST(the_kernel_gets_port_and_address_in_the_order_of_the_network)
{
	static const uint8_t want4[] = { 0x01, 0x02, 1, 2, 3, 4 };
	struct ipport a = at("1.2.3.4:258");
	struct sockaddr_storage ss;
	struct sockaddr_in6 six;

	(void)sockaddr_from(&a, &ss);
	ck_bytes_eq((const char *)&ss + offsetof(struct sockaddr_in, sin_port), want4,
		    sizeof want4);
	a = at("[102:304::]:258");
	(void)sockaddr_from(&a, &ss);
	memcpy(&six, &ss, sizeof six);
	ck_bytes_eq(&six.sin6_port, "\x01\x02", 2);
	ck_bytes_eq(&six.sin6_addr, "\x01\x02\x03\x04", 4);
	ck_assert_uint_eq(six.sin6_flowinfo, 0); /* nothing of what lay there before */
	ck_assert_uint_eq(six.sin6_scope_id, 0);
}

TEST(an_ipv4_address_within_ipv6_is_an_ipv4_address)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	const struct ipport want = at("10.0.0.1:9");
	struct sockaddr_storage ss = { 0 };
	struct ipport got;

	memcpy(&six.sin6_addr, want.ip.b, 16);
	memcpy(&ss, &six, sizeof six);
	ck_assert(sockaddr_to(&ss, &got));
	ck_assert(ipport_eq(&got, &want) && ip_is_v4(&got.ip));
	ck_assert_uint_eq(sockaddr_from(&got, &ss), sizeof(struct sockaddr_in));
}

TEST(other_families_are_refused_and_leave_the_address_as_it_was)
{
	static const sa_family_t other[] = { AF_UNSPEC, AF_UNIX, AF_NETLINK, 0xffff };
	const struct ipport before = at("1.2.3.4:5");
	struct ipport out = before;

	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		struct sockaddr_storage ss = { .ss_family = other[i] };

		ck_assert(!sockaddr_to(&ss, &out));
		ck_assert(ipport_eq(&out, &before));
	}
}

TEST(the_name_of_a_unix_socket_has_at_most_107_bytes)
{
	struct sockaddr_storage ss;
	struct sockaddr_un un;
	char name[110];

	ck_assert_uint_eq(sockaddr_unix("", &ss), 0);
	ck_assert_uint_eq(sockaddr_unix("/run/x", &ss), sizeof un);
	memcpy(&un, &ss, sizeof un);
	ck_assert_int_eq(un.sun_family, AF_UNIX);
	ck_assert_str_eq(un.sun_path, "/run/x");
	memset(name, 'a', sizeof name);
	name[107] = 0;
	ck_assert_uint_eq(sockaddr_unix(name, &ss), sizeof un);
	memcpy(&un, &ss, sizeof un);
	ck_assert_str_eq(un.sun_path, name);
	name[107] = 'a';
	name[108] = 0;
	ck_assert_uint_eq(sockaddr_unix(name, &ss), 0);
}

TEST(an_abstract_name_ends_with_its_length)
{
	/* the kernel takes every byte of it, also what stands behind: a NUL more is another name */
	struct sockaddr_storage ss;
	struct sockaddr_un un;
	char name[109];

	ck_assert_uint_eq(sockaddr_unix("@ab", &ss), offsetof(struct sockaddr_un, sun_path) + 3);
	memcpy(&un, &ss, sizeof un);
	ck_bytes_eq(un.sun_path, "\0ab", 3);
	memset(name, '@', sizeof name);
	name[107] = 0;
	ck_assert_uint_eq(sockaddr_unix(name, &ss), offsetof(struct sockaddr_un, sun_path) + 107);
	name[107] = '@';
	name[108] = 0;
	ck_assert_uint_eq(sockaddr_unix(name, &ss), 0);
}
