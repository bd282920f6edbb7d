/* node/c2n_test.c - what control may ask of this node, and what it gets (control-protocol.md 5.2)
 */
#include "node/c2n.h"

#include <stdlib.h>
#include <string.h>

#include "tests/node_fixture.h"

static struct buf got;

static void setup(void)
{
	node_fixture_init();
	buf_init(&got, C2N_ANSWER_MAX);
}

static void teardown(void)
{
	buf_fini(&got);
	node_fixture_fini();
}

/* NUL-terminated */
static const char *ask(const char *method, const char *target)
{
	struct c2n_request rq = { 0 };
	size_t n = strcspn(target, "?");

	snprintf(rq.method, sizeof rq.method, "%s", method);
	rq.path = bytes_of(target, n);
	rq.query = bytes_str(target + n + (target[n] == '?'));
	buf_clear(&got);
	ck_assert(c2n_answer(&view, &rq, &got));
	ck_assert(buf_append(&got, "", 1));
	return (const char *)got.data + got.off;
}

static void expect(const char *method, const char *target, int status, const char *what)
{
	const char *answer = ask(method, target);

	ck_assert_msg(strncmp(answer, "HTTP/1.1 ", 9) == 0 &&
			  strtol(answer + 9, NULL, 10) == status && strstr(answer, what),
		      "%s %s: %s", method, target, answer);
}

TEST(control_5_2_c2n_paths_of_stock_answer_as_one_that_has_it_switched_off)
{
	setup();
	expect("POST", "/logtail/flush", 500, "no log flusher");
	expect("POST", "/sockstats", 500, "\r\n\r\n");
	expect("GET", "/debug/goroutines", 501, "not implemented");
	expect("GET", "/debug/pprof/heap", 501, "not implemented");
	expect("GET", "/debug/component-logging?component=magicsock&secs=5", 200, "\"Error\":");
	expect("GET", "/update", 200, "\"Supported\":false");
	expect("POST", "/update", 200, "\"Err\":\"not enabled\"");
	expect("GET", "/posture/identity", 200, "{\"PostureDisabled\":true}");
	expect("GET", "/tls-cert-status?domain=a.tail.test", 200, "\"Missing\":true");
	expect("GET", "/tls-cert-status", 400, "no 'domain'");
	expect("GET", "/vip-services", 200, "\"ServicesHash\":\"\"");
	expect("GET", "/appconnector/routes", 200, "\"Domains\":null");
	expect("POST", "/netfilter-kind?kind=nftables", 501, "netfilter");
	expect("POST", "/ssh/usernames", 200, "\"Usernames\":null");
	teardown();
}

TEST(control_5_2_c2n_wake_on_lan_checks_addresses_and_sends_nothing)
{
	setup();
	expect("POST", "/wol", 200, "\"Errors\":null");
	expect("POST", "/wol?mac=00:11:22:33:44:5f", 200, "\"SentTo\":null");
	expect("POST", "/wol?mac=00%3A11%3A22%3A33%3A44%3A5F&mac=1", 400, "bad 'mac'");
	expect("POST", "/wol?mac=00:11:22:33:44:5g", 400, "bad 'mac'");
	teardown();
}

TEST(control_5_2_c2n_metrics_and_preferences_are_given_without_keys)
{
	char key[KEY_TEXT_MAX];
	const char *answer;

	setup();
	expect("GET", "/debug/metrics", 200, "# TYPE tailscaled_");
	expect("GET", "/debug/prefs", 200, "\"ControlURL\":");
	answer = ask("GET", "/debug/prefs");
	key_priv_text(&self.node, key);
	ck_assert_ptr_null(strstr(answer, key));
	key_priv_text(&self.machine, key);
	ck_assert_ptr_null(strstr(answer, key));
	teardown();
}

TEST(control_5_2_c2n_unknown_paths_get_400_and_wrong_methods_405)
{
	setup();
	expect("GET", "/", 400, "unknown c2n path");
	expect("GET", "/echo/", 400, "unknown c2n path");
	expect("GET", "/debug/netmap", 400, "unknown c2n path");
	expect("GET", "/wol", 405, "bad method");
	expect("PUT", "/update", 405, "bad method");
	teardown();
}
