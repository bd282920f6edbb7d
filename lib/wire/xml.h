/* wire/xml.h - a strict pull reader of the XML that small devices write
 *
 * Elements and their text, nothing else: attributes are checked for their quotes and skipped, names
 * come without their prefix. What could make a reader do work or reach out is refused: a document
 * type, and with it every entity of its own. Comments and processing instructions are skipped.
 *
 *      struct xml x = xml_of(body);
 *      while ((ev = xml_next(&x)) != XML_END && ev != XML_BAD)
 *              ... XML_OPEN and XML_CLOSE: x.name; XML_TEXT: xml_text(x.text, out, cap)
 */
#ifndef WIRE_XML_H
#define WIRE_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cursor.h"

enum {                        /* ours */
       XML_DEPTH_MAX = 16,    /* a device description needs 9 */
       XML_NAME_MAX = 64,     /* bytes of a name with its prefix */
       XML_TOKENS_MAX = 4096, /* tags, comments and pieces of text of a document */
};

enum xml_event {
	XML_OPEN,  /* <name>; <name/> gives XML_CLOSE too */
	XML_CLOSE, /* </name> */
	XML_TEXT,  /* not blank; an element's text may come in pieces (comments, CDATA) */
	XML_END,   /* one whole element and nothing behind it */
	XML_BAD,   /* malformed or past a limit; final */
};

struct xml {
	struct bytes name, text; /* of the last event (of a text: the element that it is in); views
				    into the document */
	bool is_literal;         /* text of a CDATA section: & is itself */
	size_t depth;            /* of elements open, the one just opened included */
	/* progress */
	struct rd r;
	struct bytes open[XML_DEPTH_MAX];
	size_t n_tokens;
	bool is_begun, closes, is_bad;
};

struct xml xml_of(struct bytes document); /* borrowed while it is read */
enum xml_event xml_next(struct xml *x);
/* The text of the last XML_TEXT without blanks around it, references undone; NUL-terminated. false:
 * an unknown reference, a NUL, or too long for cap; out is then "" */
MUST_USE bool xml_text(const struct xml *x, char *out, size_t cap);

/* Appends text with the five characters that mean something as references */
MUST_USE bool xml_escape(struct buf *b, struct bytes text);

#endif
