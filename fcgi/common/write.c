/* write: see write.h. */
#include "fcgi/common/write.h"

#include <sodium.h>

#include "db/monotonic.h"
#include "db/request_key.h"
#include "fcgi/common/worker.h"

#define RANDOM_KEY_BYTES 16

static struct slice random_key(struct arena *arena)
{
	unsigned char random[RANDOM_KEY_BYTES];
	char *hex = arena_take(arena, 2 * RANDOM_KEY_BYTES + 1);
	if (hex == NULL)
		return SLICE_EMPTY;
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(hex, 2 * RANDOM_KEY_BYTES + 1, random, sizeof random);
	return (struct slice){ hex, 2 * RANDOM_KEY_BYTES };
}

static bool choose_key(struct exchange *exchange, bool key_required, struct slice *key, struct refusal *refusal)
{
	const struct request *request = &exchange->request;
	if (request->idempotency_key.ptr != NULL) {
		*key = request->idempotency_key;
		if (!request_key_is_valid(*key))
			return refuse(refusal, PYGMY_INVALID_HEADER, "The header Idempotency-Key takes 1 to %d letters, digits and . _ : -",
				REQUEST_KEY_MAX_BYTES);
	} else if (key_required) {
		return refuse(refusal, PYGMY_KEY_REQUIRED, NULL);
	} else if (request_key_is_valid(request->nginx_key)) {
		*key = request->nginx_key;
	} else {
		*key = random_key(&exchange->arena);
	}
	return key->ptr != NULL || refuse(refusal, PYGMY_OUT_OF_MEMORY, NULL);
}

void write_name_key(struct exchange *exchange)
{
	const struct request *request = &exchange->request;
	struct slice key = request->idempotency_key.ptr != NULL ? request->idempotency_key : request->nginx_key;
	if (request_key_is_valid(key))
		exchange->answer.request_key = key;
}

/*
 * Within which a frontend waits for this node: from the moment at which the node's nginx had the request. On one machine nginx asks the
 * other worker much later.
 */
static int64_t deadline_of(const struct exchange *exchange, const struct replica *replica)
{
	int64_t started_ms = exchange->started_us / 1000;
	return replica_cluster(replica) == NULL ? started_ms + REQUEST_DEADLINE_MS : started_ms - exchange->waited_ms + CLUSTER_WRITE_MS;
}

bool write_prepare(struct exchange *exchange, const char *scope, bool key_required, struct command *command)
{
	struct refusal refusal;
	struct slice key = SLICE_EMPTY;
	if (!choose_key(exchange, key_required, &key, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return false;
	}
	exchange->answer.request_key = key;
	command->request_key = request_key_scope(&exchange->arena, scope, 0, key);
	command->time_ms = wallclock_ms();
	if (command->request_key.ptr != NULL)
		return true;
	exchange_fail(exchange, PYGMY_OUT_OF_MEMORY, NULL);
	return false;
}

enum pygmy_error write_propose(struct exchange *exchange, struct command *command, struct result *result)
{
	struct replica *replica = atomic_load_explicit(&exchange->worker->replica, memory_order_acquire);
	enum pygmy_error error = replica_propose(replica, command, deadline_of(exchange, replica), result);
	if (error != PYGMY_OK)
		return error;
	exchange->answer.revision = result->revision;
	exchange->answer.has_revision = true;
	return result->error;
}

/*
 * A frontend asks another node after a 503, and its client sees the last answer only. By its status 504 the frontend knows that it must not
 * pass on a "nothing was changed" that follows (nginx/last_try.lua).
 */
static void tell_frontend(struct exchange *exchange)
{
	if (slice_equal(exchange->request.nginx_frontend, SLICE_LITERAL("1")))
		exchange->answer.status = 504;
}

void write_fail(struct exchange *exchange, enum pygmy_error error)
{
	struct slice key = exchange->answer.request_key;
	if (error == PYGMY_OUTCOME_UNKNOWN) {
		exchange_fail(exchange, error, "The outcome is unknown: ask again with the same request and the header Idempotency-Key: %.*s",
			(int)key.len, key.ptr);
		tell_frontend(exchange);
	} else if (error == PYGMY_OVERLOADED) {
		exchange_overloaded(exchange);
	} else {
		exchange_fail(exchange, error, NULL);
	}
}
