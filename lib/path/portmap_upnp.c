/* path/portmap_upnp.c - a mapping by UPnP: search, description, then one action after the other
 *
 *      search -> description -> GetStatusInfo -> AddAnyPortMapping or AddPortMapping
 *             -> GetExternalIPAddress -> held; renewed by the last two; DeletePortMapping
 *
 * One request is under way at a time, besides one that gives an older mapping back. A conflict is
 * answered by another port at random, four times; devices that know only mappings for ever get one,
 * which is renewed and given back like any other.
 */
#include <string.h>

#include "path/portmap_priv.h"

enum { /* ours */
       REQUEST_MS = 5000,
       CONFLICTS_MAX = 4,
       PORT_LEAST = 1024, /* data-plane.md 4.6 */
};
static const uint8_t group[4] = { 239, 255, 255, 250 };

void portmap_upnp_search(struct portmap *pm)
{
	for (int to_group = 0; to_group < 2; to_group++)
		for (int what = 0; what < IGD_SEARCH_N; what++) {
			char text[IGD_SEARCH_MAX];
			size_t n = igd_search_emit((enum igd_search)what, text);
			struct wr w = portmap_send_open(pm, IGD_SSDP_PORT);

			wr_put(&w, text, n);
			portmap_send_close(pm, &w);
			if (to_group)
				pm->sends[pm->n_sends - 1].to.ip = ip_from_v4(group);
		}
}

/* The gateway has started anew: the mapping is asked for again. */
static void note_boot(struct portmap *pm, mono_t now, uint32_t boot)
{
	struct portmap_upnp *u = &pm->upnp;

	if (boot == 0)
		return;
	if (u->boot != 0 && u->boot != boot && pm->state == PORTMAP_HELD &&
	    pm->service == PORTMAP_UPNP) {
		pm->drops[PORTMAP_DROP_EPOCH]++;
		pm->due = now;
	}
	u->boot = boot;
}

void portmap_upnp_found(struct portmap *pm, mono_t now, struct bytes datagram)
{
	struct portmap_upnp *u = &pm->upnp;
	struct igd_answer a;

	if (!igd_answer_parse(datagram, &a)) {
		pm->drops[PORTMAP_DROP_SHAPE]++;
		return;
	}
	portmap_service_seen(pm, now, PORTMAP_UPNP);
	if (a.is_gateway)
		note_boot(pm, now, a.boot);
	/* the first that says it is a gateway, else the first; not while it is being asked */
	if (u->step != UPNP_IDLE || (u->has_place && !a.is_gateway))
		return;
	if (u->has_place && a.place.port == u->place.port &&
	    strcmp(a.place.path, u->place.path) == 0) {
		u->is_gateway = true;
		return;
	}
	u->place = a.place;
	u->has_place = true;
	u->is_gateway = a.is_gateway;
	u->has_service = false;
}

/* --- requests --- */

static void step(struct portmap *pm, mono_t now, enum portmap_upnp_step next)
{
	pm->upnp.step = next;
	pm->upnp.is_due = true;
	pm->upnp.give_up_at = mono_add(now, SPAN_MS(REQUEST_MS));
}

static uint16_t some_port(struct portmap *pm)
{
	return (uint16_t)(PORT_LEAST + rng_below(pm->rng, UINT16_MAX + 1 - PORT_LEAST));
}

void portmap_upnp_ask(struct portmap *pm, mono_t now, bool is_renewal)
{
	struct portmap_upnp *u = &pm->upnp;

	u->conflicts = 0;
	u->port = pm->wish >= PORT_LEAST ? pm->wish : some_port(pm);
	if (!u->has_service)
		step(pm, now, UPNP_DESCRIBE);
	else
		step(pm, now, is_renewal ? UPNP_ADD : UPNP_STATUS);
}

