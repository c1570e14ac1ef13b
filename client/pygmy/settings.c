/*
 * settings: finds the file, then takes each setting from the first source that has it.
 */
#include "client/pygmy/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/pygmy/args.h"
#include "client/pygmy/base_url.h"
#include "client/pygmy/env_file.h"
#include "client/pygmy/small_file.h"

#define SYSTEM_FILE "/etc/pygmy/pygmy.env"

struct settings_source {
	struct settings *out;
	struct env_file file;
	char *error;
};

__attribute__((format(printf, 2, 3))) static bool settings_fail(const struct settings_source *source, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(source->error, SETTINGS_ERROR_MAX_BYTES, format, arguments);
	va_end(arguments);
	return false;
}

bool settings_executable_dir(char *out, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", out, size - 1);
	if (len <= 0 || (size_t)len >= size - 1)
		return false;
	out[len] = '\0';
	char *slash = strrchr(out, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

/* Our own entries must be understood; other names in the file are none of our business. */
static bool check_entries(struct settings_source *source)
{
	for (size_t i = 0; i < source->file.count; i++) {
		const struct env_entry *entry = &source->file.entries[i];
		bool ours = entry->name[0] == '\0' || strncmp(entry->name, "PYGMY_", 6) == 0;
		if (ours && entry->problem != NULL)
			return settings_fail(source, "the settings file %s, line %u %s", source->out->file, entry->line, entry->problem);
	}
	return true;
}

/* *found says whether the file is there. A missing one is an error only when must_exist. */
static bool read_file(struct settings_source *source, const char *path, bool must_exist, bool *found)
{
	struct text bytes = TEXT_INIT(ENV_FILE_MAX_BYTES);
	int error = small_file_read(path, &bytes, NULL);
	bool missing = error == ENOENT || error == ENOTDIR;
	*found = error == 0;
	bool done = true;
	if (error != 0 && (must_exist || !missing)) {
		done = settings_fail(source, "can't read the settings file %s: %s", path, strerror(error));
	} else if (*found) {
		(void)snprintf(source->out->file, sizeof(source->out->file), "%s", path);
		done = env_file_parse(bytes.bytes == NULL ? "" : bytes.bytes, bytes.len, &source->file) ||
		       settings_fail(source, "the settings file %s has more than %d lines with settings", path, ENV_FILE_ENTRIES_MAX);
		done = done && check_entries(source);
	}
	text_close(&bytes);
	return done;
}

/* Errors: a sentence in source->error. */
static void find_file(struct settings_source *source, const char *executable_dir)
{
	bool found = false;
	const char *named = getenv("PYGMY_CONFIG");
	if (named != NULL && named[0] != '\0') {
		(void)read_file(source, named, true, &found);
		return;
	}
	char path[SETTINGS_PATH_MAX_BYTES];
	int len = executable_dir == NULL ? -1 : snprintf(path, sizeof(path), "%s/../etc/pygmy.env", executable_dir);
	if (len > 0 && (size_t)len < sizeof(path) && (!read_file(source, path, false, &found) || found))
		return;
	(void)read_file(source, SYSTEM_FILE, false, &found);
}

/* NULL when neither the environment nor the file has it. Valid while the file is. */
static const char *find_value(const struct settings_source *source, const char *name)
{
	const char *value = getenv(name);
	if (value != NULL && value[0] != '\0')
		return value;
	const struct env_entry *entry = env_file_find(&source->file, name);
	return entry != NULL && entry->value != NULL && entry->value[0] != '\0' ? entry->value : NULL;
}

static bool add_url(const struct settings_source *source, const char *name, const char *text, size_t len, struct settings_urls *urls)
{
	if (urls->count == SETTINGS_URLS_MAX)
		return settings_fail(source, "%s has more than %d URLs", name, SETTINGS_URLS_MAX);
	if (!base_url_normalise(text, len, urls->url[urls->count], SETTINGS_URL_MAX_BYTES))
		return settings_fail(source, "%s: \"%.*s\" is not a URL like http://127.0.0.1:8010", name, (int)(len < 200 ? len : 200), text);
	urls->count++;
	return true;
}

/* One URL or several with commas. */
static bool set_urls(const struct settings_source *source, const char *name, const char *list, struct settings_urls *urls)
{
	urls->count = 0;
	for (const char *at = list;;) {
		size_t len = strcspn(at, ",");
		if (!add_url(source, name, at, len, urls))
			return false;
		if (at[len] == '\0')
			return true;
		at += len + 1;
	}
}

static bool add_local_url(const struct settings_source *source, const char *port_name, int64_t port, struct settings_urls *urls)
{
	const char *listen = find_value(source, "PYGMY_LISTEN");
	const char *port_text = find_value(source, port_name);
	if (port_text != NULL && !args_parse_integer(port_text, 1, 65535, &port))
		return settings_fail(source, "%s is \"%.40s\"; a port is a number from 1 to 65535", port_name, port_text);
	char url[SETTINGS_URL_MAX_BYTES];
	if (!base_url_for_listen(listen == NULL ? "127.0.0.1" : listen, port, url, sizeof(url)))
		return settings_fail(source, "PYGMY_LISTEN is \"%.100s\"; it takes one address", listen);
	return add_url(source, port_name, url, strlen(url), urls);
}

struct server_setting {
	const char *option, *override_value, *name;
	const char *ports[2];
	int64_t default_ports[2];
	struct settings_urls *urls;
};

static bool set_server(const struct settings_source *source, const struct server_setting *server)
{
	if (server->override_value != NULL)
		return set_urls(source, server->option, server->override_value, server->urls);
	const char *value = find_value(source, server->name);
	if (value != NULL)
		return set_urls(source, server->name, value, server->urls);
	for (size_t i = 0; i < 2 && server->ports[i] != NULL; i++) {
		if (!add_local_url(source, server->ports[i], server->default_ports[i], server->urls))
			return false;
	}
	return true;
}

static bool set_servers(const struct settings_source *source, const struct settings_overrides *overrides)
{
	const struct server_setting servers[] = {
		{ "--url", overrides->url, "PYGMY_URL", { "PYGMY_PORT_FRONTEND" }, { 8010 }, &source->out->frontend },
		{ "--catalog-url", overrides->catalog_url, "PYGMY_CATALOG_URL", { "PYGMY_PORT_CATALOG_A", "PYGMY_PORT_CATALOG_B" },
		  { 8011, 8012 }, &source->out->catalog },
		{ "--order-url", overrides->order_url, "PYGMY_ORDER_URL", { "PYGMY_PORT_ORDER_A", "PYGMY_PORT_ORDER_B" },
		  { 8013, 8014 }, &source->out->order },
	};
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		if (!set_server(source, &servers[i]))
			return false;
	}
	return true;
}

static bool set_token_file(const struct settings_source *source, const char *override_value)
{
	const char *folder = find_value(source, "PYGMY_SECRETS_DIR");
	const char *state = find_value(source, "PYGMY_STATE_DIR");
	char *out = source->out->token_file;
	size_t size = sizeof(source->out->token_file);
	int len = 0;
	out[0] = '\0';
	if (override_value != NULL)
		len = snprintf(out, size, "%s", override_value);
	else if (folder != NULL)
		len = snprintf(out, size, "%s/admin.token", folder);
	else if (state != NULL)
		len = snprintf(out, size, "%s/secrets/admin.token", state);
	return (len >= 0 && (size_t)len < size) || settings_fail(source, "the path of the token file is too long");
}

static bool set_path(const struct settings_source *source, const char *name, char out[SETTINGS_PATH_MAX_BYTES])
{
	const char *value = find_value(source, name);
	int len = snprintf(out, SETTINGS_PATH_MAX_BYTES, "%s", value == NULL ? "" : value);
	return (len >= 0 && len < SETTINGS_PATH_MAX_BYTES) || settings_fail(source, "%s is too long", name);
}

static bool set_certificates(const struct settings_source *source)
{
	struct settings *out = source->out;
	return set_path(source, "PYGMY_PEER_CA", out->peer_ca) && set_path(source, "PYGMY_PEER_CERT", out->peer_certificate) &&
	       set_path(source, "PYGMY_PEER_KEY", out->peer_key);
}

static bool set_etcd(const struct settings_source *source)
{
	const char *value = find_value(source, "PYGMY_ETCD");
	int len = snprintf(source->out->etcd, sizeof(source->out->etcd), "%s", value == NULL ? "" : value);
	return (len >= 0 && (size_t)len < sizeof(source->out->etcd)) || settings_fail(source, "PYGMY_ETCD is too long");
}

bool settings_load(const struct settings_overrides *overrides, const char *executable_dir, struct settings *out, char *error)
{
	*out = (struct settings){ .timeout_ms = overrides->timeout_s == ARGS_NOT_GIVEN ? 0 : overrides->timeout_s * 1000 };
	error[0] = '\0';
	struct settings_source source = { .out = out, .error = error };
	find_file(&source, executable_dir);
	bool done = error[0] == '\0' && set_servers(&source, overrides) && set_token_file(&source, overrides->token_file) &&
		    set_certificates(&source) && set_etcd(&source);
	env_file_close(&source.file);
	return done;
}
