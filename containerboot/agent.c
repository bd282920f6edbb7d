/* containerboot/agent.c - see agent.h */
#include "containerboot/agent.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "containerboot/agent_dns.h"
#include "containerboot/agent_events.h"
#include "containerboot/agent_rules.h"
#include "model/prefs.h"
#include "os/file.h"
#include "os/link.h"
#include "os/listen.h"
#include "os/stream.h"
#include "os/tun.h"
#include "pod/masquerade.h"
#include "pod/words.h"

enum {
	TABLE = 5252, /* the plugin's defaults (cni/config.h) */
	PROTOCOL = 116,
	SWEEP_S = 60,
	CALLS_MAX = 256, /* plugins asking at the same time; a burst of pods on one machine */
	CALL_S = 5,
	LINE_MAX_LEN = 2048, /* a request */
};

struct call {
	struct agent *agent;
	struct stream *s;
	struct loop_timer limit;
	struct buf answer;
	size_t len;
	char line[LINE_MAX_LEN];
	struct call *next;
};

struct agent {
	struct agent_conf conf;
	struct netlink nl; /* fd -1: not open */
	struct tun *tun;
	int link, hold; /* hold: masquerade_hold, -1: none */
	struct agent_dns *dns;
	struct listener *listener;
	struct call *calls;
	size_t n_calls;
	struct loop_timer sweep;
	struct ip addr[2]; /* on the device; zero: none */
	struct ipprefix subnets[AGENT_SUBNETS_MAX];
	bool routed, lost;
	struct agent_rules_counts last;
	uint64_t requests[WORDS_VERDICTS], bad_requests, put, swept, gone, rx, rx_dropped, tx,
	    tx_dropped;
};

/* --- device --- */

static size_t to_node(struct agent *a, const struct pkt *v, size_t n)
{
	const size_t taken = host_send_packets(a->conf.host, v, n);

	a->tx += taken;
	a->tx_dropped += n - taken;
	return taken;
}

/* Runs for the node in between are passed on whole. */
static size_t from_device(void *ctx, const struct pkt *v, size_t n)
{
	struct agent *a = ctx;
	size_t start = 0, taken = 0;

	for (size_t i = 0; i < n; i++) {
		if (!agent_dns_wants(&v[i]))
			continue;
		taken += to_node(a, v + start, i - start) + 1;
		agent_dns_feed(a->dns, &v[i], 1);
		start = i + 1;
	}
	return taken + to_node(a, v + start, n - start);
}

static void to_device(void *ctx, struct pkt *v, size_t n)
{
	struct agent *a = ctx;

	(void)tun_send(a->tun, v, n); /* what the device does not take is asked again */
}

void agent_inner(struct agent *a, struct pkt *v, size_t n)
{
	const size_t taken = tun_send(a->tun, v, n);

	a->rx += taken;
	a->rx_dropped += n - taken;
}

/* A container's /proc/sys is read-only unless it is privileged: the host's may be mounted beside.
 */
static const char *const sysctl_dirs[] = { "/proc/sys/net", "/host/proc/sys/net" };

/* Where neither can be written the administrator has to. */
static void set_sysctl(const char *family, const char *device, const char *name, const char *value,
		       bool matters)
{
	int code = 0;

	for (size_t i = 0; i < ARRAY_LEN(sysctl_dirs); i++) {
		char path[160];
		AUTO_FD int fd = -1;

		snprintf(path, sizeof path, "%s/%s/conf/%s/%s", sysctl_dirs[i], family, device,
			 name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, value, strlen(value)) >= 0)
			return;
		if (i == 0)
			code = errno;
	}
	if (matters)
		log_warn("cni: net/%s/conf/%s/%s cannot be set to %s: %s", family, device, name,
			 value, strerrordesc_np(code));
}

static int open_device(struct agent *a, struct err *e)
{
	const char *name = a->conf.device;
	struct netlink_link link;
	int r;

	a->tun = tun_open(a->conf.loop, name, from_device, a, e);
	if (!a->tun)
		return -EIO;
	r = netlink_link(&a->nl, name, &link);
	if (r == 0) {
		a->link = link.index;
		r = netlink_link_up(&a->nl, a->link, NODE_MTU);
	}
	if (r < 0)
		return err_set(e, -r, "bring the device %s up", name);
	set_sysctl("ipv4", name, "rp_filter", "2",
		   true); /* what comes back was never sent from here in its eyes */
	return masquerade_add(name, e);
}