/* One debt at a time: an older one that is not paid by now ends with its lease. */
void portmap_upnp_give_back(struct portmap *pm, mono_t now, uint16_t external)
{
	const struct portmap_upnp *u = &pm->upnp;

	pm->debt = (struct portmap_debt){ .is_due = true,
					  .give_up_at = mono_add(now, SPAN_MS(REQUEST_MS)),
					  .service = u->service,
					  .control = u->control,
					  .gateway = pm->gateway,
					  .external = external };
}

static bool use_any(const struct portmap_upnp *u)
{
	return u->service == IGD_IP2 && !u->no_any;
}

static enum igd_action action_of(const struct portmap_upnp *u)
{
	switch (u->step) {
	case UPNP_STATUS:
		return IGD_STATUS;
	case UPNP_ADD:
		return use_any(u) ? IGD_ADD_ANY : IGD_ADD;
	default:
		return IGD_ADDRESS;
	}
}

static void post(struct portmap *pm, struct portmap_want *w, enum igd_service service,
		 enum igd_action action, const struct igd_mapping *m)
{
	size_t n = igd_action_emit(service, action, m, pm->headers, pm->body);

	w->method = "POST";
	w->headers = pm->headers;
	w->data = bytes_of(pm->body, n);
}

static bool pull_debt(struct portmap *pm, struct portmap_want *w)
{
	struct portmap_debt *d = &pm->debt;
	const struct igd_mapping m = { .external = d->external };

	if (!d->is_due || d->is_asked)
		return false;
	d->is_asked = true;
	d->request = ++pm->n_requests;
	*w = (struct portmap_want){ .type = PORTMAP_HTTP,
				    .to = { d->gateway, d->control.port },
				    .request = d->request,
				    .target = d->control.path };
	post(pm, w, d->service, IGD_DELETE, &m);
	return true;
}

bool portmap_upnp_pull(struct portmap *pm, struct portmap_want *w)
{
	struct portmap_upnp *u = &pm->upnp;
	const struct igd_place *at = u->step == UPNP_DESCRIBE ? &u->place : &u->control;
	const struct igd_mapping m = { .external = u->port,
				       .inside = pm->inside,
				       .lease_s = u->for_ever ? 0 : PORTMAP_LIFETIME_S };

	if (pull_debt(pm, w))
		return true;
	if (u->step == UPNP_IDLE || !u->is_due)
		return false;
	u->is_due = false;
	u->request = ++pm->n_requests;
	*w = (struct portmap_want){ .type = PORTMAP_HTTP,
				    .to = { pm->gateway, at->port },
				    .request = u->request,
				    .target = at->path,
				    .method = "GET",
				    .headers = "" };
	if (u->step != UPNP_DESCRIBE)
		post(pm, w, u->service, action_of(u), &m);
	return true;
}

/* --- answers --- */

static void failed(struct portmap *pm, mono_t now, enum portmap_drop why)
{
	pm->drops[why]++;
	pm->upnp.step = UPNP_IDLE;
	if (pm->state == PORTMAP_MAPPING && pm->service == PORTMAP_UPNP)
		portmap_ask_failed(pm, now, SPAN_MS(0));
}

static void described(struct portmap *pm, mono_t now, unsigned status, struct bytes body)
{
	struct portmap_upnp *u = &pm->upnp;

	if (status != 200 || !igd_description_parse(body, &u->place, &u->service, &u->control)) {
		u->has_place = false; /* look for another */
		pm->by[PORTMAP_UPNP].is_seen = false;
		failed(pm, now, PORTMAP_DROP_SHAPE);
		return;
	}
	u->has_service = true;
	u->no_any = u->for_ever = u->same_port = false;
	step(pm, now, UPNP_STATUS);
}

