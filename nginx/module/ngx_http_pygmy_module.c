/*
 * ngx_http_pygmy_module: the part of the coherent cache that runs on every request: which key an answer is cached under, and what
 * the table learns from an answer that a worker gave. All rules are in coherence_table.h and cache_key.h; this is nginx's side of
 * them, in C because on a hit there is little else to do (by Lua the key alone cost a quarter of the whole request).
 *
 * Its other parts are figures.c, trace.c, closing.c, balancer.c, guard.c and client.c.
 *
 *     pygmy_coherent lookup|search;     in a location: which resource its requests are about
 *     $pygmy_key        the cache key; empty: go past the cache (no lease, not canonical, or the client asks for a position
 *                       or for the newest, or sends If-Match)
 *     $pygmy_tag        the tag of a request that goes past the cache; empty when it is about no resource
 *     $pygmy_cache_status  as nginx's $upstream_cache_status, but HIT also for answers from this worker's memory
 *     $pygmy_no_store   "1" when the answer must not be stored, because the cache's disk is nearly full (nginx would break off
 *                       the answer in the middle); for fastcgi_no_cache
 *
 * Answers that were found in nginx's cache are kept in the worker's memory, too, and sent from there the next time (hit_memory.h): a
 * body filter takes them down as they pass, and before the content phase the module steps into the place of fastcgi_pass when it
 * has the answer. It goes out through the same filters, so that headers, 304 and HEAD are as ever.
 *
 * The table belongs to coherence.lua, which makes it in the master and hands it over by pygmy_module_attach, before workers are
 * forked. The library that Lua calls by FFI and this module are one shared object, so that there is one such pointer.
 */
#include "nginx/module/pygmy_module.h"

#include <sys/prctl.h>

#include "nginx/cache_key.h"
#include "nginx/cache_space.h"
#include "nginx/hit_memory.h"

static struct coherence_table *attached_table;
static int64_t attached_lease_ms;
static char attached_cache_dir[NGX_MAX_PATH];

/* The answer that is being taken down. */
typedef struct {
	struct hit hit;               /* its slices point into the request's pool */
	size_t size;
	size_t len;
	u_char bytes[];
} pygmy_recording;

static ngx_int_t key_index, tag_index;
static struct hit_memory *memory;     /* this worker's; NULL: there was no memory for it */
static ngx_http_output_header_filter_pt next_header_filter;
static ngx_http_output_body_filter_pt next_body_filter;

/* Called by Lua in the master, at start and at each reload. table stays Lua's; cache_dir is copied. */
void pygmy_module_attach(struct coherence_table *table, int64_t lease_ms, const char *cache_dir);

void pygmy_module_attach(struct coherence_table *table, int64_t lease_ms, const char *cache_dir)
{
	attached_table = table;
	attached_lease_ms = lease_ms;
	ngx_cpystrn((u_char *)attached_cache_dir, (u_char *)cache_dir, sizeof attached_cache_dir);
}

const struct coherence_table *pygmy_attached_table(int64_t *lease_ms)
{
	*lease_ms = attached_lease_ms;
	return attached_table;
}

/* ---- headers ---------------------------------------------------------------------------------- */

ngx_table_elt_t *pygmy_find_header(ngx_list_t *list, const char *name, size_t len, ngx_uint_t *count)
{
	ngx_table_elt_t *found = NULL;
	for (ngx_list_part_t *part = &list->part; part != NULL; part = part->next) {
		ngx_table_elt_t *headers = part->elts;
		for (ngx_uint_t i = 0; i < part->nelts; i++) {
			if (headers[i].hash == 0 || headers[i].key.len != len || ngx_strncasecmp(headers[i].key.data, (u_char *)name, len) != 0)
				continue;
			if (count == NULL)
				return &headers[i];
			found = found == NULL ? &headers[i] : found;
			(*count)++;
		}
	}
	return found;
}

#define FIND_HEADER(list, name) pygmy_find_header((list), (name), sizeof(name) - 1, NULL)

/*
 * Whether the client asks for what the cache can't promise, or has a condition that nginx would refuse with 412: that breaks off the
 * filling of the cache and the connection, and If-Unmodified-Since has no meaning here (RFC 9110, section 13.1.4).
 */
