/* coordinator/sshcheck.c - ssh rules with the action check: a person lets a session in
 *
 * The node that is logged in to asks over Noise, by the address that stands in its ssh rules:
 *
 *      GET /machine/ssh/action/SRC/to/DST?local_user=..[&auth_id=..]
 *
 * The first answer names a check and tells the user whom to ask; the node comes back with its name
 * and waits until an administrator has approved or rejected it. Within the checkPeriod of the rule
 * no other check is asked of the same pair of nodes. Only DST itself may ask: another machine could
 * otherwise open a pair for itself. Nothing of this is stored: after a restart checks are asked
 * anew (control-protocol.md 5.1; Headscale 0.29 has the same).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/tailnet_priv.h"

static const char prefix[] = "/machine/ssh/action/", to[] = "/to/", auth_id[] = "auth_id=";

struct asked { /* what a request says */
	int64_t src, dst;
	char check[TAILNET_LOGIN_ID + 1]; /* "": the first request */
};

static bool read_number(struct bytes *in, struct bytes end, int64_t *out)
{
	const uint8_t *p = end.len ? memmem(in->data, in->len, end.data, end.len) : NULL;
	size_t n = p ? (size_t)(p - in->data) : in->len;

	if ((end.len > 0 && !p) || !text_i64(bytes_of(in->data, n), out) || *out <= 0)
		return false;
	n += p ? end.len : 0;
	*in = bytes_of(in->data + n, in->len - n);
	return true;
}

/* false: no such address */
static bool read_target(const char *target, struct asked *a)
{
	struct bytes in = bytes_str(target), path, query;
	const uint8_t *mark = memchr(in.data, '?', in.len);
	size_t n = mark ? (size_t)(mark - in.data) : in.len;

	path = bytes_of(in.data, n);
	query = bytes_of(in.data + n, in.len - n);
	if (path.len < sizeof prefix || memcmp(path.data, prefix, sizeof prefix - 1) != 0)
		return false;
	path = bytes_of(path.data + sizeof prefix - 1, path.len - (sizeof prefix - 1));
	if (!read_number(&path, bytes_str(to), &a->src) ||
	    !read_number(&path, bytes_of(NULL, 0), &a->dst))
		return false;
	while (query.len > 0) { /* ?a=b&c=d: each begins with its mark */
		const uint8_t *next =
		    query.len > 1 ? memchr(query.data + 1, '&', query.len - 1) : NULL;
		size_t len = next ? (size_t)(next - query.data) : query.len;

		if (len > sizeof auth_id &&
		    memcmp(query.data + 1, auth_id, sizeof auth_id - 1) == 0)
			bytes_to_str(bytes_of(query.data + sizeof auth_id, len - sizeof auth_id),
				     a->check, sizeof a->check);
		query = bytes_of(query.data + len, query.len - len);
	}
	return true;
}

/* --- checks --- */

static void forget(struct tailnet *t, struct ssh_check *c)
{
	*c = t->checks[--t->n_checks];
}

static struct ssh_check *check_named(struct tailnet *t, mono_t now, const char *id)
{
	for (size_t i = 0; i < t->n_checks; i++)
		if (strcmp(t->checks[i].id, id) == 0 && !mono_due(t->checks[i].expires, now))
			return &t->checks[i];
	return NULL;
}

static struct ssh_check *check_new(struct tailnet *t, mono_t now, const struct asked *a)
{
	struct ssh_check *c;

	if (t->n_checks == TAILNET_SSH_CHECKS_MAX)
		return NULL;
	if (t->n_checks == t->cap_checks) {
		size_t cap = t->cap_checks ? t->cap_checks * 2 : 8;

		c = realloc(t->checks, cap * sizeof *c);
		if (!c)
			return NULL;
		t->checks = c;
		t->cap_checks = cap;
	}
	c = &t->checks[t->n_checks++];
	*c = (struct ssh_check){ .src = a->src,
				 .dst = a->dst,
				 .expires = mono_add(now, SPAN_S(TAILNET_LOGIN_S)) };
	login_id(t, c->id);
	return c;
}

