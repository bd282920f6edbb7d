/* pod/ids.c - see ids.h */
#include "pod/ids.h"

#include <string.h>

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool pod_is_id(struct bytes text, size_t max)
{
	if (text.len == 0 || text.len > max || !is_alnum(text.data[0]))
		return false;
	for (size_t i = 1; i < text.len; i++)
		if (!is_alnum(text.data[i]) && !strchr("_.-", text.data[i]))
			return false;
	return memchr(text.data, 0, text.len) == NULL;
}

bool pod_is_ifname(struct bytes text)
{
	if (text.len == 0 || text.len > POD_IFNAME_MAX || bytes_eq_str(text, ".") ||
	    bytes_eq_str(text, ".."))
		return false;
	for (size_t i = 0; i < text.len; i++) /* as the kernel's dev_valid_name */
		if (text.data[i] <= ' ' || text.data[i] == '/' || text.data[i] == ':' ||
		    text.data[i] == 0x7f)
			return false;
	return true;
}

bool pod_namespace_matches(struct bytes pattern, struct bytes name)
{
	if (pattern.len > 0 && pattern.data[pattern.len - 1] == '*') {
		pattern.len--;
		name.len = MIN_OF(name.len, pattern.len);
	}
	return bytes_eq(pattern, name);
}
