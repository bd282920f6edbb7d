/* containerboot/kube_secret.c - see kube_secret.h
 *
 *      IDLE -- save --> PATCH --------------------- 200, nothing differs any more --> IDLE
 *                       PATCH -- 403 --> GET --> PUT
 *                       PATCH or PUT -- 409, 422 --> GET --> again
 *                       any -- 404 --> POST -- 409 --> GET --> again
 *                       any -- else --> WAIT (1 s, 2 s ... 60 s) --> again
 */
#include "containerboot/kube_secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/key.h"

enum {
	RETRY_MAX_S = 60,
	ROUNDS_MAX = 8, /* conflicts in one write before it waits */
};

#define PATCH_TYPE "application/json-patch+json"
#define JSON_TYPE "application/json"
#define MANAGER "?fieldManager=tailscale-container"

enum step { IDLE, GET, PATCH, PUT, POST, WAIT };

struct review {
	struct kube_secret *secret;
	enum kube_verb verb;
	struct kube_call *call;
};

struct kube_secret {
	struct loop *loop;
	struct kube_client *client;
	const char *ns;
	char name[KUBE_NAME_MAX + 1], pod[KUBE_NAME_MAX + 1], pod_uid[64];
	char version[KUBE_VERSION_MAX];
	struct kube_access access;
	struct state *state;        /* borrowed */
	struct state *server;       /* as last answered */
	struct state *known, *sent; /* the state as last written; as the request under way has it */
	struct state *own;

	struct review reviews[KUBE_VERBS];
	size_t n_reviews; /* under way */

	enum step step;
	struct kube_call *call, *event, *look;
	kube_secret_look_fn *look_fn;
	void *look_ctx;
	const char *look_field;
	struct loop_timer retry;
	unsigned rounds, failures;
	bool is_loading, exists, dirty, was_written, has_denied;
	struct err why; /* of the last failure */
	const bool *stop;
};

static void begin_write(struct kube_secret *s);

/* --- maps --- */

static bool copy_map(const struct state *from, struct state **to)
{
	struct state *copy = state_new();
	struct bytes key, value;
	char name[STATE_NAME_MAX];
	bool ok = copy != NULL;

	for (size_t i = 0; ok && i < state_n(from); i++) {
		state_at(from, i, &key, &value);
		(void)bytes_to_str(key, name, sizeof name);
		ok = state_put(copy, name, value) == 0;
	}
	if (!ok) {
		state_free(copy);
		return false;
	}
	state_free(*to);
	*to = copy;
	return true;
}

/* The server's answer is what it has from now on. */
static int take_object(struct kube_secret *s, struct bytes body, struct err *e)
{
	struct state *fields = state_new();
	int r =
	    fields ? kube_fields_parse(body, fields, s->version, e) : err_set(e, ENOMEM, "Secret");

	if (r < 0) {
		state_free(fields);
		return r;
	}
	state_free(s->server);
	s->server = fields;
	s->exists = true;
	return 0;
}

static void clear_map(struct state *m)
{
	struct err e;

	if (state_parse(m, bytes_of("", 0), &e) < 0)
		log_warn("kube: %s", e.text);
}

static void forget_server(struct kube_secret *s)
{
	s->exists = false;
	clear_map(s->server);
	clear_map(s->known);
}

/* --- Events --- */

static void event_done(void *ctx, const struct kube_answer *a)
{
	struct kube_secret *s = ctx;

	s->event = NULL;
	if (a->status == 403)
		s->access.may[KUBE_EVENT] = KUBE_NO;
}

static void tell_event(struct kube_secret *s, bool is_warning, const char *reason,
		       const char *words)
{
	char target[KUBE_NAME_MAX + 64], instance[17];
	struct buf out;

	if (!*s->pod || !*s->pod_uid || s->event || !kube_may(&s->access, KUBE_EVENT))
		return;
	snprintf(instance, sizeof instance, "%016llx", (unsigned long long)loop_wall().ns);
	snprintf(target, sizeof target, "/api/v1/namespaces/%s/events", s->ns);
	buf_init(&out, 16 << 10);
	if (kube_event_emit(&out, &(struct kube_event){ .ns = s->ns,
							.name = s->pod,
							.uid = s->pod_uid,
							.reason = reason,
							.words = words,
							.instance = instance,
							.is_warning = is_warning,
							.at = loop_wall() }))
		s->event =
		    kube_call(s->client, "POST", target, JSON_TYPE, buf_bytes(&out), event_done, s);
	buf_fini(&out);
}

