/* containerboot/netmap_cache.c - see netmap_cache.h */
#include "containerboot/netmap_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/file.h"

enum { PIECE = 32 * 1024 };

static int load(int fd, const char *path, struct node *n, struct err *e)
{
	uint8_t piece[PIECE];
	ssize_t k;

	while ((k = read(fd, piece, sizeof piece)) != 0) {
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_set(e, errno, "read %s", path);
		if (node_load_feed(n, bytes_of(piece, (size_t)k)) != 0)
			return 0; /* the end says why */
	}
	return 0;
}

int netmap_cache_load(const char *path, struct node *n, mono_t now, wall_t wall, struct err *e)
{
	AUTO_FD int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct err why = { 0 };
	int r, ended;

	if (fd < 0)
		return !path || errno == ENOENT ? 0 : err_set(e, errno, "open %s", path);
	node_load_begin(n);
	r = load(fd, path, n, e);
	ended = node_load_end(n, now, wall, &why);
	if (r == 0 && ended != 0) {
		*e = why;
		r = ended;
	}
	if (r < 0)
		netmap_cache_drop(path);
	return r;
}

static int write_pieces(struct file_new *f, struct netmap_text *t, struct err *e)
{
	struct buf piece;
	size_t total = 0;
	int r;

	buf_init(&piece, NETMAP_CACHE_MAX);
	while ((r = netmap_text_next(t, &piece)) > 0) {
		total += piece.len;
		if (total > NETMAP_CACHE_MAX)
			r = err_say(e, EFBIG, "the netmap is larger than %d MiB and not kept",
				    NETMAP_CACHE_MAX >> 20);
		else
			r = file_new_write(f, buf_bytes(&piece), e);
		if (r < 0)
			break;
		buf_clear(&piece);
	}
	if (r == -ENOMEM)
		err_set(e, ENOMEM, "write the netmap");
	buf_fini(&piece);
	return r;
}

int netmap_cache_save(const char *path, const struct netmap *nm, struct err *e)
{
	struct netmap_text *t;
	struct file_new f;
	int r;

	if (!path)
		return 0;
	r = file_new_open(&f, path, 0600, e);
	if (r < 0)
		return r;
	t = netmap_text_new(nm);
	r = t ? write_pieces(&f, t, e) : err_set(e, ENOMEM, "write the netmap");
	netmap_text_free(t);
	if (r == 0)
		return file_new_take(&f, false, e);
	file_new_drop(&f);
	return r;
}

void netmap_cache_drop(const char *path)
{
	if (path)
		(void)unlink(path);
}
