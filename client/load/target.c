/* load_target: see target.h. */
#include "client/load/target.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static bool take_parts(struct load_target *target, const char *host, const char *port, const char *path)
{
	size_t path_len = strlen(path);
	while (path_len > 0 && path[path_len - 1] == '/')
		path_len--;
	int host_len = snprintf(target->host, sizeof target->host, "%s:%s", host, port);
	int prefix_len = snprintf(target->prefix, sizeof target->prefix, "%.*s", (int)path_len, path);
	return host_len > 0 && host_len < (int)sizeof target->host && prefix_len >= 0 && prefix_len < (int)sizeof target->prefix;
}

bool load_target_read(struct load_target *target, const char *url)
{
	CURLU *parts = curl_url();
	char *host = NULL, *port = NULL, *path = NULL;
	bool good = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK
		    && curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK
		    && curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK
		    && curl_url_get(parts, CURLUPART_PATH, &path, 0) == CURLUE_OK && take_parts(target, host, port, path);
	curl_free(host);
	curl_free(port);
	curl_free(path);
	curl_url_cleanup(parts);
	return good;
}