/* --- failures --- */

static void fail(struct kube_secret *s, const struct err *why)
{
	unsigned wait = s->failures < 6 ? 1U << s->failures : RETRY_MAX_S;

	s->why = *why;
	if (s->failures++ == 0 && !s->is_loading) {
		log_error(
		    "kube: the Secret %s/%s is not written, a restart would lose what changed: %s",
		    s->ns, s->name, why->text);
		tell_event(s, true, "TailscaleStateUpdateFailed", why->text);
	}
	s->step = WAIT;
	loop_timer_set(&s->retry, mono_add(loop_now(s->loop), SPAN_S(MIN_OF(wait, RETRY_MAX_S))));
}

static void fail_words(struct kube_secret *s, const char *what, const struct kube_answer *a)
{
	char message[KUBE_MESSAGE_MAX];
	struct err e;

	if (!a->status) {
		fail(s, a->why);
		return;
	}
	kube_message(a->body, message);
	err_say(&e, EIO, "%s of the Secret: the API server answers %u%s%s", what, a->status,
		*message ? ": " : "", message);
	fail(s, &e);
}

static void out_of_memory(struct kube_secret *s)
{
	struct err e;

	err_say(&e, ENOMEM, "out of memory, or the state is larger than a Secret can be");
	fail(s, &e);
}

/* --- requests --- */

static void on_answer(void *ctx, const struct kube_answer *a);

static void request(struct kube_secret *s, enum step step, struct bytes body)
{
	static const char *const methods[] = {
		[GET] = "GET", [PATCH] = "PATCH", [PUT] = "PUT", [POST] = "POST"
	};
	char target[2 * KUBE_NAME_MAX + 128];

	snprintf(target, sizeof target, "/api/v1/namespaces/%s/secrets%s%s%s", s->ns,
		 step == POST ? "" : "/", step == POST ? "" : s->name, step == GET ? "" : MANAGER);
	s->step = step;
	s->call = kube_call(s->client, methods[step], target,
			    step == GET     ? NULL
			    : step == PATCH ? PATCH_TYPE
					    : JSON_TYPE,
			    body, on_answer, s);
	if (!s->call)
		out_of_memory(s);
}

static struct kube_diff diff_of(const struct kube_secret *s)
{
	return (struct kube_diff){
		.server = s->server, .known = s->known, .state = s->state, .own = s->own
	};
}

/* step PUT: present is the object as just read */
static void write_as(struct kube_secret *s, enum step step, struct bytes present)
{
	struct kube_diff d = diff_of(s);
	struct buf out;
	bool ok;

	buf_init(&out, KUBE_BODY_MAX);
	ok = copy_map(s->state, &s->sent);
	if (ok)
		ok = step == PATCH ? kube_patch_emit(&out, &d)
		     : step == PUT ? kube_put_emit(&out, present, &d)
				   : kube_post_emit(&out, s->ns, s->name, &d);
	if (ok)
		request(s, step, buf_bytes(&out));
	else
		out_of_memory(s);
	if (out.data)
		secret_wipe(out.data, out.cap);
	buf_fini(&out);
}

/* Removals have served: the field may be written anew by its owner, the operator. */
static void drop_removals(struct kube_secret *s)
{
	char name[STATE_NAME_MAX];
	struct bytes key, value;

	for (size_t i = 0; i < state_n(s->own);) {
		state_at(s->own, i, &key, &value);
		(void)bytes_to_str(key, name, sizeof name);
		if (value.len == 0)
			state_del(s->own, name);
		else
			i++;
	}
}

