/*
 * auth: the bearer tokens of those who may change the catalogue (admin) and of other replicas (peer).
 *
 * They are read once, at the start, from $PYGMY_SECRETS_DIR/{admin,peer}.token; a file that group or others can
 * read is refused. Tokens are compared in constant time and never logged. Without its file a token matches nothing.
 */
#ifndef PYGMY_FCGI_AUTH_H
#define PYGMY_FCGI_AUTH_H

#include "db/slice.h"

#define TOKEN_HEX_LEN 64

enum auth_role { AUTH_NONE, AUTH_ADMIN, AUTH_PEER, AUTH_ADMIN_OR_PEER };

struct auth {
	bool has_admin, has_peer;
	char admin[TOKEN_HEX_LEN];
	char peer[TOKEN_HEX_LEN];
};

/* Reads both files; a missing or unusable one is logged. Blocks on file I/O. */
void auth_load(struct auth *auth, const char *secrets_dir);

/* Whether an Authorization header (`Bearer <token>`) carries the role's token. AUTH_NONE: always. Any thread. */
bool auth_allows(const struct auth *auth, enum auth_role role, struct slice authorization);

#endif