int agent_subnets(const char *text, struct ipprefix out[static AGENT_SUBNETS_MAX], struct err *e)
{
	struct bytes left = bytes_str(text ? text : ""), one;
	int n = 0;

	while (prefs_list_next(&left, &one)) {
		struct ipprefix p;

		if (!ipprefix_parse(one, &p) || p.bits == 0 || (ip_is_v4(&p.ip) && p.bits == 96))
			return err_say(
			    e, EINVAL,
			    "TS_CNI_SUBNETS: a default route is no subnet: it would take "
			    "the machine's own networks");
		if (n == AGENT_SUBNETS_MAX)
			return err_say(e, EINVAL, "TS_CNI_SUBNETS: more than %d subnets",
				       AGENT_SUBNETS_MAX);
		out[n++] = p;
	}
	return n;
}

/* What pods may reach: the tailnet's two ranges, and the administrator's subnets. */
static size_t destinations(const struct agent *a, struct ipprefix out[static 2 + AGENT_SUBNETS_MAX])
{
	if (!ipprefix_parse(bytes_str("100.64.0.0/10"), &out[0]) ||
	    !ipprefix_parse(bytes_str("fd7a:115c:a1e0::/48"), &out[1]))
		return 0;
	memcpy(out + 2, a->subnets, a->conf.n_subnets * sizeof *out);
	return 2 + a->conf.n_subnets;
}

/* Those of an earlier run with other settings. */
static void drop_other_routes(struct agent *a)
{
	struct ipprefix want[2 + AGENT_SUBNETS_MAX], have[64];
	const size_t n_want = destinations(a, want);
	const int n = netlink_routes(&a->nl, TABLE, PROTOCOL, have, ARRAY_LEN(have));

	for (int i = 0; i < n; i++) {
		const struct netlink_route route = { .dst = have[i],
						     .link = a->link,
						     .table = TABLE };
		bool keep = false;

		for (size_t k = 0; k < n_want; k++)
			keep |= ipprefix_eq(&have[i], &want[k]);
		if (!keep && netlink_route_del(&a->nl, &route, PROTOCOL) < 0)
			log_warn("cni: a route of an earlier run stays in table %d", TABLE);
	}
}

static void pass_over_dead_routes(const struct agent *a, bool want)
{
	static const char *const families[] = { "ipv4", "ipv6" };

	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		set_sysctl(families[i], a->conf.device, "ignore_routes_with_linkdown",
			   want ? "1" : "0", want);
}

/* Pods' packets reach the device only while the node runs; whatever ends this process ends that.
 * Where the kernel has no such guard the routes are to be passed over once the device has no
 * carrier: late, and then by ICMP, which has a rate limit; and without that packets are lost in
 * silence while the agent is away, yet none leaks. */
static void hold(struct agent *a, bool want)
{
	struct err e = { 0 };

	if (want && a->hold < 0) {
		a->hold = masquerade_hold(a->conf.device, &e);
		if (a->hold < 0)
			log_warn("cni: %s: pods may wait some seconds before they are refused when "
				 "the agent dies",
				 e.text);
		pass_over_dead_routes(a, a->hold < 0);
	} else if (!want && a->hold >= 0) {
		close(a->hold);
		a->hold = -1;
	}
}

static void set_routes(struct agent *a, bool want)
{
	struct ipprefix v[2 + AGENT_SUBNETS_MAX];
	const size_t n = destinations(a, v);

	hold(a, want);
	for (size_t i = 0; i < n; i++) {
		const struct netlink_route route = { .dst = v[i], .link = a->link, .table = TABLE };
		/* without an address of the family nothing can leave: the guard answers */
		const bool can = want && !ip_is_zero(&a->addr[!ip_is_v4(&v[i].ip)]);
		const int r = can ? netlink_route_add(&a->nl, &route, PROTOCOL)
				  : netlink_route_del(&a->nl, &route, PROTOCOL);

		if (r < 0 && can)
			log_warn("cni: the route of table %d cannot be set: %s", TABLE,
				 strerrordesc_np(-r));
	}
	a->routed = want;
}

