/* coordinator/relay.c - see relay.h */
#include "coordinator/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/text.h"
#include "coordinator/serve_priv.h"
#include "os/file.h"
#include "os/privilege.h"
#include "os/resolve.h"
#include "wire/stun.h"

enum { MESH_KEY_LEN = 64 };

struct relay_secrets {
	struct key_priv key;
	char mesh_key[MESH_KEY_LEN + 1];
};

/* --- who may --- */

static void admit(void *ctx, struct derp_conn_id id, bool allow)
{
	struct serve *s = ctx;

	derp_server_admit(s->relay.derp, loop_now(s->loop), id, allow);
}

static void verify(struct serve *s, const struct derp_server_event *ev)
{
	const struct tailnet_node *n = s->t ? tailnet_node_by_key(s->t, &ev->key) : NULL;
	bool ours = n && n->approved && !tailnet_node_expired(n, loop_wall());

	if (ours || !s->relay.admission)
		admit(s, ev->id, ours);
	else
		admission_ask(s->relay.admission, ev->id, &ev->key, &ev->remote);
}

static void event(struct serve *s, const struct derp_server_event *ev)
{
	struct conn *c = ev->id.index < s->cap_derp ? s->by_derp[ev->id.index] : NULL;

	switch (ev->type) {
	case DERP_SRV_OUTPUT:
		if (c)
			conn_kick(c);
		break;
	case DERP_SRV_READABLE:
		if (c && c->stream)
			stream_resume(c->stream);
		break;
	case DERP_SRV_HANGUP:
		log_debug("relay: %s", ev->reason ? ev->reason : "closed");
		if (c)
			conn_end(c);
		break;
	case DERP_SRV_VERIFY:
		verify(s, ev);
		break;
	}
}

void relay_settle(struct serve *s)
{
	struct derp_server_event ev;

	while (s->relay.derp && derp_server_next(s->relay.derp, &ev))
		event(s, &ev);
	if (s->relay.mesh)
		meshlinks_flush(s->relay.mesh);
}

/* --- STUN --- */

static void on_stun(void *ctx, const struct ipport *from, struct pkt *v, size_t n)
{
	struct serve *s = ctx;

	for (size_t i = 0; i < n; i++) {
		uint8_t txid[STUN_TXID], out[STUN_ANSWER_MAX];
		struct pkt answer;

		if (stun_request_parse(v[i].data, v[i].len, txid) != STUN_OK) {
			s->count.stun_bad++;
			continue;
		}
		s->count.stun++;
		answer =
		    (struct pkt){ .data = out, .len = (uint16_t)stun_answer_emit(txid, from, out) };
		for (size_t k = 0; k < STUN_SOCKETS; k++)
			if (s->relay.stun[k] && udp_family(s->relay.stun[k]) ==
						    (ip_is_v4(&from->ip) ? AF_INET : AF_INET6))
				(void)udp_send(s->relay.stun[k], from, &answer, 1);
	}
}

static const struct udp_ops stun_ops = { .recv = on_stun };

int relay_open_stun(struct serve *s, struct err *e)
{
	struct udp **stun = s->relay.stun;
	struct listen_addr la;

	if (!s->conf->derp_enabled || strcmp(s->conf->stun_listen, "off") == 0)
		return 0;
	if (listen_addr_parse(bytes_str(s->conf->stun_listen), &la, e) != 0)
		return -EINVAL;
	if (la.is_dual) {
		stun[0] = udp_open(s->loop, AF_INET, la.v[0].port, &stun_ops, s, e);
		stun[1] = udp_open(s->loop, AF_INET6, la.v[0].port, &stun_ops, s,
				   e); /* a host without IPv6 has no such socket */
		return stun[0] ? 0 : err_wrap(e, "STUN at %s", s->conf->stun_listen);
	}
	for (size_t i = 0; i < la.n && i < STUN_SOCKETS; i++) {
		stun[i] = udp_open_at(s->loop, &la.v[i], &stun_ops, s, e);
		if (!stun[i] && i == 0)
			return err_wrap(e, "STUN at %s", s->conf->stun_listen);
	}
	return 0;
}

/* --- life --- */

