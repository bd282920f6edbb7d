/* cni/install.c - see install.h */
#include "cni/install.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/config.h"
#include "cni/conflist.h"
#include "pod/ids.h"

enum {
	FILE_MAX = 1 << 20,
	PATH_TEXT = 512,
	NAME_TEXT = 256,
	QUIET_MS = 200,
	END_LOOK_MS = 100,
	END_LOOKS = 50, /* 5 s, as the agent */
};

/* --- files --- */

static int read_file(const char *path, struct buf *out)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;
	int r = 0;

	if (fd < 0)
		return -errno;
	while (r == 0 && n != 0) {
		uint8_t *room = buf_reserve(out, 16 << 10);

		n = room ? read(fd, room, 16 << 10) : -1;
		if (n > 0)
			buf_commit(out, (size_t)n);
		else if (n < 0 && !room)
			r = -EFBIG;
		else if (n < 0 && errno != EINTR)
			r = -errno;
	}
	close(fd);
	return r;
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Old or new content, never half of it; the temporary name has no ending that a runtime reads. */
static int replace(const char *dir, const char *name, struct bytes data, mode_t mode)
{
	char path[PATH_TEXT], tmp[PATH_TEXT];
	int fd, r;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	snprintf(tmp, sizeof tmp, "%s/.%s.%ld.tmp", dir, name, (long)getpid());
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data.data, data.len);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -errno;
	close(fd);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(tmp);
	return r;
}

static bool is_same_file(const char *dir, const char *name, struct bytes data)
{
	char path[PATH_TEXT];
	struct buf old;
	bool same;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	buf_init(&old, 16 * FILE_MAX);
	same = read_file(path, &old) == 0 && bytes_eq(buf_bytes(&old), data);
	buf_fini(&old);
	return same;
}

int install_program(const struct install_conf *c, struct fail *f)
{
	struct buf self;
	int r;

	buf_init(&self, 16 * FILE_MAX);
	r = read_file("/proc/self/exe", &self);
	if (r == 0 && !is_same_file(c->bin_dir, INSTALL_PROGRAM, buf_bytes(&self)))
		r = replace(c->bin_dir, INSTALL_PROGRAM, buf_bytes(&self), 0755);
	buf_fini(&self);
	return r < 0 ? fail_errno(f, FAIL_IO, r, "copy the plugin into %s", c->bin_dir) : 0;
}

/* --- the list --- */

static bool ends_with(const char *name, const char *end)
{
	const size_t n = strlen(name), k = strlen(end);

	return n > k && strcmp(name + n - k, end) == 0;
}

static int is_candidate(const struct dirent *d)
{
	return strlen(d->d_name) < NAME_TEXT && strcmp(d->d_name, INSTALL_LIST) != 0 &&
	       (ends_with(d->d_name, ".conf") || ends_with(d->d_name, ".conflist") ||
		ends_with(d->d_name, ".json"));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The file that the runtime would take if we were not there. 1: found, 0: none, -errno */
static int find_owner(const char *dir, char name[static NAME_TEXT], struct buf *text,
		      enum conflist_kind *kind)
{
	struct dirent **v;
	const int n = scandir(dir, &v, is_candidate, by_name);
	int found = 0;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		char path[PATH_TEXT];

		if (!found) {
			buf_clear(text);
			snprintf(path, sizeof path, "%s/%s", dir, v[i]->d_name);
			*kind = read_file(path, text) == 0 ? conflist_kind(buf_bytes(text))
							   : CONFLIST_BAD;
			found = *kind != CONFLIST_BAD;
			(void)bytes_to_str(bytes_str(v[i]->d_name), name, NAME_TEXT);
		}
		free(v[i]);
	}
	free(v);
	return found;
}

static int remove_in(const char *dir, const char *name)
{
	char path[PATH_TEXT];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return unlink(path) < 0 ? -errno : 0;
}

/* The owner's list is gone, or names us itself: ours would only shadow it. */
static int leave_to_owner(const struct install_conf *c, enum install_found *found, struct fail *f)
{
	const int r = remove_in(c->net_dir, INSTALL_LIST);

	*found = INSTALL_NO_OWNER;
	return r < 0 && r != -ENOENT
		   ? fail_errno(f, FAIL_IO, r, "remove %s/%s", c->net_dir, INSTALL_LIST)
		   : 0;
}

static int join_owner(const struct install_conf *c, const char *name, struct bytes owner,
		      enum install_found *found, struct fail *f)
{
	struct buf list;
	int r;