static void done(struct kube_secret *s)
{
	s->step = IDLE;
	s->dirty = false;
	s->rounds = 0;
	drop_removals(s);
	if (s->failures > 0)
		log_info("kube: the Secret %s/%s is written again", s->ns, s->name);
	if (s->failures > 0 || !s->was_written)
		tell_event(s, false, "TailscaledStateUpdated",
			   "the state is written to the Secret");
	s->was_written = true;
	s->failures = 0;
}

static void begin_write(struct kube_secret *s)
{
	struct kube_diff d = diff_of(s);
	struct err e;

	if (s->exists && !kube_diff_next(&d)) {
		done(s);
	} else if (++s->rounds > ROUNDS_MAX) {
		s->rounds = 0;
		err_say(&e, EBUSY, "somebody else keeps changing the Secret");
		fail(s, &e);
	} else if (!s->exists) {
		write_as(s, POST, bytes_of(NULL, 0));
	} else if (kube_may(&s->access, KUBE_PATCH)) {
		write_as(s, PATCH, bytes_of(NULL, 0));
	} else {
		request(s, GET, bytes_of(NULL, 0));
	}
}

/* --- answers to a write --- */

static void written(struct kube_secret *s, const struct kube_answer *a)
{
	struct state *sent = s->sent;
	struct err e;

	if (take_object(s, a->body, &e) < 0) {
		fail(s, &e);
		return;
	}
	s->sent = NULL;
	state_free(s->known);
	s->known = sent;
	begin_write(s);
}

static void denied(struct kube_secret *s, const struct kube_answer *a)
{
	struct err e;

	if (s->step == PATCH && kube_may(&s->access, KUBE_UPDATE)) {
		log_info("kube: patching the Secret is not allowed; it is put back whole");
		s->access.may[KUBE_PATCH] = KUBE_NO;
		begin_write(s);
		return;
	}
	if (s->step == POST) {
		s->access.may[KUBE_CREATE] = KUBE_NO;
		if (kube_access_absent(&s->access, s->ns, s->name, &e) < 0) {
			fail(s, &e);
			s->access.may[KUBE_CREATE] = KUBE_UNKNOWN; /* a Role may come */
			return;
		}
	}
	fail_words(s, "writing", a);
}

static void reread(struct kube_secret *s, const struct kube_answer *a)
{
	struct err e;

	if (take_object(s, a->body, &e) < 0)
		fail(s, &e);
	else if (kube_may(&s->access, KUBE_PATCH))
		begin_write(s);
	else
		write_as(s, PUT, a->body);
}

static void on_load(struct kube_secret *s, const struct kube_answer *a);

static void on_answer(void *ctx, const struct kube_answer *a)
{
	struct kube_secret *s = ctx;

	s->call = NULL;
	if (s->is_loading)
		on_load(s, a);
	else if (a->status == 200 && s->step == GET)
		reread(s, a);
	else if (a->status == 200 || a->status == 201)
		written(s, a);
	else if (a->status == 403)
		denied(s, a);
	else if (a->status == 404 && s->step != POST) {
		log_warn("kube: the Secret %s/%s is gone; making it anew", s->ns, s->name);
		forget_server(s);
		begin_write(s);
	} else if (a->status == 409 || a->status == 422) {
		/* somebody was faster; 422: also a field to remove that is not there */
		s->exists = true;
		if (++s->rounds > ROUNDS_MAX) {
			s->rounds = 0;
			fail_words(s, "writing", a);
		} else {
			request(s, GET, bytes_of(NULL, 0));
		}
	} else {
		fail_words(s, s->step == GET ? "reading" : "writing", a);
	}
}

static void try_again(void *ctx)
{
	struct kube_secret *s = ctx;

	s->step = IDLE;
	if (s->is_loading)
		request(s, GET, bytes_of(NULL, 0));
	else
		begin_write(s);
}

void kube_secret_save(struct kube_secret *s)
{
	s->dirty = true;
	if (s->step == IDLE)
		begin_write(s);
}

/* --- start --- */

