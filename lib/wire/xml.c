/* wire/xml.c - see xml.h
 *
 * XML 1.0 (fifth edition), of it: 2.2 characters, 2.4 text, 2.5 comments, 2.6 processing
 * instructions, 2.7 CDATA, 3.1 tags, 4.1 and 4.6 references.
 */
#include "wire/xml.h"

#include <string.h>

enum { REFERENCE_MAX = 10 }; /* "#x10ffff;" */

struct xml xml_of(struct bytes document)
{
	static const char mark[] = "\xef\xbb\xbf"; /* UTF-8 byte order mark */
	struct xml x = { .r = rd_bytes(document) };

	if (document.len >= 3 && memcmp(document.data, mark, 3) == 0)
		rd_skip(&x.r, 3);
	return x;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ASCII names; what else a name may be (2.3), no device needs */
static bool is_name(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == ':';
}

static bool at(const struct rd *r, const char *text)
{
	size_t n = strlen(text);

	return r->left >= n && memcmp(r->p, text, n) == 0;
}

static void skip_blanks(struct rd *r)
{
	while (r->left > 0 && is_blank(*r->p))
		rd_skip(r, 1);
}

/* What lies before `end`, which is taken too; failed when it never comes. */
static struct bytes take_until(struct rd *r, const char *end)
{
	const uint8_t *start = r->p;
	const uint8_t *hit = r->left ? memmem(r->p, r->left, end, strlen(end)) : NULL;
	struct bytes b = { start, hit ? (size_t)(hit - start) : 0 };

	rd_skip(r, hit ? b.len + strlen(end) : r->left + 1);
	return b;
}

static struct bytes take_name(struct rd *r)
{
	struct bytes b = { r->p, 0 };

	while (r->left > 0 && is_name(*r->p)) {
		b.len++;
		rd_skip(r, 1);
	}
	if (b.len == 0 || b.len > XML_NAME_MAX)
		rd_skip(r, r->left + 1);
	return b;
}

static struct bytes without_prefix(struct bytes name)
{
	const uint8_t *colon = memchr(name.data, ':', name.len);
	size_t skip = colon ? (size_t)(colon - name.data) + 1 : 0;

	return bytes_of(name.data + skip, name.len - skip);
}

/* name="..." or name='...'; no < inside (3.1) */
static void skip_attribute(struct rd *r)
{
	struct bytes value;
	uint8_t quote;

	(void)take_name(r);
	skip_blanks(r);
	if (rd_u8(r) != '=')
		rd_skip(r, r->left + 1);
	skip_blanks(r);
	quote = rd_u8(r);
	if (quote != '"' && quote != '\'')
		rd_skip(r, r->left + 1);
	value = take_until(r, quote == '"' ? "\"" : "'");
	if (value.len > 0 && memchr(value.data, '<', value.len))
		rd_skip(r, r->left + 1);
}

static enum xml_event bad(struct xml *x)
{
	x->is_bad = true;
	return XML_BAD;
}

/* after "<" */
static enum xml_event open_tag(struct xml *x)
{
	struct rd *r = &x->r;
	struct bytes name = take_name(r);

	if (!rd_ok(r) || x->depth == XML_DEPTH_MAX || (x->depth == 0 && x->is_begun))
		return bad(x); /* a second root, too */
	for (;;) {
		bool blank = r->left > 0 && is_blank(*r->p);

		skip_blanks(r);
		if (at(r, ">") || at(r, "/>"))
			break;
		if (!blank)
			return bad(x);
		skip_attribute(r);
		if (!rd_ok(r))
			return bad(x);
	}
	x->closes = at(r, "/>");
	rd_skip(r, x->closes ? 2 : 1);
	x->open[x->depth++] = name;
	x->is_begun = true;
	x->name = without_prefix(name);
	return XML_OPEN;
}

/* after "</" */
static enum xml_event close_tag(struct xml *x)
{
	struct bytes name = take_name(&x->r);

	skip_blanks(&x->r);
	if (rd_u8(&x->r) != '>' || x->depth == 0 || !bytes_eq(name, x->open[x->depth - 1]))
		return bad(x);
	x->depth--;
	x->name = without_prefix(name);
	return XML_CLOSE;
}

/* Bytes that no text may have (2.2); 8-bit characters pass as they are. */
static bool is_clean(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < ' ' && !is_blank(text.data[i]))
			return false;
	return true;
}

static struct bytes trimmed(struct bytes b)
{
	while (b.len > 0 && is_blank(b.data[0]))
		b.data++, b.len--;
	while (b.len > 0 && is_blank(b.data[b.len - 1]))
		b.len--;
	return b;
}

