/* ts2021/retry_after.c - see retry_after.h */
#include "ts2021/retry_after.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* RFC 9110 5.6.7, the only form that is sent: "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool date_parse(const char *text, wall_t *out)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char iso[48], month[4] = { 0 };
	const char *m;
	size_t at;

	if (strlen(text) != 29 || strcmp(text + 25, " GMT") != 0 || text[3] != ',')
		return false;
	memcpy(month, text + 8, 3);
	m = strstr(months, month);
	if (!m || (m - months) % 3 != 0)
		return false;
	at = (size_t)(m - months) / 3 + 1;
	snprintf(iso, sizeof iso, "%.4s-%02zu-%.2sT%.8sZ", text + 12, at, text + 5, text + 17);
	return wall_parse(bytes_str(iso), out);
}

span_t retry_after_asked(const char *text, wall_t now)
{
	uint64_t s;
	wall_t when;

	if (text_u64(bytes_str(text), &s) && s > 0 && s <= RETRY_AFTER_MAX_S)
		return SPAN_S(s);
	if (date_parse(text, &when) && now.ns > 0 && when.ns > now.ns &&
	    when.ns - now.ns <= RETRY_AFTER_MAX_S * NS_PER_S)
		return SPAN_NS(when.ns - now.ns);
	return SPAN_S(0);
}

span_t retry_after(const char *text, wall_t now, struct rng *rng)
{
	span_t asked = retry_after_asked(text, now);

	return asked.ns > 0
		   ? asked
		   : SPAN_MS(RETRY_AFTER_LOW_S * 1000 +
			     rng_below(rng, (RETRY_AFTER_HIGH_S - RETRY_AFTER_LOW_S) * 1000));
}
