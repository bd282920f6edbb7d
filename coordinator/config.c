/* coordinator/config.c - the table of settings, and YAML read by it */
#include "coordinator/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/text.h"
#include "os/file.h"

enum kind { TEXT, FLAG, NUMBER, SPAN, PREFIX, LIST, SPLIT, RECORDS };

struct row {
	const char *key;
	enum kind kind;
	size_t at, size;
	const char *preset, *help;
};

#define AT(m) offsetof(struct config, m), sizeof(((struct config *)0)->m)

/* clang-format off */
static const struct row rows[] = {
	{ "state_directory", TEXT, AT(state_dir), "/var/lib/coordinator", "database, keys and certificate; made when missing" },
	{ "listen", TEXT, AT(listen), "127.0.0.1:8080", "address of control, relay and API; \":8080\" is all addresses" },
	{ "server_url", TEXT, AT(server_url), "", "how nodes reach us; default: by listen and tls.mode" },
	{ "socket", TEXT, AT(socket), "", "unix socket of the command line; default: coordinator.sock in state_directory" },
	{ "log_level", TEXT, AT(log_level), "info", "error, warn, info, debug or trace" },
	{ "api_key_file", TEXT, AT(api_key_file), "", "file with one more API key, of your own choosing (32 characters or more); read again on SIGHUP" },
	{ "user", TEXT, AT(user), "", "become this user once the ports are open (when started as root)" },
	{ "system_calls", TEXT, AT(system_calls), "limited", "limited (seccomp: what serving does not need is refused), strict (such a call ends the program), or any" },
	{ "metrics_listen", TEXT, AT(metrics_listen), "", "one more address, where /metrics and /health are answered to whoever reaches it, in clear, and nothing else is" },
	{ "tls.mode", TEXT, AT(tls_mode), "off", "off, files, or self (a certificate of our own, kept in state_directory, pinned in the relay map)" },
	{ "tls.certificate", TEXT, AT(tls_cert), "", "PEM file, for tls.mode files; read again on SIGHUP" },
	{ "tls.key", TEXT, AT(tls_key), "", "PEM file" },
	{ "base_domain", TEXT, AT(base_domain), "tailnet.internal", "MagicDNS: nodes are called NAME.base_domain" },
	{ "prefixes.v4", PREFIX, AT(v4), "100.64.0.0/10", "addresses of nodes; empty: none of this family" },
	{ "prefixes.v6", PREFIX, AT(v6), "fd7a:115c:a1e0::/48", "" },
	{ "key_expiry", SPAN, AT(key_expiry), "4320h", "of node keys without tags; 0: never" },
	{ "ephemeral_timeout", SPAN, AT(ephemeral_timeout), "30m", "an ephemeral node is removed this long after it went away" },
	{ "node_approval", FLAG, AT(needs_approval), "false", "new nodes wait for `coordinator nodes approve`" },
	{ "policy.path", TEXT, AT(policy_path), "", "HuJSON file, read again on SIGHUP; default: the one set by `coordinator policy set`" },
	{ "derp.enabled", FLAG, AT(derp_enabled), "true", "be a relay, as region derp.region_id" },
	{ "derp.verify_clients", FLAG, AT(derp_verify), "true", "relay for nodes of this tailnet only" },
	{ "derp.verify_url", TEXT, AT(derp_verify_url), "", "URL that is asked whether a node which is not ours may use the relay, as derper's -verify-client-url" },
	{ "derp.verify_fail_open", FLAG, AT(derp_fail_open), "false", "let nodes in while that URL does not answer" },
	{ "derp.mesh_key_file", TEXT, AT(derp_mesh_key_file), "", "file with 64 hex digits that all relays of the region share" },
	{ "derp.mesh_with", LIST, AT(derp_mesh_with), "", "URLs of the other relays of the region; our own among them does no harm" },
	{ "derp.region_id", NUMBER, AT(derp_region), "900", "" },
	{ "derp.region_code", TEXT, AT(derp_code), "own", "" },
	{ "derp.region_name", TEXT, AT(derp_name), "Coordinator", "" },
	{ "derp.host", TEXT, AT(derp_host), "", "name or address in the relay map; default: that of server_url" },
	{ "derp.rate_limit", NUMBER, AT(derp_rate), "0", "bytes a second that one client may send through the relay; 0: no limit" },
	{ "derp.map", TEXT, AT(derp_paths), "", "YAML or JSON file with further regions" },
	{ "derp.stun_listen", TEXT, AT(stun_listen), "", "UDP address of STUN; default: host of listen, port 3478; \"off\": none" },
	{ "dns.nameservers", LIST, AT(nameservers), "", "resolvers of nodes for all other names (then they override the local ones)" },
	{ "dns.split", SPLIT, 0, 0, "", "DOMAIN: [resolvers]" },
	{ "dns.search", LIST, AT(search), "", "search domains behind base_domain" },
	{ "dns.extra_records", RECORDS, 0, 0, "", "list of {name, type (A or AAAA), value}" },
	{ "limits.connections", NUMBER, AT(max_connections), "20000", "" },
	{ "limits.handshakes_per_second", NUMBER, AT(handshakes_per_second), "200", "control connections from one address (IPv6: /64); ten times as many at once; 0: no limit" },
	{ "limits.api_per_second", NUMBER, AT(api_per_second), "100", "API requests from one address, and those without a good key; ten times as many at once; 0: no limit" },
};
/* clang-format on */

