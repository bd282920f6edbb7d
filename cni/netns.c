/* cni/netns.c - see netns.h */
#include "cni/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define OWN "/proc/self/ns/net"

static int open_namespace(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct statfs st;

	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (fstatfs(fd, &st) < 0 || st.f_type != NSFS_MAGIC) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

int netns_identify(const char *path, struct netns_id *out)
{
	const int fd = open_namespace(path);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else
		*out = (struct netns_id){ st.st_dev, st.st_ino };
	close(fd);
	return r;
}

int netns_check_foreign(const char *path, struct fail *f)
{
	struct netns_id own, other;
	int r = netns_identify(path, &other);

	if (r == -EINVAL)
		return fail_set(f, FAIL_NETNS, "CNI_NETNS %s is no network namespace", path);
	if (r < 0)
		return fail_errno(f, FAIL_NETNS, r, "open CNI_NETNS %s", path);
	r = netns_identify(OWN, &own);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "look at the plugin's own network namespace");
	if (own.dev == other.dev && own.ino == other.ino)
		return fail_set(f, FAIL_NETNS,
				"CNI_NETNS is the plugin's own network namespace: %s", path);
	return 0;
}

int netns_netlink(const char *path, struct netlink *out, struct fail *f)
{
	const int own = open_namespace(OWN), fd = open_namespace(path);
	int r = 0;

	if (own < 0 || fd < 0)
		r = own < 0 ? own : fd;
	else if (setns(fd, CLONE_NEWNET) < 0)
		r = -errno;
	if (r == 0) {
		r = netlink_open(out);
		if (setns(own, CLONE_NEWNET) < 0)
			abort(); /* nothing may be done in the wrong namespace */
	}
	if (fd >= 0)
		close(fd);
	if (own >= 0)
		close(own);
	return r < 0 ? fail_errno(f, FAIL_NETNS, r, "enter network namespace %s", path) : 0;
}
