/*
 * serve: see serve.h.
 *
 * The order of the checks decides which error a request with several gets: path, method, overload, credentials, headers, query, body. So
 * whoever has no token learns nothing about what a body should look like.
 */
#include "fcgi/common/serve.h"

#include "db/diagnostics.h"
#include "db/monotonic.h"
#include "fcgi/common/parameter.h"
#include "fcgi/common/worker.h"
#include "fcgi/common/write.h"

#define COMPLAINTS_PER_SECOND 20

static bool find_route(struct exchange *exchange)
{
	const struct worker *worker = exchange->worker;
	struct request *request = &exchange->request;
	char allow[ALLOW_TEXT_BYTES];
	bool is_private = slice_equal(request->nginx_private, SLICE_LITERAL("1")) ||
		(request->authorization.len > 0 && auth_allows(&worker->auth, AUTH_PEER, request->authorization));
	switch (route_find(worker->routes, worker->route_count, request->head_only ? METHOD_HEAD : request->method, request->path,
			is_private, &exchange->route, &request->path_id, allow)) {
	case ROUTE_FOUND:
		return true;
	case ROUTE_NO_METHOD:
		exchange->answer.allow = arena_copy(&exchange->arena, slice_of(allow));
		exchange_fail(exchange, PYGMY_METHOD_NOT_ALLOWED, "This path takes only %s.", allow);
		return false;
	case ROUTE_NO_PATH:
		break;
	}
	exchange_fail(exchange, PYGMY_PATH_NOT_FOUND, NULL);
	return false;
}

static bool check_body(struct exchange *exchange, struct refusal *refusal)
{
	const struct route *route = exchange->route;
	struct request *request = &exchange->request;
	if (!request_has_body(request))
		return !route->body_required || refuse(refusal, PYGMY_BODY_REQUIRED, NULL);
	if (route->body_max_bytes == 0)
		return refuse(refusal, PYGMY_BODY_NOT_ALLOWED, NULL);
	if (!request_read_body(request, exchange->source, route->body_max_bytes, &exchange->arena, refusal))
		return false;
	exchange->document = body_parse(request->body, refusal);
	return exchange->document != NULL;
}

static bool check_request(struct exchange *exchange)
{
	struct request *request = &exchange->request;
	struct refusal refusal;
	if (!auth_allows(&exchange->worker->auth, exchange->route->role, request->authorization)) {
		exchange_fail(exchange, PYGMY_UNAUTHORIZED, NULL);
		return false;
	}
	if (request_check_headers(request, &refusal) && request_parse_query(request, &refusal)
			&& parameters_check(&request->query, exchange->route->parameters, &refusal) && check_body(exchange, &refusal))
		return true;
	exchange_refuse(exchange, &refusal);
	return false;
}

static bool check_replica(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	if (!exchange->route->needs_replica || atomic_load_explicit(&worker->replica, memory_order_acquire) != NULL)
		return true;
	enum pygmy_error why = (enum pygmy_error)atomic_load(&worker->open_error);
	if (why == PYGMY_OK)
		exchange_fail(exchange, PYGMY_NOT_READY, "The database is being opened.");
	else
		exchange_fail(exchange, PYGMY_NOT_READY, "The database could not be opened yet: %s", error_text(why));
	return false;
}

/*
 * Whether there is time for it. Who asks about the worker itself, for a lease or for a snapshot is few, and others depend on them. In a cluster
 * a frontend has given up on a write by CLUSTER_WRITE_MS.
 */
