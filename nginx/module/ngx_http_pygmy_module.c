/*
 * ngx_http_pygmy_module: the part of the coherent cache that runs on every request: which key an answer is cached under, and what
 * the table learns from an answer that a worker gave. All rules are in coherence_table.h and cache_key.h; this is nginx's side of
 * them, in C because on a hit there is little else to do (by Lua the key alone cost a quarter of the whole request).
 *
 *     pygmy_coherent lookup|search;     in a location: which resource its requests are about
 *     $pygmy_key        the cache key; empty: go past the cache (no lease, not canonical, or the client asks for a position
 *                       or for the newest)
 *     $pygmy_tag        the tag of a request that goes past the cache; empty when it is about no resource
 *     $pygmy_no_store   "1" when the answer must not be stored, because the cache's disk is nearly full (nginx would break off
 *                       the answer in the middle); for fastcgi_no_cache
 *
 * The table belongs to coherence.lua, which makes it in the master and hands it over by pygmy_module_attach, before workers are
 * forked. The library that Lua calls by FFI and this module are one shared object, so that there is one such pointer.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "nginx/cache_key.h"
#include "nginx/cache_space.h"

typedef struct {
	ngx_uint_t route;             /* enum cache_route, or NGX_CONF_UNSET_UINT */
} pygmy_location;

extern ngx_module_t ngx_http_pygmy_module;

static struct coherence_table *attached_table;
static int64_t attached_lease_ms;
static char attached_cache_dir[NGX_MAX_PATH];

static ngx_int_t key_index, tag_index;
static ngx_http_output_header_filter_pt next_header_filter;

/* Called by Lua in the master, at start and at each reload. table stays Lua's; cache_dir is copied. */
void pygmy_module_attach(struct coherence_table *table, int64_t lease_ms, const char *cache_dir);

void pygmy_module_attach(struct coherence_table *table, int64_t lease_ms, const char *cache_dir)
{
	attached_table = table;
	attached_lease_ms = lease_ms;
	ngx_cpystrn((u_char *)attached_cache_dir, (u_char *)cache_dir, sizeof attached_cache_dir);
}

/* ---- headers ---------------------------------------------------------------------------------- */

static ngx_table_elt_t *find_header(ngx_list_t *list, const char *name, size_t len)
{
	for (ngx_list_part_t *part = &list->part; part != NULL; part = part->next) {
		ngx_table_elt_t *headers = part->elts;
		for (ngx_uint_t i = 0; i < part->nelts; i++)
			if (headers[i].hash != 0 && headers[i].key.len == len
					&& ngx_strncasecmp(headers[i].key.data, (u_char *)name, len) == 0)
				return &headers[i];
	}
	return NULL;
}

#define FIND_HEADER(list, name) find_header((list), (name), sizeof(name) - 1)

/* Whether the client asks for what the cache can't promise. */
static bool asks_for_more(ngx_http_request_t *r)
{
	return FIND_HEADER(&r->headers_in.headers, "X-Pygmy-Min-Revision") != NULL
	       || FIND_HEADER(&r->headers_in.headers, "X-Pygmy-Consistency") != NULL;
}

/* ---- variables -------------------------------------------------------------------------------- */

static ngx_int_t set_value(ngx_http_request_t *r, ngx_http_variable_value_t *value, const char *text, size_t len)
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
	if (location != NULL && !asks_for_more(r))
		len = cache_key_write(attached_table, (enum cache_route)location->route,
			(struct slice){ (const char *)r->args.data, r->args.len }, coherence_clock_ms(), attached_lease_ms, key);
	return set_value(r, value, key, len);
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
	return set_value(r, value, tag, len);
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

static ngx_http_variable_t variables[] = {
	{ ngx_string("pygmy_key"), NULL, get_key, 0, 0, 0 },
	{ ngx_string("pygmy_tag"), NULL, get_tag, 0, 0, 0 },
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
	return key_index == NGX_ERROR || tag_index == NGX_ERROR ? NGX_ERROR : NGX_OK;
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
static ngx_int_t header_filter(ngx_http_request_t *r)
{
	if (location_of(r) == NULL || r->upstream == NULL || r->upstream->cache_status == NGX_HTTP_CACHE_HIT)
		return next_header_filter(r);
	ngx_table_elt_t *changed = FIND_HEADER(&r->headers_out.headers, "X-Pygmy-Changed");
	struct slice key = value_of(r, key_index);
	if (key.len == 0)
		key = value_of(r, tag_index);
	if (changed != NULL && key.len > 0)
		cache_key_raise(attached_table, key, (struct slice){ (const char *)changed->value.data, changed->value.len });
	return next_header_filter(r);
}

static ngx_int_t install_filter(ngx_conf_t *cf)
{
	(void)cf;
	next_header_filter = ngx_http_top_header_filter;
	ngx_http_top_header_filter = header_filter;
	return NGX_OK;
}

/* ---- configuration ---------------------------------------------------------------------------- */

static ngx_conf_enum_t routes[] = {
	{ ngx_string("lookup"), CACHE_ROUTE_LOOKUP },
	{ ngx_string("search"), CACHE_ROUTE_SEARCH },
	{ ngx_null_string, 0 }
};

static ngx_command_t commands[] = {
	{ ngx_string("pygmy_coherent"), NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1, ngx_conf_set_enum_slot, NGX_HTTP_LOC_CONF_OFFSET,
	  offsetof(pygmy_location, route), routes },
	ngx_null_command
};

static void *create_location(ngx_conf_t *cf)
{
	pygmy_location *location = ngx_palloc(cf->pool, sizeof *location);
	if (location != NULL)
		location->route = NGX_CONF_UNSET_UINT;
	return location;
}

static ngx_http_module_t module_context = {
	.preconfiguration = add_variables,
	.postconfiguration = install_filter,
	.create_loc_conf = create_location,
};

ngx_module_t ngx_http_pygmy_module = {
	NGX_MODULE_V1,
	.ctx = &module_context,
	.commands = commands,
	.type = NGX_HTTP_MODULE,
	NGX_MODULE_V1_PADDING
};

/* What nginx looks up in a module that it loads. The filter stands before those that write the body. */
ngx_module_t *ngx_modules[] = { &ngx_http_pygmy_module, NULL };
char *ngx_module_names[] = { "ngx_http_pygmy_module", NULL };
char *ngx_module_order[] = { "ngx_http_pygmy_module", "ngx_http_copy_filter_module", NULL };
