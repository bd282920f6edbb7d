/* operator/group.c - see group.h */
#include "operator/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "kube/table.h"

bool group_place_parse(const char *text, struct group_place *out)
{
	const char *slot = strrchr(text, '/'), *group = slot;
	uint64_t g, s;

	while (group && group > text && group[-1] != '/')
		group--;
	if (!group || group == text ||
	    !bytes_to_str(bytes_of(text, (size_t)(group - text) - 1), out->class,
			  sizeof out->class) ||
	    !*out->class || !text_u64(bytes_of(group, (size_t)(slot - group)), &g) ||
	    !text_u64(bytes_str(slot + 1), &s) || g >= GROUPS_MAX || s >= CLASS_NODES_MAX)
		return false;
	out->group = (unsigned)g;
	out->slot = (unsigned)s;
	return true;
}

void group_place_emit(char out[static GROUP_TEXT], const struct group_place *place)
{
	(void)snprintf(out, GROUP_TEXT, "%s/%u/%u", place->class, place->group, place->slot);
}

void group_name(char out[static PROXY_NAME_MAX + 1], const char *class, unsigned group)
{
	char name[80], id[96];

	(void)snprintf(name, sizeof name, "%.28s-%u", class, group);
	(void)snprintf(id, sizeof id, "group/%s/%u", class, group);
	proxy_name(out, name, id);
}

bool group_is_second(const struct proxy *x, const struct proxy *y)
{
	return x->group[0] && strcmp(x->group, y->group) == 0 && strcmp(y->name, x->name) < 0;
}

/* Notes the slot of a place of this class. */
static void take(uint64_t *used, const char *place, const char *class)
{
	struct group_place at;

	if (*place && group_place_parse(place, &at) && strcmp(at.class, class) == 0)
		used[at.group] |= UINT64_C(1) << at.slot;
}

static bool is_free(const uint64_t *used, const char *place, const char *class,
		    unsigned per_process, struct group_place *out)
{
	return *place && group_place_parse(place, out) && strcmp(out->class, class) == 0 &&
	       out->slot < per_process && !(used[out->group] >> out->slot & 1);
}

bool group_find(const struct kube_table *proxies, const struct proxy *x, const char *class,
		unsigned per_process, struct group_place *out)
{
	uint64_t *used = calloc(GROUPS_MAX, sizeof *used);
	static const uint64_t none[GROUPS_MAX];
	struct kube_table_walk t = { 0 };
	bool found = false, is_second = false;

	if (!used)
		return false;
	while (kube_table_next(proxies, &t)) {
		const struct proxy *y = t.value;

		if (y == x)
			continue;
		take(used, y->group, class);
		take(used, y->wished, class);
		is_second = is_second || (x && group_is_second(x, y));
	}
	/* what stands in its Secret goes before what others are only planned for */
	found = x && ((!is_second && is_free(none, x->group, class, per_process, out)) ||
		      is_free(used, x->wished, class, per_process, out));
	for (unsigned i = 0; i < GROUPS_MAX * per_process && !found; i++) {
		out->group = i / per_process;
		out->slot = i % per_process;
		found = !(used[out->group] >> out->slot & 1);
		if (found)
			(void)snprintf(out->class, sizeof out->class, "%s", class);
	}
	free(used);
	return found;
}

void group_move(struct want *w, const struct proxy *x, const char *wished, mono_t now)
{
	const bool is_placed = x && x->child[CHILD_SECRET].exists && x->group[0];
	const bool is_late = x && !mono_is_never(x->leaves) &&
			     mono_due(mono_add(x->leaves, SPAN_S(GROUP_LEAVE_MAX_S)), now);

	w->move = MOVE_NONE;
	(void)snprintf(w->place, sizeof w->place, "%s", wished);
	if (is_placed && strcmp(x->group, wished) != 0) {
		const bool is_away = !(x->node && *x->node) && (!x->runs || is_late);

		if (is_away)
			return;
		w->move = MOVE_LEAVE;
		(void)snprintf(w->place, sizeof w->place, "%s", x->group);
	} else if (*wished && x && x->child[CHILD_SET].exists &&
		   !(x->child[CHILD_SET].is_deleting && (is_placed || is_late))) {
		w->move = MOVE_END_OWN;
		(void)snprintf(w->place, sizeof w->place, "%s", is_placed ? x->group : "");
	}
}

/* --- what a node is told --- */

bool group_can_run(const struct proxy *x)
{
	return x->group[0] && x->node && *x->node &&
	       (x->has_key || x->has_state || x->device_id[0]);
}

bool group_port(const struct want *w, size_t i, struct group_port *out)
{
	struct group_place at = { 0 };
	const char *p = w->ports;
	size_t k = 0;

	for (; k < i && p; k++) {
		p = strchr(p, ',');
		p = p ? p + 1 : NULL;
	}
	if (!p || !*p || i >= PARENT_PORTS_MAX)
		return false;
	out->port = out->there = (uint16_t)strtoul(p, NULL, 10);
	p += strspn(p, "0123456789");
	if (*p == ':') {
		out->there = (uint16_t)strtoul(p + 1, NULL, 10);
		p++;
		p += strspn(p, "0123456789");
	}
	out->is_udp = strncmp(p, "/udp", 4) == 0;
	out->target = out->port;
	if (w->place[0] && group_place_parse(w->place, &at))
		out->target =
		    (uint16_t)(GROUP_PORT_FIRST + at.slot * PARENT_PORTS_MAX + (unsigned)i);
	return true;
}

static bool ports_of_node(const struct want *w, char *out, size_t cap)
{
	struct group_port port;
	size_t at = 0;

	out[0] = 0;
	for (size_t i = 0; group_port(w, i, &port); i++) {
		const int n = snprintf(out + at, cap - at, "%s%u:%u%s", i ? "," : "", port.target,
				       port.there, port.is_udp ? "/udp" : "");

		if (n < 0 || (size_t)n >= cap - at)
			return false;
		at += (size_t)n;
	}
	return true;
}

bool group_node(char out[static NODE_TEXT_MAX], const struct want *w, const char *proxy)
{
	char secret[PROXY_NAME_MAX + 16], ports[2048];
	struct jsonw j;
	struct buf b;
	bool ok;

	(void)snprintf(secret, sizeof secret, "%s%s", proxy, children[CHILD_SECRET].suffix);
	buf_init(&b, NODE_TEXT_MAX - 1);
	jsonw_init(&j, &b);
	jsonw_obj(&j);
	jsonw_kstr(&j, "TS_HOSTNAME", w->hostname);
	jsonw_kstr(&j, "TS_KUBE_SECRET", secret);
	ok = true;
	if (w->role == ROLE_EGRESS) {
		ok = ports_of_node(w, ports, sizeof ports);
		jsonw_kstr(&j, w->target_ip[0] ? "TS_TAILNET_TARGET_IP" : "TS_TAILNET_TARGET_FQDN",
			   w->target_ip[0] ? w->target_ip : w->target_fqdn);
		jsonw_kstr(&j, "TS_TAILNET_TARGET_PORTS", ports);
	} else {
		jsonw_kstr(&j, w->dest_name[0] ? "TS_EXPERIMENTAL_DEST_DNS_NAME" : "TS_DEST_IP",
			   w->dest_name[0] ? w->dest_name : w->dest_ip);
	}
	jsonw_obj_end(&j);
	ok = ok && jsonw_ok(&j) && bytes_to_str(buf_bytes(&b), out, NODE_TEXT_MAX);
	buf_fini(&b);
	return ok;
}
