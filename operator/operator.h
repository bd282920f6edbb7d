/* operator/operator.h - the operator as one object: what it sees, what it works on, whether it
 * leads
 *
 * watch.c keeps what is seen, work.c carries plans out (apply.c, device.c: its steps), tell.c makes
 * Events, lead.c holds the Lease, sweep.c deletes devices that nothing leads to any more, expiry.c
 * warns before the credentials end, serve.c
 * answers probes and metrics, run.c wires them.
 */
#ifndef OPERATOR_OPERATOR_H
#define OPERATOR_OPERATOR_H

#include "host/httpd.h"
#include "kube/client.h"
#include "kube/event.h"
#include "kube/lease.h"
#include "kube/queue.h"
#include "kube/table.h"
#include "operator/expiry.h"
#include "operator/keys.h"
#include "operator/options.h"
#include "operator/plan.h"
#include "operator/sweep.h"
#include "os/loop.h"

enum {
	WORKERS_MAX = 16,
	EVENTS_IN_FLIGHT_MAX = 64,
	PARENTS_MAX = 20000,
	PROXIES_MAX = 20000,
	CLASSES_MAX = 1000
};

struct record { /* a parent as it was last seen */
	struct parent p;
	unsigned epoch;
	uint64_t noted; /* what its Events last said */
};
struct class_record {
	struct proxy_class c;
	unsigned epoch;
};

enum source_kind { SOURCE_PARENT, SOURCE_CHILD, SOURCE_CLASS };
enum { SOURCES = KIND_N + CHILD_N + 1 };
struct source { /* one watched collection */
	struct operator *op;
	enum source_kind what;
	int index; /* enum kind or enum child */
	unsigned epoch;
	uint64_t rv; /* newest version that its watch has told of */
	struct kube_watcher *watcher;
	uint64_t dropped; /* by the watcher, when the list began */
	bool synced, needed;
	bool incomplete; /* since the list began something could not be taken in */
	bool was_whole;  /* until this list */
};

struct operator_stats {
	uint64_t done, failed, steps[STEP_N], keys, keys_failed, devices_deleted, devices_left,
	    devices_logged_out, orphans_deleted, events, dropped;
};

struct operator
{
	const struct options *options;
	struct settings settings;
	struct kubeconfig access;
	struct loop *loop;
	struct web *web;
	struct kube *kube;
	struct kube_events *events;
	struct kube_queue *queue;
	struct kube_lease lease;
	struct kube_table *parents, *proxies, *classes;
	struct source source[SOURCES];
	struct loop_timer work_timer, lease_timer, stop_timer;
	struct httpd *httpd;
	unsigned workers, events_in_flight;
	struct sweep sweep;
	struct expiry expiry;
	bool synced, leading, stopping, lease_in_flight;
	enum keys_kind keys;
	char token[KEYS_TEXT_MAX]; /* of an OAuth client */
	mono_t token_until;
	struct operator_stats stats;
	unsigned kill_at, n_writes, n_answers; /* OPERATOR_TEST_KILL_AT; 0: never */
	bool kill_after;
	int kill_by; /* SIGKILL, SIGSTOP */
	int exit_code;
};

/* run.c */
int operator_run(const struct options *o);
void operator_stop(struct operator *op, int exit_code);
/* watch.c */
MUST_USE bool operator_watch(struct operator *op);
void operator_unwatch(struct operator *op);
/* Is what it does not show really gone? Not where something was too much for it. */
bool operator_source_is_whole(const struct source *s);
/* What a watch says; ctx: its struct source. */
void operator_source_event(void *ctx, enum kube_watch_ev ev, struct bytes object);
/* A reply's object, taken in before the watch tells, and left out when that was faster; applied: it
 * answers an apply of ours. */
void operator_see_child(struct operator *op, enum child c, struct bytes object, bool applied);
void operator_see_parent(struct operator *op, enum kind kind, struct bytes object);
void operator_enqueue(struct operator *op, const char *key);
void operator_enqueue_all(struct operator *op);
struct proxy *operator_proxy(struct operator *op, const char *name);      /* NULL: none */
struct proxy *operator_proxy_make(struct operator *op, const char *name); /* NULL: no room */
void operator_proxy_drop(struct operator *op, struct proxy *x);
/* work.c */
void operator_work(struct operator *op); /* takes keys while there are workers left */
/* tell.c */
void operator_tell(struct operator *op, const struct kube_event *ev);
void operator_event(struct operator *op, const struct parent *p, bool is_warning,
		    const char *reason, const char *message);
/* work.c: whether it may write: it has the lease by the clock of this moment, for a process that
 * was stopped may go on in the middle of a turn, when another leads already. */
bool operator_leads(const struct operator *op);
/* around each write to either server: a fault point. */
void operator_writes(struct operator *op);
void operator_wrote(struct operator *op);
/* lead.c */
void operator_lead(struct operator *op); /* the lease's next step */
void operator_release(struct operator *op);
/* serve.c */
MUST_USE int operator_serve(struct operator *op, struct err *e);

#endif