/* Addresses of an earlier run, or of another node before a new login. */
static void drop_other_addresses(struct agent *a)
{
	struct link_addr v[LINK_ADDRS_MAX];
	const int n = link_addrs(v, LINK_ADDRS_MAX, NULL);

	for (int i = 0; i < n; i++)
		if (strcmp(v[i].name, a->conf.device) == 0 && !ip_is_link_local(&v[i].ip) &&
		    !ip_eq(&v[i].ip, &a->addr[0]) && !ip_eq(&v[i].ip, &a->addr[1]))
			(void)!netlink_addr_del(&a->nl, a->link, &v[i].ip);
}

void agent_netmap(struct agent *a)
{
	const struct node *node = host_node(a->conf.host);
	bool changed = false;

	for (int v6 = 0; v6 < 2; v6++) {
		struct ip ip;
		int r;

		if (!node_ip(node, v6, &ip) || ip_eq(&ip, &a->addr[v6]))
			continue;
		r = netlink_addr_add(&a->nl, a->link, &ip);
		if (r < 0) {
			log_warn("cni: the node's address cannot be set on %s: %s", a->conf.device,
				 strerrordesc_np(-r));
			continue;
		}
		a->addr[v6] = ip;
		changed = true;
	}
	if (!changed)
		return;
	drop_other_addresses(a);
	if (node_state(node) == NODE_RUNNING)
		set_routes(a, true);
}

void agent_state(struct agent *a, enum node_state state)
{
	if (state == NODE_RUNNING) {
		agent_netmap(a);
		set_routes(a, true);
		if (a->lost)
			agent_events_node(a->conf.events, false, "TailnetReady",
					  "the node agent is on the tailnet again");
		a->lost = false;
	} else if (a->routed && state != NODE_STARTING && state != NODE_NO_STATE) {
		log_warn("cni: the node is %s: pods are refused", node_state_names[state]);
		set_routes(a, false);
		a->lost = true;
		agent_events_node(a->conf.events, true, "TailnetLost",
				  "the node agent left the tailnet: pods are refused");
	}
}

/* --- rules --- */

static void sweep(void *ctx)
{
	struct agent *a = ctx;
	struct err e = { 0 };

	if (agent_rules_reconcile(&a->nl, a->conf.state_dir, PROTOCOL, &a->last, &e) < 0)
		log_warn("cni: %s", e.text);
	a->put += a->last.put;
	a->swept += a->last.swept;
	a->gone += a->last.gone;
	if (a->last.put || a->last.swept || a->last.gone)
		log_info("cni: %zu attachments; %zu rules put, %zu removed that nobody owned, %zu "
			 "attachments gone",
			 a->last.attachments, a->last.put, a->last.swept, a->last.gone);
	loop_timer_set(&a->sweep, mono_add(loop_now(a->conf.loop), SPAN_S(SWEEP_S)));
}

/* --- the plugin's socket: one line in, one line out --- */

static void forget(struct call *c)
{
	struct call **at = &c->agent->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->agent->n_calls--;
	listener_pause(c->agent->listener, false);
	loop_timer_fini(&c->limit);
	buf_fini(&c->answer);
	free(c);
}

static void hang_up(void *ctx)
{
	struct call *c = ctx;

	stream_close(c->s);
	forget(c);
}

bool agent_admits(const char *namespaces, const char *pod)
{
	const struct bytes name = bytes_of(pod, strcspn(pod, "/"));

	if (!namespaces)
		return true;
	while (*namespaces) {
		const size_t n = strcspn(namespaces, ",");

		if (pod_namespace_matches(bytes_of(namespaces, n), name))
			return true;
		namespaces += n;
		namespaces += *namespaces == ',';
	}
	return false;
}

static enum words_verdict judge(struct agent *a, const struct words_request *rq, const char **words)
{
	const enum node_state state = node_state(host_node(a->conf.host));

	*words = "";
	if (rq->op == WORDS_ADD && !agent_admits(a->conf.namespaces, rq->pod)) {
		*words = "TS_CNI_NAMESPACES does not name the pod's namespace";
		return WORDS_REFUSED;
	}
	if (state == NODE_RUNNING)
		return WORDS_READY;
	*words = state == NODE_NEEDS_LOGIN      ? "the node agent is not logged in to the tailnet"
		 : state == NODE_NEEDS_APPROVAL ? "the node agent waits for approval in the tailnet"
						: "the node agent is not on the tailnet yet";
	return WORDS_NOT_YET;
}

