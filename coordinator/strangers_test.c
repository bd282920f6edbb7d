/* coordinator/strangers_test.c - malformed input at every door of the server, over and over: each
 * is answered or hung up on, each is counted, and afterwards there is nothing more than before: no
 * connection, session, client, node, descriptor or memory */
#include <dirent.h>
#include <poll.h>

#include "base/text.h"
#include "coordinator/apikeys.h"
#include "os/file.h"
#include "tests/coordinator_process.h"
#include "ts2021/channel.h"
#include "ts2021/upgrade.h"
#include "wire/stun.h"

enum {
	WARM = 60,   /* until tables and allocators have their size */
	TIMES = 400, /* then counted and weighed */
#ifdef __SANITIZE_ADDRESS__
	GROWTH_PAGES = 1 << 20, /* what was freed stays in quarantine */
#else
	GROWTH_PAGES = 8, /* 80 bytes each time would be more; there are none */
#endif
};

static uint16_t metrics_port;
static struct key_pub control;
static char header[APIKEY_TEXT_MAX + 40]; /* with an API key */

__attribute__((constructor)) static void longer(void)
{
	harness_timeout(120);
}

/* --- what there is --- */

struct look {
	char text[1 << 16]; /* of /metrics */
	size_t n_fds;
	long pages;
};

