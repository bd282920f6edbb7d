/* coordinator/store_test.c - what was acknowledged is there after kill -9; migrations; backup;
 * refusals */
#include "coordinator/store.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"

__attribute__((constructor)) static void longer(void)
{
	harness_timeout(120); /* hundreds of processes, each with its fsyncs */
}

struct dir {
	char path[64], db[96];
};

static void dir_make(struct dir *d)
{
	snprintf(d->path, sizeof d->path, "/tmp/store-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(d->path));
	snprintf(d->db, sizeof d->db, "%s/db", d->path);
}

static void dir_remove(const struct dir *d)
{
	static const char *const names[] = { "db", "db-wal", "db-shm", "db-journal", "copy" };
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof path, "%s/%s", d->path, names[i]);
		unlink(path);
	}
	ck_assert_int_eq(rmdir(d->path), 0);
}

static struct store *opened(const char *path)
{
	struct err e = { 0 };
	struct store *s = store_open(path, &e);

	ck_assert_msg(s != NULL, "%s", e.text);
	return s;
}

static void put(struct store *s, int64_t id, const char *json)
{
	struct err e = { 0 };

	ck_assert_msg(store_put(s, STORE_NODES, id, bytes_str(json), &e) == 0, "%s", e.text);
}

static void commit(struct store *s)
{
	struct err e = { 0 };

	ck_assert_msg(store_commit(s, &e) == 0, "%s", e.text);
}

struct seen {
	size_t n;
	int64_t last;
	char text[64];
};

static int see(void *ctx, int64_t id, struct bytes json, struct err *e)
{
	struct seen *v = ctx;

	(void)e;
	v->n++;
	v->last = id;
	(void)bytes_to_str(json, v->text, sizeof v->text);
	return 0;
}

static struct seen rows(struct store *s)
{
	struct seen v = { 0 };
	struct err e = { 0 };

	ck_assert_msg(store_each(s, STORE_NODES, see, &v, &e) == 0, "%s", e.text);
	return v;
}

TEST(rows_come_back_as_they_were_put_and_deleted)
{
	struct store *s;
	struct err e = { 0 };
	struct seen v;
	struct dir d;

	dir_make(&d);
	s = opened(d.db);
	put(s, 1, "{\"a\":1}");
	put(s, 2, "{}");
	put(s, 3, "{}");
	put(s, 2, "{\"b\":2}");
	ck_assert_int_eq(store_del(s, STORE_NODES, 3, &e), 0);
	commit(s);
	ck_assert_uint_eq(store_commits(s), 1);
	store_close(s);
	s = opened(d.db);
	v = rows(s);
	ck_assert_uint_eq(v.n, 2);
	ck_assert_int_eq(v.last, 2);
	ck_assert_str_eq(v.text, "{\"b\":2}");
	store_close(s);
	dir_remove(&d);
}

TEST(what_was_not_committed_is_not_there)
{
	struct store *s;
	struct dir d;

	dir_make(&d);
	s = opened(d.db);
	put(s, 1, "{}");
	commit(s);
	put(s, 2, "{}");
	store_close(s);
	s = opened(d.db);
	ck_assert_uint_eq(rows(s).n, 1);
	store_close(s);
	dir_remove(&d);
}

TEST(single_values_are_set_read_and_unset)
{
	struct store *s;
	struct err e = { 0 };
	struct dir d;
	char *text = NULL;
	size_t len = 0;

	dir_make(&d);
	s = opened(d.db);
	ck_assert_int_eq(store_get(s, "policy", &text, &len, &e), -ENOENT);
	ck_assert_int_eq(store_set(s, "policy", bytes_str("{}"), &e), 0);
	commit(s);
	ck_assert_int_eq(store_get(s, "policy", &text, &len, &e), 0);
	ck_assert_uint_eq(len, 2);
	ck_assert_str_eq(text, "{}");
	free(text);
	ck_assert_int_eq(store_unset(s, "policy", &e), 0);
	commit(s);
	ck_assert_int_eq(store_get(s, "policy", &text, &len, &e), -ENOENT);
	store_close(s);
	dir_remove(&d);
}

/* The child writes row after row and says each number once store_commit has answered. It dies by
 * its own hand within write `dies_at`: before the put, between put and commit, or after the commit
 * but before it could say so. */