	if (strcmp(name, INSTALL_LIST) < 0)
		return fail_set(f, FAIL_CONFIG, "%s/%s sorts before %s: give it a later name",
				c->net_dir, name, INSTALL_LIST);
	buf_init(&list, 2 * FILE_MAX);
	r = conflist_join(owner, c->own, &list, f);
	*found = INSTALL_SAME;
	if (r == 0 && !is_same_file(c->net_dir, INSTALL_LIST, buf_bytes(&list))) {
		*found = INSTALL_CHANGED;
		r = replace(c->net_dir, INSTALL_LIST, buf_bytes(&list), 0644);
		if (r < 0)
			r = fail_errno(f, FAIL_IO, r, "write %s/%s", c->net_dir, INSTALL_LIST);
	}
	buf_fini(&list);
	return r;
}

int install_list(const struct install_conf *c, enum install_found *found, struct fail *f)
{
	enum conflist_kind kind = CONFLIST_BAD;
	char name[NAME_TEXT] = "";
	struct buf text;
	int r;

	buf_init(&text, FILE_MAX);
	r = find_owner(c->net_dir, name, &text, &kind);
	if (r < 0)
		r = fail_errno(f, FAIL_IO, r, "list %s", c->net_dir);
	else if (r == 0 || kind == CONFLIST_OURS)
		r = leave_to_owner(c, found, f);
	else
		r = join_owner(c, name, buf_bytes(&text), found, f);
	buf_fini(&text);
	return r;
}

int install_remove(const struct install_conf *c, struct fail *f)
{
	int r = remove_in(c->net_dir, INSTALL_LIST); /* first: nobody is to look for the program */

	if (r < 0 && r != -ENOENT)
		return fail_errno(f, FAIL_IO, r, "remove %s/%s", c->net_dir, INSTALL_LIST);
	r = remove_in(c->bin_dir, INSTALL_PROGRAM);
	return r < 0 && r != -ENOENT
		   ? fail_errno(f, FAIL_IO, r, "remove %s/%s", c->bin_dir, INSTALL_PROGRAM)
		   : 0;
}

/* --- commands --- */

static void say(const struct install_conf *c, enum install_found found)
{
	static const char *const words[] = {
		[INSTALL_SAME] = "is as it should be",
		[INSTALL_CHANGED] = "is written",
		[INSTALL_NO_OWNER] =
		    "waits: there is no network list to join, or it names tailpod-cni itself",
	};

	fprintf(stderr, "tailpod-cni: %s/%s %s\n", c->net_dir, INSTALL_LIST, words[found]);
}

static int install(const struct install_conf *c, struct fail *f)
{
	enum install_found found;

	if (install_program(c, f) < 0 || install_list(c, &found, f) < 0)
		return -1;
	say(c, found);
	return 0;
}

static int uninstall(const struct install_conf *c, struct fail *f)
{
	const struct machine *m = &c->machine;

	if (m->device && machine_has_agent(m))
		return fail_set(f, FAIL_AGAIN,
				"a node agent answers at %s/cni.sock: end it first, device and "
				"rules are in its hands",
				m->run_dir);
	if (install_remove(c, f) < 0)
		return -1;
	return m->device ? machine_clear(m, f) : 0;
}

static volatile sig_atomic_t stopped;

static void on_signal(int signo)
{
	(void)signo;
	stopped = 1;
}

/* Waits for a change, then until a moment is quiet: 1: look again, 0: told to stop, -errno */
static int wait_change(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char events[4096];
	int limit = -1, r;

	while (!stopped) {
		r = poll(&p, 1, limit);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0)
			return 1;
		if (r > 0 && read(fd, events, sizeof events) < 0 && errno != EAGAIN)
			return -errno;
		if (r > 0)
			limit = QUIET_MS;
	}
	return 0;
}

/* What `containerboot watch-owner` says of the end of this pod: for good? Waits for it, since all
 * containers of a pod are told to end at once. */
static bool is_last_end(const char *path)
{
	bool known = false, is_last = false;

	for (int i = 0; !known && i < END_LOOKS; i++) {
		struct buf text;

		buf_init(&text, 64 << 10);
		known = read_file(path, &text) == 0;
		is_last = known && bytes_eq_str(buf_bytes(&text), "remove\n");
		buf_fini(&text);
		if (!known)
			(void)poll(NULL, 0, END_LOOK_MS);
	}
	if (!known)
		fprintf(stderr, "tailpod-cni: %s is not there: the plugin is kept\n", path);
	return is_last;
}

/* The agent ends at the same time and does its part; what it leaves, or all where none runs, is
 * ours. */
static int last_end(const struct install_conf *c, struct fail *f)
{
	const int r = install_remove(c, f);
	struct fail late;

	if (!c->machine.device)
		return r;
	machine_wait(&c->machine);
	if (r == 0)
		return machine_clear(&c->machine, f);
	(void)!machine_clear(&c->machine, &late); /* the first fault is told */
	return r;
}

