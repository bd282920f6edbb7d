/* kube/kubeconfig.c - see kubeconfig.h; the YAML is loaded by libyaml as a document, in which an
 * alias is a reference and not a copy, so that no text can grow */
#include "kube/kubeconfig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/json.h"
#include "base/text.h"

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void kubeconfig_fini(struct kubeconfig *c)
{
	char **all[] = { &c->server, &c->ns,      &c->ca_pem,    &c->cert_pem, &c->key_pem,
			 &c->token,  &c->ca_file, &c->cert_file, &c->key_file, &c->token_file };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		wipe(all[i]);
	c->is_insecure = false;
}

static yaml_node_t *member(yaml_document_t *d, yaml_node_t *map, const char *key)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *k = yaml_document_get_node(d, p->key);

		if (k && k->type == YAML_SCALAR_NODE &&
		    bytes_eq_str(bytes_of(k->data.scalar.value, k->data.scalar.length), key))
			return yaml_document_get_node(d, p->value);
	}
	return NULL;
}

static bool scalar(yaml_node_t *n, struct bytes *out)
{
	if (!n || n->type != YAML_SCALAR_NODE)
		return false;
	*out = bytes_of(n->data.scalar.value, n->data.scalar.length);
	return out->len > 0 && !bytes_eq_str(*out, "null") && !bytes_eq_str(*out, "~");
}

/* a copy of a member that is a text without NUL; 0 also when it is not there */
static int copy(yaml_document_t *d, yaml_node_t *map, const char *key, char **out, struct err *e)
{
	struct bytes v;

	if (!scalar(member(d, map, key), &v))
		return 0;
	if (memchr(v.data, 0, v.len))
		return err_say(e, EINVAL, "%s holds a NUL", key);
	free(*out);
	*out = strndup((const char *)v.data, v.len);
	return *out ? 0 : err_set(e, ENOMEM, "%s", key);
}

static int copy_base64(yaml_document_t *d, yaml_node_t *map, const char *key, char **out,
		       struct err *e)
{
	struct bytes v;
	size_t n;
	char *text;

	if (!scalar(member(d, map, key), &v))
		return 0;
	text = malloc(v.len + 1);
	if (!text)
		return err_set(e, ENOMEM, "%s", key);
	if (!base64_parse(v, BASE64_STD, (uint8_t *)text, v.len, &n) || memchr(text, 0, n)) {
		free(text);
		return err_say(e, EINVAL, "%s is not base64 of a PEM text", key);
	}
	text[n] = 0;
	free(*out);
	*out = text;
	return 0;
}

/* the member `what` of the element of list `lists` that is called name */
static yaml_node_t *named(yaml_document_t *d, yaml_node_t *root, const char *lists,
			  const char *what, struct bytes name)
{
	yaml_node_t *list = member(d, root, lists);
	struct bytes got;

	if (!list || list->type != YAML_SEQUENCE_NODE)
		return NULL;
	for (yaml_node_item_t *i = list->data.sequence.items.start;
	     i < list->data.sequence.items.top; i++) {
		yaml_node_t *one = yaml_document_get_node(d, *i);

		if (scalar(member(d, one, "name"), &got) && bytes_eq(got, name))
			return member(d, one, what);
	}
	return NULL;
}

static int cluster(struct kubeconfig *c, yaml_document_t *d, yaml_node_t *n, struct err *e)
{
	struct bytes v;
	size_t len;
	int r;

	if ((r = copy(d, n, "server", &c->server, e)) < 0 ||
	    (r = copy(d, n, "certificate-authority", &c->ca_file, e)) < 0 ||
	    (r = copy_base64(d, n, "certificate-authority-data", &c->ca_pem, e)) < 0)
		return r;
	if (scalar(member(d, n, "insecure-skip-tls-verify"), &v) && !bool_parse(v, &c->is_insecure))
		return err_say(e, EINVAL, "insecure-skip-tls-verify is neither true nor false");
	if (member(d, n, "tls-server-name"))
		return err_say(e, EINVAL,
			       "tls-server-name is not supported: use a server name that the "
			       "certificate holds");
	if (member(d, n, "proxy-url"))
		return err_say(e, EINVAL, "proxy-url is not supported; set HTTPS_PROXY");
	if (!c->server ||
	    (strncmp(c->server, "https://", 8) != 0 && strncmp(c->server, "http://", 7) != 0))
		return err_say(e, EINVAL, "the cluster's server is not a URL");
	for (len = strlen(c->server); len > 0 && c->server[len - 1] == '/'; len--)
		c->server[len - 1] = 0;
	return 0;
}

