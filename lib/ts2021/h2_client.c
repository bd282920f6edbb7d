/* ts2021/h2_client.c - see h2_client.h */
#include "ts2021/h2_client.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"

static struct h2_request *request_of(struct h2_client *h, int32_t id)
{
	for (size_t i = 0; i < H2_SLOTS; i++)
		if (h->rq[i].phase != H2_FREE && h->rq[i].id == id)
			return &h->rq[i];
	return NULL;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct h2_request *rq = request_of(user, frame->hd.stream_id);
	struct bytes key = bytes_of(name, name_len), v = bytes_of(value, value_len);
	uint16_t status;

	(void)s;
	(void)flags;
	if (!rq)
		return 0;
	if (bytes_eq_str(key, ":status") && text_u16(v, &status))
		rq->status = status;
	else if (bytes_eq_str(key, "retry-after"))
		(void)bytes_to_str(v, rq->retry_after, sizeof rq->retry_after);
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
	struct h2_client *h = user;
	struct h2_request *rq = request_of(h, frame->hd.stream_id);

	(void)s;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		h->going_away = true;
	if (!rq)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && rq->phase == H2_SENT && rq->status >= 200)
		rq->phase = H2_ANSWERED;
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && rq->phase != H2_BROKEN)
		rq->phase = H2_ENDED;
	return 0;
}

/* Only the map's good answer is held back by its window; the rest is counted as read at once. */
static bool is_flow(const struct h2_client *h, const struct h2_request *rq)
{
	return rq == &h->rq[H2_MAP] && rq->status == 200;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
		   void *user)
{
	struct h2_client *h = user;
	struct h2_request *rq = request_of(h, id);

	(void)flags;
	if (rq && is_flow(h, rq))
		return buf_append(&rq->body, data, len) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
	if (nghttp2_session_consume(s, id, len) != 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (rq && !buf_append(&rq->body, data, len)) {
		rq->phase = H2_BROKEN;
		(void)nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
	}
	return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *user)
{
	struct h2_request *rq = request_of(user, id);

	(void)s;
	(void)code;
	if (rq && rq->phase != H2_ENDED)
		rq->phase = H2_BROKEN;
	return 0;
}

static int new_session(struct h2_client *h)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_MAP_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADERS_MAX },
	};
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_option *opt = NULL;
	int r = -ENOMEM;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return -ENOMEM;
	if (nghttp2_option_new(&opt) != 0)
		goto out;
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	if (nghttp2_session_client_new2(&h->link.h2, cb, h, opt) != 0)
		goto out;
	if (nghttp2_submit_settings(h->link.h2, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) !=
		0 ||
	    nghttp2_session_set_local_window_size(h->link.h2, NGHTTP2_FLAG_NONE, 0,
						  H2_MAP_WINDOW + H2_SPARE_WINDOW) != 0)
		goto out;
	r = 0;
out:
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	return r;
}

int h2_client_init(struct h2_client *h, uint16_t version, const struct key_priv *machine,
		   const struct key_pub *control, struct rng *rng, const char *authority,
		   uint8_t init[static NOISE_INIT_LEN])
{
	int r;

	memset(h, 0, sizeof *h);
	link_init(&h->link, true);
	h->authority = authority;
	for (size_t i = 0; i < H2_SLOTS; i++) {
		buf_init(&h->rq[i].body, i == H2_MAP ? H2_MAP_WINDOW : H2_BODY_MAX);
		buf_init(&h->rq[i].send, H2_BODY_MAX);
	}
	r = new_session(h);
	if (r == 0 && !channel_start(&h->link.ch, version, machine, control, rng, init))
		r = -EINVAL;
	if (r != 0)
		h2_client_fini(h);
	return r;
}

static void buf_wipe(struct buf *b)
{
	if (b->data)
		secret_wipe(b->data, b->cap);
	buf_fini(b);
}

static void free_request(struct h2_request *rq)
{
	buf_fini(&rq->body);
	buf_wipe(&rq->send);
	rq->phase = H2_FREE;
	rq->id = 0;
	rq->status = 0;
	rq->retry_after[0] = 0;
}

void h2_client_fini(struct h2_client *h)
{
	for (size_t i = 0; i < H2_SLOTS; i++)
		free_request(&h->rq[i]);
	link_fini(&h->link);
}

bool h2_client_feed(struct h2_client *h, struct bytes in, bool *ready)
{
	if (!link_feed(&h->link, in, ready))
		return false;
	if (h->going_away)
		h->link.why = "the server said good-bye";
	return !h->link.why;
}

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *buf, size_t cap, uint32_t *flags,
			 nghttp2_data_source *src, void *user)
{
	struct h2_request *rq = src->ptr;
	size_t n;

	(void)s;
	(void)user;
	if (rq->id != id) { /* the slot was given to another request */
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return 0;
	}
	n = rq->send.len < cap ? rq->send.len : cap;
	if (n > 0)
		memcpy(buf, buf_bytes(&rq->send).data, n);
	if (n == rq->send.len) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		buf_wipe(&rq->send);
	} else {
		buf_consume(&rq->send, n);
	}
	return (ssize_t)n;
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), NGHTTP2_NV_FLAG_NONE };
}

int h2_client_send(struct h2_client *h, enum h2_slot slot, const char *method, const char *path,
		   const char *type, const struct key_pub *lb, struct buf *body)
{
	struct h2_request *rq = &h->rq[slot];
	nghttp2_data_provider src = { .source.ptr = rq, .read_callback = read_body };
	char lb_text[KEY_TEXT_MAX];
	nghttp2_nv nv[6];
	size_t n = 0;
	int32_t id;

	assert(rq->phase == H2_FREE);
	nv[n++] = field(":method", method);
	nv[n++] = field(":scheme", "https");
	nv[n++] = field(":authority", h->authority);
	nv[n++] = field(":path", path);
	if (lb)
		nv[n++] = field("ts-lb", key_pub_text(KEY_NODE, lb, lb_text));
	if (type)
		nv[n++] = field("content-type", type);
	id = nghttp2_submit_request(h->link.h2, NULL, nv, n, body ? &src : NULL, NULL);
	if (id < 0)
		return -ENOMEM;
	rq->id = id;
	rq->phase = H2_SENT;
	if (body) {
		size_t max = rq->send.max;

		rq->send = *body;
		rq->send.max = max;
		buf_init(body, body->max);
	}
	return 0;
}

void h2_client_drop(struct h2_client *h, enum h2_slot slot)
{
	struct h2_request *rq = &h->rq[slot];

	if (rq->phase == H2_FREE)
		return;
	if (slot == H2_MAP &&
	    rq->body.len > 0) /* its bytes still weigh on the connection's window */
		(void)nghttp2_session_consume_connection(h->link.h2, rq->body.len);
	if (rq->phase == H2_SENT || rq->phase == H2_ANSWERED)
		(void)nghttp2_submit_rst_stream(h->link.h2, NGHTTP2_FLAG_NONE, rq->id,
						NGHTTP2_CANCEL);
	free_request(rq);
}

void h2_client_consume(struct h2_client *h, enum h2_slot slot, size_t n)
{
	struct h2_request *rq = &h->rq[slot];

	assert(n <= rq->body.len);
	if (n == 0)
		return;
	buf_consume(&rq->body, n);
	if (is_flow(h, rq) && nghttp2_session_consume(h->link.h2, rq->id, n) != 0)
		h->link.why = "out of memory";
}