static bool asks_for_more(ngx_http_request_t *r)
{
	static const ngx_str_t NAMES[] = { ngx_string("X-Pygmy-Min-Revision"), ngx_string("X-Pygmy-Consistency") };
	if (r->headers_in.if_match != NULL || r->headers_in.if_unmodified_since != NULL)
		return true;
	for (ngx_list_part_t *part = &r->headers_in.headers.part; part != NULL; part = part->next) {
		ngx_table_elt_t *headers = part->elts;
		for (ngx_uint_t i = 0; i < part->nelts; i++)
			for (size_t name = 0; name < sizeof NAMES / sizeof NAMES[0]; name++)
				if (headers[i].key.len == NAMES[name].len
						&& ngx_strncasecmp(headers[i].key.data, NAMES[name].data, NAMES[name].len) == 0)
					return true;
	}
	return false;
}

/* ---- variables -------------------------------------------------------------------------------- */

ngx_int_t pygmy_set_value(ngx_http_request_t *r, ngx_http_variable_value_t *value, const char *text, size_t len)
{
	u_char *copy = ngx_pnalloc(r->pool, len + 1);
	if (copy == NULL)
		return NGX_ERROR;
	ngx_memcpy(copy, text, len);
	value->data = copy;
	value->len = (unsigned)len & 0xfffffff;
	value->valid = 1;
	value->no_cacheable = 0;
	value->not_found = 0;
	return NGX_OK;
}

static pygmy_location *location_of(ngx_http_request_t *r)
{
	pygmy_location *location = ngx_http_get_module_loc_conf(r, ngx_http_pygmy_module);
	return attached_table == NULL || location->route == NGX_CONF_UNSET_UINT ? NULL : location;
}

static ngx_int_t get_key(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	char key[CACHE_KEY_MAX_BYTES];
	pygmy_location *location = location_of(r);
	size_t len = 0;
	(void)unused;
	/* When this process comes to its end, another nginx may confirm pushes in its place, which knows nothing of this table. */
	if (location != NULL && !ngx_exiting && !asks_for_more(r))
		len = cache_key_write(attached_table, (enum cache_route)location->route,
			(struct slice){ (const char *)r->args.data, r->args.len }, pygmy_figures_clock_ms(r), attached_lease_ms, key);
	return pygmy_set_value(r, value, key, len);
}

static ngx_int_t get_tag(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	char tag[CACHE_KEY_MAX_BYTES];
	pygmy_location *location = location_of(r);
	size_t len = 0;
	(void)unused;
	if (location != NULL)
		len = cache_key_write_tag(attached_table, (enum cache_route)location->route,
			(struct slice){ (const char *)r->args.data, r->args.len }, tag);
	return pygmy_set_value(r, value, tag, len);
}

static ngx_int_t get_no_store(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	(void)unused;
	(void)r;
	bool full = !cache_space_is_left(attached_cache_dir);
	ngx_str_set(value, "1");
	value->len = full ? 1 : 0;
	value->valid = 1;
	value->no_cacheable = 1;
	value->not_found = 0;
	return NGX_OK;
}

static ngx_int_t serve_from_memory(ngx_http_request_t *r);

bool pygmy_is_served_from_memory(ngx_http_request_t *r)
{
	return r->content_handler == serve_from_memory;
}

static ngx_int_t get_cache_status(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	ngx_uint_t status = r->upstream != NULL ? r->upstream->cache_status : 0;
	(void)unused;
	if (pygmy_is_served_from_memory(r))
		status = NGX_HTTP_CACHE_HIT;
	value->valid = 1;
	value->no_cacheable = 1;
	value->not_found = 0;
	value->len = 0;
	if (status != 0) {
		value->len = (unsigned)ngx_http_cache_status[status - 1].len & 0xfffffff;
		value->data = ngx_http_cache_status[status - 1].data;
	}
	return NGX_OK;
}

