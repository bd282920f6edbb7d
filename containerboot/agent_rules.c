/* containerboot/agent_rules.c - see agent_rules.h */
#include "containerboot/agent_rules.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "pod/attachment.h"
#include "pod/refuse.h"

enum {
	GONE_S = 60,
	RANGES_MAX = 8 * RULE_RANGES_MAX /* of the networks of a machine; more are refused slowly */
};

struct round {
	struct netlink *nl;
	const char *state_dir;
	uint8_t protocol;
	bool removing;
	struct rule *have; /* of the kernel, listed before any file was read */
	bool *claimed;
	size_t n;
	struct rule guards[RANGES_MAX]; /* one for each range */
	size_t n_guards;
	struct agent_rules_counts *counts;
};

/* Does the path still mean the pod's namespace? Only a clear no counts: where namespaces are not
 * mounted into the agent's view nothing can be said. */
static bool is_gone(const struct attachment *a)
{
	char dir[POD_NETNS_MAX + 1];
	struct statfs fs;
	struct stat st;
	char *slash;

	(void)bytes_to_str(bytes_str(a->netns), dir, sizeof dir);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir || a->netns_ino == 0)
		return false;
	*slash = 0;
	if (stat(a->netns, &st) < 0)
		return errno == ENOENT && stat(dir, &st) == 0;
	return statfs(a->netns, &fs) == 0 && fs.f_type == NSFS_MAGIC && st.st_dev == a->netns_dev &&
	       st.st_ino != a->netns_ino;
}

static bool is_old(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && time(NULL) - st.st_mtime > GONE_S;
}

static void note_range(struct round *d, const struct rule *r)
{
	bool seen = r->is_lookup || !r->has_from || d->n_guards == RANGES_MAX;

	for (size_t i = 0; !seen && i < d->n_guards; i++)
		seen = ipprefix_eq(&d->guards[i].to, &r->to);
	if (!seen)
		d->guards[d->n_guards++] = *r;
}

/* Claims the rules of one attachment and puts those that are missing. */
static void settle(struct round *d, const struct attachment *a, const char *path)
{
	size_t put = 0;

	for (size_t i = 0; i < a->n_rules; i++) {
		const struct rule *r = &a->rules[i];
		bool here = false;
		int ret;

		note_range(d, r);
		if (r->is_lookup && a->state == ATTACHMENT_GUARDED)
			continue;
		for (size_t k = 0; k < d->n; k++)
			if (rule_eq(&d->have[k], r))
				here = d->claimed[k] = true;
		if (here)
			continue;
		ret = netlink_rule_add(d->nl, r, d->protocol);
		if (ret == 0)
			put++;
		else if (ip_is_v4(&r->to.ip) || ret != -EAFNOSUPPORT)
			log_warn("cni: a rule of %s cannot be put: %s", path,
				 strerrordesc_np(-ret));
	}
	d->counts->put += put;
	if (put > 0 &&
	    access(path, F_OK) < 0) /* a DEL came in between: what was put has no owner now */
		for (size_t i = 0; i < a->n_rules; i++)
			(void)!netlink_rule_del(d->nl, &a->rules[i], d->protocol);
}

static bool visit(void *ctx, const struct attachment *a, bool ok)
{
	struct round *d = ctx;
	char path[ATTACHMENT_FILE_MAX];

	attachment_path(d->state_dir, a, path);
	if (d->removing) {
		d->counts->gone += unlink(path) == 0;
	} else if (!ok) {
		log_warn("cni: %s does not parse", path);
		d->counts->bad++;
	} else if (is_gone(a) && is_old(path)) {
		log_info("cni: the namespace of %s is gone: removed", path);
		d->counts->gone += unlink(path) == 0;
	} else {
		d->counts->attachments++;
		d->counts->granted += a->state != ATTACHMENT_GUARDED;
		settle(d, a, path);
	}
	return true;
}

static int round_run(struct round *d, struct err *e)
{
	const bool has_files = access(d->state_dir, F_OK) == 0;
	int r;

	memset(d->counts, 0, sizeof *d->counts);
	r = netlink_rules_all(d->nl, d->protocol, &d->have, &d->n);
	d->claimed = calloc(d->n ? d->n : 1, sizeof *d->claimed);
	if (r == 0 && !d->claimed)
		r = -ENOMEM;
	if (r == 0)
		r = attachment_each(d->state_dir, NULL, visit, d);
	/* no directory: no plugin has run since the boot, and nothing is known about the rules */
	for (size_t i = 0; r == 0 && (has_files || d->removing) && d->counts->bad == 0 && i < d->n;
	     i++)
		if (!d->claimed[i])
			d->counts->swept += netlink_rule_del(d->nl, &d->have[i], d->protocol) == 0;
	free(d->have);
	free(d->claimed);
	if (r < 0)
		return err_set(e, -r, "bring rules and %s together", d->state_dir);
	if (d->removing)
		return refuse_del(e);
	if (d->counts->attachments > 0)
		return refuse_put(d->guards, d->n_guards, e);
	return has_files && d->counts->bad == 0 ? refuse_tidy(d->state_dir, e) : 0;
}

int agent_rules_reconcile(struct netlink *nl, const char *state_dir, uint8_t protocol,
			  struct agent_rules_counts *out, struct err *e)
{
	struct round d = { .nl = nl, .state_dir = state_dir, .protocol = protocol, .counts = out };

	return round_run(&d, e);
}

int agent_rules_remove(struct netlink *nl, const char *state_dir, uint8_t protocol, struct err *e)
{
	struct agent_rules_counts counts;
	struct round d = { .nl = nl,
			   .state_dir = state_dir,
			   .protocol = protocol,
			   .counts = &counts,
			   .removing = true };

	return round_run(&d, e);
}
