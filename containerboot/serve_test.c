/* containerboot/serve_test.c - TS_SERVE_CONFIG at start: which files, which directories, which
 * words */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "containerboot/confine.h"
#include "containerboot/program.h"
#include "model/serve.h"
#include "os/file.h"
#include "tests/harness.h"

static struct options o;
static struct program p;
static struct err e;
static char dir[64], file[128];

static void begin(void)
{
	static const struct host_ops none;
	struct host_conf hc = { .ops = &none };

	snprintf(dir, sizeof dir, "/tmp/serve-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/serve.json", dir);
	o = (struct options){ 0 };
	p = (struct program){ .loop = loop_new(), .options = &o };
	o.serve_config = file;
	p.resolver = resolver_new(p.loop, NULL);
	p.tls = tls_client_new(NULL, &e);
	hc.loop = p.loop;
	hc.resolver = p.resolver;
	hc.tls = p.tls;
	hc.node.rng = &os_rng;
	hc.node.control_url = "http://127.0.0.1:9";
	key_gen(&hc.node.machine, &os_rng);
	key_gen(&hc.node.node, &os_rng);
	key_gen(&hc.node.disco, &os_rng);
	p.host = host_new(&hc, &e);
	ck_assert_msg(p.host != NULL, "%s", e.text);
	e = (struct err){ 0 };
}

static void end(void)
{
	serve_config_free(p.serve);
	host_free(p.host);
	resolver_free(p.resolver);
	tls_client_free(p.tls);
	loop_free(p.loop);
	(void)unlink(file);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void put(const char *json)
{
	struct err why = { 0 };

	ck_assert_int_eq(file_replace(file, bytes_str(json), 0600, &why), 0);
}

TEST(nothing_is_served_without_the_variable)
{
	const char *v[4];

	begin();
	o.serve_config = NULL;
	ck_assert_int_eq(serve_config_new(&p, &e), 0);
	ck_assert_ptr_null(p.serve);
	ck_assert_uint_eq(serve_config_dirs(p.serve, v, 4), 0);
	serve_config_netmap(p.serve);
	end();
}

TEST(a_missing_or_empty_file_serves_nothing_and_its_directory_is_watched)
{
	static const char *const blank[] = { NULL, "", " \n\t" };
	const char *v[4];
	char want[80];

	for (size_t i = 0; i < ARRAY_LEN(blank); i++) {
		begin();
		if (blank[i])
			put(blank[i]);
		ck_assert_msg(serve_config_new(&p, &e) == 0, "%s", e.text);
		snprintf(want, sizeof want, "%s/", dir);
		ck_assert_uint_eq(serve_config_dirs(p.serve, v, 4), 1);
		ck_assert_str_eq(v[0], want);
		end();
	}
}

TEST(a_malformed_file_ends_the_start_with_its_name_and_place)
{
	char want[160];

	begin();
	put("{\"TCP\":{\"80\":{\"HTTP\":true,\"HTTPS\":true}}}");
	ck_assert_int_lt(serve_config_new(&p, &e), 0);
	snprintf(want, sizeof want, "TS_SERVE_CONFIG: %s: ", file);
	ck_assert_msg(strncmp(e.text, want, strlen(want)) == 0, "%s", e.text);
	ck_assert_msg(strstr(e.text, "80") != NULL, "%s", e.text);
	end();
}

TEST(a_file_that_is_too_large_is_named)
{
	char *text = malloc(SERVE_FILE_MAX + 2);

	begin();
	memset(text, ' ', SERVE_FILE_MAX + 1);
	text[SERVE_FILE_MAX + 1] = 0;
	put(text);
	ck_assert_int_lt(serve_config_new(&p, &e), 0);
	ck_assert_msg(strstr(e.text, "TS_SERVE_CONFIG") != NULL, "%s", e.text);
	free(text);
	end();
}

TEST(directories_of_handlers_and_of_the_certificate_stay_readable)
{
	const char *v[CONFINE_DIRS_MAX];
	char json[256];

	begin();
	snprintf(json, sizeof json,
		 "{\"TCP\":{\"80\":{\"HTTP\":true}},\"Web\":{\"a.test:80\":{\"Handlers\":{"
		 "\"/x\":{\"Path\":\"/srv/x\"},\"/t\":{\"Text\":\"t\"},\"/y\":{\"Path\":\"/srv/"
		 "y\"}}}}}");
	put(json);
	o.serve_tls_dir = dir; /* no certificate there: a warning, no end */
	ck_assert_msg(serve_config_new(&p, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(serve_config_dirs(p.serve, v, ARRAY_LEN(v)), 4);
	ck_assert_str_eq(v[1], dir);
	ck_assert_str_eq(v[2], "/srv/x");
	ck_assert_str_eq(v[3], "/srv/y");
	ck_assert_uint_eq(serve_config_dirs(p.serve, v, 2), 2);
	end();
}

TEST(a_path_that_is_too_long_is_refused)
{
	char *text = malloc(PATH_MAX + 1);

	begin();
	memset(text, 'a', PATH_MAX);
	text[PATH_MAX] = 0;
	o.serve_config = text;
	ck_assert_int_eq(serve_config_new(&p, &e), -ENAMETOOLONG);
	ck_assert_str_eq(e.text, "TS_SERVE_CONFIG: the path is too long");
	end();
	free(text);
}
