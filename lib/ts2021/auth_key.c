/* ts2021/auth_key.c - see auth_key.h */
#include "ts2021/auth_key.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "ts2021/register.h"

int auth_key_set(char **held, const char *key)
{
	size_t n = key ? register_auth_key_len(key) : 0;
	char *p = NULL;

	if (n > AUTH_KEY_MAX)
		return -E2BIG;
	if (n > 0) {
		if (sodium_init() < 0)
			return -ENOMEM;
		p = sodium_malloc(n + 1);
		if (!p)
			return -ENOMEM;
		memcpy(p, key, n);
		p[n] = 0;
	}
	auth_key_free(*held);
	*held = p;
	return 0;
}

void auth_key_free(char *held)
{
	sodium_free(held); /* wipes */
}
