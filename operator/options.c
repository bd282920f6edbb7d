/* operator/options.c - see options.h; one table gives parsing, --help and the page for users */
#include "operator/options.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "operator/want.h"

enum check { ANY, REQUIRED, BOOLEAN, TAGS, URL, KILL };

struct row {
	const char *name, *fallback;
	size_t at;
	enum check check;
	const char *help; /* NULL: for tests, users are not told */
};
#define ROW(name, fallback, field, check, help)                                                    \
	{                                                                                          \
		name, fallback, offsetof(struct options, field), check, help                       \
	}

static const struct row rows[] = {
	ROW("OPERATOR_NAMESPACE", NULL, ns, REQUIRED,
	    "Namespace of the operator and of all proxies."),
	ROW("PROXY_IMAGE", NULL, image, REQUIRED,
	    "Image of the proxies: tailpod's containerboot, or tailscale/tailscale."),
	ROW("PROXY_TAGS", "tag:k8s", proxy_tags, TAGS,
	    "Tags of proxies whose objects name none, comma separated."),
	ROW("OPERATOR_LOGIN_SERVER", "", login_server, URL,
	    "Control server of the proxies, such as a Headscale; without it the Tailscale "
	    "service."),
	ROW("OPERATOR_API_SERVER", "", api_server, URL,
	    "Where its API is, if not at OPERATOR_LOGIN_SERVER."),
	ROW("API_KEY_FILE", "", api_key_file, ANY,
	    "File with an API key (headscale apikeys create); keys are minted one for each proxy, "
	    "devices deleted."),
	ROW("HEADSCALE_USER", "", headscale_user, ANY,
	    "Decimal id of the user that minted keys belong to; not needed with tags."),
	ROW("CLIENT_ID_FILE", "", client_id_file, ANY, "File with the id of an OAuth client, and"),
	ROW("CLIENT_SECRET_FILE", "", client_secret_file, ANY,
	    "its secret: scopes auth_keys and devices:core."),
	ROW("AUTH_KEY_FILE", "", auth_key_file, ANY,
	    "File with one reusable, tagged auth key for all proxies: works with any control "
	    "server; proxies that go log themselves out, so let it be ephemeral."),
	ROW("OPERATOR_CA_FILE", "", ca_file, ANY,
	    "PEM file of the authority that the control server's certificate comes from."),
	ROW("OPERATOR_INGRESS_CLASS_NAME", "tailscale", class_name, ANY,
	    "loadBalancerClass and ingressClassName that are answered; another one runs beside the "
	    "Go operator."),
	ROW("OPERATOR_DEFAULT_LOAD_BALANCER", "false", default_lb, BOOLEAN,
	    "Also take Services of type LoadBalancer without a class."),
	ROW("PROXY_DEFAULT_CLASS", "", default_class, ANY, "ProxyClass of objects that name none."),
	ROW("PROXY_PRIORITY_CLASS_NAME", "", priority_class, ANY,
	    "PriorityClass of the proxies' pods."),
	ROW("PROXY_PULL_POLICY", "IfNotPresent", pull_policy, ANY,
	    "imagePullPolicy of the proxies."),
	ROW("PROXY_CA_SECRET", "", proxy_ca, ANY,
	    "Secret in the operator's namespace whose ca.crt the proxies trust (SSL_CERT_FILE)."),
	ROW("PROXY_DERP_HTTP", "false", derp_http, BOOLEAN,
	    "Proxies reach relays by plain HTTP (a Headscale without TLS)."),
	ROW("CLUSTER_DOMAIN", "cluster.local", cluster_domain, ANY,
	    "Domain of the cluster's Services."),
	ROW("OPERATOR_LEASE", "tailpod-operator", lease, ANY,
	    "Name of the Lease by which replicas choose their leader."),
	ROW("OPERATOR_LISTEN", ":9003", listen, ANY,
	    "Listener of /healthz, /readyz and /metrics; - for none."),
	ROW("OPERATOR_LOGGING", "info", logging, ANY, "error, warn, info, debug or trace."),
	ROW("OPERATOR_TEST_KILL_AT", "", kill_at, KILL, NULL), /* docs/testing.md */
	ROW("POD_NAME", "", pod_name, ANY,
	    "Name of this replica in the Lease; default: the host name."),
	ROW("KUBECONFIG", "", kubeconfig, ANY,
	    "Credentials outside a cluster; inside, the service account is used."),
	ROW("KUBECONTEXT", "", context, ANY, "Context of KUBECONFIG; default: the current one."),
	ROW("KUBERNETES_SERVICE_HOST", "", host, ANY, "Set by Kubernetes."),
	ROW("KUBERNETES_SERVICE_PORT", "443", port, ANY, "Set by Kubernetes."),
};

/* Of the Go operator: a Deployment of its may be taken over with them, and what has no effect is
 * said. */
static const struct {
	const char *name, *why;
} others[] = {
	{ "OPERATOR_HOSTNAME", "the operator is no node of the tailnet" },
	{ "OPERATOR_SECRET", "the operator is no node of the tailnet" },
	{ "OPERATOR_INITIAL_TAGS", "the operator is no node of the tailnet" },
	{ "TS_PORT", "the operator is no node of the tailnet" },
	{ "OPERATOR_SERVICE_ACCOUNT_NAME", "there is no workload identity: give an OAuth client" },
	{ "CLIENT_ID",
	  "there is no workload identity: give CLIENT_ID_FILE and CLIENT_SECRET_FILE" },
	{ "OPERATOR_SHARED_ACME_ACCOUNT_KEY", "certificates come from Secrets" },
	{ "K8S_PROXY_IMAGE", "there is no proxy of the API server" },
	{ "APISERVER_PROXY", "there is no proxy of the API server" },
	{ "AUTH_PROXY", "there is no proxy of the API server" },
	{ "PROXY_FIREWALL_MODE", "proxies work in user space, without a firewall" },
};

