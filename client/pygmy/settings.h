/*
 * settings: where the store is and with what it is asked.
 *
 * Order: the command line, the environment, one `KEY=value` file, the defaults. The file is $PYGMY_CONFIG when set (it must then
 * be readable), else <directory of the executable>/../etc/pygmy.env, else /etc/pygmy/pygmy.env, the first that exists. An empty
 * value counts as not set.
 */
#ifndef PYGMY_CLIENT_SETTINGS_H
#define PYGMY_CLIENT_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_URL_MAX_BYTES 256
#define SETTINGS_URLS_MAX 16
#define SETTINGS_PATH_MAX_BYTES 4096
#define SETTINGS_ETCD_MAX_BYTES 2048
#define SETTINGS_ERROR_MAX_BYTES 1024
#define SETTINGS_TIMEOUT_MAX_S 3600

/* Base URLs without a slash at the end; equal servers, asked in turn when one does not answer. */
struct settings_urls {
	char url[SETTINGS_URLS_MAX][SETTINGS_URL_MAX_BYTES];
	size_t count;
};

/* What the command line said; NULL or ARGS_NOT_GIVEN when it did not. */
struct settings_overrides {
	const char *url;
	const char *catalog_url;      /* one URL, or several with commas */
	const char *order_url;
	const char *token_file;
	int64_t timeout_s;
};

struct settings {
	char file[SETTINGS_PATH_MAX_BYTES];          /* the file that was read; empty: none */
	struct settings_urls frontend, catalog, order;
	char token_file[SETTINGS_PATH_MAX_BYTES];    /* empty: nobody said where it is */
	char etcd[SETTINGS_ETCD_MAX_BYTES];          /* of a cluster: endpoints with blanks between them; empty: none */
	char peer_ca[SETTINGS_PATH_MAX_BYTES];       /* TLS between machines: all three, or empty */
	char peer_certificate[SETTINGS_PATH_MAX_BYTES];
	char peer_key[SETTINGS_PATH_MAX_BYTES];
	int64_t timeout_ms;                          /* 0: not given, the command has its own */
};

/*
 * Fills out. executable_dir may be NULL. Reads the environment: before threads start. Errors: false, and a sentence of at most
 * SETTINGS_ERROR_MAX_BYTES in error.
 */
bool settings_load(const struct settings_overrides *overrides, const char *executable_dir, struct settings *out, char *error);

/* The directory of the running executable. Errors: false when it can't be told. */
bool settings_executable_dir(char *out, size_t size);

#endif
