/*
 * trace: by which id a request is followed through nginx and the workers (trace_context.h).
 *
 *     $pygmy_trace_id      of the client's traceparent; without a valid one the request's own id
 *     $pygmy_traceparent   what to send on to an upstream that is no worker of ours
 *     $pygmy_tracestate    the client's, where its traceparent is valid: it means nothing without
 *     $pygmy_sampled       "1" when the client says that it keeps a record: then a read is logged, too, that else is not
 *
 * Evaluated only where they are used: for a hit that is $pygmy_sampled alone.
 */
#include "nginx/module/pygmy_module.h"
#include "nginx/trace_context.h"

static ngx_int_t request_id_index;

/* False without a valid header; one that comes twice is not. */
static bool read_context(ngx_http_request_t *r, struct trace_context *context)
{
	ngx_uint_t count = 0;
	ngx_table_elt_t *header = pygmy_find_header(&r->headers_in.headers, "traceparent", sizeof "traceparent" - 1, &count);
	if (count != 1)
		return false;
	return trace_context_read((struct slice){ (const char *)header->value.data, header->value.len }, context);
}

static struct slice request_id_of(ngx_http_request_t *r)
{
	ngx_http_variable_value_t *value = ngx_http_get_indexed_variable(r, (ngx_uint_t)request_id_index);
	if (value == NULL || value->not_found || value->len < TRACE_ID_LEN)
		return SLICE_EMPTY;
	return (struct slice){ (const char *)value->data, TRACE_ID_LEN };
}

static ngx_int_t get_trace_id(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	struct trace_context context;
	(void)unused;
	struct slice id = read_context(r, &context) ? context.trace_id : request_id_of(r);
	return pygmy_set_value(r, value, id.ptr, id.len);
}

static ngx_int_t get_traceparent(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	char header[TRACE_PARENT_LEN];
	struct trace_context context = { SLICE_EMPTY, false };
	struct slice own = request_id_of(r);
	(void)unused;
	if (own.len == 0)
		return pygmy_set_value(r, value, header, 0);
	if (!read_context(r, &context))
		context.trace_id = own;
	trace_context_write(context.trace_id, own, context.sampled, header);
	return pygmy_set_value(r, value, header, sizeof header);
}

static ngx_int_t get_tracestate(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	struct trace_context context;
	ngx_table_elt_t *state = pygmy_find_header(&r->headers_in.headers, "tracestate", sizeof "tracestate" - 1, NULL);
	(void)unused;
	if (state == NULL || !read_context(r, &context))
		return pygmy_set_value(r, value, "", 0);
	return pygmy_set_value(r, value, (const char *)state->value.data, state->value.len);
}

static ngx_int_t get_sampled(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	struct trace_context context = { SLICE_EMPTY, false };
	(void)unused;
	ngx_str_set(value, "1");
	value->len = read_context(r, &context) && context.sampled ? 1 : 0;
	value->valid = 1;
	value->no_cacheable = 0;
	value->not_found = 0;
	return NGX_OK;
}

static ngx_http_variable_t variables[] = {
	{ ngx_string("pygmy_trace_id"), NULL, get_trace_id, 0, 0, 0 },
	{ ngx_string("pygmy_traceparent"), NULL, get_traceparent, 0, 0, 0 },
	{ ngx_string("pygmy_tracestate"), NULL, get_tracestate, 0, 0, 0 },
	{ ngx_string("pygmy_sampled"), NULL, get_sampled, 0, 0, 0 },
};

ngx_int_t pygmy_trace_add_variables(ngx_conf_t *cf)
{
	ngx_str_t request_id = ngx_string("request_id");
	for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
		ngx_http_variable_t *variable = ngx_http_add_variable(cf, &variables[i].name, variables[i].flags);
		if (variable == NULL)
			return NGX_ERROR;
		variable->get_handler = variables[i].get_handler;
	}
	request_id_index = ngx_http_get_variable_index(cf, &request_id);
	return request_id_index == NGX_ERROR ? NGX_ERROR : NGX_OK;
}
