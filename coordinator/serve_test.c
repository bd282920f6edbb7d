/* coordinator/serve_test.c - the whole server as a process on loopback: strangers' bytes, limits,
 * keys, kill -9 */
#include "tests/coordinator_process.h"

#include <poll.h>

#include "coordinator/apikeys.h"
#include "coordinator/store.h"
#include "crypto/hash.h"
#include "wire/stun.h"

__attribute__((constructor)) static void longer(void)
{
	harness_timeout(60);
}

TEST(pages_and_probes_answer)
{
	server_begin("");
	ck_assert_uint_eq(server_request(false, "GET", "/", "", ""), 200);
	ck_assert_uint_eq(server_request(false, "GET", "/health", "", ""), 200);
	ck_assert_uint_eq(server_request(false, "GET", "/version", "", ""), 200);
	ck_assert_uint_eq(server_request(false, "GET", "/bootstrap-dns?q=127.0.0.1", "", ""), 200);
	ck_assert_ptr_nonnull(strstr(reply, "{\"127.0.0.1\":[\"127.0.0.1\"]}"));
	ck_assert_uint_eq(server_request(false, "GET", "/derp/probe", "", ""), 200);
	ck_assert_uint_eq(server_request(false, "GET", "/generate_204", "", ""), 204);
	ck_assert_uint_eq(server_request(false, "GET", "/derp", "", ""), 426);
	ck_assert_uint_eq(server_request(false, "GET", "/key?v=116", "", ""), 200);
	ck_assert_ptr_nonnull(strstr(reply, "\"publicKey\":\"mkey:"));
	ck_assert_uint_eq(server_request(false, "GET", "/key", "", ""), 400);
	ck_assert_uint_eq(server_request(false, "GET", "/nothing", "", ""), 404);
	ck_assert_uint_eq(server_request(false, "DELETE", "/", "", ""), 405);
	ck_assert_uint_eq(server_request(false, "POST", "/ts2021", "", ""), 400);
	ck_assert_uint_eq(server_request(false, "GET", "/register/AAAA", "", ""), 404);
	ck_assert_uint_eq(server_request(false, "GET", "/register/%3Cscript%3E", "", ""), 404);
	ck_assert_ptr_null(strstr(reply, "<script"));
	ck_assert_uint_eq(server_request(false, "GET", "/metrics", "", ""), 200);
	ck_assert_ptr_nonnull(
	    strstr(reply, "# TYPE coordinator_nodes gauge\ncoordinator_nodes 0\n"));
	ck_assert_uint_eq(
	    server_request(false, "POST", "/verify", "",
			   "{\"NodePublic\":\"nodekey:"
			   "0101010101010101010101010101010101010101010101010101010101010101\"}"),
	    200);
	ck_assert_ptr_nonnull(strstr(reply, "{\"Allow\":false}"));
	ck_assert_uint_eq(server_request(false, "POST", "/verify", "", "{}"), 400);
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(api_wants_a_key_over_the_network_and_none_over_the_socket)
{
	char key[APIKEY_TEXT_MAX], header[APIKEY_TEXT_MAX + 40], *p;

	server_begin("");
	ck_assert_uint_eq(server_request(false, "GET", "/api/v1/node", "", ""), 401);
	ck_assert_uint_eq(server_request(false, "GET", "/api/v1/node",
					 "Authorization: Bearer hskey-api-AAAA-BBBB\r\n", ""),
			  401);
	ck_assert_uint_eq(server_request(true, "POST", "/api/v1/apikey", "",
					 "{\"expiration\":\"2200-01-01T00:00:00Z\"}"),
			  200);
	p = strstr(reply, "hskey-api-");
	ck_assert_ptr_nonnull(p);
	snprintf(key, sizeof key, "%.*s", (int)strcspn(p, "\""), p);
	snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", key);
	server_stop(SIGTERM, true);
	server_run(); /* and it is kept */
	ck_assert_uint_eq(server_request(false, "GET", "/api/v1/node", header, ""), 200);
	ck_assert_ptr_nonnull(strstr(reply, "{\"nodes\":[]}"));
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(figures_are_not_for_whom_a_proxy_on_this_host_lets_through)
{
	static const char *const by_proxy[] = { "Forwarded: for=192.0.2.1\r\n",
						"X-Forwarded-For: 192.0.2.1\r\n",
						"x-forwarded-proto: https\r\n",
						"X-Real-IP: 192.0.2.1\r\n", "Via: 1.1 x\r\n" };

	server_begin("");
	ck_assert_uint_eq(server_request(false, "GET", "/metrics", "", ""), 200);
	for (size_t i = 0; i < ARRAY_LEN(by_proxy); i++) {
		ck_assert_uint_eq(server_request(false, "GET", "/metrics", by_proxy[i], ""), 401);
		ck_assert_uint_eq(server_request(true, "GET", "/metrics", by_proxy[i], ""), 200);
	}
	server_stop(SIGTERM, true);
	server_clean();
	server_begin("server_url: https://net.example");
	ck_assert_uint_eq(server_request(false, "GET", "/metrics", "", ""), 401);
	ck_assert_uint_eq(server_request(true, "GET", "/metrics", "", ""), 200);
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(kill_9_after_any_answer_loses_no_user)
{
	char body[64];

	server_begin("");
	for (int i = 0; i < 12; i++) {
		snprintf(body, sizeof body, "{\"name\":\"u%d\"}", i);
		ck_assert_uint_eq(server_request(true, "POST", "/api/v1/user", "", body), 200);
		server_stop(SIGKILL, false);
		server_run();
		snprintf(body, sizeof body, "/api/v1/user?name=u%d", i);
		ck_assert_uint_eq(server_request(true, "GET", body, "", ""), 200);
		ck_assert_ptr_null(strstr(reply, "[]"));
	}
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(malformed_requests_are_answered_and_closed)
{
	static const char *const bad[] = {
		"GARBAGE\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
		"POST /verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET //../..#x HTTP/1.1\r\nHost: x\r\n\r\n"
	};

	server_begin("");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		server_talk(false, bad[i], strlen(bad[i]));
		ck_assert_msg(strncmp(reply, "HTTP/1.1 400", 12) == 0, "%zu: %s", i, reply);
	}
	ck_assert_uint_eq(server_request(false, "GET", "/health", "", ""), 200);
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(connections_that_say_nothing_make_room_for_those_that_do)
{
	int fd[40];

	server_begin("limits: {connections: 16}");
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = server_dial(false);
		ck_assert_int_ge(fd[i], 0);
	}
	ck_assert_uint_eq(server_request(false, "GET", "/health", "", ""), 200);
	ck_assert_uint_eq(server_request(true, "GET", "/health", "", ""), 200);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(commands_get_in_when_all_places_are_taken)
{
	int fd[20];

	server_begin("limits: {connections: 16}");
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = server_dial(true); /* of these none gives way */
	ck_assert_uint_eq(server_request(true, "GET", "/api/v1/node", "", ""), 200);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(head_and_body_beyond_their_limits_are_refused)
{
	char *big = malloc(3 << 20);
	int n;

	ck_assert_ptr_nonnull(big);
	server_begin("");
	n = snprintf(big, 100, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ");
	memset(big + n, 'a', 40000);
	server_talk(false, big, (size_t)n + 40000);
	ck_assert_int_eq(strncmp(reply, "HTTP/1.1 400", 12), 0);
	ck_assert_uint_eq(server_request(false, "POST", "/verify", "X-A: b\r\n", ""), 400);
	n = snprintf(big, 200,
		     "POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n");
	server_talk(false, big, (size_t)n);
	ck_assert_int_eq(strncmp(reply, "HTTP/1.1 413", 12), 0);
	n = snprintf(
	    big, 200,
	    "POST /verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n");
	memset(big + n, 'a', 2 << 20);
	server_talk(false, big, (size_t)n + (2 << 20));
	ck_assert_uint_eq(server_request(false, "GET", "/health", "", ""), 200);
	server_stop(SIGTERM, true);
	server_clean();
	free(big);
}

TEST(several_requests_share_a_connection_and_chunks_are_joined)
{
	static const char two[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
				  "POST /api/v1/user HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
				  "chunked\r\n\r\n5\r\n{\"nam\r\nb\r\ne\":\"alice\"}\r\n0\r\n\r\n"
				  "GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	const char *p;

	server_begin("");
	server_talk(true, two, strlen(two));
	p = strstr(reply, "\"status\":\"pass\"");
	ck_assert_ptr_nonnull(p);
	p = strstr(p, "\"name\":\"alice\"");
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(strstr(p, "\"version\""));
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(head_is_answered_as_get_without_the_body)
{
	static const char text[] = "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"
				   "HEAD /api/v1/node HTTP/1.1\r\nHost: x\r\n\r\n"
				   "GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	const char *p;

	server_begin("");
	server_talk(false, text, strlen(text));
	ck_assert_int_eq(strncmp(reply, "HTTP/1.1 200 OK\r\n", 17), 0);
	ck_assert_ptr_nonnull(strstr(reply, "Content-Length: 17\r\n"));
	p = strstr(reply, "\r\n\r\n");
	ck_assert_int_eq(strncmp(p + 4, "HTTP/1.1 401 ", 13), 0);
	p = strstr(p + 4, "\r\n\r\n");
	ck_assert_int_eq(strncmp(p + 4, "HTTP/1.1 200 ", 13), 0);
	ck_assert_ptr_nonnull(strstr(p, "\"version\""));
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(registration_handshakes_are_limited_by_address)
{
	unsigned limited = 0;

	server_begin("limits: {handshakes_per_second: 1, api_per_second: 2}");
	for (int i = 0; i < 15; i++)
		limited += server_request(false, "POST", "/ts2021", "", "") == 429;
	ck_assert_uint_ge(limited, 3);
	limited = 0;
	for (int i = 0; i < 30; i++)
		limited += server_request(false, "GET", "/api/v1/node", "", "") == 429;
	ck_assert_uint_ge(limited, 5);
	ck_assert_uint_eq(server_request(true, "GET", "/api/v1/node", "", ""),
			  200); /* the command line is not */
	server_stop(SIGTERM, true);
	server_clean();
}

/* A header with an API key that the server made */
static const char *with_key(void)
{
	static char header[APIKEY_TEXT_MAX + 40];
	const char *p;

	ck_assert_uint_eq(server_request(true, "POST", "/api/v1/apikey", "",
					 "{\"expiration\":\"2200-01-01T00:00:00Z\"}"),
			  200);
	p = strstr(reply, "hskey-api-");
	ck_assert_ptr_nonnull(p);
	snprintf(header, sizeof header, "Authorization: Bearer %.*s\r\n", (int)strcspn(p, "\""), p);
	return header;
}

TEST(calls_without_a_key_take_nothing_from_those_with_one)
{
	const char *header;
	unsigned limited = 0;

	server_begin("limits: {api_per_second: 1}");
	header = with_key();
	for (int i = 0; i < 30; i++)
		limited += server_request(false, "GET", "/api/v1/node", "", "") == 429;
	ck_assert_uint_ge(limited, 5);
	ck_assert_uint_eq(server_request(false, "GET", "/api/v1/node", header, ""), 200);
	limited = 0;
	for (int i = 0; i < 30; i++)
		limited += server_request(false, "GET", "/api/v1/node", header, "") == 429;
	ck_assert_uint_ge(limited, 5);
	server_stop(SIGTERM, true);
	server_clean();
}

/* A head that announces so much, or sends it in a chunk of that size: the status at once */
static unsigned status_of(bool local, const char *target, const char *more, size_t len,
			  bool chunked)
{
	char *text = calloc(1, 1024 + (chunked ? len : 0));
	int n;

	ck_assert_ptr_nonnull(text);
	n = snprintf(text, 1024, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", target,
		     more);
	n += chunked ? snprintf(text + n, 200, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", len)
		     : snprintf(text + n, 200, "Content-Length: %zu\r\n\r\n", len);
	if (chunked)
		memcpy(text + n + len, "\r\n0\r\n\r\n", 7);
	server_talk(local, text, (size_t)n + (chunked ? len + 7 : 0));
	free(text);
	return strncmp(reply, "HTTP/1.1 ", 9) == 0 ? (unsigned)strtoul(reply + 9, NULL, 10) : 0;
}

TEST(who_has_no_key_may_not_send_large_bodies)
{
	enum { MUCH = 20000 };
	const char *header;

	server_begin("");
	header = with_key();
	for (int chunked = 0; chunked < 2; chunked++) {
		ck_assert_uint_eq(status_of(false, "/verify", "", MUCH, chunked), 413);
		ck_assert_uint_eq(status_of(false, "/ts2021", "", MUCH, chunked), 413);
		ck_assert_uint_eq(status_of(false, "/api/v1/user", "", MUCH, chunked), 401);
		ck_assert_uint_eq(status_of(false, "/api/v2/oauth/token", "", MUCH, chunked), 401);
	}
	ck_assert_uint_eq(status_of(false, "/api/v1/user", header, MUCH, true), 400);
	ck_assert_uint_eq(status_of(true, "/api/v1/user", "", MUCH, true), 400);
	ck_assert_uint_eq(status_of(false, "/api/v1/user", header, 2 << 20, false), 413);
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(stun_answers_tailnet_nodes_and_nobody_else)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	uint8_t txid[STUN_TXID] = "twelve bytes", got[STUN_TXID], request_bytes[STUN_REQUEST_LEN],
		answer[128];
	struct pollfd p = { .events = POLLIN };
	struct ipport mapped;
	ssize_t n;

	server_begin("");
	a.sin_port = htons(srv.stun);
	p.fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(connect(p.fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(send(p.fd, "hello", 5, 0), 5);
	stun_request_emit(txid, request_bytes);
	request_bytes[39] ^= 1; /* wrong fingerprint: no answer */
	ck_assert_int_eq(send(p.fd, request_bytes, sizeof request_bytes, 0), sizeof request_bytes);
	request_bytes[39] ^= 1;
	ck_assert_int_eq(send(p.fd, request_bytes, sizeof request_bytes, 0), sizeof request_bytes);
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	n = recv(p.fd, answer, sizeof answer, 0);
	ck_assert_int_eq(n, 32);
	ck_assert_int_eq(stun_answer_parse(answer, (size_t)n, got, &mapped), STUN_OK);
	ck_bytes_eq(got, txid, sizeof txid);
	ck_assert_uint_eq(server_request(false, "GET", "/metrics", "", ""), 200);
	ck_assert_ptr_nonnull(strstr(reply, "coordinator_stun_requests_total 1\n"));
	ck_assert_ptr_nonnull(strstr(reply, "coordinator_stun_malformed_total 2\n"));
	close(p.fd);
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(policy_from_a_file_is_read_at_start_and_again_on_sighup)
{
	char path[96], more[128];
	FILE *f;

	snprintf(path, sizeof path, "/tmp/serve-test-policy-%d", (int)getpid());
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs("{\"acls\":[]}", f);
	fclose(f);
	snprintf(more, sizeof more, "policy: {path: %s}", path);
	server_begin(more);
	ck_assert_uint_eq(server_request(true, "GET", "/api/v1/policy", "", ""), 200);
	ck_assert_ptr_nonnull(strstr(reply, "{\\\"acls\\\":[]}"));
	ck_assert_uint_eq(server_request(true, "PUT", "/api/v1/policy", "", "{\"policy\":\"{}\"}"),
			  403);
	f = fopen(path, "w");
	fputs("{\"acls\":[ ]}", f);
	fclose(f);
	kill(srv.pid, SIGHUP);
	for (int i = 0; i < 500 && !strstr(reply, "[ ]"); i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		ck_assert_uint_eq(server_request(true, "GET", "/api/v1/policy", "", ""), 200);
	}
	ck_assert_ptr_nonnull(strstr(reply, "[ ]"));
	f = fopen(path, "w"); /* one that does not load leaves the old one in force */
	fputs("{\"acls\":", f);
	fclose(f);
	kill(srv.pid, SIGHUP);
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	ck_assert_uint_eq(server_request(true, "GET", "/api/v1/policy", "", ""), 200);
	ck_assert_ptr_nonnull(strstr(reply, "[ ]"));
	server_stop(SIGTERM, true);
	unlink(path);
	server_clean();
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

/* How often the server has said these words */
static unsigned said(const char *words)
{
	static char text[1 << 16];
	char path[96];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/log", srv.dir);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	for (const char *p = text; (p = strstr(p, words)); p++)
		n++;
	return n;
}

static void wait_until_said(const char *words)
{
	for (int i = 0; i < 3000 && said(words) == 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	ck_assert_msg(said(words) > 0, "never said: %s", words);
}

TEST(each_policy_that_comes_from_the_file_leaves_an_audit_line_and_a_refused_one_none)
{
	char path[96], more[128], first[192], second[192];

	snprintf(path, sizeof path, "/tmp/serve-test-audit-%d", (int)getpid());
	snprintf(first, sizeof first, " audit: policy set from %s, 11 bytes from=server\n", path);
	snprintf(second, sizeof second, " audit: policy set from %s, 12 bytes from=server\n", path);
	write_text(path, "{\"acls\":[]}");
	snprintf(more, sizeof more, "policy: {path: %s}", path);
	srv.has_log = true;
	server_begin(more);
	wait_until_said(first);
	write_text(path, "{\"acls\":[ ]}");
	kill(srv.pid, SIGHUP);
	wait_until_said(second);
	write_text(path, "{\"acls\":");
	kill(srv.pid, SIGHUP);
	wait_until_said("the policy before stays in force");
	server_stop(SIGTERM, true);
	ck_assert_uint_eq(said(first), 1);
	ck_assert_uint_eq(said("audit: policy"), 2);
	unlink(path);
	server_clean();
	srv.has_log = false;
}

/* In the database of a server that does not run */
static void kept_before(const char *name, struct bytes value)
{
	char path[96];
	struct err e = { 0 };
	struct store *db;

	snprintf(path, sizeof path, "%s/coordinator.db", srv.dir);
	db = store_open(path, &e);
	ck_assert_msg(db && store_set(db, name, value, &e) == 0 && store_commit(db, &e) == 0, "%s",
		      e.text);
	store_close(db);
}

/* Nodes come and go after a policy was set; the tailnet needs a server all the same. */
TEST(a_policy_that_was_in_force_starts_the_server_though_its_tests_fail_now)
{
	static const char policy[] =
	    "{\"acls\":[],\"tests\":[{\"src\":\"100.64.0.9\",\"accept\":[\"100.64.0.8:22\"]}]}";
	uint8_t hash[HASH_LEN];
	char path[96], more[128];

	snprintf(path, sizeof path, "/tmp/serve-test-tests-%d", (int)getpid());
	write_text(path, policy);
	snprintf(more, sizeof more, "policy: {path: %s}", path);
	hash256(hash, bytes_str(policy));
	srv.has_log = true;
	for (int from_file = 0; from_file < 2; from_file++) {
		server_prepare(from_file ? more : "");
		if (from_file)
			kept_before("policy_file", bytes_of(hash, sizeof hash));
		else
			kept_before("policy", bytes_str(policy));
		server_run();
		wait_until_said("test fails: 100.64.0.9 to 100.64.0.8:22");
		ck_assert_uint_eq(server_request(true, "GET", "/api/v1/policy", "", ""), 200);
		ck_assert_ptr_nonnull(strstr(reply, "100.64.0.8:22"));
		if (from_file) {
			kill(srv.pid, SIGHUP); /* while it runs the one before is better */
			wait_until_said("the policy before stays in force");
		}
		server_stop(SIGTERM, true);
		server_clean();
	}
	unlink(path);
	srv.has_log = false;
}

TEST(stored_policy_and_keys_of_the_server_stay_the_same_over_a_restart)
{
	char key[200];

	server_begin("");
	server_request(false, "GET", "/key?v=116", "", "");
	snprintf(key, sizeof key, "%s", strstr(reply, "publicKey\":\"mkey:"));
	ck_assert_uint_eq(server_request(true, "PUT", "/api/v1/policy", "",
					 "{\"policy\":\"{\\\"acls\\\": []}\"}"),
			  200);
	ck_assert_uint_eq(server_request(true, "PUT", "/api/v1/policy", "", "{\"policy\":\"{\"}"),
			  500);
	server_stop(SIGKILL, false);
	server_run();
	server_request(false, "GET", "/key?v=116", "", "");
	ck_assert_ptr_nonnull(strstr(reply, key));
	ck_assert_uint_eq(server_request(true, "GET", "/api/v1/policy", "", ""), 200);
	ck_assert_ptr_nonnull(strstr(reply, "{\\\"acls\\\": []}"));
	server_stop(SIGTERM, true);
	server_clean();
}

static long id_of(const char *name)
{
	char target[80];
	const char *p;

	snprintf(target, sizeof target, "/api/v1/user?name=%s", name);
	ck_assert_uint_eq(server_request(true, "GET", target, "", ""), 200);
	p = strstr(reply, "\"id\":\"");
	return p ? strtol(p + 6, NULL, 10) : -1;
}

static void make_user(const char *name)
{
	char body[80];

	snprintf(body, sizeof body, "{\"name\":\"%s\"}", name);
	ck_assert_uint_eq(server_request(true, "POST", "/api/v1/user", "", body), 200);
}

TEST(id_of_what_was_deleted_is_not_given_again_after_a_restart)
{
	char target[80];
	long id;

	server_begin("");
	make_user("first");
	make_user("last");
	id = id_of("last");
	ck_assert_int_gt(id, 1);
	snprintf(target, sizeof target, "/api/v1/user/%ld", id);
	ck_assert_uint_eq(server_request(true, "DELETE", target, "", ""), 200);
	server_stop(SIGKILL, false);
	server_run();
	make_user("new");
	ck_assert_int_eq(id_of("new"), id + 1);
	server_stop(SIGTERM, true);
	server_clean();
}

TEST(number_of_an_api_key_that_was_deleted_is_not_given_again_after_a_restart)
{
	server_begin("");
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(server_request(true, "POST", "/api/v1/apikey", "", "{}"), 200);
	ck_assert_uint_eq(server_request(true, "DELETE", "/api/v1/apikey/2", "", ""), 200);
	server_stop(SIGKILL, false);
	server_run();
	ck_assert_uint_eq(server_request(true, "POST", "/api/v1/apikey", "", "{}"), 200);
	ck_assert_uint_eq(server_request(true, "GET", "/api/v1/apikey", "", ""), 200);
	ck_assert_ptr_nonnull(strstr(reply, "\"id\":\"3\""));
	ck_assert_ptr_null(strstr(reply, "\"id\":\"2\""));
	server_stop(SIGTERM, true);
	server_clean();
}

/* all that the API shows of what is stored */
static char *shown(void)
{
	static const char *const lists[] = { "/api/v1/user", "/api/v1/preauthkey", "/api/v1/apikey",
					     "/api/v1/node", "/api/v1/policy" };
	char *all = NULL, *more;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const char *body;

		ck_assert_uint_eq(server_request(true, "GET", lists[i], "", ""), 200);
		body = strstr(reply, "\r\n\r\n");
		ck_assert_ptr_nonnull(body);
		ck_assert_int_ge(asprintf(&more, "%s%s\n", all ? all : "", body + 4), 0);
		free(all);
		all = more;
	}
	return all;
}

TEST(backup_put_in_place_of_the_database_has_all_that_was_there_when_it_was_made)
{
	char copy[96], db[96], wal[96], body[160], *before, *after;
	size_t same = 0;
	int n;

	server_begin("");
	for (int i = 0; i < 30; i++) {
		snprintf(body, sizeof body, "u%d", i);
		make_user(body);
		n = snprintf(body, sizeof body, "{\"user\":\"%d\",\"reusable\":true}", i + 1);
		ck_assert_int_lt(n, (int)sizeof body);
		ck_assert_uint_eq(server_request(true, "POST", "/api/v1/preauthkey", "", body),
				  200);
	}
	ck_assert_uint_eq(server_request(true, "POST", "/api/v1/apikey", "", "{}"), 200);
	ck_assert_uint_eq(server_request(true, "PUT", "/api/v1/policy", "",
					 "{\"policy\":\"{\\\"acls\\\": []}\"}"),
			  200);
	before = shown();
	ck_assert_ptr_nonnull(strstr(before, "u29"));
	snprintf(copy, sizeof copy, "%s/copy", srv.dir);
	snprintf(db, sizeof db, "%s/coordinator.db", srv.dir);
	snprintf(wal, sizeof wal, "%s/coordinator.db-wal", srv.dir);
	snprintf(body, sizeof body, "{\"path\":\"%s\"}", copy);
	ck_assert_uint_eq(server_request(true, "POST", "/api/v1/debug/backup", "", body), 200);
	make_user("later");
	server_stop(SIGTERM, true);
	unlink(wal); /* as docs/operations/coordinator.md says */
	ck_assert_int_eq(rename(copy, db), 0);
	server_run();
	after = shown();
	while (before[same] && before[same] == after[same])
		same++;
	ck_assert_msg(before[same] == after[same], "before: %.200s; after: %.200s", before + same,
		      after + same);
	free(before);
	free(after);
	server_stop(SIGTERM, true);
	server_clean();
}

/* A start with these settings that ends by itself: its exit code, and its last words */
static void start_ends(const char *more, int code, const char *words)
{
	int status;

	srv.has_log = true;
	server_prepare(more);
	server_fork();
	ck_assert_int_eq(waitpid(srv.pid, &status, 0), srv.pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "%s: %d", more,
		      WEXITSTATUS(status));
	ck_assert_msg(said(words) > 0, "%s: never said: %s", more, words);
	server_clean();
	srv.has_log = false;
}

TEST(what_is_wrong_in_a_file_that_a_setting_names_ends_the_start_with_78)
{
	static const char *const bad[][2] = {
		{ "policy: {path: /nonexistent/p}", "policy.path: read /nonexistent/p: No such" },
		{ "policy: {path: /dev}", "policy.path: read /dev: Is a directory" },
		{ "policy: {path: /proc/self/status}",
		  "policy.path /proc/self/status: policy: line 1" },
		{ "api_key_file: /nonexistent/k",
		  "api_key_file /nonexistent/k: read /nonexistent/k: No such" },
		{ "api_key_file: /dev/null", "api_key_file /dev/null: an API key has" },
		{ "tls: {mode: files, certificate: /nonexistent/c, key: /nonexistent/k}",
		  "tls.certificate, tls.key: certificate file /nonexistent/c: No such" },
		{ "tls: {mode: files, certificate: /dev/null, key: /dev/null}",
		  "tls.certificate, tls.key: certificate file /dev/null" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		start_ends(bad[i][0], SERVE_EXIT_CONFIG, bad[i][1]);
	if (getuid() == 0) /* else it stays who it is */
		start_ends("user: nobody-of-this-name", SERVE_EXIT_CONFIG,
			   "user: there is no nobody-of-this-name");
}

TEST(a_policy_file_that_was_never_in_force_and_whose_tests_fail_ends_the_start)
{
	char path[96], more[128];

	snprintf(path, sizeof path, "/tmp/serve-test-never-%d", (int)getpid());
	write_text(
	    path,
	    "{\"acls\":[],\"tests\":[{\"src\":\"100.64.0.9\",\"accept\":[\"100.64.0.8:22\"]}]}");
	snprintf(more, sizeof more, "policy: {path: %s}", path);
	start_ends(more, SERVE_EXIT_CONFIG, "test fails: 100.64.0.9 to 100.64.0.8:22");
	unlink(path);
}

TEST(a_policy_file_that_was_in_force_is_known_at_the_next_start)
{
	static const char policy[] = "{\"acls\":[]}";
	uint8_t hash[HASH_LEN];
	char path[96], more[128];
	AUTO_FREE char *kept = NULL;
	struct err e = { 0 };
	struct store *db;
	size_t len = 0;

	snprintf(path, sizeof path, "/tmp/serve-test-known-%d", (int)getpid());
	write_text(path, policy);
	snprintf(more, sizeof more, "policy: {path: %s}", path);
	server_begin(more);
	ck_assert_uint_eq(server_request(true, "GET", "/api/v1/policy", "", ""), 200);
	server_stop(SIGTERM, true);
	unlink(path);
	snprintf(path, sizeof path, "%s/coordinator.db", srv.dir);
	db = store_open(path, &e);
	ck_assert_msg(db && store_get(db, "policy_file", &kept, &len, &e) == 0, "%s", e.text);
	store_close(db);
	hash256(hash, bytes_str(policy));
	ck_assert_uint_eq(len, sizeof hash);
	ck_assert_mem_eq(kept, hash, sizeof hash);
	server_clean();
}

static void relay_ends(const char *more, const char *words)
{
	char yaml[256];

	snprintf(yaml, sizeof yaml, "derp: {%s}", more);
	start_ends(yaml, SERVE_EXIT_CONFIG, words);
}

TEST(what_is_wrong_with_the_settings_of_the_relay_ends_the_start_with_78)
{
	relay_ends("map: /nonexistent/m", "derp.map: read /nonexistent/m: No such");
	relay_ends("map: /dev/null", "derp.map /dev/null: line 1");
	relay_ends("enabled: false", "there is no relay");
	relay_ends("mesh_key_file: /nonexistent/m",
		   "derp.mesh_key_file: read /nonexistent/m: No such");
	relay_ends("mesh_key_file: /dev/null", "derp.mesh_key_file /dev/null does not hold");
	relay_ends("verify_url: nowhere", "derp.verify_url 'nowhere' is not");
}

/* What may be otherwise in a moment is worth another start. */
TEST(what_fails_outside_the_settings_ends_the_start_with_1)
{
	int fd;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;
	char more[64];

	fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(more, sizeof more, "metrics_listen: 127.0.0.1:%u", ntohs(a.sin_port));
	start_ends(more, 1, "Address already in use");
	close(fd);
}
