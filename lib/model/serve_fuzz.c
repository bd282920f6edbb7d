/* model/serve_fuzz.c - a configuration, a NUL, and a request's host, NUL, path */
#include <stdlib.h>
#include <string.h>

#include "model/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes part(struct bytes *left)
{
	const uint8_t *end = left->len ? memchr(left->data, 0, left->len) : NULL;
	struct bytes one = bytes_of(left->data, end ? (size_t)(end - left->data) : left->len);
	const size_t used = one.len + (end != NULL);

	left->data += used;
	left->len -= used;
	return one;
}

static void ask(const struct serve *s, struct bytes host, struct bytes path)
{
	for (size_t i = 0; i < s->n_sites; i++) {
		const struct serve_handler *h;
		struct bytes rest;
		struct buf out;

		(void)serve_site_of(s, s->site[i].port, host);
		h = serve_handler_of(&s->site[i], path, &rest);
		if (!h)
			continue;
		/* what is left is the end of what was sent */
		if (rest.len > path.len || rest.data + rest.len != path.data + path.len ||
		    (rest.len > 0 && rest.data[0] != '/'))
			abort();
		buf_init(&out, 1 << 16);
		if (h->action == SERVE_PROXY &&
		    serve_target(&out, &h->to, rest, false, bytes_of(NULL, 0)) &&
		    (out.len == 0 || buf_bytes(&out).data[0] != '/'))
			abort();
		buf_fini(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes left = bytes_of(data, size), text = part(&left), host = part(&left);
	struct err e;
	struct serve *s = serve_parse(text, NULL, "web.tail.test", &e);

	if (s)
		ask(s, host, left);
	serve_free(s);
	return 0;
}