static bool check_admission(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	const struct route *route = exchange->route;
	bool is_write = route->method != METHOD_GET || route->without_head;
	bool admitted = admission_admits(&worker->admission, exchange->started_us / 1000, exchange->waited_ms,
		is_write ? ADMISSION_WRITE_MS : ADMISSION_READ_MS);
	histogram_observe(&worker->metrics.wait_seconds, (double)exchange->waited_ms / 1e3);
	if (!route->needs_replica || route->is_private || route->role == AUTH_ADMIN_OR_PEER)
		return true;
	if (admitted && !(is_write && worker->config.etcd[0] != '\0' && exchange->waited_ms >= CLUSTER_WRITE_MS))
		return true;
	if (is_write)
		write_name_key(exchange);
	exchange_overloaded(exchange);
	int64_t second = exchange->started_us / 1000000;
	if (atomic_exchange_explicit(&worker->overload_second, second, memory_order_relaxed) != second)
		diagnose_warning("request: there is more to do than can be done: who has waited too long is refused");
	atomic_fetch_add_explicit(&worker->metrics.overloaded, 1, memory_order_relaxed);
	return false;
}

/* At most COMPLAINTS_PER_SECOND lines: a full disk must not be filled by those who notice it. */
static bool may_complain(struct worker *worker)
{
	int64_t second = monotonic_ms() / 1000;
	int_fast64_t window = atomic_load(&worker->complaint_window);
	if (window != second && atomic_compare_exchange_strong(&worker->complaint_window, &window, second)) {
		int_fast64_t last = atomic_exchange(&worker->complaints, 0);
		if (last > COMPLAINTS_PER_SECOND)
			diagnose_error("request: %lld more failures were not logged", (long long)last - COMPLAINTS_PER_SECOND);
	}
	return atomic_fetch_add(&worker->complaints, 1) < COMPLAINTS_PER_SECOND;
}

static int route_index(const struct exchange *exchange)
{
	const struct worker *worker = exchange->worker;
	for (size_t i = 0; exchange->route != NULL && i < worker->route_count; i++)
		if (worker->routes[i] == exchange->route)
			return (int)i;
	return -1;
}

static void count_and_log(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	const struct request *request = &exchange->request;
	const struct answer *answer = &exchange->answer;
	int64_t duration_us = monotonic_us() - exchange->started_us;
	admission_end(&worker->admission, (exchange->started_us + duration_us) / 1000);
	metrics_count(&worker->metrics, route_index(exchange), answer->status, duration_us);
	const char *route = exchange->route != NULL ? exchange->route->pattern : "unmatched";
	int id_len = (int)(request->request_id.len < 64 ? request->request_id.len : 64);
	struct slice trace = request->trace_id.len > 0 ? request->trace_id : SLICE_LITERAL("-");
	int trace_len = (int)(trace.len < 64 ? trace.len : 64);
	if (answer->status >= 500 && answer->error != PYGMY_OVERLOADED && may_complain(worker))
		diagnose_error("request %.*s trace %.*s: %s answered %d %s after %lld us", id_len, request->request_id.ptr, trace_len,
			trace.ptr, route, answer->status, error_code(answer->error), (long long)duration_us);
	else if (worker->config.log_level == DIAGNOSTICS_DEBUG)
		diagnose_debug("request %.*s trace %.*s: %s answered %d %s after %lld us", id_len, request->request_id.ptr, trace_len,
			trace.ptr, route, answer->status, error_code(answer->error), (long long)duration_us);
}

/* Only a quick route's request without a body is not announced; an error is written at once. */
static void tell_whether_it_may_wait(const struct exchange *exchange)
{
	const struct request_source *source = exchange->source;
	bool is_quick = exchange->route == NULL || exchange->route->is_quick;
	if (source->may_wait != NULL && (!is_quick || request_has_body(&exchange->request)))
		source->may_wait(source->context);
}

struct slice serve(struct exchange *exchange, const struct request_source *source)
{
	exchange_begin(exchange, source);
	bool found = find_route(exchange);
	tell_whether_it_may_wait(exchange);
	if (found && check_admission(exchange) && check_request(exchange) && check_replica(exchange))
		exchange->route->handler(exchange);
	struct slice bytes = exchange_finish(exchange);
	count_and_log(exchange);
	return bytes;
}
