/* coordinator/cli_test.c - the command line: usage, tables for people, and what its commands do to
 * a server */
#include "coordinator/cli.h"

#include "base/json.h"
#include "coordinator/cli_priv.h"
#include "tests/coordinator_process.h"
#include "tests/heard.h"

__attribute__((constructor)) static void longer(void)
{
	harness_timeout(120);
}

/* --- what is said --- */

static int run_words(const void *arg)
{
	char text[1024], *argv[24], *left = text;
	int argc = 0;

	snprintf(text, sizeof text, "%s", (const char *)arg);
	for (char *w; (w = strsep(&left, " "));)
		if (*w)
			argv[argc++] = w;
	argv[argc] = NULL;
	return cli_run(argc, argv);
}

/* A command line, whose words hold no blanks */
static int cli(const char *line)
{
	return heard(run_words, line);
}

static void refused(const char *line, int code, const char *words)
{
	ck_assert_msg(cli(line) == code, "%s: %s%s", line, heard_out, heard_err);
	ck_assert_msg(strstr(heard_err, words) != NULL, "%s: %s", line, heard_err);
	ck_assert_msg(*heard_out == 0, "%s says %s", line, heard_out);
}

TEST(wrong_usage_is_told_with_2_and_nothing_on_standard_output)
{
	static const char *const bad[][2] = {
		{ "", "say what to do" },
		{ "nonsense", "there is no command 'nonsense'" },
		{ "users", "users wants one of: list, create, delete, rename\n" },
		{ "users nonsense", "users: there is no 'nonsense', but: list" },
		{ "users list me", "users list wants: nothing more" },
		{ "users create", "users create wants: NAME" },
		{ "users rename a", "users rename wants: NAME|ID NEW" },
		{ "backup", "backup wants: FILE" },
		{ "a b c d e f g h i", "too many arguments" },
		{ "users list --nonsense", "there is no option --nonsense" },
		{ "users list --nonsense=1", "there is no option --nonsense\n" },
		{ "users list --user", "--user wants a value" },
		{ "users list --reusable=true", "--reusable takes no value" },
		{ "users list --output", "--output wants a value" },
		{ "users list -o yaml", "--output is json or table" },
		{ "users list --outputs json", "there is no option --outputs" },
		{ "preauthkeys create", "a key needs --user NAME or --tags" },
		{ "preauthkeys create --user a --expiration soon", "--expiration wants a time" },
		{ "apikeys create --expiration 1", "--expiration wants a time" },
		{ "preauthkeys expire me", "wants the ID of a key" },
		{ "preauthkeys delete 1x", "wants the ID of a key" },
		{ "apikeys expire a\"b", "wants an ID or a prefix" },
		{ "apikeys expire -- -a\"b", "wants an ID or a prefix" }, /* no option behind -- */
		{ "users list -- --help", "users list wants: nothing more" },
		{ "nodes tag a", "nodes tag wants --tags" },
		{ "nodes approve-routes a", "wants --routes" },
		{ "users list --url nonsense", "COORDINATOR_API_KEY" },
		{ "policy put", "policy: there is no 'put', but: check, get, set" },
		{ "--config nowhere serve", "serve comes first" },
	};

	unsetenv("COORDINATOR_API_KEY");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused(bad[i][0], 2, bad[i][1]);
	ck_assert_int_eq(setenv("COORDINATOR_API_KEY", "k", 1), 0);
	refused("users list --url nonsense", 2, "--url wants http");
	ck_assert_int_eq(setenv("COORDINATOR_API_KEY", "k\r\nX: y", 1), 0);
	refused("users list --url http://127.0.0.1:9", 2, "holds a line end");
}

TEST(help_comes_from_anywhere_on_the_line_and_names_the_commands)
{
	static const char *const lines[] = { "--help", "-h", "help", "users create -h",
					     "nonsense --help" };

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		ck_assert_int_eq(cli(lines[i]), 0);
		ck_assert(*heard_err == 0 &&
			  strstr(heard_out, "  preauthkeys create --user NAME") &&
			  strstr(heard_out, "  nodes approve-routes ") &&
			  strstr(heard_out, "Exit code: "));
	}
	ck_assert_int_eq(cli("config"), 0); /* needs no server */
	ck_assert_ptr_nonnull(strstr(heard_out, "server_url:"));
}