static void look(struct look *l)
{
	char path[64];
	struct dirent *d;
	long all;
	DIR *dir;
	FILE *f;

	ck_assert_uint_eq(server_request(true, "GET", "/metrics", "", ""), 200);
	ck_assert_uint_lt(strlen(reply), sizeof l->text);
	memcpy(l->text, reply, strlen(reply) + 1);
	snprintf(path, sizeof path, "/proc/%d/fd", (int)srv.pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	l->n_fds = 0;
	while ((d = readdir(dir)))
		l->n_fds++;
	closedir(dir);
	snprintf(path, sizeof path, "/proc/%d/statm", (int)srv.pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld %ld", &all, &l->pages), 2);
	fclose(f);
}

static unsigned long figure(const struct look *l, const char *name)
{
	char line[128];
	const char *p;

	snprintf(line, sizeof line, "\ncoordinator_%s ", name);
	p = strstr(l->text, line);
	ck_assert_msg(p != NULL, "no figure %s", name);
	return strtoul(p + strlen(line), NULL, 10);
}

/* The first gauge that is larger than before; NULL: none */
static const char *grown(const struct look *before, const struct look *after)
{
	static char name[64];

	for (const char *p = after->text; (p = strstr(p, "# TYPE coordinator_")); p++) {
		if (sscanf(p, "# TYPE coordinator_%63s gauge", name) != 1 ||
		    strncmp(p + 19 + strlen(name), " gauge", 6) != 0)
			continue;
		if (figure(after, name) > figure(before, name))
			return name;
	}
	return after->n_fds > before->n_fds ? "descriptors" : NULL;
}

/* each: once, with a number that differs; counter: where it is counted, at least once */
static void again_and_again(const char *counter, void (*each)(unsigned i))
{
	static struct look before, after;
	const char *more;

	for (unsigned i = 0; i < WARM; i++)
		each(i);
	look(&before);
	for (unsigned i = 0; i < TIMES; i++)
		each(i);
	for (int i = 0;; i++) { /* the last of them may be on their way out */
		look(&after);
		more = grown(&before, &after);
		if (!more && figure(&after, counter) >= figure(&before, counter) + TIMES)
			break;
		ck_assert_msg(i < 1000, "%s grows, or %s counts %lu of %d", more ? more : "nothing",
			      counter, figure(&after, counter) - figure(&before, counter), TIMES);
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	ck_assert_msg(after.pages - before.pages <= GROWTH_PAGES, "%s: %ld pages more", counter,
		      after.pages - before.pages);
}

static bool is_refusal(void)
{
	return strncmp(reply, "HTTP/1.1 4", 10) == 0 || strncmp(reply, "HTTP/1.1 50", 11) == 0;
}

static void begin_with(const char *tls, const char *limits)
{
	char more[256], *p;

	metrics_port = server_free_port(SOCK_STREAM);
	snprintf(more, sizeof more,
		 "metrics_listen: 127.0.0.1:%u\ntls: {mode: %s}\nlimits: {handshakes_per_second: "
		 "100000, api_per_second: 100000%s}",
		 metrics_port, tls, limits);
	server_begin(more);
	ck_assert_uint_eq(server_request(true, "GET", "/key?v=116", "", ""), 200);
	p = strstr(reply, "\"publicKey\":\"mkey:");
	ck_assert_ptr_nonnull(p);
	p += strlen("\"publicKey\":\"");
	ck_assert(key_pub_parse(KEY_MACHINE, bytes_of(p, strcspn(p, "\"")), &control));
	ck_assert_uint_eq(server_request(true, "POST", "/api/v1/apikey", "",
					 "{\"expiration\":\"2200-01-01T00:00:00Z\"}"),
			  200);
	p = strstr(reply, "hskey-api-");
	ck_assert_ptr_nonnull(p);
	snprintf(header, sizeof header, "Authorization: Bearer %.*s\r\n", (int)strcspn(p, "\""), p);
}

static void begin(const char *tls)
{
	begin_with(tls, "");
}

static void end(void)
{
	ck_assert_uint_eq(server_request(true, "GET", "/health", "", ""), 200);
	server_stop(SIGTERM, true);
	server_clean();
}

/* --- HTTP --- */

static void bad_head_at(int fd, unsigned i)
{
	static const char *const bad[] = {
		"GARBAGE\r\n\r\n",
		"\x16\x03\x01\x02\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
		"POST /verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
		"GET //../..#x HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	const char *text = bad[i % ARRAY_LEN(bad)];

	server_say(fd, text, strlen(text));
	ck_assert_msg(is_refusal(), "%s: %s", text, reply);
}

static void bad_head(unsigned i)
{
	bad_head_at(server_dial(false), i);
}

static void bad_head_local(unsigned i)
{
	bad_head_at(server_dial(true), i);
}

static void bad_head_for_metrics(unsigned i)
{
	bad_head_at(server_dial_port(metrics_port), i);
}

static void bad_question(unsigned i)
{
	static const char *const bad[] = { "", "{}", "{\"NodePublic\":\"x\"}", "{\"NodePublic\":" };

	ck_assert_uint_eq(server_request(false, "POST", "/verify", "", bad[i % ARRAY_LEN(bad)]),
			  400);
}

static void bad_version(unsigned i)
{
	ck_assert_uint_eq(server_request(false, "GET", i % 2 ? "/key" : "/key?v=x", "", ""), 400);
}

TEST(malformed_http_at_the_port_the_socket_and_the_door_for_metrics_is_counted_and_leaves_nothing)
{
	begin("off");
	again_and_again("http_malformed_total", bad_head);
	again_and_again("http_malformed_total", bad_head_local);
	again_and_again("http_malformed_total", bad_head_for_metrics);
	again_and_again("http_malformed_total", bad_question);
	again_and_again("http_malformed_total", bad_version);
	end();
}

/* A few of these at a time: a port that waits for the rest of a hello says nothing. */
static void no_tls(unsigned i)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	int fd;

	if (i % 2) {
		server_talk(false, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
		ck_assert_msg(strncmp(reply, "HTTP/1.0 400 ", 13) == 0, "%s", reply);
		return;
	}
	fd = server_dial(false);
	ck_assert_int_eq(send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL), sizeof hello - 1);
	close(fd);
}

TEST(what_is_no_tls_at_the_port_for_https_is_counted_and_leaves_nothing)
{
	begin("self");
	again_and_again("tls_failed_total", no_tls);
	end();
}

/* --- the control protocol --- */

static void bad_handshake(unsigned i)
{
	static const char *const start =
	    "POST /ts2021 HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: "
	    "tailscale-control-protocol\r\nX-Tailscale-Handshake: ";
	uint8_t init[NOISE_INIT_LEN] = { 0, 116, 1, 0, 96, (uint8_t)i };
	char text[400], field[200];

	base64_emit(init, i % 3 ? sizeof init : i % 90, BASE64_STD, field);
	server_talk(false, text, (size_t)snprintf(text, sizeof text, "%s%s\r\n\r\n", start, field));
	ck_assert_int_eq(strncmp(reply, "HTTP/1.1 400", 12), 0);
}

/* A connection whose handshake was good; the channel is open. */
static int shake(struct channel *ch)
{
	uint8_t init[NOISE_INIT_LEN], plain[NOISE_PLAIN_MAX];
	size_t n = 0, len = 0, head;
	struct key_priv machine;
	struct bytes in;
	struct buf out;
	char *p = NULL;
	int fd = server_dial(false);

	ck_assert_int_ge(fd, 0);
	key_gen(&machine, &os_rng);
	ck_assert(channel_start(ch, 116, &machine, &control, &os_rng, init));
	buf_init(&out, 4096);
	ck_assert(upgrade_emit(&out, "x", init));
	ck_assert_int_eq(send(fd, buf_bytes(&out).data, out.len, MSG_NOSIGNAL), out.len);
	buf_fini(&out);
	while (!(p = strstr(reply, "\r\n\r\n")) || len < (size_t)(p + 4 - reply) + NOISE_RESP_LEN) {
		ssize_t k = recv(fd, reply + len, sizeof reply - 1 - len, 0);

		ck_assert(k > 0 || (k < 0 && errno == EINTR)); /* stopped and continued */
		len += k > 0 ? (size_t)k : 0;
		reply[len] = 0;
	}
	head = (size_t)(p + 4 - reply);
	in = bytes_of(reply + head, NOISE_RESP_LEN);
	ck_assert_int_eq(channel_read(ch, &in, plain, &n), CHANNEL_READY);
	return fd;
}

static void bad_record(unsigned i)
{
	static const uint8_t bad[][24] = {
		{ 4, 0, 20 }, { 9, 0, 1 }, { 4, 0xff, 0xff }, { 1, 0, 0 }
	};
	struct channel ch = { 0 };
	int fd;

	reply[0] = 0;
	fd = shake(&ch);
	server_say(fd, bad[i % ARRAY_LEN(bad)], sizeof bad[0]);
	channel_fini(&ch);
}

static void bad_http2(unsigned i)
{
	static const char good[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	uint8_t frame[NOISE_FRAME_MAX], plain[64];
	struct channel ch = { 0 };
	size_t n = 0;
	int fd;

	if (i % 2) { /* the preface, then data of a stream that was never opened */
		memcpy(plain, good, sizeof good - 1);
		memcpy(plain + sizeof good - 1, "\0\0\1\0\0\0\0\0\7x", 10);
		n = sizeof good - 1 + 10;
	} else {
		memset(plain, 'a', n = sizeof plain);
	}
	reply[0] = 0;
	fd = shake(&ch);
	n = channel_write(&ch, plain, n, frame);
	ck_assert_uint_gt(n, 0);
	server_say(fd, frame, n);
	channel_fini(&ch);
}

TEST(malformed_handshakes_records_and_http2_of_control_are_counted_and_leave_nothing)
{
	begin("off");
	again_and_again("http_malformed_total", bad_handshake);
	again_and_again("control_malformed_total", bad_record);
	again_and_again("control_malformed_total", bad_http2);
	end();
}

/* Who is no node keeps nobody out, however far he has come. */
TEST(control_connections_and_relay_logins_of_strangers_make_room_for_others)
{
	static const char derp[] =
	    "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n";
	struct channel ch[40] = { 0 };
	int fd[2 * ARRAY_LEN(ch)], n = 0;

	begin_with("off", ", connections: 16");
	for (size_t i = 0; i < ARRAY_LEN(ch); i++) {
		reply[0] = 0;
		fd[n++] = shake(&ch[i]);
	}
	ck_assert_uint_eq(server_request(false, "GET", "/health", "", ""), 200);
	for (size_t i = 0; i < ARRAY_LEN(ch); i++) {
		fd[n] = server_dial(false);
		ck_assert_int_eq(send(fd[n++], derp, sizeof derp - 1, MSG_NOSIGNAL),
				 sizeof derp - 1);
		ck_assert_int_gt(recv(fd[n - 1], reply, sizeof reply, 0), 0); /* it is one now */
	}
	ck_assert_uint_eq(server_request(false, "GET", "/health", "", ""), 200);
	while (n > 0)
		close(fd[--n]);
	for (size_t i = 0; i < ARRAY_LEN(ch); i++)
		channel_fini(&ch[i]);
	end();
}

/* --- the relay --- */

static void bad_frame(unsigned i)
{
	static const char head[] =
	    "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n";
	/* of an unknown type, too long, a client's words that no key opens */
	static const uint8_t bad[][5] = { { 0x99 },
					  { 2, 0xff, 0xff, 0xff, 0xff },
					  { 2, 0, 0, 0, 80 } };
	uint8_t text[sizeof head + 5 + 80] = { 0 };

	memcpy(text, head, sizeof head - 1);
	memcpy(text + sizeof head - 1, bad[i % ARRAY_LEN(bad)], 5);
	server_say(server_dial(false), text, sizeof text - 1);
	ck_assert(reply[0] == 0 || strncmp(reply, "HTTP/1.1 101", 12) == 0);
}

static void bad_message(unsigned i)
{
	static const char head[] =
	    "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
	    "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: "
	    "derp\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
	/* without a mask, an unknown kind, a ping in parts */
	static const uint8_t bad[][7] = { { 0x82, 1, 'a' }, { 0x83, 0x80 }, { 0x09, 0x80 } };
	uint8_t text[sizeof head + 7];

	memcpy(text, head, sizeof head - 1);
	memcpy(text + sizeof head - 1, bad[i % ARRAY_LEN(bad)], 7);
	server_say(server_dial(false), text, sizeof head - 1 + 7);
	ck_assert_int_eq(strncmp(reply, "HTTP/1.1 101", 12), 0);
}

TEST(malformed_relay_frames_by_stream_and_by_websocket_are_counted_and_leave_nothing)
{
	begin("off");
	again_and_again("derp_malformed_total", bad_frame);
	again_and_again("derp_websockets_malformed_total", bad_message);
	end();
}

static void bad_datagram(unsigned i)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr = { htonl(INADDR_LOOPBACK) },
				 .sin_port = htons(srv.stun) };
	uint8_t txid[STUN_TXID] = "twelve bytes", good[STUN_REQUEST_LEN], bad[1200];
	struct pollfd p = { .fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN };
	size_t len = 1 + i * 3 % (sizeof bad - 1);

	ck_assert_int_eq(connect(p.fd, (struct sockaddr *)&a, sizeof a), 0);
	stun_request_emit(txid, good);
	memset(bad, (int)i, sizeof bad);
	memcpy(bad, good, i % STUN_REQUEST_LEN); /* cut short and gone on with otherwise */
	ck_assert_int_eq(send(p.fd, bad, len, 0), len);
	ck_assert_int_eq(send(p.fd, good, sizeof good, 0), sizeof good); /* and is not lost */
	ck_assert_int_eq(poll(&p, 1, 30000), 1);
	ck_assert_int_eq(recv(p.fd, bad, sizeof bad, 0), 32);
	ck_assert_int_eq(poll(&p, 1, 0), 0); /* one answer, to what was a request */
	close(p.fd);
}

TEST(malformed_stun_is_counted_not_answered_and_leaves_nothing)
{
	begin("off");
	again_and_again("stun_malformed_total", bad_datagram);
	end();
}

/* --- the API --- */

static void bad_call(unsigned i)
{
	static const struct {
		const char *method, *target, *body;
	} bad[] = {
		{ "POST", "/api/v1/user", "{" },
		{ "POST", "/api/v1/preauthkey", "[]" },
		{ "PUT", "/api/v1/policy", "{\"policy\":1}" },
		{ "GET", "/api/v1/node/x", "" },
		{ "POST", "/api/v1/node/1/tags", "{\"tags\":{}}" },
		{ "GET", "/api/v1/%zz", "" },
		{ "POST", "/api/v2/tailnet/-/keys", "{" },
		{ "POST", "/api/v2/device/x/tags", "nonsense" },
		{ "GET", "/api/v2/nothing", "" },
	};
	size_t k = i % ARRAY_LEN(bad);
	bool local = i / ARRAY_LEN(bad) % 2;

	ck_assert_uint_ge(
	    server_request(local, bad[k].method, bad[k].target, local ? "" : header, bad[k].body),
	    400);
	ck_assert_msg(is_refusal(), "%s: %s", bad[k].target, reply);
}

static void bad_token(unsigned i)
{
	static const char *const bad[] = { "", "grant_type=x", "client_id=%zz", "client_secret=a" };

	ck_assert_uint_ge(
	    server_request(false, "POST", "/api/v2/oauth/token", "", bad[i % ARRAY_LEN(bad)]), 400);
	ck_assert(is_refusal());
}

static void no_key(unsigned i)
{
	ck_assert_uint_eq(server_request(false, "GET", "/api/v1/node",
					 i % 2 ? "Authorization: Bearer \xff\r\n"
					       : "Authorization: Basic !!!!\r\n",
					 ""),
			  401);
}

TEST(malformed_calls_of_both_apis_by_port_and_socket_are_counted_and_leave_nothing)
{
	begin("off");
	again_and_again("api_refused_total", bad_call);
	again_and_again("api_refused_total", bad_token);
	again_and_again("http_unauthorized_total", no_key);
	end();
}
