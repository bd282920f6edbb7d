/* wire/xml_test.c - what the reader takes, what it refuses, and its limits */
#include "wire/xml.h"

#include <stdlib.h>

#include "tests/harness.h"

/* The events of a document as text: "<a", ">a", "'text", and "." or "!" at the end. */
static const char *events_of(struct bytes doc)
{
	static char out[4096];
	struct xml x = xml_of(doc);
	enum xml_event ev;
	size_t n = 0;

	do {
		char text[256];

		ev = xml_next(&x);
		switch (ev) {
		case XML_OPEN:
		case XML_CLOSE:
			n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s ",
					      ev == XML_OPEN ? "<" : ">", (int)x.name.len,
					      (const char *)x.name.data);
			break;
		case XML_TEXT:
			n += (size_t)snprintf(out + n, sizeof out - n, "'%s ",
					      xml_text(&x, text, sizeof text) ? text : "?");
			break;
		case XML_END:
		case XML_BAD:
			snprintf(out + n, sizeof out - n, ev == XML_END ? "." : "!");
			break;
		}
		ck_assert_uint_lt(n, sizeof out);
	} while (ev != XML_END && ev != XML_BAD);
	ck_assert_int_eq(xml_next(&x), ev); /* the last one is final */
	return out;
}

static const char *events(const char *doc)
{
	return events_of(bytes_str(doc));
}

TEST(xml_reads_elements_text_and_names_without_prefix)
{
	ck_assert_str_eq(events("<?xml version=\"1.0\"?>\r\n<a><!-- c --><x:b c='1' d = \"2>\">"
				" t u </x:b><e/></a>\n"),
			 "<a <b 't u >b <e >e >a .");
	ck_assert_str_eq(events("\xef\xbb\xbf<a/>"), "<a >a .");
}

TEST(xml_undoes_references_and_takes_cdata_as_it_is)
{
	ck_assert_str_eq(events("<a>&lt;&#65;&#x42;&amp;&quot;&apos;&gt;</a>"),
			 "<a '<AB&\"'> >a .");
	ck_assert_str_eq(events("<a><![CDATA[<b>&amp;]]></a>"), "<a '<b>&amp; >a .");
}

TEST(xml_knows_no_other_reference)
{
	static const char *const bad[] = { "&x;",  "&#0;", "&#;",           "&#x;",
					   "&#x;", "&#65", "&#xg;",         "&#256;",
					   "&;",   "&amp", "&#99999999999;" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char doc[64];

		snprintf(doc, sizeof doc, "<a>%s</a>", bad[i]);
		ck_assert_str_eq(events(doc), "<a '? >a .");
	}
}

TEST(xml_refuses_what_is_no_document)
{
	static const char *const bad[] = {
		"",
		"  ",
		"text",
		"<a>",
		"<a></b>",
		"</a>",
		"<a/><b/>",
		"<a/>text",
		"text<a/>",
		"<a b></a>",
		"<a b=c></a>",
		"<a b='<'></a>",
		"<a b='1'c='2'/>",
		"<a b=\"1></a>",
		"<!-- no end",
		"<a><!-- no end</a>",
		"<a><![CDATA[no end</a>",
		"<?xml",
		"<>",
		"< a/>",
		"<a",
		"<a>\x01</a>",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *got = events(bad[i]);

		ck_assert_msg(got[strlen(got) - 1] == '!', "%s gave %s", bad[i], got);
	}
}

TEST(xml_refuses_a_document_type)
{
	ck_assert_str_eq(events("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"), "!");
}

static char *nested(size_t depth)
{
	char *doc = calloc(1, 7 * depth + 1), *p = doc;

	ck_assert_ptr_nonnull(doc);
	for (size_t i = 0; i < depth; i++)
		p = stpcpy(p, "<a>");
	for (size_t i = 0; i < depth; i++)
		p = stpcpy(p, "</a>");
	return doc;
}

static void ends_with(struct bytes doc, char want)
{
	struct xml x = xml_of(doc);
	enum xml_event ev;

	do
		ev = xml_next(&x);
	while (ev != XML_END && ev != XML_BAD);
	ck_assert_int_eq(ev == XML_END ? '.' : '!', want);
}

TEST(xml_keeps_its_limits)
{
	char *fits = nested(XML_DEPTH_MAX), *deep = nested(XML_DEPTH_MAX + 1);
	char name[XML_NAME_MAX + 8];
	struct buf doc;

	ends_with(bytes_str(fits), '.');
	ends_with(bytes_str(deep), '!');
	free(fits);
	free(deep);
	for (size_t len = XML_NAME_MAX; len <= XML_NAME_MAX + 1; len++) {
		memset(name, 'a', sizeof name);
		name[0] = '<';
		memcpy(name + 1 + len, "/>", 3);
		ends_with(bytes_str(name), len == XML_NAME_MAX ? '.' : '!');
	}
	for (int i = 0; i < 2; i++) { /* <a>, pairs of x and a comment, </a> */
		buf_init(&doc, 1 << 20);
		ck_assert(buf_printf(&doc, "<a>"));
		for (int k = 0; k < XML_TOKENS_MAX - 2 + i; k++)
			ck_assert(buf_printf(&doc, "<!---->"));
		ck_assert(buf_printf(&doc, "</a>"));
		ends_with(buf_bytes(&doc), i ? '!' : '.');
		buf_fini(&doc);
	}
}

TEST(xml_text_says_when_it_does_not_fit)
{
	struct xml x = xml_of(bytes_str("<a>four</a>"));
	char out[5];

	ck_assert_int_eq(xml_next(&x), XML_OPEN);
	ck_assert_int_eq(xml_next(&x), XML_TEXT);
	ck_assert(xml_text(&x, out, 5));
	ck_assert_str_eq(out, "four");
	ck_assert(!xml_text(&x, out, 4));
	ck_assert_str_eq(out, "");
}

TEST(xml_survives_a_cut_at_every_byte)
{
	static const char doc[] = "<?xml version='1.0'?><a b=\"c\"><!-- d --><e>&lt;f<![CDATA[g]]>"
				  "</e><h/></a>";

	for (size_t n = 0; n < sizeof doc - 1; n++) {
		uint8_t *copy = malloc(n ? n : 1); /* so that a sanitizer sees the end */

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, doc, n);
		ends_with(bytes_of(copy, n), '!');
		free(copy);
	}
	ends_with(bytes_str(doc), '.');
}

TEST(xml_escapes_what_it_reads_back)
{
	char doc[128], out[32];
	struct buf b;
	struct xml x;

	buf_init(&b, 100);
	ck_assert(xml_escape(&b, bytes_str("a<b>&\"c'")));
	snprintf(doc, sizeof doc, "<a>%.*s</a>", (int)b.len, (const char *)b.data);
	x = xml_of(bytes_str(doc));
	ck_assert_int_eq(xml_next(&x), XML_OPEN);
	ck_assert_int_eq(xml_next(&x), XML_TEXT);
	ck_assert(xml_text(&x, out, sizeof out));
	ck_assert_str_eq(out, "a<b>&\"c'");
	buf_fini(&b);
}