/* --- pairs that were let in --- */

static bool was_let_in(const struct tailnet *t, mono_t now, const struct asked *a, span_t period)
{
	for (size_t i = 0; i < t->n_passes; i++)
		if (t->passes[i].src == a->src && t->passes[i].dst == a->dst)
			return !mono_due(mono_add(t->passes[i].at, period), now);
	return false;
}

/* Of too many the oldest is forgotten: that pair is asked again. */
static void note_pass(struct tailnet *t, mono_t now, int64_t src, int64_t dst)
{
	size_t at = t->n_passes;

	for (size_t i = 0; i < t->n_passes; i++)
		if (t->passes[i].src == src && t->passes[i].dst == dst)
			at = i;
	if (at == TAILNET_SSH_PASSES_MAX) {
		at = 0;
		for (size_t i = 1; i < t->n_passes; i++)
			if (t->passes[i].at.ns < t->passes[at].at.ns)
				at = i;
	}
	if (at == t->cap_passes) {
		size_t cap = MIN_OF(t->cap_passes ? t->cap_passes * 2 : 8, TAILNET_SSH_PASSES_MAX);
		struct ssh_pass *v = realloc(t->passes, cap * sizeof *v);

		if (!v)
			return; /* the pair is asked again */
		t->passes = v;
		t->cap_passes = cap;
	}
	t->n_passes = MAX_OF(t->n_passes, at + 1);
	t->passes[at] = (struct ssh_pass){ src, dst, now };
}

/* --- answers --- */

static void answer(struct tailnet *t, struct session_id id, int32_t h2, bool accept)
{
	session_reply(t, id, h2, 200, "application/json",
		      bytes_str(accept ? "{\"accept\":true,\"allowAgentForwarding\":true,"
					 "\"allowLocalPortForwarding\":true,"
					 "\"allowRemotePortForwarding\":true}"
				       : "{\"reject\":true,\"message\":\"# This session was not "
					 "let in.\\n\"}"));
}

/* A session that nobody decided on is not let in: its user learns that, and does not wait on. */
void sshchecks_expire(struct tailnet *t, mono_t now)
{
	for (size_t i = t->n_checks; i-- > 0;) {
		struct ssh_check *c = &t->checks[i];

		if (!mono_due(c->expires, now))
			continue;
		if (c->waiter_h2 != 0)
			answer(t, c->waiter, c->waiter_h2, false);
		forget(t, c);
	}
}

/* A program that logs in to one node again and again takes no room from the others: what that node
 * asked first gives way. */
static void make_room(struct tailnet *t, int64_t dst)
{
	struct ssh_check *oldest = NULL;
	size_t n = 0;

	for (size_t i = 0; i < t->n_checks; i++)
		if (t->checks[i].dst == dst) {
			n++;
			if (!oldest || mono_before(t->checks[i].expires, oldest->expires))
				oldest = &t->checks[i];
		}
	if (n < TAILNET_SSH_CHECKS_PER_NODE)
		return;
	if (oldest->waiter_h2 != 0)
		answer(t, oldest->waiter, oldest->waiter_h2, false);
	forget(t, oldest);
}

static void hold(struct tailnet *t, mono_t now, struct session_id id, int32_t h2,
		 const struct asked *a)
{
	const struct ssh_check *c;
	char text[1024];
	struct jsonw w;
	struct buf body;

	sshchecks_expire(t, now);
	make_room(t, a->dst);
	c = check_new(t, now, a);
	if (!c) {
		session_reply(t, id, h2, 503, "text/plain",
			      bytes_str("too many ssh checks wait; try again later\n"));
		return;
	}
	buf_init(&body, 8192);
	jsonw_init(&w, &body);
	jsonw_obj(&w);
	snprintf(text, sizeof text,
		 "# The policy wants this ssh session to be approved. An administrator does that "
		 "by:\n#   coordinator login approve %s\n",
		 c->id);
	jsonw_kstr(&w, "message", text);
	snprintf(text, sizeof text, "%s&auth_id=%s", sshcheck_url(t), c->id);
	jsonw_kstr(&w, "holdAndDelegate", text);
	jsonw_obj_end(&w);
	session_reply(t, id, h2, jsonw_ok(&w) ? 200 : 500, "application/json", buf_bytes(&body));
	buf_fini(&body);
	tailnet_audit(t, "ssh check %.8s... asked: node %lld to node %lld", c->id,
		      (long long)a->src, (long long)a->dst);
}

