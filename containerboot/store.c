/* containerboot/store.c - see store.h */
#include "containerboot/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "os/file.h"

#define STATE_FILE "tailscaled.state"
#define LOCK_FILE "tailpod.lock"
#define NETMAP_FILE "tailpod.netmap"

static int load(struct store *s, struct err *e)
{
	size_t len = 0;
	char *text = NULL;
	int r = file_read(s->path, STATE_TEXT_MAX, &text, &len, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = state_parse(s->state, bytes_of(text, len), e);
	file_wipe(text, len);
	return r < 0 ? err_wrap(e, "%s", s->path) : 0;
}

static int lock(struct store *s, const char *dir, struct err *e)
{
	char *path;
	int r;

	if (asprintf(&path, "%s/" LOCK_FILE, dir) < 0)
		return err_set(e, ENOMEM, "state directory");
	r = file_lock(path, &s->lock, e);
	free(path);
	if (r == -EBUSY)
		return err_say(e, EBUSY,
			       "TS_STATE_DIR %s is in use by another process; stop it or give this "
			       "one its own",
			       dir);
	return r;
}

int store_open(struct store *s, const char *dir, struct err *e)
{
	int r;

	*s = (struct store){ .lock = -1, .state = state_new() };
	if (!s->state)
		return err_set(e, ENOMEM, "state");
	if (!dir)
		return 0;
	r = file_mkdirs(dir, 0700, e);
	if (r == 0)
		r = lock(s, dir, e);
	if (r == 0 && asprintf(&s->path, "%s/" STATE_FILE, dir) < 0) {
		s->path = NULL;
		r = err_set(e, ENOMEM, "state");
	}
	if (r == 0 && asprintf(&s->netmap, "%s/" NETMAP_FILE, dir) < 0) {
		s->netmap = NULL;
		r = err_set(e, ENOMEM, "state");
	}
	if (r < 0)
		return r;
	file_sweep(s->path); /* a process that was killed may have left keys in one */
	file_sweep(s->netmap);
	return load(s, e);
}

int store_open_kube(struct store *s, struct kube_secret_conf *conf, struct err *e)
{
	*s = (struct store){ .lock = -1, .state = state_new() };
	if (!s->state)
		return err_set(e, ENOMEM, "state");
	conf->state = s->state;
	s->kube = kube_secret_open(conf, e);
	return s->kube ? 0 : -e->code;
}

void store_remove(struct store *s)
{
	char *slash = s->path ? strrchr(s->path, '/') : NULL;
	char lock_path[4096];

	if (!slash)
		return;
	(void)unlink(s->path);
	if (snprintf(lock_path, sizeof lock_path, "%.*s/" LOCK_FILE, (int)(slash - s->path),
		     s->path) < (int)sizeof lock_path)
		(void)unlink(lock_path);
}

void store_close(struct store *s)
{
	kube_secret_free(s->kube);
	state_free(s->state);
	free(s->path);
	free(s->netmap);
	file_fd_close(&s->lock);
	*s = (struct store){ .lock = -1 };
}

int store_try(struct store *s, struct err *e)
{
	struct buf out;
	int r;

	if (s->kube)
		kube_secret_save(s->kube);
	if (!s->path)
		return 0;
	buf_init(&out, STATE_TEXT_MAX);
	r = state_emit(s->state, &out);
	if (r < 0)
		err_set(e, -r, "write the state");
	else
		r = file_replace(s->path, buf_bytes(&out), 0600, e);
	if (out.data)
		secret_wipe(out.data, out.cap);
	buf_fini(&out);
	return r;
}

bool store_save(struct store *s)
{
	struct err e = { 0 };
	const int r = store_try(s, &e);

	if (r < 0 && !s->is_bad)
		log_error("state: not saved, a restart would lose what changed: %s", e.text);
	else if (r == 0 && s->is_bad)
		log_info("state: saved again");
	s->is_bad = r < 0;
	return r == 0;
}

bool store_flush(struct store *s, span_t limit)
{
	return !s->kube || kube_secret_flush(s->kube, limit);
}
