/* coordinator/session.c - control connections: from a handshake to requests, and answers back */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/tailnet_priv.h"

struct session *session_get(const struct tailnet *t, struct session_id id)
{
	if (id.index >= t->n_sessions || !t->sessions[id.index].used ||
	    t->sessions[id.index].generation != id.generation)
		return NULL;
	return &t->sessions[id.index];
}

static void session_unlist(struct tailnet *t, uint32_t i) /* the slot is free */
{
	t->sessions[i].next = t->free_session;
	t->free_session = i;
}

/* To the end of the list of those that have something to tell */
static void ready(struct tailnet *t, struct session *s)
{
	uint32_t i = (uint32_t)(s - t->sessions);

	if (s->in_ready)
		return;
	s->in_ready = true;
	s->next = NO_INDEX;
	if (t->ready_first == NO_INDEX)
		t->ready_first = i;
	else
		t->sessions[t->ready_last].next = i;
	t->ready_last = i;
}

void session_output(struct tailnet *t, struct session_id id)
{
	struct session *s = session_get(t, id);

	if (s) {
		s->has_output = true;
		ready(t, s);
	}
}

bool session_event(struct tailnet *t, struct tailnet_event *ev)
{
	while (t->ready_first != NO_INDEX) {
		uint32_t i = t->ready_first;
		struct session *s = &t->sessions[i];

		ev->session = (struct session_id){ i, s->generation };
		if (s->used && s->has_output) {
			s->has_output = false;
			ev->type = TAILNET_OUTPUT;
			return true;
		}
		t->ready_first = s->next;
		s->in_ready = false;
		if (s->used && s->hangup) {
			s->hangup = false;
			ev->type = TAILNET_HANGUP;
			return true;
		}
		if (!s->used)
			session_unlist(t, i);
	}
	return false;
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

static uint64_t hash_machine(const struct tailnet *t, const struct key_pub *machine)
{
	return tailnet_hash(t, machine, sizeof *machine);
}

static size_t count_of_machine(const struct tailnet *t, const struct key_pub *machine)
{
	uint64_t h = hash_machine(t, machine);
	size_t n = 0;
	uint32_t i;

	for (size_t at = 0; index_next(&t->sessions_by_machine, h, &at, &i);)
		n += key_eq(&t->sessions[i].machine, machine);
	return n;
}

static struct session *free_slot(struct tailnet *t)
{
	uint32_t i = t->free_session;

	if (!index_reserve(&t->sessions_by_machine, 1))
		return NULL;
	if (i != NO_INDEX) {
		t->free_session = t->sessions[i].next;
		return &t->sessions[i];
	}
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
	struct ts2021_server *conn = ts2021_server_new(t->conf.rng, t->key, init, now);
	struct session *s;

	if (!conn)
		return -EPROTO;
	s = count_of_machine(t, ts2021_server_machine(conn)) < TAILNET_SESSIONS_PER_MACHINE
		? free_slot(t)
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
	ts2021_server_limit(conn, TAILNET_STRANGER_BODIES);
	index_add(&t->sessions_by_machine, hash_machine(t, &s->machine),
		  (uint32_t)(s - t->sessions));
	ready(t, s);
	t->stat.sessions++;
	t->scan_at = mono_min(t->scan_at, mono_add(now, SPAN_S(TAILNET_SCAN_S)));
	*id = (struct session_id){ (uint32_t)(s - t->sessions), s->generation };
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
	else if (ha_answer(t, now, &session_get(t, id)->machine, ev->path))
		session_reply(t, id, ev->stream, 200, "text/plain", bytes_of(NULL, 0));
	else if (is(ev->method, "GET") && sshcheck_request(t, now, id, ev->stream, ev->path))
		return;
	else
		unsupported(t, id, ev->stream, ev->path);
}

static void count_malformed(struct tailnet *t, struct session *s)
{
	uint64_t n = ts2021_server_malformed(s->conn);

	t->stat.malformed += n - s->malformed;
	s->malformed = n;
}

static void end(struct tailnet *t, mono_t now, struct session_id id)
{
	struct session *s = session_get(t, id);

	count_malformed(t, s);
	map_stream_gone(t, now, id, 0);
	login_gone(t, id, 0);
	sshcheck_gone(t, id, 0);
	index_del(&t->sessions_by_machine, hash_machine(t, &s->machine), id.index);
	ts2021_server_free(s->conn);
	*s = (struct session){ .generation = s->generation,
			       .in_ready = s->in_ready,
			       .next = s->next };
	if (!s->in_ready) /* else when its turn comes */
		session_unlist(t, id.index);
	t->stat.sessions--;
}

static void pump(struct tailnet *t, mono_t now, wall_t wall, struct session_id id)
{
	struct session *s = session_get(t, id);
	struct ts2021_server_event ev;

	while (ts2021_server_next(s->conn, &ev)) {
		switch (ev.type) {
		case TS2021_REQUEST:
			tailnet_asked_by_node(t, s);
			request(t, now, wall, id, &ev);
			tailnet_asked_by_node(t, NULL);
			break;
		case TS2021_RESET:
			map_stream_gone(t, now, id, ev.stream);
			login_gone(t, id, ev.stream);
			sshcheck_gone(t, id, ev.stream);
			break;
		case TS2021_DRAINED:
			break;
		case TS2021_CLOSED:
			log_debug("tailnet: control connection: %s", ev.text ? ev.text : "closed");
			s->hangup = true;
			ready(t, s);
			return;
		}
	}
	if (ts2021_server_has_output(s->conn))
		session_output(t, id);
}

void tailnet_feed(struct tailnet *t, mono_t now, wall_t wall, struct session_id id, struct bytes in)
{
	struct session *s = session_get(t, id);

	if (!s)
		return;
	if (!s->is_of_node && machine_has_node(t, &s->machine)) {
		s->is_of_node = true;
		ts2021_server_limit(s->conn, SIZE_MAX);
	}
	ts2021_server_feed(s->conn, now, in);
	count_malformed(t, s);
	pump(t, now, wall, id);
}

size_t tailnet_pull(struct tailnet *t, mono_t now, struct session_id id, uint8_t *buf, size_t cap)
{
	struct session *s = session_get(t, id);

	size_t n = s ? ts2021_server_pull(s->conn, now, buf, cap) : 0;

	if (s)
		count_malformed(t, s); /* a fault of HTTP/2 is known once it is answered */
	return n;
}

bool tailnet_is_over(const struct tailnet *t, struct session_id id)
{
	const struct session *s = session_get(t, id);

	return s && ts2021_server_is_over(s->conn);
}

bool tailnet_is_of_node(const struct tailnet *t, struct session_id id)
{
	const struct session *s = session_get(t, id);

	return s && machine_has_node(t, &s->machine);
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
		logins_expire(t, now);
		sshchecks_expire(t, now);
		for (size_t i = 0; i < t->n_sessions; i++)
			if (t->sessions[i].used) {
				ts2021_server_tick(t->sessions[i].conn, now);
				pump(t, now, wall,
				     (struct session_id){ (uint32_t)i, t->sessions[i].generation });
			}
		t->scan_at = mono_max(map_scan(t, now, wall), mono_add(now, tailnet_pace(t)));
	}
	if (mono_due(t->flush_at, now))
		map_flush(t, now, wall);
}
