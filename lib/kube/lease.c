/* kube/lease.c - see lease.h */
#include "kube/lease.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

void kube_lease_init(struct kube_lease *l, const char *ns, const char *name, const char *me)
{
	*l = (struct kube_lease){ .next = { INT64_MIN }, .held_until = { INT64_MIN } };
	(void)bytes_to_str(bytes_str(ns), l->ns, sizeof l->ns);
	(void)bytes_to_str(bytes_str(name), l->name, sizeof l->name);
	(void)bytes_to_str(bytes_str(me), l->me, sizeof l->me);
}

static void read_record(struct kube_lease *l, mono_t now, struct bytes body)
{
	struct kube_object o;
	struct json j;
	char rv[KUBE_RV_MAX + 1];

	if (!kube_object_parse(body, &o))
		return;
	memcpy(rv, o.rv, sizeof rv);
	if (!l->known || strcmp(rv, l->rv) != 0)
		l->changed = now;
	memcpy(l->rv, rv, sizeof rv);
	memcpy(l->uid, o.uid, sizeof l->uid);
	if (!kube_str_at(o.spec, "holderIdentity", l->holder, sizeof l->holder))
		l->holder[0] = 0;
	if (!kube_str_at(o.spec, "acquireTime", l->acquire_time, sizeof l->acquire_time))
		l->acquire_time[0] = 0;
	j = json_of(kube_at(o.spec, "leaseDurationSeconds"));
	l->duration_s = json_i64(&j);
	if (!json_ok(&j) || l->duration_s < 1 || l->duration_s > 3600)
		l->duration_s = KUBE_LEASE_S;
	j = json_of(kube_at(o.spec, "leaseTransitions"));
	l->transitions = json_i64(&j);
	if (!json_ok(&j) || l->transitions < 0)
		l->transitions = 0;
	l->known = l->exists = true;
}

static bool may_take(const struct kube_lease *l, mono_t now)
{
	return !l->holder[0] || strcmp(l->holder, l->me) == 0 ||
	       mono_due(mono_add(l->changed, SPAN_S(l->duration_s)), now);
}

/* MicroTime: six digits of fraction, always */
static void micro_time(wall_t t, char out[static WALL_TEXT + 8])
{
	size_t n = strlen(wall_text((wall_t){ t.ns / NS_PER_S * NS_PER_S }, out));
	int64_t us = t.ns % NS_PER_S / 1000;

	out[n - 1] = '.';
	for (size_t i = 0; i < 6; i++, us /= 10)
		out[n + 5 - i] = (char)('0' + us % 10);
	out[n + 6] = 'Z';
	out[n + 7] = 0;
}

static bool emit(struct kube_lease *l, wall_t wall, bool create, struct buf *out)
{
	const bool mine = strcmp(l->holder, l->me) == 0;
	char now_text[WALL_TEXT + 8];
	struct jsonw w;

	micro_time(wall, now_text);
	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "apiVersion", "coordination.k8s.io/v1");
	jsonw_kstr(&w, "kind", "Lease");
	jsonw_key(&w, "metadata");
	jsonw_obj(&w);
	jsonw_kstr(&w, "name", l->name);
	jsonw_kstr(&w, "namespace", l->ns);
	if (!create)
		jsonw_kstr(&w, "resourceVersion", l->rv);
	jsonw_obj_end(&w);
	jsonw_key(&w, "spec");
	jsonw_obj(&w);
	jsonw_kstr(&w, "holderIdentity", l->release ? "" : l->me);
	jsonw_ki64(&w, "leaseDurationSeconds", l->release ? 1 : KUBE_LEASE_S);
	jsonw_kstr(&w, "acquireTime", mine && l->acquire_time[0] ? l->acquire_time : now_text);
	jsonw_kstr(&w, "renewTime", now_text);
	jsonw_ki64(&w, "leaseTransitions", create ? 0 : l->transitions + !mine);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}

enum kube_lease_act kube_lease_next(struct kube_lease *l, mono_t now, wall_t wall, struct buf *out)
{
	if (l->is_busy || !mono_due(l->next, now))
		return KUBE_LEASE_NONE;
	l->next = mono_add(now, SPAN_S(KUBE_LEASE_RETRY_S));
	l->act = !l->known ? KUBE_LEASE_GET : !l->exists ? KUBE_LEASE_CREATE : KUBE_LEASE_UPDATE;
	if (l->act == KUBE_LEASE_UPDATE && !may_take(l, now))
		l->act = KUBE_LEASE_GET;
	if (l->release && l->act != KUBE_LEASE_UPDATE)
		return KUBE_LEASE_NONE;
	if (l->act != KUBE_LEASE_GET && !emit(l, wall, l->act == KUBE_LEASE_CREATE, out))
		return KUBE_LEASE_NONE;
	l->is_busy = true;
	l->sent = now;
	return l->act;
}

void kube_lease_result(struct kube_lease *l, mono_t now, unsigned status, struct bytes body)
{
	l->is_busy = false;
	if (status == 200 || status == 201) {
		read_record(l, now, body);
		if (l->act != KUBE_LEASE_GET && strcmp(l->holder, l->me) == 0)
			l->held_until = mono_add(l->sent, SPAN_S(KUBE_LEASE_RENEW_S));
		else if (l->act == KUBE_LEASE_GET && l->known && may_take(l, now))
			l->next = now; /* free: take it at once */
	} else if (status == 404) {
		l->known = true;
		l->exists = false;
		if (l->act == KUBE_LEASE_GET)
			l->next = now;
	} else if (status == 409) { /* somebody was faster: look first */
		l->known = false;
		if (l->act == KUBE_LEASE_UPDATE)
			l->held_until = (mono_t){ INT64_MIN };
	}
	if (l->release)
		l->held_until = (mono_t){ INT64_MIN };
}

bool kube_lease_is_mine(const struct kube_lease *l, mono_t now)
{
	return mono_before(now, l->held_until);
}

mono_t kube_lease_deadline(const struct kube_lease *l)
{
	return l->is_busy ? MONO_NEVER : l->next;
}

void kube_lease_release(struct kube_lease *l, mono_t now)
{
	l->release = true;
	l->next = now;
}