static int64_t write_until_killed(const char *db, int64_t dies_at, int where)
{
	int64_t id, acknowledged = 0;
	int fd[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct store *s = opened(db);

		for (id = 1;; id++) {
			if (id == dies_at && where == 0)
				raise(SIGKILL);
			put(s, id, "{\"x\":\"0123456789012345678901234567890123456789\"}");
			if (id == dies_at && where == 1)
				raise(SIGKILL);
			commit(s);
			if (id == dies_at && where == 2)
				raise(SIGKILL);
			if (write(fd[1], &id, sizeof id) != sizeof id)
				_exit(1);
		}
	}
	close(fd[1]);
	while (read(fd[0], &id, sizeof id) == sizeof id)
		acknowledged = id;
	close(fd[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return acknowledged;
}

TEST(kill_9_at_every_write_loses_nothing_acknowledged)
{
	for (int64_t at = 1; at <= 40; at++)
		for (int where = 0; where < 3; where++) {
			struct dir d;
			struct store *s;
			int64_t acknowledged;
			struct seen v;

			dir_make(&d);
			acknowledged = write_until_killed(d.db, at, where);
			ck_assert_int_eq(acknowledged, at - 1);
			s = opened(d.db);
			v = rows(s);
			ck_assert_uint_eq(v.n, (size_t)(where == 2 ? at : at - 1));
			put(s, 1000, "{}"); /* and it goes on */
			commit(s);
			store_close(s);
			dir_remove(&d);
		}
}

TEST(kill_9_from_outside_at_any_moment_loses_nothing_acknowledged)
{
	for (int round = 0; round < 10; round++) {
		int64_t id, acknowledged = 0;
		struct store *s;
		struct dir d;
		int fd[2], status;
		pid_t pid;

		dir_make(&d);
		ck_assert_int_eq(pipe(fd), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			s = opened(d.db);
			for (id = 1;; id++) {
				put(s, id, "{}");
				commit(s);
				if (write(fd[1], &id, sizeof id) != sizeof id)
					_exit(1);
			}
		}
		close(fd[1]);
		while (acknowledged < 20 + round * 7 && read(fd[0], &id, sizeof id) == sizeof id)
			acknowledged = id;
		kill(pid, SIGKILL);
		while (read(fd[0], &id, sizeof id) == sizeof id)
			acknowledged = id;
		close(fd[0]);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		s = opened(d.db);
		ck_assert_int_ge(rows(s).last, acknowledged);
		ck_assert_uint_eq(rows(s).n, (size_t)rows(s).last); /* and no hole */
		store_close(s);
		dir_remove(&d);
	}
}

/* Every table of the first version has a row; each is as it was, and what came since is there. */
TEST(database_of_the_first_version_is_brought_up_to_date_with_all_that_it_holds)
{
	static const enum store_table old[] = { STORE_USERS, STORE_KEYS, STORE_NODES };
	static const char *const rows_of_old[] = { "{\"u\":1}", "{\"k\":2}", "{\"n\":3}" };
	struct store *s;
	struct err e = { 0 };
	sqlite3 *db;
	char *text = NULL;
	size_t len = 0;
	struct dir d;

	dir_make(&d);
	ck_assert_int_eq(sqlite3_open(d.db, &db), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_exec(
		db,
		"CREATE TABLE users (id INTEGER PRIMARY KEY, json TEXT NOT NULL);"
		"CREATE TABLE keys (id INTEGER PRIMARY KEY, json TEXT NOT NULL);"
		"CREATE TABLE nodes (id INTEGER PRIMARY KEY, json TEXT NOT NULL);"
		"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
		"INSERT INTO users VALUES (5, '{\"u\":1}');"
		"INSERT INTO keys VALUES (6, '{\"k\":2}');"
		"INSERT INTO nodes VALUES (7, '{\"n\":3}');"
		"INSERT INTO meta VALUES ('policy', '{}'); PRAGMA user_version = 1",
		NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	for (int again = 0; again < 2; again++) { /* the second time there is nothing to do */
		s = opened(d.db);
		for (size_t i = 0; i < ARRAY_LEN(old); i++) {
			struct seen v = { 0 };

			ck_assert_int_eq(store_each(s, old[i], see, &v, &e), 0);
			ck_assert_uint_eq(v.n, 1);
			ck_assert_int_eq(v.last, 5 + (int64_t)i);
			ck_assert_str_eq(v.text, rows_of_old[i]);
		}
		ck_assert_int_eq(store_get(s, "policy", &text, &len, &e), 0);
		ck_assert_str_eq(text, "{}");
		free(text);
		ck_assert_int_eq(store_put(s, STORE_APIKEYS, 1, bytes_str("{}"), &e), 0);
		commit(s);
		store_close(s);
	}
	dir_remove(&d);
}

TEST(database_of_a_newer_program_is_refused)
{
	struct err e = { 0 };
	sqlite3 *db;
	struct dir d;

	dir_make(&d);
	ck_assert_int_eq(sqlite3_open(d.db, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_ptr_null(store_open(d.db, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "newer program"));
	dir_remove(&d);
}

TEST(second_process_and_damaged_file_are_refused_with_words)
{
	struct err e = { 0 };
	struct store *s;
	struct dir d;
	FILE *f;

	dir_make(&d);
	s = opened(d.db);
	put(s, 1, "{}");
	commit(s);
	ck_assert_ptr_null(store_open(d.db, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "in use"));
	store_close(s);
	f = fopen(d.db, "w");
	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 1000; i++)
		fputs("this is no database ", f);
	fclose(f);
	ck_assert_ptr_null(store_open(d.db, &e));
	ck_assert_int_eq(e.code, EBADMSG);
	dir_remove(&d);
}

static int append(void *ctx, int64_t id, struct bytes json, struct err *e)
{
	(void)e;
	ck_assert(
	    buf_printf(ctx, "%lld %.*s\n", (long long)id, (int)json.len, (const char *)json.data));
	return 0;
}

static void all_of(struct store *s, struct buf *out)
{
	struct err e = { 0 };
	char *text = NULL;
	size_t len = 0;

	buf_init(out, 1 << 20);
	for (enum store_table t = 0; t < STORE_TABLES; t++)
		ck_assert_int_eq(store_each(s, t, append, out, &e), 0);
	ck_assert_int_eq(store_get(s, "policy", &text, &len, &e), 0);
	ck_assert(buf_append(out, text, len));
	free(text);
}

TEST(backup_is_whole_equal_and_private_while_the_original_goes_on)
{
	struct store *s, *copy;
	struct err e = { 0 };
	struct buf then, restored;
	char path[128];
	struct stat st;
	struct dir d;

	dir_make(&d);
	snprintf(path, sizeof path, "%s/copy", d.path);
	s = opened(d.db);
	for (int64_t id = 1; id <= 500; id++)
		for (enum store_table t = 0; t < STORE_TABLES; t++) {
			char json[64];

			snprintf(json, sizeof json, "{\"table\":%d,\"id\":%d}", (int)t, (int)id);
			ck_assert_int_eq(store_put(s, t, id, bytes_str(json), &e), 0);
		}
	ck_assert_int_eq(store_set(s, "policy", bytes_str("{\"acls\":[]}"), &e), 0);
	ck_assert_int_eq(store_del(s, STORE_NODES, 77, &e), 0);
	commit(s);
	all_of(s, &then);
	ck_assert_msg(store_backup(s, path, &e) == 0, "%s", e.text);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	put(s, 2000, "{}");
	commit(s);
	ck_assert_int_eq(store_backup(s, path, &e), -EEXIST);
	store_close(s);
	copy = opened(path);
	all_of(copy, &restored);
	ck_assert_uint_eq(restored.len, then.len);
	ck_assert_mem_eq(buf_bytes(&restored).data, buf_bytes(&then).data, then.len);
	buf_fini(&then);
	buf_fini(&restored);
	store_close(copy);
	snprintf(path, sizeof path, "%s/copy-wal", d.path);
	unlink(path);
	dir_remove(&d);
}

TEST(database_file_is_readable_by_its_owner_only)
{
	struct stat st;
	struct store *s;
	struct dir d;

	dir_make(&d);
	umask(0);
	s = opened(d.db);
	ck_assert_int_eq(stat(d.db, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	store_close(s);
	dir_remove(&d);
}
