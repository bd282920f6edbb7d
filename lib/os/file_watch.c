/* os/file_watch.c - see file.h: telling that a file changed
 *
 * inotify watches the directory in which the name lies (Kubernetes replaces a symlink there) and
 * the one in which the file really lies. What happened is found by comparing the file's identity:
 * any event leads to one comparison at the end of the turn. A file that was written in place may
 * keep its identity (same size within one tick of the clock, or its time put back), so the event of
 * its own name counts without one. Without inotify, or while the directory is missing, the
 * comparison comes every POLL_S seconds.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

enum { POLL_S = 5 };

struct identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct file_watch {
	struct loop *loop;
	void (*fn)(void *ctx);
	void *ctx;
	char *path;
	int fd; /* -1: no inotify */
	struct loop_poll poll;
	struct loop_timer timer;
	struct loop_defer look;
	struct identity seen;
	bool is_written; /* an event says so */
};

static struct identity identify(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (struct identity){ 0 };
	return (struct identity){ st.st_dev, st.st_ino, st.st_size, st.st_mtim };
}

static bool is_same(const struct identity *a, const struct identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* The directory part of path; false: no such directory to watch. */
static bool watch_dir(int fd, const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir =
	    slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");

	return dir && inotify_add_watch(fd, dir,
					IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
					    IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF |
					    IN_ONLYDIR) >= 0;
}

/* Again after every event: a watch that exists is kept, one for a new target is added. */
static void aim(struct file_watch *w)
{
	AUTO_FREE char *real = realpath(w->path, NULL);
	bool ok = w->fd >= 0 && watch_dir(w->fd, w->path);

	if (ok && real)
		ok = watch_dir(w->fd, real);
	loop_timer_set(&w->timer, ok ? MONO_NEVER : mono_add(loop_now(w->loop), SPAN_S(POLL_S)));
}

static void look(void *ctx)
{
	struct file_watch *w = ctx;
	struct identity now;

	aim(w);
	now = identify(w->path);
	if (is_same(&now, &w->seen) && !w->is_written)
		return;
	w->is_written = false;
	w->seen = now;
	w->fn(w->ctx);
}

static bool is_last_part(const char *path, const char *name)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return path && strcmp(slash ? slash + 1 : path, name) == 0;
}

static void on_events(void *ctx, int events)
{
	struct file_watch *w = ctx;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	AUTO_FREE char *real = realpath(w->path, NULL);
	const struct inotify_event *ev;
	ssize_t n;

	(void)events;
	while ((n = read(w->fd, buf, sizeof buf)) > 0)
		for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof *ev + ev->len)) {
			ev = (const void *)(buf + at);
			if (ev->mask & IN_CLOSE_WRITE && ev->len > 0 &&
			    (is_last_part(w->path, ev->name) || is_last_part(real, ev->name)))
				w->is_written = true;
		}
	loop_defer(w->loop, &w->look);
}

struct file_watch *file_watch_new(struct loop *loop, const char *path, void (*fn)(void *ctx),
				  void *ctx, struct err *err)
{
	struct file_watch *w = calloc(1, sizeof *w);
	char *copy = strdup(path);

	if (!w || !copy) {
		free(w);
		free(copy);
		err_set(err, ENOMEM, "watch %s", path);
		return NULL;
	}
	*w = (struct file_watch){ .loop = loop, .fn = fn, .ctx = ctx, .path = copy };
	loop_timer_init(loop, &w->timer, look, w);
	loop_defer_init(&w->look, look, w);
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd >= 0 && loop_poll_open(loop, &w->poll, w->fd, on_events, w) < 0)
		file_fd_close(&w->fd);
	loop_poll_set(&w->poll, LOOP_READ);
	w->seen = identify(path);
	aim(w);
	return w;
}

void file_watch_free(struct file_watch *w)
{
	if (!w)
		return;
	loop_poll_close(&w->poll);
	file_fd_close(&w->fd);
	loop_timer_fini(&w->timer);
	loop_defer_cancel(&w->look);
	free(w->path);
	free(w);
}
