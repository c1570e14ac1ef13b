/* config: see config.h. */
#include "fcgi/common/config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/limits.h"
#include "fcgi/common/request.h"

static bool read_file(struct settings *settings, const char *path)
{
	FILE *stream = fopen(path, "re");
	if (stream == NULL) {
		snprintf(settings->why, settings->why_size, "can't open the configuration %s: %s", path, strerror(errno));
		return false;
	}
	settings->file = calloc(1, CONFIG_FILE_MAX_BYTES + 1);
	size_t len = settings->file == NULL ? 0 : fread(settings->file, 1, CONFIG_FILE_MAX_BYTES, stream);
	bool good = settings->file != NULL && !ferror(stream) && len < CONFIG_FILE_MAX_BYTES;
	if (!good)
		snprintf(settings->why, settings->why_size, "can't read the configuration %s (or it is too large)", path);
	fclose(stream);
	return good;
}

static struct slice unquoted(struct slice value)
{
	while (value.len > 0 && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t' || value.ptr[value.len - 1] == '\r'))
		value.len--;
	if (value.len >= 2 && (value.ptr[0] == '"' || value.ptr[0] == '\'') && value.ptr[value.len - 1] == value.ptr[0])
		return (struct slice){ value.ptr + 1, value.len - 2 };
	return value;
}

static struct slice find_in_file(const char *file, struct slice name)
{
	struct slice found = SLICE_EMPTY;
	for (const char *line = file; line != NULL && *line != '\0';) {
		size_t len = strcspn(line, "\n");
		size_t blank = strspn(line, " \t");
		if (blank < len && strncmp(line + blank, "export ", 7) == 0)
			blank += 7;
		struct slice rest = { line + blank, blank < len ? len - blank : 0 };
		if (slice_starts_with(rest, name) && rest.len > name.len && rest.ptr[name.len] == '=')
			found = unquoted((struct slice){ rest.ptr + name.len + 1, rest.len - name.len - 1 });
		line += len + (line[len] == '\n');
	}
	return found;
}

struct slice config_find(const struct settings *settings, const char *name)
{
	const char *environment = getenv(name);
	if (environment != NULL && environment[0] != '\0')
		return slice_of(environment);
	return find_in_file(settings->file, slice_of(name));
}

bool config_text(const struct settings *settings, const char *name, const char *folder_name, const char *leaf, char *out, size_t size)
{
	struct slice value = config_find(settings, name);
	struct slice folder = folder_name == NULL ? SLICE_EMPTY : config_find(settings, folder_name);
	int len = 0;
	out[0] = '\0';
	if (value.len > 0)
		len = snprintf(out, size, "%.*s", (int)value.len, value.ptr);
	else if (folder.len > 0)
		len = snprintf(out, size, "%.*s%s", (int)folder.len, folder.ptr, leaf);
	if (len >= 0 && len < (int)size)
		return true;
	snprintf(settings->why, settings->why_size, "%s is too long", name);
	return false;
}

static bool get_int(const struct settings *settings, const char *name, int min, int max, int fallback, int *out)
{
	struct slice value = config_find(settings, name);
	uint64_t number = (uint64_t)fallback;
	if (value.len > 0 && (!decimal_parse(value, (uint64_t)max, &number) || number < (uint64_t)min)) {
		snprintf(settings->why, settings->why_size, "%s must be a whole number from %d to %d", name, min, max);
		return false;
	}
	*out = (int)number;
	return true;
}

static bool get_level(const struct settings *settings, enum diagnostics_level *level)
{
	static const char *const LEVELS[] = { "debug", "info", "warning", "error" };
	struct slice value = config_find(settings, "PYGMY_LOG_LEVEL");
	*level = DIAGNOSTICS_INFO;
	for (int i = 0; i < 4; i++)
		if (slice_equal(value, slice_of(LEVELS[i]))) {
			*level = (enum diagnostics_level)i;
			return true;
		}
	if (value.len == 0)
		return true;
	snprintf(settings->why, settings->why_size, "PYGMY_LOG_LEVEL must be debug, info, warning or error");
	return false;
}

static bool get_name(const struct settings *settings, const char *kind, char *out)
{
	if (!config_text(settings, "PYGMY_NAME", NULL, NULL, out, WORKER_NAME_BYTES))
		return false;
	if (out[0] == '\0')
		snprintf(out, WORKER_NAME_BYTES, "%s-A", kind);
	static const char ALLOWED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
	if (out[strspn(out, ALLOWED)] == '\0')
		return true;
	snprintf(settings->why, settings->why_size, "PYGMY_NAME may have letters, digits and hyphens only");
	return false;
}

static bool load(const struct settings *settings, struct worker_config *config, const char *kind)
{
	static const char STATE[] = "PYGMY_STATE_DIR";
	bool good = get_name(settings, kind, config->name)
		&& config_text(settings, "PYGMY_DB", STATE, "/store.db", config->db_path, sizeof config->db_path)
		&& config_text(settings, STATE, NULL, NULL, config->state_dir, sizeof config->state_dir)
		&& config_text(settings, "PYGMY_CATALOGUE", STATE, "/app/catalogue.json", config->catalogue_path, sizeof config->catalogue_path)
		&& config_text(settings, "PYGMY_SECRETS_DIR", STATE, "/secrets", config->secrets_dir, sizeof config->secrets_dir)
		&& config_text(settings, "PYGMY_LOG_DIR", STATE, "/logs", config->log_dir, sizeof config->log_dir)
		&& get_int(settings, "PYGMY_LEASE_MS", 100, 60000, LEASE_DEFAULT_MS, &config->lease_ms)
		&& get_int(settings, "PYGMY_THREADS", 1, WORKER_THREADS_MAX, 64, &config->threads)
		&& get_level(settings, &config->log_level);
	char frontends[FRONTENDS_BYTES];
	good = good && config_text(settings, "PYGMY_FRONTENDS", "PYGMY_RUN_DIR", "/frontend.sock", frontends, sizeof frontends);
	if (!good)
		return false;
	/* The default is a path; a setting says itself how the frontends are reached. */
	int len = snprintf(config->frontends, sizeof config->frontends, "%s%s", frontends[0] == '/' ? "unix:" : "", frontends);
	if (len < 0 || len >= (int)sizeof config->frontends) {
		snprintf(settings->why, settings->why_size, "PYGMY_FRONTENDS is too long");
		return false;
	}
	if (!config_load_cluster(settings, config))
		return false;
	if (config->db_path[0] == '\0') {
		snprintf(settings->why, settings->why_size, "set PYGMY_STATE_DIR (or PYGMY_DB): where the store keeps its data");
		return false;
	}
	return true;
}

bool config_load(struct worker_config *config, const char *kind, char *why, size_t why_size)
{
	struct settings settings = { .why = why, .why_size = why_size };
	const char *path = getenv("PYGMY_CONFIG");
	bool good = (path == NULL || path[0] == '\0' || read_file(&settings, path)) && load(&settings, config, kind);
	free(settings.file);
	return good;
}
