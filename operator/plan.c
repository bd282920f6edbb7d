/* operator/plan.c - see plan.h */
#include "operator/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/ip.h"
#include "operator/group.h"

const char *const step_names[STEP_N] = {
	[STEP_FINALIZER_ADD] = "add finalizer",
	[STEP_APPLY] = "apply",
	[STEP_MINT] = "mint key",
	[STEP_KEY_DROP] = "drop used key",
	[STEP_RECORD] = "record device",
	[STEP_LOGOUT] = "ask for a logout",
	[STEP_LOGOUT_UNDO] = "take back the logout",
	[STEP_DELETE_DEVICE] = "delete device",
	[STEP_FIND_DEVICE] = "find device",
	[STEP_DELETE] = "delete",
	[STEP_EXTERNAL_NAME] = "set external name",
	[STEP_ROUTES] = "ask for approved routes",
	[STEP_STATUS] = "write status",
	[STEP_FINALIZER_DEL] = "remove finalizer",
};

static void add(struct plan *out, enum step_kind kind, const char *proxy, enum child child)
{
	struct step *s = &out->step[out->n];

	if (out->n == PLAN_STEPS_MAX) { /* the rest next time */
		out->again = (mono_t){ 0 };
		return;
	}
	out->n++;
	s->kind = kind;
	s->child = child;
	(void)bytes_to_str(bytes_str(proxy ? proxy : ""), s->proxy, sizeof s->proxy);
}

/* With a fixed key nobody but the proxy itself can end its registration: it is asked first, then
 * its pod goes, and what it needs to answer stays until it has. True: it is waited for. */
static bool log_out(struct plan *out, const struct proxy *x, mono_t now)
{
	const span_t limit = SPAN_S(x->group[0] ? GROUP_LEAVE_MAX_S : LOGOUT_MAX_S);
	const mono_t end = mono_is_never(x->asked_logout) ? mono_add(now, limit)
							  : mono_add(x->asked_logout, limit);

	if (!x->child[CHILD_SECRET].exists || x->child[CHILD_SECRET].is_deleting ||
	    !x->device_id[0] || x->device_gone || x->logout == LOGOUT_DONE || mono_due(end, now))
		return false;
	if (x->logout == LOGOUT_NONE)
		add(out, STEP_LOGOUT, x->name, CHILD_SECRET);
	if (x->child[CHILD_SET].exists && !x->child[CHILD_SET].is_deleting)
		add(out, STEP_DELETE, x->name, CHILD_SET);
	out->again = mono_min(out->again, end);
	return true;
}

/* True: something is waited for, and the rest comes later. */
static bool cleanup(struct plan *out, const struct proxy *x, const struct settings *s, mono_t now)
{
	if (s->fixed_key && log_out(out, x, now))
		return true;
	if (x->child[CHILD_SET].exists && !x->child[CHILD_SET].is_deleting)
		add(out, STEP_DELETE, x->name, CHILD_SET);
	if (x->device_id[0] && !x->device_gone)
		add(out, STEP_DELETE_DEVICE, x->name, CHILD_SECRET);
	else if (!x->device_id[0] && !x->is_searched && !s->fixed_key &&
		 (x->key_id[0] || x->machine[0]))
		add(out, STEP_FIND_DEVICE, x->name, CHILD_SECRET);
	for (int c = CHILD_TLS; c >= CHILD_SECRET; c--)
		if (x->child[c].exists && !x->child[c].is_deleting)
			add(out, STEP_DELETE, x->name, (enum child)c);
	return false;
}

static bool must_apply(const struct child_seen *c, const char *hash)
{
	return !c->exists || c->is_deleting || strcmp(c->hash, hash) != 0 ||
	       (c->applied && c->applied != c->state);
}

