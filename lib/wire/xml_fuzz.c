/* wire/xml_fuzz.c - any bytes as a document: bounded work, balanced events, text within its cap */
#include <assert.h>
#include <string.h>

#include "wire/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct xml x = xml_of(bytes_of(data, len));
	size_t depth = 0, events = 0;
	enum xml_event ev;
	char text[32];

	while ((ev = xml_next(&x)) != XML_END && ev != XML_BAD) {
		assert(++events <= 2 * XML_TOKENS_MAX);
		switch (ev) {
		case XML_OPEN:
			assert(x.name.len <= XML_NAME_MAX && ++depth == x.depth);
			break;
		case XML_CLOSE:
			assert(depth > 0);
			depth--;
			break;
		default:
			assert(x.text.len > 0 && depth > 0);
			if (xml_text(&x, text, sizeof text))
				assert(strlen(text) < sizeof text);
			break;
		}
	}
	assert(ev == XML_BAD || depth == 0);
	return 0;
}
