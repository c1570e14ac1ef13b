/*
 * new_key: getrandom and the clock.
 */
#include "client/pygmy/new_key.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "db/limits.h"

bool new_key_make(char out[NEW_KEY_BYTES])
{
	unsigned char random[16];
	struct timespec now;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random) || clock_gettime(CLOCK_REALTIME, &now) != 0)
		return false;
	int len = snprintf(out, NEW_KEY_BYTES, "%lld.%03ld-", (long long)now.tv_sec, now.tv_nsec / 1000000);
	if (len < 0 || (size_t)len + 2 * sizeof(random) >= NEW_KEY_BYTES)
		return false;
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(out + len + 2 * i, 3, "%02x", random[i]);
	return true;
}

bool new_key_is_valid(const char *key)
{
	size_t len = strlen(key);
	return len >= 1 && len <= REQUEST_KEY_MAX_BYTES &&
	       strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") == len;
}
