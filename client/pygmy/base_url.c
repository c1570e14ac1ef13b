/*
 * base_url: libcurl's URL parser decides what a URL is; its codes become true and false here.
 */
#include "client/pygmy/base_url.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool has_part(CURLU *handle, CURLUPart part)
{
	char *value = NULL;
	bool has = curl_url_get(handle, part, &value, 0) == CURLUE_OK;
	curl_free(value);
	return has;
}

static bool is_base_url(const char *url)
{
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return false;
	CURLU *handle = curl_url();
	if (handle == NULL)
		return false;
	bool good = curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK && !has_part(handle, CURLUPART_USER) &&
		    !has_part(handle, CURLUPART_PASSWORD) && !has_part(handle, CURLUPART_QUERY) && !has_part(handle, CURLUPART_FRAGMENT);
	curl_url_cleanup(handle);
	return good;
}

bool base_url_normalise(const char *text, size_t len, char *out, size_t size)
{
	while (len > 0 && text[len - 1] == '/')
		len--;
	if (len == 0 || len >= size || memchr(text, '?', len) != NULL || memchr(text, '#', len) != NULL)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7F)
			return false;
	}
	memcpy(out, text, len);
	out[len] = '\0';
	return is_base_url(out);
}

bool base_url_for_listen(const char *address, int64_t port, char *out, size_t size)
{
	if (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "*") == 0)
		address = "127.0.0.1";
	else if (strcmp(address, "::") == 0 || strcmp(address, "[::]") == 0)
		address = "[::1]";
	if (address[0] == '\0' || strpbrk(address, "/@?# \t") != NULL)
		return false;
	bool bare_ipv6 = address[0] != '[' && strchr(address, ':') != NULL;
	int len = snprintf(out, size, bare_ipv6 ? "http://[%s]:%" PRId64 : "http://%s:%" PRId64, address, port);
	return len > 0 && (size_t)len < size;
}

bool base_url_is_loopback(const char *url)
{
	const char *host = strstr(url, "://");
	if (host == NULL)
		return false;
	host += 3;
	size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	return (len == 9 && strncmp(host, "localhost", 9) == 0) || (len == 5 && strncmp(host, "[::1]", 5) == 0) ||
	       (len >= 7 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len);
}
