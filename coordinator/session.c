/* coordinator/session.c - control connections: from a handshake to requests, and answers back */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/tailnet_priv.h"

struct session *session_get(struct tailnet *t, struct session_id id)
{
	if (id.index >= t->n_sessions || !t->sessions[id.index].used ||
	    t->sessions[id.index].generation != id.generation)
		return NULL;
	return &t->sessions[id.index];
}

void session_output(struct tailnet *t, struct session_id id)
{
	struct session *s = session_get(t, id);

	if (s)
		s->has_output = t->sessions_dirty = true;
}

void session_reply(struct tailnet *t, struct session_id id, int32_t h2, unsigned status,
		   const char *type, struct bytes body)
{
	struct session *s = session_get(t, id);

	if (!s || ts2021_server_answer(s->conn, h2, status, type, body.len > 0) != 0)
		return;
	if (body.len > 0 && ts2021_server_send(s->conn, h2, body.data, body.len, true) != 0)
		log_debug("tailnet: an answer of %zu bytes could not be queued", body.len);
	session_output(t, id);
}

static size_t count_of_machine(const struct tailnet *t, const struct key_pub *machine)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_sessions; i++)
		n += t->sessions[i].used && key_eq(&t->sessions[i].machine, machine);
	return n;
}

static struct session *free_slot(struct tailnet *t, size_t *index)
{
	for (*index = 0; *index < t->n_sessions; ++*index)
		if (!t->sessions[*index].used)
			return &t->sessions[*index];
	if (t->n_sessions == TAILNET_SESSIONS_MAX)
		return NULL;
	if (t->n_sessions == t->cap_sessions) {
		size_t cap = t->cap_sessions ? t->cap_sessions * 2 : 16;
		struct session *v = realloc(t->sessions, cap * sizeof *v);

		if (!v)
			return NULL;
		memset(v + t->cap_sessions, 0, (cap - t->cap_sessions) * sizeof *v);
		t->sessions = v;
		t->cap_sessions = cap;
	}
	return &t->sessions[t->n_sessions++];
}

int tailnet_open(struct tailnet *t, mono_t now, const uint8_t init[static NOISE_INIT_LEN],
		 const struct ipport *remote, struct session_id *id)
{
	struct ts2021_server *conn = ts2021_server_new(t->conf.rng, &t->conf.key, init, now);
	struct session *s;
	size_t index;

	if (!conn)
		return -EPROTO;
	s = count_of_machine(t, ts2021_server_machine(conn)) < TAILNET_SESSIONS_PER_MACHINE
		? free_slot(t, &index)
		: NULL;
	if (!s) {
		ts2021_server_free(conn);
		return -ENOBUFS;
	}
	*s = (struct session){ .conn = conn,
			       .generation = s->generation + 1,
			       .remote = *remote,
			       .machine = *ts2021_server_machine(conn),
			       .used = true,
			       .has_output = true };
	t->sessions_dirty = true;
	t->stat.sessions++;
	t->scan_at = mono_min(t->scan_at, mono_add(now, SPAN_S(TAILNET_SCAN_S)));
	*id = (struct session_id){ (uint32_t)index, s->generation };
	return 0;
}

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void unsupported(struct tailnet *t, struct session_id id, int32_t h2, const char *path)
{
	static const char *const known[] = { "/machine/set-dns",       "/machine/set-device-attr",
					     "/machine/audit-log",     "/machine/id-token",
					     "/machine/feature/query", "/machine/update-health",
					     "/machine/whoami" };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (is(path, known[i])) {
			session_reply(t, id, h2, 501, "text/plain",
				      bytes_str("this control server does not offer that\n"));
			return;
		}
	session_reply(t, id, h2, 404, "text/plain", bytes_str("404 page not found\n"));
}

static void request(struct tailnet *t, mono_t now, wall_t wall, struct session_id id,
		    const struct ts2021_server_event *ev)
{
	if (is(ev->method, "POST") && is(ev->path, "/machine/register"))
		register_request(t, now, wall, id, ev->stream, ev->body);
	else if (is(ev->method, "POST") && is(ev->path, "/machine/map"))
		map_request(t, now, wall, id, ev->stream, ev->body);
	else
		unsupported(t, id, ev->stream, ev->path);
}

static void end(struct tailnet *t, mono_t now, struct session_id id)
{
	struct session *s = session_get(t, id);

	map_stream_gone(t, now, id, 0);
	login_gone(t, id, 0);
	ts2021_server_free(s->conn);
	*s = (struct session){ .generation = s->generation };
	t->stat.sessions--;
}

static void pump(struct tailnet *t, mono_t now, wall_t wall, struct session_id id)
{
	struct session *s = session_get(t, id);
	struct ts2021_server_event ev;

	while (ts2021_server_next(s->conn, &ev)) {
		switch (ev.type) {
		case TS2021_REQUEST:
			request(t, now, wall, id, &ev);
			break;
		case TS2021_RESET:
			map_stream_gone(t, now, id, ev.stream);
			login_gone(t, id, ev.stream);
			break;
		case TS2021_DRAINED:
			break;
		case TS2021_CLOSED:
			log_debug("tailnet: control connection: %s", ev.text ? ev.text : "closed");
			s->hangup = t->sessions_dirty = true;
			return;
		}
	}
	if (ts2021_server_has_output(s->conn))
		s->has_output = t->sessions_dirty = true;
}

void tailnet_feed(struct tailnet *t, mono_t now, wall_t wall, struct session_id id, struct bytes in)
{
	struct session *s = session_get(t, id);

	if (!s)
		return;
	ts2021_server_feed(s->conn, now, in);
	pump(t, now, wall, id);
}

size_t tailnet_pull(struct tailnet *t, mono_t now, struct session_id id, uint8_t *buf, size_t cap)
{
	struct session *s = session_get(t, id);

	return s ? ts2021_server_pull(s->conn, now, buf, cap) : 0;
}

void tailnet_closed(struct tailnet *t, mono_t now, wall_t wall, struct session_id id)
{
	(void)wall;
	if (session_get(t, id))
		end(t, now, id);
}

/* --- time --- */

mono_t tailnet_deadline(const struct tailnet *t)
{
	return mono_min(t->flush_at, t->scan_at);
}

void tailnet_tick(struct tailnet *t, mono_t now, wall_t wall)
{
	if (mono_due(t->scan_at, now)) {
		for (size_t i = 0; i < t->n_sessions; i++)
			if (t->sessions[i].used) {
				ts2021_server_tick(t->sessions[i].conn, now);
				pump(t, now, wall,
				     (struct session_id){ (uint32_t)i, t->sessions[i].generation });
			}
		t->scan_at = map_scan(t, now, wall);
	}
	if (mono_due(t->flush_at, now))
		map_flush(t, now, wall);
}
