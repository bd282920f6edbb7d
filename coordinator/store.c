/* coordinator/store.c - see store.h */
#include "coordinator/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct store {
	sqlite3 *db;
	sqlite3_stmt *put[STORE_TABLES], *del[STORE_TABLES], *set, *unset, *get;
	bool in_transaction, failed;
	uint64_t commits;
};

static const char *const tables[] = { [STORE_USERS] = "users",
				      [STORE_KEYS] = "keys",
				      [STORE_NODES] = "nodes",
				      [STORE_APIKEYS] = "apikeys" };
static_assert(ARRAY_LEN(tables) == STORE_TABLES, "every table has a name");

/* Step N brings a database of version N to N + 1. Steps are never changed, only added. */
static const char *const migrations[] = {
	[0] = "CREATE TABLE users (id INTEGER PRIMARY KEY, json TEXT NOT NULL);"
	      "CREATE TABLE keys (id INTEGER PRIMARY KEY, json TEXT NOT NULL);"
	      "CREATE TABLE nodes (id INTEGER PRIMARY KEY, json TEXT NOT NULL);"
	      "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
	[1] = "CREATE TABLE apikeys (id INTEGER PRIMARY KEY, json TEXT NOT NULL);",
};
static_assert(ARRAY_LEN(migrations) == STORE_VERSION, "every version has its step");

static int code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EBADMSG;
	default:
		return EIO;
	}
}

static int complain(struct store *s, int rc, const char *what, struct err *e)
{
	return err_say(e, code_of(rc), "database: %s: %s", what,
		       s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
}

static int run(struct store *s, const char *sql, const char *what, struct err *e)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : complain(s, rc, what, e);
}

/* --- open --- */

static int version_of(struct store *s, int *out, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		*out = sqlite3_column_int(st, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_OK ? 0 : complain(s, rc, "read its version", e);
}

static int migrate(struct store *s, const char *path, struct err *e)
{
	int version = 0, ret = version_of(s, &version, e);
	char pragma[64];

	if (ret == 0 && version > STORE_VERSION)
		return err_say(e, EPROTO,
			       "%s was written by a newer program (version %d, this one knows %d): "
			       "use that, or a backup",
			       path, version, STORE_VERSION);
	for (; ret == 0 && version < STORE_VERSION; version++) {
		sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA user_version = %d", version + 1);
		ret = run(s, "BEGIN IMMEDIATE", "migrate", e);
		if (ret == 0)
			ret = run(s, migrations[version], "migrate", e);
		if (ret == 0)
			ret = run(s, pragma, "migrate", e);
		if (ret == 0)
			ret = run(s, "COMMIT", "migrate", e);
	}
	return ret;
}

static int prepare(struct store *s, sqlite3_stmt **st, const char *sql, struct err *e)
{
	int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);

	return rc == SQLITE_OK ? 0 : complain(s, rc, "prepare", e);
}

static int prepare_all(struct store *s, struct err *e)
{
	char sql[128];
	int ret = 0;

	for (size_t i = 0; i < STORE_TABLES && ret == 0; i++) {
		sqlite3_snprintf(sizeof sql, sql,
				 "INSERT OR REPLACE INTO %s (id, json) VALUES (?1, ?2)", tables[i]);
		ret = prepare(s, &s->put[i], sql, e);
		sqlite3_snprintf(sizeof sql, sql, "DELETE FROM %s WHERE id = ?1", tables[i]);
		if (ret == 0)
			ret = prepare(s, &s->del[i], sql, e);
	}
	if (ret == 0)
		ret = prepare(s, &s->set,
			      "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", e);
	if (ret == 0)
		ret = prepare(s, &s->unset, "DELETE FROM meta WHERE name = ?1", e);
	if (ret == 0)
		ret = prepare(s, &s->get, "SELECT value FROM meta WHERE name = ?1", e);
	return ret;
}

/* SQLite would make the file with the umask's mode; -wal and -shm take the mode of the file. */
static int touch(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(e, errno, "open database %s", path);
	close(fd);
	return 0;
}

struct store *store_open(const char *path, struct err *e)
{
	struct store *s = calloc(1, sizeof *s);
	int ret;

