/* netstack/pkt_test.c - runs every script of tests/pkt, each a sentence of an RFC (the language is
 * in tests/pkt/README) */
#include <dirent.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "netstack/stack.h"
#include "tests/harness.h"
#include "wire/checksum.h"
#include "wire/ip4.h"

enum { OUT_MAX = 4096, PEER_ISS = 100000, WORDS = 24 };
static const struct ip own = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 } };
static const struct ip peer = { { [10] = 0xff, [11] = 0xff, 100, 64, 0, 2 } };

struct seen {
	mono_t at;
	struct tcp_head h;
	uint32_t len;
	uint32_t top; /* the end of all that was sent before it */
};

struct script {
	const char *name;
	unsigned line;
	struct seed_rng rng;
	struct netstack *ns;
	struct netstack_conf conf;
	struct burst burst;
	mono_t now, last;
	struct seen out[OUT_MAX];
	size_t n_out, taken;
	struct ns_id id;
	uint32_t iss;   /* ours */
	uint32_t tsval; /* last of ours */
	uint32_t top;   /* end of what we have sent */
	uint16_t port;  /* ours */
	bool is_held;   /* nothing is pulled */
	char *word[WORDS];
	size_t n;
};

#define FAIL(s, ...)                                                                               \
	do {                                                                                       \
		fprintf(stderr, "%s:%u: ", (s)->name, (s)->line);                                  \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fprintf(stderr, "\n");                                                             \
		ck_abort_msg("%s:%u", (s)->name, (s)->line);                                       \
	} while (0)

static void collect(struct script *s)
{
	if (s->is_held)
		return;
	do {
		burst_reset(&s->burst);
		netstack_pull(s->ns, s->now, &s->burst);
		for (size_t i = 0; i < s->burst.n; i++) {
			const struct pkt *p = &s->burst.v[i];
			struct seen *o = &s->out[s->n_out++];

			ck_assert_uint_lt(s->n_out, OUT_MAX);
			ck_assert(p->data[9] == PROTO_TCP &&
				  tcp_parse(p->data + 20, p->len - 20, &o->h));
			o->at = s->now;
			o->len = p->len - 20 - o->h.head_len;
			o->top = s->top;
			s->top = o->h.seq + o->len;
			if (o->h.has_ts)
				s->tsval = o->h.tsval;
			if (o->h.flags & TCP_SYN)
				s->iss = o->h.seq;
			s->port = o->h.sport;
		}
	} while (s->burst.n == BURST_MAX);
}

static void run_until(struct script *s, mono_t t)
{
	collect(s);
	while (mono_due(netstack_deadline(s->ns), t)) {
		s->now = mono_max(s->now, netstack_deadline(s->ns));
		netstack_tick(s->ns, s->now);
		collect(s);
		if (s->is_held && mono_due(netstack_deadline(s->ns), s->now))
			break; /* it wants to be pulled */
	}
	s->now = mono_max(s->now, t);
}

static uint8_t flags_of(struct script *s, const char *w)
{
	uint8_t f = 0;

	for (; *w; w++) {
		const char *at = strchr("FSRP.U", *w);

		if (!at)
			FAIL(s, "flag %c", *w);
		f |= (uint8_t)(1 << (at - "FSRP.U"));
	}
	return f;
}

static uint32_t num(const char *w)
{
	return (uint32_t)strtoll(w, NULL, 10);
}

static size_t sacks(const char *w, struct tcp_sack *v, uint32_t base)
{
	size_t n = 0;
	char *end;

	while (*w && n < TCP_SACK_MAX) {
		v[n].start = base + (uint32_t)strtoul(w, &end, 10);
		v[n].end = base + (uint32_t)strtoul(end + 1, &end, 10);
		n++;
		w = *end ? end + 1 : end;
	}
	return n;
}

static void feed(struct script *s, uint8_t proto, const uint8_t *body, size_t len)
{
	uint8_t b[2048];
	struct ip4_head ip = { .src = peer,
			       .dst = own,
			       .ttl = 64,
			       .proto = proto,
			       .total_len = (uint16_t)(20 + len) };
	struct pkt p = { .data = b, .len = (uint32_t)(20 + len) };

	ip4_emit(b, &ip);
	memcpy(b + 20, body, len);
	netstack_feed(s->ns, s->now, &p, 1);
}

