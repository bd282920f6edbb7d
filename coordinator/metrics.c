/* coordinator/metrics.c - figures for Prometheus and for `coordinator debug` */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/version.h"
#include "coordinator/serve_priv.h"

struct figure {
	const char *name, *help;
	bool is_gauge;
	uint64_t value;
};

/* What the relay asks and links to. */
static const struct admission_stats no_questions;

enum { FIGURES_MAX = 64 };

static size_t collect(const struct serve *s, struct figure v[static FIGURES_MAX])
{
	static const struct derp_server_stats no_relay;
	const struct derp_server_stats *d =
	    s->relay.derp ? derp_server_stats(s->relay.derp) : &no_relay;
	const struct admission_stats *q =
	    s->relay.admission ? admission_stats(s->relay.admission) : &no_questions;
	struct tailnet_stat t = { 0 };

	if (s->t)
		tailnet_stat(s->t, &t);
	{
		const struct figure all[] = {
			{ "users", "Users", true, t.users },
			{ "auth_keys", "Pre-auth keys, spent ones too", true, t.keys },
			{ "nodes", "Nodes", true, t.nodes },
			{ "nodes_online", "Nodes with a map stream", true, t.online },
			{ "control_sessions", "Open control connections", true, t.sessions },
			{ "map_streams", "Open map streams", true, t.streams },
			{ "registrations_total", "Registrations that were accepted", false,
			  t.registrations },
			{ "registrations_refused_total", "Registrations that were refused", false,
			  t.refused },
			{ "control_malformed_total",
			  "Records, frames and requests of control connections that were none",
			  false, t.malformed },
			{ "maps_sent_total", "Map frames sent", false, t.maps_sent },
			{ "map_bytes_total", "Bytes of map frames sent", false, t.map_bytes },
			{ "router_probes_total", "Subnet routers asked whether they live", false,
			  t.probes },
			{ "router_failovers_total", "Of these, that did not answer in time", false,
			  t.failovers },
			{ "connections", "Open connections", true, s->n_conns },
			{ "connections_total", "Connections accepted", false,
			  s->count.connections },
			{ "connections_slow_total",
			  "Connections ended since a request or the taking of an answer took too "
			  "long",
			  false, s->count.slow },
			{ "connections_refused_total", "Connections refused at the limit", false,
			  s->count.refused_connections },
			{ "tls_failed_total", "TLS connections that failed before any request",
			  false, s->count.tls_failed },
			{ "http_requests_total", "HTTP requests", false, s->count.requests },
			{ "http_malformed_total", "Malformed HTTP requests", false,
			  s->count.bad_requests },
			{ "http_limited_total", "Requests refused by a rate limit", false,
			  s->count.limited },
			{ "http_unauthorized_total", "API requests without a good key", false,
			  s->count.unauthorized },
			{ "api_refused_total", "API requests answered by an error", false,
			  s->count.api_refused },
			{ "stun_requests_total", "STUN requests answered", false, s->count.stun },
			{ "stun_malformed_total", "Datagrams at the STUN port that are none", false,
			  s->count.stun_bad },
			{ "commits_total", "Database transactions", false,
			  s->store ? store_commits(s->store) : 0 },
			{ "derp_clients", "Node keys at the relay", true, d->clients },
			{ "derp_accepts_total", "Relay connections accepted", false, d->accepts },
			{ "derp_malformed_total",
			  "Malformed relay frames, and connections ended for one", false,
			  d->malformed },
			{ "derp_unknown_frames_total",
			  "Relay frames of an unknown type, passed over", false,
			  d->unknown_frames },
			{ "derp_websockets_total", "Relay connections by WebSocket", false,
			  s->count.websockets },
			{ "derp_websockets_malformed_total",
			  "Of these, ended since the client broke the protocol", false,
			  s->count.websockets_malformed },
			{ "derp_links", "Other relays of the region that we are linked to", true,
			  s->relay.mesh ? meshlinks_n_up(s->relay.mesh) : 0 },
			{ "derp_forwarded_in_total", "Packets that came over such links", false,
			  d->forwarded_in },
			{ "derp_forwarded_out_total", "Packets handed to other relays", false,
			  d->forwarded_out },
			{ "derp_verify_allowed_total", "Nodes let in by verify_url", false,
			  q->allowed },
			{ "derp_verify_denied_total", "Nodes refused by verify_url", false,
			  q->denied },
			{ "derp_verify_failed_total", "Questions to verify_url without a verdict",
			  false, q->failed },
			{ "derp_verify_cached_total", "Verdicts that were still remembered", false,
			  q->cached },
			{ "derp_packets_in_total", "Packets received by the relay", false,
			  d->packets_in },
			{ "derp_bytes_in_total", "Bytes of packets received by the relay", false,
			  d->bytes_in },
			{ "derp_packets_out_total", "Packets sent by the relay", false,
			  d->packets_out },
			{ "derp_bytes_out_total", "Bytes of packets sent by the relay", false,
			  d->bytes_out },
		};

		static_assert(ARRAY_LEN(all) <= FIGURES_MAX, "all figures fit");
		memcpy(v, all, sizeof all);
		return ARRAY_LEN(all);
	}
}

int metrics_emit(const struct serve *s, struct buf *out)
{
	struct figure v[FIGURES_MAX];
	size_t n = collect(s, v);
	bool ok = true;

	for (size_t i = 0; i < n; i++)
		ok &= buf_printf(
		    out,
		    "# HELP coordinator_%s %s.\n# TYPE coordinator_%s %s\ncoordinator_%s %llu\n",
		    v[i].name, v[i].help, v[i].name, v[i].is_gauge ? "gauge" : "counter", v[i].name,
		    (unsigned long long)v[i].value);
	if (s->relay.derp) {
		ok &= buf_printf(
		    out, "# HELP coordinator_derp_dropped_total Packets that the relay dropped.\n"
			 "# TYPE coordinator_derp_dropped_total counter\n");
		for (int i = 0; i < DERP_DROP_N; i++)
			ok &= buf_printf(
			    out, "coordinator_derp_dropped_total{reason=\"%s\"} %llu\n",
			    derp_drop_name((enum derp_drop)i),
			    (unsigned long long)derp_server_stats(s->relay.derp)->dropped[i]);
	}
	return ok ? 0 : -ENOMEM;
}

int metrics_debug(const struct serve *s, struct buf *out)
{
	char text[KEY_TEXT_MAX];
	struct figure v[FIGURES_MAX];
	size_t n = collect(s, v);
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "version", TAILPOD_VERSION);
	jsonw_kstr(&w, "server_url", s->conf->server_url);
	jsonw_kstr(&w, "control_key", key_pub_text(KEY_MACHINE, tailnet_key(s->t), text));
	jsonw_ki64(&w, "uptime_seconds", mono_sub(loop_now(s->loop), s->started).ns / NS_PER_S);
	for (size_t i = 0; i < n; i++)
		jsonw_ki64(&w, v[i].name, (int64_t)v[i].value);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) ? 0 : -ENOMEM;
}
