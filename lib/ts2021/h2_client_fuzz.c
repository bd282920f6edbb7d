/* ts2021/h2_client_fuzz.c - a hostile server's plain text: early payload, HTTP/2, and what the
 * requests make of it */
#include <stdlib.h>

#include "ts2021/fuzz_rng.h"
#include "ts2021/h2_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void ask(struct h2_client *h, enum h2_slot slot)
{
	struct buf body;

	buf_init(&body, 100);
	if (buf_append(&body, "{}", 2) &&
	    h2_client_send(h, slot, "POST", "/machine/x", NULL, NULL, &body) == 0)
		return;
	buf_fini(&body);
}

static void look(struct h2_client *h)
{
	for (unsigned i = 0; i < H2_SLOTS; i++)
		if (h->rq[i].phase >= H2_ENDED)
			h2_client_drop(h, i);
	h2_client_consume(h, H2_MAP, h->rq[H2_MAP].body.len / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t init[NOISE_INIT_LEN], resp[NOISE_RESP_LEN], frame[NOISE_FRAME_MAX];
	struct fuzz_rng rng = FUZZ_RNG_INIT;
	struct key_priv control, machine;
	struct key_pub pub, got;
	struct channel server;
	struct h2_client h;
	uint16_t version;
	bool ready = false, ok;
	size_t step = len > 0 ? 16u * data[0] + 1 : 1;

	key_gen(&control, &rng.rng);
	key_gen(&machine, &rng.rng);
	key_public(&pub, &control);
	if (h2_client_init(&h, 116, &machine, &pub, &rng.rng, "x", init) != 0)
		return 0;
	ok = channel_accept(&server, &control, init, &rng.rng, &version, &got, resp) &&
	     h2_client_feed(&h, bytes_of(resp, sizeof resp), &ready);
	for (unsigned i = 0; ok && i < H2_SLOTS; i++)
		ask(&h, i);
	for (size_t i = 1; ok && i < len; i += step) {
		size_t n = len - i < step ? len - i : step;

		if (n > NOISE_PLAIN_MAX)
			n = step = NOISE_PLAIN_MAX;
		ok = h2_client_feed(&h, bytes_of(frame, channel_write(&server, data + i, n, frame)),
				    &ready);
		if (ok)
			look(&h);
		while (link_pull(&h.link, frame, sizeof frame) > 0)
			;
		ok = ok && !h.link.why;
	}
	h2_client_fini(&h);
	channel_fini(&server);
	return 0;
}