static void answer(struct call *c, size_t len)
{
	struct words_request rq;
	enum words_verdict verdict;
	const char *words;

	if (!words_request_parse(bytes_of(c->line, len), &rq)) {
		c->agent->bad_requests++;
		hang_up(c);
		return;
	}
	verdict = judge(c->agent, &rq, &words);
	c->agent->requests[verdict]++;
	if (rq.op == WORDS_ADD && verdict != WORDS_READY)
		agent_events_pod(c->agent->conf.events, rq.pod, rq.uid,
				 verdict == WORDS_REFUSED ? "TailnetRefused" : "TailnetNotReady",
				 words);
	if (rq.op == WORDS_ADD)
		log_info("cni: %s: %s", *rq.pod ? rq.pod : "a pod without a name",
			 verdict == WORDS_READY ? "granted" : words);
	if (!words_answer_emit(verdict, words, &c->answer)) {
		hang_up(c);
		return;
	}
	stream_kick(c->s);
	stream_shutdown(c->s);
}

static size_t call_room(void *ctx, struct iovec *v, size_t max)
{
	struct call *c = ctx;

	(void)max;
	if (c->answer.len > 0 || c->len == sizeof c->line)
		return 0;
	v[0] = (struct iovec){ c->line + c->len, sizeof c->line - c->len };
	return 1;
}

static void call_got(void *ctx, size_t n)
{
	struct call *c = ctx;
	const char *end = memchr(c->line + c->len, '\n', n);

	c->len += n;
	if (end) {
		answer(c, (size_t)(end - c->line));
	} else if (c->len == sizeof c->line) {
		c->agent->bad_requests++;
		hang_up(c);
	}
}

static size_t call_data(void *ctx, struct iovec *v, size_t max)
{
	struct call *c = ctx;
	const struct bytes left = buf_bytes(&c->answer);

	(void)max;
	if (left.len == 0)
		return 0;
	v[0] = (struct iovec){ c->answer.data + c->answer.off, left.len };
	return 1;
}

static void call_sent(void *ctx, size_t n)
{
	struct call *c = ctx;

	buf_consume(&c->answer, n);
}

static void call_closed(void *ctx, const struct err *why)
{
	(void)why;
	forget(ctx);
}

static const struct stream_ops call_ops = { .room = call_room,
					    .got = call_got,
					    .data = call_data,
					    .sent = call_sent,
					    .closed = call_closed };

static void on_call(void *ctx, int fd, const struct ipport *from)
{
	struct agent *a = ctx;
	struct call *c = calloc(1, sizeof *c);

	(void)from;
	if (!c) {
		close(fd);
		return;
	}
	c->agent = a;
	buf_init(&c->answer, 1024);
	c->s = stream_adopt(a->conf.loop, fd, &call_ops, c);
	if (!c->s) {
		free(c);
		return;
	}
	loop_timer_init(a->conf.loop, &c->limit, hang_up, c);
	loop_timer_set(&c->limit, mono_add(loop_now(a->conf.loop), SPAN_S(CALL_S)));
	c->next = a->calls;
	a->calls = c;
	if (++a->n_calls == CALLS_MAX)
		listener_pause(a->listener, true);
}

/* --- life --- */

static int make_directories(const struct agent_conf *conf, struct err *e)
{
	AUTO_FREE char *socket = strdup(conf->socket);
	int r;

	if (!socket)
		return err_set(e, ENOMEM, "start");
	r = file_mkdirs(dirname(socket), 0700, e);
	return r < 0 ? r : file_mkdirs(conf->state_dir, 0700, e);
}

static int open_netlink(struct agent *a, struct err *e)
{
	const int r = netlink_open(&a->nl);

	return r < 0 ? err_set(e, -r, "open a netlink socket") : 0;
}

static int open_dns(struct agent *a, struct err *e)
{
	const struct agent_dns_conf conf = { .loop = a->conf.loop,
					     .rng = &os_rng,
					     .netmap = node_netmap(host_node(a->conf.host)),
					     .host = a->conf.host,
					     .out = to_device,
					     .ctx = a };

	a->dns = agent_dns_new(&conf, e);
	return a->dns ? 0 : -ENOMEM;
}

