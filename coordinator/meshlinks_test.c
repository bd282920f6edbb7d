/* coordinator/meshlinks_test.c - a link to something that is no relay; links that work are
 * e2e/t-42-relay's */
#include "coordinator/meshlinks.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "os/file.h"
#include "os/loop.h"
#include "tests/loopback.h"

static char said[1024];

static void sink(enum log_level level, const char *line)
{
	(void)level;
	snprintf(said, sizeof said, "%s", line);
}

TEST(why_a_link_ended_is_said_in_the_words_of_the_one_that_ended)
{
	static const char answer[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
	struct config_list with = { .n = 1 };
	struct derp_server_conf dc = { .rng = &os_rng, .max_conns = 4 };
	struct meshlinks_conf conf = { .loop = loop_new(), .key = &dc.key, .mesh_key = "" };
	struct meshlinks *m;
	struct err e = { 0 };
	uint16_t port;
	int l = loopback_listen(SOCK_STREAM, &port), fd = -1;

	key_gen(&dc.key, &os_rng);
	conf.derp = derp_server_new(&dc);
	conf.with = &with;
	snprintf(with.v[0], sizeof with.v[0], "http://127.0.0.1:%u", port);
	log_set(sink, LOG_WARN);
	m = meshlinks_new(&conf, &e);
	ck_assert_msg(m != NULL, "%s", e.text);
	for (int i = 0; i < 2000 && !*said; i++) {
		if (fd < 0 && (fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0)
			ck_assert_int_eq(send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL),
					 sizeof answer - 1);
		loop_turn(conf.loop, SPAN_MS(5));
	}
	ck_assert_ptr_nonnull(strstr(said, with.v[0]));
	ck_assert_ptr_nonnull(strstr(said, "HTTP status 403; again in 5 s"));
	meshlinks_free(m);
	derp_server_free(conf.derp);
	loop_free(conf.loop);
	close(fd);
	close(l);
}