	if (!s) {
		err_set(e, ENOMEM, "open database");
		return NULL;
	}
	ret = touch(path, e);
	if (ret == 0) {
		int rc = sqlite3_open_v2(
		    path, &s->db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

		ret = rc == SQLITE_OK ? 0 : complain(s, rc, path, e);
	}
	if (ret == 0)
		ret = run(s,
			  "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA "
			  "synchronous=FULL; PRAGMA foreign_keys=ON;"
			  "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON",
			  path, e);
	if (ret == 0)
		ret = migrate(s, path, e);
	if (ret == 0)
		ret = prepare_all(s, e);
	if (ret == 0)
		return s;
	if (ret == -EBUSY)
		err_say(e, EBUSY, "database %s is in use by another process", path);
	store_close(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < STORE_TABLES; i++) {
		sqlite3_finalize(s->put[i]);
		sqlite3_finalize(s->del[i]);
	}
	sqlite3_finalize(s->set);
	sqlite3_finalize(s->unset);
	sqlite3_finalize(s->get);
	sqlite3_close(s->db);
	free(s);
}

bool store_ok(const struct store *s)
{
	return !s->failed;
}

/* --- writing --- */

static int fail(struct store *s, int ret)
{
	s->failed = true;
	if (s->in_transaction)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->in_transaction = false;
	return ret;
}

static int begin(struct store *s, struct err *e)
{
	int ret;

	if (s->failed)
		return err_say(e, EIO, "database: an earlier write failed");
	if (s->in_transaction)
		return 0;
	ret = run(s, "BEGIN IMMEDIATE", "begin", e);
	s->in_transaction = ret == 0;
	return ret == 0 ? 0 : fail(s, ret);
}

static int finish(struct store *s, sqlite3_stmt *st, int rc, const char *what, struct err *e)
{
	int ret;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	ret = rc == SQLITE_DONE ? 0 : complain(s, rc, what, e);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return ret == 0 ? 0 : fail(s, ret);
}

static int too_large(struct bytes v, struct err *e)
{
	return v.len <= STORE_VALUE_MAX
		   ? 0
		   : err_say(e, EFBIG, "database: a value of %zu bytes is too large", v.len);
}

int store_put(struct store *s, enum store_table table, int64_t id, struct bytes json, struct err *e)
{
	int ret = too_large(json, e), rc;

	if (ret == 0)
		ret = begin(s, e);
	if (ret != 0)
		return ret;
	rc = sqlite3_bind_int64(s->put[table], 1, id);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(s->put[table], 2, (const char *)json.data, (int)json.len,
				       SQLITE_STATIC);
	return finish(s, s->put[table], rc, tables[table], e);
}

int store_del(struct store *s, enum store_table table, int64_t id, struct err *e)
{
	int ret = begin(s, e);

	return ret == 0 ? finish(s, s->del[table], sqlite3_bind_int64(s->del[table], 1, id),
				 tables[table], e)
			: ret;
}

int store_set(struct store *s, const char *name, struct bytes value, struct err *e)
{
	int ret = too_large(value, e), rc;

	if (ret == 0)
		ret = begin(s, e);
	if (ret != 0)
		return ret;
	rc = sqlite3_bind_text(s->set, 1, name, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_blob(s->set, 2, value.len ? (const void *)value.data : "",
				       (int)value.len, SQLITE_STATIC);
	return finish(s, s->set, rc, name, e);
}

int store_unset(struct store *s, const char *name, struct err *e)
{
	int ret = begin(s, e);

	return ret == 0 ? finish(s, s->unset,
				 sqlite3_bind_text(s->unset, 1, name, -1, SQLITE_STATIC), name, e)
			: ret;
}

int store_commit(struct store *s, struct err *e)
{
	int ret;

	if (s->failed)
		return err_say(e, EIO, "database: an earlier write failed");
	if (!s->in_transaction)
		return 0;
	ret = run(s, "COMMIT", "commit", e);
	if (ret != 0)
		return fail(s, ret);
	s->in_transaction = false;
	s->commits++;
	return 0;
}

uint64_t store_commits(const struct store *s)
{
	return s->commits;
}

/* --- reading --- */

int store_each(struct store *s, enum store_table table, store_row_fn *fn, void *ctx, struct err *e)
{
	sqlite3_stmt *st = NULL;
	char sql[64];
	int ret = 0, rc;

	sqlite3_snprintf(sizeof sql, sql, "SELECT id, json FROM %s ORDER BY id", tables[table]);
	rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
	while (ret == 0 && rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(st, 0);
		const void *text = sqlite3_column_blob(st, 1);

		ret = fn(ctx, id, bytes_of(text, (size_t)sqlite3_column_bytes(st, 1)), e);
		if (ret != 0)
			err_wrap(e, "database: %s, row %lld", tables[table], (long long)id);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return ret != 0 ? ret : rc == SQLITE_DONE ? 0 : complain(s, rc, tables[table], e);
}

int store_get(struct store *s, const char *name, char **out, size_t *len, struct err *e)
{
	int rc = sqlite3_bind_text(s->get, 1, name, -1, SQLITE_STATIC), ret = -ENOENT;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s->get);
	if (rc == SQLITE_ROW) {
		size_t n = (size_t)sqlite3_column_bytes(s->get, 0);
		char *copy = malloc(n + 1);

		ret = copy ? 0 : err_set(e, ENOMEM, "read %s from the database", name);
		if (copy) {
			if (n > 0)
				memcpy(copy, sqlite3_column_blob(s->get, 0), n);
			copy[n] = 0;
			*out = copy;
			*len = n;
		}
	} else if (rc != SQLITE_DONE) {
		ret = complain(s, rc, name, e);
	}
	sqlite3_reset(s->get);
	sqlite3_clear_bindings(s->get);
	return ret;
}

/* --- backup --- */

int store_backup(struct store *s, const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc, ret = 0;
	sqlite3_backup *b = NULL;
	sqlite3 *to = NULL;

	if (fd < 0)
		return err_set(e, errno, "backup to %s", path);
	rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		b = sqlite3_backup_init(to, "main", s->db, "main");
	if (b) {
		sqlite3_backup_step(b, -1);
		rc = sqlite3_backup_finish(b);
	} else if (rc == SQLITE_OK) {
		rc = sqlite3_errcode(to);
	}
	if (rc != SQLITE_OK)
		ret = err_say(e, code_of(rc), "backup to %s: %s", path, sqlite3_errmsg(to));
	sqlite3_close(to);
	if (ret == 0 && fsync(fd) != 0)
		ret = err_set(e, errno, "backup to %s", path);
	close(fd);
	if (ret != 0)
		unlink(path);
	return ret;
}
