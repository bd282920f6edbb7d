/* path/better.c - see better.h
 *
 * Points are percent: the faster address has as many as it is faster, and the nature of an address
 * is worth some more. So IPv6 is taken unless IPv4 is over 10 % faster, a private address unless it
 * is over 20 % slower.
 */
#include "path/better.h"

#include <stdint.h>

enum { BONUS_LOOPBACK = 50, BONUS_LINK_LOCAL = 30, BONUS_PRIVATE = 20, BONUS_V6 = 10 };

static int64_t bonus(const struct ip *a)
{
	int64_t points = ip_is_v4(a) ? 0 : BONUS_V6;

	if (ip_is_loopback(a))
		return points + BONUS_LOOPBACK;
	if (ip_is_link_local(a))
		return points + BONUS_LINK_LOCAL;
	return points + (ip_is_private(a) ? BONUS_PRIVATE : 0);
}

static int64_t percent_faster(span_t fast, span_t slow)
{
	if (fast.ns >= slow.ns)
		return 0;
	return 100 - 100 * fast.ns / slow.ns; /* a ping waits 5 s: no overflow */
}

bool path_better(const struct path_quality *a, const struct path_quality *b)
{
	int64_t pa, pb;

	if (ip_is_zero(&a->addr.ip) || ipport_eq(&a->addr, &b->addr))
		return false;
	if (ip_is_zero(&b->addr.ip))
		return true;
	pa = percent_faster(a->latency, b->latency) + bonus(&a->addr.ip);
	pb = percent_faster(b->latency, a->latency) + bonus(&b->addr.ip);
	if (pa <= 1 && pb == 0) /* two as good as equal: stay */
		return false;
	return pa > pb;
}
