/*
 * error: every way in which a request or a command can end, in one table.
 *
 * Each has a stable machine-readable code (the answer's "code"), an HTTP status, and a text for people that is used
 * when whoever reports it has nothing more exact to say. Codes of SQLite, libcurl and errno are
 * translated to these in the file that calls that library.
 *
 * The numeric values are written into the database (recorded results): new ones go to the end of their block
 * with a number of their own; a number is never given away again.
 */
#ifndef PYGMY_DB_ERROR_H
#define PYGMY_DB_ERROR_H

/* X(value, NAME, "code", http status, "text") */
#define PYGMY_ERRORS(X) \
	X(0, OK, "ok", 200, "Success.") \
	/* what apply decides; recorded with the request key */ \
	X(10, ITEM_NOT_FOUND, "item_not_found", 404, "There is no item with this id.") \
	X(11, SOLD_OUT, "sold_out", 404, "The item is sold out.") \
	X(12, INSUFFICIENT_STOCK, "insufficient_stock", 404, "There are fewer of this item left than were asked for.") \
	X(13, STOCK_CONFLICT, "stock_conflict", 409, "The change would bring the count below zero or above its maximum.") \
	X(14, PRECONDITION_FAILED, "precondition_failed", 412, "The item has changed: its ETag does not match If-Match.") \
	X(15, KEY_REUSED, "key_reused", 422, "This request key was used before for a request with other parameters.") \
	X(16, KEY_TOO_OLD, "key_too_old", 409, "The request waited too long to be applied; send it again with a new key.") \
	X(17, CATALOGUE_NOT_EMPTY, "catalogue_not_empty", 409, "The first catalogue was already loaded.") \
	X(18, IDS_EXHAUSTED, "ids_exhausted", 409, "The largest item id is taken: give the new item an id by an import.") \
	X(19, MEMBER_NOT_FOUND, "member_not_found", 404, "The cluster has no member with this name.") \
	X(20, MEMBERS_EXHAUSTED, "members_exhausted", 409, "The cluster has as many members as it can have.") \
	X(21, LAST_MEMBER, "last_member", 409, "The last member can not be removed.") \
	X(22, FRONTEND_NOT_FOUND, "frontend_not_found", 404, "No frontend is registered under this name.") \
	X(23, FRONTENDS_EXHAUSTED, "frontends_exhausted", 409, "The cluster has as many frontends as it can have; one that is gone can be forgotten.") \
	X(24, FRONTEND_NAME_TAKEN, "frontend_name_taken", 409, "A frontend at another address has this name: forget that one first.") \
	X(25, FRONTEND_CHANGED, "frontend_changed", 409, "The frontend has joined again, or is fenced already.") \
	X(26, FRONTEND_NOT_FENCED, "frontend_not_fenced", 409, "The frontend counts: only one that is fenced can be forgotten.") \
	/* what the worker refuses */ \
	X(30, MISSING_PARAMETER, "missing_parameter", 400, "A required parameter is missing.") \
	X(31, EMPTY_PARAMETER, "empty_parameter", 400, "A parameter is empty.") \
	X(32, REPEATED_PARAMETER, "repeated_parameter", 400, "A parameter is given more than once.") \
	X(33, INVALID_PARAMETER, "invalid_parameter", 400, "A parameter has a value that is not allowed.") \
	X(34, UNKNOWN_PARAMETER, "unknown_parameter", 400, "A parameter is not known here.") \
	X(35, BAD_ENCODING, "bad_encoding", 400, "The request is not well-formed percent-encoding or UTF-8.") \
	X(36, BAD_JSON, "bad_json", 400, "The body is not well-formed JSON.") \
	X(37, UNKNOWN_FIELD, "unknown_field", 400, "The body has a field that is not known here.") \
	X(38, MISSING_FIELD, "missing_field", 400, "The body lacks a required field.") \
	X(39, INVALID_FIELD, "invalid_field", 400, "A field of the body has a value that is not allowed.") \
	X(40, BODY_REQUIRED, "body_required", 400, "The request needs a JSON body.") \
	X(41, BODY_NOT_ALLOWED, "body_not_allowed", 400, "The request takes no body.") \
	X(42, INVALID_HEADER, "invalid_header", 400, "A header has a value that is not allowed.") \
	X(43, KEY_REQUIRED, "key_required", 400, "The request needs an Idempotency-Key header.") \
	X(44, UNAUTHORIZED, "unauthorized", 401, "The request needs a valid bearer token.") \
	X(45, PATH_NOT_FOUND, "path_not_found", 404, "There is nothing at this path.") \
	X(46, ORDER_NOT_FOUND, "order_not_found", 404, "There is no order with this id.") \
	X(47, METHOD_NOT_ALLOWED, "method_not_allowed", 405, "The path does not take this method.") \
	X(48, BODY_TOO_LARGE, "body_too_large", 413, "The body is larger than this path takes.") \
	X(49, QUERY_TOO_LONG, "query_too_long", 414, "The query string is too long.") \
	X(50, UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", 415, "The body must be application/json.") \
	X(51, NOT_A_CLUSTER, "not_a_cluster", 409, "This store is a single node: it has no list of members.") \
	X(52, RATE_LIMITED, "rate_limited", 429, "There are too many writes from this address: nothing was changed.") \
	X(53, TOO_MANY_CONNECTIONS, "too_many_connections", 429, "There are too many open connections from this address.") \
	/* what went wrong here */ \
	X(70, INTERNAL, "internal", 500, "Something went wrong inside the store.") \
	X(71, OUT_OF_MEMORY, "out_of_memory", 503, "The worker is out of memory.") \
	X(72, STORAGE_FULL, "storage_full", 503, "The disk is full: nothing was changed. Reads go on.") \
	X(73, STORAGE_FAILED, "storage_failed", 503, "The database could not be read or written.") \
	X(74, STORAGE_CORRUPT, "storage_corrupt", 503, "The database is damaged.") \
	X(75, OVERLOADED, "overloaded", 503, "There is more to do than can be done: nothing was changed. Ask again in a moment.") \
	X(76, OUTCOME_UNKNOWN, "outcome_unknown", 503, "The outcome is unknown: ask again with the same key.") \
	X(77, BEHIND, "behind", 503, "This replica has not reached the position that was asked for.") \
	X(78, NOT_READY, "not_ready", 503, "This replica is not ready.") \
	X(79, BUSY, "busy", 503, "The database was busy for too long: nothing was changed.") \
	X(80, INCOMPATIBLE, "incompatible", 503, "The database was written by a newer version.") \
	X(81, STOPPING, "stopping", 503, "This worker is stopping.") \
	X(82, NO_QUORUM, "no_quorum", 503, "The majority of the log's servers can't be reached: nothing was changed. Reads go on.") \
	X(83, LOG_FULL, "log_full", 503, "The log's servers have no space left: nothing was changed. It is being freed.") \
	X(84, OTHER_LOG, "other_log", 503, "The database belongs to another log.") \
	X(85, FENCE_IS_NEW, "fence_is_new", 503, "The frontend was fenced just now, and may still have a lease: ask again in a moment.") \
	X(86, FRONTEND_UNREACHABLE, "frontend_unreachable", 409, "A node can't reach the frontend's port for pushes.")

enum pygmy_error {
#define X(value, name, code, http, text) PYGMY_##name = (value),
	PYGMY_ERRORS(X)
#undef X
};

/* Static strings, valid for ever; an unknown value reads as INTERNAL. */
const char *error_code(enum pygmy_error error);
const char *error_text(enum pygmy_error error);
int error_http_status(enum pygmy_error error);

/* Whether value is one of the table (a recorded result may come from a newer version). */
int error_is_known(int value);

#endif
