/*
 * client_key: who counts as one client where something is counted per client: an IPv4 address, or the first 64 bits of an IPv6 address,
 * since one host can have all of those that have them in common.
 *
 * Pure; any thread may call. No key is zero but that of addresses that no client has from elsewhere (0.0.0.0, ::1 and its net).
 */
#ifndef PYGMY_NGINX_CLIENT_KEY_H
#define PYGMY_NGINX_CLIENT_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "db/slice.h"

/* From an address as text, without port. False when it is none. */
bool client_key_read(struct slice text, uint64_t *key);

/* From a peer's address. False when it is neither IPv4 nor IPv6. */
bool client_key_of(const struct sockaddr *address, uint64_t *key);

#endif