static bool needs_key(const struct proxy *x, const struct want *w, const struct settings *s,
		      wall_t wall)
{
	if (x && x->wants_key)
		return true;
	if (x && x->device_id[0])
		return false;
	if (!x || !x->has_key)
		return true;
	if (s->fixed_key)
		return false;
	return x->key_expires.ns <= wall.ns || strcmp(x->key_tags, w->tags) != 0;
}

static void children_of(struct plan *out, const struct proxy *x, const char *name,
			const char (*hash)[HASH_TEXT])
{
	static const struct child_seen none;

	for (size_t c = 0; c < CHILD_SET; c++) {
		const struct child_seen *seen = x ? &x->child[c] : &none;

		if (hash[c][0] && must_apply(seen, hash[c]))
			add(out, STEP_APPLY, name, (enum child)c);
		else if (!hash[c][0] && seen->exists && !seen->is_deleting)
			add(out, STEP_DELETE, name, (enum child)c);
	}
}

/* On its way from one process to another: nothing is begun before the old one is through. */
static void move(struct plan *out, const struct proxy *x, const char *name, const struct want *w,
		 const char (*hash)[HASH_TEXT], mono_t now)
{
	static const enum child own[] = { CHILD_SET, CHILD_SERVICE, CHILD_BINDING, CHILD_ROLE,
					  CHILD_ACCOUNT };

	if (w->move == MOVE_LEAVE && must_apply(&x->child[CHILD_SECRET], hash[CHILD_SECRET]))
		add(out, STEP_APPLY, name, CHILD_SECRET);
	/* the Service too: one with an address does not become one without, nor back */
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (x->child[own[i]].exists && !x->child[own[i]].is_deleting)
			add(out, STEP_DELETE, name, own[i]);
	out->again = mono_min(out->again, mono_add(now, SPAN_S(MOVE_SOON_S)));
}

void plan_group(struct plan *out, const struct proxy *x, const char *name,
		const char (*hash)[HASH_TEXT])
{
	static const struct child_seen none;

	if (!hash) { /* a group has no device of its own */
		static const struct settings none_is_asked;

		(void)cleanup(out, x, &none_is_asked, (mono_t){ 0 });
		return;
	}
	for (int c = 0; c < CHILD_N; c++)
		if (hash[c][0] && must_apply(x ? &x->child[c] : &none, hash[c]))
			add(out, STEP_APPLY, name, (enum child)c);
}

static void key(struct plan *out, const struct proxy *x, const char *name, const struct want *w,
		const struct settings *s, mono_t now, wall_t wall)
{
	if (needs_key(x, w, s, wall)) {
		const mono_t not_before =
		    x && !mono_is_never(x->minted) ? mono_add(x->minted, SPAN_S(KEY_AGAIN_S)) : now;

		if (mono_before(now, not_before)) {
			out->again = mono_min(out->again, not_before);
			return;
		}
		if (x && x->wants_key && x->device_id[0] && !x->device_gone)
			add(out, STEP_DELETE_DEVICE, name, CHILD_SECRET);
		add(out, STEP_MINT, name, CHILD_SECRET);
	} else if (x->device_id[0] && x->has_key) {
		add(out, STEP_KEY_DROP, name, CHILD_SECRET);
	} else if (!x->device_id[0] &&
		   !s->fixed_key) { /* a key that nobody uses is replaced when it ends */
		const int64_t left = x->key_expires.ns - wall.ns;

		out->again = mono_min(out->again, mono_add(now, (span_t){ left + NS_PER_S }));
	}
}

/* --- status --- */

static void PRINTF(4, 5)
    condition(struct plan *out, bool is_true, const char *reason, const char *fmt, ...)
{
	va_list ap;

	out->condition.exists = true;
	out->condition.is_true = is_true;
	(void)bytes_to_str(bytes_str(reason), out->condition.reason, sizeof out->condition.reason);
	va_start(ap, fmt);
	(void)vsnprintf(out->condition.message, sizeof out->condition.message, fmt, ap);
	va_end(ap);
}

