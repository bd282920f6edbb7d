/* model/netmap_delta_test.c - property: any sequence of deltas and patches equals the full map; and
 * 10,000 peers
 *
 * The model is an array of peers that the test itself changes; each change goes to one netmap as a
 * delta, and from time to time the whole array goes to a fresh netmap as a full map. Both must then
 * give the same text.
 */
#include "base/json.h"
#include "base/text.h"
#include "model/netmap.h"
#include "tests/harness.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { IDS = 40, ROUNDS = 60, FRAMES = 60, MANY = 10000 };

static const wall_t NOW = { INT64_C(1795309200) * NS_PER_S };

struct peer {
	bool there;
	unsigned key, disco, endpoints, derp, cap, caps, tags, name,
	    routes; /* seeds of values; 0: absent */
	int online;
	bool jailed;
	wall_t expiry, seen;
};

struct world {
	struct seed_rng rng;
	struct peer p[IDS + 1]; /* by id, from 1 */
	char filters[3][32];    /* text, "" when there is none */
	bool any_filter;
};

static unsigned pick(struct world *w, unsigned n)
{
	return (unsigned)rng_below(&w->rng.rng, n);
}

static void put_key(struct jsonw *w, const char *field, const char *prefix, unsigned seed)
{
	char text[96];

	snprintf(text, sizeof text, "%s%064x", prefix, seed);
	jsonw_kstr(w, field, text);
}

static void put_endpoints(struct jsonw *w, unsigned seed)
{
	char text[40];

	jsonw_arr(w);
	for (unsigned i = 0; i < seed % 4; i++) {
		snprintf(text, sizeof text, "10.0.%u.%u:%u", seed % 7, i, 1000 + seed);
		jsonw_str(w, text);
	}
	jsonw_arr_end(w);
}

static void put_caps(struct jsonw *w, unsigned seed)
{
	char name[16];

	jsonw_obj(w);
	for (unsigned i = 0; i < seed % 3; i++) {
		snprintf(name, sizeof name, "cap%u", seed + i);
		jsonw_key(w, name);
		jsonw_null(w);
	}
	jsonw_obj_end(w);
}

static void put_time(struct jsonw *w, const char *field, wall_t t)
{
	char text[WALL_TEXT];

	jsonw_kstr(w, field, wall_text(t, text));
}

static void put_node(struct jsonw *w, int id, const struct peer *p)
{
	char text[64];

	jsonw_obj(w);
	jsonw_ki64(w, "ID", id);
	snprintf(text, sizeof text, "n%d-%u.tail.test.", id, p->name);
	jsonw_kstr(w, "Name", text);
	put_key(w, "Key", "nodekey:", p->key);
	if (p->disco)
		put_key(w, "DiscoKey", "discokey:", p->disco);
	jsonw_key(w, "Addresses");
	jsonw_arr(w);
	snprintf(text, sizeof text, "100.64.1.%d/32", id);
	jsonw_str(w, text);
	jsonw_arr_end(w);
	if (p->routes) {
		jsonw_key(w, "AllowedIPs");
		jsonw_arr(w);
		for (unsigned i = 1; i < p->routes; i++) {
			snprintf(text, sizeof text, "10.%u.%d.0/24", i, id);
			jsonw_str(w, text);
		}
		jsonw_arr_end(w);
	}
	jsonw_key(w, "Endpoints");
	put_endpoints(w, p->endpoints);
	jsonw_ki64(w, "HomeDERP", p->derp);
	jsonw_ki64(w, "Cap", p->cap);
	jsonw_key(w, "CapMap");
	put_caps(w, p->caps);
	if (p->online >= 0)
		jsonw_kbool(w, "Online", p->online);
	jsonw_kbool(w, "IsJailed", p->jailed);
	if (p->expiry.ns)
		put_time(w, "KeyExpiry", p->expiry);
	if (p->seen.ns)
		put_time(w, "LastSeen", p->seen);
	jsonw_obj_end(w);
}

static void change_peer(struct world *w, struct peer *p)
{
	*p = (struct peer){ .there = true,
			    .key = 1 + pick(w, 1000000),
			    .disco = pick(w, 5),
			    .endpoints = pick(w, 20),
			    .derp = pick(w, 5),
			    .cap = pick(w, 5),
			    .caps = pick(w, 9),
			    .name = pick(w, 4),
			    .routes = pick(w, 4),
			    .online = (int)pick(w, 3) - 1,
			    .jailed = pick(w, 2) };
	if (pick(w, 3) == 0)
		p->expiry.ns = NOW.ns + ((int64_t)pick(w, 200) - 100) * NS_PER_S;
	if (pick(w, 3) == 0)
		p->seen.ns = NOW.ns - pick(w, 1000) * NS_PER_S;
}