struct agent *agent_new(const struct agent_conf *conf, struct err *e)
{
	struct agent *a = calloc(1, sizeof *a);

	if (!a) {
		err_set(e, ENOMEM, "start");
		return NULL;
	}
	assert(conf->n_subnets <= AGENT_SUBNETS_MAX);
	a->conf = *conf;
	if (conf->n_subnets > 0)
		memcpy(a->subnets, conf->subnets, conf->n_subnets * sizeof *conf->subnets);
	a->nl.fd = a->hold = -1;
	loop_timer_init(conf->loop, &a->sweep, sweep, a);
	if (make_directories(conf, e) == 0 && open_netlink(a, e) == 0 && open_dns(a, e) == 0 &&
	    open_device(a, e) == 0 &&
	    (a->listener = listen_unix(conf->loop, conf->socket, 0600, on_call, a, e))) {
		drop_other_routes(a);
		sweep(a);
		return a;
	}
	agent_free(a);
	return NULL;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	while (a->calls)
		hang_up(a->calls);
	listener_close(a->listener);
	loop_timer_fini(&a->sweep);
	agent_dns_free(a->dns);
	hold(a, false);
	tun_close(a->tun);
	netlink_close(&a->nl);
	free(a);
}

void agent_remove(struct agent *a)
{
	struct err e = { 0 };

	set_routes(a, false);
	if (agent_rules_remove(&a->nl, a->conf.state_dir, PROTOCOL, &e) < 0)
		log_warn("cni: %s", e.text);
	if (masquerade_del(a->conf.device, &e) < 0)
		log_warn("cni: %s", e.text);
	if (tun_remove(a->tun, &e) < 0)
		log_warn("cni: %s", e.text);
	log_info("cni: rules, masquerade, device %s and attachments are removed", a->conf.device);
}

bool agent_metrics(const struct agent *a, struct buf *out)
{
	const struct agent_dns_counts *dns = agent_dns_counts(a->dns);
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{ "tailpod_cni_attachments", "gauge", "Attachments that the plugin has made.",
		  a->last.attachments },
		{ "tailpod_cni_attachments_granted", "gauge", "Those of them with the tailnet.",
		  a->last.granted },
		{ "tailpod_cni_files_bad", "gauge", "Attachments' files that do not parse.",
		  a->last.bad },
		{ "tailpod_cni_requests_ready_total", "counter", "Requests answered: granted.",
		  a->requests[WORDS_READY] },
		{ "tailpod_cni_requests_refused_total", "counter", "Requests answered: refused.",
		  a->requests[WORDS_REFUSED] },
		{ "tailpod_cni_requests_not_yet_total", "counter",
		  "Requests answered: not on the tailnet.", a->requests[WORDS_NOT_YET] },
		{ "tailpod_cni_requests_bad_total", "counter", "Requests that made no sense.",
		  a->bad_requests },
		{ "tailpod_cni_rules_put_total", "counter", "Rules that were missing and were put.",
		  a->put },
		{ "tailpod_cni_rules_swept_total", "counter",
		  "Rules that nobody owned and were removed.", a->swept },
		{ "tailpod_cni_attachments_gone_total", "counter",
		  "Attachments removed since their pod was gone.", a->gone },
		{ "tailpod_cni_dns_answered_total", "counter",
		  "Queries of pods answered from the tailnet's names.", dns->answered },
		{ "tailpod_cni_dns_asked_total", "counter",
		  "Queries of pods passed to resolvers that control names.", dns->asked },
		{ "tailpod_cni_dns_lost_total", "counter", "Those that no resolver answered.",
		  dns->lost },
		{ "tailpod_cni_device_rx_packets_total", "counter",
		  "Packets from the tailnet into the host.", a->rx },
		{ "tailpod_cni_device_rx_dropped_total", "counter",
		  "Those that the device did not take.", a->rx_dropped },
		{ "tailpod_cni_device_tx_packets_total", "counter",
		  "Packets from the host for the tailnet.", a->tx },
		{ "tailpod_cni_device_tx_dropped_total", "counter",
		  "Those that the node had no room for.", a->tx_dropped },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", rows[i].name,
				rows[i].help, rows[i].name, rows[i].type, rows[i].name,
				(unsigned long long)rows[i].value))
			return false;
	return true;
}
