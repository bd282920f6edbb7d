/* model/netmap_oom_test.c - each allocation fails in turn: a frame is applied whole or not at all
 */
#include "model/filter.h"
#include "model/netmap.h"
#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>

#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)

/* The C library's own allocator under its other names; ours counts down and then refuses once. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static long fail_in = -1; /* allocations until one fails; below zero: none does */

static bool refuse(void)
{
	return fail_in >= 0 && fail_in-- == 0;
}

void *malloc(size_t n)
{
	return refuse() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return refuse() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return refuse() ? NULL : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (refuse() || __builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return __libc_realloc(p, bytes);
}

#define KEY(d) "nodekey:" d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d
#define PEER(id, d)                                                                                \
	"{\"ID\":" #id ",\"Name\":\"p" #id                                                         \
	".tail.test.\",\"Key\":\"" KEY(d) "\",\"Addresses\":[\"100.64.0." #id                      \
					  "/32\"],\"Tags\":[\"tag:a\"]}"

static const char first[] = "{\"Node\":" PEER(1, "01") ",\"Peers\":[" PEER(2, "02") "," PEER(
    3, "03") "],\"PacketFilter\":[1],\"DNSConfig\":{\"Proxied\":true}}";
static const char second[] =
    "{\"Node\":" PEER(1, "0a") ",\"PeersRemoved\":[3],\"PeersChanged\":[" PEER(2, "12") "," PEER(
	4,
	"04") "," PEER(5,
		       "05") "],\"OnlineChange\":{\"2\":true},"
			     "\"PeersChangedPatch\":[{\"NodeID\":4,\"DERPRegion\":7,\"Endpoints\":["
			     "\"1.2.3.4:5\"]}],\"PacketFilters\":{\"x\":[2],\"base\":null},"
			     "\"DERPMap\":{\"Regions\":{\"1\":{\"RegionID\":1,\"Nodes\":[{\"Name\":"
			     "\"a\",\"HostName\":\"h\"}]}},\"HomeParams\":{\"RegionScore\":{\"1\":"
			     "0.5}}},"
			     "\"DNSConfig\":{\"Resolvers\":[{\"Addr\":\"1.1.1.1\"}],\"Routes\":{"
			     "\"a\":[]},\"Domains\":[\"b\"],\"ExtraRecords\":[{\"Name\":\"c\","
			     "\"Value\":\"1.2.3.4\"}]},"
			     "\"Health\":[\"x\"],\"DisplayMessages\":{\"m\":{\"Title\":\"T\"}},"
			     "\"UserProfiles\":[{\"ID\":5,\"LoginName\":\"u\"}],\"Domain\":\"d\","
			     "\"PingRequest\":{\"URL\":\"x\"},\"PopBrowserURL\":\"http://a/\"}";

static int frame(struct netmap *nm, struct bytes text)
{
	struct err e;
	int r = 0;

	netmap_begin(nm);
	while (text.len > 0 && r == 0) {
		size_t n = text.len < 50 ? text.len : 50;

		r = netmap_feed(nm, bytes_of(text.data, n));
		text = bytes_of(text.data + n, text.len - n);
	}
	if (r < 0)
		netmap_abort(nm);
	return r < 0 ? r : netmap_end(nm, (wall_t){ 1795309200 * NS_PER_S }, &e);
}

static char *emit(const struct netmap *nm)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(netmap_emit(nm, &b), 0);
	return buf_take_str(&b);
}

TEST(netmap_each_failed_allocation_leaves_the_state_as_it_was_and_the_next_frame_works)
{
	long n;

	for (n = 0;; n++) {
		struct netmap *nm = netmap_new();
		struct netmap_change ch;
		char *before, *after;
		bool failed;
		int r;

		ck_assert_int_eq(frame(nm, bytes_str(first)), 0);
		while (netmap_next_change(nm, &ch))
			;
		before = emit(nm);
		fail_in = n;
		r = frame(nm, bytes_str(second));
		failed = fail_in < 0;
		fail_in = -1;
		if (!failed) { /* no allocation was left to fail */
			ck_assert_int_eq(r, 0);
			free(before);
			netmap_free(nm);
			break;
		}
		/* the splitter has one error for all */
		ck_assert_msg(r == -ENOMEM || r == -EBADMSG,
			      "allocation %ld failed and the frame gave %d", n, r);
		ck_assert(!netmap_next_change(nm, &ch));
		after = emit(nm);
		ck_assert_str_eq(before, after);
		ck_assert_int_eq(frame(nm, bytes_str(second)), 0);
		ck_assert_uint_eq(netmap_n_peers(nm), 3);
		free(before);
		free(after);
		netmap_free(nm);
	}
	ck_assert_int_gt(n, 20);
}

TEST(filter_each_failed_allocation_keeps_the_old_rules)
{
	static const char text[] =
	    "[{\"SrcIPs\":[\"*\",\"cap:x\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{\"First\":0,"
	    "\"Last\":65535}}]},"
	    "{\"SrcIPs\":[\"100.64.0.0/10\"],\"CapGrant\":[{\"Dsts\":[\"100.64.0.1/"
	    "32\"],\"Caps\":[\"a\"],\"CapMap\":{\"b\":[1]}}]}]";
	struct bytes empty = bytes_str("[]"), rules = bytes_str(text);
	struct ip me = ip_v4(100, 64, 0, 1), peer = ip_v4(100, 64, 0, 2);
	struct filter *f = filter_new(16);
	struct buf out;
	long n;

	ck_assert_int_eq(filter_set_rules(f, &empty, 1, NULL, NULL), 0);
	buf_init(&out, 1000);
	for (n = 0;; n++) {
		int r;

		fail_in = n;
		r = filter_set_rules(f, &rules, 1, NULL, NULL);
		if (fail_in >= 0)
			break;
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_int_eq(filter_caps(f, &peer, &me, &out), 0);
		ck_assert(bytes_eq_str(buf_bytes(&out), "{}"));
		buf_clear(&out);
	}
	fail_in = -1;
	ck_assert_int_gt(n, 5);
	buf_fini(&out);
	filter_free(f);
}

#else

TEST(netmap_allocations_are_failed_in_builds_without_a_sanitizer)
{
	struct netmap *nm = netmap_new();

	ck_assert_ptr_nonnull(nm);
	netmap_free(nm);
}

#endif