static void patch_peer(struct world *w, struct jsonw *j, int id, struct peer *p)
{
	jsonw_obj(j);
	jsonw_ki64(j, "NodeID", id);
	if (pick(w, 2)) {
		unsigned v = pick(w, 5);

		jsonw_ki64(j, "DERPRegion", v);
		p->derp = v ? v : p->derp;
	}
	if (pick(w, 3) == 0) {
		p->endpoints = pick(w, 20);
		jsonw_key(j, "Endpoints");
		put_endpoints(j, p->endpoints);
	}
	if (pick(w, 4) == 0) {
		p->key = 1 + pick(w, 1000000);
		put_key(j, "Key", "nodekey:", p->key);
	}
	if (pick(w, 4) == 0) {
		p->disco = 1 + pick(w, 5);
		put_key(j, "DiscoKey", "discokey:", p->disco);
	}
	if (pick(w, 4) == 0) {
		p->caps = pick(w, 9);
		jsonw_key(j, "CapMap");
		put_caps(j, p->caps);
	}
	if (pick(w, 4) == 0) {
		p->online = (int)pick(w, 2);
		jsonw_kbool(j, "Online", p->online);
	}
	if (pick(w, 4) == 0) {
		p->expiry.ns = pick(w, 2) ? 0 : NOW.ns + 50 * NS_PER_S;
		put_time(j, "KeyExpiry", p->expiry);
	}
	if (pick(w, 4) == 0) {
		jsonw_key(j, "CapMap2");
		jsonw_null(j);
		jsonw_key(j, "LastSeen");
		jsonw_null(j);
	}
	jsonw_obj_end(j);
}

/* some peers removed, then some sent anew, then flags, then patches: the order in which
 * control-protocol.md 4.4 applies them */
static void put_deltas(struct world *w, struct jsonw *j)
{
	char id_text[12];

	jsonw_key(j, "PeersRemoved");
	jsonw_arr(j);
	for (unsigned i = pick(w, 4); i > 0; i--) {
		int id = 1 + (int)pick(w, IDS);

		w->p[id].there = false;
		jsonw_i64(j, id);
	}
	jsonw_arr_end(j);
	jsonw_key(j, "PeersChanged");
	jsonw_arr(j);
	for (unsigned i = pick(w, 4); i > 0; i--) {
		int id = 1 + (int)pick(w, IDS);

		if (!w->p[id].there || pick(w, 4)) /* else as it is */
			change_peer(w, &w->p[id]);
		put_node(j, id, &w->p[id]);
	}
	jsonw_arr_end(j);
	for (int online = 0; online < 2; online++) {
		jsonw_key(j, online ? "OnlineChange" : "PeerSeenChange");
		jsonw_obj(j);
		for (unsigned i = pick(w, 3); i > 0; i--) {
			int id = 1 + (int)pick(w, IDS);
			bool v = pick(w, 2);

			snprintf(id_text, sizeof id_text, "%d", id);
			jsonw_kbool(j, id_text, v);
			if (online)
				w->p[id].online = v;
			else
				w->p[id].seen.ns = v ? NOW.ns : 0;
		}
		jsonw_obj_end(j);
	}
	jsonw_key(j, "PeersChangedPatch");
	jsonw_arr(j);
	for (unsigned i = pick(w, 5); i > 0; i--) {
		int id = 1 + (int)pick(w, IDS);

		patch_peer(w, j, id, &w->p[id]);
	}
	jsonw_arr_end(j);
}

static void put_filters(struct world *w, struct jsonw *j)
{
	static const char *const names[3] = { "a", "b", "base" };

	jsonw_key(j, "PacketFilters");
	jsonw_obj(j);
	w->any_filter = true;
	for (int i = 0; i < 3; i++) {
		if (pick(w, 2))
			continue;
		if (pick(w, 3) == 0)
			w->filters[i][0] = 0;
		else
			snprintf(w->filters[i], sizeof w->filters[i], "[{\"x\":%u}]", pick(w, 100));
		jsonw_key(j, names[i]);
		jsonw_raw(j, bytes_str(w->filters[i][0] ? w->filters[i] : "null"));
	}
	jsonw_obj_end(j);
}

static void feed(struct world *w, struct netmap *nm, struct buf *b)
{
	struct bytes in = buf_bytes(b);
	struct netmap_change ch;
	struct err e;

	netmap_begin(nm);
	while (in.len > 0) {
		size_t n = 1 + pick(w, 300);

		n = n < in.len ? n : in.len;
		ck_assert_msg(netmap_feed(nm, bytes_of(in.data, n)) == 0, "refused: %.*s",
			      (int)b->len, (const char *)b->data);
		in = bytes_of(in.data + n, in.len - n);
	}
	ck_assert_int_eq(netmap_end(nm, NOW, &e), 0);
	while (netmap_next_change(nm, &ch))
		if (ch.type == NETMAP_PEER)
			ck_assert_ptr_nonnull(netmap_peer(nm, ch.peer));
	buf_clear(b);
}

