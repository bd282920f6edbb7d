/* kube/kube_object_fuzz.c - any text as an object: what is found lies within the text */
#include <assert.h>

#include "kube/lease.h"
#include "kube/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void inside(struct bytes part, const uint8_t *data, size_t len)
{
	assert(part.len == 0 || (part.data >= data && part.data + part.len <= data + len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kube_object o;
	struct kube_lease l;
	char text[64];

	if (kube_object_parse(bytes_of(data, len), &o)) {
		inside(o.labels, data, len);
		inside(o.annotations, data, len);
		inside(o.spec, data, len);
		inside(o.status, data, len);
		(void)!kube_member(o.annotations, "tailscale.com/expose", text, sizeof text, NULL);
		(void)kube_has_string(o.finalizers, "tailscale.com/finalizer");
		(void)!kube_str_at(o.spec, "a.b", text, sizeof text);
	}
	kube_lease_init(&l, "a", "b", "c");
	l.act = KUBE_LEASE_GET;
	kube_lease_result(&l, (mono_t){ 0 }, 200, bytes_of(data, len));
	return 0;
}
