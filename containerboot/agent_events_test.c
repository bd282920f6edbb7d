/* containerboot/agent_events_test.c - Events of the node agent against an API server of the same
 * loop */
#include "containerboot/agent_events.h"

#include "tests/kube_api_fixture.h"

static struct agent_events *begin(void)
{
	struct agent_events_conf conf = { .node = "node-1" };
	struct agent_events *es;

	api_start();
	conf.client = (struct kube_client_conf){ .loop = api.loop,
						 .account_dir = api.dir,
						 .host = "127.0.0.1",
						 .port = listener_port(api.listener) };
	es = agent_events_new(&conf, &e);
	ck_assert_msg(es != NULL, "%s", e.text);
	return es;
}

static void finish(struct agent_events *es)
{
	agent_events_free(es);
	api_stop();
}

/* Until the server has that many; or for a while, to see that no more come. */
static void await(unsigned n, span_t most)
{
	const mono_t end = mono_add(loop_now(api.loop), most);

	while (api.n_events < n && loop_now(api.loop).ns < end.ns)
		loop_turn(api.loop, SPAN_MS(5));
}

TEST(the_same_reason_of_the_same_pod_is_told_once)
{
	struct agent_events *es = begin();

	for (int i = 0; i < 3; i++)
		agent_events_pod(es, "apps/web-1", "u-1", "TailnetNotReady", "not on the tailnet");
	await(1, SPAN_S(10));
	ck_assert_str_eq(api.event_target, "/api/v1/namespaces/apps/events");
	ck_assert_ptr_nonnull(strstr(api.event, "\"kind\":\"Pod\",\"name\":\"web-1\",\"namespace\":"
						"\"apps\",\"uid\":\"u-1\""));
	ck_assert_ptr_nonnull(strstr(api.event, "\"reason\":\"TailnetNotReady\""));
	ck_assert_ptr_nonnull(strstr(api.event, "\"type\":\"Warning\""));
	agent_events_pod(es, "apps/web-1", "u-1", "TailnetRefused", "no");
	agent_events_pod(es, "apps/web-1", "u-2", "TailnetRefused", "a pod of the same name");
	await(4, SPAN_MS(500));
	ck_assert_uint_eq(api.n_events, 3);
	finish(es);
}

TEST(an_event_of_the_node_lies_in_the_default_namespace)
{
	struct agent_events *es = begin();

	agent_events_node(es, false, "TailnetReady", "again");
	await(1, SPAN_S(10));
	ck_assert_str_eq(api.event_target, "/api/v1/namespaces/default/events");
	ck_assert_ptr_nonnull(
	    strstr(api.event, "\"kind\":\"Node\",\"name\":\"node-1\",\"uid\":\"node-1\"}"));
	ck_assert_ptr_nonnull(strstr(api.event, "\"type\":\"Normal\""));
	finish(es);
}

TEST(names_that_no_pod_can_have_reach_no_request)
{
	static const char *const bad[] = { "",      "apps",     "/web",  "apps/", "a/../b/c",
					   "a b/c", "a%2f/web", "a/b/c", "a?x/y", "A/b" };
	struct agent_events *es = begin();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		agent_events_pod(es, bad[i], "u", "TailnetRefused", "no");
	await(1, SPAN_MS(200));
	ck_assert_uint_eq(api.n_events, 0);
	agent_events_pod(NULL, "apps/web", "u", "TailnetRefused", "no"); /* nowhere to tell it */
	finish(es);
}

TEST(an_account_without_the_right_asks_once_and_what_waits_is_limited)
{
	struct agent_events *es = begin();
	char pod[64];

	api.may[KUBE_EVENT] = false;
	for (int i = 0; i < AGENT_EVENTS_MAX + 10; i++) {
		snprintf(pod, sizeof pod, "apps/web-%d", i);
		agent_events_pod(es, pod, "u", "TailnetNotReady", "not on the tailnet");
	}
	await(2, SPAN_S(1));
	ck_assert_uint_eq(api.n_events, 1);
	finish(es);
}
