/* containerboot/oauth_test.c - minting against a server that answers when it is told to: what it is
 * asked, when it is asked again, and that its secrets lie in locked memory only
 *
 * The server is a process of its own, so that nothing it heard lies in our memory. It tells by one
 * byte that a request is there whole, and answers it when it is sent one.
 */
#include "containerboot/oauth.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/key.h"
#include "os/file.h"
#include "os/resolve.h"
#include "tests/harness.h"
#include "tests/secrets.h"

enum { WORD = 32 }; /* bytes of each secret that are looked for */

static struct loop *loop;
static struct resolver *resolver;
static struct oauth *o;        /* secret_new */
static uint8_t inverted[WORD]; /* of the client secret; so that this is none */
static pid_t server;
static int control = -1;
static char tags[] = "tag:a,tag:b";
static struct oauth_mint *mint;

/* A workload's token: this (which ended in 1970), the secret, and how often it was renewed */
#define CLAIMS "e30.eyJleHAiOjd9."
static bool is_workload;
static unsigned n_renewed;

static struct {
	unsigned n;
	bool is_key, is_right;
	struct err why;
} told;

/* Token and key are the secret's letters turned on by so many: nobody has them before the answer */
enum { TOKEN = 1, KEY = 2 };

static uint8_t turned(uint8_t c, unsigned by)
{
	return (uint8_t)('a' + (c - 'a' + by) % 26);
}

/* --- the server's process --- */

static size_t hear(int fd, char *in, size_t cap)
{
	size_t n = 0, want = cap;

	while (n < want) {
		ssize_t k = recv(fd, in + n, cap - 1 - n, 0);
		char *end, *len;

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			_exit(3);
		n += (size_t)k;
		in[n] = 0;
		end = strstr(in, "\r\n\r\n");
		len = strstr(in, "Content-Length: ");
		if (end && len)
			want = (size_t)(end + 4 - in) + strtoul(len + 16, NULL, 10);
	}
	return n;
}

/* the nth exchange brings the token of that time, and nothing but the two members */
static bool is_exchange(const char *in, const char *secret)
{
	static unsigned nth;
	char want[sizeof "client_id=kid&jwt=" CLAIMS + WORD + 1];

	snprintf(want, sizeof want, "client_id=kid&jwt=" CLAIMS "%s%c", secret,
		 (char)('a' + ++nth));
	return strstr(in, "POST /api/v2/oauth/token-exchange ") &&
	       strstr(in, "Content-Type: application/x-www-form-urlencoded\r\n") &&
	       strcmp(strstr(in, "\r\n\r\n") + 4, want) == 0;
}

/* what the client must have said before a word is given: its secret, then its token */
static bool is_said(const char *in, unsigned nth, const char *secret, char *token)
{
	for (size_t i = 0; i < WORD; i++)
		token[i] = (char)turned((uint8_t)secret[i], TOKEN);
	token[WORD] = 0;
	if (nth == 0 && is_workload)
		return is_exchange(in, secret);
	if (nth == 0)
		return strstr(in, "POST /api/v2/oauth/token ") &&
		       strstr(in, "grant_type=client_credentials&client_id=kid&client_secret=") &&
		       strstr(in, secret);
	return strstr(in, "POST /api/v2/tailnet/-/keys ") && strstr(in, "Authorization: Bearer ") &&
	       strstr(in, token) && strstr(in, "\"tags\":[\"tag:a\",\"tag:b\"]") &&
	       !strstr(in, secret);
}

static void serve_one(int fd, int ctl, const char *secret, unsigned *nth)
{
	char in[16384], out[512], body[200], word[WORD + 1], how;

	(void)hear(fd, in, sizeof in);
	if (write(ctl, is_said(in, *nth, secret, word) ? "y" : "n", 1) != 1 ||
	    read(ctl, &how, 1) != 1)
		_exit(0);
	if (*nth == 1)
		for (size_t i = 0; i < WORD; i++)
			word[i] = (char)turned((uint8_t)secret[i], KEY);
	if (how == 'g')
		snprintf(body, sizeof body, "{\"%s\":\"%s\"}", *nth ? "key" : "access_token", word);
	else
		snprintf(body, sizeof body, "{\"message\":\"go away\"}");
	snprintf(out, sizeof out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
		 how == 'r'   ? "403 Forbidden"
		 : how == 'b' ? "500 Broken"
			      : "200 OK",
		 strlen(body), body);
	*nth += how == 'g';
	if (send(fd, out, strlen(out), MSG_NOSIGNAL) < 0)
		_exit(4);
	close(fd);
}

static void serve(int listener, int ctl, const char *secret)
{
	unsigned nth = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0)
			serve_one(fd, ctl, secret, &nth);
		else if (errno != EINTR)
			_exit(5);
	}
}