TEST(without_a_server_one_line_says_where_it_was_looked_for)
{
	refused("users list --socket /nonexistent/socket", 1, "/nonexistent/socket");
	ck_assert_ptr_nonnull(strstr(heard_err, "is it running?"));
	refused("users list --config /nonexistent/file", 1, "read /nonexistent/file");
	unsetenv("COORDINATOR_SOCKET");
	ck_assert_int_eq(setenv("COORDINATOR_SOCKET", "/nonexistent/other", 1), 0);
	refused("users list", 1, "/nonexistent/other");
}

/* --- tables --- */

static const struct cli_column columns[] = { { "ID", "id", "!there", "not there" },
					     { "NAME", "name" },
					     { "USER", "user.name", "away", "gone away" },
					     { "TAGS", "tags" } };

static int table(const void *arg)
{
	const struct bytes *text = arg;

	return cli_table(*text, "things", columns, ARRAY_LEN(columns));
}

static int table_of(const char *json, size_t len)
{
	struct bytes text = bytes_of(json, len);

	return heard(table, &text);
}

TEST(tables_line_up_join_lists_and_look_into_objects)
{
	static const char json[] =
	    "{\"more\":[1,{}],\"things\":[{\"id\":\"1\",\"name\":\"a long "
	    "name\",\"user\":{\"id\":7,"
	    "\"name\":\"me\"},\"tags\":[\"tag:a\",\"tag:b\"]},{\"id\":22,\"user\":null,"
	    "\"name\":\"\",\"tags\":[]}]}";
	static const char away[] = "{\"things\":[{\"user\":{\"name\":\"me\"},\"away\":true},"
				   "{\"away\":false,\"there\":false,\"user\":{\"name\":\"me\"}},"
				   "{\"there\":true,\"id\":7}]}";

	ck_assert_int_eq(table_of(json, sizeof json - 1), 0);
	ck_assert_str_eq(heard_out, "ID  NAME         USER  TAGS\n"
				    "1   a long name  me    tag:a,tag:b\n"
				    "22  -            -     -\n");
	ck_assert_int_eq(table_of(away, sizeof away - 1), 0);
	ck_assert_str_eq(heard_out, "ID         NAME  USER       TAGS\n"
				    "-          -     gone away  -\n"
				    "not there  -     me         -\n"
				    "7          -     -          -\n");
	ck_assert_int_eq(table_of("{\"things\":[]}", 13), 0);
	ck_assert_str_eq(heard_out, "ID  NAME  USER  TAGS\n");
	for (size_t i = 0; i < sizeof json - 1; i++) { /* cut: one line, no table of halves */
		ck_assert_int_eq(table_of(json, i), 1);
		ck_assert_ptr_nonnull(strstr(heard_err, "the answer of the server is malformed"));
		ck_assert_msg(*heard_out == 0, "%zu: %s", i, heard_out);
	}
}

TEST(a_strangers_text_does_not_get_at_the_terminal_and_long_ones_are_cut)
{
	char json[6000], more[4000];

	memset(more, 'x', sizeof more);
	more[sizeof more - 1] = 0;
	snprintf(json, sizeof json,
		 "{\"things\":[{\"id\":1,\"name\":\"a\\u001b[2Jb\\u007f\\n\\u009b2J\\u202e\","
		 "\"tags\":[\"%s\",\"%"
		 "s\"]}]}",
		 "tag:a", more);
	ck_assert_int_eq(table_of(json, strlen(json)), 0);
	ck_assert_ptr_nonnull(strstr(heard_out, "a?[2Jb????2J???"));
	ck_assert_ptr_null(strchr(heard_out, 0x1b));
	ck_assert_ptr_nonnull(strstr(heard_out, "tag:a,xxx"));
	ck_assert_uint_lt(strlen(heard_out), 1000);
}

