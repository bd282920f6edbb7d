/* coordinator/regions.c - relay regions from a file: YAML or JSON, field names in any case, to the
 * JSON of a DERPMap */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/json.h"
#include "base/text.h"
#include "coordinator/config.h"

enum { REGIONS_MAX = 256, RELAYS_MAX = 64 };

struct field {
	const char *name;
	enum { F_TEXT, F_NUMBER, F_FLAG, F_REAL } kind;
};

/* control-protocol.md 4.8 */
static const struct field region_fields[] = {
	{ "RegionID", F_NUMBER },     { "RegionCode", F_TEXT }, { "RegionName", F_TEXT },
	{ "Latitude", F_REAL },       { "Longitude", F_REAL },  { "Avoid", F_FLAG },
	{ "NoMeasureNoHome", F_FLAG }
};
static const struct field relay_fields[] = {
	{ "Name", F_TEXT },       { "RegionID", F_NUMBER },
	{ "HostName", F_TEXT },   { "CertName", F_TEXT },
	{ "IPv4", F_TEXT },       { "IPv6", F_TEXT },
	{ "STUNPort", F_NUMBER }, { "STUNOnly", F_FLAG },
	{ "DERPPort", F_NUMBER }, { "InsecureForTests", F_FLAG },
	{ "STUNTestIP", F_TEXT }, { "CanPort80", F_FLAG }
};

struct reader {
	yaml_document_t doc;
	struct jsonw w;
	struct err *e;
};

static int bad(struct reader *r, const yaml_node_t *n, const char *what)
{
	return err_say(r->e, EINVAL, "line %zu, column %zu: %s", n->start_mark.line + 1,
		       n->start_mark.column + 1, what);
}

static yaml_node_t *node(struct reader *r, int index)
{
	return yaml_document_get_node(&r->doc, index);
}

static bool is_named(const yaml_node_t *k, const char *name)
{
	return k->type == YAML_SCALAR_NODE && strlen(name) == k->data.scalar.length &&
	       strncasecmp((const char *)k->data.scalar.value, name, k->data.scalar.length) == 0;
}

static bool emit_value(struct reader *r, const struct field *f, const yaml_node_t *v)
{
	struct bytes text = bytes_of(v->data.scalar.value, v->data.scalar.length);
	int64_t number;
	bool flag;

	if (v->type != YAML_SCALAR_NODE || text.len > 255)
		return false;
	if (f->kind == F_TEXT) {
		jsonw_key(&r->w, f->name);
		jsonw_strn(&r->w, text);
		return true;
	}
	if (f->kind == F_FLAG) {
		if (!bool_parse(text, &flag))
			return false;
		jsonw_kbool(&r->w, f->name, flag);
		return true;
	}
	if (f->kind == F_REAL) {
		char num[256], *end;
		double d;

		if (!bytes_to_str(text, num, sizeof num))
			return false;
		d = strtod(num, &end);
		jsonw_key(&r->w, f->name);
		jsonw_f64(&r->w, d);
		return *end == 0 && end != num;
	}
	if (!text_i64(text, &number) || number < -1 || number > UINT16_MAX)
		return false;
	jsonw_ki64(&r->w, f->name, number);
	return true;
}

/* 1: written, 0: another name, negative: refused */
static int emit_field(struct reader *r, const struct field *v, size_t n, const yaml_node_t *key,
		      const yaml_node_t *value)
{
	for (size_t i = 0; i < n; i++)
		if (is_named(key, v[i].name))
			return emit_value(r, &v[i], value)
				   ? 1
				   : bad(r, value, "not a value of this field");
	return 0;
}

