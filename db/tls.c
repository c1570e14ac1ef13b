/* tls: see tls.h. */
#include "db/tls.h"

static bool is_given(const char *path)
{
	return path != NULL && path[0] != '\0';
}

bool tls_is_on(const struct tls_files *tls)
{
	return tls != NULL && (is_given(tls->ca) || is_given(tls->certificate) || is_given(tls->key));
}

/* A file that is missing makes every transfer fail. */
static bool set_path(CURL *curl, CURLoption option, const char *path)
{
	return curl_easy_setopt(curl, option, is_given(path) ? path : "/nonexistent/this-path-is-not-configured") == CURLE_OK;
}

bool tls_apply(CURL *curl, const struct tls_files *tls)
{
	if (!tls_is_on(tls))
		return true;
	/* The machine's own authorities (CAPATH) count for nothing here. */
	return curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK && curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK && set_path(curl, CURLOPT_CAINFO, tls->ca) &&
	       set_path(curl, CURLOPT_SSLCERT, tls->certificate) && set_path(curl, CURLOPT_SSLKEY, tls->key);
}