/* --- values --- */

static bool number_parse(struct bytes text, int64_t *out)
{
	return text_i64(text, out) && *out >= 0;
}

static bool text_take(struct config *c, const struct row *r, struct bytes v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.data[i] < ' ' || v.data[i] == 0x7f)
			return false;
	return bytes_to_str(v, (char *)c + r->at, r->size);
}

/* false: not a value of that kind */
static bool take(struct config *c, const struct row *r, struct bytes v)
{
	void *p = (char *)c + r->at;

	switch (r->kind) {
	case TEXT:
		return text_take(c, r, v);
	case FLAG:
		return bool_parse(v, p);
	case NUMBER:
		return number_parse(v, p);
	case SPAN:
		return span_parse(v, p);
	case PREFIX:
		if (v.len == 0)
			*(struct ipprefix *)p = (struct ipprefix){ 0 };
		return v.len == 0 || ipprefix_parse(v, p);
	default:
		return false;
	}
}

static const char *wanted(enum kind k)
{
	static const char *const words[] = { [TEXT] = "a text",
					     [FLAG] = "true or false",
					     [NUMBER] = "a number",
					     [SPAN] = "a time such as 30m or 4320h",
					     [PREFIX] = "a prefix such as 100.64.0.0/10",
					     [LIST] = "a list of texts",
					     [SPLIT] = "DOMAIN: [resolvers]",
					     [RECORDS] = "a list of {name, type, value}" };

	return words[k];
}

void config_init(struct config *c)
{
	*c = (struct config){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].kind < LIST)
			(void)take(c, &rows[i], bytes_str(rows[i].preset));
}

void config_fini(struct config *c)
{
	free(c->records);
	c->records = NULL;
	c->n_records = 0;
}

/* --- nearest key --- */

static const char *nearest(const char *key)
{
	const char *best = rows[0].key, *leaf = strrchr(key, '.') ? strrchr(key, '.') + 1 : key;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *dot = strrchr(rows[i].key, '.');
		const size_t whole = text_edits(bytes_str(key), bytes_str(rows[i].key));
		const size_t last =
		    text_edits(bytes_str(leaf), bytes_str(dot ? dot + 1 : rows[i].key));

		if (whole < least || last + 1 < least) {
			least = MIN_OF(whole, last + 1);
			best = rows[i].key;
		}
	}
	return best;
}

/* --- YAML --- */

struct reader {
	struct config *c;
	yaml_document_t doc;
	struct err *e;
	unsigned
	    left; /* nodes that may be looked at: aliases cannot make more of a file than it is */
};

static int at(struct reader *r, const yaml_node_t *n, const char *fmt, ...) PRINTF(3, 4);
static int at(struct reader *r, const yaml_node_t *n, const char *fmt, ...)
{
	char words[ERR_TEXT_MAX - 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	return err_say(r->e, EINVAL, "line %zu, column %zu: %s", n->start_mark.line + 1,
		       n->start_mark.column + 1, words);
}

static yaml_node_t *node(struct reader *r, int index)
{
	return yaml_document_get_node(&r->doc, index);
}

static struct bytes scalar(const yaml_node_t *n)
{
	struct bytes v = bytes_of(n->data.scalar.value, n->data.scalar.length);
	bool plain = n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	return plain && (bytes_eq_str(v, "~") || bytes_eq_str(v, "null")) ? bytes_of(NULL, 0) : v;
}

static bool is_empty(const yaml_node_t *n)
{
	return n->type == YAML_SCALAR_NODE && scalar(n).len == 0;
}

static int read_list(struct reader *r, const yaml_node_t *n, struct config_list *out,
		     const char *key)
{
	out->n = 0;
	if (is_empty(n))
		return 0;
	if (n->type != YAML_SEQUENCE_NODE)
		return at(r, n, "%s wants %s", key, wanted(LIST));
	for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top;
	     i++) {
		const yaml_node_t *item = node(r, *i);

		if (out->n == CONFIG_LIST_MAX)
			return at(r, item, "%s holds at most %d", key, CONFIG_LIST_MAX);
		if (item->type != YAML_SCALAR_NODE ||
		    !bytes_to_str(scalar(item), out->v[out->n++], sizeof out->v[0]))
			return at(r, item, "%s wants %s of at most 127 bytes", key, wanted(LIST));
	}
	return 0;
}

