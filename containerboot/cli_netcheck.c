/* containerboot/cli_netcheck.c - `netcheck` for people: what the running node has found, not a
 * measurement of this process, which has no sockets of the node
 *
 * Lines and their order are those of the stock CLI 1.102, which scripts and people know; what only
 * we know follows them (cli.c prints that). Reports and maps come from the node, names of regions
 * from its control server: those are cleaned.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "containerboot/cli.h"

enum {
	REGION_WORDS_MAX = 64, /* of a code or a name; longer ones are cut */
	REGIONS_MAX = 256,     /* as many as a node measures */
	LATENCY_TEXT = 32,
	LATENCY_COLUMN = 7,
	CODE_COLUMN = 3,
};

struct report_region {
	int64_t id, ns; /* ns -1: did not answer */
	char code[REGION_WORDS_MAX], name[REGION_WORDS_MAX];
};
struct report {
	char time[64], v4[IPPORT_TEXT], v6[IPPORT_TEXT], mapped[IPPORT_TEXT];
	bool udp, has_v6, os_has_v6, has_mapping;
	int varies, upnp, pmp, pcp; /* -1: not known */
	int64_t home;
	size_t n_latency, n_regions;
	struct {
		int64_t id, ns;
	} latency[REGIONS_MAX];
	struct report_region regions[REGIONS_MAX];
};

/* --- reading --- */

static int read_known(struct json *j)
{
	if (json_take_null(j))
		return -1;
	return json_bool(j);
}

static bool id_of(struct bytes key, int64_t *id)
{
	uint64_t v;

	if (!text_u64(key, &v) || v > INT64_MAX)
		return false;
	*id = (int64_t)v;
	return true;
}

static void read_latency(struct report *r, struct json *j)
{
	struct bytes key;
	int64_t id, ns;

	json_obj(j);
	while (json_key(j, &key)) {
		const bool good = id_of(key, &id); /* the key does not outlive the value */

		ns = json_i64(j);
		if (!good || r->n_latency == ARRAY_LEN(r->latency))
			continue;
		r->latency[r->n_latency].id = id;
		r->latency[r->n_latency++].ns = ns;
	}
}

static bool read_report(struct report *r, struct bytes json)
{
	struct json j = json_of(json);
	struct bytes key;

	r->varies = r->upnp = r->pmp = r->pcp = -1;
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Now"))
			(void)json_str(&j, r->time, sizeof r->time);
		else if (json_key_is(key, "UDP"))
			r->udp = json_bool(&j);
		else if (json_key_is(key, "IPv6"))
			r->has_v6 = json_bool(&j);
		else if (json_key_is(key, "OSHasIPv6"))
			r->os_has_v6 = json_bool(&j);
		else if (json_key_is(key, "GlobalV4"))
			(void)json_str(&j, r->v4, sizeof r->v4);
		else if (json_key_is(key, "GlobalV6"))
			(void)json_str(&j, r->v6, sizeof r->v6);
		else if (json_key_is(key, "MappingVariesByDestIP"))
			r->varies = read_known(&j);
		else if (json_key_is(key, "UPnP"))
			r->upnp = read_known(&j);
		else if (json_key_is(key, "PMP"))
			r->pmp = read_known(&j);
		else if (json_key_is(key, "PCP"))
			r->pcp = read_known(&j);
		else if (json_key_is(key, "PreferredDERP"))
			r->home = json_i64(&j);
		else if (json_key_is(key, "RegionLatency"))
			read_latency(r, &j);
		else if (json_key_is(key, "PortMapping"))
			r->has_mapping = json_str(&j, r->mapped, sizeof r->mapped) > 0;
		else
			json_skip(&j);
	}
	return json_done(&j);
}

static void read_region(struct report *r, struct json *j, int64_t id)
{
	struct report_region g = { .id = id, .ns = -1 };
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "RegionCode"))
			cli_text(j, g.code, sizeof g.code);
		else if (json_key_is(key, "RegionName"))
			cli_text(j, g.name, sizeof g.name);
		else
			json_skip(j);
	}
	for (size_t i = 0; i < r->n_latency; i++)
		if (r->latency[i].id == id)
			g.ns = r->latency[i].ns;
	if (id > 0 && r->n_regions < ARRAY_LEN(r->regions))
		r->regions[r->n_regions++] = g;
}

static bool read_map(struct report *r, struct bytes json)
{
	struct json j = json_of(json);
	struct bytes key;
	int64_t id;

	if (json_take_null(&j)) /* no map yet */
		return json_done(&j);
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (!json_key_is(key, "Regions") || json_take_null(&j)) {
			json_skip(&j);
			continue;
		}
		json_obj(&j);
		while (json_key(&j, &key)) {
			if (!id_of(key, &id))
				id = 0;
			read_region(r, &j, id);
		}
	}
	return json_done(&j);
}

