/* cni/gc.c - see gc.h */
#include "cni/gc.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cni/wiring.h"
#include "pod/attachment.h"
#include "pod/netlink.h"
#include "pod/refuse.h"

static struct bytes plain(struct json *j)
{
	const struct bytes raw = json_raw(j);

	if (raw.len < 2 || raw.data[0] != '"' || memchr(raw.data, '\\', raw.len)) {
		j->failed = true;
		return (struct bytes){ 0 };
	}
	return bytes_of(raw.data + 1, raw.len - 2);
}

int gc_parse(struct bytes text, struct gc_valid *out, size_t max)
{
	struct json j = json_of(text);
	struct bytes key;
	size_t n = 0;

	json_arr(&j);
	while (json_elem(&j)) {
		struct gc_valid v = { 0 };

		json_obj(&j);
		while (json_key(&j, &key)) {
			if (json_key_is(key, "containerID"))
				v.container = plain(&j);
			else if (json_key_is(key, "ifname"))
				v.ifname = plain(&j);
			else
				json_skip(&j);
		}
		if (n == max || v.container.len == 0 || v.ifname.len == 0)
			return -1;
		out[n++] = v;
	}
	return json_done(&j) ? (int)n : -1;
}

struct gc {
	const struct config *c;
	const struct gc_valid *valid;
	int n;
	struct netlink nl;
	int first; /* error */
};

static bool visit(void *ctx, const struct attachment *a, bool ok)
{
	struct gc *g = ctx;
	int r;

	for (int i = 0; i < g->n; i++)
		if (bytes_eq_str(g->valid[i].container, a->container) &&
		    bytes_eq_str(g->valid[i].ifname, a->ifname))
			return true;
	r = ok ? wiring_take(&g->nl, g->c->state_dir, a) : 0;
	if (r == 0)
		r = attachment_remove(g->c->state_dir, a->network, a->container, a->ifname);
	if (r < 0 && g->first == 0)
		g->first = r;
	return true;
}

int gc_run(const struct config *c, struct fail *f)
{
	AUTO_FREE struct gc_valid *valid = NULL;
	struct gc g = { .c = c };
	size_t swept;
	int r;

	if (c->valid.len == 0)
		return 0;
	valid = malloc(GC_VALID_MAX * sizeof *valid);
	if (!valid)
		return fail_set(f, FAIL_IO, "out of memory");
	g.valid = valid;
	g.n = gc_parse(c->valid, valid, GC_VALID_MAX);
	if (g.n < 0)
		return fail_set(f, FAIL_DECODE, "cni.dev/valid-attachments is malformed");
	r = netlink_open(&g.nl);
	if (r < 0)
		return fail_errno(f, FAIL_IO, r, "open a netlink socket");
	r = attachment_each(c->state_dir, c->name, visit, &g);
	if (r == 0)
		r = g.first;
	if (r == 0) /* not after an error: a file that could not be read still claims its rules */
		r = wiring_sweep(&g.nl, c->state_dir, c->protocol, &swept);
	netlink_close(&g.nl);
	if (r == 0)
		(void)!refuse_tidy(c->state_dir, NULL);
	return r < 0 ? fail_errno(f, FAIL_IO, r, "remove what is no longer valid") : 0;
}
