/* containerboot/cli_whois.c - `whois` for people, in the lines of the stock CLI */
#include <stdio.h>

#include "base/json.h"
#include "containerboot/cli.h"

enum { LIST_MAX = 1024, TEXT_MAX = 256 };

struct owner {
	char name[TEXT_MAX], id[TEXT_MAX], addresses[LIST_MAX], tags[LIST_MAX], login[TEXT_MAX];
	int64_t user;
};

static void read_list(struct json *j, const char *between, char *out)
{
	char one[TEXT_MAX];
	size_t n = 0;

	out[0] = 0;
	json_arr(j);
	while (json_elem(j)) {
		cli_text(j, one, sizeof one);
		if (json_ok(j) && n < LIST_MAX)
			n += (size_t)snprintf(out + n, LIST_MAX - n, "%s%s", n ? between : "", one);
	}
}

static void read_node(struct json *j, struct owner *o)
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "Name"))
			cli_text(j, o->name, sizeof o->name);
		else if (json_key_is(key, "StableID"))
			cli_text(j, o->id, sizeof o->id);
		else if (json_key_is(key, "Addresses"))
			read_list(j, " ", o->addresses);
		else if (json_key_is(key, "Tags"))
			read_list(j, ", ", o->tags);
		else
			json_skip(j);
	}
}

static void read_user(struct json *j, struct owner *o)
{
	struct bytes key;

	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "ID"))
			o->user = json_i64(j);
		else if (json_key_is(key, "LoginName"))
			cli_text(j, o->login, sizeof o->login);
		else
			json_skip(j);
	}
}

bool cli_whois_print(struct bytes json)
{
	struct json j = json_of(json);
	struct owner o = { 0 };
	struct bytes key;
	size_t n;

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "Node"))
			read_node(&j, &o);
		else if (json_key_is(key, "UserProfile"))
			read_user(&j, &o);
		else
			json_skip(&j);
	}
	if (!json_done(&j)) {
		fputs("the answer is malformed\n", stderr);
		return false;
	}
	n = strlen(o.name);
	if (n > 0 && o.name[n - 1] == '.')
		o.name[n - 1] = 0;
	printf("Machine:\n  Name:          %s\n  ID:            %s\n  Addresses:     [%s]\n",
	       o.name, o.id, o.addresses);
	if (*o.tags)
		printf("  Tags:          %s\n", o.tags);
	else
		printf("User:\n  Name:     %s\n  ID:       %lld\n", o.login, (long long)o.user);
	return true;
}
