/* pod/attachment_test.c - the file of an attachment at its limits, and a directory of them with
 * what does not belong there
 */
#include "pod/attachment.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"

static struct attachment a, back;
static char dir[] = "/tmp/attachment-XXXXXX";

static void make_dir(void)
{
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void save(const char *network, const char *container)
{
	a = (struct attachment){ .ifname = "eth0", .protocol = 116 };
	snprintf(a.network, sizeof a.network, "%s", network);
	snprintf(a.container, sizeof a.container, "%s", container);
	ck_assert_int_eq(attachment_save(dir, &a), 0);
}

static void clear(void)
{
	char command[96];

	snprintf(command, sizeof command, "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

struct walk {
	unsigned seen, bad, most;
};

static bool count(void *ctx, const struct attachment *one, bool ok)
{
	struct walk *w = ctx;

	ck_assert(pod_is_id(bytes_str(one->network), POD_NETWORK_MAX));
	w->seen++;
	w->bad += !ok;
	return w->seen != w->most;
}

TEST(the_largest_attachment_fits_into_its_file_and_comes_back)
{
	make_dir();
	a = (struct attachment){ .state = ATTACHMENT_GRANTED,
				 .protocol = UINT8_MAX,
				 .netns_dev = UINT64_MAX,
				 .netns_ino = UINT64_MAX,
				 .n_rules = RULE_MAX };
	memset(a.network, 'n', POD_NETWORK_MAX);
	memset(a.container, 'c', POD_CONTAINER_MAX);
	memset(a.ifname, '"', POD_IFNAME_MAX);
	memset(a.netns, '\\', POD_NETNS_MAX);
	memset(a.pod, '"', POD_NAME_MAX);
	memset(a.uid, 'u', POD_UID_MAX);
	for (size_t i = 0; i < RULE_MAX; i++) {
		a.rules[i] = (struct rule){ .is_lookup = true,
					    .has_from = true,
					    .priority = UINT32_MAX,
					    .table = UINT32_MAX - (uint32_t)i,
					    .iif = "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"" };
		memset(&a.rules[i].from, 0xfe, sizeof a.rules[i].from.ip);
		memset(&a.rules[i].to, 0xfd, sizeof a.rules[i].to.ip);
		a.rules[i].from.bits = a.rules[i].to.bits = 128;
	}
	ck_assert_int_eq(attachment_save(dir, &a), 0);
	ck_assert_int_eq(attachment_load(dir, a.network, a.container, a.ifname, &back), 0);
	ck_assert_uint_eq(back.n_rules, RULE_MAX);
	for (size_t i = 0; i < RULE_MAX; i++)
		ck_assert(rule_eq(&a.rules[i], &back.rules[i]));
	ck_assert_str_eq(back.pod, a.pod);
	ck_assert_str_eq(back.netns, a.netns);
	ck_assert(back.netns_ino == UINT64_MAX && back.state == ATTACHMENT_GRANTED);
	clear();
}

TEST(one_rule_too_many_or_a_text_cut_anywhere_is_no_attachment)
{
	struct buf out;

	a = (struct attachment){
		.network = "n", .container = "c", .ifname = "eth0", .protocol = 116, .n_rules = 1
	};
	a.rules[0].priority = 5259;
	snprintf(a.rules[0].iif, sizeof a.rules[0].iif, "eth0");
	ck_assert(ipprefix_parse(bytes_str("fd7a::/48"), &a.rules[0].to));
	buf_init(&out, ATTACHMENT_TEXT_MAX);
	ck_assert(attachment_emit(&a, &out));
	ck_assert(attachment_parse(buf_bytes(&out), &back));
	for (size_t n = 0; n + 1 < out.len; n++) /* the last byte is the end of the line */
		ck_assert(!attachment_parse(bytes_of(buf_bytes(&out).data, n), &back));
	buf_clear(&out);
	ck_assert(buf_printf(&out, "{\"network\":\"n\",\"container\":\"c\",\"ifname\":\"eth0\","
				   "\"protocol\":116,\"rules\":["));
	for (size_t i = 0; i <= RULE_MAX; i++)
		ck_assert(buf_printf(&out, "%s{\"priority\":1,\"to\":\"10.0.0.0/8\",\"iif\":\"x\"}",
				     i > 0 ? "," : ""));
	ck_assert(buf_append(&out, "]}", 2));
	ck_assert(!attachment_parse(buf_bytes(&out), &back));
	buf_fini(&out);
}

TEST(files_among_the_networks_hide_none_of_them)
{
	struct walk w = { 0 };
	char path[64], name[16];
	FILE *f;

	make_dir();
	/* names that could be a network's, made before, between and after them: whatever order a
	 * directory is read in, some come first */
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof path, "%s/agent%d.sock", dir, i);
		ck_assert_ptr_nonnull(f = fopen(path, "w"));
		fclose(f);
		snprintf(name, sizeof name, "net%d", i);
		save(name, "c1");
	}
	ck_assert_int_eq(attachment_each(dir, NULL, count, &w), 0);
	ck_assert_uint_eq(w.seen, 20);
	ck_assert_uint_eq(w.bad, 0);
	clear();
}

TEST(a_walk_ends_when_it_is_told_to_and_names_what_does_not_parse)
{
	struct walk w = { .most = 3 };
	char path[ATTACHMENT_FILE_MAX];
	FILE *f;

	make_dir();
	for (int i = 0; i < 4; i++) {
		char container[16];

		snprintf(container, sizeof container, "c%d", i);
		save("one", container);
		save("two", container);
	}
	ck_assert_int_eq(attachment_each(dir, NULL, count, &w), 0);
	ck_assert_uint_eq(w.seen, 3);
	attachment_path(dir, &a, path);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	ck_assert_int_gt(fprintf(f, "{}"), 0);
	fclose(f);
	w = (struct walk){ 0 };
	ck_assert_int_eq(attachment_each(dir, "two", count, &w), 0);
	ck_assert_uint_eq(w.seen, 4);
	ck_assert_uint_eq(w.bad, 1);
	ck_assert_int_eq(attachment_load(dir, "two", a.container, "eth0", &back), -EBADMSG);
	ck_assert_int_eq(attachment_load(dir, "two", "none", "eth0", &back), -ENOENT);
	ck_assert_int_eq(attachment_each(dir, "three", count, &w), 0);
	clear();
	ck_assert_int_eq(attachment_each(dir, NULL, count, &w), 0); /* no directory: none */
}
