/*
 * figures: counts what a frontend answers, and how long that took.
 *
 *     pygmy_counted on;     in a server: its requests are counted (the workers' own ports, for one, are not)
 *
 * A request's clock starts when its head is there (post-read phase) and stops in the log phase. The first reading also serves the
 * cache, which needs one; so the second, and a third when a worker's answer comes, are all that a request pays, with some
 * additions (frontend_counters.h). The times stand in a variable,
 * $pygmy_times, because that outlives internal redirects; nginx's own clock has milliseconds, in which most hits take none.
 */
#include "nginx/module/pygmy_module.h"

#include <time.h>

struct times {
	int64_t began_us;
	int64_t answered_us;          /* 0: no worker has answered */
};

static struct frontend_counters *attached_counters;
static ngx_int_t times_index;

void pygmy_module_count(struct frontend_counters *counters)
{
	attached_counters = counters;
}

/* The clock of coherence_clock_ms. */
static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool is_counted(ngx_http_request_t *r)
{
	pygmy_location *location = ngx_http_get_module_loc_conf(r, ngx_http_pygmy_module);
	return attached_counters != NULL && location->counted == 1;
}

static struct times *times_of(ngx_http_request_t *r)
{
	ngx_http_variable_value_t *value = &r->variables[times_index];
	return value->valid && value->len == sizeof(struct times) ? (struct times *)(void *)value->data : NULL;
}

static ngx_int_t start_clock(ngx_http_request_t *r)
{
	ngx_http_variable_value_t *value = &r->variables[times_index];
	if (r != r->main || !is_counted(r))
		return NGX_DECLINED;
	struct times *times = ngx_palloc(r->pool, sizeof *times);
	if (times == NULL)
		return NGX_DECLINED;
	*times = (struct times){ .began_us = now_us() };
	value->data = (u_char *)times;
	value->len = sizeof *times;
	value->valid = 1;
	value->not_found = 0;
	value->no_cacheable = 0;
	return NGX_DECLINED;
}

int64_t pygmy_figures_clock_ms(ngx_http_request_t *r)
{
	const struct times *times = times_of(r);
	return times != NULL ? times->began_us / 1000 : coherence_clock_ms();
}

void pygmy_figures_upstream_answered(ngx_http_request_t *r)
{
	struct times *times = times_of(r);
	if (times != NULL)
		times->answered_us = now_us();
}

/* ---- the end of a request --------------------------------------------------------------------- */

static enum frontend_cache cache_of(ngx_http_request_t *r, enum frontend_operation operation)
{
	if (operation != FRONTEND_LOOKUP && operation != FRONTEND_SEARCH)
		return FRONTEND_CACHE_UNASKED;
	if (pygmy_is_served_from_memory(r))
		return FRONTEND_HIT_MEMORY;
	if (r->upstream == NULL)
		return FRONTEND_CACHE_UNASKED;
	switch (r->upstream->cache_status) {
	case NGX_HTTP_CACHE_HIT: return FRONTEND_HIT_DISK;
	case NGX_HTTP_CACHE_MISS: return FRONTEND_MISS;
	default: return FRONTEND_BYPASS;
	}
}

static unsigned failures_of(ngx_http_request_t *r)
{
	unsigned failures = 0;
	if (r->upstream_states == NULL)
		return 0;
	ngx_http_upstream_state_t *states = r->upstream_states->elts;
	/* States without a peer stand between the tries of two locations. A client that went away is no failure of a worker. */
	for (ngx_uint_t i = 0; i < r->upstream_states->nelts; i++)
		failures += states[i].peer != NULL && states[i].status >= NGX_HTTP_INTERNAL_SERVER_ERROR
			&& states[i].status != PYGMY_OVERLOADED_STATUS ? 1 : 0;
	return failures;
}

static int status_of(ngx_http_request_t *r)
{
	return (int)(r->err_status != 0 ? r->err_status : r->headers_out.status);
}

void pygmy_figures_rejected(enum frontend_rejection reason)
{
	if (attached_counters != NULL)
		frontend_counters_add_rejection(attached_counters, ngx_process == NGX_PROCESS_WORKER ? ngx_worker : 0, reason);
}