const char *sshcheck_url(struct tailnet *t)
{
	/* over Noise the host does not matter, and stock clients want this scheme there */
	snprintf(t->ssh_url, sizeof t->ssh_url,
		 "https%s%s$SRC_NODE_ID%s$DST_NODE_ID?local_user=$LOCAL_USER", strchr(t->url, ':'),
		 prefix, to);
	return t->ssh_url;
}

static bool mine(const struct ssh_check *c, const struct asked *a)
{
	return c->src == a->src && c->dst == a->dst;
}

static void act(struct tailnet *t, mono_t now, struct session_id id, int32_t h2,
		const struct asked *a, span_t period)
{
	struct ssh_check *c = a->check[0] ? check_named(t, now, a->check) : NULL;

	if (c && !mine(c, a)) {
		session_reply(t, id, h2, 401, "text/plain",
			      bytes_str("this check is about other nodes\n"));
	} else if (c && c->verdict == SSH_WAITS) {
		c->waiter = id;
		c->waiter_h2 = h2;
	} else if (c) {
		answer(t, id, h2, c->verdict == SSH_ACCEPTED);
		forget(t, c);
	} else if (!a->check[0] && period.ns > 0 && was_let_in(t, now, a, period)) {
		answer(t, id, h2, true);
	} else {
		hold(t, now, id, h2, a);
	}
}

bool sshcheck_request(struct tailnet *t, mono_t now, struct session_id id, int32_t h2,
		      const char *target)
{
	struct asked a = { 0 };
	const struct tnode *src, *dst;
	span_t period;

	if (!read_target(target, &a))
		return false;
	src = node_slot(t, a.src);
	dst = node_slot(t, a.dst);
	if (!dst)
		session_reply(t, id, h2, 404, "text/plain", bytes_str("dst node not found\n"));
	else if (!key_eq(&dst->pub.machine, &session_get(t, id)->machine))
		session_reply(t, id, h2, 401, "text/plain",
			      bytes_str("machine key does not match dst node\n"));
	else if (!src || !view_make(t) ||
		 !policy_ssh_check(t->policy, slot_of(t, src), slot_of(t, dst), &period))
		answer(t, id, h2, false); /* no rule asks for a check of these two */
	else
		act(t, now, id, h2, &a, period);
	return true;
}

void sshcheck_gone(struct tailnet *t, struct session_id id, int32_t h2)
{
	for (size_t i = 0; i < t->n_checks; i++)
		if (session_eq(t->checks[i].waiter, id) &&
		    (h2 == 0 || t->checks[i].waiter_h2 == h2))
			t->checks[i].waiter_h2 = 0;
}

int tailnet_ssh_decide(struct tailnet *t, mono_t now, const char *id, bool accept, struct err *e)
{
	struct ssh_check *c = check_named(t, now, id);

	if (!c || c->verdict != SSH_WAITS)
		return err_say(e, ENOENT, "no ssh check '%.40s' waits; it may be too old", id);
	c->verdict = accept ? SSH_ACCEPTED : SSH_REJECTED;
	if (accept)
		note_pass(t, now, c->src, c->dst);
	tailnet_audit(t, "ssh check %.8s... %s: node %lld to node %lld", id,
		      accept ? "approved" : "rejected", (long long)c->src, (long long)c->dst);
	if (c->waiter_h2 != 0) {
		answer(t, c->waiter, c->waiter_h2, accept);
		forget(t, c);
	}
	return 0;
}