/* 0: that is all there is; -EAGAIN: try again */
static int loaded(struct kube_secret *s, const struct kube_answer *a)
{
	switch (a->status) {
	case 200:
		return take_object(s, a->body, &s->why);
	case 404:
		return kube_access_absent(&s->access, s->ns, s->name, &s->why);
	case 401:
		return err_say(&s->why, EACCES,
			       "TS_KUBE_SECRET: the API server does not accept the pod's service "
			       "account token");
	case 403:
		s->access.may[KUBE_GET] = KUBE_NO;
		return kube_access_check(&s->access, s->ns, s->name, &s->why);
	default:
		return -EAGAIN;
	}
}

static void on_load(struct kube_secret *s, const struct kube_answer *a)
{
	int r = loaded(s, a);

	if (r == -EAGAIN) {
		fail_words(s, "reading", a);
		if (s->failures == 1)
			log_warn("kube: %s; trying again", s->why.text);
		return;
	}
	s->has_denied = r < 0;
	s->is_loading = false;
	s->step = IDLE;
	s->failures = 0;
}

static void on_review(void *ctx, const struct kube_answer *a)
{
	struct review *r = ctx;
	struct kube_secret *s = r->secret;

	r->call = NULL;
	s->n_reviews--;
	if (a->status == 200 || a->status == 201)
		s->access.may[r->verb] = kube_review_parse(a->body);
	else
		log_debug("kube: no answer to what is allowed: %s",
			  a->why ? a->why->text : "refused");
}

static void ask_access(struct kube_secret *s)
{
	struct buf out;

	buf_init(&out, 4096);
	for (int v = 0; v < KUBE_VERBS; v++) {
		struct review *r = &s->reviews[v];

		*r = (struct review){ .secret = s, .verb = (enum kube_verb)v };
		buf_clear(&out);
		if (kube_review_emit(&out, r->verb, s->ns, s->name))
			r->call =
			    kube_call(s->client, "POST",
				      "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
				      JSON_TYPE, buf_bytes(&out), on_review, r);
		s->n_reviews += r->call != NULL;
	}
	buf_fini(&out);
}

static bool is_read(const struct kube_secret *s)
{
	return !s->is_loading;
}

static bool is_asked(const struct kube_secret *s)
{
	return s->n_reviews == 0;
}

static bool is_written(const struct kube_secret *s)
{
	return s->step == IDLE && !s->dirty && !s->event;
}

static bool wait_until(struct kube_secret *s, bool (*is)(const struct kube_secret *), mono_t end)
{
	while (!is(s)) {
		if ((s->stop && *s->stop) || mono_due(end, loop_now(s->loop)))
			return false;
		loop_turn(s->loop, SPAN_MS(100));
	}
	return true;
}

static int read_secret(struct kube_secret *s, span_t limit, struct err *e)
{
	mono_t end = limit.ns > 0 ? mono_add(loop_now(s->loop), limit) : MONO_NEVER;
	int r;

	ask_access(s);
	if (wait_until(s, is_asked, end)) {
		r = kube_access_check(&s->access, s->ns, s->name, e);
		if (r < 0)
			return r;
	}
	s->is_loading = true;
	request(s, GET, bytes_of(NULL, 0));
	if (!wait_until(s, is_read, end)) {
		if (s->stop && *s->stop)
			return err_say(e, ECANCELED, "stopped while reading the state");
		return err_say(e, ETIMEDOUT,
			       "TS_KUBE_SECRET: not read in time (TS_BOOT_TIMEOUT)%s%s",
			       s->failures ? ": " : "", s->failures ? s->why.text : "");
	}
	if (s->has_denied) {
		*e = s->why;
		return -e->code;
	}
	r = kube_state_of(s->server, s->state);
	if (r < 0 || !copy_map(s->state, &s->known))
		return err_set(e, ENOMEM, "the Secret's state");
	return 0;
}

struct kube_secret *kube_secret_open(const struct kube_secret_conf *conf, struct err *e)
{
	struct kube_secret *s = calloc(1, sizeof *s);

