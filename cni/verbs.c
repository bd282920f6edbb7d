/* cni/verbs.c - ADD, DEL, CHECK, STATUS, VERSION; GC is gc.c
 *
 * ADD in order: everything is parsed and judged; the agent is asked when the pod wants the tailnet;
 * the attachment's file is written; guards, then lookups are put, and what makes guards answer at
 * once; routes inside the pod; the result. Killed anywhere, the file names all that can be there,
 * and DEL removes it. What fails after the file was written is undone at once.
 */
#include "cni/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cni/agent_client.h"
#include "cni/gc.h"
#include "cni/netns.h"
#include "cni/plan.h"
#include "cni/result.h"
#include "cni/wiring.h"
#include "pod/refuse.h"

static const char *const versions[] = { CONFIG_VERSIONS };

bool verb_version(struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "cniVersion", CONFIG_VERSION_LATEST);
	jsonw_key(&w, "supportedVersions");
	jsonw_arr(&w);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		jsonw_str(&w, versions[i]);
	jsonw_arr_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) && buf_append(out, "\n", 1);
}

/* --- from prevResult to an attachment --- */

/* The host's end of the pod's cable, where packets of the pod enter; "": a bridge has it, or it is
 * not said. */
static void find_cable(struct netlink *host, const struct result *prev, char out[static 16])
{
	out[0] = 0;
	for (size_t i = 0; i < prev->n_interfaces; i++) {
		const struct result_interface *f = &prev->interfaces[i];
		struct netlink_link link;

		if (f->in_pod || !pod_is_ifname(bytes_str(f->name)) ||
		    !json_is_utf8(bytes_str(f->name)) || netlink_link(host, f->name, &link) < 0 ||
		    !link.is_cable || link.is_port)
			continue;
		(void)bytes_to_str(bytes_str(f->name), out, 16);
		return;
	}
}

static int check_clash(const struct config *c, const struct ip *ips, size_t n, struct fail *f)
{
	char ip[IP_TEXT], range[IPPREFIX_TEXT];

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < c->n_ranges; k++)
			if (ipprefix_has(&c->ranges[k], &ips[i]))
				return fail_set(f, FAIL_CLASH,
						"the pod's address %s lies in the tailnet's range "
						"%s: set \"ranges\" to what the cluster does not "
						"use",
						ip_text(&ips[i], ip),
						ipprefix_text(&c->ranges[k], range));
	return 0;
}

/* Everything but `state`. */
static int describe(const struct env *env, const struct config *c, const struct result *prev,
		    struct netlink *host, struct attachment *a, struct fail *f)
{
	struct ip ips[RULE_IPS_MAX];
	const int n = result_pod_ips(prev, ips, ARRAY_LEN(ips));
	struct plan_input in = { .ips = ips,
				 .n_ips = (size_t)n,
				 .ranges = c->ranges,
				 .n_ranges = c->n_ranges,
				 .table = c->table,
				 .priority = c->priority };
	char cable[16];

	if (n < 0)
		return fail_set(f, FAIL_CONFIG, "the pod has more than %d addresses", RULE_IPS_MAX);
	if (check_clash(c, ips, (size_t)n, f) < 0)
		return -1;
	memset(a, 0, sizeof *a);
	(void)bytes_to_str(bytes_str(c->name), a->network, sizeof a->network);
	(void)bytes_to_str(bytes_str(env->container), a->container, sizeof a->container);
	(void)bytes_to_str(bytes_str(env->ifname), a->ifname, sizeof a->ifname);
	(void)bytes_to_str(bytes_str(env->netns), a->netns, sizeof a->netns);
	if (*env->pod_namespace)
		snprintf(a->pod, sizeof a->pod, "%s/%s", env->pod_namespace, env->pod_name);
	(void)bytes_to_str(bytes_str(env->pod_uid), a->uid, sizeof a->uid);
	a->protocol = c->protocol;
	find_cable(host, prev, cable);
	in.iif = cable;
	a->n_rules = plan_rules(&in, a->rules);
	return 0;
}

