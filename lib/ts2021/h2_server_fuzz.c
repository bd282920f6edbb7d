/* ts2021/h2_server_fuzz.c - a hostile client's plain text at the server end, with answers that go
 * out while it comes */
#include <stdlib.h>

#include "ts2021/channel.h"
#include "ts2021/fuzz_rng.h"
#include "ts2021/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void serve(struct ts2021_server *s)
{
	struct ts2021_server_event ev;

	while (ts2021_server_next(s, &ev)) {
		if (ev.type != TS2021_REQUEST)
			continue;
		if (ts2021_server_answer(s, ev.stream, 200, "text/plain", ev.body.len & 1) == 0 &&
		    (ev.body.len & 1))
			(void)!ts2021_server_send(s, ev.stream, "hello", 5, ev.body.len & 2);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t init[NOISE_INIT_LEN], frame[NOISE_FRAME_MAX], plain[NOISE_PLAIN_MAX];
	struct fuzz_rng rng = FUZZ_RNG_INIT;
	struct key_priv control, machine;
	struct key_pub pub;
	struct channel client;
	struct ts2021_server *s;
	struct bytes in;
	mono_t now = { 1 };
	size_t step = len > 0 ? 16u * data[0] + 1 : 1, head, n;

	key_gen(&control, &rng.rng);
	key_gen(&machine, &rng.rng);
	key_public(&pub, &control);
	if (!channel_start(&client, 116, &machine, &pub, &rng.rng, init))
		return 0;
	s = ts2021_server_new(&rng.rng, &control, init, now);
	if (!s)
		return 0;
	n = ts2021_server_pull(s, now, frame, sizeof frame);
	for (head = 4; head < n && memcmp(frame + head - 4, "\r\n\r\n", 4) != 0; head++)
		;
	in = bytes_of(frame + head, n - head);
	while (in.len > 0 && channel_read(&client, &in, plain, &n) != CHANNEL_BAD)
		;
	for (size_t i = 1; i < len; i += step) {
		n = len - i < step ? len - i : step;
		if (n > NOISE_PLAIN_MAX)
			n = step = NOISE_PLAIN_MAX;
		ts2021_server_feed(s, now,
				   bytes_of(frame, channel_write(&client, data + i, n, frame)));
		serve(s);
		while (ts2021_server_pull(s, now, frame, sizeof frame) > 0)
			;
	}
	ts2021_server_free(s);
	channel_fini(&client);
	return 0;
}