/* < FLAGS SEQ ACK WINDOW [len N] [mss N] [ws N] [sackok] [ts N] [sack A-B,C-D] */
static void inject(struct script *s)
{
	uint8_t b[1600] = { 0 };
	struct tcp_head h = { .sport = 7777,
			      .dport = s->port ? s->port : 80,
			      .flags = flags_of(s, s->word[2]) };
	uint32_t len = 0;
	size_t n;

	h.seq = PEER_ISS + num(s->word[3]);
	h.ack = h.flags & TCP_ACK ? s->iss + num(s->word[4]) : 0;
	h.wnd = (uint16_t)num(s->word[5]);
	for (size_t i = 6; i < s->n; i++) {
		const char *w = s->word[i];

		if (!strcmp(w, "len"))
			len = num(s->word[++i]);
		else if (!strcmp(w, "mss"))
			h.has_mss = true, h.mss = (uint16_t)num(s->word[++i]);
		else if (!strcmp(w, "ws"))
			h.has_wscale = true, h.wscale = (uint8_t)num(s->word[++i]);
		else if (!strcmp(w, "sackok"))
			h.sack_permitted = true;
		else if (!strcmp(w, "ts"))
			h.has_ts = true, h.tsval = num(s->word[++i]), h.tsecr = s->tsval;
		else if (!strcmp(w, "ecr"))
			h.tsecr = s->tsval + num(s->word[++i]);
		else if (!strcmp(w, "sack"))
			h.n_sack = (uint8_t)sacks(s->word[++i], h.sack, s->iss);
		else
			FAIL(s, "word %s", w);
	}
	n = tcp_emit(b, &h);
	checksum_store(
	    b + 16,
	    checksum_add(checksum_pseudo(&peer, &own, PROTO_TCP, (uint32_t)(n + len)), b, n + len));
	feed(s, PROTO_TCP, b, n + len);
	collect(s);
}

static void show(struct script *s, const struct seen *o)
{
	fprintf(stderr, "got +%.6f flags %02x seq %d ack %d wnd %u len %u",
		(double)mono_sub(o->at, s->last).ns / 1e9, o->h.flags, (int)(o->h.seq - s->iss),
		(int)(o->h.ack - PEER_ISS), o->h.wnd, o->len);
	for (int i = 0; i < o->h.n_sack; i++)
		fprintf(stderr, " sack %u-%u", o->h.sack[i].start - PEER_ISS,
			o->h.sack[i].end - PEER_ISS);
	fprintf(stderr, "\n");
}

/* > FLAGS SEQ ACK [len N] [mss N] [wnd N] [ecr N] [sack A-B,...] [nosack] [later] */
static void expect(struct script *s, mono_t t)
{
	const struct seen *o;
	struct tcp_sack want[TCP_SACK_MAX];
	uint32_t len = 0;
	uint8_t flags = flags_of(s, s->word[2]);

	if (s->taken == s->n_out)
		FAIL(s, "nothing was sent");
	o = &s->out[s->taken++];
	for (size_t i = 5; i < s->n; i++) {
		if (!strcmp(s->word[i], "nosack") && o->h.n_sack > 0) {
			show(s, o);
			FAIL(s, "SACK blocks");
		}
		if (!strcmp(s->word[i], "later") && (int32_t)(o->h.seq - o->top) <= 0)
			FAIL(s, "%d below what was sent before", (int)(o->top - o->h.seq));
	}
	for (size_t i = 5; i + 1 < s->n; i++) {
		if (!strcmp(s->word[i], "len"))
			len = num(s->word[i + 1]);
		if (!strcmp(s->word[i], "mss") && o->h.mss != num(s->word[i + 1]))
			FAIL(s, "mss %u", o->h.mss);
		if (!strcmp(s->word[i], "wnd") && o->h.wnd != num(s->word[i + 1]))
			FAIL(s, "window %u", o->h.wnd);
		if (!strcmp(s->word[i], "ecr") && o->h.tsecr != num(s->word[i + 1]))
			FAIL(s, "echo of %u", o->h.tsecr);
		if (!strcmp(s->word[i], "sack")) {
			size_t n = sacks(s->word[i + 1], want, PEER_ISS);

			show(s, o);
			if (n != o->h.n_sack || memcmp(want, o->h.sack, n * sizeof *want) != 0)
				FAIL(s, "other SACK blocks");
		}
	}
	if ((o->h.flags & ~TCP_PSH) != flags || o->h.seq != s->iss + num(s->word[3]) ||
	    o->len != len || (flags & TCP_ACK && o->h.ack != PEER_ISS + num(s->word[4]))) {
		show(s, o);
		FAIL(s, "other segment");
	}
	if (mono_sub(t, o->at).ns > 3000000 || mono_sub(o->at, t).ns > 3000000) {
		show(s, o);
		FAIL(s, "other time");
	}
	s->last = o->at;
}

