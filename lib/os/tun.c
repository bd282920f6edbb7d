/* os/tun.c - see tun.h */
#include "os/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "os/file.h"

struct tun {
	struct loop *loop;
	int fd;
	struct loop_poll poll;
	tun_fn *fn;
	void *ctx;
	struct burst in;
};

/* One burst a turn: the rest makes the descriptor readable again. */
static void on_readable(void *ctx, int events)
{
	struct tun *t = ctx;

	(void)events;
	burst_reset(&t->in);
	while (burst_room(&t->in) > 0) {
		struct pkt *p = burst_add(&t->in, PKT_INNER_MAX);
		const ssize_t n = read(t->fd, p->data, PKT_INNER_MAX);

		if (n <= 0) {
			t->in.n--;
			if (n < 0 && errno == EINTR)
				continue;
			break;
		}
		pkt_trim(p, (uint32_t)n);
	}
	if (t->in.n > 0)
		(void)t->fn(t->ctx, t->in.v, t->in.n);
}

static int attach(struct tun *t, const char *name, struct err *e)
{
	struct ifreq rq = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int r;

	if (!bytes_to_str(bytes_str(name), rq.ifr_name, sizeof rq.ifr_name))
		return err_set(e, ENAMETOOLONG, "device %s", name);
	t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0)
		return err_set(e, errno,
			       "open /dev/net/tun (kernel mode needs the device and NET_ADMIN)");
	if (ioctl(t->fd, TUNSETIFF, &rq) < 0)
		return err_set(e, errno, "attach to the device %s%s", name,
			       errno == EBUSY ? " (another process has it)" : "");
	if (ioctl(t->fd, TUNSETPERSIST, 1) < 0)
		return err_set(e, errno, "keep the device %s", name);
	r = loop_poll_open(t->loop, &t->poll, t->fd, on_readable, t);
	if (r < 0)
		return err_set(e, -r, "wait for the device %s", name);
	loop_poll_set(&t->poll, LOOP_READ);
	return 0;
}

struct tun *tun_open(struct loop *loop, const char *name, tun_fn *fn, void *ctx, struct err *e)
{
	struct tun *t = calloc(1, sizeof *t);

	if (!t) {
		err_set(e, ENOMEM, "device %s", name);
		return NULL;
	}
	*t = (struct tun){ .loop = loop, .fd = -1, .fn = fn, .ctx = ctx };
	if (burst_init(&t->in) < 0)
		err_set(e, ENOMEM, "device %s", name);
	else if (attach(t, name, e) == 0)
		return t;
	tun_close(t);
	return NULL;
}

void tun_close(struct tun *t)
{
	if (!t)
		return;
	loop_poll_close(&t->poll);
	file_fd_close(&t->fd);
	burst_fini(&t->in);
	free(t);
}

int tun_remove(struct tun *t, struct err *e)
{
	return ioctl(t->fd, TUNSETPERSIST, 0) < 0 ? err_set(e, errno, "remove the device") : 0;
}

size_t tun_send(struct tun *t, const struct pkt *v, size_t n)
{
	size_t sent = 0;

	for (size_t i = 0; i < n; i++) {
		ssize_t r;

		do
			r = write(t->fd, v[i].data, v[i].len);
		while (r < 0 && errno == EINTR);
		sent += r == (ssize_t)v[i].len;
	}
	return sent;
}
