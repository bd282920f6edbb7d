/* ts2021/h2_server.c - see h2_server.h */
#include "ts2021/h2_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct h2s_stream *h2_server_stream(const struct h2_server *h, int32_t id)
{
	for (struct h2s_stream *s = h->streams; s; s = s->next)
		if (s->id == id)
			return s->is_gone ? NULL : s;
	return NULL;
}

static void drop_body(struct h2_server *h, struct h2s_stream *s)
{
	h->bodies -= s->body.len;
	buf_fini(&s->body);
}

static void del_stream(struct h2_server *h, struct h2s_stream *s)
{
	for (struct h2s_stream **p = &h->streams; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
	if (h->lent == s)
		h->lent = NULL;
	drop_body(h, s);
	buf_fini(&s->send);
	free(s);
}

static int send_data(nghttp2_session *ss, nghttp2_frame *frame, const uint8_t *head, size_t len,
		     nghttp2_data_source *src, void *user);

/* --- requests --- */

static int on_begin(nghttp2_session *ss, const nghttp2_frame *frame, void *user)
{
	struct h2_server *h = user;
	struct h2s_stream *s, **p;

	(void)ss;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	s = calloc(1, sizeof *s);
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	s->id = frame->hd.stream_id;
	buf_init(&s->body, TS2021_BODY_MAX);
	buf_init(&s->send, TS2021_QUEUE_MAX);
	for (p = &h->streams; *p; p = &(*p)->next) /* in the order of arrival */
		;
	*p = s;
	return 0;
}

static int on_header(nghttp2_session *ss, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct h2s_stream *s = h2_server_stream(user, frame->hd.stream_id);
	struct bytes key = bytes_of(name, name_len), v = bytes_of(value, value_len);

	(void)ss;
	(void)flags;
	if (!s)
		return 0;
	if (bytes_eq_str(key, ":method") && !bytes_to_str(v, s->method, sizeof s->method))
		s->is_bad = true;
	if (bytes_eq_str(key, ":path") && !bytes_to_str(v, s->path, sizeof s->path))
		s->is_bad = true;
	return 0;
}

static int on_data(nghttp2_session *ss, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
		   void *user)
{
	struct h2_server *h = user;
	struct h2s_stream *s = h2_server_stream(h, id);

	(void)ss;
	(void)flags;
	if (!s || s->is_bad)
		return 0;
	if (h->bodies + len > h->bodies_max || !buf_append(&s->body, data, len)) {
		s->is_bad = true;
		drop_body(h, s);
		return 0;
	}
	h->bodies += len;
	return 0;
}

static void refuse(struct h2_server *h, struct h2s_stream *s)
{
	s->is_told = true; /* nobody else answers it */
	h->link.malformed++;
	if (h2_server_answer(h, s, s->path[0] && s->method[0] ? 413 : 400, NULL, false) != 0)
		h->link.why = "out of memory";
}

static int on_frame(nghttp2_session *ss, const nghttp2_frame *frame, void *user)
{
	struct h2s_stream *s = h2_server_stream(user, frame->hd.stream_id);

	(void)ss;
	if (!s || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	if (s->is_bad)
		refuse(user, s);
	else
		s->request_due = true;
	return 0;
}

static int on_close(nghttp2_session *ss, int32_t id, uint32_t code, void *user)
{
	struct h2_server *h = user;
	struct h2s_stream *s = h2_server_stream(h, id);

	(void)ss;
	if (!s)
		return 0;
	if (s->is_told && code != NGHTTP2_NO_ERROR && !(s->is_ended && s->send.len == 0)) {
		s->is_gone = s->reset_due = true; /* deleted when the event was fetched */
		s->drained_due = false;
		buf_fini(&s->send);
	} else {
		del_stream(h, s);
	}
	return 0;
}

/* nghttp2 ends a stream or the session for what is no HTTP/2 */
static int on_sent(nghttp2_session *ss, const nghttp2_frame *frame, void *user)
{
	struct h2_server *h = user;

	(void)ss;
	h->link.malformed +=
	    (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) ||
	    (frame->hd.type == NGHTTP2_RST_STREAM &&
	     frame->rst_stream.error_code != NGHTTP2_NO_ERROR);
	return 0;
}

int h2_server_init(struct h2_server *h)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2S_STREAMS_MAX },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2S_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2S_HEADERS_MAX },
	};
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_option *opt = NULL;
	int r = -ENOMEM;

	memset(h, 0, sizeof *h);
	h->bodies_max = H2S_BODIES_MAX;
	link_init(&h->link, false);
	if (nghttp2_session_callbacks_new(&cb) != 0)
		return -ENOMEM;
	if (nghttp2_option_new(&opt) != 0)
		goto out;
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	if (nghttp2_session_server_new2(&h->link.h2, cb, h, opt) == 0 &&
	    nghttp2_submit_settings(h->link.h2, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) ==
		0 &&
	    nghttp2_session_set_local_window_size(h->link.h2, NGHTTP2_FLAG_NONE, 0,
						  H2S_BODIES_MAX) == 0)
		r = 0;
