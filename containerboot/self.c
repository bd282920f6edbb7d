/* containerboot/self.c - who a node is and what is wanted of it, out of state and settings; the
 * node made from that */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "containerboot/netmap_cache.h"
#include "containerboot/process.h"
#include "containerboot/program.h"

#define STATE_HOME "_tailpod-home" /* decimal number of the home relay */
#define STATE_PORT "_tailpod-port" /* decimal number of the UDP port of the last run */

static void log_difference(const struct prefs *stored, const struct prefs *wanted)
{
	char a[16], b[16];

	for (size_t i = 0; i < prefs_n_fields; i++) {
		const struct prefs_field *f = &prefs_fields[i];

		if (!prefs_field_eq(f, stored, wanted))
			log_info("containerboot: %s was %s, is now %s", f->json,
				 prefs_field_text(f, stored, a), prefs_field_text(f, wanted, b));
	}
}

static int wanted_prefs(struct program *p, const struct prefs *stored, struct prefs *wanted,
			struct err *e)
{
	return p->config_path ? program_config_prefs(p, stored, wanted, e)
			      : options_prefs(p->options, stored, wanted, e);
}

/* In a pod the machine key is written before the node registers (program_open waits for it): killed
 * in between, it can be found at the control server by who made the Secret. */
static bool keep_machine(struct program *p)
{
	char text[KEY_TEXT_MAX];
	const int r = state_put(p->store.state, STATE_MACHINE_KEY,
				bytes_str(key_priv_text(&p->self.machine, text)));

	secret_wipe(text, sizeof text);
	return r == 0;
}

int program_load_self(struct program *p, struct err *e)
{
	struct prefs *wanted = malloc(sizeof *wanted);
	int r;

	if (!wanted)
		return err_set(e, ENOMEM, "start");
	state_node_fresh(&p->self, &os_rng, loop_wall());
	r = state_load(p->store.state, &p->self, e);
	if (r == -ENOENT) {
		r = wanted_prefs(p, NULL, wanted, e);
		if (r == 0 && p->store.kube && !keep_machine(p))
			r = err_set(e, ENOMEM, "start");
	} else if (r == 0) {
		r = wanted_prefs(p, &p->self.prefs, wanted, e);
		if (r == 0)
			log_difference(&p->self.prefs, wanted);
		if (r == 0 && strcmp(p->self.prefs.control_url, wanted->control_url) != 0) {
			log_warn("containerboot: another control server: joining it as a new node");
			key_wipe(&p->self.node);
			p->self.node_id[0] = 0;
			netmap_cache_drop(p->store.netmap);
		}
	}
	if (r == 0)
		p->self.prefs = *wanted;
	free(wanted);
	return r;
}

static void disco_key(struct program *p, struct key_priv *k)
{
	char text[KEY_TEXT_MAX];
	struct bytes v;

	if (state_get(p->store.state, STATE_DISCO_KEY, &v) && key_priv_parse(v, k))
		return;
	key_gen(k, &os_rng);
	if (state_put(p->store.state, STATE_DISCO_KEY, bytes_str(key_priv_text(k, text))) < 0)
		log_warn("state: the discovery key is not kept");
	secret_wipe(text, sizeof text);
}

/* views into prefs text; text is cut in place */
static size_t split_tags(char *text, const char **v)
{
	size_t n = 0;
	char *save = NULL;

	for (char *t = strtok_r(text, ",", &save); t && n < PROGRAM_TAGS_MAX;
	     t = strtok_r(NULL, ",", &save))
		v[n++] = t;
	return n;
}

static size_t split_routes(const char *text, struct ipprefix *v)
{
	struct bytes left = bytes_str(text), one;
	size_t n = 0;

	while (n < OPTIONS_ROUTES_MAX && prefs_list_next(&left, &one))
		if (ipprefix_parse(one, &v[n]))
			n++;
	return n;
}

const struct control_hostinfo *program_hostinfo(const struct program *p, struct program_hostinfo *h)
{
	const struct prefs *w = &p->self.prefs;

	h->info = (struct control_hostinfo){ 0 };
	memcpy(h->text, w->tags, sizeof h->text);
	h->info.tags = h->tags;
	h->info.n_tags = p->has_client ? 0 : split_tags(h->text, h->tags); /* its key has them */
	h->info.routes = h->routes;
	h->info.n_routes = split_routes(w->routes, h->routes);
	h->info.hostname = *w->hostname ? w->hostname : p->hostname;
	h->info.app = p->options->internal_app;
	h->info.container = true;
	h->info.userspace = !p->options->cni_socket;
	h->info.shields_up = w->shields_up;
	return &h->info;
}

