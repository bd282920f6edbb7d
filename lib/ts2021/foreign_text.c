/* ts2021/foreign_text.c - see foreign_text.h */
#include "ts2021/foreign_text.h"

#include "base/text.h"

static bool starts(struct bytes in, const char *word)
{
	size_t n = strlen(word);

	return n > 0 && in.len >= n && memcmp(in.data, word, n) == 0;
}

/* Length of a secret that begins here, or 0 */
static size_t secret_len(struct bytes in, const char *secret)
{
	static const char *const prefixes[] = { "tskey-", "hskey-auth-", "hskey-api-", "privkey:" };
	size_t n = 0;

	if (secret && starts(in, secret))
		return strlen(secret);
	for (size_t i = 0; i < ARRAY_LEN(prefixes) && n == 0; i++)
		if (starts(in, prefixes[i]))
			n = strlen(prefixes[i]);
	if (n == 0)
		return 0;
	while (n < in.len && in.data[n] > ' ' && in.data[n] != '"' && in.data[n] != ',' &&
	       in.data[n] < 0x7f)
		n++;
	return n;
}

void foreign_text(struct bytes in, const char *secret, char out[static FOREIGN_TEXT_MAX])
{
	static const char mask[] = "(key)";
	size_t n = 0;

	for (size_t i = 0; i < in.len && n < FOREIGN_TEXT_MAX - 1;) {
		size_t k = secret_len(bytes_of(in.data + i, in.len - i), secret);

		if (k > 0) {
			if (n + sizeof mask > FOREIGN_TEXT_MAX)
				break;
			memcpy(out + n, mask, sizeof mask - 1);
			n += sizeof mask - 1;
			i += k;
			continue;
		}
		k = utf8_shown_len(bytes_of(in.data + i, in.len - i));
		if (n + k > FOREIGN_TEXT_MAX - 1)
			break;
		memcpy(out + n, k ? (const char *)in.data + i : " ", k ? k : 1);
		n += k ? k : 1;
		i += k ? k : 1;
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = 0;
}