out:
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	return r;
}

void h2_server_fini(struct h2_server *h)
{
	link_fini(&h->link);
	while (h->streams)
		del_stream(h, h->streams);
}

/* --- events --- */

static bool stream_event(struct h2_server *h, struct h2s_stream *s, struct ts2021_server_event *ev)
{
	*ev = (struct ts2021_server_event){ .stream = s->id };
	if (s->request_due) {
		s->request_due = false;
		s->is_told = true;
		h->lent = s;
		ev->type = TS2021_REQUEST;
		ev->method = s->method;
		ev->path = s->path;
		ev->body = buf_bytes(&s->body);
		return true;
	}
	if (s->reset_due) {
		ev->type = TS2021_RESET;
		del_stream(h, s);
		return true;
	}
	if (s->drained_due) {
		s->drained_due = false;
		ev->type = TS2021_DRAINED;
		return true;
	}
	return false;
}

bool h2_server_next(struct h2_server *h, struct ts2021_server_event *ev)
{
	if (h->lent)
		drop_body(h, h->lent);
	h->lent = NULL;
	for (struct h2s_stream *s = h->streams, *next; s; s = next) {
		next = s->next;
		if (stream_event(h, s, ev))
			return true;
	}
	return false;
}

/* --- answers --- */

static ssize_t read_send(nghttp2_session *ss, int32_t id, uint8_t *buf, size_t cap, uint32_t *flags,
			 nghttp2_data_source *src, void *user)
{
	struct h2s_stream *s = h2_server_stream(user, id);
	size_t n;

	(void)ss;
	(void)buf;
	(void)src;
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (s->send.len == 0 && !s->is_ended)
		return NGHTTP2_ERR_DEFERRED;
	n = s->send.len < cap ? s->send.len : cap;
	if (n > 0)
		*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n == s->send.len && s->is_ended)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* The DATA frame that read_send announced; it ends nghttp2's turn, so that no more than one lies in
 * the record. */
static int send_data(nghttp2_session *ss, nghttp2_frame *frame, const uint8_t *head, size_t len,
		     nghttp2_data_source *src, void *user)
{
	struct h2_server *h = user;
	struct h2s_stream *s = h2_server_stream(h, frame->hd.stream_id);

	(void)ss;
	(void)src;
	if (!s || s->send.len < len)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	link_sink(&h->link, head, H2_FRAME_HEAD);
	link_sink(&h->link, buf_bytes(&s->send).data, len);
	buf_consume(&s->send, len);
	if (s->send.len == 0) {
		buf_fini(&s->send); /* an idle stream holds nothing */
		s->drained_due = !s->is_ended;
	}
	return NGHTTP2_ERR_PAUSE;
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), NGHTTP2_NV_FLAG_NONE };
}

int h2_server_answer(struct h2_server *h, struct h2s_stream *s, unsigned status, const char *type,
		     bool has_body)
{
	nghttp2_data_provider src = { .read_callback = read_send };
	char text[8];
	nghttp2_nv nv[3];
	size_t n = 0;

	if (s->is_answered)
		return -EINVAL;
	snprintf(text, sizeof text, "%u", status);
	nv[n++] = field(":status", text);
	if (type)
		nv[n++] = field("content-type", type);
	if (!has_body && strcmp(s->method, "HEAD") != 0)
		nv[n++] = field("content-length", "0");
	if (nghttp2_submit_response(h->link.h2, s->id, nv, n, has_body ? &src : NULL) != 0)
		return -ENOMEM;
	s->is_answered = true;
	s->has_body = has_body;
	s->is_ended = !has_body;
	return 0;
}

int h2_server_send(struct h2_server *h, struct h2s_stream *s, const void *data, size_t len,
		   bool end)
{
	int r;

	if (!s->is_answered || !s->has_body || s->is_ended)
		return -EINVAL;
	if (len > s->send.max - s->send.len)
		return -ENOBUFS;
	if (!buf_append(&s->send, data, len))
		return -ENOMEM;
	s->is_ended = end;
	r = nghttp2_session_resume_data(h->link.h2, s->id);
	return r == 0 || r == NGHTTP2_ERR_INVALID_ARGUMENT
		   ? 0
		   : -ENOMEM; /* the latter: it is not deferred */
}