static int relay(struct reader *r, const yaml_node_t *n)
{
	bool has_host = false;

	if (n->type != YAML_MAPPING_NODE)
		return bad(r, n, "a relay wants name, hostname, ...");
	jsonw_obj(&r->w);
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = node(r, p->key);
		int ret =
		    emit_field(r, relay_fields, ARRAY_LEN(relay_fields), k, node(r, p->value));

		if (ret <= 0)
			return ret < 0 ? ret : bad(r, k, "a relay has no such field");
		has_host |= is_named(k, "HostName");
	}
	jsonw_obj_end(&r->w);
	return has_host ? 0 : bad(r, n, "a relay needs a hostname");
}

static int relays(struct reader *r, const yaml_node_t *n)
{
	if (n->type != YAML_SEQUENCE_NODE ||
	    n->data.sequence.items.top - n->data.sequence.items.start > RELAYS_MAX)
		return bad(r, n, "nodes wants a list of at most 64 relays");
	jsonw_key(&r->w, "Nodes");
	jsonw_arr(&r->w);
	for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top;
	     i++) {
		int ret = relay(r, node(r, *i));

		if (ret != 0)
			return ret;
	}
	jsonw_arr_end(&r->w);
	return 0;
}

static int region(struct reader *r, const yaml_node_t *n)
{
	if (n->type != YAML_MAPPING_NODE)
		return bad(r, n, "a region wants regionid, regioncode, nodes");
	jsonw_obj(&r->w);
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = node(r, p->key), *v = node(r, p->value);
		int ret = is_named(k, "Nodes")
			      ? relays(r, v)
			      : emit_field(r, region_fields, ARRAY_LEN(region_fields), k, v);

		if (ret < 0)
			return ret;
		if (ret == 0 && !is_named(k, "Nodes"))
			return bad(r, k, "a region has no such field");
	}
	jsonw_obj_end(&r->w);
	return 0;
}

static int regions(struct reader *r, const yaml_node_t *n)
{
	if (n->type != YAML_MAPPING_NODE ||
	    n->data.mapping.pairs.top - n->data.mapping.pairs.start > REGIONS_MAX)
		return bad(r, n, "regions wants ID: {regionid, ...}, at most 256");
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = node(r, p->key);
		char id[8];
		uint16_t number;
		int ret;

		if (k->type != YAML_SCALAR_NODE ||
		    !text_u16(bytes_of(k->data.scalar.value, k->data.scalar.length), &number) ||
		    number == 0)
			return bad(r, k, "the key of a region is its number");
		snprintf(id, sizeof id, "%u", number);
		jsonw_key(&r->w, id);
		ret = region(r, node(r, p->value));
		if (ret != 0)
			return ret;
	}
	return 0;
}

static int whole(struct reader *r, const yaml_node_t *root)
{
	if (!root || root->type != YAML_MAPPING_NODE)
		return err_say(r->e, EINVAL, "line 1: the file wants `regions:`");
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = node(r, p->key);

		if (is_named(k, "Regions"))
			return regions(r, node(r, p->value));
	}
	return bad(r, root, "the file wants `regions:`");
}

int config_regions(struct bytes yaml, struct buf *out, struct err *e)
{
	struct reader r = { .e = e };
	size_t before = out->len;
	yaml_parser_t p;
	int ret;

	if (!yaml_parser_initialize(&p))
		return err_set(e, ENOMEM, "read relay map");
	jsonw_init(&r.w, out);
	yaml_parser_set_input_string(&p, yaml.len ? yaml.data : (const unsigned char *)"",
				     yaml.len);
	if (!yaml_parser_load(&p, &r.doc)) {
		ret = err_say(e, EINVAL, "line %zu, column %zu: %s", p.problem_mark.line + 1,
			      p.problem_mark.column + 1, p.problem ? p.problem : "malformed");
	} else {
		ret = whole(&r, yaml_document_get_root_node(&r.doc));
		yaml_document_delete(&r.doc);
	}
	yaml_parser_delete(&p);
	if (ret == 0 && !jsonw_ok(&r.w))
		ret = err_set(e, ENOMEM, "read relay map");
	if (ret != 0)
		out->len = before;
	return ret;
}
