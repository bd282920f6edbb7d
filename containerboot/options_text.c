/* containerboot/options_text.c - the table of variables for people: --help and
 * docs/operations/environment.md */
#include "containerboot/options.h"

enum { HELP_WIDTH = 100, HELP_INDENT = 8 };

static const char *const kind_words[] = {
	[OPTION_BOOL] = "boolean",  [OPTION_TRI] = "boolean",      [OPTION_TEXT] = "text",
	[OPTION_SPAN] = "duration", [OPTION_LISTEN] = "host:port", [OPTION_ROUTES] = "subnets",
	[OPTION_TAGS] = "tags",     [OPTION_IP] = "address",       [OPTION_NUMBER] = "number",
	[OPTION_SIZE] = "size",     [OPTION_URL] = "URL",          [OPTION_MKEY] = "key",
	[OPTION_CC] = "name",       [OPTION_ACCEPTED] = "any",
};

static const char *note(const struct option *row)
{
	if (row->flags & (OPTION_NOT_YET | OPTION_KERNEL_ONLY))
		return " Not supported by this version: setting it stops the program.";
	return "";
}

/* words wrapped at the width; backquotes left out */
static bool wrap(struct buf *out, const char *s)
{
	size_t col = 0;

	while (*s) {
		size_t n = strcspn(s, " "), len = 0;
		char word[128];

		for (size_t i = 0; i < n && len < sizeof word - 1; i++)
			if (s[i] != '`')
				word[len++] = s[i];
		word[len] = 0;
		if (col == 0 || col + len + 1 > HELP_WIDTH) {
			if (!buf_printf(out, "%s%*s", col ? "\n" : "", HELP_INDENT, ""))
				return false;
			col = HELP_INDENT;
		} else if (!buf_append(out, " ", 1)) {
			return false;
		} else {
			col++;
		}
		if (!buf_append(out, word, len))
			return false;
		col += len;
		s += n + (s[n] == ' ');
	}
	return buf_append(out, "\n", 1);
}

static bool help_row(struct buf *out, const struct option *row)
{
	if (row->group && !buf_printf(out, "\n%s\n", row->group))
		return false;
	if (!buf_printf(out, "    %s", row->name) ||
	    (row->alias && !buf_printf(out, " (or %s)", row->alias)) ||
	    !buf_printf(out, "  %s", kind_words[row->kind]) ||
	    (row->dflt && !buf_printf(out, ", default %s", row->dflt)) ||
	    !buf_append(out, "\n", 1) || !wrap(out, row->help))
		return false;
	return !*note(row) || wrap(out, note(row) + 1);
}

bool options_help(struct buf *out)
{
	if (!buf_printf(
		out,
		"containerboot joins a tailnet and carries traffic for the programs beside it.\n\n"
		"All settings come from the environment:\n"))
		return false;
	for (size_t i = 0; i < option_table_n; i++)
		if (!help_row(out, &option_table[i]))
			return false;
	return true;
}

static bool markdown_row(struct buf *out, const struct option *row)
{
	if (row->group &&
	    !buf_printf(out,
			"\n## %s\n\n| variable | kind | default | meaning |\n|---|---|---|---|\n",
			row->group))
		return false;
	if (!buf_printf(out, "| `%s`", row->name) ||
	    (row->alias && !buf_printf(out, ", `%s`", row->alias)))
		return false;
	if (!buf_printf(out, " | %s | ", kind_words[row->kind]) ||
	    (row->dflt ? !buf_printf(out, "`%s`", row->dflt) : !buf_append(out, "-", 1)))
		return false;
	return buf_printf(out, " | %s%s%s%s |\n", row->help, note(row),
			  row->flags & OPTION_OURS ? " *" : "",
			  row->flags & OPTION_NODE ? " +" : "");
}

bool options_markdown(struct buf *out)
{
	if (!buf_printf(out, "# Environment of containerboot\n\n"
			     "<!-- made by `make docs` from containerboot/option_table.c -->\n\n"
			     "The environment is the wanted state at each start: what differs from "
			     "the stored preferences is logged and applied.\n"
			     "A boolean is one of 1 t T TRUE true True 0 f F FALSE false False; "
			     "anything else warns and counts as the default. Any other\n"
			     "malformed value stops the program with one line. White space around "
			     "a value is cut off. An unknown `TS_*` warns. Rows marked * are "
			     "additions to the stock image, those marked + "
			     "may stand in TS_NODES_FILE.\n"))
		return false;
	for (size_t i = 0; i < option_table_n; i++)
		if (!markdown_row(out, &option_table[i]))
			return false;
	return true;
}