/* Of an agent: routes of peers within the administrator's subnets, whatever the preferences say.
 * What is wrong with them is told when the agent is made. */
static void fill_subnets(const struct program *p, struct node_conf *c,
			 struct ipprefix v[static AGENT_SUBNETS_MAX])
{
	struct err e;
	const int n =
	    options_subnets(p->options) ? agent_subnets(p->options->cni_subnets, v, &e) : 0;

	if (n <= 0)
		return;
	c->accept_routes = true;
	c->accept_within = v;
	c->n_accept_within = (size_t)n;
}

static void fill_node(struct program *p, struct node_conf *c, const char *key)
{
	static const struct key_priv none;
	const struct prefs *w = &p->self.prefs;
	struct bytes home;
	uint16_t region;

	c->rng = &os_rng;
	c->control_url = w->control_url;
	c->machine = p->self.machine;
	if (secret_eq(&p->self.node, &none, sizeof none)) {
		key_gen(&c->node, &os_rng);
	} else {
		c->node = p->self.node;
		c->node_is_kept = p->is_known = !w->logged_out;
	}
	disco_key(p, &c->disco);
	c->control_key = p->options->control_key;
	c->auth_key = key;
	c->ephemeral = store_is_memory(&p->store);
	c->accept_routes = w->accept_routes;
	c->exit_node = prefs_exit_node(w);
	c->shields_up = w->shields_up;
	c->derp_only = p->options->derp_only;
	c->derp_http = p->options->derp_http;
	c->port_mapping = p->options->port_mapping;
	c->raw_packets = p->options->cni_socket != NULL;
	c->memory = (size_t)p->options->memory_limit;
	c->cc = p->options->tcp_congestion;
	if (state_get(p->store.state, STATE_HOME, &home) && text_u16(home, &region))
		c->home = region;
}

void program_keep_home(struct program *p)
{
	char text[8];

	snprintf(text, sizeof text, "%u", node_home(host_node(p->host)));
	if (state_put(p->store.state, STATE_HOME, bytes_str(text)) < 0)
		log_warn("state: the home relay is not kept");
}

/* 0: none is known */
static uint16_t kept_port(const struct program *p)
{
	struct bytes text;
	uint16_t port;

	return state_get(p->store.state, STATE_PORT, &text) && text_u16(text, &port) ? port : 0;
}

/* Stored with the login, soon after. */
static void keep_port(struct program *p, uint16_t port)
{
	char text[8];

	snprintf(text, sizeof text, "%u", port);
	if (port != 0 && state_put(p->store.state, STATE_PORT, bytes_str(text)) < 0)
		log_warn("state: the UDP port is not kept");
}

int program_make_host(struct program *p, const struct host_ops *events, struct err *e)
{
	struct host_conf conf = { .loop = p->loop,
				  .dest = p->options->dest_ip,
				  .proxy_protocol = (unsigned)p->options->dest_proxy_protocol,
				  .exit_allow_lan = p->self.prefs.exit_node_allow_lan,
				  .tls = p->tls,
				  .proxy = &p->process->proxy_env,
				  .resolver = p->resolver,
				  .ops = events,
				  .ctx = p,
				  .label = p->label };
	struct ipprefix subnets[AGENT_SUBNETS_MAX];
	struct program_hostinfo info;
	char *key = NULL;
	bool is_kept;
	int r = program_auth_key(p, &key, e);

	if (r < 0)
		return r;
	fill_node(p, &conf.node, key);
	fill_subnets(p, &conf.node, subnets);
	conf.node.hostinfo = *program_hostinfo(p, &info);
	conf.port = (uint16_t)(p->options->daemon.port >= 0 ? p->options->daemon.port
							    : (int)p->options->port);
	conf.kept_port = kept_port(p);
	is_kept = conf.port == 0;
	p->host = host_new(&conf, e);
	p->self.node = conf.node.node;
	secret_wipe(&conf, sizeof conf);
	if (key)
		secret_wipe(key, strlen(key));
	free(key);
	if (!p->host)
		return -EIO;
	node_set_static_endpoints(host_node(p->host), loop_now(p->loop), p->endpoints,
				  p->n_endpoints);
	if (is_kept)
		keep_port(p, host_port(p->host));
	if (p->options->use_cached_netmap &&
	    netmap_cache_load(p->store.netmap, host_node(p->host), loop_now(p->loop), loop_wall(),
			      e) < 0)
		log_warn("state: the cached netmap is not usable: %s", e->text);
	return 0;
}
