/* containerboot/netmap_cache_test.c - the netmap goes to its file in pieces and comes back whole */
#include "containerboot/netmap_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "tests/harness.h"

enum { PEERS = 300 }; /* several pieces, the last not full */

static const mono_t now = { 1 };
static const wall_t wall = { 1790000000 * NS_PER_S };
static struct seed_rng rng;
static struct err e;
static char dir[64], path[96];

static struct node *fresh_node(void)
{
	struct node_conf conf = { .rng = &rng.rng, .control_url = "http://127.0.0.1:9" };
	struct node *n;

	key_gen(&conf.machine, &rng.rng);
	key_gen(&conf.node, &rng.rng);
	key_gen(&conf.disco, &rng.rng);
	n = node_new(&conf, &e);
	ck_assert_msg(n != NULL, "%s", e.text);
	return n;
}

/* a node that knows PEERS peers; *text is its netmap */
static struct node *full_node(struct buf *text)
{
	struct node *n = fresh_node();
	struct buf map;
	char line[512];

	buf_init(&map, 1 << 20);
	snprintf(line, sizeof line,
		 "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.test.\",\"Key\":"
		 "\"nodekey:%064x\",\"Addresses\":[\"100.64.0.1/32\"]},\"Peers\":[",
		 1);
	ck_assert(buf_append(&map, line, strlen(line)));
	for (unsigned i = 0; i < PEERS; i++) {
		snprintf(line, sizeof line,
			 "%s{\"ID\":%u,\"StableID\":\"n%u\",\"Name\":\"p%u.tail.test.\",\"Key\":"
			 "\"nodekey:%064x\",\"Addresses\":[\"100.64.%u.%u/32\"]}",
			 i ? "," : "", i + 2, i + 2, i, i + 2, i / 256 + 1, i % 256);
		ck_assert(buf_append(&map, line, strlen(line)));
	}
	ck_assert(buf_append(&map, "]}", 2));
	ck_assert_msg(node_load_netmap(n, now, wall, buf_bytes(&map), &e) == 0, "%s", e.text);
	buf_clear(&map);
	ck_assert_int_eq(netmap_emit(node_netmap(n), &map), 0);
	*text = map;
	return n;
}

static void setup(void)
{
	seed_rng_init(&rng, 1);
	snprintf(dir, sizeof dir, "/tmp/tp-netmap-%d", (int)getpid());
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(path, sizeof path, "%s/netmap", dir);
}

static void teardown(void)
{
	(void)unlink(path);
	ck_assert_int_eq(rmdir(dir), 0); /* no temporary file is left */
}

TEST(what_is_saved_in_pieces_is_the_whole_netmap_and_loads_again)
{
	struct buf text, again;
	struct node *n, *m;
	struct stat st;
	char *data;
	size_t len;

	setup();
	n = full_node(&text);
	m = fresh_node();
	ck_assert_msg(netmap_cache_save(path, node_netmap(n), &e) == 0, "%s", e.text);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(file_read(path, NETMAP_CACHE_MAX, &data, &len, &e), 0);
	ck_assert(bytes_eq(bytes_of(data, len), buf_bytes(&text)));
	ck_assert_msg(netmap_cache_load(path, m, now, wall, &e) == 0, "%s", e.text);
	buf_init(&again, 1 << 20);
	ck_assert_int_eq(netmap_emit(node_netmap(m), &again), 0);
	ck_assert(bytes_eq(buf_bytes(&again), buf_bytes(&text)));
	file_wipe(data, len);
	buf_fini(&text);
	buf_fini(&again);
	node_free(n);
	node_free(m);
	teardown();
}

TEST(a_torn_file_is_refused_removed_and_nothing_of_it_is_used)
{
	struct buf text;
	struct node *n, *m;

	setup();
	n = full_node(&text);
	for (size_t cut = 0; cut < text.len; cut += 997) {
		m = fresh_node();
		ck_assert_int_eq(file_replace(path, bytes_of(text.data, cut), 0600, &e), 0);
		e = (struct err){ 0 };
		ck_assert_int_lt(netmap_cache_load(path, m, now, wall, &e), 0);
		ck_assert_str_ne(e.text, "");
		ck_assert_ptr_null(netmap_self(node_netmap(m)));
		ck_assert_int_eq(access(path, F_OK), -1);
		node_free(m);
	}
	buf_fini(&text);
	node_free(n);
	teardown();
}

TEST(without_a_file_nothing_is_loaded_and_nothing_is_wrong)
{
	struct node *n;

	setup();
	n = fresh_node();
	ck_assert_int_eq(netmap_cache_load(path, n, now, wall, &e), 0);
	ck_assert_int_eq(netmap_cache_load(NULL, n, now, wall, &e), 0);
	ck_assert_int_eq(netmap_cache_save(NULL, node_netmap(n), &e), 0);
	ck_assert_ptr_null(netmap_self(node_netmap(n)));
	node_free(n);
	teardown();
}

TEST(a_directory_that_is_gone_is_told)
{
	struct buf text;
	struct node *n;

	setup();
	n = full_node(&text);
	ck_assert_int_eq(netmap_cache_save("/nonexistent/netmap", node_netmap(n), &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "/nonexistent/netmap"));
	buf_fini(&text);
	node_free(n);
	teardown();
}