static int need_prev(const struct config *c, struct result *prev, struct fail *f)
{
	if (c->prev.len == 0)
		return fail_set(f, FAIL_CONFIG,
				"no prevResult: tailpod-cni is first in the list \"%s\"; put it "
				"behind the plugin that makes the pod's interface, or take it out "
				"and run tailpod-cni install",
				c->name);
	return result_parse(c->prev, prev, f);
}

/* --- ADD --- */

/* What the agent says, as a state; -1: the pod is not to start. */
static int judge(const struct config *c, struct attachment *a, struct fail *f)
{
	const struct agent_answer answer = agent_ask_add(c->socket, a);

	if (!answer.is_away && answer.said.verdict == WORDS_READY) {
		a->state = ATTACHMENT_GRANTED;
		return 0;
	}
	if (!answer.is_away && answer.said.verdict == WORDS_REFUSED) {
		a->state = ATTACHMENT_GUARDED;
		fprintf(stderr, "tailpod-cni: %s has no tailnet: %s\n", a->pod, answer.said.words);
		return 0;
	}
	if (!c->fail_open)
		return fail_set(f, FAIL_AGAIN,
				"%s; the pod asked for the tailnet and waits (\"failOpen\": true "
				"would start it)",
				answer.said.words);
	a->state = ATTACHMENT_PENDING;
	fprintf(stderr, "tailpod-cni: %s starts without the tailnet: %s\n", a->pod,
		answer.said.words);
	return 0;
}

static int put_pod_routes(const struct env *env, const struct config *c, const struct result *prev,
			  struct netlink_route *routes, int *n, struct fail *f)
{
	struct netlink pod;
	int r = 0;

	if (netns_netlink(env->netns, &pod, f) < 0)
		return -1;
	*n = wiring_pod_routes(&pod, c, prev, env->ifname, routes);
	for (int i = 0; i < *n && r == 0; i++)
		r = netlink_route_add(&pod, &routes[i], c->protocol);
	netlink_close(&pod);
	return r < 0 ? fail_errno(f, FAIL_IO, r, "add a route to the tailnet inside the pod") : 0;
}

/* A former ADD of the same attachment may have made what this one does not name. */
static int drop_former(struct netlink *host, const struct config *c, const struct attachment *now)
{
	static struct attachment old;
	size_t kept = 0;

	if (attachment_load(c->state_dir, now->network, now->container, now->ifname, &old) < 0)
		return 0;
	for (size_t i = 0; i < old.n_rules; i++) {
		bool same = false;

		for (size_t k = 0; !same && k < now->n_rules; k++)
			same = rule_eq(&old.rules[i], &now->rules[k]);
		if (!same)
			old.rules[kept++] = old.rules[i];
	}
	old.n_rules = kept;
	return kept ? wiring_take(host, c->state_dir, &old) : 0;
}

/* The guards hold without it, only slower: no reason to keep a pod from starting. */
static void refuse_at_once(const struct attachment *a)
{
	struct err e = { 0 };

	if (refuse_put(a->rules, a->n_rules, &e) < 0)
		fprintf(stderr, "tailpod-cni: %s\n", e.text);
}

static int wire(const struct env *env, const struct config *c, const struct result *prev,
		struct netlink *host, const struct attachment *a, struct netlink_route *routes,
		int *n_routes, struct fail *f)
{
	const struct rule *bad = NULL;
	struct fail undone;
	char text[160];
	int r = drop_former(host, c, a);

	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "remove rules of an earlier ADD");
	r = attachment_save(c->state_dir, a);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "write the attachment's file under %s",
				  c->state_dir);
	r = wiring_put(host, a, &bad);
	if (r < 0)
		fail_errno(f, FAIL_IO, r, "add rule \"%s\"", rule_text(bad, text, sizeof text));
	else
		refuse_at_once(a);
	if (r == 0 && a->state != ATTACHMENT_GUARDED && c->pod_routes)
		r = put_pod_routes(env, c, prev, routes, n_routes, f);
	if (r == 0)
		return 0;
	undone = *f; /* the first reason is what matters */
	if (wiring_take(host, c->state_dir, a) == 0)
		(void)!attachment_remove(c->state_dir, a->network, a->container, a->ifname);
	*f = undone;
	return -1;
}

