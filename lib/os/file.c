/* os/file.c - see file.h: reading, replacing, locking */
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_FIRST = 4096 };

void file_fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void file_wipe(char *data, size_t len)
{
	if (data)
		explicit_bzero(data, len);
	free(data);
}

/* --- reading --- */

/* Grows by copying and wiping: the content may be secret. */
static char *grow(char *old, size_t len, size_t cap)
{
	char *data = malloc(cap + 1);

	if (data && len > 0)
		memcpy(data, old, len);
	file_wipe(old, len);
	return data;
}

/* The size that stat tells is not trusted: files of /proc have none, others may grow. */
static int read_all(int fd, size_t max, char **out, size_t *len)
{
	size_t cap = MIN_OF((size_t)READ_FIRST, max), n = 0;
	char *data = grow(NULL, 0, cap), extra;

	while (data) {
		ssize_t k = n < cap    ? read(fd, data + n, cap - n)
			    : n == max ? read(fd, &extra, 1)
				       : -2;

		if (k == -2) {
			cap = MIN_OF(cap * 2, max);
			data = grow(data, n, cap);
		} else if (k < 0 && errno != EINTR) {
			int ret = -errno;

			file_wipe(data, n);
			return ret;
		} else if (k > 0 && n == max) {
			file_wipe(data, n);
			return -EFBIG;
		} else if (k == 0) {
			data[n] = 0;
			*out = data;
			*len = n;
			return 0;
		} else if (k > 0) {
			n += (size_t)k;
		}
	}
	return -ENOMEM;
}

int file_read(const char *path, size_t max, char **out, size_t *len, struct err *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int ret;

	if (fd < 0)
		return err_set(err, errno, "read %s", path);
	ret = read_all(fd, max, out, len);
	if (ret == -EFBIG)
		return err_say(err, EFBIG, "read %s: larger than %zu bytes", path, max);
	return ret < 0 ? err_set(err, -ret, "read %s", path) : 0;
}

/* --- replacing --- */

static int write_all(int fd, struct bytes data)
{
	while (data.len > 0) {
		ssize_t k = write(fd, data.data, data.len);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		data = bytes_of(data.data + k, data.len - (size_t)k);
	}
	return 0;
}

static int sync_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir =
	    slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	AUTO_FD int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		return dir ? -errno : -ENOMEM;
	/* some file systems cannot sync a directory: their renames are as durable as they get */
	return fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -errno : 0;
}

#define TEMP_DIGITS 16 /* of the tag in a temporary file's name */

int file_new_open(struct file_new *f, const char *path, mode_t mode, struct err *err)
{
	uint64_t tag;
	int ret;

	*f = (struct file_new){ .path = strdup(path), .fd = -1 };
	rng_fill(&os_rng, &tag, sizeof tag);
	if (!f->path ||
	    asprintf(&f->temp, "%s.%0*llx.tmp", path, TEMP_DIGITS, (unsigned long long)tag) < 0) {
		free(f->path);
		return err_set(err, ENOMEM, "write %s", path);
	}
	f->fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (f->fd >= 0 && fchmod(f->fd, mode) == 0) /* whatever the umask is */
		return 0;
	ret = err_set(err, errno, "write %s", path);
	file_new_drop(f);
	return ret;
}

int file_new_write(struct file_new *f, struct bytes data, struct err *err)
{
	int ret = write_all(f->fd, data);

	return ret < 0 ? err_set(err, -ret, "write %s", f->path) : 0;
}

void file_new_drop(struct file_new *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->temp)
		(void)unlink(f->temp);
	free(f->temp);
	free(f->path);
	*f = (struct file_new){ .fd = -1 };
}

int file_new_take(struct file_new *f, bool sync, struct err *err)
{
	int ret = sync && fsync(f->fd) < 0 ? -errno : 0;

	if (close(TAKE_FD(f->fd)) < 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && rename(f->temp, f->path) < 0)
		ret = -errno;
	if (ret < 0) {
		err_set(err, -ret, "write %s", f->path);
	} else {
		free(f->temp);
		f->temp = NULL;
		ret = sync ? sync_dir(f->path) : 0;
		if (ret < 0)
			err_set(err, -ret, "write %s: sync its directory", f->path);
	}
	file_new_drop(f);
	return ret;
}

int file_replace(const char *path, struct bytes data, mode_t mode, struct err *err)
{
	struct file_new f;
	int ret = file_new_open(&f, path, mode, err);

	if (ret < 0)
		return ret;
	ret = file_new_write(&f, data, err);
	if (ret == 0)
		return file_new_take(&f, true, err);
	file_new_drop(&f);
	return ret;
}

static bool is_temp_of(const char *name, const char *base)
{
	size_t n = strlen(base);

	return strncmp(name, base, n) == 0 && name[n] == '.' &&
	       strspn(name + n + 1, "0123456789abcdef") == TEMP_DIGITS &&
	       strcmp(name + n + 1 + TEMP_DIGITS, ".tmp") == 0;
}

void file_sweep(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	AUTO_FREE char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (is_temp_of(e->d_name, base))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

int file_mkdirs(const char *path, mode_t mode, struct err *err)
{
	AUTO_FREE char *p = strdup(path);
	struct stat st;

	if (!p)
		return err_set(err, ENOMEM, "make directory %s", path);
	for (size_t i = 1; i <= strlen(path); i++) {
		if (path[i] != '/' && path[i] != 0)
			continue;
		p[i] = 0;
		if (mkdir(p, mode) < 0 && errno != EEXIST && stat(p, &st) < 0)
			return err_set(err, errno, "make directory %s", p);
		p[i] = path[i];
	}
	if (stat(path, &st) < 0)
		return err_set(err, errno, "make directory %s", path);
	return S_ISDIR(st.st_mode) ? 0 : err_set(err, ENOTDIR, "make directory %s", path);
}

int file_lock(const char *path, int *out, struct err *err)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_set(err, errno, "lock %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			   ? err_say(err, EBUSY, "lock %s: another process holds it", path)
			   : err_set(err, errno, "lock %s", path);
	*out = TAKE_FD(fd);
	return 0;
}

/* --- random bytes --- */

static void kernel_fill(struct rng *r, void *buf, size_t len)
{
	uint8_t *p = buf;

	(void)r;
	while (len > 0) {
		ssize_t k = getrandom(p, len, 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			abort(); /* keys from anything else would be worse */
		p += k;
		len -= (size_t)k;
	}
}

struct rng os_rng = { kernel_fill };