static int watch(const struct install_conf *c, struct fail *f)
{
	const struct sigaction act = { .sa_handler = on_signal };
	const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int r = 1;

	if (fd < 0 ||
	    inotify_add_watch(fd, c->net_dir,
			      IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) < 0) {
		fail_errno(f, FAIL_IO, errno, "watch %s", c->net_dir);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	r = install(c, f) == 0 ? 1 : -1;
	while (r > 0) {
		enum install_found found = INSTALL_SAME;

		r = wait_change(fd);
		if (r < 0)
			r = fail_errno(f, FAIL_IO, r, "watch %s", c->net_dir);
		/* a list that does not parse may be half-written by its owner: the next change
		 * decides */
		else if (r > 0 && install_list(c, &found, f) < 0)
			fprintf(stderr, "tailpod-cni: %s\n", f->msg);
		else if (r > 0 && found != INSTALL_SAME)
			say(c, found);
	}
	close(fd);
	if (r == 0 && (c->remove_at_end || (c->end_file && is_last_end(c->end_file))))
		r = last_end(c, f);
	return r;
}

static int usage(FILE *out)
{
	fputs("usage: tailpod-cni install|watch|uninstall [--bin-dir DIR] [--net-dir DIR] "
	      "[--settings FILE] [--end keep|remove] [--end-file FILE] "
	      "[--device NAME [--run-dir DIR] [--state-dir DIR]]\n"
	      "  --bin-dir   where the runtime looks for plugins (/opt/cni/bin)\n"
	      "  --net-dir   where it looks for network lists (/etc/cni/net.d)\n"
	      "  --settings  a JSON object with the plugin's settings, docs/operations/cni.md\n"
	      "  --end       what watch does on SIGTERM: keep (default) the plugin, or remove it\n"
	      "  --end-file  the same as said by this file of containerboot watch-owner\n"
	      "  --device    what removes the plugin also removes what a node agent that no longer "
	      "runs has left:\n"
	      "              this device, its table of nftables, our rules, and all that lies in\n"
	      "  --run-dir   the directory of its socket (/run/tailpod) and in\n"
	      "  --state-dir that of its node's state (/var/lib/tailpod)\n",
	      out);
	return out == stdout ? 0 : 2;
}

static const struct {
	const char *name;
	int (*fn)(const struct install_conf *c, struct fail *f);
} commands[] = { { "install", install }, { "watch", watch }, { "uninstall", uninstall } };

int install_main(int argc, char **argv)
{
	struct install_conf c = { .bin_dir = "/opt/cni/bin",
				  .net_dir = "/etc/cni/net.d",
				  .machine = { .run_dir = "/run/tailpod",
					       .state_dir = "/var/lib/tailpod" } };
	const char *settings = NULL, *end = "keep";
	struct fail f = { 0 };
	struct buf own;
	int r = -1;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return usage(stdout);
	for (int i = 2; i < argc; i += 2) {
		const char **to = strcmp(argv[i], "--bin-dir") == 0     ? &c.bin_dir
				  : strcmp(argv[i], "--net-dir") == 0   ? &c.net_dir
				  : strcmp(argv[i], "--settings") == 0  ? &settings
				  : strcmp(argv[i], "--end") == 0       ? &end
				  : strcmp(argv[i], "--end-file") == 0  ? &c.end_file
				  : strcmp(argv[i], "--device") == 0    ? &c.machine.device
				  : strcmp(argv[i], "--run-dir") == 0   ? &c.machine.run_dir
				  : strcmp(argv[i], "--state-dir") == 0 ? &c.machine.state_dir
									: NULL;

		if (!to || i + 1 == argc)
			return usage(stderr);
		*to = argv[i + 1];
	}
	c.remove_at_end = strcmp(end, "remove") == 0;
	if (!c.remove_at_end && strcmp(end, "keep") != 0)
		return usage(stderr);
	if (c.machine.device && !pod_is_ifname(bytes_str(c.machine.device)))
		return usage(stderr);
	if (strlen(c.bin_dir) > PATH_TEXT / 2 - 64 || strlen(c.net_dir) > PATH_TEXT / 2 - 64)
		return usage(stderr);
	buf_init(&own, FILE_MAX);
	if (settings && (r = read_file(settings, &own)) < 0) {
		fprintf(stderr, "tailpod-cni: read %s: %s\n", settings, strerror(-r));
		buf_fini(&own);
		return 1;
	}
	if (settings && strcmp(argv[1], "uninstall") != 0 &&
	    config_check_settings(buf_bytes(&own), settings, &f) < 0) {
		fprintf(stderr, "tailpod-cni: %s\n", f.msg);
		buf_fini(&own);
		return 1;
	}
	c.own = buf_bytes(&own);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0) {
			r = commands[i].fn(&c, &f);
			if (r < 0)
				fprintf(stderr, "tailpod-cni: %s\n", f.msg);
			buf_fini(&own);
			return r < 0 ? 1 : 0;
		}
	buf_fini(&own);
	return usage(stderr);
}
