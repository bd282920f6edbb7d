/* model/serve_test.c - serve configurations: what is read, refused, noted, and who answers what */
#include "model/serve.h"

#include <stdlib.h>

#include "tests/harness.h"

static struct serve *s;
static struct err e;

static struct serve *parse(const char *text)
{
	serve_free(s);
	memset(&e, 0, sizeof e);
	s = serve_parse(bytes_str(text), NULL, "Web.tail.test.", &e);
	return s;
}

static void check_bad(const char *text, const char *words)
{
	ck_assert_msg(!parse(text), "taken: %s", text);
	ck_assert_msg(strstr(e.text, words) != NULL, "\"%s\" is not in \"%s\"", words, e.text);
	ck_assert_ptr_null(strchr(e.text, '\n'));
}

TEST(what_the_stock_client_writes_is_read)
{
	ck_assert_msg(
	    parse("{\"TCP\":{\"443\":{\"HTTPS\":true},\"80\":{\"HTTP\":true},"
		  "\"5432\":{\"TCPForward\":\"db:5432\",\"TerminateTLS\":\"web.tail.test\","
		  "\"ProxyProtocol\":2},"
		  "\"22\":{\"TCPForward\":\"unix:/run/x\"}},"
		  "\"Web\":{\"${TS_CERT_DOMAIN}:443\":{\"Handlers\":{"
		  "\"/\":{\"Proxy\":\"http://127.0.0.1:3000\"},"
		  "\"/api/\":{\"Proxy\":\"https+insecure://api.local/v1/\",\"Text\":\"\"},"
		  "\"/t\":{\"Text\":\"hi\"},\"/f\":{\"Path\":\"/srv\"},\"/"
		  "r\":{\"Redirect\":\"301:https://x/${REQUEST_URI}\"}}}},"
		  "\"AllowFunnel\":{\"a:443\":true},\"Services\":{},\"Foreground\":null}"),
	    "%s", e.text);
	ck_assert_uint_eq(s->n_ports, 4);
	ck_assert_int_eq(serve_port_of(s, 443)->kind, SERVE_HTTPS);
	ck_assert_int_eq(serve_port_of(s, 80)->kind, SERVE_HTTP);
	ck_assert_ptr_null(serve_port_of(s, 81));
	ck_assert_str_eq(serve_port_of(s, 5432)->to.host, "db");
	ck_assert(serve_port_of(s, 5432)->terminates_tls &&
		  serve_port_of(s, 5432)->proxy_protocol == 2);
	ck_assert_str_eq(serve_port_of(s, 22)->to.unix_path, "/run/x");
	ck_assert_uint_eq(s->n_notes, 1);
	ck_assert(strstr(s->note[0], "Funnel"));
	ck_assert_str_eq(s->site[0].host, "web.tail.test");
	ck_assert_uint_eq(s->site[0].n, 5);
	ck_assert(s->site[0].v[1].to.tls && s->site[0].v[1].to.insecure &&
		  s->site[0].v[1].to.port == 443);
	ck_assert_int_eq(s->site[0].v[4].status, 301);
	ck_assert_str_eq(s->site[0].v[4].value, "https://x/${REQUEST_URI}");
	serve_free(s);
	s = NULL;
}

TEST(the_domain_is_that_of_the_certificate_or_the_nodes_name)
{
	static const char text[] =
	    "{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"${TS_CERT_DOMAIN}:80\":{\"Handlers\":"
	    "{\"/\":{\"Text\":\"${TS_CERT_DOMAIN}\"}}}}}";

	s = serve_parse(bytes_str(text), "Cert.Example", "web.tail.test.", &e);
	ck_assert_str_eq(s->site[0].host, "cert.example");
	ck_assert_str_eq(s->site[0].v[0].value, "Cert.Example");
	serve_free(s);
	s = serve_parse(bytes_str(text), NULL, "web.tail.test.", &e);
	ck_assert_str_eq(s->site[0].host, "web.tail.test");
	serve_free(s);
	s = serve_parse(bytes_str(text), NULL, NULL, &e);
	ck_assert_str_eq(s->site[0].host, "no-https");
	serve_free(s);
	s = NULL;
}

