/* coordinator/coordinator_api_fuzz.c - requests of the REST API: "METHOD TARGET\nBODY\0", one after
 * the other, on one tailnet */
#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "coordinator/api.h"
#include "ts2021/fuzz_rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void apikey_changed(void *ctx, int64_t id)
{
	(void)ctx;
	(void)id;
}

static struct bytes get_policy(void *ctx, wall_t *when)
{
	(void)ctx;
	*when = (wall_t){ 5 };
	return bytes_str("{}");
}

static int set_policy(void *ctx, struct bytes text, struct err *e)
{
	(void)ctx;
	return text.len & 1 ? err_say(e, EINVAL, "no") : 0;
}

static int backup(void *ctx, const char *path, struct err *e)
{
	(void)ctx;
	(void)path;
	return err_say(e, EIO, "no");
}

static int debug(void *ctx, struct buf *out)
{
	(void)ctx;
	return buf_append(out, "{}", 2) ? 0 : -ENOMEM;
}

static struct bytes until(struct bytes *rest, char end)
{
	const uint8_t *p = rest->len ? memchr(rest->data, end, rest->len) : NULL;
	struct bytes b = bytes_of(rest->data, p ? (size_t)(p - rest->data) : rest->len);
	size_t used = b.len + (p ? 1 : 0);

	*rest = bytes_of(used ? rest->data + used : rest->data, rest->len - used);
	return b;
}

static void one(struct api *a, struct bytes in)
{
	struct bytes method = until(&in, ' '), target = until(&in, '\n'),
		     path = until(&target, '?');
	struct api_request r = { .method = method,
				 .path = path,
				 .query = target,
				 .authorization = bytes_str("Bearer x"),
				 .body = in,
				 .now = { 9 },
				 .wall = { 1800000000 * NS_PER_S },
				 .is_local = true };
	struct tailnet_event ev;
	struct buf out;
	struct json j;

	buf_init(&out, 1 << 22);
	r.is_local = false;
	(void)api_authorized(a, &r);
	r.is_local = true;
	(void)api_handle(a, &r, &out);
	j = json_of(buf_bytes(&out));
	json_skip(&j);
	if (!json_done(&j))
		abort(); /* every answer is JSON */
	buf_fini(&out);
	while (tailnet_next(a->t, &ev))
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_rng rng = FUZZ_RNG_INIT;
	struct tailnet_conf conf = { .rng = &rng.rng,
				     .server_url = "http://c.example",
				     .base_domain = "tail.test",
				     .derp_map = bytes_str("{}") };
	struct bytes rest = bytes_of(data, len);
	struct apikeys keys;
	struct err e = { 0 };
	struct api a = { .keys = &keys,
			 .rng = &rng.rng,
			 .apikey_changed = apikey_changed,
			 .policy = get_policy,
			 .set_policy = set_policy,
			 .check_policy = set_policy,
			 .backup = backup,
			 .debug = debug };
	static const char node[] =
	    "{\"id\":1,\"user\":1,\"machine\":\"mkey:"
	    "0707070707070707070707070707070707070707070707070707070707070707\","
	    "\"node\":\"nodekey:0808080808080808080808080808080808080808080808080808080808080808\","
	    "\"v4\":\"100.64.0.3\","
	    "\"given\":\"x\",\"hostinfo\":{\"Hostname\":\"x\",\"RoutableIPs\":[\"10.0.0.0/24\"]}}";

	key_gen(&conf.key, &rng.rng);
	a.t = tailnet_new(&conf, &e);
	if (!a.t)
		return 0;
	apikeys_init(&keys);
	if (tailnet_node_load(a.t, bytes_str(node), &e) != 0)
		abort();
	for (int i = 0; rest.len > 0 && i < 100; i++)
		one(&a, until(&rest, 0));
	apikeys_fini(&keys);
	tailnet_free(a.t);
	return 0;
}
