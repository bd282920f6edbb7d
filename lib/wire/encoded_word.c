/* wire/encoded_word.c - see encoded_word.h */
#include "wire/encoded_word.h"

#include <stdio.h>

enum { WORD_MAX = 75 };
#define BEGIN "=?utf-8?q?"
#define END "?="

static bool is_plain(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] > '~')
			return false;
	return true;
}

/* one byte as it stands within a word */
static int encode(uint8_t c, char out[4])
{
	if (c == ' ')
		return snprintf(out, 4, "_");
	if (c > ' ' && c <= '~' && c != '=' && c != '?' && c != '_')
		return snprintf(out, 4, "%c", c);
	return snprintf(out, 4, "=%02X", c);
}

/* bytes of the character at the beginning: one that is no UTF-8 counts alone */
static size_t character(struct bytes text)
{
	size_t n = 1;

	while (n < text.len && n < 4 && text.data[0] >= 0xc0 && (text.data[n] & 0xc0) == 0x80)
		n++;
	return n;
}

bool encoded_word(struct buf *out, struct bytes text)
{
	const size_t room = WORD_MAX - (sizeof BEGIN - 1) - (sizeof END - 1);
	size_t used = 0;

	if (is_plain(text))
		return buf_append(out, text.data, text.len);
	if (!buf_printf(out, BEGIN))
		return false;
	while (text.len > 0) {
		const size_t n = character(text);
		char piece[16];
		size_t len = 0;

		for (size_t i = 0; i < n; i++)
			len += (size_t)encode(text.data[i], piece + len);
		if (used + len > room) {
			if (!buf_printf(out, END " " BEGIN))
				return false;
			used = 0;
		}
		if (!buf_append(out, piece, len))
			return false;
		used += len;
		text.data += n;
		text.len -= n;
	}
	return buf_printf(out, END);
}
