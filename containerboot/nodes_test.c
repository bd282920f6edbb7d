/* containerboot/nodes_test.c - the list of nodes: what is taken, what is refused and with which
 * words */
#include "containerboot/nodes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"

static struct nodes n;
static struct err e;

static int parse(const char *text)
{
	e = (struct err){ 0 };
	nodes_fini(&n);
	return nodes_parse(&n, bytes_str(text), &e);
}

static void refused(const char *text, const char *words)
{
	ck_assert_int_lt(parse(text), 0);
	ck_assert_msg(strstr(e.text, words) != NULL, "%s: %s", text, e.text);
	ck_assert_uint_eq(n.n, 0);
}

#define TWO                                                                                        \
	"{\"version\":1,\"nodes\":{\"web\":{\"TS_HOSTNAME\":\"web\",\"TS_DEST_IP\":\"10.0.0.1\"}," \
	"\"api-2\":{}}}"

TEST(a_list_gives_names_and_variables)
{
	ck_assert_msg(parse(TWO) == 0, "%s", e.text);
	ck_assert_uint_eq(n.n, 2);
	ck_assert_str_eq(n.v[0].name, "web");
	ck_assert_str_eq(n.v[0].env[0], "TS_HOSTNAME=web");
	ck_assert_str_eq(n.v[0].env[1], "TS_DEST_IP=10.0.0.1");
	ck_assert_ptr_null(n.v[0].env[2]);
	ck_assert_str_eq(n.v[1].name, "api-2");
	ck_assert_uint_eq(n.v[1].n, 0);
	ck_assert_int_eq(parse(" \n"), 0);
	ck_assert_uint_eq(n.n, 0);
	nodes_fini(&n);
}

TEST(settings_are_equal_in_any_order)
{
	struct nodes other;

	ck_assert_int_eq(parse(TWO), 0);
	ck_assert_int_eq(nodes_parse(&other,
				     bytes_str("{\"nodes\":{\"web\":{\"TS_DEST_IP\":\"10.0.0.1\","
					       "\"TS_HOSTNAME\":\"web\"}},\"version\":1}"),
				     &e),
			 0);
	ck_assert(node_settings_eq(&n.v[0], &other.v[0]));
	other.v[0].env[0][strlen(other.v[0].env[0]) - 1] = '2';
	ck_assert(!node_settings_eq(&n.v[0], &other.v[0]));
	nodes_fini(&other);
	nodes_fini(&n);
}

TEST(what_is_no_list_is_refused_with_words)
{
	refused("[]", "JSON object");
	refused("{\"version\":2,\"nodes\":{}}", "version: wanted 1");
	refused("{\"nodes\":{}}", "wanted \"version\": 1");
	refused("{\"version\":1}", "and \"nodes\"");
	refused("{\"version\":1,\"nodes\":{},\"more\":1}", "\"more\" is unknown");
	refused("{\"version\":1,\"nodes\":{\"Web\":{}}}", "no name of a node");
	refused("{\"version\":1,\"nodes\":{\"../x\":{}}}", "no name of a node");
	refused("{\"version\":1,\"nodes\":{\"a\":{},\"a\":{}}}", "a is there twice");
	refused("{\"version\":1,\"nodes\":{\"a\":1}}", "wanted an object of variables");
	refused("{\"version\":1,\"nodes\":{\"a\":{\"TS_DEST_IP\":1}}}",
		"TS_DEST_IP: wanted a text");
	refused("{\"version\":1,\"nodes\":{\"a\":{\"TS_SOCKET\":\"/x\"}}}",
		"TS_SOCKET is no setting of one node");
	refused("{\"version\":1,\"nodes\":{\"a\":{\"TS_DEST_IP\":\"\",\"TS_DEST_IP\":\"\"}}}",
		"TS_DEST_IP is there twice");
	refused("{\"version\":1,\"nodes\":{\"a\":{\"TS_KUBE_SECRET\":\"s\"},"
		"\"b\":{\"TS_KUBE_SECRET\":\"s\"}}}",
		"a and b have the same TS_KUBE_SECRET");
}

TEST(a_list_cut_anywhere_is_refused)
{
	for (size_t len = 1; len < strlen(TWO); len++) {
		nodes_fini(&n);
		ck_assert_int_lt(nodes_parse(&n, bytes_of(TWO, len), &e), 0);
	}
}

TEST(there_are_limits)
{
	static char text[NODES_FILE_MAX];
	size_t at = (size_t)snprintf(text, sizeof text, "{\"version\":1,\"nodes\":{");

	for (int i = 0; i < NODES_MAX; i++)
		at +=
		    (size_t)snprintf(text + at, sizeof text - at, "%s\"n%d\":{}", i ? "," : "", i);
	memcpy(text + at, "}}", 3);
	ck_assert_msg(parse(text) == 0, "%s", e.text);
	ck_assert_uint_eq(n.n, NODES_MAX);
	memcpy(text + at, ",\"more\":{}}}", 13);
	refused(text, "more than 64 nodes");
}
