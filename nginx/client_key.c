/* client_key: see client_key.h. */
#include "nginx/client_key.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static uint64_t key_of_v4(const struct in_addr *address)
{
	return ntohl(address->s_addr);
}

static uint64_t key_of_v6(const struct in6_addr *address)
{
	struct in_addr inner;
	uint64_t key = 0;
	if (IN6_IS_ADDR_V4MAPPED(address)) {
		memcpy(&inner, &address->s6_addr[12], sizeof inner);
		return key_of_v4(&inner);
	}
	for (int i = 0; i < 8; i++)
		key = key << 8 | address->s6_addr[i];
	return key;
}

bool client_key_read(struct slice text, uint64_t *key)
{
	char copy[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;
	if (text.len == 0 || text.len >= sizeof copy)
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, &v4) == 1)
		*key = key_of_v4(&v4);
	else if (inet_pton(AF_INET6, copy, &v6) == 1)
		*key = key_of_v6(&v6);
	else
		return false;
	return true;
}

bool client_key_of(const struct sockaddr *address, uint64_t *key)
{
	if (address->sa_family == AF_INET)
		*key = key_of_v4(&((const struct sockaddr_in *)(const void *)address)->sin_addr);
	else if (address->sa_family == AF_INET6)
		*key = key_of_v6(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
	else
		return false;
	return true;
}
