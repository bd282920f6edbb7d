/* containerboot/options_check_test.c - single values, at the limits of each form */
#include <errno.h>
#include <stdlib.h>

#include "containerboot/options.h"
#include "tests/harness.h"

typedef int check_fn(const char *what, const char *text, struct err *e);

static void takes(check_fn *check, const char *text)
{
	struct err e = { 0 };

	ck_assert_msg(check("X", text, &e) == 0, "'%s': %s", text, e.text);
}

/* in one line that begins with the name of what is wrong */
static void refuses(check_fn *check, const char *text)
{
	struct err e = { 0 };

	ck_assert_msg(check("X", text, &e) == -EINVAL, "'%s' is taken", text);
	ck_assert_msg(strncmp(e.text, "X: ", 3) == 0, "'%s'", e.text);
	ck_assert_ptr_null(strchr(e.text, '\n'));
}

static const char *repeat(const char *head, const char *piece, size_t n, const char *tail)
{
	static char text[1 << 16];
	size_t at = (size_t)snprintf(text, sizeof text, "%s", head);

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s", piece);
	snprintf(text + at, sizeof text - at, "%s", tail);
	return text;
}

TEST(a_host_name_has_labels_of_63_and_253_in_all)
{
	takes(check_hostname, "a");
	takes(check_hostname, "web-1.Example.com");
	takes(check_hostname, repeat("", "a", 63, ""));
	refuses(check_hostname, repeat("", "a", 64, ""));
	takes(check_hostname, repeat("", "a.", 126, "a"));    /* 253 */
	refuses(check_hostname, repeat("", "a.", 126, "aa")); /* 254 */
	refuses(check_hostname, "-a");
	refuses(check_hostname, "a-");
	refuses(check_hostname, "a-.b");
	refuses(check_hostname, "a.-b");
	refuses(check_hostname, ".a");
	refuses(check_hostname, "a.");
	refuses(check_hostname, "a..b");
	refuses(check_hostname, "a_b");
	refuses(check_hostname, "a\nb");
	refuses(check_hostname, "\xc3\xa9");
}

TEST(a_name_of_an_object_is_not_empty_and_has_at_most_253)
{
	takes(check_object_name, "a");
	takes(check_object_name, "web.0-x");
	takes(check_object_name, repeat("", "a", 253, ""));
	refuses(check_object_name, repeat("", "a", 254, ""));
	refuses(check_object_name, "");
	refuses(check_object_name, "A");
	refuses(check_object_name, "-a");
	refuses(check_object_name, "a.");
	refuses(check_object_name, "a/b");
}

TEST(tags_are_a_list_without_empty_places)
{
	takes(check_tags, "");
	takes(check_tags, "tag:a");
	takes(check_tags, "tag:a,tag:B-2");
	takes(check_tags, "a"); /* as the stock client */
	refuses(check_tags, "tag:");
	refuses(check_tags, "tag:a,");
	refuses(check_tags, "tag:a,,tag:b");
	refuses(check_tags, "tag:9a");
	refuses(check_tags, "tag:-a");
	refuses(check_tags, "tag:a b");
	refuses(check_tags, "tag:a\ntag:b");
	refuses(check_tags, "TAG:a");
	takes(check_tags, repeat("tag:", "a", PREFS_TAGS_MAX - 5, ""));
	refuses(check_tags, repeat("tag:", "a", PREFS_TAGS_MAX - 4, ""));
	takes(check_tags, repeat("", "a", PREFS_TAGS_MAX - 5, "")); /* tag: comes in front */
	refuses(check_tags, repeat("", "a", PREFS_TAGS_MAX - 4, ""));
}

TEST(routes_are_whole_subnets_and_a_default_route_has_its_other_half)
{
	char many[OPTIONS_ROUTES_MAX * 20 + 64] = "";

	takes(check_routes, "10.0.0.0/8");
	takes(check_routes, "10.0.0.0/8,fd00::/8");
	takes(check_routes, "10.1.2.3/32");
	takes(check_routes, "0.0.0.0/0,::/0");
	refuses(check_routes, "0.0.0.0/0");
	refuses(check_routes, "10.0.0.0/8,::/0");
	refuses(check_routes, "10.0.0.1/8"); /* bits beyond its length */
	refuses(check_routes, "fd00::1/64");
	refuses(check_routes, "10.0.0.0");
	refuses(check_routes, "10.0.0.0/33");
	refuses(check_routes, "10.0.0.0/");
	refuses(check_routes, "/8");
	refuses(check_routes, "10.0.0.0/8 fd00::/8");
	for (int i = 0; i < OPTIONS_ROUTES_MAX; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), "%s10.%d.%d.0/24",
			 i ? "," : "", i / 256, i % 256);
	takes(check_routes, many);
	snprintf(many + strlen(many), sizeof many - strlen(many), ",192.168.0.0/24");
	refuses(check_routes, many);
}

TEST(a_url_names_a_host_and_no_user)
{
	takes(check_url, "https://h");
	takes(check_url, "http://[::1]:8080/x");
	refuses(check_url, "");
	refuses(check_url, "https://");
	refuses(check_url, "https:///x");
	refuses(check_url, "https://:443");
	refuses(check_url, "ftp://h");
	refuses(check_url, "h");
	refuses(check_url, "https://user:secret@h");
	refuses(check_url, "https://h /x");
	refuses(check_url, "https://h\r\nX: y");
	takes(check_url, repeat("https://", "a", PREFS_URL_MAX - 9, ""));
	refuses(check_url, repeat("https://", "a", PREFS_URL_MAX - 8, ""));
}

TEST(a_server_has_no_path)
{
	takes(check_server, "https://h");
	takes(check_server, "https://h/");
	takes(check_server, "http://[fd00::1]:8080");
	refuses(check_server, "https://h/x");
	refuses(check_server, "https://h:65536");
	refuses(check_server, "https://fd00::1:8080");
	refuses(check_server, "h:8080");
}

TEST(a_place_to_listen_has_a_port)
{
	takes(check_listen, ":1055");
	takes(check_listen, "localhost:1055");
	takes(check_listen, "[::1]:1");
	refuses(check_listen, "1055");
	refuses(check_listen, ":");
	refuses(check_listen, ":65536");
	refuses(check_listen, ":-1");
	refuses(check_listen, "");
}
