/* containerboot/main.c - the sidecar: environment to node, life cycle, exit codes */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "host/host.h"
#include "os/file.h"
#include "os/logger.h"
#include "os/loop.h"
#include "os/proxy_env.h"
#include "os/resolve.h"
#include "os/tls.h"

struct program {
	struct loop *loop;
	struct host *host;
	struct proxy_env proxy;
};

static void on_state(void *ctx, enum node_state state)
{
	(void)ctx;
	if (state == NODE_RUNNING)
		log_info("containerboot: Startup complete, waiting for shutdown signal");
}

static void on_signal(void *ctx, int signo)
{
	struct program *p = ctx;

	log_info("containerboot: signal %d, stopping", signo);
	loop_stop(p->loop);
}

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int main(void)
{
	static const struct host_ops ops = { .state = on_state };
	struct program p = { 0 };
	struct err e = { 0 };
	char hostname[64] = "";
	struct host_conf conf = { .ops = &ops, .ctx = &p };

	logger_init("containerboot", env("TS_LOG_VERBOSITY") ? LOG_DEBUG : LOG_INFO);
	gethostname(hostname, sizeof hostname - 1);
	p.loop = loop_new();
	if (!p.loop || proxy_env_read(&p.proxy, &e) != 0)
		return 1;
	key_gen(&conf.node.machine, &os_rng);
	key_gen(&conf.node.node, &os_rng);
	key_gen(&conf.node.disco, &os_rng);
	conf.loop = p.loop;
	conf.node.rng = &os_rng;
	conf.node.control_url =
		env("TS_LOGIN_SERVER") ? env("TS_LOGIN_SERVER") : "https://controlplane.tailscale.com";
	conf.node.auth_key = env("TS_AUTHKEY");
	conf.node.derp_http = env("TS_DEBUG_USE_DERP_HTTP") != NULL;
	conf.node.derp_only = env("TS_DEBUG_ALWAYS_USE_DERP") != NULL;
	conf.node.hostinfo.hostname = env("TS_HOSTNAME") ? env("TS_HOSTNAME") : hostname;
	conf.node.hostinfo.userspace = true;
	conf.node.hostinfo.container = true;
	conf.tls = tls_client_new(&(struct tls_client_conf){ .ca_file = env("SSL_CERT_FILE"), .ca_dir = env("SSL_CERT_DIR") }, &e);
	conf.proxy = &p.proxy;
	conf.resolver = resolver_new(p.loop, NULL);
	p.host = conf.tls && conf.resolver ? host_new(&conf, &e) : NULL;
	if (!p.host || loop_on_signal(p.loop, SIGTERM, on_signal, &p) != 0 ||
	    loop_on_signal(p.loop, SIGINT, on_signal, &p) != 0) {
		log_error("containerboot: %s", e.text);
		return 1;
	}
	host_start(p.host);
	loop_run(p.loop);
	host_free(p.host);
	resolver_free((struct resolver *)conf.resolver);
	tls_client_free(conf.tls);
	return 0;
}