TEST(back_ends_are_read_in_every_form_and_nothing_else_is_one)
{
	static const struct {
		const char *text, *host, *path;
		unsigned port;
		bool tls;
	} good[] = {
		{ "3000", "127.0.0.1", "", 3000, false },
		{ "localhost:3000", "localhost", "", 3000, false },
		{ "http://web", "web", "", 80, false },
		{ "https://web/a/b", "web", "/a/b", 443, true },
		{ "http://[::1]:8080/", "::1", "/", 8080, false },
	};
	static const char *const bad[] = { "",           "web",      "http://",     "http://a b",
					   "0",          "65536",    "http://a:0/", "http://a?x",
					   "http://u@a", "unix:rel", "unix:",       "ftp://a",
					   "http://a\\n" };
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct serve_to *to;

		snprintf(text, sizeof text,
			 "{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"a:80\":{\"Handlers\":{\"/"
			 "\":{\"Proxy\":\"%s\"}}}}}",
			 good[i].text);
		ck_assert_msg(parse(text), "%s: %s", good[i].text, e.text);
		to = &s->site[0].v[0].to;
		ck_assert_str_eq(to->host, good[i].host);
		ck_assert_str_eq(to->path, good[i].path);
		ck_assert(to->port == good[i].port && to->tls == good[i].tls);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof text,
			 "{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"a:80\":{\"Handlers\":{\"/"
			 "\":{\"Proxy\":\"%s\"}}}}}",
			 bad[i]);
		check_bad(text, "Web a /");
	}
	check_bad("{\"TCP\":{\"80\":{\"TCPForward\":\"a:80/x\"}}}", "TCP 80: wanted host:port");
	check_bad("{\"TCP\":{\"80\":{\"TCPForward\":\"http://a\"}}}", "TCP 80");
}

TEST(malformed_configurations_are_refused_with_their_place)
{
	check_bad("", "JSON");
	check_bad("[]", "wanted a JSON object");
	check_bad("{", "malformed");
	check_bad("{}x", "malformed");
	check_bad("{\"TCP\":[]}", "TCP: malformed");
	check_bad("{\"TCP\":{\"x\":{\"HTTP\":true}}}", "TCP x: not a port");
	check_bad("{\"TCP\":{\"0\":{\"HTTP\":true}}}", "not a port");
	check_bad("{\"TCP\":{\"80\":{}}}", "TCP 80: wanted exactly one");
	check_bad("{\"TCP\":{\"80\":{\"HTTP\":true,\"TCPForward\":\"a:1\"}}}", "exactly one");
	check_bad("{\"TCP\":{\"80\":{\"HTTP\":\"yes\"}}}", "wanted true or false");
	check_bad("{\"TCP\":{\"80\":{\"TCPForward\":\"a:1\",\"ProxyProtocol\":3}}}",
		  "ProxyProtocol");
	check_bad("{\"Web\":{\"a\":{}}}", "Web a: wanted host:port");
	check_bad("{\"Web\":{\"a:80\":{\"Handlers\":{\"x\":{\"Text\":\"a\"}}}}}", "begins with /");
	check_bad("{\"Web\":{\"a:80\":{\"Handlers\":{\"/\":{}}}}}", "Web a /: wanted exactly one");
	check_bad("{\"Web\":{\"a:80\":{\"Handlers\":{\"/\":{\"Text\":\"a\",\"Path\":\"/x\"}}}}}",
		  "exactly one");
	check_bad("{\"Web\":{\"a:80\":{\"Handlers\":{\"/\":{\"Path\":\"x\"}}}}}", "whole path");
	check_bad("{\"Web\":{\"a:80\":{\"Handlers\":{\"/\":{\"Redirect\":\"200:http://a\"}}}}}",
		  "300 to 399");
	ck_assert(parse("{\"Web\":{\"a:80\":{\"Handlers\":{\"/"
			"\":{\"Text\":\"a\",\"AcceptAppCaps\":[\"x\"]}}}}}"));
	ck_assert_uint_eq(s->n_notes, 2); /* the capability, and that no port speaks HTTP */
	serve_free(s);
	s = NULL;
}

TEST(a_configuration_cut_anywhere_is_refused_and_leaks_nothing)
{
	static const char whole[] =
	    "{\"TCP\":{\"80\":{\"HTTP\":true},\"1\":{\"TCPForward\":\"a:1\"}},\"Web\":{\"a:80\":{"
	    "\"Handlers\":{\"/\":{\"Proxy\":\"http://b/c\"},\"/r\":{\"Redirect\":\"/x\"}}}}}";

	for (size_t n = 0; n < sizeof whole - 1; n++)
		ck_assert_msg(!serve_parse(bytes_of(whole, n), NULL, NULL, &e), "cut at %zu", n);
	ck_assert(parse(whole));
	serve_free(s);
	s = NULL;
}

