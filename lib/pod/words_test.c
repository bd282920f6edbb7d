/* pod/words_test.c - both ends of the agent's socket, and the files between them */
#include "pod/words.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/harness.h"

TEST(a_request_needs_version_and_operation_and_is_refused_when_cut)
{
	static const char text[] = "{\"version\":1,\"op\":\"add\",\"pod\":\"apps/web\",\"new\":[]}";
	struct words_request rq;

	ck_assert(words_request_parse(bytes_str(text), &rq));
	ck_assert_int_eq(rq.op, WORDS_ADD);
	ck_assert_str_eq(rq.pod, "apps/web");
	for (size_t n = 0; n + 1 < sizeof text; n++)
		ck_assert(!words_request_parse(bytes_of(text, n), &rq));
	ck_assert(!words_request_parse(bytes_str("{\"version\":2,\"op\":\"add\"}"), &rq));
	ck_assert(!words_request_parse(bytes_str("{\"version\":1,\"op\":\"drop\"}"), &rq));
	ck_assert(!words_request_parse(bytes_str("{\"op\":\"add\"}"), &rq));
	ck_assert(!words_request_parse(bytes_str("{\"version\":1}"), &rq));
}

TEST(what_one_end_says_the_other_reads)
{
	static const struct attachment a = { .network = "net",
					     .container = "c1",
					     .ifname = "eth0",
					     .pod = "apps/web \"1\"",
					     .uid = "u-1" };
	struct words_request rq;
	struct words_answer answer;
	struct buf out;

	buf_init(&out, 4096);
	ck_assert(words_request_emit(WORDS_ADD, &a, &out));
	ck_assert(words_request_parse(buf_bytes(&out), &rq));
	ck_assert(rq.op == WORDS_ADD && strcmp(rq.pod, a.pod) == 0 && strcmp(rq.uid, "u-1") == 0);
	buf_clear(&out);
	ck_assert(words_request_emit(WORDS_STATUS, NULL, &out));
	ck_assert(words_request_parse(buf_bytes(&out), &rq) && rq.op == WORDS_STATUS && !*rq.pod);
	for (int v = 0; v < WORDS_VERDICTS; v++) {
		buf_clear(&out);
		ck_assert(words_answer_emit((enum words_verdict)v, "because", &out));
		ck_assert(words_answer_parse(buf_bytes(&out), &answer));
		ck_assert(answer.verdict == (enum words_verdict)v);
		ck_assert_str_eq(answer.words, "because");
	}
	ck_assert(!words_answer_parse(bytes_str("{\"verdict\":\"perhaps\"}"), &answer));
	ck_assert(!words_answer_parse(bytes_str("{\"words\":\"x\"}"), &answer));
	buf_fini(&out);
}

static bool note(void *ctx, const struct attachment *a, bool ok)
{
	char *seen = ctx;

	snprintf(seen + strlen(seen), 128 - strlen(seen), "%s/%s:%s%s ", a->network, a->container,
		 a->ifname, ok ? "" : "?");
	return true;
}

TEST(files_of_attachments_are_found_again_and_the_rest_of_a_write_is_passed_over)
{
	char dir[] = "/tmp/pod-XXXXXX", path[ATTACHMENT_FILE_MAX], seen[128] = "";
	struct attachment a = { .network = "net",
				.container = "c1",
				.ifname = "eth0",
				.protocol = 116,
				.state = ATTACHMENT_PENDING,
				.n_rules = 1 };
	static struct attachment back;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	a.rules[0].priority = 5259;
	a.rules[0].has_from = true;
	ck_assert(ipprefix_parse(bytes_str("10.0.0.2/32"), &a.rules[0].from) &&
		  ipprefix_parse(bytes_str("100.64.0.0/10"), &a.rules[0].to));
	ck_assert_int_eq(attachment_save(dir, &a), 0);
	ck_assert_int_eq(attachment_load(dir, "net", "c1", "eth0", &back), 0);
	ck_assert(back.state == ATTACHMENT_PENDING && back.n_rules == 1 &&
		  rule_eq(&back.rules[0], &a.rules[0]));
	attachment_path(dir, &a, path);
	snprintf(path + strlen(path), 8, ":77"); /* a writer that was killed */
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
	ck_assert_int_eq(attachment_each(dir, NULL, note, seen), 0);
	ck_assert_str_eq(seen, "net/c1:eth0 ");
	ck_assert_int_eq(unlink(path), 0);
	attachment_path(dir, &a, path);
	f = fopen(path, "w"); /* torn */
	ck_assert_ptr_nonnull(f);
	fclose(f);
	seen[0] = 0;
	ck_assert_int_eq(attachment_each(dir, "net", note, seen), 0);
	ck_assert_str_eq(seen, "net/c1:eth0? ");
	ck_assert_int_eq(attachment_remove(dir, "net", "c1", "eth0"), 0);
	ck_assert_int_eq(attachment_remove(dir, "net", "c1", "eth0"), 0);
	ck_assert_int_eq(attachment_each(dir, NULL, note, seen), 0);
	snprintf(path, sizeof path, "%s/net", dir);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(attachment_each(dir, NULL, note, seen), 0);
}
