/*
 * tls: the certificate files with which this machine proves who it is to the others of its store, and checks them: mutual TLS
 * with the deployment's own certificate authority.
 */
#ifndef PYGMY_DB_TLS_H
#define PYGMY_DB_TLS_H

#include <curl/curl.h>
#include <stdbool.h>

/* Paths of PEM files; all "" or NULL: no TLS. */
struct tls_files {
	const char *ca;
	const char *certificate;
	const char *key;
};

/* Whether TLS is configured. NULL: no. */
bool tls_is_on(const struct tls_files *tls);

/*
 * Makes the transfer present the certificate and accept only peers that the CA has signed. TLS 1.2 at least. No effect when off.
 * False: there is no memory, and the transfer must not be made.
 */
bool tls_apply(CURL *curl, const struct tls_files *tls);

#endif
