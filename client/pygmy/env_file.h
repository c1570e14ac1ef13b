/*
 * env_file: the `KEY=value` file that the shell (`. file`), systemd (EnvironmentFile=) and this command all read.
 *
 * Understood is what shell and systemd read alike: blank lines, # comments at the start of a line, unquoted values without blanks,
 * '...' (literal) and "..." (with \" \\ \$ \`). Where they differ (an unquoted blank, `$name`, quotes in the middle of a word,
 * a line that goes on after a backslash, CR line ends) the entry is a problem with a sentence, never a guess. Nothing
 * is ever expanded or executed. The last entry of a name counts.
 */
#ifndef PYGMY_CLIENT_ENV_FILE_H
#define PYGMY_CLIENT_ENV_FILE_H

#include <stdbool.h>
#include <stddef.h>

#define ENV_FILE_MAX_BYTES (64 * 1024)
#define ENV_FILE_ENTRIES_MAX 256

struct env_entry {
	char *name;                   /* "" when the line is no assignment */
	char *value;                  /* NULL when problem is set */
	const char *problem;          /* static sentence, or NULL */
	unsigned line;
};

struct env_file {
	struct env_entry *entries;
	size_t count;
};

/* Parses into an empty env_file (owned by the caller, env_file_close). Errors: false without memory or with too many entries. */
bool env_file_parse(const char *bytes, size_t len, struct env_file *out);
void env_file_close(struct env_file *file);

/* The last entry of this name, or NULL. */
const struct env_entry *env_file_find(const struct env_file *file, const char *name);

#endif