	if (!s) {
		err_set(e, ENOMEM, "Secret");
		return NULL;
	}
	s->loop = conf->client.loop;
	s->state = conf->state;
	s->stop = conf->stop;
	s->server = state_new();
	s->known = state_new();
	s->own = state_new();
	loop_timer_init(s->loop, &s->retry, try_again, s);
	if (!bytes_to_str(bytes_str(conf->name), s->name, sizeof s->name) ||
	    (conf->pod && !bytes_to_str(bytes_str(conf->pod), s->pod, sizeof s->pod)) ||
	    (conf->pod_uid &&
	     !bytes_to_str(bytes_str(conf->pod_uid), s->pod_uid, sizeof s->pod_uid)))
		err_say(e, EINVAL, "TS_KUBE_SECRET, POD_NAME or POD_UID is too long");
	else if (!s->server || !s->known || !s->own)
		err_set(e, ENOMEM, "Secret");
	else if ((s->client = kube_client_new(&conf->client, e))) {
		s->ns = kube_client_namespace(s->client);
		if (read_secret(s, conf->limit, e) == 0) {
			tell_event(s, false, "TailscaleStateLoaded",
				   "the state is read from the Secret");
			return s;
		}
	}
	kube_secret_free(s);
	return NULL;
}

void kube_secret_free(struct kube_secret *s)
{
	if (!s)
		return;
	for (int v = 0; v < KUBE_VERBS; v++)
		kube_call_cancel(s->reviews[v].call);
	kube_call_cancel(s->call);
	kube_call_cancel(s->event);
	kube_call_cancel(s->look);
	loop_timer_fini(&s->retry);
	kube_client_free(s->client);
	state_free(s->server);
	state_free(s->known);
	state_free(s->sent);
	state_free(s->own);
	free(s);
}

/* --- own fields --- */

bool kube_secret_get(const struct kube_secret *s, const char *field, struct bytes *value)
{
	return state_get(s->server, field, value) && value->len > 0;
}

void kube_secret_set(struct kube_secret *s, const char *field, const char *text)
{
	if (state_put(s->own, field, bytes_str(text)) < 0)
		log_error("kube: out of memory, %s is not written", field);
}

void kube_secret_clear(struct kube_secret *s, const char *field)
{
	kube_secret_set(s, field, "");
}

int kube_secret_check_key(const struct kube_secret *s, struct err *e)
{
	return kube_access_key(&s->access, s->ns, s->name, e);
}

/* Apart from what is written: the state in memory counts, whatever the answer holds. */
static void looked(void *ctx, const struct kube_answer *a)
{
	struct kube_secret *s = ctx;
	struct state *fields = state_new();
	char version[KUBE_VERSION_MAX];
	struct bytes value = bytes_of(NULL, 0);
	struct err e;

	s->look = NULL;
	if (a->status != 200)
		log_warn("kube: the Secret %s/%s is not read: %s", s->ns, s->name,
			 a->why ? a->why->text : "refused");
	else if (!fields || kube_fields_parse(a->body, fields, version, &e) < 0 ||
		 !state_get(fields, s->look_field, &value))
		value = bytes_of(NULL, 0);
	s->look_fn(s->look_ctx, value);
	state_free(fields);
}

bool kube_secret_look(struct kube_secret *s, const char *field, kube_secret_look_fn *fn, void *ctx)
{
	char target[2 * KUBE_NAME_MAX + 128];

	if (s->look)
		return false;
	s->look_fn = fn;
	s->look_ctx = ctx;
	s->look_field = field;
	snprintf(target, sizeof target, "/api/v1/namespaces/%s/secrets/%s", s->ns, s->name);
	s->look = kube_call(s->client, "GET", target, NULL, bytes_of(NULL, 0), looked, s);
	return s->look != NULL;
}

bool kube_secret_flush(struct kube_secret *s, span_t limit)
{
	const bool *stop = s->stop;
	bool ok;

	s->stop = NULL;
	ok = wait_until(s, is_written, mono_add(loop_now(s->loop), limit));
	s->stop = stop;
	return ok || (s->step == IDLE && !s->dirty);
}
