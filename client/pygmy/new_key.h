/*
 * new_key: makes request keys (Idempotency-Key).
 */
#ifndef PYGMY_CLIENT_NEW_KEY_H
#define PYGMY_CLIENT_NEW_KEY_H

#include <stdbool.h>

#define NEW_KEY_BYTES 56

/*
 * `<seconds.milliseconds>-<32 random hex digits>` and NUL: never made twice; the time in front keeps the store's
 * index of keys growing at its end. Errors: false when the system gives no random numbers.
 */
bool new_key_make(char out[NEW_KEY_BYTES]);

/* Whether the store takes it: 1 to REQUEST_KEY_MAX_BYTES of [A-Za-z0-9._:-]. */
bool new_key_is_valid(const char *key);

#endif