/* XML_TEXT, or XML_END for "nothing worth an event" */
static enum xml_event text_piece(struct xml *x, struct bytes raw, bool is_literal)
{
	x->text = trimmed(raw);
	x->is_literal = is_literal;
	if (x->depth > 0)
		x->name = without_prefix(x->open[x->depth - 1]);
	if (!is_clean(raw) || (x->depth == 0 && x->text.len > 0))
		return bad(x);
	return x->text.len > 0 ? XML_TEXT : XML_END;
}

static struct bytes take_text(struct rd *r)
{
	const uint8_t *lt = memchr(r->p, '<', r->left);
	size_t n = lt ? (size_t)(lt - r->p) : r->left;

	return bytes_of(rd_take(r, n), n);
}

/* One piece of markup or text; XML_END: go on. */
static enum xml_event token(struct xml *x)
{
	struct rd *r = &x->r;

	if (!at(r, "<"))
		return text_piece(x, take_text(r), false);
	if (at(r, "<!--")) {
		rd_skip(r, 4);
		(void)take_until(r, "-->");
	} else if (at(r, "<![CDATA[")) {
		struct bytes raw;

		rd_skip(r, 9);
		raw = take_until(r, "]]>");
		return rd_ok(r) ? text_piece(x, raw, true) : bad(x);
	} else if (at(r, "<?")) {
		(void)take_until(r, "?>");
	} else if (at(r, "</")) {
		rd_skip(r, 2);
		return close_tag(x);
	} else {
		rd_skip(r, 1);
		return open_tag(x); /* "<!DOCTYPE" has no name here */
	}
	return rd_ok(r) ? XML_END : bad(x);
}

enum xml_event xml_next(struct xml *x)
{
	enum xml_event ev;

	if (x->is_bad)
		return XML_BAD;
	if (x->closes) {
		x->closes = false;
		x->name = without_prefix(x->open[--x->depth]);
		return XML_CLOSE;
	}
	while (x->r.left > 0) {
		if (++x->n_tokens > XML_TOKENS_MAX)
			return bad(x);
		ev = token(x);
		if (ev != XML_END)
			return ev;
	}
	return rd_ok(&x->r) && x->is_begun && x->depth == 0 ? XML_END : bad(x);
}

/* --- references --- */

static bool number(struct bytes digits, uint32_t *out)
{
	bool is_hex = digits.len > 0 && digits.data[0] == 'x';
	uint32_t v = 0, base = is_hex ? 16 : 10;

	if (digits.len == (is_hex ? 1U : 0U) || digits.len > REFERENCE_MAX)
		return false;
	for (size_t i = is_hex; i < digits.len; i++) {
		uint8_t c = digits.data[i];
		uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
			     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
			     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
						    : 16;

		if (d >= base || v > 0x10ffff)
			return false;
		v = v * base + d;
	}
	*out = v;
	return true;
}

/* The character that a reference (without & and ;) stands for: ASCII only, which is what devices
 * write that way. */
static bool referred(struct bytes name, char *out)
{
	static const struct {
		const char *name;
		char c;
	} known[] = {
		{ "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' },
	};
	uint32_t v;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (bytes_eq_str(name, known[i].name)) {
			*out = known[i].c;
			return true;
		}
	if (name.len < 2 || name.data[0] != '#' ||
	    !number(bytes_of(name.data + 1, name.len - 1), &v) || v < ' ' || v >= 0x7f)
		return false;
	*out = (char)v;
	return true;
}

bool xml_text(const struct xml *x, char *out, size_t cap)
{
	struct rd r = rd_bytes(x->text);
	size_t n = 0;

	out[0] = 0;
	while (r.left > 0) {
		char c = (char)rd_u8(&r);

		if (c == '&' && !x->is_literal &&
		    (!referred(take_until(&r, ";"), &c) || !rd_ok(&r)))
			break;
		if (n + 1 >= cap)
			break;
		out[n++] = c;
		if (r.left == 0) {
			out[n] = 0;
			return true;
		}
	}
	out[0] = 0;
	return false;
}

bool xml_escape(struct buf *b, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		const char *as = text.data[i] == '&'    ? "&amp;"
				 : text.data[i] == '<'  ? "&lt;"
				 : text.data[i] == '>'  ? "&gt;"
				 : text.data[i] == '"'  ? "&quot;"
				 : text.data[i] == '\'' ? "&apos;"
							: NULL;

		if (!(as ? buf_append(b, as, strlen(as)) : buf_append(b, text.data + i, 1)))
			return false;
	}
	return true;
}
