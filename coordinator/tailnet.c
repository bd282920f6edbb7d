/* coordinator/tailnet.c - birth and death of the control server, settings, administration of what
 * exists */
#include "coordinator/tailnet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "coordinator/tailnet_priv.h"

/* A peer's text resembles the one before it: a larger window gains nothing (10,000 peers: 1.21 MB
 * either way) and is memory of every client while it reads the map. */
static bool set_compression(ZSTD_CCtx *z)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, 1)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, 17));
}

struct tailnet *tailnet_new(const struct tailnet_conf *conf, struct err *e)
{
	struct tailnet *t = calloc(1, sizeof *t);

	if (!t) {
		err_set(e, ENOMEM, "start the control server");
		return NULL;
	}
	t->conf = *conf;
	key_wipe(&t->conf.key);
	snprintf(t->url, sizeof t->url, "%s", conf->server_url);
	snprintf(t->domain, sizeof t->domain, "%s", conf->base_domain);
	t->conf.server_url = t->url;
	t->conf.base_domain = t->domain;
	buf_init(&t->derp_map, 1 << 20);
	buf_init(&t->dns, 1 << 20);
	buf_init(&t->frame, TAILNET_FRAME_MAX);
	buf_init(&t->packed, TAILNET_FRAME_MAX);
	t->next_user = t->next_key = t->next_node = 1;
	t->seq = 1;
	t->flush_at = t->scan_at = MONO_NEVER;
	t->probe_at = (mono_t){ INT64_MIN / 2 };
	t->free_slot = t->free_session = t->ready_first = t->ready_last = NO_INDEX;
	rng_fill(conf->rng, t->hash_key, sizeof t->hash_key);
	buf_init(&t->kept.bytes, FRAMES_KEPT_BYTES);
	t->zstd = ZSTD_createCCtx();
	t->key = secret_new(sizeof *t->key);
	if (!t->key || !t->zstd || !set_compression(t->zstd) ||
	    !buf_append(&t->derp_map, conf->derp_map.data, conf->derp_map.len) ||
	    !buf_append(&t->dns, conf->dns.data, conf->dns.len)) {
		tailnet_free(t);
		err_set(e, ENOMEM, "start the control server");
		return NULL;
	}
	*t->key = conf->key;
	key_public(&t->pub, t->key);
	return t;
}

static void indices_fini(struct tailnet *t)
{
	struct index *const v[] = {
		&t->users_by_id, &t->users_by_name, &t->keys_by_id,         &t->keys_by_hash,
		&t->by_id,       &t->by_key,        &t->by_machine,         &t->by_label,
		&t->by_address,  &t->kept.by_list,  &t->sessions_by_machine
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		index_fini(v[i]);
}

void tailnet_free(struct tailnet *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_sessions; i++)
		if (t->sessions[i].used)
			ts2021_server_free(t->sessions[i].conn);
	for (size_t i = 0; i < t->n_slots; i++)
		node_fini(&t->nodes[i]);
	for (size_t i = 0; i < t->n_streams; i++) {
		free(t->streams[i].sent);
		free(t->streams[i].told);
	}
	for (size_t i = 0; i < t->n_logins; i++)
		free(t->logins[i].hostinfo);
	for (size_t i = 0; i < t->n_events; i++)
		free(t->events[(t->ev_head + i) % t->cap_events].text);
	policy_free(t->policy);
	secret_free(t->key);
	ZSTD_freeCCtx(t->zstd);
	buf_fini(&t->derp_map);
	buf_fini(&t->dns);
	buf_fini(&t->frame);
	buf_fini(&t->packed);
	for (size_t i = 0; i < t->n_users; i++)
		free(t->users[i]);
	for (size_t i = 0; i < t->n_keys; i++)
		free(t->keys[i].tags);
	indices_fini(t);
	free(t->users);
	free(t->keys);
	free(t->nodes);
	free(t->sessions);
	free(t->streams);
	free(t->logins);
	free(t->checks);
	free(t->passes);
	free(t->events);
	free(t->text);
	free(t->view);
	free(t->touched);
	free(t->changed);
	free(t->routers);
	free(t->deltas);
	free(t->kept.deltas);
	buf_fini(&t->kept.bytes);
	secret_wipe(t, sizeof *t);
	free(t);
}

const struct key_pub *tailnet_key(const struct tailnet *t)
{
	return &t->pub;
}

const char *tailnet_domain(const struct tailnet *t)
{
	return t->domain;
}

int tailnet_key_answer(const struct tailnet *t, struct buf *out)
{
	char text[KEY_TEXT_MAX];
	static const struct key_pub none;
	char zero[KEY_TEXT_MAX];

	return buf_printf(out, "{\"legacyPublicKey\":\"%s\",\"publicKey\":\"%s\"}",
			  key_pub_text(KEY_MACHINE, &none, zero),
			  key_pub_text(KEY_MACHINE, &t->pub, text))
		   ? 0
		   : -ENOMEM;
}

void tailnet_set_policy(struct tailnet *t, mono_t now, struct policy *p)
{
	policy_free(t->policy);
	t->policy = p;
	t->view_stale = true;
	for (size_t i = 0; i < t->n_slots; i++)
		if (t->nodes[i].used && !t->nodes[i].dead)
			node_auto_approve(t, &t->nodes[i]);
	t->policy_dirty = true;
	t->flush_at = mono_min(t->flush_at, now);
}

int tailnet_policy_test(struct tailnet *t, struct policy *p, struct err *e)
{
	return view_make(t) ? policy_test(p, t->view, t->n_slots, e)
			    : err_set(e, ENOMEM, "test the policy");
}

const struct policy *tailnet_policy(const struct tailnet *t)
{
	return t->policy;
}

int tailnet_set_derp_map(struct tailnet *t, mono_t now, struct bytes json)
{
	buf_clear(&t->derp_map);
	if (!buf_append(&t->derp_map, json.data, json.len))
		return -ENOMEM;
	t->derp_seq = ++t->seq;
	t->flush_at = mono_min(t->flush_at, now);
	return 0;
}

void tailnet_stat(const struct tailnet *t, struct tailnet_stat *st)
{
	*st = t->stat;
	st->users = t->n_users;
	st->keys = t->n_keys;
	st->nodes = t->n_nodes;
	st->streams = t->n_streams;
	st->online = 0;
	for (size_t i = 0; i < t->n_slots; i++)
		st->online += t->nodes[i].used && t->nodes[i].pub.online;
}