/* --- both ends --- */

static void begin_as(bool workload)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2];
	char *secret = secret_new(WORD + 1), base[64];
	struct err e;

	is_workload = workload;

	ck_assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
		  listen(fd, 16) == 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_ptr_nonnull(secret);
	for (size_t i = 0; i < WORD; i++) { /* random letters, of which no copy is left */
		rng_fill(&os_rng, secret + i, 1);
		secret[i] = (char)('a' + (uint8_t)secret[i] % 26);
		inverted[i] = (uint8_t)~secret[i];
	}
	server = fork();
	ck_assert_int_ge(server, 0);
	if (server == 0) {
		close(pair[0]);
		serve(fd, pair[1], secret);
	}
	close(pair[1]);
	close(fd);
	control = pair[0];
	o = secret_new(sizeof *o);
	snprintf(base, sizeof base, "http://127.0.0.1:%u", ntohs(a.sin_port));
	if (workload) /* what is at hand at first is not what is exchanged */
		ck_assert_int_eq(oauth_parse_workload(o, "a.b.c", "kid", base, &e), 0);
	else
		ck_assert_int_eq(oauth_parse(o, "TS_CLIENT_SECRET", secret, "kid", base, &e), 0);
	secret_free(secret);
	loop = loop_new();
	resolver = resolver_new(loop, NULL);
	ck_assert(o && loop && resolver);
}

static void begin(void)
{
	begin_as(false);
}

static void end(void)
{
	int status;

	oauth_mint_cancel(mint);
	mint = NULL;
	(void)loop_turn(loop, SPAN_MS(1));
	resolver_free(resolver);
	loop_free(loop);
	secret_free(o);
	close(control);
	ck_assert_int_eq(kill(server, SIGKILL), 0);
	ck_assert_int_eq(waitpid(server, &status, 0), server);
}

/* No place of the secret, turned on by so many, in memory that may be swapped out or dumped */
static void is_locked(unsigned by, bool anywhere)
{
#if !defined(__SANITIZE_ADDRESS__)
	uint8_t look[WORD];
	size_t all, ordinary;

	for (size_t i = 0; i < WORD; i++)
		look[i] = (uint8_t)~turned((uint8_t)~inverted[i], by);
	ordinary = secrets_search(look, &all);
	ck_assert_msg(ordinary == 0, "%zu places in ordinary memory (turned by %u)", ordinary, by);
	ck_assert_msg((all > 0) == anywhere, "%zu places (turned by %u)", all, by);
#else
	(void)by;
	(void)anywhere;
#endif
}

static void got(void *ctx, const char *key, const struct err *why)
{
	(void)ctx;
	mint = NULL;
	told.n++;
	told.is_key = key != NULL;
	if (!key) {
		told.why = *why;
		return;
	}
	told.is_right = strlen(key) == WORD;
	for (size_t i = 0; i < WORD && told.is_right; i++)
		told.is_right = (uint8_t)key[i] == turned((uint8_t)~inverted[i], KEY);
	is_locked(KEY, true);
}

static int renew(void *ctx, struct oauth *to, struct err *e)
{
	char *token = secret_new(sizeof CLAIMS + WORD + 1);
	int r;

	(void)ctx;
	if (!token)
		return err_set(e, ENOMEM, "token");
	memcpy(token, CLAIMS, sizeof CLAIMS - 1);
	for (size_t i = 0; i < WORD; i++)
		token[sizeof CLAIMS - 1 + i] = (char)(uint8_t)~inverted[i];
	token[sizeof CLAIMS - 1 + WORD] = (char)('a' + ++n_renewed);
	r = oauth_set_token(to, token, e);
	secret_free(token);
	return r;
}

static void start(void)
{
	struct oauth_mint_conf conf = { .loop = loop,
					.resolver = resolver,
					.oauth = o,
					.tags = tags,
					.renew = is_workload ? renew : NULL };

	mint = oauth_mint_new(&conf, got, NULL);
	ck_assert_ptr_nonnull(mint);
	secret_free(o);
	o = NULL; /* it has its own */
}

/* Until the server has a request, whose words were right */
static void asked(void)
{
	char c = 0;
	ssize_t k = -1;

	for (int i = 0; i < 600 && k < 0; i++) {
		(void)loop_turn(loop, SPAN_MS(100));
		k = recv(control, &c, 1, MSG_DONTWAIT);
	}
	ck_assert_int_eq(k, 1);
	ck_assert_int_eq(c, 'y');
	ck_assert_uint_eq(told.n, 0);
}

static void answer(char how)
{
	ck_assert_int_eq(write(control, &how, 1), 1);
}