static int user(struct kubeconfig *c, yaml_document_t *d, yaml_node_t *n, struct err *e)
{
	int r;

	if (member(d, n, "exec") || member(d, n, "auth-provider"))
		return err_say(e, EINVAL,
			       "users by exec or auth-provider are not supported: use a token, "
			       "tokenFile or a client "
			       "certificate (kubectl create token makes a token)");
	if (member(d, n, "username"))
		return err_say(e, EINVAL, "users with a password are not supported: use a token");
	if ((r = copy(d, n, "token", &c->token, e)) < 0 ||
	    (r = copy(d, n, "tokenFile", &c->token_file, e)) < 0 ||
	    (r = copy(d, n, "client-certificate", &c->cert_file, e)) < 0 ||
	    (r = copy(d, n, "client-key", &c->key_file, e)) < 0 ||
	    (r = copy_base64(d, n, "client-certificate-data", &c->cert_pem, e)) < 0 ||
	    (r = copy_base64(d, n, "client-key-data", &c->key_pem, e)) < 0)
		return r;
	return 0;
}

static int document(struct kubeconfig *c, yaml_document_t *d, const char *context, struct err *e)
{
	yaml_node_t *root = yaml_document_get_root_node(d), *ctx, *part;
	struct bytes name = { 0 };
	int r;

	if (!root || root->type != YAML_MAPPING_NODE)
		return err_say(e, EINVAL, "this is not a kubeconfig");
	if (context)
		name = bytes_str(context);
	else if (!scalar(member(d, root, "current-context"), &name))
		return err_say(e, EINVAL,
			       "no current-context is set; kubectl config use-context sets it");
	ctx = named(d, root, "contexts", "context", name);
	if (!ctx)
		return err_say(e, EINVAL, "there is no context %.*s", (int)MIN_OF(name.len, 100),
			       (const char *)name.data);
	if ((r = copy(d, ctx, "namespace", &c->ns, e)) < 0)
		return r;
	part = scalar(member(d, ctx, "cluster"), &name)
		   ? named(d, root, "clusters", "cluster", name)
		   : NULL;
	if (!part)
		return err_say(e, EINVAL, "the context's cluster is not in the list of clusters");
	if ((r = cluster(c, d, part, e)) < 0)
		return r;
	part = scalar(member(d, ctx, "user"), &name) ? named(d, root, "users", "user", name) : NULL;
	return part ? user(c, d, part, e) : 0; /* without a user: anonymous */
}

int kubeconfig_parse(struct kubeconfig *out, struct bytes text, const char *context, struct err *e)
{
	yaml_parser_t parser;
	yaml_document_t d;
	int r;

	*out = (struct kubeconfig){ 0 };
	if (text.len > KUBECONFIG_MAX)
		return err_say(e, EINVAL, "the kubeconfig is larger than %d bytes", KUBECONFIG_MAX);
	if (!yaml_parser_initialize(&parser))
		return err_set(e, ENOMEM, "kubeconfig");
	yaml_parser_set_input_string(&parser, text.data ? text.data : (const uint8_t *)"",
				     text.len);
	if (!yaml_parser_load(&parser, &d)) {
		r = err_say(e, EINVAL, "line %zu: %s", parser.problem_mark.line + 1,
			    parser.problem ? parser.problem : "not YAML");
	} else {
		r = document(out, &d, context, e);
		yaml_document_delete(&d);
	}
	yaml_parser_delete(&parser);
	if (r < 0)
		kubeconfig_fini(out);
	return r;
}
