/*
 * pygmy_module: what the parts of nginx's module share: ngx_http_pygmy_module.c the cache, figures.c what is counted, trace.c by which id
 * a request is followed, closing.c how connections end before nginx stops. They are one nginx module, in one shared object.
 */
#ifndef PYGMY_NGINX_PYGMY_MODULE_H
#define PYGMY_NGINX_PYGMY_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <stdbool.h>

#include "nginx/frontend_metrics.h"

typedef struct {
	ngx_uint_t route;             /* enum cache_route, or NGX_CONF_UNSET_UINT */
	ngx_flag_t counted;
} pygmy_location;

extern ngx_module_t ngx_http_pygmy_module;

/* ---- the cache -------------------------------------------------------------------------------- */

/* The first header of that name (in any case), or NULL. count, unless NULL, is raised by how many there are. */
ngx_table_elt_t *pygmy_find_header(ngx_list_t *list, const char *name, size_t len, ngx_uint_t *count);

/* Copies text into the request's pool as a variable's value. */
ngx_int_t pygmy_set_value(ngx_http_request_t *r, ngx_http_variable_value_t *value, const char *text, size_t len);

/* Whether the answer comes from this worker's memory. */
bool pygmy_is_served_from_memory(ngx_http_request_t *r);

/* The table that Lua attached, or NULL; and how long its leases last. */
const struct coherence_table *pygmy_attached_table(int64_t *lease_ms);

/* ---- figures ---------------------------------------------------------------------------------- */

ngx_int_t pygmy_figures_add_variables(ngx_conf_t *cf);
ngx_int_t pygmy_figures_install(ngx_conf_t *cf);
void pygmy_figures_start_worker(void);

/*
 * coherence_clock_ms() at the beginning of the request: a lease that was held then is enough to answer it, since what was acknowledged
 * before it began is in the table, which is looked at later.
 */
int64_t pygmy_figures_clock_ms(ngx_http_request_t *r);

/* The head of an upstream's answer is here. */
void pygmy_figures_upstream_answered(ngx_http_request_t *r);

/* Called by Lua in the master, at start and at each reload; counters stay Lua's. */
void pygmy_module_count(struct frontend_counters *counters);

/* Called by Lua: the page for /metrics; see frontend_metrics.h. 0 before anything was attached. */
size_t pygmy_module_metrics(char text[FRONTEND_METRICS_MAX_BYTES]);

/* ---- stopping --------------------------------------------------------------------------------- */

/* Before the head of an answer is written: it is the connection's last one if nginx is about to stop (closing.c). */
void pygmy_closing_answer(ngx_http_request_t *r);

/* ---- trace ids -------------------------------------------------------------------------------- */

ngx_int_t pygmy_trace_add_variables(ngx_conf_t *cf);

#endif
