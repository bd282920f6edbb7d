/* containerboot/agent_rules.c - see agent_rules.h */
#include "containerboot/agent_rules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "containerboot/agent_protocol.h"
#include "os/file.h"

enum { RULES_MAX = 1 << 16, GONE_S = 60, FILE_PATH_MAX = 1024 };

struct round {
	struct rtnl *nl;
	uint8_t protocol;
	struct rtnl_rule *have; /* of the kernel, listed before any file was read */
	bool *claimed;
	size_t n, cap;
	bool failed, removing;
	struct agent_rules_counts *counts;
	struct agent_attachment one;
};

static void collect(void *ctx, const struct rtnl_rule *r)
{
	struct round *d = ctx;

	if (d->n == d->cap) {
		const size_t cap = d->cap ? d->cap * 2 : 64;
		struct rtnl_rule *v = cap <= RULES_MAX ? realloc(d->have, cap * sizeof *v) : NULL;

		if (!v) {
			d->failed = true;
			return;
		}
		d->have = v;
		d->cap = cap;
	}
	d->have[d->n++] = *r;
}

/* Does the path still mean the pod's namespace? Only a clear no counts: where namespaces are not
 * mounted into the agent's view nothing can be said. */
static bool is_gone(const struct agent_attachment *a)
{
	char dir[AGENT_PATH_MAX];
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

/* Claims the rules of one file and puts those that are missing. */
static void settle(struct round *d, const char *path)
{
	size_t put = 0;

	for (size_t i = 0; i < d->one.n_rules; i++) {
		const struct rtnl_rule *r = &d->one.rules[i];
		bool here = false;
		int ret;

		if (r->is_lookup && d->one.is_guarded)
			continue;
		for (size_t k = 0; k < d->n; k++)
			if (rtnl_rule_eq(&d->have[k], r))
				here = d->claimed[k] = true;
		if (here)
			continue;
		ret = rtnl_rule_add(d->nl, r);
		if (ret == 0)
			put++;
		else if (ip_is_v4(&r->to.ip) || ret != -EAFNOSUPPORT)
			log_warn("cni: a rule of %s cannot be put: %s", path,
				 strerrordesc_np(-ret));
	}
	d->counts->put += put;
	if (put > 0 &&
	    access(path, F_OK) < 0) /* a DEL came in between: what was put has no owner now */
		for (size_t i = 0; i < d->one.n_rules; i++)
			(void)!rtnl_rule_del(d->nl, &d->one.rules[i]);
}

static void visit(struct round *d, const char *path)
{
	AUTO_FREE char *text = NULL;
	struct err e = { 0 };
	size_t len;

	if (d->removing) {
		d->counts->gone += unlink(path) == 0;
		return;
	}
	if (file_read(path, AGENT_FILE_MAX, &text, &len, &e) < 0) {
		d->counts->bad += access(path, F_OK) == 0;
		return;
	}
	if (!agent_attachment_parse(bytes_of(text, len), &d->one)) {
		log_warn("cni: %s does not parse", path);
		d->counts->bad++;
	} else if (is_gone(&d->one) && is_old(path)) {
		log_info("cni: the namespace of %s is gone: removed", path);
		d->counts->gone += unlink(path) == 0;
	} else {
		d->counts->attachments++;
		d->counts->granted += !d->one.is_guarded;
		settle(d, path);
	}
}

/* CONTAINER:IFNAME; two colons: a write that was cut off */
static bool is_attachment(const char *name)
{
	const char *colon = strchr(name, ':');

	return name[0] != '.' && colon && !strchr(colon + 1, ':');
}

static int each_file(struct round *d, const char *dir, int depth)
{
	DIR *v = opendir(dir);
	struct dirent *one;
	int r = 0;

	if (!v)
		return -errno;
	while (r == 0 && (one = readdir(v))) {
		char path[FILE_PATH_MAX];

		if (one->d_name[0] == '.' ||
		    snprintf(path, sizeof path, "%s/%s", dir, one->d_name) >= (int)sizeof path)
			continue;
		if (depth == 0) {
			r = each_file(d, path, 1);
			if (r == -ENOTDIR || r == -ENOENT)
				r = 0;
		} else if (is_attachment(one->d_name)) {
			visit(d, path);
		}
	}
	closedir(v);
	return r;
}

static int round_run(struct round *d, const char *state_dir, struct err *e)
{
	int r;

	memset(d->counts, 0, sizeof *d->counts);
	r = rtnl_rules(d->nl, d->protocol, collect, d);
	d->claimed = calloc(d->n ? d->n : 1, sizeof *d->claimed);
	if (r == 0 && (d->failed || !d->claimed))
		r = -ENOMEM;
	if (r == 0)
		r = each_file(d, state_dir, 0);
	if (r == -ENOENT && d->removing)
		r = 0;
	for (size_t i = 0; r == 0 && d->counts->bad == 0 && i < d->n; i++)
		if (!d->claimed[i])
			d->counts->swept += rtnl_rule_del(d->nl, &d->have[i]) == 0;
	free(d->have);
	free(d->claimed);
	/* no directory: no plugin has run since the boot, and nothing is known about the rules */
	return r == 0 || r == -ENOENT ? 0
				      : err_set(e, -r, "bring rules and %s together", state_dir);
}

int agent_rules_reconcile(struct rtnl *nl, const char *state_dir, uint8_t protocol,
			  struct agent_rules_counts *out, struct err *e)
{
	struct round d = { .nl = nl, .protocol = protocol, .counts = out };

	return round_run(&d, state_dir, e);
}

int agent_rules_remove(struct rtnl *nl, const char *state_dir, uint8_t protocol, struct err *e)
{
	struct agent_rules_counts counts;
	struct round d = { .nl = nl, .protocol = protocol, .counts = &counts, .removing = true };

	return round_run(&d, state_dir, e);
}
