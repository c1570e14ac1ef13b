/*
 * exchange: one request and the answer that is being made for it, in one thread.
 *
 * A handler makes the answer exactly once: by one of the functions below that say so, or by writing a body itself and setting
 * answer.status. All memory of the exchange is freed or reused when it ends.
 */
#ifndef PYGMY_FCGI_EXCHANGE_H
#define PYGMY_FCGI_EXCHANGE_H

#include <jansson.h>

#include "db/arena.h"
#include "fcgi/common/answer.h"
#include "fcgi/common/body.h"
#include "fcgi/common/request.h"
#include "fcgi/common/route.h"

struct worker;

struct exchange {
	struct worker *worker;
	const struct route *route;    /* NULL until one is found */
	const struct request_source *source;
	struct request request;
	struct arena arena;
	struct writer out;            /* ANSWER_HEAD_MAX_BYTES of room, then the body */
	struct answer answer;
	json_t *document;             /* the parsed body, or NULL */
	int64_t started_us;           /* monotonic */
	int64_t waited_ms;            /* before that, since nginx had the request; 0 when that is not known */
};

/* For a thread: once. exchange is large (a few KiB): not for a stack. */
void exchange_init(struct exchange *exchange, struct worker *worker);
void exchange_close(struct exchange *exchange);

/* Forgets the last request. source outlives the exchange's use of it. */
void exchange_begin(struct exchange *exchange, const struct request_source *source);

/* Makes the answer an error; format NULL: with the error's own text. What was written of a body is dropped. */
void exchange_fail(struct exchange *exchange, enum pygmy_error error, const char *format, ...) __attribute__((format(printf, 3, 4)));
void exchange_refuse(struct exchange *exchange, const struct refusal *refusal);

/* The same for OVERLOADED, told in the way in which nginx wants to be told of that. */
void exchange_overloaded(struct exchange *exchange);

/* Drops the body that was written so far. */
void exchange_drop_body(struct exchange *exchange);

/* The body so far. */
struct slice exchange_body(const struct exchange *exchange);

/*
 * Writes the end of a successful envelope and sets the status: `"message":M,["next":N,]"status":"Success","validation_code":S}`.
 * message empty: `{}`. next 0: none. The caller has written `{`, or `{"item":...,`.
 */
void exchange_end_success(struct exchange *exchange, int status, struct slice message, int64_t next);

/* A whole successful answer `{"item":{},"message":...}`. */
void exchange_succeed_empty_item(struct exchange *exchange, int status, struct slice message);

/*
 * Head and body, ready to be sent; valid until the next exchange_begin. An answer that did not fit becomes a 503. For HEAD and
 * 304 there is no body.
 */
struct slice exchange_finish(struct exchange *exchange);

#endif
