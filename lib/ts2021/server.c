/* ts2021/server.c - server end of one control connection: see server.h
 *
 * The 101 head, the Noise response and the early payload are queued at birth; from there on records
 * carry HTTP/2. A connection that does not bring its first complete request in TS2021_FIRST_S, or
 * for TS2021_IDLE_S has no request that waits for its answer or for more of it, is closed. An
 * answer that is whole does not count: who leaves it unread would hold the connection for ever.
 */
#include "ts2021/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ts2021/h2_server.h"
#include "ts2021/upgrade.h"

enum { TS2021_FIRST_S = 30, TS2021_IDLE_S = 300 }; /* ours */

struct ts2021_server {
	struct h2_server h2;
	struct key_pub machine;
	uint16_t version;
	bool is_closed_told;
	mono_t deadline;
};

static bool queue_early(struct link *l, struct rng *rng)
{
	uint8_t plain[256], frame[NOISE_FRAME_MAX];
	char key[KEY_TEXT_MAX];
	struct key_priv challenge;
	struct key_pub pub;
	int n;
	size_t len;

	key_gen(&challenge, rng);
	key_public(&pub, &challenge);
	key_wipe(&challenge); /* nobody asks for the proof: control-protocol.md 2.6 */
	n = snprintf((char *)plain + LINK_EARLY_HEAD, sizeof plain - LINK_EARLY_HEAD,
		     "{\"nodeKeyChallenge\":\"%s\"}", key_pub_text(KEY_CHALLENGE, &pub, key));
	memcpy(plain, link_early_magic, sizeof link_early_magic);
	plain[5] = plain[6] = plain[7] = 0;
	plain[8] = (uint8_t)n;
	len = channel_write(&l->ch, plain, LINK_EARLY_HEAD + (size_t)n, frame);
	return len > 0 && buf_append(&l->out, frame, len);
}

struct ts2021_server *ts2021_server_new(struct rng *rng, const struct key_priv *control,
					const uint8_t init[static NOISE_INIT_LEN], mono_t now)
{
	struct ts2021_server *s = calloc(1, sizeof *s);
	uint8_t resp[NOISE_RESP_LEN];
	struct link *l;

	if (!s)
		return NULL;
	l = &s->h2.link;
	if (h2_server_init(&s->h2) != 0 ||
	    !channel_accept(&l->ch, control, init, rng, &s->version, &s->machine, resp) ||
	    !upgrade_answer_emit(&l->out) || !buf_append(&l->out, resp, sizeof resp) ||
	    !queue_early(l, rng)) {
		ts2021_server_free(s);
		return NULL;
	}
	s->deadline = mono_add(now, SPAN_S(TS2021_FIRST_S));
	return s;
}

void ts2021_server_free(struct ts2021_server *s)
{
	if (!s)
		return;
	h2_server_fini(&s->h2);
	free(s);
}

const struct key_pub *ts2021_server_machine(const struct ts2021_server *s)
{
	return &s->machine;
}

uint16_t ts2021_server_version(const struct ts2021_server *s)
{
	return s->version;
}

void ts2021_server_limit(struct ts2021_server *s, size_t bodies)
{
	s->h2.bodies_max = MIN_OF(bodies, (size_t)H2S_BODIES_MAX);
}

static void look_at_deadline(struct ts2021_server *s, mono_t now)
{
	bool is_busy = false;

	for (const struct h2s_stream *t = s->h2.streams; t; t = t->next)
		is_busy = is_busy || t->request_due || (t->is_told && !t->is_ended);
	if (is_busy)
		s->deadline = MONO_NEVER;
	else if (mono_is_never(s->deadline))
		s->deadline = mono_add(now, SPAN_S(TS2021_IDLE_S));
}

void ts2021_server_feed(struct ts2021_server *s, mono_t now, struct bytes in)
{
	bool ready = false;

	if (!s->h2.link.why && link_feed(&s->h2.link, in, &ready))
		look_at_deadline(s, now);
}

size_t ts2021_server_pull(struct ts2021_server *s, mono_t now, uint8_t *buf, size_t cap)
{
	size_t n = link_pull(&s->h2.link, buf, cap);

	look_at_deadline(s, now);
	return n;
}

bool ts2021_server_has_output(const struct ts2021_server *s)
{
	return link_has_output(&s->h2.link);
}

bool ts2021_server_is_over(const struct ts2021_server *s)
{
	return s->h2.link.why && s->h2.link.out.len == 0;
}

bool ts2021_server_next(struct ts2021_server *s, struct ts2021_server_event *ev)
{
	if (h2_server_next(&s->h2, ev))
		return true;
	if (!s->h2.link.why || s->is_closed_told)
		return false;
	s->is_closed_told = true;
	*ev = (struct ts2021_server_event){ .type = TS2021_CLOSED, .text = s->h2.link.why };
	return true;
}

int ts2021_server_answer(struct ts2021_server *s, int32_t stream, unsigned status,
			 const char *content_type, bool has_body)
{
	struct h2s_stream *t = h2_server_stream(&s->h2, stream);

	return t ? h2_server_answer(&s->h2, t, status, content_type, has_body) : -ENOENT;
}

int ts2021_server_send(struct ts2021_server *s, int32_t stream, const void *data, size_t len,
		       bool end)
{
	struct h2s_stream *t = h2_server_stream(&s->h2, stream);

	return t ? h2_server_send(&s->h2, t, data, len, end) : -ENOENT;
}

size_t ts2021_server_queued(const struct ts2021_server *s, int32_t stream)
{
	const struct h2s_stream *t = h2_server_stream(&s->h2, stream);

	return t ? t->send.len : 0;
}

mono_t ts2021_server_deadline(const struct ts2021_server *s)
{
	return s->h2.link.why ? MONO_NEVER : s->deadline;
}

uint64_t ts2021_server_malformed(const struct ts2021_server *s)
{
	return s->h2.link.malformed;
}

void ts2021_server_tick(struct ts2021_server *s, mono_t now)
{
	if (!s->h2.link.why && mono_due(s->deadline, now))
		s->h2.link.why = "nothing was asked for too long";
}
