/* os/privilege.c - see privilege.h: what the process gives up */
#include "os/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/text.h"

/* Who may look into the process anyway (root, a debugger) gets a core file without our memory:
 * headers of mapped files only. Best effort: /proc may be absent. */
static void keep_memory_out_of_cores(void)
{
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "0x10", 4) != 4)
		errno = 0;
	close(fd);
}

int privilege_at_start(struct err *err)
{
	const struct rlimit none = { 0, 0 };

	keep_memory_out_of_cores(); /* while /proc/self is still ours */
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_set(err, errno, "forbid core files");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(err, errno, "become undumpable");
	return 0;
}

static int set_flags(cap_t caps, cap_value_t v)
{
	if (cap_set_flag(caps, CAP_PERMITTED, 1, &v, CAP_SET) < 0 ||
	    cap_set_flag(caps, CAP_EFFECTIVE, 1, &v, CAP_SET) < 0)
		return -errno;
	return 0;
}

static bool has(const char *const *keep, cap_value_t v)
{
	cap_value_t k;

	for (; keep && *keep; keep++)
		if (cap_from_name(*keep, &k) == 0 && k == v)
			return true;
	return false;
}

/* The bounding set can be lowered only while CAP_SETPCAP is held; without it no_new_privs does what
 * matters. */
static void drop_bounding(const char *const *keep)
{
	for (cap_value_t v = 0; cap_get_bound(v) >= 0; v++)
		if (!has(keep, v))
			(void)cap_drop_bound(v);
}

/* What is kept must be held now; keeping more than one has is an error that names it. */
static int drop_all_but(const char *const *keep, struct err *err)
{
	cap_t held = cap_get_proc(), caps = cap_init();
	int ret = held && caps ? 0 : err_set(err, ENOMEM, "drop capabilities");

	for (; ret == 0 && keep && *keep; keep++) {
		cap_flag_value_t on = CAP_CLEAR;
		cap_value_t v;

		if (cap_from_name(*keep, &v) < 0)
			ret = err_say(err, EINVAL, "capability %s: no such name", *keep);
		else if (cap_get_flag(held, v, CAP_PERMITTED, &on) < 0 || on != CAP_SET)
			ret = err_say(err, EPERM,
				      "capability %s is needed but the container was not given it",
				      *keep);
		else if (set_flags(caps, v) < 0)
			ret = err_set(err, errno, "keep capability %s", *keep);
	}
	if (ret == 0 && cap_set_proc(caps) < 0)
		ret = err_set(err, errno, "drop capabilities");
	cap_free(held);
	cap_free(caps);
	return ret;
}

int privilege_drop(const char *const *keep, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, errno, "forbid new privileges");
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	drop_bounding(keep);
	return drop_all_but(keep, err);
}

/* "name:password:uid:..." */
static bool is_user(struct bytes line, const char *name, uid_t *out)
{
	struct bytes field[3];
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(field); i++) {
		const uint8_t *colon = memchr(line.data, ':', line.len);
		const size_t len = colon ? (size_t)(colon - line.data) : 0;

		if (!colon)
			return false;
		field[i] = bytes_of(line.data, len);
		line = bytes_of(colon + 1, line.len - len - 1);
	}
	if (!bytes_eq_str(field[0], name) || !text_u64(field[2], &n) || n >= UINT32_MAX)
		return false;
	*out = (uid_t)n;
	return true;
}

int user_id(const char *name, const char *passwd, uid_t *out)
{
	AUTO_FREE char *line = NULL;
	size_t cap = 0;
	uint64_t n;
	ssize_t len;
	bool found = false;
	FILE *f;

	if (text_u64(bytes_str(name), &n) && n < UINT32_MAX) {
		*out = (uid_t)n;
		return 0;
	}
	f = fopen(passwd ? passwd : "/etc/passwd", "re");
	if (!f)
		return -errno;
	while (!found && (len = getline(&line, &cap, f)) > 0)
		found = is_user(bytes_of(line, (size_t)len), name, out);
	fclose(f);
	return found ? 0 : -ENOENT;
}