/* --- writing --- */

/* As Go writes a duration of whole tenths of a millisecond: 100us with its Greek letter, 1.2ms,
 * 1.5s. The number of columns it takes. */
static int latency_text(int64_t ns, char out[static LATENCY_TEXT])
{
	const int64_t tenths = (ns + 50000) / 100000;

	if (tenths == 0)
		return snprintf(out, LATENCY_TEXT, "0s");
	if (tenths < 10)
		return snprintf(out, LATENCY_TEXT, "%d00\u00b5s", (int)tenths) - 1;
	if (tenths < 10000)
		return tenths % 10 ? snprintf(out, LATENCY_TEXT, "%d.%dms", (int)(tenths / 10),
					      (int)(tenths % 10))
				   : snprintf(out, LATENCY_TEXT, "%dms", (int)(tenths / 10));
	return snprintf(out, LATENCY_TEXT, "%.5gs", (double)tenths / 10000);
}

static int nearest_first(const void *va, const void *vb)
{
	const struct report_region *a = va, *b = vb;

	if ((a->ns < 0) != (b->ns < 0))
		return a->ns < 0 ? 1 : -1;
	if (a->ns != b->ns)
		return a->ns < b->ns ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

static bool put_region(struct buf *out, const struct report_region *g, bool verbose)
{
	char latency[LATENCY_TEXT] = "", number[32] = "";
	int n = g->ns < 0 ? 0 : latency_text(g->ns, latency);

	if (verbose)
		snprintf(number, sizeof number, "derp%lld, ", (long long)g->id);
	return buf_printf(out, "\t\t- %*s: %s%*s (%s%s)\n", CODE_COLUMN, g->code, latency,
			  n < LATENCY_COLUMN ? LATENCY_COLUMN - n : 0, "", number, g->name);
}

static bool put_relays(struct buf *out, struct report *r, bool verbose)
{
	const char *home = "[none]";

	if (r->n_latency == 0)
		return buf_printf(out,
				  "\t* Nearest DERP: unknown (no response to latency probes)\n");
	qsort(r->regions, r->n_regions, sizeof r->regions[0], nearest_first);
	for (size_t i = 0; i < r->n_regions; i++)
		if (r->regions[i].id == r->home)
			home = r->regions[i].name;
	if (!buf_printf(out, "\t* Nearest DERP: %s\n\t* DERP latency:\n", home))
		return false;
	for (size_t i = 0; i < r->n_regions; i++)
		if (!put_region(out, &r->regions[i], verbose))
			return false;
	return true;
}

static bool put_services(struct buf *out, const struct report *r)
{
	static const char *const names[] = { "UPnP", "NAT-PMP", "PCP" };
	const int there[] = { r->upnp, r->pmp, r->pcp };
	const char *comma = "";

	if (!buf_printf(out, "\t* PortMapping: "))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (there[i] != 1)
			continue;
		if (!buf_printf(out, "%s%s", comma, names[i]))
			return false;
		comma = ", ";
	}
	return buf_printf(out, "\n");
}

static bool put_report(struct buf *out, struct report *r, bool verbose)
{
	const char *v6 = r->has_v6      ? "(no addr found)"
			 : r->os_has_v6 ? "no, but OS has support"
					: "no, unavailable in OS";

	return buf_printf(out, "\nReport:\n\t* Time: %s\n\t* UDP: %s\n",
			  *r->time ? r->time : "(nothing measured yet)",
			  r->udp ? "true" : "false") &&
	       buf_printf(out, *r->v4 ? "\t* IPv4: yes, %s\n" : "\t* IPv4: (no addr found)%s\n",
			  r->v4) &&
	       buf_printf(out, "\t* IPv6: %s%s\n", *r->v6 ? "yes, " : "", *r->v6 ? r->v6 : v6) &&
	       buf_printf(out, "\t* MappingVariesByDestIP: %s\n",
			  r->varies < 0 ? ""
			  : r->varies   ? "true"
					: "false") &&
	       put_services(out, r) && put_relays(out, r, verbose) &&
	       (!r->has_mapping || buf_printf(out, "\t* Mapped port: %s\n", r->mapped));
}

int cli_netcheck_text(struct bytes report, struct bytes map, bool verbose, struct buf *out)
{
	struct report *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return -ENOMEM;
	if (!read_report(r, report) || !read_map(r, map))
		rc = -EBADMSG;
	else
		rc = put_report(out, r, verbose) ? 0 : -ENOMEM;
	free(r);
	return rc;
}