/* Also of the workers' own ports, whose requests are not counted otherwise. */
static void count_rejection(ngx_http_request_t *r)
{
	if (status_of(r) == NGX_HTTP_TOO_MANY_REQUESTS)
		pygmy_figures_rejected(FRONTEND_RATE_LIMITED);
	else if (r->upstream != NULL && r->upstream->headers_in.status_n == PYGMY_OVERLOADED_STATUS)
		pygmy_figures_rejected(FRONTEND_OVERLOADED);
}

static ngx_int_t count(ngx_http_request_t *r)
{
	count_rejection(r);
	if (!is_counted(r))
		return NGX_OK;
	const struct times *times = times_of(r);
	struct frontend_request request = {
		.operation = frontend_operation_of((struct slice){ (const char *)r->unparsed_uri.data, r->unparsed_uri.len }),
		.status = status_of(r),
		.took_us = times != NULL ? now_us() - times->began_us : -1,
		.upstream_us = times != NULL && times->answered_us != 0 ? times->answered_us - times->began_us : -1,
		.upstream_failures = failures_of(r),
	};
	request.cache = cache_of(r, request.operation);
	frontend_counters_add(attached_counters, ngx_process == NGX_PROCESS_WORKER ? ngx_worker : 0, &request);
	return NGX_OK;
}

/* ---- nginx ------------------------------------------------------------------------------------ */

/* Its value is set by start_clock, never asked for by a configuration. */
static ngx_int_t get_times(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	(void)r;
	(void)unused;
	value->not_found = 1;
	return NGX_OK;
}

ngx_int_t pygmy_figures_add_variables(ngx_conf_t *cf)
{
	ngx_str_t name = ngx_string("pygmy_times");
	ngx_http_variable_t *variable = ngx_http_add_variable(cf, &name, 0);
	if (variable == NULL)
		return NGX_ERROR;
	variable->get_handler = get_times;
	times_index = ngx_http_get_variable_index(cf, &name);
	return times_index == NGX_ERROR ? NGX_ERROR : NGX_OK;
}

ngx_int_t pygmy_figures_install(ngx_conf_t *cf)
{
	ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
	ngx_http_handler_pt *first = ngx_array_push(&core->phases[NGX_HTTP_POST_READ_PHASE].handlers);
	ngx_http_handler_pt *last = ngx_array_push(&core->phases[NGX_HTTP_LOG_PHASE].handlers);
	if (first == NULL || last == NULL)
		return NGX_ERROR;
	*first = start_clock;
	*last = count;
	return NGX_OK;
}

void pygmy_figures_start_worker(void)
{
	if (attached_counters != NULL && (ngx_process == NGX_PROCESS_WORKER || ngx_process == NGX_PROCESS_SINGLE))
		frontend_counters_add_start(attached_counters, ngx_process == NGX_PROCESS_WORKER ? ngx_worker : 0);
}

/* nginx counts its connections where it was built with stub_status, as Debian's is. Its headers here do not say so: weak. */
extern ngx_atomic_t *ngx_stat_accepted __attribute__((weak));
extern ngx_atomic_t *ngx_stat_handled __attribute__((weak));
extern ngx_atomic_t *ngx_stat_active __attribute__((weak));
extern ngx_atomic_t *ngx_stat_reading __attribute__((weak));
extern ngx_atomic_t *ngx_stat_writing __attribute__((weak));
extern ngx_atomic_t *ngx_stat_waiting __attribute__((weak));

static struct frontend_connections count_connections(void)
{
	if (&ngx_stat_accepted == NULL)
		return (struct frontend_connections){ .active = -1 };
	return (struct frontend_connections){
		.active = (int64_t)*ngx_stat_active, .reading = (int64_t)*ngx_stat_reading, .writing = (int64_t)*ngx_stat_writing,
		.waiting = (int64_t)*ngx_stat_waiting, .accepted = (int64_t)*ngx_stat_accepted, .handled = (int64_t)*ngx_stat_handled,
	};
}

size_t pygmy_module_metrics(char text[FRONTEND_METRICS_MAX_BYTES])
{
	int64_t lease_ms;
	const struct coherence_table *table = pygmy_attached_table(&lease_ms);
	struct frontend_connections connections = count_connections();
	if (table == NULL || attached_counters == NULL)
		return 0;
	return frontend_metrics_write(attached_counters, table, coherence_clock_ms(), lease_ms, pygmy_attached_rotation(), &connections,
		text);
}
