/* operator/operator_object_fuzz.c - any object of any kind: decoded, wished for, planned and
 * rendered. The first byte chooses the kind; what is rendered is an object again, and a plan is the
 * same twice. */
#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "model/serve.h"
#include "operator/keys.h"
#include "operator/ledger.h"
#include "tests/operator_settings.h"

/* What a control server answers. */
static void as_answer(enum keys_kind kind, struct bytes text)
{
	char key[KEYS_TEXT_MAX], id[KEYS_ID_MAX], routes[256];
	enum keys_device is;
	struct err e;
	span_t life;

	if (keys_mint_answer(kind, 200, text, key, id, &e) == 0)
		assert(*key);
	(void)!keys_device_answer(kind, 200, text, "100.64.0.1", &is, &e);
	(void)!keys_routes_answer(kind, 200, text, routes, sizeof routes, &e);
	(void)!keys_token_answer(200, text, key, &life, &e);
	if (keys_devices_find(kind, 200, text, "mkey:aa", "9", id, &e) == 0)
		assert(strlen(id) < sizeof id);
	(void)keys_expiry_answer(kind, 200, text, "hskey-api-aa-b");
	(void)!keys_devices_find(kind, 500, text, "mkey:aa", "9", id, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The API server sees to that. */
static bool ns_is_plain(const char *ns)
{
	return *ns && strspn(ns, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(ns);
}

/* What is rendered is what the sidecar takes. */
static void is_served(struct bytes object)
{
	static char text[1 << 18];
	struct serve *s;
	struct err e;

	if (!kube_member(kube_at(object, "data"), "serve.json", text, sizeof text, NULL))
		return;
	s = serve_parse(bytes_str(text), NULL, "web.tail.test", &e);
	assert(s);
	serve_free(s);
}

static void as_parent(enum kind kind, struct bytes text, const struct proxy_class *class)
{
	char hash[CHILD_N][HASH_TEXT] = { { 0 } }, name[PROXY_NAME_MAX + 1];
	static struct plan a, b;
	struct facts facts = { TLS_THERE, (char[]){ "YQ==" }, (char[]){ "YQ==" } };
	struct parent p;
	struct want w;

	if (!parent_parse(&p, kind, text))
		return;
	for (size_t i = 0; i < p.n_paths; i++) /* as if all were found */
		p.path[i].port = p.path[i].port ? p.path[i].port : 80;
	want_make(&w, &p, &fixture_settings, class, &facts);
	proxy_name(name, p.name, p.uid);
	assert(strlen(name) <= PROXY_NAME_MAX);
	if ((w.role == ROLE_INGRESS || w.role == ROLE_EGRESS) && class && class->per_process > 0)
		memcpy(w.place, "c/0/1", 6);
	if (w.role != ROLE_NONE && w.role != ROLE_KEEP) {
		const struct render r = { &fixture_settings, &p, &w, class, name, &facts };

		for (int c = 0; c < CHILD_N; c++) {
			struct kube_object o;
			struct buf out;

			buf_init(&out, RENDER_MAX);
			if (render_wants(&r, (enum child)c) &&
			    render_child(&out, &r, (enum child)c, "x")) {
				assert(kube_object_parse(buf_bytes(&out), &o));
				assert(render_hash(&r, (enum child)c, hash[c]));
				if (c == CHILD_CONFIG && ns_is_plain(p.ns) && !p.malformed[0])
					is_served(buf_bytes(&out));
			}
			buf_fini(&out);
		}
	}
	plan_make(&a, &p, &w, NULL, 0, &fixture_settings, (const char(*)[HASH_TEXT])hash,
		  (mono_t){ 1 }, (wall_t){ 1 });
	plan_make(&b, &p, &w, NULL, 0, &fixture_settings, (const char(*)[HASH_TEXT])hash,
		  (mono_t){ 1 }, (wall_t){ 1 });
	assert(a.n == b.n && strcmp(a.condition.message, b.condition.message) == 0);
	parent_fini(&p);
}

/* What is taken in is written again as the same. */
static void as_ledger(struct bytes text)
{
	char copy[1024], again[2048];
	struct ledger_entry v, w;
	struct buf out;

	if (!bytes_to_str(text, copy, sizeof copy) || !json_is_utf8(text) ||
	    !ledger_parse(&v, "7", copy))
		return;
	buf_init(&out, 16384);
	assert(ledger_emit(&out, &v, "ns", "lease", "u"));
	assert(kube_member(kube_at(buf_bytes(&out), "data"), "7", again, sizeof again, NULL));
	assert(ledger_parse(&w, "7", again) && memcmp(&v, &w, sizeof v) == 0);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char with_class[] =
	    "{\"metadata\":{\"name\":\"web\",\"uid\":\"u\",\"annotations\":{\"tailscale.com/"
	    "expose\":\"true\","
	    "\"tailscale.com/proxy-class\":\"c\"}},\"spec\":{\"clusterIP\":\"10.0.0.1\"}}";
	char name[PROXY_NAME_MAX + 1], parent[PARENT_KEY_MAX], uid[KUBE_UID_MAX + 1];
	struct kube_object o;
	struct proxy x = { 0 };
	struct bytes text;

	if (len < 1)
		return 0;
	text = bytes_of(data + 1, len - 1);
	as_ledger(text);
	as_answer(data[0] & 1 ? KEYS_HEADSCALE : KEYS_OAUTH, text);
	as_parent((enum kind)(data[0] % KIND_N), text, NULL);
	if (kube_object_parse(text, &o)) {
		struct proxy_class c;

		if (proxy_of_child(&o, CHILD_SECRET, name, parent, uid))
			proxy_see(&x, CHILD_SECRET, &o, 1);
		proxy_class_parse(&c, text);
		as_parent(KIND_SERVICE, bytes_str(with_class), &c);
		proxy_class_fini(&c);
		proxy_fini(&x);
	}
	return 0;
}