static int emit(const struct config *c, const struct result *prev, const struct netlink_route *v,
		int n, struct buf *out, struct fail *f)
{
	struct result_route routes[CONFIG_RANGES_MAX];
	size_t k = 0;

	for (int i = 0; c->result_routes && i < n; i++)
		if (!ip_is_zero(&v[i].gw))
			routes[k++] = (struct result_route){ .dst = v[i].dst,
							     .gw = v[i].gw,
							     .mtu = (int)v[i].mtu,
							     .advmss = (int)v[i].advmss };
	return result_emit(prev, c->version, routes, k, out)
		   ? 0
		   : fail_set(f, FAIL_DECODE, "prevResult cannot be passed on");
}

static int add(const struct env *env, const struct config *c, struct buf *out, struct fail *f)
{
	static struct attachment a;
	static struct result prev;
	struct netlink_route routes[CONFIG_RANGES_MAX];
	struct netns_id ns = { 0 };
	struct netlink host;
	const bool wanted = config_wants(c, env->pod_namespace);
	int r, n_routes = 0;

	if (need_prev(c, &prev, f) < 0 ||
	    (!env->netns_override && netns_check_foreign(env->netns, f) < 0))
		return -1;
	if (c->asks && !wanted)
		fprintf(stderr,
			"tailpod-cni: %s/%s asks for the tailnet, but \"namespaces\" does not "
			"name its namespace\n",
			env->pod_namespace, env->pod_name);
	r = netns_identify(env->netns, &ns);
	if (r < 0)
		return fail_errno(f, FAIL_NETNS, r, "open CNI_NETNS %s", env->netns);
	r = netlink_open(&host);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "open a netlink socket");
	r = describe(env, c, &prev, &host, &a, f);
	a.netns_dev = ns.dev;
	a.netns_ino = ns.ino;
	if (r == 0 && wanted)
		r = judge(c, &a, f);
	if (r == 0)
		r = wire(env, c, &prev, &host, &a, routes, &n_routes, f);
	netlink_close(&host);
	return r == 0 ? emit(c, &prev, routes, n_routes, out, f) : -1;
}

/* --- DEL --- */

/* Routes inside the pod go with its namespace; while it lives they are removed too. */
static void drop_pod_routes(const struct env *env, const struct config *c)
{
	static struct result prev;
	struct netlink_route routes[CONFIG_RANGES_MAX];
	struct netlink pod;
	struct fail ignored;
	int n;

	if (!*env->netns || c->prev.len == 0 || result_parse(c->prev, &prev, &ignored) < 0 ||
	    netns_check_foreign(env->netns, &ignored) < 0 ||
	    netns_netlink(env->netns, &pod, &ignored) < 0)
		return;
	n = wiring_pod_routes(&pod, c, &prev, env->ifname, routes);
	for (int i = 0; i < n; i++)
		if (netlink_route_has(&pod, &routes[i], c->protocol) == 1)
			(void)!netlink_route_del(&pod, &routes[i], c->protocol);
	netlink_close(&pod);
}

/* Best effort, twice is fine. It fails only when rules could not be removed, since trying again may
 * help then; a failing DEL keeps a pod from ending. */
static int del(const struct env *env, const struct config *c, struct fail *f)
{
	static struct attachment a;
	static struct result prev;
	struct netlink host;
	struct fail ignored;
	int r;

	r = netlink_open(&host);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "open a netlink socket");
	r = attachment_load(c->state_dir, c->name, env->container, env->ifname, &a);
	if (r < 0 && (c->prev.len == 0 || result_parse(c->prev, &prev, &ignored) < 0 ||
		      describe(env, c, &prev, &host, &a, &ignored) < 0))
		a.n_rules = 0; /* nothing is known: the sweep of GC or agent finds the rest */
	r = a.n_rules ? wiring_take(&host, c->state_dir, &a) : 0;
	netlink_close(&host);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "remove the pod's rules");
	drop_pod_routes(env, c);
	r = attachment_remove(c->state_dir, c->name, env->container, env->ifname);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "remove the attachment's file under %s",
				  c->state_dir);
	(void)!refuse_tidy(c->state_dir, NULL); /* without a pod it does nothing */
	return 0;
}