static bool is_among(const char *list, const char *one, size_t n)
{
	while (*list) {
		const size_t len = strcspn(list, ",");

		if (len == n && memcmp(list, one, n) == 0)
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

/* Are all elements of a among those of b? */
static bool all_among(const char *a, const char *b)
{
	while (*a) {
		const size_t n = strcspn(a, ",");

		if (!is_among(b, a, n))
			return false;
		a += n + (a[n] == ',');
	}
	return true;
}

void plan_routes(const struct want *w, char out[static ROUTES_MAX + 32])
{
	(void)snprintf(out, ROUTES_MAX + 32, "%s%s%s", w->routes,
		       w->routes[0] && w->exit_node ? "," : "",
		       w->exit_node ? "0.0.0.0/0,::/0" : "");
}

/* What a router offers is of use once the control server's side has said yes. */
static void router_condition(struct plan *out, const struct want *w, const struct proxy *x,
			     const struct settings *s)
{
	char routes[ROUTES_MAX + 32];

	plan_routes(w, routes);
	if (s->fixed_key)
		condition(out, true, "ConnectorCreated",
			  "%s %s; approve its routes at the control server: the operator has no "
			  "API to ask",
			  x->device_fqdn, x->device_ip[0]);
	else if (!x->routes_known)
		condition(out, false, "ConnectorCreating",
			  "the proxy has joined; the control server is asked about its routes");
	else if (all_among(routes, x->approved))
		condition(out, true, "ConnectorCreated", "%s %s", x->device_fqdn, x->device_ip[0]);
	else if (s->is_headscale)
		condition(out, false, "RoutesNotApproved",
			  "headscale nodes approve-routes -i %s -r %.380s", x->device_id, routes);
	else
		condition(out, false, "RoutesNotApproved",
			  "approve the routes of %s in the admin console, or by autoApprovers of "
			  "the policy: %.300s",
			  x->device_fqdn, routes);
}

static bool has_joined(const struct proxy *x)
{
	return x && x->device_id[0] && x->device_fqdn[0] && x->n_ips > 0;
}

static void ask_routes(struct plan *out, const struct want *w, const struct proxy *x,
		       const struct settings *s, mono_t now)
{
	char routes[ROUTES_MAX + 32];
	mono_t at;

	if (w->role != ROLE_ROUTER || !has_joined(x) || s->fixed_key)
		return;
	plan_routes(w, routes);
	at = !x->routes_known
		 ? now
		 : mono_add(x->routes_at, SPAN_S(all_among(routes, x->approved) ? ROUTES_LATER_S
										: ROUTES_SOON_S));
	if (mono_due(at, now)) {
		add(out, STEP_ROUTES, x->name, CHILD_SECRET);
		at = mono_add(now, SPAN_S(ROUTES_SOON_S));
	}
	out->again = mono_min(out->again, at);
}

static void ready_condition(struct plan *out, const struct parent *p, const struct want *w,
			    const struct proxy *x, const struct settings *s)
{
	const bool cn = p->kind == KIND_CONNECTOR;

	if (w->is_invalid)
		condition(out, false, w->reason, "%s", w->message);
	else if (p->kind == KIND_PROXYCLASS)
		condition(out, true, "ProxyClassValid", "%s",
			  w->message[0] ? w->message : "in use by new and existing proxies");
	else if (has_joined(x) && w->role == ROLE_ROUTER)
		router_condition(out, w, x, s);
	else if (has_joined(x))
		condition(out, true, "ProxyCreated", "%s %s", x->device_fqdn, x->device_ip[0]);
	else
		condition(out, false, cn ? "ConnectorCreating" : "ProxyPending",
			  "waiting for the proxy to join the tailnet");
}

static void load_balancer(struct plan *out, const struct parent *p, const struct want *w,
			  const struct proxy *x)
{
	struct ip dest, ip;
	const bool has_dest = w->role == ROLE_INGRESS && ip_parse(bytes_str(w->dest_ip), &dest);

	if (!x || !x->device_fqdn[0] || x->n_ips == 0)
		return;
	if (p->kind == KIND_SERVICE && !p->is_load_balancer)
		return;
	memcpy(out->lb_host, x->device_fqdn, sizeof out->lb_host);
	for (size_t i = 0; i < x->n_ips; i++)
		if (ip_parse(bytes_str(x->device_ip[i]), &ip) &&
		    (!has_dest || ip_is_v4(&ip) == ip_is_v4(&dest) ||
		     (ip_is_v4(&ip) ? p->has_v4 : p->has_v6)))
			memcpy(out->lb_ip[out->n_lb_ip++], x->device_ip[i], sizeof out->lb_ip[0]);
}

static bool same_lb(const struct plan *out, const struct parent *p)
{
	if (strcmp(out->lb_host, p->lb_host) != 0 || out->n_lb_ip != p->n_lb_ip)
		return false;
	for (size_t i = 0; i < out->n_lb_ip; i++)
		if (strcmp(out->lb_ip[i], p->lb_ip[i]) != 0)
			return false;
	return true;
}

static void status(struct plan *out, const struct parent *p, const struct want *w,
		   const struct proxy *x, const struct settings *s)
{
	const struct condition *a = &p->condition, *b = &out->condition;
	const bool has_lb =
	    p->kind == KIND_INGRESS || (p->kind == KIND_SERVICE && p->is_load_balancer);
	bool same = true;

	if (kinds[p->kind].condition) {
		ready_condition(out, p, w, x, s);
		out->condition.observed = p->generation;
		same = a->exists && a->is_true == b->is_true && strcmp(a->reason, b->reason) == 0 &&
		       strcmp(a->message, b->message) == 0 && a->observed == b->observed;
		if (a->exists && a->is_true == b->is_true)
			memcpy(out->condition.since, a->since, sizeof a->since);
	}
	if (has_lb && w->role != ROLE_KEEP) {
		load_balancer(out, p, w, x);
		same = same && same_lb(out, p);
	} else if (has_lb) { /* what runs is left as it is */
		memcpy(out->lb_host, p->lb_host, sizeof out->lb_host);
		for (size_t i = 0; i < p->n_lb_ip && i < DEVICE_IPS_MAX; i++)
			(void)bytes_to_str(bytes_str(p->lb_ip[i]), out->lb_ip[out->n_lb_ip++],
					   sizeof out->lb_ip[0]);
	}
	if (!same)
		add(out, STEP_STATUS, NULL, CHILD_SECRET);
}

/* Two that want one name: the control server gives the second an ending, NAME-1 or NAME-x7gh2k1p.
 */
static void note_name(struct plan *out, const struct want *w, const struct proxy *x)
{
	const size_t n = strlen(w->hostname);
	struct note *note;

	if (w->is_invalid || !has_joined(x) || n == 0 ||
	    strncasecmp(x->device_fqdn, w->hostname, n) != 0 || x->device_fqdn[n] != '-')
		return;
	note = &out->note[out->n_notes++];
	note->is_warning = true;
	(void)snprintf(note->reason, sizeof note->reason, "HostnameTaken");
	(void)snprintf(note->message, sizeof note->message,
		       "another node has the name %s: this one is %.200s", w->hostname,
		       x->device_fqdn);
}

static void notes(struct plan *out, const struct want *w, const struct proxy *x)
{
	note_name(out, w, x);
	for (size_t i = 0; i < w->n_notes; i++)
		out->note[out->n_notes++] = w->note[i];
	if (w->is_invalid) {
		struct note *n = &out->note[out->n_notes++];

		n->is_warning = true;
		memcpy(n->reason, w->reason, sizeof n->reason - 1);
		memcpy(n->message, w->message, sizeof n->message);
	} else if (x && x->device_id[0] && x->key_tags[0] && strcmp(x->key_tags, w->tags) != 0) {
		struct note *n = &out->note[out->n_notes++];

		n->is_warning = true;
		(void)snprintf(n->reason, sizeof n->reason, "TagsNotChanged");
		(void)snprintf(n->message, sizeof n->message,
			       "the node keeps its tags %.150s: tags are given when a node joins; "
			       "expose the object anew for others",
			       x->key_tags);
	}
}

/* --- the plan --- */

/* Of a Service that carried a proxy's name in place of its own. */
static void give_name_back(struct plan *out, const struct parent *p)
{
	if (!p->external_saved[0] || !p->is_external_name || p->is_deleting)
		return;
	memcpy(out->external_name, p->external_saved, sizeof out->external_name);
	add(out, STEP_EXTERNAL_NAME, NULL, CHILD_SERVICE);
}

static void end(struct plan *out, const struct parent *p)
{
	if (!p)
		return;
	if (p->condition.exists && !p->is_deleting) {
		out->clear_status = true;
		add(out, STEP_STATUS, NULL, CHILD_SECRET);
	}
	give_name_back(out, p);
	if (p->has_finalizer)
		add(out, STEP_FINALIZER_DEL, NULL, CHILD_SECRET);
}

void plan_make(struct plan *out, const struct parent *p, const struct want *w,
	       const struct proxy *const *x, size_t n, const struct settings *s,
	       const char (*hash)[HASH_TEXT], mono_t now, wall_t wall)
{
	const struct proxy *mine = NULL;
	char name[PROXY_NAME_MAX + 1] = "";
	bool waits = false;

	*out = (struct plan){ .again = MONO_NEVER };
	if (p)
		proxy_name(name, p->name, p->uid);
	for (size_t i = 0; i < n; i++) {
		if (p && w->role != ROLE_NONE && strcmp(x[i]->name, name) == 0)
			mine = x[i];
		else
			waits = cleanup(out, x[i], s, now) || waits;
	}
	if (!p)
		return;
	if (w->role == ROLE_NONE) {
		for (size_t i = 0; i < w->n_notes; i++)
			out->note[out->n_notes++] = w->note[i];
		if (!waits)
			end(out, p);
		return;
	}
	if (mine && mine->logout != LOGOUT_NONE) /* wanted again before it was gone */
		add(out, STEP_LOGOUT_UNDO, name, CHILD_SECRET);
	if (mine && mine->device_id[0] && !mine->device_gone && !mine->is_recorded)
		add(out, STEP_RECORD, name, CHILD_SECRET);
	if (w->polls)
		out->again = mono_min(out->again, mono_add(now, SPAN_S(POLL_S)));
	if (w->role != ROLE_KEEP) {
		const struct child_seen *set = mine ? &mine->child[CHILD_SET] : NULL;

		if (!p->has_finalizer)
			add(out, STEP_FINALIZER_ADD, NULL, CHILD_SECRET);
		if (w->move != MOVE_NONE && mine) {
			move(out, mine, name, w, hash, now);
		} else {
			children_of(out, mine, name, hash);
			key(out, mine, name, w, s, now, wall);
			if (hash[CHILD_SET][0] && (!set || must_apply(set, hash[CHILD_SET])))
				add(out, STEP_APPLY, name, CHILD_SET);
		}
		if (w->role == ROLE_EGRESS) {
			(void)snprintf(out->external_name, sizeof out->external_name,
				       "%s.%s.svc.%s", name, s->ns, s->cluster_domain);
			memcpy(out->external_saved,
			       p->external_saved[0] ? p->external_saved : p->external_name,
			       sizeof out->external_saved);
			if (strcmp(out->external_name, p->external_name) != 0)
				add(out, STEP_EXTERNAL_NAME, NULL, CHILD_SERVICE);
		} else {
			give_name_back(out, p);
		}
	}
	status(out, p, w, mine, s);
	ask_routes(out, w, mine, s, now);
	notes(out, w, mine);
}
