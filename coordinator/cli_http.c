/* coordinator/cli_http.c - requests of the command line: over the unix socket, or with an API key
 * to a URL */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/api.h"
#include "coordinator/cli_priv.h"
#include "coordinator/config.h"
#include "os/file.h"
#include "os/http.h"
#include "os/loop.h"
#include "os/resolve.h"
#include "os/tls.h"

struct exchange {
	struct loop *loop;
	struct buf *answer;
	unsigned status;
	bool done, ok;
	struct err why;
};

static void on_answer(void *ctx, const struct http_reply *reply, const struct err *why)
{
	struct exchange *x = ctx;

	x->done = true;
	if (why)
		x->why = *why;
	if (reply) {
		x->status = reply->status;
		x->ok = buf_append(x->answer, reply->body.data, reply->body.len);
		if (!x->ok)
			err_say(&x->why, EFBIG, "the answer is too large");
	}
	loop_stop(x->loop);
}

static int find_socket(const struct cli *c, char path[static CONFIG_TEXT])
{
	struct config conf;
	struct err e = { 0 };
	int ret;

	if (c->socket || getenv("COORDINATOR_SOCKET")) {
		snprintf(path, CONFIG_TEXT, "%s",
			 c->socket ? c->socket : getenv("COORDINATOR_SOCKET"));
		return 0;
	}
	config_init(&conf);
	ret = c->config ? config_load(&conf, c->config, &e) : 0;
	if (ret == 0 && !conf.socket[0])
		snprintf(path, CONFIG_TEXT, "%.490s/coordinator.sock", conf.state_dir);
	else
		snprintf(path, CONFIG_TEXT, "%s", conf.socket);
	config_fini(&conf);
	return ret == 0 ? 0 : cli_complain("%s", e.text);
}

static int explain(const struct exchange *x)
{
	char message[512];

	if (x->status == 401)
		return cli_complain(
		    "the server does not accept the API key in COORDINATOR_API_KEY");
	if (cli_field(buf_bytes(x->answer), "message", message, sizeof message))
		return cli_complain("%s", message);
	return cli_complain("the server answered with status %u", x->status);
}

static int run(struct exchange *x, const struct http_conf *conf, const char *where)
{
	struct err e = { 0 };

	if (!http_start(x->loop, conf, on_answer, x, &e))
		return cli_complain("%s", e.text);
	while (!x->done && loop_turn(x->loop, SPAN_S(1)))
		;
	if (!x->ok)
		return cli_complain(
		    "cannot talk to the server at %s: %s; is it running? (--socket, --config)",
		    where, x->done ? x->why.text : "it hung up");
	return x->status == 200 ? 0 : explain(x);
}

/* Over the network: the API key is in the environment, where other users of the host cannot see it.
 */
static int over_url(const struct cli *c, struct http_conf *conf, struct exchange *x)
{
	const char *key = getenv("COORDINATOR_API_KEY");
	char host[256], *headers;
	struct err e = { 0 };
	struct resolver *resolver;
	bool tls;
	int ret;

	if (!key || !*key)
		return cli_usage("--url wants an API key in COORDINATOR_API_KEY (made by "
				 "`coordinator apikeys create`)");
	if (strpbrk(key, "\r\n"))
		return cli_usage("COORDINATOR_API_KEY holds a line end");
	if (!config_url(c->url, &tls, host, &conf->stream.dial.port))
		return cli_usage("--url wants http[s]://HOST[:PORT]");
	resolver = resolver_new(x->loop, NULL);
	if (tls)
		conf->stream.tls =
		    tls_client_new(&(struct tls_client_conf){ .ca_file = getenv("SSL_CERT_FILE"),
							      .ca_dir = getenv("SSL_CERT_DIR") },
				   &e);
	if (!resolver || (tls && !conf->stream.tls) ||
	    asprintf(&headers, "Authorization: Bearer %s\r\n%s", key, conf->headers) < 0) {
		resolver_free(resolver);
		tls_client_free(conf->stream.tls);
		return cli_complain("%s", e.text[0] ? e.text : "out of memory");
	}
	conf->stream.dial.host = host;
	conf->stream.dial.resolver = resolver;
	conf->headers = headers;
	ret = run(x, conf, c->url);
	free(headers);
	tls_client_free(conf->stream.tls);
	resolver_free(resolver);
	return ret;
}

bool cli_has_server(const struct cli *c)
{
	char path[CONFIG_TEXT];

	return c->url || (find_socket(c, path) == 0 && access(path, F_OK) == 0);
}

int cli_call(const struct cli *c, const char *method, const char *path, struct bytes body,
	     struct buf *answer)
{
	struct exchange x = { .answer = answer };
	struct http_conf conf = { .method = method,
				  .target = path,
				  .body = body,
				  .body_max = API_ANSWER_MAX,
				  .timeout = SPAN_S(60),
				  .headers = "Content-Type: application/json\r\n" };
	char socket[CONFIG_TEXT];
	int ret;

	x.loop = loop_new();
	if (!x.loop)
		return cli_complain("out of memory");
	if (c->url) {
		ret = over_url(c, &conf, &x);
	} else if ((ret = find_socket(c, socket)) == 0) {
		conf.stream.dial.host = "localhost";
		conf.stream.dial.port = 80;
		conf.stream.dial.unix_path = socket;
		ret = run(&x, &conf, socket);
	}
	loop_free(x.loop);
	return ret;
}