/* --- CHECK, STATUS --- */

static int check_pod(const struct env *env, const struct config *c, const struct result *prev,
		     struct fail *f)
{
	struct netlink_route routes[CONFIG_RANGES_MAX];
	char text[IPPREFIX_TEXT];
	struct netlink pod;
	int n, r = 1, i;

	if (netns_netlink(env->netns, &pod, f) < 0)
		return -1;
	n = wiring_pod_routes(&pod, c, prev, env->ifname, routes);
	for (i = 0; i < n && r == 1; i++)
		r = netlink_route_has(&pod, &routes[i], c->protocol);
	netlink_close(&pod);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "list the pod's routes");
	return r == 1 ? 0
		      : fail_set(f, FAIL_DAMAGED, "the pod's route to %s is missing",
				 ipprefix_text(&routes[i - 1].dst, text));
}

static int check(const struct env *env, const struct config *c, struct fail *f)
{
	static struct attachment a;
	static struct result prev;
	const struct rule *missing;
	struct netlink host;
	char text[160];
	int r;

	if (need_prev(c, &prev, f) < 0 ||
	    (!env->netns_override && netns_check_foreign(env->netns, f) < 0))
		return -1;
	r = attachment_load(c->state_dir, c->name, env->container, env->ifname, &a);
	if (r < 0)
		return fail_errno(f, FAIL_DAMAGED, r, "the attachment's file under %s",
				  c->state_dir);
	r = netlink_open(&host);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "open a netlink socket");
	missing = wiring_missing(&host, &a, &r);
	netlink_close(&host);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "list the rules");
	if (missing)
		return fail_set(f, FAIL_DAMAGED, "rule \"%s\" is missing",
				rule_text(missing, text, sizeof text));
	if (a.state == ATTACHMENT_GUARDED || !c->pod_routes)
		return 0;
	return check_pod(env, c, &prev, f);
}

static int status(const struct config *c, struct fail *f)
{
	struct agent_answer answer;

	if (!c->status_affects_node) /* a failure would take the whole node out (cni.md 9) */
		return 0;
	answer = agent_ask_status(c->socket);
	if (answer.is_away ? c->fail_open : answer.said.verdict == WORDS_READY)
		return 0;
	return fail_set(f, answer.is_away ? FAIL_UNAVAILABLE : FAIL_LIMITED, "%s",
			answer.said.words);
}

static int need_version(const struct env *env, const struct config *c, struct fail *f)
{
	static const char *const since[VERB_N] = {
		[VERB_CHECK] = "0.4.0", [VERB_STATUS] = "1.1.0", [VERB_GC] = "1.1.0"
	};

	if (!since[env->verb] ||
	    config_version_index(c->version) >= config_version_index(since[env->verb]))
		return 0;
	return fail_set(f, FAIL_VERSION, "config version \"%s\" does not allow %s", c->version,
			verb_names[env->verb]);
}

int verb_run(const struct env *env, const struct config *c, struct buf *out, struct fail *f)
{
	if (need_version(env, c, f) < 0)
		return -1;
	switch (env->verb) {
	case VERB_ADD:
		return add(env, c, out, f);
	case VERB_DEL:
		return del(env, c, f);
	case VERB_CHECK:
		return check(env, c, f);
	case VERB_STATUS:
		return status(c, f);
	case VERB_GC:
		return gc_run(c, f);
	case VERB_VERSION:
		return verb_version(out) ? 0 : fail_set(f, FAIL_IO, "out of memory");
	case VERB_NONE:
	case VERB_N:
		break;
	}
	return fail_set(f, FAIL_ENV, "no verb");
}