/* A refusal of AddPortMapping that another try may cure; false: none is left. */
static bool try_again(struct portmap *pm, mono_t now, unsigned error)
{
	struct portmap_upnp *u = &pm->upnp;

	switch (error) {
	case IGD_E_INVALID_ARGS:
	case IGD_E_ONLY_PERMANENT:
		if (u->for_ever)
			return false;
		u->for_ever = true;
		break;
	case IGD_E_SAME_PORT:
		if (u->same_port)
			return false;
		u->same_port = true;
		u->port = pm->inside.port;
		break;
	case IGD_E_CONFLICT:
	case IGD_E_OTHER_MECHANISM:
		if (u->same_port || ++u->conflicts > CONFLICTS_MAX)
			return false;
		u->port = some_port(pm);
		break;
	default:
		if (!use_any(u)) /* also 401, invalid action: an older device in new clothes */
			return false;
		u->no_any = true;
		break;
	}
	step(pm, now, UPNP_ADD);
	return true;
}

static void added(struct portmap *pm, mono_t now, const struct igd_reply *r)
{
	struct portmap_upnp *u = &pm->upnp;

	if (r->error != 0) {
		if (!try_again(pm, now, r->error))
			failed(pm, now, PORTMAP_DROP_REFUSED);
		return;
	}
	if (use_any(u) && r->port != 0)
		u->port = r->port;
	step(pm, now, UPNP_ADDRESS);
}

static void addressed(struct portmap *pm, mono_t now, const struct igd_reply *r)
{
	struct portmap_upnp *u = &pm->upnp;

	u->step = UPNP_IDLE;
	if (r->error == 0 && portmap_is_address(&r->address)) {
		portmap_held(pm, now, &r->address, u->port, PORTMAP_LIFETIME_S);
		return;
	}
	portmap_upnp_give_back(pm, now, u->port); /* a port of nowhere */
	failed(pm, now, r->error ? PORTMAP_DROP_REFUSED : PORTMAP_DROP_ADDRESS);
}

void portmap_answer(struct portmap *pm, mono_t now, uint32_t request, unsigned status,
		    struct bytes body)
{
	struct portmap_upnp *u = &pm->upnp;
	struct igd_reply r;

	if (pm->debt.is_asked && request == pm->debt.request) {
		pm->debt.is_due = pm->debt.is_asked = false;
		return;
	}
	if (u->step == UPNP_IDLE || u->is_due || request != u->request) {
		pm->drops[PORTMAP_DROP_UNASKED]++;
		return;
	}
	if (u->step == UPNP_DESCRIBE) {
		described(pm, now, status, body);
		return;
	}
	/* a fault comes with 500, and from some with 200 */
	if (status == 0 || !igd_reply_parse(body, action_of(u), &r)) {
		u->has_service = false; /* may have moved to another port: look again */
		failed(pm, now, PORTMAP_DROP_SHAPE);
		return;
	}
	portmap_service_seen(pm, now, PORTMAP_UPNP);
	if (u->step == UPNP_ADD)
		added(pm, now, &r);
	else if (u->step == UPNP_ADDRESS)
		addressed(pm, now, &r);
	else if (r.error == 0 && !r.is_up)
		failed(pm, now, PORTMAP_DROP_REFUSED); /* its line is down */
	else
		step(pm, now, UPNP_ADD); /* a device need not know GetStatusInfo */
}

void portmap_upnp_tick(struct portmap *pm, mono_t now)
{
	struct portmap_upnp *u = &pm->upnp;

	if (pm->debt.is_due && mono_due(pm->debt.give_up_at, now))
		pm->debt.is_due = pm->debt.is_asked = false;
	if (u->step == UPNP_IDLE || !mono_due(u->give_up_at, now))
		return;
	u->has_service = u->has_place = false;
	failed(pm, now, PORTMAP_DROP_UNASKED);
}

mono_t portmap_upnp_deadline(const struct portmap *pm)
{
	mono_t d = pm->upnp.step == UPNP_IDLE ? MONO_NEVER : pm->upnp.give_up_at;

	return pm->debt.is_due ? mono_min(d, pm->debt.give_up_at) : d;
}