static void put_full(struct world *w, struct buf *b)
{
	static const char *const names[3] = { "a", "b", "base" };
	struct peer self = { .key = 7, .online = -1 };
	struct jsonw j;

	jsonw_init(&j, b);
	jsonw_obj(&j);
	jsonw_key(&j, "Node");
	put_node(&j, 250, &self);
	jsonw_key(&j, "Peers");
	jsonw_arr(&j);
	for (int id = IDS; id >= 1; id--)
		if (w->p[id].there)
			put_node(&j, id, &w->p[id]);
	jsonw_arr_end(&j);
	if (w->any_filter) {
		jsonw_key(&j, "PacketFilters");
		jsonw_obj(&j);
		for (int i = 0; i < 3; i++)
			if (w->filters[i][0]) {
				jsonw_key(&j, names[i]);
				jsonw_raw(&j, bytes_str(w->filters[i]));
			}
		jsonw_obj_end(&j);
	}
	jsonw_obj_end(&j);
	ck_assert(jsonw_ok(&j));
}

static void check_lookups(const struct netmap *nm, const struct world *w)
{
	size_t n = 0;

	for (int id = 1; id <= IDS; id++) {
		struct ip a = ip_v4(100, 64, 1, (uint8_t)id);
		const struct netmap_node *p = netmap_by_ip(nm, &a);
		char name[32];

		ck_assert((p != NULL) == w->p[id].there);
		if (!p)
			continue;
		n++;
		snprintf(name, sizeof name, "N%d-%u", id, w->p[id].name);
		ck_assert(p->id == id && netmap_peer(nm, p->peer) == p &&
			  netmap_by_name(nm, bytes_str(name)) == p);
		ck_assert(key_eq(&netmap_by_key(nm, &p->key)->key, &p->key));
	}
	ck_assert_uint_eq(netmap_n_peers(nm), n);
	ck_assert_uint_le(netmap_peer_limit(nm), IDS + 1 + 4); /* numbers stay dense */
}

/* shows the place of the first difference: Check takes no long messages */
static void same_text(struct bytes a, struct bytes b, unsigned seed, int i)
{
	size_t at = 0, from;

	while (at < a.len && at < b.len && a.data[at] == b.data[at])
		at++;
	from = at < 100 ? 0 : at - 100;
	ck_assert_msg(at == a.len && at == b.len, "seed %u frame %d, deltas then full:\n%.*s\n%.*s",
		      seed, i, (int)MIN_OF(a.len - from, 200), (const char *)a.data + from,
		      (int)MIN_OF(b.len - from, 200), (const char *)b.data + from);
}

TEST(netmap_any_random_sequence_of_deltas_and_patches_equals_the_full_map)
{
	struct buf b, one, two;

	buf_init(&b, 1 << 20);
	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	for (unsigned seed = 0; seed < ROUNDS; seed++) {
		struct world w = { .any_filter = false };
		struct netmap *nm = netmap_new();

		seed_rng_init(&w.rng, seed);
		put_full(&w, &b);
		feed(&w, nm, &b);
		for (int i = 0; i < FRAMES; i++) {
			struct netmap *full = netmap_new();
			struct jsonw j;

			jsonw_init(&j, &b);
			jsonw_obj(&j);
			if (pick(&w, 15) == 0) { /* now and then the whole map comes again, on the
						    same stream or a new one */
				buf_clear(&b);
				if (pick(&w, 2))
					netmap_stream_start(nm);
				for (int id = 1; id <= IDS; id++)
					if (pick(&w, 5) == 0)
						change_peer(&w, &w.p[id]);
				put_full(&w, &b);
			} else {
				put_deltas(&w, &j);
				if (pick(&w, 3) == 0)
					put_filters(&w, &j);
				jsonw_obj_end(&j);
				ck_assert(jsonw_ok(&j));
			}
			feed(&w, nm, &b);
			put_full(&w, &b);
			feed(&w, full, &b);
			ck_assert_int_eq(netmap_emit(nm, &one), 0);
			ck_assert_int_eq(netmap_emit(full, &two), 0);
			same_text(buf_bytes(&one), buf_bytes(&two), seed, i);
			buf_clear(&one);
			buf_clear(&two);
			check_lookups(nm, &w);
			netmap_free(full);
		}
		netmap_free(nm);
	}
	buf_fini(&b);
	buf_fini(&one);
	buf_fini(&two);
}

/* --- 10,000 peers --- */