static void until_told(void)
{
	for (int i = 0; i < 600 && told.n == 0; i++)
		(void)loop_turn(loop, SPAN_MS(100));
	ck_assert_uint_eq(told.n, 1);
}

TEST(a_client_secret_its_token_and_its_key_lie_in_locked_memory_only_and_leave_it)
{
	begin();
	start();
	asked();
	is_locked(0, true);
	answer('g');
	asked();
	is_locked(0, true);
	is_locked(TOKEN, true);
	answer('g');
	until_told();
	ck_assert(told.is_key && told.is_right);
	(void)loop_turn(loop, SPAN_MS(1));
	for (unsigned by = 0; by <= KEY; by++)
		is_locked(by, false);
	end();
}

TEST(a_server_that_is_broken_is_asked_again_with_the_same_words)
{
	begin();
	start();
	asked();
	answer('b');
	asked();
	answer('g');
	asked();
	answer('x'); /* 200, but no key in it */
	asked();
	answer('g');
	until_told();
	ck_assert(told.is_key && told.is_right);
	end();
}

TEST(a_refusal_ends_it_with_the_servers_words_and_advice)
{
	begin();
	start();
	asked();
	answer('r');
	until_told();
	ck_assert(!told.is_key);
	ck_assert_msg(strstr(told.why.text, "refuses the client secret (status 403, go away)") &&
			  strstr(told.why.text, "not revoked"),
		      "%s", told.why.text);
	end();
}

TEST(a_refusal_of_the_key_blames_the_clients_rights)
{
	begin();
	start();
	asked();
	answer('g');
	asked();
	answer('r');
	until_told();
	ck_assert_msg(strstr(told.why.text, "refuses an auth key") &&
			  strstr(told.why.text, "own all the tags"),
		      "%s", told.why.text);
	is_locked(0, false);
	is_locked(TOKEN, false);
	end();
}

TEST(a_mint_that_is_cancelled_leaves_nothing_and_calls_nobody)
{
	begin();
	start();
	asked();
	oauth_mint_cancel(mint);
	mint = NULL;
	(void)loop_turn(loop, SPAN_MS(1));
	ck_assert_uint_eq(told.n, 0);
	is_locked(0, false);
	end();
}

TEST(a_workloads_token_its_token_and_its_key_lie_in_locked_memory_only_and_leave_it)
{
	begin_as(true);
	start();
	asked();
	is_locked(0, true);
	answer('g');
	asked();
	is_locked(0, true);
	is_locked(TOKEN, true);
	answer('g');
	until_told();
	ck_assert(told.is_key && told.is_right);
	ck_assert_uint_eq(n_renewed, 1);
	(void)loop_turn(loop, SPAN_MS(1));
	for (unsigned by = 0; by <= KEY; by++)
		is_locked(by, false);
	end();
}

TEST(a_workloads_token_is_read_again_for_each_exchange_and_for_nothing_else)
{
	begin_as(true);
	start();
	asked();
	answer('b');
	asked(); /* with the second token */
	answer('g');
	asked();
	answer('b');
	asked(); /* for the key: with what the second token got */
	answer('g');
	until_told();
	ck_assert(told.is_key && told.is_right);
	ck_assert_uint_eq(n_renewed, 2);
	end();
}

TEST(a_refused_token_of_a_workload_is_said_to_have_ended)
{
	begin_as(true);
	start();
	asked();
	answer('r');
	until_told();
	ck_assert_msg(
	    strstr(told.why.text, "refuses the token of TS_ID_TOKEN (status 403, go away)") &&
		strstr(told.why.text, "the token ended ") &&
		!strstr(told.why.text, "client secret"),
	    "%s", told.why.text);
	is_locked(0, false);
	end();
}

static int lost(void *ctx, struct oauth *to, struct err *e)
{
	(void)to;
	++*(unsigned *)ctx;
	return err_set(e, ENOENT, "read /nowhere");
}

static void not_told(void *ctx, const char *key, const struct err *why)
{
	(void)ctx;
	(void)key;
	(void)why;
	told.n++;
}

TEST(a_token_that_cannot_be_read_just_now_is_read_again_later)
{
	struct oauth_mint_conf conf = { .tags = tags, .renew = lost };
	unsigned n_lost = 0;

	begin_as(true);
	conf.loop = loop;
	conf.resolver = resolver;
	conf.oauth = o;
	mint = oauth_mint_new(&conf, not_told, &n_lost);
	ck_assert_ptr_nonnull(mint);
	for (int i = 0; i < 600 && n_lost < 2; i++)
		(void)loop_turn(loop, SPAN_MS(100));
	ck_assert_uint_eq(n_lost, 2);
	ck_assert_uint_eq(told.n, 0);
	end();
}
