/* cni/machine.c - see machine.h */
#include "cni/machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/agent_client.h"
#include "cni/config.h"
#include "pod/masquerade.h"
#include "pod/netlink.h"
#include "pod/refuse.h"

enum { LOOK_MS = 200 };

bool machine_has_agent(const struct machine *m)
{
	char socket[CONFIG_SOCKET_MAX];

	return (size_t)snprintf(socket, sizeof socket, "%s/cni.sock", m->run_dir) < sizeof socket &&
	       !agent_ask_status(socket).is_away;
}

void machine_wait(const struct machine *m)
{
	for (int i = 0; i < MACHINE_WAIT_S * 1000 / LOOK_MS && machine_has_agent(m); i++)
		(void)poll(NULL, 0, LOOK_MS);
}

/* The first of several faults is told. */
static int note(int first, int r)
{
	return first < 0 || r >= 0 ? first : r;
}

/* --- files --- */

static int empty(int fd, dev_t dev, int depth);

/* What is mounted there is not ours. */
static int remove_entry(int dir, const char *name, dev_t dev, int depth)
{
	struct stat st;
	int fd, r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode))
		return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
	if (st.st_dev != dev)
		return -EBUSY;
	if (depth == MACHINE_DEPTH_MAX)
		return -ELOOP;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = empty(fd, dev, depth + 1);
	return note(r, unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0);
}

/* Takes fd. */
static int empty(int fd, dev_t dev, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = -errno;
		close(fd);
		return r;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = note(r, remove_entry(dirfd(d), e->d_name, dev, depth));
	closedir(d);
	return r;
}

static int empty_directory(const char *path)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0) {
		const int r = -errno;

		close(fd);
		return r;
	}
	return empty(fd, st.st_dev, 1);
}

/* --- the kernel --- */

static int remove_rules(struct netlink *nl)
{
	AUTO_FREE struct rule *v = NULL;
	size_t n;
	int r = netlink_rules_all(nl, CONFIG_PROTOCOL, &v, &n), first = r;

	for (size_t i = 0; r == 0 && i < n; i++)
		first = note(first, netlink_rule_del(nl, &v[i], CONFIG_PROTOCOL));
	return first;
}

int machine_clear(const struct machine *m, struct fail *f)
{
	struct netlink nl;
	struct err e = { 0 };
	int r, ret = 0;

	r = netlink_open(&nl);
	if (r == 0)
		r = remove_rules(&nl);
	if (r < 0)
		ret = fail_errno(f, FAIL_IO, r, "remove the rules of protocol %d", CONFIG_PROTOCOL);
	if (refuse_del(&e) < 0 && ret == 0)
		ret = fail_set(f, FAIL_IO, "%s", e.text);
	if (masquerade_del(m->device, &e) < 0 && ret == 0)
		ret = fail_set(f, FAIL_IO, "%s", e.text);
	r = netlink_link_del(&nl, m->device);
	netlink_close(&nl);
	if (r < 0 && ret == 0)
		ret = fail_errno(f, FAIL_IO, r, "remove the device %s", m->device);
	r = empty_directory(m->run_dir);
	if (r < 0 && ret == 0)
		ret = fail_errno(f, FAIL_IO, r, "empty %s", m->run_dir);
	r = empty_directory(m->state_dir);
	if (r < 0 && ret == 0)
		ret = fail_errno(f, FAIL_IO, r, "empty %s", m->state_dir);
	return ret;
}