static int read_split(struct reader *r, const yaml_node_t *n, const char *key)
{
	r->c->n_split = 0;
	if (is_empty(n))
		return 0;
	if (n->type != YAML_MAPPING_NODE)
		return at(r, n, "%s wants %s", key, wanted(SPLIT));
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *name = node(r, p->key);
		struct config_split *s = &r->c->split[r->c->n_split];
		int ret;

		if (r->c->n_split == CONFIG_LIST_MAX)
			return at(r, name, "%s holds at most %d", key, CONFIG_LIST_MAX);
		if (name->type != YAML_SCALAR_NODE ||
		    !bytes_to_str(scalar(name), s->domain, sizeof s->domain))
			return at(r, name, "%s wants %s", key, wanted(SPLIT));
		ret = read_list(r, node(r, p->value), &s->resolvers, key);
		if (ret != 0)
			return ret;
		r->c->n_split++;
	}
	return 0;
}

static int read_record(struct reader *r, const yaml_node_t *n, struct config_record *out)
{
	struct ip a;

	if (n->type != YAML_MAPPING_NODE)
		return at(r, n, "dns.extra_records wants %s", wanted(RECORDS));
	snprintf(out->type, sizeof out->type, "A");
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = node(r, p->key), *v = node(r, p->value);
		bool is_text = k->type == YAML_SCALAR_NODE && v->type == YAML_SCALAR_NODE,
		     good = false;

		if (is_text && bytes_eq_str(scalar(k), "name"))
			good = bytes_to_str(scalar(v), out->name, sizeof out->name);
		else if (is_text && bytes_eq_str(scalar(k), "type"))
			good = bytes_to_str(scalar(v), out->type, sizeof out->type);
		else if (is_text && bytes_eq_str(scalar(k), "value"))
			good = bytes_to_str(scalar(v), out->value, sizeof out->value);
		if (!good)
			return at(r, k, "a record has name, type and value");
	}
	if (!out->name[0] || !ip_parse(bytes_str(out->value), &a) ||
	    strcmp(out->type, ip_is_v4(&a) ? "A" : "AAAA") != 0)
		return at(
		    r, n,
		    "a record wants a name, type A with an IPv4 or AAAA with an IPv6 address");
	return 0;
}

static int read_records(struct reader *r, const yaml_node_t *n, const char *key)
{
	size_t count;

	config_fini(r->c);
	if (is_empty(n))
		return 0;
	if (n->type != YAML_SEQUENCE_NODE)
		return at(r, n, "%s wants %s", key, wanted(RECORDS));
	count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
	if (count > CONFIG_RECORDS_MAX)
		return at(r, n, "%s holds at most %d", key, CONFIG_RECORDS_MAX);
	r->c->records = calloc(count + 1, sizeof *r->c->records);
	if (!r->c->records)
		return err_set(r->e, ENOMEM, "read configuration");
	for (size_t i = 0; i < count; i++) {
		int ret =
		    read_record(r, node(r, n->data.sequence.items.start[i]), &r->c->records[i]);

		if (ret != 0)
			return ret;
		r->c->n_records++;
	}
	return 0;
}

static int read_value(struct reader *r, const struct row *row, const yaml_node_t *v)
{
	if (row->kind == LIST)
		return read_list(r, v, (struct config_list *)(void *)((char *)r->c + row->at),
				 row->key);
	if (row->kind == SPLIT)
		return read_split(r, v, row->key);
	if (row->kind == RECORDS)
		return read_records(r, v, row->key);
	if (v->type != YAML_SCALAR_NODE || !take(r->c, row, scalar(v)))
		return at(r, v, "%s wants %s", row->key, wanted(row->kind));
	return 0;
}

static const struct row *find(const char *key, bool *is_group)
{
	size_t len = strlen(key);

	*is_group = false;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].key, key) == 0)
			return &rows[i];
		*is_group |= strncmp(rows[i].key, key, len) == 0 && rows[i].key[len] == '.';
	}
	return NULL;
}

