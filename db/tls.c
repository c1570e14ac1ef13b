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

void tls_apply(CURL *curl, const struct tls_files *tls)
{
	if (!tls_is_on(tls))
		return;
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* A file that is missing makes every transfer fail. The machine's own authorities count for nothing here. */
	curl_easy_setopt(curl, CURLOPT_CAINFO, is_given(tls->ca) ? tls->ca : "/nonexistent/no-authority-is-configured");
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_SSLCERT, is_given(tls->certificate) ? tls->certificate : "/nonexistent/no-certificate-is-configured");
	curl_easy_setopt(curl, CURLOPT_SSLKEY, is_given(tls->key) ? tls->key : "/nonexistent/no-key-is-configured");
}