const char *options_without_effect(size_t *at, const char *(*env)(const char *name),
				   const char **why)
{
	while (*at < ARRAY_LEN(others)) {
		const char *v = env(others[*at].name);

		*why = others[(*at)++].why;
		/* what asks for nothing is no news */
		if (v && *v && strcmp(v, "false") != 0 && strcmp(v, "auto") != 0)
			return others[*at - 1].name;
	}
	return NULL;
}

static int check(const struct row *r, const char *v, struct err *e)
{
	if (r->check == REQUIRED && !*v)
		return err_say(e, EINVAL, "%s is not set: %s", r->name, r->help);
	if (r->check == BOOLEAN && strcmp(v, "true") != 0 && strcmp(v, "false") != 0)
		return err_say(e, EINVAL, "%s=%.40s: give true or false", r->name, v);
	if (r->check == TAGS && !tags_are_valid(v))
		return err_say(e, EINVAL, "%s=%.80s: give tags such as tag:k8s,tag:web", r->name,
			       v);
	if (r->check == URL && *v && strncmp(v, "https://", 8) != 0 &&
	    strncmp(v, "http://", 7) != 0)
		return err_say(e, EINVAL, "%s=%.80s: give a URL that begins with https://", r->name,
			       v);
	if (r->check == KILL && *v &&
	    !options_kill_at(v, &(unsigned){ 0 }, &(bool){ false }, &(int){ 0 }))
		return err_say(e, EINVAL, "%s=%.20s: give a number such as 3, 3+ or 3s", r->name,
			       v);
	return 0;
}

bool options_kill_at(const char *text, unsigned *n, bool *after, int *by)
{
	size_t len = strlen(text);
	uint16_t v;

	*by = len > 1 && text[len - 1] == 's' ? SIGSTOP : SIGKILL;
	len -= *by == SIGSTOP;
	*after = len > 1 && text[len - 1] == '+';
	if (!text_u16(bytes_of(text, len - *after), &v) || v == 0)
		return false;
	*n = v;
	return true;
}

int options_read(struct options *o, const char *(*env)(const char *name), struct err *e)
{
	int r;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *v = env(rows[i].name);

		if (!v || !*v)
			v = rows[i].fallback ? rows[i].fallback : "";
		if ((r = check(&rows[i], v, e)) < 0)
			return r;
		memcpy((char *)o + rows[i].at, &v, sizeof v);
	}
	if (!o->kubeconfig[0] && !o->host[0])
		return err_say(
		    e, EINVAL,
		    "neither in a cluster (KUBERNETES_SERVICE_HOST) nor is KUBECONFIG set");
	if (!o->client_id_file[0] != !o->client_secret_file[0])
		return err_say(e, EINVAL, "CLIENT_ID_FILE and CLIENT_SECRET_FILE belong together");
	if (!o->api_key_file[0] && !o->client_id_file[0] && !o->auth_key_file[0])
		return err_say(e, EINVAL,
			       "no credentials: set API_KEY_FILE, CLIENT_ID_FILE with "
			       "CLIENT_SECRET_FILE, or AUTH_KEY_FILE");
	return 0;
}

static const char intro[] =
    "operator - proxies into a tailnet for Services, Ingresses and Connectors of a Kubernetes "
    "cluster\n\n"
    "  kubectl annotate service web tailscale.com/expose=true\n"
    "  kubectl get service web -o jsonpath='{.status.conditions}'\n\n"
    "Asked for by annotations (tailscale.com/expose, hostname, tags, proxy-class, tailnet-ip, "
    "tailnet-fqdn), by\n"
    "loadBalancerClass or ingressClassName tailscale, and by the kinds Connector and ProxyClass. "
    "What is asked for and\n"
    "cannot be done is told by a condition and an Event of the object. Two replicas may run; one "
    "leads.\n\n"
    "`operator check URL...` asks whether probes answer, such as http://SERVICE:9003/readyz.\n\n"
    "Settings come from the environment (flags: --kubeconfig FILE, --help):\n\n";

bool options_help(struct buf *out)
{
	bool ok = buf_printf(out, "%s", intro);

	for (size_t i = 0; i < ARRAY_LEN(rows) && ok; i++)
		ok = !rows[i].help ||
		     buf_printf(out, "  %s%s%s%s\n      %s\n", rows[i].name,
				rows[i].fallback && *rows[i].fallback ? " (" : "",
				rows[i].fallback ? rows[i].fallback : " (required)",
				rows[i].fallback && *rows[i].fallback ? ")" : "", rows[i].help);
	return ok;
}

bool options_markdown(struct buf *out)
{
	bool ok = buf_printf(out, "| variable | default | meaning |\n|---|---|---|\n");

	for (size_t i = 0; i < ARRAY_LEN(rows) && ok; i++)
		ok = !rows[i].help ||
		     buf_printf(out, "| `%s` | %s%s%s | %s |\n", rows[i].name,
				rows[i].fallback && *rows[i].fallback ? "`" : "",
				!rows[i].fallback   ? "required"
				: *rows[i].fallback ? rows[i].fallback
						    : "-",
				rows[i].fallback && *rows[i].fallback ? "`" : "", rows[i].help);
	return ok;
}
