/*
 * token_file: one line of the characters that a bearer token may have (RFC 6750).
 */
#include "client/pygmy/token_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/pygmy/small_file.h"

#define TOKEN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/="

static const char *advice(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "It belongs to the user who started the store: run this as that user (or with sudo), or name another file with --token-file.";
	case ENOENT:
	case ENOTDIR:
		return "The store makes it on its first start: start the store, or name the file with --token-file or PYGMY_SECRETS_DIR.";
	default:
		return "Name the right file with --token-file or PYGMY_SECRETS_DIR.";
	}
}

/* Cuts the line end off and checks the rest. */
static bool take_token(struct text *bytes, struct token *out)
{
	size_t len = bytes->len;
	while (len > 0 && (bytes->bytes[len - 1] == '\n' || bytes->bytes[len - 1] == '\r'))
		len--;
	if (len == 0 || len > TOKEN_MAX_BYTES)
		return false;
	memcpy(out->value, bytes->bytes, len);
	out->value[len] = '\0';
	return strspn(out->value, TOKEN_CHARACTERS) == len;
}

bool token_read(const char *path, struct token *out, char error[TOKEN_ERROR_MAX_BYTES])
{
	*out = (struct token){ .readable_by_others = false };
	if (path[0] == '\0') {
		(void)snprintf(error, TOKEN_ERROR_MAX_BYTES,
			       "this command needs the admin token, and no setting says where it is: use --token-file FILE, or set PYGMY_SECRETS_DIR or PYGMY_CONFIG");
		return false;
	}
	struct text bytes = TEXT_INIT(TOKEN_MAX_BYTES + 2);
	mode_t mode = 0;
	int problem = small_file_read(path, &bytes, &mode);
	bool done = problem == 0 && take_token(&bytes, out);
	out->readable_by_others = done && (mode & 077) != 0;
	if (problem != 0)
		(void)snprintf(error, TOKEN_ERROR_MAX_BYTES, "can't read the admin token in %s: %s. %s", path, strerror(problem), advice(problem));
	else if (!done)
		(void)snprintf(error, TOKEN_ERROR_MAX_BYTES, "%s does not hold a token (one line of letters, digits and -._~+/=). %s", path, advice(0));
	if (bytes.bytes != NULL)
		explicit_bzero(bytes.bytes, bytes.capacity);
	text_close(&bytes);
	if (!done)
		token_forget(out);
	return done;
}

void token_forget(struct token *token)
{
	explicit_bzero(token, sizeof(*token));
}