static ngx_http_variable_t variables[] = {
	{ ngx_string("pygmy_key"), NULL, get_key, 0, 0, 0 },
	{ ngx_string("pygmy_tag"), NULL, get_tag, 0, 0, 0 },
	{ ngx_string("pygmy_cache_status"), NULL, get_cache_status, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
	{ ngx_string("pygmy_no_store"), NULL, get_no_store, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
};

static ngx_int_t add_variables(ngx_conf_t *cf)
{
	for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
		ngx_http_variable_t *variable = ngx_http_add_variable(cf, &variables[i].name, variables[i].flags);
		if (variable == NULL)
			return NGX_ERROR;
		variable->get_handler = variables[i].get_handler;
		variable->data = 0;
	}
	key_index = ngx_http_get_variable_index(cf, &variables[0].name);
	tag_index = ngx_http_get_variable_index(cf, &variables[1].name);
	if (key_index == NGX_ERROR || tag_index == NGX_ERROR || pygmy_trace_add_variables(cf) != NGX_OK
			|| pygmy_client_add_variables(cf) != NGX_OK)
		return NGX_ERROR;
	return pygmy_figures_add_variables(cf);
}

/* ---- answers ---------------------------------------------------------------------------------- */

/* The value that the variable has got during this request; empty when nobody has asked for it. */
static struct slice value_of(ngx_http_request_t *r, ngx_int_t index)
{
	ngx_http_variable_value_t *value = &r->variables[index];
	if (!value->valid || value->not_found)
		return SLICE_EMPTY;
	return (struct slice){ (const char *)value->data, value->len };
}

/* Before the client sees an answer that a worker gave, its slot is raised: nobody here then sees an older one. */
static void learn_from(ngx_http_request_t *r)
{
	ngx_table_elt_t *changed = FIND_HEADER(&r->headers_out.headers, "X-Pygmy-Changed");
	struct slice key = value_of(r, key_index);
	if (key.len == 0)
		key = value_of(r, tag_index);
	if (changed != NULL && key.len > 0)
		cache_key_raise(attached_table, key, (struct slice){ (const char *)changed->value.data, changed->value.len },
			coherence_clock_ms());
}

/* Whole answers only: no part, no HEAD, nothing that was or will be refused a place in nginx's cache. */
static bool may_be_kept(ngx_http_request_t *r)
{
	return memory != NULL && r == r->main && r->upstream->cache_status == NGX_HTTP_CACHE_HIT
	       && r->headers_out.status == NGX_HTTP_OK && !r->header_only && r->headers_out.content_length_n >= 0
	       && r->headers_out.content_length_n <= HIT_MAX_BYTES && value_of(r, key_index).len > 0;
}

static struct slice slice_of_str(ngx_str_t text)
{
	return (struct slice){ (const char *)text.data, text.len };
}

/* The headers as the worker gave them: those of the configuration are added behind this filter, and will be again. */
static bool take_headers(ngx_http_request_t *r, struct hit *hit)
{
	hit->content_type = slice_of_str(r->headers_out.content_type);
	hit->header_count = 0;
	for (ngx_list_part_t *part = &r->headers_out.headers.part; part != NULL; part = part->next) {
		ngx_table_elt_t *headers = part->elts;
		for (ngx_uint_t i = 0; i < part->nelts; i++) {
			if (headers[i].hash == 0)
				continue;
			if (hit->header_count == HIT_HEADERS_MAX)
				return false;
			hit->headers[hit->header_count++] = (struct hit_header){ slice_of_str(headers[i].key), slice_of_str(headers[i].value) };
		}
	}
	return true;
}

static void start_recording(ngx_http_request_t *r)
{
	size_t size = (size_t)r->headers_out.content_length_n;
	pygmy_recording *recording = ngx_palloc(r->pool, sizeof *recording + size);
	if (recording == NULL || !take_headers(r, &recording->hit))
		return;
	recording->size = size;
	recording->len = 0;
	ngx_http_set_ctx(r, recording, ngx_http_pygmy_module);
}

/* An overloaded worker says so by a status after which nginx asks nobody else; to the client it is a 503. */
static void translate_overload(ngx_http_request_t *r)
{
	const pygmy_location *location = ngx_http_get_module_loc_conf(r, ngx_http_pygmy_module);
	if (r->headers_out.status != PYGMY_OVERLOADED_STATUS || location->counted != 1)
		return;
	r->headers_out.status = NGX_HTTP_SERVICE_UNAVAILABLE;
	r->headers_out.status_line.len = 0;
}

static ngx_int_t header_filter(ngx_http_request_t *r)
{
	pygmy_closing_answer(r);
	translate_overload(r);
	if (r->upstream != NULL && r->upstream->cache_status != NGX_HTTP_CACHE_HIT)
		pygmy_figures_upstream_answered(r);
	if (location_of(r) == NULL || r->upstream == NULL)
		return next_header_filter(r);
	if (r->upstream->cache_status != NGX_HTTP_CACHE_HIT)
		learn_from(r);
	else if (may_be_kept(r))
		start_recording(r);
	return next_header_filter(r);
}

/* False when the answer is not what its headers said; nothing of it is kept then. */
static bool record(pygmy_recording *recording, ngx_chain_t *chain)
{
	for (; chain != NULL; chain = chain->next) {
		ngx_buf_t *buf = chain->buf;
		if (ngx_buf_special(buf))
			continue;
		if (!ngx_buf_in_memory(buf) || (size_t)(buf->last - buf->pos) > recording->size - recording->len)
			return false;
		ngx_memcpy(recording->bytes + recording->len, buf->pos, (size_t)(buf->last - buf->pos));
		recording->len += (size_t)(buf->last - buf->pos);
	}
	return true;
}

static void keep(ngx_http_request_t *r, pygmy_recording *recording)
{
	recording->hit.body = (struct slice){ (const char *)recording->bytes, recording->len };
	hit_memory_put(memory, value_of(r, key_index), &recording->hit);
}

static ngx_int_t body_filter(ngx_http_request_t *r, ngx_chain_t *chain)
{
	pygmy_recording *recording = ngx_http_get_module_ctx(r, ngx_http_pygmy_module);
	if (recording != NULL) {
		bool sound = record(recording, chain);
		if (sound && recording->len == recording->size)
			keep(r, recording);
		if (!sound || recording->len == recording->size)
			ngx_http_set_ctx(r, NULL, ngx_http_pygmy_module);
	}
	return next_body_filter(r, chain);
}

/* ---- hits from memory ------------------------------------------------------------------------- */

static bool copy_str(ngx_pool_t *pool, struct slice from, ngx_str_t *to)
{
	to->data = ngx_pnalloc(pool, from.len + 1);
	to->len = from.len;
	if (to->data != NULL)
		ngx_memcpy(to->data, from.ptr, from.len);
	return to->data != NULL;
}

static bool set_headers(ngx_http_request_t *r, const struct hit *hit)
{
	r->headers_out.status = NGX_HTTP_OK;
	r->headers_out.content_length_n = (off_t)hit->body.len;
	if (!copy_str(r->pool, hit->content_type, &r->headers_out.content_type))
		return false;
	r->headers_out.content_type_len = r->headers_out.content_type.len;
	for (unsigned i = 0; i < hit->header_count; i++) {
		ngx_table_elt_t *header = ngx_list_push(&r->headers_out.headers);
		if (header == NULL)
			return false;
		ngx_memzero(header, sizeof *header);
		if (!copy_str(r->pool, hit->headers[i].name, &header->key) || !copy_str(r->pool, hit->headers[i].value, &header->value))
			return false;
		header->hash = 1;
		if (header->key.len == sizeof "ETag" - 1 && ngx_strncasecmp(header->key.data, (u_char *)"ETag", header->key.len) == 0)
			r->headers_out.etag = header;
	}
	return true;
}

/* The content handler in place of fastcgi_pass's. What it sends is a copy: the memory may give the answer up meanwhile. */
static ngx_int_t serve_from_memory(ngx_http_request_t *r)
{
	const struct hit *hit = hit_memory_get(memory, value_of(r, key_index));
	if (hit == NULL)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	ngx_int_t rc = ngx_http_discard_request_body(r);
	ngx_buf_t *buf = ngx_create_temp_buf(r->pool, hit->body.len > 0 ? hit->body.len : 1);
	if (rc != NGX_OK || buf == NULL || !set_headers(r, hit))
		return rc != NGX_OK ? rc : NGX_HTTP_INTERNAL_SERVER_ERROR;
	buf->last = ngx_cpymem(buf->pos, hit->body.ptr, hit->body.len);
	buf->last_buf = 1;
	buf->last_in_chain = 1;
	rc = ngx_http_send_header(r);
	if (rc == NGX_ERROR || rc > NGX_OK || r->header_only)
		return rc;
	ngx_chain_t chain = { .buf = buf, .next = NULL };
	return ngx_http_output_filter(r, &chain);
}

static ngx_int_t look_into_memory(ngx_http_request_t *r)
{
	if (memory == NULL || location_of(r) == NULL || r != r->main || (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0)
		return NGX_DECLINED;
	struct slice key = value_of(r, key_index);
	if (key.len > 0 && hit_memory_get(memory, key) != NULL)
		r->content_handler = serve_from_memory;
	return NGX_DECLINED;
}

/* Who outlives a killed master would keep its ports, and nobody could start nginx anew. Holds for the cache's processes, too. */
static void end_with_master(void)
{
	if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_HELPER)
		return;
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (getppid() != ngx_parent)
		raise(SIGQUIT);
}

static ngx_int_t read_configuration(ngx_cycle_t *cycle)
{
	pygmy_guard_install(cycle);
	return NGX_OK;
}

static ngx_int_t start_worker(ngx_cycle_t *cycle)
{
	end_with_master();
	pygmy_figures_start_worker();
	pygmy_guard_start_worker(cycle);
	memory = hit_memory_create();
	if (memory == NULL)
		ngx_log_error(NGX_LOG_WARN, cycle->log, 0, "no memory to keep answers in: they come from files");
	return NGX_OK;
}

static void end_worker(ngx_cycle_t *cycle)
{
	(void)cycle;
	hit_memory_destroy(memory);
	memory = NULL;
}

static ngx_int_t install(ngx_conf_t *cf)
{
	ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
	ngx_http_handler_pt *handler = ngx_array_push(&core->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
	if (handler == NULL)
		return NGX_ERROR;
	*handler = look_into_memory;
	next_header_filter = ngx_http_top_header_filter;
	ngx_http_top_header_filter = header_filter;
	next_body_filter = ngx_http_top_body_filter;
	ngx_http_top_body_filter = body_filter;
	return pygmy_figures_install(cf);
}

/* ---- configuration ---------------------------------------------------------------------------- */

static ngx_conf_enum_t routes[] = {
	{ ngx_string("lookup"), CACHE_ROUTE_LOOKUP },
	{ ngx_string("search"), CACHE_ROUTE_SEARCH },
	{ ngx_null_string, 0 }
};

static ngx_conf_enum_t ports[] = {
	{ ngx_string("public"), PYGMY_GUARDED_PUBLIC },
	{ ngx_string("direct"), PYGMY_GUARDED_DIRECT },
	{ ngx_null_string, 0 }
};

static ngx_command_t commands[] = {
	{ ngx_string("pygmy_coherent"), NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1, ngx_conf_set_enum_slot, NGX_HTTP_LOC_CONF_OFFSET,
	  offsetof(pygmy_location, route), routes },
	{ ngx_string("pygmy_counted"), NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
	  NGX_HTTP_LOC_CONF_OFFSET, offsetof(pygmy_location, counted), NULL },
	{ ngx_string("pygmy_nodes"), NGX_HTTP_UPS_CONF | NGX_CONF_TAKE23, pygmy_balancer_nodes, NGX_HTTP_SRV_CONF_OFFSET, 0, NULL },
	{ ngx_string("pygmy_guarded"), NGX_HTTP_SRV_CONF | NGX_CONF_TAKE1, ngx_conf_set_enum_slot, NGX_HTTP_LOC_CONF_OFFSET,
	  offsetof(pygmy_location, guarded), ports },
	{ ngx_string("pygmy_connections"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE3, pygmy_guard_set_connections, NGX_HTTP_MAIN_CONF_OFFSET, 0,
	  NULL },
	{ ngx_string("pygmy_known_clients"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE, pygmy_guard_add_known, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },
	ngx_null_command
};

static void *create_main(ngx_conf_t *cf)
{
	return ngx_pcalloc(cf->pool, sizeof(pygmy_main));
}

static void *create_location(ngx_conf_t *cf)
{
	pygmy_location *location = ngx_palloc(cf->pool, sizeof *location);
	if (location != NULL)
		*location = (pygmy_location){ .route = NGX_CONF_UNSET_UINT, .counted = NGX_CONF_UNSET, .guarded = NGX_CONF_UNSET_UINT };
	return location;
}

/* What a location is about, it says itself. */
static char *merge_location(ngx_conf_t *cf, void *above, void *location)
{
	(void)cf;
	ngx_conf_merge_value(((pygmy_location *)location)->counted, ((pygmy_location *)above)->counted, 0);
	ngx_conf_merge_uint_value(((pygmy_location *)location)->guarded, ((pygmy_location *)above)->guarded, PYGMY_GUARDED_NOT);
	return NGX_CONF_OK;
}

static ngx_http_module_t module_context = {
	.preconfiguration = add_variables,
	.postconfiguration = install,
	.create_srv_conf = pygmy_balancer_create_upstream,
	.create_main_conf = create_main,
	.create_loc_conf = create_location,
	.merge_loc_conf = merge_location,
};

ngx_module_t ngx_http_pygmy_module = {
	NGX_MODULE_V1,
	.ctx = &module_context,
	.commands = commands,
	.type = NGX_HTTP_MODULE,
	.init_module = read_configuration,
	.init_process = start_worker,
	.exit_process = end_worker,
	NGX_MODULE_V1_PADDING
};

/* What nginx looks up in a module that it loads. The filter stands before those that write the body. */
ngx_module_t *ngx_modules[] = { &ngx_http_pygmy_module, NULL };
char *ngx_module_names[] = { "ngx_http_pygmy_module", NULL };
char *ngx_module_order[] = { "ngx_http_pygmy_module", "ngx_http_copy_filter_module", NULL };
