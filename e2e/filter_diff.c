/* e2e/filter_diff.c - our packet filter against the Go filter package: random policies, random
 * packets, verdict by verdict
 *
 *   filter_diff ORACLE POLICIES PACKETS SEED
 *
 * The one difference that is meant is told apart and counted: the Go constant for ICMP parameter
 * problem, 0x12 in place of 12 (data-plane.md 5.4). Go remembers 512 UDP flows and we more, so the
 * packets that go out keep to fewer. All others fail.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "model/filter.h"
#include "wire/packet.h"

enum { FLOWS = 64, PACKET_MAX = 128 };

static uint64_t state;

static uint32_t rnd(uint32_t n) /* splitmix64 */
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) % n);
}

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "filter_diff: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- policies: few addresses, so that packets often match --- */

static void ip4(struct buf *b, uint32_t host)
{
	check(buf_printf(b, "100.64.0.%u", host), "memory");
}

static void source(struct buf *b)
{
	uint32_t a = rnd(14), c = a + rnd(14 - a);

	switch (rnd(7)) {
	case 0:
		check(buf_printf(b, "\"*\""), "memory");
		break;
	case 1:
		check(buf_printf(b, "\"100.64.0.%u-100.64.0.%u\"", a, c), "memory");
		break;
	case 2:
		check(buf_printf(b, "\"100.64.0.%u/30\"", a & ~3U), "memory");
		break;
	case 3:
		check(buf_printf(b, "\"fd7a:115c:a1e0::%x\"", a), "memory");
		break;
	case 4:
		check(buf_printf(b, "\"nonsense\""), "memory");
		break;
	default:
		check(buf_printf(b, "\""), "memory");
		ip4(b, a);
		check(buf_printf(b, "\""), "memory");
	}
}

static void destination(struct buf *b)
{
	static const char *const ips[] = {
		"*",           "100.64.0.1", "100.64.0.0/29",        "fd7a:115c:a1e0::1",
		"10.1.0.0/16", "10.1.2.3",   "100.64.0.1-100.64.0.2"
	};
	uint32_t first = rnd(10), last = first + rnd(10);

	if (rnd(3) == 0)
		first = 0, last = 65535;
	check(buf_printf(b, "{\"IP\":\"%s\",\"Ports\":{\"First\":%u,\"Last\":%u}}",
			 ips[rnd(ARRAY_LEN(ips))], first, last),
	      "memory");
}

static void rule(struct buf *b)
{
	static const int protos[] = { 6, 17, 1, 58, 132, 47, 99, 300 };

	check(buf_printf(b, "{\"SrcIPs\":["), "memory");
	for (uint32_t i = 0, n = 1 + rnd(3); i < n; i++) {
		check(buf_printf(b, "%s", i ? "," : ""), "memory");
		source(b);
	}
	check(buf_printf(b, "],\"DstPorts\":["), "memory");
	for (uint32_t i = 0, n = 1 + rnd(3); i < n; i++) {
		check(buf_printf(b, "%s", i ? "," : ""), "memory");
		destination(b);
	}
	check(buf_printf(b, "]"), "memory");
	if (rnd(2)) {
		check(buf_printf(b, ",\"IPProto\":["), "memory");
		for (uint32_t i = 0, n = 1 + rnd(3); i < n; i++)
			check(buf_printf(b, "%s%d", i ? "," : "", protos[rnd(ARRAY_LEN(protos))]),
			      "memory");
		check(buf_printf(b, "]"), "memory");
	}
	check(buf_printf(b, "}"), "memory");
}

/* One of many, so that some packets match none: single hosts and few ports. */
static void narrow_rule(struct buf *b)
{
	static const char *const protos[] = { "", ",\"IPProto\":[6]", ",\"IPProto\":[17,132]",
					      ",\"IPProto\":[1,58,99]" };
	bool v6 = rnd(5) == 0, all = rnd(8) == 0;
	const char *net = v6 ? "fd7a:115c:a1e0::" : "100.64.0.";
	uint32_t first = all ? 0 : rnd(20), last = all ? 65535 : first + rnd(2);

	check(buf_printf(b, v6 ? "{\"SrcIPs\":[\"%s%x\"]" : "{\"SrcIPs\":[\"%s%u\"]", net, rnd(14)),
	      "memory");
	check(buf_printf(b,
			 v6 ? ",\"DstPorts\":[{\"IP\":\"%s%x\"" : ",\"DstPorts\":[{\"IP\":\"%s%u\"",
			 net, rnd(14)),
	      "memory");
	check(buf_printf(b, ",\"Ports\":{\"First\":%u,\"Last\":%u}}]%s}", first, last,
			 protos[rnd(ARRAY_LEN(protos))]),
	      "memory");
}

