/* os/landlock.c - see landlock.h; constants of the kernel's UAPI, which headers of older systems
 * lack
 */
#include "os/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/file.h"

enum { CREATE_VERSION = 1, RULE_PATH_BENEATH = 1 };
enum { /* access to files; the first version of the kernel's interface that has it is 1 if not said
	*/
       EXECUTE = 1 << 0,
       WRITE_FILE = 1 << 1,
       READ_FILE = 1 << 2,
       READ_DIR = 1 << 3,
       REMOVE_DIR = 1 << 4,
       REMOVE_FILE = 1 << 5,
       MAKE_CHAR = 1 << 6,
       MAKE_DIR = 1 << 7,
       MAKE_REG = 1 << 8,
       MAKE_SOCK = 1 << 9,
       MAKE_FIFO = 1 << 10,
       MAKE_BLOCK = 1 << 11,
       MAKE_SYM = 1 << 12,
       REFER = 1 << 13,    /* 2 */
       TRUNCATE = 1 << 14, /* 3 */
       IOCTL_DEV = 1 << 15 /* 5 */
};
enum { SCOPE_SIGNAL = 1 << 1 }; /* 6 */

struct ruleset {
	uint64_t files, net, scoped;
};
struct beneath {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

/* What version handles, and how long its struct ruleset is. */
static size_t handled(long version, struct ruleset *r)
{
	r->files = MAKE_SYM * 2 - 1;
	if (version >= 2)
		r->files |= REFER;
	if (version >= 3)
		r->files |= TRUNCATE;
	if (version >= 5)
		r->files |= IOCTL_DEV;
	if (version >= 6)
		r->scoped = SCOPE_SIGNAL;
	return version >= 6 ? sizeof *r : sizeof r->files;
}

static uint64_t rights(unsigned access, bool is_dir)
{
	uint64_t v = access & LANDLOCK_READ ? READ_FILE | (is_dir ? READ_DIR : 0) : 0;

	if (access & LANDLOCK_WRITE)
		v |= WRITE_FILE | TRUNCATE |
		     (is_dir ? REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK |
				   MAKE_SYM | REFER
			     : 0);
	return v;
}

static int add(int ruleset, uint64_t all, const struct landlock_path *p, struct err *e)
{
	AUTO_FD int fd = p->path ? open(p->path, O_PATH | O_CLOEXEC) : -1;
	struct beneath b = { .fd = fd };
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "limit files to %s", p->path);
	b.access = rights(p->access, S_ISDIR(st.st_mode)) & all;
	if (b.access && syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &b, 0) < 0)
		return err_set(e, errno, "limit files to %s", p->path);
	return 0;
}

const char *landlock_dir_of(const char *path, char *out, size_t cap)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 1;

	if (slash == path)
		len = strlen(path);
	if (len >= cap)
		return NULL;
	memcpy(out, slash ? path : ".", len);
	out[len] = 0;
	return out;
}

int landlock_confine(const struct landlock_path *v, size_t n, struct err *e)
{
	struct ruleset r = { 0 };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	size_t len;
	AUTO_FD int fd = -1;

	if (version < 1)
		return 0;
	len = handled(version, &r);
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, len, 0);
	if (fd < 0)
		return err_set(e, errno, "limit files");
	for (size_t i = 0; i < n; i++) {
		int ret = add(fd, r.files, &v[i], e);

		if (ret < 0)
			return ret;
	}
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_set(e, errno, "limit files");
	return 1;
}
