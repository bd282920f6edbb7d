/* operator/ledger_test.c - the ledger of devices: what is written comes back, what is an orphan */
#include "operator/ledger.h"

#include "base/json.h"
#include "tests/operator_fixture.h"

static struct proxy joined(const char *id, const char *ip)
{
	struct proxy x = { .n_ips = 1 };

	(void)snprintf(x.name, sizeof x.name, "ts-web-abc");
	(void)snprintf(x.parent, sizeof x.parent, "svc/shop/web");
	(void)snprintf(x.device_id, sizeof x.device_id, "%s", id);
	(void)snprintf(x.device_ip[0], sizeof x.device_ip[0], "%s", ip);
	return x;
}

TEST(ledger_members_come_back_as_they_were_written)
{
	struct proxy x = joined("7", "100.64.0.7");
	struct ledger_entry v, back;
	struct buf out;
	char text[1024];

	ck_assert(ledger_of(&v, &x, "https://hs.example.com"));
	buf_init(&out, 4096);
	ck_assert(ledger_emit(&out, &v, "tailpod", "lease", NULL));
	ck_assert(kube_member(kube_at(buf_bytes(&out), "data"), "7", text, sizeof text, NULL));
	ck_assert(ledger_parse(&back, "7", text));
	ck_assert_str_eq(back.id, "7");
	ck_assert_str_eq(back.ip, "100.64.0.7");
	ck_assert_str_eq(back.proxy, "ts-web-abc");
	ck_assert_str_eq(back.parent, "svc/shop/web");
	ck_assert_str_eq(back.server, "https://hs.example.com");
	buf_fini(&out);
	x.n_ips = 0; /* nothing to know it by later */
	ck_assert(!ledger_of(&v, &x, "https://hs.example.com"));
}

TEST(ledger_shards_are_made_owned_by_the_lease_and_are_no_child_of_a_proxy)
{
	struct proxy x = joined("7", "100.64.0.7");
	struct ledger_entry v;
	struct kube_object o;
	struct buf out;
	char name[LEDGER_NAME_MAX], text[1024];

	ck_assert(ledger_of(&v, &x, "https://hs.example.com"));
	buf_init(&out, 4096);
	ck_assert(ledger_emit(&out, &v, "tailpod", "lease", "u-9"));
	ck_assert(kube_object_parse(buf_bytes(&out), &o));
	ledger_shard_name(name, "7");
	ck_assert_str_eq(o.name, name);
	ck_assert_str_eq(o.ns, "tailpod");
	ck_assert(kube_has_member(o.labels, LABEL_LEDGER));
	ck_assert(!kube_has_member(o.labels, LABEL_MANAGED)); /* or clean-up would take it */
	ck_assert(kube_member(o.data, "7", text, sizeof text, NULL));
	ck_assert_ptr_nonnull(memmem(out.data, out.len, "\"uid\":\"u-9\"", 11));
	buf_fini(&out);
}

TEST(ledger_shards_stay_where_they_are_and_share_the_load)
{
	unsigned n[LEDGER_SHARDS] = { 0 };
	char name[LEDGER_NAME_MAX], id[16];

	ledger_shard_name(name, "7"); /* from one version to the next, or members are lost */
	ck_assert_str_eq(name, "tailpod-devices-a");
	for (unsigned i = 0; i < 1600; i++) {
		(void)snprintf(id, sizeof id, "%u", i);
		ledger_shard_name(name, id);
		n[strtoul(name + strlen("tailpod-devices-"), NULL, 16)]++;
	}
	for (size_t i = 0; i < LEDGER_SHARDS; i++)
		ck_assert_uint_ge(n[i], 50);
}

TEST(ledger_members_that_somebody_else_wrote_are_left_out)
{
	static const char good[] =
	    "{\"ip\":\"100.64.0.7\",\"proxy\":\"p\",\"parent\":\"svc/a/b\",\"server\":\"h\"}";
	struct ledger_entry v;
	char cut[sizeof good];

	ck_assert(ledger_parse(&v, "7", good));
	for (size_t n = 0; n + 1 < sizeof good - 1; n++) {
		memcpy(cut, good, n);
		cut[n] = 0;
		(void)!ledger_parse(&v, "7", cut);
	}
	ck_assert(!ledger_parse(&v, "", good));
	ck_assert(!ledger_parse(&v, "7", ""));
	ck_assert(!ledger_parse(&v, "7", "[]"));
	ck_assert(!ledger_parse(&v, "7",
				"{\"ip\":\"\",\"proxy\":\"p\",\"parent\":\"x\","
				"\"server\":\"h\"}"));
	ck_assert(!ledger_parse(&v, "7", "{\"ip\":7}"));
}

TEST(orphans_are_devices_whose_proxy_is_gone_or_another_device_by_now)
{
	struct proxy x = joined("7", "100.64.0.7");

	ck_assert(ledger_is_orphan("7", NULL));
	ck_assert(!ledger_is_orphan("7", &x));
	ck_assert(ledger_is_orphan("6", &x)); /* it has joined anew */
	x.device_id[0] = 0;                   /* its Secret was made anew: it runs on, perhaps */
	ck_assert(!ledger_is_orphan("7", &x));
}