static void expect_event(struct script *s)
{
	static const char *const names[] = { "incoming", "connected", "readable", "writable",
					     "ended" };
	struct ns_event ev;

	if (!netstack_next(s->ns, &ev))
		FAIL(s, "no event");
	if (ev.type >= ARRAY_LEN(names) || strcmp(names[ev.type], s->word[2]) != 0)
		FAIL(s, "event %d", ev.type);
	if (s->n > 3 && strcmp(ns_end_names[ev.end], s->word[3]) != 0)
		FAIL(s, "end %s", ns_end_names[ev.end]);
	s->id = ev.id;
}

static void too_big(struct script *s) /* toobig MTU SEQ */
{
	uint8_t b[36] = { 3, 4 };
	struct ip4_head ip = {
		.src = own, .dst = peer, .ttl = 64, .proto = PROTO_TCP, .total_len = 1280
	};
	struct wr w = wr_of(b + 6, 30);

	wr_be16(&w, (uint16_t)num(s->word[2]));
	ip4_emit(b + 8, &ip);
	w = wr_of(b + 28, 8);
	wr_be16(&w, s->port);
	wr_be16(&w, 7777);
	wr_be32(&w, s->iss + num(s->word[3]));
	checksum_store(b + 2, checksum_add(0, b, sizeof b));
	feed(s, PROTO_ICMP, b, sizeof b);
	collect(s);
}

static void act(struct script *s)
{
	static uint8_t bytes[1 << 20];
	const char *w = s->word[1];
	struct ns_piece v[1];
	struct ns_tcp_info info;
	struct ipport local = { .port = 0 }, remote = { peer, 7777 };
	size_t left;

	if (!strcmp(w, "connect")) {
		ck_assert_int_eq(ns_tcp_connect(s->ns, s->now, &local, &remote, &s->id), 0);
	} else if (!strcmp(w, "accept")) {
		ns_tcp_accept(s->ns, s->now, s->id);
	} else if (!strcmp(w, "refuse")) {
		ns_tcp_refuse(s->ns, s->now, s->id);
	} else if (!strcmp(w, "write")) {
		if (ns_tcp_write(s->ns, s->now, s->id, bytes, num(s->word[2])) != num(s->word[2]))
			FAIL(s, "short write");
	} else if (!strcmp(w, "read")) {
		for (left = num(s->word[2]); left > 0; left -= v[0].len) {
			if (ns_tcp_peek(s->ns, s->id, v, 1) == 0)
				FAIL(s, "%zu bytes are missing", left);
			v[0].len = MIN_OF(v[0].len, left);
			ns_tcp_consume(s->ns, s->now, s->id, v[0].len);
		}
	} else if (!strcmp(w, "shutdown")) {
		ns_tcp_shutdown(s->ns, s->now, s->id);
	} else if (!strcmp(w, "release")) {
		ns_tcp_release(s->ns, s->now, s->id);
	} else if (!strcmp(w, "abort")) {
		ns_tcp_abort(s->ns, s->now, s->id);
	} else if (!strcmp(w, "keepalive")) {
		ns_tcp_keepalive(s->ns, s->now, s->id, SPAN_S(num(s->word[2])),
				 SPAN_S(num(s->word[3])), num(s->word[4]));
	} else if (!strcmp(w, "state")) {
		if (!ns_tcp_info(s->ns, s->id, &info) || strcmp(info.state, s->word[2]) != 0)
			FAIL(s, "state %s", info.state);
	} else if (!strcmp(w, "end")) {
		if (!ns_tcp_at_end(s->ns, s->id))
			FAIL(s, "not at the end");
	} else if (!strcmp(w, "gone")) {
		struct netstack_stat st;

		netstack_stat(s->ns, &st);
		if (st.conns != 0)
			FAIL(s, "%zu connections", st.conns);
	} else if (!strcmp(w, "cwnd")) {
		if (!ns_tcp_info(s->ns, s->id, &info) || info.cwnd != num(s->word[2]))
			FAIL(s, "congestion window %u", info.cwnd);
	} else if (!strcmp(w, "spurious")) {
		struct netstack_stat st;

		netstack_stat(s->ns, &st);
		if (st.tcp_spurious != num(s->word[2]))
			FAIL(s, "%llu needless", (unsigned long long)st.tcp_spurious);
	} else {
		FAIL(s, "word %s", w);
	}
	collect(s);
}

