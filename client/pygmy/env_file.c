/*
 * env_file: a line at a time; every reader below moves *at towards end, which is the end of the line.
 */
#include "client/pygmy/env_file.h"

#include <stdlib.h>
#include <string.h>

#include "client/pygmy/text.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_name_character(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* *at stands behind the opening quote and ends behind the closing one. */
static const char *read_quoted(const char **at, const char *end, char quote, struct text *value)
{
	for (; *at < end; (*at)++) {
		char c = **at;
		if (c == quote) {
			(*at)++;
			return NULL;
		}
		if (quote == '"' && (c == '$' || c == '`'))
			return "has a $ or ` that the shell would expand: write \\$ or use single quotes";
		if (quote == '"' && c == '\\' && *at + 1 < end && memchr("\"\\$`", (*at)[1], 4) != NULL) {
			(*at)++;
			c = **at;
		}
		text_append(value, &c, 1);
	}
	return "has a quote that is not closed on its line";
}

static const char *read_unquoted(const char **at, const char *end, struct text *value)
{
	for (bool first = true; *at < end && !is_blank(**at); (*at)++, first = false) {
		char c = **at;
		if (c == '\\' && *at + 1 < end) {
			(*at)++;
			c = **at;
		} else if (c == '\\') {
			return "goes on after a backslash: write it on one line";
		} else if (strchr("$`&|;<>()", c) != NULL || c == '\'' || c == '"' || (c == '~' && (first || (*at)[-1] == ':'))) {
			return "has a character that the shell and systemd read differently: put the whole value in single quotes";
		}
		text_append(value, &c, 1);
	}
	return NULL;
}

static const char *read_value(const char *at, const char *end, struct text *value)
{
	if (memchr(at, '\0', (size_t)(end - at)) != NULL)
		return "has a NUL byte";
	if (at < end && end[-1] == '\r')
		return "ends in a carriage return: save the file with Unix line ends";
	while (at < end && !is_blank(*at)) {
		char quote = *at;
		const char *problem;
		if (quote == '\'' || quote == '"') {
			at++;
			problem = read_quoted(&at, end, quote, value);
		} else {
			problem = read_unquoted(&at, end, value);
		}
		if (problem != NULL)
			return problem;
	}
	while (at < end && is_blank(*at))
		at++;
	return at == end ? NULL : "has a blank outside of quotes: put the whole value in quotes";
}

static bool add_entry(struct env_file *file, const char *name, size_t name_len, const struct text *value, const char *problem,
		      unsigned line)
{
	if (file->count == ENV_FILE_ENTRIES_MAX)
		return false;
	struct env_entry entry = { .problem = problem, .line = line };
	entry.name = strndup(name, name_len);
	entry.value = problem == NULL ? strdup(text_borrow(value)) : NULL;
	if (entry.name == NULL || (problem == NULL && entry.value == NULL)) {
		free(entry.name);
		free(entry.value);
		return false;
	}
	file->entries[file->count++] = entry;
	return true;
}

static bool read_line(struct env_file *file, const char *at, const char *end, unsigned line)
{
	while (at < end && is_blank(*at))
		at++;
	if (at == end || *at == '#' || (*at == '\r' && at + 1 == end))
		return true;
	const char *name = at;
	while (at < end && is_name_character(*at, at == name))
		at++;
	size_t name_len = (size_t)(at - name);
	if (name_len == 0 || at == end || *at != '=')
		return add_entry(file, "", 0, NULL, "is not KEY=value", line);
	struct text value = TEXT_INIT(ENV_FILE_MAX_BYTES);
	const char *problem = read_value(at + 1, end, &value);
	bool done = !value.failed && add_entry(file, name, name_len, &value, problem, line);
	text_close(&value);
	return done;
}

bool env_file_parse(const char *bytes, size_t len, struct env_file *out)
{
	*out = (struct env_file){ .entries = calloc(ENV_FILE_ENTRIES_MAX, sizeof(struct env_entry)) };
	if (out->entries == NULL)
		return false;
	const char *end = bytes + len;
	unsigned line = 0;
	for (const char *at = bytes; at < end;) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		if (line_end == NULL)
			line_end = end;
		if (!read_line(out, at, line_end, ++line)) {
			env_file_close(out);
			return false;
		}
		at = line_end + (line_end < end);
	}
	return true;
}

void env_file_close(struct env_file *file)
{
	for (size_t i = 0; i < file->count; i++) {
		free(file->entries[i].name);
		free(file->entries[i].value);
	}
	free(file->entries);
	*file = (struct env_file){ .entries = NULL };
}

const struct env_entry *env_file_find(const struct env_file *file, const char *name)
{
	for (size_t i = file->count; i > 0; i--) {
		if (strcmp(file->entries[i - 1].name, name) == 0)
			return &file->entries[i - 1];
	}
	return NULL;
}
