/*
 * base_url: checks and normalises the URL of a server.
 */
#ifndef PYGMY_CLIENT_BASE_URL_H
#define PYGMY_CLIENT_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `http[s]://host[:port][/path]` without user, query and fragment; slashes at the end are cut. Errors: false. */
bool base_url_normalise(const char *text, size_t len, char *out, size_t size);

/* The URL at which a server can be asked that listens on this address (0.0.0.0 and :: become loopback). Errors: false. */
bool base_url_for_listen(const char *address, int64_t port, char *out, size_t size);

/* Whether the host is this machine: localhost, 127.0.0.0/8 or ::1. For normalised URLs. */
bool base_url_is_loopback(const char *url);

#endif
