/*
 * write: a command under its request key, from the request to the recorded result.
 */
#ifndef PYGMY_FCGI_WRITE_H
#define PYGMY_FCGI_WRITE_H

#include "db/replica.h"
#include "fcgi/common/exchange.h"

/* Scopes of request keys. Routes that may carry the same update share one. */
#define KEY_SCOPE_BUY "buy"
#define KEY_SCOPE_ITEM "item"
#define KEY_SCOPE_IMPORT "import"
#define KEY_SCOPE_MEMBER "member"
#define KEY_SCOPE_FRONTEND "frontend"

/*
 * Gives the command its key and time. The key is the client's Idempotency-Key, else nginx's for this request, else (a worker without
 * such an nginx) a random one. False: the answer has been made an error (INVALID_HEADER, KEY_REQUIRED, OUT_OF_MEMORY).
 */
bool write_prepare(struct exchange *exchange, const char *scope, bool key_required, struct command *command);

/* The answer names the key that write_prepare would take, where it is not made yet: of a write that was refused before. */
void write_name_key(struct exchange *exchange);

/*
 * Proposes and waits. Returns the error of the result (PYGMY_OK or a refusal), or of the proposal; X-Pygmy-Revision is set when
 * there is a result. The caller makes the answer, with write_fail for what it has no words of its own.
 */
enum pygmy_error write_propose(struct exchange *exchange, struct command *command, struct result *result);

/* Makes the answer an error of write_propose. */
void write_fail(struct exchange *exchange, enum pygmy_error error);

#endif