/* The file that derper's -mesh-psk-file names: 64 hex digits, which are compared as text. */
static int read_mesh_key(const char *path, char out[static MESH_KEY_LEN + 1], struct err *e)
{
	uint8_t raw[MESH_KEY_LEN / 2];
	char *text = NULL;
	size_t len = 0;
	int ret = file_read(path, 4096, &text, &len, e);

	if (ret != 0)
		return err_wrap(e, "derp.mesh_key_file");
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
		len--;
	if (len != MESH_KEY_LEN || !hex_parse(bytes_of(text, len), raw, sizeof raw))
		ret = err_say(e, EINVAL, "derp.mesh_key_file %s does not hold 64 hex digits", path);
	else
		hex_emit(raw, sizeof raw, out); /* in lower case, as derper sends it */
	secret_wipe(raw, sizeof raw);
	file_wipe(text, len);
	return ret;
}

/* What asking and linking want; a relay that does neither has none of it. */
static int open_outside(struct serve *s, struct err *e)
{
	const struct tls_client_conf tls = { .ca_file = getenv("SSL_CERT_FILE"),
					     .ca_dir = getenv("SSL_CERT_DIR") };
	struct relay *r = &s->relay;
	struct admission_conf ac = { .loop = s->loop,
				     .url = s->conf->derp_verify_url,
				     .fail_open = s->conf->derp_fail_open,
				     .answer = admit,
				     .ctx = s };
	struct meshlinks_conf mc = { .loop = s->loop,
				     .derp = r->derp,
				     .key = &r->secrets->key,
				     .mesh_key = r->secrets->mesh_key,
				     .with = &s->conf->derp_mesh_with };

	if (!*ac.url && mc.with->n == 0)
		return 0;
	r->resolver = resolver_new(s->loop, NULL);
	r->tls = r->resolver ? tls_client_new(&tls, e) : NULL;
	if (!r->resolver)
		return err_set(e, ENOMEM, "start the relay");
	if (!r->tls)
		return err_wrap(e, "SSL_CERT_FILE");
	ac.resolver = mc.resolver = r->resolver;
	ac.tls = mc.tls = r->tls;
	if (s->conf->derp_verify && *ac.url && !(r->admission = admission_new(&ac, e)))
		return -(e->code ? e->code : EINVAL);
	if (mc.with->n > 0 && !(r->mesh = meshlinks_new(&mc, e)))
		return -(e->code ? e->code : EINVAL);
	return 0;
}

int relay_open(struct serve *s, struct err *e)
{
	struct derp_server_conf conf = { .rng = &os_rng,
					 .max_conns = s->max_conns,
					 .verify = s->conf->derp_verify,
					 .rate_bytes = (uint64_t)s->conf->derp_rate,
					 .rate_burst = (uint64_t)s->conf->derp_rate };
	struct relay *r = &s->relay;
	int ret = 0;

	if (!s->conf->derp_enabled)
		return 0;
	r->secrets = secret_new(sizeof *r->secrets);
	if (!r->secrets)
		return err_set(e, ENOMEM, "start the relay");
	ret = serve_private_key(s->conf, "derp.key", &r->secrets->key, e);
	if (ret == 0 && s->conf->derp_mesh_key_file[0])
		ret = serve_setting(
		    s, read_mesh_key(s->conf->derp_mesh_key_file, r->secrets->mesh_key, e));
	if (ret != 0)
		return ret;
	conf.key = r->secrets->key;
	memcpy(conf.mesh_key, r->secrets->mesh_key, sizeof r->secrets->mesh_key);
	r->derp = derp_server_new(&conf);
	secret_wipe(&conf, sizeof conf);
	return r->derp ? serve_setting(s, open_outside(s, e))
		       : err_set(e, ENOMEM, "start the relay");
}

void relay_close(struct serve *s)
{
	struct relay *r = &s->relay;

	for (size_t i = 0; i < STUN_SOCKETS; i++)
		udp_close(r->stun[i]);
	admission_free(r->admission);
	meshlinks_free(r->mesh);
	derp_server_free(r->derp);
	secret_free(r->secrets);
	resolver_free(r->resolver);
	tls_client_free(r->tls);
	*r = (struct relay){ 0 };
}