static void run_line(struct script *s)
{
	mono_t t = mono_add(s->last, SPAN_NS((int64_t)(strtod(s->word[0], NULL) * 1e9)));

	run_until(s, t);
	if (!strcmp(s->word[1], ">")) {
		run_until(s, mono_add(t, SPAN_MS(3)));
		expect(s, t);
		return;
	}
	if (!strcmp(s->word[1], "none")) {
		if (s->taken != s->n_out) {
			show(s, &s->out[s->taken]);
			FAIL(s, "something was sent");
		}
	} else if (!strcmp(s->word[1], "skip")) {
		s->taken = s->n_out;
	} else if (!strcmp(s->word[1], "hold") || !strcmp(s->word[1], "pull")) {
		s->is_held = s->word[1][0] == 'h';
		collect(s);
	} else if (!strcmp(s->word[1], "<")) {
		if (s->n < 6)
			FAIL(s, "short line");
		inject(s);
	} else if (!strcmp(s->word[1], "event")) {
		expect_event(s);
	} else if (!strcmp(s->word[1], "noevent")) {
		struct ns_event ev;

		if (netstack_next(s->ns, &ev))
			FAIL(s, "event %d", ev.type);
	} else if (!strcmp(s->word[1], "toobig")) {
		too_big(s);
	} else {
		act(s);
	}
	s->last = s->now;
}

static void set(struct script *s) /* set KEY VALUE, before all others */
{
	if (!strcmp(s->word[1], "cc"))
		s->conf.cc = !strcmp(s->word[2], "reno")  ? NS_CC_RENO
			     : !strcmp(s->word[2], "bbr") ? NS_CC_BBR
							  : NS_CC_CUBIC;
	else if (!strcmp(s->word[1], "pending"))
		s->conf.max_pending = num(s->word[2]);
	else if (!strcmp(s->word[1], "rcvbuf"))
		s->conf.rcvbuf_max = num(s->word[2]);
	else
		FAIL(s, "set %s", s->word[1]);
}

static void start(struct script *s)
{
	if (s->ns)
		return;
	s->ns = netstack_new(&s->conf);
	ck_assert_ptr_nonnull(s->ns);
	ck_assert_int_eq(netstack_addr_add(s->ns, &own), 0);
}

static void run_file(const char *path)
{
	struct script *s = calloc(1, sizeof *s);
	size_t len;
	char *text = (char *)harness_file(path, &len), *line, *rest = text;

	s->name = path;
	seed_rng_init(&s->rng, 1);
	s->conf = (struct netstack_conf){ .rng = &s->rng.rng, .mtu = 1280 };
	s->now = s->last = (mono_t){ 10 * NS_PER_S };
	ck_assert_int_eq(burst_init(&s->burst), 0);
	while ((line = strsep(&rest, "\n"))) {
		char *save = NULL;

		s->line++;
		line[strcspn(line, "#")] = 0;
		s->n = 0;
		for (char *w = strtok_r(line, " \t", &save); w && s->n < WORDS;
		     w = strtok_r(NULL, " \t", &save))
			s->word[s->n++] = w;
		if (s->n < 2)
			continue;
		if (!strcmp(s->word[0], "set")) {
			set(s);
			continue;
		}
		start(s);
		run_line(s);
	}
	ck_assert_msg(s->ns != NULL, "%s is empty", path);
	netstack_free(s->ns);
	burst_fini(&s->burst);
	free(text);
	free(s);
}

TEST(pkt_scripts_all_hold)
{
	struct dirent **v;
	int n = scandir("tests/pkt", &v, NULL, alphasort), run = 0;
	char path[512];

	ck_assert_int_gt(n, 0);
	for (int i = 0; i < n; i++) {
		size_t len = strlen(v[i]->d_name);
		const char *only = getenv("PKT");

		if (len > 4 && !strcmp(v[i]->d_name + len - 4, ".pkt") &&
		    (!only || strstr(v[i]->d_name, only))) {
			snprintf(path, sizeof path, "tests/pkt/%s", v[i]->d_name);
			run_file(path);
			run++;
		}
		free(v[i]);
	}
	free(v);
	printf("%d scripts\n", run);
	ck_assert_int_gt(run, 0);
}
