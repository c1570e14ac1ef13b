/*
 * token_file: the admin token, read from its file; never printed, never in process arguments.
 */
#ifndef PYGMY_CLIENT_TOKEN_FILE_H
#define PYGMY_CLIENT_TOKEN_FILE_H

#include <stdbool.h>

#define TOKEN_MAX_BYTES 512
#define TOKEN_ERROR_MAX_BYTES 4608

/* Holds the token; token_forget overwrites it. */
struct token {
	char value[TOKEN_MAX_BYTES + 1];
	bool readable_by_others;
};

/* path may be "" (nobody said where it is). Errors: false, with a sentence in error that says which file, why, and what to do. */
bool token_read(const char *path, struct token *out, char error[TOKEN_ERROR_MAX_BYTES]);
void token_forget(struct token *token);

#endif
