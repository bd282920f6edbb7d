/* operator/lookup.c - other objects that a parent names, read before its plan is made: the TLS
 * Secret of an Ingress, the Services behind its paths
 *
 * They are not watched: the Secret may be read only by name, and a proxy that depends on what may
 * change is looked at again every POLL_S.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "operator/work_priv.h"

enum { PEM_MAX = 256 << 10 /* base64 of a certificate chain, or of a key */ };

static void go(struct work *w);

/* Which look-up is at hand: 0 the Secret, then the path before it. */
static const struct parent_path *path_of(const struct work *w)
{
	return &w->p.path[w->lookup - 1];
}

static char *datum(struct bytes body, const char *key)
{
	struct json j = json_of(kube_at(body, "data"));
	struct bytes name;

	if (json_type(&j) != JSON_OBJECT)
		return NULL;
	json_obj(&j);
	while (json_key(&j, &name)) {
		char text[16];

		if (json_unescape(name, text, sizeof text) && strcmp(text, key) == 0)
			return json_strdup(&j, PEM_MAX);
		json_skip(&j);
	}
	return NULL;
}

static void take_secret(struct work *w, unsigned status, struct bytes body)
{
	struct facts *f = &w->facts;

	if (status == 404) {
		f->tls = TLS_ABSENT;
	} else if (status == 403) {
		f->tls = TLS_FORBIDDEN;
	} else {
		f->tls_crt = datum(body, "tls.crt");
		f->tls_key = datum(body, "tls.key");
		f->tls =
		    f->tls_crt && *f->tls_crt && f->tls_key && *f->tls_key ? TLS_THERE : TLS_BAD;
	}
}

/* What a Service says of the port that a path names, by name or number. */
static void take_port(struct parent_path *x, struct bytes service)
{
	struct bytes ports = kube_at(service, "spec.ports");
	struct json j = json_of(ports);
	char text[64];

	if (x->port_name[0])
		x->port = 0;
	if (ports.len == 0)
		return;
	json_arr(&j);
	while (json_elem(&j)) {
		struct bytes one = json_raw(&j);
		const uint16_t number = parent_port_at(one, "port");

		if (x->port_name[0] ? !kube_str_at(one, "name", text, sizeof text) ||
					  strcmp(text, x->port_name) != 0
				    : number != x->port)
			continue;
		x->port = number;
		if (!kube_str_at(one, "appProtocol", x->protocol, sizeof x->protocol))
			x->protocol[0] = 0;
		return;
	}
}

static void take_service(struct work *w, bool there, struct bytes body)
{
	const char *service = path_of(w)->service;

	for (size_t i = w->lookup - 1; i < w->p.n_paths; i++) {
		struct parent_path *x = &w->p.path[i];

		if (strcmp(x->service, service) != 0)
			continue;
		x->is_absent = !there;
		if (there)
			take_port(x, body);
	}
}

/* the name that is looked up now */
static const char *asked(const struct work *w)
{
	return w->lookup == 0 ? w->p.tls_secret : path_of(w)->service;
}

static void answered(void *ctx, const struct web_reply *r)
{
	struct work *w = ctx;
	const bool there = r->status >= 200 && r->status <= 299;
	char text[600];

	kube_count(w->op->kube, r->status);
	if (!there && r->status != 404 && r->status != 403) {
		(void)snprintf(text, sizeof text, "look up %s: API server: status %u: %.150s",
			       asked(w), r->status, r->why);
		work_fail(w, "SyncFailed", text);
		return;
	}
	if (w->lookup == 0)
		take_secret(w, r->status, r->body);
	else
		take_service(w, there, r->body);
	w->lookup++;
	go(w);
}

/* The first path that names a Service asks for all of it. */
static bool is_needed(const struct work *w)
{
	const struct parent_path *x;

	if (w->lookup == 0)
		return w->p.tls_secret[0];
	x = path_of(w);
	if (x->is_bad)
		return false;
	for (size_t i = 0; i + 1 < w->lookup; i++)
		if (!w->p.path[i].is_bad && strcmp(w->p.path[i].service, x->service) == 0)
			return false;
	return true;
}

static bool ask(struct work *w)
{
	char path[KUBE_PATH_MAX];
	struct err e;

	return kube_path(path, sizeof path, "v1", w->lookup == 0 ? "secrets" : "services", w->p.ns,
			 asked(w), NULL) &&
	       kube_send(w->op->kube, "GET", path, KUBE_JSON, bytes_of(NULL, 0), answered, w, &e);
}

static void go(struct work *w)
{
	char text[400];

	for (; w->lookup <= w->p.n_paths; w->lookup++) {
		if (!is_needed(w))
			continue;
		if (!ask(w)) {
			(void)snprintf(text, sizeof text,
				       "look up \"%s\": this is no name of a Secret or Service, or "
				       "memory is short",
				       asked(w));
			work_fail(w, "SyncFailed", text);
		}
		return;
	}
	work_plan(w);
}

void lookup_start(struct work *w)
{
	w->lookup = 0;
	go(w);
}