/* A peer as Headscale sends it, Hostinfo included: about 1.5 KB of JSON. */
static void big_node(struct buf *b, unsigned id)
{
	ck_assert(buf_printf(
	    b,
	    "{\"ID\":%u,\"StableID\":\"%u\",\"Name\":\"node-%u.tail.test.\",\"User\":1,\"Key\":"
	    "\"nodekey:%064x\",\"Machine\":\"mkey:%064x\",\"DiscoKey\":\"discokey:%064x\","
	    "\"Addresses\":[\"100.%u.%u.%u/32\",\"fd7a:115c:a1e0::%x/"
	    "128\"],\"AllowedIPs\":[\"100.%u.%u.%u/32\",\"fd7a:115c:a1e0::%x/128\"],"
	    "\"Endpoints\":[\"192.0.2.1:%u\",\"10.0.0.7:41641\",\"172.17.0.1:41641\",\"[2001:db8::%"
	    "x]:41641\"],\"HomeDERP\":%u,",
	    id, id, id, id, id, id, 64 + id / 65536, id / 256 % 256, id % 256, id, 64 + id / 65536,
	    id / 256 % 256, id % 256, id, 1024 + id % 60000, id, 1 + id % 20));
	ck_assert(buf_printf(
	    b,
	    "\"Hostinfo\":{\"IPNVersion\":\"1.102.5\",\"BackendLogID\":\"%064x\",\"OS\":\"linux\","
	    "\"OSVersion\":\"6.18.0\",\"Container\":true,\"Distro\":\"debian\",\"DistroVersion\":"
	    "\"12.11\","
	    "\"DistroCodeName\":\"bookworm\",\"Desktop\":false,\"Hostname\":\"node-%u\","
	    "\"NoLogsNoSupport\":true,\"Machine\":\"x86_64\",\"GoArch\":\"amd64\",\"GoArchVar\":"
	    "\"v1\","
	    "\"GoVersion\":\"go1.26.8\",\"Services\":[{\"Proto\":\"peerapi4\",\"Port\":58436},{"
	    "\"Proto\":\"peerapi6\",\"Port\":58436},{\"Proto\":\"peerapi-dns-proxy\",\"Port\":1}],"
	    "\"NetInfo\":{\"WorkingIPv6\":false,\"OSHasIPv6\":true,\"WorkingUDP\":true,"
	    "\"PreferredDERP\":1,\"DERPLatency\":{\"1-v4\":0.000681952}},\"Userspace\":true},"
	    "\"Created\":\"2026-11-22T00:59:07.263535647Z\",\"Cap\":142,\"Tags\":[\"tag:server\"],"
	    "\"Online\":true,\"MachineAuthorized\":true}",
	    id, id));
}

static long resident_peak_kb(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

TEST(netmap_ten_thousand_peers_are_decoded_as_a_stream_at_1_kb_a_peer_at_rest)
{
	struct netmap *nm = netmap_new();
	size_t sent = 0, heap_before = mallinfo2().uordblks, heap_after;
	long peak_before = resident_peak_kb(), peak_after;
	struct netmap_stat st;
	struct buf b;
	struct err e;

	buf_init(&b, 1 << 16);
	netmap_begin(nm);
	ck_assert(buf_printf(&b, "{\"Node\":"));
	big_node(&b, 1);
	ck_assert(buf_printf(&b, ",\"Peers\":["));
	for (unsigned id = 2; id < MANY + 2; id++) {
		big_node(&b, id);
		ck_assert(buf_printf(&b, id < MANY + 1 ? "," : "]}"));
		sent += b.len;
		ck_assert_int_eq(netmap_feed(nm, buf_bytes(&b)), 0);
		buf_clear(&b);
	}
	ck_assert_int_eq(netmap_end(nm, NOW, &e), 0);
	for (struct netmap_change ch; netmap_next_change(nm, &ch);)
		ck_assert_uint_ne(ch.type, NETMAP_PEER_REMOVED);
	buf_fini(&b);
	ck_assert_uint_eq(netmap_n_peers(nm), MANY);
	netmap_stat(nm, &st);
	heap_after = mallinfo2().uordblks;
	peak_after = resident_peak_kb();
	printf("netmap: %d peers from %zu bytes of JSON; at rest %zu bytes a peer by count, %zu on "
	       "the heap; peak grew by %ld KB\n",
	       MANY, sent, st.memory / MANY, (heap_after - heap_before) / MANY,
	       peak_after - peak_before);
	fflush(stdout);
	ck_assert_uint_le(st.memory / MANY, 1024);
#if !defined(__SANITIZE_ADDRESS__)
	ck_assert_uint_le((heap_after - heap_before) / MANY, 1024);
	ck_assert_int_le(peak_after - peak_before, 16 * 1024);
#endif
	netmap_free(nm);
}