TEST(a_field_that_is_not_there_or_in_no_object_is_not_found)
{
	char text[8];

	ck_assert(cli_field(bytes_str("{\"a\":{\"b\":\"12345678\"}}"), "a.b", text, sizeof text));
	ck_assert_str_eq(text, "1234567");
	ck_assert(!cli_field(bytes_str("{\"a\":{\"b\":1}}"), "a.c", text, sizeof text));
	ck_assert(!cli_field(bytes_str("{\"a\":1}"), "a.b", text, sizeof text));
	ck_assert(!cli_field(bytes_str("[1]"), "a", text, sizeof text));
	ck_assert(!cli_field(bytes_str(""), "a", text, sizeof text));
	ck_assert_str_eq(text, "");
}

/* --- with a server --- */

static void begin(void)
{
	server_begin("");
	ck_assert_int_eq(setenv("COORDINATOR_SOCKET", srv.socket, 1), 0);
}

static void end(void)
{
	server_stop(SIGTERM, true);
	server_clean();
}

static void done(const char *line, const char *words)
{
	ck_assert_msg(cli(line) == 0, "%s: %s", line, heard_err);
	ck_assert_msg(strstr(heard_out, words) != NULL && *heard_err == 0, "%s: %s%s", line,
		      heard_out, heard_err);
}

TEST(users_are_named_by_name_or_id)
{
	char line[1024];

	begin();
	done("users create me --display-name=Myself", "user created");
	refused("users create me", 1, "me");
	done("users list", "Myself");
	done("users list --output json", "\"users\":[{");
	done("users rename me you", "user renamed");
	refused("users rename me they", 1, "no user is called 'me'; `coordinator users list`");
	done("users rename 1 they", "user renamed");
	memset(line, 'x', sizeof line);
	memcpy(line, "users rename they ", 18);
	line[900] = 0;
	refused(line, 2, "that name is too long");
	done("users delete they", "user deleted");
	refused("users delete they", 1, "no user is called 'they'");
	refused("users delete 77", 1, "");
	end();
}

TEST(keys_are_shown_once_and_expire)
{
	begin();
	done("users create me", "user created");
	done("preauthkeys create --user me --reusable --expiration never", "hskey-auth-");
	ck_assert_uint_eq(strcspn(heard_out, "\n") + 1,
			  strlen(heard_out)); /* the key, and nothing else */
	ck_assert_ptr_null(strchr(heard_out, ' '));
	done("preauthkeys create --tags tag:a,,tag:b --ephemeral -o json",
	     "\"aclTags\":[\"tag:a\",");
	done("preauthkeys list", "2200-01-01");
	ck_assert_ptr_nonnull(strstr(heard_out, "tag:a,tag:b"));
	done("preauthkeys create --user me --expiration 2562047h", "hskey-auth-"); /* 292 years */
	done("preauthkeys list", "2262-04-11");
	done("preauthkeys delete 3", "key deleted");
	done("preauthkeys expire 1", "key expired");
	refused("preauthkeys expire 999", 1, "there is no auth key 999;");
	refused("preauthkeys delete 999", 1, "there is no auth key 999;");
	done("preauthkeys delete 1", "key deleted");
	refused("preauthkeys create --user nobody", 1, "no user is called 'nobody'");
	done("apikeys create", "hskey-api-");
	done("apikeys list", "PREFIX");
	done("apikeys expire 1", "API key expired");
	done("apikeys delete 1", "API key deleted");
	done("nodes list", "ADDRESSES");
	ck_assert_ptr_nonnull(strstr(heard_out, "OFFERS  ROUTES\n"));
	refused("nodes delete nothing", 1, "no node is called 'nothing'");
	done("debug", "version");
	end();
}

TEST(a_policy_is_checked_with_and_without_a_server)
{
	char path[96], line[256];
	FILE *f;

	begin();
	snprintf(path, sizeof path, "%s/log", srv.dir); /* a name that server_clean knows */
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs("{\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}]}\n", f);
	fclose(f);
	snprintf(line, sizeof line, "policy check %s", path);
	done(line, "its tests hold");
	snprintf(line, sizeof line, "policy check %s --socket /nonexistent/socket", path);
	done(line, "no server is there");
	snprintf(line, sizeof line, "policy set %s", path);
	done(line, "the policy is in force");
	done("policy get", "\"accept\"");
	ck_assert_int_eq(truncate(path, 20), 0);
	snprintf(line, sizeof line, "policy set %s", path);
	refused(line, 1, path);
	done("policy get", "\"accept\""); /* as it was */
	end();
}
