/* coordinator/session_test.c - requests that no client of ours makes, over a real control
 * connection: each is answered, and says what it is about */
#include "coordinator/tailnet_priv.h"

#include "tests/tailnet_world.h"
#include "ts2021/h2_client.h"

static struct fleet fleet; /* large */
static struct h2_client client;
static struct session_id session;

static void move(void)
{
	static uint8_t buf[1 << 16];
	bool moved = true, ready;
	size_t n;

	while (moved) {
		moved = false;
		fleet_settle(&fleet);
		while ((n = link_pull(&client.link, buf, sizeof buf)) > 0) {
			tailnet_feed(fleet.t, fleet.now, fleet.wall, session, bytes_of(buf, n));
			moved = true;
		}
		fleet_settle(&fleet);
		while ((n = tailnet_pull(fleet.t, fleet.now, session, buf, sizeof buf)) > 0) {
			ck_assert(h2_client_feed(&client, bytes_of(buf, n), &ready));
			moved = true;
		}
	}
}

static void begin(uint64_t seed)
{
	static const struct ipport from;
	uint8_t init[NOISE_INIT_LEN], buf[4096];
	struct key_priv machine;
	struct http1_head head;
	struct key_pub control;
	bool ready = false;
	size_t n;

	fleet_init(&fleet, seed);
	key_gen(&machine, &fleet.rng.rng);
	key_public(&control, &fleet.control_key);
	ck_assert_int_eq(
	    h2_client_init(&client, 130, &machine, &control, &fleet.rng.rng, "x", init), 0);
	ck_assert_int_eq(tailnet_open(fleet.t, fleet.now, init, &from, &session), 0);
	fleet_settle(&fleet);
	n = tailnet_pull(fleet.t, fleet.now, session, buf, sizeof buf);
	http1_response_init(&head, "POST");
	ck_assert_int_eq(http1_head_feed(&head, bytes_of(buf, n)), HTTP1_OK);
	ck_assert(h2_client_feed(&client, bytes_of(buf + head.len, n - head.len), &ready));
	ck_assert(ready);
	move();
}

static void end(void)
{
	h2_client_fini(&client);
	tailnet_closed(fleet.t, fleet.now, fleet.wall, session);
	fleet_fini(&fleet);
}

/* The status of the answer, whose text goes to say. */
static unsigned ask(const char *method, const char *path, const char *text, char say[static 200])
{
	struct h2_request *rq = &client.rq[H2_REGISTER];
	unsigned status;
	struct buf body;

	buf_init(&body, 1 << 16);
	ck_assert(buf_append(&body, text, strlen(text)));
	h2_client_drop(&client, H2_REGISTER);
	ck_assert_int_eq(h2_client_send(&client, H2_REGISTER, method, path, NULL, NULL, &body), 0);
	move();
	ck_assert_msg(rq->phase == H2_ENDED, "%s is not answered", path);
	snprintf(say, 200, "%.*s", (int)rq->body.len, (const char *)rq->body.data);
	status = rq->status;
	return status;
}

TEST(what_is_not_offered_is_said_to_be_not_offered)
{
	static const char *const paths[] = { "/machine/set-dns", "/machine/id-token",
					     "/machine/feature/query" };
	char say[200];

	begin(1);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		ck_assert_uint_eq(ask("POST", paths[i], "{}", say), 501);
		ck_assert_ptr_nonnull(strstr(say, "does not offer"));
	}
	ck_assert_uint_eq(ask("POST", "/machine/nothing", "{}", say), 404);
	ck_assert_uint_eq(ask("GET", "/machine/register", "", say), 404);
	end();
}

TEST(a_client_that_is_too_old_is_told_so)
{
	static const char *const paths[] = { "/machine/register", "/machine/map" };
	static const char key[] =
	    "nodekey:1111111111111111111111111111111111111111111111111111111111111111";
	char old[160], new[160], say[200];

	begin(2);
	snprintf(old, sizeof old, "{\"Version\":%d,\"NodeKey\":\"%s\"}", TAILNET_CAP_MIN - 1, key);
	snprintf(new, sizeof new, "{\"Version\":%d,\"NodeKey\":\"%s\"}", TAILNET_CAP_MIN, key);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		ck_assert_uint_eq(ask("POST", paths[i], old, say), 400);
		ck_assert_ptr_nonnull(strstr(say, "too old"));
		(void)ask("POST", paths[i], new, say);
		ck_assert_ptr_null(strstr(say, "too old"));
	}
	end();
}

TEST(what_is_no_request_is_answered_and_stores_nothing)
{
	static const char *const bodies[] = { "", "{", "[]", "nonsense", "{\"Version\":\"new\"}" };
	struct tailnet_stat stat;
	char say[200];

	begin(3);
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		ck_assert_uint_eq(ask("POST", "/machine/register", bodies[i], say), 400);
		ck_assert_uint_eq(ask("POST", "/machine/map", bodies[i], say), 400);
	}
	ck_assert_uint_eq(fleet.stores, 0);
	tailnet_stat(fleet.t, &stat);
	ck_assert_uint_eq(stat.malformed, 2 * ARRAY_LEN(bodies)); /* each is counted */
	end();
}
