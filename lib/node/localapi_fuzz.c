/* node/localapi_fuzz.c - any request to the local API: method, target and body, each on a line of
 * its own */
#include <stdlib.h>

#include "node/localapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(struct rng *r, void *buf, size_t len)
{
	(void)r;
	memset(buf, 7, len);
}

static struct bytes line(struct bytes *in)
{
	const uint8_t *nl = in->len ? memchr(in->data, '\n', in->len) : NULL;
	struct bytes l = bytes_of(in->data, nl ? (size_t)(nl - in->data) : in->len);

	in->data += l.len + (nl != NULL);
	in->len -= l.len + (nl != NULL);
	return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rng rng = { fill };
	static struct node *node;
	static struct state *state;
	static struct state_node self;
	static struct localapi_answer a;
	struct node_conf conf = { .rng = &rng, .control_url = "http://127.0.0.1:9" };
	struct bytes in = bytes_of(data, size), target;
	struct localapi_request rq = { .method = line(&in), .may_write = true };
	struct localapi_view v = { .version = "1" };
	const uint8_t *q;
	struct err e;

	if (!node) {
		state_node_fresh(&self, &rng, WALL_ZERO);
		conf.machine = self.machine;
		key_gen(&conf.node, &rng);
		key_gen(&conf.disco, &rng);
		node = node_new(&conf, &e);
		state = state_new();
		if (!node || !state || state_store(state, &self) < 0)
			abort();
	}
	target = line(&in);
	q = target.len ? memchr(target.data, '?', target.len) : NULL;
	rq.path = bytes_of(target.data, q ? (size_t)(q - target.data) : target.len);
	if (q)
		rq.query = bytes_of(q + 1, target.len - rq.path.len - 1);
	rq.body = in;
	v.node = node;
	v.state = state;
	v.self = &self;
	localapi_answer_init(&a);
	localapi_handle(&v, &rq, &a);
	if (a.status < 200 || a.status > 599)
		abort();
	localapi_answer_fini(&a);
	return 0;
}