TEST(as_much_as_the_limits_is_taken)
{
	struct buf b;
	char *text;

	for (int over = 0; over < 2; over++) {
		buf_init(&b, 1 << 20);
		ck_assert(buf_printf(&b, "{\"TCP\":{"));
		for (int i = 1; i <= SERVE_PORTS_MAX + over; i++)
			ck_assert(buf_printf(&b, "%s\"%d\":{\"HTTP\":true}", i > 1 ? "," : "", i));
		ck_assert(buf_printf(&b, "}}"));
		text = buf_take_str(&b);
		ck_assert_int_eq(parse(text) != NULL, !over);
		free(text);
		buf_fini(&b);
		buf_init(&b, 1 << 20);
		ck_assert(buf_printf(&b, "{\"Web\":{\"a:1\":{\"Handlers\":{"));
		for (int i = 1; i <= SERVE_HANDLERS_MAX + over; i++)
			ck_assert(
			    buf_printf(&b, "%s\"/%d\":{\"Text\":\"a\"}", i > 1 ? "," : "", i));
		ck_assert(buf_printf(&b, "}}}}"));
		text = buf_take_str(&b);
		ck_assert_int_eq(parse(text) != NULL, !over);
		free(text);
		buf_fini(&b);
		buf_init(&b, 1 << 20);
		ck_assert(buf_printf(&b, "{\"Web\":{"));
		for (int i = 1; i <= SERVE_SITES_MAX + over; i++)
			ck_assert(buf_printf(&b, "%s\"a%d:1\":{}", i > 1 ? "," : "", i));
		ck_assert(buf_printf(&b, "}}"));
		text = buf_take_str(&b);
		ck_assert_int_eq(parse(text) != NULL, !over);
		free(text);
		buf_fini(&b);
		text = malloc(SERVE_FILE_MAX + 2);
		memset(text, ' ', SERVE_FILE_MAX + 1);
		memcpy(text, "{}", 2);
		text[SERVE_FILE_MAX + over] = 0;
		ck_assert_int_eq(parse(text) != NULL, !over);
		free(text);
	}
	serve_free(s);
	s = NULL;
}

static const char *who(const char *path, const char **rest_out)
{
	static char left[256];
	struct bytes rest;
	const struct serve_handler *h = serve_handler_of(&s->site[0], bytes_str(path), &rest);

	left[0] = 0;
	if (h)
		(void)bytes_to_str(rest, left, sizeof left);
	*rest_out = left;
	return h ? h->value : NULL;
}