static void rules(struct buf *b)
{
	bool many = rnd(4) == 0;

	check(buf_printf(b, "["), "memory");
	for (uint32_t i = 0, n = many ? 33 + rnd(400) : rnd(6); i < n; i++) {
		check(buf_printf(b, "%s", i ? "," : ""), "memory");
		if (many)
			narrow_rule(b);
		else
			rule(b);
	}
	check(buf_printf(b, "]"), "memory");
}

/* --- packets --- */

static void address4(uint8_t *p, bool out)
{
	static const uint8_t odd[][4] = { { 10, 1, 2, 3 },
					  { 10, 2, 0, 1 },
					  { 224, 0, 0, 1 },
					  { 169, 254, 1, 1 },
					  { 169, 254, 169, 254 } };

	if (rnd(12) == 0 && !out)
		memcpy(p, odd[rnd(ARRAY_LEN(odd))], 4);
	else
		memcpy(p, (uint8_t[]){ 100, 64, 0, (uint8_t)rnd(14) }, 4);
}

static void address6(uint8_t *p)
{
	memset(p, 0, 16);
	memcpy(p, (uint8_t[]){ 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 }, 6);
	p[15] = (uint8_t)rnd(14);
	if (rnd(20) == 0)
		p[0] = 0xff;
	if (rnd(20) == 0)
		memcpy(p, (uint8_t[]){ 0xfe, 0x80 }, 2);
}

static size_t transport(uint8_t *t, uint8_t proto)
{
	t[0] = 0;
	t[1] = (uint8_t)rnd(20); /* ports */
	t[2] = 0;
	t[3] = (uint8_t)rnd(20);
	if (proto == 6) {
		static const uint8_t flags[] = { 2, 2, 2, 16, 18, 4, 17, 0, 0xc2 };

		t[12] = 0x50;
		t[13] = flags[rnd(ARRAY_LEN(flags))];
	} else if (proto == 1 || proto == 58) {
		static const uint8_t types[] = {
			0, 8, 3, 11, 12, 5, 128, 129, 1, 2, 3, 4, 133, 0x12
		};

		t[0] = types[rnd(ARRAY_LEN(types))];
		t[1] = 0;
	} else if (proto == 17) {
		t[5] = 8;
	} else if (proto == 99) {
		t[0] = "p!ao"[rnd(4)];
	}
	return 8 + rnd(40);
}

static size_t make_packet(uint8_t *p, bool out)
{
	static const uint8_t a4_self[4] = { 100, 64, 0, 1 };
	static const uint8_t a6_self[16] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = 1 };
	static const uint8_t protos[] = { 6, 6, 6, 17, 17, 17, 1, 58, 132, 99, 47, 50 };
	uint8_t proto = protos[rnd(ARRAY_LEN(protos))];
	bool v6 = rnd(4) == 0;
	size_t head = v6 ? 40 : 20, len;

	memset(p, 0, PACKET_MAX);
	len = head + transport(p + head, proto);
	if (v6) {
		p[0] = 0x60;
		p[4] = 0;
		p[5] = (uint8_t)(len - 40);
		p[6] = proto;
		address6(p + 8);
		address6(p + 24);
	} else {
		p[0] = 0x45;
		p[3] = (uint8_t)len;
		p[9] = proto;
		address4(p + 12, false);
		address4(p + 16, out);
	}
	if (out) { /* few flows: Go remembers 512 and we more, which is meant */
		memcpy(p + (v6 ? 8 : 12), v6 ? a6_self : a4_self, v6 ? 16 : 4);
		p[head + 1] &= 1;
		p[head + 3] &= 3;
	}
	if (rnd(40) == 0)
		len = 1 +
		      rnd((uint32_t)len); /* cut; an empty one is a keepalive and never gets here */
	return len;
}

static bool send_all(FILE *to, const void *p, size_t n)
{
	return n == 0 || fwrite(p, 1, n, to) == n;
}

static bool put_le(FILE *to, uint32_t v, int bytes)
{
	uint8_t b[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) };

	return send_all(to, b, (size_t)bytes);
}

/* the slip of the Go source (data-plane.md 5.4): parameter problem of ICMPv4 is 12, not 0x12 */
static bool meant(const uint8_t *p, size_t len)
{
	return len >= 21 && p[0] >> 4 == 4 && p[9] == 1 && (p[20] == 12 || p[20] == 0x12);
}