static int read_group(struct reader *r, const yaml_node_t *n, const char *prefix)
{
	if (is_empty(n))
		return 0;
	if (n->type != YAML_MAPPING_NODE)
		return at(r, n, "%s%swants keys with values", prefix, *prefix ? " " : "the file ");
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = node(r, p->key), *v = node(r, p->value);
		const struct row *row;
		bool is_group;
		char key[96];
		int ret;

		if (r->left-- == 0)
			return at(r, k, "too many settings");
		if (k->type != YAML_SCALAR_NODE || scalar(k).len > 60)
			return at(r, k, "a key is a short text");
		snprintf(key, sizeof key, "%s%s%.*s", prefix, *prefix ? "." : "",
			 (int)scalar(k).len, (const char *)scalar(k).data);
		row = find(key, &is_group);
		if (row)
			ret = read_value(r, row, v);
		else if (is_group && !*prefix)
			ret = read_group(r, v, key);
		else
			ret = at(r, k, "there is no setting '%s'; the nearest is '%s'", key,
				 nearest(key));
		if (ret != 0)
			return ret;
	}
	return 0;
}

static int syntax(const yaml_parser_t *p, struct err *e)
{
	const char *what = p->problem ? p->problem : "malformed";

	if (p->error == YAML_MEMORY_ERROR)
		return err_set(e, ENOMEM, "read configuration");
	if (p->error == YAML_READER_ERROR)
		return err_say(e, EINVAL, "byte %zu: %s", p->problem_offset, what);
	return err_say(e, EINVAL, "line %zu, column %zu: %s", p->problem_mark.line + 1,
		       p->problem_mark.column + 1, what);
}

int config_parse(struct config *c, struct bytes yaml, struct err *e)
{
	struct reader r = { .c = c, .e = e, .left = 1000 };
	yaml_parser_t p;
	int ret = 0;

	if (!yaml_parser_initialize(&p))
		return err_set(e, ENOMEM, "read configuration");
	yaml_parser_set_input_string(&p, yaml.len ? yaml.data : (const unsigned char *)"",
				     yaml.len);
	if (!yaml_parser_load(&p, &r.doc)) {
		ret = syntax(&p, e);
	} else {
		const yaml_node_t *root = yaml_document_get_root_node(&r.doc);

		if (root)
			ret = read_group(&r, root, "");
		yaml_document_delete(&r.doc);
	}
	yaml_parser_delete(&p);
	return ret;
}

int config_load(struct config *c, const char *path, struct err *e)
{
	char *text = NULL;
	size_t len = 0;
	int ret = file_read(path, CONFIG_FILE_MAX, &text, &len, e);

	if (ret != 0)
		return ret;
	ret = config_parse(c, bytes_of(text, len), e);
	free(text);
	return ret == 0 ? 0 : err_wrap(e, "%s", path);
}

int config_set(struct config *c, const char *key, const char *value, struct err *e)
{
	bool is_group;
	const struct row *r = find(key, &is_group);
	struct config_list *l;

	if (r && r->kind == LIST) {
		l = (struct config_list *)(void *)((char *)c + r->at);
		if (l->n < CONFIG_LIST_MAX &&
		    bytes_to_str(bytes_str(value), l->v[l->n], sizeof l->v[0])) {
			l->n++;
			return 0;
		}
	} else if (r && take(c, r, bytes_str(value))) {
		return 0;
	}
	return r ? err_say(e, EINVAL, "%s wants %s", key, wanted(r->kind))
		 : err_say(e, EINVAL, "there is no setting '%s'", key);
}

/* --- description --- */

int config_describe(struct buf *out)
{
	const char *group = "";
	bool ok = true;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *dot = strchr(rows[i].key, '.');
		size_t len = dot ? (size_t)(dot - rows[i].key) : 0;
		bool same = len > 0 && strncmp(group, rows[i].key, len + 1) == 0;

		if (len > 0 && !same)
			ok &= buf_printf(out, "#%.*s:\n", (int)len, rows[i].key);
		group = len > 0 ? rows[i].key : "";
		if (rows[i].help[0])
			ok &= buf_printf(out, "%s# %s\n", len > 0 ? "#  " : "", rows[i].help);
		ok &=
		    buf_printf(out, "#%s%s: %s\n", len > 0 ? "  " : "", dot ? dot + 1 : rows[i].key,
			       rows[i].kind >= LIST ? (rows[i].kind == SPLIT ? "{}" : "[]")
			       : rows[i].preset[0]  ? rows[i].preset
						    : "\"\"");
	}
	return ok ? 0 : -ENOMEM;
}