TEST(the_longest_mount_answers_and_the_rest_of_the_path_is_handed_on)
{
	static const struct {
		const char *path, *who, *rest;
	} rows[] = {
		{ "/", "root", "/" },
		{ "/x", "root", "/x" },
		{ "/a", "a", "" },
		{ "/a/", "a", "/" },
		{ "/a/b/c", "a", "/b/c" },
		{ "/ab", "root", "/ab" },
		{ "/d/", "d", "/" },
		{ "/d", "d", "" },
		{ "/d/e%2Ff", "d", "/e%2Ff" },
		{ "/%61/b", "a", "/b" },
		{ "/a/../x", "root", "/a/../x" }, /* as sent: the root's back end sees it */
		{ "/x/../a/b", NULL, NULL },      /* would be a's, but is not below it */
		{ "/%2e%2e/a", NULL, NULL },
		{ "/a//b", "a", "//b" },
		{ "//a", NULL, NULL },
		{ "/%", NULL, NULL },
		{ "/%00", NULL, NULL },
		{ "", NULL, NULL },
		{ "x", NULL, NULL },
	};
	const char *rest;

	ck_assert(parse(
	    "{\"Web\":{\"a:1\":{\"Handlers\":{\"/\":{\"Text\":\"root\"},\"/a\":{\"Text\":\"a\"},"
	    "\"/d/\":{\"Text\":\"d\"}}}}}"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *got = who(rows[i].path, &rest);

		if (!rows[i].who) {
			ck_assert_msg(!got, "%s goes to %s", rows[i].path, got);
			continue;
		}
		ck_assert_msg(got && strcmp(got, rows[i].who) == 0, "%s goes to %s", rows[i].path,
			      got ? got : "nobody");
		ck_assert_msg(strcmp(rest, rows[i].rest) == 0, "%s leaves %s", rows[i].path, rest);
	}
	ck_assert(parse("{\"Web\":{\"a:1\":{\"Handlers\":{\"/a\":{\"Text\":\"a\"}}}}}"));
	ck_assert_ptr_null(who("/", &rest));
	ck_assert_ptr_null(who("/ab", &rest));
	serve_free(s);
	s = NULL;
}

TEST(an_exact_handler_answers_for_its_path_alone_and_before_all_others)
{
	static const struct {
		const char *path, *answer;
	} rows[] = {
		{ "/", "index" },     { "/x", "rest" },      { "/a", "a" },      { "/%61", "a" },
		{ "/a/", "below a" }, { "/a/b", "below a" }, { "/A", "rest" },   { "/ab", "rest" },
		{ "/b/", "b slash" }, { "/b", "rest" },      { "/b/c", "rest" }, { "//", "rest" },
	};

	ck_assert_msg(
	    parse("{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"web.tail.test:80\":{\"Handlers\":{"
		  "\"/\":{\"Text\":\"rest\"},\"/a\":{\"Text\":\"below a\"}},\"ExactHandlers\":{"
		  "\"/\":{\"Text\":\"index\"},\"/a\":{\"Text\":\"a\"},\"/b/\":{\"Text\":\"b "
		  "slash\"}}}}}"),
	    "%s", e.text);
	ck_assert_uint_eq(s->n_notes, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bytes rest;
		const struct serve_handler *h =
		    serve_handler_of(&s->site[0], bytes_str(rows[i].path), &rest);

		ck_assert_msg(h && strcmp(h->value, rows[i].answer) == 0, "%s: %s", rows[i].path,
			      h ? h->value : "nobody");
	}
	ck_assert_msg(parse("{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"web.tail.test:80\":{"
			    "\"ExactHandlers\":{\"/a\":{\"Text\":\"a\"}}}}}"),
		      "%s", e.text);
	{
		struct bytes rest;

		ck_assert_ptr_null(serve_handler_of(&s->site[0], bytes_str("/a/b"), &rest));
		ck_assert_ptr_null(serve_handler_of(&s->site[0], bytes_str("/"), &rest));
	}
	check_bad("{\"Web\":{\"a:80\":{\"ExactHandlers\":{\"a\":{\"Text\":\"a\"}}}}}",
		  "begins with /");
	serve_free(s);
	s = NULL;
}

TEST(a_site_is_found_by_its_name_a_short_name_or_an_address)
{
	static const char *const hosts[] = { "web.tail.test", "WEB.tail.test.:80", "web",
					     "Web:80",        "100.64.0.1",        "[fd7a::1]:80" };
	static const char *const strangers[] = { "", "web.example", "other", "web.tail.test@x",
						 "x.web.tail.test" };

	ck_assert(parse("{\"Web\":{\"${TS_CERT_DOMAIN}:80\":{},\"other.example:80\":{}}}"));
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		ck_assert_msg(serve_site_of(s, 80, bytes_str(hosts[i])) == &s->site[0], "%s",
			      hosts[i]);
	for (size_t i = 0; i < ARRAY_LEN(strangers); i++)
		ck_assert_msg(!serve_site_of(s, 80, bytes_str(strangers[i])), "%s", strangers[i]);
	ck_assert_ptr_eq(serve_site_of(s, 80, bytes_str("other.example")), &s->site[1]);
	ck_assert_ptr_null(serve_site_of(s, 81, bytes_str("web")));
	serve_free(s);
	s = NULL;
}

TEST(the_target_is_the_back_ends_path_and_the_rest)
{
	static const struct {
		const char *base, *rest, *want;
	} rows[] = { { "", "", "/" },         { "", "/x", "/x" },   { "/", "/x", "/x" },
		     { "/b", "", "/b" },      { "/b/", "", "/b/" }, { "/b", "/x", "/b/x" },
		     { "/b/", "/x", "/b/x" }, { "/", "", "/" } };
	struct buf out;

	buf_init(&out, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct serve_to to = { .path = (char *)(uintptr_t)rows[i].base };

		buf_clear(&out);
		ck_assert(serve_target(&out, &to, bytes_str(rows[i].rest), false, bytes_str("")));
		ck_assert_msg(bytes_eq_str(buf_bytes(&out), rows[i].want), "%s + %s = %.*s",
			      rows[i].base, rows[i].rest, (int)out.len, (char *)out.data);
	}
	buf_clear(&out);
	ck_assert(serve_target(&out, &(struct serve_to){ .path = (char[]){ "/b" } },
			       bytes_str("/x"), true, bytes_str("q=1")));
	ck_assert(bytes_eq_str(buf_bytes(&out), "/b/x?q=1"));
	buf_fini(&out);
}

TEST(paths_are_cleaned_as_gos_path_package_does)
{
	static const char *const rows[][2] = { { "/", "/" },           { "/a/b", "/a/b" },
					       { "//a///b/", "/a/b" }, { "/a/./b", "/a/b" },
					       { "/a/../b", "/b" },    { "/../../a", "/a" },
					       { "/a/..", "/" },       { "/..a/b..", "/..a/b.." } };
	char out[64];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		serve_clean_path(rows[i][0], out);
		ck_assert_str_eq(out, rows[i][1]);
	}
}
