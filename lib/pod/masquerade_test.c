/* pod/masquerade_test.c - in a network namespace of its own */
#include "pod/masquerade.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/pod_wire.h"

TEST(masquerade_is_made_once_and_removed_twice_without_a_fault)
{
	struct err e = { 0 };

	if (!wire_namespace())
		SKIP("needs root for a network namespace");
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(masquerade_add("tp0", &e) == 0, "%s", e.text);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_msg(masquerade_del("tp0", &e) == 0, "%s", e.text);
}

/* Does one leave by the device? False: the pod was told, by a reset or by ICMP, that it does not.
 */
static bool passes_one(int pod, int dev, enum wire_kind kind)
{
	const struct wire_fate fate = wire_try(pod, dev, kind, "10.0.0.2", "100.64.0.9");

	if (fate.what == WIRE_PASSED)
		return true;
	ck_assert_int_eq(fate.what, kind == WIRE_SYN ? WIRE_RESET : WIRE_ICMP);
	ck_assert_int_eq(fate.code, kind == WIRE_SYN ? 0 : 1);
	return false;
}

/* More often than ICMP's rate limit would let errors out: by resets. */
static bool passes(int pod, int dev)
{
	bool all = true, any = false;

	for (int i = 0; i < 20; i++) {
		const bool one = passes_one(pod, dev, WIRE_SYN);

		all &= one;
		any |= one;
	}
	ck_assert(all == any);
	return all;
}

TEST(what_is_forwarded_to_the_device_is_refused_as_soon_as_nobody_holds_it)
{
	struct err e = { 0 };
	struct netlink nl;
	int pod, dev, fd;
	pid_t child;
	char end = 0;
	int ready[2];

	if (!wire_namespace())
		SKIP("needs root for a network namespace");
	ck_assert_int_eq(netlink_open(&nl), 0);
	pod = wire_device(&nl, "pod0", "10.0.0.0/8", NULL);
	dev = wire_device(&nl, "tp0", "100.64.0.0/10", NULL);
	if (pod < 0 || dev < 0 || !wire_forwards()) {
		puts("no TUN device or no /proc/sys here: nothing is tried");
		return;
	}
	ck_assert(passes(pod, dev)); /* without a guard */
	fd = masquerade_hold("tp0", &e);
	if (fd == -EINVAL || fd == -EOPNOTSUPP || fd == -ENOENT) {
		printf("%s: the kernel cannot, nothing is tried\n", e.text);
		ck_assert(passes(pod, dev));
		return;
	}
	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert(passes(pod, dev));
	ck_assert_msg(masquerade_hold("tp0", &e) < 0, "two hold it");
	close(fd);
	ck_assert_msg(passes(pod, dev), "the one that failed has taken the guard away");

	/* another process holds it and is killed */
	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		end = masquerade_hold("tp0", &e) >= 0 ? 'y' : 'n';
		(void)!write(ready[1], &end, 1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &end, 1), 1);
	ck_assert_int_eq(end, 'y');
	ck_assert(passes(pod, dev));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(!passes(pod, dev));
	fd = masquerade_hold("tp0", &e); /* the next one */
	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert(passes(pod, dev));
	close(fd);
	ck_assert(!passes(pod, dev));
	ck_assert_msg(!passes_one(pod, dev, WIRE_UDP), "a datagram");
	ck_assert_msg(!passes_one(pod, dev, WIRE_ACK), "of an established connection");
	ck_assert_msg(masquerade_del("tp0", &e) == 0, "%s", e.text);
	ck_assert(passes(pod, dev));
	netlink_close(&nl);
	close(pod);
	close(dev);
}