static void show(const uint8_t *p, size_t len, struct bytes rules_text, bool ours, bool out)
{
	fprintf(stderr, "differs: we %s %s\n  rules %.*s\n  packet ", ours ? "accept" : "drop",
		out ? "outbound" : "inbound", (int)rules_text.len, (const char *)rules_text.data);
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, "%02x", p[i]);
	fputc('\n', stderr);
}

int main(int argc, char **argv)
{
	static const char local[] = "[\"100.64.0.1/32\",\"fd7a:115c:a1e0::1/128\",\"10.1.0.0/16\"]";
	const struct ip a4 = ip_v4(100, 64, 0, 1), net = ip_v4(10, 1, 0, 0);
	struct ip a6 = { { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = 1 } };
	const struct ipprefix mine[] = { ipprefix_of(&a4, 128), ipprefix_of(&a6, 128),
					 ipprefix_of(&net, 112) };
	unsigned long policies, packets, differ = 0, known = 0, accepted = 0, total = 0;
	int to[2], from[2];
	FILE *wr, *rd;
	pid_t pid;

	if (argc != 5) {
		fprintf(stderr, "usage: filter_diff ORACLE POLICIES PACKETS SEED\n");
		return 2;
	}
	policies = strtoul(argv[2], NULL, 10);
	packets = strtoul(argv[3], NULL, 10);
	state = strtoull(argv[4], NULL, 10);
	check(pipe(to) == 0 && pipe(from) == 0, "pipe");
	pid = fork();
	check(pid >= 0, "fork");
	if (pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		execl(argv[1], argv[1], (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	wr = fdopen(to[1], "w");
	rd = fdopen(from[0], "r");
	check(wr && rd, "pipe");
	for (unsigned long i = 0; i < policies; i++) {
		struct filter *f = filter_new(FLOWS * 1024);
		uint8_t(*v)[PACKET_MAX] = malloc(packets * PACKET_MAX);
		uint16_t *len = calloc(packets, sizeof *len);
		uint8_t *dir = calloc(packets, 1);
		struct buf text;
		struct bytes t;

		check(f && v && len && dir, "memory");
		buf_init(&text, 1 << 20);
		rules(&text);
		t = buf_bytes(&text);
		check(filter_set_rules(f, &t, 1, NULL, NULL) == 0, "rules");
		check(filter_set_local(f, mine, 3, NULL, 0) == 0, "addresses");
		check(
		    put_le(wr,
			   (uint32_t)(t.len + sizeof local - 1 + strlen("{\"rules\":,\"local\":}")),
			   4),
		    "write");
		check(fprintf(wr, "{\"rules\":%.*s,\"local\":%s}", (int)t.len, (const char *)t.data,
			      local) > 0,
		      "write");
		check(put_le(wr, (uint32_t)packets, 4), "write");
		for (unsigned long k = 0; k < packets; k++) {
			dir[k] = rnd(8) == 0;
			len[k] = (uint16_t)make_packet(v[k], dir[k]);
			check(put_le(wr, dir[k], 1) && put_le(wr, len[k], 2) &&
				  send_all(wr, v[k], len[k]),
			      "write");
			if (k % 512 == 511 ||
			    k + 1 == packets) { /* in step, so that neither pipe fills up */
				check(fflush(wr) == 0, "write");
			}
		}
		for (unsigned long k = 0; k < packets; k++) {
			struct packet facts;
			mono_t now = { (int64_t)(k + 1) * 1000 };
			enum filter_verdict ours =
			    dir[k] ? filter_out(f, now, v[k], len[k], &facts)
				   : filter_in(f, now, v[k], len[k], false, &facts);
			int theirs = fgetc(rd);

			check(theirs == 'A' || theirs == 'D', "the oracle ended");
			total++;
			accepted += ours == FILTER_ACCEPT;
			if ((ours == FILTER_ACCEPT) == (theirs == 'A'))
				continue;
			if (meant(v[k], len[k])) {
				known++;
				continue;
			}
			if (differ++ < 5)
				show(v[k], len[k], t, ours == FILTER_ACCEPT, dir[k]);
		}
		buf_fini(&text);
		filter_free(f);
		free(v);
		free(len);
		free(dir);
	}
	fclose(wr);
	waitpid(pid, NULL, 0);
	printf("figure: %lu packets under %lu policies: %lu accepted, %lu differ, %lu known "
	       "differences (ICMP parameter problem)\n",
	       total, policies, accepted, differ, known);
	return differ != 0 || accepted == 0 || accepted == total;
}
